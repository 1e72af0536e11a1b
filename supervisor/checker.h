/*
 * checker - every service's program judges a configuration file (-n) as that service's user.
 */
#ifndef SUPERVISOR_CHECKER_H
#define SUPERVISOR_CHECKER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct certset;
struct checker;
struct config;
struct loop;

struct checker_request {
	const char *bin;
	const char *path;	  /* of the configuration */
	const struct config *cfg; /* names the users; valid until on_done */
	/* Passed to those that use TLS; borrowed for checker_start(). */
	const struct certset *files;
	bool only_tls; /* ask those alone */
	/* Once: reasons of all that refuse, a line each, or "" = good. */
	void (*on_done)(void *arg, const char *reasons);
	void *arg;
};

/* Writes CONFIG_MERGED_PATH, for a candidate; the caller removes it. */
enum err checker_write_candidate(const struct config *cfg, struct str *why);

/* Runs them side by side. A program that hangs is a refusal. */
struct checker *checker_start(struct loop *loop, const struct checker_request *req);

/* In on_done: what is allowed, but looks wrong; a line each, or "". */
const char *checker_warnings(const struct checker *c);

/* Frees; kills what still runs. Allowed inside on_done. */
void checker_free(struct checker **cp);

#endif
