#include "session/delay.h"

#include <time.h>

#include "ipc/stanza_kinds.h"
#include "session/session.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/xml_out.h"

/* XEP-0082: 2002-09-10T23:08:25.120Z */
static void stamp_format(uint64_t ms, char out[40])
{
	time_t s = (time_t)(ms / 1000);
	char date[24];
	struct tm tm;

	if (!gmtime_r(&s, &tm) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		snprintf(date, sizeof(date), "1970-01-01T00:00:00");
	snprintf(out, 40, "%s.%03uZ", date, (unsigned int)(ms % 1000));
}

static size_t count(struct slice index)
{
	struct stanza_child c;
	size_t n = 0;

	while (stanza_child_get(&index, &c))
		n++;
	return n;
}

void delay_stamp(struct session_stanza *s, struct slice from, uint64_t stamp_ms, struct str *inner,
		 struct str *children)
{
	char stamp[40];

	stamp_format(stamp_ms, stamp);
	str_reset(inner);
	str_add_slice(inner, s->inner);
	str_adds(inner, "<delay xmlns='" NS_DELAY "'");
	xml_out_attr(inner, "from", from);
	xml_out_attr(inner, "stamp", slice_str(stamp));
	str_adds(inner, "/>");
	str_reset(children);
	str_add_slice(children, s->children);
	if (count(s->children) < STANZA_CHILD_MAX)
		stanza_child_put(
			children,
			&(struct stanza_child){.ns = NS_ID_DELAY,
					       .name = NAME_ID_DELAY,
					       .offset = (uint32_t)s->inner.len,
					       .length = (uint32_t)(inner->len - s->inner.len)});
	s->inner = str_slice(inner);
	s->children = str_slice(children);
	s->flags |= STANZA_DELAYED;
}
