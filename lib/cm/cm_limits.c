#include "cm/cm_limits.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"

struct counter {
	size_t n;
};

struct cm_address cm_address_of(const struct sockaddr_storage *peer)
{
	struct cm_address a = {0};

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

void cm_limits_init(struct cm_limits *l)
{
	*l = (struct cm_limits){0};
	map_init(&l->addresses);
}

void cm_limits_clear(struct cm_limits *l)
{
	size_t it = 0;
	struct slice key;
	void *value;

	while (map_next(&l->addresses, &it, &key, &value))
		free(value);
	map_clear(&l->addresses);
}

static struct slice key_of(const struct cm_address *a)
{
	return slice_of(a->bytes, a->len);
}

const char *cm_limits_enter(struct cm_limits *l, const struct cm_address *a)
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

void cm_limits_login(struct cm_limits *l, const struct cm_address *a)
{
	struct counter *c = map_find(&l->addresses, key_of(a));

	check(c && c->n > 0 && l->strangers > 0);
	l->strangers--;
	if (--c->n == 0) {
		map_remove(&l->addresses, key_of(a));
		free(c);
	}
}

void cm_limits_leave(struct cm_limits *l)
{
	check(l->connections > 0);
	l->connections--;
}
