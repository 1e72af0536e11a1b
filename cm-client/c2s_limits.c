#include "cm-client/c2s_limits.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"

struct counter {
	size_t n;
};

struct c2s_address c2s_address_of(const struct sockaddr_storage *peer)
{
	struct c2s_address a = {0};

	if (peer->ss_family == AF_INET) {
		a.len = 4;
		memcpy(a.bytes, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
	} else if (peer->ss_family == AF_INET6) {
		const struct in6_addr *in6 =
			&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;

		if (IN6_IS_ADDR_V4MAPPED(in6)) {
			a.len = 4;
			memcpy(a.bytes, in6->s6_addr + 12, 4);
		} else {
			a.len = 8;
			memcpy(a.bytes, in6->s6_addr, 8);
		}
	}
	return a;
}

void c2s_limits_init(struct c2s_limits *l)
{
	*l = (struct c2s_limits){0};
	map_init(&l->addresses);
}

void c2s_limits_clear(struct c2s_limits *l)
{
	size_t it = 0;
	struct slice key;
	void *value;

	while (map_next(&l->addresses, &it, &key, &value))
		free(value);
	map_clear(&l->addresses);
}

static struct slice key_of(const struct c2s_address *a)
{
	return slice_of(a->bytes, a->len);
}

const char *c2s_limits_enter(struct c2s_limits *l, const struct c2s_address *a)
{
	struct counter *c = map_find(&l->addresses, key_of(a));

	if (l->connections >= l->connections_max)
		return "this server has all the connections that it takes";
	if (l->strangers >= l->strangers_max)
		return "too many connections are logging in now";
	if (c && c->n >= l->strangers_per_address_max)
		return "too many connections of your address have not logged in";
	if (!c) {
		c = xcalloc(1, sizeof(*c));
		map_put(&l->addresses, key_of(a), c);
	}
	c->n++;
	l->strangers++;
	l->connections++;
	return NULL;
}

void c2s_limits_login(struct c2s_limits *l, const struct c2s_address *a)
{
	struct counter *c = map_find(&l->addresses, key_of(a));

	check(c && c->n > 0 && l->strangers > 0);
	l->strangers--;
	if (--c->n == 0) {
		map_remove(&l->addresses, key_of(a));
		free(c);
	}
}

void c2s_limits_leave(struct c2s_limits *l)
{
	check(l->connections > 0);
	l->connections--;
}
