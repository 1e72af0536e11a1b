/*
 * c2s_accounts - new accounts (XEP-0077): asked of the datastore, and how many one address may
 * have in an hour.
 *
 * Every attempt that reaches the datastore counts, also one that finds the name taken: else the
 * names of all accounts could be had by trying. Passwords are SASLprepped here (RFC 5802 5.1), kept
 * until the answer and wiped.
 */
#ifndef CM_CLIENT_C2S_ACCOUNTS_H
#define CM_CLIENT_C2S_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/monotime.h"
#include "base/slice.h"
#include "cm/cm_limits.h"

struct bus;
struct c2s_accounts;

/* done is never called inside c2s_accounts_add(), nor after c2s_accounts_cancel(). */
struct c2s_accounts *c2s_accounts_new(struct bus *bus, void (*done)(void *arg, enum err status));
void c2s_accounts_free(struct c2s_accounts **ap);

/* Takes one of the address's attempts; false: it has none left in this hour. */
bool c2s_accounts_allow(struct c2s_accounts *a, const struct cm_address *from,
			unsigned int per_hour, struct monotime now);
size_t c2s_accounts_addresses(const struct c2s_accounts *a); /* remembered now */

/* user: normalised. 0: the password has characters that no password may have (RFC 4013), or is
 * nothing without those that do not count. Otherwise a number for c2s_accounts_cancel(). */
uint64_t c2s_accounts_add(struct c2s_accounts *a, struct slice user, struct slice domain,
			  const char *password, void *arg);
void c2s_accounts_cancel(struct c2s_accounts *a, uint64_t op); /* 0 is none */

void c2s_accounts_stored(struct c2s_accounts *a, struct slice body); /* a STORED record */
void c2s_accounts_ask_again(struct c2s_accounts *a);		     /* of a fresh router */

#endif
