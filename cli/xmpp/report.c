#include "cli/xmpp/report.h"

#include <ctype.h>
#include <stdlib.h>

#include "cli/common/json_line.h"
#include "cli/common/table.h"

struct columns {
	size_t count;
	char names[JSON_LINE_MAX][64];
};

static void add_column(struct columns *c, struct slice key)
{
	for (size_t i = 0; i < c->count; i++)
		if (slice_is(key, c->names[i]))
			return;
	if (c->count < JSON_LINE_MAX)
		snprintf(c->names[c->count++], sizeof(c->names[0]), "%.*s", SLICE_ARG(key));
}

static void find_columns(struct slice lines, struct columns *c)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice line;

	while (json_line_next(&lines, &line))
		if (json_line_parse(&j, line) == ERR_OK)
			for (size_t i = 0; i < j.count; i++)
				add_column(c, j.members[i].key);
	json_line_clear(&j);
}

static void add_heading(struct table *t, const struct columns *c)
{
	for (size_t i = 0; i < c->count; i++) {
		char name[sizeof(c->names[0])];
		size_t n;

		for (n = 0; c->names[i][n]; n++)
			name[n] = (char)toupper((unsigned char)c->names[i][n]);
		table_add(t, slice_of(name, n));
	}
}

size_t report_rows(struct slice lines, struct str *out)
{
	struct json_line j = JSON_LINE_INIT;
	struct columns c = {0};
	struct table t;
	struct slice line;
	size_t rows = 0;

	find_columns(lines, &c);
	if (c.count) {
		table_init(&t, c.count);
		add_heading(&t, &c);
	}
	while (json_line_next(&lines, &line)) {
		if (json_line_parse(&j, line) != ERR_OK) {
			table_raw(out, line);
			continue;
		}
		rows += j.count > 0;
		for (size_t i = 0; j.count && i < c.count; i++) {
			struct slice value = SLICE_NONE;

			json_line_find(&j, c.names[i], &value);
			table_add(&t, value.len ? value : slice_str("-"));
		}
	}
	if (c.count) {
		table_write(&t, out);
		table_clear(&t);
	}
	json_line_clear(&j);
	return rows;
}

size_t report_count(struct slice lines)
{
	struct slice line;
	size_t n = 0;

	while (json_line_next(&lines, &line))
		n++;
	return n;
}

/* A whole number that fits; false for everything else. */
static bool number(const struct json_line *j, const char *key, int64_t *out)
{
	struct slice value;
	char text[24], *end;

	if (!json_line_find(j, key, &value) || !value.len || value.len >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(value));
	*out = strtoll(text, &end, 10);
	return *end == '\0';
}

int64_t report_sum(struct slice lines, const char *key)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice line;
	int64_t sum = 0, n;

	while (json_line_next(&lines, &line))
		if (json_line_parse(&j, line) == ERR_OK && number(&j, key, &n))
			sum += n;
	json_line_clear(&j);
	return sum;
}

/* ---- stats ---- */

#define FIELD(name, side)                                        \
	{                                                        \
#name, offsetof(struct report_books, name), side \
	}

static const struct {
	const char *key;
	size_t offset;
	int side; /* 1 = came in, -1 = accounted for */
} fields[] = {
	FIELD(accepted, 1),   FIELD(announced, 1),  FIELD(generated, 1),
	FIELD(delivered, -1), FIELD(stored, -1),    FIELD(bounced, -1),
	FIELD(consumed, -1),  FIELD(discarded, -1), FIELD(held, -1),
};

#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

static int64_t *field(struct report_books *b, size_t i)
{
	return (int64_t *)(void *)((char *)b + fields[i].offset);
}

bool report_books(struct slice lines, struct report_books *out)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice line;
	bool found = false;

	*out = (struct report_books){0};
	while (!found && json_line_next(&lines, &line)) {
		if (json_line_parse(&j, line) != ERR_OK || !json_line_find(&j, "accepted", NULL) ||
		    !json_line_find(&j, "delivered", NULL))
			continue;
		found = true;
		for (size_t i = 0; i < NFIELDS; i++)
			if (number(&j, fields[i].key, field(out, i)))
				out->difference += fields[i].side * *field(out, i);
	}
	json_line_clear(&j);
	return found;
}

void report_books_json(const struct report_books *b, struct str *out)
{
	struct report_books copy = *b;

	str_adds(out, "{\"process\":\"books\"");
	for (size_t i = 0; i < NFIELDS; i++)
		str_addf(out, ",\"%s\":%lld", fields[i].key, (long long)*field(&copy, i));
	str_addf(out, ",\"difference\":%lld}\n", (long long)b->difference);
}

static void add_books(const struct report_books *b, struct str *out)
{
	struct report_books copy = *b;

	str_adds(out, "\nbooks:");
	for (size_t i = 0; i < NFIELDS; i++)
		str_addf(out, " %s=%lld", fields[i].key, (long long)*field(&copy, i));
	str_addf(out, " difference=%lld\n", (long long)b->difference);
}

void report_stats(struct slice lines, struct str *out)
{
	struct json_line j = JSON_LINE_INIT;
	struct slice rest = lines, line, process;
	struct report_books books;
	struct table t;

	table_init(&t, 3);
	table_add(&t, slice_str("PROCESS"));
	table_add(&t, slice_str("KEY"));
	table_add(&t, slice_str("VALUE"));
	while (json_line_next(&rest, &line)) {
		if (json_line_parse(&j, line) != ERR_OK) {
			table_raw(out, line);
			continue;
		}
		if (!json_line_find(&j, "process", &process))
			process = slice_str("-");
		for (size_t i = 0; i < j.count; i++) {
			if (slice_is(j.members[i].key, "process"))
				continue;
			table_add(&t, process);
			table_add(&t, j.members[i].key);
			table_add(&t, j.members[i].value);
		}
	}
	table_write(&t, out);
	table_clear(&t);
	json_line_clear(&j);
	if (report_books(lines, &books))
		add_books(&books, out);
}
