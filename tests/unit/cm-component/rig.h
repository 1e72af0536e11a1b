/*
 * rig - the whole cm-component but its main(), in a thread of its own, between real sockets and a
 * scripted router. The test's own thread is the component (blocking, with a time limit).
 *
 * Takes the place of lib/ipc/bus and lib/proc: this file defines their functions.
 */
#ifndef TESTS_UNIT_CM_COMPONENT_RIG_H
#define TESTS_UNIT_CM_COMPONENT_RIG_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xmem.h"
#include "cm-component/comp.h"
#include "ipc/bus.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "proc/proc.h"
#include "tests/support/cmocka_first.h"
#include "tests/unit/net/certs.h"

#define RIG_EPOCH  5
#define RIG_SECRET "secret"

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
	/* shared with the test's thread */
	pthread_mutex_t lock;
	void (*command)(void);
	enum err account; /* of DB_COMPONENT_GET; ERR_AGAIN = no answer */
	const char *domain;
	bool binds; /* BIND_DOMAIN is answered */
	const char *refuses;
	unsigned int lookups;
	unsigned int asked; /* BIND_DOMAIN */
	unsigned int stanzas;
	uint64_t delivered_q;
	uint64_t sid;
	uint64_t request; /* of the last RESUME */
	int probed;	  /* -1 = not */
	char said[4096];  /* "STANZA ...", "UNBIND ..." in order */
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
	return "cm-component-1";
}

const char *proc_service(const struct proc *p)
{
	(void)p;
	return "cm-component";
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

static void rig_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void rig_say(const char *fmt, ...)
{
	size_t len = strlen(rig.said);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rig.said + len, sizeof(rig.said) - len, fmt, ap);
	va_end(ap);
}

static void rig_deliver(struct slice inner)
{
	msg_deliver_put(&rig.todo, &(struct msg_deliver){.sid = rig.sid,
							 .q = ++rig.q,
							 .origin_sid = 99,
							 .origin_n = rig.q,
							 .kind = STANZA_MESSAGE,
							 .from = slice_str("romeo@localhost/y"),
							 .to = slice_str("x@cb1.localhost"),
							 .inner = inner});
}

static void rig_store(const struct msg_store *m)
{
	struct str answer = STR_INIT;

	rig.lookups++;
	if (rig.account == ERR_AGAIN)
		return;
	if (rig.account == ERR_OK)
		msg_db_component_put(&answer,
				     &(struct msg_db_component){.name = slice_str("cb1"),
								.domain = slice_str(rig.domain),
								.jid = slice_str("cb1.localhost"),
								.secret = slice_str(RIG_SECRET)});
	msg_stored_put(&rig.todo, &(struct msg_stored){.op_boot = m->op_boot,
						       .op_n = m->op_n,
						       .status = (uint8_t)rig.account,
						       .body = str_slice(&answer)});
	str_clear(&answer);
}

static void rig_bind(const struct msg_bind_domain *m)
{
	rig.asked++;
	rig.sid = m->sid;
	rig.q = 0;
	rig_say("BIND_DOMAIN %.*s;", SLICE_ARG(m->jid));
	if (rig.refuses)
		msg_bind_refused_put(&rig.todo,
				     &(struct msg_bind_refused){m->sid, slice_str(rig.refuses),
								slice_str("no")});
	else if (rig.binds)
		msg_bound_put(&rig.todo, &(struct msg_bound){m->sid, RIG_EPOCH, m->jid});
}

static void rig_stanza(const struct msg_stanza *m)
{
	rig.stanzas++;
	rig_say("STANZA from=%.*s to=%.*s %.*s;", SLICE_ARG(m->from), SLICE_ARG(m->to),
		SLICE_ARG(m->inner));
	msg_held_put(&rig.todo, &(struct msg_held){m->sid, m->n});
	msg_settled_put(&rig.todo, &(struct msg_settled){m->sid, m->n, SETTLED_CONSUMED});
}

static bool rig_sm(uint16_t type, struct slice body)
{
	struct msg_enable enable;
	struct msg_detached detached;
	struct msg_resume resume;

	if (type == MSG_ENABLE && msg_enable_get(body, &enable) == ERR_OK)
		msg_enabled_put(&rig.todo, &(struct msg_enabled){.sid = enable.sid,
								 .resume_id = slice_str("rid"),
								 .max_s = 300,
								 .in_base = enable.in_base,
								 .out_base = rig.q + 1});
	else if (type == MSG_DETACHED && msg_detached_get(body, &detached) == ERR_OK)
		rig_say("DETACHED %.*s;", SLICE_ARG(detached.reason));
	else if (type == MSG_RESUME && msg_resume_get(body, &resume) == ERR_OK)
		rig.request = resume.request;
	else
		return false;
	return true;
}

static void rig_record(void *arg, uint16_t type, struct slice body)
{
	struct msg_store store;
	struct msg_bind_domain bind;
	struct msg_stanza stanza;
	struct msg_delivered delivered;
	struct msg_unbind unbind;
	struct msg_probed probed;

	(void)arg;
	pthread_mutex_lock(&rig.lock);
	if (rig_sm(type, body)) {
		/* done */
	} else if (type == MSG_STORE && msg_store_get(body, &store) == ERR_OK) {
		rig_store(&store);
	} else if (type == MSG_BIND_DOMAIN && msg_bind_domain_get(body, &bind) == ERR_OK) {
		rig_bind(&bind);
	} else if (type == MSG_STANZA && msg_stanza_get(body, &stanza) == ERR_OK) {
		rig_stanza(&stanza);
	} else if (type == MSG_DELIVERED && msg_delivered_get(body, &delivered) == ERR_OK) {
		rig.delivered_q = delivered.q;
	} else if (type == MSG_PROBED && msg_probed_get(body, &probed) == ERR_OK) {
		rig.probed = probed.alive;
	} else if (type == MSG_UNBIND && msg_unbind_get(body, &unbind) == ERR_OK) {
		rig_say("UNBIND %.*s;", SLICE_ARG(unbind.reason));
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

static void rig_on_command(void *arg, int events)
{
	void (*f)(void);
	uint64_t n;

	(void)arg;
	(void)events;
	if (read(rig.event, &n, sizeof(n)) != sizeof(n))
		return;
	pthread_mutex_lock(&rig.lock);
	f = rig.command;
	pthread_mutex_unlock(&rig.lock);
	f();
	loop_timer_set(rig.answer, 0, 0);
}

static void *rig_thread(void *arg)
{
	(void)arg;
	loop_run(rig.proc.loop);
	return NULL;
}

/* From the test's thread */

/* Runs f in the server's thread; its effect is to be waited for before the next one. */
static inline void rig_do(void (*f)(void))
{
	const uint64_t one = 1;

	pthread_mutex_lock(&rig.lock);
	rig.command = f;
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
	rig.binds = true;
	rig.probed = -1;
	rig.domain = "localhost";
	rig.proc.cfg = cfg ? cfg : config_defaults();
	rig.proc.files = cert_files_new("localhost", 30);
	rig.proc.loop = loop_new();
	rig_listen();
	rig.event = eventfd(0, EFD_CLOEXEC);
	check(comp_init(&rig.proc, &rig.state) == ERR_OK);
	rig.hook = loop_hook_new_at(rig.proc.loop, LOOP_LAST, rig_turn, NULL);
	rig.answer = loop_timer_new(rig.proc.loop, rig_answer, NULL);
	rig.command_fd = loop_fd_new(rig.proc.loop, rig.event, LOOP_READ, rig_on_command, NULL);
	rig.bus.events->on_up(rig.bus.arg, true);
	check(pthread_create(&rig.thread, NULL, rig_thread, NULL) == 0);
}

static void rig_end(void)
{
	loop_stop(rig.proc.loop);
}

static inline void rig_stop(void)
{
	if (!rig.proc.drained)
		rig_do(rig_end);
	pthread_join(rig.thread, NULL);
	comp_deinit(rig.state);
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

static inline void rig_wait(bool (*holds)(void), const char *what)
{
	for (int i = 0; i < 2000; i++) {
		bool now;

		pthread_mutex_lock(&rig.lock);
		now = holds();
		pthread_mutex_unlock(&rig.lock);
		if (now)
			return;
		usleep(5000);
	}
	fail_msg("in vain: %s; said: %s", what, rig.said);
}

/* A component */

struct component {
	int fd;
	struct str in; /* everything that came */
	bool eof;
};

/* rcvbuf: 0 = the kernel's choice. */
static inline void component_dial(struct component *c, int rcvbuf)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((uint16_t)rig.port)};
	struct timeval limit = {.tv_sec = 10};

	*c = (struct component){.in = STR_INIT};
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (rcvbuf)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	check(connect(c->fd, (struct sockaddr *)&a, sizeof(a)) == 0);
}

static inline void component_say(struct component *c, const char *text)
{
	check(send(c->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* Reads until text has come: true; or the end or the time limit: false. */
static inline bool component_wait(struct component *c, const char *text)
{
	char buf[16384];

	while (!text || !strstr(c->in.data, text)) {
		ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

		if (n <= 0) {
			c->eof = n == 0;
			return false;
		}
		str_add(&c->in, buf, (size_t)n);
	}
	return true;
}

static inline void component_close(struct component *c)
{
	close(c->fd);
	str_clear(&c->in);
}

#define COMPONENT_HEADER                                  \
	"<stream:stream xmlns='jabber:component:accept' " \
	"xmlns:stream='http://etherx.jabber.org/streams' to='cb1.localhost'>"

static inline bool component_open(struct component *c, int rcvbuf)
{
	component_dial(c, rcvbuf);
	component_say(c, COMPONENT_HEADER);
	return component_wait(c, "xml:lang='en'>");
}

/* <handshake>digest</handshake> for the id in the server's header. */
static inline void component_prove(struct component *c)
{
	const char *id = strstr(c->in.data, " id='") + 5;
	unsigned char sha1[20];
	struct str text = STR_INIT, out = STR_INIT;

	str_add(&text, id, strcspn(id, "'"));
	str_adds(&text, RIG_SECRET);
	check(EVP_Digest(text.data, text.len, sha1, NULL, EVP_sha1(), NULL) == 1);
	str_adds(&out, "<handshake>");
	for (size_t i = 0; i < sizeof(sha1); i++)
		str_addf(&out, "%02x", sha1[i]);
	str_adds(&out, "</handshake>");
	component_say(c, out.data);
	str_clear(&text);
	str_clear(&out);
}

static inline bool component_login(struct component *c, int rcvbuf)
{
	if (!component_open(c, rcvbuf))
		return false;
	component_prove(c);
	return component_wait(c, "<handshake/>");
}

#endif
