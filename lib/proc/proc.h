/*
 * proc - what every service's main is made of: one description, handed to proc_main().
 *
 * Written once here: command line, configuration, log, crash report, privileges, the instance
 * lock, the connection to the supervisor (kept, re-made when it breaks, listening fds, token and
 * readiness handed to a new one), watchdog, readiness, reload, drain and stop. A service runs with
 * the instance directory as its working directory and uses paths relative to it.
 */
#ifndef PROC_PROC_H
#define PROC_PROC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "proc/config.h"

struct loop;
struct proc;

struct proc_program {
	const char *service; /* "cm-client": names the config section and the default instance */
	const char *help;    /* one sentence for --help */

	/* Builds the service; *state is handed to all that follows. Rights are already dropped.
	 * ERR_OK or the process exits (the function has logged why). */
	enum err (*init)(struct proc *p, void **state);
	void (*deinit)(void *state);

	/* -n: judges cfg beyond what options.def can say. Adds a reason to why (of whylen bytes).
	 * May be NULL. Runs without bus, sockets or side effects. */
	bool (*check)(const struct config *cfg, char *why, size_t whylen);

	/* -n, after check: judges the files that the supervisor passed (proc_file(), and not
	 * others; proc_has_files()), or those of the configuration if it passed none. A line in
	 * warnings for each thing that is allowed but looks wrong. May be NULL. */
	bool (*check_files)(const struct proc *p, struct str *why, struct str *warnings);

	/* A new configuration is in force (proc_config() is the new one, old the one before; both
	 * valid during the call). May be NULL. */
	void (*on_reload)(void *state, const struct config *old);

	/* Files have been replaced by the supervisor, the configuration is the same: proc_file()
	 * gives the new ones. May be NULL. */
	void (*on_files)(void *state);

	/* Take nothing new, finish what is under way, then call proc_drained(). NULL = at once.
	 * The deadline is the supervisor's: it kills. */
	void (*drain)(void *state);

	/* Router only: an instance that may speak on the bus. token is NULL once it is dead. */
	void (*on_instance)(void *state, const char *instance, const char *service,
			    const char *token);
	/* and: those are all that the supervisor calls alive. */
	void (*on_instances)(void *state);
};

/* Runs the service until it is told to stop; the exit code of main(). */
int proc_main(int argc, char **argv, const struct proc_program *program);

/* The service's counters, "key=value key=value" as for PONG, for `xmpp metrics` and scrapers
 * (proc/metrics.h). Once, from init. */
void proc_metrics(struct proc *p, void (*add)(void *arg, struct str *out), void *arg);

struct loop *proc_loop(struct proc *p);
const struct config *proc_config(const struct proc *p);
const char *proc_instance(const struct proc *p); /* "cm-client-1" */
const char *proc_service(const struct proc *p);	 /* "cm-client" */
const char *proc_token(const struct proc *p);	 /* what HELLO carries; hex text */

/* A listening socket that the supervisor opened for this service, i = 0.. ; -1 at the end. Owned
 * by proc, non-blocking; several instances accept on the same one. *addr (if addr) = "ip:port". A
 * reload may bring new ones and take away others (closed after on_reload): see proc_listen.h. */
int proc_listener(const struct proc *p, size_t i, const char **addr);

/* A file that the supervisor opened before rights were dropped, by the name of its config key
 * ("tls.key"); -1 if there is none. Owned by proc; read it with pread from 0. A reload may bring
 * new ones: ask again in on_reload and on_files. */
int proc_file(const struct proc *p, const char *name);
bool proc_has_files(const struct proc *p); /* any */

void proc_ready(struct proc *p, bool ready); /* tells the supervisor; the first true = started */

/* A standing condition for `status` ("disk full"), NULL or "" = none. */
void proc_alarm(struct proc *p, const char *text);

bool proc_is_standalone(const struct proc *p); /* without a supervisor: a test */
void proc_drained(struct proc *p);	       /* ends the loop; proc_main returns 0 */

#endif
