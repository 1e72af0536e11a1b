/* Sessions that move: who is told what when, and who recognises what after how many deaths
 * (CUSTODY 4, 5, 8, 12). */
#include "tests/unit/router/custody_bed.h"

static const struct monotime later = {.us = 2000 * 1000};

static struct endpoint *resume(struct bed *b, struct endpoint *ep, int cm, uint32_t h)
{
	assert_int_equal(endpoint_resume(b->c, ep, b->cm[cm].peer, 7, h), ERR_OK);
	return ep;
}

static void quiet(struct bed *b)
{
	for (int i = 0; i < BED_CMS; i++)
		str_reset(&b->cm[i].text);
}

/* Resent by cm to a router that has started; delivered where it is recognised, else to `to`. */
static struct custody_entry *resend(struct bed *b, int cm, struct endpoint *from, uint64_t n,
				    struct endpoint *to)
{
	struct custody_entry *e = custody_accept(b->c, b->cm[cm].peer, from, n, 10, true);
	struct session_stanza s = text("again");

	assert_non_null(e);
	if (!custody_was_delivered(b->c, e) && to)
		custody_deliver(b->c, e, to, &s);
	custody_handled(b->c, e);
	return e;
}

/* ---- the former owner ---- */

static void a_former_owner_is_released_when_the_new_one_has_it(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);

	for (uint64_t n = 1; n <= 5; n++)
		custody_handled(b->c, accept_from(b, to, n));
	send_to(b, from, 1, "a", to, NULL);
	send_to(b, from, 2, "b", to, NULL);
	bed_turn(b);
	detach(b, to);
	quiet(b);
	assert_ptr_equal(endpoint_former(to), b->cm[1].peer);
	b->cm[0].deaf = b->cm[2].deaf = true;
	resume(b, to, 2, 1);
	assert_true(custody_peer_is_former(b->cm[1].peer, 2));
	assert_false(endpoint_handed_over(to));
	expect(b, 1, "");
	b->cm[2].deaf = false;
	bed_turn(b);
	expect(b, 1, "RELEASED 2 epoch1 seen5 q1;");
	assert_true(endpoint_handed_over(to));
	bed_got(b, 2, "HAD 2 q1;RESUMED 2 epoch2 seen5 own5 in0 out1 q2;DELIVER 2 q2 b;");
	/* number 1 is known there until its sender's manager has noted it */
	expect(b, 1, "");
	b->cm[0].deaf = false;
	bed_turn(b);
	expect(b, 1, "FORGET 2 q1;");
	bed_got(b, 2, "FORGET 2 q1;");
}

/* The client comes back where it was, and was elsewhere meanwhile. */
static void who_gets_it_back_is_no_former_owner(void **state)
{
	struct bed *b = *state;
	struct endpoint *to = sm_client(b, 1, 2);

	detach(b, to);
	resume(b, to, 2, 0);
	bed_turn(b);
	bed_turn(b);
	detach(b, to);
	resume(b, to, 1, 0);
	assert_false(custody_peer_is_former(b->cm[1].peer, 2));
	assert_true(custody_peer_is_former(b->cm[2].peer, 2));
}

/* own_n: what is newer there came too late, and was sent again elsewhere. */
static void who_gets_it_back_is_told_what_came_in_time(void **state)
{
	struct bed *b = *state;
	struct endpoint *to = sm_client(b, 1, 2);

	for (uint64_t n = 1; n <= 3; n++)
		custody_handled(b->c, accept_from(b, to, n));
	detach(b, to);
	bed_turn(b);
	b->cm[2].deaf = true;
	resume(b, to, 2, 0);
	custody_handled(b->c, custody_accept(b->c, b->cm[2].peer, to, 4, 10, false));
	bed_cm_dies(b, 2); /* it had never got that far */
	quiet(b);
	resume(b, to, 1, 0);
	expect(b, 1, "RESUMED 2 epoch3 seen4 own3 in0 out1 q1;");
}

/* It is detached again before it was heard of: its former owner is let go all the same. */
static void a_former_owner_is_released_when_the_next_one_leaves(void **state)
{
	struct bed *b = *state;
	struct endpoint *to = sm_client(b, 1, 2);

	detach(b, to);
	b->cm[2].deaf = true;
	resume(b, to, 2, 0);
	bed_turn(b);
	detach(b, to);
	expect(b, 1, "RELEASED 2 epoch1 seen0 q0;FORGET 2 q0;");
	assert_ptr_equal(endpoint_former(to), b->cm[2].peer);
}

/* It died without having heard of it: then the former owner has the session still. */
static void a_former_owner_stays_when_the_next_one_never_had_it(void **state)
{
	struct bed *b = *state;
	struct endpoint *to = sm_client(b, 1, 2);

	detach(b, to);
	b->cm[2].deaf = true;
	resume(b, to, 2, 0);
	bed_turn(b);
	bed_cm_dies(b, 2);
	expect(b, 1, "");
	assert_ptr_equal(endpoint_former(to), b->cm[1].peer);
	resume(b, to, 0, 0);
	bed_turn(b);
	expect(b, 1, "RELEASED 2 epoch1 seen0 q0;FORGET 2 q0;");
}

static void whoever_had_it_is_told_that_it_is_over(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);

	for (uint64_t n = 1; n <= 5; n++)
		custody_handled(b->c, accept_from(b, to, n));
	send_to(b, from, 1, "a", to, NULL);
	bed_turn(b);
	custody_delivered(b->c, to, 1);
	bed_turn(b);
	bed_turn(b);
	detach(b, to);
	quiet(b);
	endpoint_release(to);
	endpoint_remove(b->c, to, "gone");
	expect(b, 1, "RELEASED 2 epoch1 seen5 q1;FORGET 2 q1;");
}

/* ---- the row of a session ---- */

static struct session_row row_of(struct bed *b, uint64_t sid)
{
	struct session_row r;

	assert_non_null(bed_row(b, sid, SHELF_SESSION, 1));
	assert_true(session_row_get(blob_slice(bed_row(b, sid, SHELF_SESSION, 1)->body), &r));
	return r;
}

static void a_row_stays_until_its_new_owner_has_it_and_all_is_noted(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);

	send_to(b, from, 1, "a", to, NULL);
	bed_turn(b);
	b->cm[0].deaf = true;
	bed_cm_dies(b, 1);
	bed_sync(b);
	b->cm[2].deaf = true;
	resume(b, to, 2, 1);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;");
	b->cm[2].deaf = false;
	bed_turn(b);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;"); /* number 1 is not noted */
	b->cm[0].deaf = false;
	bed_turn(b);
	bed_turn(b);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

static void a_session_that_moved_since_is_written_again(void **state)
{
	struct bed *b = *state;
	struct endpoint *to = sm_client(b, 1, 2);

	bed_cm_dies(b, 1);
	bed_sync(b);
	assert_int_equal(row_of(b, 2).m.epoch, 1);
	b->cm[2].deaf = true;
	resume(b, to, 2, 0);
	bed_turn(b);
	detach(b, to);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	assert_int_equal(row_of(b, 2).m.epoch, 2);
}

/* The former owner dies while it keeps what the client has had: the row keeps it then. */
static void what_a_dead_former_owner_knew_is_a_row(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);

	send_to(b, from, 1, "a", to, NULL);
	send_to(b, from, 2, "b", to, NULL);
	bed_turn(b);
	b->cm[0].deaf = true;
	detach(b, to);
	resume(b, to, 2, 1);
	bed_turn(b);
	bed_cm_dies(b, 1);
	bed_sync(b);
	assert_int_equal(row_of(b, 2).m.epoch, 1);
	assert_int_equal(row_of(b, 2).m.base_q, 1);
	assert_int_equal(row_of(b, 2).m.next_q, 2);
	assert_int_equal(row_of(b, 2).haves.len, 17);
	b->cm[0].deaf = false;
	for (int i = 0; i < 3; i++)
		bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

/* ---- what is noted when ---- */

static void what_was_resent_is_forgotten_when_all_resends_are_in(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);

	have(b, to, 1, 1, 5, true);
	resend(b, 0, from, 5, to);
	expect(b, 0, "SETTLED 1 n5 how1;");
	bed_turn(b);
	bed_turn(b);
	bed_got(b, 1, ""); /* somebody else may hold it too, and has not said so yet */
	custody_restored(b->c);
	bed_turn(b);
	bed_turn(b);
	bed_got(b, 1, "FORGET 2 q1;");
}

/* Its sender's manager died after it was delivered; the row is not gone from the disk yet. */
static void what_was_spooled_is_forgotten_when_its_row_is_gone_whoever_dies(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);

	detach(b, to);
	send_to(b, from, 1, "a", to, NULL);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	bed_turn(b);
	resume(b, to, 1, 0);
	bed_turn(b);
	b->cm[0].deaf = true;
	custody_delivered(b->c, to, 1);
	bed_turn(b);
	quiet(b);
	bed_cm_dies(b, 0);
	bed_turn(b);
	expect(b, 1, "");
	bed_sync(b);
	expect(b, 1, "FORGET 2 q1;");
}

/* An ended session had it, or its sender its answer: its manager keeps that until the sender's has
 * noted it. */
static void who_announced_it_keeps_it_until_it_is_noted(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *ended = client(b, 1, 2);
	struct custody_entry *e;

	have(b, ended, 1, 1, 5, true);
	endpoint_remove(b->c, ended, "gone");
	have(b, from, 1, 1, 6 | 1ULL << 63, true);
	b->cm[0].deaf = true;
	resend(b, 0, from, 5, NULL);
	e = custody_accept(b->c, b->cm[0].peer, from, 6, 10, true);
	assert_int_equal(custody_was_answered(b->c, e, from, SLICE_NONE), ANSWERED);
	custody_handled(b->c, e);
	custody_restored(b->c);
	bed_turn(b);
	expect(b, 1, "");
	b->cm[0].deaf = false;
	expect(b, 0, "SETTLED 1 n5 how1;SETTLED 1 n6 how3;HELD 1 n6;");
	expect(b, 0, "FORGET 1 q1;");
	expect(b, 1, "FORGET 2 q1;");
}

static struct msg_announce newer(uint64_t epoch, uint64_t base_q)
{
	return (struct msg_announce){.sid = 2,
				     .epoch = epoch,
				     .kind = SESSION_CLIENT,
				     .base_q = base_q,
				     .next_q = base_q,
				     .jid = slice_str("a@x.test/r"),
				     .resume_id = slice_str("id2"),
				     .out_base = 1};
}

/* Its present owner has that as well, and may die first. */
static void who_announced_it_as_over_keeps_it_until_it_is_noted(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 2, 2);

	endpoint_beat(b->c, to, b->cm[1].peer, 0, SESSION_MOVED);
	custody_have_former(b->c, &(struct msg_announce_have){2, 1, 1, 5, true});
	have(b, to, 1, 1, 5, true);
	b->cm[0].deaf = true;
	resend(b, 0, from, 5, to);
	custody_restored(b->c);
	bed_turn(b);
	expect(b, 1, "");
	b->cm[0].deaf = false;
	expect(b, 0, "SETTLED 1 n5 how1;HELD 1 n5;");
	bed_turn(b);
	expect(b, 1, "FORGET 2 q-2;");
}

/* What it had under a former owner counts, however often it moved. */
static void what_it_had_anywhere_is_recognised(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);
	struct msg_announce second = newer(2, 3), third = newer(3, 4);

	have(b, to, 1, 1, 11, true);
	have(b, to, 2, 1, 12, false); /* acknowledged when it was resumed: below number 3 */
	to = endpoint_supersede(b->c, to, b->cm[2].peer, &second);
	have(b, to, 3, 1, 13, true);
	/* a third one, told late */
	custody_have_former(b->c, &(struct msg_announce_have){2, 2, 1, 14, false});
	custody_have_former(b->c, &(struct msg_announce_have){2, 9, 1, 15, true});
	custody_have_former(b->c, &(struct msg_announce_have){2, 9, 1, 16, false});
	to = endpoint_supersede(b->c, to, b->cm[0].peer, &third);
	for (uint64_t n = 11; n <= 16; n++)
		resend(b, 0, from, n, to);
	/* of a session that nobody has any more */
	custody_have_former(b->c, &(struct msg_announce_have){99, 1, 1, 17, true});
	resend(b, 0, from, 17, NULL);
	assert_int_equal(custody_books(b->c)->settled[SETTLED_DELIVERED], 6);
	assert_int_equal(custody_books(b->c)->repeats, 5);
	custody_restored(b->c);
	bed_turn(b);
	assert_non_null(strstr(b->cm[0].text.data, "DELIVER 2 q4 again;"));
	assert_int_equal(custody_books(b->c)->held, 1);
	bed_turn(b);
	custody_delivered(b->c, to, 4);
	/* all of that is in its row, should its manager die now */
	bed_router_dies(b);
}

static void its_row_has_what_it_had_anywhere(void **state)
{
	struct bed *b = *state;
	struct endpoint *to = client(b, 1, 2);
	struct msg_announce second = newer(2, 3), third = newer(3, 4);

	have(b, to, 1, 1, 11, true);
	have(b, to, 2, 1, 12, false);
	to = endpoint_supersede(b->c, to, b->cm[2].peer, &second);
	have(b, to, 3, 1, 13, true);
	to = endpoint_supersede(b->c, to, b->cm[0].peer, &third);
	endpoint_restore(b->c, to, &third);
	bed_cm_dies(b, 0);
	bed_sync(b);
	assert_int_equal(row_of(b, 2).had.len, 3 * 16);
}

/* Nobody who told of it may forget it before who resent it knows that it is settled. */
static void losers_are_told_when_who_claimed_their_news_knows(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);
	struct msg_announce m = newer(2, 2);

	have(b, to, 1, 1, 5, true);
	to = endpoint_supersede(b->c, to, b->cm[2].peer, &m);
	endpoint_beat(b->c, to, b->cm[1].peer, 1, SESSION_DETACHED);
	resend(b, 0, from, 5, to);
	b->cm[0].deaf = true;
	expect(b, 1, "");
	custody_restored(b->c);
	bed_turn(b);
	expect(b, 1, "");
	b->cm[0].deaf = false;
	bed_turn(b);
	bed_turn(b);
	bed_got(b, 1, "RELEASED 2 epoch1 seen-1 q1;FORGET 2 q1;");
}

/* ... nor a former owner of a session that is resumed meanwhile. */
static void a_former_owner_is_told_when_who_claimed_its_news_knows(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);
	struct msg_announce m = newer(2, 2);

	have(b, to, 1, 1, 5, true);
	to = endpoint_supersede(b->c, to, b->cm[2].peer, &m);
	endpoint_restore(b->c, to, &m);
	resend(b, 0, from, 5, to);
	detach(b, to);
	b->cm[0].deaf = true;
	resume(b, to, 1, 1);
	bed_turn(b);
	expect(b, 2, ""); /* restoring */
	custody_restored(b->c);
	bed_turn(b);
	expect(b, 2, "");
	b->cm[0].deaf = false;
	bed_turn(b);
	bed_turn(b);
	bed_got(b, 2, "RELEASED 2 epoch2 seen0 q1;FORGET 2 q1;");
}

static void a_former_owner_is_told_nothing_before_all_resends_are_in(void **state)
{
	struct bed *b = *state;
	struct endpoint *to = sm_client(b, 1, 2);

	detach(b, to);
	resume(b, to, 2, 0);
	bed_turn(b);
	bed_turn(b);
	expect(b, 1, "");
	custody_restored(b->c);
	expect(b, 1, "RELEASED 2 epoch1 seen0 q0;FORGET 2 q0;");
}

/* ---- managers that are late ---- */

static void what_comes_again_after_the_start_is_taken_once_more(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);

	resend(b, 0, from, 5, NULL);
	bed_turn(b);
	bed_turn(b);
	custody_restored(b->c);
	bed_turn(b);
	bed_turn(b); /* that entry is gone */
	resend(b, 0, from, 5, to);
	bed_turn(b);
	custody_delivered(b->c, to, 1);
	assert_int_equal(custody_books(b->c)->held, 0);
}

/* A row was loaded and got stanzas; then its newer owner announces itself after announce_wait. */
static void what_waits_is_not_lost_when_a_late_owner_announces_its_session(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to;
	struct msg_announce m = newer(2, 1);
	struct session_row row;

	custody_restored(b->c);
	to = sm_client(b, 1, 2);
	bed_cm_dies(b, 1);
	bed_sync(b);
	bed_router_dies(b);
	custody_restored(b->c);
	row = row_of(b, 2);
	to = endpoint_load(b->c, &row, (struct monotime){0});
	from = client(b, 0, 1);
	send_to(b, from, 1, "a", to, NULL);
	to = endpoint_supersede(b->c, to, b->cm[2].peer, &m);
	endpoint_restore(b->c, to, &m);
	bed_turn(b);
	if (strstr(b->cm[2].text.data, "DELIVER 2 q1 a;"))
		custody_delivered(b->c, to, 1);
	else
		assert_string_equal(b->judged.data, "2:a:recipient-unavailable;");
	assert_int_equal(custody_books(b->c)->held, 0);
	assert_int_equal(custody_books(b->c)->queued, 0);
}

#define T(f)	    cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
#define STARTING(f) cmocka_unit_test_setup_teardown(f, bed_setup_starting, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_former_owner_is_released_when_the_new_one_has_it),
		T(who_gets_it_back_is_no_former_owner),
		T(who_gets_it_back_is_told_what_came_in_time),
		T(a_former_owner_is_released_when_the_next_one_leaves),
		T(a_former_owner_stays_when_the_next_one_never_had_it),
		T(whoever_had_it_is_told_that_it_is_over),
		T(a_row_stays_until_its_new_owner_has_it_and_all_is_noted),
		T(a_session_that_moved_since_is_written_again),
		T(what_a_dead_former_owner_knew_is_a_row),
		STARTING(what_was_resent_is_forgotten_when_all_resends_are_in),
		T(what_was_spooled_is_forgotten_when_its_row_is_gone_whoever_dies),
		STARTING(who_announced_it_keeps_it_until_it_is_noted),
		STARTING(who_announced_it_as_over_keeps_it_until_it_is_noted),
		STARTING(what_it_had_anywhere_is_recognised),
		STARTING(its_row_has_what_it_had_anywhere),
		STARTING(losers_are_told_when_who_claimed_their_news_knows),
		STARTING(a_former_owner_is_told_when_who_claimed_its_news_knows),
		STARTING(a_former_owner_is_told_nothing_before_all_resends_are_in),
		STARTING(what_comes_again_after_the_start_is_taken_once_more),
		STARTING(what_waits_is_not_lost_when_a_late_owner_announces_its_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
