/*
 * made_cert - throw-away certificates of a CA's tree, good and bad ones, in memory.
 */
#ifndef TESTS_UNIT_NET_MADE_CERT_H
#define TESTS_UNIT_NET_MADE_CERT_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/str.h"

struct made {
	X509 *x;
	EVP_PKEY *key;
};

struct made_cert {
	const char *cn;
	const struct made *issuer;   /* NULL: self-signed */
	const char *key;	     /* "EC" (default), "RSA1024", "RSA", "ED25519" */
	const struct made *same_key; /* of another certificate */
	const char *basic;	     /* "CA:TRUE" and the like; NULL: a leaf */
	const char *usage;	     /* extendedKeyUsage of a leaf; NULL: serverAuth */
	const char *san;	     /* NULL: DNS: cn, for leaves */
	int begins, ends;	     /* days from now; 0, 0: yesterday, in 100 days */
	bool sha1;
	bool no_akid; /* nothing but its name tells the issuer */
};

static inline EVP_PKEY *made_key(const char *kind)
{
	EVP_PKEY *key = !kind || strcmp(kind, "EC") == 0 ? EVP_EC_gen("P-256")
			: strcmp(kind, "RSA1024") == 0	 ? EVP_RSA_gen(1024)
			: strcmp(kind, "RSA") == 0	 ? EVP_RSA_gen(2048)
							 : EVP_PKEY_Q_keygen(NULL, NULL, kind);

	check(key);
	return key;
}

static inline void made_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	check(ext && X509_add_ext(x, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

static inline const EVP_MD *made_digest(const EVP_PKEY *key, bool sha1)
{
	return EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 ? NULL : sha1 ? EVP_sha1() : EVP_sha256();
}

static inline struct made made(struct made_cert w)
{
	static long serial = 1000;
	struct made m = {X509_new(), w.same_key ? w.same_key->key : made_key(w.key)};
	const struct made *issuer = w.issuer ? w.issuer : &m;
	char san[128];

	check(m.x);
	if (w.same_key)
		EVP_PKEY_up_ref(m.key);
	snprintf(san, sizeof(san), "DNS:%s", w.cn);
	X509_set_version(m.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(m.x), serial++);
	X509_time_adj_ex(X509_getm_notBefore(m.x),
			 w.begins     ? w.begins
			 : w.ends < 0 ? -100
				      : -1,
			 0, NULL);
	X509_time_adj_ex(X509_getm_notAfter(m.x), w.ends ? w.ends : 100, 60, NULL);
	X509_set_pubkey(m.x, m.key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(m.x), "CN", MBSTRING_UTF8,
				   (const unsigned char *)w.cn, -1, -1, 0);
	X509_set_issuer_name(m.x, X509_get_subject_name(issuer->x));
	made_ext(m.x, issuer->x, NID_basic_constraints, w.basic ? w.basic : "CA:FALSE");
	made_ext(m.x, issuer->x, NID_subject_key_identifier, "hash");
	if (w.issuer && !w.no_akid)
		made_ext(m.x, issuer->x, NID_authority_key_identifier, "keyid:always");
	if (!w.basic) {
		made_ext(m.x, issuer->x, NID_ext_key_usage, w.usage ? w.usage : "serverAuth");
		made_ext(m.x, issuer->x, NID_subject_alt_name, w.san ? w.san : san);
	}
	check(X509_sign(m.x, issuer->key, made_digest(issuer->key, w.sha1)) > 0);
	return m;
}

#define MADE(...)    made((struct made_cert){__VA_ARGS__})
#define MADE_CA(...) made((struct made_cert){.basic = "critical,CA:TRUE", __VA_ARGS__})

static inline void made_free(struct made *m)
{
	X509_free(m->x);
	EVP_PKEY_free(m->key);
	*m = (struct made){NULL, NULL};
}

static inline void made_add_bio(struct str *out, BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	str_add(out, data, (size_t)len);
	BIO_free(bio);
}

static inline void made_pem(struct str *out, const struct made *m)
{
	BIO *bio = BIO_new(BIO_s_mem());

	check(PEM_write_bio_X509(bio, m->x) == 1);
	made_add_bio(out, bio);
}

static inline void made_der(struct str *out, const struct made *m)
{
	BIO *bio = BIO_new(BIO_s_mem());

	check(i2d_X509_bio(bio, m->x) == 1);
	made_add_bio(out, bio);
}

static inline void made_key_pem(struct str *out, const struct made *m)
{
	BIO *bio = BIO_new(BIO_s_mem());

	check(PEM_write_bio_PrivateKey(bio, m->key, NULL, NULL, 0, NULL, NULL) == 1);
	made_add_bio(out, bio);
}

#endif
