/*
 * rig - the whole cm-client but its main(), in a thread of its own, between a real socket and a
 * scripted router. The test's own thread is the client (blocking, with a time limit).
 *
 * Takes the place of lib/ipc/bus and lib/proc: this file defines their functions.
 */
#ifndef TESTS_UNIT_CM_CLIENT_RIG_H
#define TESTS_UNIT_CM_CLIENT_RIG_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xmem.h"
#include "cm-client/c2s.h"
#include "ipc/bus.h"
#include "ipc/db_pack.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "proc/proc.h"
#include "tests/support/cmocka_first.h"
#include "tests/unit/net/certs.h"

struct proc {
	struct loop *loop;
	struct config *cfg;
	struct cert_files files;
	int listener;
	bool drained;
};

struct bus {
	struct link *link;
	const struct bus_events *events;
	void *arg;
};

enum rig_command {
	RIG_STOP,
	RIG_DRAIN,
	RIG_CLOSE,
	RIG_SETTLE,
	RIG_FLOOD,
	RIG_HOLD,      /* HELD for all that came, and from now on */
	RIG_THREE,     /* three deliveries at once */
	RIG_PRESENCES, /* rig.presences unimportant ones */
	RIG_DETACH,    /* somebody resumes it elsewhere */
	RIG_RESUMED,   /* the answer to a RESUME that waits for it */
};

static struct rig {
	struct proc proc;
	struct bus bus;
	struct loop_hook *hook;
	struct loop_timer *answer;
	struct loop_fd *command_fd;
	int event;
	pthread_t thread;
	int port;
	void *state;
	struct str todo; /* records for the cm */
	uint64_t q;
	uint64_t settled_n;
	unsigned int presences;
	uint64_t sender; /* of them; 0 = each from another one */
	/* shared with the test's thread */
	pthread_mutex_t lock;
	enum rig_command command;
	bool settles;
	bool holds;
	bool answers_resume;
	unsigned int stanzas;
	uint64_t delivered_q;
	uint64_t last_sid;
	char last[256];	  /* "message to=... flags=... inner" of the last STANZA */
	char unbound[64]; /* reason of the last UNBIND */
	char detached[64];
	char refused[128];
	uint64_t request; /* of the last RESUME */
	char resume[64];
	enum err account_status; /* of DB_ACCOUNT_PASSWORD; ERR_AGAIN = no answer */
	uint64_t late_op;
	char account[128]; /* the last: "user domain password create" */
} rig;

struct loop *proc_loop(struct proc *p)
{
	return p->loop;
}

const struct config *proc_config(const struct proc *p)
{
	return p->cfg;
}

const char *proc_instance(const struct proc *p)
{
	(void)p;
	return "cm-client-1";
}

const char *proc_service(const struct proc *p)
{
	(void)p;
	return "cm-client";
}

const char *proc_token(const struct proc *p)
{
	(void)p;
	return "token";
}

int proc_listener(const struct proc *p, size_t i, const char **addr)
{
	*addr = "127.0.0.1:0";
	return i == 0 ? p->listener : -1;
}

int proc_file(const struct proc *p, const char *name)
{
	return strcmp(name, "tls.key") == 0 ? p->files.key : p->files.cert;
}

bool proc_has_files(const struct proc *p)
{
	(void)p;
	return true;
}

void proc_ready(struct proc *p, bool ready)
{
	(void)p;
	(void)ready;
}

void proc_alarm(struct proc *p, const char *text)
{
	(void)p;
	(void)text;
}

void proc_metrics(struct proc *p, void (*add)(void *arg, struct str *out), void *arg)
{
	(void)p;
	(void)add;
	(void)arg;
}

void proc_drained(struct proc *p)
{
	p->drained = true;
	loop_stop(p->loop);
}

struct bus *bus_open(struct loop *loop, const char *path, const char *service, const char *instance,
		     const char *token, const struct bus_events *events, void *arg)
{
	(void)loop;
	(void)path;
	(void)service;
	(void)instance;
	(void)token;
	rig.bus.link = link_new(1, 1 << 20, 65536);
	link_restart(rig.bus.link, 2);
	rig.bus.events = events;
	rig.bus.arg = arg;
	return &rig.bus;
}

void bus_close(struct bus **bp)
{
	link_free(&(*bp)->link);
	*bp = NULL;
}

struct link *bus_link(struct bus *b)
{
	return b->link;
}

bool bus_is_up(const struct bus *b)
{
	(void)b;
	return true;
}

uint64_t bus_boot(const struct bus *b)
{
	(void)b;
	return 1;
}

void bus_urgent(struct bus *b)
{
	(void)b;
}

/* The router's side, in the server's thread */

static void rig_deliver(uint64_t sid, struct slice inner)
{
	msg_deliver_put(&rig.todo, &(struct msg_deliver){.sid = sid,
							 .q = ++rig.q,
							 .origin_sid = 99,
							 .origin_n = rig.q,
							 .kind = STANZA_MESSAGE,
							 .from = slice_str("romeo@localhost/y"),
							 .inner = inner});
}

static void rig_keys(struct str *out)
{
	unsigned char salted[32], key[32], stored[32];

	PKCS5_PBKDF2_HMAC("secret", 6, (const unsigned char *)"salt", 4, 1, EVP_sha256(), 32,
			  salted);
	HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Client Key", 10, key, NULL);
	EVP_Digest(key, 32, stored, NULL, EVP_sha256(), NULL);
	db_scram_put(out, &(struct db_scram){.hash = slice_str("SHA-256"),
					     .iterations = 1,
					     .salt = slice_str("salt"),
					     .stored_key = slice_of((char *)stored, 32),
					     .server_key = slice_of((char *)stored, 32)});
}

static void rig_presences(void)
{
	for (unsigned int i = 0; i < rig.presences; i++) {
		uint64_t q = ++rig.q;

		msg_deliver_put(&rig.todo, &(struct msg_deliver){
						   .sid = rig.last_sid,
						   .q = q,
						   .origin_sid = rig.sender ? rig.sender : 1000 + q,
						   .origin_n = q,
						   .kind = STANZA_PRESENCE,
						   .from = slice_str("romeo@localhost/y"),
						   .inner = slice_str("<show>away</show>")});
	}
}

static bool rig_account(const struct msg_store *m)
{
	struct msg_db_account_password p;
	struct slice in = m->body, body;
	uint16_t type;

	if (codec_next(&in, &type, &body) != ERR_OK || type != MSG_DB_ACCOUNT_PASSWORD ||
	    msg_db_account_password_get(body, &p) != ERR_OK)
		return false;
	snprintf(rig.account, sizeof(rig.account), "%.*s %.*s %.*s %u", SLICE_ARG(p.user),
		 SLICE_ARG(p.domain), SLICE_ARG(p.password), p.create);
	if (rig.late_op) /* the one before: its stream may be gone */
		msg_stored_put(&rig.todo,
			       &(struct msg_stored){.op_boot = m->op_boot, .op_n = rig.late_op});
	rig.late_op = rig.account_status == ERR_AGAIN ? m->op_n : 0;
	if (rig.account_status != ERR_AGAIN)
		msg_stored_put(&rig.todo,
			       &(struct msg_stored){.op_boot = m->op_boot,
						    .op_n = m->op_n,
						    .status = (uint16_t)rig.account_status});
	return true;
}

static void rig_store(const struct msg_store *m)
{
	struct str keys = STR_INIT, answer = STR_INIT;

	if (rig_account(m))
		return;
	rig_keys(&keys);
	msg_db_account_put(&answer, &(struct msg_db_account){.scram = str_slice(&keys)});
	msg_stored_put(&rig.todo, &(struct msg_stored){.op_boot = m->op_boot,
						       .op_n = m->op_n,
						       .status = ERR_OK,
						       .body = str_slice(&answer)});
	str_clear(&keys);
	str_clear(&answer);
}

static void rig_stanza(const struct msg_stanza *m)
{
	rig.stanzas++;
	snprintf(rig.last, sizeof(rig.last), "kind=%u n=%llu to=%.*s flags=%x inner=%.*s", m->kind,
		 (unsigned long long)m->n, SLICE_ARG(m->to), m->flags, SLICE_ARG(m->inner));
	if (rig.settles) {
		msg_settled_put(&rig.todo, &(struct msg_settled){m->sid, m->n, SETTLED_CONSUMED});
		rig.settled_n = m->n;
	}
	if (rig.holds)
		msg_held_put(&rig.todo, &(struct msg_held){m->sid, m->n});
	if (memmem(m->inner.data, m->inner.len, "echo", 4))
		rig_deliver(m->sid, m->inner);
}

#define RIG_SEEN 40 /* of the session that can be resumed: n and q before */
#define RIG_HAD	 7

static void rig_resumed(void)
{
	rig.last_sid = 77;
	rig.q = RIG_HAD;
	msg_resumed_put(&rig.todo, &(struct msg_resumed){.request = rig.request,
							 .sid = rig.last_sid,
							 .epoch = 5,
							 .jid = slice_str("juliet@localhost/x"),
							 .resume_id = slice_str("rid"),
							 .max_s = 300,
							 .seen_n = RIG_SEEN,
							 .in_base = 2,
							 .out_base = 1,
							 .next_q = RIG_HAD + 1});
	rig_deliver(rig.last_sid, slice_str("<body>kept</body>"));
}

static void rig_resume(const struct msg_resume *m)
{
	rig.request = m->request;
	snprintf(rig.resume, sizeof(rig.resume), "%.*s %.*s h=%u", SLICE_ARG(m->jid),
		 SLICE_ARG(m->resume_id), m->h);
	if (!slice_is(m->resume_id, "rid"))
		msg_resume_refused_put(&rig.todo, &(struct msg_resume_refused){
							  m->request, slice_str("item-not-found"),
							  slice_str("no such session")});
	else if (rig.answers_resume)
		rig_resumed();
}

/* XEP-0198: true if it was one of its records. */
static bool rig_sm(uint16_t type, struct slice body)
{
	struct msg_enable enable;
	struct msg_detached detached;
	struct msg_refused refused;
	struct msg_resume resume;

	if (type == MSG_ENABLE && msg_enable_get(body, &enable) == ERR_OK)
		msg_enabled_put(
			&rig.todo,
			&(struct msg_enabled){.sid = enable.sid,
					      .resume_id = slice_str(enable.resume ? "rid" : ""),
					      .max_s = enable.max_s ? enable.max_s : 300,
					      .in_base = enable.in_base,
					      .out_base = rig.q + 1});
	else if (type == MSG_DETACHED && msg_detached_get(body, &detached) == ERR_OK)
		snprintf(rig.detached, sizeof(rig.detached), "%.*s", SLICE_ARG(detached.reason));
	else if (type == MSG_REFUSED && msg_refused_get(body, &refused) == ERR_OK)
		snprintf(rig.refused, sizeof(rig.refused), "n=%llu %.*s id=%.*s",
			 (unsigned long long)refused.n, SLICE_ARG(refused.condition),
			 SLICE_ARG(refused.id));
	else if (type == MSG_RESUME && msg_resume_get(body, &resume) == ERR_OK)
		rig_resume(&resume);
	else
		return false;
	return true;
}

static void rig_record(void *arg, uint16_t type, struct slice body)
{
	struct msg_store store;
	struct msg_bind bind;
	struct msg_stanza stanza;
	struct msg_delivered delivered;
	struct msg_unbind unbind;
	char jid[128];

	(void)arg;
	pthread_mutex_lock(&rig.lock);
	if (rig_sm(type, body)) {
		/* done */
	} else if (type == MSG_STORE && msg_store_get(body, &store) == ERR_OK) {
		rig_store(&store);
	} else if (type == MSG_BIND && msg_bind_get(body, &bind) == ERR_OK) {
		snprintf(jid, sizeof(jid), "%.*s/%.*s", SLICE_ARG(bind.jid),
			 SLICE_ARG(bind.resource));
		rig.last_sid = bind.sid;
		rig.q = 0;
		msg_bound_put(&rig.todo, &(struct msg_bound){bind.sid, 5, slice_str(jid)});
	} else if (type == MSG_STANZA && msg_stanza_get(body, &stanza) == ERR_OK) {
		rig_stanza(&stanza);
	} else if (type == MSG_DELIVERED && msg_delivered_get(body, &delivered) == ERR_OK) {
		rig.delivered_q = delivered.q;
	} else if (type == MSG_UNBIND && msg_unbind_get(body, &unbind) == ERR_OK) {
		snprintf(rig.unbound, sizeof(rig.unbound), "%.*s", SLICE_ARG(unbind.reason));
	}
	pthread_mutex_unlock(&rig.lock);
}

/* Takes what the cm put and gives receipts at once. */
static void rig_turn(void *arg)
{
	struct link_header h,
		r = {.frame = LINK_DATA, .from_boot = 2, .to_boot = 1, .first_seq = 1};
	struct slice frame, body;

	(void)arg;
	while (link_pending(rig.bus.link) && link_next(rig.bus.link, false, &frame)) {
		struct str receipt = STR_INIT;
		struct slice rec;
		uint16_t type;

		check(link_header_get(frame, &h, &body) == ERR_OK);
		while (codec_next(&body, &type, &rec) == ERR_OK)
			rig_record(NULL, type, rec);
		r.receipt = h.first_seq + h.count - 1;
		link_sent(rig.bus.link);
		link_header_put(&receipt, &r);
		link_receive(rig.bus.link, str_slice(&receipt), rig_record, NULL);
		str_clear(&receipt);
	}
	if (rig.todo.len)
		loop_timer_set(rig.answer, 0, 0);
}

static void rig_answer(void *arg)
{
	struct str now = rig.todo;
	struct slice in = str_slice(&now), body;
	uint16_t type;

	(void)arg;
	str_init(&rig.todo);
	while (codec_next(&in, &type, &body) == ERR_OK)
		rig.bus.events->on_record(rig.bus.arg, type, body);
	str_clear(&now);
}

static void rig_flood(void)
{
	char *big = xcalloc(1, 30001);

	memset(big, 'x', 30000);
	for (int i = 0; i < 200; i++)
		rig_deliver(rig.last_sid, slice_str(big));
	free(big);
}

static void rig_on_command(void *arg, int events)
{
	enum rig_command c;
	uint64_t n;

	(void)arg;
	(void)events;
	if (read(rig.event, &n, sizeof(n)) != sizeof(n))
		return;
	pthread_mutex_lock(&rig.lock);
	c = rig.command;
	if (c == RIG_CLOSE)
		msg_close_put(&rig.todo, &(struct msg_close){rig.last_sid, 5, slice_str("conflict"),
							     slice_str("replaced")});
	if (c == RIG_FLOOD)
		rig_flood();
	if (c == RIG_HOLD) {
		rig.holds = true;
		msg_held_put(&rig.todo, &(struct msg_held){rig.last_sid, rig.stanzas});
	}
	for (int i = 0; c == RIG_THREE && i < 3; i++)
		rig_deliver(rig.last_sid, slice_str("<body>3</body>"));
	if (c == RIG_PRESENCES)
		rig_presences();
	if (c == RIG_DETACH)
		msg_detach_put(&rig.todo, &(struct msg_detach){rig.last_sid, 5});
	if (c == RIG_RESUMED)
		rig_resumed();
	if (c == RIG_SETTLE) {
		rig.settles = true;
		while (rig.settled_n < rig.stanzas)
			msg_settled_put(&rig.todo,
					&(struct msg_settled){rig.last_sid, ++rig.settled_n,
							      SETTLED_CONSUMED});
	}
	pthread_mutex_unlock(&rig.lock);
	if (c == RIG_STOP)
		loop_stop(rig.proc.loop);
	else if (c == RIG_DRAIN)
		c2s_drain(rig.state);
	else
		loop_timer_set(rig.answer, 0, 0);
}

static void *rig_thread(void *arg)
{
	(void)arg;
	loop_run(rig.proc.loop);
	return NULL;
}

/* From the test's thread */

static inline void rig_do(enum rig_command c)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&rig.lock);
	rig.command = c;
	pthread_mutex_unlock(&rig.lock);
	check(write(rig.event, &one, sizeof(one)) == sizeof(one));
}

static inline void rig_listen(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	rig.proc.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	check(bind(rig.proc.listener, (struct sockaddr *)&a, sizeof(a)) == 0);
	check(listen(rig.proc.listener, 128) == 0);
	check(getsockname(rig.proc.listener, (struct sockaddr *)&a, &len) == 0);
	rig.port = ntohs(a.sin_port);
}

/* cfg: taken; NULL = defaults. */
static inline void rig_start(struct config *cfg)
{
	memset(&rig, 0, sizeof(rig));
	log_set_level(LOG_LEVEL_ERROR);
	pthread_mutex_init(&rig.lock, NULL);
	str_init(&rig.todo);
	rig.settles = rig.holds = rig.answers_resume = true;
	rig.proc.cfg = cfg ? cfg : config_defaults();
	rig.proc.files = cert_files_new("localhost", 30);
	rig.proc.loop = loop_new();
	rig_listen();
	rig.event = eventfd(0, EFD_CLOEXEC);
	check(c2s_init(&rig.proc, &rig.state) == ERR_OK);
	rig.hook = loop_hook_new_at(rig.proc.loop, LOOP_LAST, rig_turn, NULL);
	rig.answer = loop_timer_new(rig.proc.loop, rig_answer, NULL);
	rig.command_fd = loop_fd_new(rig.proc.loop, rig.event, LOOP_READ, rig_on_command, NULL);
	rig.bus.events->on_up(rig.bus.arg, true);
	check(pthread_create(&rig.thread, NULL, rig_thread, NULL) == 0);
}

static inline void rig_stop(void)
{
	if (!rig.proc.drained)
		rig_do(RIG_STOP);
	pthread_join(rig.thread, NULL);
	c2s_deinit(rig.state);
	loop_hook_free(&rig.hook);
	loop_timer_free(&rig.answer);
	loop_fd_free(&rig.command_fd);
	loop_free(&rig.proc.loop);
	close(rig.event);
	close(rig.proc.listener);
	cert_files_close(&rig.proc.files);
	config_free(&rig.proc.cfg);
	str_clear(&rig.todo);
}

/* A client */

struct client {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	struct str in; /* everything since the last client_wait() ended */
	bool eof;
};

static inline void client_open(struct client *c)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((uint16_t)rig.port)};
	struct timeval limit = {.tv_sec = 10};

	*c = (struct client){.in = STR_INIT};
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	check(connect(c->fd, (struct sockaddr *)&a, sizeof(a)) == 0);
}

static inline void client_close(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	str_clear(&c->in);
}

static inline bool client_tls(struct client *c)
{
	c->ctx = SSL_CTX_new(TLS_client_method());
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
	return SSL_connect(c->ssl) == 1;
}

static inline void client_say_bytes(struct client *c, const void *p, size_t len)
{
	if (c->ssl)
		SSL_write(c->ssl, p, (int)len);
	else
		send(c->fd, p, len, MSG_NOSIGNAL);
}

static inline void client_say(struct client *c, const char *text)
{
	client_say_bytes(c, text, strlen(text));
}

/* Reads until text has come: true; or the end or the time limit: false. */
static inline bool client_wait(struct client *c, const char *text)
{
	char buf[16384];

	while (!text || !strstr(c->in.data, text)) {
		ssize_t n = c->ssl ? SSL_read(c->ssl, buf, sizeof(buf))
				   : recv(c->fd, buf, sizeof(buf), 0);

		if (n <= 0) {
			c->eof = c->ssl ? SSL_get_error(c->ssl, (int)n) == SSL_ERROR_ZERO_RETURN
					: n == 0;
			return false;
		}
		str_add(&c->in, buf, (size_t)n);
	}
	return true;
}

static inline void rig_wait(bool (*holds)(void), const char *what)
{
	for (int i = 0; i < 1000; i++) {
		bool now;

		pthread_mutex_lock(&rig.lock);
		now = holds();
		pthread_mutex_unlock(&rig.lock);
		if (now)
			return;
		usleep(5000);
	}
	fail_msg("in vain: %s", what);
}

#define CLIENT_HEADER                                                \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:client' " \
	"xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>"

static inline bool client_expect(struct client *c, const char *say, const char *wait)
{
	bool ok;

	str_reset(&c->in);
	client_say(c, say);
	ok = client_wait(c, wait);
	return ok;
}

/* To a stream on which a resource may be bound, by STARTTLS and PLAIN. */
static inline bool client_authenticate(struct client *c)
{
	return client_expect(c, CLIENT_HEADER, "</stream:features>") &&
	       client_expect(c, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
			     "<proceed") &&
	       client_tls(c) && client_expect(c, CLIENT_HEADER, "</stream:features>") &&
	       client_expect(c,
			     "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
			     "AGp1bGlldABzZWNyZXQ=</auth>",
			     "<success") &&
	       client_expect(c, CLIENT_HEADER, "</stream:features>");
}

/* To a bound resource x. */
static inline bool client_login(struct client *c)
{
	return client_authenticate(c) &&
	       client_expect(c,
			     "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
			     "<resource>x</resource></bind></iq>",
			     "<jid>juliet@localhost/x</jid></bind></iq>");
}

#endif
