/* cli/xmpp/pie_import.c and pie_user.c: what is read, what is refused and how that is said. The
 * datastore is a script that writes down what it is asked to store. */
#include "../run_command.h"

#include "cli/xmpp/account_data.h"
#include "cli/xmpp/xmpp_program.h"
#include "ipc/codec.h"

static pid_t router;

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* In the router's process; read by the test when the command is done. */
static void note(const char *fmt, ...)
{
	char *path = xasprintf("%s/stored", fake_dir);
	FILE *f = fopen(path, "a");
	va_list ap;

	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
	free(path);
}

static void note_keys(struct slice scram)
{
	struct db_scram k;

	while (db_scram_get(&scram, &k))
		note(" %.*s/%u%s", SLICE_ARG(k.hash), k.iterations,
		     slice_is(k.salt, ACCOUNT_DATA_LOCK) ? "/locked" : "");
	note("\n");
}

static void note_item(struct slice packed)
{
	struct db_roster_item i = {0};

	check(db_roster_item_get(&packed, &i));
	note("item %.*s sub=%u ask=%u in=%u approved=%u groups=%u\n", SLICE_ARG(i.jid),
	     i.subscription, i.ask, i.pending_in, i.approved, i.ngroups);
}

static void note_offline(struct slice packed)
{
	struct db_offline o = {0};

	check(db_offline_get(&packed, &o));
	note("message %.*s>%.*s at %llu: %.*s\n", SLICE_ARG(o.from), SLICE_ARG(o.to),
	     (unsigned long long)o.stamp_ms, SLICE_ARG(o.inner));
}

static void note_archive(struct slice list)
{
	struct db_archive_addition a;
	struct db_archive_entry e;

	while (db_archive_addition_get(&list, &a) && db_archive_entry_get(&a.entry, &e))
		note("archived %016llx%08x %s at %llu: %.*s\n", (unsigned long long)e.id.group,
		     e.id.number, a.sender == 0 ? "sent" : "got", (unsigned long long)e.stamp_ms,
		     SLICE_ARG(e.inner));
}

static void note_prefs(struct slice value)
{
	struct db_archive_prefs p;
	struct slice jid;

	if (!db_archive_prefs_get(&value, &p)) {
		note("value 4 '': -\n");
		return;
	}
	note("value 4 '': %s", db_archive_policy_name(p.policy));
	while (codec_get_str(&p.always, &jid))
		note(" %.*s", SLICE_ARG(jid));
	note("\n");
}

static enum err account(struct slice body, struct str *out)
{
	struct msg_db_account_get m;
	struct str keys = STR_INIT;

	check(msg_db_account_get_get(body, &m) == ERR_OK);
	if (!slice_is(m.user, "there") && !slice_is(m.user, "begun"))
		return ERR_NOTFOUND;
	db_scram_put(&keys, &(struct db_scram){.hash = slice_str("SHA-256"),
					       .iterations = 4096,
					       .salt = slice_str(slice_is(m.user, "begun")
									 ? ACCOUNT_DATA_LOCK
									 : "salt"),
					       .stored_key = slice_str("x"),
					       .server_key = slice_str("y")});
	msg_db_account_put(out, &(struct msg_db_account){.scram = str_slice(&keys)});
	str_clear(&keys);
	return ERR_OK;
}

union record {
	struct msg_db_account_add add;
	struct msg_db_account_set set;
	struct msg_db_account_del del;
	struct msg_db_roster_set roster;
	struct msg_db_offline_add offline;
	struct msg_db_data_set data;
	struct msg_db_block block;
	struct msg_db_archive_add archive;
};

static enum err store(uint16_t type, struct slice body, struct str *out)
{
	union record m;
	struct slice jid;

	if (type == MSG_DB_ACCOUNT_GET)
		return account(body, out);
	if (type == MSG_DB_ACCOUNT_ADD && !msg_db_account_add_get(body, &m.add)) {
		note("add %.*s@%.*s", SLICE_ARG(m.add.user), SLICE_ARG(m.add.domain));
		note_keys(m.add.scram);
	} else if (type == MSG_DB_ACCOUNT_SET && !msg_db_account_set_get(body, &m.set)) {
		note("keys %.*s", SLICE_ARG(m.set.user));
		note_keys(m.set.scram);
	} else if (type == MSG_DB_ACCOUNT_DEL && !msg_db_account_del_get(body, &m.del)) {
		note("del %.*s\n", SLICE_ARG(m.del.user));
	} else if (type == MSG_DB_ROSTER_SET && !msg_db_roster_set_get(body, &m.roster)) {
		if (memmem(m.roster.item.data, m.roster.item.len, "full@", 5))
			return ERR_FULL;
		note_item(m.roster.item);
	} else if (type == MSG_DB_OFFLINE_ADD && !msg_db_offline_add_get(body, &m.offline)) {
		note_offline(m.offline.message);
	} else if (type == MSG_DB_DATA_SET && !msg_db_data_set_get(body, &m.data)) {
		if (m.data.kind == DB_DATA_ARCHIVE_PREFS)
			note_prefs(m.data.value);
		else
			note("value %u '%.*s': %.*s\n", m.data.kind, SLICE_ARG(m.data.key),
			     SLICE_ARG(m.data.value));
	} else if (type == MSG_DB_BLOCK && !msg_db_block_get(body, &m.block)) {
		while (codec_get_str(&m.block.jids, &jid))
			note("block %.*s\n", SLICE_ARG(jid));
	} else if (type == MSG_DB_ARCHIVE_ADD && !msg_db_archive_add_get(body, &m.archive)) {
		note_archive(m.archive.list);
	} else {
		return ERR_UNSUPPORTED;
	}
	return ERR_OK;
}

static void answer(struct link *l, uint16_t type, struct slice body)
{
	struct msg_stored r = {0};
	struct str out = STR_INIT;
	struct slice in, inner;
	struct msg_admin admin;
	struct msg_store m;
	uint16_t asked;

	if (type == MSG_ADMIN && msg_admin_get(body, &admin) == ERR_OK) {
		note("%.*s %.*s\n", SLICE_ARG(admin.command), SLICE_ARG(admin.args));
		link_put_admin_reply(l, &(struct msg_admin_reply){.req = admin.req});
		return;
	}
	if (type != MSG_STORE || msg_store_get(body, &m) != ERR_OK)
		return;
	in = m.body;
	check(codec_next(&in, &asked, &inner) == ERR_OK);
	r.op_boot = m.op_boot;
	r.op_n = m.op_n;
	r.status = (uint8_t)store(asked, inner, &out);
	r.body = str_slice(&out);
	link_put_stored(l, &r);
	str_clear(&out);
}

static void write_file(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", fake_dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

static int setup(void **state)
{
	fake_setup(state);
	write_file("conf/roundhouse.conf", "domains = [\"a.b\"];\n");
	router = fake_router_start(answer);
	return 0;
}

static int teardown(void **state)
{
	fake_router_stop(&router);
	return fake_teardown(state);
}

/* xmpp import of that text; stored gets what was written down. */
static struct fake_run import(const char *text, const char *option, char stored[4096])
{
	char *path = xasprintf("%s/f.xml", fake_dir);
	const char *args[] = {"import", path, option, NULL};
	struct fake_run r;

	write_file("f.xml", text);
	write_file("stored", "");
	r = fake_run(&xmpp_program, sizeof(struct xmpp_values), args, "");
	fake_slurp(stored, 4096, "stored");
	free(path);
	return r;
}

#define USER(name, inside)                                                                  \
	"<server-data xmlns='urn:xmpp:pie:0'><host jid='A.B'><user name='" name "'>" inside \
	"</user></host></server-data>"
#define KEYS                                                                                   \
	"<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'><iter-count>" \
	"5000</iter-count><salt>c2FsdA==</salt><server-key>YWJjZGVmZ2hpamFiY2RlZmdoaWo=</"     \
	"server-key>"                                                                          \
	"<stored-key>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</stored-key></scram-credentials>"
#define ADDED "add juliet@a.b SHA-1/4096/locked SHA-256/4096/locked\n"
#define KEYED "keys juliet SHA-1/5000\n"
#define MESSAGE(from, inside) \
	"<message xmlns='jabber:client' from='" from "' to='juliet@a.b'>" inside "</message>"

/* What becomes of each element of XEP-0227. */
static void each_element_becomes_what_the_server_keeps(void **state)
{
	static const struct {
		const char *inside, *stored;
	} cases[] = {
		{"", ""},
		{"<query xmlns='jabber:iq:roster'><item jid='R@A.B/x' subscription='both' name='R'>"
		 "<group>g</group><group>h</group></item><item jid='s@c' ask='subscribe' "
		 "approved='true'/><item jid='t@c' subscription='remove'/></query>",
		 "item r@a.b sub=3 ask=0 in=0 approved=0 groups=2\n"
		 "item s@c sub=0 ask=1 in=0 approved=1 groups=0\n"},
		/* the request first, its contact later; one without contact */
		{"<presence xmlns='jabber:client' type='subscribe' from='s@c/y'/><presence "
		 "xmlns='jabber:client' type='subscribe' from='z@c'/><query "
		 "xmlns='jabber:iq:roster'><item jid='s@c' subscription='to'/></query>",
		 "item s@c sub=1 ask=0 in=1 approved=0 groups=0\n"
		 "item z@c sub=0 ask=0 in=1 approved=1 groups=0\n"},
		{"<offline-messages>" MESSAGE("R@b/x",
					      "<body>1 &lt;</body><delay xmlns='urn:xmpp:delay' "
					      "from='a.b' stamp='1970-01-01T00:00:01.5Z'/>")
			 MESSAGE("s@c", "<delay xmlns='urn:xmpp:delay' from='c' "
					"stamp='1970-01-01T00:00:02Z'/>"
					"<body>2</body>") "</offline-messages>",
		 "message r@b/x>juliet@a.b at 1500: <body>1 &lt;</body>\n"
		 "message s@c>juliet@a.b at 2000: <delay xmlns='urn:xmpp:delay' from='c' "
		 "stamp='1970-01-01T00:00:02Z'/><body>2</body>\n"},
		{"<vCard xmlns='vcard-temp'><FN>J</FN></vCard>",
		 "value 1 '': <vCard xmlns='vcard-temp'><FN>J</FN></vCard>\n"},
		{"<query xmlns='jabber:iq:private'><x xmlns='u:1' a='b'/><p:y xmlns:p='u:2'>t</p:y>"
		 "</query>",
		 "value 2 'u:1 x': <x xmlns='u:1' a='b'/>\nvalue 2 'u:2 y': <y "
		 "xmlns='u:2'>t</y>\n"},
		{"<query xmlns='jabber:iq:privacy'><default name='d'/><list name='o'><item "
		 "type='jid' "
		 "value='n@c' action='deny' order='1'/></list><list name='d'><item type='jid' "
		 "value='T@c' action='deny' order='1'/><item type='jid' value='u@c' action='deny' "
		 "order='2'><message/></item><item action='allow' order='3'/></list></query>",
		 "block t@c\n"},
		{"<blocklist xmlns='urn:xmpp:blocking'><item jid='t@c'/><item "
		 "jid='d'/></blocklist>",
		 "block t@c\nblock d\n"},
		{"<archive xmlns='urn:xmpp:pie:0#mam'><result xmlns='urn:xmpp:mam:2' "
		 "id='000000000000000a0000000b'><forwarded xmlns='urn:xmpp:forward:0'><delay "
		 "xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:03Z'/>" MESSAGE(
			 "juliet@a.b/x", "<body>3</body>") "</forwarded></result></archive>",
		 "value 4 '': always\narchived 000000000000000a0000000b sent at 3000: "
		 "<body>3</body>\nvalue 4 '': -\n"},
		{"<prefs xmlns='urn:xmpp:mam:2' "
		 "default='never'><always><jid>R@c</jid></always></prefs>",
		 "value 4 '': never r@c\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = xasprintf(USER("Juliet", KEYS "%s"), cases[i].inside);
		char *want = xasprintf(ADDED "%s" KEYED, cases[i].stored), stored[4096];
		struct fake_run r = import(text, NULL, stored);

		assert_string_equal(r.err, "");
		assert_int_equal(r.code, 0);
		assert_non_null(strstr(r.out, "1 account imported, 0 skipped because they exist, 0 "
					      "problems"));
		/* contacts come in no order */
		assert_int_equal(strlen(stored), strlen(want));
		if (!strstr(cases[i].inside, "roster"))
			assert_string_equal(stored, want);
		for (const char *line = want; *line; line = strchr(line, '\n') + 1) {
			char *one = xstrndup(line, strcspn(line, "\n") + 1);

			assert_non_null(strstr(stored, one));
			free(one);
		}
		free(text);
		free(want);
	}
}

static void a_plaintext_password_becomes_keys(void **state)
{
	char stored[4096];
	struct fake_run r = import("<server-data xmlns='urn:xmpp:pie:0'><host jid='a.b'><user "
				   "name='juliet' password='pencil'/></host></server-data>",
				   "--iterations=5001", stored);

	(void)state;
	assert_int_equal(r.code, 0);
	assert_string_equal(stored, ADDED "keys juliet SHA-1/5001 SHA-256/5001\n");
}

static void accounts_that_exist_are_skipped_merged_replaced_or_completed(void **state)
{
	static const struct {
		const char *text, *option, *stored, *out;
	} cases[] = {
		{USER("there", KEYS), NULL, "", "there@a.b: skipped\n"},
		{USER("there", KEYS "<vCard xmlns='vcard-temp'/>"), "--merge",
		 "kick there@a.b\nvalue 1 '': <vCard xmlns='vcard-temp'/>\nkick there@a.b\n",
		 "there@a.b: merged (1 vCard)\n"},
		{USER("there", KEYS), "--replace",
		 "del there\nkick there@a.b\nadd there@a.b SHA-1/4096/locked SHA-256/4096/locked\n"
		 "keys there SHA-1/5000\n",
		 "there@a.b: replaced\n"},
		{USER("begun", KEYS), NULL, "keys begun SHA-1/5000\n", "begun@a.b: completed\n"},
		{USER("new", KEYS "<vCard xmlns='vcard-temp'/>"), "--dry-run", "",
		 "new@a.b: would be added (1 vCard)\ndry run, nothing was written: 1 account "
		 "imported"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char stored[4096];
		struct fake_run r = import(cases[i].text, cases[i].option, stored);

		assert_string_equal(r.err, "");
		assert_int_equal(r.code, 0);
		assert_string_equal(stored, cases[i].stored);
		assert_non_null(strstr(r.out, cases[i].out));
	}
}

#define DATA(inside)   "<server-data xmlns='urn:xmpp:pie:0'>\n" inside "</server-data>"
#define HOST(inside)   DATA("<host jid='a.b'>\n" inside "</host>")
#define JULIET(inside) HOST("<user name='juliet'>\n" KEYS inside "</user>")

static void what_is_wrong_is_named_with_line_and_account_and_the_rest_goes_on(void **state)
{
	static const struct {
		const char *text, *err;
		bool keyed; /* the account is complete all the same */
	} cases[] = {
		{DATA("<host jid='other'><user name='x'/></host>"),
		 "f.xml:2: other is not served here", false},
		{DATA("<host/>"), "f.xml:2: <host jid=''> is not a domain", false},
		{DATA("<hostess/>"),
		 "f.xml:2: <hostess xmlns='urn:xmpp:pie:0'> is not expected here", false},
		{"<other/>", "f.xml:1: <other xmlns=''> is not expected here", false},
		{HOST("<user/>"), "f.xml:3: a <user/> has no name", false},
		{HOST("<user name='a b'/>"), "f.xml:3: 'a b' cannot be the name of a user", false},
		{HOST("<user name='juliet'/>"), "f.xml:3: juliet@a.b: there are no credentials",
		 false},
		{HOST("<user name='juliet' password='&#127801;x&#127;'/>"),
		 "the password cannot be used", false},
		{JULIET("<query xmlns='jabber:iq:roster'><item jid='@'/></query>"),
		 "f.xml:4: juliet@a.b: contact: '@' is not a JID", true},
		{JULIET("<query xmlns='jabber:iq:roster'><item jid='full@c'/></query>"),
		 "juliet@a.b: contact full@c was refused: a limit or window is used up", true},
		{JULIET("<offline-messages><message xmlns='jabber:client'/></offline-messages>"),
		 "message from '' to '': these are not JIDs", true},
		{JULIET("<archive xmlns='urn:xmpp:pie:0#mam'><result "
			"xmlns='urn:xmpp:mam:2'/></archive>"),
		 "an archived message is without a message or a stamp", true},
		{JULIET("<pubsub xmlns='http://jabber.org/protocol/pubsub'/>"),
		 "<pubsub xmlns='http://jabber.org/protocol/pubsub'> is nothing that is kept here",
		 true},
		{JULIET("<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-256'>"
			"<iter-count>10</iter-count></scram-credentials>"),
		 "SCRAM-SHA-256 has 10 iterations, at least 4096", true},
		{JULIET("<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-256'>"
			"<iter-count>4096</iter-count><salt>?</salt></scram-credentials>"),
		 "SCRAM-SHA-256 lacks a salt", true},
		{JULIET("</oops>"), "nothing behind it was read: repair it", false},
		{JULIET("<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='x.xml'/>"),
		 "is nothing that is kept here", true},
		{DATA("<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' "
		      "href='/etc/passwd'/>"),
		 "is not a file in this folder", false},
		{DATA("<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' "
		      "href='%2e%2e/f.xml'/>"),
		 "is not a file in this folder", false},
		{DATA("<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='none.xml'/>"),
		 "none.xml: No such file", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char stored[4096];
		struct fake_run r = import(cases[i].text, NULL, stored);

		if (r.code != 1 || !strstr(r.err, cases[i].err))
			fail_msg("%zu: %d '%s' '%s'", i, r.code, r.err, r.out);
		if ((strstr(stored, KEYED) != NULL) != cases[i].keyed)
			fail_msg("%zu: '%s'", i, stored);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_element_becomes_what_the_server_keeps),
		TEST(a_plaintext_password_becomes_keys),
		TEST(accounts_that_exist_are_skipped_merged_replaced_or_completed),
		TEST(what_is_wrong_is_named_with_line_and_account_and_the_rest_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
