/* bridge_plan and bridge_retry: which server next, and when, in virtual time. */
#include "tests/support/cmocka_first.h"

#include "base/str.h"
#include "callbridge/bridge_plan.h"
#include "callbridge/bridge_retry.h"

static const struct bridge_plan_config dns_plan = {.dns_retry_ms = BRIDGE_RETRY_DNS_MS,
						   .retry_min_ms = 1000,
						   .retry_max_ms = 60000,
						   .stable_ms = 10000};

static const struct srv_record three[] = {
	{.priority = 1, .port = 5222, .target = "cb1.example.org"},
	{.priority = 2, .port = 5223, .target = "cb2.example.org"},
	{.priority = 2, .port = 5299, .target = "cb3.example.org"},
};

/* "lookup", "connect cb1.example.org:5222" or "wait 64000". */
static const char *text_of(const struct bridge_plan *p, struct bridge_step s)
{
	static char text[400];
	const struct srv_record *t = bridge_plan_target(p);

	if (s.what == BRIDGE_DO_LOOKUP)
		return "lookup";
	if (s.what == BRIDGE_DO_CONNECT)
		snprintf(text, sizeof(text), "connect %s:%u", t->target, t->port);
	else
		snprintf(text, sizeof(text), "wait %u", s.wait_ms);
	return text;
}

#define assert_step(p, step, text) assert_string_equal(text_of(p, step), text)

static struct monotime at_s(uint64_t s)
{
	return (struct monotime){s * 1000000};
}

static void a_failure_of_dns_is_retried_after_64_seconds_again_and_again(void **state)
{
	struct bridge_plan p;

	(void)state;
	bridge_plan_init(&p, &dns_plan);
	for (uint32_t i = 0; i < 20; i++) {
		assert_step(&p, bridge_plan_begin(&p), "lookup");
		assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_DNS, i * 7919), "wait 64000");
	}
}

static void each_target_is_tried_in_order_on_its_own_port(void **state)
{
	struct bridge_plan p;

	(void)state;
	bridge_plan_init(&p, &dns_plan);
	bridge_plan_begin(&p);
	assert_step(&p, bridge_plan_found(&p, three, 3), "connect cb1.example.org:5222");
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_REFUSED, 0),
		    "connect cb2.example.org:5223");
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_AUTH, 0),
		    "connect cb3.example.org:5299");
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_TIMEOUT, 0), "wait 1000");
	assert_step(&p, bridge_plan_begin(&p), "lookup");
}

static void targets_without_addresses_are_a_failure_of_dns(void **state)
{
	struct bridge_plan p;

	(void)state;
	bridge_plan_init(&p, &dns_plan);
	bridge_plan_begin(&p);
	bridge_plan_found(&p, three, 2);
	bridge_plan_failed(&p, BRIDGE_CAUSE_DNS, 0);
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_DNS, 0), "wait 64000");
	/* But not when one of them had an address. */
	bridge_plan_begin(&p);
	bridge_plan_found(&p, three, 2);
	bridge_plan_failed(&p, BRIDGE_CAUSE_REFUSED, 0);
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_DNS, 0), "wait 1000");
}

static void other_failures_are_retried_with_a_delay_that_grows_to_its_bound(void **state)
{
	static const uint32_t least[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
	struct bridge_plan p;

	(void)state;
	bridge_plan_init(&p, &dns_plan);
	for (size_t i = 0; i < sizeof(least) / sizeof(least[0]); i++) {
		struct bridge_step s;

		bridge_plan_begin(&p);
		bridge_plan_found(&p, three, 1);
		s = bridge_plan_failed(&p, BRIDGE_CAUSE_REFUSED, 0);
		assert_int_equal(s.what, BRIDGE_DO_WAIT);
		assert_int_equal(s.wait_ms, least[i]);
	}
}

static void the_delay_has_jitter_of_up_to_half(void **state)
{
	uint32_t low = UINT32_MAX, high = 0;

	(void)state;
	for (uint32_t r = 0; r < 5000; r++) {
		uint32_t ms = bridge_retry_ms(1000, 60000, 2, r * 2654435761u);

		low = ms < low ? ms : low;
		high = ms > high ? ms : high;
	}
	assert_in_range(low, 4000, 4100);
	assert_in_range(high, 5900, 6000);
	assert_int_equal(bridge_retry_ms(1000, 60000, 4000000000u, 1023), 60000);
	assert_int_equal(bridge_retry_ms(0, 0, 3, 5), 0);
}

static void what_was_lost_is_tried_last_at_once_and_only_once(void **state)
{
	struct bridge_plan p;

	(void)state;
	bridge_plan_init(&p, &dns_plan);
	bridge_plan_begin(&p);
	bridge_plan_found(&p, three, 3);
	bridge_plan_live(&p, at_s(100));
	assert_step(&p, bridge_plan_lost(&p, at_s(200), 0), "lookup");
	assert_step(&p, bridge_plan_found(&p, three, 3), "connect cb2.example.org:5223");
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_REFUSED, 0),
		    "connect cb3.example.org:5299");
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_REFUSED, 0),
		    "connect cb1.example.org:5222");
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_REFUSED, 0), "wait 1000");
	/* The next round has the order of DNS again. */
	bridge_plan_begin(&p);
	assert_step(&p, bridge_plan_found(&p, three, 3), "connect cb1.example.org:5222");
}

static void who_takes_us_and_drops_us_again_and_again_is_not_stormed(void **state)
{
	static const char *const steps[] = {"lookup", "wait 1000", "wait 2000", "wait 4000"};
	struct bridge_plan p;

	(void)state;
	bridge_plan_init(&p, &dns_plan);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		bridge_plan_begin(&p);
		bridge_plan_found(&p, three, 1);
		bridge_plan_live(&p, at_s(100 * i));
		assert_step(&p, bridge_plan_lost(&p, at_s(100 * i + 1), 0), steps[i]);
	}
	/* A connection that stood forgets all that. */
	bridge_plan_begin(&p);
	bridge_plan_found(&p, three, 1);
	bridge_plan_live(&p, at_s(1000));
	assert_step(&p, bridge_plan_lost(&p, at_s(1010), 0), "lookup");
	bridge_plan_found(&p, three, 1);
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_REFUSED, 0), "wait 1000");
}

static void a_static_server_is_the_only_one(void **state)
{
	struct bridge_plan_config cfg = dns_plan;
	struct bridge_plan p;

	(void)state;
	cfg.is_static = true;
	bridge_plan_init(&p, &cfg);
	bridge_plan_static(&p, "localhost", 5223);
	assert_step(&p, bridge_plan_begin(&p), "connect localhost:5223");
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_AUTH, 0), "wait 1000");
	assert_step(&p, bridge_plan_begin(&p), "connect localhost:5223");
	bridge_plan_live(&p, at_s(5));
	assert_step(&p, bridge_plan_lost(&p, at_s(50), 0), "connect localhost:5223");
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_REFUSED, 0), "wait 1000");
	/* Its name, too, may be DNS's fault. */
	bridge_plan_begin(&p);
	assert_step(&p, bridge_plan_failed(&p, BRIDGE_CAUSE_DNS, 0), "wait 64000");
}

static void more_targets_than_there_is_room_for_are_cut(void **state)
{
	struct srv_record many[60];
	struct bridge_plan p;
	int tried = 1;

	(void)state;
	memset(many, 0, sizeof(many));
	for (size_t i = 0; i < 60; i++) {
		many[i].port = (uint16_t)(1000 + i);
		snprintf(many[i].target, sizeof(many[i].target), "h%zu", i);
	}
	bridge_plan_init(&p, &dns_plan);
	bridge_plan_begin(&p);
	bridge_plan_found(&p, many, 60);
	while (bridge_plan_failed(&p, BRIDGE_CAUSE_REFUSED, 0).what == BRIDGE_DO_CONNECT)
		tried++;
	assert_int_equal(tried, SRV_TARGETS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_of_dns_is_retried_after_64_seconds_again_and_again),
		cmocka_unit_test(each_target_is_tried_in_order_on_its_own_port),
		cmocka_unit_test(targets_without_addresses_are_a_failure_of_dns),
		cmocka_unit_test(other_failures_are_retried_with_a_delay_that_grows_to_its_bound),
		cmocka_unit_test(the_delay_has_jitter_of_up_to_half),
		cmocka_unit_test(what_was_lost_is_tried_last_at_once_and_only_once),
		cmocka_unit_test(who_takes_us_and_drops_us_again_and_again_is_not_stormed),
		cmocka_unit_test(a_static_server_is_the_only_one),
		cmocka_unit_test(more_targets_than_there_is_room_for_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
