/*
 * dial against listeners on loopback and a scripted DNS server. "Stuck" is a listener whose queue
 * is full: connections to it get no answer, as from a host behind a filter.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/log.h"
#include "base/xmem.h"
#include "net/dial.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "tests/support/dns_server.h"

#define FDS 16

struct rig {
	struct loop *loop;
	struct loop_timer *guard;
	struct dns_server_thread *server;
	struct resolver *resolver;
	struct dial *dial;
	int fds[FDS];
	size_t nfds;
	uint16_t port;
	/* the last result */
	unsigned int results, wanted;
	int fd;
	size_t target;
	int family;
	enum dial_failure failure;
	char text[512], reports[8][256];
	enum dial_failure failures[8];
	uint64_t ms;
};

static void on_guard(void *arg)
{
	(void)arg;
	fprintf(stderr, "no result within 30 s\n");
	abort();
}

static int listener(const char *host, uint16_t *port, int backlog)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(*port)};
	bool is6 = strchr(host, ':');
	void *a = is6 ? (void *)&v6 : (void *)&v4;
	socklen_t len = is6 ? sizeof(v6) : sizeof(v4);
	int fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	check(inet_pton(is6 ? AF_INET6 : AF_INET, host,
			is6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) == 1);
	if (bind(fd, a, len) != 0) {
		close(fd);
		return -1;
	}
	check(listen(fd, backlog) == 0);
	check(getsockname(fd, a, &len) == 0);
	*port = ntohs(is6 ? v6.sin6_port : v4.sin_port);
	return fd;
}

static void keep(struct rig *r, int fd)
{
	check(fd >= 0 && r->nfds < FDS);
	r->fds[r->nfds++] = fd;
}

static void listen_at(struct rig *r, const char *host)
{
	keep(r, listener(host, &r->port, 64));
}

static void stuck_at(struct rig *r, const char *host)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	keep(r, listener(host, &r->port, 0));
	check(getsockname(r->fds[r->nfds - 1], (struct sockaddr *)&a, &len) == 0);
	for (int i = 0; i < 2; i++) {
		int fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		check(connect(fd, (struct sockaddr *)&a, len) == 0 || errno == EINPROGRESS);
		keep(r, fd);
	}
}

static int setup(void **state)
{
	static const char *const records[] = {
		"two.lab.test. A 127.0.0.2",  "two.lab.test. AAAA ::1",
		"four.lab.test. A 127.0.0.2", "six.lab.test. AAAA ::1",
		"pair.lab.test. A 127.0.0.3", "pair.lab.test. A 127.0.0.2",
		"txt.lab.test. TXT nothing",  NULL};
	struct rig *r = xcalloc(1, sizeof(*r));
	struct str why = STR_INIT;

	r->loop = loop_new();
	r->guard = loop_timer_new(r->loop, on_guard, r);
	r->server = dns_server_start();
	{
		const char *const servers[] = {dns_server_name(r->server), NULL};
		struct resolver_config cfg = {
			.servers = servers, .records = records, .timeout_ms = 1500};

		check(resolver_new(&r->resolver, r->loop, &cfg, &why) == ERR_OK);
	}
	log_set_level(LOG_LEVEL_ERROR);
	r->fd = -1;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	dial_cancel(&r->dial);
	resolver_free(&r->resolver);
	dns_server_stop(&r->server);
	if (r->fd >= 0)
		close(r->fd);
	while (r->nfds > 0)
		close(r->fds[--r->nfds]);
	loop_timer_free(&r->guard);
	loop_free(&r->loop);
	free(r);
	return 0;
}

static void on_done(void *arg, const struct dial_result *res)
{
	struct rig *r = arg;

	r->results++;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = res->fd;
	r->target = res->target;
	r->family = res->peer.ss_family;
	r->failure = res->failure;
	snprintf(r->text, sizeof(r->text), "%s", res->text);
	for (size_t i = 0; i < res->nreports && i < 8; i++) {
		r->failures[i] = res->reports[i].failure;
		snprintf(r->reports[i], sizeof(r->reports[i]), "%s", res->reports[i].text);
	}
	if (r->results == r->wanted)
		loop_stop(r->loop);
}

static void run(struct rig *r, unsigned int wanted)
{
	struct monotime before = monotime_now();

	r->results = 0;
	r->wanted = wanted;
	loop_timer_set(r->guard, 30000, 0);
	loop_run(r->loop);
	loop_timer_stop(r->guard);
	r->ms = monotime_ms_between(before, monotime_now());
}

/* Hosts separated by spaces, all with the listeners' port. */
static void dial(struct rig *r, const char *hosts, struct dial_config cfg)
{
	struct dial_target targets[8];
	char *copy = xstrdup(hosts), *save = NULL;
	size_t n = 0;

	for (char *h = strtok_r(copy, " ", &save); h; h = strtok_r(NULL, " ", &save))
		targets[n++] = (struct dial_target){.host = h, .port = r->port, .from_srv = true};
	cfg.resolver = r->resolver;
	dial_start(&r->dial, r->loop, &cfg, targets, n, on_done, r);
	free(copy);
	assert_non_null(r->dial);
	run(r, 1);
	assert_null(r->dial);
	assert_int_equal(resolver_pending(r->resolver), 0);
}

static bool is_connected(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	return fd >= 0 && getpeername(fd, (struct sockaddr *)&a, &len) == 0 &&
	       (fcntl(fd, F_GETFL) & O_NONBLOCK) && (fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

/* ---- */

static void addresses_are_dialled_without_dns(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "::1", "[::1]"};
	struct rig *r = *state;

	listen_at(r, "127.0.0.1");
	listen_at(r, "::1");
	for (size_t i = 0; i < 3; i++) {
		dial(r, hosts[i], (struct dial_config){0});
		assert_true(is_connected(r->fd));
		assert_int_equal(r->family, i ? AF_INET6 : AF_INET);
	}
	assert_int_equal(dns_server_asked(r->server), 0);
}

static void ipv6_is_tried_before_ipv4(void **state)
{
	struct rig *r = *state;

	listen_at(r, "127.0.0.2");
	listen_at(r, "::1");
	dial(r, "two.lab.test", (struct dial_config){0});
	assert_true(is_connected(r->fd));
	assert_int_equal(r->family, AF_INET6);
	/* also when its addresses come after those of IPv4 */
	listen_at(r, "127.0.0.1");
	dial(r, "late6.example.org", (struct dial_config){0});
	assert_int_equal(r->family, AF_INET6);
}

static void a_host_with_ipv6_only_is_reached(void **state)
{
	struct rig *r = *state;

	listen_at(r, "::1");
	dial(r, "six.lab.test", (struct dial_config){0});
	assert_int_equal(r->family, AF_INET6);
	dial(r, "v6.example.org", (struct dial_config){0});
	assert_int_equal(r->family, AF_INET6);
}

static void a_refusal_starts_the_next_attempt_at_once(void **state)
{
	struct rig *r = *state;

	listen_at(r, "127.0.0.2");
	dial(r, "two.lab.test", (struct dial_config){0});
	assert_true(is_connected(r->fd));
	assert_int_equal(r->family, AF_INET);
	assert_true(r->ms < 240);
}

static void silence_starts_the_next_attempt_after_250_ms(void **state)
{
	struct rig *r = *state;

	stuck_at(r, "::1");
	listen_at(r, "127.0.0.2");
	dial(r, "two.lab.test", (struct dial_config){0});
	assert_true(is_connected(r->fd));
	assert_int_equal(r->family, AF_INET);
	assert_in_range(r->ms, 240, 2000);
}

static void a_missing_aaaa_answer_delays_ipv4_by_50_ms_only(void **state)
{
	struct rig *r = *state;

	listen_at(r, "127.0.0.1");
	dial(r, "v4slow6.example.org", (struct dial_config){0});
	assert_true(is_connected(r->fd));
	assert_in_range(r->ms, 40, 450); /* the question itself would take 1500 */
}

static void the_next_target_is_taken_when_one_cannot_be_reached(void **state)
{
	struct rig *r = *state;

	listen_at(r, "127.0.0.2");
	dial(r,
	     "nx.example.org empty.example.org txt.lab.test 127.0.0.4 servfail.example.org "
	     "four.lab.test 127.0.0.2",
	     (struct dial_config){0});
	assert_true(is_connected(r->fd));
	assert_int_equal(r->target, 5);
	assert_int_equal(r->failures[0], DIAL_NO_ADDRESS);
	assert_int_equal(r->failures[1], DIAL_NO_ADDRESS);
	assert_int_equal(r->failures[2], DIAL_NO_ADDRESS);
	assert_int_equal(r->failures[3], DIAL_REFUSED);
	assert_int_equal(r->failures[4], DIAL_DNS);
	assert_int_equal(r->failures[5], DIAL_OK);
	assert_int_equal(r->failures[6], DIAL_NOT_TRIED);
	assert_non_null(strstr(r->reports[0], "nx.example.org:"));
	assert_non_null(strstr(r->reports[0], "no A or AAAA records"));
	assert_non_null(strstr(r->reports[3], "127.0.0.4: Connection refused"));
	assert_non_null(strstr(r->reports[4], "answers SERVFAIL"));
}

static void every_address_of_a_target_is_tried(void **state)
{
	struct rig *r = *state;

	listen_at(r, "127.0.0.2");
	for (int i = 0; i < 4; i++) {
		dial(r, "pair.lab.test", (struct dial_config){0});
		assert_true(is_connected(r->fd));
	}
}

static void when_nothing_can_be_reached_the_most_telling_reason_is_given(void **state)
{
	static const struct {
		const char *hosts;
		enum dial_failure failure;
		const char *says;
	} cases[] = {
		{"nx.example.org", DIAL_NO_ADDRESS, "no A or AAAA"},
		{"nx.example.org servfail.example.org", DIAL_DNS, "SERVFAIL"},
		{"silent.example.org nx.example.org", DIAL_DNS, "does not answer"},
		{"127.0.0.5 nx.example.org", DIAL_REFUSED, "127.0.0.5"},
		{"servfail.example.org 127.0.0.5 nx.example.org", DIAL_REFUSED, "127.0.0.5"},
		{"255.255.255.255 nx.example.org", DIAL_UNREACHABLE, "255.255.255.255"},
		{"255.255.255.255 pair.lab.test", DIAL_REFUSED, "127.0.0.3: Connection refused"},
	};
	struct rig *r = *state;

	listen_at(r, "127.0.0.9"); /* for a port that nobody else has */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		dial(r, cases[i].hosts, (struct dial_config){0});
		assert_int_equal(r->fd, -1);
		if (r->failure != cases[i].failure || !strstr(r->text, cases[i].says))
			fail_msg("%s: %s: %s", cases[i].hosts, dial_failure_name(r->failure),
				 r->text);
	}
}

static void one_attempt_and_all_of_them_have_their_time(void **state)
{
	struct rig *r = *state;

	stuck_at(r, "127.0.0.2");
	dial(r, "127.0.0.2 127.0.0.6", (struct dial_config){.attempt_ms = 200});
	assert_int_equal(r->failures[0], DIAL_TIMEOUT);
	assert_int_equal(r->failures[1], DIAL_REFUSED);
	assert_in_range(r->ms, 190, 2000);
	dial(r, "127.0.0.2 127.0.0.6", (struct dial_config){.total_ms = 300});
	assert_int_equal(r->fd, -1);
	assert_int_equal(r->failure, DIAL_TIMEOUT);
	assert_int_equal(r->failures[0], DIAL_TIMEOUT);
	assert_int_equal(r->failures[1], DIAL_NOT_TRIED);
	assert_non_null(strstr(r->text, "within 300 ms"));
	assert_in_range(r->ms, 290, 2000);
	dial(r, "silent.example.org", (struct dial_config){.total_ms = 300});
	assert_int_equal(r->failure, DIAL_TIMEOUT);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void on_tick(void *arg)
{
	loop_stop(((struct rig *)arg)->loop);
}

static void a_cancelled_dial_says_nothing_and_leaves_nothing(void **state)
{
	/* at once, while DNS is asked, while attempts run */
	static const uint64_t after[] = {0, 20, 100};
	struct rig *r = *state;
	const struct dial_target targets[2] = {{.host = "slow.example.org"}, {.host = "127.0.0.2"}};
	struct dial_target t;
	struct loop_timer *tick = loop_timer_new(r->loop, on_tick, r);
	const struct dial_config cfg = {.resolver = r->resolver};
	int before;

	stuck_at(r, "127.0.0.2");
	dial(r, "plain.example.org", (struct dial_config){0}); /* the thread has its files now */
	before = open_fds();
	for (size_t i = 0; i < 6; i++) {
		t = targets[i / 3];
		t.port = r->port;
		r->results = 0;
		dial_start(&r->dial, r->loop, &cfg, &t, 1, on_done, r);
		if (after[i % 3]) {
			loop_timer_set(tick, after[i % 3], 0);
			loop_run(r->loop);
		}
		dial_cancel(&r->dial);
		assert_null(r->dial);
		dial_cancel(&r->dial);
		assert_int_equal(r->results, 0);
		assert_int_equal(resolver_pending(r->resolver), 0);
	}
	/* libunbound lets go of its sockets when the answers are there. */
	for (int i = 0; i < 200 && open_fds() > before; i++) {
		loop_timer_set(tick, 50, 0);
		loop_run(r->loop);
	}
	loop_timer_free(&tick);
	assert_int_equal(r->results, 0);
	assert_int_equal(open_fds(), before);
}

static void an_srv_target_that_is_an_alias_works_with_a_warning(void **state)
{
	struct rig *r = *state;
	char lines[2048];
	int pipes[2];
	ssize_t n;

	check(pipe(pipes) == 0);
	listen_at(r, "::1");
	log_open("test", pipes[1], LOG_LEVEL_WARN, false);
	dial(r, "alias.example.org", (struct dial_config){.log_ctx = "bridge"});
	log_open("test", 2, LOG_LEVEL_ERROR, false);
	assert_true(is_connected(r->fd));
	n = read(pipes[0], lines, sizeof(lines) - 1);
	assert_true(n > 0);
	lines[n] = '\0';
	assert_non_null(strstr(lines, "event=srv_target_is_alias target=alias.example.org"));
	close(pipes[0]);
	close(pipes[1]);
}

static void many_dials_run_at_once(void **state)
{
	struct rig *r = *state;
	struct dial *dials[150];
	char host[32];
	const struct dial_config cfg = {.resolver = r->resolver};

	listen_at(r, "::1");
	close(r->fds[0]);
	r->fds[0] = listener("::1", &r->port, 1024);
	check(r->fds[0] >= 0);
	for (int i = 0; i < 150; i++) {
		const struct dial_target t = {.host = host, .port = r->port};

		snprintf(host, sizeof(host), "h%d.example.org", i);
		dial_start(&dials[i], r->loop, &cfg, &t, 1, on_done, r);
	}
	run(r, 150);
	assert_true(is_connected(r->fd));
	for (int i = 0; i < 150; i++)
		assert_null(dials[i]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(addresses_are_dialled_without_dns),
		T(ipv6_is_tried_before_ipv4),
		T(a_host_with_ipv6_only_is_reached),
		T(a_refusal_starts_the_next_attempt_at_once),
		T(silence_starts_the_next_attempt_after_250_ms),
		T(a_missing_aaaa_answer_delays_ipv4_by_50_ms_only),
		T(the_next_target_is_taken_when_one_cannot_be_reached),
		T(every_address_of_a_target_is_tried),
		T(when_nothing_can_be_reached_the_most_telling_reason_is_given),
		T(one_attempt_and_all_of_them_have_their_time),
		T(a_cancelled_dial_says_nothing_and_leaves_nothing),
		T(an_srv_target_that_is_an_alias_works_with_a_warning),
		T(many_dials_run_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
