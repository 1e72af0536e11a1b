/* What enters the event log, and as what. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/event_rule.h"

#define T "2026-11-21T05:16:17.804123Z "

struct row {
	const char *line;
	const char *level; /* NULL: it does not enter */
	const char *service;
	const char *text;
};

static void expect(const struct row *r)
{
	struct str scratch = STR_INIT;
	struct event_line e = {0};
	bool enters = event_rule(slice_str(r->line), &e, &scratch);

	if (enters != (r->level != NULL))
		fail_msg("%s: %s", r->line, enters ? "it entered" : "it did not enter");
	if (enters) {
		assert_string_equal(event_level_name(e.level), r->level);
		assert_true(slice_is(e.service, r->service));
		if (!slice_is(e.text, r->text))
			fail_msg("%s: message is '%.*s'", r->line, SLICE_ARG(e.text));
		assert_int_equal(e.ms % 86400000, ((5 * 60 + 16) * 60 + 17) * 1000 + 804);
	}
	str_clear(&scratch);
}

static void warnings_and_errors_enter_with_whom_they_are_about(void **state)
{
	static const struct row rows[] = {
		{T "warn  cm-client-1[12] c2s#4 juliet@example.com event=auth_failed reason=\"x\"",
		 "Warning", "cm-client-1",
		 "c2s#4 juliet@example.com event=auth_failed reason=\"x\""},
		{T "error datastore[9] - event=crash signal=SIGSEGV", "Error", "datastore",
		 "event=crash signal=SIGSEGV"},
		{T "error router[9] - no event at all", "Error", "router", "no event at all"},
		{T "warn  supervisor[1] - event=alarm instance=router text=\"event=x\"", "Warning",
		 "supervisor", "event=alarm instance=router text=\"event=x\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i]);
}

static void of_information_only_what_is_listed_enters(void **state)
{
	static const struct row rows[] = {
		{T "info  supervisor[1] - event=service_started instance=router pid=2 restarts=0",
		 "Info", "supervisor", "event=service_started instance=router pid=2 restarts=0"},
		{T "info  supervisor[1] - event=alarm_off instance=router text=\"full\"", "Info",
		 "supervisor", "event=alarm_off instance=router text=\"full\""},
		{T "info  supervisor[1] - event=config_accepted generation=2", "Info", "supervisor",
		 "event=config_accepted generation=2"},
		{T "info  router[1] - event=secret_shown name=cb1 by=root", "Info", "router",
		 "event=secret_shown name=cb1 by=root"},
		{T "info  cm-client-1[1] c2s#1 event=bind jid=\"a@b/c\"", NULL, NULL, NULL},
		{T "info  cm-client-1[1] c2s#1 event=connect addr=secret_shown", NULL, NULL, NULL},
		{T "info  supervisor[1] - event=alarm_offs x=1", NULL, NULL, NULL},
		{T "info  router[1] - event=alarm_off x=1", NULL, NULL, NULL},
		{T "info  cm-component-2[1] comp#3 event=bind component=\"cb1\" sid=0f", "Info",
		 "cm-component-2", "comp#3 event=bind component=\"cb1\" sid=0f"},
		{T "info  cm-componentx[1] comp#3 event=bind component=\"cb1\"", NULL, NULL, NULL},
		{T "debug cm-client-1[1] - event=config_accepted", NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i]);
}

static void the_call_bridges_lines_enter_in_the_guides_words(void **state)
{
	static const struct row rows[] = {
		{T "info  callbridge[7] - No DNS A or AAAA records for _xmpp-component._tcp.a.com",
		 "Info", "callbridge", "No DNS A or AAAA records for _xmpp-component._tcp.a.com"},
		{T
		 "info  callbridge-1[7] bridge XMPP connection dropped while session was live for "
		 "reason 2",
		 "Info", "callbridge-1",
		 "XMPP connection dropped while session was live for reason 2"},
		{"{\"time\":\"2026-11-21T05:16:17.804123Z\",\"level\":\"info\",\"service\":"
		 "\"callbridge\",\"pid\":7,\"id\":\"-\",\"text\":\"XMPP component connection "
		 "disconnected due to failure reason: \\\"dns error\\\"\"}",
		 "Info", "callbridge",
		 "XMPP component connection disconnected due to failure reason: \"dns error\""},
		{T "info  callbridge[7] - event=retry in_s=64", NULL, NULL, NULL},
		{T "info  router[7] - No DNS A or AAAA records for x", NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i]);
}

static void json_lines_say_the_same(void **state)
{
	static const struct row rows[] = {
		{"{\"time\":\"2026-11-21T05:16:17.804123Z\",\"level\":\"warn\",\"service\":"
		 "\"cm-client-1\",\"pid\":12,\"id\":\"c2s#4 juliet@example.com\",\"text\":"
		 "\"event=auth_failed reason=\\\"x\\\"\"}",
		 "Warning", "cm-client-1",
		 "c2s#4 juliet@example.com event=auth_failed reason=\"x\""},
		{"{\"time\":\"2026-11-21T05:16:17.804123Z\",\"level\":\"info\",\"service\":"
		 "\"router\",\"pid\":12,\"id\":\"-\",\"text\":\"event=peer_up\"}",
		 NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i]);
}

static void what_is_no_log_line_does_not_enter(void **state)
{
	static const char *const lines[] = {
		"",
		" ",
		"/usr/bin/router(+0x1234)[0x5555]",
		"==12==ERROR: AddressSanitizer",
		"{",
		"{}",
		"{\"time\":\"2026-11-21T05:16:17.804123Z\"",
		"{\"time\":\"x\",\"level\":\"warn\",\"service\":\"a\",\"id\":\"-\",\"text\":\"b\"}",
		T,
		T "warn",
		T "warn  router",
		T "warn  [1] - event=x",
		T "loud  router[1] - event=x",
		"2026-13-21T05:16:17.804123Z warn  router[1] - event=x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect(&(struct row){lines[i], NULL, NULL, NULL});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(warnings_and_errors_enter_with_whom_they_are_about),
		cmocka_unit_test(of_information_only_what_is_listed_enters),
		cmocka_unit_test(the_call_bridges_lines_enter_in_the_guides_words),
		cmocka_unit_test(json_lines_say_the_same),
		cmocka_unit_test(what_is_no_log_line_does_not_enter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
