#include "proc/config_set.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/xmem.h"
#include "proc/config_table.h"

struct config_set {
	struct config *values;
	bool *set; /* as config_table */
};

struct config_set *config_set_new(void)
{
	struct config_set *s = xcalloc(1, sizeof(*s));

	s->values = config_defaults();
	s->set = xcalloc(config_table_len, sizeof(*s->set));
	return s;
}

void config_set_free(struct config_set **sp)
{
	struct config_set *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	config_free(&s->values);
	free(s->set);
	free(s);
}

enum err config_set_load(struct config_set *s, const char *path, struct str *why)
{
	if (access(path, F_OK) < 0)
		return ERR_OK;
	return config_read_file_into(s->values, path, s->set, why) ? ERR_OK : ERR_FORMAT;
}

static const struct config_option *option_of(const char *name)
{
	const char *dot = strchr(name, '.');
	char section[64] = "";
	const struct config_option *o;

	if (dot)
		snprintf(section, sizeof(section), "%.*s", (int)(dot - name), name);
	o = config_option_find(section, dot ? dot + 1 : name);
	check(o);
	return o;
}

/* The place for a value of that kind. */
static void *place(struct config_set *s, const char *name, enum config_kind kind)
{
	const struct config_option *o = option_of(name);

	check(o->kind == kind || (o->kind == CONFIG_KIND_ENUM && kind == CONFIG_KIND_STR));
	s->set[o - config_table] = true;
	return config_field(s->values, o);
}

void config_set_text(struct config_set *s, const char *name, const char *value)
{
	char **field = place(s, name, CONFIG_KIND_STR), *copy = xstrdup(value);

	free(*field);
	*field = copy;
}

void config_set_number(struct config_set *s, const char *name, int64_t value)
{
	*(int64_t *)place(s, name, CONFIG_KIND_INT) = value;
}

void config_set_flag(struct config_set *s, const char *name, bool value)
{
	*(bool *)place(s, name, CONFIG_KIND_BOOL) = value;
}

void config_set_list(struct config_set *s, const char *name, const char *const *values)
{
	char ***field = place(s, name, CONFIG_KIND_LIST), **copy;
	size_t n = 0;

	while (values[n])
		n++;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(values[i]);
	for (char **p = *field; *p; p++)
		free(*p);
	free(*field);
	*field = copy;
}

void config_set_remove(struct config_set *s, const char *name)
{
	s->set[option_of(name) - config_table] = false;
}

bool config_set_has(const struct config_set *s, const char *name)
{
	return s->set[option_of(name) - config_table];
}

void config_set_format(struct str *out, const struct config_set *s)
{
	config_format_keys(out, s->values, s->set);
}

uint64_t config_file_mark(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t mark = 14695981039346656037u; /* FNV-1a: nobody chooses these bytes to collide */
	unsigned char bytes[4096];
	ssize_t n;

	if (fd < 0)
		return 0;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < n; i++)
			mark = (mark ^ bytes[i]) * 1099511628211u;
	close(fd);
	return mark;
}
