/*
 * cm_quarantine - stanzas that killed three routers (CUSTODY 11): logged without their body, their
 * bytes given to the datastore, which keeps them for people to look at.
 */
#ifndef CM_CM_QUARANTINE_H
#define CM_CM_QUARANTINE_H

#include "base/slice.h"
#include "ipc/hold.h"

struct bus;
struct cm_quarantine;

struct cm_quarantine *cm_quarantine_new(struct bus *bus);
void cm_quarantine_free(struct cm_quarantine **qp);

/* Logs it and asks for its bytes to be kept, until that is answered. */
void cm_quarantine_add(struct cm_quarantine *q, const struct hold_quarantined *what);

/* The router is a new one: what is not answered is asked again. */
void cm_quarantine_ask_again(struct cm_quarantine *q);

/* A STORED: ours, or not. */
void cm_quarantine_stored(struct cm_quarantine *q, struct slice body);

#endif
