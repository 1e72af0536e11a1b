#include "cm-client/c2s_trace.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "cm-client/c2s_service.h"

static struct cm_traced traced(const struct c2s_conn *c)
{
	struct slice jid = c2s_stream_full(c->stream);

	return (struct cm_traced){.sid = c->session ? hold_sid(c->session) : 0,
				  .conn = c->short_name,
				  .addr = conn_addr(c->conn),
				  .jid = jid.len ? jid : c2s_stream_bare(c->stream),
				  .domain = c2s_stream_domain(c->stream)};
}

void c2s_trace_event(struct c2s_conn *c, struct slice user, const char *event, const char *fmt, ...)
{
	char *claimed = user.len ? xasprintf("%.*s@%.*s", SLICE_ARG(user),
					     SLICE_ARG(c2s_stream_domain(c->stream)))
				 : NULL;
	struct cm_traced who = traced(c);
	va_list ap;

	who.claimed = slice_str(claimed);
	va_start(ap, fmt);
	cm_trace(c->c2s->traces, &who, event, fmt, ap);
	va_end(ap);
	free(claimed);
}

static void tell_present(void *arg)
{
	struct c2s *s = arg;

	list_each (it, &s->conns) {
		struct c2s_conn *c = list_entry(it, struct c2s_conn, all);
		struct cm_traced who = traced(c);

		cm_trace_present(
			s->traces, &who, "state=%s tls=%s stanzas_in=%llu stanzas_out=%llu",
			c2s_state_name(c2s_stream_state(c->stream)),
			conn_is_secure(c->conn) ? conn_tls_version(c->conn) : "no",
			(unsigned long long)c->stanzas_in, (unsigned long long)c->stanzas_out);
	}
}

void c2s_trace_record(struct c2s *s, struct slice body)
{
	cm_traces_record(&s->traces, s->loop, s->bus, body, tell_present, s);
}
