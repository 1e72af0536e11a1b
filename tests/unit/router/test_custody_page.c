/* What waits for somebody who takes nothing is on the shelf only, and comes back in order
 * (CUSTODY 13). Texts are 100 bytes; so much as one of them stays in memory. */
#include "tests/unit/router/custody_bed.h"

#define TEXT(letter) letter TEXT_99
#define TEXT_99                                         \
	"123456789012345678901234567890123456789012345" \
	"678901234567890123456789012345678901234567890123456789"

static const struct custody_limits small = {
	.flight = 1 << 20, .queue = 500, .memory = 200, .spool = 2000};

static void spool(struct bed *b)
{
	custody_spool(b->c, (struct monotime){.us = 1}, 0);
	bed_sync(b);
	bed_turn(b);
	custody_spool(b->c, (struct monotime){.us = 2}, 0);
}

static struct endpoint *away(struct bed *b, int cm, uint64_t sid)
{
	struct endpoint *ep = sm_client(b, cm, sid);

	detach(b, ep);
	return ep;
}

/* a, b, c ... h, of which one stays in memory. */
static void fill(struct bed *b, struct endpoint *from, struct endpoint *to)
{
	static const char *const texts[] = {TEXT("a"), TEXT("b"), TEXT("c"), TEXT("d"),
					    TEXT("e"), TEXT("f"), TEXT("g"), TEXT("h")};

	for (uint64_t n = 1; n <= 8; n++) {
		send_to(b, from, n, texts[n - 1], to, NULL);
		spool(b);
	}
	for (int i = 0; i < BED_CMS; i++)
		str_reset(&b->cm[i].text);
}

/* "abc" for the texts it was delivered, whose numbers have no gap. */
static void letters_are(struct bed *b, int cm, const char *expected)
{
	unsigned int q, before = 0;
	char got[32] = "";
	size_t count = 0;

	bed_turn(b);
	for (const char *at = b->cm[cm].text.data; (at = strstr(at, "DELIVER")) && count < 31;
	     at++) {
		assert_int_equal(sscanf(at, "DELIVER %*d q%u %c", &q, &got[count]), 2);
		if (before)
			assert_int_equal(q, before + 1);
		before = q;
		count++;
	}
	got[count] = 0;
	assert_string_equal(got, expected);
	str_reset(&b->cm[cm].text);
}

static void what_is_on_disk_leaves_memory_and_comes_back_in_order(void **state)
{
	struct bed *b = *state;
	const struct custody_books *books = custody_books(b->c);
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);

	fill(b, from, to);
	assert_string_equal(b->judged.data, "");
	assert_true(endpoint_queued(to) < 200);
	assert_int_equal(books->queued, endpoint_queued(to));
	assert_true(books->paged > 7 * 100);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 7, 0), ERR_OK);
	letters_are(b, 2, "a");
	assert_int_equal(bed_fetch(b), 7);
	letters_are(b, 2, "bcdefgh");
	assert_int_equal(books->paged, 0);
	custody_delivered(b->c, to, 8);
	assert_int_equal(books->held, 0);
	assert_int_equal(books->queued, 0);
	assert_int_equal(books->settled[SETTLED_DELIVERED], 8);
	bed_sync(b);
	bed_turn(b);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

static void what_comes_while_it_is_paged_in_goes_behind_it(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);

	fill(b, from, to);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 7, 0), ERR_OK);
	letters_are(b, 2, "a");
	send_to(b, from, 9, TEXT("i"), to, NULL);
	letters_are(b, 2, "");
	bed_fetch(b);
	letters_are(b, 2, "bcdefghi");
}

static void nothing_leaves_memory_before_it_is_on_disk(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);

	for (uint64_t n = 1; n <= 3; n++)
		send_to(b, from, n, TEXT("a"), to, NULL);
	custody_spool(b->c, (struct monotime){.us = 1}, 0);
	custody_spool(b->c, (struct monotime){.us = 2}, 0);
	assert_int_equal(custody_books(b->c)->paged, 0);
	bed_sync(b);
	custody_spool(b->c, (struct monotime){.us = 3}, 0);
	assert_true(custody_books(b->c)->paged > 200);
}

/* Only what cannot be on disk counts against the queue; the shelf has a limit of its own. */
static void more_than_the_shelf_takes_for_one_is_refused(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);
	uint64_t n;

	for (n = 1; n <= 30 && !b->judged.len; n++) {
		send_to(b, from, n, TEXT("a"), to, NULL);
		spool(b);
	}
	assert_in_range(n, 10, 16);
	assert_non_null(strstr(b->judged.data, "resource-constraint"));
}

static void what_is_paged_when_its_receiver_is_given_up_is_judged_in_order(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);

	fill(b, from, to);
	endpoint_release(to);
	endpoint_remove(b->c, to, "gone");
	bed_sync(b);
	assert_true(custody_books(b->c)->held > 0); /* and its rows stand, should the router die */
	assert_non_null(bed_row(b, 1, SHELF_STANZA, 8));
	bed_fetch(b);
	assert_string_equal(b->judged.data,
			    "2:" TEXT("a") ":gone;2:" TEXT("b") ":gone;2:" TEXT(
				    "c") ":gone;"
					 "2:" TEXT("d") ":gone;2:" TEXT("e") ":gone;2:" TEXT(
						 "f") ":gone;"
						      "2:" TEXT("g") ":gone;2:" TEXT("h") ":gone;");
	assert_int_equal(custody_books(b->c)->held, 0);
	assert_int_equal(custody_books(b->c)->paged, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

/* ... and a router that dies before that leaves them to the next one. */
static void what_is_paged_when_the_router_dies_is_there_for_the_next(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);
	struct session_stanza s = text(TEXT("x"));
	struct session_row row;

	fill(b, from, to);
	bed_router_dies(b);
	assert_true(session_row_get(blob_slice(bed_row(b, 2, SHELF_SESSION, 1)->body), &row));
	to = endpoint_load(b->c, &row, (struct monotime){0});
	client(b, 0, 1);
	for (uint64_t n = 1; n <= 8; n++) {
		struct custody_entry *e = custody_accept_shelved(b->c, 1, n, 200);

		custody_deliver(b->c, e, to, &s);
		custody_handled(b->c, e);
	}
	custody_restored(b->c);
	bed_turn(b);
	assert_string_equal(b->judged.data, ""); /* it was accepted, and there was room for it */
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 7, 0), ERR_OK);
	bed_fetch(b);
	bed_turn(b);
	bed_fetch(b);
	bed_turn(b);
	custody_delivered(b->c, to, 8);
	assert_int_equal(custody_books(b->c)->settled[SETTLED_DELIVERED], 8);
}

/* Somebody restored data/ from a backup. */
static void a_row_that_is_missing_leaves_no_gap(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);

	fill(b, from, to);
	blob_unref(&bed_row(b, 1, SHELF_STANZA, 3)->body);
	blob_unref(&bed_row(b, 1, SHELF_STANZA, 8)->body);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 7, 0), ERR_OK);
	bed_turn(b);
	send_to(b, from, 9, TEXT("i"), to, NULL); /* in memory, behind them */
	bed_fetch(b);
	letters_are(b, 2, "abdefgi");
	custody_delivered(b->c, to, 7);
	assert_int_equal(custody_books(b->c)->held, 0);
	assert_int_equal(custody_books(b->c)->paged, 0);
	assert_int_equal(custody_books(b->c)->settled[SETTLED_DISCARDED], 2);
}

static void a_fetch_that_failed_is_given_out_again(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);
	struct custody_fetch f, again;

	fill(b, from, to);
	assert_false(custody_next_fetch(b->c, &f));
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 7, 0), ERR_OK);
	bed_turn(b);
	assert_true(custody_next_fetch(b->c, &f));
	assert_int_equal(f.sid, 1);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.kind, SHELF_STANZA);
	custody_fetch_again(b->c, f.id);
	assert_true(custody_next_fetch(b->c, &again));
	assert_int_equal(again.id, f.id);
	assert_int_equal(again.n, 2);
	custody_fetch_again(b->c, f.id);
	bed_fetch(b);
	letters_are(b, 2, "abcdefgh");
}

/* Answers that come although nobody needs them any more. */
static void what_comes_too_late_from_the_shelf_is_harmless(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);
	struct custody_fetch f[8];
	size_t count = 0;

	fill(b, from, to);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 7, 0), ERR_OK);
	bed_turn(b);
	while (custody_next_fetch(b->c, &f[count]))
		count++;
	assert_int_equal(count, 7);
	custody_fetched(b->c, f[0].id, true, blob_slice(bed_row(b, 1, SHELF_STANZA, f[0].n)->body));
	endpoint_remove(b->c, to, "gone");
	for (size_t i = 0; i < count; i++)
		custody_fetched(b->c, f[i].id, false, SLICE_NONE);
	assert_int_equal(custody_books(b->c)->paged, 0);
	bed_fetch(b);
	assert_int_equal(custody_books(b->c)->held, 0);
}

/* ... also while it is to be judged: then it is over. */
static void a_missing_row_of_somebody_given_up_is_discarded(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);
	struct custody_fetch f;

	fill(b, from, to);
	endpoint_release(to);
	endpoint_remove(b->c, to, "gone");
	while (custody_next_fetch(b->c, &f))
		custody_fetched(b->c, f.id, false, SLICE_NONE);
	assert_string_equal(b->judged.data, "2:" TEXT("a") ":gone;");
	assert_int_equal(custody_books(b->c)->held, 0);
}

/* A planned stop while rows are on their way. */
static void a_router_may_end_while_something_is_judged(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);
	struct custody_fetch f;

	fill(b, from, to);
	endpoint_release(to);
	endpoint_remove(b->c, to, "gone");
	assert_true(custody_next_fetch(b->c, &f));
	bed_router_dies(b);
	assert_non_null(bed_row(b, 1, SHELF_STANZA, 2));
}

/* Rows may come in any order: nothing is sent before all that were asked for are there. */
static void rows_that_come_in_another_order_are_delivered_in_order(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);
	struct custody_fetch f[8];
	size_t count = 0;

	fill(b, from, to);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 7, 0), ERR_OK);
	bed_turn(b);
	while (custody_next_fetch(b->c, &f[count]))
		count++;
	while (count-- > 0)
		custody_fetched(b->c, f[count].id, true,
				blob_slice(bed_row(b, 1, SHELF_STANZA, f[count].n)->body));
	letters_are(b, 2, "abcdefgh");
	assert_false(custody_next_fetch(b->c, &f[0]));
}

/* A presence for somebody is not what its row says: it stays in memory. */
static void what_was_changed_on_its_way_stays_in_memory(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);

	for (uint64_t n = 1; n <= 3; n++) {
		struct session_stanza s = text(TEXT("p"));
		struct custody_entry *e = accept_from(b, from, n);

		s.kind = STANZA_PRESENCE;
		custody_deliver(b->c, e, to, &s);
		custody_handled(b->c, e);
		custody_set_limits(b->c, UNLIMITED);
	}
	custody_set_limits(b->c, small);
	spool(b);
	assert_int_equal(custody_books(b->c)->paged, 0);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 7, 0), ERR_OK);
	letters_are(b, 2, "ppp");
}

static void a_torn_row_is_a_missing_one(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);

	fill(b, from, to);
	bed_row_put(b, 1, SHELF_STANZA, 4, slice_of("\7\0\0\0\0\0\0\0\0", 9));
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 7, 0), ERR_OK);
	bed_turn(b);
	bed_fetch(b);
	letters_are(b, 2, "abcefgh");
}

/* Resumed, given back, resumed elsewhere, all while rows are on their way. */
static void it_may_be_resumed_again_while_it_is_paged_in(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = away(b, 1, 2);

	fill(b, from, to);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 7, 0), ERR_OK);
	letters_are(b, 2, "a");
	detach(b, to);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[1].peer, 7, 1), ERR_OK);
	letters_are(b, 1, "");
	bed_fetch(b);
	letters_are(b, 1, "bcdefgh");
	detach(b, to);
	spool(b);
	assert_true(custody_books(b->c)->paged > 400);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[1].peer, 7, 5), ERR_OK);
	bed_turn(b);
	bed_fetch(b);
	letters_are(b, 1, "fgh");
	custody_delivered(b->c, to, 8);
	assert_int_equal(custody_books(b->c)->held, 0);
	assert_int_equal(custody_books(b->c)->paged, 0);
}

/* Somebody connected who takes nothing for a while. */
static void a_slow_reader_is_paged_too(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);

	b->limits.flight = 150;
	custody_set_limits(b->c, b->limits);
	send_to(b, from, 1, TEXT("a"), to, NULL);
	send_to(b, from, 2, TEXT("b"), to, NULL);
	send_to(b, from, 3, TEXT("c"), to, NULL);
	spool(b);
	spool(b);
	letters_are(b, 1, "a");
	assert_true(custody_books(b->c)->paged > 0);
	for (uint64_t q = 1; q <= 3; q++) {
		custody_delivered(b->c, to, q);
		bed_fetch(b);
		letters_are(b, 1, q == 1 ? "b" : q == 2 ? "c" : "");
	}
	assert_int_equal(custody_books(b->c)->held, 0);
	assert_int_equal(custody_books(b->c)->paged, 0);
}

static void a_domain_that_comes_back_gets_what_was_paged(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1);
	struct endpoint *to =
		endpoint_add(b->c, b->cm[1].peer, 9, 1, SESSION_DOMAIN, 1, slice_str("d"));

	bed_cm_dies(b, 1);
	fill(b, from, to);
	assert_true(custody_books(b->c)->paged > 400);
	take_over(b, &to, 2, 10);
	bed_turn(b);
	bed_fetch(b);
	letters_are(b, 2, "abcdefgh");
	custody_delivered(b->c, to, 8);
	assert_int_equal(custody_books(b->c)->held, 0);
	assert_int_equal(custody_books(b->c)->paged, 0);
	assert_int_equal(custody_books(b->c)->queued, 0);
}

/* ... also when it goes once more while that is on its way, and comes back under another sid. */
static void a_domain_that_goes_and_comes_while_it_is_paged_in_gets_it_then(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1);
	struct endpoint *to =
		endpoint_add(b->c, b->cm[1].peer, 9, 1, SESSION_DOMAIN, 1, slice_str("d"));
	struct custody_fetch f;

	bed_cm_dies(b, 1);
	fill(b, from, to);
	take_over(b, &to, 2, 10);
	letters_are(b, 2, "a");
	assert_true(custody_next_fetch(b->c, &f));
	bed_cm_dies(b, 2);
	take_over(b, &to, 0, 11);
	bed_turn(b);
	custody_fetched(b->c, f.id, true, blob_slice(bed_row(b, 1, SHELF_STANZA, f.n)->body));
	while (bed_fetch(b))
		bed_turn(b);
	letters_are(b, 0, "abcdefgh");
	custody_delivered(b->c, to, 8);
	assert_int_equal(custody_books(b->c)->held, 0);
	assert_int_equal(custody_books(b->c)->paged, 0);
}

static int setup_small(void **state)
{
	*state = bed_new(small);
	custody_restored(((struct bed *)*state)->c);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup_small, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_on_disk_leaves_memory_and_comes_back_in_order),
		T(what_comes_while_it_is_paged_in_goes_behind_it),
		T(nothing_leaves_memory_before_it_is_on_disk),
		T(more_than_the_shelf_takes_for_one_is_refused),
		T(what_is_paged_when_its_receiver_is_given_up_is_judged_in_order),
		T(what_is_paged_when_the_router_dies_is_there_for_the_next),
		T(a_row_that_is_missing_leaves_no_gap),
		T(a_fetch_that_failed_is_given_out_again),
		T(what_comes_too_late_from_the_shelf_is_harmless),
		T(a_missing_row_of_somebody_given_up_is_discarded),
		T(a_router_may_end_while_something_is_judged),
		T(rows_that_come_in_another_order_are_delivered_in_order),
		T(what_was_changed_on_its_way_stays_in_memory),
		T(a_torn_row_is_a_missing_one),
		T(it_may_be_resumed_again_while_it_is_paged_in),
		T(a_slow_reader_is_paged_too),
		T(a_domain_that_comes_back_gets_what_was_paged),
		T(a_domain_that_goes_and_comes_while_it_is_paged_in_gets_it_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
