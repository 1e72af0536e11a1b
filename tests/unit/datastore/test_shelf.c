/* The shelf: what the router keeps here of sessions that are away. */
#include "shelf_changes.h"

#include "datastore/shelf.h"

static struct str why;
static struct db *d;
static uint64_t limit;

static int setup(void **state)
{
	str_init(&why);
	str_init(&changes);
	limit = 1000000;
	fixture_setup(state);
	d = fixture_open(*state);
	return 0;
}

static int teardown(void **state)
{
	db_close(&d);
	str_clear(&why);
	str_clear(&changes);
	return fixture_teardown(state);
}

/* Applies what was gathered, as the writer does: a failure is undone. */
static enum err apply(bool deletions_only)
{
	enum err e;

	str_reset(&why);
	assert_int_equal(db_exec(d, "SAVEPOINT op"), ERR_OK);
	e = shelf_apply(d, str_slice(&changes), deletions_only, limit, &why);
	if (e != ERR_OK)
		assert_int_equal(db_exec(d, "ROLLBACK TO op"), ERR_OK);
	assert_int_equal(db_exec(d, "RELEASE op"), ERR_OK);
	str_reset(&changes);
	return e;
}

/* Everything, page by page of so many bytes, as "sid/kind/n=body ..."; each page says whether there
 * are others, and only the last may be short. */
static void expect_paged(uint32_t bytes, const char *want)
{
	struct db_shelf_row row = {0};
	struct str out = STR_INIT, text = STR_INIT;
	uint32_t count, seen;
	struct slice in;
	bool more = true;

	while (more) {
		str_reset(&out);
		assert_int_equal(shelf_get(d, row.sid, row.kind, row.n, bytes, &out, &count, &more),
				 ERR_OK);
		in = str_slice(&out);
		for (seen = 0; in.len; seen++) {
			assert_true(db_shelf_row_get(&in, &row));
			add_row(&text, &row);
		}
		assert_int_equal(seen, count);
		assert_true(count > 0 || !more);
	}
	assert_string_equal(text.data, want);
	str_clear(&out);
	str_clear(&text);
}

static void expect(const char *want)
{
	expect_paged(1000, want);
}

/* What shelf_size says, and what the bodies really are. */
static void expect_size(uint64_t want)
{
	static const char *const sql[] = {"SELECT bytes FROM shelf_size",
					  "SELECT ifnull(sum(length(body)), 0) FROM shelf"};

	for (int i = 0; i < 2; i++) {
		sqlite3_stmt *st = db_stmt(d, sql[i]);

		assert_int_equal(db_row(d, st), ERR_OK);
		assert_int_equal(db_int(st, 0), want);
		db_end(st);
	}
}

static void rows_come_back_in_the_order_of_their_keys(void **state)
{
	(void)state;
	expect("");
	put(7, 2, 3, "c");
	put(7, 1, 9, "a");
	put(7, 2, 2, "b");
	put(6, 255, 1, "");
	put(0, 0, 1, "first");
	assert_int_equal(apply(false), ERR_OK);
	expect("0/0/1=first 6/255/1= 7/1/9=a 7/2/2=b 7/2/3=c");
	expect_size(8);
}

/* Signed numbers would begin with the upper half, and starting from 0 would leave it out. */
static void sids_of_all_64_bits_page_once_each_and_in_full(void **state)
{
	static const char want[] = "1/1/1=a 7fffffffffffffff/1/1=b 8000000000000000/0/0=c "
				   "8000000000000000/1/7fffffffffffffff=d "
				   "8000000000000000/1/8000000000000000=e "
				   "8000000000000000/1/ffffffffffffffff=f ffffffffffffffff/1/1=g";

	(void)state;
	put(UINT64_MAX, 1, 1, "g");
	put(BIG, 1, UINT64_MAX, "f");
	put(BIG, 1, BIG, "e");
	put(BIG, 1, BIG - 1, "d");
	put(BIG, 0, 0, "c");
	put(BIG - 1, 1, 1, "b");
	put(1, 1, 1, "a");
	assert_int_equal(apply(false), ERR_OK);
	expect_paged(0, want); /* one at a time */
	expect_paged(60, want);
	expect_paged(100000, want);
}

static void random_sids_page_once_each_and_in_full(void **state)
{
	enum { ROWS = 500 };
	struct db_shelf_row row = {0};
	struct str out = STR_INIT;
	uint64_t sum = 0, last = 0;
	uint32_t count, seen = 0;
	struct slice in;
	bool more = true;

	(void)state;
	for (int i = 0; i < ROWS; i++) {
		uint64_t sid = random_u64();

		sum += sid;
		put(sid, 1, 1, "0123456789");
	}
	assert_int_equal(apply(false), ERR_OK);
	while (more) {
		str_reset(&out);
		assert_int_equal(shelf_get(d, row.sid, row.kind, row.n, 777, &out, &count, &more),
				 ERR_OK);
		for (in = str_slice(&out); in.len; seen++) {
			assert_true(db_shelf_row_get(&in, &row));
			assert_true(row.sid > last);
			last = row.sid;
			sum -= row.sid;
		}
	}
	assert_int_equal(seen, ROWS);
	assert_true(sum == 0);
	str_clear(&out);
}

static void a_page_is_about_as_many_bytes_as_asked_for(void **state)
{
	struct str out = STR_INIT, body = STR_INIT;
	uint32_t count;
	bool more;

	(void)state;
	limit = 10000000;
	while (body.len < 10000)
		str_adds(&body, "0123456789");
	for (uint64_t n = 1; n <= 300; n++)
		put(5, 1, n, body.data);
	assert_int_equal(apply(false), ERR_OK);
	assert_int_equal(shelf_get(d, 0, 0, 0, 50500, &out, &count, &more), ERR_OK);
	assert_int_equal(count, 5);
	assert_true(more);
	str_reset(&out);
	assert_int_equal(shelf_get(d, 5, 1, 295, 50500, &out, &count, &more), ERR_OK);
	assert_int_equal(count, 5);
	assert_false(more);
	/* However many are asked for, they fit into one record. */
	str_reset(&out);
	assert_int_equal(shelf_get(d, 0, 0, 0, UINT32_MAX, &out, &count, &more), ERR_OK);
	assert_in_range(out.len, 1000000, 1024 * 1024);
	assert_true(more);
	str_clear(&out);
	str_clear(&body);
}

static void a_row_is_replaced(void **state)
{
	(void)state;
	put(7, 1, 1, "old and long");
	put(7, 1, 2, "stays");
	assert_int_equal(apply(false), ERR_OK);
	expect_size(17);
	put(7, 1, 1, "new");
	assert_int_equal(apply(false), ERR_OK);
	expect("7/1/1=new 7/1/2=stays");
	expect_size(8);
	put(7, 1, 1, "new");
	assert_int_equal(apply(false), ERR_OK); /* a repeat */
	expect("7/1/1=new 7/1/2=stays");
	expect_size(8);
}

static void a_range_is_deleted_and_nothing_beside_it(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= 6; n++)
		put(BIG + 7, 2, n, "x");
	put(BIG + 7, 1, 3, "kind");
	put(BIG + 7, 3, 3, "kind");
	put(7, 2, 3, "sid");
	assert_int_equal(apply(false), ERR_OK);
	del(BIG + 7, 2, 2, 4);
	assert_int_equal(apply(true), ERR_OK);
	expect("7/2/3=sid 8000000000000007/1/3=kind 8000000000000007/2/1=x "
	       "8000000000000007/2/5=x 8000000000000007/2/6=x 8000000000000007/3/3=kind");
	expect_size(14);
	del(BIG + 7, 2, 2, 4); /* again: they are gone */
	del(99, 2, 0, UINT64_MAX);
	del(BIG + 7, 2, 6, 5); /* an empty range */
	assert_int_equal(apply(true), ERR_OK);
	expect_size(14);
	del(BIG + 7, 2, 0, UINT64_MAX); /* all of them */
	assert_int_equal(apply(true), ERR_OK);
	expect("7/2/3=sid 8000000000000007/1/3=kind 8000000000000007/3/3=kind");
	expect_size(11);
}

static void changes_are_done_in_their_order(void **state)
{
	(void)state;
	put(1, 1, 1, "a");
	del(1, 1, 0, 9);
	put(1, 1, 2, "b");
	put(1, 1, 2, "c");
	assert_int_equal(apply(false), ERR_OK);
	expect("1/1/2=c");
	expect_size(1);
}

static void all_or_nothing(void **state)
{
	struct str good = STR_INIT;

	(void)state;
	put(1, 1, 1, "kept");
	assert_int_equal(apply(false), ERR_OK);
	del(1, 1, 1, 1);
	put(2, 1, 1, "body");
	str_add_slice(&good, str_slice(&changes));
	for (size_t cut = 1; cut < good.len; cut++) {
		str_reset(&changes);
		str_add(&changes, good.data, cut);
		/* Behind the first change it is whole, and shorter. */
		if (cut == good.len - 34)
			continue;
		if (apply(false) != ERR_FORMAT)
			fail_msg("cut at %zu: %s", cut, why.data);
		assert_string_equal(why.data, "the packed changes of the shelf are malformed");
	}
	expect("1/1/1=kept");
	str_add_slice(&changes, str_slice(&good));
	changes.data[good.len - 34] = 3; /* an operation that does not exist */
	assert_int_equal(apply(false), ERR_FORMAT);
	str_add_slice(&changes, str_slice(&good));
	put(0, 0, 0, "unreadable");
	assert_int_equal(apply(false), ERR_FORMAT);
	assert_non_null(strstr(why.data, "the key 0, 0, 0"));
	expect("1/1/1=kept");
	expect_size(4);
	str_add_slice(&changes, str_slice(&good));
	assert_int_equal(apply(false), ERR_OK);
	expect("2/1/1=body");
	str_clear(&good);
}

/* Whatever comes, the size is that of the rows, and what is refused changes nothing. */
static void garbage_is_refused_whole(void **state)
{
	unsigned int taken = 0, refused = 0;

	(void)state;
	put(1, 1, 1, "kept");
	assert_int_equal(apply(false), ERR_OK);
	for (int round = 0; round < 3000; round++) {
		uint64_t before = 0, after = 0;
		sqlite3_stmt *st;

		for (uint64_t r = random_u64() % 4 + 1; r; r--)
			random_u64() % 2 ? put(random_u64() % 3, 1, random_u64() % 4, "0123456")
					 : del(random_u64() % 3, 1, random_u64() % 3, 3);
		if (random_u64() % 2)
			changes.data[random_u64() % changes.len] ^= (char)(1 << random_u64() % 8);
		st = db_stmt(d, "SELECT total_changes()");
		assert_int_equal(db_row(d, st), ERR_OK);
		before = db_int(st, 0);
		if (apply(false) == ERR_OK) {
			taken++;
			continue;
		}
		refused++;
		st = db_stmt(d, "SELECT total_changes()");
		assert_int_equal(db_row(d, st), ERR_OK);
		after = db_int(st, 0);
		assert_int_equal(before, after); /* not even done and undone */
	}
	assert_true(taken > 1000);
	assert_true(refused > 100);
	put(1, 1, 1, "");
	del(0, 0, 0, UINT64_MAX);
	for (uint64_t sid = 0; sid < 3; sid++)
		del(sid, 1, 0, UINT64_MAX);
	assert_int_equal(apply(false), ERR_OK);
	{
		sqlite3_stmt *st = db_stmt(d, "SELECT (SELECT bytes FROM shelf_size) -"
					      " (SELECT ifnull(sum(length(body)), 0) FROM shelf)");

		assert_int_equal(db_row(d, st), ERR_OK);
		assert_int_equal(db_int(st, 0), 0);
		db_end(st);
	}
}

static void a_deletion_takes_no_rows(void **state)
{
	(void)state;
	put(1, 1, 1, "kept");
	assert_int_equal(apply(false), ERR_OK);
	del(1, 1, 1, 1);
	put(1, 1, 2, "smuggled");
	assert_int_equal(apply(true), ERR_FORMAT);
	assert_non_null(strstr(why.data, "DB_SHELF_DEL"));
	expect("1/1/1=kept");
}

static void beyond_the_limit_rows_are_refused_and_deletions_are_not(void **state)
{
	(void)state;
	limit = 10;
	put(1, 1, 1, "0123456789");
	assert_int_equal(apply(false), ERR_OK);
	put(1, 1, 2, "x");
	assert_int_equal(apply(false), ERR_FULL);
	assert_non_null(strstr(why.data, "holds 10 bytes"));
	assert_non_null(strstr(why.data, "datastore.shelf_bytes (10)"));
	expect("1/1/1=0123456789");
	put(1, 1, 2, "x");
	del(1, 1, 1, 1);
	put(1, 1, 3, "123456789");
	assert_int_equal(apply(false), ERR_OK); /* together they fit */
	expect("1/1/2=x 1/1/3=123456789");
	limit = 5; /* the operator thought again */
	put(1, 1, 3, "12345678");
	assert_int_equal(apply(false), ERR_OK); /* it becomes less */
	put(1, 1, 3, "123456789");
	assert_int_equal(apply(false), ERR_FULL);
	del(1, 1, 2, 2);
	assert_int_equal(apply(true), ERR_OK);
	expect_size(8);
}

static void a_shelf_without_its_size_is_damaged(void **state)
{
	(void)state;
	assert_int_equal(db_exec(d, "DELETE FROM shelf_size"), ERR_OK);
	put(1, 1, 1, "a");
	assert_int_equal(apply(false), ERR_CORRUPT);
}

static void a_database_of_version_2_is_brought_up(void **state)
{
	struct fixture *f = *state;
	uint64_t version = 0;
	int fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	close(fd);
	str_init(&why);
	str_init(&changes);
	assert_int_equal(db_open(&d, f->path, DB_WRITER, &why), ERR_OK);
	assert_int_equal(schema_migrate(d, schema_steps, 2, &why), ERR_OK);
	assert_int_equal(db_exec(d, "PRAGMA application_id = 0x52484453"), ERR_OK);
	db_close(&d);
	d = fixture_open(f);
	assert_int_equal(schema_version(d, &version), ERR_OK);
	assert_true(version >= 3);
	put(1, 1, 1, "a");
	assert_int_equal(apply(false), ERR_OK);
	expect("1/1/1=a");
	db_close(&d);
	str_clear(&why);
	str_clear(&changes);
}

#define WITH_DB(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(rows_come_back_in_the_order_of_their_keys),
		WITH_DB(sids_of_all_64_bits_page_once_each_and_in_full),
		WITH_DB(random_sids_page_once_each_and_in_full),
		WITH_DB(a_page_is_about_as_many_bytes_as_asked_for),
		WITH_DB(a_row_is_replaced),
		WITH_DB(a_range_is_deleted_and_nothing_beside_it),
		WITH_DB(changes_are_done_in_their_order),
		WITH_DB(all_or_nothing),
		WITH_DB(garbage_is_refused_whole),
		WITH_DB(a_deletion_takes_no_rows),
		WITH_DB(beyond_the_limit_rows_are_refused_and_deletions_are_not),
		WITH_DB(a_shelf_without_its_size_is_damaged),
		cmocka_unit_test_setup_teardown(a_database_of_version_2_is_brought_up,
						fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
