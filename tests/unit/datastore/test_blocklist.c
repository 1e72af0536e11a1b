/* Whom a user has blocked, as the datastore keeps and judges it (XEP-0191). */
#include "store_rig.h"

#include "datastore/accounts.h"
#include "datastore/blocklist.h"
#include "datastore/offline.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"

static struct str why;
static struct db *d;

static void add_account(const char *user)
{
	struct str keys = fixture_keys(1);

	assert_int_equal(accounts_add(d, S(user), S("localhost"), str_slice(&keys), 5000, &why),
			 ERR_OK);
	str_clear(&keys);
}

static int setup(void **state)
{
	str_init(&why);
	fixture_setup(state);
	d = fixture_open(*state);
	add_account("juliet");
	add_account("romeo");
	return 0;
}

static int teardown(void **state)
{
	db_close(&d);
	str_clear(&why);
	return fixture_teardown(state);
}

/* "a b" to packed STRs. */
static struct str packed(const char *jids)
{
	struct str out = STR_INIT;

	while (*jids) {
		size_t len = strcspn(jids, " ");

		codec_put_str(&out, slice_of(jids, len));
		jids += len + (jids[len] == ' ');
	}
	return out;
}

static void expect_list(struct str *list, const char *want)
{
	struct slice left = str_slice(list), jid;
	struct str text = STR_INIT;

	while (left.len) {
		assert_true(codec_get_str(&left, &jid));
		str_addf(&text, "%s%.*s", text.len ? " " : "", SLICE_ARG(jid));
	}
	assert_string_equal(text.data, want);
	str_clear(&text);
	str_clear(list);
}

static enum err block(const char *user, const char *jids, uint32_t max, const char *want)
{
	struct str in = packed(jids), out = STR_INIT;
	enum err e = blocklist_add(d, S(user), S("localhost"), str_slice(&in), max, &out, &why);

	str_clear(&in);
	if (want)
		expect_list(&out, want);
	str_clear(&out);
	return e;
}

static enum err unblock(const char *user, const char *jids, const char *want)
{
	struct str in = packed(jids), out = STR_INIT;
	enum err e = blocklist_del(d, S(user), S("localhost"), str_slice(&in), &out, &why);

	str_clear(&in);
	if (want)
		expect_list(&out, want);
	str_clear(&out);
	return e;
}

static void a_list_grows_and_shrinks_in_the_order_of_its_jids(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	assert_int_equal(
		block("juliet", "romeo@x.example b.example", 9, "b.example romeo@x.example"),
		ERR_OK);
	assert_int_equal(block("juliet", "a.example romeo@x.example", 9,
			       "a.example b.example romeo@x.example"),
			 ERR_OK);
	assert_int_equal(block("romeo", "c.example", 9, "c.example"), ERR_OK);
	assert_int_equal(unblock("juliet", "b.example nobody.example", "a.example romeo@x.example"),
			 ERR_OK);
	assert_int_equal(unblock("juliet", "", ""), ERR_OK);
	assert_int_equal(blocklist_get(d, S("romeo"), S("localhost"), &out), ERR_OK);
	expect_list(&out, "c.example");
}

static void a_list_has_limits_and_says_which(void **state)
{
	struct str long_one = STR_INIT;

	(void)state;
	assert_int_equal(block("juliet", "a.example b.example", 2, NULL), ERR_OK);
	assert_int_equal(block("juliet", "a.example", 2, "a.example b.example"), ERR_OK);
	assert_int_equal(block("juliet", "c.example", 2, NULL), ERR_FULL);
	assert_non_null(strstr(why.data, "datastore.max_blocked"));
	for (int i = 0; i < 3000; i++)
		str_addc(&long_one, 'a' + i % 26);
	for (int i = 0; i < 30; i++) {
		enum err e;

		long_one.data[0] = (char)('A' + i);
		e = block("romeo", long_one.data, 1000, NULL);
		assert_int_equal(e, i < 21 ? ERR_OK : ERR_FULL);
		if (e != ERR_OK)
			break;
	}
	str_clear(&long_one);
}

static void nobody_has_no_list(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	assert_int_equal(block("nurse", "a.example", 9, NULL), ERR_NOTFOUND);
	assert_int_equal(unblock("nurse", "", NULL), ERR_NOTFOUND);
	assert_int_equal(blocklist_get(d, S("nurse"), S("localhost"), &out), ERR_OK);
	assert_int_equal(out.len, 0);
}

static void malformed_jids_are_refused(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	assert_int_equal(
		blocklist_add(d, S("juliet"), S("localhost"), slice_of("\0\5ab", 4), 9, &out, &why),
		ERR_FORMAT);
	assert_int_equal(
		blocklist_add(d, S("juliet"), S("localhost"), slice_of("\0\0", 2), 9, &out, &why),
		ERR_FORMAT);
	assert_int_equal(blocklist_add(d, S("juliet"), S("localhost"), slice_of("\0\3a\0b", 5), 9,
				       &out, &why),
			 ERR_FORMAT);
	str_clear(&out);
}

/* XEP-0191 section 6; the last rows: never the own account (section 5) and the own server. */
static void xep0191_6_an_item_matches_a_jid_its_account_or_its_domain(void **state)
{
	static const struct {
		const char *item, *from;
		bool blocked;
	} rows[] = {
		{"romeo@x.example/garden", "romeo@x.example/garden", true},
		{"romeo@x.example/garden", "romeo@x.example/hall", false},
		{"romeo@x.example/garden", "romeo@x.example", false},
		{"romeo@x.example", "romeo@x.example/garden", true},
		{"romeo@x.example", "romeo@x.example", true},
		{"romeo@x.example", "romeo@y.example", false},
		{"romeo@x.example", "x.example", false},
		{"x.example/garden", "x.example/garden", true},
		{"x.example/garden", "x.example/hall", false},
		{"x.example/garden", "romeo@x.example/garden", false},
		{"x.example", "x.example", true},
		{"x.example", "x.example/garden", true},
		{"x.example", "romeo@x.example", true},
		{"x.example", "romeo@x.example/a@b/c", true},
		{"x.example", "romeo@sub.x.example", false},
		{"localhost", "romeo@localhost/a", true},
		{"localhost", "juliet@localhost/a", false},
		{"juliet@localhost", "juliet@localhost/a", false},
		{"localhost", "localhost", false},
		{"localhost", "localhost/a", false},
		{"localhost", "xjuliet@localhost", true},
	};
	uint64_t account, created;

	(void)state;
	assert_int_equal(accounts_id(d, S("juliet"), S("localhost"), &account, &created), ERR_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum err e;

		assert_int_equal(block("juliet", rows[i].item, 9, rows[i].item), ERR_OK);
		e = blocklist_judge(d, account, S("juliet"), S("localhost"), S(rows[i].from));
		if (e != (rows[i].blocked ? ERR_BLOCKED : ERR_OK))
			fail_msg("row %zu: %s", i, err_name(e));
		assert_int_equal(unblock("juliet", "", ""), ERR_OK);
	}
}

static enum err store(uint64_t n, const char *from)
{
	static const struct offline_quota roomy = {100, 100000};
	struct str s = STR_INIT;
	enum err e;

	db_offline_put(&s, &(struct db_offline){.origin_sid = 1,
						.origin_n = n,
						.kind = 1,
						.from = S(from),
						.to = S("juliet@localhost"),
						.inner = S("<body>hi</body>")});
	e = offline_add(d, S("juliet"), S("localhost"), str_slice(&s), 1000, &roomy, &why);
	str_clear(&s);
	return e;
}

static uint32_t waiting(void)
{
	struct str out = STR_INIT;
	uint32_t count;
	bool more;

	assert_int_equal(
		offline_get(d, S("juliet"), S("localhost"), 0, 100000, &out, &count, &more),
		ERR_OK);
	str_clear(&out);
	return count;
}

static void nothing_of_a_blocked_sender_is_kept(void **state)
{
	(void)state;
	assert_int_equal(block("juliet", "romeo@localhost", 9, NULL), ERR_OK);
	assert_int_equal(store(1, "romeo@localhost/garden"), ERR_BLOCKED);
	assert_int_equal(waiting(), 0);
	assert_int_equal(store(2, "nurse@localhost/hall"), ERR_OK);
	assert_int_equal(unblock("juliet", "romeo@localhost", ""), ERR_OK);
	assert_int_equal(store(1, "romeo@localhost/garden"), ERR_OK);
	assert_int_equal(waiting(), 2);
}

/* CUSTODY 6: who sent it may not have been told. */
static void what_was_kept_before_its_sender_was_blocked_stays_kept(void **state)
{
	(void)state;
	assert_int_equal(store(1, "romeo@localhost/garden"), ERR_OK);
	assert_int_equal(block("juliet", "romeo@localhost", 9, NULL), ERR_OK);
	assert_int_equal(store(1, "romeo@localhost/garden"), ERR_OK);
	assert_int_equal(waiting(), 1);
}

static void the_list_goes_with_its_account(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	assert_int_equal(block("juliet", "a.example", 9, NULL), ERR_OK);
	assert_int_equal(accounts_del(d, S("juliet"), S("localhost")), ERR_OK);
	add_account("juliet");
	assert_int_equal(blocklist_get(d, S("juliet"), S("localhost"), &out), ERR_OK);
	assert_int_equal(out.len, 0);
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_list_grows_and_shrinks_in_the_order_of_its_jids),
		T(a_list_has_limits_and_says_which),
		T(nobody_has_no_list),
		T(malformed_jids_are_refused),
		T(xep0191_6_an_item_matches_a_jid_its_account_or_its_domain),
		T(nothing_of_a_blocked_sender_is_kept),
		T(what_was_kept_before_its_sender_was_blocked_stays_kept),
		T(the_list_goes_with_its_account),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
