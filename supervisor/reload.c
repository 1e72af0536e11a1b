/*
 * reload - a new configuration: judged by every program, put in force for all, or refused whole.
 *
 * Nothing changes before the last judgement is in. Then the file that services are given is
 * replaced and RELOAD goes out; a service that cannot apply it shows as behind.
 */
#include "supervisor/sup.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/channel.h"
#include "proc/config.h"
#include "proc/inherit.h"
#include "supervisor/certset.h"
#include "supervisor/certwatch.h"
#include "supervisor/checker.h"
#include "supervisor/logfile.h"

#define APPLY_MS 10000

struct reload {
	struct control *requester;
	struct config *cfg;    /* NULL once it is in force */
	struct certset *certs; /* that it names; the same */
	struct checker *checker;
	struct monotime deadline; /* for the services to apply it */
};

void reload_free(struct sup *s)
{
	struct reload *r = s->reload;

	s->reload = NULL;
	if (!r)
		return;
	checker_free(&r->checker);
	config_free(&r->cfg);
	certset_free(&r->certs);
	free(r);
}

void reload_forget(struct sup *s, const struct control *requester)
{
	if (s->reload && s->reload->requester == requester)
		s->reload->requester = NULL;
}

static void end(struct sup *s, const char *result)
{
	struct control *requester = s->reload->requester;

	reload_free(s);
	control_end(requester, result);
}

static void refuse(struct sup *s, const char *reasons)
{
	struct control *c = s->reload->requester;

	control_line(c, "refused, nothing has changed:");
	while (*reasons) {
		size_t n = strcspn(reasons, "\n");

		log_err("-", "event=reload_refused reason=\"%.*s\"", (int)n, reasons);
		control_line(c, "%.*s", (int)n, reasons);
		reasons += n + (reasons[n] != '\0');
	}
	end(s, "FORMAT");
}

static void send_reload(struct unit *u)
{
	struct str m = STR_INIT, why = STR_INIT;
	int fds[INHERIT_FDS_MAX];
	struct inherit in;

	inherit_init(&in);
	in.service = xstrdup(u->row->service);
	in.instance = xstrdup(u->name);
	in.config = xstrdup(SUP_ACCEPTED_CONF);
	in.generation = u->sup->generation;
	if (unit_add_files(u->sup, u->row, &in, &why)) {
		inherit_format(&m, "RELOAD", &in);
		for (size_t i = 0; i < in.nfds; i++)
			fds[i] = in.fds[i].fd;
		peer_send(u, str_slice(&m), fds, in.nfds);
	} else {
		free(u->behind);
		u->behind = xstrdup(why.data);
		log_err("-", "event=reload_incomplete instance=%s reason=\"%s\"", u->name,
			why.data);
	}
	unit_close_files(&in);
	inherit_clear(&in);
	str_clear(&m);
	str_clear(&why);
}

/* The number of instances may have changed. */
static void adjust_units(struct sup *s)
{
	for (size_t r = 0; r < table_len; r++) {
		const struct table_row *row = &table_rows[r];

		for (size_t i = 0; i < table_instances(row, s->cfg); i++) {
			struct service_event ev = {.type = SERVICE_EV_START};
			char name[TABLE_NAME_MAX];
			struct unit *u;

			table_instance_name(row, i, name);
			u = sup_find(s, name);
			if (!u)
				u = sup_add_unit(s, row, name);
			if (!u)
				continue;
			u->retired = false;
			if (!u->core.wanted)
				sup_event(u, &ev);
		}
	}
	for (size_t i = 0; i < s->nunits; i++) {
		struct service_event ev = {.type = SERVICE_EV_STOP};
		struct unit *u = s->units[i];
		char name[TABLE_NAME_MAX];
		bool wanted = false;

		for (size_t k = 0; k < table_instances(u->row, s->cfg) && !wanted; k++) {
			table_instance_name(u->row, k, name);
			wanted = strcmp(name, u->name) == 0;
		}
		if (!wanted && !u->retired) {
			u->retired = true;
			sup_event(u, &ev);
		}
	}
}

static void apply(struct sup *s)
{
	struct reload *r = s->reload;
	struct str why = STR_INIT;

	if (!sup_accept_config(s, r->cfg, s->generation + 1, &why)) {
		refuse(s, why.data);
		str_clear(&why);
		return;
	}
	r->cfg = NULL;
	certwatch_replace(s->certs, r->certs);
	r->certs = NULL;
	log_info("-", "event=config_accepted generation=%llu", (unsigned long long)s->generation);
	for (size_t i = 0; i < s->nunits; i++)
		if (service_is_running(&s->units[i]->core))
			send_reload(s->units[i]);
	adjust_units(s);
	r->deadline = monotime_add_ms(loop_now(s->loop), APPLY_MS);
	reload_applied(s);
	sup_step(s);
	str_clear(&why);
}

static void warn(struct sup *s, const char *lines)
{
	while (*lines) {
		size_t n = strcspn(lines, "\n");

		log_warn("-", "event=config_warning reason=\"%.*s\"", (int)n, lines);
		control_line(s->reload->requester, "warning: %.*s", (int)n, lines);
		lines += n + (lines[n] != '\0');
	}
}

static void on_checked(void *arg, const char *reasons)
{
	struct sup *s = arg;
	struct str copy = STR_INIT;

	str_adds(&copy, reasons);
	warn(s, checker_warnings(s->reload->checker));
	checker_free(&s->reload->checker);
	if (copy.len)
		refuse(s, copy.data);
	else
		apply(s);
	str_clear(&copy);
}

void reload_begin(struct sup *s, struct control *requester)
{
	struct str why = STR_INIT;
	struct reload *r;

	if (s->reload || s->phase != SUP_RUNNING) {
		control_line(requester, "a start, stop or reload is under way; try again after it");
		control_end(requester, "AGAIN");
		return;
	}
	r = s->reload = xcalloc(1, sizeof(*r));
	r->requester = requester;
	if (config_load(&r->cfg, CONFIG_PATH, &why) || config_needs_restart(s->cfg, r->cfg, &why) ||
	    certset_new(&r->certs, r->cfg, &why) || certset_missing(r->certs, false, &why))
		refuse(s, why.data);
	else
		r->checker = checker_start(s->loop, &(struct checker_request){.bin = s->bin,
									      .path = CONFIG_PATH,
									      .cfg = r->cfg,
									      .files = r->certs,
									      .on_done = on_checked,
									      .arg = s});
	str_clear(&why);
}

static bool is_waited_for(const struct unit *u)
{
	return u->peer && service_is_running(&u->core) && !u->behind &&
	       u->generation != u->sup->generation;
}

static void finish(struct sup *s)
{
	struct control *c = s->reload->requester;
	bool behind = false;

	for (size_t i = 0; i < s->nunits; i++) {
		const struct unit *u = s->units[i];

		if (!service_is_running(&u->core) || u->generation == s->generation)
			continue;
		behind = true;
		control_line(c, "%s is behind: %s", u->name,
			     u->behind ? u->behind : "it has not answered");
	}
	control_line(c, "configuration %llu is in force%s", (unsigned long long)s->generation,
		     behind ? ", but not everywhere; restart what is behind" : "");
	end(s, behind ? "CONFLICT" : "OK");
}

void reload_applied(struct sup *s)
{
	if (!s->reload || s->reload->cfg)
		return;
	for (size_t i = 0; i < s->nunits; i++)
		if (is_waited_for(s->units[i]))
			return;
	finish(s);
}

void reload_tick(struct sup *s)
{
	if (s->reload && !s->reload->cfg &&
	    !monotime_before(loop_now(s->loop), s->reload->deadline))
		finish(s);
}
