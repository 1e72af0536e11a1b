/*
 * command - what every command line program here is made of: a table of commands, a table of
 * options, and the same four exit codes.
 *
 * Options may stand before, between or behind the words of a command. The tables also make --help
 * and every usage error, so that what is accepted and what is told cannot drift apart.
 */
#ifndef CLI_COMMON_COMMAND_H
#define CLI_COMMON_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum command_exit {
	COMMAND_OK = 0,
	COMMAND_REFUSED = 1,	/* understood and not done: the reason was printed */
	COMMAND_USAGE = 2,	/* not understood */
	COMMAND_UNREACHABLE = 3 /* no server reachable */
};

/* What every program takes; the first member of a program's own struct of values. */
struct command_common {
	const char *dir; /* -C or command_dir_default(); not NULL for commands that need it */
	bool json;
	bool help;
};

#define COMMAND_LIST_MAX 32

/* The value of an option that may be given several times. */
struct command_list {
	size_t count;
	const char *items[COMMAND_LIST_MAX];
};

enum command_kind {
	COMMAND_FLAG,	/* bool */
	COMMAND_TEXT,	/* const char *, may not be empty */
	COMMAND_NUMBER, /* long, 0 = not given; only digits */
	COMMAND_TEXTS	/* struct command_list */
};

struct command_option {
	const char *name; /* "--domain" */
	enum command_kind kind;
	size_t offset;	     /* of the value in the program's struct */
	const char *operand; /* its value's name in --help; NULL for flags */
	const char *only;    /* "user add|user passwd": the commands that take it; NULL = all */
	const char *help;
};

struct command {
	const char *words;    /* "user add"; "": what the program does without a command */
	const char *operands; /* "JID" as --help shows it; "" = none */
	int min, max;	      /* operands taken */
	int (*run)(const void *values, int argc, char **argv);
	const char *help;
	bool anywhere; /* works without an instance: dir may be NULL */
};

struct command_program {
	const char *name;
	const char *summary;
	const struct command *commands;
	size_t ncommands;
	const struct command_option *options; /* beside -C, --json and --help */
	size_t noptions;
	const char *footer; /* the end of --help; may be NULL */
};

/* One command line, judged. */
struct command_line {
	const struct command *command; /* NULL: only --help was given */
	int argc;
	char **argv; /* operands; borrowed from the given argv, whose order is changed */
};

/* Judges argv against the tables and fills values (which starts zeroed and begins with struct
 * command_common). false: why says what is wrong and what would be right. */
bool command_parse(const struct command_program *p, int argc, char **argv, void *values,
		   struct command_line *out, struct str *why);

/* What `PROGRAM --commands` prints, for the shell, completion and the man pages: lines of fields
 * between tabs: "program NAME SUMMARY", "command WORDS OPERANDS SUMMARY",
 * "option NAME OPERAND ONLY HELP" (ONLY as in struct command_option, empty = all). */
void command_list(const struct command_program *p, struct str *out);

/* The text of --help: of one command, or (NULL) of the program. */
void command_help(const struct command_program *p, const struct command *c, struct str *out);

/* Parses, runs, returns the exit code of main(). values as for command_parse(). */
int command_main(const struct command_program *p, int argc, char **argv, void *values);

/* Without -C: $ROUNDHOUSE_DIR, else ./instance if that is a directory, else NULL. */
const char *command_dir_default(void);

/* "name: text" on standard error; returns code, so that it can be what a command returns. */
int command_fail(const char *name, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
