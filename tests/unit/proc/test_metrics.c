/* lib/proc/metrics.c and metrics_text.c */
#include "tests/support/cmocka_first.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/config.h"
#include "proc/metrics.h"

static const char *stats;

static void add(void *arg, struct str *out)
{
	(void)arg;
	str_adds(out, stats);
}

/* What metrics_text() gives up to the process's own. */
static char *text_of(struct loop *loop, const char *service, const char *given)
{
	struct metrics *m = metrics_new(loop, service, "x-1", add, NULL);
	struct str out = STR_INIT;
	char *own;

	stats = given;
	metrics_text(m, &out);
	metrics_free(&m);
	assert_true(out.len > 6);
	assert_string_equal(out.data + out.len - 6, "# EOF\n");
	own = strstr(out.data, "# TYPE roundhouse_process_cpu_seconds counter\n");
	assert_non_null(own);
	assert_non_null(strstr(own, "\nroundhouse_process_cpu_seconds_total{process=\"x-1\"} "));
	*own = '\0';
	return str_detach(&out);
}

static void counters_become_openmetrics(void **state)
{
	static const struct {
		const char *service, *stats, *want;
	} cases[] = {
		{"router", "", ""},
		{"router", "accepted=12 sessions=3",
		 "# TYPE roundhouse_router_stanzas_accepted counter\n"
		 "# HELP roundhouse_router_stanzas_accepted Stanzas taken from connection "
		 "managers.\n"
		 "roundhouse_router_stanzas_accepted_total{process=\"x-1\"} 12\n"
		 "# TYPE roundhouse_router_sessions gauge\n"
		 "# HELP roundhouse_router_sessions Sessions of clients, detached ones "
		 "included.\n"
		 "roundhouse_router_sessions{process=\"x-1\"} 3\n"},
		{"router", "held_bytes=5",
		 "# TYPE roundhouse_router_held_bytes gauge\n"
		 "# UNIT roundhouse_router_held_bytes bytes\n"
		 "# HELP roundhouse_router_held_bytes Bytes of stanzas that are not settled "
		 "yet.\n"
		 "roundhouse_router_held_bytes{process=\"x-1\"} 5\n"},
		/* a family stands together, whatever the order */
		{"router", "queued_bytes:a.b=1 queued_bytes=3 queued_bytes:c\"d=2",
		 "# TYPE roundhouse_router_domain_queued_bytes gauge\n"
		 "# UNIT roundhouse_router_domain_queued_bytes bytes\n"
		 "# HELP roundhouse_router_domain_queued_bytes Bytes waiting in memory for "
		 "receivers of one domain.\n"
		 "roundhouse_router_domain_queued_bytes{process=\"x-1\",domain=\"a.b\"} 1\n"
		 "roundhouse_router_domain_queued_bytes{process=\"x-1\",domain=\"c\\\"d\"} 2\n"
		 "# TYPE roundhouse_router_queued_bytes gauge\n"
		 "# UNIT roundhouse_router_queued_bytes bytes\n"
		 "# HELP roundhouse_router_queued_bytes Bytes waiting in memory for receivers.\n"
		 "roundhouse_router_queued_bytes{process=\"x-1\"} 3\n"},
		/* what metrics.def does not know; words are no numbers */
		{"cm-client", "new-thing=-4 store_disk=full =5 rate=1.5 bad= x",
		 "# TYPE roundhouse_cm_client_new_thing unknown\n"
		 "# HELP roundhouse_cm_client_new_thing See new-thing in xmpp stats.\n"
		 "roundhouse_cm_client_new_thing{process=\"x-1\"} -4\n"
		 "# TYPE roundhouse_cm_client_rate unknown\n"
		 "# HELP roundhouse_cm_client_rate See rate in xmpp stats.\n"
		 "roundhouse_cm_client_rate{process=\"x-1\"} 1.5\n"},
	};
	struct loop *loop = loop_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = text_of(loop, cases[i].service, cases[i].stats);

		assert_string_equal(text, cases[i].want);
		free(text);
	}
	loop_free(&loop);
}

static void addresses_that_others_can_reach_are_refused_unless_allowed(void **state)
{
	static const struct {
		const char *entry;
		bool remote, ok;
		const char *why;
	} cases[] = {
		{"router=127.0.0.1:9101", false, true, ""},
		{"router=127.1.2.3:1", false, true, ""},
		{"cm-client-1=[::1]:65535", false, true, ""},
		{"router=0.0.0.0:9101", false, false, "loopback"},
		{"router=192.0.2.1:9101", false, false, "loopback"},
		{"router=[::]:9101", false, false, "loopback"},
		{"router=192.0.2.1:9101", true, true, ""},
		{"router=localhost:9101", true, false, "INSTANCE=ADDRESS:PORT"},
		{"router=127.0.0.1", false, false, "INSTANCE=ADDRESS:PORT"},
		{"router=127.0.0.1:0", false, false, "INSTANCE=ADDRESS:PORT"},
		{"router=127.0.0.1:65536", false, false, "INSTANCE=ADDRESS:PORT"},
		{"router=127.0.0.1:x", false, false, "INSTANCE=ADDRESS:PORT"},
		{"=127.0.0.1:9101", false, false, "INSTANCE=ADDRESS:PORT"},
		{"127.0.0.1:9101", false, false, "INSTANCE=ADDRESS:PORT"},
		{"", false, false, "INSTANCE=ADDRESS:PORT"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config *cfg = config_defaults();
		char *list[] = {xstrdup(cases[i].entry), NULL}, **kept = cfg->metrics_listen;
		char why[512] = "";

		assert_true(metrics_check(cfg, why, sizeof(why)));
		cfg->metrics_listen = list;
		cfg->metrics_allow_remote = cases[i].remote;
		assert_int_equal(metrics_check(cfg, why, sizeof(why)), cases[i].ok);
		assert_non_null(strstr(why, cases[i].why));
		cfg->metrics_listen = kept;
		free(list[0]);
		config_free(&cfg);
	}
}

/* ---- over the socket: the loop runs here, the asker is driven from a timer */

struct bed {
	char dir[256];
	int home;
	struct loop *loop;
	struct loop_timer *timer;
	struct metrics *m;
	struct config *cfg;
	int fd, held[20];
	struct str got;
	bool ended;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	struct bed *b = xcalloc(1, sizeof(*b));
	const char *tmp = getenv("TMPDIR");

	log_open("test", STDERR_FILENO, LOG_LEVEL_ERROR, false);
	snprintf(b->dir, sizeof(b->dir), "%s/m-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(b->dir));
	b->home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(chdir(b->dir), 0);
	assert_int_equal(mkdir("run", 0700), 0);
	b->loop = loop_new();
	b->cfg = config_defaults();
	b->m = metrics_new(b->loop, "router", "router", add, NULL);
	metrics_listen(b->m, b->cfg);
	str_init(&b->got);
	stats = "accepted=1";
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	metrics_free(&b->m);
	loop_timer_free(&b->timer);
	loop_free(&b->loop);
	config_free(&b->cfg);
	str_clear(&b->got);
	assert_int_equal(fchdir(b->home), 0);
	close(b->home);
	nftw(b->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(b);
	return 0;
}

static int dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "run/metrics/router.sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void on_poll(void *arg)
{
	struct bed *b = arg;
	char bytes[4096];
	ssize_t n;

	while ((n = read(b->fd, bytes, sizeof(bytes))) > 0)
		str_add(&b->got, bytes, (size_t)n);
	if (n == 0) {
		b->ended = true;
		loop_stop(b->loop);
	}
}

static const char *ask(struct bed *b, const char *request)
{
	str_reset(&b->got);
	b->fd = dial();
	assert_int_equal(write(b->fd, request, strlen(request)), (ssize_t)strlen(request));
	loop_timer_free(&b->timer);
	b->timer = loop_timer_new(b->loop, on_poll, b);
	loop_timer_set(b->timer, 1, 1);
	loop_run(b->loop);
	close(b->fd);
	return b->got.data;
}

static void one_request_is_answered_on_the_unix_socket(void **state)
{
	struct bed *b = *state;
	const char *got = ask(b, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
	struct stat st;

	assert_memory_equal(got, "HTTP/1.0 200 OK\r\n", 17);
	assert_non_null(strstr(got, "\r\nContent-Type: application/openmetrics-text; "
				    "version=1.0.0; charset=utf-8\r\n"));
	assert_non_null(
		strstr(got, "roundhouse_router_stanzas_accepted_total{process=\"router\"} 1"));
	assert_non_null(strstr(got, "# EOF\n"));
	assert_int_equal(stat("run/metrics/router.sock", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
}

static void everything_else_is_refused(void **state)
{
	static const struct {
		const char *request, *status;
	} cases[] = {
		{"GET / HTTP/1.0\r\n\r\n", "404"},
		{"GET /metricsx HTTP/1.0\r\n\r\n", "404"},
		{"GET /metrics?x HTTP/1.0\n\n", "200"},
		{"HEAD /metrics HTTP/1.0\r\n\r\n", "405"},
		{"POST /metrics HTTP/1.0\r\n\r\n", "405"},
		{"\n\n", "405"},
	};
	struct bed *b = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_memory_equal(ask(b, cases[i].request) + 9, cases[i].status, 3);
}

static void a_request_without_end_is_cut(void **state)
{
	struct bed *b = *state;
	char *long_one = xmalloc(6001);

	memset(long_one, 'x', 6000);
	long_one[6000] = '\0';
	assert_memory_equal(ask(b, long_one), "HTTP/1.0 431", 12);
	free(long_one);
}

static void who_only_holds_connections_keeps_nobody_out(void **state)
{
	struct bed *b = *state;
	char byte;

	for (size_t i = 0; i < 15; i++)
		b->held[i] = dial();
	assert_memory_equal(ask(b, "GET /metrics HTTP/1.0\r\n\r\n"), "HTTP/1.0 200", 12);
	assert_int_equal(read(b->held[0], &byte, 1), 0); /* the oldest gave way */
	for (size_t i = 0; i < 15; i++)
		close(b->held[i]);
}

static void listening_again_replaces_what_was_there(void **state)
{
	struct bed *b = *state;

	metrics_listen(b->m, b->cfg);
	assert_memory_equal(ask(b, "GET /metrics HTTP/1.0\r\n\r\n"), "HTTP/1.0 200", 12);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_become_openmetrics),
		cmocka_unit_test(addresses_that_others_can_reach_are_refused_unless_allowed),
		TEST(one_request_is_answered_on_the_unix_socket),
		TEST(everything_else_is_refused),
		TEST(a_request_without_end_is_cut),
		TEST(who_only_holds_connections_keeps_nobody_out),
		TEST(listening_again_replaces_what_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
