#include "supervisor/sup_loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/config.h"
#include "proc/crash.h"
#include "proc/metrics.h"
#include "supervisor/certset.h"
#include "supervisor/certwatch.h"
#include "supervisor/checker.h"
#include "supervisor/events.h"
#include "supervisor/holder.h"
#include "supervisor/layout.h"
#include "supervisor/logfile.h"
#include "supervisor/logpipe.h"
#include "supervisor/notify.h"
#include "supervisor/sockets.h"
#include "supervisor/sup.h"

#define HOUSE_MS	1000
#define KEEP_ALIVE_TURN 5

void sup_report(struct sup *s, const char *fmt, ...)
{
	va_list ap;

	if (s->report < 0)
		return;
	va_start(ap, fmt);
	vdprintf(s->report, fmt, ap);
	va_end(ap);
	dprintf(s->report, "\n");
}

static void tell_components(struct sup *s)
{
	const char *addr, *bound;
	size_t it = 0;
	int fd;

	while (sockets_next(s->sockets, "cm-component", &it, &addr, &bound, &fd))
		sup_report(s, "  components: %s (in clear, STARTTLS and direct TLS)", bound);
}

static void tell_how_to_go_on(struct sup *s)
{
	const char *domain = s->cfg->domains[0], *addr, *bound = "";
	size_t it = 0;
	int fd;

	sup_report(s, "\nRoundhouse is up in %s", s->shown_dir);
	while (sockets_next(s->sockets, "cm-client", &it, &addr, &bound, &fd))
		sup_report(s, "  clients: %s (STARTTLS, and direct TLS on the same port)", bound);
	tell_components(s);
	if (!s->cfg->xmpp_enabled) {
		sup_report(s, "  XMPP is disabled, no port is open: %s/xmpp -C %s enable",
			   s->shown_bin, s->shown_dir);
		return;
	}
	sup_report(s,
		   "\nAdd a user:       %s/xmpp -C %s user add juliet@%s\n"
		   "Connect a client: JID juliet@%s, server %.*s, port %s, CA file %s/pki/ca.pem\n"
		   "  profanity:      /connect juliet@%s server %.*s port %s\n"
		   "Read the logs:    %s/supervisor -C %s logs -f\n"
		   "Stop:             %s/supervisor -C %s stop",
		   s->shown_bin, s->shown_dir, domain, domain,
		   (int)(strrchr(bound, ':') ? strrchr(bound, ':') - bound : 0), bound,
		   strrchr(bound, ':') ? strrchr(bound, ':') + 1 : "", s->shown_dir, domain,
		   (int)(strrchr(bound, ':') ? strrchr(bound, ':') - bound : 0), bound,
		   strrchr(bound, ':') ? strrchr(bound, ':') + 1 : "", s->shown_bin, s->shown_dir,
		   s->shown_bin, s->shown_dir);
}

void sup_report_end(struct sup *s, int code)
{
	if (code == 0 && s->phase == SUP_RUNNING) {
		tell_how_to_go_on(s);
		notify_send("READY=1\nSTATUS=all services are ready");
	} else if (s->phase == SUP_RUNNING) {
		/* Adopted, though not well: systemd must not kill what serves. */
		notify_send("READY=1\nSTATUS=not all services are ready");
	}
	if (s->report >= 0 && s->detached) {
		dprintf(s->report, "=%d\n", code);
		close(s->report);
	}
	s->report = -1;
}

struct unit *sup_find(struct sup *s, const char *instance)
{
	for (size_t i = 0; i < s->nunits; i++)
		if (strcmp(s->units[i]->name, instance) == 0)
			return s->units[i];
	return NULL;
}

struct unit *sup_add_unit(struct sup *s, const struct table_row *row, const char *name)
{
	size_t r = (size_t)(row - table_rows);
	struct str why = STR_INIT;
	struct unit *u;

	if (s->nunits == SUP_UNITS_MAX)
		return NULL;
	u = xcalloc(1, sizeof(*u));
	u->sup = s;
	u->row = row;
	u->pidfd = -1;
	str_init(&u->cause);
	snprintf(u->name, sizeof(u->name), "%s", name);
	if (!s->service_logs[r])
		s->service_logs[r] = logfile_new(row->service, (size_t)s->cfg->log_rotate_bytes,
						 (unsigned int)s->cfg->log_keep);
	u->log = logpipe_open(s->loop, name, s->service_logs[r], &why);
	if (!u->log)
		fatal("event=start_failed reason=\"log pipe: %s\"", why.data);
	logpipe_tap(u->log, events_lines, s->events);
	s->units[s->nunits++] = u;
	return u;
}

size_t sup_views(const struct sup *s, struct plan_view views[SUP_UNITS_MAX])
{
	for (size_t i = 0; i < s->nunits; i++) {
		const struct unit *u = s->units[i];

		views[i] = (struct plan_view){.start_rank = u->row->start_rank,
					      .stop_rank = u->row->stop_rank,
					      .state = u->core.state,
					      .boots = u->core.boots};
		/* Not to be started again, and nobody waits for it. */
		if (u->retired && s->job.plan.kind == PLAN_START)
			views[i].state = SERVICE_READY;
	}
	return s->nunits;
}

static void set_policy(struct sup *s)
{
	s->policy = (struct service_policy){
		.delay_min_ms = (uint64_t)s->cfg->restart_delay_min_ms,
		.delay_max_ms = (uint64_t)s->cfg->restart_delay_max_ms,
		.healthy_ms = (uint64_t)s->cfg->healthy_ms,
		.drain_ms = (uint64_t)s->cfg->drain_ms,
		.adopt_ms = (uint64_t)s->cfg->adopt_ms,
	};
}

/* ---- configuration */

/* The own log may have been rotated since. */
static void refresh_own_log(struct sup *s, bool force)
{
	int fd = logfile_fd(s->own_log);

	if (fd == s->own_fd && !force)
		return;
	s->own_fd = fd;
	log_open("supervisor", fd, s->own_level, s->cfg->log_json);
	crash_install("supervisor", fd);
}

static void apply_log_settings(struct sup *s)
{
	size_t bytes = (size_t)s->cfg->log_rotate_bytes;
	unsigned int keep = (unsigned int)s->cfg->log_keep;

	log_level_parse(s->cfg->log_level, &s->own_level);
	logfile_limits(s->own_log, bytes, keep);
	refresh_own_log(s, true);
	for (size_t i = 0; i < table_len; i++)
		if (s->service_logs[i])
			logfile_limits(s->service_logs[i], bytes, keep);
}

bool sup_accept_config(struct sup *s, struct config *cfg, uint64_t generation, struct str *why)
{
	struct str text = STR_INIT;
	bool ok;

	str_addf(&text, "# generation %llu\n", (unsigned long long)generation);
	config_format(&text, cfg);
	ok = layout_write_file(SUP_ACCEPTED_CONF, str_slice(&text), cfg, why) == ERR_OK;
	str_clear(&text);
	if (!ok)
		return false;
	if (s->cfg != cfg)
		config_free(&s->cfg);
	s->cfg = cfg;
	s->generation = generation;
	set_policy(s);
	apply_log_settings(s);
	metrics_listen(s->metrics, s->cfg);
	events_limits(s->events);
	return true;
}

static uint64_t accepted_generation(void)
{
	FILE *f = fopen(SUP_ACCEPTED_CONF, "re");
	unsigned long long n = 0;

	if (f && fscanf(f, "# generation %llu", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

/* With services running the configuration that they run with; the operator's file waits for a
 * reload. */
static bool load_config(struct sup *s, bool adopting)
{
	struct str why = STR_INIT, ignored = STR_INIT;
	bool ok = true;

	if (adopting && config_load(&s->cfg, SUP_ACCEPTED_CONF, &ignored) == ERR_OK)
		s->generation = accepted_generation();
	else if (config_load(&s->cfg, CONFIG_PATH, &why))
		ok = false;
	if (ok && layout_apply(s->cfg, &why))
		ok = false;
	if (!ok)
		sup_report(s, "%s", why.data);
	str_clear(&why);
	str_clear(&ignored);
	return ok;
}

/* ---- adoption */

/* Calls found for every run/NAME.lock that a process holds. True if there was one. */
static bool each_orphan(struct sup *s, void (*found)(struct sup *s, const char *name))
{
	DIR *d = opendir("run");
	struct dirent *e;
	bool any = false;

	while (d && (e = readdir(d))) {
		size_t n = strlen(e->d_name);
		char *path;

		if (n <= 5 || n >= TABLE_NAME_MAX || strcmp(e->d_name + n - 5, ".lock") != 0)
			continue;
		path = xasprintf("run/%s", e->d_name);
		e->d_name[n - 5] = '\0';
		if (holder_is_locked(path)) {
			any = true;
			if (found)
				found(s, e->d_name);
		}
		free(path);
	}
	if (d)
		closedir(d);
	return any;
}

static void on_orphan(struct sup *s, const char *name)
{
	static const struct service_event ev = {.type = SERVICE_EV_FOUND};
	const struct table_row *row = table_of_instance(name);
	struct unit *u = sup_find(s, name);

	if (!u && row) {
		u = sup_add_unit(s, row, name);
		if (u)
			u->retired = true;
	}
	if (!u) {
		log_warn("-", "event=unknown_lock name=%s next=\"stop the process that holds it\"",
			 log_quote(slice_str(name)));
		return;
	}
	unit_find_orphan(u);
	log_info("-", "event=service_found instance=%s pid=%d", u->name, (int)u->pid);
	sup_event(u, &ev);
}

bool sup_open_sockets(struct sup *s, const struct config *cfg, struct str *why)
{
	bool ok = true;

	for (size_t r = 0; r < table_len && ok; r++) {
		char *const *list = table_listen(&table_rows[r], cfg);

		for (size_t i = 0; list[i] && ok; i++)
			ok = sockets_open(s->sockets, table_rows[r].service, list[i], why) ==
			     ERR_OK;
	}
	return ok;
}

void sup_close_sockets(struct sup *s, const struct config *cfg)
{
	for (size_t r = 0; r < table_len; r++)
		sockets_prune(s->sockets, table_rows[r].service, table_listen(&table_rows[r], cfg));
}

static bool open_sockets(struct sup *s)
{
	struct str why = STR_INIT;
	bool ok = sup_open_sockets(s, s->cfg, &why);

	if (!ok) {
		log_err("-", "event=listen_failed reason=%s", log_quote(str_slice(&why)));
		sup_report(s, "%s", why.data);
	}
	str_clear(&why);
	return ok;
}

static void begin_start(struct sup *s)
{
	s->phase = SUP_STARTING;
	job_begin(s, PLAN_START, NULL, NULL);
}

static void end_adoption(struct sup *s)
{
	static const struct service_event stop = {.type = SERVICE_EV_STOP};

	peer_announce_end(s);
	for (size_t i = 0; i < s->nunits; i++)
		if (s->units[i]->retired)
			sup_event(s->units[i], &stop);
	/* A service that is behind may have handed over what is not configured any more. */
	sup_close_sockets(s, s->cfg);
	/* What could not be opened is said, and tried again when its service is started. */
	open_sockets(s);
	for (size_t i = 0; i < s->nunits; i++)
		if (s->units[i]->peer && s->units[i]->generation != s->generation)
			reload_send(s->units[i]);
	begin_start(s);
}

static bool is_adopting(const struct sup *s)
{
	for (size_t i = 0; i < s->nunits; i++)
		if (s->units[i]->core.state == SERVICE_ORPHAN)
			return true;
	return false;
}

static void on_checked(void *arg, const char *reasons)
{
	struct sup *s = arg;
	bool good = !*reasons;

	if (!good) {
		log_err("-", "event=config_refused reason=%s", log_quote(slice_str(reasons)));
		sup_report(s, "%.*s", (int)strlen(reasons) - 1, reasons);
	}
	for (const char *line = checker_warnings(s->checker); *line;) {
		int n = (int)strcspn(line, "\n");

		log_warn("-", "event=config_warning reason=\"%.*s\"", n, line);
		sup_report(s, "warning: %.*s", n, line);
		line += n + (line[n] != '\0');
	}
	checker_free(&s->checker);
	if (good && s->phase == SUP_CHECKING) {
		begin_start(s);
	} else if (!good) {
		s->exit_code = 1;
		loop_stop(s->loop);
	}
}

/* ---- the loop */

void sup_step(struct sup *s)
{
	s->again = true;
	loop_timer_set(s->due, 0, 0);
}

void sup_event(struct unit *u, const struct service_event *ev)
{
	struct sup *s = u->sup;

	unit_carry_out(u, service_step(&u->core, &s->policy, ev, loop_now(s->loop)));
	sup_step(s);
}

static void set_timer(struct sup *s)
{
	struct monotime now = loop_now(s->loop), next = s->job.deadline;
	uint64_t ms;

	if (!job_is_busy(s))
		next = (struct monotime){0};
	for (size_t i = 0; i < s->nunits; i++) {
		struct monotime due = s->units[i]->core.due;

		if (due.us && (!next.us || monotime_before(due, next)))
			next = due;
	}
	ms = next.us ? monotime_ms_between(now, next) + 1 : 0;
	if (ms)
		loop_timer_set(s->due, ms, 0);
	else
		loop_timer_stop(s->due);
}

static void on_due(void *arg)
{
	static const struct service_event tick = {.type = SERVICE_EV_TICK};
	struct sup *s = arg;

	s->again = false;
	for (size_t i = 0; i < s->nunits; i++) {
		struct unit *u = s->units[i];

		if (u->core.due.us && !monotime_before(loop_now(s->loop), u->core.due))
			sup_event(u, &tick);
	}
	if (s->phase == SUP_ADOPTING && !is_adopting(s))
		end_adoption(s);
	if (s->phase != SUP_ADOPTING && s->phase != SUP_CHECKING)
		job_step(s);
	if (!s->again)
		set_timer(s);
}

static void on_house(void *arg)
{
	static unsigned int turn;
	struct sup *s = arg;

	if (++turn % KEEP_ALIVE_TURN == 0)
		control_keep_alive(s);
	refresh_own_log(s, false);
	reload_tick(s);
	certwatch_tick(s->certs);
	events_tick(s->events);
}

static void on_watchdog(void *arg)
{
	(void)arg;
	notify_send("WATCHDOG=1");
}

static void on_term(void *arg)
{
	struct sup *s = arg;

	log_info("-", "event=stop_requested by=signal");
	notify_send("STOPPING=1");
	sup_report(s, "stopping");
	if (s->phase == SUP_CHECKING) {
		s->exit_code = 1;
		loop_stop(s->loop);
	} else if (s->phase != SUP_STOPPING) {
		job_begin(s, PLAN_STOP, NULL, NULL);
	}
}

static void on_hup(void *arg)
{
	reload_begin(arg, NULL);
}

/* ---- beginning and end */

static void write_pid(const struct sup *s)
{
	if (ftruncate(s->pid_fd, 0) < 0 || lseek(s->pid_fd, 0, SEEK_SET) < 0 ||
	    dprintf(s->pid_fd, "%d\n", (int)getpid()) < 0)
		log_warn("-", "event=pid_unwritten path=" SUP_PID_FILE " reason=\"%s\"",
			 strerror(errno));
}

static void add_units(struct sup *s)
{
	for (size_t r = 0; r < table_len; r++)
		for (size_t i = 0; i < table_instances(&table_rows[r], s->cfg); i++) {
			char name[TABLE_NAME_MAX];

			table_instance_name(&table_rows[r], i, name);
			sup_add_unit(s, &table_rows[r], name);
		}
}

static void watch_signals(struct sup *s)
{
	uint64_t watchdog_ms = notify_watchdog_ms();

	signal(SIGPIPE, SIG_IGN);
	s->term = loop_signal_new(s->loop, SIGTERM, on_term, s);
	s->interrupt = loop_signal_new(s->loop, SIGINT, on_term, s);
	s->hup = loop_signal_new(s->loop, SIGHUP, on_hup, s);
	s->due = loop_timer_new(s->loop, on_due, s);
	s->house = loop_timer_new(s->loop, on_house, s);
	loop_timer_set(s->house, HOUSE_MS, HOUSE_MS);
	s->watchdog = loop_timer_new(s->loop, on_watchdog, s);
	if (watchdog_ms)
		loop_timer_set(s->watchdog, watchdog_ms, watchdog_ms);
}

/* Those of services that run already are judged once all is ready: they go on in any case. */
static bool read_certificates(struct sup *s, bool adopting, struct str *why)
{
	struct certset *set;

	if (certset_new(&set, s->cfg, why))
		return false;
	if (!adopting && certset_missing(set, false, why)) {
		log_err("-", "event=config_refused reason=%s", log_quote(str_slice(why)));
		certset_free(&set);
		return false;
	}
	s->certs = certwatch_new(s, set, !adopting);
	return true;
}

/* False: the start has failed, and nothing runs that did not run before. */
static bool begin(struct sup *s, bool adopting)
{
	struct str why = STR_INIT;
	bool ok = false;

	if (!sup_accept_config(s, s->cfg, s->generation ? s->generation : accepted_generation() + 1,
			       &why))
		goto out;
	if (!read_certificates(s, adopting, &why))
		goto out;
	add_units(s);
	if (!adopting && !open_sockets(s))
		goto out;
	if (!peer_listen(s, &why) || !control_listen(s, &why))
		goto out;
	if (adopting) {
		s->phase = SUP_ADOPTING;
		sup_report(s, "adopting what runs already");
		each_orphan(s, on_orphan);
		sup_step(s);
	} else {
		s->checker = checker_start(
			s->loop, &(struct checker_request){.bin = s->bin,
							   .path = CONFIG_PATH,
							   .cfg = s->cfg,
							   .files = certwatch_set(s->certs),
							   .on_done = on_checked,
							   .arg = s});
	}
	ok = true;
out:
	if (why.len)
		sup_report(s, "%s", why.data);
	str_clear(&why);
	return ok;
}

static void end(struct sup *s)
{
	checker_free(&s->checker);
	certwatch_free(&s->certs);
	metrics_free(&s->metrics);
	reload_free(s);
	control_close_all(s);
	peer_close_all(s);
	for (size_t i = 0; i < s->nunits; i++)
		unit_free(&s->units[i]);
	sockets_free(&s->sockets);
	events_free(&s->events);
	for (size_t i = 0; i < table_len; i++)
		logfile_free(&s->service_logs[i]);
	loop_signal_free(&s->term);
	loop_signal_free(&s->interrupt);
	loop_signal_free(&s->hup);
	loop_timer_free(&s->due);
	loop_timer_free(&s->house);
	loop_timer_free(&s->watchdog);
	config_free(&s->cfg);
	loop_free(&s->loop);
}

int sup_run(const struct sup_options *o)
{
	struct sup *s = xcalloc(1, sizeof(*s));
	bool adopting;
	int code;

	s->bin = o->bin;
	s->shown_bin = o->shown_bin;
	s->shown_dir = o->shown_dir;
	s->pid_fd = o->pid_fd;
	s->report = o->report;
	s->detached = o->detached;
	s->peer_fd = s->control_fd = -1;
	list_init(&s->peers);
	list_init(&s->controls);
	s->loop = loop_new();
	s->sockets = sockets_new();
	s->metrics = metrics_new(s->loop, "supervisor", "supervisor", status_metrics, s);
	watch_signals(s);
	adopting = each_orphan(s, NULL);
	unlink(CONFIG_JUDGED_PATH); /* of one that was killed */
	s->exit_code = 1;
	if (load_config(s, adopting)) {
		s->own_log = logfile_new("supervisor", (size_t)s->cfg->log_rotate_bytes,
					 (unsigned int)s->cfg->log_keep);
		apply_log_settings(s);
		write_pid(s);
		s->events = events_new(s, adopting);
		log_info("-", "event=supervisor_started adopting=%d", adopting);
		if (begin(s, adopting)) {
			s->exit_code = 0;
			loop_run(s->loop);
		}
		log_info("-", "event=supervisor_stopped");
	}
	code = s->exit_code;
	if (ftruncate(s->pid_fd, 0) < 0)
		code = code ? code : 1;
	end(s);
	log_open("supervisor", STDERR_FILENO, LOG_LEVEL_INFO, false);
	logfile_free(&s->own_log);
	/* Last, when nothing is left: who waits for `start` to fail finds ports and locks free. */
	s->phase = SUP_STOPPING;
	sup_report_end(s, code);
	free(s);
	return code;
}
