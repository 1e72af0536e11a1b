/*
 * comp_bind - a component and what the others say to it: the datastore about its account, the
 * router about its domain, its deliveries, and whether its link is alive.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "cm-component/comp_service.h"
#include "ipc/stanza_kinds.h"
#include "xmpp/xml_out.h"

/* The account */

void comp_conn_lookup(struct comp_conn *c, struct slice digest)
{
	/* What is too long is no digest: what remains of it is none either. */
	snprintf(c->digest, sizeof(c->digest), "%.*s", SLICE_ARG(digest));
	c->lookup = comp_accounts_ask(c->comp->accounts, comp_stream_jid(c->stream), c);
}

void comp_conn_drop_lookup(struct comp_conn *c)
{
	comp_accounts_cancel(c->comp->accounts, c->lookup);
	c->lookup = 0;
}

static void take_account(struct comp_conn *c, const struct msg_db_component *a)
{
	free(c->account.name);
	c->account = (struct comp_account){.name = xstrndup(a->name.data, a->name.len),
					   .mode = a->mode,
					   .hidden = a->hidden,
					   .max = a->max,
					   .bytes_per_second = a->bytes_per_second};
}

static void refuse(struct comp_conn *c, const char *condition, const char *text)
{
	struct comp_event ev = {
		.kind = COMP_EV_ACCOUNT_FAILED, .condition = condition, .text = text};

	comp_step(c, &ev);
}

void comp_conn_found(void *arg, enum err status, const struct msg_db_component *a)
{
	struct comp_conn *c = arg;
	struct comp_event ev = {.kind = COMP_EV_ACCOUNT};

	c->lookup = 0;
	if (status == ERR_NOTFOUND) {
		/* A wrong digest costs what an unknown domain costs: one digest. */
		comp_accounts_proves(slice_str(c->digest), comp_stream_id(c->stream), SLICE_NONE);
		refuse(c, "host-unknown", "there is no component for this domain");
	} else if (!a) {
		refuse(c, "resource-constraint",
		       "the datastore cannot say now who you are: try again later");
	} else if (!comp_settings_serves(&c->comp->settings, a->domain)) {
		refuse(c, "host-unknown", "the domain of this component is not served here");
	} else {
		ev.host = a->domain;
		ev.proven = comp_accounts_proves(slice_str(c->digest), comp_stream_id(c->stream),
						 a->secret);
		take_account(c, a);
		comp_step(c, &ev);
	}
	comp_feed_more(c);
}

/* Binding */

void comp_conn_ask_bind(struct comp_conn *c)
{
	link_put_bind_domain(bus_link(c->comp->bus),
			     &(struct msg_bind_domain){.sid = c->sid,
						       .jid = comp_stream_jid(c->stream),
						       .mode = c->account.mode,
						       .hidden = c->account.hidden,
						       .max = c->account.max,
						       .conn = slice_str(c->short_name),
						       .addr = slice_str(conn_addr(c->conn))});
}

void comp_conn_bound(struct comp_conn *c, uint64_t epoch, struct slice jid)
{
	struct comp *s = c->comp;

	c->session = hold_add(s->hold, c->sid, epoch, SESSION_DOMAIN, jid, c->short_name,
			      conn_addr(c->conn), c);
	comp_conn_is_known(c);
	comp_step(c, &(struct comp_event){.kind = COMP_EV_BOUND});
	if (c->dead)
		return;
	log_info(c->name, "event=bind component=%s jid=%s sid=%016llx addr=%s tls=%s",
		 log_quote(slice_str(c->account.name)), log_quote(jid), (unsigned long long)c->sid,
		 conn_addr(c->conn), conn_is_secure(c->conn) ? conn_tls_version(c->conn) : "no");
	comp_trace(c, "bind", "sid=%016llx", (unsigned long long)c->sid);
	comp_feed_more(c);
}

void comp_conn_bind_refused(struct comp_conn *c, const char *condition, const char *text)
{
	struct comp_event ev = {.kind = COMP_EV_BIND_REFUSED, .condition = condition, .text = text};

	if (strcmp(condition, "conflict") == 0)
		c->comp->stats.conflicts++;
	comp_conn_end_session(c, condition);
	comp_step(c, &ev);
	comp_feed_more(c);
}

/* Deliveries */

void comp_conn_check_backlog(struct comp_conn *c)
{
	size_t most = c->comp->settings.session_queue;

	if (conn_backlog(c->conn) <= most)
		return;
	conn_flush(c->conn);
	if (!c->dead && conn_backlog(c->conn) > most)
		comp_conn_lost(c, "policy-violation",
			       "you do not read: too much is waiting for you");
}

void comp_conn_deliver(struct comp_conn *c, const struct msg_deliver *m)
{
	if (comp_stream_state(c->stream) != COMP_BOUND)
		return; /* our last word is said: it stays undelivered */
	xml_out_stanza(conn_write_begin(c->conn), &(struct stanza_out){.kind = m->kind,
								       .type = m->type,
								       .from = m->from,
								       .to = m->to,
								       .id = m->id,
								       .lang = m->lang,
								       .inner = m->inner});
	conn_write_end(c->conn);
	comp_watch_queued(c, m->q);
	c->stanzas_out++;
	c->comp->stats.stanzas_out++;
	comp_conn_will_ask(c);
	comp_conn_check_backlog(c);
}

/* Is its link alive? */

void comp_conn_probe(struct comp_conn *c)
{
	struct comp *s = c->comp;

	if (comp_stream_state(c->stream) != COMP_BOUND) { /* closing: the router hears UNBIND */
		comp_conn_end_session(c, c->end_reason ? c->end_reason : "closed");
		return;
	}
	s->stats.probes++;
	c->probing = true;
	cm_deadline_set(
		&s->deadlines, &c->probe, COMP_DEADLINE_PROBE,
		monotime_add_ms(loop_now(s->loop), s->settings.wait_ms[COMP_DEADLINE_PROBE]));
	comp_arm(s);
	comp_step(c, &(struct comp_event){.kind = COMP_EV_PROBE});
}

/* Whoever is not read cannot be heard: he is taken for alive. */
void comp_conn_probed(struct comp_conn *c, bool alive)
{
	struct comp *s = c->comp;

	c->probing = false;
	cm_deadline_clear(&c->probe);
	if (!c->session)
		return;
	alive = alive || c->paused;
	if (!alive) {
		s->stats.probes_dead++;
		log_info(c->name,
			 "event=probe alive=no reason=\"it did not answer for %llu ms, and "
			 "somebody else wants its domain\"",
			 (unsigned long long)s->settings.wait_ms[COMP_DEADLINE_PROBE]);
	}
	comp_trace(c, "probe", "alive=%s", alive ? "yes" : "no");
	link_put_probed(bus_link(s->bus),
			&(struct msg_probed){hold_sid(c->session), hold_epoch(c->session), alive});
}
