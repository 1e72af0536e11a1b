/*
 * pki_pem - keys, certificates and requests as PEM text.
 */
#ifndef CLI_PKI_PKI_PEM_H
#define CLI_PKI_PKI_PEM_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "base/str.h"

/* Append; false when OpenSSL fails, whose error queue says why. */
bool pki_pem_add_key(struct str *out, EVP_PKEY *key); /* PKCS#8, no pass phrase */
bool pki_pem_add_cert(struct str *out, X509 *cert);
bool pki_pem_add_request(struct str *out, X509_REQ *request);

/* "WHAT failed in OpenSSL (reason); ..." */
enum err pki_pem_failed(struct str *why, const char *what);

#endif
