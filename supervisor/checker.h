/*
 * checker - every service's program judges a configuration file (-n) as that service's user.
 */
#ifndef SUPERVISOR_CHECKER_H
#define SUPERVISOR_CHECKER_H

#include <stdbool.h>

struct checker;
struct config;
struct loop;

/* Runs them side by side; on_done once: reasons of all that refuse, a line each, or "" = good. cfg
 * names the users and stays valid until then. A program that hangs is a refusal. */
struct checker *checker_start(struct loop *loop, const char *bin, const char *path,
			      const struct config *cfg,
			      void (*on_done)(void *arg, const char *reasons), void *arg);

/* Frees; kills what still runs. Allowed inside on_done. */
void checker_free(struct checker **cp);

#endif
