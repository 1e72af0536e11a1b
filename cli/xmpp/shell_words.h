/*
 * shell_words - the programs that `xmpp shell` runs, their commands and options: what can stand
 * next in a line, and what a mistyped word may have meant. Read from each program's `--commands`,
 * so that it cannot drift from what they take. Pure.
 */
#ifndef CLI_XMPP_SHELL_WORDS_H
#define CLI_XMPP_SHELL_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct shell_words;

struct shell_words *shell_words_new(void);
void shell_words_free(struct shell_words **wp); /* NULL-safe */

/* list: what command_list() makes; lines that are not understood are left out. */
void shell_words_add(struct shell_words *w, const char *program, struct slice list);

bool shell_words_has(const struct shell_words *w, const char *program);

/* Appends each word that begins with prefix and can stand behind argv[0 .. argc), one a line. */
void shell_words_complete(const struct shell_words *w, int argc, char *const *argv,
			  const char *prefix, struct str *out);

/* Appends "xmpp sessions" for argv = "xmp sessions" or "sessions"; nothing if nothing is near. */
void shell_words_suggest(const struct shell_words *w, int argc, char *const *argv, struct str *out);

/* Appends what there is, for `help`. */
void shell_words_help(const struct shell_words *w, struct str *out);

#endif
