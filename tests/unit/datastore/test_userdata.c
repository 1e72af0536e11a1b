/* What users keep, as the datastore has it. */
#include "store_rig.h"

#include "datastore/accounts.h"
#include "datastore/archive.h"
#include "datastore/userdata.h"

static const struct userdata_quota roomy = {100000, 10000};

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

static enum err set_quota(const char *user, uint8_t kind, const char *key, struct slice value,
			  const struct userdata_quota *q)
{
	str_reset(&why);
	return userdata_set(d, S(user), S("localhost"), kind, S(key), value, 7000 + kind, q, &why);
}

static enum err set(const char *user, uint8_t kind, const char *key, const char *value)
{
	return set_quota(user, kind, key, S(value), &roomy);
}

/* "value@changed", or the error's name. */
static const char *get(const char *user, uint8_t kind, const char *key)
{
	static char text[200];
	struct str out = STR_INIT;
	uint64_t changed = 0;
	enum err e = userdata_get(d, S(user), S("localhost"), kind, S(key), &out, &changed);

	if (e == ERR_OK)
		snprintf(text, sizeof(text), "%.*s@%llu", (int)out.len, out.data,
			 (unsigned long long)changed);
	else
		snprintf(text, sizeof(text), "%s", err_name(e));
	str_clear(&out);
	return text;
}

static const char *list(const char *user, uint8_t kind, const char *after, uint32_t bytes)
{
	static struct str text;
	struct str out = STR_INIT;
	struct slice in, key, value;
	uint32_t count = 0;
	bool more = false;
	enum err e = userdata_list(d, S(user), S("localhost"), kind, S(after), bytes, &out, &count,
				   &more);

	str_reset(&text);
	if (e != ERR_OK)
		str_adds(&text, err_name(e));
	in = str_slice(&out);
	while (codec_get_str(&in, &key) && codec_get_bytes(&in, &value)) {
		str_addf(&text, "%s%.*s=%.*s", text.len ? " " : "", SLICE_ARG(key),
			 SLICE_ARG(value));
		count--;
	}
	assert_int_equal(count, 0);
	if (more)
		str_adds(&text, " more");
	str_clear(&out);
	return text.data ? text.data : "";
}

static uint64_t counted(const char *user)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT data_bytes FROM accounts WHERE user = ?1");
	uint64_t n;

	db_bind_text(st, 1, S(user));
	assert_int_equal(db_row(d, st), ERR_OK);
	n = db_int(st, 0);
	db_end(st);
	return n;
}

static void a_value_is_kept_by_user_kind_and_key(void **state)
{
	(void)state;
	assert_int_equal(set("juliet", 1, "", "card"), ERR_OK);
	assert_int_equal(set("juliet", 2, "", "xml"), ERR_OK);
	assert_int_equal(set("juliet", 2, "a b", "other"), ERR_OK);
	assert_int_equal(set("romeo", 1, "", "his"), ERR_OK);
	assert_string_equal(get("juliet", 1, ""), "card@7001");
	assert_string_equal(get("juliet", 2, ""), "xml@7002");
	assert_string_equal(get("juliet", 2, "a b"), "other@7002");
	assert_string_equal(get("romeo", 1, ""), "his@7001");
	assert_string_equal(get("romeo", 2, ""), err_name(ERR_NOTFOUND));
	assert_string_equal(get("nobody", 1, ""), err_name(ERR_NOTFOUND));
}

static void a_value_is_replaced_and_removed(void **state)
{
	(void)state;
	assert_int_equal(set("juliet", 1, "", "first"), ERR_OK);
	assert_int_equal(set("juliet", 1, "", "second one"), ERR_OK);
	assert_string_equal(get("juliet", 1, ""), "second one@7001");
	assert_int_equal(counted("juliet"), USERDATA_ROW + 10);
	assert_int_equal(set("juliet", 1, "", ""), ERR_OK);
	assert_string_equal(get("juliet", 1, ""), err_name(ERR_NOTFOUND));
	assert_int_equal(counted("juliet"), 0);
	assert_int_equal(set("juliet", 1, "", ""), ERR_OK);
	assert_int_equal(set("nobody", 1, "", "x"), ERR_NOTFOUND);
}

static void a_users_share_is_bounded(void **state)
{
	static const struct userdata_quota tight = {2 * USERDATA_ROW + 10, 100};

	(void)state;
	assert_int_equal(set_quota("juliet", 1, "", S("12345"), &tight), ERR_OK);
	assert_int_equal(set_quota("juliet", 2, "k", S("12345"), &tight), ERR_FULL);
	assert_non_null(strstr(why.data, "datastore.user_data_bytes"));
	assert_int_equal(set_quota("juliet", 2, "k", S("1234"), &tight), ERR_OK);
	assert_int_equal(set_quota("romeo", 2, "k", S("12345"), &tight), ERR_OK);
	/* What is there may shrink, also above a share that was made smaller. */
	assert_int_equal(set_quota("juliet", 2, "k", S("12"), &(struct userdata_quota){1, 100}),
			 ERR_OK);
	assert_int_equal(set_quota("juliet", 2, "k", S(""), &(struct userdata_quota){1, 100}),
			 ERR_OK);
	assert_int_equal(counted("juliet"), USERDATA_ROW + 5);
}

static void a_value_and_a_key_are_bounded(void **state)
{
	char key[USERDATA_KEY_MAX + 2];

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	assert_int_equal(set("juliet", 2, key, "x"), ERR_FORMAT);
	key[sizeof(key) - 2] = '\0';
	assert_int_equal(set("juliet", 2, key, "x"), ERR_OK);
	assert_int_equal(userdata_set(d, S("juliet"), S("localhost"), 2, slice_of("a\0b", 3),
				      S("x"), 1, &roomy, &why),
			 ERR_FORMAT);
	assert_int_equal(set_quota("juliet", 1, "", S("12345"), &(struct userdata_quota){9999, 4}),
			 ERR_TOOBIG);
	assert_non_null(strstr(why.data, "datastore.user_data_value_bytes"));
}

static void all_of_a_kind_are_listed_page_by_page(void **state)
{
	(void)state;
	set("juliet", 2, "b", "2");
	set("juliet", 2, "a", "1");
	set("juliet", 2, "c", "3");
	set("juliet", 3, "d", "4");
	assert_string_equal(list("juliet", 2, "", 10000), "a=1 b=2 c=3");
	assert_string_equal(list("juliet", 2, "a", 10000), "b=2 c=3");
	assert_string_equal(list("juliet", 2, "", 1), "a=1 more");
	assert_string_equal(list("juliet", 2, "c", 1), "");
	assert_string_equal(list("nobody", 2, "", 1), err_name(ERR_NOTFOUND));
}

static void an_account_takes_its_values_with_it(void **state)
{
	(void)state;
	set("juliet", 1, "", "card");
	assert_int_equal(accounts_del(d, S("juliet"), S("localhost")), ERR_OK);
	add_account("juliet");
	assert_string_equal(get("juliet", 1, ""), err_name(ERR_NOTFOUND));
	assert_int_equal(counted("juliet"), 0);
}

static uint64_t count_of(const char *sql)
{
	sqlite3_stmt *st = NULL;
	uint64_t n;

	if (sqlite3_prepare_v2(db_sqlite(d), sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db_sqlite(d)));
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* A row made up from nothing but the types of its columns. */
static void fill_table(const char *table)
{
	struct str sql = STR_INIT;
	sqlite3_stmt *st;
	int n = 0;

	str_addf(&sql, "INSERT INTO %s SELECT ", table);
	assert_int_equal(sqlite3_prepare_v2(db_sqlite(d),
					    "SELECT name, type, pk FROM pragma_table_info(?1)", -1,
					    &st, NULL),
			 SQLITE_OK);
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	for (; sqlite3_step(st) == SQLITE_ROW; n++) {
		const char *name = (const char *)sqlite3_column_text(st, 0);
		const char *type = (const char *)sqlite3_column_text(st, 1);

		str_addf(&sql, "%s%s", n ? ", " : "",
			 strcmp(name, "account") == 0	? "(SELECT id FROM accounts WHERE user = "
							  "'juliet')"
			 : strcmp(type, "INTEGER") == 0 ? "77"
			 : strcmp(type, "BLOB") == 0	? "x'00'"
							: "'t'");
	}
	sqlite3_finalize(st);
	if (sqlite3_exec(db_sqlite(d), sql.data, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql.data, sqlite3_errmsg(db_sqlite(d)));
	str_clear(&sql);
}

/* Also of tables that are made after this was written. */
static void no_table_keeps_anything_of_an_account_that_is_removed(void **state)
{
	char names[16][64], sql[1200];
	unsigned int n = 0;
	sqlite3_stmt *st;
	bool more;

	(void)state;
	assert_int_equal(sqlite3_prepare_v2(db_sqlite(d),
					    "SELECT m.name FROM sqlite_master m,"
					    " pragma_table_info(m.name) c"
					    " WHERE m.type = 'table' AND c.name = 'account'",
					    -1, &st, NULL),
			 SQLITE_OK);
	for (; sqlite3_step(st) == SQLITE_ROW && n < 16; n++)
		snprintf(names[n], sizeof(names[n]), "%s", sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	assert_true(n >= 6); /* scram, roster, offline, userdata, blocked, archive */
	for (unsigned int i = 0; i < n; i++) {
		fill_table(names[i]);
		snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", names[i]);
		assert_true(count_of(sql) > 0);
	}
	assert_int_equal(accounts_del(d, S("juliet"), S("localhost")), ERR_OK);
	assert_int_equal(archive_remove_gone(d, 10, &more), ERR_OK);
	for (unsigned int i = 0; i < n; i++) {
		snprintf(sql, sizeof(sql),
			 "SELECT count(*) FROM %s WHERE account NOT IN (SELECT id FROM accounts)",
			 names[i]);
		assert_int_equal(count_of(sql), 0);
		snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", names[i]);
		assert_int_equal(count_of(sql), strcmp(names[i], "scram") == 0 ? 2 : 0);
	}
}

/* ---- the records ---- */

static struct str data_set(const char *user, const char *value)
{
	struct str s = STR_INIT;

	msg_db_data_set_put(&s, &(struct msg_db_data_set){S(user), S("localhost"), DB_DATA_PRIVATE,
							  S("ns n"), S(value)});
	return s;
}

static void tell_left(struct store_rig *r, uint64_t n, const char *user)
{
	struct str s = STR_INIT;

	msg_db_data_set_put(&s, &(struct msg_db_data_set){S(user), S("localhost"), DB_DATA_LAST,
							  S(""), S("gone")});
	rig_send(r, n, &s);
	str_clear(&s);
}

static void assert_left(struct store_rig *r, uint64_t n, const char *user)
{
	struct msg_db_data got;
	struct str s = STR_INIT;

	msg_db_data_get_put(
		&s, &(struct msg_db_data_get){S(user), S("localhost"), DB_DATA_LAST, S("")});
	assert_int_equal(rig_ask_take(r, n, s), ERR_OK);
	assert_int_equal(msg_db_data_get(rig_body(r, MSG_DB_DATA), &got), ERR_OK);
	assert_true(slice_is(got.value, "gone"));
}

static uint64_t commits(struct store_rig *r)
{
	struct str stats = STR_INIT;
	uint64_t n;

	store_add_stats(r->store, &stats);
	n = strtoull(strstr(stats.data, "store_commits=") + strlen("store_commits="), NULL, 10);
	str_clear(&stats);
	return n;
}

static void those_who_left_are_written_together_within_a_second(void **state)
{
	struct store_rig *r = *state;
	uint64_t before;

	rig_ask_take(r, 1, rig_add("juliet"));
	rig_ask_take(r, 2, rig_add("romeo"));
	before = commits(r);
	tell_left(r, 3, "juliet");
	rig_turn(r, 0, 50);
	tell_left(r, 4, "romeo");
	assert_false(store_idle(r->store));
	assert_int_equal(commits(r), before);
	rig_turn(r, 2, 1000);
	assert_false(r->timed_out);
	assert_true(store_idle(r->store));
	assert_int_equal(commits(r), before + 1);
	assert_left(r, 5, "juliet");
	assert_left(r, 6, "romeo");
}

static void who_asks_or_stops_does_not_wait_for_those_who_left(void **state)
{
	struct store_rig *r = *state;

	rig_ask_take(r, 1, rig_add("juliet"));
	rig_ask_take(r, 2, rig_add("romeo"));
	tell_left(r, 3, "juliet");
	assert_left(r, 4, "juliet"); /* ordered: behind what came before */
	tell_left(r, 5, "romeo");
	store_close(&r->store);
	rig_start(r);
	assert_left(r, 6, "romeo");
}

static void the_records_carry_them(void **state)
{
	struct store_rig *r = *state;
	struct msg_db_data got;
	struct msg_db_data_rows rows;
	struct str s = STR_INIT;

	rig_ask_take(r, 1, rig_add("juliet"));
	assert_int_equal(rig_ask_take(r, 2, data_set("juliet", "<n/>")), ERR_OK);
	rig_body(r, MSG_DB_DONE);
	assert_int_equal(rig_ask_take(r, 3, data_set("nobody", "<n/>")), ERR_NOTFOUND);
	msg_db_data_get_put(&s, &(struct msg_db_data_get){S("juliet"), S("localhost"),
							  DB_DATA_PRIVATE, S("ns n")});
	assert_int_equal(rig_ask_take(r, 4, s), ERR_OK);
	assert_int_equal(msg_db_data_get(rig_body(r, MSG_DB_DATA), &got), ERR_OK);
	assert_true(slice_is(got.value, "<n/>"));
	assert_true(got.changed_ms > UINT64_C(1600000000000));
	str_init(&s);
	msg_db_data_list_put(&s, &(struct msg_db_data_list){S("juliet"), S("localhost"),
							    DB_DATA_PRIVATE, S(""), 1000});
	assert_int_equal(rig_ask_take(r, 5, s), ERR_OK);
	assert_int_equal(msg_db_data_rows_get(rig_body(r, MSG_DB_DATA_ROWS), &rows), ERR_OK);
	assert_int_equal(rows.count, 1);
	assert_int_equal(rows.more, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_value_is_kept_by_user_kind_and_key, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_value_is_replaced_and_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_users_share_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(a_value_and_a_key_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(all_of_a_kind_are_listed_page_by_page, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_account_takes_its_values_with_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			no_table_keeps_anything_of_an_account_that_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(those_who_left_are_written_together_within_a_second,
						rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(who_asks_or_stops_does_not_wait_for_those_who_left,
						rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(the_records_carry_them, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
