#include "net/loop.h"

#include <stdlib.h>
#include <uv.h>

#include "base/check.h"
#include "base/list.h"
#include "base/xmem.h"

struct loop {
	uv_loop_t uv;
	uv_check_t turn;
	uv_prepare_t prepare;
	struct list hooks[LOOP_LAST + 1];
	struct list changed;	/* struct loop_fd, until the end of the turn */
	struct list *next_hook; /* while hooks run: where to go on, mended by loop_hook_free() */
	uv_idle_t idle;
	bool idle_on;
	struct monotime now;
	uint64_t turns;
};

/* Every watch starts with its uv handle, so that one close callback serves all. */
struct loop_fd {
	union {
		uv_handle_t handle;
		uv_poll_t poll;
	} uv;
	void (*on_ready)(void *arg, int events);
	void *arg;
	struct loop *loop;
	struct list changed;
	int want; /* what loop_fd_set() said last */
	int told; /* what libuv was told */
};

struct loop_timer {
	union {
		uv_handle_t handle;
		uv_timer_t timer;
	} uv;
	void (*on_timer)(void *arg);
	void *arg;
};

struct loop_hook {
	struct list link;
	struct loop *loop;
	void (*on_turn)(void *arg);
	void *arg;
};

struct loop_signal {
	union {
		uv_handle_t handle;
		uv_signal_t signal;
	} uv;
	void (*on_signal)(void *arg);
	void *arg;
};

static void on_close(uv_handle_t *h)
{
	free(h->data);
}

static void on_turn_start(uv_check_t *c)
{
	struct loop *l = c->data;

	l->now = monotime_now();
	l->turns++;
	if (l->idle_on) {
		uv_idle_stop(&l->idle);
		l->idle_on = false;
	}
}

static void on_idle(uv_idle_t *i)
{
	(void)i;
}

static void tell_changes(struct loop *l);

static void on_turn_end(uv_prepare_t *p)
{
	struct loop *l = p->data;

	for (int stage = LOOP_FIRST; stage <= LOOP_LAST; stage++) {
		struct list *head = &l->hooks[stage];

		for (struct list *it = head->next; it != head; it = l->next_hook) {
			struct loop_hook *h = list_entry(it, struct loop_hook, link);

			l->next_hook = it->next;
			h->on_turn(h->arg);
		}
	}
	l->next_hook = NULL;
	tell_changes(l);
}

struct loop *loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	check(uv_loop_init(&l->uv) == 0);
	check(uv_check_init(&l->uv, &l->turn) == 0);
	check(uv_idle_init(&l->uv, &l->idle) == 0);
	check(uv_prepare_init(&l->uv, &l->prepare) == 0);
	for (int stage = LOOP_FIRST; stage <= LOOP_LAST; stage++)
		list_init(&l->hooks[stage]);
	list_init(&l->changed);
	l->turn.data = l;
	l->prepare.data = l;
	l->idle.data = l;
	l->now = monotime_now();
	check(uv_check_start(&l->turn, on_turn_start) == 0);
	check(uv_prepare_start(&l->prepare, on_turn_end) == 0);
	return l;
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	uv_close((uv_handle_t *)&l->turn, NULL);
	uv_close((uv_handle_t *)&l->idle, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	check(uv_loop_close(&l->uv) == 0);
	free(l);
}

void loop_run(struct loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

struct monotime loop_now(const struct loop *l)
{
	return l->now;
}

uint64_t loop_turns(const struct loop *l)
{
	return l->turns;
}

static int events_to_uv(int events)
{
	return (events & LOOP_READ ? UV_READABLE : 0) | (events & LOOP_WRITE ? UV_WRITABLE : 0);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct loop_fd *w = p->data;
	int got = (events & UV_READABLE ? LOOP_READ : 0) | (events & UV_WRITABLE ? LOOP_WRITE : 0);

	/* An error is told as readable: the owner's read() meets it and knows best. libuv has
	 * stopped the watch then. */
	if (status < 0) {
		w->told = 0;
		got = LOOP_READ;
	} else {
		got &= w->want; /* it may have changed since libuv was told */
	}
	if (got)
		w->on_ready(w->arg, got);
}

struct loop_fd *loop_fd_new(struct loop *l, int fd, int events,
			    void (*on_ready)(void *arg, int events), void *arg)
{
	struct loop_fd *w = xcalloc(1, sizeof(*w));

	w->on_ready = on_ready;
	w->arg = arg;
	check(uv_poll_init(&l->uv, &w->uv.poll, fd) == 0);
	w->uv.handle.data = w;
	w->loop = l;
	list_init(&w->changed);
	loop_fd_set(w, events);
	return w;
}

void loop_fd_set(struct loop_fd *w, int events)
{
	w->want = events;
	if (list_empty(&w->changed))
		list_append(&w->loop->changed, &w->changed);
}

/* Each change costs two calls of the kernel, and what one callback of a turn sets another often
 * takes back: so libuv is told once, before it waits. */
static void tell_changes(struct loop *l)
{
	struct list *it;

	while ((it = list_first(&l->changed))) {
		struct loop_fd *w = list_entry(it, struct loop_fd, changed);

		list_remove(it);
		if (w->want == w->told)
			continue;
		w->told = w->want;
		if (w->want)
			check(uv_poll_start(&w->uv.poll, events_to_uv(w->want), on_poll) == 0);
		else
			uv_poll_stop(&w->uv.poll);
	}
}

void loop_fd_free(struct loop_fd **wp)
{
	if (*wp) {
		list_remove(&(*wp)->changed);
		uv_close(&(*wp)->uv.handle, on_close);
	}
	*wp = NULL;
}

static void on_timer(uv_timer_t *t)
{
	struct loop_timer *w = t->data;

	w->on_timer(w->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*cb)(void *arg), void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));

	t->on_timer = cb;
	t->arg = arg;
	check(uv_timer_init(&l->uv, &t->uv.timer) == 0);
	t->uv.handle.data = t;
	return t;
}

void loop_timer_set(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
	check(uv_timer_start(&t->uv.timer, on_timer, after_ms, repeat_ms) == 0);
}

void loop_timer_stop(struct loop_timer *t)
{
	uv_timer_stop(&t->uv.timer);
}

void loop_timer_free(struct loop_timer **tp)
{
	if (*tp)
		uv_close(&(*tp)->uv.handle, on_close);
	*tp = NULL;
}

struct loop_hook *loop_hook_new_at(struct loop *l, enum loop_stage stage,
				   void (*on_turn)(void *arg), void *arg)
{
	struct loop_hook *h = xcalloc(1, sizeof(*h));

	h->loop = l;
	h->on_turn = on_turn;
	h->arg = arg;
	list_append(&l->hooks[stage], &h->link);
	return h;
}

struct loop_hook *loop_hook_new(struct loop *l, void (*on_turn)(void *arg), void *arg)
{
	return loop_hook_new_at(l, LOOP_NORMAL, on_turn, arg);
}

void loop_hook_free(struct loop_hook **hp)
{
	struct loop_hook *h = *hp;

	*hp = NULL;
	if (!h)
		return;
	if (h->loop->next_hook == &h->link)
		h->loop->next_hook = h->link.next;
	list_remove(&h->link);
	free(h);
}

void loop_wake(struct loop *l)
{
	if (l->idle_on)
		return;
	l->idle_on = true;
	check(uv_idle_start(&l->idle, on_idle) == 0);
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct loop_signal *w = s->data;

	(void)signum;
	w->on_signal(w->arg);
}

struct loop_signal *loop_signal_new(struct loop *l, int signum, void (*cb)(void *arg), void *arg)
{
	struct loop_signal *w = xcalloc(1, sizeof(*w));

	w->on_signal = cb;
	w->arg = arg;
	check(uv_signal_init(&l->uv, &w->uv.signal) == 0);
	w->uv.handle.data = w;
	check(uv_signal_start(&w->uv.signal, on_signal, signum) == 0);
	return w;
}

void loop_signal_free(struct loop_signal **sp)
{
	if (*sp)
		uv_close(&(*sp)->uv.handle, on_close);
	*sp = NULL;
}
