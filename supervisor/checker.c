#include "supervisor/checker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/config.h"
#include "proc/inherit.h"
#include "supervisor/certset.h"
#include "supervisor/layout.h"
#include "supervisor/spawn.h"
#include "supervisor/sup.h"
#include "supervisor/table.h"

#define DEADLINE_MS 20000

struct run {
	struct checker *checker;
	const struct table_row *row;
	struct loop_fd *watch;
	int pidfd;
	int out; /* what it says */
};

struct checker {
	struct loop_timer *deadline;
	struct run *runs;
	size_t left;
	struct str reasons;
	struct str warnings;
	void (*on_done)(void *arg, const char *reasons);
	void *arg;
};

static void run_close(struct run *r)
{
	loop_fd_free(&r->watch);
	if (r->pidfd >= 0)
		close(r->pidfd);
	if (r->out >= 0)
		close(r->out);
	r->pidfd = r->out = -1;
}

/* "event=config_refused reason=FILE:LINE: ..." is for logs; people get what follows reason=. */
static const char *reason_in(const char *line)
{
	const char *reason = strstr(line, "reason=");

	return reason ? reason + strlen("reason=") : line;
}

static void add_lines(struct checker *c, const struct run *r, char *text, const char *cause)
{
	const char *why = cause;

	for (char *line = text, *next; *line; line = next) {
		size_t n = strcspn(line, "\n");

		next = line + n + (line[n] != '\0');
		line[n] = '\0';
		if (strstr(line, "event=config_warning"))
			str_addf(&c->warnings, "%s: %s\n", r->row->service, reason_in(line));
		else if (*line && why == cause)
			why = reason_in(line);
	}
	if (cause)
		str_addf(&c->reasons, "%s: %s\n", r->row->service, why);
}

static void finish(struct checker *c)
{
	loop_timer_stop(c->deadline);
	c->on_done(c->arg, c->reasons.data);
}

static void run_over(struct run *r, const char *cause)
{
	struct checker *c = r->checker;
	char text[65536]; /* what a pipe holds */
	ssize_t n = r->out >= 0 ? read(r->out, text, sizeof(text) - 1) : 0;

	text[n > 0 ? n : 0] = '\0';
	add_lines(c, r, text, cause);
	run_close(r);
	if (--c->left == 0)
		finish(c);
}

static void on_exit_seen(void *arg, int events)
{
	struct run *r = arg;
	struct str cause = STR_INIT;
	siginfo_t si = {0};

	(void)events;
	if (waitid(P_PIDFD, (id_t)r->pidfd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
		return;
	spawn_cause(si.si_code, si.si_status, &cause);
	run_over(r, si.si_code == CLD_EXITED && si.si_status == 0 ? NULL : cause.data);
	str_clear(&cause);
}

static void kill_run(const struct run *r)
{
	siginfo_t si;

	pidfd_send_signal(r->pidfd, SIGKILL, NULL, 0);
	waitid(P_PIDFD, (id_t)r->pidfd, &si, WEXITED);
}

static void on_deadline(void *arg)
{
	struct checker *c = arg;

	for (size_t i = 0; i < table_len; i++) {
		struct run *r = &c->runs[i];

		if (r->pidfd < 0)
			continue;
		kill_run(r);
		str_addf(&c->reasons, "%s: -n did not answer in %d s\n", r->row->service,
			 DEADLINE_MS / 1000);
		run_close(r);
	}
	finish(c);
}

static bool run_start(struct run *r, struct loop *loop, const struct checker_request *req)
{
	struct str why = STR_INIT;
	struct inherit in;
	char *program = xasprintf("%s/%s", req->bin, r->row->service);
	const char *const argv[] = {program, "-n", NULL};
	int out[2] = {-1, -1};
	bool ok = false;

	inherit_init(&in);
	in.service = xstrdup(r->row->service);
	in.instance = xstrdup(r->row->service);
	in.config = xstrdup(req->path);
	if (req->files && r->row->uses_tls)
		certset_add(req->files, &in);
	if (layout_user(r->row, req->cfg, &in.uid, &in.gid, &why) == ERR_OK &&
	    pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0)
		ok = spawn_run(argv, &in, out[1], &r->pidfd, &why) > 0;
	if (out[1] >= 0)
		close(out[1]);
	r->out = out[0];
	if (ok)
		r->watch = loop_fd_new(loop, r->pidfd, LOOP_READ, on_exit_seen, r);
	else
		str_addf(&r->checker->reasons, "%s: %s\n", r->row->service, why.data);
	unit_close_files(&in);
	inherit_clear(&in);
	free(program);
	str_clear(&why);
	return ok;
}

enum err checker_write_candidate(const struct config *cfg, struct str *why)
{
	struct str text = STR_INIT;
	enum err e;

	config_format(&text, cfg);
	e = layout_write_file(CONFIG_MERGED_PATH, str_slice(&text), cfg, why);
	str_clear(&text);
	return e;
}

struct checker *checker_start(struct loop *loop, const struct checker_request *req)
{
	struct checker *c = xcalloc(1, sizeof(*c));

	c->on_done = req->on_done;
	c->arg = req->arg;
	str_init(&c->reasons);
	str_init(&c->warnings);
	c->runs = xcalloc(table_len, sizeof(*c->runs));
	c->deadline = loop_timer_new(loop, on_deadline, c);
	for (size_t i = 0; i < table_len; i++) {
		c->runs[i] =
			(struct run){.checker = c, .row = &table_rows[i], .pidfd = -1, .out = -1};
		if (req->only_tls && !table_rows[i].uses_tls)
			continue;
		if (table_instances(&table_rows[i], req->cfg) == 0)
			continue;
		if (run_start(&c->runs[i], loop, req))
			c->left++;
		else
			run_close(&c->runs[i]);
	}
	/* Nothing started: tell from the loop, so that the caller has the pointer first. */
	loop_timer_set(c->deadline, c->left ? DEADLINE_MS : 0, 0);
	return c;
}

const char *checker_warnings(const struct checker *c)
{
	return c->warnings.data;
}

void checker_free(struct checker **cp)
{
	struct checker *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	for (size_t i = 0; i < table_len; i++) {
		if (c->runs[i].pidfd >= 0)
			kill_run(&c->runs[i]);
		run_close(&c->runs[i]);
	}
	loop_timer_free(&c->deadline);
	str_clear(&c->reasons);
	str_clear(&c->warnings);
	free(c->runs);
	free(c);
}
