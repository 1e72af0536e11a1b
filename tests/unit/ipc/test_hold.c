#include <stdlib.h>

#include "ipc/hold.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "tests/support/cmocka_first.h"

#define PROOF 32 /* trials of one boot that are proof at once: hold.h */

/* A hold between streams that the test plays and a router whose part is a script. */
struct rig {
	struct hold *h;
	struct link *link;
	uint64_t boot;
	unsigned int quarantined;
	struct str said; /* what the last quarantined one was */
};

static void on_deliver(void *stream, const struct msg_deliver *m)
{
	(void)stream;
	(void)m;
}

static void on_quarantine(void *arg, const struct hold_quarantined *q)
{
	struct rig *r = arg;
	struct slice in = q->bytes, body;
	uint16_t type;

	r->quarantined++;
	str_reset(&r->said);
	if (in.len == 0) {
		str_adds(&r->said, "nothing");
		return;
	}
	assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
	str_addf(&r->said, "%s %d/%d kind %d type %d from %.*s to %.*s id %.*s", codec_name(type),
		 (int)q->sid, (int)q->n, q->kind, q->type, SLICE_ARG(q->from), SLICE_ARG(q->to),
		 SLICE_ARG(q->id));
}

static const struct hold_events events = {
	.on_deliver = on_deliver,
	.on_quarantine = on_quarantine,
};

/* A record of the hold as text. Those of the announcement are left out. */
static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct str *out = arg;
	union {
		struct msg_stanza stanza;
		struct msg_refused refused;
		struct msg_suspect suspect;
		struct msg_unbind unbind;
		struct msg_delivered delivered;
		struct msg_detached detached;
	} m;

	if (type == MSG_STANZA && msg_stanza_get(body, &m.stanza) == ERR_OK)
		str_addf(out, "%d/%d;", (int)m.stanza.sid, (int)m.stanza.n);
	else if (type == MSG_REFUSED && msg_refused_get(body, &m.refused) == ERR_OK)
		str_addf(out, "REFUSED %d/%d kind %d type %d id %.*s %.*s;", (int)m.refused.sid,
			 (int)m.refused.n, m.refused.kind, m.refused.type, SLICE_ARG(m.refused.id),
			 SLICE_ARG(m.refused.condition));
	else if (type == MSG_SUSPECT && msg_suspect_get(body, &m.suspect) == ERR_OK)
		str_addf(out, "SUSPECT %d/%d;", (int)m.suspect.sid, (int)m.suspect.n);
	else if (type == MSG_UNBIND && msg_unbind_get(body, &m.unbind) == ERR_OK)
		str_addf(out, "UNBIND %d;", (int)m.unbind.sid);
	else if (type == MSG_DETACHED && msg_detached_get(body, &m.detached) == ERR_OK)
		str_addf(out, "DETACHED %d;", (int)m.detached.sid);
	else if (type == MSG_DELIVERED && msg_delivered_get(body, &m.delivered) == ERR_OK)
		str_addf(out, "DELIVERED %d/%d;", (int)m.delivered.sid, (int)m.delivered.q);
	else if (type == MSG_RESEND_END)
		str_adds(out, "END;");
}

/* What was put on the link since the last time. */
static void read_link(struct rig *r, struct str *out)
{
	struct link *peer = link_new(r->boot, 1 << 20, 1 << 16);
	struct link_header head;
	struct slice frame, body, in;
	uint16_t type;

	while (link_next(r->link, false, &frame)) {
		assert_int_equal(link_header_get(frame, &head, &in), ERR_OK);
		for (uint32_t i = 0; i < head.count; i++) {
			assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
			on_record(out, type, body);
		}
		link_sent(r->link);
	}
	link_free(&peer);
}

static void expect(struct rig *r, const char *text)
{
	struct str out = STR_INIT;

	read_link(r, &out);
	assert_string_equal(out.len ? out.data : "", text);
	str_clear(&out);
}

/* The router died and the next one is there. */
static void next_boot(struct rig *r)
{
	link_restart(r->link, ++r->boot);
	hold_announce(r->h);
}

static void rig_start(struct rig *r)
{
	*r = (struct rig){.link = link_new(1, 1 << 24, 1 << 16), .boot = 100, .said = STR_INIT};
	r->h = hold_new(r->link, &events);
	hold_isolate(r->h, r);
	next_boot(r);
	expect(r, "END;");
}

static void rig_end(struct rig *r)
{
	assert_int_equal(hold_books_difference(hold_books(r->h)), 0);
	hold_free(&r->h);
	link_free(&r->link);
	str_clear(&r->said);
}

static struct hold_session *add(struct rig *r, uint64_t sid)
{
	return hold_add(r->h, sid, 1, SESSION_CLIENT, slice_str("juliet@localhost/x"), "c", "a", r);
}

static void send_many(struct hold_session *s, int count)
{
	for (int i = 0; i < count; i++)
		hold_send(s, &(struct msg_stanza){.kind = STANZA_MESSAGE,
						  .type = TYPE_CHAT,
						  .to = slice_str("romeo@localhost"),
						  .id = slice_str("i1"),
						  .inner = slice_str("<body>x</body>")});
}

#define RECORD(r, NAME, name, ...)                                             \
	do {                                                                   \
		struct msg_##name record = {__VA_ARGS__};                      \
		struct slice rest, fields;                                     \
		struct str bytes = STR_INIT;                                   \
		uint16_t number;                                               \
                                                                               \
		msg_##name##_put(&bytes, &record);                             \
		rest = str_slice(&bytes);                                      \
		assert_int_equal(codec_next(&rest, &number, &fields), ERR_OK); \
		assert_true(hold_record((r)->h, MSG_##NAME, fields));          \
		str_clear(&bytes);                                             \
	} while (0)

static void settle(struct rig *r, uint64_t sid, uint64_t n, uint8_t how)
{
	RECORD(r, SETTLED, settled, sid, n, how);
}

static void held(struct rig *r, uint64_t sid, uint64_t n)
{
	RECORD(r, HELD, held, sid, n);
}

static void let_try(struct rig *r, uint64_t sid, uint64_t n)
{
	RECORD(r, TRY, try, sid, n);
}

static void deliver(struct rig *r, uint64_t sid, uint64_t q)
{
	RECORD(r, DELIVER, deliver, .sid = sid, .q = q, .origin_sid = 99, .origin_n = q);
}

/* Books */

static void what_is_accepted_is_settled_released_or_held(void **state)
{
	const struct hold_books *b;
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	b = hold_books(r.h);
	s = add(&r, 7);
	send_many(s, 9);
	hold_refuse(s, STANZA_IQ, TYPE_GET, slice_str("i2"), "bad-request", "no");
	assert_int_equal(b->accepted, 10);
	assert_int_equal(b->held, 10);
	for (uint8_t how = SETTLED_DELIVERED; how <= SETTLED_DISCARDED; how++)
		settle(&r, 7, how, how);
	settle(&r, 7, 1, SETTLED_STORED); /* told again: nothing new */
	for (int how = SETTLED_DELIVERED; how <= SETTLED_DISCARDED; how++)
		assert_int_equal(b->settled[how], 1);
	assert_int_equal(b->held, 5);
	assert_int_equal(hold_books_difference(b), 0);
	settle(&r, 7, 6, 200); /* no such way: counted all the same */
	assert_int_equal(hold_books_difference(b), 0);
	hold_detach(&s, "broken");
	RECORD(&r, RELEASED, released, 7, 1, 8, 0);
	assert_int_equal(b->released, 2);
	assert_int_equal(b->held, 2);
	assert_int_equal(hold_books_difference(b), 0);
	settle(&r, 7, 7, SETTLED_DELIVERED);
	settle(&r, 7, 8, SETTLED_DELIVERED);
	assert_int_equal(b->held, 0);
	assert_int_equal(hold_total(r.h), 0);
	rig_end(&r);
}

/* A stream that is told what is settled. */
static void tell_settled(void *stream, uint64_t first, uint64_t last, uint8_t how)
{
	str_addf(stream, "%d-%d how%d;", (int)first, (int)last, how);
}

static void a_run_settles_each_of_it_that_is_not_settled_yet(void **state)
{
	static const struct hold_events told = {.on_deliver = on_deliver,
						.on_settled = tell_settled};
	struct str text = STR_INIT;
	const struct hold_books *b;
	struct rig r;

	(void)state;
	rig_start(&r);
	hold_free(&r.h);
	r.h = hold_new(r.link, &told);
	b = hold_books(r.h);
	send_many(hold_add(r.h, 7, 1, SESSION_CLIENT, slice_str("a@x/r"), "c", "", &text), 9);
	settle(&r, 7, 4, SETTLED_STORED);
	str_reset(&text);
	RECORD(&r, SETTLED_RUN, settled_run, 7, 2, 6, SETTLED_DELIVERED);
	assert_string_equal(text.data, "2-3 how1;5-6 how1;");
	assert_int_equal(b->settled[SETTLED_DELIVERED], 4);
	assert_int_equal(b->held, 4);
	str_reset(&text);
	RECORD(&r, SETTLED_RUN, settled_run, 7, 2, 6, SETTLED_DELIVERED); /* told again */
	RECORD(&r, SETTLED_RUN, settled_run, 7, 8, 7, SETTLED_DELIVERED); /* of none */
	RECORD(&r, SETTLED_RUN, settled_run, 8, 1, 9, SETTLED_DELIVERED); /* nobody's */
	assert_int_equal(text.len, 0);
	RECORD(&r, SETTLED_RUN, settled_run, 7, 0, UINT64_MAX, SETTLED_BOUNCED);
	assert_string_equal(text.data, "1-1 how3;7-9 how3;");
	assert_int_equal(b->held, 0);
	assert_int_equal(hold_total(r.h), 0);
	assert_int_equal(hold_books_difference(b), 0);
	str_clear(&text);
	rig_end(&r);
}

static void a_session_that_comes_back_here_releases_what_came_too_late(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 4);
	hold_detach(&s, "broken");
	s = hold_add_resumed(r.h,
			     &(struct msg_resumed){.sid = 7,
						   .epoch = 2,
						   .resume_id = slice_str("r"),
						   .seen_n = 3,
						   .own_n = 3,
						   .next_q = 1},
			     "c", "a", &r);
	assert_int_equal(hold_books(r.h)->released, 1);
	assert_int_equal(hold_books(r.h)->held, 3);
	send_many(s, 1);
	assert_int_equal(hold_books(r.h)->accepted, 5);
	rig_end(&r);
}

static void what_a_third_one_was_given_is_released_though_it_died_of_it(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 4);
	deliver(&r, 7, 1);
	deliver(&r, 7, 2);
	hold_delivered(s, 2);
	hold_detach(&s, "broken");
	RECORD(&r, RELEASED, released, 7, 0, 1, 1); /* of an earlier time */
	assert_int_equal(hold_books(r.h)->held, 4);
	RECORD(&r, RELEASED, released, 7, 2, 3, 1);
	assert_int_equal(hold_books(r.h)->released, 1);
	assert_int_equal(hold_books(r.h)->held, 3);
	assert_int_equal(hold_books(r.h)->unforgotten, 2);
	rig_end(&r);
}

static void what_is_delivered_is_unforgotten_until_the_router_lets_go(void **state)
{
	const struct hold_books *b;
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	b = hold_books(r.h);
	s = add(&r, 7);
	for (uint64_t q = 1; q <= 4; q++)
		deliver(&r, 7, q);
	hold_delivered(s, 3);
	hold_undeliverable(s, 4, "gone");
	assert_int_equal(b->deliveries, 4);
	assert_int_equal(b->undeliverable, 1);
	assert_int_equal(b->unforgotten, 4);
	RECORD(&r, FORGET, forget, 7, 3);
	assert_int_equal(b->unforgotten, 1);
	next_boot(&r);
	RECORD(&r, DELIVER, deliver, .sid = 7, .q = 5, .origin_sid = 99, .origin_n = 4);
	assert_int_equal(b->repeats, 0); /* what was not delivered is welcome again */
	assert_int_equal(b->unforgotten, 1);
	hold_delivered(s, 5);
	assert_int_equal(b->unforgotten, 2);
	hold_end(&s, "over");
	RECORD(&r, FORGET, forget, 7, 5);
	assert_int_equal(b->unforgotten, 0);
	rig_end(&r);
}

static void what_a_client_had_had_when_it_moved_on_is_unforgotten(void **state)
{
	const struct hold_books *b;
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	b = hold_books(r.h);
	s = add(&r, 7);
	hold_enable(s, true, 60);
	RECORD(&r, ENABLED, enabled, 7, slice_str("r"), 60, 0, 1);
	for (uint64_t q = 1; q <= 3; q++)
		deliver(&r, 7, q);
	hold_delivered(s, 3);
	assert_int_equal(b->unforgotten, 0); /* not acknowledged */
	hold_detach(&s, "broken");
	RECORD(&r, RELEASED, released, 7, 1, 0, 2);
	assert_int_equal(b->unforgotten, 2);
	RECORD(&r, FORGET, forget, 7, 2);
	assert_int_equal(b->unforgotten, 0);
	rig_end(&r);
}

/* Poison */

static void after_one_death_everything_is_sent_again_at_once(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 2);
	expect(&r, "7/1;7/2;");
	next_boot(&r);
	send_many(s, 1);
	expect(&r, "7/1;7/2;END;7/3;");
	rig_end(&r);
}

static void a_suspect_waits_with_what_is_behind_it_and_others_do_not(void **state)
{
	struct hold_session *a, *b;
	struct rig r;

	(void)state;
	rig_start(&r);
	a = add(&r, 7);
	b = add(&r, 8);
	send_many(a, 1);
	held(&r, 7, 1);
	send_many(a, 1);
	next_boot(&r);
	send_many(a, 1);
	send_many(b, 1);
	next_boot(&r);
	expect(&r, "7/1;8/1;SUSPECT 7/2;");
	send_many(a, 1);
	send_many(b, 1);
	hold_refuse(a, STANZA_IQ, TYPE_GET, slice_str("i"), "bad-request", "");
	expect(&r, "8/2;");
	let_try(&r, 7, 2);
	expect(&r, "7/2;SUSPECT 0/0;");
	send_many(a, 1);
	expect(&r, "");
	let_try(&r, 0, 0);
	expect(&r, "7/3;7/4;REFUSED 7/5 kind 3 type 20 id i bad-request;7/6;END;");
	send_many(a, 1);
	expect(&r, "7/7;");
	assert_int_equal(hold_books(r.h)->suspects, 1);
	assert_int_equal(r.quarantined, 0);
	rig_end(&r);
}

static void one_that_was_held_is_no_suspect(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 3);
	held(&r, 7, 3);
	expect(&r, "7/1;7/2;7/3;");
	for (int i = 0; i < 5; i++) {
		next_boot(&r);
		expect(&r, "7/1;7/2;7/3;END;");
	}
	rig_end(&r);
}

/* Handled once, and it kills when it comes again: somewhere else in the router, but all the same.
 */
static void one_that_was_held_once_is_a_suspect_after_six_deaths_without(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 1);
	held(&r, 7, 1);
	for (int i = 0; i < 3; i++)
		next_boot(&r);
	held(&r, 7, 1); /* that boot's death does not count */
	for (int i = 0; i < 4; i++)
		next_boot(&r);
	expect(&r, "7/1;END;");
	next_boot(&r);
	expect(&r, "SUSPECT 7/1;");
	let_try(&r, 7, 1);
	next_boot(&r);
	expect(&r, "REFUSED 7/1 kind 1 type 3 id i1 internal-server-error;END;");
	rig_end(&r);
}

static void suspects_are_sent_one_at_a_time(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	send_many(add(&r, 7), 2);
	send_many(add(&r, 8), 1);
	next_boot(&r);
	next_boot(&r);
	expect(&r, "SUSPECT 7/1;");
	let_try(&r, 8, 1); /* not asked for: nothing happens */
	let_try(&r, 0, 0);
	expect(&r, "");
	let_try(&r, 7, 1);
	expect(&r, "7/1;SUSPECT 0/0;");
	let_try(&r, 7, 1); /* said twice */
	expect(&r, "");
	let_try(&r, 0, 0);
	expect(&r, "SUSPECT 7/2;");
	let_try(&r, 7, 2);
	let_try(&r, 0, 0);
	expect(&r, "7/2;SUSPECT 0/0;SUSPECT 8/1;");
	let_try(&r, 8, 1);
	let_try(&r, 0, 0);
	expect(&r, "8/1;SUSPECT 0/0;END;");
	assert_int_equal(hold_books(r.h)->suspects, 3);
	rig_end(&r);
}

static void who_is_alone_at_a_third_death_is_refused_and_told_of_once(void **state)
{
	struct hold_session *s;
	size_t before;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 2);
	before = hold_unsettled(s);
	next_boot(&r);
	next_boot(&r);
	let_try(&r, 7, 1);
	next_boot(&r);
	assert_int_equal(r.quarantined, 1);
	assert_string_equal(r.said.data, "STANZA 7/1 kind 1 type 3 from juliet@localhost/x to "
					 "romeo@localhost id i1");
	expect(&r, "REFUSED 7/1 kind 1 type 3 id i1 internal-server-error;SUSPECT 7/2;");
	assert_in_range(hold_unsettled(s), before + 1, before + 100); /* condition and text */
	assert_int_equal(hold_unsettled(s), hold_total(r.h));
	let_try(&r, 7, 2);
	let_try(&r, 0, 0);
	expect(&r, "7/2;SUSPECT 0/0;END;");
	held(&r, 7, 2);
	settle(&r, 7, 1, SETTLED_BOUNCED);
	settle(&r, 7, 2, SETTLED_DELIVERED);
	assert_int_equal(hold_total(r.h), 0);
	assert_int_equal(hold_books(r.h)->quarantined, 1);
	assert_int_equal(r.quarantined, 1);
	rig_end(&r);
}

static void of_a_quarantined_password_nothing_is_kept(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	hold_send(add(&r, 7), &(struct msg_stanza){.kind = STANZA_IQ,
						   .type = TYPE_SET,
						   .flags = STANZA_SECRET,
						   .inner = slice_str("<password>p</password>")});
	next_boot(&r);
	next_boot(&r);
	let_try(&r, 7, 1);
	next_boot(&r);
	assert_string_equal(r.said.data, "nothing");
	rig_end(&r);
}

static void who_is_not_at_the_router_when_it_dies_is_not_blamed(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	send_many(add(&r, 7), 2);
	next_boot(&r);
	for (int i = 0; i < 5; i++)
		next_boot(&r); /* asked, never let */
	expect(&r, "SUSPECT 7/1;");
	assert_int_equal(r.quarantined, 0);
	let_try(&r, 7, 1);
	let_try(&r, 0, 0); /* handled */
	next_boot(&r);
	assert_int_equal(r.quarantined, 0);
	rig_end(&r);
}

static void who_survived_alone_is_never_a_suspect_again(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	send_many(add(&r, 7), 2);
	next_boot(&r);
	next_boot(&r);
	let_try(&r, 7, 1);
	let_try(&r, 0, 0);
	let_try(&r, 7, 2); /* this one kills */
	for (int i = 0; i < 4; i++) {
		next_boot(&r);
		expect(&r, "7/1;REFUSED 7/2 kind 1 type 3 id i1 internal-server-error;END;");
		held(&r, 7, 2);
	}
	assert_int_equal(r.quarantined, 1);
	rig_end(&r);
}

/* Lets stanza `first` to `last` of session sid go, each alone, and each is handled. */
static void acquit(struct rig *r, uint64_t sid, uint64_t first, uint64_t last)
{
	for (uint64_t n = first; n <= last; n++) {
		let_try(r, sid, n);
		let_try(r, 0, 0);
	}
}

static void late_in_a_long_row_a_death_proves_nothing_yet(void **state)
{
	struct str out = STR_INIT;
	struct rig r;

	(void)state;
	rig_start(&r);
	send_many(add(&r, 7), 3);
	send_many(add(&r, 8), PROOF);
	next_boot(&r);
	next_boot(&r);
	acquit(&r, 7, 1, 3);
	acquit(&r, 8, 1, PROOF - 3);
	let_try(&r, 8, PROOF - 2);
	next_boot(&r);
	assert_int_equal(r.quarantined, 0);
	for (int n = 1; n <= 3; n++)
		str_addf(&out, "7/%d;", n);
	for (int n = 1; n <= PROOF - 3; n++)
		str_addf(&out, "8/%d;", n);
	str_addf(&out, "SUSPECT 8/%d;", PROOF - 2);
	expect(&r, out.data);
	let_try(&r, 8, PROOF - 2);
	next_boot(&r);
	assert_int_equal(r.quarantined, 1);
	str_clear(&out);
	rig_end(&r);
}

static void who_went_down_alone_is_tried_before_all_others(void **state)
{
	struct hold_session *late;
	struct str out = STR_INIT;
	struct rig r;

	(void)state;
	rig_start(&r);
	send_many(add(&r, 7), PROOF);
	late = add(&r, 9);
	send_many(add(&r, 8), 1);
	next_boot(&r);
	send_many(late, 1);
	next_boot(&r);
	acquit(&r, 7, 1, PROOF);
	let_try(&r, 8, 1);
	next_boot(&r);
	for (int n = 1; n <= PROOF; n++)
		str_addf(&out, "7/%d;", n);
	str_adds(&out, "SUSPECT 8/1;");
	expect(&r, out.data);
	acquit(&r, 8, 1, 1);
	expect(&r, "8/1;SUSPECT 0/0;SUSPECT 9/1;");
	assert_int_equal(r.quarantined, 0);
	str_clear(&out);
	rig_end(&r);
}

static void the_last_one_whose_death_is_proof_is_guilty(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	send_many(add(&r, 7), PROOF);
	next_boot(&r);
	next_boot(&r);
	acquit(&r, 7, 1, PROOF - 1);
	let_try(&r, 7, PROOF);
	next_boot(&r);
	assert_int_equal(r.quarantined, 1);
	rig_end(&r);
}

static void what_no_router_ever_had_is_no_suspect(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 1);
	next_boot(&r);
	next_boot(&r);
	send_many(s, 1); /* behind a suspect */
	for (int i = 0; i < 3; i++)
		next_boot(&r);
	expect(&r, "SUSPECT 7/1;");
	let_try(&r, 7, 1);
	let_try(&r, 0, 0);
	expect(&r, "7/1;SUSPECT 0/0;7/2;END;");
	rig_end(&r);
}

static void who_is_settled_before_its_turn_makes_room(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 1);
	next_boot(&r);
	next_boot(&r);
	send_many(s, 1);
	expect(&r, "SUSPECT 7/1;");
	settle(&r, 7, 1, SETTLED_DISCARDED);
	let_try(&r, 7, 1);
	expect(&r, "7/2;END;");
	rig_end(&r);
}

static void many_that_come_while_it_waits_do_not_clear_anybody(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 2);
	next_boot(&r);
	next_boot(&r);
	send_many(s, 20);
	let_try(&r, 7, 1);
	let_try(&r, 0, 0);
	expect(&r, "SUSPECT 7/1;7/1;SUSPECT 0/0;SUSPECT 7/2;");
	rig_end(&r);
}

static void a_session_that_comes_back_with_nothing_waits_no_longer(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 2);
	hold_detach(&s, "broken");
	next_boot(&r);
	next_boot(&r);
	expect(&r, "SUSPECT 7/1;");
	s = hold_add_resumed(
		r.h,
		&(struct msg_resumed){
			.sid = 7, .epoch = 2, .resume_id = slice_str("r"), .next_q = 1},
		"c", "a", &r);
	send_many(s, 1);
	expect(&r, "7/1;");
	let_try(&r, 7, 1);
	expect(&r, "END;");
	rig_end(&r);
}

static void a_refusal_that_kills_goes_without_its_id(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	hold_refuse(add(&r, 7), STANZA_IQ, TYPE_SET, slice_str("bad"), "bad-request", "no");
	next_boot(&r);
	next_boot(&r);
	let_try(&r, 7, 1);
	next_boot(&r);
	expect(&r, "REFUSED 7/1 kind 3 type 21 id  internal-server-error;END;");
	assert_string_equal(r.said.data,
			    "REFUSED 7/1 kind 3 type 21 from juliet@localhost/x to  id bad");
	rig_end(&r);
}

static void a_session_that_ends_while_it_waits_says_so_last(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 2);
	next_boot(&r);
	next_boot(&r);
	expect(&r, "SUSPECT 7/1;");
	hold_end(&s, "over");
	expect(&r, "");
	let_try(&r, 7, 1);
	let_try(&r, 0, 0);
	let_try(&r, 7, 2);
	settle(&r, 7, 1, SETTLED_DELIVERED);
	settle(&r, 7, 2, SETTLED_DELIVERED);
	expect(&r, "7/1;SUSPECT 0/0;SUSPECT 7/2;7/2;SUSPECT 0/0;");
	hold_sweep(r.h);
	assert_non_null(hold_find(r.h, 7));
	let_try(&r, 0, 0);
	expect(&r, "UNBIND 7;END;");
	rig_end(&r);
}

static void a_session_that_ended_while_it_waited_is_announced_as_ended(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 1);
	next_boot(&r);
	next_boot(&r);
	hold_end(&s, "over");
	next_boot(&r);
	expect(&r, "SUSPECT 7/1;");
	let_try(&r, 7, 1);
	let_try(&r, 0, 0);
	expect(&r, "7/1;SUSPECT 0/0;END;"); /* no UNBIND: it was announced */
	rig_end(&r);
}

static void a_detached_session_waits_like_any_other(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 2);
	hold_detach(&s, "broken");
	next_boot(&r);
	next_boot(&r);
	expect(&r, "SUSPECT 7/1;");
	let_try(&r, 7, 1);
	next_boot(&r);
	expect(&r, "REFUSED 7/1 kind 1 type 3 id i1 internal-server-error;SUSPECT 7/2;");
	rig_end(&r);
}

static void who_is_released_while_it_waits_makes_room(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 2);
	send_many(add(&r, 8), 1);
	hold_detach(&s, "broken");
	next_boot(&r);
	next_boot(&r);
	expect(&r, "SUSPECT 7/1;");
	RECORD(&r, RELEASED, released, 7, 1, 0, 0); /* its client sends both again elsewhere */
	assert_int_equal(hold_books(r.h)->released, 2);
	let_try(&r, 7, 1);
	expect(&r, "SUSPECT 8/1;");
	let_try(&r, 8, 1);
	let_try(&r, 0, 0);
	expect(&r, "8/1;SUSPECT 0/0;END;");
	rig_end(&r);
}

static void a_session_that_comes_back_while_it_waits_goes_on_waiting(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	send_many(s, 2);
	hold_detach(&s, "broken");
	next_boot(&r);
	next_boot(&r);
	expect(&r, "SUSPECT 7/1;");
	s = hold_add_resumed(r.h,
			     &(struct msg_resumed){.sid = 7,
						   .epoch = 2,
						   .resume_id = slice_str("r"),
						   .seen_n = 2,
						   .own_n = 2,
						   .next_q = 1},
			     "c", "a", &r);
	send_many(s, 1);
	expect(&r, "");
	let_try(&r, 7, 1);
	let_try(&r, 0, 0);
	let_try(&r, 7, 2);
	let_try(&r, 0, 0);
	expect(&r, "7/1;SUSPECT 0/0;SUSPECT 7/2;7/2;SUSPECT 0/0;7/3;END;");
	rig_end(&r);
}

static void nothing_that_waits_is_taken_for_held(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	s = add(&r, 7);
	hold_enable(s, true, 60);
	RECORD(&r, ENABLED, enabled, 7, slice_str("r"), 60, 0, 1);
	send_many(s, 1);
	held(&r, 7, 1);
	send_many(s, 2);
	next_boot(&r);
	next_boot(&r);
	held(&r, 7, 3); /* a router that got tired of waiting */
	assert_int_equal(hold_h(s), 1);
	rig_end(&r);
}

static void without_leave_everything_is_sent_again_for_ever(void **state)
{
	struct hold_session *s;
	struct rig r;

	(void)state;
	rig_start(&r);
	hold_free(&r.h);
	r.h = hold_new(r.link, &events);
	s = add(&r, 7);
	send_many(s, 1);
	expect(&r, "7/1;");
	for (int i = 0; i < 5; i++) {
		next_boot(&r);
		expect(&r, "7/1;END;");
	}
	rig_end(&r);
}

/*
 * Any order of deaths, answers, ends and new stanzas: in each boot the numbers of a session come in
 * order and once, RESEND_END once and with nothing waiting behind it, and at the end all is
 * settled.
 */
struct chance {
	struct rig r;
	struct hold_session *s[4];
	uint64_t next_sid;
	uint64_t last[400]; /* by sid: the newest n seen by this boot */
	uint64_t asked[2];  /* by SUSPECT, not answered */
	bool waits, ended;
};

static void chance_record(struct chance *c, uint16_t type, struct slice body)
{
	struct msg_suspect suspect;
	struct msg_refused refused;
	struct msg_stanza stanza;
	uint64_t sid = 0, n = 0;

	if (type == MSG_STANZA && msg_stanza_get(body, &stanza) == ERR_OK) {
		sid = stanza.sid;
		n = stanza.n;
	} else if (type == MSG_REFUSED && msg_refused_get(body, &refused) == ERR_OK) {
		sid = refused.sid;
		n = refused.n;
	} else if (type == MSG_SUSPECT && msg_suspect_get(body, &suspect) == ERR_OK) {
		assert_false(c->waits);
		assert_false(c->ended);
		c->asked[0] = suspect.sid;
		c->asked[1] = suspect.n;
		c->waits = true;
	} else if (type == MSG_RESEND_END) {
		assert_false(c->waits);
		assert_false(c->ended);
		c->ended = true;
	}
	if (sid) {
		assert_true(n > c->last[sid]);
		c->last[sid] = n;
	}
}

static void chance_read(struct chance *c)
{
	struct link_header head;
	struct slice frame, body, in;
	uint16_t type;

	while (link_next(c->r.link, false, &frame)) {
		assert_int_equal(link_header_get(frame, &head, &in), ERR_OK);
		for (uint32_t i = 0; i < head.count; i++) {
			codec_next(&in, &type, &body);
			chance_record(c, type, body);
		}
		link_sent(c->r.link);
	}
}

static void chance_boot(struct chance *c)
{
	memset(c->last, 0, sizeof(c->last));
	c->waits = c->ended = false;
	next_boot(&c->r);
}

static void chance_answer(struct chance *c)
{
	if (!c->waits)
		return;
	c->waits = false;
	let_try(&c->r, c->asked[0], c->asked[1]);
}

static void chance_session(struct chance *c, int place)
{
	struct hold_session **s = &c->s[place];
	uint64_t sid = *s ? hold_sid(*s) : 0;

	switch (random() % 10) {
	case 0:
		if (*s)
			hold_end(s, "over");
		else
			*s = add(&c->r, ++c->next_sid);
		break;
	case 1:
		if (sid && c->last[sid])
			held(&c->r, sid, c->last[sid] - (uint64_t)random() % 2);
		break;
	case 2:
		if (sid && c->last[sid])
			settle(&c->r, sid, 1 + (uint64_t)random() % c->last[sid],
			       SETTLED_DELIVERED);
		break;
	default:
		if (*s)
			send_many(*s, 1);
	}
}

static void chance_run(unsigned int seed)
{
	struct chance *c = calloc(1, sizeof(*c));

	srandom(seed);
	rig_start(&c->r);
	c->ended = true;
	for (int i = 0; i < 400; i++) {
		chance_read(c);
		if (random() % 25 == 0)
			chance_boot(c);
		else if (random() % 3 == 0)
			chance_answer(c);
		else
			chance_session(c, (int)(random() % 4));
		assert_int_equal(hold_books_difference(hold_books(c->r.h)), 0);
	}
	while (chance_read(c), c->waits)
		chance_answer(c);
	assert_true(c->ended);
	assert_int_equal(hold_books(c->r.h)->quarantined, c->r.quarantined);
	for (uint64_t sid = 1; sid <= c->next_sid; sid++)
		for (uint64_t n = 1; n <= 400; n++)
			settle(&c->r, sid, n, SETTLED_DELIVERED);
	assert_int_equal(hold_books(c->r.h)->held, 0);
	assert_int_equal(hold_total(c->r.h), 0);
	rig_end(&c->r);
	free(c);
}

static void whatever_happens_order_and_books_stand(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 300; seed++)
		chance_run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_accepted_is_settled_released_or_held),
		cmocka_unit_test(a_run_settles_each_of_it_that_is_not_settled_yet),
		cmocka_unit_test(a_session_that_comes_back_here_releases_what_came_too_late),
		cmocka_unit_test(what_a_third_one_was_given_is_released_though_it_died_of_it),
		cmocka_unit_test(what_is_delivered_is_unforgotten_until_the_router_lets_go),
		cmocka_unit_test(after_one_death_everything_is_sent_again_at_once),
		cmocka_unit_test(a_suspect_waits_with_what_is_behind_it_and_others_do_not),
		cmocka_unit_test(one_that_was_held_is_no_suspect),
		cmocka_unit_test(one_that_was_held_once_is_a_suspect_after_six_deaths_without),
		cmocka_unit_test(suspects_are_sent_one_at_a_time),
		cmocka_unit_test(who_is_alone_at_a_third_death_is_refused_and_told_of_once),
		cmocka_unit_test(of_a_quarantined_password_nothing_is_kept),
		cmocka_unit_test(who_is_not_at_the_router_when_it_dies_is_not_blamed),
		cmocka_unit_test(who_survived_alone_is_never_a_suspect_again),
		cmocka_unit_test(late_in_a_long_row_a_death_proves_nothing_yet),
		cmocka_unit_test(who_went_down_alone_is_tried_before_all_others),
		cmocka_unit_test(the_last_one_whose_death_is_proof_is_guilty),
		cmocka_unit_test(what_no_router_ever_had_is_no_suspect),
		cmocka_unit_test(who_is_settled_before_its_turn_makes_room),
		cmocka_unit_test(many_that_come_while_it_waits_do_not_clear_anybody),
		cmocka_unit_test(a_session_that_comes_back_with_nothing_waits_no_longer),
		cmocka_unit_test(what_a_client_had_had_when_it_moved_on_is_unforgotten),
		cmocka_unit_test(a_refusal_that_kills_goes_without_its_id),
		cmocka_unit_test(a_session_that_ends_while_it_waits_says_so_last),
		cmocka_unit_test(a_session_that_ended_while_it_waited_is_announced_as_ended),
		cmocka_unit_test(a_detached_session_waits_like_any_other),
		cmocka_unit_test(who_is_released_while_it_waits_makes_room),
		cmocka_unit_test(a_session_that_comes_back_while_it_waits_goes_on_waiting),
		cmocka_unit_test(nothing_that_waits_is_taken_for_held),
		cmocka_unit_test(without_leave_everything_is_sent_again_for_ever),
		cmocka_unit_test(whatever_happens_order_and_books_stand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
