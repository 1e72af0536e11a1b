/*
 * shell_line - a typed line becomes words. Pure.
 *
 * Blanks part words; '...' takes everything as it is, "..." all but \" and \\, outside \ takes the
 * next character as it is; # at the start of a word begins a comment. Nothing is ever expanded and
 * there are no operators: | > ; $ * are characters like others.
 */
#ifndef CLI_XMPP_SHELL_LINE_H
#define CLI_XMPP_SHELL_LINE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#define SHELL_WORDS_MAX 64
#define SHELL_LINE_MAX	8192 /* bytes */

struct shell_line {
	int argc;
	char *argv[SHELL_WORDS_MAX + 1]; /* NULL behind the last; point into text */
	bool touching;			 /* no blank is behind the last word: it may go on */
	char quote;			 /* the quote that is open at the end; 0 = none */
	struct str text;
};

#define SHELL_LINE_INIT ((struct shell_line){.text = STR_INIT})

/* ERR_TOOBIG, ERR_FORMAT (a NUL inside): why says so. A quote that is open at the end is no error
 * here: see quote. */
enum err shell_line_parse(struct shell_line *out, struct slice line, struct str *why);
void shell_line_clear(struct shell_line *l);

/* Whether a line has, or may have, a secret in it: such a line is not kept. */
bool shell_line_is_secret(const struct shell_line *l);

#endif
