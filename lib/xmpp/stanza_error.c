#include "xmpp/stanza_error.h"

#include "base/check.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"

static const struct {
	const char *condition;
	const char *type;
} errors[] = {
#define STANZA_ERROR(NAME, c, t) [STANZA_ERROR_##NAME] = {.condition = (c), .type = (t)},
#include "xmpp/stanza_error.def"
#undef STANZA_ERROR
};

#define ERRORS (sizeof(errors) / sizeof(errors[0]))

const char *stanza_error_condition(enum stanza_error e)
{
	check((size_t)e < ERRORS);
	return errors[e].condition;
}

const char *stanza_error_type(enum stanza_error e)
{
	check((size_t)e < ERRORS);
	return errors[e].type;
}

enum stanza_error stanza_error_find(struct slice condition)
{
	for (size_t i = 0; i < ERRORS; i++)
		if (slice_is(condition, errors[i].condition))
			return (enum stanza_error)i;
	return STANZA_ERROR_UNDEFINED_CONDITION;
}

void stanza_error_write(struct str *out, enum stanza_error e, const char *text)
{
	str_adds(out, "<error");
	xml_out_attr(out, "type", slice_str(stanza_error_type(e)));
	str_adds(out, "><");
	str_adds(out, stanza_error_condition(e));
	str_adds(out, " xmlns='" NS_STANZAS_ERR "'/>");
	if (text && *text) {
		str_adds(out, "<text xmlns='" NS_STANZAS_ERR "'>");
		xml_out_text(out, slice_str(text));
		str_adds(out, "</text>");
	}
	str_adds(out, "</error>");
}
