#include "cli/common/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/distance.h"

static const struct command_option common_options[] = {
	{"-C", COMMAND_TEXT, offsetof(struct command_common, dir), "DIR", NULL,
	 "the instance directory (default: $ROUNDHOUSE_DIR, else ./instance)"},
	{"--json", COMMAND_FLAG, offsetof(struct command_common, json), NULL, NULL,
	 "one JSON object a line instead of a table"},
	{"--help", COMMAND_FLAG, offsetof(struct command_common, help), NULL, NULL,
	 "this text; behind a command, the text of that command"},
};

#define NCOMMON (sizeof(common_options) / sizeof(common_options[0]))

const char *command_dir_default(void)
{
	const char *env = getenv("ROUNDHOUSE_DIR");
	struct stat st;

	if (env && *env)
		return env;
	return stat("instance", &st) == 0 && S_ISDIR(st.st_mode) ? "instance" : NULL;
}

int command_fail(const char *name, int code, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

/* ---- parsing ---- */

static const struct command_option *find_option(const struct command_program *p, struct slice name)
{
	for (size_t i = 0; i < NCOMMON; i++)
		if (slice_is(name, common_options[i].name))
			return &common_options[i];
	for (size_t i = 0; i < p->noptions; i++)
		if (slice_is(name, p->options[i].name))
			return &p->options[i];
	return NULL;
}

/* Is words one of the commands in "user add|user passwd"? */
static bool applies(const struct command_option *o, const char *words)
{
	for (const char *at = o->only; at; at = strchr(at, '|')) {
		at += *at == '|';
		if (slice_eq(slice_of(at, strcspn(at, "|")), slice_str(words)))
			return true;
	}
	return !o->only;
}

static bool parse_number(const char *text, long *out)
{
	if (!*text || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
		return false;
	*out = strtol(text, NULL, 10);
	return true;
}

static bool set_value(const struct command_option *o, const char *value, void *values,
		      struct str *why)
{
	void *at = (char *)values + o->offset;
	struct command_list *list = at;

	switch (o->kind) {
	case COMMAND_FLAG:
		*(bool *)at = true;
		return true;
	case COMMAND_NUMBER:
		if (parse_number(value, at))
			return true;
		str_addf(why, "%s takes a number, not '%s'", o->name, value);
		return false;
	case COMMAND_TEXT:
		*(const char **)at = value;
		break;
	case COMMAND_TEXTS:
		if (list->count == COMMAND_LIST_MAX) {
			str_addf(why, "%s was given more than %d times", o->name, COMMAND_LIST_MAX);
			return false;
		}
		list->items[list->count++] = value;
		break;
	}
	if (*value)
		return true;
	str_addf(why, "%s has an empty value; it takes %s", o->name, o->operand);
	return false;
}

/* The option at argv[*i], with its value behind '=' or in the next argument. */
static bool take_option(const struct command_program *p, int argc, char **argv, int *i,
			const struct command_option **found, void *values, struct str *why)
{
	const char *arg = argv[*i], *equals = arg[1] == '-' ? strchr(arg, '=') : NULL;
	struct slice name = slice_of(arg, equals ? (size_t)(equals - arg) : strlen(arg));
	const struct command_option *o = find_option(p, name);

	*found = o;
	if (!o && slice_is(name, "-h"))
		*found = o = &common_options[NCOMMON - 1];
	if (!o) {
		str_addf(why, "unknown option %.*s; see '%s --help'", SLICE_ARG(name), p->name);
		return false;
	}
	if (o->kind == COMMAND_FLAG) {
		if (equals) {
			str_addf(why, "%s takes no value", o->name);
			return false;
		}
		return set_value(o, "", values, why);
	}
	if (!equals && *i + 1 >= argc) {
		str_addf(why, "%s needs a value: %s %s", o->name, o->name, o->operand);
		return false;
	}
	return set_value(o, equals ? equals + 1 : argv[++*i], values, why);
}

/* How many of the given words the command's words take up; 0 = it is not this command. */
static int match_words(const char *words, int argc, char **argv)
{
	int n = 0;

	for (const char *at = words; *at; n++) {
		size_t len = strcspn(at, " ");

		if (n == argc || !slice_is(slice_of(at, len), argv[n]))
			return 0;
		at += len + (at[len] == ' ');
	}
	return n;
}

static void add_words(struct str *out, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		str_addf(out, "%s%s", i ? " " : "", argv[i]);
}

/* The command whose words are nearest to the typed ones; NULL: none is near. */
static const char *nearest_command(const struct command_program *p, int argc, char **argv)
{
	const char *best = NULL;
	size_t best_d = DISTANCE_FAR;

	for (int n = 1; n <= argc && n <= 3; n++) {
		struct str typed = STR_INIT;

		add_words(&typed, n, argv);
		for (size_t i = 0; i < p->ncommands; i++) {
			const char *words = p->commands[i].words;
			size_t d = distance_of(typed.data, words);

			if (d < best_d && distance_is_near(typed.data, words)) {
				best_d = d;
				best = words;
			}
		}
		str_clear(&typed);
	}
	return best;
}

/* "callbridge" alone, or with a wrong word behind it: what there is of that group. */
static void add_group(const struct command_program *p, const char *first, struct str *why)
{
	size_t n = strlen(first), found = 0;

	for (size_t i = 0; i < p->ncommands; i++) {
		const char *words = p->commands[i].words;

		if (strncmp(words, first, n) == 0 && words[n] == ' ')
			str_addf(why, "%s%s", found++ ? "|" : "; there is: ", words + n + 1);
	}
}

static const struct command *find_command(const struct command_program *p, int argc, char **argv,
					  int *used, struct str *why)
{
	const char *near = NULL;

	for (size_t i = 0; i < p->ncommands; i++) {
		*used = match_words(p->commands[i].words, argc, argv);
		if (*used)
			return &p->commands[i];
	}
	*used = 0;
	for (size_t i = 0; argc == 0 && i < p->ncommands; i++)
		if (!*p->commands[i].words)
			return &p->commands[i];
	if (argc == 0) {
		str_addf(why, "no command given");
	} else {
		str_adds(why, "unknown command '");
		add_words(why, argc > 2 ? 2 : argc, argv);
		str_addc(why, '\'');
		near = nearest_command(p, argc, argv);
		if (!near)
			add_group(p, argv[0], why);
		else
			str_addf(why, "; did you mean '%s %s'", p->name, near);
	}
	str_addf(why, "%s see '%s --help'", near ? "?" : ";", p->name);
	return NULL;
}

static bool count_fits(const struct command_program *p, const struct command *c, int argc,
		       struct str *why)
{
	if (argc >= c->min && argc <= c->max)
		return true;
	str_addf(why, "'%s %s' takes %s%s; usage: %s [-C DIR] %s%s%s", p->name, c->words,
		 argc < c->min ? ""
		 : c->max      ? "only "
			       : "no operands",
		 c->max ? c->operands : "", p->name, c->words, *c->operands ? " " : "",
		 c->operands);
	return false;
}

static bool find_dir(struct command_common *common, const struct command *c, struct str *why)
{
	if (!common->dir)
		common->dir = command_dir_default();
	if (common->dir || c->anywhere)
		return true;
	str_adds(why, "which instance? Name its directory with -C DIR or in $ROUNDHOUSE_DIR "
		      "(there is no ./instance here)");
	return false;
}

#define SEEN_MAX 64

bool command_parse(const struct command_program *p, int argc, char **argv, void *values,
		   struct command_line *out, struct str *why)
{
	const struct command_option *seen[SEEN_MAX];
	struct command_common *common = values;
	int nseen = 0, nwords = 0, used;
	char **words = argv + 1;
	bool only_words = false;

	*out = (struct command_line){0};
	for (int i = 1; i < argc; i++) {
		char *arg = argv[i];

		if (!only_words && strcmp(arg, "--") == 0) {
			only_words = true;
		} else if (only_words || arg[0] != '-' || !arg[1]) {
			words[nwords++] = arg; /* never ahead of i: nothing unread is lost */
		} else if (nseen == SEEN_MAX) {
			str_addf(why, "more than %d options", SEEN_MAX);
			return false;
		} else if (!take_option(p, argc, argv, &i, &seen[nseen++], values, why)) {
			return false;
		}
	}
	if (common->help && nwords == 0)
		return true;
	out->command = find_command(p, nwords, words, &used, why);
	if (!out->command)
		return false;
	out->argc = nwords - used;
	out->argv = words + used;
	if (common->help)
		return true;
	for (int i = 0; i < nseen; i++) {
		if (!applies(seen[i], out->command->words)) {
			str_addf(why, "'%s %s' does not take %s; see '%s %s --help'", p->name,
				 out->command->words, seen[i]->name, p->name, out->command->words);
			return false;
		}
	}
	return count_fits(p, out->command, out->argc, why) && find_dir(common, out->command, why);
}

/* ---- help ---- */

static void add_options(struct str *out, const struct command_option *o, size_t n,
			const struct command *c)
{
	for (size_t i = 0; i < n; i++) {
		char left[64];

		if (c && !applies(&o[i], c->words))
			continue;
		snprintf(left, sizeof(left), "%s%s%s", o[i].name, o[i].operand ? " " : "",
			 o[i].operand ? o[i].operand : "");
		str_addf(out, "  %-22s %s\n", left, o[i].help);
	}
}

void command_help(const struct command_program *p, const struct command *c, struct str *out)
{
	if (c) {
		str_addf(out, "usage: %s [-C DIR] %s%s%s [OPTION]...\n\n%s\n", p->name, c->words,
			 *c->operands ? " " : "", c->operands, c->help);
	} else {
		str_addf(out, "%s - %s\n\nusage: %s [-C DIR] COMMAND [OPTION]...\n\ncommands\n",
			 p->name, p->summary, p->name);
		for (size_t i = 0; i < p->ncommands; i++) {
			const struct command *each = &p->commands[i];
			char left[64];

			snprintf(left, sizeof(left), "%s%s%s",
				 *each->words ? each->words : "(alone)", *each->operands ? " " : "",
				 each->operands);
			str_addf(out, "  %-22s %.*s\n", left, (int)strcspn(each->help, "\n"),
				 each->help);
		}
	}
	str_adds(out, "\noptions\n");
	add_options(out, common_options, NCOMMON, c);
	add_options(out, p->options, p->noptions, c);
	str_adds(out, "\nexit status\n"
		      "  0 done   1 refused, with the reason   2 usage   3 no server reachable\n");
	if (!c && p->footer)
		str_addf(out, "\n%s", p->footer);
}

static void list_options(struct str *out, const struct command_option *o, size_t n)
{
	for (size_t i = 0; i < n; i++)
		str_addf(out, "option\t%s\t%s\t%s\t%s\n", o[i].name,
			 o[i].operand ? o[i].operand : "", o[i].only ? o[i].only : "", o[i].help);
}

void command_list(const struct command_program *p, struct str *out)
{
	str_addf(out, "program\t%s\t%s\n", p->name, p->summary);
	for (size_t i = 0; i < p->ncommands; i++) {
		const struct command *c = &p->commands[i];

		str_addf(out, "command\t%s\t%s\t%.*s\n", c->words, c->operands,
			 (int)strcspn(c->help, "\n"), c->help);
	}
	list_options(out, common_options, NCOMMON);
	list_options(out, p->options, p->noptions);
}

int command_main(const struct command_program *p, int argc, char **argv, void *values)
{
	const struct command_common *common = values;
	struct command_line line;
	struct str text = STR_INIT;
	int code;

	if (argc == 2 && strcmp(argv[1], "--commands") == 0) {
		command_list(p, &text);
		fputs(text.data, stdout);
		code = COMMAND_OK;
	} else if (!command_parse(p, argc, argv, values, &line, &text)) {
		code = command_fail(p->name, COMMAND_USAGE, "%s", text.data);
	} else if (common->help) {
		command_help(p, line.command, &text);
		fputs(text.data, stdout);
		code = COMMAND_OK;
	} else {
		check(line.command);
		code = line.command->run(values, line.argc, line.argv);
	}
	str_clear(&text);
	if (fflush(stdout) != 0 && code == COMMAND_OK)
		code = command_fail(p->name, COMMAND_REFUSED, "standard output: %m");
	return code;
}
