#include "cli/xmpp/server_listen.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "cli/xmpp/interfaces.h"
#include "cli/xmpp/manage.h"
#include "proc/config.h"

#define ENTRIES_MAX 16 /* as config.c allows */

/* The entries of one `listen` key. */
struct entries {
	size_t n;
	char *items[ENTRIES_MAX + 1]; /* NULL-terminated */
};

static void entries_clear(struct entries *e)
{
	while (e->n > 0)
		free(e->items[--e->n]);
}

static bool entries_add(struct entries *e, char *item)
{
	if (e->n == ENTRIES_MAX) {
		free(item);
		return false;
	}
	e->items[e->n++] = item;
	e->items[e->n] = NULL;
	return true;
}

static bool seen_before(char *const *listen, char *const *at, struct slice port)
{
	struct slice address, other;

	for (; listen < at; listen++)
		if (interfaces_split(*listen, &address, &other) && slice_eq(other, port))
			return true;
	return false;
}

/* Every address with every port that is configured. */
static bool combine(struct entries *out, const struct interfaces *where, char *const *ports)
{
	bool ok = true;

	for (char *const *p = ports; *p && ok; p++) {
		struct slice address, port;

		if (!interfaces_split(*p, &address, &port) || seen_before(ports, p, port))
			continue;
		for (size_t i = 0; i < where->n && ok; i++)
			ok = entries_add(
				out, xasprintf("%s:%.*s", where->addresses[i], SLICE_ARG(port)));
	}
	return ok;
}

/* After `listen none` the ports are those of roundhouse.conf, or the usual ones. */
static char *const *ports_of(char *const *now, char *const *before, char *const *usual)
{
	if (*now)
		return now;
	return *before ? before : usual;
}

static int set_lists(const struct xmpp_values *v, struct managed *m, const struct interfaces *where)
{
	static char clients_port[] = "0.0.0.0:5222", components_port[] = "0.0.0.0:5223";
	static char *const usual_clients[] = {clients_port, NULL};
	static char *const usual_components[] = {components_port, NULL};
	const struct config *cfg = managed_config(m);
	struct entries clients = {0}, components = {0};
	struct str why = STR_INIT;
	struct config *file;
	bool ok = config_load_layers(&file, CONFIG_PATH, NULL, &why) == ERR_OK;
	int code = COMMAND_OK;

	if (!ok)
		file = config_defaults();
	ok = combine(&clients, where,
		     ports_of(cfg->client_listen, file->client_listen, usual_clients)) &&
	     combine(&components, where,
		     ports_of(cfg->component_listen, file->component_listen, usual_components));
	if (ok) {
		managed_set_list(m, "cm-client.listen", (const char *const *)clients.items);
		managed_set_list(m, "cm-component.listen", (const char *const *)components.items);
	} else {
		code = manage_failure(v,
				      "more than %d pairs of address and port; 0.0.0.0 is all of "
				      "this machine's addresses",
				      ENTRIES_MAX);
	}
	entries_clear(&clients);
	entries_clear(&components);
	config_free(&file);
	str_clear(&why);
	return code;
}

static int find(const struct xmpp_values *v, const struct config *cfg, struct interfaces *where,
		int argc, char **argv)
{
	struct str why = STR_INIT;
	int code = COMMAND_OK;

	for (int i = 0; i < argc && code == COMMAND_OK; i++)
		if (!interfaces_add(where, cfg, argv[i], &why))
			code = manage_failure(v, "%s", why.data);
	str_clear(&why);
	return code;
}

static int finish(const struct xmpp_values *v, struct managed **mp, const struct interfaces *where)
{
	struct str text = STR_INIT;
	int code;

	for (size_t i = 0; i < where->n; i++)
		str_addf(&text, " %s", where->addresses[i]);
	code = manage_finish(v, mp, "Listening on%s", where->n ? text.data : " no interface");
	str_clear(&text);
	return code;
}

int server_listen(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	bool none = argc == 1 && strcmp(argv[0], "none") == 0;
	struct interfaces where = {0};
	struct managed *m;
	int code = manage_open(v, &m);

	if (code == COMMAND_OK && !none)
		code = find(v, managed_config(m), &where, argc, argv);
	if (code == COMMAND_OK)
		code = set_lists(v, m, &where);
	if (code == COMMAND_OK)
		code = finish(v, &m, &where);
	managed_close(&m);
	interfaces_clear(&where);
	return code;
}
