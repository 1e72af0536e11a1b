/* cli/xmpp/show.c, account_data.c, pie_export.c against a datastore that answers by a script. */
#include "../run_command.h"

#include "cli/xmpp/xmpp_program.h"
#include "ipc/codec.h"
#include "ipc/db_archive.h"
#include "ipc/db_pack.h"
#include "ipc/stanza_kinds.h"

static pid_t router;

static void put_offline(struct str *list, uint64_t id, const char *inner)
{
	db_offline_put(list, &(struct db_offline){.id = id,
						  .stamp_ms = 1795280214123,
						  .kind = STANZA_MESSAGE,
						  .type = TYPE_CHAT,
						  .from = slice_str("romeo@b/x"),
						  .to = slice_str("j@b"),
						  .stanza_id = slice_str("s'1"),
						  .inner = slice_str(inner)});
}

/* Two pages of one message each. */
static void offline(struct slice body, struct str *out)
{
	struct str list = STR_INIT;
	struct msg_db_offline_get m;

	check(msg_db_offline_get_get(body, &m) == ERR_OK);
	put_offline(&list, m.after + 1,
		    m.after ? "<body>second</body>"
			    : "<body>f\xc3\xa4rst &lt;</body><x xmlns='u'/>");
	msg_db_offline_put(out, &(struct msg_db_offline){1, m.after == 0, str_slice(&list)});
	str_clear(&list);
}

static void roster(struct str *out)
{
	struct str list = STR_INIT, groups = STR_INIT, blocked = STR_INIT;

	codec_put_str(&groups, slice_str("House"));
	codec_put_str(&groups, slice_str("O&A"));
	db_roster_item_put(&list, &(struct db_roster_item){.jid = slice_str("nurse@b"),
							   .name = slice_str("The <Nurse>"),
							   .subscription = 1,
							   .pending_in = 1,
							   .ngroups = 2,
							   .groups = str_slice(&groups)});
	db_roster_item_put(&list, &(struct db_roster_item){.jid = slice_str("paris@c"),
							   .pending_in = 1,
							   .approved = 1});
	codec_put_str(&blocked, slice_str("tybalt@b"));
	msg_db_roster_put(out,
			  &(struct msg_db_roster){1, 2, str_slice(&list), str_slice(&blocked)});
	str_clear(&list);
	str_clear(&groups);
	str_clear(&blocked);
}

static void archive(struct slice body, struct str *out)
{
	struct str list = STR_INIT;
	struct msg_db_archive_query m;
	uint32_t n;

	check(msg_db_archive_query_get(body, &m) == ERR_OK);
	for (n = 0; n < m.max && n < 2; n++)
		db_archive_entry_put(&list, &(struct db_archive_entry){
						    .id = {0xabc, n},
						    .stamp_ms = 1795280214000,
						    .type = TYPE_CHAT,
						    .from = slice_str("j@b/y"),
						    .to = m.with.len ? m.with : slice_str("r@b"),
						    .inner = slice_str("<body>12345</body>")});
	msg_db_archive_page_put(out, &(struct msg_db_archive_page){.count = n,
								   .more = n == m.max,
								   .list = str_slice(&list)});
	str_clear(&list);
}

static void values(uint8_t kind, struct str *out)
{
	struct str list = STR_INIT;

	if (kind == DB_DATA_PRIVATE) {
		codec_put_str(&list, slice_str("u x"));
		codec_put_bytes(&list, slice_str("<x xmlns='u'/>"));
	}
	msg_db_data_rows_put(out, &(struct msg_db_data_rows){1, 0, str_slice(&list)});
	str_clear(&list);
}

static void account(struct slice mechanism, struct str *out)
{
	struct str keys = STR_INIT;

	if (slice_is(mechanism, "SCRAM-SHA-1"))
		db_scram_put(&keys,
			     &(struct db_scram){.hash = slice_str("SHA-1"),
						.iterations = 4096,
						.salt = slice_str("salt"),
						.stored_key = slice_str("12345678901234567890"),
						.server_key = slice_str("abcdefghijabcdefghij")});
	msg_db_account_put(out, &(struct msg_db_account){.user = slice_str("j"),
							 .domain = slice_str("b"),
							 .scram = str_slice(&keys)});
	str_clear(&keys);
}

static enum err reply(uint16_t type, struct slice body, struct str *out)
{
	struct msg_db_data_list list;
	struct msg_db_data_get data;
	struct msg_db_account_get get;
	struct str one = STR_INIT;

	switch (type) {
	case MSG_DB_ACCOUNT_GET:
		check(msg_db_account_get_get(body, &get) == ERR_OK);
		if (!slice_is(get.user, "j"))
			return ERR_NOTFOUND;
		account(get.mechanism, out);
		return ERR_OK;
	case MSG_DB_ACCOUNT_LIST:
		codec_put_str(&one, slice_str("j@b"));
		codec_put_u64(&one, 1);
		msg_db_accounts_put(out, &(struct msg_db_accounts){1, 0, str_slice(&one)});
		str_clear(&one);
		return ERR_OK;
	case MSG_DB_OFFLINE_GET:
		offline(body, out);
		return ERR_OK;
	case MSG_DB_ROSTER_GET:
		roster(out);
		return ERR_OK;
	case MSG_DB_ARCHIVE_QUERY:
		archive(body, out);
		return ERR_OK;
	case MSG_DB_DATA_GET:
		check(msg_db_data_get_get(body, &data) == ERR_OK);
		if (data.kind != DB_DATA_VCARD)
			return ERR_NOTFOUND;
		msg_db_data_put(out,
				&(struct msg_db_data){1, slice_str("<vCard xmlns='vcard-temp'/>")});
		return ERR_OK;
	case MSG_DB_DATA_LIST:
		check(msg_db_data_list_get(body, &list) == ERR_OK);
		values(list.kind, out);
		return ERR_OK;
	default:
		return ERR_UNSUPPORTED;
	}
}

static void answer(struct link *l, uint16_t type, struct slice body)
{
	struct msg_stored r = {0};
	struct str out = STR_INIT;
	struct slice in, inner;
	struct msg_store m;
	uint16_t asked;

	if (type != MSG_STORE || msg_store_get(body, &m) != ERR_OK)
		return;
	in = m.body;
	check(codec_next(&in, &asked, &inner) == ERR_OK);
	r.op_boot = m.op_boot;
	r.op_n = m.op_n;
	r.status = (uint8_t)reply(asked, inner, &out);
	r.body = str_slice(&out);
	link_put_stored(l, &r);
	str_clear(&out);
}

static int setup(void **state)
{
	fake_setup(state);
	router = fake_router_start(answer);
	return 0;
}

static int teardown(void **state)
{
	fake_router_stop(&router);
	return fake_teardown(state);
}

static struct fake_run run(const char *const *args)
{
	return fake_run(&xmpp_program, sizeof(struct xmpp_values), args, "");
}

static void each_command_shows_what_is_kept_and_texts_only_when_asked(void **state)
{
	static const struct {
		const char *args[10];
		const char *out;
	} cases[] = {
		{{"roster", "show", "j@b"},
		 "JID      NAME         SUBSCRIPTION  PENDING  GROUPS\n"
		 "nurse@b  The <Nurse>  to            in       House, O&A\n"
		 "paris@c  -            none          in       -\n"},
		{{"roster", "show", "j@b", "--json"},
		 "{\"jid\":\"nurse@b\",\"name\":\"The "
		 "<Nurse>\",\"subscription\":\"to\",\"ask\":false,"
		 "\"pending_in\":true,\"approved\":false,\"groups\":\"House, O&A\"}\n"
		 "{\"jid\":\"paris@c\",\"name\":\"\",\"subscription\":\"none\",\"ask\":false,"
		 "\"pending_in\":true,\"approved\":false,\"groups\":\"\"}\n"},
		{{"blocklist", "show", "j@b"}, "JID\ntybalt@b\n"},
		{{"offline", "show", "j@b"},
		 "STAMP                     FROM       TO   TYPE  BYTES  BODY\n"
		 "2026-11-21T16:56:54.123Z  romeo@b/x  j@b  chat  38     [7]\n"
		 "2026-11-21T16:56:54.123Z  romeo@b/x  j@b  chat  19     [6]\n"},
		{{"offline", "show", "j@b", "--bodies"},
		 "STAMP                     FROM       TO   TYPE  BYTES  BODY\n"
		 "2026-11-21T16:56:54.123Z  romeo@b/x  j@b  chat  38     f\xc3\xa4rst <\n"
		 "2026-11-21T16:56:54.123Z  romeo@b/x  j@b  chat  19     second\n"},
		{{"archive", "show", "j@b", "--limit", "1", "--with", "R@B"},
		 "STAMP                 FROM   TO   TYPE  BYTES  BODY\n"
		 "2026-11-21T16:56:54Z  j@b/y  r@b  chat  18     [5]\n"
		 "there are more than 1; --limit N, --start TIME and --with JID lead to them\n"},
		{{"archive", "show", "j@b", "--json", "--start", "2026-11-01", "--bodies"},
		 "{\"stamp\":\"2026-11-21T16:56:54Z\",\"from\":\"j@b/y\",\"to\":\"r@b\",\"type\":"
		 "\"chat\",\"id\":\"\",\"bytes\":18,\"xml\":\"<body>12345</body>\"}\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_run r = run(cases[i].args);

		assert_string_equal(r.err, "");
		assert_int_equal(r.code, 0);
		if (i + 1 < sizeof(cases) / sizeof(cases[0]))
			assert_string_equal(r.out, cases[i].out);
		else
			assert_memory_equal(r.out, cases[i].out, strlen(cases[i].out));
	}
}

static void who_does_not_exist_is_said(void **state)
{
	static const char *const commands[] = {"roster", "offline", "archive", "blocklist"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct fake_run r = run((const char *[]){commands[i], "show", "k@b", NULL});

		assert_int_equal(r.code, 1);
		assert_string_equal(r.err, "xmpp: k@b does not exist; 'xmpp user list b' shows who "
					   "does\n");
	}
}

/* XEP-0227, all of an account. */
static void an_export_has_everything_of_an_account(void **state)
{
	struct fake_run r = run((const char *[]){"export", "-", NULL});

	(void)state;
	assert_string_equal(r.err, "");
	assert_int_equal(r.code, 0);
	assert_string_equal(
		r.out,
		"<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'>\n"
		"<host jid='b'>\n<user name='j'>\n"
		"<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'>"
		"<iter-count>4096</iter-count><salt>c2FsdA==</salt><server-key>"
		"YWJjZGVmZ2hpamFiY2RlZmdoaWo=</server-key><stored-key>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA="
		"</stored-key></scram-credentials>\n"
		"<query xmlns='jabber:iq:roster'>\n<item jid='nurse@b' name='The &lt;Nurse&gt;' "
		"subscription='to'><group>House</group><group>O&amp;A</group></item>\n</query>\n"
		"<presence xmlns='jabber:client' type='subscribe' from='nurse@b'/>\n"
		"<presence xmlns='jabber:client' type='subscribe' from='paris@c'/>\n"
		"<query xmlns='jabber:iq:privacy'><default name='blocklist'/>\n<list "
		"name='blocklist'>\n<item type='jid' value='tybalt@b' action='deny' order='1'/>\n"
		"<item action='allow' order='2'/>\n</list></query>\n"
		"<offline-messages>\n<message xmlns='jabber:client' from='romeo@b/x' to='j@b' "
		"type='chat' id='s&apos;1'><body>f\xc3\xa4rst &lt;</body><x xmlns='u'/><delay "
		"xmlns='urn:xmpp:delay' from='b' stamp='2026-11-21T16:56:54.123Z'/></message>\n"
		"<message xmlns='jabber:client' from='romeo@b/x' to='j@b' type='chat' "
		"id='s&apos;1'>"
		"<body>second</body><delay xmlns='urn:xmpp:delay' from='b' "
		"stamp='2026-11-21T16:56:54.123Z'/></message>\n</offline-messages>\n"
		"<vCard xmlns='vcard-temp'/>\n"
		"<query xmlns='jabber:iq:private'>\n<x xmlns='u'/>\n</query>\n"
		"<archive xmlns='urn:xmpp:pie:0#mam'>\n<result xmlns='urn:xmpp:mam:2' "
		"id='0000000000000abc00000000'><forwarded xmlns='urn:xmpp:forward:0'><delay "
		"xmlns='urn:xmpp:delay' stamp='2026-11-21T16:56:54Z'/><message "
		"xmlns='jabber:client' from='j@b/y' to='r@b' type='chat'><body>12345</body>"
		"</message></forwarded></result>\n<result xmlns='urn:xmpp:mam:2' "
		"id='0000000000000abc00000001'><forwarded xmlns='urn:xmpp:forward:0'><delay "
		"xmlns='urn:xmpp:delay' stamp='2026-11-21T16:56:54Z'/><message "
		"xmlns='jabber:client' from='j@b/y' to='r@b' type='chat'><body>12345</body>"
		"</message></forwarded></result>\n</archive>\n"
		"</user>\n</host>\n</server-data>\n");
}

static void a_file_that_cannot_be_written_is_named(void **state)
{
	struct fake_run r = run((const char *[]){"export", "/no/such/folder/x", NULL});

	(void)state;
	assert_int_equal(r.code, 1);
	assert_string_equal(r.err,
			    "xmpp: /no/such/folder/x.part: No such file or directory; give a "
			    "file or folder that can be written\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_command_shows_what_is_kept_and_texts_only_when_asked),
		TEST(who_does_not_exist_is_said),
		TEST(an_export_has_everything_of_an_account),
		TEST(a_file_that_cannot_be_written_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
