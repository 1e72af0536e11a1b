/* Writes the commented example. Sections are written in the order of their first row. */
#include "proc/config_table.h"

#include <inttypes.h>

static const char intro[] =
	"# Roundhouse. Every key stands here; those that are commented have the value shown.\n"
	"# Check a change with `supervisor check`, put it in force with `supervisor reload`.\n";

static void add_quoted(struct str *out, const char *s)
{
	str_addc(out, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			str_addf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			str_addf(out, "\\x%02x", c);
		else
			str_addc(out, (char)c);
	}
	str_addc(out, '"');
}

static void add_list(struct str *out, char *const *list)
{
	str_adds(out, *list ? "[ " : "[");
	for (; *list; list++) {
		add_quoted(out, *list);
		str_adds(out, list[1] ? ", " : " ");
	}
	str_adds(out, "]");
}

static void add_value(struct str *out, const struct config *cfg, const struct config_option *o)
{
	const void *field = config_field_const(cfg, o);

	switch (o->kind) {
	case CONFIG_KIND_BOOL:
		str_adds(out, *(const bool *)field ? "true" : "false");
		break;
	case CONFIG_KIND_INT:
		str_addf(out, "%" PRId64, *(const int64_t *)field);
		if (*(const int64_t *)field > INT32_MAX)
			str_addc(out, 'L');
		break;
	case CONFIG_KIND_STR:
	case CONFIG_KIND_ENUM:
		add_quoted(out, *(char *const *)field);
		break;
	case CONFIG_KIND_LIST:
		add_list(out, *(char **const *)field);
		break;
	}
}

/* The help in lines of at most 96 columns, then what values are possible. */
static void add_help(struct str *out, const struct config_option *o, const char *indent)
{
	struct str text = STR_INIT;
	const char *p;

	str_adds(&text, o->help);
	if (o->kind == CONFIG_KIND_INT)
		str_addf(&text, " (%" PRId64 " to %" PRId64 ")", o->min, o->max);
	if (o->kind == CONFIG_KIND_ENUM)
		str_addf(&text, " One of: %s.", o->choices);
	p = text.data;
	while (*p) {
		size_t n = strlen(p), max = 88;

		if (n > max)
			for (n = max; n > 1 && p[n] != ' '; n--)
				;
		str_addf(out, "%s# %.*s\n", indent, (int)n, p);
		p += n;
		while (*p == ' ')
			p++;
	}
	str_clear(&text);
}

static void add_option(struct str *out, const struct config *cfg, const struct config *defaults,
		       const struct config_option *o)
{
	const char *indent = *o->section ? "\t" : "";
	bool live = o->kind == CONFIG_KIND_LIST || !config_same(cfg, defaults, o);

	add_help(out, o, indent);
	str_addf(out, "%s%s%s = ", indent, live ? "" : "# ", o->key);
	add_value(out, cfg, o);
	str_adds(out, ";\n");
}

static bool seen_before(size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(config_table[j].section, config_table[i].section) == 0)
			return true;
	return false;
}

static void add_section(struct str *out, const struct config *cfg, const struct config *defaults,
			const char *section)
{
	bool first = true;

	str_addc(out, '\n');
	if (*section)
		str_addf(out, "%s = {\n", section);
	for (size_t i = 0; i < config_table_len; i++) {
		if (strcmp(config_table[i].section, section) != 0)
			continue;
		if (!first)
			str_addc(out, '\n');
		first = false;
		add_option(out, cfg, defaults, &config_table[i]);
	}
	if (*section)
		str_adds(out, "};\n");
}

static void add_section_keys(struct str *out, const struct config *cfg, const bool *set,
			     const char *section)
{
	bool open = false;

	for (size_t i = 0; i < config_table_len; i++) {
		const struct config_option *o = &config_table[i];

		if (!set[i] || strcmp(o->section, section) != 0)
			continue;
		if (*section && !open)
			str_addf(out, "%s = {\n", section);
		open = true;
		str_addf(out, "%s%s = ", *section ? "\t" : "", o->key);
		add_value(out, cfg, o);
		str_adds(out, ";\n");
	}
	if (*section && open)
		str_adds(out, "};\n");
}

void config_format_keys(struct str *out, const struct config *cfg, const bool *set)
{
	add_section_keys(out, cfg, set, "");
	for (size_t i = 0; i < config_table_len; i++)
		if (*config_table[i].section && !seen_before(i))
			add_section_keys(out, cfg, set, config_table[i].section);
}

void config_format(struct str *out, const struct config *cfg)
{
	struct config *defaults = config_defaults();

	str_adds(out, intro);
	/* Top-level keys first: the first thing that an operator sets. */
	add_section(out, cfg ? cfg : defaults, defaults, "");
	for (size_t i = 0; i < config_table_len; i++)
		if (*config_table[i].section && !seen_before(i))
			add_section(out, cfg ? cfg : defaults, defaults, config_table[i].section);
	config_free(&defaults);
}
