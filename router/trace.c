#include "router/trace.h"

#include <stdlib.h>
#include <time.h>

#include "base/json.h"
#include "base/list.h"
#include "base/xmem.h"
#include "ipc/link.h"
#include "xmpp/xml_mask.h"
#include "xmpp/xml_out.h"

#define XML_MAX	    4096
#define SIDS_MAX    64
#define BACKLOG_MAX (1024 * 1024) /* bytes on the way to a command that does not read */
#define SECOND_US   1000000

struct trace {
	struct list link;
	uint32_t id;
	struct link *to; /* NULL: it has left */
	uint64_t req;
	struct trace_filter filter;
	struct monotime end;
	struct monotime refilled;
	unsigned int tokens;
	uint64_t dropped; /* since that was told */
	uint64_t lines, dropped_all;
	uint64_t sids[SIDS_MAX]; /* of a watched address: sessions that were bound from it */
	size_t nsids;
	bool over;
};

struct traces {
	struct trace_limits limits;
	struct list all;
	unsigned int count;
	uint32_t last_id;
	struct str line;
};

static struct trace *trace_of(struct list *l)
{
	return list_entry(l, struct trace, link);
}

struct traces *traces_new(struct trace_limits limits)
{
	struct traces *t = xcalloc(1, sizeof(*t));

	t->limits = limits;
	list_init(&t->all);
	str_init(&t->line);
	return t;
}

static void trace_remove(struct traces *t, struct trace *tr)
{
	list_remove(&tr->link);
	t->count--;
	free(tr);
}

void traces_free(struct traces **tp)
{
	struct traces *t = *tp;
	struct list *first;

	*tp = NULL;
	if (!t)
		return;
	while ((first = list_first(&t->all)))
		trace_remove(t, trace_of(first));
	str_clear(&t->line);
	free(t);
}

/* ---- lines */

static void put(struct trace *tr, const struct str *line, bool more)
{
	link_put_admin_reply(tr->to,
			     &(struct msg_admin_reply){tr->req, ERR_OK, more, str_slice(line)});
}

static void add_time(struct str *out, uint64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	str_addf(out, "{\"time\":\"%s.%03uZ\"", text, (unsigned int)(wall_ms % 1000));
}

static void add(struct str *out, const char *key, struct slice text)
{
	str_addf(out, ",\"%s\":", key);
	json_text(out, text);
}

/* A rate with the burst of one second. */
static bool may_speak(struct traces *t, struct trace *tr, struct monotime now)
{
	uint64_t us = now.us - tr->refilled.us;
	uint64_t earned = us * t->limits.lines / SECOND_US;

	if (us >= SECOND_US) {
		tr->tokens = t->limits.lines;
		tr->refilled = now;
	} else if (earned) {
		tr->tokens += (unsigned int)earned;
		tr->refilled.us += earned * SECOND_US / t->limits.lines;
	}
	if (tr->tokens > t->limits.lines)
		tr->tokens = t->limits.lines;
	if (!tr->to || tr->over || tr->tokens == 0 || link_unreceipted(tr->to) > BACKLOG_MAX)
		return false;
	tr->tokens--;
	return true;
}

static void tell_dropped(struct trace *tr)
{
	struct str line = STR_INIT;

	if (!tr->dropped)
		return;
	str_addf(&line, "{\"what\":\"dropped\",\"count\":%llu}\n", (unsigned long long)tr->dropped);
	tr->dropped = 0;
	put(tr, &line, true);
	str_clear(&line);
}

static void speak(struct trace *tr, const struct str *line)
{
	tell_dropped(tr);
	put(tr, line, true);
	tr->lines++;
}

static void drop(struct trace *tr, uint64_t count)
{
	tr->dropped += count;
	tr->dropped_all += count;
}

/* ---- who watches */

enum err traces_start(struct traces *t, struct link *link, uint64_t req, struct slice what,
		      unsigned int seconds, struct monotime now, uint32_t *id)
{
	struct trace *tr;

	if (t->count >= t->limits.traces)
		return ERR_FULL;
	tr = xcalloc(1, sizeof(*tr));
	if (seconds < 1 || seconds > TRACE_SECONDS_MAX ||
	    trace_filter_parse(&tr->filter, what) != ERR_OK) {
		free(tr);
		return ERR_FORMAT;
	}
	*id = tr->id = ++t->last_id;
	tr->to = link;
	tr->req = req;
	tr->refilled = now;
	tr->tokens = t->limits.lines;
	tr->end = monotime_add_ms(now, (uint64_t)seconds * 1000);
	list_append(&t->all, &tr->link);
	t->count++;
	str_reset(&t->line);
	str_adds(&t->line, "{\"what\":\"started\"");
	add(&t->line, "filter", slice_of(tr->filter.text, tr->filter.len));
	str_addf(&t->line, ",\"seconds\":%u}\n", seconds);
	put(tr, &t->line, true);
	return ERR_OK;
}

void traces_leave(struct traces *t, const struct link *link)
{
	list_each (it, &t->all) {
		struct trace *tr = trace_of(it);

		if (tr->to == link)
			tr->to = NULL;
	}
}

static void finish(struct traces *t, struct trace *tr)
{
	tell_dropped(tr);
	str_reset(&t->line);
	str_addf(&t->line, "{\"what\":\"ended\",\"lines\":%llu,\"dropped\":%llu}\n",
		 (unsigned long long)tr->lines, (unsigned long long)tr->dropped_all);
	put(tr, &t->line, false);
}

void traces_tick(struct traces *t, struct monotime now, void (*removed)(void *arg, uint32_t id),
		 void *arg)
{
	list_each_safe (it, &t->all) {
		struct trace *tr = trace_of(it);
		uint32_t id = tr->id;

		if (tr->to && monotime_before(now, tr->end)) {
			if (tr->dropped && may_speak(t, tr, now))
				tell_dropped(tr);
			continue;
		}
		if (tr->to)
			finish(t, tr);
		trace_remove(t, tr);
		removed(arg, id);
	}
}

bool traces_next(const struct traces *t, size_t *it, uint32_t *id,
		 const struct trace_filter **filter)
{
	size_t i = 0;

	list_each (l, &t->all) {
		const struct trace *tr = trace_of(l);

		if (i++ != *it)
			continue;
		*it = i;
		*id = tr->id;
		*filter = &tr->filter;
		return true;
	}
	return false;
}

/* ---- what happens */

static bool knows_sid(const struct trace *tr, uint64_t sid)
{
	for (size_t i = 0; sid && i < tr->nsids; i++)
		if (tr->sids[i] == sid)
			return true;
	return false;
}

static void learn_sid(struct trace *tr, uint64_t sid)
{
	if (!sid || knows_sid(tr, sid))
		return;
	if (tr->nsids == SIDS_MAX) { /* the oldest has most likely ended */
		memmove(tr->sids, tr->sids + 1, (SIDS_MAX - 1) * sizeof(tr->sids[0]));
		tr->nsids--;
	}
	tr->sids[tr->nsids++] = sid;
}

static bool watches(const struct trace *tr, const struct trace_stanza *st)
{
	if (tr->filter.kind == TRACE_ADDR)
		return knows_sid(tr, st->sid);
	return trace_filter_jid(&tr->filter, st->session) ||
	       trace_filter_jid(&tr->filter, st->s->from) ||
	       trace_filter_jid(&tr->filter, st->s->to);
}

static void write_stanza(struct str *out, const struct trace_stanza *st, uint64_t wall_ms)
{
	const struct session_stanza *s = st->s;
	struct str inner = STR_INIT, xml = STR_INIT;

	xml_mask(&inner, s->inner, XML_MAX);
	xml_out_stanza(&xml, &(struct stanza_out){.kind = s->kind,
						  .type = s->type,
						  .from = s->from,
						  .to = s->to,
						  .id = s->id,
						  .lang = s->lang,
						  .inner = str_slice(&inner)});
	str_reset(out);
	add_time(out, wall_ms);
	str_addf(out, ",\"what\":\"stanza\",\"dir\":\"%s\"", st->dir);
	add(out, "session", st->session);
	add(out, "kind", slice_str(stanza_kind_name(s->kind)));
	add(out, "type", slice_str(stanza_type_name(s->type)));
	add(out, "id", s->id);
	add(out, "from", s->from);
	add(out, "to", s->to);
	str_addf(out, ",\"bytes\":%zu", s->inner.len);
	add(out, "xml", str_slice(&xml));
	str_adds(out, "}\n");
	str_clear(&inner);
	str_clear(&xml);
}

void traces_stanza(struct traces *t, const struct trace_stanza *st, struct trace_when when)
{
	bool written = false; /* once for all who watch */

	list_each (it, &t->all) {
		struct trace *tr = trace_of(it);

		if (!watches(tr, st))
			continue;
		if (!may_speak(t, tr, when.now)) {
			drop(tr, 1);
			continue;
		}
		if (!written)
			write_stanza(&t->line, st, when.wall_ms);
		written = true;
		speak(tr, &t->line);
	}
}

static void write_event(struct str *out, const char *instance, const struct msg_traced *m,
			uint64_t wall_ms)
{
	str_reset(out);
	add_time(out, wall_ms);
	str_adds(out, ",\"what\":\"stream\"");
	add(out, "instance", slice_str(instance));
	add(out, "conn", m->conn);
	add(out, "addr", m->addr);
	add(out, "jid", m->jid);
	add(out, "event", m->event);
	add(out, "detail", m->detail);
	str_adds(out, "}\n");
}

void traces_event(struct traces *t, const char *instance, const struct msg_traced *m,
		  struct trace_when when)
{
	list_each (it, &t->all) {
		struct trace *tr = trace_of(it);

		if (tr->id != m->id)
			continue;
		learn_sid(tr, m->sid);
		if (slice_is(m->event, "dropped")) { /* there already; detail is the number */
			char text[24];

			snprintf(text, sizeof(text), "%.*s", SLICE_ARG(m->detail));
			drop(tr, strtoull(text, NULL, 10));
		} else if (!may_speak(t, tr, when.now)) {
			drop(tr, 1);
		} else {
			write_event(&t->line, instance, m, when.wall_ms);
			speak(tr, &t->line);
		}
		return;
	}
}
