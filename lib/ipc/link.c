#include "ipc/link.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"
#include "base/xmem.h"

#define LINK_MAGIC 0x4852u /* "RH" */
#define SPARES	   8	   /* batches kept, with their buffers, for the next turns */

/* Encoded records with their header space in front; kept until receipted. */
struct batch {
	struct list link;
	struct str bytes; /* LINK_HEADER_LEN, then records */
	uint64_t first_seq;
	uint32_t count;
};

struct link {
	uint64_t my_boot;
	uint64_t peer_boot;
	size_t window;
	size_t batch_max;

	struct list batches; /* struct batch, oldest first */
	struct list spares;
	unsigned int nspares;
	struct list *unsent; /* the next batch to send; &batches = none */
	struct batch *open;  /* the newest, if records may still be added */
	uint64_t last_put;
	uint64_t receipted;
	size_t unreceipted_bytes;

	uint64_t received;
	uint64_t receipt_told; /* the newest receipt that went out */
	size_t owed;	       /* bytes received since */
	struct str empty_frame;
	bool sending_empty;
	bool eager;
};

struct link *link_new(uint64_t my_boot, size_t window, size_t batch_max)
{
	struct link *l = xcalloc(1, sizeof(*l));

	l->my_boot = my_boot;
	l->window = window;
	l->batch_max = batch_max;
	list_init(&l->batches);
	list_init(&l->spares);
	l->unsent = &l->batches;
	str_init(&l->empty_frame);
	return l;
}

static void batch_clear(struct batch *b)
{
	list_remove(&b->link);
	str_clear(&b->bytes);
	free(b);
}

static void batch_done(struct link *l, struct batch *b)
{
	if (l->unsent == &b->link)
		l->unsent = b->link.next;
	if (l->open == b)
		l->open = NULL;
	l->unreceipted_bytes -= b->bytes.len;
	if (l->nspares == SPARES || b->bytes.cap > 2 * l->batch_max) {
		batch_clear(b);
		return;
	}
	list_remove(&b->link);
	list_append(&l->spares, &b->link);
	l->nspares++;
}

static void drop_all(struct link *l)
{
	list_each_safe (it, &l->batches)
		batch_done(l, list_entry(it, struct batch, link));
}

void link_free(struct link **lp)
{
	struct link *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	drop_all(l);
	list_each_safe (it, &l->spares)
		batch_clear(list_entry(it, struct batch, link));
	str_clear(&l->empty_frame);
	free(l);
}

void link_restart(struct link *l, uint64_t peer_boot)
{
	drop_all(l);
	l->peer_boot = peer_boot;
	l->last_put = l->receipted = 0;
	l->received = l->receipt_told = 0;
	l->owed = 0;
	l->sending_empty = l->eager = false;
}

static void take_receipt(struct link *l, uint64_t receipt)
{
	if (receipt <= l->receipted || receipt > l->last_put)
		return;
	l->receipted = receipt;
	list_each_safe (it, &l->batches) {
		struct batch *b = list_entry(it, struct batch, link);

		if (b->first_seq + b->count - 1 > receipt)
			break;
		batch_done(l, b);
	}
}

enum err link_resume(struct link *l, uint64_t peer_receipt)
{
	if (peer_receipt > l->last_put || peer_receipt < l->receipted)
		return ERR_RANGE;
	take_receipt(l, peer_receipt);
	l->unsent = l->batches.next;
	l->open = NULL;
	l->eager = l->unsent != &l->batches;
	return ERR_OK;
}

uint64_t link_my_boot(const struct link *l)
{
	return l->my_boot;
}

uint64_t link_peer_boot(const struct link *l)
{
	return l->peer_boot;
}

static struct batch *batch_new(struct link *l)
{
	static const char space[LINK_HEADER_LEN];
	struct list *spare = list_first(&l->spares);
	struct batch *b;

	if (spare) {
		b = list_entry(spare, struct batch, link);
		list_remove(spare);
		l->nspares--;
		b->count = 0;
		str_reset(&b->bytes);
	} else {
		b = xcalloc(1, sizeof(*b));
		list_init(&b->link);
		str_init(&b->bytes);
		str_reserve(&b->bytes, 512);
	}
	str_add(&b->bytes, space, sizeof(space));
	b->first_seq = l->last_put + 1;
	list_append(&l->batches, &b->link);
	if (l->unsent == &l->batches)
		l->unsent = &b->link;
	l->unreceipted_bytes += b->bytes.len;
	return b;
}

struct str *link_open_record(struct link *l)
{
	if (!l->open)
		l->open = batch_new(l);
	l->unreceipted_bytes -= l->open->bytes.len;
	return &l->open->bytes;
}

uint64_t link_close_record(struct link *l, uint16_t type)
{
	struct batch *b = l->open;

	check(b != NULL);
	b->count++;
	l->unreceipted_bytes += b->bytes.len;
	if (b->bytes.len >= l->batch_max)
		l->open = NULL;
	if (!codec_is_lazy(type) || l->unreceipted_bytes >= l->window / 4)
		l->eager = true;
	return ++l->last_put;
}

uint64_t link_put_encoded(struct link *l, uint16_t type, struct slice record)
{
	str_add_slice(link_open_record(l), record);
	return link_close_record(l, type);
}

size_t link_room(const struct link *l)
{
	return l->unreceipted_bytes < l->window ? l->window - l->unreceipted_bytes : 0;
}

size_t link_unreceipted(const struct link *l)
{
	return l->unreceipted_bytes;
}

uint64_t link_last_put(const struct link *l)
{
	return l->last_put;
}

uint64_t link_receipted(const struct link *l)
{
	return l->receipted;
}

uint64_t link_received(const struct link *l)
{
	return l->received;
}

/* "RH", version, frame kind, count, two boots, first sequence, receipt, 8 bytes spare. */
void link_header_put(struct str *out, const struct link_header *h)
{
	codec_put_u16(out, LINK_MAGIC);
	codec_put_u8(out, IPC_VERSION);
	codec_put_u8(out, h->frame);
	codec_put_u32(out, h->count);
	codec_put_u64(out, h->from_boot);
	codec_put_u64(out, h->to_boot);
	codec_put_u64(out, h->first_seq);
	codec_put_u64(out, h->receipt);
	codec_put_u64(out, 0);
}

enum err link_header_get(struct slice frame, struct link_header *h, struct slice *body)
{
	struct slice in = frame;
	uint16_t magic;
	uint8_t version;
	uint64_t spare;

	if (!codec_get_u16(&in, &magic) || magic != LINK_MAGIC)
		return ERR_FORMAT;
	if (!codec_get_u8(&in, &version))
		return ERR_FORMAT;
	if (version != IPC_VERSION)
		return ERR_VERSION;
	if (!codec_get_u8(&in, &h->frame) || !codec_get_u32(&in, &h->count) ||
	    !codec_get_u64(&in, &h->from_boot) || !codec_get_u64(&in, &h->to_boot) ||
	    !codec_get_u64(&in, &h->first_seq) || !codec_get_u64(&in, &h->receipt) ||
	    !codec_get_u64(&in, &spare) || h->frame > LINK_SYNC)
		return ERR_FORMAT;
	*body = in;
	return ERR_OK;
}

static void stamp(const struct link *l, struct str *bytes, uint8_t frame, uint64_t first,
		  uint32_t count)
{
	struct str head = STR_INIT;

	link_header_put(&head, &(struct link_header){
				       .frame = frame,
				       .count = count,
				       .from_boot = l->my_boot,
				       .to_boot = l->peer_boot,
				       .first_seq = first,
				       .receipt = l->received,
			       });
	check(head.len == LINK_HEADER_LEN);
	if (bytes->len < LINK_HEADER_LEN)
		str_add(bytes, head.data, head.len);
	else
		memcpy(bytes->data, head.data, head.len);
	str_clear(&head);
}

bool link_next(struct link *l, bool force, struct slice *frame)
{
	if (l->unsent != &l->batches) {
		struct batch *b = list_entry(l->unsent, struct batch, link);

		if (b == l->open)
			l->open = NULL;
		stamp(l, &b->bytes, LINK_DATA, b->first_seq, b->count);
		*frame = str_slice(&b->bytes);
		l->sending_empty = false;
		return true;
	}
	if (!force)
		return false;
	str_reset(&l->empty_frame);
	stamp(l, &l->empty_frame, LINK_DATA, l->last_put + 1, 0);
	*frame = str_slice(&l->empty_frame);
	l->sending_empty = true;
	return true;
}

void link_sent(struct link *l)
{
	l->receipt_told = l->received;
	l->owed = 0;
	if (!l->sending_empty)
		l->unsent = l->unsent->next;
	if (l->unsent == &l->batches)
		l->eager = false;
	l->sending_empty = false;
}

bool link_pending(const struct link *l)
{
	return l->unsent != &l->batches;
}

bool link_eager(const struct link *l)
{
	return l->eager && link_pending(l);
}

size_t link_receipt_owed(const struct link *l)
{
	return l->received != l->receipt_told ? (l->owed ? l->owed : 1) : 0;
}

/* All records of a frame are checked before the first is handed on: a frame is whole or refused. */
static enum err check_records(struct slice in, uint32_t count)
{
	struct slice body;
	uint16_t type;

	for (uint32_t i = 0; i < count; i++)
		if (codec_next(&in, &type, &body) != ERR_OK)
			return ERR_FORMAT;
	return in.len == 0 ? ERR_OK : ERR_FORMAT;
}

enum err link_receive(struct link *l, struct slice frame,
		      void (*on_record)(void *arg, uint16_t type, struct slice body), void *arg)
{
	struct link_header h;
	struct slice in, body;
	uint16_t type;
	enum err e = link_header_get(frame, &h, &in);

	if (e != ERR_OK)
		return e;
	if (l->peer_boot == 0 || h.from_boot != l->peer_boot || h.to_boot != l->my_boot)
		return ERR_VERSION;
	if (h.frame == LINK_SYNC) {
		if (link_resume(l, h.receipt) != ERR_OK)
			return ERR_DUPLICATE;
		l->receipt_told = UINT64_MAX; /* an answer is owed even if nothing is new */
		return in.len == 0 ? ERR_OK : ERR_FORMAT;
	}
	if (h.frame != LINK_DATA || check_records(in, h.count) != ERR_OK)
		return ERR_FORMAT;
	take_receipt(l, h.receipt);
	if (h.first_seq > l->received + 1)
		return ERR_AGAIN;
	if (h.count && h.first_seq + h.count <= l->received + 1) {
		l->receipt_told = UINT64_MAX; /* the peer has missed a receipt: tell it again */
		return ERR_DUPLICATE;
	}
	for (uint64_t seq = h.first_seq; seq < h.first_seq + h.count; seq++) {
		codec_next(&in, &type, &body);
		if (seq <= l->received)
			continue;
		l->owed += body.len;
		l->received = seq;
		on_record(arg, type, body);
	}
	return ERR_OK;
}

void link_make_sync(const struct link *l, struct str *out)
{
	link_header_put(out, &(struct link_header){
				     .frame = LINK_SYNC,
				     .from_boot = l->my_boot,
				     .to_boot = l->peer_boot,
				     .first_seq = l->last_put + 1,
				     .receipt = l->received,
			     });
}
