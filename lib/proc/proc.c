#include "proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/crash.h"
#include "proc/inherit.h"
#include "proc/metrics.h"
#include "proc/privs.h"
#include "proc/proc_args.h"
#include "proc/sup_conn.h"
#include "proc/tls_files.h"
#include "proc/watchdog.h"

struct proc {
	const struct proc_program *program;
	void *state; /* the program's */
	struct loop *loop;
	struct config *cfg;
	struct inherit self;
	struct sup_conn *sup; /* NULL: standalone */
	struct watchdog *watchdog;
	struct metrics *metrics;
	struct loop_signal *term, *interrupt;
	bool draining;
};

static enum log_level level_of(const struct config *cfg)
{
	enum log_level level = LOG_LEVEL_INFO;

	log_level_parse(cfg->log_level, &level);
	return level;
}

static void drop_rights(struct proc *p)
{
	struct str why = STR_INIT;

	if (privs_drop(p->self.uid, p->self.gid, &why))
		fatal("event=start_failed reason=\"%s\"", why.data);
	str_clear(&why);
}

static bool check_config(const struct proc *p, const struct config *cfg, char *why, size_t whylen)
{
	return metrics_check(cfg, why, whylen) &&
	       (!p->program->check || p->program->check(cfg, why, whylen));
}

/* A line of log for each, which the supervisor's checker reads. */
static void check_files(const struct proc *p)
{
	struct str why = STR_INIT, warnings = STR_INIT;
	bool ok = p->program->check_files(p, &why, &warnings);

	for (char *line = warnings.data; *line;) {
		size_t n = strcspn(line, "\n");

		log_warn("-", "event=config_warning reason=%.*s", (int)n, line);
		line += n + (line[n] != '\0');
	}
	if (!ok)
		fatal("event=config_refused reason=%s", why.data);
	str_clear(&why);
	str_clear(&warnings);
}

static void load_config(struct proc *p, bool check_only)
{
	struct str why = STR_INIT;
	char more[512] = "";

	if (config_load(&p->cfg, p->self.config, &why))
		fatal("event=config_refused reason=%s", why.data);
	if (!check_config(p, p->cfg, more, sizeof(more)))
		fatal("event=config_refused reason=%s: %s", p->self.config, more);
	if (check_only && p->program->check_files)
		check_files(p);
	str_clear(&why);
	log_open(p->self.instance, STDERR_FILENO, level_of(p->cfg), p->cfg->log_json);
}

/* Without a supervisor nobody has taken the lock for us. */
static void take_lock(struct proc *p)
{
	char *path = xasprintf("run/%s.lock", p->self.instance);
	int fd;

	mkdir("run", 0700);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		fatal("event=start_failed reason=\"%s: %s\" next=\"name the instance directory "
		      "with -C\"",
		      path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		fatal("event=start_failed reason=\"%s runs already here (%s is locked)\" "
		      "next=\"stop it first\"",
		      p->self.instance, path);
	inherit_add_fd(&p->self, INHERIT_LOCK, fd, "lock", NULL);
	free(path);
}

static void write_pid(const struct proc *p)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	for (size_t i = 0; i < p->self.nfds; i++)
		if (p->self.fds[i].kind == INHERIT_LOCK &&
		    (ftruncate(p->self.fds[i].fd, 0) < 0 ||
		     pwrite(p->self.fds[i].fd, text, (size_t)n, 0) != n))
			log_warn("-",
				 "event=lock_pid_unwritten reason=\"%s\" next=\"free disk space; "
				 "the lock itself holds\"",
				 strerror(errno));
}

static void open_standalone_file(struct proc *p, const char *name, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		inherit_add_fd(&p->self, INHERIT_FILE, fd, name, NULL);
}

static void open_standalone_files(struct proc *p)
{
	char name[TLS_FILES_NAME_MAX];
	struct str why = STR_INIT;
	struct tls_files files;

	if (tls_files_parse(&files, p->cfg, &why))
		fatal("event=config_refused reason=%s: %s", p->self.config, why.data);
	for (size_t i = 0; i < files.n; i++) {
		tls_files_cert_name(i, name);
		open_standalone_file(p, name, files.pairs[i].cert_path);
		tls_files_key_name(i, name);
		open_standalone_file(p, name, files.pairs[i].key_path);
		tls_files_bundle_name(i, name);
		if (files.pairs[i].bundle_path)
			open_standalone_file(p, name, files.pairs[i].bundle_path);
	}
	tls_files_clear(&files);
	str_clear(&why);
}

static void setup_standalone(struct proc *p, const struct proc_args *a)
{
	take_lock(p);
	for (size_t i = 0; i < a->nlisten; i++) {
		if (fcntl(a->listen[i], F_SETFD, FD_CLOEXEC) < 0 ||
		    fcntl(a->listen[i], F_SETFL, O_NONBLOCK) < 0)
			fatal("event=start_failed reason=\"--listen %d is no open descriptor\" "
			      "next=\"pass it open to this process\"",
			      a->listen[i]);
		inherit_add_fd(&p->self, INHERIT_LISTENER, a->listen[i], "standalone",
			       "standalone");
	}
	open_standalone_files(p);
}

static void tell_expected(struct proc *p, const struct proc_args *a)
{
	for (size_t i = 0; i < a->nexpect; i++) {
		char *text = xstrdup(a->expect[i]), *service = strchr(text, ':');
		char *token = service ? strchr(service + 1, ':') : NULL;

		if (!token || !p->program->on_instance)
			fatal("event=start_failed reason=\"--expect needs INSTANCE:SERVICE:TOKEN "
			      "and the router\"");
		*service++ = '\0';
		*token++ = '\0';
		p->program->on_instance(p->state, text, service, token);
		free(text);
	}
}

static void on_instance(void *arg, const char *instance, const char *service, const char *token)
{
	struct proc *p = arg;

	if (p->program->on_instance)
		p->program->on_instance(p->state, instance, service, token);
}

static void on_instances(void *arg)
{
	struct proc *p = arg;

	if (p->program->on_instances)
		p->program->on_instances(p->state);
}

static void on_level(void *arg, const char *level)
{
	enum log_level l;

	(void)arg;
	if (!log_level_parse(level, &l))
		return;
	log_set_level(l);
	log_info("-", "event=log_level level=%s", level);
}

static const struct inherit_fd *find_fd(const struct inherit *in, enum inherit_kind kind,
					const char *name)
{
	for (size_t i = 0; i < in->nfds; i++)
		if (in->fds[i].kind == kind && strcmp(in->fds[i].name, name) == 0)
			return &in->fds[i];
	return NULL;
}

/* The new files and listeners take the place of the old ones, which are put into old. A listener
 * that was there stays the descriptor that it is: it is being accepted on. */
static void swap_fds(struct proc *p, const struct inherit *in, struct inherit *old)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->self.nfds; i++) {
		struct inherit_fd f = p->self.fds[i];

		if (f.kind == INHERIT_LOCK ||
		    (f.kind == INHERIT_LISTENER && find_fd(in, f.kind, f.name)))
			p->self.fds[kept++] = f;
		else
			old->fds[old->nfds++] = f;
	}
	p->self.nfds = kept;
	for (size_t i = 0; i < in->nfds; i++) {
		const struct inherit_fd *f = &in->fds[i];

		if (f->kind == INHERIT_LISTENER && find_fd(&p->self, f->kind, f->name))
			close(f->fd);
		else
			inherit_add_fd(&p->self, f->kind, f->fd, f->name, f->addr);
	}
}

static bool on_reload(void *arg, const struct inherit *in)
{
	struct proc *p = arg;
	struct config *new, *old_cfg = p->cfg;
	struct str why = STR_INIT;
	struct inherit old;
	char more[512] = "";

	if (config_load(&new, in->config, &why) == ERR_OK &&
	    !check_config(p, new, more, sizeof(more))) {
		str_adds(&why, more);
		config_free(&new);
	}
	if (!new) {
		log_err("-", "event=reload_refused generation=%llu reason=%s",
			(unsigned long long)in->generation, why.data);
		sup_conn_applied(p->sup, in->generation, why.data);
		str_clear(&why);
		return false;
	}
	inherit_init(&old);
	swap_fds(p, in, &old);
	p->self.generation = in->generation;
	p->cfg = new;
	log_open(p->self.instance, STDERR_FILENO, level_of(new), new->log_json);
	watchdog_set(p->watchdog, (unsigned int)new->watchdog_ms);
	if (p->metrics)
		metrics_listen(p->metrics, new);
	if (p->program->on_reload)
		p->program->on_reload(p->state, old_cfg);
	config_free(&old_cfg);
	for (size_t i = 0; i < old.nfds; i++)
		close(old.fds[i].fd);
	inherit_clear(&old);
	log_info("-", "event=reloaded generation=%llu", (unsigned long long)in->generation);
	sup_conn_applied(p->sup, in->generation, NULL);
	return true;
}

static bool same_bytes(int a, int b)
{
	char x[4096], y[4096];
	bool same = true;
	off_t at = 0;
	ssize_t n;

	do {
		n = pread(a, x, sizeof(x), at);
		same = n >= 0 && pread(b, y, sizeof(y), at) == n && memcmp(x, y, (size_t)n) == 0;
		at += n;
	} while (same && n > 0);
	xwipe(x, sizeof(x));
	xwipe(y, sizeof(y));
	return same;
}

/* Those of a name that was not passed stay. A supervisor that has adopted us sends all that it
 * knows, pair by pair: what is as before costs nothing. */
static void on_files(void *arg, const struct inherit *in)
{
	struct proc *p = arg;
	size_t changed = 0;

	for (size_t i = 0; i < in->nfds; i++) {
		const struct inherit_fd *f = &in->fds[i];
		size_t k = 0;

		while (k < p->self.nfds && (p->self.fds[k].kind != INHERIT_FILE ||
					    strcmp(p->self.fds[k].name, f->name) != 0))
			k++;
		changed += k == p->self.nfds || !same_bytes(p->self.fds[k].fd, f->fd);
		if (k < p->self.nfds) {
			close(p->self.fds[k].fd);
			p->self.fds[k].fd = f->fd;
		} else if (p->self.nfds < INHERIT_FDS_MAX) {
			inherit_add_fd(&p->self, f->kind, f->fd, f->name, f->addr);
		} else {
			close(f->fd);
		}
	}
	log_debug("-", "event=files came=%zu changed=%zu", in->nfds, changed);
	if (changed && p->program->on_files)
		p->program->on_files(p->state);
}

static const struct sup_conn_events sup_events = {
	.on_instance = on_instance,
	.on_instances = on_instances,
	.on_reload = on_reload,
	.on_level = on_level,
	.on_files = on_files,
};

static void on_term(void *arg)
{
	struct proc *p = arg;

	if (p->draining)
		return;
	p->draining = true;
	log_info("-", "event=draining");
	if (p->program->drain)
		p->program->drain(p->state);
	else
		proc_drained(p);
}

/* A service may hold as many connections as the system lets it. */
static void raise_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

static void prepare(struct proc *p, const struct proc_args *a)
{
	enum err e = inherit_take(&p->self);

	if (e == ERR_FORMAT)
		fatal("event=start_failed reason=\"cannot read what the supervisor passed on\" "
		      "next=\"use a supervisor of the same build\"");
	if (a->dir && chdir(a->dir) < 0)
		fatal("event=start_failed reason=\"%s: %s\" next=\"name an instance directory with "
		      "-C\"",
		      a->dir, strerror(errno));
	if (e == ERR_NOTFOUND) {
		p->self.service = xstrdup(p->program->service);
		p->self.instance = xstrdup(a->instance);
		p->self.token = xstrdup(a->token ? a->token : "");
		p->self.config = xstrdup(a->config ? a->config : CONFIG_PATH);
	}
	umask(0077);
	drop_rights(p);
	log_open(p->self.instance, STDERR_FILENO, LOG_LEVEL_INFO, false);
	if (e == ERR_NOTFOUND && !a->standalone && !a->check_only)
		fatal("event=start_failed reason=\"not started by a supervisor\" next=\"supervisor "
		      "start, or --standalone for a test\"");
}

static int run(struct proc *p, const struct proc_args *a)
{
	p->loop = loop_new();
	if (!a->standalone)
		p->sup = sup_conn_new(p->loop, &p->self, &sup_events, p);
	if (p->program->init(p, &p->state))
		exit(EX_CONFIG);
	tell_expected(p, a);
	p->term = loop_signal_new(p->loop, SIGTERM, on_term, p);
	p->interrupt = loop_signal_new(p->loop, SIGINT, on_term, p);
	p->watchdog = watchdog_new(p->loop, (unsigned int)p->cfg->watchdog_ms);
	if (!p->metrics)
		proc_metrics(p, NULL, NULL);
	loop_run(p->loop);
	metrics_free(&p->metrics); /* it asks the service */
	if (p->program->deinit)
		p->program->deinit(p->state);
	log_info("-", "event=stopped");
	watchdog_free(&p->watchdog);
	loop_signal_free(&p->term);
	loop_signal_free(&p->interrupt);
	sup_conn_free(&p->sup);
	loop_free(&p->loop);
	return 0;
}

int proc_main(int argc, char **argv, const struct proc_program *program)
{
	struct proc p = {.program = program};
	struct proc_args a;
	int rc = 0;

	proc_args_parse(&a, argc, argv, program);
	log_open(a.instance, STDERR_FILENO, LOG_LEVEL_INFO, false);
	prepare(&p, &a);
	load_config(&p, a.check_only);
	if (!a.check_only) {
		signal(SIGPIPE, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		crash_install(p.self.instance, STDERR_FILENO);
		raise_limits();
		if (a.standalone)
			setup_standalone(&p, &a);
		write_pid(&p);
		log_info("-", "event=started service=%s generation=%llu", p.self.service,
			 (unsigned long long)p.self.generation);
		rc = run(&p, &a);
	}
	for (size_t i = 0; i < p.self.nfds; i++)
		close(p.self.fds[i].fd);
	inherit_clear(&p.self);
	config_free(&p.cfg);
	return rc;
}

void proc_metrics(struct proc *p, void (*add)(void *arg, struct str *out), void *arg)
{
	p->metrics = metrics_new(p->loop, p->self.service, p->self.instance, add, arg);
	metrics_listen(p->metrics, p->cfg);
}

struct loop *proc_loop(struct proc *p)
{
	return p->loop;
}

const struct config *proc_config(const struct proc *p)
{
	return p->cfg;
}

const char *proc_instance(const struct proc *p)
{
	return p->self.instance;
}

const char *proc_service(const struct proc *p)
{
	return p->self.service;
}

const char *proc_token(const struct proc *p)
{
	return p->self.token;
}

int proc_listener(const struct proc *p, size_t i, const char **addr)
{
	for (size_t k = 0; k < p->self.nfds; k++) {
		const struct inherit_fd *f = &p->self.fds[k];

		if (f->kind != INHERIT_LISTENER || i-- > 0)
			continue;
		if (addr)
			*addr = f->addr;
		return f->fd;
	}
	return -1;
}

int proc_file(const struct proc *p, const char *name)
{
	for (size_t i = 0; i < p->self.nfds; i++)
		if (p->self.fds[i].kind == INHERIT_FILE && strcmp(p->self.fds[i].name, name) == 0)
			return p->self.fds[i].fd;
	return -1;
}

bool proc_has_files(const struct proc *p)
{
	for (size_t i = 0; i < p->self.nfds; i++)
		if (p->self.fds[i].kind == INHERIT_FILE)
			return true;
	return false;
}

void proc_ready(struct proc *p, bool ready)
{
	if (p->sup)
		sup_conn_ready(p->sup, ready);
}

void proc_alarm(struct proc *p, const char *text)
{
	if (p->sup)
		sup_conn_alarm(p->sup, text);
}

bool proc_is_standalone(const struct proc *p)
{
	return !p->sup;
}

void proc_drained(struct proc *p)
{
	loop_stop(p->loop);
}
