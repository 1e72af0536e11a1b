/*
 * c2s_quarantine - stanzas that killed three routers (CUSTODY 11): logged without their body, their
 * bytes given to the datastore, which keeps them for people to look at.
 */
#ifndef CM_CLIENT_C2S_QUARANTINE_H
#define CM_CLIENT_C2S_QUARANTINE_H

#include "base/slice.h"
#include "ipc/hold.h"

struct bus;
struct c2s_quarantine;

struct c2s_quarantine *c2s_quarantine_new(struct bus *bus);
void c2s_quarantine_free(struct c2s_quarantine **qp);

/* Logs it and asks for its bytes to be kept, until that is answered. */
void c2s_quarantine_add(struct c2s_quarantine *q, const struct hold_quarantined *what);

/* The router is a new one: what is not answered is asked again. */
void c2s_quarantine_ask_again(struct c2s_quarantine *q);

/* A STORED: ours, or not. */
void c2s_quarantine_stored(struct c2s_quarantine *q, struct slice body);

#endif
