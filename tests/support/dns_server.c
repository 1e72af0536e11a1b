#include "tests/support/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/monotime.h"
#include "base/xmem.h"

#define UDP_MAX 1232

struct message {
	unsigned char data[16384];
	size_t len;
	size_t question_len; /* of the question section */
	char label[64];	     /* the first of the name */
	unsigned int type;
};

struct dns_server_thread {
	pthread_t thread;
	int udp, tcp;
	int stop[2];
	uint16_t port;
	char name[32];
	atomic_uint asked;
	atomic_bool repaired;
	/* the thread's */
	struct monotime slow_since;
	struct message late;
	struct sockaddr_storage late_peer;
};

static void put16(struct message *m, unsigned int n)
{
	m->data[m->len++] = (unsigned char)(n >> 8);
	m->data[m->len++] = (unsigned char)n;
}

static void put_name(struct message *m, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		m->data[m->len++] = (unsigned char)n;
		memcpy(m->data + m->len, name, n);
		m->len += n;
		name += n + (name[n] == '.');
	}
	m->data[m->len++] = 0;
}

/* owner NULL: the name asked. Returns where the length of the data stands. */
static size_t begin_record(struct message *m, const char *owner, unsigned int type)
{
	if (owner)
		put_name(m, owner);
	else
		put16(m, 0xc00c);
	put16(m, type);
	put16(m, 1);
	put16(m, 0);
	put16(m, 300);
	put16(m, 0);
	m->data[7]++;
	return m->len;
}

static void end_record(struct message *m, size_t start)
{
	m->data[start - 2] = (unsigned char)((m->len - start) >> 8);
	m->data[start - 1] = (unsigned char)(m->len - start);
}

static void put_address(struct message *m, const char *owner, unsigned int type)
{
	size_t start = begin_record(m, owner, type);
	int family = type == 1 ? AF_INET : AF_INET6;

	check(inet_pton(family, type == 1 ? "127.0.0.1" : "::1", m->data + m->len) == 1);
	m->len += type == 1 ? 4 : 16;
	end_record(m, start);
}

static void put_srv(struct message *m, unsigned int priority, unsigned int port, const char *target)
{
	size_t start = begin_record(m, NULL, 33);

	put16(m, priority);
	put16(m, 50);
	put16(m, port);
	put_name(m, target);
	end_record(m, start);
}

static void put_cname(struct message *m, const char *target)
{
	size_t start = begin_record(m, NULL, 5);

	put_name(m, target);
	end_record(m, start);
}

static void put_short(struct message *m)
{
	size_t start = begin_record(m, NULL, m->type);

	m->data[m->len++] = 1;
	m->data[m->len++] = 2;
	m->data[m->len++] = 3;
	end_record(m, start);
}

static bool is(const struct message *m, const char *label)
{
	return strcmp(m->label, label) == 0;
}

static void answer_srv(struct message *m)
{
	char target[32];

	if (is(m, "dot") || is(m, "mixed"))
		put_srv(m, 0, 0, "");
	if (is(m, "many")) {
		for (unsigned int i = 0; i < 60; i++) {
			snprintf(target, sizeof(target), "t%02u.example.org", i);
			put_srv(m, 59 - i, 5000 + i, target);
		}
	} else if (is(m, "toalias")) {
		put_srv(m, 10, 5222, "alias.example.org");
	} else if (!is(m, "dot")) {
		put_srv(m, 10, 5222, "plain.example.org");
	}
}

static void answer_records(struct message *m)
{
	if (is(m, "bad")) {
		put_short(m);
	} else if (is(m, "loop")) {
		put_cname(m, "loop.example.org");
	} else if (is(m, "alias")) {
		put_cname(m, "plain.example.org");
		if (m->type == 1 || m->type == 28)
			put_address(m, "plain.example.org", m->type);
	} else if (is(m, "v6")) {
		if (m->type == 28)
			put_address(m, NULL, 28);
	} else if (m->type == 33) {
		answer_srv(m);
	} else if (m->type == 1 || m->type == 28) {
		put_address(m, NULL, m->type);
	}
}

static unsigned int code(const struct dns_server_thread *s, const struct message *m)
{
	if (strncmp(m->label, "repair", 6) == 0)
		return atomic_load(&s->repaired) ? 0 : is(m, "repairfail") ? 2 : 3;
	return is(m, "servfail")  ? 2
	       : is(m, "nx")	  ? 3
	       : is(m, "notimp")  ? 4
	       : is(m, "refused") ? 5
				  : 0;
}

static bool too_early(struct dns_server_thread *s)
{
	struct monotime now = monotime_now();

	if (s->slow_since.us == 0)
		s->slow_since = now;
	return monotime_ms_between(s->slow_since, now) < 300;
}

/* The question becomes the answer. false: say nothing. */
static bool answer(struct dns_server_thread *s, struct message *m, bool udp)
{
	size_t pos = 12;
	unsigned int rcode;

	atomic_fetch_add(&s->asked, 1);
	while (pos < m->len && m->data[pos])
		pos += m->data[pos] + 1u;
	if (pos + 5 > m->len || m->data[12] > 63)
		return false;
	for (size_t i = 0; i < m->data[12]; i++)
		m->label[i] = (char)(m->data[13 + i] | 0x20);
	m->label[m->data[12]] = '\0';
	m->type = m->data[pos + 2];
	m->len = pos + 5;
	rcode = code(s, m);
	m->data[2] = 0x81;
	m->data[3] = (unsigned char)(0x80 | rcode);
	memset(m->data + 6, 0, 6);
	if (is(m, "silent") || (is(m, "slow") && too_early(s)) ||
	    (is(m, "v4slow6") && m->type == 28))
		return false;
	if (rcode == 0 && !is(m, "empty") && !(is(m, "trunc") && udp))
		answer_records(m);
	if (is(m, "trunc") && udp)
		m->data[2] |= 2;
	if (is(m, "wrongid"))
		m->data[0] ^= 0xff;
	if (is(m, "cut"))
		m->len -= 5;
	if (is(m, "garbage")) {
		memset(m->data, 0xaa, 30);
		m->len = 30;
	}
	if (udp && m->len > UDP_MAX) {
		m->len = pos + 5;
		memset(m->data + 6, 0, 6);
		m->data[2] |= 2;
	}
	return true;
}

static void serve_udp(struct dns_server_thread *s)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	struct message m;
	ssize_t n = recvfrom(s->udp, m.data, 512, 0, (struct sockaddr *)&peer, &len);

	if (n < 12)
		return;
	m.len = (size_t)n;
	if (!answer(s, &m, true))
		return;
	if (is(&m, "late6") && m.type == 28) {
		s->late = m;
		s->late_peer = peer;
		return;
	}
	(void)!sendto(s->udp, m.data, m.len, 0, (struct sockaddr *)&peer, len);
	if (is(&m, "late6") && s->late.len > 0) {
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		(void)!sendto(s->udp, s->late.data, s->late.len, 0,
			      (struct sockaddr *)&s->late_peer, len);
		s->late.len = 0;
	}
}

static void serve_tcp(struct dns_server_thread *s)
{
	int fd = accept(s->tcp, NULL, NULL);
	struct timeval patience = {.tv_sec = 2};
	struct message m;
	unsigned char head[2];

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while (recv(fd, head, 2, MSG_WAITALL) == 2) {
		size_t want = (size_t)(head[0] << 8 | head[1]);

		if (want < 12 || want > 512 || recv(fd, m.data, want, MSG_WAITALL) != (ssize_t)want)
			break;
		m.len = want;
		if (!answer(s, &m, false))
			break;
		head[0] = (unsigned char)(m.len >> 8);
		head[1] = (unsigned char)m.len;
		if (send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE) != 2 ||
		    send(fd, m.data, m.len, MSG_NOSIGNAL) != (ssize_t)m.len)
			break;
	}
	close(fd);
}

static void *serve(void *arg)
{
	struct dns_server_thread *s = arg;
	struct pollfd fds[3] = {{.fd = s->udp, .events = POLLIN},
				{.fd = s->tcp, .events = POLLIN},
				{.fd = s->stop[0], .events = POLLIN}};

	for (;;) {
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[2].revents)
			return NULL;
		if (fds[0].revents)
			serve_udp(s);
		if (fds[1].revents)
			serve_tcp(s);
	}
}

/* Both on the same port: a free one of TCP may be taken in UDP. */
static void bind_both(struct dns_server_thread *s)
{
	for (;;) {
		struct sockaddr_in a = {.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t len = sizeof(a);

		s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		check(bind(s->tcp, (struct sockaddr *)&a, sizeof(a)) == 0);
		check(getsockname(s->tcp, (struct sockaddr *)&a, &len) == 0);
		s->port = ntohs(a.sin_port);
		if (bind(s->udp, (struct sockaddr *)&a, sizeof(a)) == 0)
			break;
		close(s->tcp);
		close(s->udp);
	}
	check(listen(s->tcp, 64) == 0);
}

struct dns_server_thread *dns_server_start(void)
{
	struct dns_server_thread *s = xcalloc(1, sizeof(*s));
	int room = 4 << 20;

	bind_both(s);
	setsockopt(s->udp, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	snprintf(s->name, sizeof(s->name), "127.0.0.1@%u", s->port);
	check(pipe(s->stop) == 0);
	check(pthread_create(&s->thread, NULL, serve, s) == 0);
	return s;
}

void dns_server_stop(struct dns_server_thread **sp)
{
	struct dns_server_thread *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	check(write(s->stop[1], "", 1) == 1);
	pthread_join(s->thread, NULL);
	close(s->udp);
	close(s->tcp);
	close(s->stop[0]);
	close(s->stop[1]);
	free(s);
}

uint16_t dns_server_port(const struct dns_server_thread *s)
{
	return s->port;
}

const char *dns_server_name(const struct dns_server_thread *s)
{
	return s->name;
}

unsigned int dns_server_asked(const struct dns_server_thread *s)
{
	return atomic_load(&s->asked);
}

void dns_server_repair(struct dns_server_thread *s)
{
	atomic_store(&s->repaired, true);
}
