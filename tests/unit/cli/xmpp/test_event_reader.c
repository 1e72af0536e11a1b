/* The event log as commands show it: real files in a directory of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "cli/xmpp/event_reader.h"

static char dir[40];

static void put(const char *name, const char *text)
{
	char *path = xasprintf("%s/log/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

static int setup(void **state)
{
	char *log;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/eventread-XXXXXX");
	assert_non_null(mkdtemp(dir));
	log = xasprintf("%s/log", dir);
	assert_int_equal(mkdir(log, 0700), 0);
	free(log);
	put("events.log.2", "2026-01-01 00:00:01.000 Info    supervisor event=one\n");
	put("events.log.1", "2026-01-01 00:00:02.000 Warning cm-client-1 event=two\nrubbish\n"
			    "2026-01-01 00:00:05.000 Error   datastore event=five\n");
	put("events.log", "2026-01-01 00:00:04.000 Warning cm-client-2 event=four Disk\n"
			  "2026-01-01 00:00:03.000 Info    callbridge XMPP \x1b[2J words\n"
			  "2026-01-01 00:00:06.000 Error   router event=half");
	return 0;
}

static int teardown(void **state)
{
	char *rm = xasprintf("rm -rf %s", dir);

	(void)state;
	assert_int_equal(system(rm), 0);
	free(rm);
	return 0;
}

/* The events' last words. */
static void expect(const struct event_filter *f, const char *words)
{
	struct event_list l = EVENT_LIST_INIT;
	struct str why = STR_INIT, got = STR_INIT;

	assert_int_equal(event_list_read(&l, dir, f, &why), ERR_OK);
	for (size_t i = 0; i < l.count; i++) {
		const char *blank = memrchr(l.events[i].text.data, ' ', l.events[i].text.len);
		const char *from = blank ? blank + 1 : l.events[i].text.data;

		str_addf(&got, "%s%.*s", i ? " " : "",
			 (int)(l.events[i].text.data + l.events[i].text.len - from), from);
	}
	assert_string_equal(got.data, words);
	event_list_clear(&l);
	str_clear(&got);
	str_clear(&why);
}

static void all_files_are_read_and_in_the_order_of_time(void **state)
{
	(void)state;
	expect(&(struct event_filter){.level = EVENT_INFO},
	       "event=one event=two words Disk event=five");
}

static void filters_select(void **state)
{
	(void)state;
	expect(&(struct event_filter){.level = EVENT_WARNING}, "event=two Disk event=five");
	expect(&(struct event_filter){.level = EVENT_WARNING, .exactly = true}, "event=two Disk");
	expect(&(struct event_filter){.level = EVENT_ERROR}, "event=five");
	expect(&(struct event_filter){.service = "cm-client"}, "event=two Disk");
	expect(&(struct event_filter){.service = "cm-client-2"}, "Disk");
	expect(&(struct event_filter){.service = "cm"}, "");
	expect(&(struct event_filter){.since_ms = 1767225604000}, "Disk event=five");
	expect(&(struct event_filter){.text = "disk"}, "Disk");
	expect(&(struct event_filter){.text = "DATASTORE"}, "event=five");
	expect(&(struct event_filter){.text = "nowhere"}, "");
}

static void a_log_that_is_not_there_is_empty(void **state)
{
	struct event_list l = EVENT_LIST_INIT;
	struct str why = STR_INIT;
	struct event_filter f = {.level = EVENT_INFO};

	(void)state;
	assert_int_equal(event_list_read(&l, "/nonexistent", &f, &why), ERR_OK);
	assert_int_equal(l.count, 0);
	event_list_clear(&l);
}

static void rows_have_the_guides_columns_and_steer_no_terminal(void **state)
{
	static const struct event_line
		plain = {1511414297804, EVENT_INFO, {"callbridge", 10}, {"XMPP \x1b[2J", 9}},
		named = {1511414297804, EVENT_WARNING, {"router", 6}, {"event=x", 7}};
	struct str out = STR_INIT;

	(void)state;
	event_write_heading(&out);
	event_write(&out, &plain, false);
	event_write(&out, &named, false);
	assert_string_equal(out.data, "Date        Time          Logging level  Message\n"
				      "2017-11-23  05:18:17.804  Info           XMPP \\x1b[2J\n"
				      "2017-11-23  05:18:17.804  Warning        router: event=x\n");
	str_reset(&out);
	event_write(&out, &named, true);
	assert_string_equal(out.data,
			    "{\"time\":\"2017-11-23T05:18:17.804Z\",\"level\":\"Warning\","
			    "\"service\":\"router\",\"message\":\"event=x\"}\n");
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_files_are_read_and_in_the_order_of_time),
		cmocka_unit_test(filters_select),
		cmocka_unit_test(a_log_that_is_not_there_is_empty),
		cmocka_unit_test(rows_have_the_guides_columns_and_steer_no_terminal),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
