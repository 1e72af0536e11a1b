/*
 * What the judge asks of components (XEP-0114): what a kill of cm-component excuses, and that
 * nothing else does.
 */
#include "tests/unit/ledger/judge_scene.h"

#define TO(name, events, breach, n)                            \
	{                                                      \
		name, events, 0, 1, breach, n, TO_COMPONENT, 0 \
	}
#define NOTED(name, events, kind, noted)                   \
	{                                                  \
		name, events, 0, 1, COUNTS, 0, kind, noted \
	}

static void what_a_plain_component_gets_is_excused_by_a_kill_of_cm_component_only(void **state)
{
	static const struct story stories[] = {
		NOTED("lost in the kernel", "skC", TO_COMPONENT, COUNT_UNCONFIRMED_LOST),
		NOTED("... behind what came", "ssKkXC", TO_COMPONENT, COUNT_UNCONFIRMED_LOST),
		NOTED("an answer", "ikC", TO_COMPONENT, COUNT_UNCONFIRMED_LOST),
		NOTED("come again", "skxCx", TO_COMPONENT, COUNT_UNCONFIRMED_TWICE),
		NOTED("again, and what follows", "skxsCXxKk", TO_COMPONENT,
		      COUNT_UNCONFIRMED_TWICE),
		NOTED("on the other connection", "skxCo", TO_SHARED, COUNT_UNCONFIRMED_TWICE),
		TO("nothing was killed", "sk", COUNT_LOST, 1),
		TO("its connection ended, but nothing was killed", "skE", COUNT_LOST, 1),
		TO("again, but nothing was killed", "skxEx", COUNT_TWICE, 1),
		TO("again on one connection", "skxx", COUNT_TWICE, 1),
		TO("something else died", "stk", COUNT_LOST, 1),
		TO("a hole: what came behind it has come", "ssKkxC", COUNT_LOST, 1),
		TO("sent when the connection was gone", "Csk", COUNT_LOST, 1),
		TO("had come long before", "skxwCx", COUNT_TWICE, 1),
		TO("sent long before", "skwwC", COUNT_LOST, 1),
		TO("killed after its connection had ended", "skxEttttCx", COUNT_TWICE, 1),
		TO("its connection ended long after the kill", "skZwE", COUNT_LOST, 1),
		TO("a kill that its connection survived", "skxZwEx", COUNT_TWICE, 1),
		TO("three times, killed once", "skxCxEx", COUNT_TWICE, 1),
		TO("lost, more than fits into the kernel", "vsskKC", COUNT_UNCONFIRMED_BEYOND, 1),
		TO("again, more than fits into the kernel", "vskxskxC1x", COUNT_UNCONFIRMED_BEYOND,
		   1),
		TO("the second first, on one connection", "ssKkxX", COUNT_OVERTAKEN, 1),
		TO("the second first, before and after", "ssKkxCX", COUNT_OVERTAKEN, 1),
		{"the second first, on one of two connections", "ssKkxX", 0, 1, COUNT_OVERTAKEN, 1,
		 TO_SHARED, 0},
		{"... which has taken over what the other was not delivered", "ssKkxuX", 0, 1,
		 COUNTS, 0, TO_SHARED, 0},
		NOTED("the later of two kills, where it does not read", "skxZfCx", TO_COMPONENT,
		      COUNT_UNCONFIRMED_TWICE),
		TO("what comes again in another order", "ssKkXxCxX", COUNT_OVERTAKEN, 1),
		TO("the sender's other client has a copy", "cskxy", COUNTS, 0),
		TO("waited for its next connection", "Cskx", COUNTS, 0),
		TO("came back", "skCb", COUNTS, 0),
	};

	(void)state;
	STORIES(stories);
}

static void a_component_with_stream_management_is_excused_by_nothing(void **state)
{
	static const struct story stories[] = {
		{"lost at a kill", "skC", 0, 0, COUNT_LOST, 1, TO_COMPONENT, 0},
		{"twice", "skxx", 0, 0, COUNT_TWICE, 1, TO_COMPONENT, 0},
		{"came back twice", "ikbb", 0, 0, COUNT_BOUNCED_TWICE, 1, OF_COMPONENT, 0},
		{"came back again to who gave up its session", "ikbQb", 0, 0, COUNTS, 0,
		 OF_COMPONENT, COUNT_AGAIN_SESSION},
		{"sent and not acknowledged", "s", 0, 0, COUNT_STUCK, 1, OF_COMPONENT, 0},
		{"sent and lost", "skQ", 0, 0, COUNT_LOST, 1, OF_COMPONENT, 0},
		{"in another order on its next session", "ssKkxCX", 0, 0, COUNT_OVERTAKEN, 1,
		 TO_COMPONENT, 0},
		{"in order", "sskKXx", 0, 0, COUNTS, 0, TO_COMPONENT, 0},
	};

	(void)state;
	STORIES(stories);
}

static void
what_a_plain_component_sends_is_unconfirmed_until_the_server_had_something_later(void **state)
{
	static const struct story stories[] = {
		{"gone with the kernel", "sQ", 1, 0, COUNTS, 0, OF_COMPONENT,
		 COUNT_UNCONFIRMED_SENT},
		{"acknowledged", "skQ", 1, 0, COUNT_LOST, 1, OF_COMPONENT, 0},
		{"acknowledged, and something else dies", "stk", 1, 0, COUNT_LOST, 1, OF_COMPONENT,
		 0},
		{"the server had a later one", "smQ", 1, 0, COUNT_LOST, 1, OF_COMPONENT, 0},
		{"the server had an earlier one", "msQ", 1, 0, COUNTS, 0, OF_COMPONENT,
		 COUNT_UNCONFIRMED_SENT},
		{"more than fits into the kernel", "vssQ", 1, 0, COUNT_UNCONFIRMED_BEYOND, 1,
		 OF_COMPONENT, COUNT_UNCONFIRMED_SENT},
		{"came back to its next connection, too", "ikbQb", 1, 0, COUNTS, 0, OF_COMPONENT,
		 COUNT_UNCONFIRMED_TWICE},
		{"came back twice", "ikbb", 1, 0, COUNT_BOUNCED_TWICE, 1, OF_COMPONENT, 0},
		{"twice", "sxxk", 1, 0, COUNT_TWICE, 1, OF_COMPONENT, 0},
		{"its ping is not answered", "p", 1, 0, COUNT_STUCK, 1, OF_COMPONENT, 0},
		{"on the next connection", "sQskx", 1, 0, COUNTS, 0, OF_COMPONENT,
		 COUNT_UNCONFIRMED_SENT},
	};

	(void)state;
	STORIES(stories);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_a_plain_component_gets_is_excused_by_a_kill_of_cm_component_only),
		cmocka_unit_test(a_component_with_stream_management_is_excused_by_nothing),
		cmocka_unit_test(
			what_a_plain_component_sends_is_unconfirmed_until_the_server_had_something_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
