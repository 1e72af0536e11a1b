#include "cm/cm_trace.h"

#include <netdb.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "ipc/bus.h"
#include "ipc/trace_filter.h"
#include "net/loop.h"

#define TRACES_MAX  64	/* the router has its own limit */
#define EVENTS_MAX  500 /* in a second */
#define PRESENT_MAX 100 /* connections that are told of when a trace begins */
#define SECOND_MS   1000
#define BACKLOG_MAX (1024 * 1024)

struct cm_traces {
	struct loop *loop;
	struct bus *bus;
	size_t count;
	struct {
		uint32_t id;
		struct trace_filter filter;
		uint64_t dropped;
	} item[TRACES_MAX];
	struct monotime since;
	unsigned int events;  /* since then */
	unsigned int present; /* told of the newest */
};

void cm_traces_free(struct cm_traces **tp)
{
	free(*tp);
	*tp = NULL;
}

static bool may_tell(struct cm_traces *t)
{
	struct monotime now = loop_now(t->loop);

	if (!t->since.us || monotime_ms_between(t->since, now) >= SECOND_MS) {
		t->since = now;
		t->events = 0;
	}
	return bus_is_up(t->bus) && link_unreceipted(bus_link(t->bus)) < BACKLOG_MAX &&
	       t->events++ < EVENTS_MAX;
}

static void tell(struct cm_traces *t, size_t i, struct msg_traced *m)
{
	char number[24];

	if (!may_tell(t)) {
		t->item[i].dropped++;
		return;
	}
	m->id = t->item[i].id;
	if (t->item[i].dropped) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)t->item[i].dropped);
		link_put_traced(bus_link(t->bus),
				&(struct msg_traced){.id = m->id,
						     .event = slice_str("dropped"),
						     .detail = slice_str(number)});
		t->item[i].dropped = 0;
	}
	link_put_traced(bus_link(t->bus), m);
}

static bool matches(const struct trace_filter *f, const struct cm_traced *who)
{
	return trace_filter_addr(f, slice_str(who->addr)) || trace_filter_jid(f, who->jid) ||
	       trace_filter_jid(f, who->claimed) ||
	       (!who->jid.len && f->kind == TRACE_DOMAIN && trace_filter_jid(f, who->domain));
}

static struct msg_traced describe(const struct cm_traced *who, const char *event,
				  const char *detail)
{
	return (struct msg_traced){.sid = who->sid,
				   .conn = slice_str(who->conn),
				   .addr = slice_str(who->addr),
				   .jid = who->jid,
				   .event = slice_str(event),
				   .detail = slice_str(detail)};
}

void cm_trace(struct cm_traces *t, const struct cm_traced *who, const char *event, const char *fmt,
	      va_list ap)
{
	struct msg_traced m;
	char detail[512];

	vsnprintf(detail, sizeof(detail), fmt, ap);
	m = describe(who, event, detail);
	for (size_t i = 0; i < t->count; i++)
		if (matches(&t->item[i].filter, who))
			tell(t, i, &m);
}

void cm_trace_refused(struct cm_traces *t, const struct sockaddr_storage *peer, const char *why)
{
	char host[NI_MAXHOST], port[NI_MAXSERV], addr[NI_MAXHOST + NI_MAXSERV + 4];
	struct msg_traced m = {.event = slice_str("refused"), .detail = slice_str(why)};

	if (!t || getnameinfo((const struct sockaddr *)peer, sizeof(*peer), host, sizeof(host),
			      port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	snprintf(addr, sizeof(addr), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	m.addr = slice_str(addr);
	for (size_t i = 0; i < t->count; i++)
		if (trace_filter_addr(&t->item[i].filter, m.addr))
			tell(t, i, &m);
}

void cm_trace_present(struct cm_traces *t, const struct cm_traced *who, const char *fmt, ...)
{
	size_t newest = t->count - 1;
	struct msg_traced m;
	char detail[256];
	va_list ap;

	if (!matches(&t->item[newest].filter, who) || t->present++ >= PRESENT_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	m = describe(who, "present", detail);
	tell(t, newest, &m);
}

static bool add(struct cm_traces *t, const struct msg_trace *m)
{
	if (t->count == TRACES_MAX ||
	    trace_filter_parse(&t->item[t->count].filter, m->what) != ERR_OK)
		return false;
	t->item[t->count].id = m->id;
	t->item[t->count++].dropped = 0;
	t->present = 0;
	return true;
}

void cm_traces_record(struct cm_traces **tp, struct loop *loop, struct bus *bus, struct slice body,
		      void (*tell_present)(void *arg), void *arg)
{
	struct cm_traces *t = *tp;
	struct msg_trace m;

	if (msg_trace_get(body, &m) != ERR_OK)
		return;
	if (!t && m.on) {
		t = *tp = xcalloc(1, sizeof(*t));
		t->loop = loop;
		t->bus = bus;
	}
	for (size_t i = 0; t && i < t->count; i++)
		if (t->item[i].id == m.id)
			t->item[i--] = t->item[--t->count];
	if (m.on && add(t, &m))
		tell_present(arg);
	if (t && t->count == 0)
		cm_traces_free(tp);
}
