/*
 * store_rig - a store on a loop of its own, asked one request after the other.
 */
#ifndef TESTS_DATASTORE_STORE_RIG_H
#define TESTS_DATASTORE_STORE_RIG_H

#include "fixture.h"

#include <signal.h>

#include "datastore/store.h"
#include "net/loop.h"

struct store_rig {
	struct fixture f;
	struct loop *loop;
	struct loop_timer *guard;
	struct store *store;
	struct store_options options;
	size_t answers; /* so far */
	size_t wanted;	/* the loop stops at this number */
	bool timed_out;
	unsigned int idle;
	char *alarm; /* NULL = none */
	/* The last answer. */
	uint64_t op_n;
	enum err status;
	struct str text;
	struct str body;
};

static inline void rig_on_answer(void *arg, const struct msg_stored *m)
{
	struct store_rig *r = arg;

	r->op_n = m->op_n;
	r->status = (enum err)m->status;
	str_reset(&r->text);
	str_reset(&r->body);
	str_add_slice(&r->text, m->text);
	str_add_slice(&r->body, m->body);
	if (++r->answers == r->wanted)
		loop_stop(r->loop);
}

static inline void rig_on_alarm(void *arg, const char *text)
{
	struct store_rig *r = arg;

	free(r->alarm);
	r->alarm = text ? xstrdup(text) : NULL;
}

static inline void rig_on_broken(void *arg)
{
	struct store_rig *r = arg;

	fixture_remove_dir(r->f.dir);
	kill(getpid(), SIGKILL); /* nothing is flushed, as with the real one */
}

static inline void rig_on_idle(void *arg)
{
	struct store_rig *r = arg;

	r->idle++;
}

static inline void rig_on_guard(void *arg)
{
	struct store_rig *r = arg;

	r->timed_out = true;
	loop_stop(r->loop);
}

static inline enum err rig_open(struct store_rig *r, struct str *why)
{
	static const struct store_events events = {rig_on_answer, rig_on_alarm, rig_on_broken,
						   rig_on_idle};

	return store_open(&r->store, r->loop, &r->options, &events, r, why);
}

static inline void rig_start(struct store_rig *r)
{
	struct str why = STR_INIT;

	if (rig_open(r, &why) != ERR_OK)
		fail_msg("%s", why.data);
	str_clear(&why);
}

static inline int rig_setup(void **state)
{
	struct store_rig *r = xcalloc(1, sizeof(*r));

	fixture_init(&r->f);
	str_init(&r->text);
	str_init(&r->body);
	r->loop = loop_new();
	r->guard = loop_timer_new(r->loop, rig_on_guard, r);
	r->options = (struct store_options){.path = r->f.path,
					    .check = SCHEMA_CHECK_QUICK,
					    .key_reads_per_minute = 1000,
					    .limits = {.max_roster_items = 100,
						       .max_blocked = 5,
						       .max_components = 5,
						       .ops_keep_ms = 600000,
						       .ops_max_rows = 1000,
						       .shelf_bytes = 1000000,
						       .userdata = {1000000, 100000}}};
	rig_start(r);
	*state = r;
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct store_rig *r = *state;

	store_close(&r->store);
	loop_timer_free(&r->guard);
	loop_free(&r->loop);
	str_clear(&r->text);
	str_clear(&r->body);
	free(r->alarm);
	fixture_remove_dir(r->f.dir);
	free(r);
	return 0;
}

/* Turns the loop for ms, or until `more` further answers are there. */
static inline void rig_turn(struct store_rig *r, size_t more, uint64_t ms)
{
	r->wanted = r->answers + more;
	if (more == 0)
		r->wanted = SIZE_MAX;
	r->timed_out = false;
	loop_timer_set(r->guard, ms, 0);
	loop_run(r->loop);
	loop_timer_stop(r->guard);
}

static inline void rig_send(struct store_rig *r, uint64_t n, const struct str *record)
{
	store_request(r->store,
		      &(struct msg_store){.op_boot = 5, .op_n = n, .body = str_slice(record)});
}

/* Sends, takes the record over, waits for its answer. */
static inline enum err rig_ask_take(struct store_rig *r, uint64_t n, struct str record)
{
	size_t before = r->answers;

	r->timed_out = false;
	rig_send(r, n, &record);
	str_clear(&record);
	if (r->answers == before)
		rig_turn(r, 1, 20000);
	assert_false(r->timed_out);
	assert_int_equal(r->op_n, n);
	return r->status;
}

/* The answer's record, of this type. */
static inline struct slice rig_body(struct store_rig *r, uint16_t want)
{
	struct slice in = str_slice(&r->body), body = SLICE_NONE;
	uint16_t type;

	if (codec_next(&in, &type, &body) != ERR_OK || type != want || in.len)
		fail_msg("no %s: %s", codec_name(want), r->text.data);
	return body;
}

static inline struct str rig_add(const char *user)
{
	struct str keys = fixture_keys(1), s = STR_INIT;

	msg_db_account_add_put(
		&s, &(struct msg_db_account_add){S(user), S("localhost"), str_slice(&keys)});
	str_clear(&keys);
	return s;
}

static inline struct str rig_get(const char *user, const char *mechanism)
{
	struct str s = STR_INIT;

	msg_db_account_get_put(&s,
			       &(struct msg_db_account_get){S(user), S("localhost"), S(mechanism)});
	return s;
}

static inline struct str rig_del(const char *user)
{
	struct str s = STR_INIT;

	msg_db_account_del_put(&s, &(struct msg_db_account_del){S(user), S("localhost")});
	return s;
}

static inline struct str rig_roster_get(const char *user)
{
	struct str s = STR_INIT;

	msg_db_roster_get_put(&s, &(struct msg_db_roster_get){S(user), S("localhost")});
	return s;
}

static inline struct str rig_roster_set(const char *user, const char *jid, const char *group)
{
	struct str item = fixture_item(jid, "name", 3, group, NULL), s = STR_INIT;

	msg_db_roster_set_put(
		&s, &(struct msg_db_roster_set){S(user), S("localhost"), str_slice(&item)});
	str_clear(&item);
	return s;
}

#endif
