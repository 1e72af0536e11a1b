#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/plan.h"

enum { ROUTER, STORE, CM1, CM2, N };

static void views_of(struct plan_view *v, enum service_state state)
{
	static const int start[] = {0, 1, 2, 2}, stop[] = {1, 2, 0, 0};

	for (size_t i = 0; i < N; i++)
		v[i] = (struct plan_view){start[i], stop[i], state, 1};
}

static void expect(struct plan *p, const struct plan_view *v, enum plan_verdict verdict, size_t who)
{
	size_t got = 99;
	enum plan_verdict gave = plan_step(p, v, N, &got);

	assert_int_equal(gave, verdict);
	if (verdict != PLAN_DONE)
		assert_int_equal(got, who);
}

static void a_start_goes_rank_by_rank(void **state)
{
	struct plan_view v[N];
	struct plan p;

	(void)state;
	views_of(v, SERVICE_STOPPED);
	plan_begin(&p, PLAN_START);
	expect(&p, v, PLAN_ACT, ROUTER);
	v[ROUTER].state = SERVICE_STARTING;
	expect(&p, v, PLAN_WAIT, ROUTER);
	v[ROUTER].state = SERVICE_READY;
	expect(&p, v, PLAN_ACT, STORE);
	v[STORE].state = SERVICE_BACKOFF;
	expect(&p, v, PLAN_WAIT, STORE);
	v[STORE].state = SERVICE_READY;
	expect(&p, v, PLAN_ACT, CM1);
	expect(&p, v, PLAN_ACT, CM2);
	expect(&p, v, PLAN_WAIT, CM1);
	v[CM1].state = v[CM2].state = SERVICE_READY;
	expect(&p, v, PLAN_DONE, 0);
}

static void a_start_skips_what_is_ready(void **state)
{
	struct plan_view v[N];
	struct plan p;

	(void)state;
	views_of(v, SERVICE_READY);
	v[CM2].state = SERVICE_STOPPED;
	plan_begin(&p, PLAN_START);
	expect(&p, v, PLAN_ACT, CM2);
	v[CM2].state = SERVICE_READY;
	expect(&p, v, PLAN_DONE, 0);
}

static void a_stop_ends_connection_managers_then_router_then_datastore(void **state)
{
	struct plan_view v[N];
	struct plan p;

	(void)state;
	views_of(v, SERVICE_READY);
	plan_begin(&p, PLAN_STOP);
	expect(&p, v, PLAN_ACT, CM1);
	expect(&p, v, PLAN_ACT, CM2);
	v[CM1].state = SERVICE_DRAINING;
	v[CM2].state = SERVICE_STOPPED;
	expect(&p, v, PLAN_WAIT, CM1);
	v[CM1].state = SERVICE_STOPPED;
	expect(&p, v, PLAN_ACT, ROUTER);
	v[ROUTER].state = SERVICE_STOPPED;
	expect(&p, v, PLAN_ACT, STORE);
	v[STORE].state = SERVICE_KILLED;
	expect(&p, v, PLAN_WAIT, STORE);
	v[STORE].state = SERVICE_STOPPED;
	expect(&p, v, PLAN_DONE, 0);
}

static void a_restart_waits_for_a_new_process_that_is_ready(void **state)
{
	const bool pick[N] = {true, false, true, true};
	struct plan_view v[N];
	struct plan p;

	(void)state;
	views_of(v, SERVICE_READY);
	plan_begin(&p, PLAN_RESTART);
	plan_add_ranked(&p, v, pick, N);
	expect(&p, v, PLAN_ACT, ROUTER);
	/* Still the old process: ready, but not yet restarted. */
	expect(&p, v, PLAN_WAIT, ROUTER);
	v[ROUTER].boots++;
	v[ROUTER].state = SERVICE_STARTING;
	expect(&p, v, PLAN_WAIT, ROUTER);
	v[ROUTER].state = SERVICE_READY;
	expect(&p, v, PLAN_ACT, CM1);
	v[CM1].boots += 2; /* it crashed once on the way */
	expect(&p, v, PLAN_ACT, CM2);
	expect(&p, v, PLAN_WAIT, CM2);
	v[CM2].boots++;
	expect(&p, v, PLAN_DONE, 0);
}

static void no_plan_is_done(void **state)
{
	struct plan p = {.kind = PLAN_NONE};
	struct plan_view v[N];

	(void)state;
	views_of(v, SERVICE_STOPPED);
	expect(&p, v, PLAN_DONE, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_goes_rank_by_rank),
		cmocka_unit_test(a_start_skips_what_is_ready),
		cmocka_unit_test(a_stop_ends_connection_managers_then_router_then_datastore),
		cmocka_unit_test(a_restart_waits_for_a_new_process_that_is_ready),
		cmocka_unit_test(no_plan_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
