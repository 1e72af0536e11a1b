/* The queue of changes that goes to the datastore (router/shelf.h): what is in a batch, in which
 * order, when it is done, and what is left of it when the disk has no room. */
#include <stdlib.h>

#include "ipc/db_pack.h"
#include "router/shelf.h"
#include "tests/support/cmocka_first.h"

#define MIB (1024u * 1024)

struct bed {
	struct shelf *s;
	struct str got;
};

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	b->s = shelf_new();
	str_init(&b->got);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	shelf_free(&b->s);
	assert_null(b->s);
	shelf_free(&b->s);
	str_clear(&b->got);
	free(b);
	return 0;
}

static uint64_t put(struct bed *b, uint64_t sid, uint64_t n, const char *body)
{
	return shelf_put(b->s, sid, SHELF_STANZA, n, slice_str(body));
}

static uint64_t put_bytes(struct bed *b, uint64_t sid, size_t len)
{
	char *body = calloc(1, len);
	uint64_t number = shelf_put(b->s, sid, SHELF_STANZA, 1, slice_of(body, len));

	free(body);
	return number;
}

/* The next batch as text: "1.2=body;" for a put, "1.2-;" for a deletion, "|d" if only those. */
static void next_is(struct bed *b, const char *expected)
{
	struct db_shelf_change c;
	struct slice changes;
	bool only_deletes;

	str_reset(&b->got);
	if (!shelf_next(b->s, &changes, &only_deletes)) {
		assert_string_equal("nothing", expected);
		return;
	}
	while (changes.len) {
		assert_true(db_shelf_change_get(&changes, &c));
		str_addf(&b->got, "%d.%d", (int)c.sid, (int)c.n);
		if (c.op == SHELF_DEL)
			assert_int_equal(c.upto, c.n);
		if (c.body.len > 20)
			str_addf(&b->got, "=%zu;", c.body.len);
		else
			str_addf(&b->got, c.op == SHELF_PUT ? "=%.*s;" : "-%.*s;",
				 SLICE_ARG(c.body));
	}
	if (only_deletes)
		str_adds(&b->got, "|d");
	assert_string_equal(b->got.data, expected);
}

static void changes_go_out_in_order_and_are_synced_when_done(void **state)
{
	struct bed *b = *state;

	assert_int_equal(shelf_last(b->s), 0);
	assert_int_equal(put(b, 1, 1, "a"), 1);
	assert_int_equal(put(b, 1, 2, "b"), 2);
	assert_int_equal(shelf_del(b->s, 1, SHELF_STANZA, 1), 3);
	assert_int_equal(shelf_last(b->s), 3);
	assert_true(shelf_waiting(b->s) > 0);
	next_is(b, "1.1=a;1.2=b;1.1-;");
	assert_int_equal(shelf_synced(b->s), 0);
	shelf_done(b->s, true);
	assert_int_equal(shelf_synced(b->s), 3);
	assert_int_equal(shelf_waiting(b->s), 0);
	next_is(b, "nothing");
}

static void one_batch_is_out_at_a_time(void **state)
{
	struct bed *b = *state;

	put(b, 1, 1, "a");
	next_is(b, "1.1=a;");
	put(b, 1, 2, "b");
	next_is(b, "nothing");
	shelf_done(b->s, true);
	assert_int_equal(shelf_synced(b->s), 1);
	next_is(b, "1.2=b;");
	shelf_done(b->s, true);
	assert_int_equal(shelf_synced(b->s), 2);
}

static void what_was_not_applied_is_given_out_again_unchanged(void **state)
{
	struct bed *b = *state;

	put(b, 1, 1, "a");
	next_is(b, "1.1=a;");
	put(b, 1, 2, "b");
	shelf_done(b->s, false);
	assert_int_equal(shelf_synced(b->s), 0);
	next_is(b, "1.1=a;");
	shelf_done(b->s, true);
	next_is(b, "1.2=b;");
}

static void a_batch_of_deletions_says_so(void **state)
{
	struct bed *b = *state;

	shelf_del(b->s, 1, SHELF_STANZA, 1);
	next_is(b, "1.1-;|d");
	put(b, 1, 2, "b");
	shelf_done(b->s, true);
	next_is(b, "1.2=b;");
}

static void large_changes_are_cut_into_batches_of_about_a_mebibyte(void **state)
{
	struct bed *b = *state;

	put_bytes(b, 1, MIB / 2);
	put_bytes(b, 2, MIB / 2);
	put_bytes(b, 3, 3 * MIB);
	put_bytes(b, 4, 1000);
	next_is(b, "1.1=524288;2.1=524288;");
	shelf_done(b->s, true);
	assert_int_equal(shelf_synced(b->s), 2);
	next_is(b, "3.1=3145728;");
	shelf_done(b->s, true);
	next_is(b, "4.1=1000;");
	shelf_done(b->s, true);
	assert_int_equal(shelf_synced(b->s), 4);
	assert_int_equal(shelf_waiting(b->s), 0);
}

static void it_is_full_when_64_mib_wait(void **state)
{
	struct bed *b = *state;

	for (int i = 0; i < 63; i++)
		put_bytes(b, (uint64_t)i, MIB);
	assert_false(shelf_is_full(b->s));
	put_bytes(b, 99, MIB);
	assert_true(shelf_is_full(b->s));
	next_is(b, "0.1=1048576;");
	assert_true(shelf_is_full(b->s));
	shelf_done(b->s, true);
	assert_false(shelf_is_full(b->s));
}

static void shrunk_it_has_the_newest_change_of_each_row_and_deletions_first(void **state)
{
	struct bed *b = *state;

	put(b, 1, 1, "a");
	put(b, 1, 2, "b");
	shelf_del(b->s, 1, SHELF_STANZA, 1);
	put(b, 2, 1, "c");
	put(b, 1, 2, "d");
	shelf_del(b->s, 3, SHELF_STANZA, 7);
	next_is(b, "1.1=a;1.2=b;1.1-;2.1=c;1.2=d;3.7-;");
	shelf_done(b->s, false);
	shelf_shrink(b->s);
	assert_int_equal(shelf_last(b->s), 6);
	next_is(b, "1.1-;3.7-;|d");
	shelf_done(b->s, true);
	/* only the last batch says that anything is done: the order is another one now */
	assert_int_equal(shelf_synced(b->s), 0);
	next_is(b, "2.1=c;1.2=d;");
	shelf_done(b->s, true);
	assert_int_equal(shelf_synced(b->s), 6);
	assert_int_equal(shelf_waiting(b->s), 0);
	next_is(b, "nothing");
}

static void a_row_that_was_deleted_and_put_again_stays(void **state)
{
	struct bed *b = *state;

	put(b, 1, 1, "a");
	shelf_del(b->s, 1, SHELF_STANZA, 1);
	put(b, 1, 1, "again");
	shelf_shrink(b->s);
	while (shelf_waiting(b->s)) {
		struct slice changes;
		bool only_deletes;

		assert_true(shelf_next(b->s, &changes, &only_deletes));
		shelf_done(b->s, true);
		if (!only_deletes)
			assert_true(changes.len > 0);
	}
	assert_int_equal(shelf_synced(b->s), 3);
}

static void rows_of_other_kinds_and_sessions_are_others(void **state)
{
	struct bed *b = *state;

	shelf_put(b->s, 1, SHELF_SESSION, 1, slice_str("s"));
	put(b, 1, 1, "a");
	put(b, 2, 1, "b");
	shelf_del(b->s, 1, SHELF_ANSWER, 1);
	shelf_shrink(b->s);
	next_is(b, "1.1-;|d");
	shelf_done(b->s, true);
	next_is(b, "1.1=s;1.1=a;2.1=b;");
}

static void what_comes_after_shrinking_goes_behind_it(void **state)
{
	struct bed *b = *state;
	uint64_t last;

	put(b, 1, 1, "a");
	shelf_del(b->s, 2, SHELF_STANZA, 1);
	shelf_shrink(b->s);
	last = put(b, 1, 2, "b");
	assert_int_equal(last, 3);
	next_is(b, "2.1-;|d");
	shelf_done(b->s, true);
	assert_true(shelf_synced(b->s) == 0);
	next_is(b, "1.1=a;1.2=b;");
	shelf_done(b->s, true);
	assert_int_equal(shelf_synced(b->s), 3);
}

static void what_was_put_and_deleted_is_small_again_when_shrunk(void **state)
{
	struct bed *b = *state;

	for (int i = 0; i < 64; i++)
		put_bytes(b, (uint64_t)i, MIB);
	for (int i = 0; i < 64; i++)
		shelf_del(b->s, (uint64_t)i, SHELF_STANZA, 1);
	assert_true(shelf_is_full(b->s));
	shelf_shrink(b->s);
	assert_false(shelf_is_full(b->s));
	assert_true(shelf_waiting(b->s) < 64 * 100);
}

static void nothing_can_be_shrunk(void **state)
{
	struct bed *b = *state;

	shelf_shrink(b->s);
	next_is(b, "nothing");
	put(b, 1, 1, "a");
	next_is(b, "1.1=a;");
	shelf_done(b->s, true);
	shelf_shrink(b->s);
	assert_int_equal(shelf_last(b->s), 1);
	assert_int_equal(shelf_synced(b->s), 1);
	next_is(b, "nothing");
}

/* A full disk: again and again, in between things are put and deleted. */
static void it_can_be_shrunk_many_times(void **state)
{
	struct bed *b = *state;

	for (uint64_t n = 1; n <= 50; n++) {
		struct slice changes;
		bool only_deletes;

		put(b, 1, n, "x");
		if (n > 1)
			shelf_del(b->s, 1, SHELF_STANZA, n - 1);
		assert_true(shelf_next(b->s, &changes, &only_deletes));
		if (only_deletes && n % 2) {
			shelf_done(b->s, true);
			continue;
		}
		shelf_done(b->s, false);
		shelf_shrink(b->s);
		assert_int_equal(shelf_synced(b->s), 0);
	}
	assert_int_equal(shelf_last(b->s), 99);
	while (shelf_synced(b->s) < 99) {
		struct slice changes;
		bool only_deletes;

		assert_true(shelf_next(b->s, &changes, &only_deletes));
		shelf_done(b->s, true);
	}
	next_is(b, "nothing");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(changes_go_out_in_order_and_are_synced_when_done),
		T(one_batch_is_out_at_a_time),
		T(what_was_not_applied_is_given_out_again_unchanged),
		T(a_batch_of_deletions_says_so),
		T(large_changes_are_cut_into_batches_of_about_a_mebibyte),
		T(it_is_full_when_64_mib_wait),
		T(shrunk_it_has_the_newest_change_of_each_row_and_deletions_first),
		T(a_row_that_was_deleted_and_put_again_stays),
		T(rows_of_other_kinds_and_sessions_are_others),
		T(what_comes_after_shrinking_goes_behind_it),
		T(what_was_put_and_deleted_is_small_again_when_shrunk),
		T(nothing_can_be_shrunk),
		T(it_can_be_shrunk_many_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
