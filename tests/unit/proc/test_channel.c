#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/channel.h"

struct seen {
	struct loop *loop;
	struct channel *channel;
	unsigned int messages;
	unsigned int stop_after;
	bool close_inside;
	unsigned int closes;
	struct str last;
	int kept; /* descriptor taken out of a message */
};

static void on_message(void *arg, struct slice text, int *fds, size_t nfds)
{
	struct seen *s = arg;

	s->messages++;
	str_reset(&s->last);
	str_add_slice(&s->last, text);
	if (nfds > 0) {
		s->kept = fds[0];
		fds[0] = -1;
	}
	if (s->close_inside)
		channel_close(&s->channel);
	if (s->messages == s->stop_after)
		loop_stop(s->loop);
}

static void on_close(void *arg)
{
	struct seen *s = arg;

	s->closes++;
	channel_close(&s->channel);
	loop_stop(s->loop);
}

static const struct channel_events events = {.on_message = on_message, .on_close = on_close};

static void setup(struct seen *s, int pair[2])
{
	*s = (struct seen){.kept = -1};
	str_init(&s->last);
	s->loop = loop_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	s->channel = channel_new(s->loop, pair[0], &events, s);
}

static void teardown(struct seen *s)
{
	channel_close(&s->channel);
	loop_free(&s->loop);
	str_clear(&s->last);
}

static void records_and_descriptors_arrive_and_the_end_is_told_once(void **state)
{
	int pair[2], fds[2] = {open("/dev/null", O_RDONLY), open("/dev/zero", O_RDONLY)};
	struct seen s;
	char byte = 1;

	(void)state;
	setup(&s, pair);
	assert_int_equal(channel_put(pair[1], slice_str("one"), NULL, 0), ERR_OK);
	assert_int_equal(channel_put(pair[1], slice_str("two"), fds + 1, 1), ERR_OK);
	close(pair[1]);
	loop_run(s.loop);
	assert_int_equal(s.messages, 2);
	assert_int_equal(s.closes, 1);
	assert_string_equal(s.last.data, "two");
	assert_true(s.kept >= 0 && s.kept != fds[1]);
	assert_true(fcntl(s.kept, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(read(s.kept, &byte, 1), 1);
	assert_int_equal(byte, 0);
	close(s.kept);
	close(fds[0]);
	close(fds[1]);
	teardown(&s);
}

static void what_the_peer_does_not_read_waits_in_order(void **state)
{
	struct str text = STR_INIT;
	struct seen a, b = {.kept = -1};
	int pair[2], fd = open("/dev/null", O_RDONLY);

	(void)state;
	setup(&a, pair);
	for (int i = 0; i < 3000; i++) {
		str_reset(&text);
		str_addf(&text, "%0500d", i);
		channel_send(a.channel, str_slice(&text), &fd, i == 2999 ? 1 : 0);
	}
	close(fd); /* the queue has its own */
	str_init(&b.last);
	b.loop = a.loop;
	b.stop_after = 3000;
	b.channel = channel_new(a.loop, pair[1], &events, &b);
	loop_run(a.loop);
	assert_int_equal(b.messages, 3000);
	assert_string_equal(b.last.data, text.data);
	assert_true(b.kept >= 0);
	close(b.kept);
	channel_close(&b.channel);
	str_clear(&b.last);
	str_clear(&text);
	teardown(&a);
}

static void a_peer_that_never_reads_is_cut_off(void **state)
{
	char text[300];
	struct seen s;
	int pair[2];

	(void)state;
	memset(text, 'x', sizeof(text));
	setup(&s, pair);
	for (int i = 0; i < 40000; i++)
		channel_send(s.channel, slice_of(text, sizeof(text)), NULL, 0);
	loop_run(s.loop);
	assert_int_equal(s.closes, 1);
	close(pair[1]);
	teardown(&s);
}

static void a_channel_may_be_closed_inside_its_callback(void **state)
{
	struct seen s;
	int pair[2];

	(void)state;
	setup(&s, pair);
	s.close_inside = true;
	s.stop_after = 1;
	channel_put(pair[1], slice_str("a"), NULL, 0);
	channel_put(pair[1], slice_str("b"), NULL, 0);
	loop_run(s.loop);
	assert_int_equal(s.messages, 1);
	assert_null(s.channel);
	close(pair[1]);
	teardown(&s);
}

static void a_socket_may_lie_deeper_than_an_address_is_long(void **state)
{
	char dir[] = "/tmp/channel-XXXXXX", name[101];
	struct str path = STR_INIT;
	struct stat st;
	int fd, to;

	(void)state;
	assert_non_null(mkdtemp(dir));
	memset(name, 'd', 100);
	name[100] = '\0';
	str_addf(&path, "%s/%s", dir, name);
	assert_int_equal(mkdir(path.data, 0700), 0);
	fd = channel_listen(path.data, "s.sock");
	assert_true(fd >= 0);
	to = channel_connect(path.data, "s.sock");
	assert_true(to >= 0);
	close(fd);
	close(to);
	assert_int_equal(channel_connect(path.data, "s.sock"), -1);
	str_adds(&path, "/s.sock");
	assert_int_equal(stat(path.data, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	unlink(path.data);
	path.data[path.len - 7] = '\0';
	rmdir(path.data);
	rmdir(dir);
	str_clear(&path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_and_descriptors_arrive_and_the_end_is_told_once),
		cmocka_unit_test(what_the_peer_does_not_read_waits_in_order),
		cmocka_unit_test(a_peer_that_never_reads_is_cut_off),
		cmocka_unit_test(a_channel_may_be_closed_inside_its_callback),
		cmocka_unit_test(a_socket_may_lie_deeper_than_an_address_is_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
