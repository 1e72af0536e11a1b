#include "proc/crash.h"

#include <execinfo.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static char crash_who[64];
static int crash_fd = STDERR_FILENO;
static char crash_stack[65536];
static volatile sig_atomic_t crash_told;

struct line {
	char text[512];
	size_t len;
};

static void add(struct line *l, const char *s)
{
	while (*s && l->len < sizeof(l->text))
		l->text[l->len++] = *s++;
}

static void add_number(struct line *l, uint64_t v, unsigned int base, unsigned int width)
{
	char digits[32];
	size_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v || n < width);
	while (n && l->len < sizeof(l->text))
		l->text[l->len++] = digits[--n];
}

/* gmtime_r() is not async-signal-safe. Days to a date: the civil calendar in eras of 400 years. */
static void add_time(struct line *l)
{
	struct timespec ts = {0};
	uint64_t days, s, era_day, year_of_era, day, month;

	clock_gettime(CLOCK_REALTIME, &ts);
	days = (uint64_t)ts.tv_sec / 86400 + 719468;
	s = (uint64_t)ts.tv_sec % 86400;
	era_day = days % 146097;
	year_of_era = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
	day = era_day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day + 2) / 153;
	add_number(l, year_of_era + days / 146097 * 400 + (month >= 10), 10, 4);
	add(l, "-");
	add_number(l, month < 10 ? month + 3 : month - 9, 10, 2);
	add(l, "-");
	add_number(l, day - (153 * month + 2) / 5 + 1, 10, 2);
	add(l, "T");
	add_number(l, s / 3600, 10, 2);
	add(l, ":");
	add_number(l, s / 60 % 60, 10, 2);
	add(l, ":");
	add_number(l, s % 60, 10, 2);
	add(l, ".");
	add_number(l, (uint64_t)ts.tv_nsec / 1000, 10, 6);
	add(l, "Z error ");
	add(l, crash_who);
	add(l, "[");
	add_number(l, (uint64_t)getpid(), 10, 1);
	add(l, "] - ");
}

static void tell(const struct line *l)
{
	void *frames[64];
	ssize_t n = write(crash_fd, l->text, l->len);

	(void)n;
	crash_told = 1;
	backtrace_symbols_fd(frames, backtrace(frames, 64), crash_fd);
}

static const char *signal_name(int signum)
{
	switch (signum) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGFPE:
		return "SIGFPE";
	case SIGILL:
		return "SIGILL";
	default:
		return "SIGABRT";
	}
}

static void on_crash(int signum, siginfo_t *info, void *context)
{
	struct line l = {.len = 0};

	(void)context;
	if (!crash_told) {
		add_time(&l);
		add(&l, "event=crash signal=");
		add(&l, signal_name(signum));
		if (signum != SIGABRT && info->si_code > 0) {
			add(&l, " addr=0x");
			add_number(&l, (uint64_t)(uintptr_t)info->si_addr, 16, 1);
		} else if (info->si_code <= 0 && info->si_pid != getpid()) {
			add(&l, " sent_by_pid=");
			add_number(&l, (uint64_t)info->si_pid, 10, 1);
		}
		add(&l, " next=\"the stack follows; the supervisor restarts the service\"\n");
		tell(&l);
	}
	/* SA_RESETHAND: this time the default action. */
	raise(signum);
}

_Noreturn void crash_hung(unsigned int silent_ms)
{
	struct line l = {.len = 0};

	add_time(&l);
	add(&l, "event=crash signal=SIGABRT reason=watchdog silent_ms=");
	add_number(&l, silent_ms, 10, 1);
	add(&l, " next=\"the event loop did not turn; the stack follows\"\n");
	tell(&l);
	abort();
}

void crash_install(const char *who, int fd)
{
#ifdef ROUNDHOUSE_SANITIZED
	static const int signals[] = {SIGABRT};
#else
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
#endif
	stack_t stack = {.ss_sp = crash_stack, .ss_size = sizeof(crash_stack)};
	struct sigaction sa = {.sa_sigaction = on_crash,
			       .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_ONSTACK | SA_NODEFER};
	void *frame[1];

	snprintf(crash_who, sizeof(crash_who), "%s", who);
	crash_fd = fd;
	/* The first backtrace() loads libgcc, which a handler must not do. */
	(void)backtrace(frame, 1);
#ifndef ROUNDHOUSE_SANITIZED
	/* A stack overflow leaves no stack to run the handler on. */
	sigaltstack(&stack, NULL);
#else
	(void)stack;
#endif
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
}
