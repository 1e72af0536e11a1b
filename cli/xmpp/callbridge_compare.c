/* Two nodes must have the same call bridges with the same secrets. What one of them lists is
 * compared with the other's by fingerprint, so that no secret travels. */
#include "cli/xmpp/callbridge.h"

#include <stdlib.h>
#include <strings.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/xmpp/component_store.h"
#include "cli/xmpp/served.h"
#include "scram/fingerprint.h"

#define FILE_MAX ((size_t)16 * 1024 * 1024)

struct entry {
	char *name, *domain;
	char mark[FINGERPRINT_SIZE];
};

struct entries {
	size_t count;
	struct entry *item;
};

static void entries_clear(struct entries *e)
{
	for (size_t i = 0; i < e->count; i++) {
		free(e->item[i].name);
		free(e->item[i].domain);
	}
	free(e->item);
}

static struct entry *entries_add(struct entries *e, struct slice name)
{
	e->item = xrealloc(e->item, (e->count + 1) * sizeof(*e->item));
	e->item[e->count] = (struct entry){.name = xstrndup(name.data, name.len)};
	return &e->item[e->count++];
}

static void entry_set_domain(struct entry *one, struct slice domain)
{
	free(one->domain);
	one->domain = xstrndup(domain.data, domain.len);
}

/* Whatever the case: names of call bridges differ in more. */
static const struct entry *entries_find(const struct entries *e, const char *name)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcasecmp(e->item[i].name, name) == 0)
			return &e->item[i];
	return NULL;
}

/* Whose secret is this, other than name's? */
static const struct entry *entries_owner(const struct entries *e, const char *mark,
					 const char *name)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcasecmp(e->item[i].name, name) != 0 && strcmp(e->item[i].mark, mark) == 0)
			return &e->item[i];
	return NULL;
}

/* ---- a list of another node, as `xmpp callbridge list` prints it ---- */

static int slurp(const char *path, struct str *out)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char buffer[4096];
	size_t n;
	bool ok;

	if (!f)
		return command_fail("xmpp", COMMAND_REFUSED, "%s: %m", path);
	while (out->len < FILE_MAX && (n = fread(buffer, 1, sizeof(buffer), f)) > 0)
		str_add(out, buffer, n);
	ok = !ferror(f) && out->len < FILE_MAX;
	if (f != stdin)
		fclose(f);
	return ok ? COMMAND_OK
		  : command_fail("xmpp", COMMAND_REFUSED, "%s cannot be read, or is too large",
				 path);
}

static struct slice trim(struct slice s)
{
	while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = slice_of(s.data + 1, s.len - 1);
	while (s.len && strchr(" \t\r", s.data[s.len - 1]))
		s.len--;
	return s;
}

/* false: it is no field of a call bridge. */
static bool take_field(struct entries *e, struct slice label, struct slice value)
{
	struct entry *last = e->count ? &e->item[e->count - 1] : NULL;

	if (slice_is(label, "Callbridge") || slice_is(label, "callbridge"))
		entries_add(e, value);
	else if (last && (slice_is(label, "Domain") || slice_is(label, "domain")))
		entry_set_domain(last, value);
	else if (last && (slice_is(label, "Secret") || slice_is(label, "secret")))
		fingerprint(last->mark, value);
	else if (last && (slice_is(label, "Fingerprint") || slice_is(label, "fingerprint")))
		snprintf(last->mark, sizeof(last->mark), "%.*s", SLICE_ARG(value));
	else
		return false;
	return value.len > 0;
}

static bool take_text(struct entries *e, struct slice line)
{
	const char *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
	size_t n = colon ? (size_t)(colon - line.data) : 0;

	if (!line.len || slice_is(line, "***") || slice_is(line, CALLBRIDGE_NONE))
		return true;
	return colon && take_field(e, trim(slice_of(line.data, n)),
				   trim(slice_of(line.data + n + 1, line.len - n - 1)));
}

static bool take_json(struct entries *e, struct slice line)
{
	static const char *const labels[] = {"callbridge", "domain", "secret", "fingerprint"};
	struct json_line j = JSON_LINE_INIT;
	bool ok = json_line_parse(&j, line) == ERR_OK && json_line_find(&j, labels[0], NULL);
	struct slice value;

	for (size_t i = 0; ok && i < sizeof(labels) / sizeof(labels[0]); i++)
		if (json_line_find(&j, labels[i], &value))
			ok = take_field(e, slice_str(labels[i]), value);
	xwipe(j.text.data, j.text.len);
	json_line_clear(&j);
	return ok;
}

static bool take_line(struct entries *e, struct slice line)
{
	return line.len && line.data[0] == '{' ? take_json(e, line) : take_text(e, line);
}

static int read_list(const char *path, struct entries *e)
{
	struct str text = STR_INIT;
	int number = 0, code = slurp(path, &text);
	struct slice rest = str_slice(&text);

	while (code == COMMAND_OK && rest.len) {
		const char *end = memchr(rest.data, '\n', rest.len);
		size_t n = end ? (size_t)(end - rest.data) : rest.len;

		number++;
		if (!take_line(e, trim(slice_of(rest.data, n))))
			code = command_fail("xmpp", COMMAND_REFUSED,
					    "%s:%d is not from 'xmpp callbridge list "
					    "--fingerprints'",
					    path, number);
		rest = slice_of(rest.data + n + !!end, rest.len - n - !!end);
	}
	for (size_t i = 0; code == COMMAND_OK && i < e->count; i++)
		if (!e->item[i].mark[0])
			code = command_fail("xmpp", COMMAND_REFUSED,
					    "%s: %s has no fingerprint there; list with "
					    "--fingerprints",
					    path, e->item[i].name);
	xwipe(text.data, text.len); /* it may be a list with secrets */
	str_clear(&text);
	return code;
}

/* ---- comparing ---- */

struct comparison {
	const struct xmpp_values *values;
	const char *path; /* the other node */
	const struct entries *here, *there;
	size_t differences;
};

/* What is wrong with a call bridge on one of the nodes; of: whose secret it has there, or NULL. */
static void tell(struct comparison *c, const char *name, const char *node, const char *problem,
		 const char *of)
{
	struct str line = STR_INIT, out = STR_INIT;

	c->differences++;
	if (c->values->common.json) {
		str_adds(&out, "{\"callbridge\":");
		json_line_put_text(&out, slice_str(name));
		str_adds(&out, ",\"node\":");
		json_line_put_text(&out, slice_str(node));
		str_adds(&out, ",\"problem\":");
		json_line_put_text(&out, slice_str(problem));
		if (of) {
			str_adds(&out, ",\"of\":");
			json_line_put_text(&out, slice_str(of));
		}
		str_adds(&out, "}\n");
	} else {
		str_addf(&line, "FAILURE: %s on %s %s%s%s", name, node, problem, of ? " of " : "",
			 of ? of : "");
		table_raw(&out, str_slice(&line));
	}
	fwrite(out.data, 1, out.len, stdout);
	str_clear(&line);
	str_clear(&out);
}

#define HERE "this node"

/* The same name with two secrets: one node has somebody else's, if that can be seen. */
static void judge_secrets(struct comparison *c, const struct entry *here, const struct entry *there)
{
	const struct entry *mine = entries_owner(c->there, here->mark, here->name);
	const struct entry *theirs = entries_owner(c->here, there->mark, there->name);

	if (mine)
		tell(c, here->name, HERE, "has the secret", mine->name);
	if (theirs)
		tell(c, here->name, c->path, "has the secret", theirs->name);
	if (!mine && !theirs)
		tell(c, here->name, c->path, "has another secret than on this node", NULL);
}

static void compare(struct comparison *c)
{
	for (size_t i = 0; i < c->here->count; i++) {
		const struct entry *here = &c->here->item[i];
		const struct entry *there = entries_find(c->there, here->name);

		if (!there)
			tell(c, here->name, c->path, "is missing", NULL);
		else if (strcmp(here->mark, there->mark) != 0)
			judge_secrets(c, here, there);
		if (there && there->domain && strcmp(here->domain, there->domain) != 0)
			tell(c, here->name, c->path, "has another domain than on this node", NULL);
	}
	for (size_t i = 0; i < c->there->count; i++)
		if (!entries_find(c->here, c->there->item[i].name))
			tell(c, c->there->item[i].name, HERE, "is missing", NULL);
}

static int report(struct comparison *c)
{
	compare(c);
	if (c->differences && !c->values->common.json)
		printf("The right secret is set with 'xmpp callbridge add-secret NAME' on that "
		       "node.\n");
	else if (!c->values->common.json)
		printf("SUCCESS: %zu call bridge%s, the same on this node and %s\n", c->here->count,
		       c->here->count == 1 ? "" : "s", c->path);
	return c->differences ? COMMAND_REFUSED : COMMAND_OK;
}

static void take_own(struct entries *e, const struct component_list *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct entry *one = entries_add(e, all->items[i].name);

		entry_set_domain(one, all->items[i].domain);
		snprintf(one->mark, sizeof(one->mark), "%.*s", SLICE_ARG(all->items[i].secret));
	}
}

int callbridge_compare(const void *values, int argc, char **argv)
{
	struct entries here = {0}, there = {0};
	struct component_list all = COMPONENT_LIST_INIT;
	const char *other = strcmp(argv[0], "-") == 0 ? "the other node" : argv[0];
	struct comparison c = {values, other, &here, &there, 0};
	struct bus_client *client = NULL;
	int code = served_administrator(c.values->common.dir);

	(void)argc;
	if (code == COMMAND_OK)
		code = read_list(argv[0], &there);
	if (code == COMMAND_OK)
		code = remote_open(c.values, &client);
	if (code == COMMAND_OK)
		code = component_store_list(client, DB_SECRETS_FINGERPRINTS, &all);
	if (code == COMMAND_OK) {
		take_own(&here, &all);
		code = report(&c);
	}
	bus_client_close(&client);
	component_store_clear(&all);
	entries_clear(&here);
	entries_clear(&there);
	return code;
}
