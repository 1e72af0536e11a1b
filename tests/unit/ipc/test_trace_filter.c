/* lib/ipc/trace_filter.c */
#include "ipc/trace_filter.h"

#include "tests/support/cmocka_first.h"

static struct trace_filter filter(const char *text)
{
	struct trace_filter f;

	assert_int_equal(trace_filter_parse(&f, slice_str(text)), ERR_OK);
	return f;
}

static void the_form_says_what_is_meant(void **state)
{
	static const struct {
		const char *text;
		enum trace_filter_kind kind;
		const char *kept;
	} cases[] = {
		{"juliet@example.com", TRACE_JID, "juliet@example.com"},
		{"juliet@example.com/b", TRACE_JID, "juliet@example.com/b"},
		{"juliet@192.0.2.1", TRACE_JID, "juliet@192.0.2.1"},
		{"example.com", TRACE_DOMAIN, "example.com"},
		{"192.0.2.1", TRACE_ADDR, "192.0.2.1"},
		{"192.0.2.1:4000", TRACE_ADDR, "192.0.2.1:4000"},
		{"2001:DB8:0::1", TRACE_ADDR, "2001:db8::1"},
		{"[2001:db8::1]", TRACE_ADDR, "2001:db8::1"},
		{"[2001:db8:0::1]:4000", TRACE_ADDR, "[2001:db8::1]:4000"},
		{"192.0.2", TRACE_DOMAIN, "192.0.2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct trace_filter f = filter(cases[i].text);

		assert_int_equal(f.kind, cases[i].kind);
		assert_string_equal(f.text, cases[i].kept);
	}
}

static void nothing_and_too_much_are_refused(void **state)
{
	static char text[TRACE_FILTER_MAX + 1];
	struct trace_filter f;

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_int_equal(trace_filter_parse(&f, SLICE_NONE), ERR_FORMAT);
	assert_int_equal(trace_filter_parse(&f, slice_of(text, sizeof(text))), ERR_FORMAT);
	assert_int_equal(trace_filter_parse(&f, slice_of(text, sizeof(text) - 1)), ERR_OK);
}

static void jids_and_addresses_match_or_do_not(void **state)
{
	static const struct {
		const char *filter, *jid, *addr;
		bool is_jid, is_addr;
	} cases[] = {
		{"j@a.b", "j@a.b", "", true, false},
		{"j@a.b", "j@a.b/x", "", true, false},
		{"j@a.b", "k@a.b/x", "", false, false},
		{"j@a.b", "jj@a.b", "", false, false},
		{"j@a.b/x", "j@a.b/x", "", true, false},
		{"j@a.b/x", "j@a.b", "", false, false},
		{"j@a.b/x", "j@a.b/y", "", false, false},
		{"a.b", "j@a.b/x", "", true, false},
		{"a.b", "a.b", "", true, false},
		{"a.b", "a.b/x@y", "", true, false},
		{"a.b", "j@c.a.b", "", false, false},
		{"a.b", "", "", false, false},
		{"192.0.2.1", "192.0.2.1", "192.0.2.1:5000", false, true},
		{"192.0.2.1", "", "192.0.2.10:5000", false, false},
		{"192.0.2.1:5000", "", "192.0.2.1:5000", false, true},
		{"192.0.2.1:5000", "", "192.0.2.1:5001", false, false},
		{"::1", "", "[::1]:5000", false, true},
		{"[::1]:5000", "", "[::1]:5000", false, true},
		{"[::1]:5000", "", "[::1]:500", false, false},
		{"a.b", "", "a.b", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct trace_filter f = filter(cases[i].filter);

		assert_int_equal(trace_filter_jid(&f, slice_str(cases[i].jid)), cases[i].is_jid);
		assert_int_equal(trace_filter_addr(&f, slice_str(cases[i].addr)), cases[i].is_addr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_form_says_what_is_meant),
		cmocka_unit_test(nothing_and_too_much_are_refused),
		cmocka_unit_test(jids_and_addresses_match_or_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
