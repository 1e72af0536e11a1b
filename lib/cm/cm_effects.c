#include "cm/cm_effects.h"

#include "base/check.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"

void cm_effects_init(struct cm_effects *fx)
{
	fx->count = 0;
	str_init(&fx->bytes);
	str_init(&fx->scratch);
}

void cm_effects_clear(struct cm_effects *fx)
{
	str_clear(&fx->bytes);
	str_clear(&fx->scratch);
	fx->count = 0;
}

void cm_effects_reset(struct cm_effects *fx)
{
	fx->count = 0;
	str_reset(&fx->bytes);
	str_reset(&fx->scratch);
}

struct cm_effect *cm_effect(struct cm_effects *fx, unsigned int kind)
{
	struct cm_effect *e = &fx->item[fx->count++];

	check(fx->count <= CM_EFFECTS_MAX);
	*e = (struct cm_effect){.kind = kind};
	return e;
}

struct str *cm_out(struct cm_effects *fx)
{
	return &fx->bytes;
}

void cm_out_end(struct cm_effects *fx)
{
	struct cm_effect *last = fx->count ? &fx->item[fx->count - 1] : NULL;
	size_t from = 0;

	for (unsigned int i = 0; i < fx->count; i++)
		if (fx->item[i].kind == CM_FX_WRITE)
			from = fx->item[i].from + fx->item[i].len;
	if (from == fx->bytes.len)
		return;
	if (last && last->kind == CM_FX_WRITE) {
		last->len = fx->bytes.len - last->from;
		return;
	}
	last = cm_effect(fx, CM_FX_WRITE);
	last->from = from;
	last->len = fx->bytes.len - from;
}

void cm_note(struct cm_effects *fx, const char *event, const char *condition, const char *text)
{
	struct cm_effect *e = cm_effect(fx, CM_FX_NOTE);

	e->data = slice_str(event);
	e->name = condition;
	e->text = text;
}

void cm_write_error(struct str *out, const char *condition, const char *text, const char *element)
{
	str_addf(out, "<stream:error><%s xmlns='" NS_STREAMS_ERR "'/>", condition);
	if (text && *text) {
		str_adds(out, "<text xmlns='" NS_STREAMS_ERR "' xml:lang='en'>");
		xml_out_text(out, slice_str(text));
		str_adds(out, "</text>");
	}
	str_adds(out, element);
	str_adds(out, "</stream:error>");
}
