/*
 * router_admin - the questions of the `xmpp` command that are the router's to answer.
 */
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "router/router_types.h"
#include "router/shelf.h"

static void reply(struct router_peer *p, uint64_t req, enum err status, const struct str *text)
{
	/* A long list goes in pieces, cut at line ends. */
	size_t at = 0, max = 256 * 1024;

	while (text->len - at > max) {
		size_t end = at + max;

		while (end > at && text->data[end - 1] != '\n')
			end--;
		if (end == at)
			end = at + max;
		link_put_admin_reply(hub_peer_link(p->hub),
				     &(struct msg_admin_reply){
					     req, ERR_OK, 1, slice_of(text->data + at, end - at)});
		at = end;
	}
	link_put_admin_reply(hub_peer_link(p->hub),
			     &(struct msg_admin_reply){req, (uint8_t)status, 0,
						       slice_of(text->data + at, text->len - at)});
}

static void stats_line(struct str *out, const char *process, struct slice stats)
{
	const char *p = stats.data, *end = stats.data + stats.len;

	str_addf(out, "{\"process\":\"%s\"", process);
	while (p < end) {
		const char *space = memchr(p, ' ', (size_t)(end - p));
		const char *stop = space ? space : end;
		const char *eq = memchr(p, '=', (size_t)(stop - p));
		bool number = eq && eq + 1 < stop;

		for (const char *c = eq ? eq + 1 : p; number && c < stop; c++)
			number = (*c >= '0' && *c <= '9');
		if (number)
			str_addf(out, ",\"%.*s\":%.*s", (int)(eq - p), p, (int)(stop - eq - 1),
				 eq + 1);
		else if (eq)
			str_addf(out, ",\"%.*s\":\"%.*s\"", (int)(eq - p), p, (int)(stop - eq - 1),
				 eq + 1);
		p = stop + 1;
	}
	str_adds(out, "}\n");
}

void router_add_stats(void *arg, struct str *out)
{
	struct router *r = arg;
	const struct custody_books *b = custody_books(r->custody);
	uint64_t in = b->accepted + b->announced + b->generated;
	uint64_t done = b->held;
	struct slice name;
	size_t it = 0, queued;

	for (int how = SETTLED_DELIVERED; how <= SETTLED_DISCARDED; how++)
		done += b->settled[how];
	str_addf(out,
		 "accepted=%llu announced=%llu generated=%llu delivered=%llu stored=%llu "
		 "bounced=%llu consumed=%llu discarded=%llu held=%llu held_bytes=%llu "
		 "queued_bytes=%llu paged_bytes=%llu repeats=%llu ",
		 (unsigned long long)b->accepted, (unsigned long long)b->announced,
		 (unsigned long long)b->generated,
		 (unsigned long long)b->settled[SETTLED_DELIVERED],
		 (unsigned long long)b->settled[SETTLED_STORED],
		 (unsigned long long)b->settled[SETTLED_BOUNCED],
		 (unsigned long long)b->settled[SETTLED_CONSUMED],
		 (unsigned long long)b->settled[SETTLED_DISCARDED], (unsigned long long)b->held,
		 (unsigned long long)b->held_bytes, (unsigned long long)b->queued,
		 (unsigned long long)b->paged, (unsigned long long)b->repeats);
	while (custody_next_domain(r->custody, &it, &name, &queued))
		str_addf(out, "queued_bytes:%.*s=%zu ", SLICE_ARG(name), queued);
	str_addf(out,
		 "difference=%llu sessions=%zu components=%zu shelf_sessions=%zu shelf_behind=%llu "
		 "shelf_bytes_behind=%zu store_pending=%zu store_suspects=%llu "
		 "store_quarantined=%llu spoofs=%llu unknown_session=%llu",
		 (unsigned long long)(in > done ? in - done : done - in),
		 session_count(r->sessions), domain_count(r), custody_shelved_sessions(r->custody),
		 (unsigned long long)(shelf_last(r->shelf) - shelf_synced(r->shelf)),
		 shelf_waiting(r->shelf), store_ops_pending(r->store),
		 (unsigned long long)store_ops_books(r->store)->suspects,
		 (unsigned long long)store_ops_books(r->store)->quarantined,
		 (unsigned long long)r->spoofs, (unsigned long long)r->dropped);
	str_addc(out, ' ');
	session_add_stats(r->sessions, out);
}

static enum err stats(struct router *r, struct slice args, struct str *out)
{
	const char *instance, *service;
	struct hub_peer *hp;
	size_t it = 0;
	struct str own = STR_INIT;

	(void)args;
	router_add_stats(r, &own);
	stats_line(out, "router", str_slice(&own));
	str_clear(&own);
	while (hub_next(r->hub, &it, &instance, &service, &hp))
		if (hp && codec_role(slice_str(service)) != IPC_CLI)
			stats_line(out, instance, hub_peer_stats(hp));
	return ERR_OK;
}

/* Who is linked, and for how long. */
static enum err links(struct router *r, struct slice args, struct str *out)
{
	const char *instance, *service;
	struct hub_peer *hp;
	size_t it = 0;

	(void)args;
	while (hub_next(r->hub, &it, &instance, &service, &hp))
		if (hp && codec_role(slice_str(service)) != IPC_CLI)
			str_addf(out, "{\"instance\":\"%s\",\"service\":\"%s\",\"seconds\":%llu}\n",
				 instance, service,
				 (unsigned long long)(monotime_ms_between(hub_peer_since(hp),
									  loop_now(r->loop)) /
						      1000));
	return ERR_OK;
}

static enum err sessions(struct router *r, struct slice args, struct str *out)
{
	session_list(r->sessions, args, out);
	return ERR_OK;
}

static enum err kick(struct router *r, struct slice args, struct str *out)
{
	unsigned int count = session_kick(r->sessions, args, loop_now(r->loop));

	str_addf(out, "{\"kicked\":%u}\n", count);
	return count ? ERR_OK : ERR_NOTFOUND;
}

static enum err components(struct router *r, struct slice args, struct str *out)
{
	components_list(r, args, out);
	return ERR_OK;
}

static const struct {
	const char *command;
	enum err (*run)(struct router *r, struct slice args, struct str *out);
} commands[] = {
	{"sessions", sessions},
	{"kick", kick},
	{"stats", stats},
	{"components", components},
	{"component-close", components_close},
	{"links", links},
};

void router_admin(struct router *r, struct router_peer *p, const struct msg_admin *m)
{
	struct str out = STR_INIT;
	struct slice args = m->args;
	enum err e = ERR_UNSUPPORTED;

	while (args.len && args.data[args.len - 1] == '\0')
		args.len--;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (slice_is(m->command, commands[i].command))
			e = commands[i].run(r, args, &out);
	if (slice_is(m->command, "trace") &&
	    (e = router_trace_start(r, p, m->req, args, &out)) == ERR_OK)
		goto out; /* the trace answers for itself */
	if (slice_is(m->command, "component-set") &&
	    (e = components_set(r, p, m->req, m->args)) == ERR_OK)
		goto out;
	if (slice_is(m->command, "component-del") &&
	    (e = components_del(r, p, m->req, args)) == ERR_OK)
		goto out;
	if (slice_is(m->command, "remove") && (e = router_remove(r, p, m->req, args)) == ERR_OK)
		goto out; /* so does this */
	reply(p, m->req, e, &out);
out:
	str_clear(&out);
}
