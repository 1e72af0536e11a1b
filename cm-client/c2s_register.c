/*
 * c2s_register - the shell's part of XEP-0077 before login: the core's wish to the datastore, its
 * answer to the core, a line for the log.
 */
#include "base/log.h"
#include "base/xmem.h"
#include "cm-client/c2s_service.h"

static void fail(struct c2s_conn *c, const char *condition, const char *text)
{
	struct c2s_event ev = {
		.kind = C2S_EV_REGISTER_FAILED, .condition = condition, .text = text};

	c2s_step(c, &ev);
	c2s_feed_more(c);
}

void c2s_conn_drop_register(struct c2s_conn *c)
{
	c2s_accounts_cancel(c->c2s->accounts, c->register_op);
	c->register_op = 0;
}

/* The core is in a step: what is refused here is told it when that is over. */
void c2s_conn_register(struct c2s_conn *c, const struct cm_effect *e)
{
	struct c2s *s = c->c2s;

	log_info(c->name, "event=register user=%s addr=%s", log_quote(e->data), conn_addr(c->conn));
	c->register_op = c2s_accounts_allow(s->accounts, &c->address, s->settings.registrations,
					    loop_now(s->loop))
				 ? c2s_accounts_add(s->accounts, e->data,
						    c2s_stream_domain(c->stream), e->text, c)
				 : UINT64_MAX;
	xwipe(s->fx.scratch.data, s->fx.scratch.len);
}

bool c2s_conn_register_refused(struct c2s_conn *c)
{
	uint64_t op = c->register_op;

	if (c2s_stream_state(c->stream) != C2S_REGISTERING || (op != 0 && op != UINT64_MAX))
		return false;
	c->register_op = 0;
	if (op == 0)
		fail(c, "not-acceptable", "the password has characters that cannot be in one");
	else
		fail(c, "resource-constraint",
		     "too many accounts were asked for from your address: try again in an hour");
	return true;
}

void c2s_conn_registered(void *arg, enum err status)
{
	struct c2s_conn *c = arg;

	c->register_op = 0;
	switch (status) {
	case ERR_OK:
		c->c2s->stats.registered++;
		log_info(c->name, "event=registered addr=%s", conn_addr(c->conn));
		c2s_step(c, &(struct c2s_event){.kind = C2S_EV_REGISTERED});
		c2s_feed_more(c);
		break;
	case ERR_CONFLICT:
		fail(c, "conflict", "this name is taken: choose another one");
		break;
	case ERR_FORMAT:
	case ERR_RANGE:
		fail(c, "not-acceptable", "the account store does not take this name or password");
		break;
	default:
		fail(c, "resource-constraint", "no account can be made now: try again later");
	}
}
