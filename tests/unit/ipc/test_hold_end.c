/* hold: what is kept of a session that ends, and what a repeat on a counted stream becomes. */
#include <stdlib.h>

#include "ipc/hold.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "tests/support/cmocka_first.h"

struct bed {
	struct link *link, *far;
	struct hold *hold;
	struct hold_session *s;
	int written;
	int haves; /* announced */
	int sane;  /* announcements whose counters a router takes */
};

static void on_deliver(void *stream, const struct msg_deliver *m)
{
	(void)m;
	((struct bed *)stream)->written++;
}

static const struct hold_events events = {.on_deliver = on_deliver};

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct bed *b = arg;
	struct msg_announce m;

	if (type == MSG_ANNOUNCE_HAVE)
		b->haves++;
	if (type == MSG_ANNOUNCE && msg_announce_get(body, &m) == ERR_OK)
		b->sane += m.base_q <= m.next_q && m.out_base <= m.next_q && m.in_base <= m.sent_n;
}

/* The router's end takes and receipts all that was put. */
static void take(struct bed *b)
{
	struct slice frame;

	while (link_next(b->link, false, &frame)) {
		assert_int_equal(link_receive(b->far, frame, on_record, b), ERR_OK);
		link_sent(b->link);
	}
	if (link_next(b->far, true, &frame)) {
		link_receive(b->link, frame, on_record, b);
		link_sent(b->far);
	}
}

#define RECORD(b, NAME, name, ...)                                             \
	do {                                                                   \
		struct msg_##name record = {__VA_ARGS__};                      \
		struct slice rest, fields;                                     \
		struct str bytes = STR_INIT;                                   \
		uint16_t number;                                               \
                                                                               \
		msg_##name##_put(&bytes, &record);                             \
		rest = str_slice(&bytes);                                      \
		assert_int_equal(codec_next(&rest, &number, &fields), ERR_OK); \
		assert_true(hold_record((b)->hold, MSG_##NAME, fields));       \
		str_clear(&bytes);                                             \
	} while (0)

static void deliver(struct bed *b, uint64_t q, uint64_t origin_n)
{
	RECORD(b, DELIVER, deliver, .sid = 7, .q = q, .origin_sid = 99, .origin_n = origin_n);
}

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	b->link = link_new(5, 1 << 20, 1 << 16);
	b->far = link_new(77, 1 << 20, 1 << 16);
	link_restart(b->link, 77);
	link_restart(b->far, 5);
	b->hold = hold_new(b->link, &events);
	b->s = hold_add(b->hold, 7, 1, SESSION_CLIENT, slice_str("a@b/c"), "c", "a", b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	hold_free(&b->hold);
	link_free(&b->link);
	link_free(&b->far);
	free(b);
	return 0;
}

static void an_ended_session_is_kept_until_its_reports_may_be_forgotten(void **state)
{
	struct bed *b = *state;

	deliver(b, 1, 1);
	hold_delivered(b->s, 1);
	hold_end(&b->s, "over");
	take(b);
	hold_sweep(b->hold);
	assert_non_null(hold_find(b->hold, 7));
	RECORD(b, FORGET, forget, 7, 1);
	assert_null(hold_find(b->hold, 7));
}

static void what_an_ended_session_was_not_delivered_is_not_announced(void **state)
{
	struct bed *b = *state;

	for (uint64_t q = 1; q <= 3; q++)
		deliver(b, q, q);
	hold_delivered(b->s, 1);
	hold_end(&b->s, "over");
	take(b);
	hold_announce(b->hold);
	take(b);
	assert_int_equal(b->haves, 1);
}

/* It must not be refused: what it had sent would be unknown to the new router. */
static void one_that_ended_with_uncounted_stanzas_undelivered_is_announced(void **state)
{
	struct bed *b = *state;

	for (uint64_t q = 1; q <= 3; q++)
		deliver(b, q, q);
	hold_delivered(b->s, 1);
	hold_enable(b->s, true, 60);
	RECORD(b, ENABLED, enabled, 7, slice_str("id"), 60, 0, 4);
	hold_end(&b->s, "over");
	take(b);
	hold_announce(b->hold);
	take(b);
	assert_int_equal(b->haves, 1);
	assert_int_equal(b->sane, 1);
}

/* Its number counts in the client's h: it must be written, though he has had it before. */
static void a_repeat_is_written_where_stanzas_are_counted_and_nowhere_else(void **state)
{
	struct bed *b = *state;

	deliver(b, 1, 1);
	hold_announce(b->hold);
	deliver(b, 2, 1);
	assert_int_equal(b->written, 1);
	hold_enable(b->s, true, 60);
	RECORD(b, ENABLED, enabled, 7, slice_str("id"), 60, 0, 3);
	deliver(b, 3, 1);
	assert_int_equal(b->written, 2);
	take(b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_ended_session_is_kept_until_its_reports_may_be_forgotten),
		T(one_that_ended_with_uncounted_stanzas_undelivered_is_announced),
		T(what_an_ended_session_was_not_delivered_is_not_announced),
		T(a_repeat_is_written_where_stanzas_are_counted_and_nowhere_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
