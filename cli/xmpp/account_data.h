/*
 * account_data - everything of one account, asked of the datastore page by page.
 *
 * Each function returns an enum command_exit; what went wrong was said. Callbacks get borrowed
 * data; what they return other than COMMAND_OK ends the walk and is returned.
 */
#ifndef CLI_XMPP_ACCOUNT_DATA_H
#define CLI_XMPP_ACCOUNT_DATA_H

#include "cli/common/bus_client.h"
#include "ipc/db_archive.h"
#include "ipc/db_pack.h"
#include "xmpp/jid.h"

/* Accounts of a domain (empty: of all), in the order of domain and name. */
int account_data_each(struct bus_client *c, struct slice domain,
		      int (*fn)(void *arg, struct slice bare), void *arg);

/* COMMAND_REFUSED, and said, when there is no such account. locked: it was made by an import that
 * did not end (account_data_lock). */
int account_data_exists(struct bus_client *c, const struct jid *jid, bool *exists, bool *locked);
int account_data_need(struct bus_client *c, const struct jid *jid);

int account_data_keys(struct bus_client *c, const struct jid *jid,
		      int (*fn)(void *arg, const struct db_scram *key), void *arg);

/* item is NULL behind the last one, then blocked JIDs follow, one a call. */
int account_data_roster(struct bus_client *c, const struct jid *jid,
			int (*fn)(void *arg, const struct db_roster_item *item),
			int (*blocked)(void *arg, struct slice jid), void *arg);

int account_data_offline(struct bus_client *c, const struct jid *jid,
			 int (*fn)(void *arg, const struct db_offline *m), void *arg);

int account_data_values(struct bus_client *c, const struct jid *jid, uint8_t kind,
			int (*fn)(void *arg, struct slice key, struct slice value), void *arg);

/* What of an archive: with empty, start_ms 0, end_ms 0, limit 0 = everything. more (may be NULL)
 * says whether the limit cut something off. */
struct account_data_range {
	struct slice with;
	uint64_t start_ms, end_ms;
	uint32_t limit;
};
int account_data_archive(struct bus_client *c, const struct jid *jid,
			 const struct account_data_range *range,
			 int (*fn)(void *arg, const struct db_archive_entry *e), void *arg,
			 bool *more);

/* The salt of keys that nobody knows: what an account has until its import is complete. */
#define ACCOUNT_DATA_LOCK "roundhouse: import is not complete"

#endif
