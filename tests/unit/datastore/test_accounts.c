#include "fixture.h"

#include "datastore/accounts.h"
#include "datastore/rosters.h"

static struct str why;

static enum err add(struct db *d, const char *user, const char *domain, char seed)
{
	struct str keys = fixture_keys(seed);
	enum err e = accounts_add(d, S(user), S(domain), str_slice(&keys), 1000, &why);

	str_clear(&keys);
	return e;
}

static uint64_t rows(struct db *d, const char *sql)
{
	sqlite3_stmt *st = db_stmt(d, sql);
	uint64_t n;

	assert_int_equal(db_row(d, st), ERR_OK);
	n = db_int(st, 0);
	db_end(st);
	return n;
}

static void an_account_is_added_once_and_found(void **state)
{
	struct db *d = fixture_open(*state);
	uint64_t id = 0, created = 0;

	assert_int_equal(add(d, "juliet", "localhost", 1), ERR_OK);
	assert_int_equal(accounts_id(d, S("juliet"), S("localhost"), &id, &created), ERR_OK);
	assert_int_equal(created, 1000);
	assert_int_equal(add(d, "juliet", "localhost", 2), ERR_CONFLICT);
	assert_string_equal(why.data, "the account exists");
	assert_int_equal(add(d, "juliet", "example.com", 2), ERR_OK);
	assert_int_equal(accounts_id(d, S("romeo"), S("localhost"), &id, &created), ERR_NOTFOUND);
	db_close(&d);
}

static void keys_come_for_one_family_only(void **state)
{
	struct db *d = fixture_open(*state);
	uint64_t id, created;
	struct str out = STR_INIT;
	struct slice rest;
	struct db_scram k;

	assert_int_equal(add(d, "juliet", "localhost", 7), ERR_OK);
	assert_int_equal(accounts_id(d, S("juliet"), S("localhost"), &id, &created), ERR_OK);
	assert_int_equal(accounts_keys(d, id, S("SHA-256"), &out), ERR_OK);
	rest = str_slice(&out);
	assert_true(db_scram_get(&rest, &k));
	assert_int_equal(rest.len, 0);
	assert_true(slice_is(k.hash, "SHA-256"));
	assert_int_equal(k.iterations, 4096);
	assert_int_equal(k.salt.len, 16);
	assert_int_equal(k.stored_key.len, 32);
	assert_int_equal(k.stored_key.data[31], 8);
	assert_int_equal(k.server_key.data[0], 9);
	str_reset(&out);
	assert_int_equal(accounts_keys(d, id, S("SHA-512"), &out), ERR_OK);
	assert_int_equal(out.len, 0);
	str_clear(&out);
	db_close(&d);
}

static void new_keys_replace_all_old_ones(void **state)
{
	struct db *d = fixture_open(*state);
	struct str one = STR_INIT;

	fixture_put_key(&one, "SHA-256", 50);
	assert_int_equal(accounts_set(d, S("juliet"), S("localhost"), str_slice(&one), &why),
			 ERR_NOTFOUND);
	assert_int_equal(add(d, "juliet", "localhost", 7), ERR_OK);
	assert_int_equal(rows(d, "SELECT count(*) FROM scram"), 2);
	assert_int_equal(accounts_set(d, S("juliet"), S("localhost"), str_slice(&one), &why),
			 ERR_OK);
	assert_int_equal(rows(d, "SELECT count(*) FROM  scram"), 1);
	str_clear(&one);
	db_close(&d);
}

static void removing_an_account_leaves_nothing_of_it(void **state)
{
	struct db *d = fixture_open(*state);
	struct str item = fixture_item("romeo@localhost", "Romeo", 3, "Friends", NULL);
	uint64_t version;

	assert_int_equal(add(d, "juliet", "localhost", 1), ERR_OK);
	assert_int_equal(
		rosters_set(d, S("juliet"), S("localhost"), str_slice(&item), 10, &version, &why),
		ERR_OK);
	assert_int_equal(accounts_del(d, S("juliet"), S("localhost")), ERR_OK);
	assert_int_equal(rows(d, "SELECT (SELECT count(*) FROM accounts) + (SELECT count(*) FROM "
				 "scram) + (SELECT count(*) FROM roster)"),
			 0);
	assert_int_equal(accounts_del(d, S("juliet"), S("localhost")), ERR_NOTFOUND);
	str_clear(&item);
	db_close(&d);
}

struct bad_key {
	const char *name;
	const char *hash;
	uint32_t iterations;
	size_t salt, stored, server;
	enum err want;
};

static void impossible_keys_and_names_are_refused(void **state)
{
	static const struct bad_key bad[] = {
		{"md5", "MD5", 4096, 16, 16, 16, ERR_FORMAT},
		{"short stored key", "SHA-256", 4096, 16, 31, 32, ERR_FORMAT},
		{"long server key", "SHA-1", 4096, 16, 20, 21, ERR_FORMAT},
		{"no salt", "SHA-1", 4096, 0, 20, 20, ERR_RANGE},
		{"huge salt", "SHA-1", 4096, 256, 20, 20, ERR_RANGE},
		{"few iterations", "SHA-1", 4095, 16, 20, 20, ERR_RANGE},
	};
	static char bytes[2000];
	struct db *d = fixture_open(*state);
	struct str s = STR_INIT, two = fixture_keys(1), more = fixture_keys(2);

	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		db_scram_put(&s, &(struct db_scram){S(bad[i].hash), bad[i].iterations,
						    slice_of(bytes, bad[i].salt),
						    slice_of(bytes, bad[i].stored),
						    slice_of(bytes, bad[i].server)});
		db_exec(d, "SAVEPOINT op");
		if (accounts_add(d, S("u"), S("d"), str_slice(&s), 0, &why) != bad[i].want)
			fail_msg("%s", bad[i].name);
		db_exec(d, "ROLLBACK TO op");
		db_exec(d, "RELEASE op");
		str_reset(&s);
	}
	str_add_slice(&two, str_slice(&more));
	assert_int_equal(accounts_add(d, S("u"), S("e"), str_slice(&two), 0, &why), ERR_FORMAT);
	assert_int_equal(accounts_add(d, S("u"), S("f"), SLICE_NONE, 0, &why), ERR_FORMAT);
	assert_int_equal(accounts_add(d, S("u"), S("g"), S("garbage"), 0, &why), ERR_FORMAT);
	assert_int_equal(accounts_add(d, slice_of(bytes, 1024), S("d"), str_slice(&more), 0, &why),
			 ERR_RANGE);
	assert_int_equal(accounts_add(d, S(""), S("d"), str_slice(&more), 0, &why), ERR_RANGE);
	assert_int_equal(accounts_add(d, slice_of("a\0b", 3), S("d"), str_slice(&more), 0, &why),
			 ERR_RANGE);
	assert_int_equal(accounts_add(d, slice_of(bytes, 1023), slice_of(bytes, 1023),
				      str_slice(&more), 0, &why),
			 ERR_OK);
	str_clear(&s);
	str_clear(&two);
	str_clear(&more);
	db_close(&d);
}

/* Reads all pages and writes "a@x b@x" into out. */
static void list_all(struct db *d, const char *domain, uint32_t limit, struct str *out)
{
	char after[3000] = "";
	bool more = true;

	while (more) {
		struct str page = STR_INIT;
		struct slice rest, jid;
		uint64_t created;
		uint32_t count;

		assert_int_equal(accounts_list(d, S(domain), S(after), limit, &page, &count, &more),
				 ERR_OK);
		assert_true(limit == 0 || count <= limit);
		rest = str_slice(&page);
		for (; codec_get_str(&rest, &jid) && codec_get_u64(&rest, &created); count--) {
			str_addf(out, "%.*s ", SLICE_ARG(jid));
			snprintf(after, sizeof(after), "%.*s", SLICE_ARG(jid));
		}
		assert_int_equal(count, 0);
		str_clear(&page);
	}
}

static void pages_of_the_list_join_without_gap_or_repeat(void **state)
{
	static const char *const users[][2] = {{"romeo", "b.example"},
					       {"juliet", "a.example"},
					       {"nurse", "b.example"},
					       {"benvolio", "a.example"},
					       {"romeo", "a.example"}};
	struct db *d = fixture_open(*state);
	struct str out = STR_INIT;

	for (size_t i = 0; i < 5; i++)
		assert_int_equal(add(d, users[i][0], users[i][1], 1), ERR_OK);
	for (uint32_t limit = 0; limit < 7; limit++) {
		str_reset(&out);
		list_all(d, "", limit, &out);
		assert_string_equal(out.data, "benvolio@a.example juliet@a.example romeo@a.example "
					      "nurse@b.example romeo@b.example ");
		str_reset(&out);
		list_all(d, "a.example", limit, &out);
		assert_string_equal(out.data,
				    "benvolio@a.example juliet@a.example romeo@a.example ");
	}
	str_reset(&out);
	list_all(d, "c.example", 0, &out);
	assert_string_equal(out.data, "");
	str_clear(&out);
	db_close(&d);
}

static int setup(void **state)
{
	str_init(&why);
	return fixture_setup(state);
}

static int teardown(void **state)
{
	str_clear(&why);
	return fixture_teardown(state);
}

#define WITH_DIR(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(an_account_is_added_once_and_found),
		WITH_DIR(keys_come_for_one_family_only),
		WITH_DIR(new_keys_replace_all_old_ones),
		WITH_DIR(removing_an_account_leaves_nothing_of_it),
		WITH_DIR(impossible_keys_and_names_are_refused),
		WITH_DIR(pages_of_the_list_join_without_gap_or_repeat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
