#include "proc/config_table.h"

#include <stdlib.h>

#include "base/xmem.h"

#define OPT_BOOL(sec, k, field, def, text)         \
	{.section = sec,                           \
	 .key = k,                                 \
	 .kind = CONFIG_KIND_BOOL,                 \
	 .offset = offsetof(struct config, field), \
	 .def_int = def,                           \
	 .help = text},
#define OPT_INT(sec, k, field, def, lo, hi, text)  \
	{.section = sec,                           \
	 .key = k,                                 \
	 .kind = CONFIG_KIND_INT,                  \
	 .offset = offsetof(struct config, field), \
	 .def_int = def,                           \
	 .min = lo,                                \
	 .max = hi,                                \
	 .help = text},
#define OPT_STR(sec, k, field, def, text)          \
	{.section = sec,                           \
	 .key = k,                                 \
	 .kind = CONFIG_KIND_STR,                  \
	 .offset = offsetof(struct config, field), \
	 .def_str = def,                           \
	 .help = text},
#define OPT_ENUM(sec, k, field, def, set, text)    \
	{.section = sec,                           \
	 .key = k,                                 \
	 .kind = CONFIG_KIND_ENUM,                 \
	 .offset = offsetof(struct config, field), \
	 .def_str = def,                           \
	 .choices = set,                           \
	 .help = text},
#define OPT_LIST(sec, k, field, def, text)         \
	{.section = sec,                           \
	 .key = k,                                 \
	 .kind = CONFIG_KIND_LIST,                 \
	 .offset = offsetof(struct config, field), \
	 .def_str = def,                           \
	 .help = text},
#define OPT_NEEDS_RESTART(sec, k)

const struct config_option config_table[] = {
#include "proc/options.def"
};
const size_t config_table_len = sizeof(config_table) / sizeof(config_table[0]);

#undef OPT_BOOL
#undef OPT_INT
#undef OPT_STR
#undef OPT_ENUM
#undef OPT_LIST
#undef OPT_NEEDS_RESTART

#define OPT_BOOL(sec, k, field, def, text)
#define OPT_INT(sec, k, field, def, lo, hi, text)
#define OPT_STR(sec, k, field, def, text)
#define OPT_ENUM(sec, k, field, def, set, text)
#define OPT_LIST(sec, k, field, def, text)
#define OPT_NEEDS_RESTART(sec, k) {sec, k},

static const struct {
	const char *section;
	const char *key;
} frozen[] = {
#include "proc/options.def"
};

const struct config_option *config_option_find(const char *section, const char *key)
{
	for (size_t i = 0; i < config_table_len; i++)
		if (strcmp(config_table[i].section, section) == 0 &&
		    strcmp(config_table[i].key, key) == 0)
			return &config_table[i];
	return NULL;
}

static char **list_split(const char *text)
{
	size_t n = 0, cap = 1;
	char **list;

	for (const char *p = text; *p; p++)
		cap += *p == ',';
	list = xcalloc(cap + 1, sizeof(*list));
	while (*text) {
		size_t len = strcspn(text, ",");

		list[n++] = xstrndup(text, len);
		text += len + (text[len] == ',');
	}
	return list;
}

struct config *config_defaults(void)
{
	struct config *cfg = xcalloc(1, sizeof(*cfg));

	for (size_t i = 0; i < config_table_len; i++) {
		const struct config_option *o = &config_table[i];
		void *field = config_field(cfg, o);

		switch (o->kind) {
		case CONFIG_KIND_BOOL:
			*(bool *)field = o->def_int != 0;
			break;
		case CONFIG_KIND_INT:
			*(int64_t *)field = o->def_int;
			break;
		case CONFIG_KIND_STR:
		case CONFIG_KIND_ENUM:
			*(char **)field = xstrdup(o->def_str);
			break;
		case CONFIG_KIND_LIST:
			*(char ***)field = list_split(o->def_str);
			break;
		}
	}
	return cfg;
}

void config_free(struct config **cp)
{
	struct config *cfg = *cp;

	*cp = NULL;
	if (!cfg)
		return;
	for (size_t i = 0; i < config_table_len; i++) {
		const struct config_option *o = &config_table[i];
		void *field = config_field(cfg, o);

		if (o->kind == CONFIG_KIND_STR || o->kind == CONFIG_KIND_ENUM) {
			free(*(char **)field);
		} else if (o->kind == CONFIG_KIND_LIST) {
			for (char **p = *(char ***)field; *p; p++)
				free(*p);
			free(*(char ***)field);
		}
	}
	free(cfg);
}

static bool lists_equal(char *const *a, char *const *b)
{
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return !*a && !*b;
}

bool config_same(const struct config *a, const struct config *b, const struct config_option *o)
{
	const void *fa = config_field_const(a, o), *fb = config_field_const(b, o);

	switch (o->kind) {
	case CONFIG_KIND_BOOL:
		return *(const bool *)fa == *(const bool *)fb;
	case CONFIG_KIND_INT:
		return *(const int64_t *)fa == *(const int64_t *)fb;
	case CONFIG_KIND_STR:
	case CONFIG_KIND_ENUM:
		return strcmp(*(char *const *)fa, *(char *const *)fb) == 0;
	case CONFIG_KIND_LIST:
		return lists_equal(*(char **const *)fa, *(char **const *)fb);
	}
	return false;
}

static bool is_frozen(const struct config_option *o)
{
	for (size_t i = 0; i < sizeof(frozen) / sizeof(frozen[0]); i++)
		if (strcmp(o->section, frozen[i].section) == 0 &&
		    strcmp(o->key, frozen[i].key) == 0)
			return true;
	return false;
}

bool config_needs_restart(const struct config *old, const struct config *new, struct str *why)
{
	for (size_t i = 0; i < config_table_len; i++) {
		const struct config_option *o = &config_table[i];

		if (!is_frozen(o) || config_same(old, new, o))
			continue;
		str_addf(why,
			 "%s%s%s has changed and a reload cannot apply it; put the old value back, "
			 "or run `supervisor stop` and `supervisor start`",
			 o->section, *o->section ? "." : "", o->key);
		return true;
	}
	return false;
}
