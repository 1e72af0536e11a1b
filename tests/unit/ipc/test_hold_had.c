/* hold: what a session's new connection manager knows of the time before it. */
#include <stdlib.h>

#include "ipc/hold.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "tests/support/cmocka_first.h"

struct bed {
	struct link *link, *far; /* the cm's end and the router's */
	struct hold *hold;
	struct str text;
};

static void on_deliver(void *stream, const struct msg_deliver *m)
{
	(void)stream;
	(void)m;
}

static const struct hold_events events = {.on_deliver = on_deliver};

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct bed *b = arg;
	struct msg_announce a;
	struct msg_announce_have have;

	if (type == MSG_ANNOUNCE && msg_announce_get(body, &a) == ERR_OK)
		str_addf(&b->text, "%d%s [%d,%d);", (int)a.sid,
			 a.state == SESSION_MOVED ? " moved" : "", (int)a.base_q, (int)a.next_q);
	else if (type == MSG_ANNOUNCE_HAVE && msg_announce_have_get(body, &have) == ERR_OK)
		str_addf(&b->text, "q%d %d,%d%s;", (int)have.q, (int)have.origin_sid,
			 (int)have.origin_n, have.delivered ? "" : " under way");
}

/* What it announces to a new router. */
static void expect_announced(struct bed *b, const char *text)
{
	struct slice frame;

	str_reset(&b->text);
	hold_announce(b->hold);
	while (link_next(b->link, true, &frame)) {
		assert_int_equal(link_receive(b->far, frame, on_record, b), ERR_OK);
		link_sent(b->link);
		if (!link_pending(b->link))
			break;
	}
	assert_string_equal(b->text.data, text);
}

static void record(struct bed *b, uint16_t type, struct str *r)
{
	struct slice in = str_slice(r);

	assert_true(hold_record(b->hold, type, in));
	str_clear(r);
}

static void have(struct bed *b, uint64_t q, uint64_t origin_sid, uint64_t origin_n)
{
	struct str r = STR_INIT, body = STR_INIT;
	struct slice in, inner;
	uint16_t type;

	msg_resume_have_put(&r, &(struct msg_resume_have){9, q, origin_sid, origin_n});
	in = str_slice(&r);
	assert_int_equal(codec_next(&in, &type, &inner), ERR_OK);
	str_add_slice(&body, inner);
	str_clear(&r);
	record(b, type, &body);
}

static struct hold_session *resumed(struct bed *b, uint64_t epoch, uint64_t next_q)
{
	return hold_add_resumed(b->hold,
				&(struct msg_resumed){.sid = 9,
						      .epoch = epoch,
						      .jid = slice_str("a@b/c"),
						      .resume_id = slice_str("id"),
						      .max_s = 60,
						      .out_base = 1,
						      .next_q = next_q},
				"conn", "addr", b);
}

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	str_init(&b->text);
	b->link = link_new(5, 1 << 20, 1 << 16);
	b->far = link_new(77, 1 << 20, 1 << 16);
	link_restart(b->link, 77);
	link_restart(b->far, 5);
	b->hold = hold_new(b->link, &events);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	hold_free(&b->hold);
	link_free(&b->link);
	link_free(&b->far);
	str_clear(&b->text);
	free(b);
	return 0;
}

static void what_a_session_had_elsewhere_is_announced_from_here(void **state)
{
	struct bed *b = *state;

	have(b, 3, 1, 7);
	have(b, 5, 2, 8);
	assert_non_null(resumed(b, 2, 7));
	expect_announced(b, "9 [3,7);q3 1,7;q4 0,0;q5 2,8;q6 0,0;");
}

static void a_session_that_had_nothing_starts_with_its_next_number(void **state)
{
	struct bed *b = *state;

	assert_non_null(resumed(b, 2, 7));
	expect_announced(b, "9 [7,7);");
}

/* It was here, elsewhere, and is here again: the router's list counts. */
static void a_session_that_comes_back_knows_what_it_had_meanwhile(void **state)
{
	struct bed *b = *state;
	struct hold_session *s;

	have(b, 3, 1, 7);
	s = resumed(b, 2, 4);
	hold_detach(&s, "broken");
	have(b, 3, 1, 7);
	have(b, 4, 1, 8);
	assert_non_null(resumed(b, 4, 5));
	expect_announced(b, "9 [3,5);q3 1,7;q4 1,8;");
}

static void what_a_dead_router_began_to_tell_is_forgotten(void **state)
{
	struct bed *b = *state;

	have(b, 3, 1, 7);
	expect_announced(b, "");
	assert_non_null(resumed(b, 2, 7));
	expect_announced(b, "9 [7,7);");
}

/* Else the next router tells the contacts that it is gone, though it lives elsewhere. */
static void what_remains_of_a_session_that_another_has_is_announced_as_moved(void **state)
{
	struct bed *b = *state;
	struct hold_session *s = resumed(b, 2, 7);
	struct msg_stanza m = {.kind = STANZA_MESSAGE};
	struct str r = STR_INIT, body = STR_INIT;
	struct slice in, inner;
	uint16_t type;

	hold_send(s, &m);
	hold_detach(&s, "broken");
	msg_released_put(&r, &(struct msg_released){9, 2, 1, 6});
	in = str_slice(&r);
	assert_int_equal(codec_next(&in, &type, &inner), ERR_OK);
	str_add_slice(&body, inner);
	str_clear(&r);
	record(b, type, &body);
	expect_announced(b, "9 moved [7,7);");
	assert_non_null(resumed(b, 3, 7));
	expect_announced(b, "9 [7,7);");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_a_session_had_elsewhere_is_announced_from_here),
		T(a_session_that_had_nothing_starts_with_its_next_number),
		T(a_session_that_comes_back_knows_what_it_had_meanwhile),
		T(what_a_dead_router_began_to_tell_is_forgotten),
		T(what_remains_of_a_session_that_another_has_is_announced_as_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
