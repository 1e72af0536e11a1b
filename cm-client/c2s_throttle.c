/*
 * c2s_throttle - bytes/s of one connection: who is faster is not read for a while.
 *
 * Nothing is dropped: the bytes stay in the kernel, and the peer's TCP slows down. What was read
 * before the limit was noticed (at most the read buffer of net/conn) is used and owed. All who wait
 * are in one list, looked at by one timer that runs only while somebody is in it.
 */
#include "base/log.h"
#include "cm-client/c2s_service.h"

#define TICK_MS	   50
#define LOG_PERIOD 60000

static const struct cm_rate *rate_of(const struct c2s_conn *c)
{
	return c->stranger ? &c->c2s->settings.rate_before : &c->c2s->settings.rate_after;
}

static void say(struct c2s_conn *c, const struct cm_rate *r, struct monotime now)
{
	c->c2s->stats.throttled++;
	if (c->throttle_logged.us && monotime_ms_between(c->throttle_logged, now) < LOG_PERIOD)
		return;
	c->throttle_logged = now;
	log_warn(c->name,
		 "event=throttled reason=\"more bytes a second than one connection may send: it is "
		 "read more slowly\" limit=%llu bytes_in=%llu addr=%s hint=\"see %s\"",
		 (unsigned long long)r->units, (unsigned long long)conn_read(c->conn),
		 conn_addr(c->conn),
		 c->stranger ? "limits.bytes_per_second_unauthenticated"
			     : "limits.bytes_per_second");
}

void c2s_throttle_read(struct c2s_conn *c, size_t len)
{
	const struct cm_rate *r = rate_of(c);
	struct monotime now = loop_now(c->c2s->loop);

	if (!cm_rate_take(&c->rate, r, len, now) || c->throttled)
		return;
	c->throttled = true; /* c2s_update_reading() is next and pauses it */
	say(c, r, now);
}

void c2s_throttle_wait(struct c2s_conn *c)
{
	struct c2s *s = c->c2s;

	if (list_empty(&s->throttled))
		loop_timer_set(s->throttle_timer, TICK_MS, 0);
	list_append(&s->throttled, &c->wait);
}

void c2s_throttle_tick(void *arg)
{
	struct c2s *s = arg;
	struct monotime now = loop_now(s->loop);
	struct list waiting, *l;

	list_init(&waiting);
	while ((l = list_first(&s->throttled))) {
		list_remove(l);
		list_append(&waiting, l);
	}
	while ((l = list_first(&waiting))) {
		struct c2s_conn *c = list_entry(l, struct c2s_conn, wait);

		list_remove(l);
		if (cm_rate_is_over(c->rate, rate_of(c), now)) {
			c2s_throttle_wait(c);
			continue;
		}
		c->throttled = false;
		c2s_feed_more(c);
	}
}
