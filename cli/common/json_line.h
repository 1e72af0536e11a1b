/*
 * json_line - one flat JSON object on one line (RFC 8259), as the router answers administrative
 * questions: read for tables, written for --json.
 */
#ifndef CLI_COMMON_JSON_LINE_H
#define CLI_COMMON_JSON_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

#define JSON_LINE_MAX 128 /* members */

struct json_member {
	struct slice key;
	struct slice value; /* of strings the text itself, of others as written */
	bool is_text;
};

struct json_line {
	size_t count;
	struct json_member members[JSON_LINE_MAX];
	struct str text; /* what the slices point into */
};

#define JSON_LINE_INIT ((struct json_line){.count = 0, .text = STR_INIT})

/* ERR_FORMAT: not an object, or objects or lists inside; ERR_TOOBIG: too many members. */
enum err json_line_parse(struct json_line *out, struct slice line);
void json_line_clear(struct json_line *j);

/* The value of key; false when there is none. value may be NULL. */
bool json_line_find(const struct json_line *j, const char *key, struct slice *value);

/* Cuts the first line off *in, without its line feed; false at the end. Empty lines are skipped. */
bool json_line_next(struct slice *in, struct slice *line);

/* Appends "text", quoted and escaped. */
void json_line_put_text(struct str *out, struct slice text);

#endif
