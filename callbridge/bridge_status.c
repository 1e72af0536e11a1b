#include "callbridge/bridge_status.h"

#include "base/duration.h"

const char *bridge_status_word(enum bridge_condition c)
{
	return c == BRIDGE_CONNECTED ? "connected" : c == BRIDGE_FAILED ? "failed" : "connecting";
}

void bridge_status_text(struct str *out, const struct bridge_status *s)
{
	switch (s->condition) {
	case BRIDGE_STARTING:
		str_addf(out, "connecting to %.*s", SLICE_ARG(s->host));
		break;
	case BRIDGE_CONNECTED:
		str_addf(out, "connected to %.*s for ", SLICE_ARG(s->host));
		duration_write(out, s->seconds);
		break;
	case BRIDGE_FAILED:
		str_addf(out, "failed to connect to %.*s due to %s (", SLICE_ARG(s->host),
			 bridge_cause_status(s->cause));
		duration_write(out, s->seconds);
		str_adds(out, " ago)");
		break;
	}
}

void bridge_status_fault(struct str *out, struct slice host)
{
	str_addf(out, "XMPP connection to \"%.*s\" failed", SLICE_ARG(host));
}

bool bridge_status_log(struct str *out, enum bridge_cause cause, int n)
{
	if (n == 0)
		str_addf(out, "XMPP connection dropped while session was live for reason %d",
			 bridge_cause_code(cause));
	else if (n == 1)
		str_addf(out,
			 "XMPP component connection disconnected due to failure reason: \"%s\"",
			 bridge_cause_log(cause));
	return n < 2;
}
