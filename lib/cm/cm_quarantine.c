#include "cm/cm_quarantine.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xmem.h"
#include "ipc/bus.h"
#include "ipc/link.h"
#include "xmpp/xml_out.h"

#define DEADLINE_MS 60000
#define PENDING_MAX 16
#define BYTES_MAX   (4u * 1024 * 1024) /* enough to see what it is */
#define OPS	    (1ULL << 63)       /* op ids that nothing else here uses */

struct kept {
	struct list link;
	uint64_t op;
	struct str body; /* DB_QUARANTINE, encoded */
};

struct cm_quarantine {
	struct bus *bus;
	struct list pending;
	unsigned int npending;
	uint64_t last_op;
};

struct cm_quarantine *cm_quarantine_new(struct bus *bus)
{
	struct cm_quarantine *q = xcalloc(1, sizeof(*q));

	q->bus = bus;
	q->last_op = OPS;
	list_init(&q->pending);
	return q;
}

static void kept_free(struct cm_quarantine *q, struct kept *k)
{
	q->npending--;
	list_remove(&k->link);
	str_clear(&k->body);
	free(k);
}

void cm_quarantine_free(struct cm_quarantine **qp)
{
	struct cm_quarantine *q = *qp;

	*qp = NULL;
	if (!q)
		return;
	list_each_safe (it, &q->pending)
		kept_free(q, list_entry(it, struct kept, link));
	free(q);
}

static void send(struct cm_quarantine *q, const struct kept *k)
{
	link_put_store(bus_link(q->bus), &(struct msg_store){.op_boot = bus_boot(q->bus),
							     .op_n = k->op,
							     .deadline_ms = DEADLINE_MS,
							     .body = str_slice(&k->body)});
}

static void log_it(const struct hold_quarantined *what)
{
	log_err("hold",
		"event=quarantined sid=%016llx n=%llu kind=%s type=%s from=%s to=%s id=%s "
		"bytes=%zu hint=\"three routers stopped while they handled it: its sender gets an "
		"error; the bytes are in data/quarantine, report them\"",
		(unsigned long long)what->sid, (unsigned long long)what->n,
		stanza_kind_name(what->kind), log_quote(slice_str(stanza_type_name(what->type))),
		log_quote(what->from), log_quote(what->to), log_quote(what->id), what->bytes.len);
}

void cm_quarantine_add(struct cm_quarantine *q, const struct hold_quarantined *what)
{
	struct slice bytes = what->bytes;
	struct str about = STR_INIT;
	struct kept *k;

	log_it(what);
	if (q->npending == PENDING_MAX) {
		log_warn("hold",
			 "event=quarantine_full reason=\"the datastore did not take %d of "
			 "them yet: these bytes are not kept\"",
			 PENDING_MAX);
		return;
	}
	if (bytes.len > BYTES_MAX)
		bytes.len = BYTES_MAX;
	str_addf(&about, "stanza sid=%016llx n=%llu kind=%s type=%s from=%s to=%s bytes=%zu",
		 (unsigned long long)what->sid, (unsigned long long)what->n,
		 stanza_kind_name(what->kind), log_quote(slice_str(stanza_type_name(what->type))),
		 log_quote(what->from), log_quote(what->to), what->bytes.len);
	k = xcalloc(1, sizeof(*k));
	k->op = ++q->last_op;
	str_init(&k->body);
	msg_db_quarantine_put(&k->body, &(struct msg_db_quarantine){str_slice(&about), bytes});
	str_clear(&about);
	list_append(&q->pending, &k->link);
	q->npending++;
	send(q, k);
}

void cm_quarantine_ask_again(struct cm_quarantine *q)
{
	list_each (it, &q->pending)
		send(q, list_entry(it, struct kept, link));
}

void cm_quarantine_stored(struct cm_quarantine *q, struct slice body)
{
	struct msg_stored m;

	if (msg_stored_get(body, &m) != ERR_OK || m.op_boot != bus_boot(q->bus))
		return;
	list_each_safe (it, &q->pending) {
		struct kept *k = list_entry(it, struct kept, link);

		if (k->op != m.op_n)
			continue;
		if (m.status != ERR_OK)
			log_warn("hold", "event=quarantine_not_kept reason=%s",
				 log_quote(m.text.len ? m.text
						      : slice_str(err_text((enum err)m.status))));
		kept_free(q, k);
	}
}
