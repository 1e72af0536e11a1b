#include "cli/pki/pki_cert.h"

#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/rand.h>

EVP_PKEY *pki_cert_new_key(void)
{
	return EVP_EC_gen("P-256");
}

/* RFC 5280 4.1.2.2: positive, at most 20 octets, and unpredictable is better than counted. */
static int set_serial(X509 *x)
{
	unsigned char bytes[16];
	BIGNUM *bn = NULL;
	int ok = RAND_bytes(bytes, sizeof(bytes)) == 1;

	bytes[0] = (bytes[0] & 0x7f) | 0x40;
	bn = ok ? BN_bin2bn(bytes, sizeof(bytes), NULL) : NULL;
	ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x));
	BN_free(bn);
	return ok;
}

/* It starts an hour ago, so that machines whose clocks differ a little accept it at once. */
static int set_validity(X509 *x, int days)
{
	return X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
	       X509_time_adj_ex(X509_getm_notAfter(x), days, -3600, NULL);
}

static int add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	int ok;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	return ok;
}

static X509 *new_cert(EVP_PKEY *key, const char *cn, int days)
{
	X509 *x = X509_new();
	X509_NAME *name = x ? X509_get_subject_name(x) : NULL;

	if (name && X509_set_version(x, X509_VERSION_3) && set_serial(x) && set_validity(x, days) &&
	    X509_set_pubkey(x, key) &&
	    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
				       (const unsigned char *)cn, -1, -1, 0))
		return x;
	X509_free(x);
	return NULL;
}

X509 *pki_cert_new_ca(EVP_PKEY *key, const char *cn, int days)
{
	X509 *x = new_cert(key, cn, days);

	if (x && X509_set_issuer_name(x, X509_get_subject_name(x)) &&
	    add_ext(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    add_ext(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    add_ext(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, key, EVP_sha256()))
		return x;
	X509_free(x);
	return NULL;
}

X509 *pki_cert_new_server(EVP_PKEY *key, const char *cn, const GENERAL_NAMES *names, int days,
			  X509 *ca, EVP_PKEY *ca_key)
{
	X509 *x = new_cert(key, cn, days);

	if (x && X509_set_issuer_name(x, X509_get_subject_name(ca)) &&
	    add_ext(x, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_ext(x, ca, NID_key_usage, "critical,digitalSignature") &&
	    add_ext(x, ca, NID_ext_key_usage, "serverAuth,clientAuth") &&
	    add_ext(x, ca, NID_subject_key_identifier, "hash") &&
	    add_ext(x, ca, NID_authority_key_identifier, "keyid:always") &&
	    X509_add1_ext_i2d(x, NID_subject_alt_name, (void *)names, 0, 0) == 1 &&
	    X509_sign(x, ca_key, EVP_sha256()))
		return x;
	X509_free(x);
	return NULL;
}

/* No CA: who trusts it trusts this one name's server and nobody that it might sign. */
X509 *pki_cert_new_self(EVP_PKEY *key, X509_NAME *subject, const GENERAL_NAMES *names, int days)
{
	X509 *x = X509_new();

	if (x && X509_set_version(x, X509_VERSION_3) && set_serial(x) && set_validity(x, days) &&
	    X509_set_pubkey(x, key) && X509_set_subject_name(x, subject) &&
	    X509_set_issuer_name(x, subject) &&
	    add_ext(x, x, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_ext(x, x, NID_key_usage, "critical,digitalSignature") &&
	    add_ext(x, x, NID_ext_key_usage, "serverAuth,clientAuth") &&
	    add_ext(x, x, NID_subject_key_identifier, "hash") &&
	    X509_add1_ext_i2d(x, NID_subject_alt_name, (void *)names, 0, 0) == 1 &&
	    X509_sign(x, key, EVP_sha256()))
		return x;
	X509_free(x);
	return NULL;
}

static int add_string(GENERAL_NAMES *names, int type, const void *data, int len)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *value =
		ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);

	if (name && value && ASN1_STRING_set(value, data, len)) {
		GENERAL_NAME_set0_value(name, type, value);
		if (sk_GENERAL_NAME_push(names, name))
			return 1;
		value = NULL;
	}
	ASN1_STRING_free(value);
	GENERAL_NAME_free(name);
	return 0;
}

int pki_cert_add_dns(GENERAL_NAMES *names, const char *host)
{
	return add_string(names, GEN_DNS, host, (int)strlen(host));
}

int pki_cert_add_ip(GENERAL_NAMES *names, const unsigned char *addr, int len)
{
	return add_string(names, GEN_IPADD, addr, len);
}

int pki_cert_add_xmpp(GENERAL_NAMES *names, const char *domain)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_TYPE *value = ASN1_TYPE_new();
	ASN1_UTF8STRING *text = ASN1_UTF8STRING_new();
	ASN1_OBJECT *oid = OBJ_nid2obj(NID_XmppAddr);

	if (name && value && text && oid && ASN1_STRING_set(text, domain, (int)strlen(domain))) {
		ASN1_TYPE_set(value, V_ASN1_UTF8STRING, text);
		text = NULL;
		if (GENERAL_NAME_set0_othername(name, oid, value)) {
			value = NULL;
			if (sk_GENERAL_NAME_push(names, name))
				return 1;
		}
	}
	ASN1_UTF8STRING_free(text);
	ASN1_TYPE_free(value);
	GENERAL_NAME_free(name);
	return 0;
}
