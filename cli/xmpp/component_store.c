#include "cli/xmpp/component_store.h"

#include <pwd.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/xmem.h"
#include "ipc/stanza_kinds.h"

static const char *const modes[] = {
	[DOMAIN_ONE] = "one", [DOMAIN_SHARED] = "shared", [DOMAIN_STANDBY] = "standby"};

#define NMODES (sizeof(modes) / sizeof(modes[0]))

const char *component_store_mode_name(uint8_t mode)
{
	return mode < NMODES ? modes[mode] : NULL;
}

int component_store_mode(const char *name)
{
	for (size_t i = 0; i < NMODES; i++)
		if (strcmp(name, modes[i]) == 0)
			return (int)i;
	return -1;
}

int component_store_check_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "-_");

	if (*name && !name[len] && *name != '-' && len <= 63)
		return COMMAND_OK;
	return command_fail("xmpp", COMMAND_USAGE,
			    "'%s' is not a name; it is up to 63 letters, digits, '-' and '_', such "
			    "as cb1, without a domain part",
			    name);
}

/* Who is at the terminal, also behind sudo. */
static void put_user(struct str *out)
{
	const char *before = geteuid() == 0 ? getenv("SUDO_USER") : NULL;
	const struct passwd *pw = getpwuid(getuid());

	if (pw)
		str_adds(out, pw->pw_name);
	else
		str_addf(out, "uid %u", (unsigned int)getuid());
	if (before && *before)
		str_addf(out, " (%.64s)", before);
}

static bool take_items(struct component_list *l, const struct msg_db_components *m)
{
	struct slice rest = m->list;

	l->items = xcalloc(m->count ? m->count : 1, sizeof(*l->items));
	for (l->count = 0; l->count < m->count; l->count++)
		if (!db_component_get(&rest, &l->items[l->count]))
			return false;
	return rest.len == 0;
}

int component_store_list(struct bus_client *c, enum db_secrets secrets, struct component_list *out)
{
	struct str record = STR_INIT, by = STR_INIT;
	struct msg_db_components m;
	struct slice body;
	int code;

	put_user(&by);
	msg_db_component_list_put(
		&record, &(struct msg_db_component_list){(uint8_t)secrets, str_slice(&by)});
	code = remote_store(c, str_slice(&record), ERR_OK, &out->answer);
	if (code == COMMAND_OK && !remote_record(&out->answer, MSG_DB_COMPONENTS, &body))
		code = COMMAND_REFUSED;
	if (code == COMMAND_OK && (msg_db_components_get(body, &m) != ERR_OK ||
				   m.count > body.len || !take_items(out, &m)))
		code = remote_misunderstood();
	str_clear(&record);
	str_clear(&by);
	return code;
}

void component_store_clear(struct component_list *l)
{
	free(l->items);
	bus_client_answer_clear(&l->answer);
	*l = COMPONENT_LIST_INIT;
}

const struct msg_db_component *component_store_find(const struct component_list *l,
						    const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].name.len == strlen(name) &&
		    strncasecmp(l->items[i].name.data, name, strlen(name)) == 0)
			return &l->items[i];
	return NULL;
}

void component_store_warn(const struct component_list *l, const char *name)
{
	const struct msg_db_component *own = component_store_find(l, name);

	for (size_t i = 0; own && i < l->count; i++)
		if (&l->items[i] != own && slice_eq(l->items[i].secret, own->secret))
			command_fail("xmpp", 0,
				     "warning: %.*s and %.*s have the same secret; give each its "
				     "own, unless this is meant",
				     SLICE_ARG(own->name), SLICE_ARG(l->items[i].name));
}

static int store(struct bus_client *c, struct str *record, const char *name)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	int code = remote_store(c, str_slice(record), ERR_CONFLICT, &a);

	if (a.status == ERR_CONFLICT)
		command_fail("xmpp", code,
			     "%s; 'xmpp component list' shows all, 'xmpp component set %s' changes "
			     "one",
			     a.text.data, name);
	xwipe(record->data, record->len);
	str_clear(record);
	bus_client_answer_clear(&a);
	return code;
}

int component_store_add(struct bus_client *c, const struct msg_db_component_add *m)
{
	char *name = xstrndup(m->name.data, m->name.len);
	struct str record = STR_INIT;
	int code;

	msg_db_component_add_put(&record, m);
	code = store(c, &record, name);
	free(name);
	return code;
}

int component_store_unknown(const char *name)
{
	return command_fail("xmpp", COMMAND_REFUSED,
			    "there is no component named %s; 'xmpp component list' shows all",
			    name);
}

/* By the router, which then ends the streams that the old account let in. */
static int change(struct bus_client *c, const char *command, struct str *args, const char *name)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	int code = remote_admin(c, command, str_slice(args), ERR_NOTFOUND, &a);

	if (a.status == ERR_NOTFOUND)
		component_store_unknown(name);
	xwipe(args->data, args->len);
	str_clear(args);
	bus_client_answer_clear(&a);
	return code;
}

int component_store_set(struct bus_client *c, const struct msg_db_component_set *m)
{
	char *name = xstrndup(m->name.data, m->name.len);
	struct str args = STR_INIT;
	int code;

	str_adds(&args, name);
	str_addc(&args, '\0');
	str_add_slice(&args, m->secret);
	str_addc(&args, '\0');
	str_adds(&args, component_store_mode_name(m->mode));
	str_addc(&args, '\0');
	str_addf(&args, "%u", m->hidden);
	str_addc(&args, '\0');
	str_addf(&args, "%u", m->max);
	str_addc(&args, '\0');
	str_addf(&args, "%u", m->bytes_per_second);
	code = change(c, "component-set", &args, name);
	free(name);
	return code;
}

int component_store_del(struct bus_client *c, const char *name)
{
	struct str args = STR_INIT;

	str_adds(&args, name);
	return change(c, "component-del", &args, name);
}
