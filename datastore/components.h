/*
 * components - the table components: who may serve a domain of its own (XEP-0114).
 *
 * JIDs and domains are normalised by the caller, who also knows which domains are served here; what
 * can be seen without that is checked here. Secrets are kept as they are, because the handshake
 * proves the knowledge of the secret itself. Every function is one part of the transaction that is
 * open on d (or a read of its own).
 */
#ifndef DATASTORE_COMPONENTS_H
#define DATASTORE_COMPONENTS_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "datastore/db.h"
#include "ipc/codec.h"

#define COMPONENTS_NAME_MAX   63   /* a label of a domain (RFC 1035 2.3.4) */
#define COMPONENTS_JID_MAX    1023 /* RFC 7622 3.2 */
#define COMPONENTS_SECRET_MAX 1024

/* ERR_CONFLICT: name (whatever its case) or jid is taken; ERR_FULL: there are max of them;
 * ERR_FORMAT, ERR_RANGE: cannot be. why says which. */
enum err components_add(struct db *d, const struct msg_db_component_add *m, uint32_t max,
			uint64_t now_ms, struct str *why);

/* What it may do, and its secret unless that is empty. ERR_NOTFOUND, ERR_FORMAT, ERR_RANGE. */
enum err components_set(struct db *d, const struct msg_db_component_set *m, struct str *why);

/* No name: all of them. ERR_NOTFOUND. */
enum err components_del(struct db *d, struct slice name, struct str *why);

/* Appends the DB_COMPONENT record of the one that may serve jid. ERR_NOTFOUND. */
enum err components_get(struct db *d, struct slice jid, struct str *out);

/* Appends them all in the order in which they were added, packed (ipc/db_pack.h), with what
 * `secrets` (enum db_secrets) says. */
enum err components_list(struct db *d, uint8_t secrets, struct str *out, uint32_t *count);

#endif
