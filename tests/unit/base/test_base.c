#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "base/utf8_char.h"
#include "base/xmem.h"
#include "tests/support/cmocka_first.h"

#define UNKNOWN	   UTF8_CHAR_UNKNOWN
#define QUOTE_TEST 128 /* bytes of a quoted text */

static void map_finds_what_was_put_through_growth_and_removals(void **state)
{
	static int values[2000];
	struct map m;
	char key[32];

	(void)state;
	map_init(&m);
	for (int i = 0; i < 2000; i++) {
		int n = snprintf(key, sizeof(key), "key-%d", i);

		assert_null(map_put(&m, slice_of(key, (size_t)n), &values[i]));
	}
	for (int i = 0; i < 2000; i += 2) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_ptr_equal(map_remove(&m, slice_str(key)), &values[i]);
		assert_null(map_remove(&m, slice_str(key)));
	}
	assert_int_equal(m.count, 1000);
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_ptr_equal(map_find(&m, slice_str(key)), i % 2 ? &values[i] : NULL);
	}
	map_clear(&m);
}

static void map_put_gives_back_what_stood_there(void **state)
{
	int a, b;
	struct map m;

	(void)state;
	map_init(&m);
	assert_null(map_put(&m, slice_str("k"), &a));
	assert_ptr_equal(map_put(&m, slice_str("k"), &b), &a);
	assert_int_equal(m.count, 1);
	map_clear(&m);
}

static void map64_survives_colliding_keys_and_backward_shifts(void **state)
{
	static int values[512];
	struct map64 m;
	uint64_t key;
	void *value;
	size_t it = 0, seen = 0;

	(void)state;
	map64_init(&m);
	for (uint64_t i = 0; i < 512; i++)
		map64_put(&m, i << 32, &values[i]);
	for (uint64_t i = 0; i < 512; i += 3)
		assert_ptr_equal(map64_remove(&m, i << 32), &values[i]);
	for (uint64_t i = 0; i < 512; i++)
		assert_ptr_equal(map64_find(&m, i << 32), i % 3 ? &values[i] : NULL);
	while (map64_next(&m, &it, &key, &value))
		seen++;
	assert_int_equal(seen, m.count);
	map64_clear(&m);
}

static void str_grows_consumes_and_detaches(void **state)
{
	struct str s = STR_INIT;
	char *text;

	(void)state;
	for (int i = 0; i < 1000; i++)
		str_addf(&s, "%d,", i);
	assert_memory_equal(s.data, "0,1,2,", 6);
	str_consume(&s, 4);
	assert_memory_equal(s.data, "2,3,", 4);
	assert_int_equal(s.data[s.len], 0);
	text = str_detach(&s);
	assert_int_equal(s.len, 0);
	assert_string_equal(s.data, "");
	free(text);
}

static void blob_is_freed_with_its_last_reference(void **state)
{
	struct blob *a = blob_new("abc", 3), *b = blob_ref(a);

	(void)state;
	blob_unref(&a);
	assert_null(a);
	assert_memory_equal(b->data, "abc", 4);
	blob_unref(&b);
	blob_unref(&b);
}

static void list_removes_twice_without_harm(void **state)
{
	struct list head, a, b;

	(void)state;
	list_init(&head);
	list_init(&a);
	list_append(&head, &a);
	list_append(&head, &b);
	list_remove(&a);
	list_remove(&a);
	assert_ptr_equal(list_first(&head), &b);
	list_remove(&b);
	assert_true(list_empty(&head));
}

static size_t read_log(int fd, char *buf, size_t size)
{
	ssize_t n = read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void log_line_cannot_be_forged_or_flooded(void **state)
{
	char buf[8192], big[6000];
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	log_open("test-1", fds[1], LOG_LEVEL_INFO, false);
	log_info("c2s#1", "event=x text=%s", log_quote(slice_str("a\"\nb\\")));
	read_log(fds[0], buf, sizeof(buf));
	assert_non_null(strstr(buf, "c2s#1 event=x text=\"a\\\"\\x0ab\\\\\"\n"));
	log_info("c2s#1", "one\ntwo");
	read_log(fds[0], buf, sizeof(buf));
	assert_non_null(strstr(buf, "one two\n"));
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("c2s#1", "%s", big);
	assert_true(read_log(fds[0], buf, sizeof(buf)) <= LOG_LINE_MAX + 1);
	log_debug("c2s#1", "not at this level");
	assert_int_equal(read_log(fds[0], buf, sizeof(buf)), 0);
	log_open("-", STDERR_FILENO, LOG_LEVEL_INFO, false);
	close(fds[0]);
	close(fds[1]);
}

static void expect_line(int fd, const char *end)
{
	char buf[8192];
	size_t n = read_log(fd, buf, sizeof(buf)), len = strlen(end);

	assert_true(n >= len);
	assert_string_equal(buf + n - len, end);
}

static void a_resource_cannot_forge_the_event_of_a_line(void **state)
{
	char big[600] = "c2s#1 a@b/";
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	log_open("test-1", fds[1], LOG_LEVEL_INFO, false);
	log_info("c2s#1 a@b/x event=y event=z", "event=bind text=\" event=w\"");
	expect_line(fds[0], " c2s#1 a@b/x_event=y_event=z event=bind text=\" event=w\"\n");
	memset(big + strlen(big), 'r', sizeof(big) - 1 - strlen(big));
	log_info(big, "event=bind");
	expect_line(fds[0], "rrr... event=bind\n");
	log_open("-", STDERR_FILENO, LOG_LEVEL_INFO, false);
	close(fds[0]);
	close(fds[1]);
}

static void a_log_line_is_text_whatever_a_peer_sent(void **state)
{
	char text[QUOTE_TEST + 8];

	(void)state;
	assert_string_equal(log_quote(slice_str("\xc3\xbc \xff\xc3")), "\"\xc3\xbc \\xff\\xc3\"");
	memset(text, 'x', sizeof(text));
	memcpy(text + QUOTE_TEST - 1, "\xc3\xbc", 2); /* astride the cut */
	text[QUOTE_TEST + 1] = '\0';
	assert_string_equal(log_quote(slice_str(text)) + QUOTE_TEST - 2, "xx...\"");
}

static void a_json_line_that_is_cut_is_json(void **state)
{
	char buf[8192], big[LOG_LINE_MAX + 100];
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	log_open("test-1", fds[1], LOG_LEVEL_INFO, true);
	log_info("c2s#1", "\xff\"");
	expect_line(fds[0], "\"text\":\"\xef\xbf\xbd\\\"\"}\n");
	for (size_t i = 0; i < 4; i++) {
		size_t n, slashes = 0;

		memset(big, '"', sizeof(big));
		memset(big, 'x', i);
		big[sizeof(big) - 1] = '\0';
		log_info("c2s#1", "%s", big);
		n = read_log(fds[0], buf, sizeof(buf));
		assert_string_equal(buf + n - 3, "\"}\n");
		while (buf[n - 4 - slashes] == '\\')
			slashes++;
		assert_int_equal(slashes % 2, 0);
	}
	log_open("-", STDERR_FILENO, LOG_LEVEL_INFO, false);
	close(fds[0]);
	close(fds[1]);
}

static void json_text_is_json_whatever_the_bytes(void **state)
{
	static const struct {
		struct slice in;
		const char *out;
	} rows[] = {
		{{"a\"\\\n\0b", 6}, "\"a\\\"\\\\\\u000a\\u0000b\""},
		{{"\xc3\xbc\xf0\x9f\x98\x80", 6}, "\"\xc3\xbc\xf0\x9f\x98\x80\""},
		{{"\xff", 1}, "\"" UNKNOWN "\""},
		{{"x\xc3", 2}, "\"x" UNKNOWN "\""},
		{{"\xc0\xaf", 2}, "\"" UNKNOWN UNKNOWN "\""},
		{{"\xed\xa0\x80", 3}, "\"" UNKNOWN UNKNOWN UNKNOWN "\""},
		{{"\xc3\"", 2}, "\"" UNKNOWN "\\\"\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str out = STR_INIT;

		json_text(&out, rows[i].in);
		assert_string_equal(out.data, rows[i].out);
		str_clear(&out);
	}
}

static void log_counts_the_lines_that_did_not_fit(void **state)
{
	static char buf[1 << 20];
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	log_open("test-1", fds[1], LOG_LEVEL_INFO, false);
	for (int i = 0; i < 5000; i++)
		log_info("-", "event=fill n=%d", i);
	assert_true(log_lost() > 0);
	while (read_log(fds[0], buf, sizeof(buf)))
		;
	log_info("-", "event=after");
	read_log(fds[0], buf, sizeof(buf));
	assert_non_null(strstr(buf, "event=log_lines_lost count="));
	assert_non_null(strstr(buf, "event=after"));
	log_info("-", "event=later");
	read_log(fds[0], buf, sizeof(buf));
	assert_null(strstr(buf, "log_lines_lost"));
	log_open("-", STDERR_FILENO, LOG_LEVEL_INFO, false);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_finds_what_was_put_through_growth_and_removals),
		cmocka_unit_test(map_put_gives_back_what_stood_there),
		cmocka_unit_test(map64_survives_colliding_keys_and_backward_shifts),
		cmocka_unit_test(str_grows_consumes_and_detaches),
		cmocka_unit_test(blob_is_freed_with_its_last_reference),
		cmocka_unit_test(list_removes_twice_without_harm),
		cmocka_unit_test(log_line_cannot_be_forged_or_flooded),
		cmocka_unit_test(a_resource_cannot_forge_the_event_of_a_line),
		cmocka_unit_test(a_log_line_is_text_whatever_a_peer_sent),
		cmocka_unit_test(a_json_line_that_is_cut_is_json),
		cmocka_unit_test(json_text_is_json_whatever_the_bytes),
		cmocka_unit_test(log_counts_the_lines_that_did_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
