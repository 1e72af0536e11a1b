#include "ipc/codec.h"
#include "ipc/db_pack.h"
#include "tests/support/cmocka_first.h"

static void every_record_comes_back_as_it_was_put(void **state)
{
	struct str out = STR_INIT;
	struct msg_stanza in =
				  {
					  .sid = 0x1122334455667788,
					  .n = 7,
					  .kind = 1,
					  .type = 3,
					  .flags = 0x81,
					  .to = slice_str("romeo@localhost"),
					  .id = slice_str("a'b"),
					  .inner = slice_str("<body>hi</body>"),
				  },
			  back;
	struct slice rest, body;
	uint16_t type;

	(void)state;
	msg_stanza_put(&out, &in);
	rest = str_slice(&out);
	assert_int_equal(codec_next(&rest, &type, &body), ERR_OK);
	assert_int_equal(type, MSG_STANZA);
	assert_int_equal(rest.len, 0);
	assert_int_equal(msg_stanza_get(body, &back), ERR_OK);
	assert_true(back.sid == in.sid && back.n == 7 && back.flags == 0x81);
	assert_true(slice_eq(back.to, in.to) && slice_eq(back.id, in.id));
	assert_true(slice_eq(back.inner, in.inner) && back.lang.len == 0);
	str_clear(&out);
}

/* Every cut, and every longer version, of a good record is refused: no length is believed. */
static void a_record_cut_or_padded_anywhere_is_refused(void **state)
{
	struct str out = STR_INIT;
	struct msg_hello m = {.boot = 1,
			      .service = slice_str("cm-client"),
			      .instance = slice_str("cm-client-1"),
			      .token = slice_str("abc")},
			 back;

	(void)state;
	msg_hello_put(&out, &m);
	for (size_t len = 0; len < out.len - 6; len++)
		assert_int_equal(msg_hello_get(slice_of(out.data + 6, len), &back), ERR_FORMAT);
	str_addc(&out, 'x');
	assert_int_equal(msg_hello_get(slice_of(out.data + 6, out.len - 6), &back), ERR_FORMAT);
	assert_int_equal(back.boot, 0);
	str_clear(&out);
}

static void lengths_that_lie_are_refused(void **state)
{
	static const char *const cases[] = {"",
					    "\x01",
					    "\x00\x00\x00\x00",
					    "\x01\x00\x00\x00\x05",
					    "\xff\xff\xff\xff\x05\x00",
					    "\x03\x00\x00\x00\x05\x00"};
	static const size_t lens[] = {0, 1, 4, 5, 6, 6};
	struct slice in, body;
	uint16_t type;

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		in = slice_of(cases[i], lens[i]);
		assert_int_equal(codec_next(&in, &type, &body), ERR_FORMAT);
		assert_int_equal(in.len, lens[i]);
	}
}

static void directions_follow_the_table(void **state)
{
	(void)state;
	assert_true(codec_may_send(MSG_STANZA, IPC_CM));
	assert_false(codec_may_send(MSG_STANZA, IPC_ROUTER | IPC_STORE | IPC_CLI));
	assert_true(codec_may_send(MSG_DELIVER, IPC_ROUTER));
	assert_false(codec_may_send(MSG_DELIVER, IPC_CM));
	assert_false(codec_may_send(MSG_DB_ACCOUNT_GET, IPC_STORE));
	assert_false(codec_may_send(9999, IPC_ANY));
	assert_true(codec_may_receive(MSG_STORED, IPC_CM));
	assert_string_equal(codec_name(MSG_ANNOUNCE_END), "ANNOUNCE_END");
	assert_string_equal(codec_name(65535), "unknown");
	assert_int_equal(codec_role(slice_str("cm-federation")), IPC_CM);
	assert_int_equal(codec_role(slice_str("datastore")), IPC_STORE);
}

static void packed_lists_come_back(void **state)
{
	struct str out = STR_INIT, groups = STR_INIT;
	struct db_roster_item item = {.jid = slice_str("a@b"),
				      .name = slice_str("A"),
				      .subscription = 3,
				      .ask = 1,
				      .ngroups = 1},
			      back;
	struct db_scram scram = {slice_str("SHA-1"), 4096, slice_str("salt"), slice_str("k1"),
				 slice_str("k2")},
			scram_back;
	struct slice in;

	(void)state;
	codec_put_str(&groups, slice_str("Friends"));
	item.groups = str_slice(&groups);
	db_roster_item_put(&out, &item);
	db_scram_put(&out, &scram);
	in = str_slice(&out);
	assert_true(db_roster_item_get(&in, &back));
	assert_true(slice_eq(back.groups, item.groups) && back.subscription == 3 && back.ask == 1);
	assert_true(db_scram_get(&in, &scram_back));
	assert_true(slice_is(scram_back.server_key, "k2") && scram_back.iterations == 4096);
	assert_int_equal(in.len, 0);
	assert_false(db_scram_get(&in, &scram_back));
	str_clear(&out);
	str_clear(&groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_record_comes_back_as_it_was_put),
		cmocka_unit_test(a_record_cut_or_padded_anywhere_is_refused),
		cmocka_unit_test(lengths_that_lie_are_refused),
		cmocka_unit_test(directions_follow_the_table),
		cmocka_unit_test(packed_lists_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
