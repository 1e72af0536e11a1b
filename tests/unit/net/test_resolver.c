/*
 * resolver against a scripted DNS server (tests/support/dns_server.h) and a real one (dnsmasq).
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "tests/support/dns_server.h"

struct rig {
	struct loop *loop;
	struct loop_timer *guard;
	struct dns_server_thread *server;
	struct resolver *resolver;
	struct resolver_query *query;
	char dir[64];
	char resolv_conf[96], hosts[96];
	/* the last answer */
	unsigned int answers, wanted;
	enum dns_outcome outcome;
	size_t count;
	struct srv_record srv[DNS_RECORDS_MAX];
	struct dns_address address;
	char canonical[256], name[256];
	char text[512];
	uint64_t ms;
	bool cancel_others;
	struct resolver_query *others[8];
};

static void on_guard(void *arg)
{
	struct rig *r = arg;

	fprintf(stderr, "no answer within 30 s: %u of %u\n", r->answers, r->wanted);
	abort();
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	check(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static int setup(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));

	snprintf(r->dir, sizeof(r->dir), "%s/rh-resolver-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	check(mkdtemp(r->dir));
	snprintf(r->resolv_conf, sizeof(r->resolv_conf), "%s/resolv.conf", r->dir);
	snprintf(r->hosts, sizeof(r->hosts), "%s/hosts", r->dir);
	write_file(r->hosts, "127.0.0.9 box.example.net box\n");
	r->loop = loop_new();
	r->guard = loop_timer_new(r->loop, on_guard, r);
	r->server = dns_server_start();
	log_set_level(LOG_LEVEL_ERROR);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	resolver_free(&r->resolver);
	dns_server_stop(&r->server);
	loop_timer_free(&r->guard);
	loop_free(&r->loop);
	unlink(r->resolv_conf);
	unlink(r->hosts);
	rmdir(r->dir);
	free(r);
	return 0;
}

/* NULL lists are empty; servers NULL: the scripted one. */
static void start(struct rig *r, struct resolver_config cfg)
{
	const char *const servers[] = {dns_server_name(r->server), NULL};
	struct str why = STR_INIT;

	if (!cfg.servers && !cfg.resolv_conf)
		cfg.servers = servers;
	if (!cfg.resolv_conf)
		cfg.resolv_conf = r->resolv_conf;
	cfg.hosts = r->hosts;
	resolver_free(&r->resolver);
	assert_int_equal(resolver_new(&r->resolver, r->loop, &cfg, &why), ERR_OK);
	str_clear(&why);
}

static void on_answer(void *arg, const struct dns_answer *a)
{
	struct rig *r = arg;

	r->answers++;
	r->outcome = a->outcome;
	r->count = a->count;
	snprintf(r->canonical, sizeof(r->canonical), "%s", a->canonical);
	snprintf(r->name, sizeof(r->name), "%s", a->name);
	snprintf(r->text, sizeof(r->text), "%s", a->text);
	if (a->type == DNS_SRV && a->count)
		memcpy(r->srv, a->of.srv, a->count * sizeof(r->srv[0]));
	else if (a->count)
		r->address = a->of.addresses[0];
	for (size_t i = 0; r->cancel_others && i < 8; i++)
		resolver_cancel(&r->others[i]);
	if (r->answers == r->wanted)
		loop_stop(r->loop);
}

static void run(struct rig *r, unsigned int wanted)
{
	r->answers = 0;
	r->wanted = wanted;
	loop_timer_set(r->guard, 30000, 0);
	loop_run(r->loop);
	loop_timer_stop(r->guard);
}

static enum dns_outcome ask(struct rig *r, const char *name, enum dns_type type)
{
	struct monotime before = monotime_now();

	resolver_ask(r->resolver, name, type, on_answer, r, &r->query);
	assert_non_null(r->query);
	run(r, 1);
	assert_null(r->query);
	assert_int_equal(resolver_pending(r->resolver), 0);
	r->ms = monotime_ms_between(before, monotime_now());
	return r->outcome;
}

static const char *address(struct rig *r)
{
	static char text[DNS_ADDRESS_TEXT];

	dns_address_format(&r->address, text);
	return text;
}

/* ---- */

static void each_outcome_is_told_apart_and_said_in_words(void **state)
{
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_outcome outcome;
		const char *says;
	} cases[] = {
		{"plain.example.org", DNS_A, DNS_ANSWER, "found"},
		{"plain.example.org.", DNS_SRV, DNS_ANSWER, "found"},
		{"nx.example.org", DNS_SRV, DNS_NXDOMAIN, "does not exist"},
		{"empty.example.org", DNS_SRV, DNS_NODATA, "has no SRV record"},
		{"v6.example.org", DNS_A, DNS_NODATA, "has no A record"},
		{"dot.example.org", DNS_SRV, DNS_NOSERVICE, "not offered"},
		{"servfail.example.org", DNS_SRV, DNS_SERVFAIL, "answers SERVFAIL"},
		{"refused.example.org", DNS_A, DNS_SERVFAIL, "answers REFUSED"},
		{"notimp.example.org", DNS_A, DNS_SERVFAIL, "answers NOTIMP"},
		{"silent.example.org", DNS_A, DNS_TIMEOUT, "does not answer"},
		{"garbage.example.org", DNS_A, DNS_MALFORMED, "no answer to our question"},
		{"wrongid.example.org", DNS_A, DNS_MALFORMED, "no answer to our question"},
		{"cut.example.org", DNS_A, DNS_MALFORMED, "broken"},
		{"bad.example.org", DNS_A, DNS_MALFORMED, "broken"},
		{"bad.example.org", DNS_SRV, DNS_MALFORMED, "broken"},
		{"loop.example.org", DNS_A, DNS_MALFORMED, "broken"},
		{"trunc.example.org", DNS_A, DNS_ANSWER, "found"},
		{"", DNS_A, DNS_MALFORMED, "not a name"},
		{"a..b", DNS_A, DNS_MALFORMED, "not a name"},
		{"two words", DNS_A, DNS_MALFORMED, "not a name"},
	};
	struct rig *r = *state;

	start(r, (struct resolver_config){.timeout_ms = 1500});
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum dns_outcome o = ask(r, cases[i].name, cases[i].type);

		if (o != cases[i].outcome || !strstr(r->text, cases[i].says))
			fail_msg("%s: %s: %s", cases[i].name, dns_outcome_name(o), r->text);
		assert_int_equal(r->count > 0, o == DNS_ANSWER);
	}
}

static void a_label_may_not_be_longer_than_63_bytes_nor_a_name_than_253(void **state)
{
	struct rig *r = *state;
	char name[300];

	start(r, (struct resolver_config){.timeout_ms = 1000});
	memset(name, 'a', sizeof(name));
	name[64] = '\0';
	assert_int_equal(ask(r, name, DNS_A), DNS_MALFORMED);
	name[63] = '\0';
	assert_int_equal(ask(r, name, DNS_A), DNS_ANSWER);
	memset(name, 'a', sizeof(name));
	for (size_t i = 50; i < sizeof(name); i += 51)
		name[i] = '.';
	name[254] = '\0';
	assert_int_equal(ask(r, name, DNS_A), DNS_MALFORMED);
	name[253] = '\0';
	assert_int_equal(ask(r, name, DNS_A), DNS_ANSWER);
}

static void sixty_targets_come_whole_over_tcp(void **state)
{
	struct rig *r = *state;
	struct srv_record used[SRV_TARGETS_MAX];

	start(r, (struct resolver_config){0});
	assert_int_equal(ask(r, "many.example.org", DNS_SRV), DNS_ANSWER);
	assert_int_equal(r->count, 60);
	assert_int_equal(srv_order(r->srv, r->count, srv_random_system, NULL, used),
			 SRV_TARGETS_MAX);
	assert_string_equal(used[0].target, "t59.example.org"); /* priority 0 */
	assert_int_equal(used[0].port, 5059);
	assert_string_equal(used[31].target, "t28.example.org");
}

static void a_dot_beside_real_targets_is_left_out(void **state)
{
	struct rig *r = *state;

	start(r, (struct resolver_config){0});
	assert_int_equal(ask(r, "mixed.example.org", DNS_SRV), DNS_ANSWER);
	assert_int_equal(r->count, 1);
	assert_string_equal(r->srv[0].target, "plain.example.org");
	assert_int_equal(r->srv[0].priority, 10);
	assert_int_equal(r->srv[0].weight, 50);
	assert_int_equal(r->srv[0].port, 5222);
}

static void cnames_are_followed_and_the_last_name_is_told(void **state)
{
	struct rig *r = *state;
	const char *const records[] = {"first.example.org. CNAME second.example.org.",
				       "second.example.org. CNAME alias.example.org.",
				       "here.example.org. CNAME there.example.org.",
				       "there.example.org. A 192.0.2.77", NULL};

	start(r, (struct resolver_config){.records = records});
	assert_int_equal(ask(r, "Alias.Example.Org", DNS_A), DNS_ANSWER);
	assert_string_equal(r->name, "alias.example.org");
	assert_string_equal(r->canonical, "plain.example.org");
	assert_int_equal(ask(r, "plain.example.org", DNS_A), DNS_ANSWER);
	assert_string_equal(r->canonical, "plain.example.org");
	assert_int_equal(ask(r, "first.example.org", DNS_AAAA), DNS_ANSWER);
	assert_string_equal(r->canonical, "plain.example.org");
	assert_string_equal(address(r), "::1");
	assert_int_equal(ask(r, "here.example.org", DNS_A), DNS_ANSWER);
	assert_string_equal(address(r), "192.0.2.77");
	assert_string_equal(r->canonical, "there.example.org");
}

static void names_in_other_scripts_are_asked_in_ascii(void **state)
{
	struct rig *r = *state;
	const char *const records[] = {"xn--bcher-kva.example. A 192.0.2.5",
				       "_xmpp-server._tcp.xn--bcher-kva.example. SRV 0 0 5269 h.",
				       NULL};

	start(r, (struct resolver_config){.records = records});
	assert_int_equal(ask(r,
			     "b\xc3\xbc"
			     "cher.example",
			     DNS_A),
			 DNS_ANSWER);
	assert_string_equal(r->name, "xn--bcher-kva.example");
	assert_string_equal(address(r), "192.0.2.5");
	assert_int_equal(ask(r,
			     "_xmpp-server._tcp.B\xc3\x9c"
			     "CHER.example",
			     DNS_SRV),
			 DNS_ANSWER);
	assert_int_equal(ask(r, "b\xff\xfe.example", DNS_A), DNS_MALFORMED);
}

static void local_records_are_authoritative_for_their_names_only(void **state)
{
	struct rig *r = *state;
	const char *const records[] = {
		"_xmpp-component._tcp.lab.test. 86400 IN SRV 0 0 5223 h.lab.test.",
		"h.lab.test A 192.0.2.1", "refused.example.org. A 192.0.2.2", NULL};

	start(r, (struct resolver_config){.records = records});
	assert_int_equal(ask(r, "_xmpp-component._tcp.LAB.test", DNS_SRV), DNS_ANSWER);
	assert_int_equal(r->srv[0].port, 5223);
	assert_string_equal(r->srv[0].target, "h.lab.test");
	assert_int_equal(ask(r, "h.lab.test", DNS_A), DNS_ANSWER);
	assert_int_equal(ask(r, "refused.example.org", DNS_A), DNS_ANSWER);
	assert_int_equal(ask(r, "refused.example.org", DNS_AAAA), DNS_NODATA);
	assert_int_equal(dns_server_asked(r->server), 0);
	assert_int_equal(ask(r, "other.lab.test", DNS_A), DNS_ANSWER); /* the server's */
	assert_int_equal(ask(r, "below.refused.example.org", DNS_A), DNS_ANSWER);
	assert_true(dns_server_asked(r->server) >= 2);
}

static void localhost_and_the_names_in_hosts_need_no_server(void **state)
{
	struct rig *r = *state;

	start(r, (struct resolver_config){.timeout_ms = 1000});
	assert_int_equal(ask(r, "localhost", DNS_A), DNS_ANSWER);
	assert_string_equal(address(r), "127.0.0.1");
	assert_int_equal(ask(r, "localhost", DNS_AAAA), DNS_ANSWER);
	assert_string_equal(address(r), "::1");
	assert_int_equal(ask(r, "box", DNS_A), DNS_ANSWER);
	assert_string_equal(address(r), "127.0.0.9");
	assert_int_equal(ask(r, "box.example.net", DNS_A), DNS_ANSWER);
	assert_int_equal(dns_server_asked(r->server), 0);
	write_file(r->hosts, "192.0.2.200 box tower\n");
	assert_int_equal(ask(r, "tower", DNS_A), DNS_ANSWER);
	assert_string_equal(address(r), "192.0.2.200");
	assert_int_equal(ask(r, "box", DNS_A), DNS_ANSWER);
	assert_string_equal(address(r), "192.0.2.200");
}

static void a_repair_is_seen_by_the_next_question(void **state)
{
	static const char *const names[] = {"repair.example.org", "repairfail.example.org"};
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		dns_server_stop(&r->server);
		r->server = dns_server_start();
		start(r, (struct resolver_config){.timeout_ms = 1500});
		assert_int_equal(ask(r, names[i], DNS_SRV), i ? DNS_SERVFAIL : DNS_NXDOMAIN);
		assert_int_equal(ask(r, names[i], DNS_SRV), i ? DNS_SERVFAIL : DNS_NXDOMAIN);
		dns_server_repair(r->server);
		assert_int_equal(ask(r, names[i], DNS_SRV), DNS_ANSWER);
	}
}

static void a_server_that_comes_back_is_asked_at_once(void **state)
{
	struct rig *r = *state;
	char name[32];
	const char *const servers[] = {name, NULL};

	snprintf(name, sizeof(name), "%s", dns_server_name(r->server));
	start(r, (struct resolver_config){.timeout_ms = 1500, .servers = servers});
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask(r, "silent.example.org", DNS_A), DNS_TIMEOUT);
	assert_int_equal(ask(r, "plain.example.org", DNS_A), DNS_ANSWER);
	assert_true(r->ms < 1000);
}

static void nobody_listening_is_told_within_two_seconds(void **state)
{
	struct rig *r = *state;
	const char *const servers[] = {"127.0.0.1@1", NULL};

	start(r, (struct resolver_config){.servers = servers});
	assert_int_equal(ask(r, "plain.example.org", DNS_A), DNS_TIMEOUT);
	assert_non_null(strstr(r->text, "127.0.0.1@1 cannot be asked (Connection refused)"));
	assert_true(r->ms < 2500);
}

static void the_second_server_answers_when_the_first_is_away(void **state)
{
	struct rig *r = *state;
	const char *const servers[] = {"127.0.0.1@1", dns_server_name(r->server), NULL};

	start(r, (struct resolver_config){.servers = servers});
	for (int i = 0; i < 4; i++)
		assert_int_equal(ask(r, "plain.example.org", DNS_A), DNS_ANSWER);
}

static void a_forward_zone_is_asked_for_its_names(void **state)
{
	struct rig *r = *state;
	char line[64], everything[64];
	const char *const servers[] = {"127.0.0.1@1", NULL};
	const char *const zones[] = {line, NULL};
	const char *const root[] = {everything, NULL};

	snprintf(line, sizeof(line), "Lab.Test  %s", dns_server_name(r->server));
	snprintf(everything, sizeof(everything), ". %s", dns_server_name(r->server));
	start(r, (struct resolver_config){.servers = servers, .forwardzones = zones});
	assert_int_equal(ask(r, "a.lab.test", DNS_A), DNS_ANSWER);
	assert_int_equal(ask(r, "lab.test", DNS_A), DNS_ANSWER);
	assert_int_equal(ask(r, "alab.test", DNS_A), DNS_TIMEOUT);
	start(r, (struct resolver_config){.servers = servers, .forwardzones = root});
	assert_int_equal(ask(r, "alab.test", DNS_A), DNS_ANSWER);
}

static void resolv_conf_is_read_again_when_it_changes(void **state)
{
	struct rig *r = *state;
	struct str out = STR_INIT;
	char line[64];

	write_file(r->resolv_conf, "# none yet\nsearch example.org\nnameserver 127.0.0.2%lo0\n");
	start(r, (struct resolver_config){.resolv_conf = r->resolv_conf});
	resolver_servers(r->resolver, &out);
	assert_string_equal(out.data, "127.0.0.1@53\n");
	str_reset(&out);
	write_file(r->resolv_conf, "nameserver 127.0.0.1\n nameserver ::1 # here\n");
	resolver_servers(r->resolver, &out);
	assert_string_equal(out.data, "127.0.0.1@53\n::1@53\n");
	snprintf(line, sizeof(line), "nameserver %s\n", dns_server_name(r->server));
	write_file(r->resolv_conf, line);
	assert_int_equal(ask(r, "plain.example.org", DNS_A), DNS_ANSWER);
	str_clear(&out);
}

static void a_bad_configuration_is_refused_by_its_line_and_reason(void **state)
{
	static const struct {
		struct {
			const char *server, *zone, *record, *anchor;
		} in;
		const char *says;
	} cases[] = {
		{{.server = "ns1.example.org"}, "does not begin with an IP address"},
		{{.server = "192.0.2.1@70000"}, "ADDRESS@PORT"},
		{{.server = "192.0.2.1@"}, "ADDRESS@PORT"},
		{{.server = "192.0.2.1@53\n server:"}, "ADDRESS@PORT"},
		{{.server = "192.0.2.1 do-ip4: no"}, "IP address"},
		{{.server = ""}, "ADDRESS"},
		{{.zone = "example.org"}, "ZONE SERVER"},
		{{.zone = "exa..mple 192.0.2.1"}, "not a domain"},
		{{.zone = "exa\"mple 192.0.2.1"}, "not a domain"},
		{{.zone = "example.org 192.0.2.1 192.0.2.2"}, "ZONE SERVER"},
		{{.zone = "example.org ns1"}, "IP address"},
		{{.record = "nonsense"}, "no type"},
		{{.record = "h.example.org. 300 IN"}, "no type"},
		{{.record = "h.example.org. A 192.0.2.300"}, "ip4 addr expected"},
		{{.record = "h.example.org. WHAT 1"}, "type"},
		{{.record = "_x._tcp.example.org. SRV 0 0 5223"}, "PRIORITY WEIGHT PORT TARGET"},
		{{.record = "_x._tcp.example.org. SRV 0 0 5223 h. h."}, "PRIORITY WEIGHT PORT"},
		{{.record = "_x._tcp.example.org. SRV 0 0 h. 5223"}, "PRIORITY WEIGHT PORT"},
		{{.record = "_x._tcp.example.org. SRV 0 0 70000 h."}, "at most 65535"},
		{{.record = "\"h A 192.0.2.1"}, "the name"},
		{{.record = "b\xc3\xbc.example A 192.0.2.1"}, "xn--"},
		{{.record = "h A 192.0.2.1\nb A 192.0.2.2"}, "one line"},
		{{.anchor = "example.org DS nonsense"}, "trustanchors"},
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const servers[] = {cases[i].in.server, NULL};
		const char *const zones[] = {cases[i].in.zone, NULL};
		const char *const records[] = {cases[i].in.record, NULL};
		const char *const anchors[] = {cases[i].in.anchor, NULL};
		struct resolver_config cfg = {.servers = servers,
					      .forwardzones = zones,
					      .records = records,
					      .trustanchors = anchors};
		struct str why = STR_INIT;

		if (resolver_check(&cfg, &why) != ERR_FORMAT || !strstr(why.data, cases[i].says))
			fail_msg("case %zu: %s", i, why.data);
		assert_int_equal(resolver_new(&r->resolver, r->loop, &cfg, &why), ERR_FORMAT);
		assert_null(r->resolver);
		str_clear(&why);
	}
}

static void a_refused_change_leaves_the_old_configuration(void **state)
{
	struct rig *r = *state;
	const char *const good[] = {"new.lab.test. A 192.0.2.1", NULL};
	const char *const bad[] = {"new.lab.test. A 192.0.2.2", "nonsense", NULL};
	const char *const servers[] = {dns_server_name(r->server), NULL};
	struct resolver_config cfg = {.servers = servers, .hosts = r->hosts};
	struct str why = STR_INIT;

	start(r, cfg);
	assert_int_equal(ask(r, "nx.lab.test", DNS_A), DNS_NXDOMAIN);
	cfg.records = good;
	assert_int_equal(resolver_set(r->resolver, &cfg, &why), ERR_OK);
	assert_int_equal(ask(r, "new.lab.test", DNS_A), DNS_ANSWER);
	assert_string_equal(address(r), "192.0.2.1");
	cfg.records = bad;
	assert_int_equal(resolver_set(r->resolver, &cfg, &why), ERR_FORMAT);
	assert_int_equal(ask(r, "new.lab.test", DNS_A), DNS_ANSWER);
	assert_string_equal(address(r), "192.0.2.1");
	str_clear(&why);
}

static void questions_under_way_end_well_when_the_configuration_changes(void **state)
{
	struct rig *r = *state;
	const char *const servers[] = {dns_server_name(r->server), NULL};
	struct resolver_config cfg = {.servers = servers, .hosts = r->hosts};
	struct str why = STR_INIT;

	start(r, cfg);
	for (int i = 0; i < 3; i++)
		resolver_ask(r->resolver, "slow.example.org", DNS_A, on_answer, r, NULL);
	assert_int_equal(resolver_set(r->resolver, &cfg, &why), ERR_OK);
	run(r, 3);
	assert_int_equal(r->outcome, DNS_ANSWER);
	str_clear(&why);
}

static void hundreds_of_questions_at_once_are_all_answered(void **state)
{
	struct rig *r = *state;
	char name[64];

	start(r, (struct resolver_config){.timeout_ms = 20000});
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "n%d.example.org", i);
		resolver_ask(r->resolver, name, i % 2 ? DNS_A : DNS_SRV, on_answer, r, NULL);
	}
	assert_int_equal(resolver_pending(r->resolver), 600);
	run(r, 600);
	assert_int_equal(r->outcome, DNS_ANSWER);
	assert_int_equal(resolver_pending(r->resolver), 0);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 8192; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void on_tick(void *arg)
{
	loop_stop(((struct rig *)arg)->loop);
}

static void hundreds_without_an_answer_end_in_time_with_few_sockets(void **state)
{
	struct rig *r = *state;
	struct loop_timer *tick = loop_timer_new(r->loop, on_tick, r);
	struct monotime before = monotime_now();

	start(r, (struct resolver_config){.timeout_ms = 1500});
	r->answers = 0;
	for (int i = 0; i < 500; i++)
		resolver_ask(r->resolver, i % 2 ? "silent.example.org" : "servfail.example.org",
			     DNS_A, on_answer, r, NULL);
	for (int i = 0; i < 500; i++)
		resolver_ask(r->resolver, "silent.example.org", DNS_A, on_answer, r, NULL);
	/* After 500 ms the servers are asked why. */
	loop_timer_set(tick, 900, 0);
	loop_run(r->loop);
	loop_timer_free(&tick);
	assert_true(open_fds() < 650); /* 512 of libunbound's at most, 64 of the probes */
	r->wanted = 1000;
	loop_timer_set(r->guard, 30000, 0);
	loop_run(r->loop);
	assert_int_equal(r->answers, 1000);
	assert_int_equal(resolver_pending(r->resolver), 0);
	assert_int_equal(r->outcome, DNS_TIMEOUT);
	assert_true(monotime_ms_between(before, monotime_now()) < 6000);
}

static void one_question_too_many_is_refused(void **state)
{
	struct rig *r = *state;

	start(r, (struct resolver_config){.timeout_ms = 20000});
	for (int i = 0; i < 4097; i++)
		resolver_ask(r->resolver, i < 4096 ? "silent.example.org" : "plain.example.org",
			     DNS_A, on_answer, r, NULL);
	run(r, 1);
	assert_int_equal(r->outcome, DNS_SERVFAIL);
	assert_non_null(strstr(r->text, "4096 questions"));
}

static void a_cancelled_question_is_not_answered(void **state)
{
	struct rig *r = *state;

	start(r, (struct resolver_config){.timeout_ms = 1500});
	/* before, while the probe runs, and inside another one's callback */
	resolver_ask(r->resolver, "slow.example.org", DNS_A, on_answer, r, &r->query);
	resolver_cancel(&r->query);
	assert_null(r->query);
	resolver_cancel(&r->query);
	for (int i = 0; i < 8; i++)
		resolver_ask(r->resolver, i % 2 ? "slow.example.org" : "silent.example.org", DNS_A,
			     on_answer, r, &r->others[i]);
	r->cancel_others = true;
	assert_int_equal(ask(r, "plain.example.org", DNS_A), DNS_ANSWER);
	assert_int_equal(r->answers, 1);
	assert_int_equal(resolver_pending(r->resolver), 0);
	/* what they were asked still comes back, to nobody */
	assert_int_equal(ask(r, "slow.example.org", DNS_A), DNS_ANSWER);
	/* and with everything under way the resolver can go */
	resolver_ask(r->resolver, "silent.example.org", DNS_A, on_answer, r, &r->query);
	resolver_free(&r->resolver);
	assert_null(r->query);
}

static void on_answer_free(void *arg, const struct dns_answer *a)
{
	struct rig *r = arg;

	resolver_free(&r->resolver);
	assert_int_equal(a->outcome, DNS_ANSWER);
	loop_stop(r->loop);
}

static void a_resolver_may_be_freed_in_its_own_callback(void **state)
{
	struct rig *r = *state;

	start(r, (struct resolver_config){0});
	resolver_ask(r->resolver, "slow.example.org", DNS_A, on_answer, r, &r->query);
	resolver_ask(r->resolver, "plain.example.org", DNS_A, on_answer_free, r, NULL);
	loop_run(r->loop);
	assert_null(r->resolver);
	assert_null(r->query);
}

/* ---- dnsmasq */

static pid_t dnsmasq(const char *address, unsigned int port, const char *const *options)
{
	char listen[48], at[24];
	const char *argv[32] = {"dnsmasq",
				"--conf-file=/dev/null",
				"--keep-in-foreground",
				"--no-resolv",
				"--no-hosts",
				"--bind-interfaces",
				"--address=/#/",
				"--pid-file=",
				listen,
				at};
	size_t n = 10;
	pid_t pid;

	snprintf(listen, sizeof(listen), "--listen-address=%s", address);
	snprintf(at, sizeof(at), "--port=%u", port);
	if (getuid() == 0)
		argv[n++] = "--user=root";
	while (*options && n < 31)
		argv[n++] = *options++;
	pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 2);
		execv("/usr/sbin/dnsmasq", (char **)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

static void a_real_server_and_dnssec(void **state)
{
	static const char *const options[] = {
		"--srv-host=_xmpp-client._tcp.example.org,cb1.example.org,5222,10,50",
		"--host-record=cb1.example.org,127.0.0.2,::1", NULL};
	static const char *const anchors[] = {
		"signed.example.org. DS 12345 13 2 "
		"49FD46E6C4B45C55D4AC69CBD3CD34AC1AFE51DE2C6F2E0CA33B9D3B8A0B0B0B",
		NULL};
	struct rig *r = *state;
	unsigned int port = dns_server_port(r->server);
	char server[48];
	const char *const servers[] = {server, NULL};
	pid_t pid;

	/* Port of the scripted one, another address: nobody else takes it. */
	pid = dnsmasq("127.0.0.3", port, options);
	snprintf(server, sizeof(server), "127.0.0.3@%u", port);
	start(r, (struct resolver_config){.servers = servers});
	for (int i = 0; i < 50 && ask(r, "cb1.example.org", DNS_A) != DNS_ANSWER; i++)
		assert_int_equal(r->outcome, DNS_TIMEOUT);
	assert_string_equal(address(r), "127.0.0.2");
	assert_int_equal(ask(r, "cb1.example.org", DNS_AAAA), DNS_ANSWER);
	assert_int_equal(ask(r, "_xmpp-client._tcp.example.org", DNS_SRV), DNS_ANSWER);
	assert_int_equal(r->srv[0].priority, 10);
	assert_int_equal(r->srv[0].port, 5222);
	assert_int_equal(ask(r, "_xmpp-server._tcp.example.org", DNS_SRV), DNS_NXDOMAIN);
	/* A zone that must be signed and is not. */
	start(r, (struct resolver_config){.servers = servers, .trustanchors = anchors});
	assert_int_equal(ask(r, "cb1.example.org", DNS_A), DNS_ANSWER);
	assert_int_equal(ask(r, "cb1.signed.example.org", DNS_A), DNS_BOGUS);
	assert_non_null(strstr(r->text, "DNSSEC"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_outcome_is_told_apart_and_said_in_words),
		T(a_label_may_not_be_longer_than_63_bytes_nor_a_name_than_253),
		T(sixty_targets_come_whole_over_tcp),
		T(a_dot_beside_real_targets_is_left_out),
		T(cnames_are_followed_and_the_last_name_is_told),
		T(names_in_other_scripts_are_asked_in_ascii),
		T(local_records_are_authoritative_for_their_names_only),
		T(localhost_and_the_names_in_hosts_need_no_server),
		T(a_repair_is_seen_by_the_next_question),
		T(a_server_that_comes_back_is_asked_at_once),
		T(nobody_listening_is_told_within_two_seconds),
		T(the_second_server_answers_when_the_first_is_away),
		T(a_forward_zone_is_asked_for_its_names),
		T(resolv_conf_is_read_again_when_it_changes),
		T(a_bad_configuration_is_refused_by_its_line_and_reason),
		T(a_refused_change_leaves_the_old_configuration),
		T(questions_under_way_end_well_when_the_configuration_changes),
		T(hundreds_of_questions_at_once_are_all_answered),
		T(hundreds_without_an_answer_end_in_time_with_few_sockets),
		T(one_question_too_many_is_refused),
		T(a_cancelled_question_is_not_answered),
		T(a_resolver_may_be_freed_in_its_own_callback),
		T(a_real_server_and_dnssec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
