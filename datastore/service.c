#include "datastore/service.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "datastore/store.h"
#include "ipc/bus.h"
#include "ipc/db_archive.h"
#include "net/loop.h"

#define DATABASE    "data/roundhouse.db"
#define ROUTER_PATH "run/bus/router"
#define OPS_ROWS    200000
#define LAST_WORDS  50 /* ms for the last answers to leave */

struct service {
	struct proc *proc;
	struct store *store;
	struct bus *bus;
	struct loop_timer *end;
	bool draining;
};

static struct archive_limits archive_limits(const struct config *c)
{
	struct archive_limits l = {.retention_ms = (uint64_t)c->archive_retention_days * 86400000,
				   .user_bytes = (uint64_t)c->archive_user_bytes};

	db_archive_policy_parse(slice_str(c->archive_default), &l.policy);
	return l;
}

static void fill_options(struct store_options *o, const struct config *c)
{
	*o = (struct store_options){
		.path = DATABASE,
		.check = strcmp(c->store_check, "full") == 0	? SCHEMA_CHECK_FULL
			 : strcmp(c->store_check, "quick") == 0 ? SCHEMA_CHECK_QUICK
								: SCHEMA_CHECK_NONE,
		.min_free = (uint64_t)c->store_min_free_bytes,
		.key_reads_per_minute = (uint32_t)c->store_key_reads_per_minute,
		.limits = {.max_roster_items = (uint32_t)c->store_max_roster_items,
			   .max_blocked = (uint32_t)c->store_max_blocked,
			   .max_components = (uint32_t)c->store_max_components,
			   .ops_keep_ms = (uint64_t)c->store_ops_keep * 1000,
			   .ops_max_rows = OPS_ROWS,
			   .shelf_bytes = (uint64_t)c->store_shelf_bytes,
			   .offline = {.messages = (uint64_t)c->store_offline_messages,
				       .bytes = (uint64_t)c->store_offline_bytes},
			   .archive = archive_limits(c),
			   .userdata = {.bytes = (uint64_t)c->store_user_data_bytes,
					.value = (uint64_t)c->store_user_data_value_bytes}},
	};
}

/* Put also while the bus is down: a link that resumes sends it, a fresh one asks again. */
static void on_answer(void *arg, const struct msg_stored *m)
{
	struct service *s = arg;

	link_put_stored(bus_link(s->bus), m);
}

static void on_alarm(void *arg, const char *text)
{
	struct service *s = arg;

	proc_alarm(s->proc, text);
}

static void on_broken(void *arg)
{
	(void)arg;
	log_err("-", "event=exit reason=fsync_failed code=%d text=\"%s\"", EX_IOERR,
		disk_text(DISK_FSYNC));
	_exit(EX_IOERR);
}

static void end_if_drained(struct service *s)
{
	if (s->draining && store_idle(s->store))
		loop_timer_set(s->end, LAST_WORDS, 0);
}

static void on_idle(void *arg)
{
	end_if_drained(arg);
}

static void on_end(void *arg)
{
	struct service *s = arg;

	proc_drained(s->proc);
}

static const struct store_events store_events = {on_answer, on_alarm, on_broken, on_idle};

static void on_up(void *arg, bool fresh)
{
	struct service *s = arg;

	log_info("-", "event=bus_up fresh=%d", fresh);
	proc_ready(s->proc, true);
}

static void on_down(void *arg, const char *why)
{
	(void)arg;
	log_warn("-", "event=bus_down reason=\"%s\"", why ? why : "");
}

/* While draining nothing new is taken: the router keeps it for the next process. */
static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct service *s = arg;
	struct msg_store m;

	if (type != MSG_STORE || msg_store_get(body, &m) != ERR_OK) {
		log_warn("-", "event=record_dropped type=%s reason=\"not a request\"",
			 codec_name(type));
		return;
	}
	if (!s->draining)
		store_request(s->store, &m);
}

static void add_stats(void *arg, struct str *out)
{
	struct service *s = arg;

	store_add_stats(s->store, out);
}

static const struct bus_events bus_events = {
	.on_up = on_up, .on_down = on_down, .on_record = on_record, .add_stats = add_stats};

enum err service_init(struct proc *p, void **state)
{
	struct service *s = xcalloc(1, sizeof(*s));
	struct str why = STR_INIT;
	struct store_options options;
	enum err e;

	s->proc = p;
	fill_options(&options, proc_config(p));
	if (mkdir("data", 0700) < 0 && errno != EEXIST)
		log_warn("-", "event=mkdir path=data reason=\"%s\"", strerror(errno));
	e = store_open(&s->store, proc_loop(p), &options, &store_events, s, &why);
	if (e != ERR_OK) {
		log_err("-", "event=store_refused status=%s text=\"%s\"", err_name(e), why.data);
		free(s);
	} else {
		log_info("-", "event=store_open path=%s schema=%zu", DATABASE, schema_steps_count);
		s->end = loop_timer_new(proc_loop(p), on_end, s);
		s->bus = bus_open(proc_loop(p), ROUTER_PATH, proc_service(p), proc_instance(p),
				  proc_token(p), &bus_events, s);
		proc_metrics(p, add_stats, s);
		*state = s;
	}
	str_clear(&why);
	return e;
}

void service_deinit(void *state)
{
	struct service *s = state;

	bus_close(&s->bus);
	store_close(&s->store);
	loop_timer_free(&s->end);
	free(s);
}

void service_reload(void *state, const struct config *old)
{
	struct service *s = state;
	struct store_options options;

	(void)old;
	fill_options(&options, proc_config(s->proc));
	store_set_options(s->store, &options);
}

void service_drain(void *state)
{
	struct service *s = state;

	s->draining = true;
	store_flush(s->store);
	end_if_drained(s);
}
