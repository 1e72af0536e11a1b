#include "cm-client/c2s_trace.h"

#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "cm-client/c2s_service.h"
#include "ipc/trace_filter.h"

#define TRACES_MAX  64	/* the router has its own limit */
#define EVENTS_MAX  500 /* in a second */
#define PRESENT_MAX 100 /* connections that are told of when a trace begins */
#define SECOND_MS   1000
#define BACKLOG_MAX (1024 * 1024)

struct c2s_traces {
	size_t count;
	struct {
		uint32_t id;
		struct trace_filter filter;
		uint64_t dropped;
	} item[TRACES_MAX];
	struct monotime since;
	unsigned int events; /* since then */
};

void c2s_traces_free(struct c2s_traces **tp)
{
	free(*tp);
	*tp = NULL;
}

static bool may_tell(struct c2s *s, struct c2s_traces *t)
{
	struct monotime now = loop_now(s->loop);

	if (!t->since.us || monotime_ms_between(t->since, now) >= SECOND_MS) {
		t->since = now;
		t->events = 0;
	}
	return bus_is_up(s->bus) && link_unreceipted(bus_link(s->bus)) < BACKLOG_MAX &&
	       t->events++ < EVENTS_MAX;
}

static void tell(struct c2s *s, size_t i, struct msg_traced *m)
{
	struct c2s_traces *t = s->traces;
	char number[24];

	if (!may_tell(s, t)) {
		t->item[i].dropped++;
		return;
	}
	m->id = t->item[i].id;
	if (t->item[i].dropped) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)t->item[i].dropped);
		link_put_traced(bus_link(s->bus),
				&(struct msg_traced){.id = m->id,
						     .event = slice_str("dropped"),
						     .detail = slice_str(number)});
		t->item[i].dropped = 0;
	}
	link_put_traced(bus_link(s->bus), m);
}

static struct slice jid_of(const struct c2s_conn *c)
{
	struct slice jid = c2s_stream_full(c->stream);

	return jid.len ? jid : c2s_stream_bare(c->stream);
}

/* claimed: user@domain of somebody who has not proven it. */
static bool matches(const struct trace_filter *f, const struct c2s_conn *c, struct slice claimed)
{
	struct slice jid = jid_of(c);

	return trace_filter_addr(f, slice_str(conn_addr(c->conn))) || trace_filter_jid(f, jid) ||
	       trace_filter_jid(f, claimed) ||
	       (!jid.len && f->kind == TRACE_DOMAIN &&
		trace_filter_jid(f, c2s_stream_domain(c->stream)));
}

static struct msg_traced describe(const struct c2s_conn *c, const char *event, const char *detail)
{
	return (struct msg_traced){.sid = c->session ? hold_sid(c->session) : 0,
				   .conn = slice_str(c->short_name),
				   .addr = slice_str(conn_addr(c->conn)),
				   .jid = jid_of(c),
				   .event = slice_str(event),
				   .detail = slice_str(detail)};
}

void c2s_trace_event(struct c2s_conn *c, struct slice user, const char *event, const char *fmt, ...)
{
	struct c2s *s = c->c2s;
	char *claimed = user.len ? xasprintf("%.*s@%.*s", SLICE_ARG(user),
					     SLICE_ARG(c2s_stream_domain(c->stream)))
				 : NULL;
	struct msg_traced m;
	char detail[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	m = describe(c, event, detail);
	for (size_t i = 0; i < s->traces->count; i++)
		if (matches(&s->traces->item[i].filter, c, slice_str(claimed)))
			tell(s, i, &m);
	free(claimed);
}

void c2s_trace_refused(struct c2s *s, const struct sockaddr_storage *peer, const char *why)
{
	char host[NI_MAXHOST], port[NI_MAXSERV], addr[NI_MAXHOST + NI_MAXSERV + 4];
	struct msg_traced m = {.event = slice_str("refused"), .detail = slice_str(why)};

	if (!s->traces ||
	    getnameinfo((const struct sockaddr *)peer, sizeof(*peer), host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	snprintf(addr, sizeof(addr), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	m.addr = slice_str(addr);
	for (size_t i = 0; i < s->traces->count; i++)
		if (trace_filter_addr(&s->traces->item[i].filter, m.addr))
			tell(s, i, &m);
}

/* What is there already when a trace begins. */
static void tell_present(struct c2s *s, size_t i)
{
	unsigned int told = 0;

	list_each (it, &s->conns) {
		struct c2s_conn *c = list_entry(it, struct c2s_conn, all);
		struct msg_traced m;
		char detail[256];

		if (!matches(&s->traces->item[i].filter, c, SLICE_NONE) || told++ >= PRESENT_MAX)
			continue;
		snprintf(detail, sizeof(detail), "state=%s tls=%s stanzas_in=%llu stanzas_out=%llu",
			 c2s_state_name(c2s_stream_state(c->stream)),
			 conn_is_secure(c->conn) ? conn_tls_version(c->conn) : "no",
			 (unsigned long long)c->stanzas_in, (unsigned long long)c->stanzas_out);
		m = describe(c, "present", detail);
		tell(s, i, &m);
	}
}

static void add(struct c2s *s, const struct msg_trace *m)
{
	struct c2s_traces *t = s->traces;

	if (!t)
		t = s->traces = xcalloc(1, sizeof(*t));
	if (t->count == TRACES_MAX ||
	    trace_filter_parse(&t->item[t->count].filter, m->what) != ERR_OK)
		return;
	t->item[t->count].id = m->id;
	t->item[t->count++].dropped = 0;
	tell_present(s, t->count - 1);
}

void c2s_trace_record(struct c2s *s, struct slice body)
{
	struct c2s_traces *t = s->traces;
	struct msg_trace m;

	if (msg_trace_get(body, &m) != ERR_OK)
		return;
	for (size_t i = 0; t && i < t->count; i++)
		if (t->item[i].id == m.id)
			t->item[i--] = t->item[--t->count];
	if (m.on)
		add(s, &m);
	if (s->traces && s->traces->count == 0)
		c2s_traces_free(&s->traces);
}
