#include "cli/xmpp/component.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/xmpp/component_options.h"
#include "cli/xmpp/component_store.h"
#include "cli/xmpp/report.h"
#include "cli/xmpp/secret.h"
#include "cli/xmpp/served.h"

/* ---- how one is shown ---- */

#define NUMBER_SIZE 24

static struct slice number(char out[NUMBER_SIZE], uint64_t n, const char *zero)
{
	snprintf(out, NUMBER_SIZE, "%llu", (unsigned long long)n);
	return slice_str(n ? out : zero);
}

static struct slice connections(char out[NUMBER_SIZE], const struct msg_db_component *c)
{
	return c->mode == 0 ? slice_str("1") : number(out, c->max, "unlimited");
}

static const char *mode_of(const struct msg_db_component *c)
{
	const char *name = component_store_mode_name(c->mode);

	return name ? name : "unknown";
}

static void add_text(struct str *out, const char *key, struct slice value)
{
	str_addf(out, ",\"%s\":", key);
	json_line_put_text(out, value);
}

/* Open: what is added comes behind. */
static void put_json(struct str *out, const struct msg_db_component *c)
{
	char when[REMOTE_TIME_SIZE];

	str_adds(out, "{\"component\":");
	json_line_put_text(out, c->name);
	add_text(out, "domain", c->domain);
	add_text(out, "jid", c->jid);
	if (c->secret.len)
		add_text(out, "secret", c->secret);
	add_text(out, "mode", slice_str(mode_of(c)));
	str_addf(out,
		 ",\"hidden\":%s,\"max_connections\":%u,\"bytes_per_second\":%u,"
		 "\"created\":\"%s\"",
		 c->hidden ? "true" : "false", c->max, c->bytes_per_second,
		 remote_time(when, c->created));
}

static void put_labels(struct str *out, const struct msg_db_component *c)
{
	char text[NUMBER_SIZE], when[REMOTE_TIME_SIZE];

	table_label(out, "Component", c->name);
	table_label(out, "Domain", c->domain);
	table_label(out, "JID", c->jid);
	if (c->secret.len)
		table_label(out, "Secret", c->secret);
	table_label(out, "Mode", slice_str(mode_of(c)));
	table_label(out, "Hidden", slice_str(c->hidden ? "true" : "false"));
	table_label(out, "Max connections", connections(text, c));
	table_label(out, "Bytes per second", number(text, c->bytes_per_second, "default"));
	table_label(out, "Created", slice_str(remote_time(when, c->created)));
}

/* ---- who is connected, as the router says ---- */

struct connected {
	unsigned int count, detached;
	uint64_t since; /* the first of them, ms */
	struct str addr;
};

static uint64_t json_number(const struct json_line *j, const char *key)
{
	struct slice value;
	uint64_t n = 0;

	if (json_line_find(j, key, &value))
		for (size_t i = 0; i < value.len && value.data[i] >= '0' && value.data[i] <= '9';
		     i++)
			n = n * 10 + (uint64_t)(value.data[i] - '0');
	return n;
}

static void take_session(struct connected *out, const struct json_line *j)
{
	uint64_t since = json_number(j, "since");
	struct slice state = SLICE_NONE, addr = SLICE_NONE;

	json_line_find(j, "state", &state);
	json_line_find(j, "addr", &addr);
	out->detached += slice_is(state, "detached");
	if (!slice_is(state, "live"))
		return;
	if (!out->count || since < out->since)
		out->since = since;
	if (out->count++)
		str_adds(&out->addr, ", ");
	str_add_slice(&out->addr, addr);
}

/* Of one domain; own gets its lines when not NULL. */
static void find_connected(struct connected *out, struct slice lines, struct slice jid,
			   struct str *own)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice line, value;

	*out = (struct connected){.addr = STR_INIT};
	while (json_line_next(&lines, &line)) {
		/* There may be a thousand of each: most lines need not be parsed. */
		if (!memmem(line.data, line.len, jid.data, jid.len))
			continue;
		if (json_line_parse(&j, line) == ERR_OK && json_line_find(&j, "jid", &value) &&
		    slice_eq(value, jid)) {
			take_session(out, &j);
			if (own) {
				str_add_slice(own, line);
				str_addc(own, '\n');
			}
		}
		json_line_clear(&j);
	}
}

static const char *state_of(const struct connected *n)
{
	return n->count ? "yes" : n->detached ? "resuming" : "no";
}

static void put_connected_json(struct str *out, const struct connected *n)
{
	char when[REMOTE_TIME_SIZE];

	add_text(out, "connected", slice_str(state_of(n)));
	str_addf(out, ",\"connections\":%u", n->count);
	if (n->count) {
		add_text(out, "since", slice_str(remote_time(when, n->since)));
		add_text(out, "addr", str_slice(&n->addr));
	}
	str_adds(out, "}\n");
}

/* ---- add, set, del ---- */

static void print_changed(const struct xmpp_values *v, const struct msg_db_component *c)
{
	struct str out = STR_INIT;

	if (v->common.json) {
		put_json(&out, c);
		str_adds(&out, "}\n");
	} else {
		table_label(&out, "Success", slice_str("true"));
		put_labels(&out, c);
	}
	secret_print(&out);
}

/* What is there now, with its secret if that is one that we made. */
static int show_result(const struct xmpp_values *v, struct bus_client *c, const char *name,
		       bool with_secret)
{
	struct component_list all = COMPONENT_LIST_INIT;
	const struct msg_db_component *own;
	struct msg_db_component shown;
	int code = component_store_list(c, with_secret ? DB_SECRETS_SHOWN : DB_SECRETS_FINGERPRINTS,
					&all);

	own = component_store_find(&all, name);
	if (own) {
		shown = *own;
		if (!with_secret)
			shown.secret = SLICE_NONE;
		print_changed(v, &shown);
		component_store_warn(&all, name);
	}
	component_store_clear(&all);
	return code;
}

/* The domain that it serves: --jid, or NAME.DOMAIN. */
static int get_jid(const struct xmpp_values *v, const char *name, const char *domain,
		   char out[JID_PART_MAX + 1])
{
	char *text = v->jid ? xstrdup(v->jid) : xasprintf("%s.%s", name, domain);
	int code = COMMAND_OK;

	if (strpbrk(text, "@/") || jid_prepare_domain(out, slice_str(text)) != ERR_OK)
		code = command_fail("xmpp", COMMAND_USAGE,
				    "'%s' is not a domain; a component serves one, such as "
				    "%s.%s",
				    text, name, domain);
	free(text);
	return code == COMMAND_OK ? served_check_other(v->common.dir, slice_str(out)) : code;
}

int component_add(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	char domain[JID_PART_MAX + 1], jid[JID_PART_MAX + 1], secret[PASSWORD_SIZE] = "";
	bool made = !v->secret_file && !v->ask_secret;
	struct msg_db_component c = {.name = slice_str(argv[0])};
	struct bus_client *client = NULL;
	int code = component_store_check_name(argv[0]);

	(void)argc;
	if (code == COMMAND_OK)
		code = served_administrator(v->common.dir);
	if (code == COMMAND_OK)
		code = component_options_apply(v, &c);
	if (code == COMMAND_OK)
		code = served_choose(v->common.dir, v->domain, domain);
	if (code == COMMAND_OK)
		code = get_jid(v, argv[0], domain, jid);
	if (code == COMMAND_OK)
		code = component_options_secret(v, true, secret);
	if (code == COMMAND_OK)
		code = remote_open(v, &client);
	if (code == COMMAND_OK)
		code = component_store_add(
			client,
			&(struct msg_db_component_add){c.name, slice_str(domain), slice_str(jid),
						       slice_str(secret), c.mode, c.hidden, c.max,
						       c.bytes_per_second});
	if (code == COMMAND_OK)
		code = show_result(v, client, argv[0], made);
	xwipe(secret, sizeof(secret));
	bus_client_close(&client);
	return code;
}

static int change(const struct xmpp_values *v, struct bus_client *client, const char *name,
		  const char *secret)
{
	struct component_list all = COMPONENT_LIST_INIT;
	const struct msg_db_component *old;
	struct msg_db_component c;
	int code = component_store_list(client, DB_SECRETS_NONE, &all);

	old = component_store_find(&all, name);
	if (code == COMMAND_OK && !old)
		code = component_store_unknown(name);
	if (code == COMMAND_OK) {
		c = *old;
		code = component_options_apply(v, &c);
	}
	if (code == COMMAND_OK)
		code = component_store_set(client, &(struct msg_db_component_set){
							   c.name, slice_str(secret), c.mode,
							   c.hidden, c.max, c.bytes_per_second});
	component_store_clear(&all);
	return code;
}

int component_set(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	char secret[PASSWORD_SIZE] = "";
	struct bus_client *client = NULL;
	int code = component_store_check_name(argv[0]);

	(void)argc;
	if (code == COMMAND_OK && !component_options_given(v) && !v->secret_file &&
	    !v->ask_secret && !v->new_secret)
		code = command_fail("xmpp", COMMAND_USAGE,
				    "nothing to set; see 'xmpp component set --help'");
	if (code == COMMAND_OK)
		code = served_administrator(v->common.dir);
	if (code == COMMAND_OK)
		code = component_options_secret(v, false, secret);
	if (code == COMMAND_OK)
		code = remote_open(v, &client);
	if (code == COMMAND_OK)
		code = change(v, client, argv[0], secret);
	if (code == COMMAND_OK)
		code = show_result(v, client, argv[0], v->new_secret);
	xwipe(secret, sizeof(secret));
	bus_client_close(&client);
	return code;
}

int component_del(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct bus_client *client = NULL;
	int code = component_store_check_name(argv[0]);

	(void)argc;
	if (code == COMMAND_OK)
		code = served_administrator(v->common.dir);
	if (code == COMMAND_OK)
		code = remote_open(v, &client);
	if (code == COMMAND_OK)
		code = component_store_del(client, argv[0]);
	if (code == COMMAND_OK && v->common.json)
		printf("{\"done\":\"removed\",\"component\":\"%s\"}\n", argv[0]);
	else if (code == COMMAND_OK)
		printf("SUCCESS: %s removed\n", argv[0]);
	bus_client_close(&client);
	return code;
}

/* ---- list, show ---- */

static void add_row(struct table *t, const struct msg_db_component *c, const struct connected *n)
{
	char text[NUMBER_SIZE], when[REMOTE_TIME_SIZE];

	table_add(t, c->name);
	table_add(t, c->jid);
	table_add(t, slice_str(mode_of(c)));
	table_add(t, slice_str(c->hidden ? "hidden" : "visible"));
	table_add(t, connections(text, c));
	table_addf(t, n->count > 1 ? "%s (%u)" : "%s", state_of(n), n->count);
	table_add(t, slice_str(n->count ? remote_time(when, n->since) : "-"));
	table_add(t, n->count ? str_slice(&n->addr) : slice_str("-"));
}

static void print_list(const struct xmpp_values *v, const struct component_list *all,
		       struct slice sessions)
{
	static const char *const heads[] = {"NAME", "JID",	 "MODE",  "DISCO",
					    "MAX",  "CONNECTED", "SINCE", "ADDRESS"};
	const size_t columns = sizeof(heads) / sizeof(heads[0]);
	struct str out = STR_INIT;
	struct connected n;
	struct table t;

	table_init(&t, columns);
	for (size_t i = 0; i < columns; i++)
		table_add(&t, slice_str(heads[i]));
	for (size_t i = 0; i < all->count; i++) {
		find_connected(&n, sessions, all->items[i].jid, NULL);
		add_row(&t, &all->items[i], &n);
		if (v->common.json) {
			put_json(&out, &all->items[i]);
			put_connected_json(&out, &n);
		}
		str_clear(&n.addr);
	}
	if (!v->common.json && all->count)
		table_write(&t, &out);
	else if (!v->common.json)
		str_adds(&out, "no components; 'xmpp component add NAME' adds one\n");
	secret_print(&out);
	table_clear(&t);
}

int component_list(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct bus_client_answer sessions = BUS_CLIENT_ANSWER_INIT;
	struct component_list all = COMPONENT_LIST_INIT;
	struct bus_client *client = NULL;
	int code = served_administrator(v->common.dir);

	(void)argc, (void)argv;
	if (code == COMMAND_OK)
		code = remote_open(v, &client);
	if (code == COMMAND_OK)
		code = component_store_list(client, DB_SECRETS_NONE, &all);
	if (code == COMMAND_OK)
		code = remote_admin(client, "components", SLICE_NONE, ERR_OK, &sessions);
	if (code == COMMAND_OK)
		print_list(v, &all, str_slice(&sessions.body));
	bus_client_answer_clear(&sessions);
	component_store_clear(&all);
	bus_client_close(&client);
	return code;
}

static void print_one(const struct xmpp_values *v, const struct msg_db_component *c,
		      struct slice sessions)
{
	struct str out = STR_INIT, own = STR_INIT;
	struct connected n;

	find_connected(&n, sessions, c->jid, &own);
	if (v->common.json) {
		put_json(&out, c);
		put_connected_json(&out, &n);
	} else {
		put_labels(&out, c);
		table_label(&out, "Connected", slice_str(state_of(&n)));
		if (own.len) {
			str_addc(&out, '\n');
			report_rows(str_slice(&own), &out);
		}
	}
	secret_print(&out);
	str_clear(&n.addr);
	str_clear(&own);
}

int component_show(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct bus_client_answer sessions = BUS_CLIENT_ANSWER_INIT;
	struct component_list all = COMPONENT_LIST_INIT;
	const struct msg_db_component *own = NULL;
	struct bus_client *client = NULL;
	int code = component_store_check_name(argv[0]);

	(void)argc;
	if (code == COMMAND_OK)
		code = served_administrator(v->common.dir);
	if (code == COMMAND_OK)
		code = remote_open(v, &client);
	if (code == COMMAND_OK)
		code = component_store_list(
			client, v->with_secret ? DB_SECRETS_SHOWN : DB_SECRETS_NONE, &all);
	if (code == COMMAND_OK && !(own = component_store_find(&all, argv[0])))
		code = component_store_unknown(argv[0]);
	if (code == COMMAND_OK)
		code = remote_admin(client, "components", own->jid, ERR_OK, &sessions);
	if (code == COMMAND_OK)
		print_one(v, own, str_slice(&sessions.body));
	bus_client_answer_clear(&sessions);
	component_store_clear(&all);
	bus_client_close(&client);
	return code;
}
