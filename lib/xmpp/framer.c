#include "xmpp/framer.h"

#include <string.h>

/* Names the state between two bytes. CONTENT is everything outside tags: between children at
 * depth 1, before the stream header at depth 0. */
enum state {
	CONTENT,
	OPENED,	   /* "<" */
	TAG,	   /* in a start tag, outside quotes */
	VALUE,	   /* in quotes */
	EMPTY_TAG, /* "/" of a start tag: only ">" may follow */
	END_TAG,
	BANG,	     /* "<!" */
	CDATA_BEGIN, /* "<![" and some of "CDATA[" */
	CDATA,
	DECL_BEGIN, /* "<?" at the very start and some of "xml " */
	DECL,	    /* in the XML declaration */
	CLOSED,	    /* after the closing stream tag */
};

/* A position: what a state's function may look at. It returns FRAMER_MORE to go on. */
struct cursor {
	const char *start; /* of the bytes presented */
	const char *p;
	const char *end;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
	       (unsigned char)c >= 0x80;
}

/* Moves behind the next c, or to the end. */
static bool skip_behind(struct cursor *at, char c)
{
	const char *found = memchr(at->p, c, (size_t)(at->end - at->p));

	at->p = found ? found + 1 : at->end;
	return found;
}

/* One byte of a fixed text: false when it does not fit. match counts those that did. */
static bool expect(struct framer *f, struct cursor *at, const char *text)
{
	if (*at->p != text[f->match])
		return false;
	at->p++;
	f->match++;
	return true;
}

static enum framer_result in_content(struct framer *f, struct cursor *at)
{
	/* Behind an XML declaration the header has begun. */
	bool begun = f->bytes > 0 || (f->declared && f->depth == 0);

	if (f->depth >= 2) {
		if (skip_behind(at, '<'))
			f->state = OPENED;
		return FRAMER_MORE;
	}
	while (at->p < at->end && is_space(*at->p))
		at->p++;
	if (at->p == at->end)
		return begun ? FRAMER_MORE : FRAMER_SPACE;
	/* RFC 6120 11.7: only white space may stand between first-level children. */
	if (*at->p != '<')
		return FRAMER_NOT_XML;
	if (!begun)
		at->start = at->p; /* an element begins: its bytes count from here */
	at->p++;
	f->state = OPENED;
	return FRAMER_MORE;
}

static enum framer_result after_less_than(struct framer *f, struct cursor *at)
{
	char c = *at->p;

	if (is_name_start(c)) {
		if (f->depth > f->limits->depth)
			return FRAMER_TOO_DEEP;
		f->attributes = 0;
		f->state = TAG;
		return FRAMER_MORE;
	}
	at->p++;
	f->match = 0;
	switch (c) {
	case '/':
		f->state = END_TAG;
		return f->depth == 0 ? FRAMER_NOT_XML : FRAMER_MORE;
	case '!':
		f->state = BANG;
		return FRAMER_MORE;
	case '?':
		/* The declaration only as the very first thing of a stream. */
		f->state = DECL_BEGIN;
		return f->declared || f->depth > 0 ? FRAMER_RESTRICTED : FRAMER_MORE;
	default:
		return FRAMER_NOT_XML;
	}
}

/* A start tag or empty element has ended. */
static enum framer_result tag_done(struct framer *f, bool empty)
{
	f->state = CONTENT;
	if (f->depth == 0) {
		if (empty)
			return FRAMER_NOT_XML; /* a stream that ends in its own header */
		f->depth = 1;
		return FRAMER_STREAM_OPEN;
	}
	if (!empty)
		f->depth++;
	return f->depth == 1 ? FRAMER_ELEMENT : FRAMER_MORE;
}

/* Is one of the eight bytes at p either of the two? May say so when none is. */
static bool has_one_of(const char *p, char a, char b)
{
	const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
	uint64_t w, x, y;

	memcpy(&w, p, sizeof(w));
	x = w ^ ones * (unsigned char)a;
	y = w ^ ones * (unsigned char)b;
	return ((((x - ones) & ~x) | ((y - ones) & ~y)) & highs) != 0;
}

/* "<" may not stand in a value: without this check, a forgotten quote would be noticed only when
 * the limit is reached. Values are short: a loop over the bytes is faster than memchr. */
static enum framer_result in_value(struct framer *f, struct cursor *at)
{
	const char *p = at->p;
	const char quote = (char)f->quote;

	while (at->end - p >= 8 && !has_one_of(p, quote, '<'))
		p += 8;
	while (p < at->end && *p != quote && *p != '<')
		p++;
	at->p = p;
	if (p == at->end)
		return FRAMER_MORE;
	at->p++;
	f->state = TAG;
	return *p == '<' ? FRAMER_NOT_XML : FRAMER_MORE;
}

static enum framer_result in_tag(struct framer *f, struct cursor *at)
{
	while (at->p < at->end) {
		const char *p = at->p;
		char c = *p;

		while ((c > '>' || c == ' ' || c == '=') && ++p < at->end) /* by far the most */
			c = *p;
		if (p == at->end) {
			at->p = p;
			return FRAMER_MORE;
		}
		at->p = p + 1;
		if (c == '>')
			return tag_done(f, false);
		if (c == '\'' || c == '"') {
			if (++f->attributes > f->limits->attributes)
				return FRAMER_TOO_DEEP;
			f->quote = (uint8_t)c;
			f->state = VALUE;
			if (in_value(f, at))
				return FRAMER_NOT_XML;
			if (f->state == VALUE)
				return FRAMER_MORE;
		} else if (c == '/') {
			f->state = EMPTY_TAG;
			return FRAMER_MORE;
		} else if (c == '<') {
			return FRAMER_NOT_XML;
		}
	}
	return FRAMER_MORE;
}

static enum framer_result in_empty_tag(struct framer *f, struct cursor *at)
{
	return *at->p++ == '>' ? tag_done(f, true) : FRAMER_NOT_XML;
}

static enum framer_result in_end_tag(struct framer *f, struct cursor *at)
{
	const char *from = at->p;
	bool done = skip_behind(at, '>');

	if (memchr(from, '<', (size_t)(at->p - from)))
		return FRAMER_NOT_XML;
	if (!done)
		return FRAMER_MORE;
	f->depth--;
	f->state = f->depth == 0 ? CLOSED : CONTENT;
	if (f->depth == 0)
		return FRAMER_STREAM_CLOSE;
	return f->depth == 1 ? FRAMER_ELEMENT : FRAMER_MORE;
}

/* Comment and DTD are restricted (RFC 6120 11.1); CDATA is fine inside a child. */
static enum framer_result after_bang(struct framer *f, struct cursor *at)
{
	char c = *at->p++;

	f->state = CDATA_BEGIN;
	if (c == '[')
		return f->depth >= 2 ? FRAMER_MORE : FRAMER_NOT_XML;
	return c == '-' || is_name_start(c) ? FRAMER_RESTRICTED : FRAMER_NOT_XML;
}

static enum framer_result in_cdata_begin(struct framer *f, struct cursor *at)
{
	if (!expect(f, at, "CDATA["))
		return FRAMER_NOT_XML;
	if (f->match == sizeof("CDATA[") - 1) {
		f->match = 0;
		f->state = CDATA;
	}
	return FRAMER_MORE;
}

/* match = how many "]" stand directly before, at most 2. */
static enum framer_result in_cdata(struct framer *f, struct cursor *at)
{
	char c;

	if (f->match == 0) {
		if (skip_behind(at, ']'))
			f->match = 1;
		return FRAMER_MORE;
	}
	c = *at->p++;
	if (c == '>' && f->match == 2)
		f->state = CONTENT;
	else if (c == ']')
		f->match = 2;
	else
		f->match = 0;
	return FRAMER_MORE;
}

static enum framer_result in_decl_begin(struct framer *f, struct cursor *at)
{
	if (f->match < 3)
		return expect(f, at, "xml") ? FRAMER_MORE : FRAMER_RESTRICTED;
	if (!is_space(*at->p++))
		return FRAMER_RESTRICTED; /* <?xml-stylesheet ..> */
	f->declared = true;
	f->state = DECL;
	return FRAMER_MORE;
}

/* ">" cannot stand inside a well-formed declaration, so the first one must follow a "?". */
static enum framer_result in_decl(struct framer *f, struct cursor *at)
{
	char c = *at->p++;

	if (c == '<')
		return FRAMER_NOT_XML;
	if (c == '>') {
		f->state = CONTENT;
		return f->match == '?' ? FRAMER_MORE : FRAMER_NOT_XML;
	}
	f->match = (uint8_t)c;
	return FRAMER_MORE;
}

static enum framer_result after_close(struct framer *f, struct cursor *at)
{
	(void)f;
	while (at->p < at->end && is_space(*at->p))
		at->p++;
	return at->p == at->end ? FRAMER_SPACE : FRAMER_NOT_XML;
}

static enum framer_result (*const states[])(struct framer *, struct cursor *) = {
	[CONTENT] = in_content,
	[OPENED] = after_less_than,
	[TAG] = in_tag,
	[VALUE] = in_value,
	[EMPTY_TAG] = in_empty_tag,
	[END_TAG] = in_end_tag,
	[BANG] = after_bang,
	[CDATA_BEGIN] = in_cdata_begin,
	[CDATA] = in_cdata,
	[DECL_BEGIN] = in_decl_begin,
	[DECL] = in_decl,
	[CLOSED] = after_close,
};

void framer_init(struct framer *f, const struct framer_limits *limits)
{
	*f = (struct framer){.limits = limits, .state = CONTENT};
}

enum framer_result framer_step(struct framer *f, const char *data, size_t len, size_t *used)
{
	struct cursor at = {data, data, data + len};
	enum framer_result r = FRAMER_MORE;
	size_t size;

	while (r == FRAMER_MORE && at.p < at.end)
		r = states[f->state](f, &at);
	*used = (size_t)(at.p - data);
	if (r == FRAMER_SPACE || r == FRAMER_NOT_XML || r == FRAMER_RESTRICTED ||
	    r == FRAMER_TOO_DEEP)
		return r;
	size = (size_t)(at.p - at.start);
	if (size > f->limits->bytes - f->bytes)
		return FRAMER_TOO_BIG;
	f->bytes = r == FRAMER_MORE ? f->bytes + (uint32_t)size : 0;
	return r;
}

bool framer_inside(const struct framer *f)
{
	return f->bytes > 0;
}
