#include "supervisor/events.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/config.h"
#include "proc/version.h"
#include "supervisor/certwatch.h"
#include "supervisor/event_log.h"
#include "supervisor/faults.h"
#include "supervisor/sup.h"

#define FAULTS_PATH	"run/faults" /* for the next supervisor, if this one is killed */
#define FAULTS_FILE_MAX 65536

struct events {
	struct sup *sup;
	struct event_log *log;
	struct faults faults;
	bool busy; /* what is logged while the log is written goes to supervisor.log only */
};

static uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void events_lines(void *arg, struct slice lines)
{
	struct events *e = arg;

	if (e->busy)
		return;
	e->busy = true;
	event_log_take(e->log, lines, monotime_now());
	e->busy = false;
}

static void load_faults(struct events *e)
{
	int fd = open(FAULTS_PATH, O_RDONLY | O_CLOEXEC);
	char *buf = xmalloc(FAULTS_FILE_MAX);
	ssize_t n = fd >= 0 ? read(fd, buf, FAULTS_FILE_MAX) : 0;

	if (n > 0)
		faults_parse(&e->faults, slice_of(buf, (size_t)n));
	if (fd >= 0)
		close(fd);
	free(buf);
}

/* The times are a convenience: not synced, so that a disk that hangs does not stop the supervisor;
 * and a disk that is full is told elsewhere. */
static void save_faults(const struct events *e)
{
	static const char fresh[] = FAULTS_PATH ".new";
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct str text = STR_INIT;
	bool ok;

	if (fd < 0)
		return;
	faults_format(&e->faults, &text);
	ok = write(fd, text.data, text.len) == (ssize_t)text.len;
	close(fd);
	if (!ok || rename(fresh, FAULTS_PATH) < 0)
		unlink(fresh);
	str_clear(&text);
}

struct events *events_new(struct sup *s, bool adopting)
{
	struct events *e = xcalloc(1, sizeof(*e));

	e->sup = s;
	e->log = event_log_new((size_t)s->cfg->log_event_bytes, (unsigned int)s->cfg->log_keep);
	if (adopting)
		load_faults(e);
	log_tap(events_lines, e);
	return e;
}

void events_free(struct events **ep)
{
	struct events *e = *ep;

	*ep = NULL;
	if (!e)
		return;
	log_tap(NULL, NULL);
	event_log_free(&e->log);
	faults_clear(&e->faults);
	free(e);
}

void events_limits(struct events *e)
{
	const struct config *cfg = e->sup->cfg;

	event_log_limits(e->log, (size_t)cfg->log_event_bytes, (unsigned int)cfg->log_keep);
}

static void stand_unit(struct events *e, const struct unit *u, uint64_t now)
{
	const char *alarm = status_alarm(u);

	if (alarm)
		faults_stand(&e->faults, u->name, alarm, now);
	if (u->core.state == SERVICE_BACKOFF && u->core.fails > 1) {
		char *text = xasprintf("it dies again and again; last end: %s", u->cause.data);

		faults_stand(&e->faults, u->name, text, now);
		free(text);
	}
}

void events_tick(struct events *e)
{
	struct sup *s = e->sup;
	uint64_t now = clock_ms();
	const char *alarm;

	faults_begin(&e->faults);
	for (size_t i = 0; i < s->nunits; i++)
		stand_unit(e, s->units[i], now);
	for (size_t i = 0; s->certs && certwatch_alarm(s->certs, i, &alarm); i++)
		if (alarm)
			faults_stand(&e->faults, "supervisor", alarm, now);
	/* Who has not registered yet cannot have said that all is well. */
	if (faults_end(&e->faults, s->phase == SUP_ADOPTING))
		save_faults(e);
	event_log_tick(e->log, monotime_now());
}

/* ---- requests */

void events_do_faults(struct control *c, const char *arg)
{
	struct events *e = control_sup(c)->events;
	struct str line = STR_INIT;

	(void)arg;
	events_tick(e);
	for (size_t i = 0; i < e->faults.count; i++) {
		const struct fault *f = &e->faults.list[i];

		str_reset(&line);
		str_addf(&line, "{\"since\":%llu,\"source\":", (unsigned long long)f->since_ms);
		json_text(&line, slice_str(f->source));
		str_adds(&line, ",\"text\":");
		json_text(&line, slice_str(f->text));
		str_addc(&line, '}');
		control_line(c, "%s", line.data);
	}
	control_end(c, "OK");
	str_clear(&line);
}

/* As old as its oldest process: a restart of one service does not begin it anew. */
static uint64_t uptime_s(const struct sup *s)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < s->nunits; i++) {
		const struct unit *u = s->units[i];
		uint64_t ms = service_is_running(&u->core)
				      ? monotime_ms_between(u->core.since, monotime_now())
				      : 0;

		if (ms > longest)
			longest = ms;
	}
	return longest / 1000;
}

void events_do_general(struct control *c, const char *arg)
{
	struct sup *s = control_sup(c);
	size_t running = 0, ready = 0;

	(void)arg;
	events_tick(s->events);
	for (size_t i = 0; i < s->nunits; i++) {
		running += !s->units[i]->retired;
		ready += s->units[i]->core.state == SERVICE_READY;
	}
	control_line(c,
		     "{\"uptime\":%llu,\"version\":\"%s\",\"services\":%zu,\"ready\":%zu,"
		     "\"faults\":%zu}",
		     (unsigned long long)uptime_s(s), ROUNDHOUSE_VERSION, running, ready,
		     s->events->faults.count);
	control_end(c, "OK");
}

/* From this machine's file alone: getpwuid() may ask a directory server, and wait for it. */
static void name_user(uid_t uid, struct str *out)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw = NULL;

	while (f && (pw = fgetpwent(f)) && pw->pw_uid != uid)
		;
	if (pw)
		str_adds(out, pw->pw_name);
	else
		str_addf(out, "uid %u", (unsigned int)uid);
	if (f)
		fclose(f);
}

void events_do_clear(struct control *c, const char *arg)
{
	struct events *e = control_sup(c)->events;
	struct str who = STR_INIT, why = STR_INIT;
	uint64_t count = 0;
	enum err err;

	(void)arg;
	name_user(control_uid(c), &who);
	err = event_log_clear(e->log, who.data, clock_ms(), &count, &why);
	if (err) {
		control_line(c, "%s", why.data);
		log_err("-", "event=event_log_not_cleared by=%s reason=%s",
			log_quote(str_slice(&who)), log_quote(str_slice(&why)));
	} else {
		str_addf(&why, "{\"cleared\":%llu,\"by\":", (unsigned long long)count);
		json_text(&why, str_slice(&who));
		control_line(c, "%s}", why.data);
		log_info("-", "event=event_log_cleared count=%llu by=%s", (unsigned long long)count,
			 log_quote(str_slice(&who)));
	}
	control_end(c, err_name(err));
	str_clear(&who);
	str_clear(&why);
}
