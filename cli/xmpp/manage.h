/*
 * manage - what the commands that change the configuration share: they begin, end and speak alike.
 *
 * Each result is a line: "SUCCESS: text" or "FAILURE: text", with --json an object
 * {"result":"success","text":"..."}. Warnings go to standard error, with --json they are objects
 * too.
 */
#ifndef CLI_XMPP_MANAGE_H
#define CLI_XMPP_MANAGE_H

#include <stdbool.h>

#include "cli/common/managed.h"
#include "cli/xmpp/xmpp_program.h"

/* Functions that return int: an enum command_exit; what is wrong was said. */

/* The instance becomes the working directory. */
int manage_enter(const struct xmpp_values *v);

/* The same values for what goes to the directory itself (bus_client_open()), after that. */
struct xmpp_values manage_here(const struct xmpp_values *v);

int manage_open(const struct xmpp_values *v, struct managed **out); /* enters */

/* The text may be several lines: each is a result. */
void manage_success(const struct xmpp_values *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int manage_failure(const struct xmpp_values *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3))); /* COMMAND_REFUSED */
void manage_warning(const struct xmpp_values *v, const char *text);

/* Puts it in force (managed_commit()), closes it, and says why not. judges: and what the services
 * warn of, which it may have done before this change. */
int manage_commit(const struct xmpp_values *v, struct managed **mp, bool judges);

/* The same without the judges, and on success this text. */
int manage_finish(const struct xmpp_values *v, struct managed **mp, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
