#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/log.h"
#include "net/listener.h"
#include "net/loop.h"

struct rig {
	struct loop *loop;
	struct loop_timer *tick;
	struct listener *listener;
	int fd;
	struct sockaddr_in addr;
	int accepted[64];
	unsigned int count;
	bool nonblocking;
	sa_family_t family;
};

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer)
{
	struct rig *r = arg;

	r->accepted[r->count++] = fd;
	r->family = peer->ss_family;
	r->nonblocking = fcntl(fd, F_GETFL) & O_NONBLOCK;
}

static void on_tick(void *arg)
{
	struct rig *r = arg;

	loop_stop(r->loop);
}

static void turn(struct rig *r, uint64_t ms)
{
	loop_timer_set(r->tick, ms, 0);
	loop_run(r->loop);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	socklen_t len = sizeof(r->addr);

	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	r->addr.sin_family = AF_INET;
	r->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(bind(r->fd, (struct sockaddr *)&r->addr, sizeof(r->addr)) == 0);
	check(listen(r->fd, 64) == 0);
	check(getsockname(r->fd, (struct sockaddr *)&r->addr, &len) == 0);
	r->loop = loop_new();
	r->tick = loop_timer_new(r->loop, on_tick, r);
	r->listener = listener_new(r->loop, r->fd, on_accept, r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	listener_free(&r->listener);
	loop_timer_free(&r->tick);
	loop_free(&r->loop);
	for (unsigned int i = 0; i < r->count; i++)
		close(r->accepted[i]);
	close(r->fd);
	free(r);
	return 0;
}

static int dial(struct rig *r)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check(connect(fd, (struct sockaddr *)&r->addr, sizeof(r->addr)) == 0);
	return fd;
}

static void connections_are_handed_over_with_their_address(void **state)
{
	struct rig *r = *state;
	int fds[40];

	for (int i = 0; i < 40; i++)
		fds[i] = dial(r);
	turn(r, 50);
	assert_int_equal(r->count, 40);
	assert_true(r->nonblocking);
	assert_int_equal(r->family, AF_INET);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
}

static void a_paused_listener_leaves_them_in_the_kernel(void **state)
{
	struct rig *r = *state;
	int fd;

	listener_pause(r->listener, true);
	fd = dial(r);
	turn(r, 30);
	assert_int_equal(r->count, 0);
	listener_pause(r->listener, false);
	turn(r, 30);
	assert_int_equal(r->count, 1);
	close(fd);
}

/* Without descriptors the peer learns it at once, the loop does not spin, and it goes on later. */
static void without_descriptors_a_connection_is_closed_and_accepting_rests(void **state)
{
	struct rig *r = *state;
	struct rlimit before, none;
	uint64_t turns;
	char byte;
	int a = dial(r), b = dial(r);

	log_set_level(LOG_LEVEL_ERROR);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = (rlim_t)b + 1; /* the spare's number is below */
	check(setrlimit(RLIMIT_NOFILE, &none) == 0);
	turns = loop_turns(r->loop);
	turn(r, 60);
	assert_int_equal(r->count, 0);
	assert_int_equal(recv(a, &byte, 1, 0), 0);
	assert_in_range(loop_turns(r->loop) - turns, 1, 10);
	check(setrlimit(RLIMIT_NOFILE, &before) == 0);
	turn(r, 150);
	assert_int_equal(r->count, 1);
	close(a);
	close(b);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(connections_are_handed_over_with_their_address),
		T(a_paused_listener_leaves_them_in_the_kernel),
		T(without_descriptors_a_connection_is_closed_and_accepting_rests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
