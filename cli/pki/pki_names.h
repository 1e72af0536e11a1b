/*
 * pki_names - the host names and addresses that a certificate is for.
 */
#ifndef CLI_PKI_PKI_NAMES_H
#define CLI_PKI_PKI_NAMES_H

#include <stdbool.h>

#include <openssl/x509v3.h>

/* RFC 1035 2.3.1 with the underscore that host names have in practice; ASCII only. */
bool pki_names_is_dns(const char *s);
bool pki_names_is_ip(const char *s);
/* One of both, or a wildcard, "*.example.org". */
bool pki_names_is_host(const char *s);

/* Appends a host as pki_names_is_host() takes it, unless it is there; 0 when OpenSSL fails. */
int pki_names_add(GENERAL_NAMES *names, const char *host);

#endif
