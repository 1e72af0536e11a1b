#include "supervisor/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xmem.h"
#include "supervisor/holder.h"

#define BACKLOG 4096

struct entry {
	char *service;
	char *addr;  /* as configured */
	char *bound; /* "127.0.0.1:5222" */
	int fd;
};

struct sockets {
	struct entry *list;
	size_t n;
	bool yielding; /* sockets_yield() */
};

struct sockets *sockets_new(void)
{
	return xcalloc(1, sizeof(struct sockets));
}

static void entry_clear(struct entry *e)
{
	close(e->fd);
	free(e->service);
	free(e->addr);
	free(e->bound);
}

void sockets_free(struct sockets **sp)
{
	struct sockets *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		entry_clear(&s->list[i]);
	free(s->list);
	free(s);
}

static bool is_in(char *const *list, const char *addr)
{
	for (; *list; list++)
		if (strcmp(*list, addr) == 0)
			return true;
	return false;
}

void sockets_prune(struct sockets *s, const char *service, char *const *keep)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct entry *e = &s->list[i];

		if (strcmp(e->service, service) != 0 || is_in(keep, e->addr))
			s->list[kept++] = *e;
		else
			entry_clear(e);
	}
	s->n = kept;
}

/* Sockets of one user that all have SO_REUSEPORT may share a port. Only for that moment: it would
 * let any other program of ours in too. */
static void share(int fd, int on)
{
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

void sockets_yield(struct sockets *s, const char *service, char *const *keep, bool stays)
{
	s->yielding = !stays;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->list[i].service, service) == 0 && !is_in(keep, s->list[i].addr))
			share(s->list[i].fd, !stays);
}

static bool is_there(const struct sockets *s, const char *service, const char *addr)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->list[i].service, service) == 0 && strcmp(s->list[i].addr, addr) == 0)
			return true;
	return false;
}

bool sockets_adopt(struct sockets *s, const char *service, const char *addr, const char *bound,
		   int fd)
{
	if (is_there(s, service, addr))
		return false;
	s->list = xrealloc(s->list, (s->n + 1) * sizeof(*s->list));
	s->list[s->n++] = (struct entry){xstrdup(service), xstrdup(addr), xstrdup(bound), fd};
	return true;
}

/* "host:port" to an address; host is numeric, in [] for IPv6. */
static struct addrinfo *resolve(const char *addr)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *ai = NULL;
	char host[128];
	const char *port = strrchr(addr, ':');
	size_t n = port ? (size_t)(port - addr) : 0;

	if (n == 0 || n >= sizeof(host))
		return NULL;
	if (addr[0] == '[' && addr[n - 1] == ']')
		snprintf(host, sizeof(host), "%.*s", (int)n - 2, addr + 1);
	else
		snprintf(host, sizeof(host), "%.*s", (int)n, addr);
	if (getaddrinfo(host, port + 1, &hints, &ai) != 0)
		return NULL;
	return ai;
}

static void explain(const char *addr, const struct addrinfo *ai, int error, struct str *why)
{
	str_addf(why, "cannot listen on %s: ", addr);
	switch (error) {
	case EADDRINUSE:
		str_adds(why, "the port is in use by ");
		holder_of_port(ai->ai_addr, why);
		str_adds(why, "; stop that, or change the address in conf/roundhouse.conf");
		break;
	case EADDRNOTAVAIL:
		str_adds(why,
			 "this machine does not have the address; `ip addr` lists those it has");
		break;
	case EACCES:
		str_adds(why, "ports below 1024 need root; choose another or start as root");
		break;
	default:
		str_adds(why, strerror(error));
	}
}

static char *bound_name(int fd)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return xstrdup("?");
	return xasprintf(sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static int listen_on(const struct addrinfo *ai, bool shared)
{
	int on = 1, saved;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (shared)
		share(fd, 1);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
		if (shared)
			share(fd, 0);
		return fd;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

enum err sockets_open(struct sockets *s, const char *service, const char *addr, struct str *why)
{
	struct addrinfo *ai;
	char *bound;
	int fd;

	if (is_there(s, service, addr))
		return ERR_OK;
	ai = resolve(addr);
	if (!ai) {
		str_addf(why,
			 "\"%s\" is no address to listen on; write 127.0.0.1:5222, 0.0.0.0:5222 "
			 "or [::]:5222",
			 addr);
		return ERR_FORMAT;
	}
	fd = listen_on(ai, false);
	if (fd < 0 && errno == EADDRINUSE && s->yielding)
		fd = listen_on(ai, true);
	if (fd < 0)
		explain(addr, ai, errno, why);
	freeaddrinfo(ai);
	if (fd < 0)
		return ERR_CONFLICT;
	bound = bound_name(fd);
	sockets_adopt(s, service, addr, bound, fd);
	free(bound);
	return ERR_OK;
}

bool sockets_next(const struct sockets *s, const char *service, size_t *it, const char **addr,
		  const char **bound, int *fd)
{
	for (; *it < s->n; ++*it) {
		const struct entry *e = &s->list[*it];

		if (service && strcmp(e->service, service) != 0)
			continue;
		*addr = e->addr;
		*bound = e->bound;
		*fd = e->fd;
		++*it;
		return true;
	}
	return false;
}
