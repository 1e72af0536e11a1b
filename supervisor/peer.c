/* The services' connections: run/service.sock. What they say is checked before it is believed. */
#include "supervisor/sup.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/channel.h"
#include "proc/config.h"
#include "proc/inherit.h"
#include "proc/message.h"
#include "proc/sup_conn.h"
#include "supervisor/certwatch.h"
#include "supervisor/events.h"
#include "supervisor/holder.h"
#include "supervisor/layout.h"
#include "supervisor/sockets.h"

/* One connection; once registered the unit has it. */
struct peer {
	struct list link;
	struct sup *sup;
	struct unit *unit; /* NULL until REGISTER */
	struct channel *channel;
};

void peer_drop(struct peer **pp)
{
	struct peer *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	list_remove(&p->link);
	channel_close(&p->channel);
	free(p);
}

bool peer_send(struct unit *u, struct slice text, const int *fds, size_t nfds)
{
	if (u->peer)
		channel_send(u->peer->channel, text, fds, nfds);
	return u->peer != NULL;
}

static void send_instance(struct unit *router, const char *instance, const char *service,
			  const char *token)
{
	struct str m = STR_INIT;

	message_begin(&m, "INSTANCE");
	message_add(&m, "instance", instance);
	message_add(&m, "service", service);
	if (token)
		message_add(&m, "token", token);
	else
		message_addu(&m, "dead", 1);
	peer_send(router, str_slice(&m), NULL, 0);
	xwipe(m.data, m.len);
	str_clear(&m);
}

void peer_announce(struct sup *s, const char *instance, const char *service, const char *token)
{
	for (size_t i = 0; i < s->nunits; i++)
		if (s->units[i]->row->is_router && strcmp(s->units[i]->name, instance) != 0)
			send_instance(s->units[i], instance, service, token);
}

static void announce_cli(void *arg, const char *instance, const char *token)
{
	struct unit *router = arg;

	send_instance(router, instance, "cli", token);
}

static void send_end(struct unit *router)
{
	peer_send(router, slice_str("INSTANCES"), NULL, 0);
}

/* A router that has just registered hears of everybody. */
static void announce_all(struct unit *router)
{
	struct sup *s = router->sup;

	for (size_t i = 0; i < s->nunits; i++)
		if (s->units[i] != router && s->units[i]->token)
			send_instance(router, s->units[i]->name, s->units[i]->row->service,
				      s->units[i]->token);
	control_each_token(s, announce_cli, router);
	/* While adoption goes on the list is not complete: nobody is to be held for dead. */
	if (s->phase != SUP_ADOPTING)
		send_end(router);
}

void peer_announce_end(struct sup *s)
{
	for (size_t i = 0; i < s->nunits; i++)
		if (s->units[i]->row->is_router)
			send_end(s->units[i]);
}

/* Only the instance's own process ever got the lock's descriptor. It is not asked to send it: a
 * copy on its way here would keep the lock beyond the process's death. */
static bool holds_lock(const struct unit *u, pid_t pid)
{
	char *path = xasprintf("run/%s.lock", u->name);
	bool holds = holder_has_file(pid, path);

	free(path);
	return holds;
}

static const char *refusal(struct unit *u, const struct inherit *in, const struct ucred *cred)
{
	if (!u)
		return "unknown instance";
	if (strcmp(u->row->service, in->service) != 0)
		return "another service's instance";
	if (!holds_lock(u, cred->pid))
		return "it does not hold the lock";
	if (u->core.state == SERVICE_ORPHAN)
		return NULL;
	if (!service_is_running(&u->core) || u->pid != cred->pid)
		return "not the process that runs as this instance";
	if (!u->token || strcmp(u->token, in->token) != 0)
		return "wrong token";
	return NULL;
}

static void adopt(struct unit *u, struct inherit *in, int *fds, const struct ucred *cred,
		  bool ready)
{
	struct service_event ev = {.type = SERVICE_EV_ADOPTED,
				   .since = holder_start(cred->pid),
				   .restarts = in->restarts,
				   .ready = ready};

	if (u->pid != cred->pid) {
		int pidfd = pidfd_open(cred->pid, 0);

		if (pidfd < 0)
			return; /* it has just died; its lock tells */
		unit_set_process(u, cred->pid, pidfd, false);
	}
	for (size_t i = 0; i < in->nfds; i++) {
		const struct inherit_fd *f = &in->fds[i];

		if (f->kind == INHERIT_LISTENER &&
		    sockets_adopt(u->sup->sockets, u->row->service, f->name,
				  f->addr ? f->addr : "?", f->fd))
			fds[i] = -1;
	}
	free(u->token);
	u->token = xstrdup(in->token);
	u->sup->adopted = true;
	log_info("-", "event=service_adopted instance=%s pid=%d ready=%d", u->name, (int)cred->pid,
		 ready);
	peer_announce(u->sup, u->name, u->row->service, u->token);
	sup_event(u, &ev);
}

/* Said once when it begins and once when it is over: a service that connects again repeats it. */
static void set_alarm(struct unit *u, char *text)
{
	char *old = u->alarm;

	u->alarm = text && *text ? text : NULL;
	if (text && !*text)
		free(text);
	if (u->alarm && (!old || strcmp(old, u->alarm) != 0))
		log_warn("-", "event=alarm instance=%s text=%s", u->name,
			 log_quote(slice_str(u->alarm)));
	else if (!u->alarm && old)
		log_info("-", "event=alarm_off instance=%s text=%s", u->name,
			 log_quote(slice_str(old)));
	free(old);
	if (u->sup->events)
		events_tick(u->sup->events);
}

static void set_ready(struct unit *u, bool ready)
{
	struct service_event ev = {.type = ready ? SERVICE_EV_READY : SERVICE_EV_UNREADY};

	log_info("-", "event=%s instance=%s", ready ? "service_ready" : "service_unready", u->name);
	sup_event(u, &ev);
}

static void on_register(struct peer *p, struct slice text, int *fds, size_t nfds)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);
	struct inherit in;
	struct unit *u;
	const char *why;
	bool ready = message_getu(text, "ready", 0) != 0;

	getsockopt(channel_fd(p->channel), SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (inherit_parse(&in, text, fds, nfds)) {
		log_warn("-", "event=register_refused pid=%d reason=malformed", (int)cred.pid);
		return;
	}
	u = sup_find(p->sup, in.instance);
	why = refusal(u, &in, &cred);
	if (why) {
		log_warn("-",
			 "event=register_refused instance=%s pid=%d reason=\"%s\" next=\"stop that "
			 "process if it is not known\"",
			 log_quote(slice_str(in.instance)), (int)cred.pid, why);
		inherit_clear(&in);
		return;
	}
	peer_drop(&u->peer);
	p->unit = u;
	u->peer = p;
	u->generation = in.generation;
	set_alarm(u, message_get(text, "alarm"));
	if (u->row->is_router)
		announce_all(u);
	if (u->core.state == SERVICE_ORPHAN)
		adopt(u, &in, fds, &cred, ready);
	else if (ready)
		set_ready(u, ready);
	/* While adoption goes on not all sockets are known: then at its end. */
	if (p->sup->phase != SUP_ADOPTING && u->generation != p->sup->generation)
		reload_send(u);
	if (u->files_owed)
		certwatch_catch_up(p->sup->certs, u);
	inherit_clear(&in);
}

static void on_applied(struct unit *u, struct slice text)
{
	char *error = message_get(text, "error");

	free(u->behind);
	u->behind = error;
	if (!error)
		u->generation = message_getu(text, "generation", u->generation);
	reload_applied(u->sup);
}

static void on_message(void *arg, struct slice text, int *fds, size_t nfds)
{
	struct peer *p = arg;

	if (!p->unit && message_is(text, "REGISTER"))
		on_register(p, text, fds, nfds);
	else if (!p->unit)
		return;
	else if (message_is(text, "READY"))
		set_ready(p->unit, message_getu(text, "ready", 0) != 0);
	else if (message_is(text, "ALARM"))
		set_alarm(p->unit, message_get(text, "text"));
	else if (message_is(text, "APPLIED"))
		on_applied(p->unit, text);
}

/* Its death, if it is that, is told by the pidfd; a live one connects again. */
static void on_close(void *arg)
{
	struct peer *p = arg;

	if (p->unit)
		p->unit->peer = NULL;
	peer_drop(&p);
}

static const struct channel_events events = {.on_message = on_message, .on_close = on_close};

static void on_connection(void *arg, int ready)
{
	struct sup *s = arg;
	int fd;

	(void)ready;
	while ((fd = accept4(s->peer_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct peer *p = xcalloc(1, sizeof(*p));

		p->sup = s;
		list_append(&s->peers, &p->link);
		p->channel = channel_new(s->loop, fd, &events, p);
	}
}

bool peer_listen(struct sup *s, struct str *why)
{
	struct group *gr = geteuid() == 0 ? getgrnam(s->cfg->users_group) : NULL;
	const char *path = SUP_CONN_DIR "/" SUP_CONN_NAME;

	s->peer_fd = channel_listen(SUP_CONN_DIR, SUP_CONN_NAME);
	if (s->peer_fd < 0 || (gr && (chown(path, 0, gr->gr_gid) < 0 || chmod(path, 0660) < 0))) {
		str_addf(why, "%s: %s", path, strerror(errno));
		return false;
	}
	s->peer_watch = loop_fd_new(s->loop, s->peer_fd, LOOP_READ, on_connection, s);
	return true;
}

void peer_close_all(struct sup *s)
{
	struct list *first;

	loop_fd_free(&s->peer_watch);
	while ((first = list_first(&s->peers))) {
		struct peer *p = list_entry(first, struct peer, link);

		if (p->unit)
			p->unit->peer = NULL;
		peer_drop(&p);
	}
	if (s->peer_fd >= 0)
		close(s->peer_fd);
	s->peer_fd = -1;
}
