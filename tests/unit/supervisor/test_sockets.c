/*
 * supervisor/sockets: what a reload does with listening sockets, on real ones of 127.0.0.x.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xmem.h"
#include "supervisor/sockets.h"

/* A port that is free on all addresses now. */
static int free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static bool answers(const char *host, int port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok;

	inet_pton(AF_INET, host, &sa.sin_addr);
	ok = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	close(fd);
	return ok;
}

static void what_is_not_kept_is_closed_and_other_services_keep_theirs(void **state)
{
	struct sockets *s = sockets_new();
	struct str why = STR_INIT;
	int port = free_port();
	char *one = xasprintf("127.0.0.1:%d", port), *two = xasprintf("127.0.0.2:%d", port);
	char *three = xasprintf("127.0.0.3:%d", port), *keep[] = {two, NULL};

	(void)state;
	assert_int_equal(sockets_open(s, "x", one, &why), ERR_OK);
	assert_int_equal(sockets_open(s, "x", two, &why), ERR_OK);
	assert_int_equal(sockets_open(s, "y", three, &why), ERR_OK);
	sockets_prune(s, "x", keep);
	assert_false(answers("127.0.0.1", port));
	assert_true(answers("127.0.0.2", port));
	assert_true(answers("127.0.0.3", port));
	sockets_free(&s);
	assert_false(answers("127.0.0.2", port));
	free(one);
	free(two);
	free(three);
}

static void all_addresses_take_the_port_of_one_that_is_about_to_go(void **state)
{
	struct sockets *s = sockets_new();
	struct str why = STR_INIT;
	int port = free_port(), fd, on = 1;
	char *one = xasprintf("127.0.0.1:%d", port), *all = xasprintf("0.0.0.0:%d", port);
	char *keep[] = {all, NULL};
	const char *addr, *bound;
	socklen_t len = sizeof(on);
	size_t it = 0;

	(void)state;
	assert_int_equal(sockets_open(s, "x", one, &why), ERR_OK);
	assert_int_equal(sockets_open(s, "x", all, &why), ERR_CONFLICT);
	sockets_yield(s, "x", keep, false);
	assert_int_equal(sockets_open(s, "x", all, &why), ERR_OK);
	sockets_yield(s, "x", keep, true);
	sockets_prune(s, "x", keep);
	assert_true(answers("127.0.0.9", port));
	/* Nobody else gets in by the same door. */
	assert_true(sockets_next(s, "x", &it, &addr, &bound, &fd));
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &len), 0);
	assert_int_equal(on, 0);
	sockets_free(&s);
	str_clear(&why);
	free(one);
	free(all);
}

static void a_port_of_somebody_else_is_not_taken_while_ours_yield(void **state)
{
	struct sockets *ours = sockets_new(), *other = sockets_new();
	struct str why = STR_INIT;
	int port = free_port();
	char *one = xasprintf("127.0.0.1:%d", port), *two = xasprintf("127.0.0.2:%d", port);
	char *none[] = {NULL};

	(void)state;
	assert_int_equal(sockets_open(ours, "x", one, &why), ERR_OK);
	assert_int_equal(sockets_open(other, "x", two, &why), ERR_OK);
	sockets_yield(ours, "x", none, false);
	assert_int_equal(sockets_open(ours, "x", two, &why), ERR_CONFLICT);
	assert_non_null(strstr(why.data, "in use by"));
	sockets_yield(ours, "x", none, true);
	assert_true(answers("127.0.0.1", port));
	sockets_free(&ours);
	sockets_free(&other);
	str_clear(&why);
	free(one);
	free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_kept_is_closed_and_other_services_keep_theirs),
		cmocka_unit_test(all_addresses_take_the_port_of_one_that_is_about_to_go),
		cmocka_unit_test(a_port_of_somebody_else_is_not_taken_while_ours_yield),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
