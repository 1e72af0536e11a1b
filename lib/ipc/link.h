/*
 * link - one resumable, ordered stream of records each way between two processes (DESIGN 3).
 *
 * Pure: no socket, no clock, no logging. The owner moves frames (bus.c, hub.c). What was put and
 * not yet receipted is kept as encoded batches and sent again after link_resume(). A link lives
 * between two boots: a peer with another boot id means link_restart() and that everything is
 * forgotten; what must outlive a peer is held by custody, not here. A receipt opens the window and
 * says nothing else.
 */
#ifndef IPC_LINK_H
#define IPC_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"
#include "ipc/codec.h"

#define LINK_HEADER_LEN 48 /* see link_header_put() */

/* What a frame is; in its header. */
enum link_frame { LINK_DATA = 0, LINK_CONTROL = 1, LINK_SYNC = 2 };

struct link_header {
	uint8_t frame;
	uint64_t from_boot;
	uint64_t to_boot;
	uint64_t first_seq;
	uint64_t receipt;
	uint32_t count;
};

struct link;

/* window: bytes put and not receipted before link_room() is used up (records are never refused:
 * the owner stops reading its sources instead). */
struct link *link_new(uint64_t my_boot, size_t window, size_t batch_max);
void link_free(struct link **lp);

/* A new peer boot: numbers start at 1 both ways, all unreceipted records are dropped. */
void link_restart(struct link *l, uint64_t peer_boot);

/* The same two boots talk again: the peer has had everything up to receipt; the rest is sent again
 * from there. ERR_RANGE if that number was never sent (nothing changed). */
enum err link_resume(struct link *l, uint64_t peer_receipt);

uint64_t link_my_boot(const struct link *l);
uint64_t link_peer_boot(const struct link *l); /* 0 before the first link_restart() */

/* Opens the next record: the caller appends exactly one encoded record to the buffer returned,
 * then calls link_close_record(), which gives its sequence number. */
struct str *link_open_record(struct link *l);
uint64_t link_close_record(struct link *l, uint16_t type);

/* Appends one record that is encoded already. Returns its sequence number. */
uint64_t link_put_encoded(struct link *l, uint16_t type, struct slice record);

/* Bytes that may still be put before the window is full; 0 = stop reading your sources. */
size_t link_room(const struct link *l);
size_t link_unreceipted(const struct link *l); /* bytes put and not receipted */
uint64_t link_last_put(const struct link *l);  /* sequence of the newest record put */
uint64_t link_receipted(const struct link *l); /* the peer has processed everything up to here */
uint64_t link_received(const struct link *l);  /* we have processed everything up to here */

/* The next frame to send: header with the newest receipt, then a batch. false = nothing to send.
 * force makes an empty frame when only a receipt is owed (or for a sync). Borrowed until the next
 * call on l. Call link_sent() when it was handed over; without that the same frame comes again. */
bool link_next(struct link *l, bool force, struct slice *frame);
void link_sent(struct link *l);

/* Is there anything (records) waiting to be sent? Is something of it not lazy (codec_is_lazy)? Is a
 * receipt owed, and for how many bytes? */
bool link_pending(const struct link *l);
bool link_eager(const struct link *l);
size_t link_receipt_owed(const struct link *l);

/* Takes one DATA or SYNC frame of the peer. on_record is called for each new record in order; it
 * may put records on l. ERR_OK; ERR_DUPLICATE (nothing new: harmless); ERR_AGAIN: a gap, ask for a
 * SYNC; ERR_VERSION: of other boots, drop; ERR_FORMAT: not a frame, the peer is broken. */
enum err link_receive(struct link *l, struct slice frame,
		      void (*on_record)(void *arg, uint16_t type, struct slice body), void *arg);

/* Makes a SYNC frame: "this is my receipt, tell me yours": the peer answers with a DATA frame
 * (empty if need be) and both resume from the receipts. */
void link_make_sync(const struct link *l, struct str *out);

/* Reads a header; body = the rest. ERR_FORMAT, ERR_VERSION (other IPC_VERSION). */
enum err link_header_get(struct slice frame, struct link_header *h, struct slice *body);
void link_header_put(struct str *out, const struct link_header *h);

/* uint64_t link_put_stanza(link, &(struct msg_stanza){...}): encode and number in one go. */
#define MSG(NAME, name, number, from, to, fields, help)                                    \
	static inline uint64_t link_put_##name(struct link *l, const struct msg_##name *m) \
	{                                                                                  \
		msg_##name##_put(link_open_record(l), m);                                  \
		return link_close_record(l, (number));                                     \
	}
#include "ipc/messages.def"
#undef MSG

#endif
