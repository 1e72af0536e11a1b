/*
 * tls_cert - one certificate with its chain and key, read from its files and judged.
 *
 * Fills an SSL_CTX; keeps what logs and the choice by name need. Private to lib/net.
 */
#ifndef NET_TLS_CERT_H
#define NET_TLS_CERT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <time.h>

#include "base/err.h"
#include "base/str.h"

struct tls_pair;

struct tls_cert {
	SSL_CTX *ssl;
	char *path;	    /* of the certificate, for texts */
	char *text;	    /* for the log */
	char **names;	    /* lower case, NULL-terminated; "*.example.org" as it stands there */
	time_t expires;	    /* of it and of what is sent behind it, the first */
	char *expires_text; /* which that is */
	char *warnings;	    /* lines */
	unsigned char secret[32];
};

/* Takes ssl (rules are set, nothing else) and fills it. On failure c is empty, ssl freed, and why
 * says what is wrong and what to do; codes as tls_ctx_new(). */
enum err tls_cert_init(struct tls_cert *c, SSL_CTX *ssl, const struct tls_pair *pair,
		       struct str *why);
void tls_cert_clear(struct tls_cert *c); /* wipes */

/* Whether one of its names is, or as a wildcard holds, host (lower case, no dot at its end). The
 * star stands for one whole label (RFC 6125 6.4.3). */
bool tls_cert_covers(const struct tls_cert *c, const char *host);

#endif
