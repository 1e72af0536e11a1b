#include "ipc/bus.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "ipc/wire.h"
#include "net/loop.h"
#include "net/loop_zmq.h"

#define HELLO_EVERY_MS 100
#define HELLO_SOON_MS  20
#define SILENCE_MS     5000 /* the router pings every second */

struct bus {
	struct loop *loop;
	void *context;
	void *socket;
	struct loop_zmq *zmq;
	struct loop_timer *hello;   /* until WELCOME */
	struct loop_timer *receipt; /* one tick, armed when a receipt or lazy report waits */
	struct loop_timer *checks;  /* lost frames, a silent router */
	bool receipt_armed;
	bool up;
	bool urgent;
	bool was_full;
	struct link *link;
	char *service, *instance, *token;
	const struct bus_events *events;
	void *arg;
	struct monotime heard;
	uint64_t receipted_at_check;
	char refused[128]; /* the last refusal logged, so that it is said once */
};

static bool send_frame(struct bus *b, struct slice frame)
{
	bool taken = wire_send(b->socket, NULL, frame);

	loop_zmq_sent(b->zmq);
	return taken;
}

static void say_hello(void *arg)
{
	struct bus *b = arg;
	struct str frame = STR_INIT;

	wire_control(&frame, link_my_boot(b->link), 0);
	msg_hello_put(&frame, &(struct msg_hello){
				      .boot = link_my_boot(b->link),
				      .peer_boot = link_peer_boot(b->link),
				      .receipt = link_received(b->link),
				      .service = slice_str(b->service),
				      .instance = slice_str(b->instance),
				      .token = slice_str(b->token),
			      });
	send_frame(b, str_slice(&frame));
	str_clear(&frame);
}

static void go_down(struct bus *b, const char *why)
{
	if (b->up) {
		b->up = false;
		log_warn("bus", "event=bus_down reason=\"%s\" next=\"saying HELLO until answered\"",
			 why);
		if (b->events->on_down)
			b->events->on_down(b->arg, why);
	}
	loop_timer_set(b->hello, 0, HELLO_EVERY_MS);
}

static void on_welcome(struct bus *b, const struct msg_welcome *m)
{
	bool fresh = m->boot != link_peer_boot(b->link);
	bool was_up = b->up;

	if (m->peer_boot != link_my_boot(b->link))
		return;
	loop_timer_stop(b->hello);
	b->refused[0] = '\0';
	if (fresh)
		link_restart(b->link, m->boot);
	else
		link_resume(b->link, m->receipt);
	b->up = true;
	if (fresh || !was_up) {
		log_info("bus", "event=bus_up router_boot=%016llx fresh=%s",
			 (unsigned long long)m->boot, fresh ? "yes" : "no");
		b->events->on_up(b->arg, fresh);
	}
}

static void on_refused(struct bus *b, const struct msg_hello_refused *m)
{
	char reason[sizeof(b->refused)];

	/* Most often the router has not been told of us yet: ask again soon. */
	loop_timer_set(b->hello, HELLO_SOON_MS, HELLO_EVERY_MS);
	snprintf(reason, sizeof(reason), "%.*s", SLICE_ARG(m->reason));
	if (strcmp(reason, b->refused) == 0)
		return;
	snprintf(b->refused, sizeof(b->refused), "%s", reason);
	log_warn("bus", "event=hello_refused reason=%s next=\"trying again\"",
		 log_quote(m->reason));
}

static void on_control(struct bus *b, struct slice in)
{
	struct msg_welcome welcome;
	struct msg_hello_refused refused;
	struct slice body;
	uint16_t type;

	if (codec_next(&in, &type, &body) != ERR_OK)
		return;
	if (type == MSG_WELCOME && msg_welcome_get(body, &welcome) == ERR_OK)
		on_welcome(b, &welcome);
	else if (type == MSG_HELLO_REFUSED && msg_hello_refused_get(body, &refused) == ERR_OK)
		on_refused(b, &refused);
	else if (type == MSG_HELLO_WANTED)
		go_down(b, "the router restarted");
}

static void on_ping(struct bus *b, struct slice body)
{
	struct str stats = STR_INIT;
	struct msg_ping ping;

	if (msg_ping_get(body, &ping) != ERR_OK)
		return;
	if (b->events->add_stats)
		b->events->add_stats(b->arg, &stats);
	if (stats.len > UINT16_MAX)
		stats.len = UINT16_MAX;
	link_put_pong(b->link, &(struct msg_pong){ping.sent_us, str_slice(&stats)});
	str_clear(&stats);
}

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct bus *b = arg;

	if (!codec_may_send(type, IPC_ROUTER))
		log_err("bus", "event=bad_record type=%s reason=\"not the router's to send\"",
			codec_name(type));
	else if (type == MSG_PING)
		on_ping(b, body);
	else
		b->events->on_record(b->arg, type, body);
}

static void sync_link(struct bus *b)
{
	struct str frame = STR_INIT;

	link_make_sync(b->link, &frame);
	send_frame(b, str_slice(&frame));
	str_clear(&frame);
}

static void on_frame(struct bus *b, struct slice frame)
{
	struct link_header h;
	struct slice body;

	b->heard = loop_now(b->loop);
	if (link_header_get(frame, &h, &body) != ERR_OK) {
		log_err("bus", "event=bad_frame bytes=%zu reason=\"not a frame of version %d\"",
			frame.len, IPC_VERSION);
		return;
	}
	if (h.frame == LINK_CONTROL) {
		on_control(b, body);
		return;
	}
	if (!b->up)
		return;
	switch (link_receive(b->link, frame, on_record, b)) {
	case ERR_AGAIN:
		sync_link(b);
		break;
	case ERR_VERSION:
		go_down(b, "frames of another router boot");
		break;
	case ERR_FORMAT:
		log_err("bus", "event=bad_frame bytes=%zu reason=\"records do not add up\"",
			frame.len);
		break;
	default:
		break;
	}
}

static bool on_readable(void *arg)
{
	struct bus *b = arg;
	zmq_msg_t m;

	for (int i = 0; i < WIRE_DRAIN; i++) {
		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, b->socket, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&m);
			return zmq_errno() == EINTR;
		}
		on_frame(b, slice_of(zmq_msg_data(&m), zmq_msg_size(&m)));
		zmq_msg_close(&m);
	}
	return true;
}

/* Sends what may go now; true if something is left for the tick. */
static bool flush(struct bus *b, bool all)
{
	size_t owed = link_receipt_owed(b->link);
	bool force = owed && (all || owed >= WIRE_WINDOW / 4);
	struct slice frame;

	if (!all && !force && !link_eager(b->link))
		return owed || link_pending(b->link);
	while (link_next(b->link, force, &frame)) {
		if (!send_frame(b, frame))
			return true;
		link_sent(b->link);
		force = false;
	}
	return false;
}

static void tell_room(struct bus *b)
{
	if (link_room(b->link) == 0) {
		b->was_full = true;
	} else if (b->was_full && link_unreceipted(b->link) <= WIRE_WINDOW / 2) {
		b->was_full = false;
		if (b->events->on_room)
			b->events->on_room(b->arg);
	}
}

static void on_turn_end(void *arg)
{
	struct bus *b = arg;

	if (!b->up)
		return;
	tell_room(b);
	if (flush(b, b->urgent) && !b->receipt_armed) {
		b->receipt_armed = true;
		loop_timer_set(b->receipt, WIRE_RECEIPT_MS, 0);
	}
	b->urgent = false;
}

static void on_receipt_tick(void *arg)
{
	struct bus *b = arg;

	b->receipt_armed = false;
	b->urgent = true;
}

/* A frame lost with a broken connection shows as receipts that do not move. */
static void on_check(void *arg)
{
	struct bus *b = arg;
	uint64_t receipted = link_receipted(b->link);

	if (!b->up)
		return;
	if (monotime_ms_between(b->heard, loop_now(b->loop)) > SILENCE_MS) {
		b->heard = loop_now(b->loop);
		go_down(b, "the router is silent");
		return;
	}
	if (link_last_put(b->link) > receipted && receipted == b->receipted_at_check)
		sync_link(b);
	b->receipted_at_check = receipted;
}

struct bus *bus_open(struct loop *loop, const char *path, const char *service, const char *instance,
		     const char *token, const struct bus_events *events, void *arg)
{
	struct bus *b = xcalloc(1, sizeof(*b));
	char *endpoint = xasprintf("ipc://%s", path);

	b->loop = loop;
	b->service = xstrdup(service);
	b->instance = xstrdup(instance);
	b->token = xstrdup(token);
	b->events = events;
	b->arg = arg;
	b->heard = loop_now(loop);
	b->link = link_new(random_u64(), WIRE_WINDOW, WIRE_BATCH_MAX);
	b->context = zmq_ctx_new();
	b->socket = wire_socket(b->context, ZMQ_DEALER, instance);
	if (zmq_connect(b->socket, endpoint) != 0)
		fatal("event=bus_path path=%s reason=\"%s\" next=\"use a shorter or existing "
		      "path\"",
		      path, zmq_strerror(zmq_errno()));
	free(endpoint);
	b->zmq = loop_zmq_new(loop, b->socket, on_readable, on_turn_end, b);
	b->hello = loop_timer_new(loop, say_hello, b);
	b->receipt = loop_timer_new(loop, on_receipt_tick, b);
	b->checks = loop_timer_new(loop, on_check, b);
	loop_timer_set(b->hello, 0, HELLO_EVERY_MS);
	loop_timer_set(b->checks, WIRE_CHECK_MS, WIRE_CHECK_MS);
	return b;
}

void bus_close(struct bus **bp)
{
	struct bus *b = *bp;

	*bp = NULL;
	if (!b)
		return;
	if (b->up)
		flush(b, true);
	loop_zmq_free(&b->zmq);
	loop_timer_free(&b->hello);
	loop_timer_free(&b->receipt);
	loop_timer_free(&b->checks);
	zmq_close(b->socket);
	zmq_ctx_term(b->context);
	link_free(&b->link);
	xwipe(b->token, strlen(b->token));
	free(b->token);
	free(b->service);
	free(b->instance);
	free(b);
}

struct link *bus_link(struct bus *b)
{
	return b->link;
}

bool bus_is_up(const struct bus *b)
{
	return b->up;
}

uint64_t bus_boot(const struct bus *b)
{
	return link_my_boot(b->link);
}

void bus_urgent(struct bus *b)
{
	b->urgent = true;
}
