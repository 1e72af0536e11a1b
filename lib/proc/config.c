#include "proc/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <libconfig.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/distance.h"
#include "base/xmem.h"
#include "proc/config_table.h"

#define LISTEN_MAX 16 /* descriptors that travel in one message */

struct judge {
	const char *path;
	struct config *cfg;
	bool *set; /* as config_table: what the file sets; may be NULL */
	struct str *why;
};

static void refuse(struct judge *j, const config_setting_t *s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* libconfig names an included file as it stands in the @include: add where that is. */
static void add_place(struct str *why, const char *path, const char *file, unsigned int line)
{
	const char *slash = strrchr(path, '/');

	if (file && slash && !strchr(file, '/'))
		str_addf(why, "%.*s/", (int)(slash - path), path);
	str_addf(why, "%s:%u: ", file ? file : path, line);
}

static void refuse(struct judge *j, const config_setting_t *s, const char *fmt, ...)
{
	va_list ap;

	add_place(j->why, j->path, config_setting_source_file(s), config_setting_source_line(s));
	va_start(ap, fmt);
	str_vaddf(j->why, fmt, ap);
	va_end(ap);
}

/* "cm-client.listen"; static. */
static const char *name_of(const struct config_option *o)
{
	static char name[128];

	snprintf(name, sizeof(name), "%s%s%s", o->section, *o->section ? "." : "", o->key);
	return name;
}

/* The known name nearest to an unknown one: keys of the section, at top level sections too. */
static const char *nearest(const char *section, const char *name)
{
	const char *best = NULL;
	size_t best_d = SIZE_MAX;

	for (size_t i = 0; i < config_table_len; i++) {
		const struct config_option *o = &config_table[i];
		const char *candidate = strcmp(o->section, section) == 0 ? o->key
					: *section			 ? NULL
									 : o->section;
		size_t d = candidate ? distance_of(name, candidate) : SIZE_MAX;

		if (d < best_d) {
			best_d = d;
			best = candidate;
		}
	}
	return best;
}

static bool section_exists(const char *section)
{
	for (size_t i = 0; i < config_table_len; i++)
		if (*section && strcmp(config_table[i].section, section) == 0)
			return true;
	return false;
}

static void refuse_unknown(struct judge *j, const config_setting_t *s, const char *section)
{
	const char *name = config_setting_name(s);
	const char *near = nearest(section, name);

	if (!*section && section_exists(name)) {
		refuse(j, s, "%s is a section; write %s = { ... };", name, name);
		return;
	}
	if (*section)
		refuse(j, s, "unknown key \"%s\" in section \"%s\"", name, section);
	else
		refuse(j, s, "unknown %s \"%s\"", config_setting_is_group(s) ? "section" : "key",
		       name);
	str_addf(j->why, "; did you mean \"%s\"?", near ? near : "domains");
}

static bool take_bool(struct judge *j, const config_setting_t *s, const struct config_option *o)
{
	if (config_setting_type(s) != CONFIG_TYPE_BOOL) {
		refuse(j, s, "%s must be true or false", name_of(o));
		return false;
	}
	*(bool *)config_field(j->cfg, o) = config_setting_get_bool(s);
	return true;
}

static bool take_int(struct judge *j, const config_setting_t *s, const struct config_option *o)
{
	int type = config_setting_type(s);
	int64_t v;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		refuse(j, s, "%s must be a whole number, without quotes", name_of(o));
		return false;
	}
	v = type == CONFIG_TYPE_INT ? config_setting_get_int(s) : config_setting_get_int64(s);
	if (v < o->min || v > o->max) {
		refuse(j, s, "%s is %" PRId64 "; it must be from %" PRId64 " to %" PRId64,
		       name_of(o), v, o->min, o->max);
		return false;
	}
	*(int64_t *)config_field(j->cfg, o) = v;
	return true;
}

static bool is_choice(const char *choices, const char *value)
{
	for (;;) {
		size_t n = strcspn(choices, "|");

		if (strlen(value) == n && memcmp(choices, value, n) == 0)
			return true;
		if (!choices[n])
			return false;
		choices += n + 1;
	}
}

static bool take_str(struct judge *j, const config_setting_t *s, const struct config_option *o)
{
	char **field = config_field(j->cfg, o);

	if (config_setting_type(s) != CONFIG_TYPE_STRING) {
		refuse(j, s, "%s must be a text in \"quotes\"", name_of(o));
		return false;
	}
	if (o->kind == CONFIG_KIND_ENUM && !is_choice(o->choices, config_setting_get_string(s))) {
		refuse(j, s, "%s is \"%s\"; it must be one of %s", name_of(o),
		       config_setting_get_string(s), o->choices);
		return false;
	}
	free(*field);
	*field = xstrdup(config_setting_get_string(s));
	return true;
}

static void list_set(char ***field, char **list)
{
	for (char **p = *field; p && *p; p++)
		free(*p);
	free(*field);
	*field = list;
}

static bool take_list(struct judge *j, const config_setting_t *s, const struct config_option *o)
{
	bool one = config_setting_type(s) == CONFIG_TYPE_STRING;
	int n = one ? 1 : config_setting_length(s);
	char **list = xcalloc((size_t)n + 1, sizeof(*list));

	if (!one && !config_setting_is_array(s) && !config_setting_is_list(s))
		goto bad;
	for (int i = 0; i < n; i++) {
		const config_setting_t *e = one ? s : config_setting_get_elem(s, (unsigned int)i);

		if (config_setting_type(e) != CONFIG_TYPE_STRING)
			goto bad;
		list[i] = xstrdup(config_setting_get_string(e));
	}
	list_set(config_field(j->cfg, o), list);
	return true;
bad:
	list_set(&list, NULL);
	refuse(j, s, "%s must be a list of texts: [ \"a\", \"b\" ]", name_of(o));
	return false;
}

static bool take_value(struct judge *j, const config_setting_t *s, const struct config_option *o)
{
	switch (o->kind) {
	case CONFIG_KIND_BOOL:
		return take_bool(j, s, o);
	case CONFIG_KIND_INT:
		return take_int(j, s, o);
	case CONFIG_KIND_STR:
	case CONFIG_KIND_ENUM:
		return take_str(j, s, o);
	case CONFIG_KIND_LIST:
		return take_list(j, s, o);
	}
	return false;
}

static bool take(struct judge *j, const config_setting_t *s, const char *section)
{
	const struct config_option *o = config_option_find(section, config_setting_name(s));

	if (!o) {
		refuse_unknown(j, s, section);
		return false;
	}
	if (j->set)
		j->set[o - config_table] = true;
	return take_value(j, s, o);
}

static bool judge_group(struct judge *j, const config_setting_t *group, const char *section)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned int)i);
		const char *name = config_setting_name(s);

		if (!*section && config_setting_is_group(s) && section_exists(name)) {
			if (!judge_group(j, s, name))
				return false;
		} else if (!take(j, s, section)) {
			return false;
		}
	}
	return true;
}

static size_t list_len(char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

/* What one row cannot say. */
static bool judge_whole(struct judge *j)
{
	if (!j->cfg->domains[0]) {
		str_addf(j->why, "%s: domains is empty; name at least one: domains = [ \"...\" ];",
			 j->path);
		return false;
	}
	if (list_len(j->cfg->client_listen) > LISTEN_MAX ||
	    list_len(j->cfg->component_listen) > LISTEN_MAX) {
		str_addf(j->why,
			 "%s: a listen key has more than %d addresses; write 0.0.0.0:PORT for all",
			 j->path, LISTEN_MAX);
		return false;
	}
	if (j->cfg->restart_delay_min_ms > j->cfg->restart_delay_max_ms) {
		str_addf(j->why,
			 "%s: supervisor.restart_delay_min_ms is larger than restart_delay_max_ms; "
			 "lower one or raise the other",
			 j->path);
		return false;
	}
	return true;
}

/* The text of a file; false with the reason in why. */
static bool slurp(const char *path, struct str *text, struct str *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char bytes[16384];
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		str_add(text, bytes, (size_t)n);
	if (n < 0)
		str_addf(why, "%s:0: cannot be read: %s; `supervisor init` makes a new instance",
			 path, strerror(errno));
	else if (strlen(text->data) != text->len)
		str_addf(why, "%s:0: there is a NUL byte in it; write it anew as text", path);
	if (fd >= 0)
		close(fd);
	return n == 0 && strlen(text->data) == text->len;
}

/* The end of a line `@include "managed.conf"` at p; NULL: it is another line. */
static char *managed_include_end(char *p)
{
	static const char *const words[] = {"@include", "\"" CONFIG_MANAGED "\""};
	size_t blank;

	for (size_t i = 0; i < 2; i++) {
		p += strspn(p, " \t");
		blank = strlen(words[i]);
		if (strncmp(p, words[i], blank) != 0)
			return NULL;
		p += blank;
	}
	return p;
}

/* Instances made before it stood over the other by itself include it: that would clash. */
static void blank_managed_include(char *text)
{
	for (char *line = text; *line; line += *line == '\n') {
		char *end = managed_include_end(line);

		if (end)
			memset(line, ' ', (size_t)(end - line));
		line += strcspn(line, "\n");
	}
}

static bool parse(config_t *lc, const char *path, struct str *why)
{
	char *copy = xstrdup(path);
	struct str text = STR_INIT;
	bool ok = slurp(path, &text, why);

	config_set_include_dir(lc, dirname(copy));
	if (ok)
		blank_managed_include(text.data);
	if (ok && !config_read_string(lc, text.data)) {
		add_place(why, path, config_error_file(lc), (unsigned int)config_error_line(lc));
		str_addf(why, "%s; look at this line and the end of the one before",
			 config_error_text(lc));
		ok = false;
	}
	str_clear(&text);
	free(copy);
	return ok;
}

bool config_read_file_into(struct config *cfg, const char *path, bool *set, struct str *why)
{
	struct judge j = {.path = path, .cfg = cfg, .set = set, .why = why};
	config_t lc;
	bool ok;

	config_init(&lc);
	ok = parse(&lc, path, why) && judge_group(&j, config_root_setting(&lc), "");
	config_destroy(&lc);
	return ok;
}

enum err config_load_layers(struct config **out, const char *path, const char *over,
			    struct str *why)
{
	struct judge j = {.path = path, .cfg = config_defaults(), .why = why};
	bool ok = config_read_file_into(j.cfg, path, NULL, why);

	if (ok && over && access(over, F_OK) == 0)
		ok = config_read_file_into(j.cfg, over, NULL, why);
	if (!ok || !judge_whole(&j))
		config_free(&j.cfg);
	*out = j.cfg;
	return j.cfg ? ERR_OK : ERR_FORMAT;
}

enum err config_load(struct config **out, const char *path, struct str *why)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char *over = NULL;
	enum err e;

	if (strcmp(name, CONFIG_NAME) == 0)
		over = xasprintf("%.*s" CONFIG_MANAGED, (int)(name - path), path);
	e = config_load_layers(out, path, over, why);
	free(over);
	return e;
}
