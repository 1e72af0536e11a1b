/*
 * `dns add` and `dns del`: one line more or fewer in a list of the configuration. The whole dns
 * section is judged by the resolver itself before anything is written.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/xmem.h"
#include "cli/common/managed.h"
#include "cli/dns/dns_program.h"
#include "proc/config.h"

enum kind { RR, FORWARDZONE, SERVER, TRUSTANCHOR };

static const struct {
	const char *key;
	const char *what;
	size_t config; /* offset of the list in struct config */
	size_t judged; /* and in struct resolver_config */
} kinds[] = {
	[RR] = {"dns.records", "record", offsetof(struct config, dns_records),
		offsetof(struct resolver_config, records)},
	[FORWARDZONE] = {"dns.forwardzones", "forward zone",
			 offsetof(struct config, dns_forwardzones),
			 offsetof(struct resolver_config, forwardzones)},
	[SERVER] = {"dns.servers", "server", offsetof(struct config, dns_servers),
		    offsetof(struct resolver_config, servers)},
	[TRUSTANCHOR] = {"dns.trustanchors", "trust anchor",
			 offsetof(struct config, dns_trustanchors),
			 offsetof(struct resolver_config, trustanchors)},
};

struct change {
	const struct dns_values *v;
	enum kind kind;
	char *line; /* the operands with spaces between */
	struct managed *managed;
	char *const *old;
	const char **new; /* NULL-terminated; borrows */
	size_t n;
};

/* ---- lines */

static char *join(int argc, char **argv)
{
	struct str s = STR_INIT;

	for (int i = 0; i < argc; i++)
		str_addf(&s, "%s%s", i ? " " : "", argv[i]);
	while (s.len > 0 && isspace((unsigned char)s.data[s.len - 1]))
		s.data[--s.len] = '\0';
	str_consume(&s, strspn(s.data, " \t"));
	return str_detach(&s);
}

/* A line for comparing: one space between words, names without case and the root's dot. */
static char *plain(const char *line)
{
	struct str s = STR_INIT;

	while (*line) {
		size_t n = strcspn(line, " \t");
		size_t keep = n > 1 && line[n - 1] == '.' ? n - 1 : n;

		if (n > 0)
			str_addf(&s, "%s%.*s", s.len ? " " : "", (int)keep, line);
		line += n + strspn(line + n, " \t");
	}
	for (size_t i = 0; i < s.len; i++)
		s.data[i] = (char)tolower((unsigned char)s.data[i]);
	return str_detach(&s);
}

static bool same_line(const char *a, const char *b)
{
	char *pa = plain(a), *pb = plain(b);
	bool same = strcmp(pa, pb) == 0;

	free(pa);
	free(pb);
	return same;
}

/* NAME or NAME TYPE: all such records. */
static bool record_fits(const char *record, const char *wanted)
{
	char *r = plain(record), *w = plain(wanted), *save = NULL;
	char *name = strtok_r(r, " ", &save), *type = strtok_r(NULL, " ", &save);
	size_t len = name ? strlen(name) : 0;
	bool fits;

	while (type && (strspn(type, "0123456789") == strlen(type) || strcmp(type, "in") == 0))
		type = strtok_r(NULL, " ", &save);
	fits = name && strncmp(w, name, len) == 0 &&
	       (w[len] == '\0' || (w[len] == ' ' && type && strcmp(w + len + 1, type) == 0));
	free(r);
	free(w);
	return fits;
}

/* ---- the change */

static void begin_list(struct change *c)
{
	const struct config *cfg = managed_config(c->managed);
	size_t n = 0;

	c->old = *(char **const *)(const void *)((const char *)cfg + kinds[c->kind].config);
	while (c->old[n])
		n++;
	c->new = xcalloc(n + 2, sizeof(*c->new));
}

static int open_change(struct change *c)
{
	struct str why = STR_INIT;
	int code = dns_enter(c->v);

	if (code != COMMAND_OK)
		return code;
	if (managed_open(&c->managed, &why) != ERR_OK)
		code = dns_failure(c->v, "%s", why.data);
	else
		begin_list(c);
	str_clear(&why);
	return code;
}

/* What the services' judges have to say of other settings ("warning: ...") is no news here. */
static void say_news(const struct str *lines)
{
	static const char judged[] = "warning: ";

	for (const char *line = lines->data; *line;) {
		int n = (int)strcspn(line, "\n");

		if (n > 0 && strncmp(line, judged, strlen(judged)) != 0)
			command_fail("dns", 0, "%.*s", n, line);
		line += n + (line[n] == '\n');
	}
}

static int commit(struct change *c)
{
	struct resolver_config cfg = dns_resolver_config(managed_config(c->managed));
	struct str why = STR_INIT;
	int code = COMMAND_OK;

	*(const char *const **)(void *)((char *)&cfg + kinds[c->kind].judged) = c->new;
	if (resolver_check(&cfg, &why) != ERR_OK) {
		code = dns_failure(c->v, "%s", why.data);
	} else {
		managed_set_list(c->managed, kinds[c->kind].key, c->new);
		if (managed_commit(c->managed, &why) != ERR_OK)
			code = dns_failure(c->v, "%s", why.data);
		else
			say_news(&why);
	}
	str_clear(&why);
	return code;
}

static int close_change(struct change *c, int code)
{
	managed_close(&c->managed);
	free(c->new);
	free(c->line);
	return code;
}

static int add(const void *values, enum kind kind, int argc, char **argv)
{
	struct change c = {.v = values, .kind = kind, .line = join(argc, argv)};
	int code = open_change(&c);

	if (code != COMMAND_OK)
		return close_change(&c, code);
	check(c.old);
	for (; c.old[c.n]; c.n++) {
		c.new[c.n] = c.old[c.n];
		if (same_line(c.old[c.n], c.line))
			return close_change(&c, dns_failure(c.v, "the %s is there already: %s",
							    kinds[kind].what, c.old[c.n]));
	}
	c.new[c.n] = c.line;
	code = commit(&c);
	if (code == COMMAND_OK)
		dns_success(c.v, "%s added: %s", kinds[kind].what, c.line);
	return close_change(&c, code);
}

static int del(const void *values, enum kind kind, int argc, char **argv)
{
	struct change c = {.v = values, .kind = kind, .line = join(argc, argv)};
	int code = open_change(&c);
	size_t gone = 0;

	if (code != COMMAND_OK)
		return close_change(&c, code);
	check(c.old);
	for (size_t i = 0; c.old[i]; i++) {
		if (same_line(c.old[i], c.line) || (kind == RR && record_fits(c.old[i], c.line)))
			gone++;
		else
			c.new[c.n++] = c.old[i];
	}
	if (gone == 0)
		return close_change(&c,
				    dns_failure(c.v, "there is no such %s: %s; 'dns' lists them",
						kinds[kind].what, c.line));
	code = commit(&c);
	for (size_t i = 0, k = 0; code == COMMAND_OK && c.old[i]; i++) {
		if (k < c.n && c.new[k] == c.old[i])
			k++;
		else
			dns_success(c.v, "%s deleted: %s", kinds[kind].what, c.old[i]);
	}
	return close_change(&c, code);
}

int dns_add_rr(const void *values, int argc, char **argv)
{
	return add(values, RR, argc, argv);
}

int dns_add_forwardzone(const void *values, int argc, char **argv)
{
	return add(values, FORWARDZONE, argc, argv);
}

int dns_add_server(const void *values, int argc, char **argv)
{
	return add(values, SERVER, argc, argv);
}

int dns_add_trustanchor(const void *values, int argc, char **argv)
{
	return add(values, TRUSTANCHOR, argc, argv);
}

int dns_del_rr(const void *values, int argc, char **argv)
{
	return del(values, RR, argc, argv);
}

int dns_del_forwardzone(const void *values, int argc, char **argv)
{
	return del(values, FORWARDZONE, argc, argv);
}

int dns_del_server(const void *values, int argc, char **argv)
{
	return del(values, SERVER, argc, argv);
}

int dns_del_trustanchor(const void *values, int argc, char **argv)
{
	return del(values, TRUSTANCHOR, argc, argv);
}
