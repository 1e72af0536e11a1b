#include "session/archive.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/xmem.h"
#include "ipc/db_archive.h"
#include "ipc/stanza_kinds.h"
#include "session/archive_id.h"
#include "session/archive_prefs.h"
#include "session/data_job.h"
#include "session/registry.h"
#include "session/reply.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_out.h"

#define BATCH_MS    20
#define BATCH_BYTES (64u * 1024)
#define HOLD_MS	    1000  /* then stanzas are held no longer, and queries do not wait */
#define DEADLINE_MS 60000 /* the longest there is (router/store_ops.h) */
#define TELL_MS	    10000 /* between two lines about gaps */
#define ALARM_MS    60000

struct batch {
	struct list link;  /* in archive.sent */
	struct archive *a; /* NULL: it is gone */
	uint64_t seq;
	struct custody_entry **held;
	size_t nheld, room;
	size_t bytes;
	unsigned int messages;
	struct monotime since; /* its first message; then when it was sent */
};

struct waiting {
	struct list link;
	uint64_t seq; /* waits for this batch */
	struct monotime since;
	struct parked *parked;
	void (*go)(struct inbound *in, bool complete);
};

struct archive {
	struct session_manager *m;
	struct monotime now; /* of the last turn */
	bool enabled, on;
	uint8_t policy;
	unsigned int page_max;
	size_t queue_bytes;

	struct archive_memory memory;
	struct batch *open;
	struct str list, owners;
	struct map numbers; /* bare JID -> number of the owner + 1 */
	struct list sent;   /* struct batch */
	uint64_t seq, answered;
	size_t bytes; /* of open and sent ones */
	bool slow;    /* the oldest was not answered in time: nothing is held */
	struct list waiting;

	struct str entry, id_inner, id_children; /* of the message in hand */

	unsigned int gap; /* messages, not told yet */
	const char *gap_reason;
	struct monotime gap_told, gap_at;
	bool gap_stands;
	struct {
		uint64_t messages, batches, gaps;
	} count;
};

struct archive *archive_new(struct session_manager *m)
{
	struct archive *a = xcalloc(1, sizeof(*a));

	a->m = m;
	archive_memory_init(&a->memory, m);
	str_init(&a->list);
	str_init(&a->owners);
	str_init(&a->entry);
	str_init(&a->id_inner);
	str_init(&a->id_children);
	map_init(&a->numbers);
	list_init(&a->sent);
	list_init(&a->waiting);
	return a;
}

static void batch_free(struct batch *b)
{
	list_remove(&b->link);
	free(b->held);
	free(b);
}

static void waiting_free(struct archive *a, struct waiting *w, bool host_is_there)
{
	struct inbound in;

	list_remove(&w->link);
	reply_resume(w->parked, a->m, &in);
	data_leave_for(a->m, in.s.from);
	reply_unpark(&w->parked, host_is_there ? a->m : NULL);
	free(w);
}

void archive_free(struct archive **ap)
{
	struct archive *a = *ap;

	*ap = NULL;
	if (!a)
		return;
	list_each_safe (it, &a->sent) {
		list_remove(it);
		list_entry(it, struct batch, link)->a = NULL;
	}
	list_each_safe (it, &a->waiting)
		waiting_free(a, list_entry(it, struct waiting, link), false);
	if (a->open)
		batch_free(a->open);
	archive_memory_clear(&a->memory);
	map_clear(&a->numbers);
	str_clear(&a->list);
	str_clear(&a->owners);
	str_clear(&a->entry);
	str_clear(&a->id_inner);
	str_clear(&a->id_children);
	free(a);
}

void archive_configure(struct archive *a, const struct session_config *cfg)
{
	a->enabled = cfg->archive_default != NULL;
	a->on = a->enabled && a->m->host.origin;
	a->policy = ARCHIVE_ALWAYS;
	if (a->on)
		db_archive_policy_parse(slice_str(cfg->archive_default), &a->policy);
	a->queue_bytes = cfg->archive_queue_bytes;
	a->page_max = cfg->archive_page_max;
}

bool archive_enabled(const struct archive *a)
{
	return a->enabled;
}

unsigned int archive_page_max(const struct archive *a)
{
	return a->page_max;
}

struct archive_memory *archive_memory(struct archive *a)
{
	return &a->memory;
}

uint8_t archive_policy(const struct archive *a)
{
	return a->policy;
}

/* One line for what happened in ten seconds. */
static void tell_gap(struct archive *a, struct monotime now)
{
	if (!a->gap || (a->gap_told.us && monotime_ms_between(a->gap_told, now) < TELL_MS))
		return;
	log_warn(
		"-",
		"event=archive-gap messages=%u reason=%s hint=\"they were delivered but are not in "
		"the archives; see the log of datastore\"",
		a->gap, a->gap_reason);
	a->gap = 0;
	a->gap_told = now;
}

static void note_gap(struct archive *a, unsigned int messages, const char *reason,
		     struct monotime now)
{
	a->gap += messages;
	a->count.gaps += messages;
	a->gap_reason = reason;
	a->gap_at = now;
	a->gap_stands = true;
	tell_gap(a, now);
}

const char *archive_alarm(const struct archive *a)
{
	return a->gap_stands ? "messages are delivered but not archived: see event=archive-gap in "
			       "the log of router, and the log of datastore"
			     : NULL;
}

static void batch_release(struct batch *b)
{
	struct session_manager *m = b->a->m;

	for (size_t i = 0; i < b->nheld; i++)
		m->host.release(m->ctx, b->held[i]);
	b->nheld = 0;
}

/* Those whose messages are in the datastore, or that have waited long enough, go on. */
static void go_on(struct archive *a, struct monotime now)
{
	list_each_safe (it, &a->waiting) {
		struct waiting *w = list_entry(it, struct waiting, link);
		bool complete = w->seq <= a->answered;
		struct inbound in;

		if (!complete && monotime_ms_between(w->since, now) < HOLD_MS)
			break;
		list_remove(it);
		reply_resume(w->parked, a->m, &in);
		if (reply_orphaned(w->parked, &in))
			reply_drop(&in, "request of a session that is gone");
		else
			w->go(&in, complete);
		waiting_free(a, w, true);
	}
}

static void on_added(void *arg, enum err status, uint16_t type, struct slice body)
{
	struct batch *b = arg;
	struct archive *a = b->a;

	(void)type;
	(void)body;
	/* ERR_CLOSED: the host itself is being taken down; custody is not there any more. */
	if (!a || status == ERR_CLOSED) {
		batch_free(b);
		return;
	}
	a->bytes -= b->bytes;
	a->slow = false;
	if (b->seq > a->answered)
		a->answered = b->seq;
	if (status != ERR_OK)
		note_gap(a, b->messages, err_name(status), a->now);
	batch_release(b);
	batch_free(b);
	go_on(a, a->now);
}

static void send(struct archive *a, struct monotime now)
{
	struct batch *b = a->open;
	struct str record = STR_INIT;

	msg_db_archive_add_put(
		&record, &(struct msg_db_archive_add){str_slice(&a->owners), str_slice(&a->list)});
	a->open = NULL;
	str_reset(&a->list);
	str_reset(&a->owners);
	map_clear(&a->numbers);
	b->since = now;
	list_append(&a->sent, &b->link);
	a->count.batches++;
	a->m->host.store(a->m->ctx, str_slice(&record), DEADLINE_MS, on_added, b);
	str_clear(&record);
}

static struct batch *batch_open(struct archive *a, struct monotime now)
{
	struct batch *b = xcalloc(1, sizeof(*b));

	list_init(&b->link);
	b->a = a;
	b->seq = ++a->seq;
	b->since = now;
	a->open = b;
	return b;
}

/* Its number in this batch. */
static uint16_t owner_number(struct archive *a, struct slice bare, struct archive_owner *owner)
{
	uintptr_t n;

	if (owner->batch == a->seq)
		return owner->number;
	n = (uintptr_t)map_find(&a->numbers, bare);
	if (n == 0) {
		n = a->numbers.count + 1;
		map_put(&a->numbers, bare, (void *)n);
		codec_put_str(&a->owners, bare);
	}
	owner->batch = a->seq;
	owner->number = (uint16_t)(n - 1);
	return owner->number;
}

static void hold(struct archive *a, struct batch *b, struct custody_entry *e)
{
	if (a->slow)
		return;
	if (b->nheld == b->room) {
		b->room = b->room ? 2 * b->room : 64;
		b->held = xrealloc(b->held, b->room * sizeof(*b->held));
	}
	b->held[b->nheld++] = e;
	a->m->host.hold(a->m->ctx, e);
}

/* XEP-0313 5.1.1, XEP-0334: what says something to a person, or wants to be kept. */
static bool worth_archiving(const struct inbound *in)
{
	const struct session_stanza *s = &in->s;

	if (!in->m->archive->on || !in->e || s->kind != STANZA_MESSAGE)
		return false;
	if (s->flags & (STANZA_NO_ARCHIVE | STANZA_CARBON | STANZA_ARCHIVED))
		return false;
	if (s->type == TYPE_GROUPCHAT || s->type == TYPE_HEADLINE || s->type == TYPE_ERROR)
		return false;
	return s->flags & (STANZA_HAS_BODY | STANZA_STORE);
}

/* The account here whose archive a message with this address belongs to, or nothing. */
static struct slice owner_of(const struct session_manager *m, struct slice jid)
{
	if (jid_text_local(jid).len == 0 || !session_is_local(m, jid_text_domain(jid)))
		return SLICE_NONE;
	return jid_text_bare(jid);
}

static void pack(struct archive *a, const struct inbound *in, struct db_archive_id id)
{
	str_reset(&a->entry);
	db_archive_entry_put(&a->entry,
			     &(struct db_archive_entry){.id = id,
							.stamp_ms = manager_wall_ms(in->m),
							.type = in->s.type,
							.from = in->s.from,
							.to = in->s.to,
							.stanza_id = in->s.id,
							.lang = in->s.lang,
							.inner = in->s.inner});
}

static struct db_archive_id id_of(const struct inbound *in)
{
	uint64_t sid, n;

	in->m->host.origin(in->m->ctx, in->e, &sid, &n);
	return archive_id(sid, n);
}

/* One whose archive the message may go into. */
struct party {
	struct slice bare; /* empty: nobody's here */
	struct archive_owner *owner;
	enum archive_wish wish;
};

static struct party party_of(const struct inbound *in, struct slice jid, struct slice peer,
			     struct user *u)
{
	struct archive *a = in->m->archive;
	struct party p = {.bare = owner_of(in->m, jid)};

	if (p.bare.len == 0)
		return p;
	p.owner = archive_memory_owner(&a->memory, p.bare, u);
	p.wish = archive_memory_wish(&a->memory, p.owner, p.bare, peer, a->policy, in->now);
	return p;
}

static uint16_t number_of(struct archive *a, const struct party *p)
{
	return p->wish == ARCHIVE_UNWANTED ? DB_ARCHIVE_NOBODY : owner_number(a, p->bare, p->owner);
}

/* false: too much is waiting. */
static bool add(struct archive *a, const struct inbound *in, struct db_archive_addition *what,
		const struct party *sender, const struct party *receiver)
{
	size_t bytes = in->s.inner.len + in->s.from.len + in->s.to.len;
	struct batch *b = a->open;

	if (a->bytes + bytes > a->queue_bytes) {
		note_gap(a, 1, "queue", in->now);
		return false;
	}
	if (!b)
		b = batch_open(a, in->now);
	pack(a, in, id_of(in));
	what->sender = number_of(a, sender);
	what->receiver = number_of(a, receiver);
	what->entry = str_slice(&a->entry);
	bytes = a->list.len;
	db_archive_addition_put(&a->list, what);
	bytes = a->list.len - bytes;
	b->bytes += bytes;
	a->bytes += bytes;
	b->messages++;
	a->count.messages++;
	hold(a, b, in->e);
	if (a->list.len >= BATCH_BYTES)
		send(a, in->now);
	return true;
}

static size_t count(struct slice index)
{
	struct stanza_child c;
	size_t n = 0;

	while (stanza_child_get(&index, &c))
		n++;
	return n;
}

static void append_name(struct session_stanza *s, struct slice by, struct db_archive_id id,
			struct str *inner, struct str *children)
{
	char text[ARCHIVE_ID_TEXT];

	archive_id_format(id, text);
	str_reset(inner);
	str_reserve(inner, s->inner.len + by.len + 96);
	str_add_slice(inner, s->inner);
	str_adds(inner, "<stanza-id xmlns='" NS_STANZA_ID "'");
	xml_out_attr(inner, "by", by);
	str_adds(inner, " id='");
	str_adds(inner, text);
	str_adds(inner, "'/>");
	str_reset(children);
	str_add_slice(children, s->children);
	if (count(s->children) < STANZA_CHILD_MAX)
		stanza_child_put(
			children,
			&(struct stanza_child){.ns = NS_ID_STANZA_ID,
					       .name = NAME_ID_STANZA_ID,
					       .offset = (uint32_t)s->inner.len,
					       .length = (uint32_t)(inner->len - s->inner.len)});
	s->inner = str_slice(inner);
	s->children = str_slice(children);
	s->flags |= STANZA_HAS_SID;
}

void archive_message(struct inbound *in, struct user *to, bool again)
{
	struct archive *a = in->m->archive;
	struct db_archive_addition what = {.again = again};
	struct party sender, receiver;

	if (!worth_archiving(in))
		return;
	sender = party_of(in, in->s.from, in->s.to, in->sender ? in->sender->user : NULL);
	receiver = party_of(in, in->s.to, in->s.from, to);
	if (sender.wish == ARCHIVE_UNWANTED && receiver.wish == ARCHIVE_UNWANTED)
		return;
	if (!what.again && in->m->host.repeated)
		what.again = in->m->host.repeated(in->m->ctx, in->e);
	if (!add(a, in, &what, &sender, &receiver))
		return;
	if (receiver.wish != ARCHIVE_WANTED)
		return;
	append_name(&in->s, receiver.bare, id_of(in), &a->id_inner, &a->id_children);
	in->s.flags |= STANZA_ARCHIVED;
}

void archive_name_sent(const struct inbound *in, struct session_stanza *s, struct str *inner,
		       struct str *children)
{
	struct party sender;

	if (!worth_archiving(in))
		return;
	sender = party_of(in, in->s.from, in->s.to, in->sender ? in->sender->user : NULL);
	if (sender.wish == ARCHIVE_WANTED)
		append_name(s, sender.bare, id_of(in), inner, children);
}

void archive_wait(struct inbound *in, void (*go)(struct inbound *in, bool complete))
{
	struct archive *a = in->m->archive;
	struct waiting *w;

	if (a->open)
		send(a, in->now);
	if (a->slow || list_empty(&a->sent)) {
		go(in, !a->slow);
		return;
	}
	if (!data_enter_for(in))
		return;
	w = xcalloc(1, sizeof(*w));
	w->seq = a->seq;
	w->since = in->now;
	w->parked = reply_park(in);
	w->go = go;
	list_append(&a->waiting, &w->link);
}

/* The datastore does not answer: nobody waits for it any longer. */
static void release_overdue(struct archive *a, struct monotime now)
{
	list_each (it, &a->sent) {
		struct batch *b = list_entry(it, struct batch, link);

		if (monotime_ms_between(b->since, now) < HOLD_MS)
			break;
		a->slow = true;
		batch_release(b);
	}
}

unsigned int archive_flush(struct archive *a, struct monotime now)
{
	uint64_t age = a->open ? monotime_ms_between(a->open->since, now) : 0;

	a->now = now;
	archive_memory_trim(&a->memory);
	if (a->open && age >= BATCH_MS) {
		send(a, now);
		age = 0;
	}
	if (!list_empty(&a->sent))
		release_overdue(a, now);
	if (!list_empty(&a->waiting))
		go_on(a, now);
	if (a->gap)
		tell_gap(a, now);
	if (a->gap_stands && monotime_ms_between(a->gap_at, now) > ALARM_MS)
		a->gap_stands = false;
	return a->open ? BATCH_MS - (unsigned int)age : 0;
}

bool archive_busy(const struct archive *a)
{
	return a->open || !list_empty(&a->sent);
}

void archive_stats(const struct archive *a, struct str *out)
{
	str_addf(out,
		 "archive_messages=%llu archive_batches=%llu archive_gaps=%llu archive_queue=%zu",
		 (unsigned long long)a->count.messages, (unsigned long long)a->count.batches,
		 (unsigned long long)a->count.gaps, a->bytes);
}
