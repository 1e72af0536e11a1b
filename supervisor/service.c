#include "supervisor/service.h"

static const char *const names[] = {
	[SERVICE_STOPPED] = "stopped",	 [SERVICE_ORPHAN] = "orphan",
	[SERVICE_STARTING] = "starting", [SERVICE_READY] = "ready",
	[SERVICE_BACKOFF] = "backoff",	 [SERVICE_DRAINING] = "draining",
	[SERVICE_KILLED] = "killed",
};

#define KILL_AGAIN_MS 1000
#define NEVER	      ((struct monotime){0})

const char *service_state_name(enum service_state state)
{
	return names[state];
}

bool service_is_running(const struct service *s)
{
	return s->state != SERVICE_STOPPED && s->state != SERVICE_BACKOFF;
}

static unsigned int spawn(struct service *s, struct monotime now)
{
	s->state = SERVICE_STARTING;
	s->since = now;
	s->due = NEVER;
	s->boots++;
	return SERVICE_SPAWN;
}

static unsigned int drain(struct service *s, const struct service_policy *p, struct monotime now)
{
	s->state = SERVICE_DRAINING;
	s->due = monotime_add_ms(now, p->drain_ms);
	return SERVICE_TERM;
}

static unsigned int on_start(struct service *s, const struct service_policy *p,
			     const struct service_event *ev, struct monotime now)
{
	(void)p;
	(void)ev;
	s->wanted = true;
	if (s->state == SERVICE_STOPPED || s->state == SERVICE_BACKOFF)
		return spawn(s, now);
	return 0;
}

static unsigned int on_stop(struct service *s, const struct service_policy *p,
			    const struct service_event *ev, struct monotime now)
{
	(void)ev;
	s->wanted = false;
	s->forgive = true;
	switch (s->state) {
	case SERVICE_BACKOFF:
		s->state = SERVICE_STOPPED;
		s->due = NEVER;
		return 0;
	case SERVICE_ORPHAN:
	case SERVICE_STARTING:
	case SERVICE_READY:
		return drain(s, p, now);
	case SERVICE_STOPPED:
	case SERVICE_DRAINING:
	case SERVICE_KILLED:
		return 0;
	}
	return 0;
}

static unsigned int on_restart(struct service *s, const struct service_policy *p,
			       const struct service_event *ev, struct monotime now)
{
	(void)ev;
	s->wanted = true;
	s->fails = 0;
	switch (s->state) {
	case SERVICE_STOPPED:
	case SERVICE_BACKOFF:
		return spawn(s, now);
	case SERVICE_ORPHAN:
	case SERVICE_STARTING:
	case SERVICE_READY:
		s->forgive = true;
		return drain(s, p, now);
	case SERVICE_DRAINING:
	case SERVICE_KILLED:
		s->forgive = true;
		return 0;
	}
	return 0;
}

static unsigned int on_found(struct service *s, const struct service_policy *p,
			     const struct service_event *ev, struct monotime now)
{
	(void)ev;
	s->state = SERVICE_ORPHAN;
	s->wanted = true;
	s->since = now;
	s->due = monotime_add_ms(now, p->adopt_ms);
	s->boots++;
	return 0;
}

static unsigned int on_adopted(struct service *s, const struct service_policy *p,
			       const struct service_event *ev, struct monotime now)
{
	(void)p;
	if (s->state != SERVICE_ORPHAN)
		return 0;
	s->state = ev->ready ? SERVICE_READY : SERVICE_STARTING;
	s->since = ev->since;
	s->ready_since = now;
	s->restarts = ev->restarts;
	s->due = NEVER;
	return 0;
}

static unsigned int on_ready(struct service *s, const struct service_policy *p,
			     const struct service_event *ev, struct monotime now)
{
	(void)p;
	(void)ev;
	if (s->state == SERVICE_STARTING) {
		s->state = SERVICE_READY;
		s->ready_since = now;
	}
	return 0;
}

static unsigned int on_unready(struct service *s, const struct service_policy *p,
			       const struct service_event *ev, struct monotime now)
{
	(void)p;
	(void)ev;
	(void)now;
	if (s->state == SERVICE_READY)
		s->state = SERVICE_STARTING;
	return 0;
}

/* The first restart is at once, then min, 2 min, 4 min ... max. */
static uint64_t delay_of(const struct service_policy *p, uint64_t fails)
{
	uint64_t delay = p->delay_min_ms;

	if (fails <= 1)
		return 0;
	for (uint64_t i = 2; i < fails && delay < p->delay_max_ms; i++)
		delay *= 2;
	return delay < p->delay_max_ms ? delay : p->delay_max_ms;
}

static unsigned int dead(struct service *s, const struct service_policy *p, struct monotime now)
{
	uint64_t delay;

	s->since = now;
	s->due = NEVER;
	if (!s->wanted) {
		s->state = SERVICE_STOPPED;
		s->forgive = false;
		return 0;
	}
	if (s->forgive) {
		s->forgive = false;
		return spawn(s, now);
	}
	s->fails++;
	s->restarts++;
	delay = delay_of(p, s->fails);
	if (delay == 0)
		return spawn(s, now);
	s->state = SERVICE_BACKOFF;
	s->due = monotime_add_ms(now, delay);
	return 0;
}

static unsigned int on_exit(struct service *s, const struct service_policy *p,
			    const struct service_event *ev, struct monotime now)
{
	(void)ev;
	if (!service_is_running(s))
		return 0;
	s->exits++;
	if (s->state == SERVICE_READY && monotime_ms_between(s->ready_since, now) >= p->healthy_ms)
		s->fails = 0;
	return dead(s, p, now);
}

/* Like a death, but never tried again at once: what prevents it is likely to last. */
static unsigned int on_spawn_failed(struct service *s, const struct service_policy *p,
				    const struct service_event *ev, struct monotime now)
{
	(void)ev;
	s->exits++;
	s->forgive = false;
	if (s->fails == 0)
		s->fails = 1;
	return dead(s, p, now);
}

static unsigned int on_tick(struct service *s, const struct service_policy *p,
			    const struct service_event *ev, struct monotime now)
{
	(void)p;
	(void)ev;
	if (s->due.us == 0 || monotime_before(now, s->due))
		return 0;
	s->due = NEVER;
	switch (s->state) {
	case SERVICE_BACKOFF:
		return spawn(s, now);
	case SERVICE_ORPHAN:
		/* It runs but does not speak: its state cannot be taken over. Start it anew. */
		s->forgive = true;
		return drain(s, p, now);
	case SERVICE_DRAINING:
	case SERVICE_KILLED:
		/* Again every second: an orphan's process may not have been found at first. */
		s->state = SERVICE_KILLED;
		s->due = monotime_add_ms(now, KILL_AGAIN_MS);
		return SERVICE_KILL;
	case SERVICE_STOPPED:
	case SERVICE_STARTING:
	case SERVICE_READY:
		return 0;
	}
	return 0;
}

static unsigned int (*const handlers[])(struct service *s, const struct service_policy *p,
					const struct service_event *ev, struct monotime now) = {
	[SERVICE_EV_START] = on_start,
	[SERVICE_EV_STOP] = on_stop,
	[SERVICE_EV_RESTART] = on_restart,
	[SERVICE_EV_FOUND] = on_found,
	[SERVICE_EV_ADOPTED] = on_adopted,
	[SERVICE_EV_READY] = on_ready,
	[SERVICE_EV_UNREADY] = on_unready,
	[SERVICE_EV_EXIT] = on_exit,
	[SERVICE_EV_SPAWN_FAILED] = on_spawn_failed,
	[SERVICE_EV_TICK] = on_tick,
};

unsigned int service_step(struct service *s, const struct service_policy *p,
			  const struct service_event *ev, struct monotime now)
{
	return handlers[ev->type](s, p, ev, now);
}
