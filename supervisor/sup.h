/*
 * sup - the state that the supervisor's own files share. Bodies of structs are here because they
 * are one shell in several rooms: sup_loop (phases), unit (processes), peer (their connections),
 * control (commands), job (start, stop, restart), reload.
 */
#ifndef SUPERVISOR_SUP_H
#define SUPERVISOR_SUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "supervisor/plan.h"
#include "supervisor/service.h"
#include "supervisor/table.h"

#define SUP_UNITS_MAX	  PLAN_MAX
#define SUP_PID_FILE	  "run/supervisor.pid"
#define SUP_ACCEPTED_CONF "run/accepted.conf" /* what is in force: what services are given */

struct certwatch;
struct checker;
struct inherit;
struct config;
struct control;
struct events;
struct logfile;
struct logpipe;
struct metrics;
struct loop;
struct loop_fd;
struct loop_signal;
struct loop_timer;
struct peer;
struct reload;
struct sockets;
struct sup;

enum sup_phase {
	SUP_CHECKING, /* the configuration, before anything is touched */
	SUP_ADOPTING, /* services that run already are being waited for */
	SUP_STARTING,
	SUP_RUNNING,
	SUP_STOPPING,
};

/* One service instance. */
struct unit {
	struct sup *sup;
	const struct table_row *row;
	char name[TABLE_NAME_MAX];
	struct service core;
	bool retired; /* not configured any more: goes when it is stopped */
	bool child;   /* ours: its exit status can be had */
	pid_t pid;
	int pidfd; /* -1 */
	struct loop_fd *death;
	char *token;	   /* NULL while unknown or dead */
	struct peer *peer; /* registered connection; NULL */
	struct logpipe *log;
	char *alarm;
	char *behind; /* why it does not run the present generation */
	uint64_t generation;
	struct str cause; /* of the last exit */
	bool unable;	  /* it said that it cannot run as configured */
	bool files_owed;  /* certificates changed before it had registered */
};

/* start, stop, restart under way. */
struct job {
	struct plan plan;
	struct control *requester;     /* gets the progress; NULL: start itself, or it went away */
	struct monotime deadline;      /* of the present step; us 0 = none */
	uint64_t exits[SUP_UNITS_MAX]; /* when it began */
	size_t waiting_for;
};

struct sup {
	struct loop *loop;
	const char *bin;
	const char *shown_bin; /* as the user would type it */
	const char *shown_dir;
	struct config *cfg; /* in force */
	uint64_t generation;
	struct service_policy policy;
	enum sup_phase phase;
	bool adopted; /* something ran already: a failed start must not end it */
	int report;   /* where `start` waits for words; -1 */
	bool detached;
	int exit_code;
	struct unit *units[SUP_UNITS_MAX];
	size_t nunits;
	struct sockets *sockets;
	struct logfile *own_log;
	int own_fd;			 /* of own_log, as the log was last opened with */
	enum log_level own_level;	 /* by configuration, or `log-level supervisor` */
	struct logfile *service_logs[8]; /* as table_rows */
	struct events *events;		 /* for operators */
	struct list peers;
	struct list controls;
	struct loop_fd *peer_watch, *control_watch;
	int peer_fd, control_fd, pid_fd;
	struct loop_timer *due, *house, *watchdog;
	bool again; /* something happened since on_due() began */
	struct loop_signal *term, *interrupt, *hup;
	struct job job;
	struct checker *checker;
	struct certwatch *certs;
	struct reload *reload;
	struct metrics *metrics;
	uint64_t next_cli;
};

/* ---- sup_loop.c */
/* After anything that happened: goes on with the job and sets the timer. */
void sup_step(struct sup *s);
void sup_event(struct unit *u, const struct service_event *ev); /* runs the core, then sup_step */
struct unit *sup_find(struct sup *s, const char *instance);
struct unit *sup_add_unit(struct sup *s, const struct table_row *row, const char *name);
size_t sup_views(const struct sup *s, struct plan_view views[SUP_UNITS_MAX]);
/* Opens what cfg names; on failure why names address, reason and holder. sup_close_sockets() closes
 * all that cfg does not name. */
bool sup_open_sockets(struct sup *s, const struct config *cfg, struct str *why);
void sup_close_sockets(struct sup *s, const struct config *cfg);
/* Adds those of its service. */
void unit_add_listeners(const struct unit *u, struct inherit *in);
/* A line for whoever waits for `start`. */
void sup_report(struct sup *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sup_report_end(struct sup *s, int code);
/* The configuration to run with: a file for the services, and the generation in its first line. */
bool sup_accept_config(struct sup *s, struct config *cfg, uint64_t generation, struct str *why);

/* ---- unit.c */
void unit_carry_out(struct unit *u, unsigned int effects);
void unit_find_orphan(struct unit *u); /* its lock is held: who is it? */
void unit_set_process(struct unit *u, pid_t pid, int pidfd, bool child);
void unit_forget_process(struct unit *u);
void unit_free(struct unit **up);
/* The files that the row needs (tls.*); the caller closes them with unit_close_files(). */
struct inherit;
bool unit_add_files(const struct sup *s, const struct table_row *row, struct inherit *in,
		    struct str *why);
void unit_close_files(struct inherit *in);

/* ---- peer.c */
bool peer_listen(struct sup *s, struct str *why);
void peer_close_all(struct sup *s);
void peer_drop(struct peer **pp); /* NULL-safe */
/* To u's process, if it is connected: false if not. */
bool peer_send(struct unit *u, struct slice text, const int *fds, size_t nfds);
/* Tells the routers about u: alive with its token, or dead. */
void peer_announce(struct sup *s, const char *instance, const char *service, const char *token);
void peer_announce_end(struct sup *s); /* adoption is over: that was all */

/* ---- control.c */
bool control_listen(struct sup *s, struct str *why);
void control_close_all(struct sup *s);
void control_line(struct control *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void control_end(struct control *c, const char *err_name); /* "OK", "AGAIN", ... */
struct sup *control_sup(const struct control *c);
uid_t control_uid(const struct control *c); /* who asks; (uid_t)-1 = cannot be told */
void control_keep_alive(struct sup *s);
/* Calls announce for every token given to a command. */
void control_each_token(struct sup *s,
			void (*announce)(void *arg, const char *instance, const char *token),
			void *arg);

/* ---- job.c */
void job_begin(struct sup *s, enum plan_kind kind, const bool *pick, struct control *requester);
bool job_is_busy(const struct sup *s);
void job_step(struct sup *s); /* orders the next, tells progress, ends on success or deadline */
void job_forget(struct sup *s, const struct control *requester);

/* ---- reload.c */
void reload_begin(struct sup *s, struct control *requester); /* NULL: SIGHUP */
/* The same with CONFIG_CANDIDATE_PATH in the place of managed.conf, if that one has still this mark
 * (config_file_mark()): it becomes that file when it is put in force. */
void reload_commit(struct sup *s, struct control *requester, uint64_t mark);
/* To a service that runs with a configuration of before. All sockets must be open. */
void reload_send(struct unit *u);
void reload_applied(struct sup *s); /* a service has answered or died */
void reload_tick(struct sup *s);
void reload_forget(struct sup *s, const struct control *requester);
void reload_free(struct sup *s);

/* ---- status.c */
void status_table(const struct sup *s, struct str *out);
void status_json(const struct sup *s, struct str *out);
void status_metrics(void *arg, struct str *out); /* arg: the sup; for proc/metrics.h */
bool status_is_well(const struct sup *s);
const char *status_alarm(const struct unit *u); /* NULL: none */
/* The words of the last error that this instance logged, in the file of its service. */
void status_last_error(const struct unit *u, struct str *out);

#endif
