/*
 * watchdog - ends a process whose event loop does not turn.
 *
 * A kernel timer that the loop keeps pushing away. When it fires, the loop gets a short grace: a
 * process that was stopped (SIGSTOP, a suspended machine) finds the timer expired although its loop
 * is fine. Only if the loop does not turn in that grace either, the process tells its stack
 * and aborts.
 */
#ifndef PROC_WATCHDOG_H
#define PROC_WATCHDOG_H

struct loop;
struct watchdog;

/* One per process, from the loop's thread. */
struct watchdog *watchdog_new(struct loop *loop, unsigned int silent_ms);
void watchdog_set(struct watchdog *w, unsigned int silent_ms);
void watchdog_free(struct watchdog **wp);

#endif
