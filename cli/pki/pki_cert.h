/*
 * pki_cert - building X.509 certificates with OpenSSL's EVP interface.
 *
 * Names are put into the structures as data, never through OpenSSL's
 * configuration syntax, in which a comma in a name would start another entry.
 */
#ifndef CLI_PKI_PKI_CERT_H
#define CLI_PKI_PKI_CERT_H

#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

/* ECDSA P-256. NULL when OpenSSL fails; its error queue says why. The caller frees with
 * EVP_PKEY_free(). */
EVP_PKEY *pki_cert_new_key(void);

/* A self-signed CA that may sign leaves only (pathlen 0). */
X509 *pki_cert_new_ca(EVP_PKEY *key, const char *cn, int days);

/* A server's certificate (also good as a client's: XMPP servers connect to each other). names stay
 * the caller's. */
X509 *pki_cert_new_server(EVP_PKEY *key, const char *cn, const GENERAL_NAMES *names, int days,
			  X509 *ca, EVP_PKEY *ca_key);

/* A server's certificate that its own key signs. */
X509 *pki_cert_new_self(EVP_PKEY *key, X509_NAME *subject, const GENERAL_NAMES *names, int days);

/* Append one name; 0 when OpenSSL fails. XmppAddr: RFC 6120 13.7.1.4. */
int pki_cert_add_dns(GENERAL_NAMES *names, const char *host);
int pki_cert_add_ip(GENERAL_NAMES *names, const unsigned char *addr, int len);
int pki_cert_add_xmpp(GENERAL_NAMES *names, const char *domain);

#endif
