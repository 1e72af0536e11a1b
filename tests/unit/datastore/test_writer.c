#include "fixture.h"
#include "fault_vfs.h"

#include "datastore/accounts.h"
#include "datastore/rosters.h"
#include "datastore/writer.h"

#define DONE_MS 10000

struct rig {
	struct fixture f;
	struct writer *w;
	struct list done;
	uint64_t next_n;
};

static struct writer *start(struct rig *r)
{
	return writer_start_take(fixture_open(&r->f), r->f.dir, 0);
}

static int setup(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));

	fault_none();
	fixture_init(&r->f);
	r->w = start(r);
	list_init(&r->done);
	*state = r;
	return 0;
}

static void drop_done(struct rig *r)
{
	list_each_safe (it, &r->done) {
		struct write_op *op = list_entry(it, struct write_op, link);

		write_op_free(&op);
	}
}

static int teardown(void **state)
{
	struct rig *r = *state;

	fault_none();
	drop_done(r);
	writer_stop(&r->w, true);
	fixture_remove_dir(r->f.dir);
	free(r);
	return 0;
}

static struct write_op *make(uint64_t n, uint16_t type, const struct str *record)
{
	struct slice in = str_slice(record), body;
	struct write_op *op;
	uint16_t got;

	assert_int_equal(codec_next(&in, &got, &body), ERR_OK);
	assert_int_equal(got, type);
	op = write_op_new(77, n, requests_find(type), body);
	op->type = type;
	op->now_ms = 1000000;
	op->limits = (struct request_limits){.max_roster_items = 1000,
					     .max_blocked = 5,
					     .ops_keep_ms = 600000,
					     .ops_max_rows = 100000};
	return op;
}

static struct write_op *make_add(uint64_t n, const char *user)
{
	struct str keys = fixture_keys(1), record = STR_INIT;
	struct write_op *op;

	msg_db_account_add_put(
		&record, &(struct msg_db_account_add){S(user), S("localhost"), str_slice(&keys)});
	op = make(n, MSG_DB_ACCOUNT_ADD, &record);
	str_clear(&keys);
	str_clear(&record);
	return op;
}

static struct write_op *make_item(uint64_t n, const char *user, const char *jid)
{
	struct str item = fixture_item(jid, "name", 0, NULL, NULL), record = STR_INIT;
	struct write_op *op;

	msg_db_roster_set_put(
		&record, &(struct msg_db_roster_set){S(user), S("localhost"), str_slice(&item)});
	op = make(n, MSG_DB_ROSTER_SET, &record);
	str_clear(&item);
	str_clear(&record);
	return op;
}

/* Waits until count operations lie in r->done. */
static void collect(struct rig *r, size_t count)
{
	struct pollfd p = {.fd = writer_fd(r->w), .events = POLLIN};

	for (;;) {
		size_t have = 0;

		writer_collect(r->w, &r->done);
		list_each (it, &r->done)
			have++;
		if (have >= count)
			return;
		assert_int_equal(poll(&p, 1, DONE_MS), 1);
	}
}

/* Submits all at once, so that they meet in one batch or few, then collects them. */
static void run(struct rig *r, struct write_op **ops, size_t count)
{
	drop_done(r);
	for (size_t i = 0; i < count; i++)
		writer_submit_take(r->w, ops[i]);
	collect(r, count);
}

static struct write_op *nth(struct rig *r, size_t n)
{
	list_each (it, &r->done)
		if (n-- == 0)
			return list_entry(it, struct write_op, link);
	return NULL;
}

static enum err run_one(struct rig *r, struct write_op *op)
{
	run(r, &op, 1);
	return nth(r, 0)->status;
}

static uint64_t version_of(const struct write_op *op)
{
	struct slice in = str_slice(&op->out.answer), body;
	struct msg_db_roster_changed m;
	uint16_t type;

	assert_int_equal(op->status, ERR_OK);
	assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
	assert_int_equal(type, MSG_DB_ROSTER_CHANGED);
	assert_int_equal(msg_db_roster_changed_get(body, &m), ERR_OK);
	return m.version;
}

static void results_come_in_the_order_of_submission(void **state)
{
	struct rig *r = *state;
	struct write_op *ops[1000];
	struct writer_report report;
	char name[32];

	assert_int_equal(run_one(r, make_add(1, "juliet")), ERR_OK);
	for (size_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "c%zu@x", i);
		ops[i] = make_item(i + 2, "juliet", name);
	}
	run(r, ops, 1000);
	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(nth(r, i)->op_n, i + 2);
		assert_int_equal(version_of(nth(r, i)), 1000000 + 1 + i);
		assert_false(nth(r, i)->repeat);
	}
	writer_report(r->w, &report);
	assert_int_equal(report.queued, 0);
	assert_in_range(report.commits, 2, 900); /* grouped: far fewer syncs than operations */
	assert_int_equal(report.state, DISK_OK);
}

static void one_that_fails_spoils_no_other(void **state)
{
	struct rig *r = *state;
	struct str garbage = STR_INIT;
	struct write_op *ops[6];
	static const enum err want[] = {ERR_OK,	      ERR_CONFLICT, ERR_OK,
					ERR_NOTFOUND, ERR_FORMAT,   ERR_OK};

	msg_db_account_set_put(&garbage,
			       &(struct msg_db_account_set){S("a"), S("localhost"), S("not keys")});
	ops[0] = make_add(1, "a");
	ops[1] = make_add(2, "a");
	ops[2] = make_add(3, "b");
	ops[3] = make_item(4, "nobody", "x@y");
	ops[4] = make(5, MSG_DB_ACCOUNT_SET, &garbage);
	ops[5] = make_item(6, "b", "x@y");
	run(r, ops, 6);
	for (size_t i = 0; i < 6; i++)
		if (nth(r, i)->status != want[i])
			fail_msg("%zu: %s %s", i, err_name(nth(r, i)->status),
				 nth(r, i)->out.text.data);
	/* ACCOUNT_SET removed the old keys before it met the garbage: that is undone. */
	{
		struct db *d;
		struct str out = STR_INIT;
		uint64_t id, created;

		assert_int_equal(db_open(&d, r->f.path, DB_READER, &garbage), ERR_OK);
		assert_int_equal(accounts_id(d, S("a"), S("localhost"), &id, &created), ERR_OK);
		assert_int_equal(accounts_keys(d, id, S("SHA-1"), &out), ERR_OK);
		assert_true(out.len > 0);
		str_clear(&out);
		db_close(&d);
	}
	str_clear(&garbage);
}

static void a_repeat_hears_the_first_result_also_after_a_restart(void **state)
{
	struct rig *r = *state;
	struct write_op *ops[3];
	uint64_t version;

	assert_int_equal(run_one(r, make_add(1, "juliet")), ERR_OK);
	ops[0] = make_item(2, "juliet", "romeo@x");
	ops[1] = make_item(2, "juliet", "romeo@x"); /* in the same batch */
	ops[2] = make_add(3, "juliet");
	run(r, ops, 3);
	version = version_of(nth(r, 0));
	assert_int_equal(version_of(nth(r, 1)), version);
	assert_true(nth(r, 1)->repeat);
	assert_int_equal(nth(r, 2)->status, ERR_CONFLICT);
	drop_done(r);
	writer_stop(&r->w, true);
	r->w = start(r);
	assert_int_equal(run_one(r, make_add(1, "juliet")), ERR_OK); /* not ERR_CONFLICT */
	assert_true(nth(r, 0)->repeat);
	assert_int_equal(run_one(r, make_add(3, "juliet")), ERR_CONFLICT);
	assert_string_equal(nth(r, 0)->out.text.data, "the account exists");
	assert_int_equal(run_one(r, make_item(2, "juliet", "romeo@x")), ERR_OK);
	assert_int_equal(version_of(nth(r, 0)), version);
	assert_int_equal(run_one(r, make_item(4, "juliet", "romeo@x")), ERR_OK);
	assert_int_equal(version_of(nth(r, 0)), version + 1);
}

static void what_comes_too_late_is_not_done(void **state)
{
	struct rig *r = *state;
	struct write_op *late = make_add(1, "juliet");

	late->deadline = (struct monotime){1};
	assert_int_equal(run_one(r, late), ERR_TIMEOUT);
	assert_string_equal(nth(r, 0)->out.text.data,
			    "the datastore was too slow; nothing was changed");
	/* Not kept as a result: the same operation may be done later, then a late repeat hears it.
	 */
	assert_int_equal(run_one(r, make_add(1, "juliet")), ERR_OK);
	assert_false(nth(r, 0)->repeat);
	late = make_add(1, "juliet");
	late->deadline = (struct monotime){1};
	assert_int_equal(run_one(r, late), ERR_OK);
	assert_true(nth(r, 0)->repeat);
}

static void below_the_watermark_only_what_frees_is_done(void **state)
{
	struct rig *r = *state;
	struct writer_report report;
	struct str record = STR_INIT;

	assert_int_equal(run_one(r, make_add(1, "juliet")), ERR_OK);
	writer_set_min_free(r->w, UINT64_MAX / 4);
	assert_int_equal(run_one(r, make_add(2, "romeo")), ERR_NOSPACE);
	assert_string_equal(nth(r, 0)->out.text.data, disk_text(DISK_LOW));
	writer_report(r->w, &report);
	assert_int_equal(report.state, DISK_LOW);
	assert_true(report.free_bytes > 0);
	msg_db_account_del_put(&record, &(struct msg_db_account_del){S("juliet"), S("localhost")});
	assert_int_equal(run_one(r, make(3, MSG_DB_ACCOUNT_DEL, &record)), ERR_OK);
	str_clear(&record);
	writer_set_min_free(r->w, 0);
	assert_int_equal(run_one(r, make_add(2, "romeo")), ERR_OK);
	writer_report(r->w, &report);
	assert_int_equal(report.state, DISK_OK);
}

struct trouble {
	int code, sys_errno;
	enum disk_state state;
	enum err err;
};

static void trouble_is_told_kept_from_the_result_and_over_by_itself(void **state)
{
	static const struct trouble troubles[] = {
		{SQLITE_FULL, ENOSPC, DISK_FULL, ERR_NOSPACE},
		{SQLITE_IOERR_WRITE, EDQUOT, DISK_FULL, ERR_NOSPACE},
		{SQLITE_IOERR_WRITE, EROFS, DISK_READONLY, ERR_IO},
		{SQLITE_IOERR_WRITE, EIO, DISK_IO, ERR_IO},
	};
	struct rig *r = *state;
	struct writer_report report;
	uint64_t n = 1;
	char name[32];

	for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++, n++) {
		snprintf(name, sizeof(name), "user%zu", i);
		fault_errno = troubles[i].sys_errno;
		fault_write_code = troubles[i].code;
		assert_int_equal(run_one(r, make_add(n, name)), troubles[i].err);
		assert_string_equal(nth(r, 0)->out.text.data, disk_text(troubles[i].state));
		assert_int_equal(nth(r, 0)->out.answer.len, 0);
		writer_report(r->w, &report);
		assert_int_equal(report.state, troubles[i].state);
		fault_none();
		assert_int_equal(run_one(r, make_add(n, name)), ERR_OK);
		assert_false(nth(r, 0)->repeat);
		writer_report(r->w, &report);
		assert_int_equal(report.state, DISK_OK);
	}
	assert_int_equal(report.failed, sizeof(troubles) / sizeof(troubles[0]));
}

/* With room for the log's first frames only, the small operation of a batch that does not fit is
 * done, and the large one is not. */
static void a_batch_that_does_not_fit_is_tried_one_by_one(void **state)
{
	struct rig *r = *state;
	struct str groups = STR_INIT, packed = STR_INIT, record = STR_INIT;
	struct db_roster_item item = {.jid = S("big@x"), .ngroups = 60};
	char group[1000];
	struct write_op *ops[3];

	memset(group, 'g', sizeof(group));
	for (int i = 0; i < 60; i++)
		codec_put_str(&groups, slice_of(group, sizeof(group)));
	item.groups = str_slice(&groups);
	db_roster_item_put(&packed, &item);
	msg_db_roster_set_put(&record, &(struct msg_db_roster_set){S("juliet"), S("localhost"),
								   str_slice(&packed)});
	assert_int_equal(run_one(r, make_add(1, "juliet")), ERR_OK);
	assert_int_equal(run_one(r, make_item(2, "juliet", "a@x")), ERR_OK);
	ops[0] = make_item(3, "juliet", "b@x");
	ops[1] = make(4, MSG_DB_ROSTER_SET, &record);
	ops[2] = make_item(5, "juliet", "c@x");
	fault_write_min = 26 * (4096 + 24); /* 60 KB of groups alone take 15 frames */
	fault_errno = ENOSPC;
	fault_write_code = SQLITE_FULL;
	run(r, ops, 3);
	assert_int_equal(nth(r, 0)->op_n, 3);
	assert_int_equal(nth(r, 0)->status, ERR_OK);
	assert_int_equal(nth(r, 1)->status, ERR_NOSPACE);
	assert_int_equal(nth(r, 2)->op_n, 5);
	assert_int_equal(nth(r, 2)->status, ERR_OK);
	assert_int_equal(version_of(nth(r, 2)), version_of(nth(r, 0)) + 1);
	str_clear(&groups);
	str_clear(&packed);
	str_clear(&record);
}

static void a_foreign_lock_is_waited_for_and_then_told(void **state)
{
	struct rig *r = *state;
	struct writer_report report;
	struct write_op *ops[3];
	struct str why = STR_INIT;
	struct db *other;
	struct monotime before;

	assert_int_equal(db_open(&other, r->f.path, DB_WRITER, &why), ERR_OK);
	assert_int_equal(db_exec(other, "BEGIN IMMEDIATE"), ERR_OK);
	for (uint64_t i = 0; i < 3; i++)
		ops[i] = make_add(i + 1, i == 0 ? "a" : i == 1 ? "b" : "c");
	before = monotime_now();
	run(r, ops, 3);
	/* Together, or with the first alone: not one after the other. */
	assert_in_range(monotime_ms_between(before, monotime_now()), 1000, 5500);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(nth(r, i)->status, ERR_AGAIN);
	writer_report(r->w, &report);
	assert_int_equal(report.state, DISK_BUSY);
	assert_int_equal(db_exec(other, "ROLLBACK"), ERR_OK);
	db_close(&other);
	assert_int_equal(run_one(r, make_add(1, "a")), ERR_OK);
	str_clear(&why);
}

static void a_failed_sync_is_never_tried_again(void **state)
{
	struct rig *r = *state;
	struct writer_report report;
	struct write_op *ops[2];

	assert_int_equal(run_one(r, make_add(1, "juliet")), ERR_OK);
	fault_sync_code = SQLITE_IOERR_FSYNC;
	assert_int_equal(run_one(r, make_add(2, "romeo")), ERR_IO);
	writer_report(r->w, &report);
	assert_int_equal(report.state, DISK_FSYNC);
	fault_none();
	ops[0] = make_add(3, "nurse");
	drop_done(r);
	writer_submit_take(r->w, ops[0]);
	usleep(100000);
	writer_collect(r->w, &r->done);
	assert_true(list_empty(&r->done)); /* the thread has ended */
	writer_report(r->w, &report);
	assert_int_equal(report.state, DISK_FSYNC);
	assert_int_equal(report.queued, 1);
}

/* SQLite's automatic checkpoint would swallow this one. */
static void a_failed_sync_of_a_checkpoint_is_seen(void **state)
{
	struct rig *r = *state;
	struct writer_report report = {0};
	struct pollfd p = {.fd = writer_fd(r->w), .events = POLLIN};
	char name[64];
	uint64_t n;

	fault_sync_not_log = 1;
	fault_sync_code = SQLITE_IOERR_FSYNC;
	for (n = 1; n < 2000 && report.state != DISK_FSYNC; n++) {
		snprintf(name, sizeof(name), "u%llu", (unsigned long long)n);
		writer_submit_take(r->w, make_add(n, name));
		do {
			drop_done(r);
			assert_int_equal(poll(&p, 1, DONE_MS), 1);
			writer_collect(r->w, &r->done);
			writer_report(r->w, &report);
		} while (report.queued != 0 && report.state != DISK_FSYNC);
	}
	assert_int_equal(report.state, DISK_FSYNC);
	assert_in_range(n, 50, 1001); /* the log was full, each operation takes pages of it */
}

static void stopping_finishes_what_is_queued(void **state)
{
	struct rig *r = *state;
	char name[32];
	struct db *d;
	uint64_t id, created;

	for (int i = 1; i <= 500; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		writer_submit_take(r->w, make_add((uint64_t)i, name));
	}
	writer_stop(&r->w, true);
	d = fixture_open(&r->f);
	assert_int_equal(accounts_id(d, S("u500"), S("localhost"), &id, &created), ERR_OK);
	db_close(&d);
	r->w = start(r);
}

#define WITH_RIG(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(results_come_in_the_order_of_submission),
		WITH_RIG(one_that_fails_spoils_no_other),
		WITH_RIG(a_repeat_hears_the_first_result_also_after_a_restart),
		WITH_RIG(what_comes_too_late_is_not_done),
		WITH_RIG(below_the_watermark_only_what_frees_is_done),
		WITH_RIG(trouble_is_told_kept_from_the_result_and_over_by_itself),
		WITH_RIG(a_batch_that_does_not_fit_is_tried_one_by_one),
		WITH_RIG(a_foreign_lock_is_waited_for_and_then_told),
		WITH_RIG(a_failed_sync_is_never_tried_again),
		WITH_RIG(a_failed_sync_of_a_checkpoint_is_seen),
		WITH_RIG(stopping_finishes_what_is_queued),
	};

	fault_vfs_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
