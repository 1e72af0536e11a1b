/*
 * fake_server - answers xmpp-load's clients by the word, in a thread: enough XMPP for a login with
 * PLAIN, and what a test wants to happen. Included once, by a test.
 */
#ifndef TESTS_BENCH_FAKE_SERVER_H
#define TESTS_BENCH_FAKE_SERVER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/str.h"

#define FAKE_CLIENTS 64

struct fake_client {
	int fd;
	unsigned int number; /* of the connection, from 0 */
	struct str in;
	char user[32]; /* once authenticated */
};

struct fake_server {
	int listener;
	uint16_t port;
	int stop[2];
	pthread_t thread;
	unsigned int accepted;
	unsigned int accept_first; /* so many logins are accepted, then */
	unsigned int refuse;	   /* ... so many refused, then all accepted */
	bool swap;		   /* no XMPP: bytes go to the other connection of the pair */
	struct str seen;	   /* every stanza after login, one after the other */
	struct fake_client client[FAKE_CLIENTS];
	unsigned int count;
	/* A stanza of a client that is logged in; answers with fake_say(). May be NULL. */
	void (*on_stanza)(struct fake_server *s, struct fake_client *from, const char *stanza);
};

static void fake_say(struct fake_client *c, const char *text)
{
	if (send(c->fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return; /* the client has gone */
}

/* What the client has sent up to a text, once that is there; an answer to it. */
static bool fake_on(struct fake_client *c, const char *upto, const char *answer)
{
	char *at = c->in.len ? strstr(c->in.data, upto) : NULL;

	if (!at)
		return false;
	str_consume(&c->in, (size_t)(at - c->in.data) + strlen(upto));
	fake_say(c, answer);
	return true;
}

#define FAKE_HEADER "<stream:stream id='s' from='localhost'>"

static bool fake_step(struct fake_server *s, struct fake_client *c)
{
	char jid[160];

	if (c->user[0] == 0) {
		fake_on(c, "etherx.jabber.org/streams'>",
			FAKE_HEADER "<stream:features><mechanisms><mechanism>PLAIN</mechanism>"
				    "</mechanisms></stream:features>");
		if (c->number >= s->accept_first && c->number < s->accept_first + s->refuse)
			return fake_on(c, "</auth>", "<failure><not-authorized/></failure>");
		if (!fake_on(c, "</auth>", "<success/>"))
			return false;
		snprintf(c->user, sizeof c->user, "c%u", c->number);
	}
	fake_on(c, "etherx.jabber.org/streams'>", FAKE_HEADER "<stream:features/>");
	snprintf(jid, sizeof jid,
		 "<iq type='result' id='bind'><bind><jid>%s@localhost/r</jid>"
		 "</bind></iq>",
		 c->user);
	return fake_on(c,
		       "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
		       "</iq>",
		       jid);
}

static void fake_take(struct fake_server *s, struct fake_client *c)
{
	if (s->swap) {
		unsigned int other = c->number ^ 1;

		if (other < s->count && s->client[other].fd >= 0)
			check(send(s->client[other].fd, c->in.data, c->in.len, MSG_NOSIGNAL) ==
			      (ssize_t)c->in.len);
		str_reset(&c->in);
		return;
	}
	if (c->user[0] == 0 || strstr(c->in.data, "id='bind'") ||
	    strstr(c->in.data, "etherx.jabber.org")) {
		fake_step(s, c);
	}
	if (c->user[0] && c->in.len && !strstr(c->in.data, "<?xml")) {
		str_adds(&s->seen, c->in.data);
		if (s->on_stanza)
			s->on_stanza(s, c, c->in.data);
		bool ended = strstr(c->in.data, "</stream:stream>");
		str_reset(&c->in);
		if (ended)
			shutdown(c->fd, SHUT_RDWR);
	}
}

static void fake_read(struct fake_server *s, struct fake_client *c)
{
	char buf[4096];
	ssize_t n = recv(c->fd, buf, sizeof buf, 0);

	if (n <= 0) {
		close(c->fd);
		c->fd = -1;
		return;
	}
	str_add(&c->in, buf, (size_t)n);
	fake_take(s, c);
}

static void *fake_main(void *arg)
{
	struct fake_server *s = arg;
	struct pollfd p[FAKE_CLIENTS + 2];

	for (;;) {
		p[0] = (struct pollfd){.fd = s->stop[0], .events = POLLIN};
		p[1] = (struct pollfd){.fd = s->listener, .events = POLLIN};
		for (unsigned int i = 0; i < s->count; i++)
			p[i + 2] = (struct pollfd){.fd = s->client[i].fd, .events = POLLIN};
		unsigned int polled = s->count;
		poll(p, polled + 2, -1);
		if (p[0].revents)
			return NULL;
		for (unsigned int i = 0; i < polled; i++) {
			if (p[i + 2].revents && s->client[i].fd >= 0)
				fake_read(s, &s->client[i]);
		}
		if (p[1].revents) {
			check(s->count < FAKE_CLIENTS);
			s->client[s->count] = (struct fake_client){
				.fd = accept(s->listener, NULL, NULL), .number = s->count};
			s->count++;
		}
	}
}

static void fake_start(struct fake_server *s)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof addr;

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(bind(s->listener, (const struct sockaddr *)&addr, sizeof addr) == 0);
	check(listen(s->listener, FAKE_CLIENTS) == 0);
	check(getsockname(s->listener, (struct sockaddr *)&addr, &len) == 0);
	s->port = ntohs(addr.sin_port);
	check(pipe(s->stop) == 0);
	check(pthread_create(&s->thread, NULL, fake_main, s) == 0);
}

static void fake_stop(struct fake_server *s)
{
	check(write(s->stop[1], "x", 1) == 1);
	pthread_join(s->thread, NULL);
	for (unsigned int i = 0; i < s->count; i++) {
		if (s->client[i].fd >= 0)
			close(s->client[i].fd);
		str_clear(&s->client[i].in);
	}
	close(s->listener);
	close(s->stop[0]);
	close(s->stop[1]);
	str_clear(&s->seen);
}

#endif
