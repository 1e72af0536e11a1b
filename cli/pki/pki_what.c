#include "cli/pki/pki_what.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/xmem.h"
#include "net/tls_name.h"
#include "net/tls_pem.h"

const char *pki_kind_name(enum pki_kind kind)
{
	static const char *const names[] = {
		[PKI_UNKNOWN] = "unknown",	 [PKI_KEY] = "key",
		[PKI_LOCKED_KEY] = "locked-key", [PKI_CERTIFICATE] = "certificate",
		[PKI_REQUEST] = "request",	 [PKI_BUNDLE] = "bundle",
		[PKI_UNREADABLE] = "unreadable",
	};

	return names[kind];
}

void pki_what_key(struct str *out, const EVP_PKEY *key)
{
	char group[64] = "";
	int id = key ? EVP_PKEY_get_base_id(key) : 0;

	if (!key)
		str_adds(out, "unknown kind");
	else if (id == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1)
		str_addf(out, "ECDSA %s", strcmp(group, "prime256v1") == 0 ? "P-256" : group);
	else if (id == EVP_PKEY_RSA)
		str_addf(out, "RSA %d bits", EVP_PKEY_get_bits(key));
	else
		str_adds(out, EVP_PKEY_get0_type_name(key));
}

/* ---- certificates */

static time_t as_time(const ASN1_TIME *t)
{
	struct tm tm = {0};

	return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static void plain_issuer(struct str *out, const X509 *x)
{
	struct str quoted = STR_INIT;

	tls_name_issuer(&quoted, x);
	str_add(out, quoted.data + 1, quoted.len - 2);
	str_clear(&quoted);
}

static void set_certificates(struct pki_what *w, STACK_OF(X509) * certs)
{
	X509 *x = sk_X509_value(certs, 0);
	int n = sk_X509_num(certs);

	w->kind = n > 1 ? PKI_BUNDLE : PKI_CERTIFICATE;
	if (n > 1)
		str_addf(&w->text, "bundle of %d", n);
	else
		str_adds(&w->text, X509_check_ca(x) == 1 ? "CA certificate" : "certificate");
	if (w->has_key)
		str_adds(&w->text, " and key");
	tls_name_plain(&w->name, x);
	if (X509_self_signed(x, 0) != 1)
		plain_issuer(&w->issuer, x);
	w->key = X509_get_pubkey(x);
	for (int i = 0; i < n; i++) {
		time_t t = as_time(X509_get0_notAfter(sk_X509_value(certs, i)));

		if (i == 0 || t < w->expires)
			w->expires = t;
	}
}

/* ---- others */

static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)arg = true;
	return -1;
}

static bool set_key(struct pki_what *w, struct slice bytes)
{
	const unsigned char *der = (const unsigned char *)bytes.data;
	BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
	bool locked = false;

	w->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &locked);
	if (!w->key && !locked)
		w->key = d2i_AutoPrivateKey(NULL, &der, (long)bytes.len);
	BIO_free(bio);
	if (!w->key && !locked)
		return false;
	w->kind = w->key ? PKI_KEY : PKI_LOCKED_KEY;
	str_adds(&w->text, w->key ? "key, " : "key with a pass phrase");
	if (w->key)
		pki_what_key(&w->text, w->key);
	else
		str_adds(&w->problem, "services cannot use it: pki unlock FILE");
	return true;
}

static bool set_request(struct pki_what *w, struct slice bytes)
{
	const unsigned char *der = (const unsigned char *)bytes.data;
	BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
	X509_REQ *req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	X509 *carrier; /* of the name, for the naming of certificates */

	if (!req)
		req = d2i_X509_REQ(NULL, &der, (long)bytes.len);
	BIO_free(bio);
	if (!req)
		return false;
	w->kind = PKI_REQUEST;
	str_adds(&w->text, "request");
	carrier = X509_new();
	if (carrier && X509_set_subject_name(carrier, X509_REQ_get_subject_name(req)))
		tls_name_plain(&w->name, carrier);
	X509_free(carrier);
	w->key = X509_REQ_get_pubkey(req);
	X509_REQ_free(req);
	return true;
}

void pki_what_of(struct pki_what *w, struct slice bytes)
{
	struct str why = STR_INIT;
	STACK_OF(X509) * certs;

	*w = (struct pki_what){
		.text = STR_INIT, .name = STR_INIT, .issuer = STR_INIT, .problem = STR_INIT};
	if (!tls_pem_is_whole(bytes, &w->problem)) {
		str_adds(&w->problem, "; copy it again");
		str_adds(&w->text, "unknown");
	} else if (tls_pem_certs(&certs, bytes, "", &w->has_key, &why) == ERR_OK) {
		set_certificates(w, certs);
		sk_X509_pop_free(certs, X509_free);
	} else if (!set_key(w, bytes) && !set_request(w, bytes)) {
		str_adds(&w->text, "unknown");
	}
	str_clear(&why);
	ERR_clear_error();
}

void pki_what_clear(struct pki_what *w)
{
	str_clear(&w->text);
	str_clear(&w->name);
	str_clear(&w->issuer);
	str_clear(&w->problem);
	EVP_PKEY_free(w->key);
	w->key = NULL;
}

enum err pki_what_read(struct str *out, char **path, const char *name, const char *dir,
		       struct str *why)
{
	enum err e;

	*path = xstrdup(name);
	if (dir && *name != '/' && access(name, F_OK) != 0 && errno == ENOENT) {
		free(*path);
		*path = xasprintf("%s/pki/%s", dir, name);
	}
	e = tls_pem_read(out, -1, *path, why);
	if (e == ERR_OK || e == ERR_TOOBIG)
		return e;
	str_reset(why);
	str_addf(why, "%s: %s; name a readable file, or one in the instance's pki/", *path,
		 strerror(errno));
	return ERR_IO;
}
