/*
 * pki_what - which kind of file one of pki/ is: key, certificate, request, bundle, or none of them.
 */
#ifndef CLI_PKI_PKI_WHAT_H
#define CLI_PKI_PKI_WHAT_H

#include <stdbool.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

enum pki_kind {
	PKI_UNKNOWN,
	PKI_KEY,
	PKI_LOCKED_KEY, /* with a pass phrase */
	PKI_CERTIFICATE,
	PKI_REQUEST,
	PKI_BUNDLE, /* several certificates */
	PKI_UNREADABLE
};

struct pki_what {
	enum pki_kind kind;
	struct str text;    /* "key, ECDSA P-256", "bundle of 3" */
	struct str name;    /* whom it names: of certificates and requests */
	struct str issuer;  /* certificates: "" = itself */
	bool has_key;	    /* beside certificates */
	time_t expires;	    /* the first of its certificates; 0: none in it */
	struct str problem; /* what to do about it; "" = nothing */
	EVP_PKEY *key;	    /* public part, of the first object; NULL: unknown */
};

const char *pki_kind_name(enum pki_kind kind); /* one word, for JSON */

void pki_what_of(struct pki_what *out, struct slice bytes);
void pki_what_clear(struct pki_what *w);

/* "ECDSA P-256", "RSA 2048 bits", "ED25519". */
void pki_what_key(struct str *out, const EVP_PKEY *key);

/* Opens name as it is, else in dir/pki/ (dir may be NULL); reads at most 1 MiB. path gets which it
 * was. ERR_IO, ERR_TOOBIG; why says what to do. out may hold a key: wipe it. */
enum err pki_what_read(struct str *out, char **path, const char *name, const char *dir,
		       struct str *why);

#endif
