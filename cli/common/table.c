#include "cli/common/table.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/utf8_char.h"
#include "base/xmem.h"

/* C0, DEL, C1 (in UTF-8: C2 80 to C2 9F), and what is no UTF-8: a terminal may take 9B for C1. */
static void add_safe(struct str *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];
		size_t n = utf8_char_len((const unsigned char *)text.data + i, text.len - i);

		if (c < 0x20 || c == 0x7f || !n) {
			str_addf(out, "\\x%02x", c);
		} else if (c == 0xc2 && (unsigned char)text.data[i + 1] < 0xa0) {
			str_addf(out, "\\x%02x", text.data[++i] & 0xff);
		} else {
			str_add(out, text.data + i, n);
			i += n - 1;
		}
	}
}

/* Characters, not bytes: good enough for names. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

void table_init(struct table *t, size_t columns)
{
	*t = (struct table){.columns = columns};
}

void table_clear(struct table *t)
{
	for (size_t i = 0; i < t->cells; i++)
		free(t->cell[i]);
	free(t->cell);
	table_init(t, t->columns);
}

void table_add(struct table *t, struct slice text)
{
	struct str safe = STR_INIT;

	add_safe(&safe, text);
	if (t->cells % 64 == 0)
		t->cell = xrealloc(t->cell, (t->cells + 64) * sizeof(*t->cell));
	t->cell[t->cells++] = xstrdup(safe.data);
	str_clear(&safe);
}

void table_addf(struct table *t, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	table_add(t, str_slice(&text));
	str_clear(&text);
}

void table_write(const struct table *t, struct str *out)
{
	size_t *widest = xcalloc(t->columns, sizeof(*widest));

	check(t->cells % t->columns == 0);
	for (size_t i = 0; i < t->cells; i++)
		if (width(t->cell[i]) > widest[i % t->columns])
			widest[i % t->columns] = width(t->cell[i]);
	for (size_t i = 0; i < t->cells; i++) {
		size_t column = i % t->columns;

		str_adds(out, t->cell[i]);
		if (column + 1 == t->columns) {
			str_addc(out, '\n');
			continue;
		}
		for (size_t pad = width(t->cell[i]); pad < widest[column] + 2; pad++)
			str_addc(out, ' ');
	}
	free(widest);
}

void table_raw(struct str *out, struct slice text)
{
	add_safe(out, text);
	str_addc(out, '\n');
}

void table_label(struct str *out, const char *label, struct slice value)
{
	str_addf(out, "%-24s: ", label);
	add_safe(out, value.len ? value : slice_str("none"));
	str_addc(out, '\n');
}
