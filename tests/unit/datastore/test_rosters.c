#include "fixture.h"

#include "datastore/accounts.h"
#include "datastore/rosters.h"

static struct str why;
static struct db *d;

static int setup(void **state)
{
	struct str keys = fixture_keys(1);

	str_init(&why);
	fixture_setup(state);
	d = fixture_open(*state);
	assert_int_equal(accounts_add(d, S("juliet"), S("localhost"), str_slice(&keys), 5000, &why),
			 ERR_OK);
	str_clear(&keys);
	return 0;
}

static int teardown(void **state)
{
	db_close(&d);
	str_clear(&why);
	return fixture_teardown(state);
}

static enum err set(struct str item, uint32_t max, uint64_t *version)
{
	enum err e;

	str_reset(&why);
	e = rosters_set(d, S("juliet"), S("localhost"), str_slice(&item), max, version, &why);
	str_clear(&item);
	return e;
}

static struct str get(uint32_t *count, uint64_t *version)
{
	struct str out = STR_INIT;

	assert_int_equal(rosters_get(d, S("juliet"), S("localhost"), &out, count, version), ERR_OK);
	return out;
}

static void items_come_back_as_they_were_sent(void **state)
{
	struct str a = fixture_item("romeo@localhost", "Roméo", 3, "Friends", "Lovers");
	struct str b = fixture_item("nurse@localhost", "", 0, NULL, NULL), all;
	uint64_t v1 = 0, v2 = 0, v = 0;
	uint32_t count;

	(void)state;
	assert_int_equal(rosters_set(d, S("juliet"), S("localhost"), str_slice(&a), 9, &v1, &why),
			 ERR_OK);
	assert_int_equal(rosters_set(d, S("juliet"), S("localhost"), str_slice(&b), 9, &v2, &why),
			 ERR_OK);
	assert_int_equal(v1, 5001);
	assert_int_equal(v2, 5002);
	all = get(&count, &v);
	assert_int_equal(count, 2);
	assert_int_equal(v, 5002);
	str_add_slice(&b, str_slice(&a)); /* in the order of JIDs */
	assert_int_equal(all.len, b.len);
	assert_memory_equal(all.data, b.data, b.len);
	str_clear(&all);
	str_clear(&a);
	str_clear(&b);
}

static void every_field_survives(void **state)
{
	struct db_roster_item in = {.jid = S("a@b"),
				    .name = S("n"),
				    .subscription = 1,
				    .ask = 1,
				    .approved = 1,
				    .pending_in = 1,
				    .request = {"a\0b", 3}},
			      out;
	struct str packed = STR_INIT, all;
	struct slice rest;
	uint64_t v;
	uint32_t count;

	(void)state;
	db_roster_item_put(&packed, &in);
	assert_int_equal(set(packed, 9, &v), ERR_OK);
	all = get(&count, &v);
	rest = str_slice(&all);
	assert_true(db_roster_item_get(&rest, &out));
	assert_int_equal(out.subscription, 1);
	assert_int_equal(out.ask, 1);
	assert_int_equal(out.approved, 1);
	assert_int_equal(out.pending_in, 1);
	assert_true(slice_eq(out.request, in.request));
	str_clear(&all);
}

static void replacing_an_item_does_not_count_twice(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(set(fixture_item("a@x", "one", 0, NULL, NULL), 2, &v), ERR_OK);
	assert_int_equal(set(fixture_item("b@x", "two", 0, NULL, NULL), 2, &v), ERR_OK);
	assert_int_equal(set(fixture_item("a@x", "again", 2, "g", NULL), 2, &v), ERR_OK);
	assert_int_equal(set(fixture_item("c@x", "", 0, NULL, NULL), 2, &v), ERR_FULL);
	assert_string_equal(why.data,
			    "the roster has 2 items, the limit is 2 (datastore.max_roster_items)");
	assert_int_equal(rosters_del(d, S("juliet"), S("localhost"), S("a@x"), &v, &why), ERR_OK);
	assert_int_equal(set(fixture_item("c@x", "", 0, NULL, NULL), 2, &v), ERR_OK);
}

static void the_counts_in_accounts_are_those_of_the_items(void **state)
{
	sqlite3_stmt *st;
	uint64_t v;

	(void)state;
	assert_int_equal(set(fixture_item("ä@x", "Ärger", 0, "g", "h"), 9, &v), ERR_OK);
	assert_int_equal(set(fixture_item("ä@x", "Är", 0, "g", NULL), 9, &v), ERR_OK);
	assert_int_equal(set(fixture_item("b@x", "b", 0, NULL, NULL), 9, &v), ERR_OK);
	assert_int_equal(set(fixture_item("c@x", "c", 0, NULL, NULL), 9, &v), ERR_OK);
	assert_int_equal(rosters_del(d, S("juliet"), S("localhost"), S("c@x"), &v, &why), ERR_OK);
	st = db_stmt(d, "SELECT roster_items = (SELECT count(*) FROM roster) AND roster_bytes ="
			" (SELECT sum(octet) FROM (SELECT length(CAST(jid AS BLOB)) +"
			" length(CAST(name AS BLOB)) + length(groups) AS octet FROM roster)),"
			" roster_bytes FROM accounts");
	assert_int_equal(db_row(d, st), ERR_OK);
	assert_int_equal(db_int(st, 0), 1);
	assert_int_equal(db_int(st, 1), (4 + 3 + 3) + (3 + 1));
	db_end(st);
}

static void what_does_not_exist_is_named(void **state)
{
	struct str out = STR_INIT;
	uint64_t v = 0;
	uint32_t count;

	(void)state;
	assert_int_equal(rosters_del(d, S("juliet"), S("localhost"), S("no@x"), &v, &why),
			 ERR_NOTFOUND);
	assert_string_equal(why.data, "the roster has no such item");
	str_reset(&why);
	assert_int_equal(rosters_del(d, S("tybalt"), S("localhost"), S("no@x"), &v, &why),
			 ERR_NOTFOUND);
	assert_string_equal(why.data, "there is no such account");
	assert_int_equal(rosters_get(d, S("tybalt"), S("localhost"), &out, &count, &v),
			 ERR_NOTFOUND);
	assert_int_equal(v, 0);
	str_clear(&out);
}

static void impossible_items_are_refused(void **state)
{
	static char longest[ROSTERS_REQUEST_MAX + 1];
	struct db_roster_item good = {.jid = S("a@x")};
	struct str many = STR_INIT;
	struct {
		const char *name;
		struct db_roster_item item;
		enum err want;
	} cases[] = {
		{"no jid", {.jid = S("")}, ERR_FORMAT},
		{"NUL in jid", {.jid = slice_of("a\0b", 3)}, ERR_FORMAT},
		{"NUL in name", {.jid = S("a"), .name = slice_of("\0", 1)}, ERR_FORMAT},
		{"long jid", {.jid = slice_of(longest, 3072)}, ERR_TOOBIG},
		{"long name", {.jid = S("a"), .name = slice_of(longest, 1024)}, ERR_TOOBIG},
		{"subscription", {.jid = S("a"), .subscription = 4}, ERR_RANGE},
		{"ask", {.jid = S("a"), .ask = 2}, ERR_RANGE},
		{"groups not counted", {.jid = S("a"), .groups = slice_of("\1\0g", 3)}, ERR_FORMAT},
		{"groups cut",
		 {.jid = S("a"), .ngroups = 1, .groups = slice_of("\2\0g", 3)},
		 ERR_FORMAT},
		{"65 groups", {.jid = S("a"), .ngroups = 65}, ERR_TOOBIG},
		{"long request",
		 {.jid = S("a"), .request = slice_of(longest, sizeof(longest))},
		 ERR_TOOBIG},
	};
	struct str packed;
	uint64_t v;

	(void)state;
	memset(longest, 'j', sizeof(longest));
	for (int i = 0; i < 65; i++)
		codec_put_str(&many, S("g"));
	cases[9].item.groups = str_slice(&many);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		str_init(&packed);
		db_roster_item_put(&packed, &cases[i].item);
		if (set(packed, 9, &v) != cases[i].want || why.len == 0)
			fail_msg("%s: %s", cases[i].name, why.data);
	}
	str_init(&packed);
	db_roster_item_put(&packed, &good);
	str_addc(&packed, 'x');
	assert_int_equal(set(packed, 9, &v), ERR_FORMAT);
	str_clear(&many);
}

static void a_roster_never_outgrows_one_record(void **state)
{
	static char group[1000];
	struct str groups = STR_INIT, all;
	struct db_roster_item item = {.ngroups = 64};
	char jid[32];
	uint32_t count, n = 0;
	uint64_t v;
	enum err e;

	(void)state;
	memset(group, 'g', sizeof(group));
	for (int i = 0; i < 64; i++)
		codec_put_str(&groups, slice_of(group, sizeof(group)));
	item.groups = str_slice(&groups);
	db_exec(d, "BEGIN");
	do {
		struct str packed = STR_INIT;

		snprintf(jid, sizeof(jid), "user%u@x", n++);
		item.jid = S(jid);
		db_roster_item_put(&packed, &item);
		e = set(packed, 100000, &v);
	} while (e == ERR_OK);
	db_exec(d, "COMMIT");
	assert_int_equal(e, ERR_FULL);
	all = get(&count, &v);
	assert_int_equal(count, n - 1);
	assert_in_range(all.len, ROSTERS_BYTES_MAX - 70000, IPC_BYTES_MAX - 100);
	str_clear(&all);
	str_clear(&groups);
}

#define WITH_DB(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(items_come_back_as_they_were_sent),
		WITH_DB(every_field_survives),
		WITH_DB(replacing_an_item_does_not_count_twice),
		WITH_DB(the_counts_in_accounts_are_those_of_the_items),
		WITH_DB(what_does_not_exist_is_named),
		WITH_DB(impossible_items_are_refused),
		WITH_DB(a_roster_never_outgrows_one_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
