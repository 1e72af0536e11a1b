/*
 * tls_name - what a certificate is called in texts: its common name, or else the most telling part
 * of its subject. Control characters and quotes in it are shown as '?'.
 */
#ifndef NET_TLS_NAME_H
#define NET_TLS_NAME_H

#include "base/str.h"

struct x509_st;

/* Append, in quotes. */
void tls_name_subject(struct str *out, const struct x509_st *cert);
void tls_name_issuer(struct str *out, const struct x509_st *cert);

/* The subject without quotes. */
void tls_name_plain(struct str *out, const struct x509_st *cert);

#endif
