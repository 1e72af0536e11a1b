#include "cli/common/json_line.h"

#include <stdint.h>

#include "base/json.h"

void json_line_clear(struct json_line *j)
{
	str_clear(&j->text);
	j->count = 0;
}

bool json_line_find(const struct json_line *j, const char *key, struct slice *value)
{
	for (size_t i = 0; i < j->count; i++) {
		if (slice_is(j->members[i].key, key)) {
			if (value)
				*value = j->members[i].value;
			return true;
		}
	}
	return false;
}

bool json_line_next(struct slice *in, struct slice *line)
{
	while (in->len) {
		const char *end = memchr(in->data, '\n', in->len);
		size_t len = end ? (size_t)(end - in->data) : in->len;

		*line = slice_of(in->data, len);
		*in = slice_of(in->data + len + !!end, in->len - len - !!end);
		if (len)
			return true;
	}
	return false;
}

void json_line_put_text(struct str *out, struct slice text)
{
	json_text(out, text);
}

/* ---- reading ---- */

static void skip_space(struct slice *in)
{
	while (in->len && strchr(" \t\r\n", *in->data) && *in->data)
		*in = slice_of(in->data + 1, in->len - 1);
}

static bool take(struct slice *in, char c)
{
	skip_space(in);
	if (!in->len || *in->data != c)
		return false;
	*in = slice_of(in->data + 1, in->len - 1);
	return true;
}

static bool hex4(struct slice *in, uint32_t *out)
{
	*out = 0;
	if (in->len < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		const char *digits = "0123456789abcdef";
		const char *d = in->data[i] ? strchr(digits, in->data[i] | 0x20) : NULL;

		if (!d)
			return false;
		*out = *out << 4 | (uint32_t)(d - digits);
	}
	*in = slice_of(in->data + 4, in->len - 4);
	return true;
}

static void add_utf8(struct str *out, uint32_t cp)
{
	if (cp < 0x80) {
		str_addc(out, (char)cp);
	} else if (cp < 0x800) {
		str_addc(out, (char)(0xc0 | cp >> 6));
		str_addc(out, (char)(0x80 | (cp & 0x3f)));
	} else if (cp < 0x10000) {
		str_addc(out, (char)(0xe0 | cp >> 12));
		str_addc(out, (char)(0x80 | (cp >> 6 & 0x3f)));
		str_addc(out, (char)(0x80 | (cp & 0x3f)));
	} else {
		str_addc(out, (char)(0xf0 | cp >> 18));
		str_addc(out, (char)(0x80 | (cp >> 12 & 0x3f)));
		str_addc(out, (char)(0x80 | (cp >> 6 & 0x3f)));
		str_addc(out, (char)(0x80 | (cp & 0x3f)));
	}
}

/* Behind "\u": four digits, or a surrogate pair (RFC 8259 7). */
static bool take_unicode(struct slice *in, struct str *out)
{
	uint32_t high, low;

	if (!hex4(in, &high))
		return false;
	if (high >= 0xd800 && high < 0xdc00) {
		if (in->len < 2 || memcmp(in->data, "\\u", 2) != 0)
			return false;
		*in = slice_of(in->data + 2, in->len - 2);
		if (!hex4(in, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	} else if (high >= 0xdc00 && high < 0xe000) {
		return false;
	}
	add_utf8(out, high);
	return true;
}

static bool take_escape(struct slice *in, struct str *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c;
	const char *at;

	if (!in->len)
		return false;
	c = *in->data;
	*in = slice_of(in->data + 1, in->len - 1);
	if (c == 'u')
		return take_unicode(in, out);
	at = c ? strchr(from, c) : NULL;
	if (at)
		str_addc(out, to[at - from]);
	return at != NULL;
}

/* Decoded text is never longer than written, and text was reserved: its data does not move. */
static bool take_text(struct slice *in, struct str *text, struct slice *value)
{
	size_t start = text->len;

	if (!take(in, '"'))
		return false;
	while (in->len) {
		unsigned char c = (unsigned char)*in->data;

		*in = slice_of(in->data + 1, in->len - 1);
		if (c == '"') {
			*value = slice_of(text->data + start, text->len - start);
			return true;
		}
		if (c < 0x20 || (c == '\\' && !take_escape(in, text)))
			return false;
		if (c != '\\')
			str_addc(text, (char)c);
	}
	return false;
}

/* A number, true, false or null: anything of their characters; nobody computes with it here. */
static bool take_word(struct slice *in, struct str *text, struct slice *value)
{
	static const char chars[] = "+-.0123456789Eaeflnrstu";
	size_t start = text->len;

	skip_space(in);
	while (in->len && *in->data && strchr(chars, *in->data)) {
		str_addc(text, *in->data);
		*in = slice_of(in->data + 1, in->len - 1);
	}
	*value = slice_of(text->data + start, text->len - start);
	return value->len > 0;
}

static enum err take_member(struct json_line *out, struct slice *in)
{
	struct json_member *m = &out->members[out->count];

	if (out->count == JSON_LINE_MAX)
		return ERR_TOOBIG;
	if (!take_text(in, &out->text, &m->key) || !take(in, ':'))
		return ERR_FORMAT;
	skip_space(in);
	m->is_text = in->len && *in->data == '"';
	if (!(m->is_text ? take_text : take_word)(in, &out->text, &m->value))
		return ERR_FORMAT;
	out->count++;
	return ERR_OK;
}

enum err json_line_parse(struct json_line *out, struct slice line)
{
	struct slice in = line;
	enum err e = ERR_OK;

	str_reset(&out->text);
	out->count = 0;
	str_reserve(&out->text, line.len + 1);
	if (!take(&in, '{'))
		return ERR_FORMAT;
	if (!take(&in, '}')) {
		do
			e = take_member(out, &in);
		while (e == ERR_OK && take(&in, ','));
		if (e == ERR_OK && !take(&in, '}'))
			e = ERR_FORMAT;
	}
	skip_space(&in);
	if (e == ERR_OK && in.len)
		e = ERR_FORMAT;
	if (e != ERR_OK)
		out->count = 0;
	return e;
}
