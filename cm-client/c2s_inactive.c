/*
 * c2s_inactive - the shell's part of XEP-0352: when what is kept back (c2s_csi) is written.
 */
#include "base/log.h"
#include "cm-client/c2s_service.h"

void c2s_conn_drop_kept(struct c2s_conn *c)
{
	c2s_csi_free(&c->csi, &c->c2s->csi_pool);
}

uint64_t c2s_conn_kept(const struct c2s_conn *c)
{
	return c->csi ? c->csi->count : 0;
}

void c2s_conn_write_kept(struct c2s_conn *c, const char *why)
{
	struct c2s_csi *kept = c->csi;

	if (!kept)
		return;
	conn_write(c->conn, kept->out.data, kept->out.len);
	c2s_conn_add_mark(c, kept->last_q);
	c->stanzas_out += kept->count;
	c->c2s->stats.stanzas_out += kept->count;
	log_debug(c->name, "event=csi_written stanzas=%u bytes=%zu why=%s", kept->count,
		  kept->out.len, why);
	c2s_conn_drop_kept(c);
	c2s_conn_will_ask(c);
}

/* The queue that waits longest; NULL when none does. */
static struct c2s_csi *oldest(const struct c2s *s)
{
	struct list *l = list_first(&s->deadlines.queue[C2S_DEADLINE_CSI]);

	return l ? list_entry(l, struct c2s_csi, deadline.link) : NULL;
}

void c2s_csi_late(struct c2s_csi *kept, const char *why)
{
	struct c2s_conn *c = kept->owner;

	c2s_conn_write_kept(c, why);
	c2s_conn_check_backlog(c);
}

static struct c2s_csi *begin(struct c2s_conn *c)
{
	struct c2s *s = c->c2s;

	c->csi = c2s_csi_new(c);
	cm_deadline_set(&s->deadlines, &c->csi->deadline, C2S_DEADLINE_CSI,
			monotime_add_ms(loop_now(s->loop), s->settings.wait_ms[C2S_DEADLINE_CSI]));
	c2s_arm(s);
	return c->csi;
}

bool c2s_conn_keep_back(struct c2s_conn *c, const struct msg_deliver *m)
{
	struct c2s *s = c->c2s;
	struct c2s_csi *kept;

	if (s->settings.csi.stanzas == 0 || !c2s_csi_is_unimportant(m)) {
		c2s_conn_write_kept(c, "important");
		return false;
	}
	if (c2s_csi_keep(c->csi ? c->csi : begin(c), &s->csi_pool, &s->settings.csi, m))
		c2s_csi_late(c->csi, "limit");
	while (s->csi_pool.bytes > s->settings.csi.total && (kept = oldest(s)))
		c2s_csi_late(kept, "total");
	return true;
}

void c2s_conn_set_inactive(struct c2s_conn *c, bool inactive)
{
	if (c->inactive == inactive)
		return;
	c->inactive = inactive;
	log_debug(c->name, "event=csi state=%s", inactive ? "inactive" : "active");
	if (!inactive)
		c2s_conn_write_kept(c, "active");
}
