/* What custody keeps on the shelf, and what it waits for: managers that die, receivers that are
 * away, senders whose domain wants the disk (CUSTODY 1, 3, 4, 7, 8, 13). */
#include "tests/unit/router/custody_bed.h"

static const struct monotime later = {.us = 2000 * 1000};

/* ---- a manager dies ---- */

static void what_a_dead_manager_had_accepted_is_a_row_until_it_is_settled(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);

	send_to(b, from, 1, "a", to, NULL);
	expect(b, 1, "DELIVER 2 q1 a;");
	bed_cm_dies(b, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "stanza 1 n1;");
	custody_delivered(b->c, to, 1);
	/* a router that dies now would send it again: its receiver must recognise it */
	expect(b, 1, "");
	assert_string_equal(bed_rows(b), "stanza 1 n1;");
	expect(b, 1, "");
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	expect(b, 1, "FORGET 2 q1;");
	assert_int_equal(custody_books(b->c)->held, 0);
}

static void what_was_settled_before_its_manager_died_is_no_row(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);

	send_to(b, from, 1, "a", to, NULL);
	bed_turn(b);
	custody_delivered(b->c, to, 1);
	bed_cm_dies(b, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	expect(b, 1, "DELIVER 2 q1 a;FORGET 2 q1;");
}

static void a_session_that_can_be_resumed_is_a_row_when_its_manager_died(void **state)
{
	struct bed *b = *state;
	struct endpoint *plain = client(b, 0, 1), *sm = sm_client(b, 0, 2),
			*other = client(b, 1, 3);

	send_to(b, other, 1, "a", plain, NULL);
	send_to(b, other, 2, "b", sm, NULL);
	bed_cm_dies(b, 0);
	assert_string_equal(b->judged.data, "1:a:gone;");
	assert_null(endpoint_find(b->c, 1));
	assert_true(endpoint_detached(sm));
	assert_int_equal(endpoint_state(sm), SESSION_DETACHED);
	assert_int_equal(custody_shelved_sessions(b->c), 1);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;");
}

static void an_ended_session_of_a_dead_manager_is_no_row(void **state)
{
	struct bed *b = *state;
	struct endpoint *sm = sm_client(b, 0, 2), *to = client(b, 1, 3);

	send_to(b, sm, 1, "a", to, NULL);
	endpoint_remove(b->c, sm, "over");
	bed_cm_dies(b, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "stanza 2 n1;");
}

static void a_domain_of_a_dead_manager_is_a_row_until_it_is_back(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 1, 1);
	struct endpoint *ep =
		endpoint_add(b->c, b->cm[0].peer, 9, 1, SESSION_DOMAIN, 1, slice_str("d.test"));

	send_to(b, from, 1, "a", ep, NULL);
	bed_turn(b);
	bed_cm_dies(b, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 9;");
	take_over(b, &ep, 1, 10);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

static void an_expired_session_leaves_no_row(void **state)
{
	struct bed *b = *state;
	struct endpoint *sm = sm_client(b, 0, 2);

	bed_cm_dies(b, 0);
	endpoint_release(sm);
	endpoint_remove(b->c, sm, "gone");
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	assert_int_equal(custody_shelved_sessions(b->c), 0);
}

static struct msg_stanza stanza_of(uint64_t sid, uint64_t n, uint8_t kind, const char *inner)
{
	return (struct msg_stanza){.sid = sid,
				   .n = n,
				   .kind = kind,
				   .type = TYPE_GET,
				   .to = slice_str("x.test"),
				   .id = slice_str("i7"),
				   .inner = slice_str(inner)};
}

static void a_parked_stanza_is_a_row_of_what_it_came_as(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1);
	struct custody_entry *e = accept_from(b, from, 1);
	struct msg_stanza m = stanza_of(1, 1, STANZA_IQ, "<q/>"), row;
	struct slice in, body;
	uint16_t type;

	custody_hold(e);
	custody_keep(e, &m, slice_str("a@x.test/r"));
	custody_handled(b->c, e);
	bed_cm_dies(b, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "stanza 1 n1;");
	in = blob_slice(bed_row(b, 1, SHELF_STANZA, 1)->body);
	assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
	assert_int_equal(type, MSG_STANZA);
	assert_int_equal(msg_stanza_get(body, &row), ERR_OK);
	assert_true(slice_is(row.from, "a@x.test/r"));
	assert_true(slice_is(row.to, "x.test"));
	assert_true(slice_is(row.id, "i7"));
	assert_true(slice_is(row.inner, "<q/>"));
	assert_int_equal(row.sid, 1);
	assert_int_equal(row.n, 1);
	assert_int_equal(row.type, TYPE_GET);
	custody_release(b->c, e);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

/* XEP-0077: neither while session/ has it, nor in the queue of a component that takes nothing. */
static void what_may_have_a_password_is_never_a_row(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);
	struct custody_entry *parked_one = accept_from(b, from, 1), *sent = accept_from(b, from, 2);
	struct msg_stanza m = stanza_of(1, 1, STANZA_IQ, "<password>p</password>");
	struct session_stanza s = {.kind = STANZA_IQ,
				   .type = TYPE_SET,
				   .flags = STANZA_SECRET,
				   .inner = slice_str("<password>p</password>")};

	m.flags = STANZA_SECRET;
	custody_hold(parked_one);
	custody_keep(parked_one, &m, slice_str("a@x.test/r"));
	custody_handled(b->c, parked_one);
	custody_deliver(b->c, sent, to, &s);
	custody_handled(b->c, sent);
	bed_cm_dies(b, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	custody_release(b->c, parked_one);
}

/* An iq is not what is made of it (a roster push, say); a message is in its copies. */
static void what_came_is_kept_where_no_delivery_is_it(void **state)
{
	static const struct {
		uint8_t kind;
		const char *inner;
	} cases[] = {{STANZA_IQ, "came"}, {STANZA_PRESENCE, "came"}, {STANZA_MESSAGE, "copy"}};
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);

	for (uint64_t n = 1; n <= 3; n++) {
		struct msg_stanza m = stanza_of(1, n, cases[n - 1].kind, "came");
		struct session_stanza s = text("copy");
		struct custody_entry *e = accept_from(b, from, n);

		custody_deliver(b->c, e, to, &s);
		custody_keep(e, &m, slice_str("a@x.test/r"));
		custody_handled(b->c, e);
	}
	bed_cm_dies(b, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "stanza 1 n1;stanza 1 n2;stanza 1 n3;");
	for (uint64_t n = 1; n <= 3; n++) {
		struct slice in = blob_slice(bed_row(b, 1, SHELF_STANZA, n)->body), body;
		struct msg_stanza row;
		uint16_t type;

		assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
		assert_int_equal(msg_stanza_get(body, &row), ERR_OK);
		assert_true(slice_is(row.inner, cases[n - 1].inner));
	}
}

/* Judged (its receiver is gone), and session/ has parked it: asks for offline storage, say. */
static struct custody_entry *parked;

static void park(void *ctx, struct custody_entry *e, uint64_t sid, const struct session_stanza *s,
		 const char *reason)
{
	bed_undelivered(ctx, e, sid, s, reason);
	custody_hold(e);
	parked = e;
}

static void what_is_parked_while_it_is_judged_is_kept_too(void **state)
{
	struct bed *b = *state;
	struct endpoint *from, *to;

	custody_free(&b->c);
	b->c = custody_new(b->boot, UNLIMITED, park, b);
	custody_set_shelf(b->c, b->shelf, 0);
	custody_restored(b->c);
	for (int i = 0; i < BED_CMS; i++)
		b->cm[i].peer = custody_peer_add(b->c, b->cm[i].link);
	from = client(b, 0, 1);
	to = client(b, 1, 2);
	send_to(b, from, 1, "a", to, NULL);
	endpoint_remove(b->c, to, "gone");
	assert_string_equal(b->judged.data, "2:a:gone;");
	bed_cm_dies(b, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "stanza 1 n1;");
	custody_release(b->c, parked);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

/* ---- a receiver is away ---- */

static void what_waits_for_a_detached_session_is_stored_for_its_sender(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);

	detach(b, to);
	send_to(b, from, 1, "a", to, NULL);
	send_to(b, from, 2, "b", to, NULL);
	custody_spool(b->c, later, 2001);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	expect(b, 0, "HELD 1 n2;");
	custody_spool(b->c, later, 2000);
	expect(b, 0, ""); /* not before it is on disk */
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;stanza 1 n1;stanza 1 n2;");
	expect(b, 0, "SETTLED 1 n1 how2;SETTLED 1 n2 how2;");
	assert_int_equal(custody_books(b->c)->held, 2);
	custody_spool(b->c, later, 2000);
	bed_sync(b);
	expect(b, 0, ""); /* once */
}

static void a_spooled_stanza_is_delivered_later_and_counted_once(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);
	const struct custody_books *books = custody_books(b->c);

	detach(b, to);
	send_to(b, from, 1, "a", to, NULL);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	expect(b, 0, "SETTLED 1 n1 how2;HELD 1 n1;");
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 5, 0), ERR_OK);
	expect(b, 2, "RESUMED 2 epoch2 seen0 own0 in0 out1 q1;DELIVER 2 q1 a;");
	custody_delivered(b->c, to, 1);
	assert_int_equal(books->held, 0);
	assert_int_equal(books->settled[SETTLED_DELIVERED], 1);
	assert_int_equal(books->settled[SETTLED_STORED], 0);
	bed_sync(b);
	expect(b, 2, "");
	expect(b, 2, "FORGET 2 q1;");
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

static void a_spooled_stanza_whose_receiver_never_comes_back_is_judged(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);

	detach(b, to);
	send_to(b, from, 1, "a", to, NULL);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	bed_turn(b);
	endpoint_release(to);
	endpoint_remove(b->c, to, "gone");
	assert_string_equal(b->judged.data, "2:a:gone;");
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

static void copies_to_two_who_are_away_are_one_row(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *one = sm_client(b, 1, 2),
			*two = sm_client(b, 1, 3);

	detach(b, one);
	detach(b, two);
	send_to(b, from, 1, "a", one, two);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;session 3;stanza 1 n1;");
	expect(b, 0, "SETTLED 1 n1 how2;HELD 1 n1;");
	assert_int_equal(endpoint_resume(b->c, one, b->cm[1].peer, 5, 0), ERR_OK);
	bed_turn(b);
	custody_delivered(b->c, one, 1);
	bed_sync(b);
	assert_non_null(bed_row(b, 1, SHELF_STANZA, 1)); /* the other has not had it */
	endpoint_remove(b->c, two, "gone");
	bed_sync(b);
	assert_null(bed_row(b, 1, SHELF_STANZA, 1));
	assert_int_equal(custody_books(b->c)->settled[SETTLED_DELIVERED], 1);
}

static void what_was_put_for_somebody_away_is_spooled_again_after_the_next_time(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);

	detach(b, to);
	custody_spool(b->c, later, 0);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[1].peer, 5, 0), ERR_OK);
	bed_turn(b);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	send_to(b, from, 1, "a", to, NULL);
	bed_turn(b);
	detach(b, to);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;stanza 1 n1;");
}

/* Connected, but nothing was delivered to it for a while: what is on its way to it is spooled too.
 */
static void what_waits_for_a_slow_reader_is_stored_for_its_sender(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *slow = client(b, 1, 2), *busy = client(b, 1, 3);

	send_to(b, from, 1, "a", slow, NULL);
	send_to(b, from, 2, "b", busy, NULL);
	bed_turn(b);
	str_reset(&b->cm[0].text);
	custody_spool(b->c, (struct monotime){.us = 1000}, 1); /* seen for the first time */
	custody_delivered(b->c, busy, 1);
	send_to(b, from, 3, "c", busy, NULL);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	custody_spool(b->c, (struct monotime){.us = 1999}, 1); /* not yet */
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	custody_spool(b->c, (struct monotime){.us = 3000}, 1);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "stanza 1 n1;");
	str_reset(&b->cm[0].text);
	expect(b, 0, "SETTLED 1 n1 how2;");
	custody_delivered(b->c, slow, 1);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

static void a_full_shelf_takes_nothing_and_goes_on_later(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);
	char *much = calloc(1, 16u << 20);

	detach(b, to);
	send_to(b, from, 1, "a", to, NULL);
	for (int i = 0; i < 4; i++)
		shelf_put(b->shelf, 99, SHELF_LOST, 1, slice_of(much, 16u << 20));
	free(much);
	assert_true(shelf_is_full(b->shelf));
	custody_spool(b->c, later, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "lost 99 n1;");
	expect(b, 0, "HELD 1 n1;");
	custody_spool(b->c, later, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;stanza 1 n1;lost 99 n1;");
	expect(b, 0, "SETTLED 1 n1 how2;");
}

static void nothing_is_spooled_while_the_router_is_starting(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);

	detach(b, to);
	send_to(b, from, 1, "a", to, NULL);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	custody_restored(b->c);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;stanza 1 n1;");
}

/* ---- what the server makes itself ---- */

static void an_answer_for_somebody_away_burdens_its_question_no_longer(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);
	struct custody_entry *e = accept_from(b, from, 1);
	struct session_stanza s = text("push");

	detach(b, to);
	custody_answer(b->c, e, to, &s);
	custody_handled(b->c, e);
	expect(b, 0, "HELD 1 n1;");
	custody_spool(b->c, later, 0);
	expect(b, 0, "");
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;answer 2 n1;");
	expect(b, 0, "SETTLED 1 n1 how4;");
	assert_int_equal(endpoint_resume(b->c, to, b->cm[1].peer, 5, 0), ERR_OK);
	bed_turn(b);
	custody_delivered(b->c, to, 1);
	bed_sync(b);
	assert_null(bed_row(b, 2, SHELF_ANSWER, 1));
	assert_int_equal(custody_books(b->c)->held, 0);
}

static void each_answer_has_a_row_of_its_own(void **state)
{
	struct bed *b = *state;
	struct endpoint *to = sm_client(b, 1, 2);
	struct session_stanza s = text("push");

	detach(b, to);
	for (int i = 0; i < 3; i++)
		custody_answer(b->c, NULL, to, &s);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;answer 2 n1;answer 2 n2;answer 2 n3;");
	endpoint_remove(b->c, to, "gone");
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	assert_int_equal(custody_books(b->c)->held, 0);
}

/* Delivered before the row is on disk: its question is noted when that is deleted again. */
static void an_answer_that_is_delivered_first_is_forgotten_when_its_row_is_gone(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);
	struct custody_entry *e = accept_from(b, from, 1);
	struct session_stanza s = text("push");

	detach(b, to);
	custody_answer(b->c, e, to, &s);
	custody_handled(b->c, e);
	custody_spool(b->c, later, 0);
	assert_int_equal(endpoint_resume(b->c, to, b->cm[1].peer, 5, 0), ERR_OK);
	bed_turn(b);
	str_reset(&b->cm[1].text);
	custody_delivered(b->c, to, 1);
	bed_turn(b);
	bed_turn(b);
	bed_got(b, 1, ""); /* a router that starts now finds the row, or not: it must be told */
	bed_sync(b);
	expect(b, 1, "FORGET 2 q1;");
}

/* Else a router that dies now leaves nobody who recognises what is made of its question again. */
static void a_spooled_answer_is_not_forgotten_before_its_question_is_noted(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = sm_client(b, 1, 2);
	struct custody_entry *e = accept_from(b, from, 1);
	struct session_stanza push = text("push"), result = text("result");

	detach(b, to);
	result.type = TYPE_RESULT;
	custody_answer(b->c, e, to, &push);
	custody_answer(b->c, e, from, &result);
	custody_handled(b->c, e);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	expect(b, 0, "DELIVER 1 q1 result;HELD 1 n1;");
	assert_int_equal(endpoint_resume(b->c, to, b->cm[2].peer, 5, 0), ERR_OK);
	bed_turn(b);
	custody_delivered(b->c, to, 1);
	str_reset(&b->cm[2].text);
	for (int i = 0; i < 3; i++) {
		bed_sync(b);
		expect(b, 2, "");
	}
	custody_delivered(b->c, from, 1);
	expect(b, 0, "SETTLED 1 n1 how4;");
	bed_sync(b);
	bed_turn(b);
	expect(b, 2, "FORGET 2 q1;");
}

/* ---- durability = disk ---- */

static void a_durable_sender_is_told_held_when_it_is_on_disk_or_settled(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);

	endpoint_set_durable(from);
	for (uint64_t n = 1; n <= 3; n++)
		send_to(b, from, n, "a", to, NULL);
	expect(b, 0, "");
	custody_delivered(b->c, to, 1);
	expect(b, 0, "SETTLED 1 n1 how1;HELD 1 n1;");
	bed_sync(b);
	/* the first was put as well, and is deleted again */
	assert_string_equal(bed_rows(b), "stanza 1 n2;stanza 1 n3;");
	expect(b, 0, "SETTLED 1 n2 how2;SETTLED 1 n3 how2;HELD 1 n3;");
}

static void held_has_no_gaps(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2), *other = client(b, 1, 3);

	endpoint_set_durable(from);
	send_to(b, from, 1, "a", to, NULL);
	send_to(b, from, 2, "b", other, NULL);
	send_to(b, from, 3, "c", to, NULL);
	bed_turn(b);
	custody_delivered(b->c, other, 1);
	expect(b, 0, "SETTLED 1 n2 how1;");
	custody_delivered(b->c, to, 1);
	expect(b, 0, "SETTLED 1 n1 how1;HELD 1 n2;");
	custody_delivered(b->c, to, 2);
	expect(b, 0, "SETTLED 1 n3 how1;HELD 1 n3;");
}

static void what_is_settled_at_once_needs_no_disk(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1);

	endpoint_set_durable(from);
	custody_handled(b->c, accept_from(b, from, 1));
	expect(b, 0, "SETTLED 1 n1 how4;HELD 1 n1;");
	assert_int_equal(shelf_last(b->shelf), 0);
}

/* A full shelf: it counts when it is delivered. */
static void a_durable_sender_waits_for_the_receiver_when_the_shelf_is_full(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);
	char *much = calloc(1, 65u << 20);

	endpoint_set_durable(from);
	for (int i = 0; i < 5; i++)
		shelf_put(b->shelf, 99, SHELF_LOST, 1, slice_of(much, 13u << 20));
	free(much);
	send_to(b, from, 1, "a", to, NULL);
	bed_sync(b);
	expect(b, 0, "");
	custody_delivered(b->c, to, 1);
	expect(b, 0, "SETTLED 1 n1 how1;HELD 1 n1;");
}

/* ---- secured: what <resumed h/> covers ---- */

static void a_session_is_secured_when_its_row_is_on_disk(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = sm_client(b, 0, 1), *to = client(b, 1, 2);

	assert_true(endpoint_is_secured(b->c, from));
	send_to(b, from, 1, "a", to, NULL);
	assert_true(endpoint_is_secured(b->c, from)); /* its manager holds it too */
	bed_cm_dies(b, 0);
	assert_false(endpoint_is_secured(b->c, from));
	bed_sync(b);
	assert_true(endpoint_is_secured(b->c, from));
	assert_string_equal(bed_rows(b), "session 1;stanza 1 n1;");
}

static void a_durable_session_is_secured_when_all_it_sent_is_on_disk(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = sm_client(b, 0, 1), *to = client(b, 1, 2);

	endpoint_set_durable(from);
	send_to(b, from, 1, "a", to, NULL);
	detach(b, from);
	assert_false(endpoint_is_secured(b->c, from));
	bed_sync(b);
	assert_false(endpoint_is_secured(b->c, from)); /* known at the next turn */
	bed_turn(b);
	assert_true(endpoint_is_secured(b->c, from));
}

/* The row of a session says what its client has, which the blob tells: it is written again. */
static void a_detached_session_whose_blob_changes_is_written_again(void **state)
{
	struct bed *b = *state;
	struct endpoint *sm = sm_client(b, 0, 1);
	struct session_row row;
	uint64_t last;

	endpoint_set_blob(b->c, sm, slice_str("live"));
	assert_int_equal(shelf_last(b->shelf), 0);
	bed_cm_dies(b, 0);
	bed_sync(b);
	last = shelf_last(b->shelf);
	endpoint_set_blob(b->c, sm, slice_str("away"));
	assert_int_equal(shelf_last(b->shelf), last + 1);
	assert_false(endpoint_is_secured(b->c, sm));
	bed_sync(b);
	assert_true(session_row_get(blob_slice(bed_row(b, 1, SHELF_SESSION, 1)->body), &row));
	assert_true(slice_is(row.m.blob, "away"));
}

/* ---- no shelf ---- */

static void without_a_shelf_it_goes_on_in_memory(void **state)
{
	struct bed *b = *state;
	struct endpoint *from, *to;

	custody_set_shelf(b->c, NULL, 0);
	from = sm_client(b, 0, 1);
	to = sm_client(b, 1, 2);
	endpoint_set_durable(from);
	send_to(b, from, 1, "a", to, NULL);
	detach(b, to);
	custody_spool(b->c, later, 0);
	bed_cm_dies(b, 0);
	assert_true(endpoint_is_secured(b->c, from));
	assert_int_equal(endpoint_resume(b->c, to, b->cm[1].peer, 5, 0), ERR_OK);
	bed_turn(b);
	custody_delivered(b->c, to, 1);
	bed_turn(b);
	assert_int_equal(custody_books(b->c)->held, 0);
	assert_int_equal(shelf_last(b->shelf), 0);
}

#define T(f)	    cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
#define STARTING(f) cmocka_unit_test_setup_teardown(f, bed_setup_starting, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_a_dead_manager_had_accepted_is_a_row_until_it_is_settled),
		T(what_was_settled_before_its_manager_died_is_no_row),
		T(a_session_that_can_be_resumed_is_a_row_when_its_manager_died),
		T(an_ended_session_of_a_dead_manager_is_no_row),
		T(a_domain_of_a_dead_manager_is_a_row_until_it_is_back),
		T(an_expired_session_leaves_no_row),
		T(a_parked_stanza_is_a_row_of_what_it_came_as),
		T(what_may_have_a_password_is_never_a_row),
		T(what_came_is_kept_where_no_delivery_is_it),
		T(what_is_parked_while_it_is_judged_is_kept_too),
		T(what_waits_for_a_detached_session_is_stored_for_its_sender),
		T(a_spooled_stanza_is_delivered_later_and_counted_once),
		T(a_spooled_stanza_whose_receiver_never_comes_back_is_judged),
		T(copies_to_two_who_are_away_are_one_row),
		T(what_was_put_for_somebody_away_is_spooled_again_after_the_next_time),
		T(what_waits_for_a_slow_reader_is_stored_for_its_sender),
		T(a_full_shelf_takes_nothing_and_goes_on_later),
		STARTING(nothing_is_spooled_while_the_router_is_starting),
		T(an_answer_for_somebody_away_burdens_its_question_no_longer),
		T(each_answer_has_a_row_of_its_own),
		T(an_answer_that_is_delivered_first_is_forgotten_when_its_row_is_gone),
		T(a_spooled_answer_is_not_forgotten_before_its_question_is_noted),
		T(a_durable_sender_is_told_held_when_it_is_on_disk_or_settled),
		T(held_has_no_gaps),
		T(what_is_settled_at_once_needs_no_disk),
		T(a_durable_sender_waits_for_the_receiver_when_the_shelf_is_full),
		T(a_session_is_secured_when_its_row_is_on_disk),
		T(a_durable_session_is_secured_when_all_it_sent_is_on_disk),
		T(a_detached_session_whose_blob_changes_is_written_again),
		T(without_a_shelf_it_goes_on_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
