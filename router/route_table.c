#include "router/route_table.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/xmem.h"

struct route {
	uint64_t sid;
};

struct route_table {
	struct map by_domain;
};

struct route_table *route_table_new(void)
{
	struct route_table *t = xcalloc(1, sizeof(*t));

	map_init(&t->by_domain);
	return t;
}

void route_table_free(struct route_table **tp)
{
	struct route_table *t = *tp;
	void *route;
	size_t it = 0;

	*tp = NULL;
	if (!t)
		return;
	while (map_next(&t->by_domain, &it, NULL, &route))
		free(route);
	map_clear(&t->by_domain);
	free(t);
}

enum err route_table_bind(struct route_table *t, struct slice domain, uint64_t sid)
{
	struct route *r = map_find(&t->by_domain, domain);

	if (r)
		return r->sid == sid ? ERR_OK : ERR_CONFLICT;
	r = xmalloc(sizeof(*r));
	r->sid = sid;
	map_put(&t->by_domain, domain, r);
	return ERR_OK;
}

/* One at a time, since a map must not change while it is walked; domains of one session are few. */
static struct route *take_one(struct route_table *t, uint64_t sid)
{
	struct slice domain;
	void *value;
	size_t it = 0;

	while (map_next(&t->by_domain, &it, &domain, &value))
		if (((struct route *)value)->sid == sid)
			return map_remove(&t->by_domain, domain);
	return NULL;
}

void route_table_unbind(struct route_table *t, uint64_t sid)
{
	struct route *r;

	while ((r = take_one(t, sid)))
		free(r);
}

uint64_t route_table_find(const struct route_table *t, struct slice domain)
{
	const struct route *r = map_find(&t->by_domain, domain);

	return r ? r->sid : 0;
}
