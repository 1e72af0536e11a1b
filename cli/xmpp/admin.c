#include "cli/xmpp/admin.h"

#include <stdio.h>

#include "cli/xmpp/remote.h"
#include "cli/xmpp/report.h"

/* Asks, and leaves the lines in a. */
static int ask(const struct xmpp_values *v, const char *command, struct slice args, enum err quiet,
	       struct bus_client_answer *a)
{
	struct bus_client *c;
	int code = remote_open(v, &c);

	if (code == COMMAND_OK) {
		code = remote_admin(c, command, args, quiet, a);
		bus_client_close(&c);
	}
	return code;
}

static void print_text(struct str *text)
{
	fwrite(text->data, 1, text->len, stdout);
	str_clear(text);
}

int admin_sessions(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct jid jid = JID_NONE;
	struct str text = STR_INIT;
	int code = argc ? remote_jid(&jid, argv[0], false) : COMMAND_OK;

	if (code == COMMAND_OK)
		code = ask(v, "sessions", argc ? jid_bare(&jid) : SLICE_NONE, ERR_OK, &a);
	if (code == COMMAND_OK && v->common.json) {
		fwrite(a.body.data, 1, a.body.len, stdout);
	} else if (code == COMMAND_OK) {
		if (!report_rows(str_slice(&a.body), &text) && !text.len)
			str_adds(&text, "no sessions\n");
		print_text(&text);
	}
	bus_client_answer_clear(&a);
	jid_clear(&jid);
	return code;
}

int admin_kick(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct jid jid = JID_NONE;
	int code = remote_jid(&jid, argv[0], true);
	long long kicked;

	(void)argc;
	if (code != COMMAND_OK)
		return code;
	code = ask(v, "kick", jid_full(&jid), ERR_NOTFOUND, &a);
	kicked = report_sum(str_slice(&a.body), "kicked");
	if (a.status == ERR_NOTFOUND || (code == COMMAND_OK && kicked == 0))
		code = command_fail("xmpp", COMMAND_REFUSED,
				    "nobody is online as %s; 'xmpp sessions' lists who is",
				    jid.text);
	else if (code == COMMAND_OK && v->common.json)
		printf("{\"kicked\":%lld}\n", kicked);
	else if (code == COMMAND_OK)
		printf("%lld session%s of %s ended\n", kicked, kicked == 1 ? "" : "s", jid.text);
	bus_client_answer_clear(&a);
	jid_clear(&jid);
	return code;
}

int admin_stats(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct report_books books;
	struct str text = STR_INIT;
	int code = ask(v, "stats", SLICE_NONE, ERR_OK, &a);

	(void)argc, (void)argv;
	if (code == COMMAND_OK) {
		if (!v->common.json) {
			report_stats(str_slice(&a.body), &text);
		} else {
			str_add_slice(&text, str_slice(&a.body));
			if (report_books(str_slice(&a.body), &books))
				report_books_json(&books, &text);
		}
		print_text(&text);
	}
	bus_client_answer_clear(&a);
	return code;
}
