#include "proc/sup_conn.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/channel.h"
#include "proc/message.h"

#define RETRY_MS 150

struct instance {
	struct list link;
	char *name;
	char *service;
	bool repeated; /* by the present supervisor */
};

struct sup_conn {
	struct loop *loop;
	const struct inherit *self;
	const struct sup_conn_events *events;
	void *arg;
	struct channel *channel; /* NULL while there is no supervisor */
	struct loop_timer *retry;
	struct list instances;
	char *alarm;
	bool ready;
	bool lost; /* was connected before: worth a log line */
};

static void send_message(struct sup_conn *c, const struct str *m)
{
	if (c->channel)
		channel_send(c->channel, str_slice(m), NULL, 0);
}

/* Not the lock: a copy of its descriptor on the way would outlive us. Not the files: opened anew.
 */
static void add_register(struct sup_conn *c, struct str *m, int *fds, size_t *nfds)
{
	struct inherit handed = *c->self;

	handed.nfds = *nfds = 0;
	for (size_t i = 0; i < c->self->nfds; i++) {
		if (c->self->fds[i].kind != INHERIT_LISTENER)
			continue;
		handed.fds[handed.nfds++] = c->self->fds[i];
		fds[(*nfds)++] = c->self->fds[i].fd;
	}
	inherit_format(m, "REGISTER", &handed);
	message_addu(m, "ready", c->ready);
	if (c->alarm)
		message_add(m, "alarm", c->alarm);
}

static struct instance *instance_find(struct sup_conn *c, const char *name)
{
	list_each (it, &c->instances) {
		struct instance *i = list_entry(it, struct instance, link);

		if (strcmp(i->name, name) == 0)
			return i;
	}
	return NULL;
}

static void instance_free(struct instance *i)
{
	list_remove(&i->link);
	free(i->name);
	free(i->service);
	free(i);
}

static void instance_alive(struct sup_conn *c, const char *name, const char *service,
			   const char *token)
{
	struct instance *i = instance_find(c, name);

	if (!i) {
		i = xcalloc(1, sizeof(*i));
		i->name = xstrdup(name);
		i->service = xstrdup(service);
		list_append(&c->instances, &i->link);
	}
	i->repeated = true;
	c->events->on_instance(c->arg, name, service, token);
}

static void instance_dead(struct sup_conn *c, struct instance *i)
{
	c->events->on_instance(c->arg, i->name, i->service, NULL);
	instance_free(i);
}

static void on_instance(struct sup_conn *c, struct slice text, int *fds, size_t nfds)
{
	char *name = message_get(text, "instance"), *service = message_get(text, "service");
	char *token = message_get(text, "token");
	struct instance *i = name ? instance_find(c, name) : NULL;

	(void)fds;
	(void)nfds;
	if (name && service && token)
		instance_alive(c, name, service, token);
	else if (i && message_getu(text, "dead", 0))
		instance_dead(c, i);
	if (token)
		xwipe(token, strlen(token));
	free(name);
	free(service);
	free(token);
}

/* The end of a repetition: who was not in it died while nobody watched. */
static void on_instances(struct sup_conn *c, struct slice text, int *fds, size_t nfds)
{
	(void)text;
	(void)fds;
	(void)nfds;
	list_each_safe (it, &c->instances) {
		struct instance *i = list_entry(it, struct instance, link);

		if (!i->repeated)
			instance_dead(c, i);
	}
	if (c->events->on_instances)
		c->events->on_instances(c->arg);
}

static void on_reload(struct sup_conn *c, struct slice text, int *fds, size_t nfds)
{
	struct inherit in;

	if (inherit_parse(&in, text, fds, nfds)) {
		log_err("-", "event=supervisor_message_refused verb=RELOAD reason=malformed "
			     "next=\"restart this service\"");
		return;
	}
	if (c->events->on_reload(c->arg, &in))
		for (size_t i = 0; i < nfds; i++)
			fds[i] = -1;
	inherit_clear(&in);
}

static void on_files(struct sup_conn *c, struct slice text, int *fds, size_t nfds)
{
	struct inherit in;

	if (inherit_parse(&in, text, fds, nfds)) {
		log_err("-", "event=supervisor_message_refused verb=FILES reason=malformed "
			     "next=\"restart this service\"");
		return;
	}
	c->events->on_files(c->arg, &in);
	for (size_t i = 0; i < nfds; i++)
		fds[i] = -1;
	inherit_clear(&in);
}

static void on_level(struct sup_conn *c, struct slice text, int *fds, size_t nfds)
{
	char *level = message_get(text, "level");

	(void)fds;
	(void)nfds;
	if (level)
		c->events->on_level(c->arg, level);
	free(level);
}

static const struct {
	const char *verb;
	void (*handle)(struct sup_conn *c, struct slice text, int *fds, size_t nfds);
} verbs[] = {
	{"INSTANCE", on_instance}, {"INSTANCES", on_instances}, {"RELOAD", on_reload},
	{"LOGLEVEL", on_level},	   {"FILES", on_files},
};

static void on_message(void *arg, struct slice text, int *fds, size_t nfds)
{
	struct sup_conn *c = arg;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (message_is(text, verbs[i].verb))
			verbs[i].handle(c, text, fds, nfds);
}

static void on_close(void *arg)
{
	struct sup_conn *c = arg;

	channel_close(&c->channel);
	if (!c->lost)
		log_warn("-",
			 "event=supervisor_lost next=\"supervisor start adopts this process\"");
	c->lost = true;
	list_each (it, &c->instances)
		list_entry(it, struct instance, link)->repeated = false;
	loop_timer_set(c->retry, RETRY_MS, RETRY_MS);
}

static const struct channel_events channel_events = {
	.on_message = on_message,
	.on_close = on_close,
};

static void try_connect(void *arg)
{
	struct sup_conn *c = arg;
	int fds[INHERIT_FDS_MAX], fd = channel_connect(SUP_CONN_DIR, SUP_CONN_NAME);
	struct str m = STR_INIT;
	size_t nfds;

	if (fd < 0) {
		loop_timer_set(c->retry, RETRY_MS, RETRY_MS);
		return;
	}
	loop_timer_stop(c->retry);
	c->channel = channel_new(c->loop, fd, &channel_events, c);
	add_register(c, &m, fds, &nfds);
	channel_send(c->channel, str_slice(&m), fds, nfds);
	if (c->lost)
		log_info("-", "event=supervisor_found ready=%d", c->ready);
	c->lost = false;
	xwipe(m.data, m.len);
	str_clear(&m);
}

struct sup_conn *sup_conn_new(struct loop *loop, const struct inherit *self,
			      const struct sup_conn_events *events, void *arg)
{
	struct sup_conn *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->self = self;
	c->events = events;
	c->arg = arg;
	list_init(&c->instances);
	c->retry = loop_timer_new(loop, try_connect, c);
	try_connect(c);
	return c;
}

void sup_conn_free(struct sup_conn **cp)
{
	struct sup_conn *c = *cp;
	struct list *first;

	*cp = NULL;
	if (!c)
		return;
	channel_close(&c->channel);
	loop_timer_free(&c->retry);
	while ((first = list_first(&c->instances)))
		instance_free(list_entry(first, struct instance, link));
	free(c->alarm);
	free(c);
}

void sup_conn_ready(struct sup_conn *c, bool ready)
{
	struct str m = STR_INIT;

	if (c->ready == ready)
		return;
	c->ready = ready;
	message_begin(&m, "READY");
	message_addu(&m, "ready", ready);
	send_message(c, &m);
	str_clear(&m);
}

void sup_conn_alarm(struct sup_conn *c, const char *text)
{
	struct str m = STR_INIT;

	free(c->alarm);
	c->alarm = text && *text ? xstrdup(text) : NULL;
	message_begin(&m, "ALARM");
	message_add(&m, "text", text ? text : "");
	send_message(c, &m);
	str_clear(&m);
}

void sup_conn_applied(struct sup_conn *c, uint64_t generation, const char *error)
{
	struct str m = STR_INIT;

	message_begin(&m, "APPLIED");
	message_addu(&m, "generation", generation);
	if (error)
		message_add(&m, "error", error);
	send_message(c, &m);
	str_clear(&m);
}
