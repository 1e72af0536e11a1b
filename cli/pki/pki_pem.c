#include "cli/pki/pki_pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

/* Takes bio. */
static bool add(struct str *out, BIO *bio, bool ok)
{
	char *data;
	long len = ok ? BIO_get_mem_data(bio, &data) : 0;

	if (ok)
		str_add(out, data, (size_t)len);
	BIO_free(bio);
	return ok;
}

bool pki_pem_add_key(struct str *out, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when it is freed */

	return add(out, bio, bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
}

bool pki_pem_add_cert(struct str *out, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return add(out, bio, bio && PEM_write_bio_X509(bio, cert));
}

bool pki_pem_add_request(struct str *out, X509_REQ *request)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return add(out, bio, bio && PEM_write_bio_X509_REQ(bio, request));
}

enum err pki_pem_failed(struct str *why, const char *what)
{
	char text[256] = "no reason given";

	if (ERR_peek_last_error())
		ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	str_addf(why, "%s failed in OpenSSL (%s); see 'openssl version -a' for the library in use",
		 what, text);
	return ERR_INTERNAL;
}
