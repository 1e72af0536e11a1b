#include "tests/support/echo/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/map.h"
#include "base/xmem.h"
#include "ipc/bus.h"
#include "ipc/hold.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "proc/proc.h"

#define WORDS 12

struct script {
	struct proc *proc;
	struct bus *bus;
	struct hold *hold;
	struct loop_fd *in;
	struct str line;
	struct map64 streams;
};

struct stream {
	uint64_t sid;
	struct hold_session *hold;
};

static uint64_t num(const char *text)
{
	return strtoull(text ? text : "0", NULL, 10);
}

static void on_deliver(void *arg, const struct msg_deliver *m)
{
	(void)arg;
	printf("deliver %llu %llu %u %u %.*s %.*s %.*s %.*s\n", (unsigned long long)m->sid,
	       (unsigned long long)m->q, m->kind, m->type, SLICE_ARG(m->from), SLICE_ARG(m->to),
	       SLICE_ARG(m->id), SLICE_ARG(m->inner));
}

static void on_settled(void *arg, uint64_t first, uint64_t last, uint8_t how)
{
	struct stream *st = arg;

	for (; first <= last; first++)
		printf("settled %llu %llu %u\n", (unsigned long long)st->sid,
		       (unsigned long long)first, how);
}

static void on_enabled(void *arg, struct slice id, uint32_t max_s)
{
	struct stream *st = arg;

	printf("enabled %llu %.*s %u\n", (unsigned long long)st->sid, SLICE_ARG(id), max_s);
}

static void on_detach(void *arg)
{
	struct stream *st = arg;

	printf("detach %llu\n", (unsigned long long)st->sid);
	hold_detach(&st->hold, "resumed elsewhere");
}

static const struct hold_events hold_events = {
	.on_deliver = on_deliver,
	.on_settled = on_settled,
	.on_enabled = on_enabled,
	.on_detach = on_detach,
};

static struct stream *stream_of(struct script *s, uint64_t sid)
{
	struct stream *st = map64_find(&s->streams, sid);

	if (st)
		return st;
	st = xcalloc(1, sizeof(*st));
	st->sid = sid;
	map64_put(&s->streams, sid, st);
	return st;
}

/* ---- what it is told ---- */

static void do_bind(struct script *s, char **w)
{
	link_put_bind_domain(bus_link(s->bus),
			     &(struct msg_bind_domain){.sid = num(w[1]),
						       .jid = slice_str(w[2]),
						       .mode = (uint8_t)num(w[3]),
						       .hidden = (uint8_t)num(w[4]),
						       .max = (uint16_t)num(w[5]),
						       .conn = slice_str("conn"),
						       .addr = slice_str("addr")});
}

static void do_bind_old(struct script *s, char **w)
{
	link_put_bind(bus_link(s->bus), &(struct msg_bind){.sid = num(w[1]),
							   .kind = SESSION_DOMAIN,
							   .jid = slice_str(w[2])});
}

static void do_send(struct script *s, char **w)
{
	struct msg_stanza m = {.kind = (uint8_t)num(w[4]),
			       .type = (uint8_t)num(w[5]),
			       .from = slice_str(w[2]),
			       .to = strcmp(w[3], "-") ? slice_str(w[3]) : SLICE_NONE,
			       .id = slice_str(w[6]),
			       .inner = slice_str(w[7] ? w[7] : "")};

	hold_send(stream_of(s, num(w[1]))->hold, &m);
}

static void do_refuse(struct script *s, char **w)
{
	hold_refuse(stream_of(s, num(w[1]))->hold, STANZA_IQ, TYPE_GET, slice_str(w[2]),
		    "policy-violation", "");
}

static void do_delivered(struct script *s, char **w)
{
	hold_delivered(stream_of(s, num(w[1]))->hold, num(w[2]));
}

static void do_ack(struct script *s, char **w)
{
	uint32_t sent;

	check(hold_acked(stream_of(s, num(w[1]))->hold, (uint32_t)num(w[2]), &sent) == ERR_OK);
}

static void do_enable(struct script *s, char **w)
{
	hold_enable(stream_of(s, num(w[1]))->hold, true, (uint32_t)num(w[2]));
}

static void do_end(struct script *s, char **w)
{
	hold_end(&stream_of(s, num(w[1]))->hold, "over");
}

static void do_detach(struct script *s, char **w)
{
	hold_detach(&stream_of(s, num(w[1]))->hold, "broken");
}

static void do_resume(struct script *s, char **w)
{
	link_put_resume(bus_link(s->bus), &(struct msg_resume){.request = num(w[1]),
							       .resume_id = slice_str(w[2]),
							       .jid = slice_str(w[3]),
							       .h = (uint32_t)num(w[4]),
							       .conn = slice_str("conn"),
							       .addr = slice_str("addr")});
}

static void do_probed(struct script *s, char **w)
{
	link_put_probed(bus_link(s->bus),
			&(struct msg_probed){num(w[1]), num(w[2]), (uint8_t)num(w[3])});
}

static void do_unbind(struct script *s, char **w)
{
	link_put_unbind(bus_link(s->bus), &(struct msg_unbind){num(w[1]), 1, slice_str("gone")});
}

static const struct {
	const char *name;
	void (*run)(struct script *s, char **words);
} commands[] = {
	{"bind", do_bind},	     {"bind_old", do_bind_old},
	{"send", do_send},	     {"refuse", do_refuse},
	{"delivered", do_delivered}, {"ack", do_ack},
	{"enable", do_enable},	     {"end", do_end},
	{"detach", do_detach},	     {"resume", do_resume},
	{"probed", do_probed},	     {"unbind", do_unbind},
};

static void run(struct script *s, char *line)
{
	char *words[WORDS] = {0}, *save = NULL;
	size_t count = 0;

	for (char *w = strtok_r(line, " ", &save); w && count < WORDS;
	     w = strtok_r(NULL, " ", &save))
		words[count++] = w;
	for (size_t i = 0; words[0] && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(words[0], commands[i].name) == 0)
			commands[i].run(s, words);
}

static void on_input(void *arg, int events)
{
	struct script *s = arg;
	char buf[4096], *nl;
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
	size_t done = 0;

	(void)events;
	if (n <= 0) {
		loop_fd_set(s->in, 0);
		return;
	}
	str_add(&s->line, buf, (size_t)n);
	while ((nl = memchr(s->line.data + done, '\n', s->line.len - done))) {
		*nl = '\0';
		run(s, s->line.data + done);
		done = (size_t)(nl - s->line.data) + 1;
	}
	memmove(s->line.data, s->line.data + done, s->line.len - done);
	s->line.len -= done;
}

/* ---- what it hears ---- */

static void on_bound(struct script *s, const struct msg_bound *m)
{
	struct stream *st = stream_of(s, m->sid);

	printf("bound %llu\n", (unsigned long long)m->sid);
	if (!st->hold)
		st->hold = hold_add(s->hold, m->sid, m->epoch, SESSION_DOMAIN, m->jid, "conn",
				    "addr", st);
}

static void on_close(struct script *s, const struct msg_close *m)
{
	struct stream *st = stream_of(s, m->sid);

	printf("close %llu %.*s\n", (unsigned long long)m->sid, SLICE_ARG(m->condition));
	if (st->hold)
		hold_closed(&st->hold);
}

static void on_resumed(struct script *s, const struct msg_resumed *m)
{
	struct stream *st = stream_of(s, m->sid);

	printf("resumed %llu %llu %llu\n", (unsigned long long)m->request,
	       (unsigned long long)(m->seen_n - m->in_base), (unsigned long long)m->next_q);
	st->hold = hold_add_resumed(s->hold, m, "conn", "addr", st);
}

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct script *s = arg;
	struct msg_bound bound;
	struct msg_bind_refused refused;
	struct msg_close closed;
	struct msg_probe probe;
	struct msg_resumed resumed;
	struct msg_resume_refused no;

	if (hold_record(s->hold, type, body))
		return;
	if (type == MSG_BOUND && msg_bound_get(body, &bound) == ERR_OK)
		on_bound(s, &bound);
	else if (type == MSG_BIND_REFUSED && msg_bind_refused_get(body, &refused) == ERR_OK)
		printf("refused %llu %.*s\n", (unsigned long long)refused.sid,
		       SLICE_ARG(refused.condition));
	else if (type == MSG_CLOSE && msg_close_get(body, &closed) == ERR_OK)
		on_close(s, &closed);
	else if (type == MSG_PROBE && msg_probe_get(body, &probe) == ERR_OK)
		printf("probe %llu %llu\n", (unsigned long long)probe.sid,
		       (unsigned long long)probe.epoch);
	else if (type == MSG_RESUMED && msg_resumed_get(body, &resumed) == ERR_OK)
		on_resumed(s, &resumed);
	else if (type == MSG_RESUME_REFUSED && msg_resume_refused_get(body, &no) == ERR_OK)
		printf("resume_refused %llu %.*s\n", (unsigned long long)no.request,
		       SLICE_ARG(no.condition));
}

static void on_up(void *arg, bool fresh)
{
	struct script *s = arg;

	if (fresh)
		hold_announce(s->hold);
	printf("up %d\n", fresh);
}

static const struct bus_events bus_events = {
	.on_up = on_up,
	.on_record = on_record,
};

struct script *script_new(struct proc *p)
{
	struct script *s = xcalloc(1, sizeof(*s));

	setvbuf(stdout, NULL, _IOLBF, 0);
	s->proc = p;
	str_init(&s->line);
	map64_init(&s->streams);
	s->bus = bus_open(proc_loop(p), "run/bus/router", proc_service(p), proc_instance(p),
			  proc_token(p), &bus_events, s);
	s->hold = hold_new(bus_link(s->bus), &hold_events);
	s->in = loop_fd_new(proc_loop(p), STDIN_FILENO, LOOP_READ, on_input, s);
	return s;
}

void script_free(struct script **sp)
{
	struct script *s = *sp;
	size_t it = 0;
	void *st;

	*sp = NULL;
	if (!s)
		return;
	while (map64_next(&s->streams, &it, NULL, &st))
		free(st);
	map64_clear(&s->streams);
	loop_fd_free(&s->in);
	hold_free(&s->hold);
	bus_close(&s->bus);
	str_clear(&s->line);
	free(s);
}
