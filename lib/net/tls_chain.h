/*
 * tls_chain - judges a certificate with its bundle (the CA's certificates, root last) and key, and
 * puts in order what a server sends.
 *
 * Sent is the leaf, then each one's issuer; not the root, which who trusts it has (RFC 8446
 * 4.4.2). The certificate's file may go on with certificates of the CA: they are judged as those
 * of the bundle, and before them. One judge for the services, `pki verify` and `xmpp certs`.
 */
#ifndef NET_TLS_CHAIN_H
#define NET_TLS_CHAIN_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

struct evp_pkey_st;
struct stack_st_X509;
struct x509_st;

struct tls_chain_files {
	const char *cert_path; /* for texts */
	struct slice cert;
	const char *bundle_path; /* NULL: no bundle */
	struct slice bundle;
	const char *key_path;	 /* NULL: no key */
	struct evp_pkey_st *key; /* borrowed */
};

struct tls_chain {
	struct x509_st *leaf;
	struct stack_st_X509 *send; /* behind the leaf, in order; may be empty */
	struct x509_st *root;	    /* where the chain ends, if the files have it; else NULL */
	struct x509_st *first;	    /* of leaf and send the one that expires first; borrowed */
	struct str warnings;	    /* what was put right or left out; lines, each with its file */
	struct str refused; /* what clients refuse it for (dates, purpose, weakness); lines */
};

/* On failure out is empty and why says what is wrong, with the file, and what to do:
 * ERR_FORMAT    a file holds no certificate, is cut off, or holds something else
 * ERR_CONFLICT  the key is of another certificate, or the bundle of another CA
 * ERR_NOTFOUND  a certificate between those in the files is missing */
enum err tls_chain_build(struct tls_chain *out, const struct tls_chain_files *files,
			 struct str *why);
void tls_chain_clear(struct tls_chain *c);

/* Whether the chain leads to one of the roots (of root_path, for texts), for a server at this time.
 * False: why names the link that is missing or bad. */
bool tls_chain_reaches(const struct tls_chain *c, const struct stack_st_X509 *roots,
		       const char *root_path, struct str *why);

/* The files as an administrator names them (bundle_path may be NULL), from the working directory:
 * refused also when clients would refuse it. ERR_OK: warnings got the lines to show, each ended by
 * a line feed. Else why has the reason and what to do; codes as above, and ERR_RANGE: dates,
 * purpose or weakness; ERR_DENIED, ERR_IO, ERR_TOOBIG: a file cannot be read (ERR_NOTFOUND also
 * when it is not there). */
enum err tls_chain_judge(const char *key_path, const char *cert_path, const char *bundle_path,
			 struct str *warnings, struct str *why);

#endif
