/* `xmpp general`: the rows of the guides' Status page, with their labels. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/xmpp/general.h"

static void rows_stand_in_the_guides_order_with_their_labels(void **state)
{
	struct general g = {.bridge = STR_INIT};
	struct str out = STR_INIT;

	(void)state;
	general_from_supervisor(&g, slice_str("{\"uptime\":150101,\"version\":\"0.1.0\","
					      "\"services\":4,\"ready\":3,\"faults\":1}\n"));
	general_from_links(&g, slice_str("{\"instance\":\"cm-client-1\",\"service\":\"cm-client\","
					 "\"seconds\":7}\n{\"instance\":\"datastore\",\"service\":"
					 "\"datastore\",\"seconds\":60}\n"));
	general_from_stats(&g, slice_str("{\"process\":\"datastore\",\"sessions\":9}\n"
					 "{\"process\":\"router\",\"sessions\":2,"
					 "\"components\":1}\n"));
	general_from_bridge(&g, slice_str("{\"name\":\"cb1\",\"connection\":\"connected to "
					  "localhost for 1 minute\"}"));
	general_write(&g, false, &out);
	assert_string_equal(out.data,
			    "Uptime                  : 1 day, 17 hours, 41 minutes\n"
			    "Build version           : 0.1.0\n"
			    "XMPP connection         : connected to localhost for 1 minute\n"
			    "Authentication service  : registered for 1 minute\n"
			    "Services                : 3 of 4 ready\n"
			    "Sessions                : 2\n"
			    "Components              : 1\n"
			    "Fault conditions        : 1\n");
	str_clear(&g.bridge);
	str_clear(&out);
}

static void without_a_datastore_no_authentication_component_is_found(void **state)
{
	struct general g = {.bridge = STR_INIT};
	struct str out = STR_INIT;

	(void)state;
	general_from_supervisor(&g, slice_str("{\"uptime\":1,\"version\":\"0.1.0\"}\n"));
	general_from_links(&g, slice_str("{\"instance\":\"cm-client-1\",\"service\":\"cm-client\","
					 "\"seconds\":7}\n"));
	general_write(&g, false, &out);
	assert_non_null(strstr(out.data, "\nAuthentication service  : no authentication components "
					 "found\n"));
	assert_null(strstr(out.data, "XMPP connection"));
	assert_null(strstr(out.data, "Sessions"));
	str_reset(&out);
	general_write(&g, true, &out);
	assert_non_null(strstr(out.data, "\"authentication\":\"no authentication components "
					 "found\""));
	assert_null(strstr(out.data, "registered"));
	str_clear(&out);
}

static void answers_without_sense_are_survived(void **state)
{
	struct general g = {.bridge = STR_INIT};
	struct str out = STR_INIT;

	(void)state;
	general_from_supervisor(&g, slice_str("rubbish"));
	general_from_links(&g, slice_str("[]\n{\"service\":\"datastore\"}\n"));
	general_from_stats(&g, slice_str("{\"process\":"));
	general_from_bridge(&g, slice_str(""));
	general_write(&g, false, &out);
	assert_non_null(strstr(out.data, "registered for 0 seconds"));
	assert_non_null(strstr(out.data, "XMPP connection         : not running\n"));
	str_clear(&g.bridge);
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_stand_in_the_guides_order_with_their_labels),
		cmocka_unit_test(without_a_datastore_no_authentication_component_is_found),
		cmocka_unit_test(answers_without_sense_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
