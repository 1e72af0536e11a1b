/*
 * component_store - accounts of components as commands see them: read from the datastore, changed
 * through the router, so that streams of what was changed end in the same step.
 */
#ifndef CLI_XMPP_COMPONENT_STORE_H
#define CLI_XMPP_COMPONENT_STORE_H

#include <stddef.h>

#include "cli/xmpp/remote.h"
#include "ipc/db_pack.h"

struct component_list {
	struct bus_client_answer answer; /* what items points into */
	size_t count;
	struct msg_db_component *items; /* in the order in which they were added */
};

#define COMPONENT_LIST_INIT ((struct component_list){.answer = BUS_CLIENT_ANSWER_INIT})

/* Functions that return int: an enum command_exit; what is wrong was said. */

/* DB_SECRETS_SHOWN: it stands in the datastore's log. */
int component_store_list(struct bus_client *c, enum db_secrets secrets, struct component_list *out);
void component_store_clear(struct component_list *l); /* wipes */

/* By name, whatever its case; NULL = there is none. */
const struct msg_db_component *component_store_find(const struct component_list *l,
						    const char *name);

/* Of a list with DB_SECRETS_FINGERPRINTS: says on standard error who else has this one's secret. */
void component_store_warn(const struct component_list *l, const char *name);

/* COMMAND_USAGE unless it is one label: letters, digits, '-' and '_'. */
int component_store_check_name(const char *name);

/* Says that there is none of that name; COMMAND_REFUSED. */
int component_store_unknown(const char *name);

int component_store_add(struct bus_client *c, const struct msg_db_component_add *m);
int component_store_set(struct bus_client *c, const struct msg_db_component_set *m);
int component_store_del(struct bus_client *c, const char *name); /* "": all of them */

/* "one", "shared", "standby"; NULL, -1: no such. */
const char *component_store_mode_name(uint8_t mode);
int component_store_mode(const char *name);

#endif
