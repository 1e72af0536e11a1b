#include "net/dns_probe.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"
#include "base/xmem.h"
#include "net/loop.h"

#define PROBED_MAX 4 /* servers */

enum said { SAID_NOTHING, SAID_REFUSED, SAID_GARBAGE, SAID_CODE };

struct probed {
	struct dns_probe *probe;
	const struct dns_server *server;
	struct loop_fd *watch;
	int fd;
	int error; /* of the socket */
	enum said said;
	unsigned int rcode;
	bool truncated;
	bool decided;
};

struct dns_probe {
	struct dns_probe **pp;
	struct loop_timer *timer;
	void (*done)(void *arg, const struct dns_probe_result *result);
	void *arg;
	struct dns_server servers[PROBED_MAX];
	struct probed probed[PROBED_MAX];
	size_t n, open;
	unsigned char question[DNS_QUESTION_MAX];
	size_t question_len;
};

static void settle(struct probed *s)
{
	if (s->decided)
		return;
	s->decided = true;
	loop_fd_free(&s->watch);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->probe->open--;
}

static void describe(const struct probed *s, struct str *out)
{
	str_addf(out, "%s%s ", out->len ? "; " : "", s->server->text);
	if (s->said == SAID_REFUSED)
		str_addf(out, "cannot be asked (%s)", strerror(s->error));
	else if (s->said == SAID_NOTHING)
		str_adds(out, "does not answer");
	else if (s->said == SAID_GARBAGE)
		str_adds(out, "answers what is no answer to our question");
	else if (s->truncated)
		str_adds(out, "has an answer too large for UDP and does not give it over TCP");
	else if (s->rcode == 0 || s->rcode == 3)
		str_adds(out, "gives an answer that is broken");
	else
		str_addf(out, "answers %s", dns_rcode_name(s->rcode));
}

static void finish(struct dns_probe *p)
{
	struct dns_probe_result r = {.outcome = DNS_TIMEOUT, .all_refused = true};
	void (*done)(void *, const struct dns_probe_result *) = p->done;
	void *arg = p->arg;
	struct str text = STR_INIT;
	bool garbage = false, code = false;

	for (size_t i = 0; i < p->n; i++) {
		const struct probed *s = &p->probed[i];

		r.all_refused = r.all_refused && s->said == SAID_REFUSED;
		code = code || (s->said == SAID_CODE && s->rcode != 0 && s->rcode != 3);
		r.answered = r.answered || s->said == SAID_CODE;
		garbage = garbage || s->said == SAID_GARBAGE || s->said == SAID_CODE;
		describe(s, &text);
	}
	r.outcome = code ? DNS_SERVFAIL : garbage ? DNS_MALFORMED : DNS_TIMEOUT;
	r.text = text.data;
	dns_probe_cancel(p->pp);
	done(arg, &r);
	str_clear(&text);
}

static void on_timer(void *arg)
{
	finish(arg);
}

static void on_readable(void *arg, int events)
{
	struct probed *s = arg;
	struct dns_probe *p = s->probe;
	unsigned char data[4096];
	ssize_t n = recv(s->fd, data, sizeof(data), 0);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		s->error = errno;
		s->said = SAID_REFUSED;
		settle(s);
	} else if (dns_answer_matches(data, (size_t)n, p->question, p->question_len, &s->rcode,
				      &s->truncated)) {
		s->said = SAID_CODE;
		settle(s);
	} else {
		s->said = SAID_GARBAGE; /* the true answer may still come */
	}
	if (p->open == 0)
		finish(p);
}

static void ask(struct probed *s, struct loop *loop)
{
	struct dns_probe *p = s->probe;

	s->fd = socket(s->server->addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd >= 0 &&
	    connect(s->fd, (const struct sockaddr *)&s->server->addr, s->server->len) == 0 &&
	    send(s->fd, p->question, p->question_len, 0) == (ssize_t)p->question_len) {
		s->watch = loop_fd_new(loop, s->fd, LOOP_READ, on_readable, s);
		return;
	}
	s->error = errno;
	s->said = SAID_REFUSED;
	settle(s);
}

void dns_probe_start(struct dns_probe **pp, struct loop *loop, const struct dns_zone *zone,
		     const char *name, enum dns_type type, unsigned int ms,
		     void (*done)(void *arg, const struct dns_probe_result *result), void *arg)
{
	struct dns_probe *p = xcalloc(1, sizeof(*p));

	*pp = p;
	p->pp = pp;
	p->done = done;
	p->arg = arg;
	p->n = p->open = zone->nservers < PROBED_MAX ? zone->nservers : PROBED_MAX;
	memcpy(p->servers, zone->servers, p->n * sizeof(p->servers[0]));
	p->question_len = dns_question_pack(p->question, (uint16_t)random_u64(), name, type);
	for (size_t i = 0; i < p->n; i++) {
		p->probed[i] = (struct probed){.probe = p, .server = &p->servers[i], .fd = -1};
		ask(&p->probed[i], loop);
	}
	p->timer = loop_timer_new(loop, on_timer, p);
	loop_timer_set(p->timer, p->open ? ms : 0, 0);
}

void dns_probe_hurry(struct dns_probe *p)
{
	finish(p);
}

void dns_probe_cancel(struct dns_probe **pp)
{
	struct dns_probe *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		settle(&p->probed[i]);
	loop_timer_free(&p->timer);
	free(p);
}
