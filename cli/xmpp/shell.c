#include "cli/xmpp/shell.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/xmem.h"
#include "cli/xmpp/shell_exec.h"
#include "cli/xmpp/shell_line.h"
#include "cli/xmpp/shell_prompt.h"
#include "cli/xmpp/shell_words.h"
#include "cli/xmpp/xmpp_program.h"

static const char *const programs[] = {"xmpp", "pki", "dns", "callbridge", "supervisor"};
#define NPROGRAMS (sizeof(programs) / sizeof(programs[0]))

struct shell {
	const char *dir;
	struct shell_words *words;
	bool leave;
	int code; /* to leave with */
};

static bool is_program(const char *word)
{
	for (size_t i = 0; i < NPROGRAMS; i++)
		if (strcmp(word, programs[i]) == 0)
			return true;
	return false;
}

static void learn(struct shell *s)
{
	for (size_t i = 0; i < NPROGRAMS; i++) {
		struct str list = STR_INIT;

		if (shell_exec_list(programs[i], &list) == ERR_OK)
			shell_words_add(s->words, programs[i], str_slice(&list));
		str_clear(&list);
	}
}

static int do_help(struct shell *s, struct shell_line *l)
{
	struct str out = STR_INIT;
	int argc = l->argc - 1;

	if (argc > 0 && is_program(l->argv[1])) {
		char *argv[SHELL_WORDS_MAX + 1];

		for (int i = 0; i < argc; i++)
			argv[i] = l->argv[i + 1];
		argv[argc++] = (char *)(uintptr_t) "--help";
		return shell_exec(NULL, argc, argv);
	}
	shell_words_help(s->words, &out);
	fputs(out.data, stdout);
	str_clear(&out);
	return COMMAND_OK;
}

static int do_exit(struct shell *s, const struct shell_line *l)
{
	char *end = NULL;
	long code = l->argc > 1 ? strtol(l->argv[1], &end, 10) : 0;

	if (l->argc > 2 || (end && (*end || code < 0 || code > 255)))
		return command_fail("xmpp", COMMAND_USAGE, "exit takes a number from 0 to 255");
	s->leave = true;
	s->code = (int)code;
	return s->code;
}

static int unknown(const struct shell *s, const struct shell_line *l)
{
	struct str near = STR_INIT;

	shell_words_suggest(s->words, l->argc, l->argv, &near);
	if (near.len)
		command_fail("xmpp", 0, "unknown command '%s'; did you mean '%s'?", l->argv[0],
			     near.data);
	else
		command_fail("xmpp", 0, "unknown command '%s'; 'help' lists what there is",
			     l->argv[0]);
	str_clear(&near);
	return COMMAND_USAGE;
}

static int run_words(struct shell *s, struct shell_line *l)
{
	if (strcmp(l->argv[0], "help") == 0 || strcmp(l->argv[0], "?") == 0)
		return do_help(s, l);
	if (strcmp(l->argv[0], "exit") == 0 || strcmp(l->argv[0], "quit") == 0)
		return do_exit(s, l);
	if (!is_program(l->argv[0]))
		return unknown(s, l);
	if (!shell_words_has(s->words, l->argv[0]))
		return command_fail("xmpp", COMMAND_REFUSED,
				    "the program '%s' is not installed beside xmpp", l->argv[0]);
	if (strcmp(l->argv[0], "xmpp") == 0 && l->argc > 1 && strcmp(l->argv[1], "shell") == 0)
		return command_fail("xmpp", COMMAND_REFUSED, "this is xmpp shell already");
	return shell_exec(s->dir, l->argc, l->argv);
}

/* One line; p NULL: nothing is kept. */
static int run_line(struct shell *s, struct slice line, struct shell_prompt *p)
{
	struct shell_line l = SHELL_LINE_INIT;
	struct str why = STR_INIT;
	int code = COMMAND_OK;

	if (shell_line_parse(&l, line, &why) != ERR_OK)
		code = command_fail("xmpp", COMMAND_USAGE, "%s", why.data);
	else if (l.quote)
		code = command_fail("xmpp", COMMAND_USAGE, "the quote %c is not closed", l.quote);
	if (code == COMMAND_OK && l.argc > 0) {
		/* A line that begins with a blank is not kept, as in other shells. */
		if (p && line.data[0] != ' ' && !shell_line_is_secret(&l))
			shell_prompt_keep(p, line);
		code = run_words(s, &l);
	}
	shell_line_clear(&l);
	str_clear(&why);
	return code;
}

static int interactive(struct shell *s)
{
	struct shell_prompt *p = shell_prompt_new(s->words);
	struct slice line;

	while (!s->leave && shell_prompt_read(p, &line)) {
		int code = run_line(s, line, p);

		if (code == 128 + SIGINT) /* its ^C stands there */
			putchar('\n');
	}
	shell_prompt_free(&p);
	return s->code;
}

/* Lines from a file or pipe: the first that fails ends it, unless told otherwise. What a command
 * reads of the standard input are the lines behind its own, as in other shells. */
static int script(struct shell *s, bool keep_going)
{
	char *line = NULL;
	size_t room = 0, number = 0;
	int first = COMMAND_OK;
	ssize_t n;

	setvbuf(stdin, NULL, _IONBF, 0);
	while (!s->leave && (n = getline(&line, &room, stdin)) >= 0) {
		int code;

		while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			n--;
		number++;
		code = run_line(s, slice_of(line, (size_t)n), NULL);
		fflush(stdout);
		if (code == COMMAND_OK || s->leave)
			continue;
		command_fail("xmpp", 0, "line %zu: exit code %d%s", number, code,
			     keep_going ? "" : "; stopped");
		first = first ? first : code;
		if (!keep_going)
			break;
	}
	if (line)
		xwipe(line, room);
	free(line);
	return s->leave && s->code ? s->code : first;
}

int shell_run(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct shell s = {.dir = v->common.dir, .words = shell_words_new()};
	int code;

	(void)argc, (void)argv;
	learn(&s);
	code = isatty(STDIN_FILENO) ? interactive(&s) : script(&s, v->keep_going);
	shell_words_free(&s.words);
	return code;
}
