#include "bench/scan.h"

#include <string.h>

static const char cdata_open[] = "<![CDATA[";
static const char cdata_close[] = "]]>";

void scan_init(struct scan *s)
{
	*s = (struct scan){0};
}

static const char *find(const char *data, size_t len, const char *text)
{
	return memmem(data, len, text, strlen(text));
}

/* At a '<': a whole CDATA section is stepped over. False: wait for more bytes. */
static bool begin_tag(struct scan *s, struct slice d)
{
	size_t left = d.len - s->at;

	if (left < 2)
		return false;
	char next = d.data[s->at + 1];
	if (next == '!') {
		if (left < sizeof cdata_open - 1)
			return false;
		const char *end = find(d.data + s->at, left, cdata_close);
		if (!end)
			return false;
		s->at = (size_t)(end - d.data) + sizeof cdata_close - 1;
		return true;
	}
	s->in_tag = true;
	s->closing = next == '/';
	s->special = next == '?';
	s->previous = next;
	s->quote = 0;
	s->at += 2;
	return true;
}

/* At the '>' of a tag: what has it completed? */
static enum scan_result end_tag(struct scan *s)
{
	bool empty = s->previous == '/';

	s->in_tag = false;
	if (s->special)
		return SCAN_MORE;
	if (s->closing) {
		s->depth--;
		return s->depth == 0 ? SCAN_END : s->depth == 1 ? SCAN_CHILD : SCAN_MORE;
	}
	if (empty)
		return s->depth == 1 ? SCAN_CHILD : SCAN_MORE;
	s->depth++;
	return s->depth == 1 ? SCAN_OPEN : SCAN_MORE;
}

/* Within a tag: up to its '>'. False: wait for more bytes. */
static bool inside_tag(struct scan *s, struct slice d)
{
	while (s->at < d.len) {
		char c = d.data[s->at++];

		if (s->quote) {
			if (c == s->quote)
				s->quote = 0;
		} else if (c == '>') {
			return true;
		} else if (c == '\'' || c == '"') {
			s->quote = c;
		}
		s->previous = c;
	}
	return false;
}

enum scan_result scan_step(struct scan *s, struct slice d, size_t *used)
{
	for (;;) {
		if (!s->in_tag) {
			const char *lt =
				d.len > s->at ? memchr(d.data + s->at, '<', d.len - s->at) : NULL;
			if (!lt) {
				s->at = d.len;
				return SCAN_MORE;
			}
			s->at = (size_t)(lt - d.data);
			if (!begin_tag(s, d))
				return SCAN_MORE;
			continue;
		}
		if (!inside_tag(s, d))
			return SCAN_MORE;
		enum scan_result r = end_tag(s);
		if (r != SCAN_MORE) {
			*used = s->at;
			s->at = 0;
			return r;
		}
	}
}

static const char *skip_to_tag(struct slice e)
{
	return e.len ? memchr(e.data, '<', e.len) : NULL;
}

static bool ends_name(char c)
{
	return c == ' ' || c == '>' || c == '/' || c == '\t' || c == '\n' || c == '\r';
}

struct slice scan_name(struct slice e)
{
	const char *at = skip_to_tag(e);
	const char *end = e.data + e.len;

	if (!at)
		return SLICE_NONE;
	const char *from = ++at;
	while (at < end && !ends_name(*at))
		at++;
	return slice_of(from, (size_t)(at - from));
}

struct slice scan_attribute(struct slice e, const char *name)
{
	size_t len = strlen(name);
	struct slice tag = scan_name(e);
	const char *end = e.data + e.len;

	for (const char *at = tag.data + tag.len; tag.data && at < end && *at != '>'; at++) {
		if (*at != '\'' && *at != '"')
			continue;
		const char *close = memchr(at + 1, *at, (size_t)(end - at - 1));
		if (!close)
			break;
		/* The name stands before the "='". */
		if ((size_t)(at - e.data) > len + 1 && at[-1] == '=' &&
		    memcmp(at - 1 - len, name, len) == 0 && ends_name(at[-2 - (long)len]))
			return slice_of(at + 1, (size_t)(close - at - 1));
		at = close;
	}
	return SLICE_NONE;
}

struct slice scan_text(struct slice e, const char *name)
{
	size_t len = strlen(name);
	const char *end = e.data + e.len;
	const char *at = e.data;

	while (at < end && (at = memchr(at, '<', (size_t)(end - at)))) {
		at++;
		if ((size_t)(end - at) <= len || memcmp(at, name, len) != 0 || !ends_name(at[len]))
			continue;
		const char *open = memchr(at, '>', (size_t)(end - at));
		if (!open || open[-1] == '/')
			return SLICE_NONE;
		open++;
		const char *close = memchr(open, '<', (size_t)(end - open));
		return slice_of(open, close ? (size_t)(close - open) : 0);
	}
	return SLICE_NONE;
}

bool scan_has(struct slice e, const char *text)
{
	return e.len && find(e.data, e.len, text);
}
