/*
 * loop - the event loop: a thin face on libuv, one per process, one thread.
 *
 * A callback never blocks and may free its own watch. Watches belong to whoever made them and are
 * freed with *_free(), which is safe inside any callback. Times are milliseconds.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdint.h>

#include "base/monotime.h"

struct loop;
struct loop_fd;
struct loop_timer;
struct loop_hook;
struct loop_signal;

#define LOOP_READ  1
#define LOOP_WRITE 2

struct loop *loop_new(void);
void loop_free(struct loop **lp); /* NULL-safe; every watch must be freed before */
void loop_run(struct loop *l);	  /* until loop_stop() */
void loop_stop(struct loop *l);

/* The time at the start of this turn: cheap, the same for everything in the turn. */
struct monotime loop_now(const struct loop *l);

/* Turns made since the start: the watchdog's proof of life. */
uint64_t loop_turns(const struct loop *l);

/* Watches fd (which stays the caller's; close it after loop_fd_free()). events starts as given. */
struct loop_fd *loop_fd_new(struct loop *l, int fd, int events,
			    void (*on_ready)(void *arg, int events), void *arg);
void loop_fd_set(struct loop_fd *w, int events); /* 0 = watch nothing for now */
void loop_fd_free(struct loop_fd **wp);

struct loop_timer *loop_timer_new(struct loop *l, void (*on_timer)(void *arg), void *arg);
/* repeat_ms 0 = once. Setting a running timer moves it. */
void loop_timer_set(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer **tp);

/* on_turn runs once per turn, after the callbacks of that turn and before the loop sleeps: the
 * place to flush. loop_wake() makes the next turn start without sleeping. */
struct loop_hook *loop_hook_new(struct loop *l, void (*on_turn)(void *arg), void *arg);
/* Within a turn: FIRST (take from the bus), then NORMAL (write to sockets), then LAST (flush to the
 * bus what the others made). */
enum loop_stage { LOOP_FIRST, LOOP_NORMAL, LOOP_LAST };
struct loop_hook *loop_hook_new_at(struct loop *l, enum loop_stage stage,
				   void (*on_turn)(void *arg), void *arg);
void loop_hook_free(struct loop_hook **hp);
/* Only from a hook: from other callbacks it is not needed, hooks run before the loop sleeps. */
void loop_wake(struct loop *l);

struct loop_signal *loop_signal_new(struct loop *l, int signum, void (*on_signal)(void *arg),
				    void *arg);
void loop_signal_free(struct loop_signal **sp);

#endif
