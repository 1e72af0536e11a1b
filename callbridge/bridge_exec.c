#include "callbridge/bridge_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "callbridge/bridge_frame.h"
#include "callbridge/bridge_queue.h"
#include "callbridge/bridge_retry.h"
#include "net/loop.h"

#define CTX	      "program"
#define READ_MAX      (64 * 1024)
#define READS_IN_TURN 4
#define SAID_MAX      1024 /* of a line on standard error */
#define SAID_LINES    100  /* of them a second in the log */
#define SAID_MS	      1000
#define RETRY_MIN_MS  100
#define RETRY_MAX_MS  30000
#define HEALTHY_MS    10000
#define FINISH_MS     2000 /* from the end of its input to SIGTERM */
#define TERM_MS	      1000 /* from there to SIGKILL */

/* One of our ends of its pipes. */
struct pipe_end {
	int fd; /* -1 = closed */
	struct loop_fd *watch;
};

struct bridge_exec {
	struct loop *loop;
	const struct bridge_exec_events *events;
	void *arg;
	char *command;
	char **env;
	int cwd;
	struct pipe_end in, out, err;
	struct loop_fd *death;
	struct loop_timer *timer; /* the next start, or the next step of a stop */
	int pid;		  /* 0 = does not run */
	int pidfd;
	struct monotime started;
	unsigned int starts;
	uint32_t failures;
	struct bridge_queue queue; /* of lines */
	size_t part;		   /* bytes of the oldest that are in the pipe */
	struct bridge_lines lines; /* of its output */
	struct bridge_lines said;  /* of its standard error */
	struct monotime said_since;
	unsigned int said_lines; /* since then */
	uint64_t unsaid;	 /* lines of it that are in no log */
	bool paused;
	bool blocked; /* its pipe is full */
	bool stopping;
	int stop_step;
	char buf[READ_MAX];
};

extern char **environ;

/* ---- its pipes */

static void pipe_close(struct pipe_end *p)
{
	loop_fd_free(&p->watch);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void tell_unsaid(struct bridge_exec *e)
{
	if (e->unsaid)
		log_warn(
			CTX,
			"event=program_says_much lines_not_logged=%llu next=\"it says more than %d "
			"lines a second on standard error\"",
			(unsigned long long)e->unsaid, SAID_LINES);
	e->unsaid = 0;
}

/* Whatever it says, the log does not fill the disk. */
static bool may_log(struct bridge_exec *e)
{
	struct monotime now = loop_now(e->loop);

	if (monotime_ms_between(e->said_since, now) >= SAID_MS) {
		tell_unsaid(e);
		e->said_since = now;
		e->said_lines = 0;
	}
	if (e->said_lines < SAID_LINES) {
		e->said_lines++;
		return true;
	}
	e->unsaid++;
	return false;
}

static void on_said(void *arg, struct slice line)
{
	if (may_log(arg))
		log_info(CTX, "event=program_said text=%s", log_quote(line));
}

static void on_said_too_long(void *arg)
{
	if (may_log(arg))
		log_info(CTX, "event=program_said text=\"(a line of more than %d bytes)\"",
			 SAID_MAX);
}

static void on_line(void *arg, struct slice line)
{
	struct bridge_exec *e = arg;

	e->events->on_line(e->arg, line);
}

static void on_too_long(void *arg)
{
	struct bridge_exec *e = arg;

	e->events->on_too_long(e->arg);
}

static const struct bridge_lines_events line_events = {on_line, on_too_long};
static const struct bridge_lines_events said_events = {on_said, on_said_too_long};

/* false: nothing is there now, or it is closed. */
static bool read_some(struct bridge_exec *e, struct pipe_end *p, struct bridge_lines *lines,
		      const struct bridge_lines_events *events)
{
	ssize_t n;

	if (p->fd < 0)
		return false;
	n = read(p->fd, e->buf, sizeof(e->buf));
	if (n > 0)
		bridge_lines_feed(lines, slice_of(e->buf, (size_t)n), events, e);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		pipe_close(p);
	return n > 0;
}

static void on_out(void *arg, int events)
{
	struct bridge_exec *e = arg;

	(void)events;
	for (int i = 0; i < READS_IN_TURN && !e->paused; i++)
		if (!read_some(e, &e->out, &e->lines, &line_events))
			break;
}

static void on_err(void *arg, int events)
{
	struct bridge_exec *e = arg;

	(void)events;
	read_some(e, &e->err, &e->said, &said_events);
}

static void input_gone(struct bridge_exec *e)
{
	pipe_close(&e->in);
	e->part = 0;
	if (e->stopping || e->pid == 0)
		return;
	log_warn(CTX,
		 "event=program_does_not_read pid=%d next=\"it closed its standard input; it "
		 "is started again\"",
		 e->pid);
	kill(-e->pid, SIGTERM);
	loop_timer_set(e->timer, TERM_MS, 0); /* if that is not enough */
}

static void on_in(void *arg, int events)
{
	struct bridge_exec *e = arg;

	(void)events;
	e->blocked = false;
	bridge_exec_flush(e);
}

void bridge_exec_flush(struct bridge_exec *e)
{
	while (e->in.fd >= 0 && !e->blocked && e->queue.count > 0) {
		struct slice all = bridge_queue_stream(&e->queue, e->part);
		ssize_t n = write(e->in.fd, all.data, all.len);
		size_t whole;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			input_gone(e);
			return;
		}
		e->blocked = n < (ssize_t)all.len;
		whole = n >= 0 ? bridge_queue_streamed(&e->queue, (size_t)n, &e->part) : 0;
		if (whole)
			e->events->on_handled(e->arg, whole);
	}
	if (e->in.watch)
		loop_fd_set(e->in.watch, e->blocked ? LOOP_WRITE : 0);
	if (e->stopping && e->queue.count == 0)
		pipe_close(&e->in);
}

/* ---- its life */

static void start(struct bridge_exec *e);

static void forget_process(struct bridge_exec *e)
{
	loop_fd_free(&e->death);
	if (e->pidfd >= 0)
		close(e->pidfd);
	e->pidfd = -1;
	e->pid = 0;
	pipe_close(&e->in);
	pipe_close(&e->out);
	pipe_close(&e->err);
	bridge_lines_clear(&e->lines);
	bridge_lines_clear(&e->said);
	e->part = 0;
	e->blocked = false;
}

static void restart_later(struct bridge_exec *e)
{
	uint32_t ms =
		bridge_retry_ms(RETRY_MIN_MS, RETRY_MAX_MS, e->failures++, (uint32_t)random_u64());

	log_info(CTX, "event=program_restart in_ms=%u waiting_lines=%zu", ms, e->queue.count);
	loop_timer_set(e->timer, ms, 0);
}

static void log_end(const struct bridge_exec *e, const siginfo_t *si)
{
	bool ordered = e->stopping;

	if (si->si_code == CLD_EXITED)
		log_at(ordered ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, CTX,
		       "event=program_ended pid=%d exit=%d%s", e->pid, si->si_status,
		       si->si_status == 127 ? " hint=\"the command was not found\"" : "");
	else
		log_at(ordered ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, CTX,
		       "event=program_ended pid=%d signal=%s", e->pid, sigabbrev_np(si->si_status));
}

static void on_death(void *arg, int events)
{
	struct bridge_exec *e = arg;
	siginfo_t si = {0};

	(void)events;
	if (waitid(P_PIDFD, (id_t)e->pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
		return;
	/* Its last words, as many as a pipe holds; others of its group may still hold the pipe. */
	for (int i = 0; i < 32 && read_some(e, &e->out, &e->lines, &line_events); i++)
		;
	for (int i = 0; i < 32 && read_some(e, &e->err, &e->said, &said_events); i++)
		;
	tell_unsaid(e);
	if (e->lines.in.len)
		log_warn(CTX,
			 "event=line_unfinished bytes=%zu next=\"the program ended without a line "
			 "end behind its last line: it was not sent\"",
			 e->lines.in.len);
	log_end(e, &si);
	kill(-e->pid, e->stopping ? SIGKILL : SIGTERM); /* what it has left in the background */
	forget_process(e);
	if (e->stopping) {
		e->events->on_stopped(e->arg);
		return;
	}
	if (monotime_ms_between(e->started, loop_now(e->loop)) >= HEALTHY_MS)
		e->failures = 0;
	restart_later(e);
}

static _Noreturn void child(const struct bridge_exec *e, const int ends[3])
{
	static const int signals[] = {SIGPIPE, SIGHUP, SIGTERM, SIGINT, SIGCHLD, SIGQUIT};
	sigset_t none;

	setpgid(0, 0);
	for (int i = 0; i < 3; i++)
		if (dup2(ends[i], i) < 0)
			_exit(126);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (e->cwd >= 0 && fchdir(e->cwd) < 0)
		_exit(126);
	execle("/bin/sh", "sh", "-c", e->command, (char *)NULL, e->env);
	_exit(126);
}

/* The three pipes: pairs[i][side] with our side non-blocking. */
static bool make_pipes(int pairs[3][2])
{
	for (int i = 0; i < 3; i++)
		pairs[i][0] = pairs[i][1] = -1;
	for (int i = 0; i < 3; i++) {
		if (pipe2(pairs[i], O_CLOEXEC) < 0)
			return false;
		fcntl(pairs[i][i == 0 ? 1 : 0], F_SETFL, O_NONBLOCK);
	}
	return true;
}

static void close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void adopt(struct bridge_exec *e, int pairs[3][2])
{
	e->in.fd = pairs[0][1];
	e->out.fd = pairs[1][0];
	e->err.fd = pairs[2][0];
	e->in.watch = loop_fd_new(e->loop, e->in.fd, 0, on_in, e);
	e->out.watch = loop_fd_new(e->loop, e->out.fd, e->paused ? 0 : LOOP_READ, on_out, e);
	e->err.watch = loop_fd_new(e->loop, e->err.fd, LOOP_READ, on_err, e);
	e->death = loop_fd_new(e->loop, e->pidfd, LOOP_READ, on_death, e);
	e->started = loop_now(e->loop);
	e->starts++;
	log_info(CTX, "event=program_started pid=%d command=%s", e->pid,
		 log_quote(slice_str(e->command)));
	bridge_exec_flush(e);
}

static void start(struct bridge_exec *e)
{
	int pairs[3][2];
	bool ok = make_pipes(pairs);

	e->pid = ok ? fork() : -1;
	if (e->pid == 0)
		child(e, (const int[]){pairs[0][0], pairs[1][1], pairs[2][1]});
	if (e->pid > 0) {
		setpgid(e->pid, e->pid); /* here as well: whoever is first */
		e->pidfd = pidfd_open(e->pid, 0);
	}
	if (e->pid > 0 && e->pidfd >= 0) {
		close_fds((int[]){pairs[0][0], pairs[1][1], pairs[2][1]}, 3);
		adopt(e, pairs);
		return;
	}
	log_err(CTX, "event=program_not_started reason=\"%s\"", strerror(errno));
	if (e->pid > 0) {
		kill(e->pid, SIGKILL);
		waitpid(e->pid, NULL, 0);
	}
	e->pid = 0;
	close_fds(&pairs[0][0], 6);
	restart_later(e);
}

static void stop_step(struct bridge_exec *e)
{
	static const struct {
		int signal;
		unsigned int then_ms;
	} steps[] = {{SIGTERM, TERM_MS}, {SIGKILL, TERM_MS}};

	if (e->pid == 0) {
		e->events->on_stopped(e->arg);
	} else if (e->stop_step < 2) {
		log_info(CTX, "event=program_killed pid=%d signal=%s", e->pid,
			 sigabbrev_np(steps[e->stop_step].signal));
		kill(-e->pid, steps[e->stop_step].signal);
		loop_timer_set(e->timer, steps[e->stop_step].then_ms, 0);
		e->stop_step++;
	}
}

static void on_timer(void *arg)
{
	struct bridge_exec *e = arg;

	if (e->stopping)
		stop_step(e);
	else if (e->pid)
		kill(-e->pid, SIGKILL); /* see input_gone() */
	else
		start(e);
}

/* ---- the owner's */

static char **make_env(const char *const *more)
{
	size_t n = 0, m = 0;
	char **env;

	while (environ[n])
		n++;
	while (more[m])
		m++;
	env = xcalloc(n + m + 1, sizeof(*env));
	for (size_t i = 0; i < m; i++)
		env[i] = xstrdup(more[i]);
	for (size_t i = 0; i < n; i++)
		env[m + i] = xstrdup(environ[i]);
	return env;
}

struct bridge_exec *bridge_exec_new(struct loop *loop, const struct bridge_exec_config *cfg,
				    const struct bridge_exec_events *events, void *arg)
{
	struct bridge_exec *e = xcalloc(1, sizeof(*e));

	e->loop = loop;
	e->events = events;
	e->arg = arg;
	e->command = xstrdup(cfg->command);
	e->env = make_env(cfg->env);
	e->cwd = cfg->cwd;
	e->in.fd = e->out.fd = e->err.fd = e->pidfd = -1;
	bridge_queue_init(&e->queue);
	bridge_lines_init(&e->lines, cfg->line_max);
	bridge_lines_init(&e->said, SAID_MAX);
	e->timer = loop_timer_new(loop, on_timer, e);
	loop_timer_set(e->timer, 0, 0);
	return e;
}

void bridge_exec_free(struct bridge_exec **ep)
{
	struct bridge_exec *e = *ep;
	siginfo_t si;

	*ep = NULL;
	if (!e)
		return;
	if (e->pid > 0) {
		kill(-e->pid, SIGKILL);
		waitid(P_PIDFD, (id_t)e->pidfd, &si, WEXITED);
	}
	forget_process(e);
	loop_timer_free(&e->timer);
	bridge_queue_clear(&e->queue);
	for (char **p = e->env; *p; p++)
		free(*p);
	free(e->env);
	free(e->command);
	free(e);
}

void bridge_exec_add(struct bridge_exec *e, struct slice line)
{
	bridge_queue_add(&e->queue, line);
}

size_t bridge_exec_waiting(const struct bridge_exec *e)
{
	return e->queue.held_bytes + e->queue.count * sizeof(struct bridge_queue_item);
}

size_t bridge_exec_lines(const struct bridge_exec *e)
{
	return e->queue.count;
}

bool bridge_exec_forget(struct bridge_exec *e, size_t keep)
{
	bool partial = e->part > 0;

	bridge_queue_keep(&e->queue, keep == 0 && partial ? 1 : keep);
	return partial;
}

void bridge_exec_pause(struct bridge_exec *e, bool paused)
{
	if (e->paused == paused)
		return;
	e->paused = paused;
	if (e->out.watch)
		loop_fd_set(e->out.watch, paused ? 0 : LOOP_READ);
}

void bridge_exec_stop(struct bridge_exec *e)
{
	if (e->stopping)
		return;
	e->stopping = true;
	loop_timer_set(e->timer, e->pid ? FINISH_MS : 0, 0);
	bridge_exec_flush(e);
}

int bridge_exec_pid(const struct bridge_exec *e)
{
	return e->pid;
}

unsigned int bridge_exec_starts(const struct bridge_exec *e)
{
	return e->starts;
}
