#include "callbridge/bridge_plan.h"

#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "callbridge/bridge_retry.h"

void bridge_plan_init(struct bridge_plan *p, const struct bridge_plan_config *cfg)
{
	memset(p, 0, sizeof(*p));
	p->cfg = *cfg;
}

void bridge_plan_static(struct bridge_plan *p, const char *host, uint16_t port)
{
	size_t n = strlen(host);

	check(p->cfg.is_static && n < SRV_TARGET_MAX);
	p->ntargets = 1;
	p->at = 0;
	p->targets[0] = (struct srv_record){.port = port};
	memcpy(p->targets[0].target, host, n + 1);
}

void bridge_plan_set(struct bridge_plan *p, const struct bridge_plan_config *cfg)
{
	p->cfg = *cfg;
}

struct bridge_step bridge_plan_begin(struct bridge_plan *p)
{
	p->at = 0;
	p->only_dns = true;
	p->live = false;
	if (p->cfg.is_static)
		return (struct bridge_step){.what = BRIDGE_DO_CONNECT};
	p->ntargets = 0;
	return (struct bridge_step){.what = BRIDGE_DO_LOOKUP};
}

static bool same_server(const struct srv_record *a, const struct srv_record *b)
{
	return a->port == b->port && strcasecmp(a->target, b->target) == 0;
}

/* What was lost goes behind all others, whatever its priority. */
static void move_bad_last(struct bridge_plan *p)
{
	for (size_t i = 0; p->bad.port && i + 1 < p->ntargets; i++)
		if (same_server(&p->targets[i], &p->bad)) {
			struct srv_record bad = p->targets[i];

			memmove(&p->targets[i], &p->targets[i + 1],
				(p->ntargets - i - 1) * sizeof(bad));
			p->targets[p->ntargets - 1] = bad;
			break;
		}
	p->bad.port = 0;
}

struct bridge_step bridge_plan_found(struct bridge_plan *p, const struct srv_record *targets,
				     size_t n)
{
	check(n > 0 && !p->cfg.is_static);
	p->ntargets = n < SRV_TARGETS_MAX ? n : SRV_TARGETS_MAX;
	memcpy(p->targets, targets, p->ntargets * sizeof(*targets));
	p->at = 0;
	move_bad_last(p);
	return (struct bridge_step){.what = BRIDGE_DO_CONNECT};
}

static struct bridge_step wait_for_next(struct bridge_plan *p, uint32_t random)
{
	struct bridge_step s = {.what = BRIDGE_DO_WAIT};

	if (p->only_dns)
		s.wait_ms = p->cfg.dns_retry_ms;
	else
		s.wait_ms = bridge_retry_ms(p->cfg.retry_min_ms, p->cfg.retry_max_ms, p->failures++,
					    random);
	return s;
}

struct bridge_step bridge_plan_failed(struct bridge_plan *p, enum bridge_cause cause,
				      uint32_t random)
{
	if (cause != BRIDGE_CAUSE_DNS)
		p->only_dns = false;
	if (p->at + 1 < p->ntargets) {
		p->at++;
		return (struct bridge_step){.what = BRIDGE_DO_CONNECT};
	}
	return wait_for_next(p, random);
}

void bridge_plan_live(struct bridge_plan *p, struct monotime now)
{
	p->live = true;
	p->since = now;
}

struct bridge_step bridge_plan_lost(struct bridge_plan *p, struct monotime now, uint32_t random)
{
	check(p->live);
	p->live = false;
	if (!p->cfg.is_static)
		p->bad = p->targets[p->at];
	if (monotime_ms_between(p->since, now) >= p->cfg.stable_ms) {
		p->failures = 0;
		p->hurried = false;
	}
	if (!p->hurried) {
		p->hurried = true;
		return bridge_plan_begin(p);
	}
	p->only_dns = false;
	return wait_for_next(p, random);
}

const struct srv_record *bridge_plan_target(const struct bridge_plan *p)
{
	return p->at < p->ntargets ? &p->targets[p->at] : NULL;
}
