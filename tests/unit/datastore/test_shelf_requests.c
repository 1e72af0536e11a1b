/* The shelf by way of requests: beside other writes, on disks that fail, in great numbers. */
#include "fault_vfs.h"
#include "shelf_changes.h"
#include "store_rig.h"

static struct str shelf_request(uint64_t n, const char *body)
{
	struct str s = STR_INIT;

	put(BIG + 3, 1, n, body);
	msg_db_shelf_put(&s, &(struct msg_db_shelf){str_slice(&changes)});
	str_reset(&changes);
	return s;
}

static struct str shelf_del_request(uint64_t n, uint64_t upto)
{
	struct str s = STR_INIT;

	del(BIG + 3, 1, n, upto);
	msg_db_shelf_del_put(&s, &(struct msg_db_shelf_del){str_slice(&changes)});
	str_reset(&changes);
	return s;
}

static struct str shelf_get_request(void)
{
	struct str s = STR_INIT;

	msg_db_shelf_get_put(&s, &(struct msg_db_shelf_get){.bytes = 100000});
	return s;
}

/* What the last answer, one page, has. */
static void expect_rows(struct store_rig *r, const char *want)
{
	struct msg_db_shelf_rows m;
	struct str text = STR_INIT;
	struct db_shelf_row row;

	assert_int_equal(msg_db_shelf_rows_get(rig_body(r, MSG_DB_SHELF_ROWS), &m), ERR_OK);
	assert_int_equal(m.more, 0);
	for (; m.list.len; m.count--) {
		assert_true(db_shelf_row_get(&m.list, &row));
		add_row(&text, &row);
	}
	assert_int_equal(m.count, 0);
	assert_string_equal(text.data, want);
	str_clear(&text);
}

static void ask_rows(struct store_rig *r, const char *want)
{
	assert_int_equal(rig_ask_take(r, 999, shelf_get_request()), ERR_OK);
	expect_rows(r, want);
}

static void requests_go_the_same_way(void **state)
{
	struct store_rig *r = *state;
	struct str s = STR_INIT;

	ask_rows(r, "");
	assert_int_equal(rig_ask_take(r, 1, shelf_request(1, "a")), ERR_OK);
	rig_body(r, MSG_DB_DONE);
	assert_int_equal(rig_ask_take(r, 2, shelf_request(2, "b")), ERR_OK);
	ask_rows(r, "8000000000000003/1/1=a 8000000000000003/1/2=b");
	assert_int_equal(rig_ask_take(r, 3, shelf_del_request(1, 1)), ERR_OK);
	rig_body(r, MSG_DB_DONE);
	ask_rows(r, "8000000000000003/1/2=b");
	/* One refused in the middle of a batch leaves no trace. */
	put(1, 1, 1, "c");
	str_adds(&changes, "garbage");
	msg_db_shelf_put(&s, &(struct msg_db_shelf){str_slice(&changes)});
	str_reset(&changes);
	assert_int_equal(rig_ask_take(r, 4, s), ERR_FORMAT);
	str_init(&s);
	put(1, 1, 1, "c");
	msg_db_shelf_del_put(&s, &(struct msg_db_shelf_del){str_slice(&changes)});
	str_reset(&changes);
	assert_int_equal(rig_ask_take(r, 6, s), ERR_FORMAT); /* that takes no rows */
	r->options.limits.shelf_bytes = 3;
	store_set_options(r->store, &r->options);
	assert_int_equal(rig_ask_take(r, 5, shelf_request(3, "abc")), ERR_FULL);
	ask_rows(r, "8000000000000003/1/2=b");
}

/* The result is not kept under the operation's id: that is two writes less for each. */
static void a_repeat_is_done_again_and_changes_nothing(void **state)
{
	struct store_rig *r = *state;
	struct str stats = STR_INIT;

	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_ask_take(r, 1, shelf_request(1, "a")), ERR_OK);
	ask_rows(r, "8000000000000003/1/1=a");
	for (int i = 0; i < 2; i++)
		assert_int_equal(rig_ask_take(r, 2, shelf_del_request(1, 1)), ERR_OK);
	ask_rows(r, "");
	store_add_stats(r->store, &stats);
	assert_non_null(strstr(stats.data, "store_repeats=0 "));
	str_clear(&stats);
}

/* A new router reads what the old one's last request may still be writing. */
static void reading_waits_for_the_writes_before_it(void **state)
{
	struct store_rig *r = *state;
	struct str s;

	for (uint64_t n = 1; n <= 50; n++) {
		s = shelf_request(1, n % 2 ? "odd" : "even");
		rig_send(r, 2 * n, &s);
		str_clear(&s);
		s = shelf_get_request();
		rig_send(r, 2 * n + 1, &s);
		str_clear(&s);
		rig_turn(r, 2, 20000);
		assert_int_equal(r->op_n, 2 * n + 1);
		expect_rows(r, n % 2 ? "8000000000000003/1/1=odd" : "8000000000000003/1/1=even");
	}
}

static void a_full_disk_refuses_rows_and_recovers(void **state)
{
	struct store_rig *r = *state;

	assert_int_equal(rig_ask_take(r, 1, shelf_request(1, "a")), ERR_OK);
	fault_errno = ENOSPC;
	fault_write_code = SQLITE_FULL;
	assert_int_equal(rig_ask_take(r, 2, shelf_request(2, "b")), ERR_NOSPACE);
	ask_rows(r, "8000000000000003/1/1=a");
	fault_none();
	rig_turn(r, 0, 2500);
	assert_null(r->alarm);
	assert_int_equal(rig_ask_take(r, 2, shelf_request(2, "b")), ERR_OK);
	ask_rows(r, "8000000000000003/1/1=a 8000000000000003/1/2=b");
}

static void damage_is_never_an_empty_shelf(void **state)
{
	struct store_rig *r = *state;

	assert_int_equal(rig_ask_take(r, 1, shelf_request(1, "a")), ERR_OK);
	store_close(&r->store);
	rig_start(r);
	fault_read_code = SQLITE_CORRUPT;
	assert_int_equal(rig_ask_take(r, 2, shelf_get_request()), ERR_CORRUPT);
	fault_none();
	assert_int_equal(rig_ask_take(r, 3, shelf_request(2, "b")), ERR_CORRUPT);
	assert_int_equal(rig_ask_take(r, 4, shelf_del_request(1, 1)), ERR_CORRUPT);
	ask_rows(r, "8000000000000003/1/1=a"); /* what can be read is told */
}

static void send_gathered(struct store_rig *r, uint64_t n)
{
	struct str s = STR_INIT;

	msg_db_shelf_put(&s, &(struct msg_db_shelf){str_slice(&changes)});
	str_reset(&changes);
	assert_int_equal(rig_ask_take(r, n, s), ERR_OK);
}

/* 10,000 sessions whose connection manager was killed, as the router sends them; and their rows
 * go again, all in one batch: what one change costs must not grow with their number. */
static void ten_thousand_sessions_come_and_go_quickly(void **state)
{
	enum { SESSIONS = 10000 };
	struct store_rig *r = *state;
	struct monotime from = monotime_now(), kept;
	static uint64_t sids[SESSIONS];
	char body[601];
	uint64_t n = 0;

	r->options.limits.shelf_bytes = 1 << 30;
	store_set_options(r->store, &r->options);
	memset(body, 'b', 600);
	body[600] = '\0';
	for (unsigned int i = 0; i < SESSIONS; i++) {
		sids[i] = random_u64();
		put(sids[i], 1, 1, body);
		if (changes.len > 1024 * 1024 - 700)
			send_gathered(r, ++n);
	}
	send_gathered(r, ++n);
	kept = monotime_now();
	for (unsigned int i = 0; i < SESSIONS; i++)
		del(sids[i], 1, 0, UINT64_MAX);
	send_gathered(r, ++n);
	print_message("kept in %llu ms, gone in %llu ms\n",
		      (unsigned long long)monotime_ms_between(from, kept),
		      (unsigned long long)monotime_ms_between(kept, monotime_now()));
	ask_rows(r, "");
	assert_true(monotime_ms_between(from, monotime_now()) < 15000); /* a slow machine's */
}

static int rig_begin(void **state)
{
	fault_none();
	str_init(&changes);
	return rig_setup(state);
}

static int rig_end(void **state)
{
	fault_none();
	str_clear(&changes);
	return rig_teardown(state);
}

#define WITH_RIG(t) cmocka_unit_test_setup_teardown(t, rig_begin, rig_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(requests_go_the_same_way),
		WITH_RIG(a_repeat_is_done_again_and_changes_nothing),
		WITH_RIG(reading_waits_for_the_writes_before_it),
		WITH_RIG(a_full_disk_refuses_rows_and_recovers),
		WITH_RIG(damage_is_never_an_empty_shelf),
		WITH_RIG(ten_thousand_sessions_come_and_go_quickly),
	};

	fault_vfs_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
