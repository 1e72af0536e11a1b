/*
 * Commands: run/supervisor.sock, 0600. A request is one record, a handler answers with lines and an
 * end, now or when the job is done. Tokens given to a connection end with it.
 */
#include "supervisor/sup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/channel.h"
#include "proc/config.h"
#include "proc/message.h"
#include "supervisor/events.h"

#define LINE_MAX_BYTES (MESSAGE_MAX - 16)

struct control {
	struct list link;
	struct sup *sup;
	struct channel *channel;
	bool busy; /* a request is being worked on */
	char cli[32];
	char *token; /* NULL: none given */
};

/* A value in a configuration file, which a reason repeats, may be of any length. */
static void shorten(struct str *line)
{
	if (line->len <= LINE_MAX_BYTES)
		return;
	line->len = LINE_MAX_BYTES;
	line->data[line->len] = '\0';
	str_adds(line, " ...");
}

void control_line(struct control *c, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	if (!c)
		return;
	str_addc(&text, ' ');
	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	shorten(&text);
	channel_send(c->channel, str_slice(&text), NULL, 0);
	str_clear(&text);
}

void control_end(struct control *c, const char *name)
{
	char text[64];

	if (!c)
		return;
	c->busy = false;
	snprintf(text, sizeof(text), "=%s", name);
	channel_send(c->channel, slice_str(text), NULL, 0);
}

void control_keep_alive(struct sup *s)
{
	list_each (it, &s->controls) {
		struct control *c = list_entry(it, struct control, link);

		if (c->busy)
			channel_send(c->channel, slice_str("."), NULL, 0);
	}
}

void control_each_token(struct sup *s,
			void (*announce)(void *arg, const char *instance, const char *token),
			void *arg)
{
	list_each (it, &s->controls) {
		struct control *c = list_entry(it, struct control, link);

		if (c->token)
			announce(arg, c->cli, c->token);
	}
}

struct sup *control_sup(const struct control *c)
{
	return c->sup;
}

uid_t control_uid(const struct control *c)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);

	getsockopt(channel_fd(c->channel), SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return cred.uid;
}

static void send_lines(struct control *c, char *text)
{
	for (char *line = text, *next; *line; line = next) {
		size_t n = strcspn(line, "\n");

		next = line + n + (line[n] != '\0');
		line[n] = '\0';
		control_line(c, "%s", line);
	}
}

static void do_status(struct control *c, const char *arg)
{
	struct str out = STR_INIT;

	if (strcmp(arg, "json") == 0)
		status_json(c->sup, &out);
	else
		status_table(c->sup, &out);
	if (out.len)
		send_lines(c, out.data);
	control_end(c, status_is_well(c->sup) ? "OK" : "AGAIN");
	str_clear(&out);
}

static void do_stop(struct control *c, const char *arg)
{
	(void)arg;
	log_info("-", "event=stop_requested");
	job_begin(c->sup, PLAN_STOP, NULL, c);
}

static void do_restart(struct control *c, const char *arg)
{
	bool pick[SUP_UNITS_MAX] = {false}, any = false;
	struct sup *s = c->sup;

	for (size_t i = 0; i < s->nunits; i++) {
		const struct unit *u = s->units[i];

		pick[i] = !u->retired && (strcmp(arg, "all") == 0 || strcmp(arg, u->name) == 0 ||
					  strcmp(arg, u->row->service) == 0);
		any = any || pick[i];
	}
	if (!any) {
		control_line(c, "no service or instance \"%s\"; `supervisor status` lists them",
			     arg);
		control_end(c, "NOTFOUND");
	} else if (s->phase != SUP_RUNNING || job_is_busy(s)) {
		control_line(c, "another start, stop or restart is under way; try again after it");
		control_end(c, "AGAIN");
	} else {
		log_info("-", "event=restart_requested what=%s", log_quote(slice_str(arg)));
		job_begin(s, PLAN_RESTART, pick, c);
	}
}

static void do_reload(struct control *c, const char *arg)
{
	(void)arg;
	reload_begin(c->sup, c);
}

static void do_commit(struct control *c, const char *arg)
{
	reload_commit(c->sup, c, strtoull(arg, NULL, 16));
}

static void do_log_level(struct control *c, const char *arg)
{
	size_t n = strcspn(arg, " ");
	const char *level = arg[n] ? arg + n + 1 : "";
	struct str m = STR_INIT;
	enum log_level parsed;
	bool all = n == 3 && memcmp(arg, "all", 3) == 0, known = all, told = false;

	message_begin(&m, "LOGLEVEL");
	message_add(&m, "level", level);
	if (!log_level_parse(level, &parsed)) {
		control_line(c, "\"%s\" is no level; use error, warn, info or debug", level);
		control_end(c, "FORMAT");
		goto out;
	}
	if (all || (n == 10 && memcmp(arg, "supervisor", 10) == 0)) {
		log_set_level(parsed);
		c->sup->own_level = parsed;
		known = told = true;
	}
	for (size_t i = 0; i < c->sup->nunits; i++) {
		struct unit *u = c->sup->units[i];

		if (!all && !slice_is(slice_of(arg, n), u->name) &&
		    !slice_is(slice_of(arg, n), u->row->service))
			continue;
		known = true;
		told |= peer_send(u, str_slice(&m), NULL, 0);
	}
	if (told)
		control_line(c,
			     "level %s until the next restart or reload; to keep it set log.level",
			     level);
	else
		control_line(c, "%s; `supervisor status` lists the services",
			     known ? "it is not running" : "no such service");
	control_end(c, told ? "OK" : "NOTFOUND");
out:
	str_clear(&m);
}

static bool router_is_up(const struct sup *s)
{
	for (size_t i = 0; i < s->nunits; i++)
		if (s->units[i]->row->is_router && s->units[i]->core.state == SERVICE_READY)
			return true;
	return false;
}

static void do_token(struct control *c, const char *arg)
{
	char token[65];

	if (strcmp(arg, "cli") != 0) {
		control_line(c, "tokens are given for \"cli\" only");
		control_end(c, "DENIED");
	} else if (!router_is_up(c->sup)) {
		control_line(c, "the router is not up; see `supervisor status`");
		control_end(c, "AGAIN");
	} else {
		if (!c->token) {
			snprintf(c->cli, sizeof(c->cli), "cli-%llu",
				 (unsigned long long)++c->sup->next_cli);
			random_hex(token, 32);
			c->token = xstrdup(token);
			xwipe(token, sizeof(token));
			peer_announce(c->sup, c->cli, "cli", c->token);
		}
		control_line(c, "%s %s", c->cli, c->token);
		control_end(c, "OK");
	}
}

static const struct {
	const char *word;
	void (*handle)(struct control *c, const char *arg);
} requests[] = {
	{"status", do_status},		{"stop", do_stop},
	{"restart", do_restart},	{"reload", do_reload},
	{"log-level", do_log_level},	{"token", do_token},
	{"faults", events_do_faults},	{"general", events_do_general},
	{"log-clear", events_do_clear}, {"commit", do_commit},
};

static void on_message(void *arg, struct slice text, int *fds, size_t nfds)
{
	struct control *c = arg;
	char *line = xstrndup(text.data, text.len);
	size_t n = strcspn(line, " ");
	const char *rest = line[n] ? line + n + 1 : "";

	(void)fds;
	(void)nfds;
	if (c->busy)
		goto out; /* one at a time */
	c->busy = true;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (slice_is(slice_of(line, n), requests[i].word)) {
			requests[i].handle(c, rest);
			goto out;
		}
	control_line(c, "unknown request; the command and the supervisor are of different builds");
	control_end(c, "UNSUPPORTED");
out:
	free(line);
}

static void control_free(struct control *c)
{
	job_forget(c->sup, c);
	reload_forget(c->sup, c);
	list_remove(&c->link);
	if (c->token) {
		peer_announce(c->sup, c->cli, "cli", NULL);
		xwipe(c->token, strlen(c->token));
		free(c->token);
	}
	channel_close(&c->channel);
	free(c);
}

static void on_close(void *arg)
{
	control_free(arg);
}

static const struct channel_events events = {.on_message = on_message, .on_close = on_close};

static void on_connection(void *arg, int ready)
{
	struct sup *s = arg;
	int fd;

	(void)ready;
	while ((fd = accept4(s->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct control *c = xcalloc(1, sizeof(*c));

		c->sup = s;
		list_append(&s->controls, &c->link);
		c->channel = channel_new(s->loop, fd, &events, c);
	}
}

bool control_listen(struct sup *s, struct str *why)
{
	s->control_fd = channel_listen("run", "supervisor.sock");
	if (s->control_fd < 0) {
		str_addf(why, "run/supervisor.sock: %s", strerror(errno));
		return false;
	}
	s->control_watch = loop_fd_new(s->loop, s->control_fd, LOOP_READ, on_connection, s);
	return true;
}

void control_close_all(struct sup *s)
{
	struct list *first;

	loop_fd_free(&s->control_watch);
	while ((first = list_first(&s->controls)))
		control_free(list_entry(first, struct control, link));
	if (s->control_fd >= 0)
		close(s->control_fd);
	s->control_fd = -1;
}
