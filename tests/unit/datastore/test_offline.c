/* Messages for users who are away, as the datastore keeps them. */
#include "store_rig.h"

#include "datastore/accounts.h"
#include "datastore/offline.h"

static const struct offline_quota roomy = {100, 100000};

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

static struct str message(uint64_t sid, uint64_t n, const char *inner)
{
	struct str s = STR_INIT;

	db_offline_put(&s, &(struct db_offline){.origin_sid = sid,
						.origin_n = n,
						.kind = 1,
						.type = 3,
						.flags = 0x11,
						.from = S("romeo@localhost/x"),
						.to = S("juliet@localhost"),
						.stanza_id = S("id1"),
						.lang = S("it"),
						.children = S("index"),
						.inner = S(inner)});
	return s;
}

static enum err add_quota(const char *user, uint64_t n, const char *inner,
			  const struct offline_quota *q)
{
	struct str s = message(UINT64_MAX - 7, n, inner);
	enum err e;

	str_reset(&why);
	e = offline_add(d, S(user), S("localhost"), str_slice(&s), 1000 + n, q, &why);
	str_clear(&s);
	return e;
}

static enum err add(const char *user, uint64_t n, const char *inner)
{
	return add_quota(user, n, inner, &roomy);
}

/* The contents of one page as "1:body 2:body more"; the numbers are those of the origins. */
static const char *page(const char *user, uint64_t after, uint32_t bytes, uint64_t *last)
{
	static struct str text;
	struct str out = STR_INIT;
	struct db_offline o;
	struct slice in;
	uint32_t count = 99, seen = 0;
	bool more;

	str_init(&text);
	assert_int_equal(offline_get(d, S(user), S("localhost"), after, bytes, &out, &count, &more),
			 ERR_OK);
	in = str_slice(&out);
	while (in.len) {
		assert_true(db_offline_get(&in, &o));
		assert_true(o.origin_sid == UINT64_MAX - 7);
		str_addf(&text, "%s%llu:%.*s", seen++ ? " " : "", (unsigned long long)o.origin_n,
			 SLICE_ARG(o.inner));
		if (last)
			*last = o.id;
	}
	assert_int_equal(seen, count);
	str_adds(&text, more ? " more" : "");
	str_clear(&out);
	return text.data;
}

static void expect_page(const char *user, uint64_t after, uint32_t bytes, uint64_t *last,
			const char *want)
{
	char *got = (char *)page(user, after, bytes, last);

	assert_string_equal(got, want);
	if (*got)
		free(got);
}

static enum err del(const char *user, uint64_t first, uint64_t count, uint64_t now_ms)
{
	struct str ids = STR_INIT;
	enum err e;

	for (uint64_t id = first; id < first + count; id++)
		codec_put_u64(&ids, id);
	e = offline_del(d, S(user), S("localhost"), str_slice(&ids), now_ms, &why);
	str_clear(&ids);
	return e;
}

static void every_field_comes_back(void **state)
{
	struct str in = message(7, 8, "<body>hi</body>"), out = STR_INIT;
	struct db_offline a, b;
	struct slice rest;
	uint32_t count;
	bool more;

	(void)state;
	assert_int_equal(
		offline_add(d, S("juliet"), S("localhost"), str_slice(&in), 4321, &roomy, &why),
		ERR_OK);
	assert_int_equal(offline_get(d, S("juliet"), S("localhost"), 0, 1000, &out, &count, &more),
			 ERR_OK);
	rest = str_slice(&out);
	assert_true(db_offline_get(&rest, &b));
	assert_int_equal(rest.len, 0);
	rest = str_slice(&in);
	assert_true(db_offline_get(&rest, &a));
	assert_true(b.id > 0);
	assert_int_equal(b.stamp_ms, 4321);
	assert_int_equal(b.origin_sid, 7);
	assert_int_equal(b.origin_n, 8);
	assert_int_equal(b.kind, 1);
	assert_int_equal(b.type, 3);
	assert_int_equal(b.flags, 0x11);
	assert_true(slice_eq(a.from, b.from) && slice_eq(a.to, b.to));
	assert_true(slice_eq(a.stanza_id, b.stanza_id) && slice_eq(a.lang, b.lang));
	assert_true(slice_eq(a.children, b.children) && slice_eq(a.inner, b.inner));
	str_clear(&in);
	str_clear(&out);
}

static void a_stamp_that_is_known_is_kept(void **state)
{
	struct str in = STR_INIT, out = STR_INIT;
	struct db_offline o;
	struct slice rest;
	uint32_t count;
	bool more;

	(void)state;
	db_offline_put(&in, &(struct db_offline){.origin_sid = 1, .origin_n = 1, .stamp_ms = 17});
	assert_int_equal(
		offline_add(d, S("juliet"), S("localhost"), str_slice(&in), 4321, &roomy, &why),
		ERR_OK);
	assert_int_equal(offline_get(d, S("juliet"), S("localhost"), 0, 1000, &out, &count, &more),
			 ERR_OK);
	rest = str_slice(&out);
	assert_true(db_offline_get(&rest, &o));
	assert_int_equal(o.stamp_ms, 17);
	str_clear(&in);
	str_clear(&out);
}

static void messages_come_in_order_page_by_page(void **state)
{
	uint64_t last = 0;

	(void)state;
	assert_int_equal(add("juliet", 3, "aaa"), ERR_OK);
	assert_int_equal(add("romeo", 9, "not hers"), ERR_OK);
	assert_int_equal(add("juliet", 1, "bbb"), ERR_OK);
	assert_int_equal(add("juliet", 2, "ccc"), ERR_OK);
	expect_page("juliet", 0, 100000, NULL, "3:aaa 1:bbb 2:ccc");
	expect_page("juliet", 0, 1, &last, "3:aaa more");	/* one at least */
	expect_page("juliet", last, 300, &last, "1:bbb 2:ccc"); /* about 130 each */
	expect_page("juliet", last, 100, NULL, "");
	expect_page("romeo", 0, 100, NULL, "9:not hers");
}

static void a_repeat_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(add("juliet", 1, "a"), ERR_OK);
	assert_int_equal(add("juliet", 1, "a"), ERR_OK);
	expect_page("juliet", 0, 1000, NULL, "1:a");
}

static void a_repeat_is_known_for_a_while_after_delivery(void **state)
{
	uint64_t last;

	(void)state;
	assert_int_equal(add("juliet", 1, "a"), ERR_OK);
	expect_page("juliet", 0, 1000, &last, "1:a");
	assert_int_equal(del("juliet", last, 1, 2000), ERR_OK);
	assert_int_equal(add("juliet", 1, "a"), ERR_OK);
	expect_page("juliet", 0, 1000, NULL, "");
	assert_int_equal(offline_prune(d, 2000, 10), ERR_OK); /* not older than that */
	assert_int_equal(add("juliet", 1, "a"), ERR_OK);
	expect_page("juliet", 0, 1000, NULL, "");
	assert_int_equal(offline_prune(d, 2001, 10), ERR_OK);
	assert_int_equal(add("juliet", 1, "a"), ERR_OK);
	expect_page("juliet", 0, 1000, NULL, "1:a");
}

static void deletion_takes_what_is_named_and_his(void **state)
{
	uint64_t last;

	(void)state;
	assert_int_equal(add("juliet", 1, "a"), ERR_OK);
	assert_int_equal(add("juliet", 2, "b"), ERR_OK);
	assert_int_equal(add("juliet", 3, "c"), ERR_OK);
	assert_int_equal(add("romeo", 4, "his"), ERR_OK);
	expect_page("juliet", 0, 1000, &last, "1:a 2:b 3:c");
	assert_int_equal(del("juliet", last + 1, 1, 2000), ERR_OK); /* romeo's */
	expect_page("romeo", 0, 1000, NULL, "4:his");
	assert_int_equal(del("juliet", last - 2, 2, 2000), ERR_OK);
	assert_int_equal(del("juliet", last - 2, 2, 2000), ERR_OK); /* again: gone already */
	expect_page("juliet", 0, 1000, NULL, "3:c");
	assert_int_equal(offline_del(d, S("juliet"), S("localhost"), S("123"), 1, &why),
			 ERR_FORMAT);
}

static void ids_never_come_again(void **state)
{
	uint64_t first, second;

	(void)state;
	assert_int_equal(add("juliet", 1, "a"), ERR_OK);
	expect_page("juliet", 0, 1000, &first, "1:a");
	assert_int_equal(del("juliet", first, 1, 2000), ERR_OK);
	assert_int_equal(add("juliet", 2, "b"), ERR_OK);
	expect_page("juliet", 0, 1000, &second, "2:b");
	assert_true(second > first);
}

static void a_full_store_refuses_until_something_is_delivered(void **state)
{
	/* One message's addresses and index are 43 bytes. */
	const struct offline_quota two = {2, 100000}, bytes = {100, 2 * 43 + 9};
	uint64_t last;

	(void)state;
	assert_int_equal(add_quota("juliet", 1, "aaaa", &two), ERR_OK);
	assert_int_equal(add_quota("juliet", 2, "aaaa", &two), ERR_OK);
	assert_int_equal(add_quota("juliet", 3, "aaaa", &two), ERR_FULL);
	assert_non_null(strstr(why.data, "datastore.offline_messages (2)"));
	assert_int_equal(add_quota("juliet", 2, "aaaa", &two), ERR_OK); /* a repeat needs no room */
	assert_int_equal(add_quota("romeo", 4, "aaaa", &two), ERR_OK);
	expect_page("juliet", 0, 1000, &last, "1:aaaa 2:aaaa");
	assert_int_equal(del("juliet", last, 1, 2000), ERR_OK);
	assert_int_equal(add_quota("juliet", 3, "aaaaaa", &bytes), ERR_FULL);
	assert_int_equal(add_quota("juliet", 3, "aaaaa", &bytes), ERR_OK);
}

static void nobody_stores_for_an_account_that_is_not_there(void **state)
{
	struct str out = STR_INIT;
	uint32_t count;
	bool more;

	(void)state;
	assert_int_equal(add("nobody", 1, "a"), ERR_NOTFOUND);
	assert_int_equal(offline_get(d, S("nobody"), S("localhost"), 0, 1000, &out, &count, &more),
			 ERR_NOTFOUND);
	assert_int_equal(del("nobody", 1, 1, 2000), ERR_NOTFOUND);
	assert_int_equal(offline_add(d, S("juliet"), S("localhost"), S("junk"), 1, &roomy, &why),
			 ERR_FORMAT);
}

static void an_account_takes_its_messages_with_it(void **state)
{
	(void)state;
	assert_int_equal(add("juliet", 1, "a"), ERR_OK);
	assert_int_equal(accounts_del(d, S("juliet"), S("localhost")), ERR_OK);
	add_account("juliet");
	expect_page("juliet", 0, 1000, NULL, "");
	assert_int_equal(add_quota("juliet", 2, "b", &(struct offline_quota){1, 100}), ERR_OK);
}

/* A file as the first release made it, with an account in it. */
static void write_version_1(const struct fixture *f)
{
	int fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct db *old = NULL;

	close(fd);
	assert_int_equal(db_open(&old, f->path, DB_WRITER, &why), ERR_OK);
	assert_int_equal(schema_migrate(old, schema_steps, 1, &why), ERR_OK);
	assert_int_equal(sqlite3_exec(db_sqlite(old), "PRAGMA application_id = 0x52484453", NULL,
				      NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(db_sqlite(old),
				      "INSERT INTO accounts(domain, user, created, roster_version)"
				      " VALUES('localhost', 'juliet', 5000, 5000)",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	db_close(&old);
}

static void a_database_of_version_1_is_brought_up(void **state)
{
	struct fixture *f = *state;
	uint64_t id, created, version = 0;

	str_init(&why);
	write_version_1(f);
	d = fixture_open(f);
	assert_int_equal(schema_version(d, &version), ERR_OK);
	assert_int_equal(version, schema_steps_count);
	assert_true(version >= 2);
	assert_int_equal(accounts_id(d, S("juliet"), S("localhost"), &id, &created), ERR_OK);
	assert_int_equal(created, 5000);
	assert_int_equal(add("juliet", 1, "a"), ERR_OK);
	expect_page("juliet", 0, 1000, NULL, "1:a");
	db_close(&d);
	str_clear(&why);
}

static struct str rig_offline(uint64_t n)
{
	struct str packed = message(5, n, "<body>hi</body>"), s = STR_INIT;

	msg_db_offline_add_put(
		&s, &(struct msg_db_offline_add){S("juliet"), S("localhost"), str_slice(&packed)});
	str_clear(&packed);
	return s;
}

static struct str rig_offline_get(uint64_t after)
{
	struct str s = STR_INIT;

	msg_db_offline_get_put(
		&s, &(struct msg_db_offline_get){S("juliet"), S("localhost"), after, 100000});
	return s;
}

static void requests_go_the_same_way(void **state)
{
	struct store_rig *r = *state;
	struct str ids = STR_INIT, s = STR_INIT;
	struct msg_db_offline m;
	struct db_offline o;
	struct slice in;

	r->options.limits.offline = (struct offline_quota){2, 1000};
	store_set_options(r->store, &r->options);
	assert_int_equal(rig_ask_take(r, 1, rig_offline(1)), ERR_NOTFOUND);
	assert_int_equal(rig_ask_take(r, 2, rig_add("juliet")), ERR_OK);
	assert_int_equal(rig_ask_take(r, 3, rig_offline(1)), ERR_OK);
	rig_body(r, MSG_DB_DONE);
	assert_int_equal(rig_ask_take(r, 4, rig_offline(2)), ERR_OK);
	assert_int_equal(rig_ask_take(r, 5, rig_offline(3)), ERR_FULL);
	assert_int_equal(rig_ask_take(r, 6, rig_offline_get(0)), ERR_OK);
	assert_int_equal(msg_db_offline_get(rig_body(r, MSG_DB_OFFLINE), &m), ERR_OK);
	assert_int_equal(m.count, 2);
	assert_int_equal(m.more, 0);
	in = m.list;
	assert_true(db_offline_get(&in, &o));
	assert_true(o.stamp_ms > 1600000000000); /* the wall clock's */
	codec_put_u64(&ids, o.id);
	msg_db_offline_del_put(
		&s, &(struct msg_db_offline_del){S("juliet"), S("localhost"), str_slice(&ids)});
	assert_int_equal(rig_ask_take(r, 7, s), ERR_OK);
	assert_int_equal(rig_ask_take(r, 8, rig_offline_get(0)), ERR_OK);
	assert_int_equal(msg_db_offline_get(rig_body(r, MSG_DB_OFFLINE), &m), ERR_OK);
	assert_int_equal(m.count, 1);
	str_clear(&ids);
}

#define WITH_DB(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(every_field_comes_back),
		WITH_DB(a_stamp_that_is_known_is_kept),
		WITH_DB(messages_come_in_order_page_by_page),
		WITH_DB(a_repeat_changes_nothing),
		WITH_DB(a_repeat_is_known_for_a_while_after_delivery),
		WITH_DB(deletion_takes_what_is_named_and_his),
		WITH_DB(ids_never_come_again),
		WITH_DB(a_full_store_refuses_until_something_is_delivered),
		WITH_DB(nobody_stores_for_an_account_that_is_not_there),
		WITH_DB(an_account_takes_its_messages_with_it),
		cmocka_unit_test_setup_teardown(a_database_of_version_1_is_brought_up,
						fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(requests_go_the_same_way, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
