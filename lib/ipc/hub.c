#include "ipc/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "ipc/wire.h"
#include "net/loop.h"
#include "net/loop_zmq.h"

#define POKE_MS	       50 /* HELLO_WANTED to expected services that have not said HELLO */
#define REFUSED_LOG_MS 10000

/* One instance that may speak; peer is set from its HELLO until its death. */
struct seat {
	struct list link;
	char *instance;
	char *service;
	char *token;
	struct hub_peer *peer;
};

struct hub_peer {
	struct hub *hub;
	struct seat *seat;
	char *instance;
	char *service;
	unsigned int roles;
	struct link *link;
	struct str stats;
	void *data;
	uint64_t receipted_at_check;
	struct monotime since, heard;
	bool silent;
	bool dead;
};

struct hub {
	struct loop *loop;
	void *context;
	void *socket;
	struct loop_zmq *zmq;
	struct loop_timer *poke;
	struct loop_timer *tick;
	struct loop_timer *checks;
	bool tick_armed;
	bool tick_due;
	struct list seats;
	uint64_t boot;
	const struct hub_events *events;
	void *arg;
	char refused[64]; /* whose refusal was logged last, and when */
	struct monotime refused_at;
	struct hub_peer *receiving; /* its link is on the stack: free it later */
};

static struct seat *seat_find(const struct hub *h, struct slice instance)
{
	list_each (it, &h->seats) {
		struct seat *s = list_entry(it, struct seat, link);

		if (slice_is(instance, s->instance))
			return s;
	}
	return NULL;
}

static void peer_free(struct hub_peer *p)
{
	link_free(&p->link);
	str_clear(&p->stats);
	free(p->instance);
	free(p->service);
	free(p);
}

static void peer_dead(struct hub *h, struct seat *s, const char *why)
{
	struct hub_peer *p = s->peer;

	if (!p)
		return;
	s->peer = NULL;
	p->seat = NULL;
	log_info(p->instance, "event=peer_dead reason=\"%s\"", why);
	h->events->on_peer_dead(h->arg, p);
	p->dead = true;
	if (h->receiving != p)
		peer_free(p);
}

static void seat_free(struct seat *s)
{
	list_remove(&s->link);
	xwipe(s->token, strlen(s->token));
	free(s->token);
	free(s->instance);
	free(s->service);
	free(s);
}

static bool token_equal(struct slice given, const char *expected)
{
	size_t len = strlen(expected);
	unsigned char diff = given.len != len;

	for (size_t i = 0; i < given.len; i++)
		diff |= (unsigned char)(given.data[i] ^ expected[len ? i % len : 0]);
	return diff == 0 && len > 0;
}

static bool send_frame(struct hub *h, const char *instance, struct slice frame)
{
	bool taken = wire_send(h->socket, instance, frame);

	loop_zmq_sent(h->zmq);
	return taken;
}

static void send_control(struct hub *h, const char *instance, struct str *frame)
{
	send_frame(h, instance, str_slice(frame));
	str_clear(frame);
}

static void send_refused(struct hub *h, const char *instance, const char *reason)
{
	struct str frame = STR_INIT;

	/* Services repeat their HELLO; one line per reason and instance in ten seconds is enough.
	 */
	if (strcmp(instance, h->refused) != 0 ||
	    monotime_ms_between(h->refused_at, loop_now(h->loop)) > REFUSED_LOG_MS) {
		snprintf(h->refused, sizeof(h->refused), "%s", instance);
		h->refused_at = loop_now(h->loop);
		log_warn(instance, "event=hello_refused reason=\"%s\"", reason);
	}
	wire_control(&frame, h->boot, 0);
	msg_hello_refused_put(&frame, &(struct msg_hello_refused){slice_str(reason)});
	send_control(h, instance, &frame);
}

static void send_wanted(struct hub *h, const char *instance)
{
	struct str frame = STR_INIT;

	wire_control(&frame, h->boot, 0);
	msg_hello_wanted_put(&frame, &(struct msg_hello_wanted){h->boot});
	send_control(h, instance, &frame);
}

static void send_welcome(struct hub *h, const struct hub_peer *p)
{
	struct str frame = STR_INIT;

	wire_control(&frame, h->boot, link_peer_boot(p->link));
	msg_welcome_put(&frame, &(struct msg_welcome){h->boot, link_peer_boot(p->link),
						      link_received(p->link)});
	send_control(h, p->instance, &frame);
}

static struct hub_peer *peer_new(struct hub *h, struct seat *s, uint64_t boot)
{
	struct hub_peer *p = xcalloc(1, sizeof(*p));

	p->hub = h;
	p->seat = s;
	p->instance = xstrdup(s->instance);
	p->service = xstrdup(s->service);
	p->roles = codec_role(slice_str(s->service));
	p->link = link_new(h->boot, WIRE_WINDOW, WIRE_BATCH_MAX);
	str_init(&p->stats);
	link_restart(p->link, boot);
	p->since = p->heard = loop_now(h->loop);
	s->peer = p;
	return p;
}

static void on_hello(struct hub *h, const char *identity, const struct msg_hello *m)
{
	struct seat *s = seat_find(h, m->instance);
	bool fresh;

	if (!slice_is(m->instance, identity)) {
		send_refused(h, identity, "identity and instance differ");
		return;
	}
	if (!s || !token_equal(m->token, s->token) || !slice_is(m->service, s->service)) {
		send_refused(h, identity, s ? "wrong token or service" : "unknown instance");
		return;
	}
	fresh = !s->peer || link_peer_boot(s->peer->link) != m->boot;
	if (fresh) {
		peer_dead(h, s, "a new process took its place");
		peer_new(h, s, m->boot);
	} else {
		/* A repeated first HELLO knows no boot of ours yet; its receipt is then 0. */
		link_resume(s->peer->link, m->peer_boot == h->boot ? m->receipt : 0);
	}
	send_welcome(h, s->peer);
	if (fresh) {
		log_info(identity, "event=peer_up service=%s boot=%016llx", s->service,
			 (unsigned long long)m->boot);
		h->events->on_peer_up(h->arg, s->peer, true);
	}
}

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct hub_peer *p = arg;
	struct msg_pong pong;

	if (p->dead)
		return;
	if (!codec_may_send(type, p->roles)) {
		log_err(p->instance, "event=spoof type=%s reason=\"not this service's to send\"",
			codec_name(type));
		return;
	}
	if (type == MSG_PONG) {
		if (msg_pong_get(body, &pong) == ERR_OK) {
			str_reset(&p->stats);
			str_add_slice(&p->stats, pong.stats);
		}
		return;
	}
	p->hub->events->on_record(p->hub->arg, p, type, body);
}

static void sync_peer(struct hub *h, struct hub_peer *p)
{
	struct str frame = STR_INIT;

	link_make_sync(p->link, &frame);
	send_control(h, p->instance, &frame);
}

static void on_data(struct hub *h, struct seat *s, const char *identity, struct slice frame)
{
	struct hub_peer *p = s ? s->peer : NULL;
	enum err e;

	if (!p) {
		send_wanted(h, identity);
		return;
	}
	p->heard = loop_now(h->loop);
	h->receiving = p;
	e = link_receive(p->link, frame, on_record, p);
	h->receiving = NULL;
	if (p->dead) {
		peer_free(p);
		return;
	}
	if (e == ERR_AGAIN)
		sync_peer(h, p);
	else if (e == ERR_VERSION)
		send_wanted(h, identity);
	else if (e == ERR_FORMAT)
		log_err(identity, "event=bad_frame bytes=%zu reason=\"records do not add up\"",
			frame.len);
}

static void on_frame(struct hub *h, const char *identity, struct slice frame)
{
	struct link_header head;
	struct msg_hello hello;
	struct slice in, body;
	uint16_t type;

	if (link_header_get(frame, &head, &in) != ERR_OK) {
		log_err(identity, "event=bad_frame bytes=%zu reason=\"not a frame of version %d\"",
			frame.len, IPC_VERSION);
		return;
	}
	if (head.frame != LINK_CONTROL) {
		on_data(h, seat_find(h, slice_str(identity)), identity, frame);
		return;
	}
	if (codec_next(&in, &type, &body) == ERR_OK && type == MSG_HELLO &&
	    msg_hello_get(body, &hello) == ERR_OK)
		on_hello(h, identity, &hello);
}

/* Receives one frame with its identity. false: nothing is there. */
static bool take_one(struct hub *h)
{
	char identity[256];
	zmq_msg_t m;
	int n = zmq_recv(h->socket, identity, sizeof(identity) - 1, ZMQ_DONTWAIT);
	bool whole;

	if (n < 0)
		return errno == EINTR;
	whole = n < (int)sizeof(identity) - 1;
	identity[whole ? n : 0] = '\0';
	zmq_msg_init(&m);
	while (zmq_msg_recv(&m, h->socket, 0) >= 0) {
		bool more = zmq_msg_more(&m);

		if (whole && !more)
			on_frame(h, identity, slice_of(zmq_msg_data(&m), zmq_msg_size(&m)));
		whole = false;
		if (!more)
			break;
	}
	zmq_msg_close(&m);
	return true;
}

static bool on_readable(void *arg)
{
	for (int i = 0; i < WIRE_DRAIN; i++)
		if (!take_one(arg))
			return false;
	return true;
}

/* Sends what may go to p; true if something waits for the tick (or for room). */
static bool flush_peer(struct hub *h, struct hub_peer *p, bool all)
{
	size_t owed = link_receipt_owed(p->link);
	bool force = owed && (all || owed >= WIRE_WINDOW / 4);
	struct slice frame;

	if (!all && !force && !link_eager(p->link))
		return owed || link_pending(p->link);
	while (link_next(p->link, force, &frame)) {
		if (!send_frame(h, p->instance, frame))
			return true;
		link_sent(p->link);
		force = false;
	}
	return false;
}

static void on_turn_end(void *arg)
{
	struct hub *h = arg;
	bool wait = false;

	list_each (it, &h->seats) {
		struct seat *s = list_entry(it, struct seat, link);

		if (s->peer)
			wait |= flush_peer(h, s->peer, h->tick_due);
	}
	h->tick_due = false;
	if (wait && !h->tick_armed) {
		h->tick_armed = true;
		loop_timer_set(h->tick, WIRE_RECEIPT_MS, 0);
	}
}

static void on_tick(void *arg)
{
	struct hub *h = arg;

	h->tick_armed = false;
	h->tick_due = true;
}

static void on_poke(void *arg)
{
	struct hub *h = arg;
	bool missing = false;

	list_each (it, &h->seats) {
		struct seat *s = list_entry(it, struct seat, link);

		if (!s->peer) {
			send_wanted(h, s->instance);
			missing = true;
		}
	}
	if (!missing)
		loop_timer_stop(h->poke);
}

static void check_silence(struct hub_peer *p, struct monotime now)
{
	uint64_t ms = monotime_ms_between(p->heard, now);
	bool silent = ms > WIRE_SILENT_MS && p->roles != IPC_CLI;

	if (silent && !p->silent)
		log_err(p->instance, "event=silent reason=\"it answers no ping: stopped, or "
				     "waiting for its disk\" "
				     "hint=\"see its log and state, pid in supervisor status\"");
	else if (!silent && p->silent)
		log_info(p->instance, "event=answers");
	p->silent = silent;
}

const char *hub_silent(const struct hub *h)
{
	list_each (it, &h->seats) {
		const struct hub_peer *p = list_entry(it, struct seat, link)->peer;

		if (p && p->silent)
			return p->instance;
	}
	return NULL;
}

static void on_check(void *arg)
{
	struct hub *h = arg;

	list_each (it, &h->seats) {
		struct hub_peer *p = list_entry(it, struct seat, link)->peer;

		if (!p)
			continue;
		check_silence(p, loop_now(h->loop));
		if (link_last_put(p->link) > link_receipted(p->link) &&
		    link_receipted(p->link) == p->receipted_at_check)
			sync_peer(h, p);
		p->receipted_at_check = link_receipted(p->link);
		if (!link_pending(p->link))
			link_put_ping(p->link, &(struct msg_ping){loop_now(h->loop).us});
	}
}

struct hub *hub_open(struct loop *loop, const char *path, const struct hub_events *events,
		     void *arg)
{
	struct hub *h = xcalloc(1, sizeof(*h));
	char *endpoint = xasprintf("ipc://%s", path);
	mode_t old;

	h->loop = loop;
	h->events = events;
	h->arg = arg;
	h->boot = random_u64();
	list_init(&h->seats);
	h->context = zmq_ctx_new();
	h->socket = wire_socket(h->context, ZMQ_ROUTER, NULL);
	unlink(path); /* left by a killed router; the instance lock makes us the only one */
	old = umask(0117);
	if (zmq_bind(h->socket, endpoint) != 0)
		fatal("event=bus_bind path=%s reason=\"%s\" next=\"check that the directory exists "
		      "and belongs to the router's user\"",
		      path, zmq_strerror(zmq_errno()));
	umask(old);
	free(endpoint);
	h->zmq = loop_zmq_new(loop, h->socket, on_readable, on_turn_end, h);
	h->poke = loop_timer_new(loop, on_poke, h);
	h->tick = loop_timer_new(loop, on_tick, h);
	h->checks = loop_timer_new(loop, on_check, h);
	loop_timer_set(h->checks, WIRE_CHECK_MS, WIRE_CHECK_MS);
	return h;
}

void hub_close(struct hub **hp)
{
	struct hub *h = *hp;

	*hp = NULL;
	if (!h)
		return;
	h->tick_due = true;
	on_turn_end(h);
	list_each_safe (it, &h->seats) {
		struct seat *s = list_entry(it, struct seat, link);

		if (s->peer)
			peer_free(s->peer);
		seat_free(s);
	}
	loop_zmq_free(&h->zmq);
	loop_timer_free(&h->poke);
	loop_timer_free(&h->tick);
	loop_timer_free(&h->checks);
	zmq_close(h->socket);
	zmq_ctx_term(h->context);
	free(h);
}

uint64_t hub_boot(const struct hub *h)
{
	return h->boot;
}

void hub_expect(struct hub *h, const char *instance, const char *service, const char *token)
{
	struct seat *s = seat_find(h, slice_str(instance));

	if (s && token && strcmp(s->token, token) == 0)
		return;
	if (s) {
		peer_dead(h, s, token ? "replaced" : "its process ended");
		seat_free(s);
	}
	if (!token)
		return;
	s = xcalloc(1, sizeof(*s));
	s->instance = xstrdup(instance);
	s->service = xstrdup(service);
	s->token = xstrdup(token);
	list_append(&h->seats, &s->link);
	loop_timer_set(h->poke, 0, POKE_MS);
}

bool hub_next(const struct hub *h, size_t *it, const char **instance, const char **service,
	      struct hub_peer **peer)
{
	size_t i = 0;

	list_each (l, &h->seats) {
		const struct seat *s = list_entry(l, struct seat, link);

		if (i++ != *it)
			continue;
		*it = i;
		*instance = s->instance;
		*service = s->service;
		*peer = s->peer;
		return true;
	}
	return false;
}

struct link *hub_peer_link(struct hub_peer *p)
{
	return p->link;
}

const char *hub_peer_instance(const struct hub_peer *p)
{
	return p->instance;
}

const char *hub_peer_service(const struct hub_peer *p)
{
	return p->service;
}

unsigned int hub_peer_roles(const struct hub_peer *p)
{
	return p->roles;
}

struct monotime hub_peer_since(const struct hub_peer *p)
{
	return p->since;
}

struct slice hub_peer_stats(const struct hub_peer *p)
{
	return str_slice(&p->stats);
}

void hub_peer_set_data(struct hub_peer *p, void *data)
{
	p->data = data;
}

void *hub_peer_data(const struct hub_peer *p)
{
	return p->data;
}
