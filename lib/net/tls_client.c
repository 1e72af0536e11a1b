#include "net/tls_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/check.h"
#include "base/xmem.h"
#include "net/dns_wire.h"

#define NAMES_MAX 4

struct tls_client {
	unsigned int refs;
	SSL_CTX *ctx;
	bool verify;
};

/* What hangs on an SSL: whom it is for, and why he was refused. */
struct judged {
	char *names[NAMES_MAX];
	char *ascii[NAMES_MAX]; /* the same in the form of DNS (RFC 6125 6.4.2) */
	size_t nnames;
	char *service;
	bool verify;
	struct str refusal;
};

/* ---- names (RFC 6125 6, RFC 6120 13.7.1.2) */

static bool same_name(const ASN1_STRING *s, const char *name)
{
	size_t len = (size_t)ASN1_STRING_length(s);

	return len == strlen(name) &&
	       strncasecmp((const char *)ASN1_STRING_get0_data(s), name, len) == 0;
}

/* "ü.example" as certificates and SNI have it: "xn--tda.example". */
static char *ascii_of(const char *name)
{
	char ascii[DNS_NAME_MAX];

	return xstrdup(dns_name_parse(ascii, name) == ERR_OK && ascii[0] ? ascii : name);
}

/* SRV-ID "_service.name" (RFC 4985), XmppAddr (RFC 6120 13.7.1.4), which is in Unicode. */
static bool other_name_fits(const struct judged *j, const OTHERNAME *o, size_t i)
{
	int nid = OBJ_obj2nid(o->type_id);
	const char *name = j->ascii[i];
	const ASN1_STRING *s = o->value->value.asn1_string;
	size_t service;

	if (nid == NID_XmppAddr && o->value->type == V_ASN1_UTF8STRING)
		return same_name(s, j->names[i]);
	if (nid != NID_SRVName || o->value->type != V_ASN1_IA5STRING || !j->service)
		return false;
	service = strlen(j->service);
	return (size_t)ASN1_STRING_length(s) == service + 1 + strlen(name) &&
	       memcmp(ASN1_STRING_get0_data(s), j->service, service) == 0 &&
	       ASN1_STRING_get0_data(s)[service] == '.' &&
	       strncasecmp((const char *)ASN1_STRING_get0_data(s) + service + 1, name,
			   strlen(name)) == 0;
}

static bool has_other_name(const struct judged *j, const X509 *cert, size_t wanted)
{
	GENERAL_NAMES *san = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(san); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(san, i);

		found = gn->type == GEN_OTHERNAME && other_name_fits(j, gn->d.otherName, wanted);
	}
	GENERAL_NAMES_free(san);
	ERR_clear_error();
	return found;
}

static bool is_address(const char *name)
{
	unsigned char buf[16];

	return inet_pton(AF_INET, name, buf) == 1 || inet_pton(AF_INET6, name, buf) == 1;
}

/* X509_check_host: DNS-IDs with wildcards as RFC 6125 6.4.3 has them (one whole label), the common
 * name only when there are no DNS-IDs: not even then for us (RFC 6125 6.4.4 is a MAY). */
static bool is_for(const struct judged *j, X509 *cert, size_t i)
{
	const char *name = j->ascii[i];

	if (is_address(name))
		return X509_check_ip_asc(cert, name, 0) == 1;
	return X509_check_host(cert, name, 0,
			       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
				       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
			       NULL) == 1 ||
	       has_other_name(j, cert, i);
}

static void list_names(const X509 *cert, struct str *out)
{
	GENERAL_NAMES *san = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int shown = 0;

	for (int i = 0; shown < 4 && i < sk_GENERAL_NAME_num(san); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(san, i);
		const ASN1_STRING *s = gn->d.dNSName;

		if (gn->type != GEN_DNS)
			continue;
		str_adds(out, shown++ ? ", " : "");
		for (int k = 0; k < ASN1_STRING_length(s) && k < 64; k++) {
			unsigned char c = ASN1_STRING_get0_data(s)[k];

			str_addc(out, c > ' ' && c < 0x7f && c != '"' ? (char)c : '?');
		}
	}
	if (shown == 0)
		str_adds(out, "no names");
	GENERAL_NAMES_free(san);
	ERR_clear_error();
}

static void judge_names(struct judged *j, X509 *cert)
{
	for (size_t i = 0; i < j->nnames; i++)
		if (is_for(j, cert, i))
			return;
	str_adds(&j->refusal, "the server's certificate is not for ");
	for (size_t i = 0; i < j->nnames; i++)
		str_addf(&j->refusal, "%s%s", i ? " or " : "", j->names[i]);
	str_adds(&j->refusal, " but for ");
	list_names(cert, &j->refusal);
}

/* ---- the chain */

static void add_time(struct str *out, const ASN1_TIME *t)
{
	struct tm tm = {0};
	char text[32] = "?";

	if (ASN1_TIME_to_tm(t, &tm) == 1)
		strftime(text, sizeof(text), "%Y-%m-%d", &tm);
	str_adds(out, text);
}

static void add_subject(struct str *out, const X509_NAME *name)
{
	char text[160] = "";

	X509_NAME_oneline(name, text, sizeof(text)); /* escapes what is not printable */
	str_adds(out, text[0] ? text : "(no name)");
}

static void judge_chain(struct str *out, const X509_STORE_CTX *ctx, int error)
{
	X509 *at = X509_STORE_CTX_get_current_cert(ctx);
	int depth = X509_STORE_CTX_get_error_depth(ctx);

	str_addf(out, "%s ", depth == 0 ? "the server's certificate" : "a CA's certificate");
	switch (at ? error : X509_V_OK) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		str_adds(out, "has expired on ");
		add_time(out, X509_get0_notAfter(at));
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		str_adds(out, "is not valid before ");
		add_time(out, X509_get0_notBefore(at));
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		str_adds(out, "is self-signed and not among the trusted ones");
		break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		str_adds(out, "at the root is not among the trusted ones: ");
		add_subject(out, X509_get_subject_name(at));
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		str_adds(out, "has an unknown issuer: ");
		add_subject(out, X509_get_issuer_name(at));
		break;
	default:
		str_addf(out, "was refused: %s", X509_verify_cert_error_string(error));
	}
}

/* ---- OpenSSL's side */

static void on_ssl_freed(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
			 void *argp)
{
	struct judged *j = ptr;

	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	if (!j)
		return;
	for (size_t i = 0; i < j->nnames; i++) {
		free(j->names[i]);
		free(j->ascii[i]);
	}
	free(j->service);
	str_clear(&j->refusal);
	free(j);
}

/* One for the process: OpenSSL knows no way to give an index back. */
static int judged_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_freed);
	check(index >= 0);
	return index;
}

/* 1 = go on. Called for each trouble of the chain, and once for the good end (depth 0). */
static int on_verify(int good, X509_STORE_CTX *ctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct judged *j = SSL_get_ex_data(ssl, judged_index());

	if (!j || !j->verify)
		return 1;
	if (!good)
		judge_chain(&j->refusal, ctx, X509_STORE_CTX_get_error(ctx));
	else if (X509_STORE_CTX_get_error_depth(ctx) == 0)
		judge_names(j, X509_STORE_CTX_get_current_cert(ctx));
	if (j->refusal.len == 0)
		return 1;
	if (good) /* the alert that the server gets: bad_certificate */
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_HOSTNAME_MISMATCH);
	return 0;
}

static SSL_CTX *new_ctx(const struct tls_client_config *cfg)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	check(c);
	SSL_CTX_set_min_proto_version(c, cfg->only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	check(SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1);
	check(SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384") == 1);
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				       SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, on_verify);
	return c;
}

static enum err load_issuers(SSL_CTX *c, const char *file, struct str *why)
{
	int fd;

	if (!file || !*file) {
		if (SSL_CTX_set_default_verify_paths(c) == 1)
			return ERR_OK;
		ERR_clear_error();
		str_adds(why, "the system's CA certificates cannot be read; install the package "
			      "ca-certificates, or name a CA file");
		return ERR_NOTFOUND;
	}
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		str_addf(why, "%s: %m; name a PEM file with the trusted issuers", file);
		return errno == ENOENT || errno == ENOTDIR ? ERR_NOTFOUND : ERR_DENIED;
	}
	close(fd);
	if (SSL_CTX_load_verify_file(c, file) == 1) {
		ERR_clear_error();
		return ERR_OK;
	}
	ERR_clear_error();
	str_addf(why, "%s has no certificates in it; a PEM file with the trusted issuers is wanted",
		 file);
	return ERR_FORMAT;
}

/* ---- the outside */

enum err tls_client_new(struct tls_client **out, const struct tls_client_config *cfg,
			struct str *why)
{
	SSL_CTX *ctx = new_ctx(cfg);
	enum err e = cfg->no_verify ? ERR_OK : load_issuers(ctx, cfg->ca_file, why);

	*out = NULL;
	if (e != ERR_OK) {
		SSL_CTX_free(ctx);
		return e;
	}
	*out = xcalloc(1, sizeof(**out));
	**out = (struct tls_client){.refs = 1, .ctx = ctx, .verify = !cfg->no_verify};
	return ERR_OK;
}

struct tls_client *tls_client_ref(struct tls_client *t)
{
	t->refs++;
	return t;
}

void tls_client_unref(struct tls_client **tp)
{
	struct tls_client *t = *tp;

	*tp = NULL;
	if (!t || --t->refs)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

static bool set_sni(SSL *ssl, const char *name)
{
	char *ascii = ascii_of(name);
	bool ok = SSL_set_tlsext_host_name(ssl, ascii) == 1;

	free(ascii);
	return ok;
}

static bool set_alpn(SSL *ssl, const char *alpn)
{
	size_t len = strlen(alpn);
	unsigned char list[256];

	check(len > 0 && len < sizeof(list));
	list[0] = (unsigned char)len;
	memcpy(list + 1, alpn, len);
	return SSL_set_alpn_protos(ssl, list, (unsigned int)len + 1) == 0;
}

struct ssl_st *tls_client_ssl(struct tls_client *t, const struct tls_peer *peer)
{
	SSL *ssl = SSL_new(t->ctx);
	const char *sni = peer->server_name;
	struct judged *j;

	check(peer->nnames <= NAMES_MAX && (peer->nnames > 0 || !t->verify));
	if (!ssl) {
		ERR_clear_error();
		return NULL;
	}
	j = xcalloc(1, sizeof(*j));
	j->verify = t->verify;
	for (size_t i = 0; i < peer->nnames; i++) {
		j->names[i] = xstrdup(peer->names[i]);
		j->ascii[i] = ascii_of(peer->names[i]);
	}
	j->nnames = peer->nnames;
	j->service = peer->service ? xstrdup(peer->service) : NULL;
	str_init(&j->refusal);
	check(SSL_set_ex_data(ssl, judged_index(), j) == 1);
	SSL_set_connect_state(ssl);
	if ((sni && !is_address(sni) && !set_sni(ssl, sni)) ||
	    (peer->alpn && !set_alpn(ssl, peer->alpn))) {
		ERR_clear_error();
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

const char *tls_client_refusal(struct ssl_st *ssl)
{
	const struct judged *j = SSL_get_ex_data(ssl, judged_index());

	return j && j->refusal.len ? j->refusal.data : NULL;
}
