#include "supervisor/table.h"

#include <stdint.h>
#include <stdio.h>

#include "proc/config.h"

/* DESIGN 5: started router, datastore, cm-*; stopped cm-*, router, datastore. The call bridge is a
 * client of theirs, or of others. */
const struct table_row table_rows[] = {
	{.service = "router",
	 .start_rank = 0,
	 .stop_rank = 1,
	 .is_router = true,
	 .user = offsetof(struct config, users_router),
	 .instances = SIZE_MAX,
	 .listen = SIZE_MAX},
	{.service = "datastore",
	 .start_rank = 1,
	 .stop_rank = 2,
	 .user = offsetof(struct config, users_datastore),
	 .instances = SIZE_MAX,
	 .listen = SIZE_MAX},
	{.service = "cm-client",
	 .start_rank = 2,
	 .stop_rank = 0,
	 .uses_tls = true,
	 .user = offsetof(struct config, users_client),
	 .instances = offsetof(struct config, client_instances),
	 .listen = offsetof(struct config, client_listen)},
	{.service = "cm-component",
	 .start_rank = 2,
	 .stop_rank = 0,
	 .uses_tls = true,
	 .user = offsetof(struct config, users_component),
	 .instances = offsetof(struct config, component_instances),
	 .listen = offsetof(struct config, component_listen)},
	{.service = "callbridge",
	 .start_rank = 3,
	 .stop_rank = -1,
	 .user = offsetof(struct config, users_bridge),
	 .instances = SIZE_MAX,
	 .listen = SIZE_MAX,
	 .enabled = offsetof(struct config, bridge_enabled),
	 .secret = offsetof(struct config, bridge_secret_file),
	 .secret_name = "callbridge.secret_file"},
};
const size_t table_len = sizeof(table_rows) / sizeof(table_rows[0]);

const struct table_row *table_find(const char *service)
{
	for (size_t i = 0; i < table_len; i++)
		if (strcmp(table_rows[i].service, service) == 0)
			return &table_rows[i];
	return NULL;
}

const struct table_row *table_of_instance(const char *instance)
{
	for (size_t i = 0; i < table_len; i++) {
		const struct table_row *row = &table_rows[i];
		size_t n = strlen(row->service);

		if (row->instances == SIZE_MAX
			    ? strcmp(instance, row->service) == 0
			    : strncmp(instance, row->service, n) == 0 && instance[n] == '-' &&
				      instance[n + 1] >= '1' && instance[n + 1] <= '9')
			return row;
	}
	return NULL;
}

size_t table_instances(const struct table_row *row, const struct config *cfg)
{
	if (row->enabled && !*(const bool *)((const char *)cfg + row->enabled))
		return 0;
	if (row->instances == SIZE_MAX)
		return 1;
	return (size_t) * (const int64_t *)((const char *)cfg + row->instances);
}

void table_instance_name(const struct table_row *row, size_t i, char out[TABLE_NAME_MAX])
{
	if (row->instances == SIZE_MAX)
		snprintf(out, TABLE_NAME_MAX, "%s", row->service);
	else
		snprintf(out, TABLE_NAME_MAX, "%s-%zu", row->service, i + 1);
}

const char *table_user(const struct table_row *row, const struct config *cfg)
{
	return *(char *const *)((const char *)cfg + row->user);
}

char *const *table_listen(const struct table_row *row, const struct config *cfg)
{
	static char *const none[] = {NULL};

	if (row->listen == SIZE_MAX || !cfg->xmpp_enabled || table_instances(row, cfg) == 0)
		return none;
	return *(char **const *)((const char *)cfg + row->listen);
}
