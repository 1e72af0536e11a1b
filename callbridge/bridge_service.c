#include "callbridge/bridge_service.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "callbridge/bridge.h"
#include "callbridge/bridge_report.h"
#include "net/loop.h"
#include "proc/proc.h"

struct bridge_service {
	struct proc *proc;
	struct bridge *bridge;
	struct bridge_report *report;
	char *name; /* under which it reports */
};

static void on_fault(void *arg, const char *text)
{
	const struct bridge_service *s = arg;

	proc_alarm(s->proc, text);
}

static void on_stopped(void *arg)
{
	const struct bridge_service *s = arg;

	proc_drained(s->proc);
}

static enum err load(const struct bridge_service *s, struct bridge_settings *out, struct str *why)
{
	const struct config *cfg = proc_config(s->proc);
	int fd = proc_file(s->proc, BRIDGE_SERVICE_SECRET);
	enum err e = bridge_settings_load(out, cfg, why);

	if (e != ERR_OK)
		return e;
	e = fd >= 0 ? bridge_settings_read_secret(out, fd, cfg->bridge_secret_file, why)
		    : bridge_settings_read_secret_file(out, cfg->bridge_secret_file, why);
	if (e != ERR_OK)
		bridge_settings_clear(out);
	return e;
}

static enum err open_report(struct bridge_service *s, struct str *why)
{
	const char *name = bridge_name(s->bridge);

	if (s->name && strcmp(s->name, name) == 0)
		return ERR_OK;
	bridge_report_close(&s->report);
	free(s->name);
	s->name = xstrdup(name);
	return bridge_report_open(&s->report, proc_loop(s->proc), s->bridge, name, why);
}

static void add_counters(void *arg, struct str *out)
{
	const struct bridge_service *s = arg;

	bridge_counters(s->bridge, out);
}

static enum err begin(struct bridge_service *s, struct str *why)
{
	struct bridge_host host = {on_fault, on_stopped, s, -1};
	struct bridge_settings settings;
	struct resolver_config dns;
	enum err e = load(s, &settings, why);

	if (e != ERR_OK)
		return e;
	bridge_settings_dns(&dns, proc_config(s->proc));
	e = bridge_new(&s->bridge, proc_loop(s->proc), &settings, &dns, &host, why);
	return e == ERR_OK ? open_report(s, why) : e;
}

enum err bridge_service_init(struct proc *p, void **state)
{
	struct bridge_service *s = xcalloc(1, sizeof(*s));
	struct str why = STR_INIT;
	enum err e;

	*state = s;
	s->proc = p;
	e = begin(s, &why);
	if (e == ERR_OK) {
		proc_metrics(p, add_counters, s);
		/* Ready means that it tries; whether it is connected is told by the alarm. */
		proc_ready(p, true);
	} else {
		log_err("-", "event=start_failed reason=%s", log_quote(str_slice(&why)));
	}
	str_clear(&why);
	return e;
}

void bridge_service_deinit(void *state)
{
	struct bridge_service *s = state;

	if (!s)
		return;
	bridge_report_close(&s->report);
	bridge_free(&s->bridge);
	free(s->name);
	free(s);
}

bool bridge_service_check(const struct config *cfg, char *why, size_t whylen)
{
	struct bridge_settings settings;
	struct resolver_config dns;
	struct str reason = STR_INIT;
	enum err e;

	/* What is not run may be half said: it is set step by step. */
	if (!cfg->bridge_enabled)
		return true;
	bridge_settings_dns(&dns, cfg);
	e = bridge_settings_load(&settings, cfg, &reason);
	if (e == ERR_OK) {
		bridge_settings_clear(&settings);
		e = resolver_check(&dns, &reason);
	}
	if (e != ERR_OK)
		snprintf(why, whylen, "%s", reason.data);
	str_clear(&reason);
	return e == ERR_OK;
}

void bridge_service_reload(void *state, const struct config *old)
{
	struct bridge_service *s = state;
	struct bridge_settings settings;
	struct resolver_config dns;
	struct str why = STR_INIT;
	enum err e;

	(void)old;
	if (!proc_config(s->proc)->bridge_enabled)
		return; /* it is being stopped */
	e = load(s, &settings, &why);
	bridge_settings_dns(&dns, proc_config(s->proc));
	if (e == ERR_OK)
		e = bridge_change(s->bridge, &settings, &dns, &why);
	if (e == ERR_OK)
		e = open_report(s, &why);
	if (e != ERR_OK)
		log_err("-", "event=reload_failed reason=%s next=\"what stood before goes on\"",
			log_quote(str_slice(&why)));
	str_clear(&why);
}

void bridge_service_drain(void *state)
{
	struct bridge_service *s = state;

	log_info("-", "event=drain");
	bridge_stop(s->bridge);
}
