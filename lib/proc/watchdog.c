#include "proc/watchdog.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/crash.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct watchdog {
	struct loop_timer *feed;
	timer_t timer;
	volatile unsigned int silent_ms;
	volatile sig_atomic_t suspected;
};

static struct watchdog *volatile the_watchdog; /* the handler has no argument that survives */

static void arm(struct watchdog *w, unsigned int ms)
{
	struct itimerspec at = {.it_value = {ms / 1000, (long)(ms % 1000) * 1000000}};

	timer_settime(w->timer, 0, &at, NULL); /* async-signal-safe */
}

static unsigned int grace_ms(const struct watchdog *w)
{
	return w->silent_ms / 5 + 100;
}

static void on_expiry(int signum)
{
	struct watchdog *w = the_watchdog;
	int saved = errno;

	(void)signum;
	if (w && w->suspected)
		crash_hung(w->silent_ms + grace_ms(w));
	if (w) {
		w->suspected = 1;
		arm(w, grace_ms(w));
	}
	errno = saved;
}

static void on_feed(void *arg)
{
	struct watchdog *w = arg;

	w->suspected = 0;
	arm(w, w->silent_ms);
}

void watchdog_set(struct watchdog *w, unsigned int silent_ms)
{
	w->silent_ms = silent_ms;
	/* Well inside the grace, so that one turn of the loop is enough to be cleared. */
	loop_timer_set(w->feed, 0, silent_ms / 10 + 10);
	on_feed(w);
}

struct watchdog *watchdog_new(struct loop *loop, unsigned int silent_ms)
{
	struct watchdog *w = xcalloc(1, sizeof(*w));
	struct sigaction sa = {.sa_handler = on_expiry, .sa_flags = SA_RESTART};
	/* To this thread, so that the stack told is the one that hangs. */
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1};

	check(!the_watchdog);
	ev.sigev_notify_thread_id = gettid();
	check(timer_create(CLOCK_MONOTONIC, &ev, &w->timer) == 0);
	check(sigaction(SIGRTMIN + 1, &sa, NULL) == 0);
	the_watchdog = w;
	w->feed = loop_timer_new(loop, on_feed, w);
	watchdog_set(w, silent_ms);
	return w;
}

void watchdog_free(struct watchdog **wp)
{
	struct watchdog *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	the_watchdog = NULL;
	timer_delete(w->timer);
	loop_timer_free(&w->feed);
	free(w);
}
