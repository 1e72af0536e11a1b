#include "net/tls_pem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "base/check.h"
#include "base/xmem.h"

#define DASHES	  "-----"
#define LABEL_MAX 64
#define CUT_OFF	  "the file is cut off or was edited"
#define UTF8_MARK "\xef\xbb\xbf" /* what Windows editors put before UTF-8 */

static const char *openssl_reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *s = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return s ? s : "no reason given";
}

enum err tls_pem_read(struct str *out, int fd, const char *path, struct str *why)
{
	int own = -1, e;
	ssize_t n = 0;

	if (fd < 0)
		fd = own = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		do {
			str_reserve(out, 4096);
			n = pread(fd, out->data + out->len, 4096, (off_t)out->len);
			if (n > 0)
				out->len += (size_t)n;
		} while (n > 0 && out->len <= TLS_PEM_FILE_MAX);
	}
	e = errno;
	if (own >= 0)
		close(own);
	if (fd >= 0 && n >= 0 && out->len <= TLS_PEM_FILE_MAX) {
		if (out->cap)
			out->data[out->len] = '\0'; /* str's promise; there is room for it */
		return ERR_OK;
	}
	if (fd >= 0 && n >= 0) {
		str_addf(why, "%s: larger than 1 MiB, so it is neither key nor certificate", path);
		return ERR_TOOBIG;
	}
	str_addf(why, "%s: %s; make it readable for this service", path, strerror(e));
	return e == ENOENT ? ERR_NOTFOUND : e == EACCES ? ERR_DENIED : ERR_IO;
}

/* ---- markers */

static struct slice without_mark(struct slice bytes)
{
	const size_t n = sizeof(UTF8_MARK) - 1;

	if (bytes.len >= n && memcmp(bytes.data, UTF8_MARK, n) == 0)
		return slice_of(bytes.data + n, bytes.len - n);
	return bytes;
}

static struct slice next_line(struct slice *bytes)
{
	const char *end = memchr(bytes->data, '\n', bytes->len);
	struct slice line = slice_of(bytes->data, end ? (size_t)(end - bytes->data) : bytes->len);
	size_t taken = line.len + (end != NULL);

	*bytes = slice_of(bytes->data + taken, bytes->len - taken);
	while (line.len > 0 && strchr("\r \t", line.data[line.len - 1]))
		line.len--;
	return line;
}

static bool begins(struct slice line, const char *text)
{
	return line.len >= strlen(text) && memcmp(line.data, text, strlen(text)) == 0;
}

/* The label of "-----BEGIN label-----"; false when the line is something else. */
static bool marker(struct slice line, const char *verb, struct slice *label)
{
	size_t head = strlen(verb), tail = sizeof(DASHES) - 1;

	if (!begins(line, verb) || line.len < head + tail ||
	    memcmp(line.data + line.len - tail, DASHES, tail) != 0)
		return false;
	*label = slice_of(line.data + head, line.len - head - tail);
	return label->len > 0 && label->len <= LABEL_MAX;
}

bool tls_pem_is_whole(struct slice bytes, struct str *why)
{
	struct slice open = SLICE_NONE, label;
	size_t number = 0, opened = 0;

	bytes = without_mark(bytes);
	while (bytes.len > 0) {
		struct slice line = next_line(&bytes);

		number++;
		if (!begins(line, DASHES))
			continue;
		if (!open.data && marker(line, DASHES "BEGIN ", &label)) {
			open = label;
			opened = number;
		} else if (open.data && marker(line, DASHES "END ", &label) &&
			   slice_eq(open, label)) {
			open = SLICE_NONE;
		} else {
			str_addf(why, CUT_OFF ": line %zu is no %s line", number,
				 open.data ? "END" : "BEGIN");
			if (open.data)
				str_addf(why, " for what begins in line %zu", opened);
			return false;
		}
	}
	if (!open.data)
		return true;
	str_addf(why, CUT_OFF ": what begins in line %zu does not end", opened);
	return false;
}

static bool has_markers(struct slice bytes)
{
	return bytes.len > 0 && memmem(bytes.data, bytes.len, DASHES "BEGIN ", 11);
}

/* ---- certificates */

/* What stands in a file. */
struct found {
	STACK_OF(X509) * certs;
	bool key, request, pkcs7;
	bool toobig;
	const char *bad; /* why the certificate behind those could not be read */
};

static void take_cert(struct found *f, const unsigned char *der, long len, bool trusted)
{
	const unsigned char *at = der;
	X509 *x = trusted ? d2i_X509_AUX(NULL, &at, len) : d2i_X509(NULL, &at, len);

	if (!x || at != der + len) {
		f->bad = x ? "bytes behind its end" : openssl_reason();
		X509_free(x);
	} else if (sk_X509_num(f->certs) >= TLS_PEM_CERTS_MAX) {
		f->toobig = true;
		X509_free(x);
	} else {
		check(sk_X509_push(f->certs, x) > 0);
	}
}

static void take_object(struct found *f, const char *label, const unsigned char *der, long len)
{
	if (strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0)
		take_cert(f, der, len, false);
	else if (strcmp(label, PEM_STRING_X509_TRUSTED) == 0)
		take_cert(f, der, len, true);
	else if (strstr(label, "PRIVATE KEY"))
		f->key = true;
	else if (strstr(label, "CERTIFICATE REQUEST"))
		f->request = true;
	else if (strcmp(label, PEM_STRING_PKCS7) == 0 || strcmp(label, PEM_STRING_CMS) == 0 ||
		 strcmp(label, PEM_STRING_PKCS7_SIGNED) == 0)
		f->pkcs7 = true;
}

static void take_pem(struct found *f, struct slice bytes)
{
	BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
	char *label, *header;
	unsigned char *der;
	long len;

	check(bio);
	while (!f->bad && !f->toobig && PEM_read_bio(bio, &label, &header, &der, &len)) {
		take_object(f, label, der, len);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
	}
	if (!f->bad && !f->toobig && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		f->bad = openssl_reason();
	BIO_free(bio);
}

/* All that is known here is a SEQUENCE. */
static bool is_der(struct slice bytes)
{
	return bytes.len > 1 && bytes.data[0] == 0x30;
}

static void take_der(struct found *f, struct slice bytes)
{
	const unsigned char *start = (const unsigned char *)bytes.data, *at = start;
	long len = (long)bytes.len;
	X509_REQ *request = NULL;
	EVP_PKEY *key = NULL;
	PKCS7 *pkcs7 = NULL;

	if (is_der(bytes))
		take_cert(f, start, len, false);
	if (sk_X509_num(f->certs) > 0)
		return;
	f->bad = "neither PEM nor DER, or cut off";
	if (!is_der(bytes))
		return;
	if ((at = start, request = d2i_X509_REQ(NULL, &at, len)))
		f->request = true;
	else if ((at = start, pkcs7 = d2i_PKCS7(NULL, &at, len)))
		f->pkcs7 = true;
	else if ((at = start, key = d2i_AutoPrivateKey(NULL, &at, len)))
		f->key = true;
	X509_REQ_free(request);
	PKCS7_free(pkcs7);
	EVP_PKEY_free(key);
}

static void say_none(const struct found *f, const char *path, const char *cut, struct str *why)
{
	str_addf(why, "%s: holds no certificate (", path);
	if (*cut)
		str_addf(why, "%s); copy the whole file again", cut);
	else if (f->request)
		str_adds(why, "but a request for one); have the CA sign it, and use what the CA "
			      "returns");
	else if (f->pkcs7)
		str_addf(why,
			 "but a PKCS#7 archive of some); unpack it: openssl pkcs7 -print_certs "
			 "-in %s -out FILE (DER: -inform DER)",
			 path);
	else if (f->key)
		str_adds(why, "but a private key); name the key first and the certificate behind "
			      "it, or put the certificate there");
	else
		str_addf(why, "%s); it must be PEM or DER, the server's own certificate first",
			 f->bad ? f->bad : "nothing that is one");
}

enum err tls_pem_certs(struct stack_st_X509 **out, struct slice bytes, const char *path,
		       bool *has_key, struct str *why)
{
	struct found f = {.certs = sk_X509_new_null()};
	struct str cut = STR_INIT;
	bool good = false;
	int n;

	check(f.certs);
	bytes = without_mark(bytes);
	if (!tls_pem_is_whole(bytes, &cut) || has_markers(bytes))
		take_pem(&f, bytes);
	else
		take_der(&f, bytes);
	ERR_clear_error();
	n = sk_X509_num(f.certs);
	if (n == 0)
		say_none(&f, path, cut.data, why);
	else if (f.toobig)
		str_addf(why, "%s: more than %d certificates; put only the server's chain there",
			 path, TLS_PEM_CERTS_MAX);
	else if (cut.len || f.bad)
		str_addf(why,
			 "%s: a certificate behind the first %d cannot be read (%s); copy the "
			 "whole file again",
			 path, n, cut.len ? cut.data : f.bad);
	else
		good = true;
	str_clear(&cut);
	if (has_key)
		*has_key = f.key;
	*out = good ? f.certs : NULL;
	if (good)
		return ERR_OK;
	sk_X509_pop_free(f.certs, X509_free);
	return f.toobig ? ERR_TOOBIG : ERR_FORMAT;
}

/* ---- keys */

/* No pass phrase: a service that asks a terminal for one hangs instead of failing. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)arg = true;
	return -1;
}

enum err tls_pem_key(struct evp_pkey_st **out, struct slice bytes, const char *path,
		     struct str *why)
{
	const unsigned char *der;
	bool locked = false;
	EVP_PKEY *key;
	BIO *bio;

	bytes = without_mark(bytes);
	der = (const unsigned char *)bytes.data;
	bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
	check(bio);
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &locked);
	if (!key && is_der(bytes))
		key = d2i_AutoPrivateKey(NULL, &der, (long)bytes.len);
	BIO_free(bio);
	*out = key;
	if (!key && locked)
		str_addf(why,
			 "%s: holds no usable private key (it has a pass phrase); take it off: "
			 "pki unlock FILE",
			 path);
	else if (!key)
		str_addf(why,
			 "%s: holds no usable private key (%s); it must be PEM or DER without a "
			 "pass phrase",
			 path, openssl_reason());
	ERR_clear_error();
	return key ? ERR_OK : ERR_FORMAT;
}
