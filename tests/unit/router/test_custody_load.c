/* A router that starts with what is on the shelf: sessions, stanzas and answers come back once, and
 * what came from the managers as well is one (CUSTODY 3-6). */
#include "tests/unit/router/custody_bed.h"

static struct session_row row_of(struct bed *b, uint64_t sid)
{
	struct session_row r;

	assert_non_null(bed_row(b, sid, SHELF_SESSION, 1));
	assert_true(session_row_get(blob_slice(bed_row(b, sid, SHELF_SESSION, 1)->body), &r));
	return r;
}

static struct endpoint *load(struct bed *b, uint64_t sid)
{
	struct session_row r = row_of(b, sid);

	return endpoint_load(b->c, &r, (struct monotime){0});
}

/* Stanza n of the shelf, to `to` (or to nobody). */
static bool load_stanza(struct bed *b, uint64_t sid, uint64_t n, const char *inner,
			struct endpoint *to)
{
	struct custody_entry *e = custody_accept_shelved(b->c, sid, n, 10);
	struct session_stanza s = text(inner);

	if (!e)
		return false;
	if (!custody_was_delivered(b->c, e) && to)
		custody_deliver(b->c, e, to, &s);
	custody_handled(b->c, e);
	return true;
}

static void load_answer(struct bed *b, uint64_t sid, uint64_t n)
{
	custody_load_answer(b->c, sid, n, blob_slice(bed_row(b, sid, SHELF_ANSWER, n)->body));
}

/* sid 1 (cm 0) writes a, b, c to sid 2 (cm 1, 50 stanzas sent), which has had a; the client has
 * perhaps had b; c was never put on its link. Then both managers die and the router. */
static void setup_story(struct bed *b)
{
	struct endpoint *from = sm_client(b, 0, 1), *to = sm_client(b, 1, 2);

	endpoint_set_blob(b->c, to, slice_str("blob"));
	for (uint64_t n = 1; n <= 50; n++)
		custody_handled(b->c, accept_from(b, to, n));
	send_to(b, from, 1, "a", to, NULL);
	send_to(b, from, 2, "b", to, NULL);
	bed_turn(b);
	custody_delivered(b->c, to, 1);
	detach(b, to);
	send_to(b, from, 3, "c", to, NULL);
	b->cm[0].deaf = true;
	bed_cm_dies(b, 1);
	custody_spool(b->c, (struct monotime){.us = 1}, 0);
	bed_sync(b);
	bed_cm_dies(b, 0);
	bed_sync(b);
	bed_router_dies(b);
}

static void a_session_row_has_everything_a_manager_would_announce(void **state)
{
	struct bed *b = *state;
	struct session_row r;
	struct endpoint *ep;

	setup_story(b);
	r = row_of(b, 2);
	assert_int_equal(r.m.sid, 2);
	assert_int_equal(r.m.epoch, 1);
	assert_int_equal(r.m.kind, SESSION_CLIENT);
	assert_int_equal(r.m.state, SESSION_DETACHED);
	assert_int_equal(r.m.sent_n, 50);
	assert_int_equal(r.m.next_q, 3); /* c was never written: it gets its number later */
	assert_int_equal(r.m.max_s, 300);
	assert_int_equal(r.m.out_base, 1);
	assert_true(slice_is(r.m.jid, "a@x.test/r"));
	assert_true(slice_is(r.m.resume_id, "id2"));
	assert_true(slice_is(r.m.blob, "blob"));
	ep = load(b, 2);
	assert_non_null(ep);
	assert_true(endpoint_detached(ep));
	assert_true(endpoint_can_resume(ep));
	assert_int_equal(endpoint_epoch(ep), 1);
	assert_int_equal(endpoint_max_s(ep), 300);
	assert_ptr_equal(endpoint_by_resume_id(b->c, slice_str("id2")), ep);
	assert_int_equal(custody_shelved_sessions(b->c), 1);
}

static void a_loaded_session_is_resumed_with_what_its_client_has_not_had(void **state)
{
	static const struct {
		uint32_t h;
		const char *got;
	} cases[] = {
		{1, "HAD 2 q1;RESUMED 2 epoch2 seen50 own50 in0 out1 q2;"
		    "DELIVER 2 q2 b;DELIVER 2 q3 c;"},
		{2, "HAD 2 q1;HAD 2 q2;RESUMED 2 epoch2 seen50 own50 in0 out1 q3;"
		    "DELIVER 2 q3 c;"},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct bed *b;
		struct endpoint *ep;

		bed_setup_starting((void **)&b);
		custody_restored(b->c);
		setup_story(b);
		load(b, 1);
		ep = load(b, 2);
		load_stanza(b, 1, 1, "a", ep);
		load_stanza(b, 1, 2, "b", ep);
		load_stanza(b, 1, 3, "c", ep);
		custody_restored(b->c);
		bed_turn(b);
		assert_int_equal(endpoint_resume(b->c, ep, b->cm[2].peer, 7, cases[i].h), ERR_OK);
		expect(b, 2, cases[i].got);
		custody_delivered(b->c, ep, 9);
		bed_turn(b);
		bed_sync(b);
		assert_int_equal(custody_books(b->c)->held, 0);
		assert_int_equal(custody_books(b->c)->queued, 0);
		bed_turn(b);
		bed_sync(b);
		/* of the story only sid 1 is left, which is away still */
		assert_string_equal(bed_rows(b), "session 1;");
		bed_teardown((void **)&b);
	}
}

static void no_more_can_be_acknowledged_than_was_written(void **state)
{
	struct bed *b = *state;
	struct endpoint *ep;

	setup_story(b);
	load(b, 1);
	ep = load(b, 2);
	load_stanza(b, 1, 3, "c", ep);
	custody_restored(b->c);
	assert_int_equal(endpoint_resume(b->c, ep, b->cm[2].peer, 7, 3), ERR_RANGE);
	assert_int_equal(endpoint_resume(b->c, ep, b->cm[2].peer, 7, 0), ERR_RANGE);
	assert_true(endpoint_detached(ep));
}

/* Its time goes on by the wall clock; a clock that went back does not make it longer than whole. */
static void a_loaded_session_keeps_its_deadline(void **state)
{
	static const struct {
		int64_t delta_then, delta_now;
		uint64_t now_us, since_us;
	} cases[] = {
		{1000000, 1000000, 90 * 1000000, 60 * 1000000}, /* the same machine */
		{1000000, 1050000, 90 * 1000000, 10 * 1000000}, /* after a reboot */
		{1000000, 1070000, 90 * 1000000, 0},
		{1000000, 900000, 90 * 1000000, 90 * 1000000}, /* set back */
	};
	struct bed *b = *state;
	struct endpoint *ep;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct session_row r;

		custody_set_shelf(b->c, b->shelf, cases[i].delta_then);
		sm_client(b, 0, 1);
		custody_peer_dead(b->c, &b->cm[0].peer, "gone", (struct monotime){60 * 1000000});
		bed_cm_free(&b->cm[0]);
		bed_sync(b);
		bed_router_dies(b);
		custody_set_shelf(b->c, b->shelf, cases[i].delta_now);
		r = row_of(b, 1);
		ep = endpoint_load(b->c, &r, (struct monotime){cases[i].now_us});
		assert_int_equal(endpoint_detached_at(ep).us, cases[i].since_us);
		bed_router_dies(b);
	}
}

static void a_session_row_that_is_cut_off_anywhere_is_refused(void **state)
{
	struct bed *b = *state;
	struct session_row r;
	struct slice whole;
	char *part;

	setup_story(b);
	whole = blob_slice(bed_row(b, 2, SHELF_SESSION, 1)->body);
	for (size_t len = 0; len < whole.len; len++) {
		part = malloc(len + 1); /* so that a checker sees who reads behind it */
		memcpy(part, whole.data, len);
		assert_false(session_row_get(slice_of(part, len), &r));
		free(part);
	}
	assert_true(session_row_get(whole, &r));
}

static void a_row_of_another_record_is_no_session(void **state)
{
	struct str row = STR_INIT;
	struct session_row r;

	(void)state;
	msg_held_put(&row, &(struct msg_held){1, 2});
	codec_put_u64(&row, 1);
	codec_put_bytes(&row, SLICE_NONE);
	codec_put_bytes(&row, SLICE_NONE);
	assert_false(session_row_get(str_slice(&row), &r));
	str_clear(&row);
}

/* Numbers that lead beyond the queue, lists that are not what they say: a bit that fell over. */
static void a_session_row_whose_numbers_do_not_add_up_is_refused(void **state)
{
	static const struct {
		const char *what;
		uint64_t base_q, next_q, out_base, in_base, sent_n;
		size_t haves, had;
		bool good;
	} cases[] = {
		{"as it is", 1, 3, 1, 0, 50, 34, 0, true},
		{"had two elsewhere", 1, 3, 1, 0, 50, 34, 32, true},
		{"not enabled", 1, 3, 0, 0, 50, 34, 0, true},
		{"nothing in it", 7, 7, 7, 9, 9, 0, 0, true},
		{"queue from 0", 0, 2, 1, 0, 50, 34, 0, false},
		{"queue backwards", 5, 3, 1, 0, 50, 34, 0, false},
		{"fewer items", 1, 3, 1, 0, 50, 17, 0, false},
		{"more items", 1, 3, 1, 0, 50, 51, 0, false},
		{"half an item", 1, 3, 1, 0, 50, 33, 0, false},
		{"as many items as fit into 64 bits", 1, UINT64_MAX, 1, 0, 50, 34, 0, false},
		{"half an origin", 1, 3, 1, 0, 50, 34, 8, false},
		{"counted beyond the queue", 1, 3, 4, 0, 50, 34, 0, false},
		{"counted far beyond", 1, 3, UINT64_MAX, 0, 50, 34, 0, false},
		{"sent less than before enable", 1, 3, 1, 51, 50, 34, 0, false},
	};
	static const char zeros[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msg_announce m = {.sid = 2,
					 .epoch = 1,
					 .kind = SESSION_CLIENT,
					 .state = SESSION_DETACHED,
					 .sent_n = cases[i].sent_n,
					 .base_q = cases[i].base_q,
					 .next_q = cases[i].next_q,
					 .jid = slice_str("a@x.test/r"),
					 .resume_id = slice_str("id2"),
					 .max_s = 300,
					 .in_base = cases[i].in_base,
					 .out_base = cases[i].out_base};
		struct str row = STR_INIT;
		struct session_row r;

		msg_announce_put(&row, &m);
		codec_put_u64(&row, 5);
		codec_put_bytes(&row, slice_of(zeros, cases[i].haves));
		codec_put_bytes(&row, slice_of(zeros, cases[i].had));
		if (session_row_get(str_slice(&row), &r) != cases[i].good)
			fail_msg("%s: %s", cases[i].what, cases[i].good ? "refused" : "taken");
		str_clear(&row);
	}
}

/* A list inside that ends in the middle of an item: what is whole counts. */
static void a_session_row_with_torn_lists_is_loaded_as_far_as_it_goes(void **state)
{
	struct bed *b = *state;
	struct session_row r;
	struct endpoint *ep;

	setup_story(b);
	r = row_of(b, 2);
	assert_int_equal(r.haves.len, 34);
	r.haves.len -= 5;
	r.had = slice_of("0123456789", 10);
	ep = endpoint_load(b->c, &r, (struct monotime){0});
	custody_restored(b->c);
	assert_int_equal(endpoint_resume(b->c, ep, b->cm[2].peer, 7, 1), ERR_OK);
	expect(b, 2, "RESUMED 2 epoch2 seen50 own50 in0 out1 q2;FORGET 2 q1;");
}

static void a_session_that_is_there_already_is_not_loaded(void **state)
{
	struct bed *b = *state;

	setup_story(b);
	client(b, 0, 2);
	assert_null(load(b, 2));
}

/* ---- stanzas ---- */

static void what_its_receiver_has_had_is_only_deleted(void **state)
{
	struct bed *b = *state;
	struct endpoint *ep;

	setup_story(b);
	load(b, 1);
	ep = load(b, 2);
	/* its manager was told that it is settled, perhaps; if not it comes again */
	assert_true(load_stanza(b, 1, 1, "a", ep));
	assert_int_equal(custody_books(b->c)->repeats, 1);
	assert_int_equal(custody_books(b->c)->held, 0);
}

static void a_stanza_of_a_session_that_is_over_is_handled(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);

	send_to(b, from, 1, "a", to, NULL);
	bed_turn(b);
	bed_cm_dies(b, 0);
	bed_sync(b);
	bed_router_dies(b);
	to = client(b, 1, 2);
	assert_true(load_stanza(b, 1, 1, "a", to));
	custody_restored(b->c);
	expect(b, 1, "DELIVER 2 q1 a;");
	custody_delivered(b->c, to, 1);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

/* What its manager sends again and the shelf has is one stanza; its manager is told so, and its
 * receiver may forget it when that is known and the row is gone. */
static void a_stanza_of_the_shelf_that_comes_again_is_one(void **state)
{
	struct bed *b = *state;
	struct endpoint *from, *to;

	from = client(b, 0, 1);
	to = client(b, 1, 2);
	custody_restored(b->c);
	endpoint_set_durable(from);
	send_to(b, from, 1, "a", to, NULL);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "stanza 1 n1;");
	bed_router_dies(b);
	from = client(b, 0, 1);
	to = client(b, 1, 2);
	assert_true(load_stanza(b, 1, 1, "a", to));
	assert_null(custody_accept(b->c, b->cm[0].peer, from, 1, 10, true));
	assert_int_equal(custody_books(b->c)->repeats, 1);
	custody_restored(b->c);
	b->cm[0].deaf = true;
	expect(b, 1, "DELIVER 2 q1 a;");
	custody_delivered(b->c, to, 1);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	expect(b, 1, "");
	b->cm[0].deaf = false;
	expect(b, 0, "SETTLED 1 n1 how2;HELD 1 n1;");
	expect(b, 1, "FORGET 2 q1;");
}

static void the_row_of_a_stanza_that_its_manager_sent_first_is_deleted(void **state)
{
	struct bed *b = *state;
	struct endpoint *from, *to;
	struct session_stanza s = text("a");
	struct custody_entry *e;

	bed_row_put(b, 1, SHELF_STANZA, 1, SLICE_NONE);
	from = client(b, 0, 1);
	to = client(b, 1, 2);
	e = custody_accept(b->c, b->cm[0].peer, from, 1, 10, true);
	custody_deliver(b->c, e, to, &s);
	custody_handled(b->c, e);
	assert_false(load_stanza(b, 1, 1, "a", to));
	custody_restored(b->c);
	expect(b, 1, "DELIVER 2 q1 a;");
	custody_delivered(b->c, to, 1);
	expect(b, 0, "HELD 1 n1;SETTLED 1 n1 how1;");
	expect(b, 1, "");
	expect(b, 1, "");
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	expect(b, 1, "FORGET 2 q1;");
}

/* A row says that its session had sent up to there. */
static void a_stanza_row_counts_as_seen(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);

	assert_true(load_stanza(b, 1, 7, "a", to));
	custody_restored(b->c);
	expect(b, 0, "HELD 1 n7;");
	assert_null(custody_accept(b->c, b->cm[0].peer, from, 7, 10, false));
	assert_int_equal(custody_books(b->c)->repeats, 1);
}

/* ---- answers ---- */

static void answer_story(struct bed *b)
{
	struct endpoint *to = sm_client(b, 1, 2);
	struct session_stanza s = text("push");

	detach(b, to);
	custody_answer(b->c, NULL, to, &s);
	custody_answer(b->c, NULL, to, &s);
	bed_cm_dies(b, 1);
	custody_spool(b->c, (struct monotime){.us = 1}, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;answer 2 n1;answer 2 n2;");
	bed_router_dies(b);
}

static void answers_wait_for_their_session_again(void **state)
{
	struct bed *b = *state;
	struct session_stanza s = text("third");
	struct endpoint *ep;

	custody_restored(b->c);
	answer_story(b);
	ep = load(b, 2);
	load_answer(b, 2, 1);
	load_answer(b, 2, 2);
	custody_restored(b->c);
	/* a new one does not take a number that is in use */
	custody_answer(b->c, NULL, ep, &s);
	custody_spool(b->c, (struct monotime){.us = 1}, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;answer 2 n1;answer 2 n2;answer 2 n3;");
	assert_int_equal(endpoint_resume(b->c, ep, b->cm[0].peer, 7, 0), ERR_OK);
	expect(b, 0,
	       "RESUMED 2 epoch2 seen0 own0 in0 out1 q1;DELIVER 2 q1 push;DELIVER 2 q2 push;"
	       "DELIVER 2 q3 third;");
	custody_delivered(b->c, ep, 3);
	bed_sync(b);
	bed_turn(b);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
	assert_int_equal(custody_books(b->c)->held, 0);
}

static void answers_for_nobody_and_torn_ones_are_deleted(void **state)
{
	struct bed *b = *state;

	custody_restored(b->c);
	answer_story(b);
	load_answer(b, 2, 1); /* its session is not there */
	load(b, 2);
	custody_load_answer(b->c, 2, 2, slice_of("\1\0\0\0\0", 5));
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;");
	assert_int_equal(custody_books(b->c)->held, 0);
}

/* Its question comes again: it is not answered a second time, and waits for nothing. */
static void a_question_whose_answer_is_on_the_shelf_is_answered(void **state)
{
	struct bed *b = *state;
	struct endpoint *ep = sm_client(b, 1, 2);
	struct session_stanza s = {
		.kind = STANZA_IQ, .type = TYPE_RESULT, .inner = slice_str("pong")};
	struct custody_entry *e;

	custody_restored(b->c);
	e = custody_accept(b->c, b->cm[1].peer, ep, 1, 10, false);
	detach(b, ep);
	custody_answer(b->c, e, ep, &s);
	custody_handled(b->c, e);
	bed_cm_dies(b, 1);
	custody_spool(b->c, (struct monotime){.us = 1}, 0);
	bed_sync(b); /* the router never saw that it is on disk: its question has a row too */
	bed_row_put(b, 2, SHELF_STANZA, 1, SLICE_NONE);
	bed_router_dies(b);
	ep = load(b, 2);
	load_answer(b, 2, 1);
	e = custody_accept_shelved(b->c, 2, 1, 10);
	assert_non_null(e);
	assert_int_equal(custody_was_answered(b->c, e, ep, SLICE_NONE), ANSWERED);
	custody_handled(b->c, e);
	custody_restored(b->c);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 2;answer 2 n1;");
	assert_int_equal(endpoint_resume(b->c, ep, b->cm[0].peer, 7, 0), ERR_OK);
	bed_turn(b);
	bed_got(b, 0, "RESUMED 2 epoch2 seen1 own1 in0 out1 q1;DELIVER 2 q1 pong;");
}

#define FINAL (1ULL << 63)

static void what_was_answered_is_answered_as_its_manager_says(void **state)
{
	static const struct {
		bool delivered;
		enum custody_answered answered;
	} cases[] = {{true, ANSWERED}, {false, ANSWERED_AGAIN}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct bed *b;
		struct endpoint *ep;
		struct custody_entry *e;
		struct session_stanza s = {
			.kind = STANZA_IQ, .type = TYPE_ERROR, .inner = slice_str("error")};

		bed_setup_starting((void **)&b);
		ep = client(b, 0, 1);
		have(b, ep, 1, 1, 5 | FINAL, cases[i].delivered);
		e = custody_accept(b->c, b->cm[0].peer, ep, 4, 10, true);
		assert_int_equal(custody_was_answered(b->c, e, ep, SLICE_NONE), ANSWERED_NOT);
		custody_handled(b->c, e);
		e = custody_accept(b->c, b->cm[0].peer, ep, 5, 10, true);
		assert_int_equal(custody_was_answered(b->c, e, ep, SLICE_NONE), cases[i].answered);
		if (cases[i].answered == ANSWERED_AGAIN) {
			custody_conclude(e, SETTLED_BOUNCED);
			custody_answer(b->c, e, ep, &s); /* takes number 1 */
		}
		custody_handled(b->c, e);
		custody_restored(b->c);
		bed_turn(b);
		custody_delivered(b->c, ep, 1);
		bed_turn(b);
		expect(b, 0,
		       i ? "SETTLED 1 n4 how4;HELD 1 n5;SETTLED 1 n5 how3;FORGET 1 q1;"
			 : "SETTLED 1 n4 how4;SETTLED 1 n5 how3;HELD 1 n5;FORGET 1 q1;");
		bed_teardown((void **)&b);
	}
}

/* ---- two who announce one session ---- */

static struct msg_announce announced(uint64_t sid, uint64_t epoch, uint64_t base_q, uint64_t next_q)
{
	return (struct msg_announce){.sid = sid,
				     .epoch = epoch,
				     .kind = SESSION_CLIENT,
				     .state = SESSION_LIVE,
				     .sent_n = 60,
				     .base_q = base_q,
				     .next_q = next_q,
				     .jid = slice_str("a@x.test/r"),
				     .resume_id = slice_str("id2"),
				     .max_s = 300,
				     .out_base = 1};
}

static void a_newer_owner_has_the_session_of_the_row(void **state)
{
	struct bed *b = *state;
	struct msg_announce m = announced(2, 2, 3, 3);
	struct endpoint *ep;

	custody_restored(b->c);
	setup_story(b);
	load(b, 1);
	ep = endpoint_supersede(b->c, load(b, 2), b->cm[1].peer, &m);
	endpoint_restore(b->c, ep, &m);
	assert_int_equal(endpoint_epoch(ep), 2);
	assert_ptr_equal(endpoint_owner(ep), b->cm[1].peer);
	/* what the row's client had is not sent again, nor what it acknowledged when it resumed */
	assert_true(load_stanza(b, 1, 1, "a", ep));
	assert_true(load_stanza(b, 1, 2, "b", ep));
	assert_true(load_stanza(b, 1, 3, "c", ep));
	expect(b, 1, "DELIVER 2 q3 c;");
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 1;session 2;stanza 1 n3;");
	custody_restored(b->c);
	bed_turn(b);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 1;stanza 1 n3;");
	expect(b, 1, "HELD 2 n60;");
}

/* ... until the router has made sure of that it may die again: the row of the newer one has it. */
static void what_it_had_elsewhere_outlives_two_routers(void **state)
{
	struct bed *b = *state;
	struct msg_announce m = announced(2, 2, 3, 3);
	struct endpoint *ep;

	custody_restored(b->c);
	setup_story(b);
	load(b, 1);
	ep = endpoint_supersede(b->c, load(b, 2), b->cm[1].peer, &m);
	endpoint_restore(b->c, ep, &m);
	bed_cm_dies(b, 1); /* before the resends */
	bed_sync(b);
	bed_router_dies(b);
	load(b, 1);
	assert_int_equal(row_of(b, 2).m.epoch, 2);
	assert_int_equal(row_of(b, 2).had.len, 32);
	ep = load(b, 2);
	assert_true(load_stanza(b, 1, 1, "a", ep));
	assert_true(load_stanza(b, 1, 2, "b", ep));
	assert_true(load_stanza(b, 1, 3, "c", ep));
	custody_restored(b->c);
	assert_int_equal(endpoint_resume(b->c, ep, b->cm[0].peer, 7, 2), ERR_OK);
	bed_turn(b);
	bed_got(b, 0, "RESUMED 2 epoch3 seen60 own60 in0 out1 q3;DELIVER 2 q3 c;");
}

/* Once everybody knows, nobody needs it: the next row is without. */
static void what_it_had_elsewhere_is_dropped_when_all_is_in(void **state)
{
	struct bed *b = *state;
	struct msg_announce m = announced(2, 2, 3, 3);
	struct endpoint *ep;

	custody_restored(b->c);
	setup_story(b);
	load(b, 1);
	ep = endpoint_supersede(b->c, load(b, 2), b->cm[1].peer, &m);
	endpoint_restore(b->c, ep, &m);
	assert_true(load_stanza(b, 1, 1, "a", ep));
	assert_true(load_stanza(b, 1, 2, "b", ep));
	custody_restored(b->c);
	bed_turn(b);
	bed_sync(b);
	bed_turn(b);
	bed_cm_dies(b, 1);
	bed_sync(b);
	assert_int_equal(row_of(b, 2).had.len, 0);
}

static void an_owner_of_an_older_epoch_is_told_to_close_and_forget(void **state)
{
	struct bed *b = *state;

	custody_restored(b->c);
	setup_story(b);
	load(b, 1);
	endpoint_beat(b->c, load(b, 2), b->cm[1].peer, 1, SESSION_LIVE);
	assert_true(custody_peer_is_former(b->cm[1].peer, 2));
	expect(b, 1, "DETACH 2 epoch1;");
	custody_restored(b->c);
	expect(b, 1, "RELEASED 2 epoch1 seen-1 q0;FORGET 2 q0;");
	expect(b, 1, "");
}

static void a_manager_that_lost_its_session_and_died_is_told_nothing(void **state)
{
	struct bed *b = *state;

	custody_restored(b->c);
	setup_story(b);
	endpoint_beat(b->c, load(b, 2), b->cm[1].peer, 1, SESSION_DETACHED);
	bed_cm_dies(b, 1);
	custody_restored(b->c);
	bed_turn(b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, bed_setup_starting, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_session_row_has_everything_a_manager_would_announce),
		cmocka_unit_test(a_loaded_session_is_resumed_with_what_its_client_has_not_had),
		T(no_more_can_be_acknowledged_than_was_written),
		T(a_loaded_session_keeps_its_deadline),
		T(a_session_row_that_is_cut_off_anywhere_is_refused),
		cmocka_unit_test(a_row_of_another_record_is_no_session),
		cmocka_unit_test(a_session_row_whose_numbers_do_not_add_up_is_refused),
		T(a_session_row_with_torn_lists_is_loaded_as_far_as_it_goes),
		T(a_session_that_is_there_already_is_not_loaded),
		T(what_its_receiver_has_had_is_only_deleted),
		T(a_stanza_of_a_session_that_is_over_is_handled),
		T(a_stanza_of_the_shelf_that_comes_again_is_one),
		T(the_row_of_a_stanza_that_its_manager_sent_first_is_deleted),
		T(a_stanza_row_counts_as_seen),
		T(answers_wait_for_their_session_again),
		T(answers_for_nobody_and_torn_ones_are_deleted),
		T(a_question_whose_answer_is_on_the_shelf_is_answered),
		cmocka_unit_test(what_was_answered_is_answered_as_its_manager_says),
		T(a_newer_owner_has_the_session_of_the_row),
		T(what_it_had_elsewhere_outlives_two_routers),
		T(what_it_had_elsewhere_is_dropped_when_all_is_in),
		T(an_owner_of_an_older_epoch_is_told_to_close_and_forget),
		T(a_manager_that_lost_its_session_and_died_is_told_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
