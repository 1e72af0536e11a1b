#include "router/store_ops.h"

#include <stdlib.h>

#include "base/blob.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/xmem.h"
#include "ipc/link.h"

#define PENDING_MAX	100000
#define MARGIN_MS	500
#define DEADLINE_MAX_MS 60000
#define SUSPECT_BOOTS	2
#define PROOF_TRIALS	8
#define BYTES_MAX	(4u * 1024 * 1024) /* kept of one that is quarantined */

struct op {
	struct list link;
	struct list suspect; /* store_ops.suspects, until it is sent */
	uint64_t id[2];	     /* boot, n */
	struct link *from;
	store_done_fn *done;
	void *arg;
	struct monotime deadline;
	uint32_t deadline_ms;
	uint8_t boots; /* that died while they had it */
	bool sent;     /* to this one */
	bool resent;   /* counted in store_ops.resent */
	struct blob *body;
};

struct store_ops {
	uint64_t boot;
	uint64_t next_n;
	struct link *datastore;
	struct map by_id;
	struct list ops; /* in order of arrival: sent again in that order */
	struct list suspects;
	struct op *alone; /* the suspect that is at the datastore */
	size_t resent;	  /* not answered yet: suspects wait for them */
	unsigned int tried;
	struct store_ops_books books;
};

struct store_ops *store_ops_new(uint64_t boot)
{
	struct store_ops *s = xcalloc(1, sizeof(*s));

	s->boot = boot;
	map_init(&s->by_id);
	list_init(&s->ops);
	list_init(&s->suspects);
	return s;
}

static struct slice op_key(const uint64_t id[2])
{
	return slice_of((const char *)id, 2 * sizeof(id[0]));
}

static void op_free(struct store_ops *s, struct op *o)
{
	map_remove(&s->by_id, op_key(o->id));
	list_remove(&o->link);
	list_remove(&o->suspect);
	s->resent -= o->resent;
	if (s->alone == o)
		s->alone = NULL;
	blob_unref(&o->body);
	free(o);
}

void store_ops_free(struct store_ops **sp)
{
	struct store_ops *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	list_each_safe (it, &s->ops) {
		struct op *o = list_entry(it, struct op, link);
		store_done_fn *done = o->done;
		void *arg = o->arg;

		op_free(s, o);
		if (done)
			done(arg, ERR_CLOSED, 0, SLICE_NONE);
	}
	map_clear(&s->by_id);
	free(s);
}

/* For the datastore not how long, but until when, by the clock of the machine that both share: the
 * request may lie on its way for as long as the datastore hangs, and what is answered ERR_TIMEOUT
 * must not be done later. It ends before ours, so that what it has begun in time is heard of. */
static uint32_t until(const struct op *o)
{
	uint32_t margin = o->deadline_ms > 2 * MARGIN_MS ? MARGIN_MS : 0;
	uint32_t ms = (uint32_t)(o->deadline.us / 1000) - margin;

	if (o->deadline_ms == STORE_OPS_FOREVER)
		return 0;
	return ms ? ms : 1;
}

static void send_op(struct store_ops *s, struct op *o)
{
	if (!s->datastore)
		return;
	o->sent = true;
	link_put_store(s->datastore,
		       &(struct msg_store){o->id[0], o->id[1], until(o), blob_slice(o->body)});
}

static uint16_t op_type(const struct op *o)
{
	struct slice in = blob_slice(o->body), body;
	uint16_t type = 0;

	return codec_next(&in, &type, &body) == ERR_OK ? type : 0;
}

/* The next suspect goes when nothing of before is at the datastore. */
static void try_next(struct store_ops *s)
{
	struct op *o;

	if (!s->datastore || s->alone || s->resent || list_empty(&s->suspects))
		return;
	o = list_entry(list_first(&s->suspects), struct op, suspect);
	list_remove(&o->suspect);
	s->alone = o;
	s->tried++;
	s->books.suspects++;
	log_warn("store", "event=suspect_tried op=%016llx/%llu type=%s boots=%u",
		 (unsigned long long)o->id[0], (unsigned long long)o->id[1], codec_name(op_type(o)),
		 o->boots);
	send_op(s, o);
}

/* The operation is taken out before anybody is told: a callback may ask again. */
static void finish(struct store_ops *s, struct op *o, const struct msg_stored *m)
{
	store_done_fn *done = o->done;
	void *arg = o->arg;
	struct link *from = o->from;
	struct slice in = m->body, body = SLICE_NONE;
	uint16_t type = 0;

	op_free(s, o);
	try_next(s);
	if (from)
		link_put_stored(from, m);
	if (!done)
		return;
	if (in.len && codec_next(&in, &type, &body) != ERR_OK) {
		done(arg, ERR_CORRUPT, 0, SLICE_NONE);
		return;
	}
	done(arg, (enum err)m->status, type, body);
}

/* The datastore that they were sent to has died. */
static void count_boot(struct store_ops *s)
{
	list_each (it, &s->ops) {
		struct op *o = list_entry(it, struct op, link);

		if (o->sent && o->boots < UINT8_MAX)
			o->boots++;
		if (o->boots >= SUSPECT_BOOTS && op_type(o) == MSG_DB_QUARANTINE)
			o->boots = 0;
		o->sent = o->resent = false;
		list_remove(&o->suspect);
	}
	s->resent = 0;
	s->tried = 0;
	s->alone = NULL;
}

static void send_again(struct store_ops *s)
{
	list_each (it, &s->ops) {
		struct op *o = list_entry(it, struct op, link);

		if (o->boots >= SUSPECT_BOOTS) {
			list_append(&s->suspects, &o->suspect);
			continue;
		}
		o->resent = true;
		s->resent++;
		send_op(s, o);
	}
}

/* A password, or what a component proves its identity with. */
static bool is_secret(uint16_t type)
{
	return type == MSG_DB_ACCOUNT_PASSWORD || type == MSG_DB_COMPONENT_ADD ||
	       type == MSG_DB_COMPONENT_SET;
}

static void keep_bytes(struct store_ops *s, const struct op *o)
{
	struct slice bytes = blob_slice(o->body);
	struct str about = STR_INIT, body = STR_INIT;

	log_err("store",
		"event=quarantined op=%016llx/%llu type=%s bytes=%zu hint=\"the datastore stopped "
		"each time it had this request: it is answered with an error; the bytes are in "
		"data/quarantine, report them\"",
		(unsigned long long)o->id[0], (unsigned long long)o->id[1], codec_name(op_type(o)),
		bytes.len);
	str_addf(&about, "request op=%016llx/%llu type=%s bytes=%zu", (unsigned long long)o->id[0],
		 (unsigned long long)o->id[1], codec_name(op_type(o)), bytes.len);
	if (bytes.len > BYTES_MAX)
		bytes.len = BYTES_MAX;
	if (is_secret(op_type(o)))
		bytes = SLICE_NONE; /* never on disk */
	msg_db_quarantine_put(&body, &(struct msg_db_quarantine){str_slice(&about), bytes});
	store_ops_ask(s, str_slice(&body), STORE_OPS_FOREVER, NULL, NULL, (struct monotime){0});
	str_clear(&about);
	str_clear(&body);
}

static void quarantine(struct store_ops *s, struct op *o)
{
	s->books.quarantined++;
	keep_bytes(s, o);
	finish(s, o,
	       &(struct msg_stored){
		       .op_boot = o->id[0],
		       .op_n = o->id[1],
		       .status = ERR_QUARANTINED,
		       .text = slice_str("the datastore stopped each time it had this request; its "
					 "bytes are in data/quarantine, report them"),
	       });
}

void store_ops_attach(struct store_ops *s, struct link *datastore)
{
	struct op *guilty = s->alone && s->tried <= PROOF_TRIALS ? s->alone : NULL;

	s->datastore = datastore;
	if (!datastore)
		return;
	count_boot(s);
	if (guilty)
		list_remove(&guilty->link); /* its answer follows what is sent again */
	send_again(s);
	if (guilty)
		quarantine(s, guilty);
	try_next(s);
}

static struct op *op_add(struct store_ops *s, uint64_t boot, uint64_t n, struct slice body,
			 uint32_t deadline_ms, struct monotime now)
{
	struct op *o = xcalloc(1, sizeof(*o));

	list_init(&o->suspect);
	o->id[0] = boot;
	o->id[1] = n;
	o->deadline_ms = deadline_ms < DEADLINE_MAX_MS || deadline_ms == STORE_OPS_FOREVER
				 ? deadline_ms
				 : DEADLINE_MAX_MS;
	o->deadline = monotime_add_ms(now, o->deadline_ms);
	o->body = blob_new(body.data, body.len);
	if (is_secret(op_type(o)))
		blob_set_secret(o->body);
	map_put(&s->by_id, op_key(o->id), o);
	list_append(&s->ops, &o->link);
	return o;
}

static void answer(struct link *to, const uint64_t id[2], enum err status, const char *text)
{
	link_put_stored(to, &(struct msg_stored){
				    .op_boot = id[0],
				    .op_n = id[1],
				    .status = (uint8_t)status,
				    .text = slice_str(text),
			    });
}

void store_ops_forward(struct store_ops *s, struct link *from, const struct msg_store *m,
		       struct monotime now)
{
	uint64_t id[2] = {m->op_boot, m->op_n};
	struct op *o = map_find(&s->by_id, op_key(id));

	if (o) {
		o->from = from; /* asked again: the answer is on its way */
		return;
	}
	if (s->by_id.count >= PENDING_MAX) {
		answer(from, id, ERR_FULL, "too many requests wait for the datastore; try later");
		return;
	}
	o = op_add(s, m->op_boot, m->op_n, m->body, m->deadline_ms, now);
	o->from = from;
	send_op(s, o);
}

void store_ops_ask(struct store_ops *s, struct slice body, uint32_t deadline_ms,
		   store_done_fn *done, void *arg, struct monotime now)
{
	struct op *o = op_add(s, s->boot, ++s->next_n, body, deadline_ms, now);

	o->done = done;
	o->arg = arg;
	send_op(s, o);
}

void store_ops_answer(struct store_ops *s, const struct msg_stored *m)
{
	uint64_t id[2] = {m->op_boot, m->op_n};
	struct op *o = map_find(&s->by_id, op_key(id));

	if (o)
		finish(s, o, m);
}

void store_ops_forget(struct store_ops *s, const struct link *from)
{
	list_each (it, &s->ops) {
		struct op *o = list_entry(it, struct op, link);

		if (o->from == from)
			o->from = NULL; /* it still happens; nobody is told */
	}
}

/* Callbacks may add operations, never take one out: the list stays whole. */
void store_ops_tick(struct store_ops *s, struct monotime now)
{
	list_each_safe (it, &s->ops) {
		struct op *o = list_entry(it, struct op, link);
		struct msg_stored m = {
			.op_boot = o->id[0],
			.op_n = o->id[1],
			.status = ERR_TIMEOUT,
			.text = slice_str("the datastore did not answer in time; see `supervisor "
					  "status` and the log of datastore"),
		};

		if (o->deadline_ms != STORE_OPS_FOREVER && monotime_before(o->deadline, now))
			finish(s, o, &m);
	}
}

size_t store_ops_pending(const struct store_ops *s)
{
	return s->by_id.count;
}

const struct store_ops_books *store_ops_books(const struct store_ops *s)
{
	return &s->books;
}
