/* What is kept for a user who is not there: XEP-0160 section 3, XEP-0334. */
#include "tests/unit/session/stanza_text.h"

#define JULIET	    "juliet@example.com"
#define ROMEO	    "romeo@example.org"
#define BODY	    "<body>hi</body>"
#define HINT(name)  "<" name " xmlns='urn:xmpp:hints'/>"
#define STATE(name) "<" name " xmlns='http://jabber.org/protocol/chatstates'/>"

static void origin(void *ctx, const struct custody_entry *e, uint64_t *sid, uint64_t *n)
{
	(void)ctx;
	(void)e;
	*sid = 1;
	*n = 1;
}

static uint64_t originate(void *ctx, uint64_t sid, uint64_t origin_sid, uint64_t origin_n,
			  const struct session_stanza *s, void (*settled)(void *arg, uint8_t how),
			  void *arg)
{
	(void)ctx;
	(void)sid;
	(void)origin_sid;
	(void)origin_n;
	(void)s;
	(void)settled;
	(void)arg;
	return 0;
}

static enum err store(struct fake *f, uint16_t type, struct slice body, struct str *out)
{
	(void)body;
	if (type == MSG_DB_OFFLINE_ADD)
		str_adds(&f->trace, "kept\n");
	msg_db_done_put(out, &(struct msg_db_done){0});
	return ERR_OK;
}

enum fate { KEPT, BOUNCED, IGNORED };

static const struct {
	const char *start, *children;
	enum fate fate;
} rows[] = {
	/* XEP-0160 section 3 */
	{"", BODY, KEPT},
	{"type='normal'", BODY, KEPT},
	{"type='normal'", "<subject>s</subject>", KEPT},
	{"type='party'", BODY, KEPT},
	{"type='chat'", BODY, KEPT},
	{"type='chat'", BODY STATE("active"), KEPT},
	{"type='chat'", "<received xmlns='urn:xmpp:receipts' id='1'/>", KEPT},
	{"type='chat'", "<encrypted xmlns='eu.siacs.conversations.axolotl'/>", KEPT},
	{"type='chat'", STATE("composing"), BOUNCED},
	{"type='chat'", STATE("composing") "<thread>t</thread>", BOUNCED},
	{"type='chat'", STATE("gone") HINT("no-copy"), BOUNCED},
	{"type='chat'", "", BOUNCED},
	{"type='groupchat'", BODY, BOUNCED},
	{"type='groupchat'", BODY HINT("store"), BOUNCED},
	{"type='headline'", BODY, IGNORED},
	{"type='error'", BODY, IGNORED},
	/* XEP-0334 section 4 */
	{"type='chat'", STATE("composing") HINT("store"), KEPT},
	{"type='chat'", HINT("store"), KEPT},
	{"type='headline'", BODY HINT("store"), KEPT},
	{"type='error'", BODY HINT("store"), IGNORED},
	{"type='chat'", BODY HINT("no-permanent-store"), KEPT},
	{"type='chat'", BODY HINT("no-store"), BOUNCED},
	{"", BODY HINT("no-store"), BOUNCED},
	{"type='chat'", BODY HINT("no-store") HINT("store"), BOUNCED},
	{"type='headline'", BODY HINT("no-store") HINT("store"), IGNORED},
};

static void each_type_and_hint_is_kept_or_not_as_it_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct session_host host = fake_host;
		struct str text = STR_INIT;
		struct fake *f;
		enum fate fate;
		void *own;

		fake_setup(&own);
		f = own;
		session_free(&f->m);
		host.origin = origin;
		host.originate = originate;
		f->m = session_new(&host, f);
		fake_configure(f, "replace", 4);
		f->execute = store;
		online(f, 1, JULIET, "balcony", "0");
		str_addf(&text, "<message to='" ROMEO "' %s>%s</message>", rows[i].start,
			 rows[i].children);
		say(f, 1, text.data);
		store_run(f);
		fate = strstr(f->trace.data, "kept")	 ? KEPT
		       : strstr(f->trace.data, "answer") ? BOUNCED
							 : IGNORED;
		if (fate != rows[i].fate)
			fail_msg("%s: %s", text.data, f->trace.data);
		str_clear(&text);
		fake_teardown(&own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_and_hint_is_kept_or_not_as_it_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
