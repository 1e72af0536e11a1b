/* message and inherit: what goes between supervisor and services comes out as it went in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/inherit.h"
#include "proc/message.h"

static void values_come_out_as_they_went_in(void **state)
{
	static const char *const values[] = {
		"plain",	"",	 "two words", "100 %", "a=b", "%41", "line\nbreak\ttab\x7f",
		"\xc3\xa4\xff", " lead", "t "};
	struct str m = STR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char *got;

		message_begin(&m, "VERB");
		message_add(&m, "before", "x");
		message_add(&m, "key", values[i]);
		message_addu(&m, "after", UINT64_MAX);
		assert_null(memchr(m.data, '\n', m.len));
		got = message_get(str_slice(&m), "key");
		assert_string_equal(got, values[i]);
		free(got);
		assert_true(message_getu(str_slice(&m), "after", 0) == UINT64_MAX);
		assert_true(message_is(str_slice(&m), "VERB"));
	}
	str_clear(&m);
}

static void keys_and_verbs_are_matched_whole(void **state)
{
	struct slice m = slice_str("READY xkey=1 key2=2 value=key=3 number=12x");

	(void)state;
	assert_null(message_get(m, "key"));
	assert_null(message_get(m, "READY"));
	assert_false(message_is(m, "READ"));
	assert_false(message_is(slice_str("READ"), "READY"));
	assert_int_equal(message_getu(m, "number", 7), 7);
	assert_int_equal(message_getu(m, "absent", 8), 8);
	assert_int_equal(message_getu(m, "key2", 0), 2);
}

static void garbage_is_no_message(void **state)
{
	static const char *const bad[] = {"", " ", "=", "X =", "X k", "X k=%", "X k=%4", "X k=%zz"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *got = message_get(slice_str(bad[i]), "k");

		if (got)
			assert_true(strlen(got) <= strlen(bad[i]));
		free(got);
	}
}

static void fill(struct inherit *in, int fd)
{
	inherit_init(in);
	in->service = xstrdup("cm-client");
	in->instance = xstrdup("cm-client-2");
	in->token = xstrdup("00ff");
	in->config = xstrdup("run/accepted.conf");
	in->generation = 7;
	in->restarts = 3;
	in->uid = 100;
	in->gid = 101;
	inherit_add_fd(in, INHERIT_LOCK, fd, "lock", NULL);
	inherit_add_fd(in, INHERIT_LISTENER, fd, "[::1]:0", "[::1]:5222");
	inherit_add_fd(in, INHERIT_FILE, fd, "tls.key", NULL);
}

static void assert_filled(const struct inherit *in)
{
	assert_string_equal(in->service, "cm-client");
	assert_string_equal(in->instance, "cm-client-2");
	assert_string_equal(in->token, "00ff");
	assert_string_equal(in->config, "run/accepted.conf");
	assert_int_equal(in->generation, 7);
	assert_int_equal(in->restarts, 3);
	assert_int_equal(in->uid, 100);
	assert_int_equal(in->gid, 101);
	assert_int_equal(in->nfds, 3);
	assert_int_equal(in->fds[1].kind, INHERIT_LISTENER);
	assert_string_equal(in->fds[1].name, "[::1]:0");
	assert_string_equal(in->fds[1].addr, "[::1]:5222");
	assert_int_equal(in->fds[2].kind, INHERIT_FILE);
	assert_null(in->fds[2].addr);
}

static void what_a_child_inherits_is_what_was_given(void **state)
{
	struct inherit in, got;
	char number[16];
	int fd = open("/dev/null", O_RDONLY), memfd;

	(void)state;
	fill(&in, fd);
	memfd = inherit_memfd(&in);
	assert_true(memfd >= 0);
	assert_true(write(memfd, "x", 1) < 0); /* sealed */
	snprintf(number, sizeof(number), "%d", memfd);
	setenv(INHERIT_ENV, number, 1);
	assert_int_equal(inherit_take(&got), ERR_OK);
	assert_null(getenv(INHERIT_ENV));
	assert_filled(&got);
	assert_int_equal(got.fds[0].fd, fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(memfd, F_GETFD) < 0); /* closed: the token is read once */
	inherit_clear(&in);
	assert_int_equal(inherit_take(&in), ERR_NOTFOUND);
	inherit_clear(&got);
	close(fd);
}

static void a_registration_carries_the_same(void **state)
{
	const int fds[] = {10, 11, 12};
	struct inherit in, got;
	struct str m = STR_INIT;

	(void)state;
	fill(&in, 5);
	inherit_format(&m, "REGISTER", &in);
	message_add(&m, "alarm", "disk full");
	assert_int_equal(inherit_parse(&got, str_slice(&m), fds, 3), ERR_OK);
	assert_filled(&got);
	assert_int_equal(got.fds[2].fd, 12);
	inherit_clear(&got);
	/* Fewer descriptors than names: nothing may be mixed up. */
	assert_int_equal(inherit_parse(&got, str_slice(&m), fds, 2), ERR_FORMAT);
	assert_null(got.service);
	inherit_clear(&in);
	str_clear(&m);
}

static void malformed_registrations_are_refused(void **state)
{
	static const char *const bad[] = {
		"REGISTER",
		"REGISTER service=a instance=b token=c config=d",
		"REGISTER service=a instance=b token=c fds=",
		"REGISTER service=a instance=b token=c config=d fds=x|y|z",
		"REGISTER service=a instance=b token=c config=d fds=l",
		"REGISTER service=a instance=b token=c config=d fds=l|noaddr",
		"REGISTER service=a instance=b token=c config=d fds=,",
	};
	const int fds[] = {1, 2, 3};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct inherit in;

		assert_int_equal(inherit_parse(&in, slice_str(bad[i]), fds, 3), ERR_FORMAT);
		assert_int_equal(in.nfds, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_out_as_they_went_in),
		cmocka_unit_test(keys_and_verbs_are_matched_whole),
		cmocka_unit_test(garbage_is_no_message),
		cmocka_unit_test(what_a_child_inherits_is_what_was_given),
		cmocka_unit_test(a_registration_carries_the_same),
		cmocka_unit_test(malformed_registrations_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
