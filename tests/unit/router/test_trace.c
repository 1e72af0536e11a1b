/* router/trace.c: who watches whom, the lines, the limits. Virtual time, a link without a wire. */
#include "tests/support/cmocka_first.h"

#include <stdlib.h>

#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/trace.h"

#define WALL_MS 1795280214123 /* 2026-11-21T16:56:54.123Z */

struct bed {
	struct traces *t;
	struct link *link;
	struct monotime now;
	struct str text;	    /* of the records since the last look */
	unsigned int replies, last; /* of them with more = 0 */
	uint32_t removed[8];
	unsigned int nremoved;
};

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	b->t = traces_new((struct trace_limits){.traces = 2, .lines = 5});
	b->link = link_new(1, 1 << 24, 65536);
	link_restart(b->link, 2);
	b->now.us = 1000000000;
	str_init(&b->text);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	traces_free(&b->t);
	link_free(&b->link);
	str_clear(&b->text);
	free(b);
	return 0;
}

static const char *look(struct bed *b)
{
	struct link_header h;
	struct slice frame, body;

	str_reset(&b->text);
	b->replies = b->last = 0;
	while (link_next(b->link, false, &frame)) {
		uint16_t type;
		struct slice record;

		assert_int_equal(link_header_get(frame, &h, &body), ERR_OK);
		while (codec_next(&body, &type, &record) == ERR_OK) {
			struct msg_admin_reply m;

			assert_int_equal(type, MSG_ADMIN_REPLY);
			assert_int_equal(msg_admin_reply_get(record, &m), ERR_OK);
			assert_int_equal(m.req, 77);
			assert_int_equal(m.status, ERR_OK);
			b->replies++;
			b->last += !m.more;
			str_add_slice(&b->text, m.text);
		}
		link_sent(b->link);
	}
	return b->text.data;
}

static uint32_t start(struct bed *b, const char *what)
{
	uint32_t id = 0;

	assert_int_equal(traces_start(b->t, b->link, 77, slice_str(what), 60, b->now, &id), ERR_OK);
	look(b);
	return id;
}

static void pass(struct bed *b, uint64_t sid, const char *session, const char *from, const char *to)
{
	struct session_stanza s = {.kind = STANZA_MESSAGE,
				   .type = TYPE_CHAT,
				   .from = slice_str(from),
				   .to = slice_str(to),
				   .id = slice_str("i1"),
				   .inner = slice_str("<body>secret</body>")};
	struct trace_stanza st = {"in", sid, slice_str(session), &s};

	traces_stanza(b->t, &st, (struct trace_when){b->now, WALL_MS});
}

static void on_removed(void *arg, uint32_t id)
{
	struct bed *b = arg;

	b->removed[b->nremoved++] = id;
}

static void tick(struct bed *b, unsigned int ms)
{
	b->now = monotime_add_ms(b->now, ms);
	traces_tick(b->t, b->now, on_removed, b);
}

static void a_stanza_is_one_line_with_its_envelope_and_masked_xml(void **state)
{
	struct bed *b = *state;

	start(b, "j@a.b");
	pass(b, 1, "j@a.b/x", "j@a.b/x", "r@a.b");
	assert_string_equal(
		look(b),
		"{\"time\":\"2026-11-21T16:56:54.123Z\",\"what\":\"stanza\",\"dir\":\"in\","
		"\"session\":\"j@a.b/x\",\"kind\":\"message\",\"type\":\"chat\",\"id\":\"i1\","
		"\"from\":\"j@a.b/x\",\"to\":\"r@a.b\",\"bytes\":19,\"xml\":\"<message "
		"from='j@a.b/x' to='r@a.b' id='i1' type='chat'><body>[6]</body></message>\"}\n");
}

static void only_who_watches_is_told(void **state)
{
	struct bed *b = *state;

	start(b, "j@a.b");
	pass(b, 1, "j@a.b/x", "j@a.b/x", "r@a.b");
	pass(b, 2, "r@a.b/y", "r@a.b/y", "j@a.b"); /* to the account */
	pass(b, 3, "k@a.b/y", "k@a.b/y", "r@a.b");
	look(b);
	assert_int_equal(b->replies, 2);
}

static void a_watched_address_is_known_by_its_sessions(void **state)
{
	struct bed *b = *state;
	uint32_t id = start(b, "192.0.2.1");
	struct msg_traced m = {.id = id,
			       .sid = 7,
			       .conn = slice_str("c2s#1"),
			       .addr = slice_str("192.0.2.1:5000"),
			       .jid = slice_str("j@a.b/x"),
			       .event = slice_str("bind"),
			       .detail = slice_str("sid=7")};

	pass(b, 7, "j@a.b/x", "j@a.b/x", "r@a.b");
	assert_string_equal(look(b), "");
	traces_event(b->t, "cm-client-1", &m, (struct trace_when){b->now, WALL_MS});
	assert_string_equal(
		look(b), "{\"time\":\"2026-11-21T16:56:54.123Z\",\"what\":\"stream\",\"instance\":"
			 "\"cm-client-1\",\"conn\":\"c2s#1\",\"addr\":\"192.0.2.1:5000\",\"jid\":"
			 "\"j@a.b/x\","
			 "\"event\":\"bind\",\"detail\":\"sid=7\"}\n");
	pass(b, 7, "j@a.b/x", "j@a.b/x", "r@a.b");
	pass(b, 8, "j@a.b/y", "j@a.b/y", "r@a.b");
	look(b);
	assert_int_equal(b->replies, 1);
	m.id = id + 1; /* of a trace that has ended */
	traces_event(b->t, "cm-client-1", &m, (struct trace_when){b->now, WALL_MS});
	assert_string_equal(look(b), "");
}

static void what_exceeds_the_rate_is_counted_and_the_count_told(void **state)
{
	struct bed *b = *state;

	start(b, "a.b");
	for (int i = 0; i < 12; i++)
		pass(b, 1, "j@a.b/x", "j@a.b/x", "r@a.b");
	look(b);
	assert_int_equal(b->replies, 5);
	assert_null(strstr(b->text.data, "dropped"));
	tick(b, 1000); /* without anything that passes */
	assert_string_equal(look(b), "{\"what\":\"dropped\",\"count\":7}\n");
	b->now = monotime_add_ms(b->now, 1000);
	for (int i = 0; i < 6; i++)
		pass(b, 1, "j@a.b/x", "j@a.b/x", "r@a.b");
	b->now = monotime_add_ms(b->now, 200); /* one is earned */
	pass(b, 1, "j@a.b/x", "j@a.b/x", "r@a.b");
	look(b);
	assert_non_null(strstr(b->text.data, "{\"what\":\"dropped\",\"count\":1}\n{\"time\""));
	assert_int_equal(b->replies, 7);
}

/* Nothing is receipted here, as by a command that was stopped. */
static void a_command_that_does_not_read_costs_no_more_than_its_backlog(void **state)
{
	struct bed *b = *state;
	size_t most = 0;

	start(b, "a.b");
	for (int i = 0; i < 10000; i++) {
		b->now = monotime_add_ms(b->now, 1000);
		pass(b, 1, "j@a.b/x", "j@a.b/x", "r@a.b");
		look(b);
	}
	most = link_unreceipted(b->link);
	assert_in_range(most, 1000000, 1100000);
}

static void it_ends_when_its_time_is_over(void **state)
{
	struct bed *b = *state;
	uint32_t id = start(b, "a.b");

	pass(b, 1, "j@a.b/x", "j@a.b/x", "r@a.b");
	tick(b, 59999);
	look(b);
	assert_int_equal(b->last, 0);
	assert_int_equal(b->nremoved, 0);
	tick(b, 1);
	assert_string_equal(look(b), "{\"what\":\"ended\",\"lines\":1,\"dropped\":0}\n");
	assert_int_equal(b->last, 1);
	assert_int_equal(b->nremoved, 1);
	assert_int_equal(b->removed[0], id);
	pass(b, 1, "j@a.b/x", "j@a.b/x", "r@a.b");
	assert_string_equal(look(b), "");
}

static void too_many_are_refused_until_one_leaves(void **state)
{
	struct bed *b = *state;
	const struct trace_filter *f;
	uint32_t id, first = start(b, "a.b");
	size_t it = 0;

	start(b, "c.d");
	assert_int_equal(traces_start(b->t, b->link, 77, slice_str("e.f"), 60, b->now, &id),
			 ERR_FULL);
	traces_leave(b->t, b->link);
	pass(b, 1, "j@a.b/x", "j@a.b/x", "r@a.b"); /* nobody reads any more */
	tick(b, 0);
	assert_string_equal(look(b), "");
	assert_int_equal(b->nremoved, 2);
	assert_int_equal(b->removed[0], first);
	assert_false(traces_next(b->t, &it, &id, &f));
	start(b, "e.f");
	assert_true(traces_next(b->t, &it, &id, &f));
	assert_string_equal(f->text, "e.f");
}

static void nonsense_is_refused(void **state)
{
	static const struct {
		const char *what;
		unsigned int seconds;
	} cases[] = {{"", 60}, {"a.b", 0}, {"a.b", TRACE_SECONDS_MAX + 1}};
	struct bed *b = *state;
	uint32_t id;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(traces_start(b->t, b->link, 77, slice_str(cases[i].what),
					      cases[i].seconds, b->now, &id),
				 ERR_FORMAT);
	assert_string_equal(look(b), "");
	start(b, "a.b");
	start(b, "a.b");
}

static void what_a_manager_left_out_is_counted_too(void **state)
{
	struct bed *b = *state;
	struct msg_traced m = {
		.id = start(b, "a.b"), .event = slice_str("dropped"), .detail = slice_str("12")};

	traces_event(b->t, "cm-client-1", &m, (struct trace_when){b->now, WALL_MS});
	assert_string_equal(look(b), "");
	tick(b, 0);
	assert_string_equal(look(b), "{\"what\":\"dropped\",\"count\":12}\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stanza_is_one_line_with_its_envelope_and_masked_xml),
		TEST(only_who_watches_is_told),
		TEST(a_watched_address_is_known_by_its_sessions),
		TEST(what_exceeds_the_rate_is_counted_and_the_count_told),
		TEST(a_command_that_does_not_read_costs_no_more_than_its_backlog),
		TEST(it_ends_when_its_time_is_over),
		TEST(too_many_are_refused_until_one_leaves),
		TEST(nonsense_is_refused),
		TEST(what_a_manager_left_out_is_counted_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
