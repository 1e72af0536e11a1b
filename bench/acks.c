#include "bench/acks.h"

#include "bench/scan.h"

#define NS "xmlns='urn:xmpp:sm:3'"

void acks_begin(struct acks *a, uint32_t got, uint32_t acked)
{
	*a = (struct acks){.on = true,
			   .asked_at = acked,
			   .got = got,
			   .told = got,
			   .sent = acked,
			   .acked = acked,
			   .count = a->count};
}

bool acks_number(struct slice text, uint32_t *n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.data[i] - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*n = (uint32_t)value;
	return text.len > 0;
}

static void tell(struct acks *a, struct str *out)
{
	str_addf(out, "<a " NS " h='%u'/>", a->got);
	a->told = a->got;
	a->count.told_out++;
}

static enum acks_kind acknowledged(struct acks *a, struct slice element)
{
	uint32_t h;

	if (!acks_number(scan_attribute(element, "h"), &h) || h - a->acked > a->sent - a->acked)
		return ACKS_WRONG;
	a->acked = h;
	a->asked = false;
	a->count.told_in++;
	return ACKS_OWN;
}

/* One letter is the whole name: no stanza's is so short. */
static bool is_named(struct slice element, char letter)
{
	return element.len > 3 && element.data[1] == letter &&
	       (element.data[2] == ' ' || element.data[2] == '/' || element.data[2] == '>');
}

enum acks_kind acks_take(struct acks *a, struct slice element, struct str *out)
{
	if (is_named(element, 'a'))
		return acknowledged(a, element);
	if (is_named(element, 'r')) {
		a->count.asked_in++;
		tell(a, out);
		return ACKS_OWN;
	}
	a->got++;
	if (a->got - a->told >= ACKS_TELL_EVERY)
		tell(a, out);
	return ACKS_STANZA;
}

void acks_ask(struct acks *a, struct str *out)
{
	if (a->asked || a->acked == a->sent)
		return;
	str_adds(out, "<r " NS "/>");
	a->asked = true;
	a->asked_at = a->sent;
	a->count.asked_out++;
}

void acks_sent(struct acks *a, struct str *out)
{
	a->sent++;
	if (a->sent - a->asked_at >= ACKS_ASK_EVERY)
		acks_ask(a, out);
}
