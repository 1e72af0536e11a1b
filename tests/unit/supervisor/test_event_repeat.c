/* A flood becomes a few lines. Virtual time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/event_repeat.h"

struct rig {
	struct event_repeat *r;
	struct monotime now;
	struct str out;
};

static int setup(void **state)
{
	static struct rig rig;

	rig = (struct rig){event_repeat_new(), {1000000}, STR_INIT};
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *g = *state;

	event_repeat_free(&g->r);
	str_clear(&g->out);
	return 0;
}

static void add(struct rig *g, const char *service, const char *text)
{
	event_repeat_add(
		g->r,
		&(struct event_line){1000, EVENT_WARNING, slice_str(service), slice_str(text)},
		g->now, &g->out);
}

static size_t lines(struct rig *g)
{
	size_t n = 0;

	for (const char *c = g->out.data; *c; c++)
		n += *c == '\n';
	str_reset(&g->out);
	return n;
}

static void pass(struct rig *g, uint64_t ms)
{
	g->now = monotime_add_ms(g->now, ms);
	event_repeat_tick(g->r, g->now, false, &g->out);
}

static void what_is_rare_passes_as_it_is(void **state)
{
	struct rig *g = *state;

	for (int i = 0; i < EVENT_REPEAT_FREE; i++)
		add(g, "router", "event=a n=1");
	add(g, "router", "event=b");
	add(g, "datastore", "event=a");
	assert_int_equal(lines(g), EVENT_REPEAT_FREE + 2);
	pass(g, 3600000);
	assert_int_equal(lines(g), 0);
}

static void a_flood_becomes_ten_lines_and_a_count(void **state)
{
	struct rig *g = *state;

	for (int i = 0; i < 1000; i++)
		add(g, "cm-client-1",
		    i == 999 ? "c2s#9 event=auth_failed last=1" : "c2s#1 event=auth_failed");
	assert_int_equal(lines(g), EVENT_REPEAT_FREE);
	pass(g, EVENT_REPEAT_QUIET_MS - 1);
	assert_int_equal(lines(g), 0);
	pass(g, 1);
	assert_string_equal(g->out.data,
			    "1970-01-01 00:00:01.000 Warning cm-client-1 c2s#9 event=auth_failed "
			    "last=1 (repeated 990 times)\n");
}

static void other_events_are_not_swallowed_by_a_flood(void **state)
{
	struct rig *g = *state;

	for (int i = 0; i < 500; i++)
		add(g, "cm-client-1", "event=flood");
	lines(g);
	add(g, "cm-client-1", "event=disk");
	assert_non_null(strstr(g->out.data, "event=disk\n"));
}

static void a_flood_that_goes_on_is_one_line_a_minute(void **state)
{
	struct rig *g = *state;

	for (int s = 0; s < 600; s++) {
		for (int i = 0; i < 10; i++)
			add(g, "router", "event=flood");
		pass(g, 1000);
	}
	assert_true(lines(g) <= EVENT_REPEAT_FREE + 10);
}

static void after_a_quiet_minute_it_passes_again(void **state)
{
	struct rig *g = *state;

	for (int i = 0; i < 100; i++)
		add(g, "router", "event=flood");
	pass(g, EVENT_REPEAT_QUIET_MS);
	for (int i = 0; i < 3; i++)
		pass(g, EVENT_REPEAT_WINDOW_MS);
	lines(g);
	add(g, "router", "event=flood");
	assert_int_equal(lines(g), 1);
}

static void the_guides_lines_every_64_seconds_all_pass(void **state)
{
	struct rig *g = *state;

	for (int i = 0; i < 100; i++) {
		add(g, "callbridge", "No DNS A or AAAA records for _xmpp-component._tcp.a.com");
		pass(g, 64000);
	}
	assert_int_equal(lines(g), 100);
}

static void of_the_supervisors_own_each_instance_is_a_kind(void **state)
{
	struct rig *g = *state;

	for (int i = 0; i < 2 * EVENT_REPEAT_FREE; i++) {
		struct str text = STR_INIT;

		str_addf(&text, "event=service_died instance=router pid=%d", i);
		add(g, "supervisor", text.data);
		str_clear(&text);
	}
	assert_int_equal(lines(g), EVENT_REPEAT_FREE);
	add(g, "supervisor", "event=service_died instance=datastore pid=1");
	assert_int_equal(lines(g), 1);
}

static void components_are_kinds_of_their_own_but_not_each_connection(void **state)
{
	struct rig *g = *state;

	for (int i = 0; i < 40; i++) {
		struct str text = STR_INIT;

		str_addf(&text, "comp#%d event=bind component=\"c%c\" sid=%c%x addr=::%x x", i,
			 i % 2 ? 'a' : 'b', 'a' + i % 26, i, i);
		event_repeat_add(g->r,
				 &(struct event_line){1000, EVENT_INFO, slice_str("cm-component"),
						      str_slice(&text)},
				 g->now, &g->out);
		str_clear(&text);
	}
	assert_int_equal(lines(g), 2 * EVENT_REPEAT_FREE);
}

static void more_kinds_than_there_is_room_for_lose_no_count(void **state)
{
	struct rig *g = *state;

	for (int i = 0; i <= EVENT_REPEAT_FREE + 4; i++)
		add(g, "router", "event=first");
	lines(g);
	for (int i = 0; i < EVENT_REPEAT_KINDS; i++) {
		struct str text = STR_INIT;

		g->now = monotime_add_ms(g->now, 1);
		str_addf(&text, "event=kind_%d", i);
		add(g, "router", text.data);
		str_clear(&text);
	}
	assert_non_null(strstr(g->out.data, "event=first (repeated 5 times)\n"));
	assert_int_equal(lines(g), EVENT_REPEAT_KINDS + 1);
}

static void all_tells_at_once_what_was_counted(void **state)
{
	struct rig *g = *state;

	for (int i = 0; i <= EVENT_REPEAT_FREE; i++)
		add(g, "router", "event=x");
	lines(g);
	event_repeat_tick(g->r, g->now, true, &g->out);
	assert_non_null(strstr(g->out.data, "event=x (repeated 1 time)\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_rare_passes_as_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_becomes_ten_lines_and_a_count, setup,
						teardown),
		cmocka_unit_test_setup_teardown(other_events_are_not_swallowed_by_a_flood, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_flood_that_goes_on_is_one_line_a_minute, setup,
						teardown),
		cmocka_unit_test_setup_teardown(after_a_quiet_minute_it_passes_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_guides_lines_every_64_seconds_all_pass, setup,
						teardown),
		cmocka_unit_test_setup_teardown(of_the_supervisors_own_each_instance_is_a_kind,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			components_are_kinds_of_their_own_but_not_each_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(more_kinds_than_there_is_room_for_lose_no_count,
						setup, teardown),
		cmocka_unit_test_setup_teardown(all_tells_at_once_what_was_counted, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
