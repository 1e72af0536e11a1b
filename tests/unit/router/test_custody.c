/* custody by hand: one sender (sid 1) and receivers (2, 3) at one connection manager. */
#include <stdlib.h>

#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "tests/support/cmocka_first.h"

struct bed {
	struct custody *c;
	struct link *link; /* the router's end */
	struct link *far;  /* the cm's end: what was sent is read here */
	struct custody_peer *peer;
	struct endpoint *ep[4];
	struct str text;
	struct str judged;
};

static void on_undelivered(void *ctx, struct custody_entry *e, uint64_t sid,
			   const struct session_stanza *s, const char *reason)
{
	struct bed *b = ctx;

	(void)e;
	str_addf(&b->judged, "%d:%.*s:%s;", (int)sid, SLICE_ARG(s->inner), reason);
}

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct bed *b = arg;
	struct msg_deliver d;
	struct msg_settled s;
	struct msg_settled_run run;
	struct msg_forget f;
	struct msg_held h;
	struct msg_resume_have have;
	struct msg_resumed r;
	struct msg_released rel;

	if (type == MSG_DELIVER && msg_deliver_get(body, &d) == ERR_OK)
		str_addf(&b->text, "DELIVER %d q%d %.*s;", (int)d.sid, (int)d.q,
			 SLICE_ARG(d.inner));
	else if (type == MSG_SETTLED && msg_settled_get(body, &s) == ERR_OK)
		str_addf(&b->text, "SETTLED %d n%d how%d;", (int)s.sid, (int)s.n, s.how);
	else if (type == MSG_SETTLED_RUN && msg_settled_run_get(body, &run) == ERR_OK)
		str_addf(&b->text, "SETTLED %d n%d-%d how%d;", (int)run.sid, (int)run.first,
			 (int)run.last, run.how);
	else if (type == MSG_FORGET && msg_forget_get(body, &f) == ERR_OK)
		str_addf(&b->text, "FORGET %d q%d;", (int)f.sid, (int)f.q);
	else if (type == MSG_HELD && msg_held_get(body, &h) == ERR_OK)
		str_addf(&b->text, "HELD %d n%d;", (int)h.sid, (int)h.n);
	else if (type == MSG_RESUME_HAVE && msg_resume_have_get(body, &have) == ERR_OK)
		str_addf(&b->text, "HAVE %d q%d %d,%d;", (int)have.sid, (int)have.q,
			 (int)have.origin_sid, (int)have.origin_n);
	else if (type == MSG_RESUMED && msg_resumed_get(body, &r) == ERR_OK)
		str_addf(&b->text, "RESUMED %d q%d;", (int)r.sid, (int)r.next_q);
	else if (type == MSG_RELEASED && msg_released_get(body, &rel) == ERR_OK)
		str_addf(&b->text, "RELEASED %d epoch%d;", (int)rel.sid, (int)rel.epoch);
}

/* Moves everything both ways, so receipts are known. */
static void turn(struct bed *b)
{
	struct slice frame;

	str_reset(&b->text);
	custody_turn(b->c);
	while (link_next(b->link, false, &frame)) {
		assert_int_equal(link_receive(b->far, frame, on_record, b), ERR_OK);
		link_sent(b->link);
	}
	if (link_next(b->far, true, &frame)) {
		link_receive(b->link, frame, on_record, b);
		link_sent(b->far);
	}
}

/* And compares what the cm got. */
static void expect(struct bed *b, const char *text)
{
	turn(b);
	assert_string_equal(b->text.data, text);
}

static int setup_with(void **state, struct custody_limits limits)
{
	struct bed *b = calloc(1, sizeof(*b));

	str_init(&b->text);
	str_init(&b->judged);
	b->c = custody_new(77, limits, on_undelivered, b);
	b->link = link_new(77, 1 << 20, 1 << 16);
	b->far = link_new(5, 1 << 20, 1 << 16);
	link_restart(b->link, 5);
	link_restart(b->far, 77);
	b->peer = custody_peer_add(b->c, b->link);
	for (uint64_t sid = 1; sid <= 3; sid++)
		b->ep[sid] = endpoint_add(b->c, b->peer, sid, 1, SESSION_CLIENT, 1, slice_str("j"));
	*state = b;
	return 0;
}

/* A router that has just started, and one whose announcements are all in. */
static int setup_starting(void **state)
{
	return setup_with(state, (struct custody_limits){.flight = 1 << 20, .queue = 1 << 20});
}

static int setup(void **state)
{
	int rc = setup_starting(state);

	custody_restored(((struct bed *)*state)->c);
	return rc;
}

static int setup_small(void **state)
{
	int rc = setup_with(state, (struct custody_limits){.flight = 150, .queue = 200});

	custody_restored(((struct bed *)*state)->c);
	return rc;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	custody_free(&b->c);
	link_free(&b->link);
	link_free(&b->far);
	str_clear(&b->text);
	str_clear(&b->judged);
	free(b);
	return 0;
}

static struct session_stanza text(const char *inner)
{
	return (struct session_stanza){.kind = STANZA_MESSAGE, .inner = slice_str(inner)};
}

static void send_to(struct bed *b, uint64_t n, const char *inner, int first, int second)
{
	struct custody_entry *e = custody_accept(b->c, b->peer, b->ep[1], n, 10, false);
	struct session_stanza s = text(inner);

	assert_non_null(e);
	custody_deliver(b->c, e, b->ep[first], &s);
	if (second)
		custody_deliver(b->c, e, b->ep[second], &s);
	custody_handled(b->c, e);
}

static void a_stanza_is_settled_when_delivered_and_forgotten_when_that_is_noted(void **state)
{
	struct bed *b = *state;

	send_to(b, 1, "a", 2, 0);
	expect(b, "DELIVER 2 q1 a;HELD 1 n1;");
	assert_int_equal(custody_books(b->c)->held, 1);
	custody_delivered(b->c, b->ep[2], 1);
	expect(b, "SETTLED 1 n1 how1;");
	assert_int_equal(custody_books(b->c)->held, 0);
	expect(b, "FORGET 2 q1;");
	expect(b, "");
}

static void copies_are_one_entry_settled_by_the_last(void **state)
{
	struct bed *b = *state;

	send_to(b, 1, "a", 2, 3);
	expect(b, "DELIVER 2 q1 a;DELIVER 3 q1 a;HELD 1 n1;");
	custody_delivered(b->c, b->ep[2], 1);
	expect(b, "");
	custody_delivered(b->c, b->ep[3], 1);
	expect(b, "SETTLED 1 n1 how1;");
	assert_int_equal(custody_books(b->c)->settled[SETTLED_DELIVERED], 1);
}

static void a_copy_that_fails_is_not_judged_while_another_lives(void **state)
{
	struct bed *b = *state;

	send_to(b, 1, "a", 2, 3);
	custody_turn(b->c);
	endpoint_remove(b->c, b->ep[2], "recipient-unavailable");
	assert_string_equal(b->judged.data, "");
	endpoint_remove(b->c, b->ep[3], "recipient-unavailable");
	assert_string_equal(b->judged.data, "3:a:recipient-unavailable;");
}

static void what_is_settled_one_after_the_other_is_told_at_once(void **state)
{
	struct bed *b = *state;

	for (uint64_t n = 1; n <= 5; n++)
		send_to(b, n, "a", n == 4 ? 3 : 2, 0);
	turn(b);
	custody_delivered(b->c, b->ep[2], 4); /* n = 1, 2, 3, 5 */
	expect(b, "SETTLED 1 n1-3 how1;SETTLED 1 n5 how1;");
	custody_delivered(b->c, b->ep[3], 1);
	expect(b, "SETTLED 1 n4 how1;FORGET 2 q4;");
	expect(b, "FORGET 3 q1;");
}

static void what_an_ended_session_did_not_get_is_judged_in_order(void **state)
{
	struct bed *b = *state;

	send_to(b, 1, "a", 2, 0);
	send_to(b, 2, "b", 2, 0);
	send_to(b, 3, "c", 2, 0);
	expect(b, "DELIVER 2 q1 a;DELIVER 2 q2 b;DELIVER 2 q3 c;HELD 1 n3;");
	custody_delivered(b->c, b->ep[2], 1);
	endpoint_remove(b->c, b->ep[2], "gone");
	assert_string_equal(b->judged.data, "2:b:gone;2:c:gone;");
	assert_int_equal(custody_books(b->c)->held, 0);
}

static void a_slow_session_gets_no_more_than_its_flight(void **state)
{
	struct bed *b = *state;

	send_to(b, 1, "aaaaaaaaaaaaaaaaaaaa", 2, 0);
	send_to(b, 2, "bbbbbbbbbbbbbbbbbbbb", 2, 0);
	expect(b, "DELIVER 2 q1 aaaaaaaaaaaaaaaaaaaa;HELD 1 n2;");
	custody_delivered(b->c, b->ep[2], 1);
	expect(b, "DELIVER 2 q2 bbbbbbbbbbbbbbbbbbbb;SETTLED 1 n1 how1;");
}

static void what_exceeds_a_queue_is_judged_with_resource_constraint(void **state)
{
	struct bed *b = *state;

	for (uint64_t n = 1; n <= 4; n++)
		send_to(b, n, "aaaaaaaaaaaaaaaaaaaa", 2, 0);
	custody_turn(b->c);
	assert_string_equal(b->judged.data, "2:aaaaaaaaaaaaaaaaaaaa:resource-constraint;"
					    "2:aaaaaaaaaaaaaaaaaaaa:resource-constraint;");
}

static void a_number_seen_before_is_a_repeat(void **state)
{
	struct bed *b = *state;

	send_to(b, 1, "a", 2, 0);
	assert_null(custody_accept(b->c, b->peer, b->ep[1], 1, 10, false));
	assert_int_equal(custody_books(b->c)->repeats, 1);
}

static void a_stanza_is_settled_after_its_answer(void **state)
{
	struct bed *b = *state;
	struct custody_entry *e = custody_accept(b->c, b->peer, b->ep[1], 1, 10, false);
	struct session_stanza s = text("error");

	custody_conclude(e, SETTLED_BOUNCED);
	custody_answer(b->c, e, b->ep[1], &s);
	custody_handled(b->c, e);
	expect(b, "DELIVER 1 q1 error;HELD 1 n1;");
	custody_delivered(b->c, b->ep[1], 1);
	expect(b, "SETTLED 1 n1 how3;");
	assert_int_equal(custody_books(b->c)->generated, 1);
	expect(b, "FORGET 1 q1;");
}

static void a_held_entry_waits_for_its_release(void **state)
{
	struct bed *b = *state;
	struct custody_entry *e = custody_accept(b->c, b->peer, b->ep[1], 1, 10, false);

	custody_hold(e);
	custody_handled(b->c, e);
	expect(b, "HELD 1 n1;");
	custody_release(b->c, e);
	expect(b, "SETTLED 1 n1 how4;");
}

/* LeakSanitizer looks at what is left: teardown ends custody, whoever held it is gone by then. */
static void a_held_entry_goes_with_custody_and_is_not_settled(void **state)
{
	struct bed *b = *state;
	struct custody_entry *e = custody_accept(b->c, b->peer, b->ep[1], 1, 10, false);

	custody_hold(e);
	custody_handled(b->c, e);
	expect(b, "HELD 1 n1;");
}

static struct endpoint *heir(void *ctx, struct endpoint *ep, uint64_t digest)
{
	(void)ep;
	(void)digest;
	return ctx;
}

static void a_domains_queue_waits_for_the_next_session_of_it(void **state)
{
	struct bed *b = *state;
	struct link *other = link_new(77, 1 << 20, 1 << 16);
	struct custody_peer *p;
	struct endpoint *ep;

	link_restart(other, 6);
	p = custody_peer_add(b->c, other);
	ep = endpoint_add(b->c, p, 9, 1, SESSION_DOMAIN, 1, slice_str("d.test"));
	b->ep[2] = ep;
	send_to(b, 1, "a", 2, 0);
	send_to(b, 2, "b", 2, 0);
	send_to(b, 3, "c", 2, 0);
	custody_turn(b->c);
	custody_delivered(b->c, ep, 1);
	custody_peer_dead(b->c, &p, "gone", (struct monotime){0});
	assert_true(endpoint_detached(ep));
	assert_null(p);
	b->ep[2] = endpoint_add(b->c, b->peer, 10, 1, SESSION_DOMAIN, 1, slice_str("d.test"));
	endpoint_hand_over(b->c, ep, heir, b->ep[2]);
	assert_false(endpoint_owes(ep));
	endpoint_remove(b->c, ep, "gone");
	assert_null(endpoint_find(b->c, 9));
	expect(b, "HELD 1 n3;SETTLED 1 n1 how1;DELIVER 10 q1 b;DELIVER 10 q2 c;");
	assert_string_equal(b->judged.data, "");
	custody_delivered(b->c, b->ep[2], 2);
	expect(b, "SETTLED 1 n2-3 how1;");
	assert_int_equal(custody_books(b->c)->held, 0);
	link_free(&other);
}

static void what_a_session_has_already_is_not_sent_again_after_a_router_start(void **state)
{
	struct bed *b = *state;

	endpoint_have(b->c, b->ep[2], &(struct msg_announce_have){2, 1, 1, 7, 1});
	endpoint_have(b->c, b->ep[2], &(struct msg_announce_have){2, 2, 1, 8, 0});
	send_to(b, 7, "a", 2, 0);
	send_to(b, 8, "b", 2, 0);
	send_to(b, 9, "c", 2, 0);
	expect(b, "DELIVER 2 q3 c;SETTLED 1 n7 how1;");
	custody_delivered(b->c, b->ep[2], 2);
	expect(b, "SETTLED 1 n8 how1;FORGET 2 q1;");
	assert_int_equal(custody_books(b->c)->repeats, 2);
	/* what is at the cm is held here too now: the cm may die */
	endpoint_remove(b->c, b->ep[2], "gone");
	assert_string_equal(b->judged.data, "2:c:gone;");
	custody_restored(b->c);
}

static void what_nobody_claims_is_forgotten_once_all_resends_are_in(void **state)
{
	struct bed *b = *state;

	endpoint_have(b->c, b->ep[2], &(struct msg_announce_have){2, 1, 50, 7, 1});
	endpoint_have(b->c, b->ep[2], &(struct msg_announce_have){2, 2, 50, 8, 0});
	expect(b, "");
	custody_restored(b->c);
	expect(b, "FORGET 2 q1;");
	custody_delivered(b->c, b->ep[2], 2);
	expect(b, "FORGET 2 q2;");
}

static void what_an_ended_session_had_is_settled(void **state)
{
	struct bed *b = *state;
	struct custody_entry *e;

	endpoint_have(b->c, b->ep[2], &(struct msg_announce_have){2, 1, 1, 7, 1});
	endpoint_remove(b->c, b->ep[2], "gone");
	e = custody_accept(b->c, b->peer, b->ep[1], 8, 10, true);
	assert_false(custody_was_delivered(b->c, e));
	custody_handled(b->c, e);
	e = custody_accept(b->c, b->peer, b->ep[1], 7, 10, true);
	assert_true(custody_was_delivered(b->c, e));
	custody_handled(b->c, e);
}

/* A session of its own connection manager that can be resumed. */
static struct endpoint *elsewhere(struct bed *b, struct link **link, struct custody_peer **p)
{
	struct endpoint *ep;

	*link = link_new(77, 1 << 20, 1 << 16);
	link_restart(*link, 6);
	*p = custody_peer_add(b->c, *link);
	ep = endpoint_add(b->c, *p, 9, 1, SESSION_CLIENT, 1, slice_str("j"));
	endpoint_enable(b->c, ep, 0, 60, slice_str("id"));
	return ep;
}

/* Twins: one has had the message at a cm that dies, the other has not, so its sender's cm still
 * holds it and would send it again to the next router. */
static void who_resumes_takes_along_what_it_had_and_others_have_not(void **state)
{
	struct bed *b = *state;
	struct custody_peer *p;
	struct endpoint *ep;
	struct link *other;

	b->ep[3] = ep = elsewhere(b, &other, &p);
	send_to(b, 1, "a", 2, 3);
	send_to(b, 2, "b", 3, 0);
	send_to(b, 3, "c", 2, 3);
	send_to(b, 4, "d", 3, 0);
	expect(b, "DELIVER 2 q1 a;DELIVER 2 q2 c;HELD 1 n4;");
	custody_delivered(b->c, ep, 3);
	expect(b, "SETTLED 1 n2 how1;");
	expect(b, "");
	custody_peer_dead(b->c, &p, "gone", (struct monotime){0});
	assert_int_equal(endpoint_resume(b->c, ep, b->peer, 5, 3), ERR_OK);
	expect(b, "HAVE 9 q1 1,1;HAVE 9 q3 1,3;RESUMED 9 q4;DELIVER 9 q4 d;");
	custody_delivered(b->c, b->ep[2], 1);
	expect(b, "SETTLED 1 n1 how1;");
	expect(b, "FORGET 2 q1;FORGET 9 q2;");
	custody_delivered(b->c, ep, 4);
	custody_delivered(b->c, b->ep[2], 2);
	expect(b, "SETTLED 1 n4 how1;SETTLED 1 n3 how1;");
	expect(b, "FORGET 2 q2;FORGET 9 q4;");
	link_free(&other);
}

/* The cm on which it was resumed first died before it had heard of it: the former one still knows
 * it as it was. */
static void a_former_owner_is_released_of_the_epoch_that_it_had(void **state)
{
	struct bed *b = *state;
	struct link *first = link_new(77, 1 << 20, 1 << 16),
		    *second = link_new(77, 1 << 20, 1 << 16);
	struct link *far = link_new(7, 1 << 20, 1 << 16);
	struct custody_peer *dies, *stays;
	struct slice frame;

	link_restart(first, 6);
	link_restart(second, 7);
	link_restart(far, 77);
	dies = custody_peer_add(b->c, first);
	stays = custody_peer_add(b->c, second);
	endpoint_enable(b->c, b->ep[2], 0, 60, slice_str("id"));
	turn(b);
	endpoint_detach(b->c, b->ep[2], (struct monotime){0});
	assert_int_equal(endpoint_resume(b->c, b->ep[2], dies, 5, 0), ERR_OK);
	custody_peer_dead(b->c, &dies, "gone", (struct monotime){0});
	assert_int_equal(endpoint_resume(b->c, b->ep[2], stays, 6, 0), ERR_OK);
	expect(b, "");
	assert_true(link_next(second, true, &frame));
	assert_int_equal(link_receive(far, frame, on_record, b), ERR_OK);
	link_sent(second);
	assert_true(link_next(far, true, &frame));
	assert_int_equal(link_receive(second, frame, on_record, b), ERR_OK);
	expect(b, "RELEASED 2 epoch1;FORGET 2 q0;");
	custody_peer_dead(b->c, &stays, "gone", (struct monotime){0});
	link_free(&first);
	link_free(&second);
	link_free(&far);
}

static void what_a_living_session_had_at_its_former_cm_others_get_all_the_same(void **state)
{
	struct bed *b = *state;
	struct custody_entry *e = custody_accept(b->c, b->peer, b->ep[1], 7, 10, true);
	struct session_stanza s = text("a");

	custody_have_former(b->c, &(struct msg_announce_have){3, 1, 1, 7, 1});
	assert_false(custody_was_delivered(b->c, e));
	custody_deliver(b->c, e, b->ep[2], &s);
	custody_deliver(b->c, e, b->ep[3], &s);
	custody_handled(b->c, e);
	expect(b, "DELIVER 2 q1 a;");
}

static void what_its_owner_has_is_kept_though_a_former_one_has_it_too(void **state)
{
	struct bed *b = *state;

	endpoint_have(b->c, b->ep[3], &(struct msg_announce_have){3, 1, 0, 0, 1});
	endpoint_have(b->c, b->ep[3], &(struct msg_announce_have){3, 2, 1, 7, 1});
	custody_have_former(b->c, &(struct msg_announce_have){3, 2, 1, 7, 1});
	send_to(b, 7, "a", 2, 3);
	expect(b, "DELIVER 2 q1 a;");
	custody_restored(b->c);
	turn(b);
	assert_non_null(strstr(b->text.data, "FORGET 3 q1;"));
	custody_delivered(b->c, b->ep[2], 1);
	expect(b, "SETTLED 1 n7 how1;");
	expect(b, "FORGET 2 q1;FORGET 3 q2;");
}

static void note_how(void *arg, uint8_t how)
{
	*(uint8_t *)arg = how;
}

/* The router died after a message was stored and before its sender's cm knew that. */
static void what_comes_from_the_store_is_not_delivered_again_for_its_sender(void **state)
{
	struct bed *b = *state;
	struct session_stanza s = text("a");
	uint8_t how = 0;

	endpoint_have(b->c, b->ep[3], &(struct msg_announce_have){3, 1, 1, 8, 0});
	custody_originate(b->c, b->ep[2], 1, 7, &s, note_how, &how);
	custody_originate(b->c, b->ep[3], 1, 8, &s, note_how, &how);
	send_to(b, 7, "a", 2, 0);
	send_to(b, 8, "b", 3, 0);
	send_to(b, 9, "c", 2, 0);
	expect(b, "DELIVER 2 q1 a;DELIVER 2 q2 c;SETTLED 1 n7-8 how2;");
	assert_int_equal(how, 0);
	custody_delivered(b->c, b->ep[2], 1);
	assert_int_equal(how, SETTLED_DELIVERED);
	assert_int_equal(custody_books(b->c)->held, 2);
}

static void what_was_stored_is_kept_by_its_receiver_until_its_sender_knows_of_that(void **state)
{
	struct bed *b = *state;
	struct custody_entry *e = custody_accept(b->c, b->peer, b->ep[1], 1, 10, false);
	struct session_stanza s = text("a");
	uint8_t how = 0;

	custody_conclude(e, SETTLED_STORED);
	custody_handled(b->c, e);
	custody_originate(b->c, b->ep[2], 1, 1, &s, note_how, &how);
	custody_delivered(b->c, b->ep[2], 1);
	custody_noted(b->c, 1, 1); /* and deleted */
	expect(b, "DELIVER 2 q1 a;SETTLED 1 n1 how2;HELD 1 n1;");
	expect(b, "FORGET 2 q1;");
}

/* ... and so if it is not settled yet: it is still on its way into an archive. */
static void what_was_stored_is_kept_by_its_receiver_while_it_is_being_archived(void **state)
{
	struct bed *b = *state;
	struct custody_entry *e = custody_accept(b->c, b->peer, b->ep[1], 1, 10, false);
	struct session_stanza s = text("a");
	uint8_t how = 0;

	custody_hold(e);
	custody_stored(b->c, e);
	custody_handled(b->c, e);
	custody_originate(b->c, b->ep[2], 1, 1, &s, note_how, &how);
	custody_delivered(b->c, b->ep[2], 1);
	assert_int_equal(how, SETTLED_DELIVERED);
	custody_noted(b->c, 1, 1); /* and deleted */
	expect(b, "DELIVER 2 q1 a;HELD 1 n1;");
	expect(b, "");
	custody_release(b->c, e);
	expect(b, "SETTLED 1 n1 how2;");
	expect(b, "FORGET 2 q1;");
}

#define STARTING(f) cmocka_unit_test_setup_teardown(f, setup_starting, teardown)
#define T(f)	    cmocka_unit_test_setup_teardown(f, setup, teardown)
#define SMALL(f)    cmocka_unit_test_setup_teardown(f, setup_small, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_stanza_is_settled_when_delivered_and_forgotten_when_that_is_noted),
		T(copies_are_one_entry_settled_by_the_last),
		T(a_copy_that_fails_is_not_judged_while_another_lives),
		T(what_is_settled_one_after_the_other_is_told_at_once),
		T(what_an_ended_session_did_not_get_is_judged_in_order),
		SMALL(a_slow_session_gets_no_more_than_its_flight),
		SMALL(what_exceeds_a_queue_is_judged_with_resource_constraint),
		T(a_number_seen_before_is_a_repeat),
		T(a_stanza_is_settled_after_its_answer),
		T(a_held_entry_waits_for_its_release),
		T(a_held_entry_goes_with_custody_and_is_not_settled),
		T(a_domains_queue_waits_for_the_next_session_of_it),
		STARTING(what_a_session_has_already_is_not_sent_again_after_a_router_start),
		STARTING(what_nobody_claims_is_forgotten_once_all_resends_are_in),
		STARTING(what_an_ended_session_had_is_settled),
		T(who_resumes_takes_along_what_it_had_and_others_have_not),
		T(what_was_stored_is_kept_by_its_receiver_until_its_sender_knows_of_that),
		T(what_was_stored_is_kept_by_its_receiver_while_it_is_being_archived),
		T(a_former_owner_is_released_of_the_epoch_that_it_had),
		STARTING(what_a_living_session_had_at_its_former_cm_others_get_all_the_same),
		STARTING(what_its_owner_has_is_kept_though_a_former_one_has_it_too),
		STARTING(what_comes_from_the_store_is_not_delivered_again_for_its_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
