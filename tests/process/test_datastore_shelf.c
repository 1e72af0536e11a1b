/* The shelf and the quarantine of the real datastore. */
#include "datastore_rig.h"

/* Number n's row; sids in the upper and the lower half. */
static struct db_shelf_change shelf_row(uint64_t n)
{
	static char body[600];

	memset(body, 'a' + (int)(n % 26), sizeof(body));
	return (struct db_shelf_change){.op = SHELF_PUT,
					.sid = n * UINT64_C(0x9e3779b97f4a7c15),
					.kind = 2,
					.n = UINT64_MAX - n,
					.body = slice_of(body, sizeof(body) - n % 100)};
}

/* Rows first .. end_n - 1, and the deletion of those a hundred before. */
static struct str make_shelf(uint64_t first, uint64_t end_n)
{
	struct str changes = STR_INIT, s = STR_INIT;

	for (uint64_t n = first; n < end_n; n++) {
		struct db_shelf_change c = shelf_row(n);

		db_shelf_change_put(&changes, &c);
		if (n <= 100)
			continue;
		c = shelf_row(n - 100);
		c.op = SHELF_DEL;
		c.upto = UINT64_MAX;
		c.body = SLICE_NONE;
		db_shelf_change_put(&changes, &c);
	}
	msg_db_shelf_put(&s, &(struct msg_db_shelf){str_slice(&changes)});
	str_clear(&changes);
	return s;
}

static uint64_t key_number(const struct db_shelf_row *row)
{
	uint64_t n = UINT64_MAX - row->n;
	struct db_shelf_change c = shelf_row(n);

	assert_true(row->sid == c.sid);
	assert_int_equal(row->kind, 2);
	assert_true(slice_eq(row->body, c.body));
	return n;
}

#define SHELF_NUMBERS 2000

/* Reads the shelf in small pages; the numbers that are there, each once. */
static uint64_t read_shelf(struct rig *r, bool there[SHELF_NUMBERS])
{
	struct msg_db_shelf_rows page = {.more = 1};
	struct db_shelf_row row = {0};
	struct slice in, body;
	uint64_t count = 0;
	uint16_t type;

	memset(there, 0, SHELF_NUMBERS * sizeof(*there));
	while (page.more) {
		struct str s = STR_INIT;

		msg_db_shelf_get_put(&s,
				     &(struct msg_db_shelf_get){row.sid, row.kind, row.n, 5000});
		assert_int_equal(ask_take(r, 0, s), ERR_OK);
		in = str_slice(&r->last_body);
		assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
		assert_int_equal(msg_db_shelf_rows_get(body, &page), ERR_OK);
		for (; page.list.len; count++) {
			assert_true(db_shelf_row_get(&page.list, &row));
			assert_in_range(key_number(&row), 1, SHELF_NUMBERS - 1);
			assert_false(there[key_number(&row)]);
			there[key_number(&row)] = true;
		}
	}
	return count;
}

/* Are there the rows that batches up to end_n leave, and no others? */
static bool shelf_is(struct rig *r, uint64_t end_n)
{
	uint64_t first = end_n > 100 ? end_n - 100 : 1;
	bool there[SHELF_NUMBERS];

	if (read_shelf(r, there) != end_n - first)
		return false;
	for (uint64_t n = first; n < end_n; n++)
		if (!there[n])
			return false;
	return true;
}

static void killed_in_the_middle_the_shelf_has_all_or_nothing_of_a_batch(void **state)
{
	const uint64_t per_batch = 40, rounds = 12;
	struct rig *r = *state;
	uint64_t next = 1, op = 0;

	start(r);
	for (uint64_t round = 0; round < rounds; round++) {
		/* As the router does it: one batch at a time, until it is answered. */
		for (uint64_t i = random_u64() % 4; i; i--, next += per_batch)
			assert_int_equal(ask_take(r, ++op, make_shelf(next, next + per_batch)),
					 ERR_OK);
		send_take(r, ++op, make_shelf(next, next + per_batch));
		loop_timer_set(r->guard, random_u64() % 4, 0);
		loop_run(r->loop);
		end(r, SIGKILL);
		start(r);
		assert_true(shelf_is(r, next) || shelf_is(r, next + per_batch));
		assert_int_equal(ask_take(r, op, make_shelf(next, next + per_batch)), ERR_OK);
		next += per_batch;
		assert_true(shelf_is(r, next));
	}
	assert_int_equal(WEXITSTATUS(end(r, SIGTERM)), 0);
	start(r);
	assert_true(shelf_is(r, next));
}

static bool tells_of_quarantine(struct rig *r)
{
	struct slice stats = hub_peer_stats(r->peer);

	return stats.len && memmem(stats.data, stats.len, "store_quarantine=1", 18);
}

static void what_killed_a_process_lies_in_quarantine(void **state)
{
	struct rig *r = *state;
	struct str s = STR_INIT;
	struct stat st;
	char path[200];

	start(r);
	msg_db_quarantine_put(&s, &(struct msg_db_quarantine){S("stanza 7/3"), S("<body/>")});
	assert_int_equal(ask_take(r, 1, s), ERR_OK);
	snprintf(path, sizeof(path), "%s/data/quarantine", r->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_non_null(strstr(read_log(r), "event=quarantined file=data/quarantine/2"));
	assert_non_null(strstr(read_log(r), ".bin bytes=7 about=\"stanza 7/3\""));
	end(r, SIGKILL);
	start(r);
	for (int i = 0; i < 200 && !tells_of_quarantine(r); i++) {
		loop_timer_set(r->guard, 50, 0);
		loop_run(r->loop);
	}
	assert_true(tells_of_quarantine(r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(killed_in_the_middle_the_shelf_has_all_or_nothing_of_a_batch),
		WITH_RIG(what_killed_a_process_lies_in_quarantine),
	};

	log_set_level(LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
