/*
 * comp_accounts - which components there are: asked of the datastore, one question a stream at a
 * time; and the digest with which one proves that it knows its secret (XEP-0114 section 3).
 */
#ifndef CM_COMPONENT_COMP_ACCOUNTS_H
#define CM_COMPONENT_COMP_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "ipc/codec.h"

struct bus;
struct comp_accounts;

/* done is never called inside comp_accounts_ask(), nor after comp_accounts_cancel(). account is
 * borrowed, NULL unless ERR_OK; ERR_NOTFOUND: no component may serve that domain. */
struct comp_accounts *comp_accounts_new(struct bus *bus,
					void (*done)(void *arg, enum err status,
						     const struct msg_db_component *account));
void comp_accounts_free(struct comp_accounts **ap);

/* A number for comp_accounts_cancel(), never 0. */
uint64_t comp_accounts_ask(struct comp_accounts *a, struct slice jid, void *arg);
void comp_accounts_cancel(struct comp_accounts *a, uint64_t op); /* 0 is none */

void comp_accounts_stored(struct comp_accounts *a, struct slice body); /* a STORED record */
void comp_accounts_ask_again(struct comp_accounts *a);		       /* of a fresh router */
size_t comp_accounts_waiting(const struct comp_accounts *a);

/* Is digest (hex of any case, white space around it) the SHA-1 of id and secret? Takes the same
 * time whatever it says. */
bool comp_accounts_proves(struct slice digest, struct slice id, struct slice secret);

#endif
