#include "bench/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmem.h"
#include "bench/acks.h"
#include "bench/component.h"
#include "bench/tcp.h"
#include "bench/scan.h"
#include "bench/scram.h"

enum state {
	OPENING,
	FEATURES,
	PROCEED,
	CHALLENGE,
	RESULT,
	RESUMING,
	BINDING,
	SHAKING, /* a component */
	SESSION,
	ENABLING,
	READY,
	ENDED
};

struct client {
	const struct opts *opts;
	const struct client_component *component; /* NULL: a client */
	struct tcp_conn *conn;
	const struct client_events *on;
	void *arg;
	struct monotime begun;
	enum state state;
	uint32_t tag;
	uint32_t busy; /* callbacks under way: client_free() only marks then */
	bool freed;
	bool secure;
	bool authenticated;
	bool plain;
	bool wants_session; /* RFC 3921 servers */
	bool has_sm;	    /* XEP-0198 is offered */
	char user[64];
	char *jid;
	char *resource; /* wished */
	char *resume;
	uint32_t resume_h;
	char *resume_id; /* of our session */
	struct acks acks;
	struct scan scan;
	struct scram scram;
};

static void end(struct client *c, const char *why)
{
	if (c->state == ENDED)
		return;
	c->state = ENDED;
	c->on->on_closed(c->arg, c, why);
}

static void end_with(struct client *c, const char *what, struct slice stanza)
{
	char why[256];

	snprintf(why, sizeof why, "%s: %.*s", what, SLICE_ARG(stanza));
	end(c, why);
}

static void open_stream(struct client *c)
{
	scan_init(&c->scan);
	str_addf(tcp_output(c->conn),
		 "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' "
		 "xmlns:stream='http://etherx.jabber.org/streams'>",
		 c->opts->domain);
	c->state = FEATURES;
}

static void open_component(struct client *c)
{
	str_addf(tcp_output(c->conn),
		 "<stream:stream xmlns='jabber:component:accept' "
		 "xmlns:stream='http://etherx.jabber.org/streams' to='%s'>",
		 c->component->domain);
	c->state = c->resume ? RESUMING : SHAKING;
}

static void on_connected(void *arg)
{
	struct client *c = arg;

	if (c->component) {
		open_component(c);
		return;
	}
	c->secure = c->opts->tls == TLS_DIRECT || c->state == PROCEED;
	open_stream(c);
}

static const char *choose_mech(const struct client *c, struct slice features)
{
	static const char *const best[] = {"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"};

	for (size_t i = 0; i < sizeof best / sizeof *best; i++) {
		struct str tag = STR_INIT;
		bool wanted = !c->opts->mech || strcmp(c->opts->mech, best[i]) == 0;

		str_addf(&tag, ">%s<", best[i]);
		bool offered = scan_has(features, tag.data);
		str_clear(&tag);
		if (wanted && offered)
			return best[i];
	}
	return NULL;
}

static void authenticate(struct client *c, struct slice features)
{
	const char *mech = choose_mech(c, features);

	if (!mech) {
		end_with(c, "no mechanism of ours is offered", features);
		return;
	}
	struct str *out = tcp_output(c->conn);
	str_addf(out, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='%s'>", mech);
	c->plain = strcmp(mech, "PLAIN") == 0;
	if (c->plain) {
		scram_plain(c->user, c->opts->password, out);
	} else {
		scram_init(&c->scram, strcmp(mech, "SCRAM-SHA-256") == 0);
		scram_first(&c->scram, c->user, out);
	}
	str_adds(out, "</auth>");
	c->state = c->plain ? RESULT : CHALLENGE;
}

static void bind(struct client *c)
{
	struct str *out = tcp_output(c->conn);

	str_adds(out, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'");
	if (c->resource)
		str_addf(out, "><resource>%s</resource></bind></iq>", c->resource);
	else
		str_adds(out, "/></iq>");
	c->state = BINDING;
}

static void resume(struct client *c)
{
	str_addf(tcp_output(c->conn), "<resume xmlns='urn:xmpp:sm:3' h='%u' previd='%s'/>",
		 c->resume_h, c->resume);
	c->state = RESUMING;
}

/* Roundhouse's components may resume: who they are is proven behind that. */
static void shake_hands(struct client *c, struct slice header)
{
	struct str *out = tcp_output(c->conn);

	if (c->state == RESUMING)
		str_addf(out, "<resume xmlns='urn:xmpp:sm:3' h='%u' previd='%s'/>", c->resume_h,
			 c->resume);
	component_handshake(out, header, c->component->secret);
}

static void on_features(struct client *c, struct slice features)
{
	if (c->opts->tls == TLS_STARTTLS && !c->secure) {
		if (!scan_has(features, "urn:ietf:params:xml:ns:xmpp-tls")) {
			end_with(c, "STARTTLS is not offered", features);
			return;
		}
		str_adds(tcp_output(c->conn),
			 "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
		c->state = PROCEED;
	} else if (!c->authenticated) {
		authenticate(c, features);
	} else {
		const char session[] = "urn:ietf:params:xml:ns:xmpp-session";

		c->wants_session = scan_has(features, session) && !scan_has(features, "<optional");
		c->has_sm = scan_has(features, "urn:xmpp:sm:3");
		if (c->resume)
			resume(c);
		else
			bind(c);
	}
}

static void on_challenge(struct client *c, struct slice stanza)
{
	struct str response = STR_INIT;

	if (scram_final(&c->scram, c->opts->password, scan_text(stanza, "challenge"), &response)) {
		str_addf(tcp_output(c->conn),
			 "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</response>",
			 response.data);
		c->state = RESULT;
	} else {
		end_with(c, "challenge not understood", stanza);
	}
	str_clear(&response);
}

static void on_success(struct client *c, struct slice stanza)
{
	if (!c->plain && !scram_verify(&c->scram, scan_text(stanza, "success"))) {
		end_with(c, "the server's signature is wrong", stanza);
		return;
	}
	c->authenticated = true;
	open_stream(c);
}

static void ready(struct client *c)
{
	c->state = READY;
	if (c->opts->roster && c->jid) {
		str_adds(tcp_output(c->conn), "<iq type='get' id='roster'>"
					      "<query xmlns='jabber:iq:roster'/></iq>");
		client_sent(c);
	}
	if (c->opts->presence && c->jid) { /* a resumed session's presence stands */
		str_adds(tcp_output(c->conn), "<presence/>");
		client_sent(c);
	}
	c->on->on_ready(c->arg, c);
}

static void bound(struct client *c)
{
	if (!c->opts->sm) {
		ready(c);
	} else if (!c->has_sm) {
		end(c, "the server does not offer XEP-0198");
	} else {
		str_adds(tcp_output(c->conn), "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
		c->state = ENABLING;
	}
}

static void on_enabled(struct client *c, struct slice stanza)
{
	struct slice id = scan_attribute(stanza, "id");

	free(c->resume_id);
	c->resume_id = id.len ? xstrndup(id.data, id.len) : NULL;
	acks_begin(&c->acks, 0, 0);
	ready(c);
}

static void on_not_enabled(struct client *c, struct slice stanza)
{
	end_with(c, "XEP-0198 is refused", stanza);
}

static void on_bound(struct client *c, struct slice stanza)
{
	struct slice jid = scan_text(stanza, "jid");

	if (!slice_is(scan_attribute(stanza, "type"), "result") || jid.len == 0) {
		end_with(c, "no resource was bound", stanza);
		return;
	}
	c->jid = xstrndup(jid.data, jid.len);
	if (!c->wants_session) {
		bound(c);
		return;
	}
	str_adds(tcp_output(c->conn), "<iq type='set' id='session'><session "
				      "xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
	c->state = SESSION;
}

static void on_resumed(struct client *c, struct slice stanza)
{
	uint32_t h = 0;

	if (c->opts->sm && acks_number(scan_attribute(stanza, "h"), &h))
		acks_begin(&c->acks, c->resume_h, h);
	c->on->on_resume(c->arg, c, stanza);
	if (c->state == RESUMING)
		ready(c);
}

static void on_not_resumed(struct client *c, struct slice stanza)
{
	c->on->on_resume(c->arg, c, stanza);
	if (c->state != RESUMING)
		return;
	if (c->component)
		c->state = SHAKING; /* what proved who we are is answered next */
	else
		bind(c);
}

struct step {
	enum state state;
	const char *name; /* of the element that is expected in it */
	void (*take)(struct client *c, struct slice stanza);
};

static void on_proceed(struct client *c, struct slice stanza)
{
	(void)stanza;
	tcp_start_tls(c->conn);
}

static void on_handshake(struct client *c, struct slice stanza)
{
	(void)stanza;
	c->jid = xstrdup(c->component->domain);
	c->has_sm = true; /* it was not asked */
	bound(c);
}

static void on_session(struct client *c, struct slice stanza)
{
	(void)stanza;
	bound(c);
}

static const struct step steps[] = {
	{FEATURES, "stream:features", on_features},
	{PROCEED, "proceed", on_proceed},
	{CHALLENGE, "challenge", on_challenge},
	{RESULT, "success", on_success},
	{RESUMING, "resumed", on_resumed},
	{RESUMING, "failed", on_not_resumed},
	{BINDING, "iq", on_bound},
	{SHAKING, "handshake", on_handshake},
	{SESSION, "iq", on_session},
	{ENABLING, "enabled", on_enabled},
	{ENABLING, "failed", on_not_enabled},
};

/* After login: anything but an element of the stream itself. */
static void take_stanza(struct client *c, struct slice stanza)
{
	enum acks_kind kind = ACKS_STANZA;

	if (c->acks.on)
		kind = acks_take(&c->acks, stanza, tcp_output(c->conn));
	if (kind == ACKS_WRONG)
		end_with(c, "the server counts wrong", stanza);
	else if (kind == ACKS_STANZA && c->on->on_stanza)
		c->on->on_stanza(c->arg, c, stanza);
}

static void take(struct client *c, struct slice stanza)
{
	if (c->state == READY && stanza.len > 3 && stanza.data[1] != 's') {
		take_stanza(c, stanza);
		return;
	}
	struct slice name = scan_name(stanza);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		if (steps[i].state == c->state && slice_is(name, steps[i].name)) {
			steps[i].take(c, stanza);
			return;
		}
	}
	/* Presence of oneself, or a version query, may come between. */
	if (c->state != READY || slice_is(name, "stream:error"))
		end_with(c, "unexpected", stanza);
}

static void release(struct client *c)
{
	scram_clear(&c->scram);
	free(c->jid);
	free(c->resource);
	free(c->resume);
	free(c->resume_id);
	free(c);
}

static void enter(struct client *c)
{
	c->busy++;
}

static void leave(struct client *c)
{
	if (--c->busy == 0 && c->freed)
		release(c);
}

/* Takes what is complete; returns how many bytes of in that was. */
static size_t take_all(struct client *c, const struct str *in)
{
	size_t done = 0;
	size_t used;

	while (c->state != ENDED && !c->freed) {
		struct slice rest = slice_of(in->data + done, in->len - done);
		enum scan_result r = scan_step(&c->scan, rest, &used);

		if (r == SCAN_MORE)
			break;
		done += used;
		const char *lt = memchr(rest.data, '<', used);
		if (r == SCAN_END)
			end(c, "the server ended the stream");
		else if (r == SCAN_OPEN && c->component)
			shake_hands(c, slice_of(rest.data, used));
		else if (r == SCAN_CHILD)
			take(c, slice_of(lt, used - (size_t)(lt - rest.data)));
	}
	return done;
}

static void on_data(void *arg)
{
	struct client *c = arg;

	enter(c);
	size_t done = take_all(c, tcp_input(c->conn));
	if (!c->freed)
		str_consume(tcp_input(c->conn), done);
	leave(c);
}

static void on_closed(void *arg, const char *why)
{
	struct client *c = arg;

	enter(c);
	end(c, why);
	leave(c);
}

static const struct tcp_events tcp_events = {
	.on_connected = on_connected, .on_data = on_data, .on_closed = on_closed};

struct client *client_new(struct tcp *n, const struct opts *o, uint32_t user,
			  const struct client_wish *wish, const struct client_events *events,
			  void *arg)
{
	struct client *c = xcalloc(1, sizeof *c);

	c->opts = o;
	c->on = events;
	c->arg = arg;
	c->begun = monotime_now();
	if (wish) {
		c->resource = wish->resource ? xstrdup(wish->resource) : NULL;
		c->resume = wish->resume ? xstrdup(wish->resume) : NULL;
		c->resume_h = wish->h;
		c->component = wish->component;
	}
	snprintf(c->user, sizeof c->user, "%s%u", o->user, user);
	scram_init(&c->scram, false);
	if (c->component)
		c->conn = tcp_open_plain(n, c->component->port, &tcp_events, c);
	else
		c->conn = tcp_open(n, &tcp_events, c);
	if (!c->conn) {
		client_free(&c);
		return NULL;
	}
	if (c->component)
		tcp_buffer(c->conn, c->component->buffer);
	return c;
}

void client_free(struct client **cp)
{
	struct client *c = *cp;

	if (!c)
		return;
	*cp = NULL;
	if (c->conn)
		tcp_close(&c->conn);
	c->state = ENDED;
	c->freed = true;
	if (c->busy == 0)
		release(c);
}

void client_pause(struct client *c, bool paused)
{
	tcp_pause(c->conn, paused);
}

const char *client_jid(const struct client *c)
{
	return c->jid;
}

struct monotime client_begun(const struct client *c)
{
	return c->begun;
}

struct str *client_output(struct client *c)
{
	return tcp_output(c->conn);
}

void client_sent(struct client *c)
{
	if (c->acks.on)
		acks_sent(&c->acks, tcp_output(c->conn));
}

struct acks *client_acks(struct client *c)
{
	return &c->acks;
}

const char *client_resume_id(const struct client *c)
{
	return c->resume_id;
}

void client_set_tag(struct client *c, uint32_t tag)
{
	c->tag = tag;
}

uint32_t client_tag(const struct client *c)
{
	return c->tag;
}
