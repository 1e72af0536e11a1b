/*
 * shell_prompt - the terminal's side of `xmpp shell`, by libedit: line editing, completion, and a
 * history that is kept in ~/.roundhouse_history (0600).
 */
#ifndef CLI_XMPP_SHELL_PROMPT_H
#define CLI_XMPP_SHELL_PROMPT_H

#include <stdbool.h>

#include "base/str.h"

#define SHELL_HISTORY_NAME ".roundhouse_history"
#define SHELL_HISTORY_MAX  1000 /* lines */

struct shell_prompt;
struct shell_words;

/* words is borrowed. "HOST> " is the prompt. */
struct shell_prompt *shell_prompt_new(const struct shell_words *words);
void shell_prompt_free(struct shell_prompt **pp); /* NULL-safe; the terminal is as before */

/* The next line, without its end; borrowed until the next call. False: the end. A line that was
 * given up with Ctrl-C is an empty one. */
bool shell_prompt_read(struct shell_prompt *p, struct slice *line);

/* Keeps a line: for this session, and in the file. */
void shell_prompt_keep(struct shell_prompt *p, struct slice line);

#endif
