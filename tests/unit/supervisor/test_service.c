/* The life of an instance in virtual time, compared as a trace: "ms event -> state effects". */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/str.h"
#include "supervisor/service.h"

static const struct service_policy policy = {.delay_min_ms = 100,
					     .delay_max_ms = 30000,
					     .healthy_ms = 60000,
					     .drain_ms = 10000,
					     .adopt_ms = 5000};

static const char *const event_names[] = {
	[SERVICE_EV_START] = "start",
	[SERVICE_EV_STOP] = "stop",
	[SERVICE_EV_RESTART] = "restart",
	[SERVICE_EV_FOUND] = "found",
	[SERVICE_EV_ADOPTED] = "adopted",
	[SERVICE_EV_READY] = "ready",
	[SERVICE_EV_UNREADY] = "unready",
	[SERVICE_EV_EXIT] = "exit",
	[SERVICE_EV_SPAWN_FAILED] = "spawn_failed",
	[SERVICE_EV_TICK] = "tick",
};

struct step {
	uint64_t ms;
	enum service_event_type type;
	const char *want; /* state and effects */
};

static void describe(struct str *out, const struct service *s, unsigned int effects)
{
	str_reset(out);
	str_adds(out, service_state_name(s->state));
	if (effects & SERVICE_SPAWN)
		str_adds(out, " SPAWN");
	if (effects & SERVICE_TERM)
		str_adds(out, " TERM");
	if (effects & SERVICE_KILL)
		str_adds(out, " KILL");
}

static void play(struct service *s, const struct step *steps, size_t n)
{
	struct str got = STR_INIT;

	for (size_t i = 0; i < n; i++) {
		struct service_event ev = {.type = steps[i].type, .ready = true, .restarts = 4};
		struct monotime now = {1000000 + steps[i].ms * 1000};

		describe(&got, s, service_step(s, &policy, &ev, now));
		if (strcmp(got.data, steps[i].want) != 0)
			fail_msg("step %zu, %s at %llu ms: %s instead of %s", i,
				 event_names[steps[i].type], (unsigned long long)steps[i].ms,
				 got.data, steps[i].want);
	}
	str_clear(&got);
}

#define PLAY(s, steps) play(&(s), steps, sizeof(steps) / sizeof((steps)[0]))

static void an_instance_starts_gets_ready_and_stops(void **state)
{
	static const struct step steps[] = {
		{0, SERVICE_EV_START, "starting SPAWN"}, {1, SERVICE_EV_START, "starting"},
		{5, SERVICE_EV_READY, "ready"},		 {6, SERVICE_EV_UNREADY, "starting"},
		{7, SERVICE_EV_READY, "ready"},		 {9, SERVICE_EV_STOP, "draining TERM"},
		{9, SERVICE_EV_STOP, "draining"},	 {10, SERVICE_EV_READY, "draining"},
		{20, SERVICE_EV_EXIT, "stopped"},	 {30, SERVICE_EV_TICK, "stopped"},
		{31, SERVICE_EV_EXIT, "stopped"},	 {40, SERVICE_EV_START, "starting SPAWN"},
	};
	struct service s = {0};

	(void)state;
	PLAY(s, steps);
	assert_int_equal(s.restarts, 0);
	assert_int_equal(s.boots, 2);
}

static void crashes_restart_at_once_then_with_doubling_delay(void **state)
{
	static const uint64_t delays[] = {0,	100,  200,   400,   800,   1600,
					  3200, 6400, 12800, 25600, 30000, 30000};
	struct service_event start = {.type = SERVICE_EV_START}, death = {.type = SERVICE_EV_EXIT};
	struct service_event tick = {.type = SERVICE_EV_TICK};
	struct monotime now = {5000000};
	struct service s = {0};

	(void)state;
	assert_int_equal(service_step(&s, &policy, &start, now), SERVICE_SPAWN);
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		unsigned int effects = service_step(&s, &policy, &death, now);

		if (delays[i] == 0) {
			assert_int_equal(effects, SERVICE_SPAWN);
			continue;
		}
		assert_int_equal(effects, 0);
		assert_int_equal(s.state, SERVICE_BACKOFF);
		now = monotime_add_ms(now, delays[i] - 1);
		assert_int_equal(service_step(&s, &policy, &tick, now), 0);
		now = monotime_add_ms(now, 1);
		assert_int_equal(service_step(&s, &policy, &tick, now), SERVICE_SPAWN);
	}
	assert_int_equal(s.restarts, 12);
}

static void a_healthy_minute_forgets_crashes(void **state)
{
	static const struct step steps[] = {
		{0, SERVICE_EV_START, "starting SPAWN"},
		{1, SERVICE_EV_READY, "ready"},
		{2, SERVICE_EV_EXIT, "starting SPAWN"},
		{3, SERVICE_EV_READY, "ready"},
		{59000, SERVICE_EV_EXIT, "backoff"},
		{59100, SERVICE_EV_TICK, "starting SPAWN"},
		{59200, SERVICE_EV_READY, "ready"},
		{119200, SERVICE_EV_EXIT, "starting SPAWN"},
		{119201, SERVICE_EV_READY, "ready"},
		{119202, SERVICE_EV_EXIT, "backoff"},
		{119302, SERVICE_EV_TICK, "starting SPAWN"},
	};
	struct service s = {0};

	(void)state;
	PLAY(s, steps);
	assert_int_equal(s.restarts, 4);
}

static void a_minute_of_running_without_being_ready_is_not_healthy(void **state)
{
	static const struct step steps[] = {
		{0, SERVICE_EV_START, "starting SPAWN"},
		{1, SERVICE_EV_EXIT, "starting SPAWN"},
		{100000, SERVICE_EV_EXIT, "backoff"},
	};
	struct service s = {0};

	(void)state;
	PLAY(s, steps);
}

static void what_does_not_drain_is_killed_again_and_again(void **state)
{
	static const struct step steps[] = {
		{0, SERVICE_EV_START, "starting SPAWN"}, {1, SERVICE_EV_READY, "ready"},
		{10, SERVICE_EV_STOP, "draining TERM"},	 {10009, SERVICE_EV_TICK, "draining"},
		{10010, SERVICE_EV_TICK, "killed KILL"}, {10011, SERVICE_EV_TICK, "killed"},
		{11010, SERVICE_EV_TICK, "killed KILL"}, {11020, SERVICE_EV_EXIT, "stopped"},
		{20000, SERVICE_EV_TICK, "stopped"},
	};
	struct service s = {0};

	(void)state;
	PLAY(s, steps);
}

static void an_ordered_restart_is_at_once_and_not_counted(void **state)
{
	static const struct step steps[] = {
		{0, SERVICE_EV_START, "starting SPAWN"},   {1, SERVICE_EV_READY, "ready"},
		{2, SERVICE_EV_RESTART, "draining TERM"},  {3, SERVICE_EV_EXIT, "starting SPAWN"},
		{4, SERVICE_EV_EXIT, "starting SPAWN"},	   {5, SERVICE_EV_EXIT, "backoff"},
		{6, SERVICE_EV_RESTART, "starting SPAWN"},
	};
	struct service s = {0};

	(void)state;
	PLAY(s, steps);
	assert_int_equal(s.restarts, 2);
}

static void a_stop_in_the_middle_of_a_restart_wins(void **state)
{
	static const struct step steps[] = {
		{0, SERVICE_EV_START, "starting SPAWN"},  {1, SERVICE_EV_READY, "ready"},
		{2, SERVICE_EV_RESTART, "draining TERM"}, {3, SERVICE_EV_STOP, "draining"},
		{4, SERVICE_EV_EXIT, "stopped"},
	};
	static const struct step in_backoff[] = {
		{0, SERVICE_EV_START, "starting SPAWN"}, {1, SERVICE_EV_EXIT, "starting SPAWN"},
		{2, SERVICE_EV_EXIT, "backoff"},	 {3, SERVICE_EV_STOP, "stopped"},
		{500, SERVICE_EV_TICK, "stopped"},
	};
	struct service s = {0}, t = {0};

	(void)state;
	PLAY(s, steps);
	PLAY(t, in_backoff);
}

static void an_orphan_that_registers_is_adopted(void **state)
{
	static const struct step steps[] = {
		{0, SERVICE_EV_FOUND, "orphan"},     {4999, SERVICE_EV_TICK, "orphan"},
		{4999, SERVICE_EV_ADOPTED, "ready"}, {5001, SERVICE_EV_TICK, "ready"},
		{5002, SERVICE_EV_START, "ready"},   {5003, SERVICE_EV_EXIT, "starting SPAWN"},
	};
	struct service s = {0};

	(void)state;
	PLAY(s, steps);
	assert_int_equal(s.restarts, 5); /* 4 were told by the process */
}

static void an_orphan_that_is_mute_is_ended_and_started_anew(void **state)
{
	static const struct step steps[] = {
		{0, SERVICE_EV_FOUND, "orphan"},
		{5000, SERVICE_EV_TICK, "draining TERM"},
		{5001, SERVICE_EV_ADOPTED, "draining"},
		{15000, SERVICE_EV_TICK, "killed KILL"},
		{15001, SERVICE_EV_EXIT, "starting SPAWN"},
	};
	struct service s = {0};

	(void)state;
	PLAY(s, steps);
	assert_int_equal(s.restarts, 0);
}

static void an_orphan_that_dies_is_started_anew(void **state)
{
	static const struct step steps[] = {
		{0, SERVICE_EV_FOUND, "orphan"},
		{100, SERVICE_EV_EXIT, "starting SPAWN"},
	};
	struct service s = {0};

	(void)state;
	PLAY(s, steps);
}

static void what_cannot_be_started_is_tried_again_later_not_at_once(void **state)
{
	static const struct step steps[] = {
		{0, SERVICE_EV_START, "starting SPAWN"},   {0, SERVICE_EV_SPAWN_FAILED, "backoff"},
		{99, SERVICE_EV_TICK, "backoff"},	   {100, SERVICE_EV_TICK, "starting SPAWN"},
		{100, SERVICE_EV_SPAWN_FAILED, "backoff"}, {299, SERVICE_EV_TICK, "backoff"},
		{300, SERVICE_EV_TICK, "starting SPAWN"},
	};
	struct service s = {0};

	(void)state;
	PLAY(s, steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_instance_starts_gets_ready_and_stops),
		cmocka_unit_test(crashes_restart_at_once_then_with_doubling_delay),
		cmocka_unit_test(a_healthy_minute_forgets_crashes),
		cmocka_unit_test(a_minute_of_running_without_being_ready_is_not_healthy),
		cmocka_unit_test(what_does_not_drain_is_killed_again_and_again),
		cmocka_unit_test(an_ordered_restart_is_at_once_and_not_counted),
		cmocka_unit_test(a_stop_in_the_middle_of_a_restart_wins),
		cmocka_unit_test(an_orphan_that_registers_is_adopted),
		cmocka_unit_test(an_orphan_that_is_mute_is_ended_and_started_anew),
		cmocka_unit_test(an_orphan_that_dies_is_started_anew),
		cmocka_unit_test(what_cannot_be_started_is_tried_again_later_not_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
