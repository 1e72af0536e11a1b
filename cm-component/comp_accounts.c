#include "cm-component/comp_accounts.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "base/xmem.h"
#include "ipc/bus.h"
#include "ipc/link.h"

#define DEADLINE_MS 5000 /* DESIGN 3: logins wait that long for the datastore */
#define SHA1_LEN    20

struct request {
	uint64_t op;
	struct str body; /* DB_COMPONENT_GET, encoded */
	void *arg;
};

struct comp_accounts {
	struct bus *bus;
	void (*done)(void *arg, enum err status, const struct msg_db_component *account);
	struct map64 waiting;
	uint64_t last_op;
};

struct comp_accounts *comp_accounts_new(struct bus *bus,
					void (*done)(void *arg, enum err status,
						     const struct msg_db_component *account))
{
	struct comp_accounts *a = xcalloc(1, sizeof(*a));

	a->bus = bus;
	a->done = done;
	map64_init(&a->waiting);
	return a;
}

static void request_free(struct request *r)
{
	str_clear(&r->body);
	free(r);
}

void comp_accounts_free(struct comp_accounts **ap)
{
	struct comp_accounts *a = *ap;
	uint64_t op;
	size_t it = 0;
	void *r;

	*ap = NULL;
	if (!a)
		return;
	while (map64_next(&a->waiting, &it, &op, &r))
		request_free(r);
	map64_clear(&a->waiting);
	free(a);
}

static void put(struct comp_accounts *a, const struct request *r)
{
	link_put_store(bus_link(a->bus), &(struct msg_store){.op_boot = bus_boot(a->bus),
							     .op_n = r->op,
							     .deadline_ms = DEADLINE_MS,
							     .body = str_slice(&r->body)});
}

uint64_t comp_accounts_ask(struct comp_accounts *a, struct slice jid, void *arg)
{
	struct request *r = xcalloc(1, sizeof(*r));

	r->op = ++a->last_op;
	r->arg = arg;
	str_init(&r->body);
	msg_db_component_get_put(&r->body, &(struct msg_db_component_get){jid});
	map64_put(&a->waiting, r->op, r);
	put(a, r); /* also while the bus is down: see comp_accounts_ask_again() */
	return r->op;
}

void comp_accounts_cancel(struct comp_accounts *a, uint64_t op)
{
	struct request *r = op ? map64_remove(&a->waiting, op) : NULL;

	if (r)
		request_free(r);
}

static enum err unpack(struct slice in, struct msg_db_component *account)
{
	struct slice body;
	uint16_t type;

	if (codec_next(&in, &type, &body) != ERR_OK || type != MSG_DB_COMPONENT ||
	    msg_db_component_get(body, account) != ERR_OK || !account->secret.len)
		return ERR_CORRUPT;
	return ERR_OK;
}

void comp_accounts_stored(struct comp_accounts *a, struct slice body)
{
	struct msg_db_component account = {0};
	struct request *r;
	struct msg_stored m;
	enum err e;

	if (msg_stored_get(body, &m) != ERR_OK || m.op_boot != bus_boot(a->bus))
		return;
	r = map64_remove(&a->waiting, m.op_n);
	if (!r)
		return; /* of somebody else, or given up */
	e = (enum err)m.status;
	if (e == ERR_OK)
		e = unpack(m.body, &account);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		log_warn("-", "event=lookup_failed reason=%s hint=\"see the log of the datastore\"",
			 log_quote(m.text.len ? m.text : slice_str(err_text(e))));
	a->done(r->arg, e, e == ERR_OK ? &account : NULL);
	request_free(r);
}

void comp_accounts_ask_again(struct comp_accounts *a)
{
	size_t it = 0;
	uint64_t op;
	void *r;

	while (map64_next(&a->waiting, &it, &op, &r))
		put(a, r);
}

size_t comp_accounts_waiting(const struct comp_accounts *a)
{
	return a->waiting.count;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct slice trim(struct slice s)
{
	while (s.len && is_space(s.data[0]))
		s = slice_of(s.data + 1, s.len - 1);
	while (s.len && is_space(s.data[s.len - 1]))
		s.len--;
	return s;
}

static void lower_hex(char out[2 * SHA1_LEN], const unsigned char *bytes)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA1_LEN; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
}

bool comp_accounts_proves(struct slice digest, struct slice id, struct slice secret)
{
	char right[2 * SHA1_LEN], given[2 * SHA1_LEN] = {0};
	unsigned char sha1[SHA1_LEN];
	struct str text = STR_INIT;
	bool same;

	digest = trim(digest);
	for (size_t i = 0; i < sizeof(given) && i < digest.len; i++)
		given[i] = digest.data[i] >= 'A' && digest.data[i] <= 'F'
				   ? (char)(digest.data[i] + ('a' - 'A'))
				   : digest.data[i];
	str_add_slice(&text, id);
	str_add_slice(&text, secret);
	check(EVP_Digest(text.data, text.len, sha1, NULL, EVP_sha1(), NULL) == 1);
	lower_hex(right, sha1);
	same = CRYPTO_memcmp(right, given, sizeof(right)) == 0 && digest.len == sizeof(right);
	xwipe(text.data, text.cap);
	str_clear(&text);
	xwipe(right, sizeof(right));
	return same;
}
