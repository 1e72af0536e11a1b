/*
 * comp_feed - bytes of a connection to events of its stream: framer, then libxml2 on the slice.
 *
 * Whole elements are judged where they lie in the shared read buffer; only what is unfinished, or
 * may not be read now, is kept in the connection.
 */
#include "cm-component/comp_service.h"
#include "cm/cm_errors.h"
#include "xmpp/ns.h"
#include "xmpp/xml_tree.h"

static void broken(struct comp_conn *c, const char *condition, const char *text)
{
	struct comp_event ev = {.kind = COMP_EV_BROKEN, .condition = condition, .text = text};

	comp_step(c, &ev);
}

static void on_verdict(struct comp_conn *c, enum xml_verdict v)
{
	const char *text, *condition = cm_errors_verdict(v, &text);

	broken(c, condition, text);
}

static void on_header(struct comp_conn *c, struct slice bytes)
{
	struct xml_stream_header h;
	enum xml_verdict v = xml_in_header(c->comp->xml, bytes, &h);
	struct comp_event ev = {.kind = COMP_EV_HEADER, .header = &h};

	if (v == XML_OK)
		comp_step(c, &ev);
	else
		on_verdict(c, v);
}

static bool only_space(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != ' ' && p[i] != '\n' && p[i] != '\r' && p[i] != '\t')
			return false;
	return true;
}

/* false: it is no stanza; nothing was done about it. */
static bool on_stanza(struct comp_conn *c, struct slice bytes)
{
	struct stanza_in st = {0};
	struct comp_event ev = {.kind = COMP_EV_STANZA, .stanza = &st};
	bool good, mine;

	ev.verdict = xml_in_stanza(c->comp->xml, bytes, NS_COMPONENT, &st);
	good = ev.verdict == XML_OK || ev.verdict == XML_STANZA_BAD;
	mine = !good || st.root_is_stanza;
	if (good && mine) {
		c->stanzas_in++;
		c->comp->stats.stanzas_in++;
		comp_step(c, &ev);
	} else if (!good) {
		on_verdict(c, ev.verdict);
	}
	stanza_in_clear(&st);
	return mine;
}

static void on_tree(struct comp_conn *c, struct slice bytes, bool pipelined)
{
	struct xml_node *tree = NULL;
	enum xml_verdict v = xml_in_tree(c->comp->xml, bytes, NS_COMPONENT, &tree);
	struct comp_event ev = {.kind = COMP_EV_ELEMENT, .tree = tree, .pipelined = pipelined};

	if (c->session)
		ev.h = hold_h(c->session);
	if (v == XML_OK)
		comp_step(c, &ev);
	else
		on_verdict(c, v);
	xml_tree_free(&tree);
}

/* Most of what is not <message/>, <presence/> or <iq/> is <r/> or <a/>: no need to try them as
 * stanzas first. */
static void on_bound_element(struct comp_conn *c, struct slice bytes, bool pipelined)
{
	const char *p = memchr(bytes.data, '<', bytes.len);
	bool sm = p && p + 2 < bytes.data + bytes.len && (p[1] == 'r' || p[1] == 'a') &&
		  (p[2] == ' ' || p[2] == '/');

	if (sm || !on_stanza(c, bytes))
		on_tree(c, bytes, pipelined);
}

/* The framer knows depth, not names: whether this tag closes what the header opened is judged here.
 * The header's prefix is always "stream" (comp_handshake). */
static void on_stream_close(struct comp_conn *c, struct slice bytes)
{
	static const char tag[] = "</stream:stream";
	const char *p = memchr(bytes.data, '<', bytes.len);
	size_t left = p ? bytes.len - (size_t)(p - bytes.data) : 0;

	if (left > sizeof(tag) - 1 && memcmp(p, tag, sizeof(tag) - 1) == 0 &&
	    only_space(p + sizeof(tag) - 1, left - sizeof(tag)))
		comp_step(c, &(struct comp_event){.kind = COMP_EV_END});
	else
		on_verdict(c, XML_NOT_WELL_FORMED);
}

static void on_frame(struct comp_conn *c, enum framer_result r, struct slice bytes, bool pipelined)
{
	const char *text, *condition;

	switch (r) {
	case FRAMER_STREAM_OPEN:
		on_header(c, bytes);
		break;
	case FRAMER_ELEMENT:
		if (comp_stream_state(c->stream) == COMP_BOUND)
			on_bound_element(c, bytes, pipelined);
		else
			on_tree(c, bytes, pipelined);
		break;
	case FRAMER_STREAM_CLOSE:
		on_stream_close(c, bytes);
		break;
	case FRAMER_SPACE:
		break;
	default:
		condition = cm_errors_framer(r, &text);
		broken(c, condition, text);
	}
}

bool comp_is_stalled(const struct comp *s)
{
	return link_room(bus_link(s->bus)) == 0 || hold_total(s->hold) >= s->settings.unsettled;
}

static bool may_read(const struct comp_conn *c)
{
	enum comp_state state = comp_stream_state(c->stream);

	if (c->dead || state == COMP_CLOSED || state == COMP_SECURING ||
	    comp_state_is_waiting(state))
		return false;
	if (state != COMP_BOUND)
		return true;
	/* What the router holds is bounded by its queues. Whoever is not read cannot acknowledge
	 * either, and others' stanzas wait for that: two who write to each other would stop for
	 * good. */
	if (link_room(bus_link(c->comp->bus)) > 0 &&
	    cm_sm_all_held(comp_stream_sm(c->stream), hold_h(c->session)))
		return true;
	return hold_unsettled(c->session) < c->comp->settings.session_unsettled &&
	       !comp_is_stalled(c->comp);
}

/* Uses bytes from the front of [p, p + len), of which the framer saw the first c->scanned; returns
 * how many are used. c->scanned is then that of the rest. */
static size_t use(struct comp_conn *c, const char *p, size_t len)
{
	size_t from = 0, seen = c->scanned;

	while (seen < len && may_read(c)) {
		size_t used = 0;
		enum framer_result r = framer_step(&c->framer, p + seen, len - seen, &used);

		seen += used;
		if (r == FRAMER_MORE) {
			seen = len;
			break;
		}
		on_frame(c, r, slice_of(p + from, seen - from), !only_space(p + seen, len - seen));
		from = seen;
	}
	c->scanned = seen - from;
	return from;
}

void comp_update_reading(struct comp_conn *c)
{
	enum comp_state state = comp_stream_state(c->stream);
	bool reads = may_read(c) && !c->is_throttled;

	if (c->dead)
		return;
	/* Who hangs up while the router asks another one must not get the domain in the end: what
	 * he says is kept, little as it may be, so that his end is noticed. */
	if (state == COMP_BINDING && c->in.len < c->comp->settings.before.bytes)
		reads = true;
	c->paused = !reads;
	/* During the handshake conn reads for itself. */
	conn_pause(c->conn, !reads && state != COMP_SECURING);
	list_remove(&c->wait);
	if (c->is_throttled)
		comp_throttle_wait(c);
	else if (!reads && state == COMP_BOUND && comp_is_stalled(c->comp))
		list_append(&c->comp->stalled, &c->wait);
}

static void keep_from(struct comp_conn *c, size_t used)
{
	if (c->dead || comp_stream_state(c->stream) == COMP_CLOSED)
		used = c->in.len;
	if (used == c->in.len) {
		str_clear(&c->in);
		c->scanned = 0;
	} else {
		str_consume(&c->in, used);
	}
}

void comp_feed(struct comp_conn *c, const char *data, size_t len)
{
	size_t used = 0;

	c->last_read = loop_now(c->comp->loop);
	if (c->probing)
		comp_conn_probed(c, true);
	comp_watch_bytes(c);
	comp_throttle_read(c, len);
	c->feeding = true;
	if (c->in.len == 0) {
		used = use(c, data, len);
		if (!c->dead && used < len && comp_stream_state(c->stream) != COMP_CLOSED)
			str_add(&c->in, data + used, len - used);
		else
			c->scanned = 0;
	} else {
		str_add(&c->in, data, len);
		keep_from(c, use(c, c->in.data, c->in.len));
	}
	c->feeding = false;
	comp_update_reading(c);
}

void comp_feed_more(struct comp_conn *c)
{
	if (c->feeding || c->dead)
		return;
	c->feeding = true;
	if (c->in.len > c->scanned)
		keep_from(c, use(c, c->in.data, c->in.len));
	c->feeding = false;
	comp_update_reading(c);
}
