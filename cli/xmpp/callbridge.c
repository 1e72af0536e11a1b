#include "cli/xmpp/callbridge.h"

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/xmpp/component_store.h"
#include "cli/xmpp/secret.h"
#include "cli/xmpp/served.h"

#define PROMPT "Enter callbridge secret"

static void add_json(struct str *out, const char *key, struct slice value)
{
	str_addf(out, "%s\"%s\":", out->len && out->data[out->len - 1] != '\n' ? "," : "{", key);
	json_line_put_text(out, value);
}

/* secret_label: "Secret", "Fingerprint"; NULL: none is shown. */
static void put_bridge(struct str *out, bool json, struct slice name, struct slice domain,
		       const char *secret_label, struct slice secret)
{
	bool is_secret = secret_label && *secret_label == 'S';

	if (json) {
		add_json(out, "callbridge", name);
		add_json(out, "domain", domain);
		if (secret_label)
			add_json(out, is_secret ? "secret" : "fingerprint", secret);
		str_adds(out, "}\n");
		return;
	}
	table_label(out, "Callbridge", name);
	table_label(out, "Domain", domain);
	if (secret_label)
		table_label(out, secret_label, secret);
}

static void print_success(const struct xmpp_values *v, const struct msg_db_component *c,
			  const char *secret_label)
{
	struct str out = STR_INIT;

	if (!v->common.json)
		table_label(&out, "Success", slice_str("true"));
	put_bridge(&out, v->common.json, c->name, c->domain, secret_label, c->secret);
	secret_print(&out);
}

/* The account that a call bridge has: NAME.DOMAIN, one connection (FEATURES A33). Behind
 * remote_open(), which has gone to the instance's directory. */
static int add_account(struct bus_client *c, const char *name, const char *domain,
		       const char *secret)
{
	struct str host = STR_INIT;
	char jid[JID_PART_MAX + 1];
	int code = COMMAND_OK;

	str_addf(&host, "%s.%s", name, domain);
	if (jid_prepare_domain(jid, str_slice(&host)) != ERR_OK)
		code = command_fail("xmpp", COMMAND_USAGE,
				    "%s is not a domain name; choose a "
				    "shorter or simpler name",
				    host.data);
	if (code == COMMAND_OK)
		code = served_check_other(".", slice_str(jid));
	if (code == COMMAND_OK)
		code = component_store_add(
			c, &(struct msg_db_component_add){.name = slice_str(name),
							  .domain = slice_str(domain),
							  .jid = slice_str(jid),
							  .secret = slice_str(secret)});
	str_clear(&host);
	return code;
}

/* What every command here begins with; name may be NULL. */
static int may(const struct xmpp_values *v, const char *name)
{
	int code = name ? component_store_check_name(name) : COMMAND_OK;

	return code == COMMAND_OK ? served_administrator(v->common.dir) : code;
}

/* Shows what the datastore has, so that this and `list` cannot differ, and it stands in its log. */
static int show_added(const struct xmpp_values *v, struct bus_client *c, const char *name)
{
	struct component_list all = COMPONENT_LIST_INIT;
	const struct msg_db_component *own;
	int code = component_store_list(c, DB_SECRETS_SHOWN, &all);

	own = component_store_find(&all, name);
	if (code == COMMAND_OK && own)
		print_success(v, own, "Secret");
	else
		code = command_fail("xmpp", COMMAND_REFUSED,
				    "%s was added, but cannot be read back; 'xmpp callbridge list' "
				    "shows its secret",
				    name);
	component_store_clear(&all);
	return code;
}

int callbridge_add(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	char domain[JID_PART_MAX + 1], secret[PASSWORD_SIZE] = "";
	struct bus_client *c = NULL;
	int code = may(v, argv[0]);

	(void)argc;
	if (code == COMMAND_OK)
		code = served_choose(v->common.dir, v->domain, domain);
	if (code == COMMAND_OK)
		code = remote_open(v, &c);
	if (code == COMMAND_OK) {
		secret_generate(secret);
		code = add_account(c, argv[0], domain, secret);
	}
	if (code == COMMAND_OK)
		code = show_added(v, c, argv[0]);
	xwipe(secret, sizeof(secret));
	bus_client_close(&c);
	return code;
}

static int set_secret(struct bus_client *c, const struct msg_db_component *old, const char *secret)
{
	return component_store_set(
		c, &(struct msg_db_component_set){.name = old->name,
						  .secret = slice_str(secret),
						  .mode = old->mode,
						  .hidden = old->hidden,
						  .max = old->max,
						  .bytes_per_second = old->bytes_per_second});
}

/* The account with that secret, whether it was there or not. */
static int put_secret(const struct xmpp_values *v, struct bus_client *c,
		      const struct component_list *all, const char *name, const char *domain,
		      const char *secret)
{
	const struct msg_db_component *old = component_store_find(all, name);

	if (old && !slice_is(old->domain, domain) && v->domain)
		return command_fail(
			"xmpp", COMMAND_REFUSED,
			"%s is there already, with the domain %.*s; nothing was changed", name,
			SLICE_ARG(old->domain));
	return old ? set_secret(c, old, secret) : add_account(c, name, domain, secret);
}

/* What is there now; and who shares its secret. */
static int show_changed(const struct xmpp_values *v, struct bus_client *c, const char *name)
{
	struct component_list all = COMPONENT_LIST_INIT;
	const struct msg_db_component *own;
	int code = component_store_list(c, DB_SECRETS_FINGERPRINTS, &all);

	own = component_store_find(&all, name);
	if (own) {
		print_success(v, own, NULL);
		component_store_warn(&all, name);
	}
	component_store_clear(&all);
	return code;
}

int callbridge_add_secret(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	char domain[JID_PART_MAX + 1], secret[PASSWORD_SIZE] = "";
	struct component_list all = COMPONENT_LIST_INIT;
	struct bus_client *c = NULL;
	int code = may(v, argv[0]);

	(void)argc;
	if (code == COMMAND_OK)
		code = served_choose(v->common.dir, v->domain, domain);
	if (code == COMMAND_OK) /* before the question: nobody types a secret for nothing */
		code = remote_open(v, &c);
	if (code == COMMAND_OK)
		code = component_store_list(c, DB_SECRETS_NONE, &all);
	if (code == COMMAND_OK)
		code = secret_ask(secret, PROMPT);
	if (code == COMMAND_OK)
		code = put_secret(v, c, &all, argv[0], domain, secret);
	if (code == COMMAND_OK)
		code = show_changed(v, c, argv[0]);
	xwipe(secret, sizeof(secret));
	component_store_clear(&all);
	bus_client_close(&c);
	return code;
}

int callbridge_list(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct component_list all = COMPONENT_LIST_INIT;
	struct bus_client *c = NULL;
	struct str out = STR_INIT;
	int code = may(v, NULL);

	(void)argc, (void)argv;
	if (code == COMMAND_OK)
		code = remote_open(v, &c);
	if (code == COMMAND_OK)
		code = component_store_list(
			c, v->fingerprints ? DB_SECRETS_FINGERPRINTS : DB_SECRETS_SHOWN, &all);
	for (size_t i = 0; code == COMMAND_OK && i < all.count; i++) {
		if (!v->common.json)
			str_adds(&out, "***\n");
		put_bridge(&out, v->common.json, all.items[i].name, all.items[i].domain,
			   v->fingerprints ? "Fingerprint" : "Secret", all.items[i].secret);
	}
	if (code == COMMAND_OK && !all.count && !v->common.json)
		str_adds(&out, CALLBRIDGE_NONE "\n");
	secret_print(&out);
	component_store_clear(&all);
	bus_client_close(&c);
	return code;
}

int callbridge_del(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct bus_client *c = NULL;
	struct str out = STR_INIT;
	int code = may(v, argv[0]);

	(void)argc;
	if (code == COMMAND_OK)
		code = remote_open(v, &c);
	if (code == COMMAND_OK)
		code = component_store_del(c, argv[0]);
	if (code == COMMAND_OK && v->common.json) {
		add_json(&out, "done", slice_str("removed"));
		add_json(&out, "callbridge", slice_str(argv[0]));
		str_adds(&out, "}\n");
	} else if (code == COMMAND_OK) {
		str_addf(&out, "SUCCESS: %s removed\n", argv[0]);
	}
	secret_print(&out);
	bus_client_close(&c);
	return code;
}
