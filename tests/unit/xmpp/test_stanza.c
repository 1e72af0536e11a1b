/* lib/xmpp/stanza.c and lib/xmpp/stanza_error.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "xmpp/stanza.h"
#include "xmpp/stanza_error.h"

static void child_entries_come_back_as_they_were_put(void **state)
{
	static const struct stanza_child cases[] = {
		{0, 0, 0, 0},
		{1, 2, 3, 4},
		{65535, 65534, 4294967295u, 4294967294u},
	};
	const size_t count = sizeof(cases) / sizeof(cases[0]);
	struct str packed = STR_INIT;
	struct stanza_child c;
	struct slice in;

	(void)state;
	for (size_t i = 0; i < count; i++)
		stanza_child_put(&packed, &cases[i]);
	assert_int_equal(packed.len, 12 * count);
	in = str_slice(&packed);
	for (size_t i = 0; i < count; i++) {
		assert_true(stanza_child_get(&in, &c));
		assert_memory_equal(&c, &cases[i], sizeof(c));
	}
	assert_false(stanza_child_get(&in, &c));
	str_clear(&packed);
}

static void a_cut_index_ends(void **state)
{
	struct slice in = {"12345678901", 11};
	struct stanza_child c = {1, 1, 1, 1};

	(void)state;
	assert_false(stanza_child_get(&in, &c));
	assert_int_equal(in.len, 0);
	assert_int_equal(c.length, 0);
}

static void conditions_are_found_by_name(void **state)
{
	(void)state;
	for (int e = 0; e <= STANZA_ERROR_UNEXPECTED_REQUEST; e++)
		assert_int_equal(stanza_error_find(slice_str(stanza_error_condition(e))), e);
	assert_int_equal(stanza_error_find(slice_str("bad")), STANZA_ERROR_UNDEFINED_CONDITION);
	assert_int_equal(stanza_error_find(SLICE_NONE), STANZA_ERROR_UNDEFINED_CONDITION);
	assert_string_equal(stanza_error_type(STANZA_ERROR_JID_MALFORMED), "modify");
}

static void error_elements_are_written(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	stanza_error_write(&out, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
	assert_string_equal(out.data, "<error type='cancel'><service-unavailable "
				      "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
	str_reset(&out);
	stanza_error_write(&out, STANZA_ERROR_BAD_REQUEST, "a < b");
	assert_string_equal(
		out.data,
		"<error type='modify'><bad-request "
		"xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
		"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>a &lt; b</text></error>");
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_entries_come_back_as_they_were_put),
		cmocka_unit_test(a_cut_index_ends),
		cmocka_unit_test(conditions_are_found_by_name),
		cmocka_unit_test(error_elements_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
