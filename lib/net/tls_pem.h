/*
 * tls_pem - what a file of certificates or of a key holds: PEM or DER, and nothing that was cut
 * off.
 *
 * OpenSSL reads the objects; here is judged what it passes over in silence: a marker without its
 * other half, an object of another kind. Texts begin with the file's name and say what to do.
 */
#ifndef NET_TLS_PEM_H
#define NET_TLS_PEM_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

struct evp_pkey_st;
struct stack_st_X509;

#define TLS_PEM_FILE_MAX  ((size_t)1024 * 1024)
#define TLS_PEM_CERTS_MAX 100

/* The whole file; fd (read with pread from 0), or -1: path is opened. ERR_NOTFOUND, ERR_DENIED,
 * ERR_IO, ERR_TOOBIG. out may hold a key: wipe it. */
enum err tls_pem_read(struct str *out, int fd, const char *path, struct str *why);

/* Its certificates in their order, at least one; the caller frees. Keys beside them are passed
 * over, has_key (may be NULL) tells of them. ERR_FORMAT: none, or not all can be read; ERR_TOOBIG.
 */
enum err tls_pem_certs(struct stack_st_X509 **out, struct slice bytes, const char *path,
		       bool *has_key, struct str *why);

/* Its first private key, without a pass phrase. ERR_FORMAT. The caller frees. */
enum err tls_pem_key(struct evp_pkey_st **out, struct slice bytes, const char *path,
		     struct str *why);

/* Whether each BEGIN line has its END line, and the other way round. False: why gets the line and
 * what is wrong with it. Bytes without any such line are whole. */
bool tls_pem_is_whole(struct slice bytes, struct str *why);

#endif
