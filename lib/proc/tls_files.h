/*
 * tls_files - which files of certificates, keys and bundles a configuration names, as pairs, and
 * the names under which they are passed from the supervisor to a service.
 *
 * Pair 0 is tls.certificate, tls.key and tls.bundle; the others are the entries of tls.extra in
 * their order.
 */
#ifndef PROC_TLS_FILES_H
#define PROC_TLS_FILES_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct config;

#define TLS_FILES_MAX	   64 /* pairs; see INHERIT_FDS_MAX */
#define TLS_FILES_NAME_MAX 48

struct tls_files_pair {
	char *cert_path;
	char *key_path;	   /* the same file may hold both */
	char *bundle_path; /* NULL: none */
};

struct tls_files {
	size_t n;
	struct tls_files_pair pairs[TLS_FILES_MAX];
};

/* ERR_FORMAT, ERR_TOOBIG: f is empty and why says which entry is wrong and how it is written. */
enum err tls_files_parse(struct tls_files *f, const struct config *cfg, struct str *why);
void tls_files_clear(struct tls_files *f);

/* "tls.certificate", "tls.key", "tls.extra.1.certificate", ... for proc_file(). */
void tls_files_cert_name(size_t pair, char out[TLS_FILES_NAME_MAX]);
void tls_files_key_name(size_t pair, char out[TLS_FILES_NAME_MAX]);
void tls_files_bundle_name(size_t pair, char out[TLS_FILES_NAME_MAX]);

#endif
