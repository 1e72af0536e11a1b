/* Start, stop and restart as a sequence (plan.h), with progress for whoever asked. */
#include "supervisor/sup.h"

#include "base/log.h"
#include "net/loop.h"
#include "proc/config.h"

#define QUICK_DEATHS 3 /* a start in which a service dies so often is given up at once */

static const enum service_event_type orders[] = {
	[PLAN_START] = SERVICE_EV_START,
	[PLAN_STOP] = SERVICE_EV_STOP,
	[PLAN_RESTART] = SERVICE_EV_RESTART,
};

static const char *const words[] = {
	[PLAN_START] = "starting", [PLAN_STOP] = "stopping", [PLAN_RESTART] = "restarting"};

bool job_is_busy(const struct sup *s)
{
	return s->job.plan.kind != PLAN_NONE;
}

void job_forget(struct sup *s, const struct control *requester)
{
	if (s->job.requester == requester)
		s->job.requester = NULL;
}

static void new_deadline(struct sup *s)
{
	struct job *j = &s->job;
	uint64_t ms = (uint64_t)s->cfg->start_ms;

	if (j->plan.kind == PLAN_RESTART)
		ms += (uint64_t)s->cfg->drain_ms;
	/* A stop ends by itself: what does not drain is killed. */
	j->deadline = j->plan.kind == PLAN_STOP ? (struct monotime){0}
						: monotime_add_ms(loop_now(s->loop), ms);
}

void job_begin(struct sup *s, enum plan_kind kind, const bool *pick, struct control *requester)
{
	struct plan_view views[SUP_UNITS_MAX];
	struct job *j = &s->job;
	size_t n = sup_views(s, views);

	/* A stop takes the place of whatever is under way. */
	if (j->requester) {
		control_line(j->requester, "given up: %s was asked for",
			     kind == PLAN_STOP ? "a stop" : "something else");
		control_end(j->requester, "CLOSED");
	}
	plan_begin(&j->plan, kind);
	if (kind == PLAN_RESTART)
		plan_add_ranked(&j->plan, views, pick, n);
	if (kind == PLAN_STOP)
		s->phase = SUP_STOPPING;
	j->requester = requester;
	for (size_t i = 0; i < n; i++)
		j->exits[i] = s->units[i]->core.exits;
	new_deadline(s);
	sup_step(s);
}

static void say(struct sup *s, const char *what, const struct unit *u)
{
	control_line(s->job.requester, "%s %s", what, u->name);
	if (s->job.plan.kind == PLAN_START)
		sup_report(s, "%s %s", what, u->name);
}

static void done(struct sup *s)
{
	enum plan_kind kind = s->job.plan.kind;
	struct control *requester = s->job.requester;

	s->job.plan.kind = PLAN_NONE;
	s->job.requester = NULL;
	if (kind == PLAN_START) {
		s->phase = SUP_RUNNING;
		log_info("-", "event=all_ready");
		sup_report_end(s, 0);
	} else if (kind == PLAN_RESTART) {
		control_line(requester, "done, all are ready");
		control_end(requester, "OK");
	} else {
		log_info("-", "event=all_stopped");
		control_line(requester, "stopped");
		control_end(requester, "OK");
		loop_stop(s->loop);
	}
}

static void explain(const struct unit *u, struct str *out)
{
	str_addf(out, "%s is not ready: %s", u->name, service_state_name(u->core.state));
	if (u->cause.len)
		str_addf(out, "; last end: %s", u->cause.data);
	if (u->alarm)
		str_addf(out, "; alarm: %s", u->alarm);
	status_last_error(u, out);
}

/* The start did not come to its end. What has been adopted is not torn down for that. */
static void start_failed(struct sup *s, const struct unit *u)
{
	struct str why = STR_INIT;

	explain(u, &why);
	log_err("-", "event=start_failed reason=%s", why.data);
	sup_report(s, "%s", why.data);
	if (s->adopted) {
		sup_report(s, "what runs already goes on; see `supervisor status`");
		s->job.plan.kind = PLAN_NONE;
		s->phase = SUP_RUNNING;
		sup_report_end(s, 1);
	} else {
		sup_report(s, "start failed, stopping what was started");
		s->exit_code = 1;
		job_begin(s, PLAN_STOP, NULL, NULL);
	}
	str_clear(&why);
}

static void restart_failed(struct sup *s, const struct unit *u)
{
	struct str why = STR_INIT;

	explain(u, &why);
	log_err("-", "event=restart_failed reason=%s", why.data);
	control_line(s->job.requester, "%s", why.data);
	control_line(s->job.requester, "given up; the supervisor goes on trying to start it");
	control_end(s->job.requester, "CONFLICT");
	s->job.requester = NULL;
	s->job.plan.kind = PLAN_NONE;
	str_clear(&why);
}

static bool is_hopeless(const struct sup *s, size_t who)
{
	const struct unit *u = s->units[who];

	if (s->job.deadline.us && !monotime_before(loop_now(s->loop), s->job.deadline))
		return true;
	return s->job.plan.kind == PLAN_START && !s->adopted && u->core.state == SERVICE_BACKOFF &&
	       u->core.exits - s->job.exits[who] >= QUICK_DEATHS;
}

void job_step(struct sup *s)
{
	struct plan_view views[SUP_UNITS_MAX];
	struct job *j = &s->job;

	while (j->plan.kind != PLAN_NONE) {
		size_t n = sup_views(s, views), who = 0;
		enum plan_verdict v = plan_step(&j->plan, views, n, &who);
		struct service_event ev = {.type = orders[j->plan.kind]};
		struct unit *u = s->units[who];

		if (v == PLAN_DONE) {
			done(s);
		} else if (v == PLAN_ACT) {
			say(s, words[j->plan.kind], u);
			new_deadline(s);
			unit_carry_out(u,
				       service_step(&u->core, &s->policy, &ev, loop_now(s->loop)));
		} else if (j->plan.kind != PLAN_STOP && is_hopeless(s, who)) {
			if (j->plan.kind == PLAN_START)
				start_failed(s, u);
			else
				restart_failed(s, u);
		} else {
			return;
		}
	}
}
