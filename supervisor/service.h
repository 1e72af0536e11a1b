/*
 * service - the life of one service instance: when it is started, restarted, told to stop, killed.
 *
 * Pure: same state, same event, same time = same effects. No process, clock or log. The shell
 * (unit.c) turns exits, registrations and the clock into events and carries the effects out.
 */
#ifndef SUPERVISOR_SERVICE_H
#define SUPERVISOR_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"

enum service_state {
	SERVICE_STOPPED,  /* not running, not wanted */
	SERVICE_ORPHAN,	  /* runs since before this supervisor, has not registered yet */
	SERVICE_STARTING, /* runs, not ready */
	SERVICE_READY,
	SERVICE_BACKOFF,  /* died; starts again when due */
	SERVICE_DRAINING, /* told to finish; killed when due */
	SERVICE_KILLED,	  /* SIGKILL sent, not dead yet */
};

enum service_event_type {
	SERVICE_EV_START,
	SERVICE_EV_STOP,
	SERVICE_EV_RESTART,
	SERVICE_EV_FOUND,	 /* its lock is held by a process that we did not start */
	SERVICE_EV_ADOPTED,	 /* that process registered; since, restarts, ready count */
	SERVICE_EV_READY,	 /* it says so */
	SERVICE_EV_UNREADY,	 /* it takes it back */
	SERVICE_EV_EXIT,	 /* it is dead */
	SERVICE_EV_SPAWN_FAILED, /* it could not be started */
	SERVICE_EV_TICK,	 /* the time may have come */
};

struct service_event {
	enum service_event_type type;
	struct monotime since; /* ADOPTED */
	uint64_t restarts;     /* ADOPTED */
	bool ready;	       /* ADOPTED */
};

/* Effects, as a set. */
#define SERVICE_SPAWN 1u /* start the process */
#define SERVICE_TERM  2u /* tell it to finish */
#define SERVICE_KILL  4u /* SIGKILL */

struct service_policy {
	uint64_t delay_min_ms;
	uint64_t delay_max_ms;
	uint64_t healthy_ms;
	uint64_t drain_ms;
	uint64_t adopt_ms;
};

struct service {
	enum service_state state;
	bool wanted;	       /* start it again when it dies */
	bool forgive;	       /* the next death was ordered: restart at once, do not count it */
	struct monotime since; /* of the present process, or of the last death */
	struct monotime ready_since; /* valid in READY */
	struct monotime due;	     /* when EV_TICK does something; us 0 = never */
	uint64_t fails;		     /* deaths in a row without a healthy time */
	uint64_t restarts;	     /* unordered deaths since the first start */
	uint64_t boots;		     /* processes started or adopted */
	uint64_t exits;		     /* of them died */
};

/* s begins as all zeros: stopped, not wanted. Returns the effects. */
unsigned int service_step(struct service *s, const struct service_policy *p,
			  const struct service_event *ev, struct monotime now);

bool service_is_running(const struct service *s); /* there is a process */
const char *service_state_name(enum service_state state);

#endif
