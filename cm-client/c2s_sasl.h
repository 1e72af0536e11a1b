/*
 * c2s_sasl - the SASL engine: who proves to be which user, by stored SCRAM keys.
 *
 * GNU SASL does SCRAM; PLAIN is proven by deriving the SCRAM key from the password in a worker
 * thread (c2s_worker), so that no login stops the loop. Keys come from a source (the datastore, by
 * c2s_keys). Users that do not exist go the same way with made-up keys: same answers, same time,
 * and a salt that stays the same as long as the secret does. Knows no XML, no socket, no stream.
 */
#ifndef CM_CLIENT_C2S_SASL_H
#define CM_CLIENT_C2S_SASL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "ipc/db_pack.h"

struct c2s_login;
struct c2s_sasl;
struct loop;

/* Where keys come from. done is called once, never inside ask(), and not after cancel(): ERR_OK
 * with keys, ERR_NOTFOUND, or any other failure = not to be had now. */
struct c2s_key_source {
	uint64_t (*ask)(void *ctx, struct slice user, struct slice domain, const char *mechanism,
			void (*done)(void *arg, enum err status, const struct db_scram *keys),
			void *arg);
	void (*cancel)(void *ctx, uint64_t op);
	void *ctx;
};

/* Answers; never called inside the functions below. */
struct c2s_sasl_events {
	void (*on_challenge)(void *arg, struct slice data);
	void (*on_done)(void *arg, struct slice user, struct slice data);
	/* condition of RFC 6120 6.5 and the text for the client; detail is for the log only. */
	void (*on_failed)(void *arg, const char *condition, const char *text, const char *detail);
};

struct c2s_sasl *c2s_sasl_new(struct loop *loop, const struct c2s_key_source *source,
			      const struct c2s_sasl_events *events);
void c2s_sasl_free(struct c2s_sasl **sp); /* every login must be freed before */

/* What salts of users that do not exist are derived from. */
void c2s_sasl_set_secret(struct c2s_sasl *s, const unsigned char secret[32]);

/* Channel binding data; len 0 = of this kind there is none. */
struct c2s_binding {
	unsigned char exporter[64];
	size_t exporter_len;
	unsigned char unique[64];
	size_t unique_len;
};

/* One exchange. mechanism: one of the five, static; domain: copied; arg: handed to the events. */
struct c2s_login *c2s_login_new(struct c2s_sasl *s, const char *mechanism, struct slice domain,
				const struct c2s_binding *binding, void *arg);
void c2s_login_free(struct c2s_login **lp); /* NULL-safe; no event comes after it */

/* The initial response, if there is one (has_data), else the first step is an empty challenge. */
void c2s_login_start(struct c2s_login *l, bool has_data, struct slice data);
void c2s_login_data(struct c2s_login *l, struct slice data);

/* The user as far as it is known, normalised; for the log. May be empty. */
struct slice c2s_login_user(const struct c2s_login *l);

/* The text of a client-first-message (RFC 5802 7): prepared for tests and fuzzing. */
struct c2s_scram_first {
	char flag;	     /* 'n', 'y', 'p' */
	struct slice cbname; /* with 'p' */
	struct slice authzid;
	struct slice user; /* both as written: =2C and =3D still in them */
	bool has_authzid;
};
bool c2s_scram_first_parse(struct slice in, struct c2s_scram_first *out);

#endif
