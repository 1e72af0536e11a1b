#include "cli/common/bus_client.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/list.h"
#include "base/xmem.h"
#include "ipc/bus.h"
#include "net/loop.h"
#include "proc/sup_client.h"

/* Behind the datastore's own limit, so that its reason arrives before our deadline. */
#define STORE_MARGIN_MS 500

#define TOKEN_RETRY_MS 100

#define POSTS_BYTES ((size_t)4 * 1024 * 1024) /* under way */

/* Lists are paged; this bounds what a broken router could make us keep. */
#define LINES_MAX ((size_t)256 * 1024 * 1024)

/* The one question under way. */
struct question {
	uint16_t type; /* MSG_STORE, MSG_ADMIN; 0 = none */
	uint64_t id;
	struct slice command; /* ADMIN */
	struct slice bytes;   /* ADMIN: args; STORE: the record */
	struct bus_client_answer *answer;
	const struct bus_client_watch *watch; /* NULL: the answer is kept */
	bool put; /* on the link; a link that resumes brings it over by itself */
	bool done;
	enum err result;
};

/* One record of many whose answer is not waited for. */
struct post {
	struct list link;
	uint64_t id;
	struct str record;
	bus_client_done *done; /* NULL: forgotten */
	void *arg;
	bool put;
};

struct bus_client {
	char *dir;
	struct sup_client *sup;
	const char *instance, *token; /* the sup_client's */
	struct loop *loop;
	struct loop_timer *deadline;
	struct bus *bus;
	unsigned int deadline_ms;
	uint64_t last_id;
	struct question q;
	struct list posts; /* in order */
	size_t nposts, post_bytes;
	size_t pump_to; /* the loop is left when there are no more posts than that */
	bool progress;
	bool was_up;
};

static void finish(struct bus_client *c, enum err result)
{
	c->q.done = true;
	c->q.result = result;
	loop_stop(c->loop);
}

static void put_question(struct bus_client *c)
{
	struct question *q = &c->q;
	struct link *l = bus_link(c->bus);

	str_reset(&q->answer->text);
	str_reset(&q->answer->body);
	if (q->type == MSG_STORE)
		link_put_store(l, &(struct msg_store){bus_boot(c->bus), q->id,
						      c->deadline_ms > 2 * STORE_MARGIN_MS
							      ? c->deadline_ms - STORE_MARGIN_MS
							      : c->deadline_ms,
						      q->bytes});
	else
		link_put_admin(l, &(struct msg_admin){q->id, q->command, q->bytes});
	bus_urgent(c->bus);
	q->put = true;
}

static void put_post(struct bus_client *c, struct post *p)
{
	link_put_store(bus_link(c->bus),
		       &(struct msg_store){bus_boot(c->bus), p->id, c->deadline_ms,
					   str_slice(&p->record)});
	p->put = true;
}

static void post_free(struct bus_client *c, struct post *p)
{
	list_remove(&p->link);
	c->nposts--;
	c->post_bytes -= p->record.len;
	xwipe(p->record.data, p->record.len);
	str_clear(&p->record);
	free(p);
}

/* A router that has never heard of us has not heard our question either. */
static void on_up(void *arg, bool fresh)
{
	struct bus_client *c = arg;

	if (c->q.type && !c->q.done && (fresh || !c->q.put)) {
		if (c->q.put && c->q.watch)
			c->q.watch->on_again(c->q.watch->arg);
		put_question(c);
	}
	list_each (it, &c->posts) {
		struct post *p = list_entry(it, struct post, link);

		if (fresh || !p->put)
			put_post(c, p);
	}
	c->was_up = true;
}

/* false: it is not the answer to a post. */
static bool on_post_stored(struct bus_client *c, struct slice body)
{
	struct msg_stored m;

	if (msg_stored_get(body, &m) != ERR_OK || m.op_boot != bus_boot(c->bus))
		return false;
	list_each (it, &c->posts) {
		struct post *p = list_entry(it, struct post, link);

		if (p->id != m.op_n)
			continue;
		c->progress = true;
		if (p->done)
			p->done(p->arg, (enum err)m.status, m.text);
		post_free(c, p);
		if (!c->q.type && c->nposts <= c->pump_to)
			loop_stop(c->loop);
		return true;
	}
	return false;
}

static void on_stored(struct bus_client *c, struct slice body)
{
	struct question *q = &c->q;
	struct msg_stored m;

	if (msg_stored_get(body, &m) != ERR_OK) {
		finish(c, ERR_FORMAT);
		return;
	}
	if (m.op_boot != bus_boot(c->bus) || m.op_n != q->id)
		return;
	q->answer->status = (enum err)m.status;
	str_add_slice(&q->answer->text, m.text);
	str_add_slice(&q->answer->body, m.body);
	finish(c, ERR_OK);
}

static void on_admin_reply(struct bus_client *c, struct slice body)
{
	struct question *q = &c->q;
	struct msg_admin_reply m;

	if (msg_admin_reply_get(body, &m) != ERR_OK) {
		finish(c, ERR_FORMAT);
		return;
	}
	if (m.req != q->id)
		return;
	q->answer->status = (enum err)m.status;
	if (m.status != ERR_OK)
		str_add_slice(&q->answer->text, m.text);
	else if (q->watch)
		q->watch->on_text(q->watch->arg, m.text);
	else
		str_add_slice(&q->answer->body, m.text);
	if (q->answer->body.len > LINES_MAX)
		finish(c, ERR_TOOBIG);
	else if (!m.more || m.status != ERR_OK)
		finish(c, ERR_OK);
}

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct bus_client *c = arg;

	if (type == MSG_STORED && on_post_stored(c, body))
		return;
	if (c->q.done || !c->q.type)
		return;
	if (type == MSG_STORED && c->q.type == MSG_STORE)
		on_stored(c, body);
	else if (type == MSG_ADMIN_REPLY && c->q.type == MSG_ADMIN)
		on_admin_reply(c, body);
}

static void on_deadline(void *arg)
{
	finish(arg, ERR_TIMEOUT);
}

static const struct bus_events events = {.on_up = on_up, .on_record = on_record};

static void explain_open(struct str *why, enum err e, const char *dir)
{
	switch (e) {
	case ERR_CLOSED:
		str_addf(why, "no server is running in %s; start it with 'supervisor -C %s start'",
			 dir, dir);
		break;
	case ERR_AGAIN:
		str_addf(why, "the router is not up; see 'supervisor -C %s status'", dir);
		break;
	case ERR_DENIED:
		str_addf(why, "the supervisor in %s belongs to another user; run this as that user",
			 dir);
		break;
	default:
		str_addf(why,
			 "the supervisor in %s did not give an identity on the bus (%s); see "
			 "'supervisor -C %s status' and its log",
			 dir, err_text(e), dir);
	}
}

/* A router that died comes back within a moment: no reason to fail. */
static enum err get_token(struct bus_client *c)
{
	struct monotime end = monotime_add_ms(monotime_now(), c->deadline_ms);
	enum err e;

	while ((e = sup_client_token(c->sup, &c->instance, &c->token)) == ERR_AGAIN &&
	       monotime_before(monotime_now(), end))
		usleep(TOKEN_RETRY_MS * 1000);
	return e;
}

enum err bus_client_open(struct bus_client **out, const char *dir, unsigned int deadline_ms,
			 struct str *why)
{
	struct bus_client *c = xcalloc(1, sizeof(*c));
	enum err e;

	*out = NULL;
	list_init(&c->posts);
	c->dir = xstrdup(dir);
	c->deadline_ms = deadline_ms;
	if (chdir(dir) != 0) {
		int error = errno;

		str_addf(why, "instance directory %s: %s; ", dir, strerror(error));
		if (error == EACCES)
			str_adds(why,
				 "run this as the instance's administrator (root or its owner)");
		else
			str_addf(why, "make one with 'supervisor -C %s init'", dir);
		bus_client_close(&c);
		return ERR_IO;
	}
	e = sup_client_open(&c->sup, ".");
	if (e == ERR_OK)
		e = get_token(c);
	if (e != ERR_OK) {
		explain_open(why, e, dir);
		bus_client_close(&c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

void bus_client_close(struct bus_client **cp)
{
	struct bus_client *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	while (c->nposts)
		post_free(c, list_entry(list_first(&c->posts), struct post, link));
	bus_close(&c->bus);
	if (c->loop) {
		loop_timer_free(&c->deadline);
		loop_free(&c->loop);
	}
	sup_client_close(&c->sup);
	free(c->dir);
	free(c);
}

void bus_client_answer_clear(struct bus_client_answer *a)
{
	xwipe(a->body.data, a->body.len);
	str_clear(&a->text);
	str_clear(&a->body);
	a->status = ERR_OK;
}

static void explain_failure(const struct bus_client *c, struct str *why)
{
	double seconds = c->deadline_ms / 1000.0;

	str_reset(why);
	if (c->q.result == ERR_TIMEOUT && !c->was_up)
		str_addf(why,
			 "the router did not accept this command within %g s; see "
			 "'supervisor -C %s status' and 'supervisor -C %s logs router'",
			 seconds, c->dir, c->dir);
	else if (c->q.result == ERR_TIMEOUT)
		str_addf(why,
			 "no answer from the %s within %g s (it may still carry this out); see "
			 "'supervisor -C %s status'",
			 c->q.type == MSG_STORE ? "datastore" : "router", seconds, c->dir);
	else
		str_addf(why,
			 "the answer was not understood (%s); is a service of another version "
			 "running? 'supervisor -C %s restart all' starts the installed ones",
			 err_text(c->q.result), c->dir);
}

static void open_bus(struct bus_client *c)
{
	if (!c->loop) {
		c->loop = loop_new();
		c->deadline = loop_timer_new(c->loop, on_deadline, c);
	}
	if (!c->bus)
		c->bus = bus_open(c->loop, "run/bus/router", "cli", c->instance, c->token, &events,
				  c);
}

/* Asks q and runs the loop until it is answered or the deadline has passed. */
static enum err ask(struct bus_client *c, struct question q, unsigned int ms)
{
	c->q = q;
	c->q.id = ++c->last_id;
	open_bus(c);
	if (bus_is_up(c->bus))
		put_question(c);
	loop_timer_set(c->deadline, ms, 0);
	loop_run(c->loop);
	loop_timer_stop(c->deadline);
	check(c->q.done);
	if (c->q.result != ERR_OK)
		explain_failure(c, &c->q.answer->text);
	c->q.type = 0;
	return c->q.result;
}

/* The deadline is that of the next answer, not of all. */
static enum err pump(struct bus_client *c, size_t upto, struct str *why)
{
	c->pump_to = upto;
	while (c->nposts > upto) {
		c->progress = false;
		loop_timer_set(c->deadline, c->deadline_ms, 0);
		loop_run(c->loop);
		loop_timer_stop(c->deadline);
		if (c->progress)
			continue;
		c->q = (struct question){.type = MSG_STORE, .result = ERR_TIMEOUT};
		explain_failure(c, why);
		c->q.type = 0;
		return ERR_TIMEOUT;
	}
	return ERR_OK;
}

enum err bus_client_post(struct bus_client *c, struct slice record, bus_client_done *done,
			 void *arg, struct str *why)
{
	struct post *p = xcalloc(1, sizeof(*p));

	open_bus(c);
	p->id = ++c->last_id;
	p->done = done;
	p->arg = arg;
	str_init(&p->record);
	str_add_slice(&p->record, record);
	list_append(&c->posts, &p->link);
	c->nposts++;
	c->post_bytes += record.len;
	if (bus_is_up(c->bus))
		put_post(c, p);
	if (c->nposts < BUS_CLIENT_POSTS && c->post_bytes < POSTS_BYTES)
		return ERR_OK;
	/* Half of them at once, so that not each one is a turn of its own. */
	return pump(c, c->nposts / 2, why);
}

enum err bus_client_flush(struct bus_client *c, struct str *why)
{
	return pump(c, 0, why);
}

void bus_client_forget(struct bus_client *c)
{
	list_each (it, &c->posts)
		list_entry(it, struct post, link)->done = NULL;
}

enum err bus_client_store(struct bus_client *c, struct slice record, struct bus_client_answer *out)
{
	return ask(c, (struct question){.type = MSG_STORE, .bytes = record, .answer = out},
		   c->deadline_ms);
}

enum err bus_client_admin(struct bus_client *c, const char *command, struct slice args,
			  struct bus_client_answer *out)
{
	return ask(c,
		   (struct question){.type = MSG_ADMIN,
				     .command = slice_str(command),
				     .bytes = args,
				     .answer = out},
		   c->deadline_ms);
}

enum err bus_client_watch(struct bus_client *c, const char *command, struct slice args,
			  unsigned int ms, const struct bus_client_watch *watch,
			  struct bus_client_answer *out)
{
	return ask(c,
		   (struct question){.type = MSG_ADMIN,
				     .command = slice_str(command),
				     .bytes = args,
				     .answer = out,
				     .watch = watch},
		   ms);
}
