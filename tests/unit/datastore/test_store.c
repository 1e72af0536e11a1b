#include "store_rig.h"
#include "fault_vfs.h"

static void an_account_lives_its_life(void **state)
{
	struct store_rig *r = *state;
	struct msg_db_account a;
	struct msg_db_accounts list;
	struct db_scram k;
	struct str s = STR_INIT, keys = STR_INIT;

	assert_int_equal(rig_ask_take(r, 1, rig_get("juliet", "")), ERR_NOTFOUND);
	assert_string_equal(r->text.data, "there is no such account");
	assert_int_equal(r->body.len, 0);
	assert_int_equal(rig_ask_take(r, 2, rig_add("juliet")), ERR_OK);
	rig_body(r, MSG_DB_DONE);
	assert_int_equal(rig_ask_take(r, 3, rig_add("juliet")), ERR_CONFLICT);
	assert_int_equal(rig_ask_take(r, 4, rig_get("juliet", "SCRAM-SHA-1")), ERR_OK);
	assert_int_equal(msg_db_account_get(rig_body(r, MSG_DB_ACCOUNT), &a), ERR_OK);
	assert_true(slice_is(a.user, "juliet"));
	assert_true(slice_is(a.domain, "localhost"));
	assert_true(a.created > 1600000000000);
	assert_true(db_scram_get(&a.scram, &k));
	assert_true(slice_is(k.hash, "SHA-1"));
	assert_int_equal(a.scram.len, 0); /* one family, nothing else */
	fixture_put_key(&keys, "SHA-256", 9);
	msg_db_account_set_put(
		&s, &(struct msg_db_account_set){S("juliet"), S("localhost"), str_slice(&keys)});
	assert_int_equal(rig_ask_take(r, 5, s), ERR_OK);
	assert_int_equal(rig_ask_take(r, 6, rig_get("juliet", "SCRAM-SHA-1")), ERR_OK);
	assert_int_equal(msg_db_account_get(rig_body(r, MSG_DB_ACCOUNT), &a), ERR_OK);
	assert_int_equal(a.scram.len, 0);
	str_init(&s);
	msg_db_account_list_put(&s, &(struct msg_db_account_list){.limit = 10});
	assert_int_equal(rig_ask_take(r, 7, s), ERR_OK);
	assert_int_equal(msg_db_accounts_get(rig_body(r, MSG_DB_ACCOUNTS), &list), ERR_OK);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.more, 0);
	assert_int_equal(rig_ask_take(r, 8, rig_del("juliet")), ERR_OK);
	assert_int_equal(rig_ask_take(r, 9, rig_get("juliet", "SCRAM-SHA-256")), ERR_NOTFOUND);
	str_clear(&keys);
}

static void without_a_mechanism_no_key_leaves(void **state)
{
	struct store_rig *r = *state;
	struct msg_db_account a;

	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	assert_int_equal(rig_ask_take(r, 2, rig_get("juliet", "")), ERR_OK);
	assert_int_equal(msg_db_account_get(rig_body(r, MSG_DB_ACCOUNT), &a), ERR_OK);
	assert_int_equal(a.scram.len, 0);
	assert_int_equal(rig_ask_take(r, 3, rig_get("juliet", "PLAIN")), ERR_UNSUPPORTED);
	assert_int_equal(rig_ask_take(r, 4, rig_get("juliet", "SCRAM-SHA-256-PLUS")),
			 ERR_UNSUPPORTED);
	assert_int_equal(r->body.len, 0);
}

static void a_roster_is_read_as_written(void **state)
{
	struct store_rig *r = *state;
	struct msg_db_roster_changed changed;
	struct msg_db_roster roster;
	struct db_roster_item item;
	struct str s = STR_INIT;
	struct slice group;

	assert_int_equal(rig_ask_take(r, 1, rig_roster_get("juliet")), ERR_NOTFOUND);
	assert_int_equal(rig_ask_take(r, 2, rig_add("juliet")), ERR_OK);
	assert_int_equal(rig_ask_take(r, 3, rig_roster_get("juliet")), ERR_OK);
	assert_int_equal(msg_db_roster_get(rig_body(r, MSG_DB_ROSTER), &roster), ERR_OK);
	assert_int_equal(roster.count, 0);
	assert_int_equal(rig_ask_take(r, 4, rig_roster_set("juliet", "romeo@x", "Friends")),
			 ERR_OK);
	assert_int_equal(msg_db_roster_changed_get(rig_body(r, MSG_DB_ROSTER_CHANGED), &changed),
			 ERR_OK);
	assert_int_equal(changed.version, roster.version + 1);
	/* Written before the answer, so seen by a read after it. */
	assert_int_equal(rig_ask_take(r, 5, rig_roster_get("juliet")), ERR_OK);
	assert_int_equal(msg_db_roster_get(rig_body(r, MSG_DB_ROSTER), &roster), ERR_OK);
	assert_int_equal(roster.version, changed.version);
	assert_int_equal(roster.count, 1);
	assert_true(db_roster_item_get(&roster.list, &item));
	assert_true(slice_is(item.jid, "romeo@x"));
	assert_true(codec_get_str(&item.groups, &group));
	assert_true(slice_is(group, "Friends"));
	msg_db_roster_del_put(
		&s, &(struct msg_db_roster_del){S("juliet"), S("localhost"), S("romeo@x")});
	assert_int_equal(rig_ask_take(r, 6, s), ERR_OK);
	assert_int_equal(rig_ask_take(r, 7, rig_roster_get("juliet")), ERR_OK);
	assert_int_equal(msg_db_roster_get(rig_body(r, MSG_DB_ROSTER), &roster), ERR_OK);
	assert_int_equal(roster.count, 0);
	assert_int_equal(roster.version, changed.version + 1);
}

static void every_write_is_seen_by_the_read_after_its_answer(void **state)
{
	struct store_rig *r = *state;
	struct msg_db_roster roster;
	char jid[32];

	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	for (uint64_t i = 0; i < 90; i++) {
		snprintf(jid, sizeof(jid), "c%llu@x", (unsigned long long)i);
		assert_int_equal(rig_ask_take(r, 10 + 2 * i, rig_roster_set("juliet", jid, NULL)),
				 ERR_OK);
		assert_int_equal(rig_ask_take(r, 11 + 2 * i, rig_roster_get("juliet")), ERR_OK);
		assert_int_equal(msg_db_roster_get(rig_body(r, MSG_DB_ROSTER), &roster), ERR_OK);
		assert_int_equal(roster.count, i + 1);
	}
}

static void what_is_no_request_is_refused_and_answered(void **state)
{
	struct store_rig *r = *state;
	struct str s = STR_INIT, two = rig_get("juliet", "");
	size_t before = r->answers;

	assert_int_equal(rig_ask_take(r, 1, s), ERR_FORMAT);
	str_init(&s);
	str_adds(&s, "garbage that is long enough for a header");
	assert_int_equal(rig_ask_take(r, 2, s), ERR_FORMAT);
	str_init(&s);
	str_add_slice(&s, str_slice(&two));
	str_add_slice(&two, str_slice(&s));
	str_clear(&s);
	assert_int_equal(rig_ask_take(r, 3, two), ERR_FORMAT); /* two records in one */
	str_init(&s);
	msg_db_done_put(&s, &(struct msg_db_done){0});
	assert_int_equal(rig_ask_take(r, 4, s), ERR_UNSUPPORTED);
	str_init(&s);
	msg_ping_put(&s, &(struct msg_ping){0});
	assert_int_equal(rig_ask_take(r, 5, s), ERR_UNSUPPORTED);
	s = rig_roster_get("juliet");
	s.data[4] = (char)MSG_DB_ROSTER_SET; /* a type with other fields */
	assert_int_equal(rig_ask_take(r, 6, s), ERR_FORMAT);
	s = rig_add("juliet");
	store_request(r->store, &(struct msg_store){.op_n = 1, .body = str_slice(&s)});
	assert_int_equal(r->status, ERR_FORMAT);
	assert_string_equal(r->text.data, "a write needs an operation id");
	str_clear(&s);
	assert_int_equal(r->answers, before + 7);
}

static void keys_are_rationed_and_other_reads_are_not(void **state)
{
	struct store_rig *r = *state;
	struct store_options o = r->options;

	o.key_reads_per_minute = 3;
	store_set_options(r->store, &o);
	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_ask_take(r, 2, rig_get("juliet", "SCRAM-SHA-1")), ERR_OK);
	assert_int_equal(rig_ask_take(r, 3, rig_get("juliet", "SCRAM-SHA-1")), ERR_AGAIN);
	assert_int_equal(r->body.len, 0);
	assert_int_equal(rig_ask_take(r, 4, rig_get("juliet", "")), ERR_OK);
	assert_int_equal(rig_ask_take(r, 5, rig_roster_get("juliet")), ERR_OK);
}

static void a_new_roster_limit_counts_at_once(void **state)
{
	struct store_rig *r = *state;
	struct store_options o = r->options;

	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	assert_int_equal(rig_ask_take(r, 2, rig_roster_set("juliet", "a@x", NULL)), ERR_OK);
	o.limits.max_roster_items = 1;
	store_set_options(r->store, &o);
	assert_int_equal(rig_ask_take(r, 3, rig_roster_set("juliet", "b@x", NULL)), ERR_FULL);
	assert_non_null(strstr(r->text.data, "datastore.max_roster_items"));
}

static void trouble_raises_the_alarm_and_ends_without_traffic(void **state)
{
	struct store_rig *r = *state;

	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	assert_null(r->alarm);
	fault_errno = ENOSPC;
	fault_write_code = SQLITE_FULL;
	assert_int_equal(rig_ask_take(r, 2, rig_add("romeo")), ERR_NOSPACE);
	rig_turn(r, 0, 50);
	assert_non_null(r->alarm);
	assert_string_equal(r->alarm, disk_text(DISK_FULL));
	assert_int_equal(rig_ask_take(r, 3, rig_get("juliet", "SCRAM-SHA-1")), ERR_OK);
	assert_int_equal(rig_ask_take(r, 4, rig_get("romeo", "")), ERR_NOTFOUND);
	fault_none();
	rig_turn(r, 0, 2500); /* nobody asks */
	assert_null(r->alarm);
	assert_int_equal(rig_ask_take(r, 2, rig_add("romeo")), ERR_OK);
}

static void a_read_that_fails_is_never_empty(void **state)
{
	struct store_rig *r = *state;

	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	store_close(&r->store);
	rig_start(r); /* with an empty page cache */
	fault_errno = EIO;
	fault_read_code = SQLITE_IOERR_READ;
	assert_int_equal(rig_ask_take(r, 2, rig_get("juliet", "SCRAM-SHA-1")), ERR_IO);
	assert_string_equal(r->text.data, disk_text(DISK_IO));
	assert_int_equal(rig_ask_take(r, 3, rig_roster_get("juliet")), ERR_IO);
	assert_int_equal(rig_ask_take(r, 4, rig_get("nobody", "")), ERR_IO); /* not "not found" */
	assert_int_equal(r->body.len, 0);
	fault_none();
	assert_int_equal(rig_ask_take(r, 5, rig_get("juliet", "SCRAM-SHA-1")), ERR_OK);
	rig_turn(r, 0, 1500);
	assert_null(r->alarm);
}

static void damage_met_while_running_stops_the_writing(void **state)
{
	struct store_rig *r = *state;

	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	store_close(&r->store);
	rig_start(r);
	fault_read_code = SQLITE_CORRUPT;
	assert_int_equal(rig_ask_take(r, 2, rig_get("juliet", "SCRAM-SHA-1")), ERR_CORRUPT);
	fault_none();
	assert_int_equal(rig_ask_take(r, 3, rig_add("romeo")), ERR_CORRUPT);
	assert_string_equal(r->text.data, disk_text(DISK_DAMAGED));
	assert_int_equal(rig_ask_take(r, 4, rig_get("juliet", "SCRAM-SHA-1")), ERR_OK);
	rig_turn(r, 0, 1500);
	assert_non_null(r->alarm);
	assert_string_equal(r->alarm, disk_text(DISK_DAMAGED)); /* until it is restarted */
}

static void old_operations_are_forgotten_while_new_ones_come(void **state)
{
	struct store_rig *r = *state;
	struct str why = STR_INIT, s;
	struct db *d;
	sqlite3_stmt *st;
	const uint64_t n = 5000;

	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	for (uint64_t i = 0; i < n; i++) {
		s = rig_roster_set("juliet", "romeo@x", NULL);
		rig_send(r, 10 + i, &s);
		str_clear(&s);
		if (i % 500 == 499)
			rig_turn(r, i + 2 - r->answers, 10000);
	}
	rig_turn(r, 0, 100);
	assert_int_equal(db_open(&d, r->f.path, DB_READER, &why), ERR_OK);
	st = db_stmt(d, "SELECT count(*) FROM ops");
	assert_int_equal(db_row(d, st), ERR_OK);
	assert_in_range(db_int(st, 0), 500, 3001); /* ops_max_rows is 1000 in the rig */
	db_end(st);
	db_close(&d);
}

/* In a child, since it ends the process. */
static void a_failed_sync_ends_the_process_without_an_answer(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct store_rig *r;
		void *made;

		rig_setup(&made);
		r = made;
		if (rig_ask_take(r, 1, rig_add("juliet")) != ERR_OK)
			_exit(1);
		fault_sync_code = SQLITE_IOERR_FSYNC;
		rig_ask_take(r, 2, rig_add("romeo")); /* rig_on_broken() */
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void stats_and_idleness_tell_what_is_under_way(void **state)
{
	struct store_rig *r = *state;
	struct str stats = STR_INIT, s = rig_add("juliet");

	assert_true(store_idle(r->store));
	rig_send(r, 1, &s);
	assert_false(store_idle(r->store));
	assert_int_equal(r->idle, 0);
	rig_turn(r, 1, 10000);
	assert_true(store_idle(r->store));
	assert_int_equal(r->idle, 1);
	assert_int_equal(rig_ask_take(r, 1, s), ERR_OK);
	assert_int_equal(rig_ask_take(r, 2, rig_get("juliet", "")), ERR_OK);
	store_add_stats(r->store, &stats);
	assert_non_null(strstr(stats.data, "store_ops=3 store_reads=1 store_writes=2 "
					   "store_repeats=1 "));
	assert_non_null(strstr(stats.data, "store_errors=0 "));
	assert_non_null(strstr(stats.data, "store_disk=ok"));
	str_clear(&stats);
}

static int setup(void **state)
{
	fault_none();
	return rig_setup(state);
}

static int teardown(void **state)
{
	fault_none();
	return rig_teardown(state);
}

#define WITH_RIG(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_sync_ends_the_process_without_an_answer),
		WITH_RIG(an_account_lives_its_life),
		WITH_RIG(without_a_mechanism_no_key_leaves),
		WITH_RIG(a_roster_is_read_as_written),
		WITH_RIG(every_write_is_seen_by_the_read_after_its_answer),
		WITH_RIG(what_is_no_request_is_refused_and_answered),
		WITH_RIG(keys_are_rationed_and_other_reads_are_not),
		WITH_RIG(a_new_roster_limit_counts_at_once),
		WITH_RIG(trouble_raises_the_alarm_and_ends_without_traffic),
		WITH_RIG(a_read_that_fails_is_never_empty),
		WITH_RIG(damage_met_while_running_stops_the_writing),
		WITH_RIG(old_operations_are_forgotten_while_new_ones_come),
		WITH_RIG(stats_and_idleness_tell_what_is_under_way),
	};

	fault_vfs_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
