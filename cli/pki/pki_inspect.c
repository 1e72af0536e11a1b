#include "cli/pki/pki_inspect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "net/tls_pem.h"

#define EXPIRES_SOON_DAYS 30

/* One block, as text or as a JSON object. */
struct block {
	struct str *out;
	bool json;
	unsigned int fields;
};

static void add(struct block *b, const char *label, struct slice value)
{
	if (!b->json) {
		table_label(b->out, label, value);
		return;
	}
	str_addc(b->out, b->fields++ ? ',' : '{');
	json_line_put_text(b->out, slice_str(label));
	str_addc(b->out, ':');
	json_line_put_text(b->out, value);
}

static void add_text(struct block *b, const char *label, const char *value)
{
	add(b, label, slice_str(value));
}

static void end(struct block *b)
{
	str_adds(b->out, b->json ? "}\n" : "\n");
	b->fields = 0;
}

/* Whatever print wrote into a memory BIO. */
static void add_bio(struct block *b, const char *label, BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	add(b, label, slice_of(data, (size_t)len));
	BIO_free(bio);
}

static void add_name(struct block *b, const char *label, const X509_NAME *name)
{
	/* UTF-8 as it is (the table makes it safe), and "CN=x" without spaces. */
	unsigned long flags = XN_FLAG_ONELINE & ~(unsigned long)XN_FLAG_SPC_EQ &
			      ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
	BIO *bio = BIO_new(BIO_s_mem());

	X509_NAME_print_ex(bio, name, 0, flags);
	add_bio(b, label, bio);
}

static void add_key(struct block *b, const char *label, EVP_PKEY *key)
{
	char group[64] = "";
	struct str text = STR_INIT;

	if (!key) {
		add_text(b, label, "unknown kind");
		return;
	}
	str_addf(&text, "%s %d bits", EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
	if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1)
		str_addf(&text, " (%s)", group);
	add(b, label, str_slice(&text));
	str_clear(&text);
}

static void add_hex(struct block *b, const char *label, const unsigned char *bytes, size_t len)
{
	struct str text = STR_INIT;

	for (size_t i = 0; i < len; i++)
		str_addf(&text, "%s%02X", i ? ":" : "", bytes[i]);
	add(b, label, str_slice(&text));
	str_clear(&text);
}

static void put_string(struct str *out, const char *kind, const ASN1_STRING *s)
{
	str_adds(out, kind);
	str_add(out, ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static void put_name(struct str *out, const GENERAL_NAME *gn)
{
	char ip[INET6_ADDRSTRLEN];

	switch (gn->type) {
	case GEN_DNS:
		put_string(out, "DNS:", gn->d.dNSName);
		break;
	case GEN_EMAIL:
		put_string(out, "email:", gn->d.rfc822Name);
		break;
	case GEN_URI:
		put_string(out, "URI:", gn->d.uniformResourceIdentifier);
		break;
	case GEN_IPADD:
		if (inet_ntop(gn->d.iPAddress->length == 4 ? AF_INET : AF_INET6,
			      gn->d.iPAddress->data, ip, sizeof(ip)) &&
		    (gn->d.iPAddress->length == 4 || gn->d.iPAddress->length == 16))
			str_addf(out, "IP:%s", ip);
		else
			str_adds(out, "IP:malformed");
		break;
	case GEN_OTHERNAME:
		if (OBJ_obj2nid(gn->d.otherName->type_id) == NID_XmppAddr &&
		    gn->d.otherName->value->type == V_ASN1_UTF8STRING)
			put_string(out, "XmppAddr:", gn->d.otherName->value->value.utf8string);
		else
			str_adds(out, "other name");
		break;
	default:
		str_adds(out, "other name");
	}
}

static void add_san(struct block *b, GENERAL_NAMES *names)
{
	struct str text = STR_INIT;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		str_adds(&text, i ? ", " : "");
		put_name(&text, sk_GENERAL_NAME_value(names, i));
	}
	add(b, "Alternative names", str_slice(&text));
	str_clear(&text);
	GENERAL_NAMES_free(names);
}

static void add_time(struct block *b, const char *label, const ASN1_TIME *t)
{
	struct str text = STR_INIT;
	struct tm tm;
	char when[32];
	int days, seconds;

	if (ASN1_TIME_to_tm(t, &tm) != 1 || !ASN1_TIME_diff(&days, &seconds, NULL, t) ||
	    !strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm)) {
		add_text(b, label, "malformed");
		return;
	}
	str_adds(&text, when);
	if (days || seconds)
		str_addf(&text, days < 0 || seconds < 0 ? " (%d days ago)" : " (in %d days)",
			 abs(days));
	add(b, label, str_slice(&text));
	str_clear(&text);
}

/* As the services warn by default (tls.warn_days). */
static void add_advice(struct block *b, const ASN1_TIME *t)
{
	struct str text = STR_INIT;
	int days, seconds;

	if (!ASN1_TIME_diff(&days, &seconds, NULL, t) || days > EXPIRES_SOON_DAYS)
		return;
	if (days < 0 || seconds < 0)
		str_adds(&text, "has expired: clients refuse it; renew it");
	else
		str_addf(&text, "expires in %d days: renew it", days);
	add(b, "Warning", str_slice(&text));
	str_clear(&text);
}

static void add_serial(struct block *b, const X509 *x)
{
	BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	char *hex = bn ? BN_bn2hex(bn) : NULL;

	add_text(b, "Serial", hex ? hex : "malformed");
	OPENSSL_free(hex);
	BN_free(bn);
}

static void show_certificate(struct block *b, X509 *x)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	add_text(b, "Type", X509_check_ca(x) ? "CA certificate" : "certificate");
	add_name(b, "Subject", X509_get_subject_name(x));
	add_name(b, "Issuer", X509_get_issuer_name(x));
	add_time(b, "Valid from", X509_get0_notBefore(x));
	add_time(b, "Valid until", X509_get0_notAfter(x));
	add_advice(b, X509_get0_notAfter(x));
	add_san(b, X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL));
	add_serial(b, x);
	add_key(b, "Public key", X509_get0_pubkey(x));
	if (X509_digest(x, EVP_sha256(), digest, &len))
		add_hex(b, "SHA-256 fingerprint", digest, len);
	end(b);
}

static void show_request(struct block *b, X509_REQ *req)
{
	STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(req);

	add_text(b, "Type", "certificate request");
	add_name(b, "Subject", X509_REQ_get_subject_name(req));
	add_san(b, X509V3_get_d2i(exts, NID_subject_alt_name, NULL, NULL));
	add_key(b, "Public key", X509_REQ_get0_pubkey(req));
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	end(b);
}

static bool show_der(struct block *b, const unsigned char *data, long len)
{
	const unsigned char *at = data;
	X509 *x = d2i_X509(NULL, &at, len);
	X509_REQ *req = NULL;
	EVP_PKEY *key = NULL;

	at = data;
	if (x)
		show_certificate(b, x);
	else if ((req = d2i_X509_REQ(NULL, &at, len)))
		show_request(b, req);
	else if (at = data, (key = d2i_AutoPrivateKey(NULL, &at, len))) {
		add_text(b, "Type", "private key");
		add_key(b, "Key", key);
		end(b);
	}
	ERR_clear_error();
	X509_free(x);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return x || req || key;
}

static bool show_pem(struct block *b, const char *name, const char *header,
		     const unsigned char *data, long len)
{
	if (strstr(name, "PRIVATE KEY") && (strstr(name, "ENCRYPTED") || *header)) {
		add_text(b, "Type", "private key, encrypted");
		end(b);
		return true;
	}
	if (show_der(b, data, len))
		return true;
	add_text(b, "Type", "unknown");
	add_text(b, "Label", name);
	end(b);
	return false;
}

static unsigned int count_markers(struct slice bytes)
{
	static const char marker[] = "-----BEGIN ";
	const char *at = bytes.data, *stop = bytes.data + bytes.len;
	unsigned int n = 0;

	while (at && (at = memmem(at, (size_t)(stop - at), marker, sizeof(marker) - 1))) {
		at += sizeof(marker) - 1;
		n++;
	}
	return n;
}

/* "Element : 2 of 3", where there are several. */
static void add_number(struct block *b, unsigned int i, unsigned int n)
{
	char text[32];

	snprintf(text, sizeof(text), "%u of %u", i, n);
	if (n > 1)
		add_text(b, "Element", text);
}

enum err pki_inspect_bytes(struct slice bytes, bool json, struct str *out)
{
	struct block b = {.out = out, .json = json};
	BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
	unsigned int i = 0, n = count_markers(bytes);
	char *name, *header;
	unsigned char *data;
	bool any = false;
	long len;

	while (PEM_read_bio(bio, &name, &header, &data, &len)) {
		add_number(&b, ++i, n);
		any |= show_pem(&b, name, header, data, len);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)len);
	}
	ERR_clear_error();
	BIO_free(bio);
	if (!any)
		any = show_der(&b, (const unsigned char *)bytes.data, (long)bytes.len);
	return any ? ERR_OK : ERR_FORMAT;
}

static FILE *open_either(const char *file, const char *dir, char **path)
{
	FILE *f = fopen(file, "re");

	*path = xstrdup(file);
	if (f || errno != ENOENT || !dir || *file == '/')
		return f;
	free(*path);
	*path = xasprintf("%s/pki/%s", dir, file);
	return fopen(*path, "re");
}

/* After what could be shown, what could not: a file that is cut off passes for a shorter one. */
static enum err judge_whole(struct slice bytes, const char *path, struct str *why)
{
	struct str cut = STR_INIT;
	enum err e = ERR_OK;

	if (!tls_pem_is_whole(bytes, &cut)) {
		str_addf(why, "%s: %s; copy it again", path, cut.data);
		e = ERR_CORRUPT;
	}
	str_clear(&cut);
	return e;
}

enum err pki_inspect_file(const char *file, const char *dir, bool json, struct str *out,
			  struct str *why)
{
	char *path, *bytes = xmalloc(PKI_INSPECT_FILE_MAX);
	FILE *f = open_either(file, dir, &path);
	enum err e = ERR_OK;
	size_t len = 0;

	if (f)
		len = fread(bytes, 1, PKI_INSPECT_FILE_MAX, f);
	if (!f || ferror(f)) {
		str_addf(why, "%s: %s; name a readable file, or one in the instance's pki/", path,
			 strerror(errno));
		e = ERR_IO;
	} else if (len == PKI_INSPECT_FILE_MAX) {
		str_addf(why, "%s: larger than 1 MiB, so it is neither key nor certificate", path);
		e = ERR_TOOBIG;
	} else {
		e = pki_inspect_bytes(slice_of(bytes, len), json, out);
		if (e != ERR_OK)
			str_addf(why,
				 "%s: no key, certificate or request in it, neither PEM nor DER; "
				 "was it copied whole?",
				 path);
		else
			e = judge_whole(slice_of(bytes, len), path, why);
	}
	if (f)
		fclose(f);
	xwipe(bytes, len);
	free(bytes);
	free(path);
	return e;
}
