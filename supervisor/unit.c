/* The processes of the units: spawning, finding, telling and reaping them. */
#include "supervisor/sup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/config.h"
#include "proc/inherit.h"
#include "supervisor/certset.h"
#include "supervisor/certwatch.h"
#include "supervisor/holder.h"
#include "supervisor/layout.h"
#include "supervisor/logpipe.h"
#include "supervisor/secrets.h"
#include "supervisor/sockets.h"
#include "supervisor/spawn.h"

static void clear_token(struct unit *u)
{
	if (!u->token)
		return;
	peer_announce(u->sup, u->name, u->row->service, NULL);
	xwipe(u->token, strlen(u->token));
	free(u->token);
	u->token = NULL;
}

void unit_forget_process(struct unit *u)
{
	loop_fd_free(&u->death);
	if (u->pidfd >= 0)
		close(u->pidfd);
	u->pidfd = -1;
	u->pid = 0;
	peer_drop(&u->peer);
	free(u->alarm);
	u->alarm = NULL;
	free(u->behind);
	u->behind = NULL;
}

void unit_free(struct unit **up)
{
	struct unit *u = *up;

	*up = NULL;
	if (!u)
		return;
	unit_forget_process(u);
	logpipe_close(&u->log);
	if (u->token)
		xwipe(u->token, strlen(u->token));
	free(u->token);
	str_clear(&u->cause);
	free(u);
}

static const char *ordered_prefix(const struct unit *u)
{
	if (u->core.state == SERVICE_KILLED)
		return "killed after the drain deadline: ";
	return u->core.state == SERVICE_DRAINING ? "told to stop: " : "";
}

static void on_death(void *arg, int events)
{
	static const struct service_event ev = {.type = SERVICE_EV_EXIT};
	struct unit *u = arg;
	siginfo_t si = {0};

	(void)events;
	if (u->child && waitid(P_PIDFD, (id_t)u->pidfd, &si, WEXITED | WNOHANG) == 0 &&
	    si.si_pid == 0)
		return;
	u->unable = u->child && si.si_code == CLD_EXITED && si.si_status == EX_CONFIG;
	str_reset(&u->cause);
	str_adds(&u->cause, ordered_prefix(u));
	if (u->child)
		spawn_cause(si.si_code, si.si_status, &u->cause);
	else
		str_addf(&u->cause, "unknown (adopted; see log/%s.log)", u->row->service);
	if (u->core.state == SERVICE_DRAINING || u->core.state == SERVICE_KILLED)
		log_info("-", "event=service_stopped instance=%s pid=%d cause=%s", u->name,
			 (int)u->pid, log_quote(str_slice(&u->cause)));
	else
		log_err("-",
			"event=service_died instance=%s pid=%d cause=%s next=\"its last words: "
			"supervisor logs %s\"",
			u->name, (int)u->pid, log_quote(str_slice(&u->cause)), u->row->service);
	logpipe_drain(u->log);
	clear_token(u);
	unit_forget_process(u);
	sup_event(u, &ev);
	reload_applied(u->sup);
}

void unit_set_process(struct unit *u, pid_t pid, int pidfd, bool child)
{
	loop_fd_free(&u->death);
	if (u->pidfd >= 0)
		close(u->pidfd);
	u->pid = pid;
	u->pidfd = pidfd;
	u->child = child;
	u->death = loop_fd_new(u->sup->loop, pidfd, LOOP_READ, on_death, u);
}

void unit_find_orphan(struct unit *u)
{
	char *path = xasprintf("run/%s.lock", u->name);
	int pidfd;
	pid_t pid = holder_of_file(path, &pidfd);

	if (pid)
		unit_set_process(u, pid, pidfd, false);
	free(path);
}

/* The lock is taken here, before ports or bus are touched, and left to the child alone. */
static int take_lock(const struct unit *u, struct str *why)
{
	char *path = xasprintf("run/%s.lock", u->name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), pidfd;
	pid_t holder;

	if (fd < 0) {
		str_addf(why, "%s: %s", path, strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		fd = -1;
		holder = holder_of_file(path, &pidfd);
		if (pidfd >= 0)
			close(pidfd);
		str_addf(why, "%s is held by pid %d: %s runs already; stop that process", path,
			 (int)holder, u->name);
	}
	free(path);
	return fd;
}

void unit_add_listeners(const struct unit *u, struct inherit *in)
{
	const char *addr, *bound;
	size_t it = 0;
	int fd;

	while (sockets_next(u->sup->sockets, u->row->service, &it, &addr, &bound, &fd))
		inherit_add_fd(in, INHERIT_LISTENER, fd, addr, bound);
}

static bool add_listeners(const struct unit *u, struct inherit *in, struct str *why)
{
	char *const *list = table_listen(u->row, u->sup->cfg);

	for (size_t i = 0; list[i]; i++)
		if (sockets_open(u->sup->sockets, u->row->service, list[i], why))
			return false;
	unit_add_listeners(u, in);
	return true;
}

bool unit_add_files(const struct sup *s, const struct table_row *row, struct inherit *in,
		    struct str *why)
{
	const struct certset *set = certwatch_set(s->certs);

	if (!secrets_add(row, s->cfg, in, why))
		return false;
	if (!row->uses_tls)
		return true;
	if (certset_missing(set, false, why))
		return false;
	certset_add(set, in);
	return true;
}

void unit_close_files(struct inherit *in)
{
	for (size_t i = 0; i < in->nfds; i++)
		if (in->fds[i].kind != INHERIT_LISTENER)
			close(in->fds[i].fd);
}

static bool fill_inherit(struct unit *u, struct inherit *in, struct str *why)
{
	char token[65];
	int lock;

	in->service = xstrdup(u->row->service);
	in->instance = xstrdup(u->name);
	in->config = xstrdup(SUP_ACCEPTED_CONF);
	in->generation = u->sup->generation;
	in->restarts = u->core.restarts;
	random_hex(token, 32);
	in->token = xstrdup(token);
	xwipe(token, sizeof(token));
	lock = take_lock(u, why);
	if (lock < 0)
		return false;
	inherit_add_fd(in, INHERIT_LOCK, lock, "lock", NULL);
	return layout_user(u->row, u->sup->cfg, &in->uid, &in->gid, why) == ERR_OK &&
	       add_listeners(u, in, why) && unit_add_files(u->sup, u->row, in, why);
}

static pid_t run(struct unit *u, const struct inherit *in, int *pidfd, struct str *why)
{
	char *program = xasprintf("%s/%s", u->sup->bin, u->row->service);
	const char *const argv[] = {program, "-i", u->name, NULL};
	int out = logpipe_writer(u->log);
	pid_t pid = -1;

	if (out < 0)
		str_addf(why, "run/log/%s: %s", u->name, strerror(errno));
	else
		pid = spawn_run(argv, in, out, pidfd, why);
	if (out >= 0)
		close(out);
	free(program);
	return pid;
}

static void spawn(struct unit *u)
{
	static const struct service_event failed = {.type = SERVICE_EV_SPAWN_FAILED};
	struct str why = STR_INIT;
	struct inherit in;
	pid_t pid = -1;
	int pidfd;

	inherit_init(&in);
	if (fill_inherit(u, &in, &why)) {
		/* First the router learns the token, then the process may use it. */
		u->token = xstrdup(in.token);
		u->files_owed = false;
		peer_announce(u->sup, u->name, u->row->service, u->token);
		pid = run(u, &in, &pidfd, &why);
	}
	unit_close_files(&in);
	inherit_clear(&in);
	if (pid > 0) {
		u->generation = u->sup->generation;
		unit_set_process(u, pid, pidfd, true);
		log_info("-", "event=service_started instance=%s pid=%d restarts=%llu", u->name,
			 (int)pid, (unsigned long long)u->core.restarts);
	} else {
		clear_token(u);
		str_reset(&u->cause);
		str_adds(&u->cause, why.data);
		log_err("-", "event=service_not_started instance=%s reason=\"%s\"", u->name,
			why.data);
		sup_event(u, &failed);
	}
	str_clear(&why);
}

static void send_signal(struct unit *u, int signum)
{
	/* An orphan whose process was not found at first: it may show itself now. */
	if (u->pidfd < 0)
		unit_find_orphan(u);
	if (u->pidfd >= 0 && pidfd_send_signal(u->pidfd, signum, NULL, 0) < 0 && errno != ESRCH)
		log_err("-", "event=signal_failed instance=%s pid=%d signal=%d reason=\"%s\"",
			u->name, (int)u->pid, signum, strerror(errno));
}

/* It was never found and is not there now: as good as dead. */
static void check_phantom(struct unit *u)
{
	static const struct service_event ev = {.type = SERVICE_EV_EXIT};
	char *path = xasprintf("run/%s.lock", u->name);

	if (u->pidfd < 0 && !holder_is_locked(path))
		sup_event(u, &ev);
	free(path);
}

void unit_carry_out(struct unit *u, unsigned int effects)
{
	if (effects & SERVICE_SPAWN)
		spawn(u);
	if (effects & SERVICE_TERM)
		send_signal(u, SIGTERM);
	if (effects & SERVICE_KILL)
		send_signal(u, SIGKILL);
	if (effects & (SERVICE_TERM | SERVICE_KILL))
		check_phantom(u);
}
