/*
 * reload - a new configuration: judged by every program, put in force for all, or refused whole.
 *
 * Nothing changes before the last judgement is in. Then the file that services are given is
 * replaced and RELOAD goes out; a service that cannot apply it shows as behind.
 */
#include "supervisor/sup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/channel.h"
#include "proc/config.h"
#include "proc/config_set.h"
#include "proc/inherit.h"
#include "supervisor/certset.h"
#include "supervisor/certwatch.h"
#include "supervisor/checker.h"
#include "supervisor/layout.h"
#include "supervisor/logfile.h"
#include "supervisor/secrets.h"
#include "supervisor/sockets.h"

#define APPLY_MS 10000

struct reload {
	struct control *requester;
	struct config *cfg;    /* NULL once it is in force */
	struct certset *certs; /* that it names; the same */
	struct checker *checker;
	struct monotime deadline; /* for the services to apply it */
	bool commit;		  /* CONFIG_JUDGED_PATH becomes managed.conf ... */
	uint64_t mark;		  /* ... if that is still this one */
};

void reload_free(struct sup *s)
{
	struct reload *r = s->reload;

	s->reload = NULL;
	if (!r)
		return;
	if (r->commit) {
		unlink(CONFIG_JUDGED_PATH);
		unlink(CONFIG_MERGED_PATH);
	}
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

void reload_send(struct unit *u)
{
	struct str m = STR_INIT, why = STR_INIT;
	int fds[INHERIT_FDS_MAX];
	struct inherit in;

	inherit_init(&in);
	in.service = xstrdup(u->row->service);
	in.instance = xstrdup(u->name);
	in.config = xstrdup(SUP_ACCEPTED_CONF);
	in.generation = u->sup->generation;
	unit_add_listeners(u, &in);
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

/* Puts the candidate in the place of managed.conf; before gets what that was, to be put back. */
static bool install(struct sup *s, struct str *before, struct str *why)
{
	FILE *old = fopen(CONFIG_MANAGED_PATH, "re");
	char bytes[4096];
	size_t n;

	while (old && (n = fread(bytes, 1, sizeof(bytes), old)) > 0)
		str_add(before, bytes, n);
	if (old)
		fclose(old);
	if (config_file_mark(CONFIG_MANAGED_PATH) != s->reload->mark) {
		str_adds(why, CONFIG_MANAGED_PATH " was changed meanwhile; give the command again");
		return false;
	}
	if (rename(CONFIG_JUDGED_PATH, CONFIG_MANAGED_PATH) < 0) {
		str_addf(why, CONFIG_MANAGED_PATH ": %s", strerror(errno));
		return false;
	}
	return true;
}

static bool accept_config(struct sup *s, struct str *why)
{
	struct reload *r = s->reload;
	struct str before = STR_INIT;
	bool ok = !r->commit || install(s, &before, why);

	if (ok && !sup_accept_config(s, r->cfg, s->generation + 1, why)) {
		ok = false;
		if (r->commit)
			layout_write_file(CONFIG_MANAGED_PATH, str_slice(&before), s->cfg, why);
	}
	str_clear(&before);
	return ok;
}

/* Opens what is new; what is old is closed when all else is done, or the new when it is not. */
static bool change_sockets(struct sup *s, struct str *why)
{
	const struct config *cfg = s->reload->cfg;
	bool ok;

	for (size_t i = 0; i < table_len; i++)
		sockets_yield(s->sockets, table_rows[i].service, table_listen(&table_rows[i], cfg),
			      false);
	ok = sup_open_sockets(s, cfg, why) && accept_config(s, why);
	for (size_t i = 0; i < table_len; i++)
		sockets_yield(s->sockets, table_rows[i].service, table_listen(&table_rows[i], cfg),
			      true);
	sup_close_sockets(s, s->cfg);
	return ok;
}

static void apply(struct sup *s)
{
	struct reload *r = s->reload;
	struct str why = STR_INIT;

	if (!change_sockets(s, &why)) {
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
			reload_send(s->units[i]);
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
	/* Meanwhile: what it would start again would not end. */
	if (s->phase != SUP_RUNNING)
		str_adds(&copy, "a stop was asked for; give the command again after it\n");
	if (copy.len)
		refuse(s, copy.data);
	else
		apply(s);
	str_clear(&copy);
}

/* The candidate is taken away first: the next command may write another while this is judged. */
static bool load(const struct sup *s, struct reload *r, struct str *why)
{
	layout_readable(s->cfg);
	if (!r->commit)
		return config_load(&r->cfg, CONFIG_PATH, why) == ERR_OK;
	if (rename(CONFIG_CANDIDATE_PATH, CONFIG_JUDGED_PATH) < 0) {
		str_addf(why, CONFIG_CANDIDATE_PATH ": %s; give the command again",
			 strerror(errno));
		return false;
	}
	return config_load_layers(&r->cfg, CONFIG_PATH, CONFIG_JUDGED_PATH, why) == ERR_OK &&
	       checker_write_candidate(r->cfg, why) == ERR_OK;
}

static void begin(struct sup *s, struct reload wish)
{
	struct str why = STR_INIT;
	struct reload *r;

	if (s->reload || s->phase != SUP_RUNNING) {
		control_line(wish.requester,
			     "a start, stop or reload is under way; try again after it");
		control_end(wish.requester, "AGAIN");
		return;
	}
	r = s->reload = xcalloc(1, sizeof(*r));
	*r = wish;
	if (!load(s, r, &why) || config_needs_restart(s->cfg, r->cfg, &why) ||
	    certset_new(&r->certs, r->cfg, &why) || certset_missing(r->certs, false, &why) ||
	    secrets_missing(r->cfg, &why))
		refuse(s, why.data);
	else
		r->checker = checker_start(
			s->loop, &(struct checker_request){.bin = s->bin,
							   .path = r->commit ? CONFIG_MERGED_PATH
									     : CONFIG_PATH,
							   .cfg = r->cfg,
							   .files = r->certs,
							   .on_done = on_checked,
							   .arg = s});
	str_clear(&why);
}

void reload_begin(struct sup *s, struct control *requester)
{
	begin(s, (struct reload){.requester = requester});
}

void reload_commit(struct sup *s, struct control *requester, uint64_t mark)
{
	begin(s, (struct reload){.requester = requester, .commit = true, .mark = mark});
}

/* One that has not registered yet is sent it when it does. */
static bool is_waited_for(const struct unit *u)
{
	return service_is_running(&u->core) && !u->behind && u->generation != u->sup->generation;
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
