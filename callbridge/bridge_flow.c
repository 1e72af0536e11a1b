/*
 * bridge_flow - stanzas both ways once the stream is live, XEP-0198's counters, and the bounds.
 *
 * Server to program: what the server sends counts as handled when the program's pipe has taken it
 * (with --echo: when its answer is under way to the server). What is not handled when an XEP-0198
 * connection is lost is forgotten: the server has it, and sends it again.
 *
 * Program to server: kept until the server has acknowledged it, or, without XEP-0198, until the
 * kernel has taken it; written again to the next connection.
 */
#include "base/log.h"
#include "callbridge/bridge_core.h"
#include "callbridge/bridge_echo.h"
#include "callbridge/bridge_frame.h"
#include "ipc/stanza_kinds.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"

#define CTX	     "bridge"
#define BACKLOG_MAX  (256 * 1024) /* bytes in the connection; the rest waits in the queue */
#define ASK_AT	     5		  /* unacknowledged stanzas: <r/> at once */
#define ASK_MS	     200	  /* with fewer: a little later */
#define SPEAK_MS     2000	  /* while we do not read: that we are here */
#define UNACKED_SOFT 4		  /* times queue_bytes: the program is not read */
#define UNACKED_HARD 16		  /* the same: the server acknowledges nothing */
#define LOG_EVERY_MS 1000	  /* of lines that anybody can make us write */
#define BLAME_MAX    2		  /* times that a stanza sent alone ends the stream */
#define PING_ID	     "callbridge-check-"

/* A stanza's first tag: what is inside is nobody's business but its receiver's. */
static struct slice first_tag(struct slice line)
{
	const char *end = line.len ? memchr(line.data, '>', line.len) : NULL;

	return end ? slice_of(line.data, (size_t)(end - line.data) + 1) : line;
}

/* ---- bounds */

static size_t unsent(const struct bridge *b)
{
	size_t n = bridge_queue_unwritten(&b->out);

	return b->link.conn && !b->link.gone ? n + conn_backlog(b->link.conn) : n;
}

bool bridge_flow_may_read(const struct bridge *b)
{
	if (b->stopping)
		return false;
	if (b->exec)
		return bridge_exec_waiting(b->exec) < b->settings.queue_bytes;
	return unsent(b) < b->settings.queue_bytes;
}

/* The program may go on. What the server has not acknowledged holds it up too, but not while the
 * server is not read for the program's sake: then the acknowledgements cannot come. */
static bool may_take(const struct bridge *b)
{
	size_t max = b->settings.queue_bytes;

	return unsent(b) < max && (b->out.held_bytes < UNACKED_SOFT * max || b->link.paused);
}

static void update_program(struct bridge *b)
{
	if (b->exec)
		bridge_exec_pause(b->exec, !may_take(b));
}

/* ---- to the server */

static void write_queue(struct bridge *b)
{
	struct conn *c = b->link.conn;
	struct slice stanza;

	while (conn_backlog(c) < BACKLOG_MAX && bridge_queue_next(&b->out, &stanza)) {
		if (b->careful && b->sm.asked && b->out.written > 0)
			break;
		conn_write(c, stanza.data, stanza.len);
		bridge_queue_wrote(&b->out, conn_queued(c));
	}
}

static void say_ack(struct bridge *b)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "<a xmlns='" NS_SM3 "' h='%u'/>", b->sm.in);

	conn_write(b->link.conn, text, (size_t)n);
	b->link.said_h = b->sm.in;
}

static void ask_ack(struct bridge *b)
{
	static const char r[] = "<r xmlns='" NS_SM3 "'/>";

	conn_write(b->link.conn, r, sizeof(r) - 1);
	b->link.asked_r = true;
	b->link.ask_due = false;
}

/* Stanzas from the server that are counted and not handled yet. */
static size_t unhandled(const struct bridge *b)
{
	return b->exec && b->sm.counts_in ? bridge_exec_lines(b->exec) : 0;
}

static void acknowledge(struct bridge *b)
{
	struct bridge_link *l = &b->link;

	if (l->owes_a && l->said_h != b->sm.in) {
		say_ack(b);
		l->owes_a = unhandled(b) > 0;
	}
	if (!b->sm.asked || !b->sm.counts_in || l->asked_r || b->out.written == 0)
		return;
	if (b->out.written >= ASK_AT || l->ask_due || b->careful) {
		ask_ack(b);
	} else if (!b->acks_armed) {
		b->acks_armed = true;
		loop_timer_set(b->acks, ASK_MS, 0);
	}
}

void bridge_flow_acks(void *arg)
{
	struct bridge *b = arg;

	b->acks_armed = false;
	b->link.ask_due = true;
}

void bridge_flow_written(struct bridge *b, uint64_t total)
{
	if (b->link.live && !b->sm.asked)
		bridge_queue_arrived_upto(&b->out, total);
}

static void arrived(struct bridge *b, uint32_t n)
{
	bridge_queue_arrived(&b->out, n);
	b->careful -= n < b->careful ? n : b->careful;
	if (n)
		b->blamed = 0;
}

/* The server has handled our stanzas up to h. */
static void on_h(struct bridge *b, uint32_t h)
{
	uint32_t n = h - b->sm.acked; /* modulo 2^32, XEP-0198 section 4 */

	if (n > b->out.written) {
		bridge_link_end(b, BRIDGE_CAUSE_PROTOCOL,
				"the server acknowledged more than it was sent");
		return;
	}
	arrived(b, n);
	b->sm.acked = h;
}

void bridge_flow_element(struct bridge *b, const struct bridge_effects *fx)
{
	struct bridge_link *l = &b->link;

	if (fx->has_h) {
		on_h(b, fx->h);
		l->asked_r = false;
	}
	if (fx->wants_ack) {
		l->owes_a = true;
		l->said_h = b->sm.in - 1; /* an answer is owed, also when nothing is new */
	}
	if (fx->disabled && !l->gone)
		bridge_queue_arrived_upto(&b->out, conn_written(l->conn));
}

/* What ends the stream would do so again and again, and all before it would be sent as often. So it
 * is found, by sending one at a time, and dropped (compare CUSTODY 11). */
void bridge_flow_blamed(struct bridge *b, const char *detail)
{
	struct slice stanza;

	if (!b->sm.asked || b->out.written == 0)
		return;
	if (!b->careful || b->out.written > 1) {
		b->careful = b->out.count;
		return;
	}
	if (++b->blamed < BLAME_MAX)
		return;
	bridge_queue_rewind(&b->out);
	bridge_queue_next(&b->out, &stanza);
	b->stats.refused++;
	log_err(CTX,
		"event=stanza_dropped reason=%s bytes=%zu stanza=%s next=\"the server ends the "
		"stream whenever it gets it; it was lost\"",
		log_quote(slice_str(detail)), stanza.len, log_quote(first_tag(stanza)));
	bridge_queue_wrote(&b->out, 0);
	arrived(b, 1);
	str_reset(&b->sm.id); /* what is counted is not what is here any more */
}

/* The answer to our question whether it is there. */
static bool is_ping_answer(const struct bridge *b, const struct stanza_in *st)
{
	return st->kind == STANZA_IQ && (st->type == TYPE_RESULT || st->type == TYPE_ERROR) &&
	       st->id.len > sizeof(PING_ID) - 1 &&
	       memcmp(st->id.data, PING_ID, sizeof(PING_ID) - 1) == 0 &&
	       slice_is(jid_full(&st->from), b->settings.domain);
}

static void to_program(struct bridge *b, struct slice line)
{
	bridge_exec_add(b->exec, line);
	b->uncounted += !b->sm.counts_in;
}

/* ---- to be sent */

static void log_refused(struct bridge *b, const char *why, struct slice line)
{
	struct monotime now = loop_now(b->loop);

	b->stats.refused++;
	b->refused_unsaid++;
	if (b->refused_said.us && monotime_ms_between(b->refused_said, now) < LOG_EVERY_MS)
		return;
	log_warn(CTX,
		 "event=line_refused reason=\"%s\" refused=%llu line=%s next=\"it was not sent; "
		 "callbridge --help says how lines are written\"",
		 why, (unsigned long long)b->refused_unsaid, log_quote(first_tag(line)));
	b->refused_said = now;
	b->refused_unsaid = 0;
}

/* What the server would not take does not go there: see bridge_flow_blamed(). */
static void send_stanza(struct bridge *b, struct slice stanza)
{
	const char *why = bridge_frame_fits(stanza, &b->settings.limits);

	if (why) {
		log_refused(b, why, stanza);
		return;
	}
	bridge_queue_add(&b->out, stanza);
	b->stats.stanzas_out++;
}

/* ---- from the server */

/* What is not for the program counts as handled all the same, in its turn. */
static void count_only(struct bridge *b)
{
	if (b->exec)
		to_program(b, SLICE_NONE);
	else
		b->sm.in += b->sm.counts_in;
}

static void give(struct bridge *b, const struct stanza_in *st)
{
	b->stats.stanzas_in++;
	str_reset(&b->scratch);
	if (is_ping_answer(b, st)) {
		count_only(b);
	} else if (b->exec) {
		bridge_frame_line(&b->scratch, st);
		to_program(b, str_slice(&b->scratch));
	} else {
		if (bridge_echo(&b->scratch, st, b->settings.name)) {
			send_stanza(b, str_slice(&b->scratch));
			b->stats.answered++;
		}
		b->sm.in += b->sm.counts_in;
	}
}

static void ignore(struct bridge *b, const struct stanza_in *st)
{
	log_warn(CTX, "event=stanza_ignored reason=%s",
		 log_quote(slice_str(st->why ? st->why : st->condition)));
	count_only(b);
}

bool bridge_flow_stanza(struct bridge *b, struct slice bytes)
{
	struct stanza_in st = {0};
	enum xml_verdict v = xml_in_stanza(b->xml, bytes, NS_COMPONENT, &st);
	bool good = v == XML_OK || v == XML_STANZA_BAD;
	bool mine = !good || st.root_is_stanza;

	if (!good)
		bridge_link_end(b, BRIDGE_CAUSE_PROTOCOL, "the server sent what is no XML");
	else if (mine && v == XML_OK)
		give(b, &st);
	else if (mine)
		ignore(b, &st);
	stanza_in_clear(&st);
	return mine;
}

/* ---- from and to the program */

static void on_line(void *arg, struct slice line)
{
	struct bridge *b = arg;
	const char *why;

	str_reset(&b->scratch);
	why = bridge_frame_stanza(&b->scratch, b->xml, line, b->settings.jid);
	if (why)
		log_refused(b, why, line);
	else
		send_stanza(b, str_slice(&b->scratch));
	update_program(b);
}

static void on_too_long(void *arg)
{
	struct bridge *b = arg;

	log_refused(b, "longer than callbridge.stanza_bytes", SLICE_NONE);
}

static void on_handled(void *arg, size_t lines)
{
	struct bridge *b = arg;
	size_t uncounted = lines < b->uncounted ? lines : b->uncounted;

	b->uncounted -= uncounted;
	if (b->sm.counts_in)
		b->sm.in += (uint32_t)(lines - uncounted);
}

static void on_exec_stopped(void *arg)
{
	struct bridge *b = arg;

	b->exec_stopped = true;
}

const struct bridge_exec_events bridge_flow_exec = {
	.on_line = on_line,
	.on_too_long = on_too_long,
	.on_handled = on_handled,
	.on_stopped = on_exec_stopped,
};

/* ---- up and down */

void bridge_flow_live(struct bridge *b, bool resumed)
{
	size_t again = b->out.written;

	bridge_queue_rewind(&b->out);
	b->stats.repeated += again;
	b->stats.resumed += resumed;
	/* What waits for the program from before is not counted in this session. */
	if (!resumed)
		b->uncounted = b->exec ? bridge_exec_lines(b->exec) : 0;
}

void bridge_flow_closing(struct bridge *b)
{
	if (b->link.live && b->sm.counts_in)
		say_ack(b);
}

void bridge_flow_down(struct bridge *b)
{
	if (b->acks_armed)
		loop_timer_stop(b->acks);
	b->acks_armed = false;
	if (!b->exec || !b->sm.counts_in)
		return;
	/* One that is partly in the pipe will be handled; the server need not send it again. It
	 * will not send again what came before <enabled/>. */
	if (bridge_exec_forget(b->exec, b->uncounted) && b->uncounted == 0)
		b->sm.in++;
	b->uncounted = bridge_exec_lines(b->exec);
	b->sm.counts_in = false;
}

/* ---- time */

static void ask_if_there(struct bridge *b)
{
	struct bridge_link *l = &b->link;
	struct str text = STR_INIT;

	l->asked_at = loop_now(b->loop);
	if (b->sm.asked && b->sm.counts_in) {
		ask_ack(b);
		return;
	}
	/* XEP-0199; any answer will do. */
	str_adds(&text, "<iq type='get'");
	xml_out_attr(&text, "from", slice_str(b->settings.jid));
	xml_out_attr(&text, "to", slice_str(b->settings.domain));
	str_addf(&text, " id='" PING_ID "%llu'><ping xmlns='" NS_PING "'/></iq>",
		 (unsigned long long)++l->dead_mark);
	conn_write(l->conn, text.data, text.len);
	str_clear(&text);
}

/* Whoever is not read cannot answer; but it shall see that we are here. */
static void say_we_are_here(struct bridge *b)
{
	struct bridge_link *l = &b->link;
	struct monotime now = loop_now(b->loop);

	if (monotime_ms_between(l->spoke_at, now) < SPEAK_MS)
		return;
	l->spoke_at = now;
	if (b->sm.counts_in)
		say_ack(b);
	else
		conn_write(l->conn, " ", 1);
	l->last_read = now;
	l->asked_at.us = 0;
}

static void check_server(struct bridge *b)
{
	struct bridge_link *l = &b->link;
	struct monotime now = loop_now(b->loop);

	if (!b->settings.check_ms)
		return;
	if (l->asked_at.us && !monotime_before(l->last_read, l->asked_at))
		l->asked_at.us = 0;
	if (l->asked_at.us) {
		if (monotime_ms_between(l->asked_at, now) >= b->settings.check_wait_ms)
			bridge_link_end(b, BRIDGE_CAUSE_SILENT,
					"the server did not answer a question whether it is there");
	} else if (monotime_ms_between(l->last_read, now) >= b->settings.check_ms) {
		ask_if_there(b);
	}
}

void bridge_flow_tick(void *arg)
{
	struct bridge *b = arg;
	struct bridge_link *l = &b->link;

	if (!l->live || l->gone || l->ending)
		return;
	if (l->paused)
		say_we_are_here(b);
	else
		check_server(b);
}

void bridge_flow_turn(void *arg)
{
	struct bridge *b = arg;
	struct bridge_link *l = &b->link;

	bridge_link_sweep(b);
	if (b->exec)
		bridge_exec_flush(b->exec);
	bridge_link_feed_more(b);
	if (l->live && !l->gone && !l->ending) {
		write_queue(b);
		acknowledge(b);
		if (b->out.held_bytes > UNACKED_HARD * b->settings.queue_bytes)
			bridge_link_end(b, BRIDGE_CAUSE_SILENT,
					"the server acknowledges nothing of what it is sent");
	}
	update_program(b);
	bridge_check_stopped(b);
}
