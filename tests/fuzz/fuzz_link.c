/*
 * Frames from another process, of a peer whose boot is known: in order, repeated, with gaps, with
 * receipts that lie, or not frames at all. Each new record is handed up once and in order; what was
 * put stays until a true receipt; whatever comes, the next frame of ours is whole.
 *
 * The input is a script: one byte of what comes, then its arguments.
 */
#include <stdint.h>

#include "base/check.h"
#include "ipc/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ME   1
#define PEER 2

enum step { STEP_RAW, STEP_DATA, STEP_SYNC, STEP_PUT, STEP_SEND, STEP_LOSE, STEP_RESTART, STEPS };

struct side {
	struct link *link;
	uint64_t records;
	bool answers; /* puts a record for each one it gets */
};

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct side *s = arg;
	volatile char last = body.len ? body.data[body.len - 1] : 0;

	(void)type;
	(void)last;
	s->records++;
	if (s->answers)
		link_put_ping(s->link, &(struct msg_ping){s->records});
}

static void receive(struct side *s, struct slice frame)
{
	uint64_t before = link_received(s->link);
	uint64_t receipted = link_receipted(s->link);
	enum err e;

	s->records = 0;
	e = link_receive(s->link, frame, on_record, s);
	check(link_received(s->link) == before + s->records);
	check(e == ERR_OK || s->records == 0);
	check(link_receipted(s->link) >= receipted);
	check(link_receipted(s->link) <= link_last_put(s->link));
}

/* A length from the script, then so many bytes, as far as there are any. */
static struct slice take(struct slice *in)
{
	struct slice bytes;
	uint8_t len = 0;

	codec_get_u8(in, &len);
	if (len > in->len)
		len = (uint8_t)in->len;
	if (len == 0)
		return SLICE_NONE;
	bytes = slice_of(in->data, len);
	*in = slice_of(in->data + len, in->len - len);
	return bytes;
}

/* A frame of the live peer: numbers near the right ones, or far from them. */
static void receive_made(struct side *s, struct slice *in, enum link_frame kind)
{
	struct link_header h = {.frame = (uint8_t)kind, .from_boot = PEER, .to_boot = ME};
	uint8_t first = 0, receipt = 0, count = 0;
	struct str frame = STR_INIT;

	codec_get_u8(in, &first);
	codec_get_u8(in, &receipt);
	codec_get_u8(in, &count);
	h.first_seq = link_received(s->link) + 1 + (uint64_t)(int64_t)(int8_t)first;
	h.receipt = link_receipted(s->link) + (uint64_t)(int64_t)(int8_t)receipt;
	h.count = count == 0xff ? UINT32_MAX : count;
	link_header_put(&frame, &h);
	str_add_slice(&frame, take(in));
	receive(s, str_slice(&frame));
	str_clear(&frame);
}

static void put(struct side *s)
{
	size_t before = link_unreceipted(s->link);

	link_put_ping(s->link, &(struct msg_ping){7});
	check(link_unreceipted(s->link) > before);
}

/* Our next frame is one that our own reader takes whole. */
static void send_one(struct side *s, bool lose)
{
	struct link_header h;
	struct slice frame, body, record;
	uint16_t type;

	if (!link_next(s->link, true, &frame))
		return;
	check(link_header_get(frame, &h, &body) == ERR_OK);
	check(h.frame == LINK_DATA && h.from_boot == ME && h.to_boot == PEER);
	check(h.receipt == link_received(s->link));
	check(h.first_seq > link_receipted(s->link) || h.first_seq + h.count > h.first_seq);
	for (uint32_t i = 0; i < h.count; i++)
		check(codec_next(&body, &type, &record) == ERR_OK);
	check(body.len == 0);
	if (!lose)
		link_sent(s->link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of((const char *)data, size);
	struct side s = {.link = link_new(ME, 4096, 256)};
	uint8_t step;

	link_restart(s.link, PEER);
	while (codec_get_u8(&in, &step)) {
		s.answers = step & 0x80;
		switch ((enum step)((step & 0x7f) % STEPS)) {
		case STEP_RAW:
			receive(&s, take(&in));
			break;
		case STEP_DATA:
			receive_made(&s, &in, LINK_DATA);
			break;
		case STEP_SYNC:
			receive_made(&s, &in, LINK_SYNC);
			break;
		case STEP_PUT:
			put(&s);
			break;
		case STEP_SEND:
			send_one(&s, false);
			break;
		case STEP_LOSE:
			send_one(&s, true);
			break;
		default:
			link_restart(s.link, PEER);
			check(link_unreceipted(s.link) == 0 && link_received(s.link) == 0);
		}
	}
	link_free(&s.link);
	return 0;
}
