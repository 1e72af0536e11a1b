/*
 * table - which services there are, in which order, and what each needs from the supervisor.
 */
#ifndef SUPERVISOR_TABLE_H
#define SUPERVISOR_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct config;

#define TABLE_NAME_MAX 64

struct table_row {
	const char *service; /* also the program's name */
	int start_rank;
	int stop_rank;
	bool is_router; /* told which instances may speak */
	bool uses_tls;	/* gets tls.certificate and tls.key opened */
	size_t user;	/* offsets in struct config; SIZE_MAX = has none */
	size_t instances;
	size_t listen;
	size_t enabled; /* a flag; 0 = always */
	size_t secret;	/* path of a file that it is given opened; 0 = none */
	const char *secret_name;
};

extern const struct table_row table_rows[];
extern const size_t table_len;

const struct table_row *table_find(const char *service); /* NULL */

/* The row that an instance's name belongs to ("cm-client-2"); NULL. */
const struct table_row *table_of_instance(const char *instance);

size_t table_instances(const struct table_row *row, const struct config *cfg);
void table_instance_name(const struct table_row *row, size_t i, char out[TABLE_NAME_MAX]);
const char *table_user(const struct table_row *row, const struct config *cfg);

/* NULL-terminated, borrowed from cfg; may be empty, and is while xmpp.enabled is false
 * or there is nobody to accept. */
char *const *table_listen(const struct table_row *row, const struct config *cfg);

#endif
