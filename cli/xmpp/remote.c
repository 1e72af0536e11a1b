#include "cli/xmpp/remote.h"

#include <time.h>

int remote_open(const struct xmpp_values *v, struct bus_client **out)
{
	struct str why = STR_INIT;
	int code = COMMAND_OK;

	if (bus_client_open(out, v->common.dir, BUS_CLIENT_DEADLINE_MS, &why) != ERR_OK)
		code = command_fail("xmpp", COMMAND_UNREACHABLE, "%s", why.data);
	str_clear(&why);
	return code;
}

static int judge(enum err transport, enum err quiet, const struct bus_client_answer *a)
{
	if (transport != ERR_OK)
		return command_fail(
			"xmpp", transport == ERR_TIMEOUT ? COMMAND_UNREACHABLE : COMMAND_REFUSED,
			"%s", a->text.data);
	if (a->status == ERR_OK)
		return COMMAND_OK;
	if (a->status == quiet)
		return COMMAND_REFUSED;
	/* The router's word for a datastore that is away: nobody has refused anything. */
	if (a->status == ERR_TIMEOUT)
		return command_fail("xmpp", COMMAND_UNREACHABLE, "%s",
				    a->text.len ? a->text.data : err_text(a->status));
	return command_fail("xmpp", COMMAND_REFUSED, "refused: %s",
			    a->text.len ? a->text.data : err_text(a->status));
}

int remote_store(struct bus_client *c, struct slice record, enum err quiet,
		 struct bus_client_answer *a)
{
	return judge(bus_client_store(c, record, a), quiet, a);
}

int remote_admin(struct bus_client *c, const char *command, struct slice args, enum err quiet,
		 struct bus_client_answer *a)
{
	return judge(bus_client_admin(c, command, args, a), quiet, a);
}

int remote_misunderstood(void)
{
	return command_fail("xmpp", COMMAND_REFUSED,
			    "the datastore's answer was not understood; is it of another version? "
			    "'supervisor restart all' starts the installed ones");
}

bool remote_record(const struct bus_client_answer *a, uint16_t type, struct slice *body)
{
	struct slice in = str_slice(&a->body);
	uint16_t got;

	if (codec_next(&in, &got, body) == ERR_OK && got == type)
		return true;
	remote_misunderstood();
	return false;
}

int remote_jid(struct jid *out, const char *text, bool resource_allowed)
{
	enum err e = jid_parse(out, slice_str(text));

	if (e != ERR_OK)
		return command_fail("xmpp", COMMAND_USAGE,
				    "'%s' is not a JID (%s); one looks like "
				    "juliet@example.com",
				    text, err_text(e));
	if (!out->local.len) {
		jid_clear(out);
		return command_fail("xmpp", COMMAND_USAGE,
				    "'%s' names no user; a JID looks like juliet@%s", text, text);
	}
	if (out->resource.len && !resource_allowed) {
		int code = command_fail("xmpp", COMMAND_USAGE,
					"'%s' has a resource; an account is named %.*s", text,
					SLICE_ARG(jid_bare(out)));
		jid_clear(out);
		return code;
	}
	return COMMAND_OK;
}

const char *remote_time(char out[REMOTE_TIME_SIZE], uint64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, REMOTE_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, REMOTE_TIME_SIZE, "unknown");
	return out;
}
