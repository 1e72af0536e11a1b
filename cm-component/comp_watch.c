/*
 * comp_watch - looks at the connections while they are busy: what of the deliveries has left
 * SIOCOUTQ (CUSTODY 14), who takes nothing any more, who sends more bytes a second than he may.
 *
 * One timer each, which runs only while somebody is in its list.
 */
#include "base/log.h"
#include "cm-component/comp_service.h"

#define LOOK_MS	     20
#define LOOK_SOON_MS 1 /* when something comes from the component, an acknowledgement came too */
#define THROTTLE_MS  50
#define LOG_PERIOD   60000

/* In flight */

void comp_watch_queued(struct comp_conn *c, uint64_t q)
{
	struct comp *s = c->comp;

	if (hold_is_enabled(c->session)) /* told by <a/> */
		return;
	if (list_empty(&c->fly)) {
		if (list_empty(&s->flying))
			loop_timer_set(s->watch_timer, LOOK_MS, LOOK_MS);
		list_append(&s->flying, &c->fly);
		c->progress = loop_now(s->loop);
	}
	comp_flight_queue(&c->flight, q, conn_queued(c->conn));
}

void comp_watch_written(struct comp_conn *c, uint64_t total)
{
	comp_flight_written(&c->flight, total, conn_sent(c->conn));
}

void comp_watch_end(struct comp_conn *c)
{
	comp_flight_clear(&c->flight);
	list_remove(&c->fly);
}

void comp_watch_look(struct comp_conn *c)
{
	struct monotime now = loop_now(c->comp->loop);
	uint64_t left, q;

	c->looked = now;
	if (!c->session || !comp_flight_has_sent(&c->flight))
		return;
	left = conn_left(c->conn);
	if (left != c->left)
		c->progress = now;
	c->left = left;
	q = comp_flight_left(&c->flight, left);
	if (q)
		hold_delivered(c->session, q);
	if (comp_flight_is_empty(&c->flight))
		list_remove(&c->fly);
}

void comp_watch_bytes(struct comp_conn *c)
{
	if (comp_flight_has_sent(&c->flight) &&
	    monotime_ms_between(c->looked, loop_now(c->comp->loop)) >= LOOK_SOON_MS)
		comp_watch_look(c);
}

static void watch(struct comp_conn *c)
{
	uint64_t most = c->comp->settings.write_timeout_ms;

	comp_watch_look(c);
	if (c->dead || list_empty(&c->fly)) {
		if (c->end_reason)
			comp_conn_end_session(c, c->end_reason);
		return;
	}
	if (monotime_ms_between(c->progress, loop_now(c->comp->loop)) >= most)
		comp_conn_lost(c, "connection-timeout", "you take nothing of what is sent to you");
}

void comp_watch_tick(void *arg)
{
	struct comp *s = arg;

	list_each_safe (it, &s->flying)
		watch(list_entry(it, struct comp_conn, fly));
	if (list_empty(&s->flying))
		loop_timer_stop(s->watch_timer);
}

/* Bytes a second. Nothing is dropped: the bytes stay in the kernel, and the peer's TCP slows down.
 * What was read before the limit was noticed is used and owed. */

static struct cm_rate rate_of(const struct comp_conn *c)
{
	struct cm_rate r = c->comp->settings.rate_after;

	if (c->stranger)
		return c->comp->settings.rate_before;
	if (c->account.bytes_per_second) {
		r.units = c->account.bytes_per_second;
		if (r.burst > 4 * r.units)
			r.burst = 4 * r.units;
	}
	return r;
}

static void say(struct comp_conn *c, const struct cm_rate *r, struct monotime now)
{
	c->comp->stats.throttled++;
	if (c->throttle_logged.us && monotime_ms_between(c->throttle_logged, now) < LOG_PERIOD)
		return;
	c->throttle_logged = now;
	log_warn(c->name,
		 "event=throttled reason=\"more bytes a second than it may send: it is read more "
		 "slowly\" limit=%llu bytes_in=%llu addr=%s hint=\"see %s\"",
		 (unsigned long long)r->units, (unsigned long long)conn_read(c->conn),
		 conn_addr(c->conn),
		 c->stranger		       ? "limits.bytes_per_second_unauthenticated"
		 : c->account.bytes_per_second ? "xmpp component set"
					       : "cm-component.bytes_per_second");
}

void comp_throttle_read(struct comp_conn *c, size_t len)
{
	const struct cm_rate r = rate_of(c);
	struct monotime now = loop_now(c->comp->loop);

	if (!cm_rate_take(&c->rate, &r, len, now) || c->is_throttled)
		return;
	c->is_throttled = true; /* comp_update_reading() is next and pauses it */
	say(c, &r, now);
}

void comp_throttle_wait(struct comp_conn *c)
{
	struct comp *s = c->comp;

	if (list_empty(&s->throttled))
		loop_timer_set(s->throttle_timer, THROTTLE_MS, 0);
	list_append(&s->throttled, &c->wait);
}

void comp_throttle_tick(void *arg)
{
	struct comp *s = arg;
	struct monotime now = loop_now(s->loop);
	struct list waiting, *l;

	list_init(&waiting);
	while ((l = list_first(&s->throttled))) {
		list_remove(l);
		list_append(&waiting, l);
	}
	while ((l = list_first(&waiting))) {
		struct comp_conn *c = list_entry(l, struct comp_conn, wait);
		const struct cm_rate r = rate_of(c);

		list_remove(l);
		if (cm_rate_is_over(c->rate, &r, now)) {
			comp_throttle_wait(c);
			continue;
		}
		c->is_throttled = false;
		comp_feed_more(c);
	}
}
