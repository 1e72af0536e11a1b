#include "supervisor/event_rule.h"

#define STAMP_LEN 27 /* "2026-01-31T12:00:00.000000Z" */
#define BRIDGE	  "callbridge"

/* Information that enters. A '*' at the end: all names that begin so. */
static const struct {
	const char *service; /* its instances; NULL = any */
	const char *name;
} wanted[] = {
	{"supervisor", "supervisor_started"},
	{"supervisor", "supervisor_stopped"},
	{"supervisor", "stop_requested"},
	{"supervisor", "restart_requested"},
	{"supervisor", "service_started"},
	{"supervisor", "service_stopped"},
	{"supervisor", "service_adopted"},
	{"supervisor", "alarm_off"},
	{"supervisor", "config_*"},
	{"supervisor", "certificate_*"},
	{"supervisor", "listener_*"},
	{"cm-component", "bind"},
	{"cm-component", "resume"},
	{"cm-component", "detach"},
	{"router", "route_ended"},
	{"router", "component_*"},
	{"datastore", "component*"},
	{NULL, "secret*"},
	{NULL, "motd*"},
	{BRIDGE, "connected"},
};

/* "cm-client" and "cm-client-2" are instances of cm-client. */
static bool is_of(struct slice instance, const char *service)
{
	size_t n = strlen(service);

	return instance.len >= n && memcmp(instance.data, service, n) == 0 &&
	       (instance.len == n || instance.data[n] == '-');
}

static bool is_wanted(struct slice service, struct slice name)
{
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		size_t n = strcspn(wanted[i].name, "*");

		if (name.len >= n && memcmp(name.data, wanted[i].name, n) == 0 &&
		    (wanted[i].name[n] == '*' || name.len == n) &&
		    (!wanted[i].service || is_of(service, wanted[i].service)))
			return true;
	}
	return false;
}

struct slice event_rule_name(struct slice text)
{
	const char *at = text.len ? memmem(text.data, text.len, "event=", 6) : NULL;
	const char *end = text.data + text.len, *stop;

	if (!at || (at != text.data && at[-1] != ' '))
		return SLICE_NONE;
	at += 6;
	stop = memchr(at, ' ', (size_t)(end - at));
	return slice_of(at, (size_t)((stop ? stop : end) - at));
}

static struct slice after(struct slice s, size_t n)
{
	return slice_of(s.data + n, s.len - n);
}

/* Cuts a word and the blanks behind it off. */
static struct slice take_word(struct slice *s)
{
	const char *blank = s->len ? memchr(s->data, ' ', s->len) : NULL;
	struct slice word = slice_of(s->data, blank ? (size_t)(blank - s->data) : s->len);

	*s = after(*s, word.len);
	while (s->len && s->data[0] == ' ')
		*s = after(*s, 1);
	return word;
}

/* What a line says, from either form; a blank is between ctx and text. */
struct parts {
	struct slice time, level, service, ctx, text;
};

/* "2026-... warn  cm-client-1[123] c2s#4 juliet@example.com event=..." The context may have blanks;
 * where it ends is known by `event=`. */
static bool split_text(struct slice line, struct parts *p)
{
	const char *bracket, *event;

	if (line.len <= STAMP_LEN || line.data[STAMP_LEN] != ' ')
		return false;
	p->time = take_word(&line);
	p->level = take_word(&line);
	p->service = take_word(&line);
	bracket = p->service.len ? memchr(p->service.data, '[', p->service.len) : NULL;
	if (!bracket)
		return false;
	p->service.len = (size_t)(bracket - p->service.data);
	event = line.len ? memmem(line.data, line.len, "event=", 6) : NULL;
	if (event && event != line.data && event[-1] == ' ') {
		p->ctx = slice_of(line.data, (size_t)(event - line.data) - 1);
		p->text = after(line, p->ctx.len + 1);
	} else {
		p->ctx = take_word(&line);
		p->text = line;
	}
	return true;
}

/* The string behind "key":" in what is left of line; added to scratch without its escapes. */
static bool take_member(struct slice *line, const char *key, struct str *scratch)
{
	char pattern[32];
	int n = snprintf(pattern, sizeof(pattern), "\"%s\":\"", key);
	const char *at = line->len ? memmem(line->data, line->len, pattern, (size_t)n) : NULL;
	const char *end = line->data + line->len;

	if (!at)
		return false;
	for (at += n; at < end && *at != '"'; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
		str_addc(scratch, *at);
	}
	*line = slice_of(at, (size_t)(end - at));
	return at < end;
}

/* {"time":"..","level":"..","service":"..","pid":1,"id":"..","text":".."}: in scratch they stand as
 * in the other form. */
static bool split_json(struct slice line, struct parts *p, struct str *scratch)
{
	static const char *const keys[] = {"time", "level", "service", "id", "text"};
	struct slice *const values[] = {&p->time, &p->level, &p->service, &p->ctx, &p->text};
	size_t starts[6] = {0};

	for (size_t i = 0; i < 5; i++) {
		if (!take_member(&line, keys[i], scratch))
			return false;
		str_addc(scratch, ' ');
		starts[i + 1] = scratch->len;
	}
	for (size_t i = 0; i < 5; i++)
		*values[i] = slice_of(scratch->data + starts[i], starts[i + 1] - starts[i] - 1);
	return true;
}

static bool enters(const struct parts *p, enum event_level level, struct slice name)
{
	if (level != EVENT_INFO)
		return true;
	if (name.len)
		return is_wanted(p->service, name);
	return p->text.len && is_of(p->service, BRIDGE);
}

bool event_rule(struct slice line, struct event_line *out, struct str *scratch)
{
	struct parts p = {0};
	struct slice name;

	str_reset(scratch);
	if (!line.len ||
	    !(line.data[0] == '{' ? split_json(line, &p, scratch) : split_text(line, &p)))
		return false;
	/* "debug" is no level here. */
	if (!event_level_parse(p.level, &out->level) || !event_line_parse_time(p.time, &out->ms) ||
	    !p.service.len || memchr(p.service.data, ' ', p.service.len))
		return false;
	name = event_rule_name(p.text);
	if (!enters(&p, out->level, name))
		return false;
	out->service = p.service;
	out->text = p.text;
	/* Whom it is about stands in front, as it did there; the guides' lines stay as they are. */
	if (name.len && p.ctx.len && !slice_is(p.ctx, "-"))
		out->text = slice_of(p.ctx.data, p.ctx.len + 1 + p.text.len);
	return true;
}
