/*
 * sup_conn - a service's connection to the supervisor: run/service.sock.
 *
 * Kept for life: when it breaks it is made again every 150 ms, and a new supervisor is handed the
 * listening sockets, the token, readiness and alarm. Remembers which instances the supervisor has
 * announced, so that those that a new one does not repeat are told as dead.
 *
 * service -> supervisor: REGISTER (inherit.h) ready alarm; READY ready; ALARM text;
 *                        APPLIED generation [error]
 * supervisor -> service: INSTANCE instance service token | dead=1; INSTANCES (that was all);
 *                        RELOAD (inherit.h: generation, config, files, all listeners that there
 *                        are to be); LOGLEVEL level;
 *                        FILES (inherit.h: files that have changed, and only those)
 */
#ifndef PROC_SUP_CONN_H
#define PROC_SUP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "proc/inherit.h"

#define SUP_CONN_DIR  "run"
#define SUP_CONN_NAME "service.sock"

struct loop;
struct sup_conn;

struct sup_conn_events {
	/* token NULL = dead. */
	void (*on_instance)(void *arg, const char *instance, const char *service,
			    const char *token);
	/* That were all of them, for now. May be NULL. */
	void (*on_instances)(void *arg);
	/* in: generation, config and files. True = taken, with the descriptors. */
	bool (*on_reload)(void *arg, const struct inherit *in);
	void (*on_level)(void *arg, const char *level);
	/* in: files that take the place of those of the same name; taken, with the descriptors. */
	void (*on_files)(void *arg, const struct inherit *in);
};

/* Registers at once, or as soon as there is a supervisor. self stays the caller's and is read at
 * each registration. */
struct sup_conn *sup_conn_new(struct loop *loop, const struct inherit *self,
			      const struct sup_conn_events *events, void *arg);
void sup_conn_free(struct sup_conn **cp);

void sup_conn_ready(struct sup_conn *c, bool ready);
void sup_conn_alarm(struct sup_conn *c, const char *text);
/* error NULL: generation is in force here. Else it was refused and the one before goes on. */
void sup_conn_applied(struct sup_conn *c, uint64_t generation, const char *error);

#endif
