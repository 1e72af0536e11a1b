#include "cm-client/c2s_keys.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "base/xmem.h"
#include "ipc/bus.h"
#include "ipc/codec.h"

#define DEADLINE_MS 5000 /* DESIGN 3: logins wait that long for the datastore */

struct request {
	uint64_t op;
	struct str body; /* DB_ACCOUNT_GET, encoded */
	void (*done)(void *arg, enum err status, const struct db_scram *keys);
	void *arg;
};

struct c2s_keys {
	struct bus *bus;
	struct map64 waiting;
	uint64_t last_op;
};

struct c2s_keys *c2s_keys_new(struct bus *bus)
{
	struct c2s_keys *k = xcalloc(1, sizeof(*k));

	k->bus = bus;
	map64_init(&k->waiting);
	return k;
}

static void request_free(struct request *r)
{
	str_clear(&r->body);
	free(r);
}

void c2s_keys_free(struct c2s_keys **kp)
{
	struct c2s_keys *k = *kp;
	uint64_t op;
	size_t it = 0;
	void *r;

	*kp = NULL;
	if (!k)
		return;
	while (map64_next(&k->waiting, &it, &op, &r))
		request_free(r);
	map64_clear(&k->waiting);
	free(k);
}

static void send(struct c2s_keys *k, const struct request *r)
{
	link_put_store(bus_link(k->bus), &(struct msg_store){.op_boot = bus_boot(k->bus),
							     .op_n = r->op,
							     .deadline_ms = DEADLINE_MS,
							     .body = str_slice(&r->body)});
}

static uint64_t ask(void *ctx, struct slice user, struct slice domain, const char *mechanism,
		    void (*done)(void *arg, enum err status, const struct db_scram *keys),
		    void *arg)
{
	struct c2s_keys *k = ctx;
	struct request *r = xcalloc(1, sizeof(*r));

	r->op = ++k->last_op;
	r->done = done;
	r->arg = arg;
	str_init(&r->body);
	msg_db_account_get_put(&r->body,
			       &(struct msg_db_account_get){user, domain, slice_str(mechanism)});
	map64_put(&k->waiting, r->op, r);
	send(k, r); /* also while the bus is down: see c2s_keys_ask_again() */
	return r->op;
}

static void cancel(void *ctx, uint64_t op)
{
	struct c2s_keys *k = ctx;
	struct request *r = map64_remove(&k->waiting, op);

	if (r)
		request_free(r);
}

struct c2s_key_source c2s_keys_source(struct c2s_keys *k)
{
	return (struct c2s_key_source){ask, cancel, k};
}

/* The keys of the answering DB_ACCOUNT record; ERR_NOTFOUND when the account has none of this
 * family. */
static enum err unpack(struct slice in, struct db_scram *keys)
{
	struct msg_db_account account;
	struct slice body;
	uint16_t type;

	if (codec_next(&in, &type, &body) != ERR_OK || type != MSG_DB_ACCOUNT ||
	    msg_db_account_get(body, &account) != ERR_OK)
		return ERR_CORRUPT;
	if (!account.scram.len)
		return ERR_NOTFOUND;
	if (!db_scram_get(&account.scram, keys) || keys->iterations == 0 || !keys->salt.len)
		return ERR_CORRUPT;
	return ERR_OK;
}

void c2s_keys_stored(struct c2s_keys *k, struct slice body)
{
	struct msg_stored m;
	struct db_scram keys = {0};
	struct request *r;
	enum err e;

	if (msg_stored_get(body, &m) != ERR_OK || m.op_boot != bus_boot(k->bus))
		return;
	r = map64_remove(&k->waiting, m.op_n);
	if (!r)
		return; /* the login is over */
	e = (enum err)m.status;
	if (e == ERR_OK)
		e = unpack(m.body, &keys);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		log_warn("-", "event=keys_failed reason=%s hint=\"see the log of the datastore\"",
			 log_quote(m.text.len ? m.text : slice_str(err_text(e))));
	r->done(r->arg, e, &keys);
	request_free(r);
}

void c2s_keys_ask_again(struct c2s_keys *k)
{
	size_t it = 0;
	uint64_t op;
	void *r;

	while (map64_next(&k->waiting, &it, &op, &r))
		send(k, r);
}

size_t c2s_keys_waiting(const struct c2s_keys *k)
{
	return k->waiting.count;
}
