/*
 * certs - throw-away certificates for tests, made with OpenSSL, in files without a name.
 */
#ifndef TESTS_UNIT_NET_CERTS_H
#define TESTS_UNIT_NET_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

struct cert_files {
	int cert; /* PEM in a memfd */
	int key;
};

static inline int cert_pem(X509 *cert, EVP_PKEY *key)
{
	int fd = memfd_create("pem", MFD_CLOEXEC);
	FILE *f = fdopen(dup(fd), "w");

	check(f);
	if (cert)
		check(PEM_write_X509(f, cert) == 1);
	if (key)
		check(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	check(fclose(f) == 0);
	return fd;
}

/* san: as OpenSSL's configuration writes it ("DNS:a,DNS:*.a"); NULL = none. */
static inline void cert_add_san(X509 *cert, const char *san)
{
	X509_EXTENSION *ext =
		san ? X509V3_EXT_nconf_nid(NULL, NULL, NID_subject_alt_name, san) : NULL;

	if (!san)
		return;
	check(ext && X509_add_ext(cert, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

/* days may be negative: a certificate that has expired. */
static inline struct cert_files cert_files_named(const char *name, const char *san, int days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	struct cert_files out;

	check(key && cert);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 0x1234abcd);
	X509_gmtime_adj(X509_getm_notBefore(cert), -1000L * 86400);
	X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400L + 60);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	cert_add_san(cert, san);
	check(X509_sign(cert, key, EVP_sha256()) > 0);
	out.cert = cert_pem(cert, NULL);
	out.key = cert_pem(NULL, key);
	X509_free(cert);
	EVP_PKEY_free(key);
	return out;
}

static inline struct cert_files cert_files_new(const char *name, int days)
{
	return cert_files_named(name, NULL, days);
}

static inline void cert_files_close(struct cert_files *c)
{
	close(c->cert);
	close(c->key);
}

#endif
