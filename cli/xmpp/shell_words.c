#include "cli/xmpp/shell_words.h"

#include <stdlib.h>

#include "base/distance.h"
#include "base/xmem.h"

#define PROGRAMS_MAX 8
#define ROWS_MAX     256 /* commands, or options, of a program */
#define PLAIN_MAX    8	 /* words of one command */

static const char *const builtins[] = {"help", "exit"};
#define NBUILTINS (sizeof(builtins) / sizeof(builtins[0]))

struct row {
	char *name;    /* "user add", or "--domain" */
	char *operand; /* "JID"; of a flag "" */
	char *only;    /* options: "user add|user passwd", "" = all */
	char *help;
};

struct rows {
	size_t count;
	struct row *list;
};

struct program {
	char *name;
	char *summary;
	struct rows commands, options;
};

struct shell_words {
	size_t count;
	struct program programs[PROGRAMS_MAX];
};

struct shell_words *shell_words_new(void)
{
	return xcalloc(1, sizeof(struct shell_words));
}

static void free_rows(struct rows *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->list[i].name);
		free(r->list[i].operand);
		free(r->list[i].only);
		free(r->list[i].help);
	}
	free(r->list);
}

void shell_words_free(struct shell_words **wp)
{
	struct shell_words *w = *wp;

	*wp = NULL;
	for (size_t i = 0; w && i < w->count; i++) {
		free(w->programs[i].name);
		free(w->programs[i].summary);
		free_rows(&w->programs[i].commands);
		free_rows(&w->programs[i].options);
	}
	free(w);
}

/* ---- reading a list */

static size_t split(struct slice line, struct slice *fields, size_t max)
{
	size_t n = 0;

	while (n < max) {
		const char *tab = line.len ? memchr(line.data, '\t', line.len) : NULL;

		fields[n++] = slice_of(line.data, tab ? (size_t)(tab - line.data) : line.len);
		if (!tab)
			break;
		line.len -= (size_t)(tab + 1 - line.data);
		line.data = tab + 1;
	}
	return n;
}

static char *copy(struct slice s)
{
	return xstrndup(s.data ? s.data : "", s.len);
}

static void add_row(struct rows *r, struct slice name, struct slice operand, struct slice only,
		    struct slice help)
{
	if (r->count == ROWS_MAX || !name.len)
		return;
	if (!r->list)
		r->list = xcalloc(ROWS_MAX, sizeof(*r->list));
	r->list[r->count++] = (struct row){copy(name), copy(operand), copy(only), copy(help)};
}

static void take_line(struct program *p, struct slice line)
{
	struct slice f[5] = {SLICE_NONE, SLICE_NONE, SLICE_NONE, SLICE_NONE, SLICE_NONE};
	size_t n = split(line, f, 5);

	if (slice_is(f[0], "program") && n == 3) {
		free(p->summary);
		p->summary = copy(f[2]);
	} else if (slice_is(f[0], "command") && n == 4) {
		add_row(&p->commands, f[1], f[2], SLICE_NONE, f[3]);
	} else if (slice_is(f[0], "option") && n == 5) {
		add_row(&p->options, f[1], f[2], f[3], f[4]);
	}
}

void shell_words_add(struct shell_words *w, const char *program, struct slice list)
{
	struct program *p;

	if (w->count == PROGRAMS_MAX)
		return;
	p = &w->programs[w->count++];
	*p = (struct program){.name = xstrdup(program), .summary = xstrdup("")};
	while (list.len) {
		const char *nl = memchr(list.data, '\n', list.len);
		size_t n = nl ? (size_t)(nl - list.data) : list.len;

		take_line(p, slice_of(list.data, n));
		n += nl != NULL;
		list = slice_of(list.data + n, list.len - n);
	}
}

static const struct program *find(const struct shell_words *w, const char *name)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->programs[i].name, name) == 0)
			return &w->programs[i];
	return NULL;
}

bool shell_words_has(const struct shell_words *w, const char *program)
{
	return find(w, program) != NULL;
}

/* ---- completion */

/* Once each. */
static void offer(struct str *out, struct slice word, const char *prefix)
{
	size_t n = strlen(prefix);

	if (word.len < n || memcmp(word.data, prefix, n) != 0)
		return;
	for (const char *at = out->data; *at; at += strcspn(at, "\n") + 1)
		if (slice_eq(slice_of(at, strcspn(at, "\n")), word))
			return;
	str_add_slice(out, word);
	str_addc(out, '\n');
}

static const struct row *find_option(const struct program *p, const char *name)
{
	for (size_t i = 0; i < p->options.count; i++)
		if (strcmp(p->options.list[i].name, name) == 0)
			return &p->options.list[i];
	return NULL;
}

/* The words of a line that are neither options nor their values; *value: an option at the end waits
 * for its value. */
static int plain_words(const struct program *p, int argc, char *const *argv, const char **plain,
		       bool *value)
{
	int n = 0;

	*value = false;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1]) {
			const struct row *o = find_option(p, argv[i]);

			if (o && *o->operand) {
				*value = i + 1 == argc;
				i++;
			}
		} else if (n < PLAIN_MAX) {
			plain[n++] = argv[i];
		}
	}
	return n;
}

/* How many of plain are words of the command, as far as they agree; *next: its word behind them. */
static int agree(const char *words, const char *const *plain, int n, struct slice *next)
{
	int i = 0;

	*next = SLICE_NONE;
	for (const char *at = words; *at; i++) {
		size_t len = strcspn(at, " ");

		if (i == n) {
			*next = slice_of(at, len);
			return i;
		}
		if (!slice_is(slice_of(at, len), plain[i]))
			return -1;
		at += len + (at[len] == ' ');
	}
	return i;
}

/* The command that these words name; NULL. */
static const char *command_of(const struct program *p, const char *const *plain, int n)
{
	for (size_t i = 0; i < p->commands.count; i++) {
		struct slice next;

		if (agree(p->commands.list[i].name, plain, n, &next) > 0 && !next.len)
			return p->commands.list[i].name;
	}
	return NULL;
}

static bool applies(const char *only, const char *command)
{
	for (const char *at = only; *at; at += *at == '|') {
		size_t len = strcspn(at, "|");

		if (command && slice_is(slice_of(at, len), command))
			return true;
		at += len;
	}
	return !*only;
}

static void complete_in(const struct program *p, int argc, char *const *argv, const char *prefix,
			bool options, struct str *out)
{
	const char *plain[PLAIN_MAX], *command;
	bool value;
	int n = plain_words(p, argc, argv, plain, &value);
	struct slice next;

	if (value)
		return;
	command = command_of(p, plain, n);
	for (size_t i = 0; options && prefix[0] == '-' && i < p->options.count; i++)
		if (applies(p->options.list[i].only, command))
			offer(out, slice_str(p->options.list[i].name), prefix);
	for (size_t i = 0; i < p->commands.count; i++)
		if (agree(p->commands.list[i].name, plain, n, &next) == n && next.len)
			offer(out, next, prefix);
}

void shell_words_complete(const struct shell_words *w, int argc, char *const *argv,
			  const char *prefix, struct str *out)
{
	bool help = argc > 0 && strcmp(argv[0], "help") == 0;
	const struct program *p;

	argc -= help;
	argv += help;
	if (argc == 0) {
		for (size_t i = 0; i < w->count; i++)
			offer(out, slice_str(w->programs[i].name), prefix);
		for (size_t i = 0; !help && i < NBUILTINS; i++)
			offer(out, slice_str(builtins[i]), prefix);
		return;
	}
	p = find(w, argv[0]);
	if (p)
		complete_in(p, argc, argv, prefix, !help, out);
}

/* ---- suggestions */

static void add_rest(struct str *out, int argc, char *const *argv)
{
	for (int i = 0; i < argc; i++)
		str_addf(out, " %s", argv[i]);
}

void shell_words_suggest(const struct shell_words *w, int argc, char *const *argv, struct str *out)
{
	struct slice next;

	if (argc == 0)
		return;
	/* The program's name was left away. */
	for (size_t i = 0; i < w->count; i++)
		for (size_t k = 0; k < w->programs[i].commands.count; k++) {
			const char *const plain[] = {argv[0]};

			if (agree(w->programs[i].commands.list[k].name, plain, 1, &next) == 1) {
				str_adds(out, w->programs[i].name);
				add_rest(out, argc, argv);
				return;
			}
		}
	for (size_t i = 0; i < w->count + NBUILTINS; i++) {
		const char *name = i < w->count ? w->programs[i].name : builtins[i - w->count];

		if (distance_is_near(argv[0], name)) {
			str_adds(out, name);
			add_rest(out, argc - 1, argv + 1);
			return;
		}
	}
}

void shell_words_help(const struct shell_words *w, struct str *out)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct program *p = &w->programs[i];

		str_addf(out, "%s%s - %s\n", i ? "\n" : "", p->name, p->summary);
		for (size_t k = 0; k < p->commands.count; k++) {
			const struct row *c = &p->commands.list[k];

			str_addf(out, "  %s %s%s%s\n", p->name, c->name, *c->operand ? " " : "",
				 c->operand);
		}
	}
	str_adds(out, "\nhelp PROGRAM COMMAND says more; exit or Ctrl-D leaves.\n");
}
