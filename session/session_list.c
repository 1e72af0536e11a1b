/*
 * session_list - the sessions as the operator sees them: one JSON object a line.
 */
#include <stdlib.h>

#include "base/json.h"
#include "base/xmem.h"
#include "session/manager.h"
#include "session/registry.h"
#include "xmpp/jid.h"

static void list_one(const struct session_manager *m, struct str *out, const struct session *s)
{
	str_adds(out, "{\"jid\":");
	json_text(out, s->full);
	str_addf(out, ",\"sid\":\"%016llx\",\"conn\":", (unsigned long long)s->sid);
	json_text(out, s->conn);
	str_adds(out, ",\"addr\":");
	json_text(out, s->addr);
	str_addf(out,
		 ",\"available\":%s,\"priority\":%d,\"interested\":%s,\"carbons\":%s,\"state\":",
		 registry_shown(s) ? "true" : "false", s->priority,
		 s->interested ? "true" : "false", s->carbons ? "true" : "false");
	if (s->detached)
		str_addf(out, "\"detached\",\"detached_s\":%llu}\n",
			 (unsigned long long)monotime_ms_between(s->since, m->now) / 1000);
	else
		str_adds(out, "\"live\"}\n");
}

static int by_jid(const void *a, const void *b)
{
	const struct user *const *ua = a, *const *ub = b;
	size_t n = (*ua)->bare.len < (*ub)->bare.len ? (*ua)->bare.len : (*ub)->bare.len;
	int order = memcmp((*ua)->bare.data, (*ub)->bare.data, n);

	if (order)
		return order;
	return (*ua)->bare.len < (*ub)->bare.len ? -1 : (*ua)->bare.len > (*ub)->bare.len;
}

static void list_all(const struct session_manager *m, struct str *out)
{
	const struct user **users = xcalloc(m->users.count + 1, sizeof(*users));
	size_t it = 0, n = 0;
	struct user *u;

	while (map_next(&m->users, &it, NULL, (void **)&u))
		users[n++] = u;
	qsort(users, n, sizeof(*users), by_jid);
	for (size_t i = 0; i < n; i++) {
		for (struct session *s = user_first(users[i]); s; s = user_after(s))
			list_one(m, out, s);
	}
	free(users);
}

void session_list(const struct session_manager *m, struct slice jid, struct str *out)
{
	const struct user *u;
	struct jid who;

	if (jid.len == 0) {
		list_all(m, out);
		return;
	}
	if (jid_parse(&who, jid) != ERR_OK)
		return;
	u = registry_user(m, jid_bare(&who));
	for (struct session *s = user_first(u); s; s = user_after(s)) {
		if (who.resource.len == 0 || slice_eq(s->resource, who.resource))
			list_one(m, out, s);
	}
	jid_clear(&who);
}
