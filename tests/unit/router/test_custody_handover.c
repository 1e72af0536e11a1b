/* Several sessions of one domain (CUSTODY 14): what one was not delivered goes to the others. */
#include "router/route_table.h"
#include "tests/unit/router/custody_bed.h"

#define D "d.test"

static struct endpoint *domain(struct bed *b, int cm, uint64_t sid)
{
	return endpoint_add(b->c, b->cm[cm].peer, sid, 1, SESSION_DOMAIN, 1, slice_str(D));
}

/* One that can be resumed. */
static struct endpoint *sm_domain(struct bed *b, int cm, uint64_t sid)
{
	struct endpoint *ep = domain(b, cm, sid);

	endpoint_enable(b->c, ep, 0, 300, slice_str("id"));
	bed_turn(b);
	str_reset(&b->cm[cm].text);
	return ep;
}

/* A stanza of its own, answered to it. */
static void answer_to(struct bed *b, struct endpoint *from, uint64_t n, struct endpoint *to,
		      const char *inner)
{
	struct custody_entry *e = accept_from(b, from, n);
	struct session_stanza s = text(inner);

	s.kind = STANZA_PRESENCE;
	s.to = slice_str(D);
	custody_answer(b->c, e, to, &s);
	custody_conclude(e, SETTLED_CONSUMED);
	custody_handled(b->c, e);
}

static void what_was_not_delivered_goes_behind_what_the_other_has_and_is_settled_there(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *a = domain(b, 1, 2), *other = domain(b, 2, 3);

	for (uint64_t n = 1; n <= 3; n++)
		send_to(b, from, n, (const char *[]){"", "a", "b", "c"}[n], a, NULL);
	send_to(b, from, 4, "x", other, NULL);
	expect(b, 1, "DELIVER 2 q1 a;DELIVER 2 q2 b;DELIVER 2 q3 c;");
	custody_delivered(b->c, a, 1);
	expect(b, 0, "HELD 1 n4;SETTLED 1 n1 how1;");
	assert_true(endpoint_owes(a));
	endpoint_hand_over(b->c, a, bed_heir, other);
	assert_false(endpoint_owes(a));
	assert_int_equal(endpoint_queued(a), 0);
	endpoint_remove(b->c, a, "gone");
	send_to(b, from, 5, "y", other, NULL);
	expect(b, 2, "DELIVER 3 q1 x;DELIVER 3 q2 b;DELIVER 3 q3 c;DELIVER 3 q4 y;");
	assert_string_equal(b->judged.data, "");
	custody_delivered(b->c, other, 4);
	expect(b, 0, "HELD 1 n5;SETTLED 1 n4 how1;SETTLED 1 n2-3 how1;SETTLED 1 n5 how1;");
	assert_int_equal(custody_books(b->c)->queued, 0);
	assert_int_equal(custody_books(b->c)->held, 0);
}

/* Its manager keeps the origin of what it delivered until the sender's has noted it: the session
 * that ended is still told. */
static void who_has_ended_is_told_to_forget_what_it_delivered_and_nothing_else(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *a = domain(b, 1, 2), *other = domain(b, 2, 3);

	send_to(b, from, 1, "a", a, NULL);
	send_to(b, from, 2, "b", a, NULL);
	bed_turn(b);
	str_reset(&b->cm[1].text);
	custody_delivered(b->c, a, 1);
	endpoint_hand_over(b->c, a, bed_heir, other);
	endpoint_remove(b->c, a, "gone");
	endpoint_unbound(b->c, a);
	custody_delivered(b->c, a, 2); /* too late */
	bed_turn(b);
	bed_turn(b);
	bed_turn(b);
	bed_got(b, 1, "FORGET 2 q2;");
	assert_null(endpoint_find(b->c, 2));
	assert_int_equal(custody_books(b->c)->held, 1);
	custody_delivered(b->c, other, 1);
	assert_int_equal(custody_books(b->c)->held, 0);
}

static struct endpoint *heirs[2];

static struct endpoint *by_digest(void *ctx, struct endpoint *ep, uint64_t digest)
{
	(void)ctx;
	(void)ep;
	return heirs[digest == route_peer_digest(slice_str("v@x.test"))];
}

static void send_from(struct bed *b, struct endpoint *from, uint64_t n, const char *jid,
		      const char *inner, struct endpoint *to)
{
	struct custody_entry *e = accept_from(b, from, n);
	struct session_stanza s = text(inner);
	struct msg_stanza m;

	s.from = slice_str(jid);
	m = custody_record(endpoint_sid(from), n, &s);
	custody_deliver(b->c, e, to, &s);
	custody_keep(e, &m, s.from);
	custody_handled(b->c, e);
}

#define LONG "0123456789012345678901234567890123456789"

/* Also what is on the shelf only: who it is from is not forgotten. */
static void each_peers_stanzas_go_to_his_heir_in_order_paged_or_not(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *a = domain(b, 1, 2);

	heirs[0] = domain(b, 2, 3);
	heirs[1] = domain(b, 2, 4);
	bed_cm_dies(b, 1);
	for (uint64_t n = 1; n <= 6; n++) {
		char inner[64];

		snprintf(inner, sizeof(inner), "%c" LONG, (char)('a' + (char)n - 1));
		send_from(b, from, n, n % 2 ? "u@x.test/r" : "v@x.test/s", inner, a);
	}
	for (uint64_t us = 1; us < 4; us++) {
		custody_spool(b->c, (struct monotime){.us = us * 1000000}, 0);
		bed_sync(b);
		bed_turn(b);
	}
	assert_true(custody_books(b->c)->paged > 2 * sizeof(LONG));
	endpoint_hand_over(b->c, a, by_digest, NULL);
	endpoint_remove(b->c, a, "gone");
	do {
		bed_turn(b);
		custody_delivered(b->c, heirs[0], 10);
		custody_delivered(b->c, heirs[1], 10);
	} while (bed_fetch(b));
	bed_turn(b);
	for (int i = 1; i <= 3; i++) {
		char u[40], v[40];
		const char *at_u, *at_v, *both = b->cm[2].text.data;

		snprintf(u, sizeof(u), "DELIVER 3 q%d %c0", i, 'a' + 2 * (i - 1));
		snprintf(v, sizeof(v), "DELIVER 4 q%d %c0", i, 'b' + 2 * (i - 1));
		at_u = strstr(both, u);
		at_v = strstr(both, v);
		assert_non_null(at_u);
		assert_non_null(at_v);
	}
	assert_int_equal(custody_books(b->c)->paged, 0);
	assert_int_equal(custody_books(b->c)->queued, 0);
	assert_int_equal(custody_books(b->c)->held, 0);
}

static void a_place_waits_on_the_shelf_and_a_new_router_finds_it(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *a = domain(b, 1, 2), *place;
	struct session_row row;

	endpoint_set_blob(b->c, a, slice_str("policy"));
	send_to(b, from, 1, "a", a, NULL);
	place = endpoint_wait(b->c, a, 9, (struct monotime){.us = 5});
	endpoint_hand_over(b->c, a, bed_heir, place);
	endpoint_remove(b->c, a, "gone");
	assert_true(endpoint_detached(place));
	assert_false(endpoint_can_resume(place));
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 9;");
	bed_router_dies(b);
	assert_true(session_row_get(blob_slice(b->rows[0].body), &row));
	assert_int_equal(row.m.kind, SESSION_DOMAIN);
	assert_true(slice_is(row.m.blob, "policy"));
	place = endpoint_load(b->c, &row, (struct monotime){.us = 9});
	from = client(b, 0, 1);
	send_to(b, from, 1, "a", place, NULL); /* its sender's manager sends it again */
	custody_restored(b->c);
	take_over(b, &place, 2, 10);
	bed_turn(b);
	assert_non_null(strstr(b->cm[2].text.data, "DELIVER 10 q1 a;"));
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	assert_null(endpoint_wait(b->c, place, 10, (struct monotime){0})); /* taken */
}

/* The row of an answer bears the sid for which it was put there. */
static void an_answer_that_was_handed_over_is_found_by_the_next_router(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *a = sm_domain(b, 1, 2), *now;
	struct session_stanza s;
	uint64_t n;

	detach(b, a);
	answer_to(b, from, 1, a, "presence");
	custody_spool(b->c, (struct monotime){.us = 1000000}, 0);
	bed_sync(b);
	bed_turn(b);
	assert_string_equal(bed_rows(b), "session 2;answer 2 n1;");
	take_over(b, &a, 2, 3);
	bed_turn(b);
	assert_non_null(strstr(b->cm[2].text.data, "DELIVER 3 q1 presence;"));
	bed_sync(b);
	assert_string_equal(bed_rows(b), "answer 2 n1;");
	bed_router_dies(b);
	n = b->rows[0].n;
	assert_true(custody_answer_get(blob_slice(b->rows[0].body), &s));
	assert_true(slice_is(s.to, D));
	now = domain(b, 2, 4);
	custody_load_answer_for(b->c, now, 2, n, blob_slice(b->rows[0].body));
	custody_restored(b->c);
	expect(b, 2, "DELIVER 4 q1 presence;");
	custody_delivered(b->c, now, 1);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

static void a_component_that_can_resume_keeps_its_numbers_and_its_row(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *a = sm_domain(b, 1, 2);

	send_to(b, from, 1, "a", a, NULL);
	send_to(b, from, 2, "b", a, NULL);
	bed_turn(b);
	custody_delivered(b->c, a, 1);
	bed_cm_dies(b, 1);
	assert_true(endpoint_detached(a));
	send_to(b, from, 3, "c", a, NULL);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;");
	assert_int_equal(endpoint_resume(b->c, a, b->cm[2].peer, 7, 1), ERR_OK);
	expect(b, 2,
	       "HAD 2 q1;RESUMED 2 epoch2 seen0 own0 in0 out1 q2;DELIVER 2 q2 b;DELIVER 2 q3 c;");
}

/* ---- a router's start ---- */

/* The stanza comes again, and by now the peer is another session's. */
static void what_one_session_has_goes_to_no_other_after_a_start(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *a = domain(b, 1, 2), *other = domain(b, 2, 3);

	have(b, a, 1, 1, 1, true);
	have(b, a, 2, 1, 2, false);
	for (uint64_t n = 1; n <= 3; n++)
		send_to(b, from, n, "x", other, NULL);
	bed_turn(b);
	bed_got(b, 1, "");
	bed_got(b, 2, "DELIVER 3 q1 x;");
	bed_got(b, 0, "SETTLED 1 n1 how1;");
	custody_delivered(b->c, a, 2);
	expect(b, 0, "SETTLED 1 n2 how1;");
	custody_restored(b->c);
}

/* It was handed over, delivered there, and its first session still holds it. */
static void what_one_session_was_delivered_is_not_given_by_who_still_has_it(void **state)
{
	struct session_stanza s = {.kind = STANZA_IQ, .type = TYPE_RESULT, .inner = slice_str("r")};
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *a = domain(b, 1, 2), *other = domain(b, 2, 3);
	struct custody_entry *e;

	have(b, a, 1, 1, 1, false);
	have(b, a, 2, 1, 2 | 1ULL << 63, false);
	have(b, other, 1, 1, 1, true);
	have(b, other, 2, 1, 2 | 1ULL << 63, true);
	send_to(b, from, 1, "x", a, NULL);
	bed_turn(b);
	bed_got(b, 0, "SETTLED 1 n1 how1;");
	endpoint_remove(b->c, other, "gone");
	e = custody_accept(b->c, b->cm[0].peer, from, 2, 10, true);
	custody_answer(b->c, e, a, &s);
	custody_handled(b->c, e);
	expect(b, 1, "");
	expect(b, 2, "FORGET 3 q1;");
	custody_restored(b->c);
}

/* A place that nobody needs any more goes before the resends are in. */
static void what_a_session_that_nobody_has_was_delivered_is_known_after_it_is_gone(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *other = domain(b, 2, 3);
	struct endpoint *a = endpoint_add(b->c, NULL, 2, 1, SESSION_DOMAIN, 1, slice_str(D));
	struct custody_entry *e;

	have(b, a, 1, 1, 1, true);
	endpoint_remove(b->c, a, "gone");
	assert_null(endpoint_find(b->c, 2));
	e = custody_accept(b->c, b->cm[0].peer, from, 1, 10, true);
	assert_true(custody_was_delivered(b->c, e));
	custody_handled(b->c, e);
	send_to(b, from, 2, "y", other, NULL);
	expect(b, 2, "DELIVER 3 q1 y;");
	expect(b, 0, "SETTLED 1 n1 how1;");
	custody_restored(b->c);
}

static void
what_a_session_that_is_over_was_not_delivered_goes_to_another_after_a_start(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *a = domain(b, 1, 2), *other = domain(b, 2, 3);

	have(b, a, 1, 1, 1, true);
	have(b, a, 2, 1, 2, false);
	endpoint_remove(b->c, a, "gone");
	send_to(b, from, 2, "b", other, NULL);
	expect(b, 2, "DELIVER 3 q1 b;");
	custody_restored(b->c);
}

/* The answer to a session that is over went to another one; what it answered is on the shelf. */
static void an_answer_that_another_session_has_is_not_given_again_after_a_start(void **state)
{
	static const struct {
		const char *domain;
		bool delivered;
		enum custody_answered answered;
	} cases[] = {
		{D, true, ANSWERED}, {D, false, ANSWERED_AGAIN}, {"e.test", true, ANSWERED_NOT}};
	struct session_stanza s = {.kind = STANZA_IQ, .type = TYPE_RESULT, .inner = slice_str("r")};
	struct bed *b = *state;
	struct endpoint *heir = domain(b, 1, 3);

	for (uint64_t n = 1; n <= 3; n++)
		have(b, heir, n, 2, n | 1ULL << 63, cases[n - 1].delivered);
	for (uint64_t n = 1; n <= 3; n++) {
		struct custody_entry *e = custody_accept_shelved(b->c, 2, n, 10);

		assert_non_null(e);
		assert_int_equal(
			custody_was_answered(b->c, e, NULL, slice_str(cases[n - 1].domain)),
			cases[n - 1].answered);
		if (cases[n - 1].answered == ANSWERED_AGAIN) {
			custody_conclude(e, SETTLED_CONSUMED);
			custody_answer(b->c, e, heir, &s); /* takes number 2 */
		}
		custody_handled(b->c, e);
	}
	expect(b, 1, "");
	custody_restored(b->c);
}

static void what_is_claimed_after_a_start_is_handed_over_too(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *a = domain(b, 1, 2), *other = domain(b, 2, 3);

	have(b, a, 1, 1, 1, false);
	send_to(b, from, 1, "a", a, NULL);
	custody_restored(b->c);
	endpoint_hand_over(b->c, a, bed_heir, other);
	endpoint_remove(b->c, a, "gone");
	expect(b, 2, "DELIVER 3 q1 a;");
	assert_string_equal(b->judged.data, "");
}

static int setup_small(void **state)
{
	*state = bed_new((struct custody_limits){.flight = 1000, .queue = 1 << 20, .memory = 100});
	custody_restored(((struct bed *)*state)->c);
	return 0;
}

#define T(f)	  cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
#define STARTS(f) cmocka_unit_test_setup_teardown(f, bed_setup_starting, bed_teardown)
#define SMALL(f)  cmocka_unit_test_setup_teardown(f, setup_small, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_was_not_delivered_goes_behind_what_the_other_has_and_is_settled_there),
		T(who_has_ended_is_told_to_forget_what_it_delivered_and_nothing_else),
		SMALL(each_peers_stanzas_go_to_his_heir_in_order_paged_or_not),
		T(a_place_waits_on_the_shelf_and_a_new_router_finds_it),
		T(an_answer_that_was_handed_over_is_found_by_the_next_router),
		T(a_component_that_can_resume_keeps_its_numbers_and_its_row),
		STARTS(what_one_session_has_goes_to_no_other_after_a_start),
		STARTS(what_one_session_was_delivered_is_not_given_by_who_still_has_it),
		STARTS(what_a_session_that_nobody_has_was_delivered_is_known_after_it_is_gone),
		STARTS(what_a_session_that_is_over_was_not_delivered_goes_to_another_after_a_start),
		STARTS(what_is_claimed_after_a_start_is_handed_over_too),
		STARTS(an_answer_that_another_session_has_is_not_given_again_after_a_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
