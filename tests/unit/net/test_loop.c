/* loop: what loop_fd_set() says counts at once for its owner, though the kernel is told later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/loop.h"

struct rig {
	struct loop *loop;
	struct loop_timer *stop;
	struct loop_fd *watch[2];
	int fd[2][2];
	unsigned int calls[2];
	int events[2];
};

static void on_stop(void *arg)
{
	loop_stop(((struct rig *)arg)->loop);
}

static void run_for(struct rig *r, uint64_t ms)
{
	loop_timer_set(r->stop, ms, 0);
	loop_run(r->loop);
}

static void begin(struct rig *r)
{
	*r = (struct rig){.loop = loop_new()};
	r->stop = loop_timer_new(r->loop, on_stop, r);
	for (int i = 0; i < 2; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, r->fd[i]), 0);
}

static void end(struct rig *r)
{
	for (int i = 0; i < 2; i++) {
		loop_fd_free(&r->watch[i]);
		close(r->fd[i][0]);
		close(r->fd[i][1]);
	}
	loop_timer_free(&r->stop);
	loop_free(&r->loop);
}

/* Whoever is called first silences the other. */
static void silence(struct rig *r, int self, int events)
{
	r->calls[self]++;
	r->events[self] = events;
	loop_fd_set(r->watch[1 - self], 0);
	loop_fd_set(r->watch[self], 0);
}

static void silence_0(void *arg, int events)
{
	silence(arg, 0, events);
}

static void silence_1(void *arg, int events)
{
	silence(arg, 1, events);
}

static void a_watch_that_is_stopped_is_not_called_even_in_that_turn(void **state)
{
	struct rig r;

	(void)state;
	begin(&r);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write(r.fd[i][1], "x", 1), 1);
		r.watch[i] =
			loop_fd_new(r.loop, r.fd[i][0], LOOP_READ, i ? silence_1 : silence_0, &r);
	}
	run_for(&r, 30);
	assert_int_equal(r.calls[0] + r.calls[1], 1);
	/* Set again it is called again: the byte is still there. */
	for (int i = 0; i < 2; i++)
		loop_fd_set(r.watch[i], LOOP_READ);
	run_for(&r, 30);
	assert_int_equal(r.calls[0] + r.calls[1], 2);
	end(&r);
}

static void on_writable(void *arg, int events)
{
	struct rig *r = arg;

	r->calls[0]++;
	r->events[0] = events;
	loop_fd_set(r->watch[0], LOOP_READ);
}

static void only_what_is_wanted_last_is_told(void **state)
{
	struct rig r;

	(void)state;
	begin(&r);
	assert_int_equal(write(r.fd[0][1], "x", 1), 1);
	r.watch[0] = loop_fd_new(r.loop, r.fd[0][0], LOOP_READ, on_writable, &r);
	loop_fd_set(r.watch[0], LOOP_READ | LOOP_WRITE);
	loop_fd_set(r.watch[0], 0);
	run_for(&r, 30);
	assert_int_equal(r.calls[0], 0);
	loop_fd_set(r.watch[0], LOOP_WRITE);
	loop_timer_set(r.stop, 0, 0);
	loop_run(r.loop);
	run_for(&r, 5);
	assert_true(r.calls[0] > 0);
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_watch_that_is_stopped_is_not_called_even_in_that_turn),
		cmocka_unit_test(only_what_is_wanted_last_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
