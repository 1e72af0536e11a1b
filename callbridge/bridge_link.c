/*
 * bridge_link - the connection to a server: its bytes become events of the stream and stanzas, the
 * stream's effects are carried out.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/xmem.h"
#include "callbridge/bridge_core.h"
#include "xmpp/ns.h"
#include "xmpp/xml_tree.h"

#define CTX	"bridge"
#define LATE_MS 1000 /* RFC 6120 promises features with version 1.0; some servers have none */
/* As much as any server of ours can be told to take (limits.*): a stanza that is too much for us
 * would come again with each connection. */
#define BYTES_MIN  (16U * 1024 * 1024)
#define DEPTH_MAX  1024
#define ATTRS_MAX  1024
#define CLOSING_MS 1000

static void step(struct bridge *b, const struct bridge_event *ev);

/* ---- effects */

static void start_tls(struct bridge *b)
{
	const struct bridge_settings *s = &b->settings;
	const char *names[2] = {s->domain, s->host};
	struct tls_peer peer = {
		.server_name = s->domain,
		.names = names,
		/* What DNS says is what an attacker can choose; what the administrator says is not.
		 */
		.nnames = *s->host ? 2 : 1,
	};

	conn_start_tls_client(b->link.conn, b->tls, &peer);
}

static void carry_out(struct bridge *b)
{
	struct bridge_link *l = &b->link;
	struct bridge_effects *fx = &b->fx;

	if (fx->new_stream)
		framer_init(&l->framer, &l->limits);
	if (fx->write.len)
		conn_write(l->conn, fx->write.data, fx->write.len);
	if (l->stream.state == BRIDGE_OFFERED)
		loop_timer_set(l->late, LATE_MS, 0);
	else
		loop_timer_stop(l->late);
	if (fx->start_tls) {
		start_tls(b);
		return;
	}
	bridge_flow_element(b, fx);
	if (l->gone || !l->conn)
		return;
	if (fx->live) {
		l->live = true;
		loop_timer_stop(l->deadline);
		bridge_flow_live(b, fx->resumed);
		bridge_is_live(b);
	}
	if (fx->over && fx->blames)
		bridge_flow_blamed(b, fx->detail.data);
	if (fx->over)
		bridge_link_end(b, fx->cause, fx->detail.data);
}

static void step(struct bridge *b, const struct bridge_event *ev)
{
	if (b->link.gone || b->link.ending)
		return;
	bridge_stream_step(&b->link.stream, ev, &b->fx);
	carry_out(b);
}

/* ---- bytes */

static void broken(struct bridge *b, const char *text)
{
	step(b, &(struct bridge_event){.kind = BRIDGE_EV_BROKEN, .text = text});
}

static void on_header(struct bridge *b, struct slice bytes)
{
	struct xml_stream_header h;

	if (xml_in_header(b->xml, bytes, &h) == XML_OK)
		step(b, &(struct bridge_event){.kind = BRIDGE_EV_HEADER, .header = &h});
	else
		broken(b, "the server's stream header is no XML");
}

static void on_tree(struct bridge *b, struct slice bytes)
{
	struct xml_node *tree = NULL;

	if (xml_in_tree(b->xml, bytes, NS_COMPONENT, &tree) == XML_OK)
		step(b, &(struct bridge_event){.kind = BRIDGE_EV_ELEMENT, .tree = tree});
	else
		broken(b, "the server sent what is no XML");
	xml_tree_free(&tree);
}

/* <r/>, <a/> and what begins with "stream:" are no stanzas; all else is tried as one first. */
static bool looks_like_stanza(struct slice bytes)
{
	const char *p = memchr(bytes.data, '<', bytes.len);

	return p && p + 2 < bytes.data + bytes.len &&
	       !((p[1] == 'r' || p[1] == 'a') && (p[2] == ' ' || p[2] == '/')) && p[1] != 's';
}

static void on_frame(struct bridge *b, enum framer_result r, struct slice bytes)
{
	switch (r) {
	case FRAMER_STREAM_OPEN:
		on_header(b, bytes);
		break;
	case FRAMER_ELEMENT:
		if (!b->link.live || !looks_like_stanza(bytes) || !bridge_flow_stanza(b, bytes))
			on_tree(b, bytes);
		break;
	case FRAMER_STREAM_CLOSE:
		step(b, &(struct bridge_event){.kind = BRIDGE_EV_END});
		break;
	case FRAMER_SPACE:
		break;
	case FRAMER_TOO_BIG:
		broken(b, "the server sent a stanza of more than 16 MiB and four times "
			  "callbridge.stanza_bytes");
		break;
	default:
		broken(b, "the server sent what is no XML");
	}
}

static bool may_use(const struct bridge *b)
{
	const struct bridge_link *l = &b->link;

	return !l->gone && !l->ending && l->stream.state != BRIDGE_SECURING &&
	       (!l->live || bridge_flow_may_read(b));
}

/* As c2s_feed: how many bytes from the front of p were used. */
static size_t use(struct bridge *b, const char *p, size_t len)
{
	struct bridge_link *l = &b->link;
	size_t from = 0, seen = l->scanned;

	while (seen < len && may_use(b)) {
		size_t used = 0;
		enum framer_result r = framer_step(&l->framer, p + seen, len - seen, &used);

		seen += used;
		if (r == FRAMER_MORE) {
			seen = len;
			break;
		}
		on_frame(b, r, slice_of(p + from, seen - from));
		from = seen;
	}
	l->scanned = seen - from;
	return from;
}

static bool only_space(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != ' ' && p[i] != '\n' && p[i] != '\r' && p[i] != '\t')
			return false;
	return true;
}

/* What came in the clear behind <proceed/> must not be taken for protected (RFC 6120 5.4.3.3):
 * whoever sits in between could say anything there. */
static size_t use_safely(struct bridge *b, const char *p, size_t len)
{
	size_t used = use(b, p, len);

	if (b->link.stream.state != BRIDGE_SECURING)
		return used;
	if (!only_space(p + used, len - used))
		bridge_link_end(
			b, BRIDGE_CAUSE_TLS,
			"bytes came in the clear behind <proceed/>: somebody between us and "
			"the server may have put them there");
	b->link.scanned = 0;
	return len;
}

static void update_reading(struct bridge *b)
{
	struct bridge_link *l = &b->link;

	if (!l->conn || l->gone || l->ending)
		return;
	l->paused = l->live && !bridge_flow_may_read(b);
	conn_pause(l->conn, l->paused);
}

static void keep_from(struct bridge_link *l, size_t used)
{
	if (l->gone || l->ending || used == l->in.len) {
		str_clear(&l->in);
		l->scanned = 0;
	} else {
		str_consume(&l->in, used);
	}
}

static void on_bytes(void *arg, const char *data, size_t len)
{
	struct bridge *b = arg;
	struct bridge_link *l = &b->link;

	l->last_read = loop_now(b->loop);
	l->feeding = true;
	if (l->in.len == 0) {
		size_t used = use_safely(b, data, len);

		if (used < len && !l->gone && !l->ending)
			str_add(&l->in, data + used, len - used);
		else
			l->scanned = 0;
	} else {
		str_add(&l->in, data, len);
		keep_from(l, use_safely(b, l->in.data, l->in.len));
	}
	l->feeding = false;
	update_reading(b);
}

void bridge_link_feed_more(struct bridge *b)
{
	struct bridge_link *l = &b->link;

	if (!l->conn || l->feeding || l->gone || l->ending || !l->live)
		return;
	if (l->in.len > l->scanned && bridge_flow_may_read(b)) {
		l->feeding = true;
		keep_from(l, use(b, l->in.data, l->in.len));
		l->feeding = false;
	}
	update_reading(b);
}

/* ---- life */

static void open_stream(struct bridge *b)
{
	struct bridge_link *l = &b->link;

	l->opened = true;
	bridge_stream_open(&l->stream, b->settings.tls, b->settings.jid,
			   str_slice(&b->settings.secret), &b->sm, &b->fx);
	carry_out(b);
}

static void on_secure(void *arg)
{
	struct bridge *b = arg;

	if (!b->link.opened)
		open_stream(b);
	else
		step(b, &(struct bridge_event){.kind = BRIDGE_EV_SECURE});
}

static void on_written(void *arg, uint64_t total)
{
	bridge_flow_written(arg, total);
}

static void on_closed(void *arg, const char *reason)
{
	struct bridge *b = arg;
	struct bridge_link *l = &b->link;
	bool securing = !l->opened || l->stream.state == BRIDGE_SECURING;
	char *text;

	if (l->ending) {
		l->gone = true;
		return;
	}
	text = xstrdup(reason);
	if (conn_cert_refused(l->conn))
		bridge_link_end(b, BRIDGE_CAUSE_CERTIFICATE, text);
	else
		bridge_link_end(b, securing ? BRIDGE_CAUSE_TLS : BRIDGE_CAUSE_LOST, text);
	free(text);
}

static const struct conn_events conn_events = {
	.on_bytes = on_bytes,
	.on_secure = on_secure,
	.on_written = on_written,
	.on_closed = on_closed,
};

static void on_late(void *arg)
{
	step(arg, &(struct bridge_event){.kind = BRIDGE_EV_LATE});
}

static void on_deadline(void *arg)
{
	struct bridge *b = arg;
	char text[80];

	if (b->link.ending) {
		b->link.gone = true;
		return;
	}
	snprintf(text, sizeof(text), "no answer in %u ms while %s", b->settings.connect_ms,
		 b->link.opened ? bridge_state_name(b->link.stream.state) : "securing");
	bridge_link_end(b, BRIDGE_CAUSE_TIMEOUT, text);
}

/* What we send and the kernel of a server that is gone does not acknowledge ends the connection. */
static void bound_silence(int fd, const struct bridge_settings *s)
{
	unsigned int ms = s->check_ms + s->check_wait_ms;

	if (s->check_ms)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

static struct framer_limits server_limits(const struct bridge_settings *s)
{
	uint32_t bytes = (uint32_t)(4 * s->stanza_bytes);

	return (struct framer_limits){.bytes = bytes < BYTES_MIN ? BYTES_MIN : bytes,
				      .depth = DEPTH_MAX,
				      .attributes = ATTRS_MAX};
}

void bridge_link_open(struct bridge *b, int fd, const struct sockaddr_storage *peer)
{
	struct bridge_link *l = &b->link;

	bridge_link_drop(b); /* what is gone and not swept up yet */
	*l = (struct bridge_link){.in = STR_INIT};
	l->limits = server_limits(&b->settings);
	l->began = l->last_read = loop_now(b->loop);
	l->deadline = loop_timer_new(b->loop, on_deadline, b);
	l->late = loop_timer_new(b->loop, on_late, b);
	loop_timer_set(l->deadline, b->settings.connect_ms, 0);
	bound_silence(fd, &b->settings);
	l->conn = conn_new(b->conn_set, fd, peer, &conn_events, b);
	if (b->settings.tls == BRIDGE_TLS_DIRECT)
		start_tls(b);
	else
		open_stream(b);
}

void bridge_link_drop(struct bridge *b)
{
	struct bridge_link *l = &b->link;

	if (!l->conn)
		return;
	conn_free(&l->conn);
	loop_timer_free(&l->deadline);
	loop_timer_free(&l->late);
	bridge_stream_clear(&l->stream);
	str_clear(&l->in);
	*l = (struct bridge_link){.in = STR_INIT};
}

void bridge_link_sweep(struct bridge *b)
{
	if (b->link.gone && !b->link.feeding)
		bridge_link_drop(b);
}

void bridge_link_end(struct bridge *b, enum bridge_cause cause, const char *detail)
{
	struct bridge_link *l = &b->link;
	bool was_live = l->live;
	char *text;

	if (l->gone || !l->conn)
		return;
	text = xstrdup(detail);
	l->gone = true;
	l->live = false;
	if (was_live)
		bridge_flow_down(b);
	/* Now, since the next one may begin at once. */
	if (!l->feeding)
		bridge_link_drop(b);
	if (was_live)
		bridge_lost(b, cause, text);
	else
		bridge_failed(b, cause, text);
	free(text);
}

void bridge_link_close(struct bridge *b)
{
	static const char close_tag[] = "</stream:stream>";
	struct bridge_link *l = &b->link;

	if (!l->conn || l->gone || l->ending)
		return;
	bridge_flow_closing(b);
	if (l->opened)
		conn_write(l->conn, close_tag, sizeof(close_tag) - 1);
	l->ending = true;
	loop_timer_set(l->deadline, CLOSING_MS, 0);
	conn_close(l->conn);
}
