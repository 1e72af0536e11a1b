#include "cli/xmpp/user.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/common/password.h"
#include "cli/xmpp/remote.h"
#include "cli/xmpp/report.h"
#include "cli/xmpp/served.h"
#include "scram/scram_keys.h"

#define LIST_PAGE 500

/* ---- add and passwd: what both need ---- */

static int get_keys(const struct xmpp_values *v, const struct jid *jid, struct str *keys)
{
	uint32_t iterations = v->iterations ? (uint32_t)v->iterations : SCRAM_KEYS_ITERATIONS;
	char password[PASSWORD_SIZE] = "";
	struct str why = STR_INIT;
	int code = COMMAND_OK;
	enum err e = v->password_stdin ? password_read(password, STDIN_FILENO, &why)
				       : password_ask(password, jid->text, &why);

	if (e == ERR_OK)
		e = scram_keys_pack(keys, password, iterations, &why);
	if (e != ERR_OK)
		code = command_fail("xmpp", e == ERR_UNSUPPORTED ? COMMAND_USAGE : COMMAND_REFUSED,
				    "%s", why.data);
	xwipe(password, sizeof(password));
	str_clear(&why);
	return code;
}

static int check_iterations(const struct xmpp_values *v)
{
	if (v->iterations &&
	    (v->iterations < SCRAM_KEYS_ITERATIONS || v->iterations > SCRAM_KEYS_ITERATIONS_MAX))
		return command_fail("xmpp", COMMAND_USAGE, "--iterations takes %d to %d, not %ld",
				    SCRAM_KEYS_ITERATIONS, SCRAM_KEYS_ITERATIONS_MAX,
				    v->iterations);
	return COMMAND_OK;
}

static void clear_secret(struct str *s)
{
	xwipe(s->data, s->len);
	str_clear(s);
}

/* Both records have the same fields; which one is the only difference. */
static int store_keys(const struct xmpp_values *v, const struct jid *jid, bool fresh,
		      enum err quiet, enum err *status)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct str keys = STR_INIT, record = STR_INIT;
	struct bus_client *c = NULL;
	int code = check_iterations(v);

	if (code == COMMAND_OK) /* before the question: nobody types a password for nothing */
		code = remote_open(v, &c);
	if (code == COMMAND_OK)
		code = get_keys(v, jid, &keys);
	if (code == COMMAND_OK) {
		if (fresh)
			msg_db_account_add_put(&record,
					       &(struct msg_db_account_add){jid->local, jid->domain,
									    str_slice(&keys)});
		else
			msg_db_account_set_put(&record,
					       &(struct msg_db_account_set){jid->local, jid->domain,
									    str_slice(&keys)});
		code = remote_store(c, str_slice(&record), quiet, &a);
	}
	*status = a.status;
	clear_secret(&keys);
	clear_secret(&record);
	bus_client_answer_clear(&a);
	bus_client_close(&c);
	return code;
}

static void print_done(const struct xmpp_values *v, const char *what, const char *jid)
{
	struct str out = STR_INIT;

	if (v->common.json) {
		str_addf(&out, "{\"done\":\"%s\",\"jid\":", what);
		json_line_put_text(&out, slice_str(jid));
		str_adds(&out, "}");
	} else {
		str_addf(&out, "%s: %s", what, jid);
	}
	puts(out.data);
	str_clear(&out);
}

int user_add(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct jid jid = JID_NONE;
	enum err status = ERR_OK;
	int code = remote_jid(&jid, argv[0], false);

	(void)argc;
	if (code == COMMAND_OK)
		code = served_check(v->common.dir, jid.domain);
	if (code == COMMAND_OK)
		code = store_keys(v, &jid, true, ERR_CONFLICT, &status);
	if (status == ERR_CONFLICT)
		command_fail("xmpp", code,
			     "%s exists already; 'xmpp user passwd %s' gives it a new password",
			     jid.text, jid.text);
	if (code == COMMAND_OK)
		print_done(v, "added", jid.text);
	jid_clear(&jid);
	return code;
}

static int say_unknown(const struct jid *jid)
{
	return command_fail("xmpp", COMMAND_REFUSED,
			    "%s does not exist; 'xmpp user list %.*s' shows who does", jid->text,
			    SLICE_ARG(jid->domain));
}

int user_passwd(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct jid jid = JID_NONE;
	enum err status = ERR_OK;
	int code = remote_jid(&jid, argv[0], false);

	(void)argc;
	if (code == COMMAND_OK)
		code = store_keys(v, &jid, false, ERR_NOTFOUND, &status);
	if (status == ERR_NOTFOUND)
		say_unknown(&jid);
	if (code == COMMAND_OK)
		print_done(v, "password changed", jid.text);
	jid_clear(&jid);
	return code;
}

/* ---- del ---- */

int user_del(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct bus_client *c = NULL;
	struct jid jid = JID_NONE;
	int code = remote_jid(&jid, argv[0], false);

	(void)argc;
	if (code == COMMAND_OK)
		code = remote_open(v, &c);
	/* The router's work: sessions end and contacts are told before the account goes. */
	if (code == COMMAND_OK)
		code = remote_admin(c, "remove", jid_bare(&jid), ERR_NOTFOUND, &a);
	if (a.status == ERR_NOTFOUND)
		say_unknown(&jid);
	if (code == COMMAND_OK)
		print_done(v, "removed", jid.text);
	bus_client_close(&c);
	bus_client_answer_clear(&a);
	jid_clear(&jid);
	return code;
}

/* ---- list and show ---- */

/* Adds one page; *after becomes its last JID. */
static bool add_page(const struct msg_db_accounts *page, struct table *t, struct str *json,
		     struct str *after)
{
	struct slice in = page->list, jid;
	char text[REMOTE_TIME_SIZE];
	uint64_t created;

	for (uint32_t i = 0; i < page->count; i++) {
		if (!codec_get_str(&in, &jid) || !codec_get_u64(&in, &created))
			return false;
		table_add(t, jid);
		table_add(t, slice_str(remote_time(text, created)));
		str_adds(json, "{\"jid\":");
		json_line_put_text(json, jid);
		str_addf(json, ",\"created\":\"%s\"}\n", text);
		str_reset(after);
		str_add_slice(after, jid);
	}
	return page->count > 0 || !page->more;
}

static int get_page(struct bus_client *c, struct slice domain, struct table *t, struct str *json,
		    struct str *after, bool *more)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct str record = STR_INIT;
	struct msg_db_accounts page;
	struct slice body;
	int code;

	msg_db_account_list_put(&record,
				&(struct msg_db_account_list){domain, str_slice(after), LIST_PAGE});
	code = remote_store(c, str_slice(&record), ERR_OK, &a);
	if (code == COMMAND_OK && !remote_record(&a, MSG_DB_ACCOUNTS, &body))
		code = COMMAND_REFUSED;
	if (code == COMMAND_OK &&
	    (msg_db_accounts_get(body, &page) != ERR_OK || !add_page(&page, t, json, after)))
		code = remote_misunderstood();
	*more = code == COMMAND_OK && page.more;
	str_clear(&record);
	bus_client_answer_clear(&a);
	return code;
}

static int get_domain(char out[JID_PART_MAX + 1], const char *text)
{
	out[0] = '\0';
	if (!text || jid_prepare_domain(out, slice_str(text)) == ERR_OK)
		return COMMAND_OK;
	return command_fail("xmpp", COMMAND_USAGE, "'%s' is not a domain; try 'xmpp user list'",
			    text);
}

int user_list(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct str after = STR_INIT, json = STR_INIT, text = STR_INIT;
	char domain[JID_PART_MAX + 1];
	struct bus_client *c = NULL;
	bool more = true;
	struct table t;
	int code = get_domain(domain, argc ? argv[0] : NULL);

	table_init(&t, 2);
	table_add(&t, slice_str("JID"));
	table_add(&t, slice_str("CREATED"));
	if (code == COMMAND_OK)
		code = remote_open(v, &c);
	while (code == COMMAND_OK && more)
		code = get_page(c, slice_str(domain), &t, &json, &after, &more);
	if (code == COMMAND_OK && v->common.json) {
		fputs(json.data, stdout);
	} else if (code == COMMAND_OK && t.cells == 2) {
		puts("no accounts");
	} else if (code == COMMAND_OK) {
		table_write(&t, &text);
		fputs(text.data, stdout);
	}
	bus_client_close(&c);
	table_clear(&t);
	str_clear(&after);
	str_clear(&json);
	str_clear(&text);
	return code;
}

static void print_account(const struct xmpp_values *v, const struct jid *jid, uint64_t created,
			  struct slice sessions)
{
	struct str out = STR_INIT;
	char when[REMOTE_TIME_SIZE], count[24];

	remote_time(when, created);
	snprintf(count, sizeof(count), "%zu", report_count(sessions));
	if (v->common.json) {
		str_adds(&out, "{\"jid\":");
		json_line_put_text(&out, jid_full(jid));
		str_addf(&out, ",\"created\":\"%s\",\"sessions\":%s}\n", when, count);
	} else {
		table_label(&out, "JID", jid_full(jid));
		table_label(&out, "Created", slice_str(when));
		table_label(&out, "Sessions", slice_str(count));
		if (sessions.len) {
			str_addc(&out, '\n');
			report_rows(sessions, &out);
		}
	}
	fputs(out.data, stdout);
	str_clear(&out);
}

static int get_created(struct bus_client *c, const struct jid *jid, uint64_t *created)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct str record = STR_INIT;
	struct msg_db_account account;
	struct slice body;
	int code;

	/* No mechanism: the keys stay where they are. */
	msg_db_account_get_put(&record,
			       &(struct msg_db_account_get){jid->local, jid->domain, SLICE_NONE});
	code = remote_store(c, str_slice(&record), ERR_NOTFOUND, &a);
	if (a.status == ERR_NOTFOUND)
		say_unknown(jid);
	if (code == COMMAND_OK && !remote_record(&a, MSG_DB_ACCOUNT, &body))
		code = COMMAND_REFUSED;
	if (code == COMMAND_OK && msg_db_account_get(body, &account) != ERR_OK)
		code = remote_misunderstood();
	if (code == COMMAND_OK)
		*created = account.created;
	str_clear(&record);
	bus_client_answer_clear(&a);
	return code;
}

int user_show(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct bus_client *c = NULL;
	struct jid jid = JID_NONE;
	uint64_t created = 0;
	int code = remote_jid(&jid, argv[0], false);

	(void)argc;
	if (code == COMMAND_OK)
		code = remote_open(v, &c);
	if (code == COMMAND_OK)
		code = get_created(c, &jid, &created);
	if (code == COMMAND_OK)
		code = remote_admin(c, "sessions", jid_bare(&jid), ERR_OK, &a);
	if (code == COMMAND_OK)
		print_account(v, &jid, created, str_slice(&a.body));
	bus_client_answer_clear(&a);
	bus_client_close(&c);
	jid_clear(&jid);
	return code;
}
