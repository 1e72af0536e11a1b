#include "cm-client/c2s_accounts.h"

#include <gsasl.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "base/xmem.h"
#include "cm/cm_rate.h"
#include "ipc/bus.h"
#include "ipc/link.h"

/* Below the stream's own wait for an answer: what comes is an answer, and what the datastore has
 * not begun by then it does not do. */
#define DEADLINE_MS   4000
#define OPS	      (1ULL << 62) /* op ids that c2s_keys and cm_quarantine never use */
#define ADDRESSES_MAX 65536
#define HOUR_US	      3600000000ULL
#define PURGE_MS      60000

struct request {
	uint64_t op;
	struct str body; /* DB_ACCOUNT_PASSWORD, encoded */
	void *arg;
};

struct visitor {
	uint64_t paid; /* see cm_rate.h */
};

struct c2s_accounts {
	struct bus *bus;
	void (*done)(void *arg, enum err status);
	struct map64 waiting;
	struct map addresses;
	struct monotime purged;
	uint64_t last_op;
};

struct c2s_accounts *c2s_accounts_new(struct bus *bus, void (*done)(void *arg, enum err status))
{
	struct c2s_accounts *a = xcalloc(1, sizeof(*a));

	a->bus = bus;
	a->done = done;
	a->last_op = OPS;
	map64_init(&a->waiting);
	map_init(&a->addresses);
	return a;
}

static void request_free(struct request *r)
{
	if (r->body.cap)
		xwipe(r->body.data, r->body.cap);
	str_clear(&r->body);
	free(r);
}

void c2s_accounts_free(struct c2s_accounts **ap)
{
	struct c2s_accounts *a = *ap;
	struct slice key;
	uint64_t op;
	size_t it = 0;
	void *v;

	*ap = NULL;
	if (!a)
		return;
	while (map64_next(&a->waiting, &it, &op, &v))
		request_free(v);
	map64_clear(&a->waiting);
	it = 0;
	while (map_next(&a->addresses, &it, &key, &v))
		free(v);
	map_clear(&a->addresses);
	free(a);
}

/* Forgets who could begin anew. */
static void purge(struct c2s_accounts *a, struct monotime now)
{
	struct map left;
	struct slice key;
	size_t it = 0;
	void *v;

	if (a->purged.us && monotime_ms_between(a->purged, now) < PURGE_MS)
		return;
	a->purged = now;
	map_init(&left);
	while (map_next(&a->addresses, &it, &key, &v)) {
		if (cm_rate_is_idle(((struct visitor *)v)->paid, now))
			free(v);
		else
			map_put(&left, key, v);
	}
	map_clear(&a->addresses);
	a->addresses = left;
}

bool c2s_accounts_allow(struct c2s_accounts *a, const struct cm_address *from,
			unsigned int per_hour, struct monotime now)
{
	const struct cm_rate rate = {.units = per_hour, .per_us = HOUR_US, .burst = per_hour};
	struct slice key = slice_of(from->bytes, from->len);
	struct visitor *v = map_find(&a->addresses, key);
	uint64_t paid;

	purge(a, now);
	v = map_find(&a->addresses, key);
	if (!v && a->addresses.count >= ADDRESSES_MAX)
		return false;
	paid = v ? v->paid : 0;
	if (cm_rate_take(&paid, &rate, 1, now))
		return false; /* not counted: who waits an hour has all attempts again */
	if (!v) {
		v = xcalloc(1, sizeof(*v));
		map_put(&a->addresses, key, v);
	}
	v->paid = paid;
	return true;
}

size_t c2s_accounts_addresses(const struct c2s_accounts *a)
{
	return a->addresses.count;
}

static void put(struct c2s_accounts *a, const struct request *r)
{
	link_put_store(bus_link(a->bus), &(struct msg_store){.op_boot = bus_boot(a->bus),
							     .op_n = r->op,
							     .deadline_ms = DEADLINE_MS,
							     .body = str_slice(&r->body)});
}

uint64_t c2s_accounts_add(struct c2s_accounts *a, struct slice user, struct slice domain,
			  const char *password, void *arg)
{
	struct request *r;
	char *prepared = NULL;

	if (gsasl_saslprep(password, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) != GSASL_OK)
		return 0;
	if (!*prepared) {
		gsasl_free(prepared);
		return 0;
	}
	r = xcalloc(1, sizeof(*r));
	r->op = ++a->last_op;
	r->arg = arg;
	str_init(&r->body);
	msg_db_account_password_put(
		&r->body, &(struct msg_db_account_password){.user = user,
							    .domain = domain,
							    .password = slice_str(prepared),
							    .create = 1});
	xwipe(prepared, strlen(prepared));
	gsasl_free(prepared);
	map64_put(&a->waiting, r->op, r);
	put(a, r); /* also while the bus is down: see c2s_accounts_ask_again() */
	return r->op;
}

void c2s_accounts_cancel(struct c2s_accounts *a, uint64_t op)
{
	struct request *r = op ? map64_remove(&a->waiting, op) : NULL;

	if (r)
		request_free(r);
}

void c2s_accounts_stored(struct c2s_accounts *a, struct slice body)
{
	struct request *r;
	struct msg_stored m;

	if (msg_stored_get(body, &m) != ERR_OK || m.op_boot != bus_boot(a->bus))
		return;
	r = map64_remove(&a->waiting, m.op_n);
	if (!r)
		return; /* of somebody else, or given up */
	if (m.status != ERR_OK && m.status != ERR_CONFLICT)
		log_warn("-",
			 "event=register_failed reason=%s hint=\"see the log of the datastore\"",
			 log_quote(m.text.len ? m.text : slice_str(err_text((enum err)m.status))));
	a->done(r->arg, (enum err)m.status);
	request_free(r);
}

void c2s_accounts_ask_again(struct c2s_accounts *a)
{
	size_t it = 0;
	uint64_t op;
	void *r;

	while (map64_next(&a->waiting, &it, &op, &r))
		put(a, r);
}
