/* bridge_status and bridge_cause: the guides' words, literally (FEATURES 2.4, A58-A60, A65). */
#include "tests/support/cmocka_first.h"

#include "callbridge/bridge_status.h"

static void the_status_is_in_the_words_of_the_guides(void **state)
{
	static const struct {
		struct bridge_status s;
		const char *text;
	} cases[] = {
		{{BRIDGE_FAILED, BRIDGE_CAUSE_DNS, {"", 0}, 28},
		 "failed to connect to  due to DNS error (28 seconds ago)"},
		{{BRIDGE_FAILED, BRIDGE_CAUSE_AUTH, {"localhost", 9}, 62},
		 "failed to connect to localhost due to authentication failure (1 minute, 2 "
		 "seconds ago)"},
		{{BRIDGE_CONNECTED, BRIDGE_CAUSE_NONE, {"localhost", 9}, 150060},
		 "connected to localhost for 1 day, 17 hours, 41 minutes"},
		{{BRIDGE_FAILED, BRIDGE_CAUSE_REFUSED, {"cb2", 3}, 1},
		 "failed to connect to cb2 due to connection refused (1 second ago)"},
		{{BRIDGE_FAILED, BRIDGE_CAUSE_TLS, {"cb2", 3}, 0},
		 "failed to connect to cb2 due to TLS failure (0 seconds ago)"},
		{{BRIDGE_FAILED, BRIDGE_CAUSE_TIMEOUT, {"cb2", 3}, 60},
		 "failed to connect to cb2 due to timeout (1 minute ago)"},
		{{BRIDGE_STARTING, BRIDGE_CAUSE_NONE, {"cb2", 3}, 3}, "connecting to cb2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;

		bridge_status_text(&out, &cases[i].s);
		assert_string_equal(out.data, cases[i].text);
		str_clear(&out);
	}
}

static void the_fault_and_the_log_are_in_the_words_of_the_guides(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	bridge_status_fault(&out, slice_str(""));
	assert_string_equal(out.data, "XMPP connection to \"\" failed");
	str_reset(&out);
	assert_true(bridge_status_log(&out, BRIDGE_CAUSE_DNS, 0));
	assert_string_equal(out.data,
			    "XMPP connection dropped while session was live for reason 2");
	str_reset(&out);
	assert_true(bridge_status_log(&out, BRIDGE_CAUSE_DNS, 1));
	assert_string_equal(out.data, "XMPP component connection disconnected due to failure "
				      "reason: \"dns error\"");
	str_reset(&out);
	assert_false(bridge_status_log(&out, BRIDGE_CAUSE_DNS, 2));
	str_clear(&out);
}

static void every_cause_has_a_code_of_its_own_and_words(void **state)
{
	(void)state;
	for (int i = 0; i < BRIDGE_CAUSES; i++) {
		enum bridge_cause c = (enum bridge_cause)i;

		assert_true(*bridge_cause_log(c));
		assert_true(i == 0 || *bridge_cause_status(c));
		for (int k = 0; k < i; k++)
			assert_int_not_equal(bridge_cause_code(c),
					     bridge_cause_code((enum bridge_cause)k));
	}
	assert_int_equal(bridge_cause_code(BRIDGE_CAUSE_DNS), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_status_is_in_the_words_of_the_guides),
		cmocka_unit_test(the_fault_and_the_log_are_in_the_words_of_the_guides),
		cmocka_unit_test(every_cause_has_a_code_of_its_own_and_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
