#include "xmpp/jid.h"

#include <arpa/inet.h>
#include <idna.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stringprep.h>

#include "base/xmem.h"
#include "xmpp/utf8.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

/* What an ASCII byte is in a part. Local: nodeprep (RFC 6122 appendix A.5: also " & ' / : < > @ are
 * prohibited). Domain: letters, digits, hyphen, dot; and "_", since there are hosts that have it.
 * Resource: resourceprep (appendix B), everything printable, and the space. */
enum { LOCAL = 1, DOMAIN = 2, RESOURCE = 4, UPPER = 8 };

static const uint8_t ascii[128] = {
	[' '] = RESOURCE,
	['!'] = LOCAL | RESOURCE,
	['"'] = RESOURCE,
	['#'] = LOCAL | RESOURCE,
	['$'] = LOCAL | RESOURCE,
	['%'] = LOCAL | RESOURCE,
	['&'] = RESOURCE,
	['\''] = RESOURCE,
	['('] = LOCAL | RESOURCE,
	[')'] = LOCAL | RESOURCE,
	['*'] = LOCAL | RESOURCE,
	['+'] = LOCAL | RESOURCE,
	[','] = LOCAL | RESOURCE,
	['-'] = LOCAL | DOMAIN | RESOURCE,
	['.'] = LOCAL | DOMAIN | RESOURCE,
	['/'] = RESOURCE,
	['0' ... '9'] = LOCAL | DOMAIN | RESOURCE,
	[':'] = RESOURCE,
	[';'] = LOCAL | RESOURCE,
	['<'] = RESOURCE,
	['='] = LOCAL | RESOURCE,
	['>'] = RESOURCE,
	['?'] = LOCAL | RESOURCE,
	['@'] = RESOURCE,
	['A' ... 'Z'] = LOCAL | DOMAIN | RESOURCE | UPPER,
	['[' ... '^'] = LOCAL | RESOURCE,
	['_'] = LOCAL | DOMAIN | RESOURCE,
	['`'] = LOCAL | RESOURCE,
	['a' ... 'z'] = LOCAL | DOMAIN | RESOURCE,
	['{' ... '~'] = LOCAL | RESOURCE,
};

/* ERR_AGAIN: there is something beyond ASCII. out may have been written to the length of in. */
static enum err prepare_ascii(char *out, struct slice in, uint8_t part)
{
	uint8_t fold = part == RESOURCE ? 0 : UPPER;

	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = (unsigned char)in.data[i];

		if (c >= 0x80)
			return ERR_AGAIN;
		if (!(ascii[c] & part))
			return ERR_FORMAT;
		out[i] = (char)(ascii[c] & fold ? c | 0x20 : c);
	}
	out[in.len] = '\0';
	return ERR_OK;
}

static enum err stringprep_err(int rc)
{
	if (rc == STRINGPREP_OK)
		return ERR_OK;
	return rc == STRINGPREP_TOO_SMALL_BUFFER ? ERR_TOOBIG : ERR_FORMAT;
}

/* Code points that Unicode 3.2 did not know yet are let through: new scripts and emoji are wanted
 * (RFC 7622), and old prohibitions do not know them either. Some texts change again when they are
 * prepared again; equal JIDs would then have unequal text, so these are refused. */
static enum err prepare_unicode(char *out, struct slice in, const Stringprep_profile *profile)
{
	char again[JID_PART_MAX + 1];
	enum err e;

	memcpy(out, in.data, in.len);
	out[in.len] = '\0';
	e = stringprep_err(stringprep(out, JID_PART_MAX + 1, 0, profile));
	if (e)
		return e;
	if (!*out)
		return ERR_FORMAT;
	memcpy(again, out, strlen(out) + 1);
	e = stringprep_err(stringprep(again, sizeof(again), 0, profile));
	return e || strcmp(again, out) != 0 ? ERR_FORMAT : ERR_OK;
}

/* Each label 1 to 63 bytes, no hyphen at its ends. *ace: one begins with "xn--". */
static bool labels_ok(const char *domain, bool *ace)
{
	const char *label = domain;

	*ace = false;
	for (const char *p = domain;; p++) {
		if (*p && *p != '.')
			continue;
		if (p == label || p - label > LABEL_MAX || label[0] == '-' || p[-1] == '-')
			return false;
		if (label[0] == 'x' && strncmp(label, "xn--", 4) == 0)
			*ace = true;
		if (!*p)
			return true;
		label = p + 1;
	}
}

/* "[::1]" (RFC 7622 3.2, RFC 3986 IP-literal), in the form of RFC 5952. */
static enum err prepare_ip_literal(char *out, struct slice in)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (in.len < 2 || in.data[in.len - 1] != ']' || in.len - 2 >= sizeof(text))
		return ERR_FORMAT;
	memcpy(text, in.data + 1, in.len - 2);
	text[in.len - 2] = '\0';
	if (strlen(text) != in.len - 2 || inet_pton(AF_INET6, text, &addr) != 1)
		return ERR_FORMAT;
	inet_ntop(AF_INET6, &addr, text, sizeof(text));
	snprintf(out, JID_PART_MAX + 1, "[%s]", text);
	return ERR_OK;
}

/* Internationalised names: through ToASCII, which checks every label, and back to Unicode, so that
 * "xn--..." and its Unicode form are one domain (RFC 7622 3.2: U-labels only). */
static enum err prepare_idn(char *out, const char *in)
{
	char *as_ascii = NULL;
	char *unicode = NULL;
	enum err e = ERR_FORMAT;
	bool ace;
	size_t n;

	if (idna_to_ascii_8z(in, &as_ascii, IDNA_ALLOW_UNASSIGNED) != IDNA_SUCCESS)
		goto out;
	n = strlen(as_ascii);
	if (n > 0 && as_ascii[n - 1] == '.')
		as_ascii[n - 1] = '\0';
	if (prepare_ascii(as_ascii, slice_str(as_ascii), DOMAIN) || !labels_ok(as_ascii, &ace))
		goto out;
	if (idna_to_unicode_8z8z(as_ascii, &unicode, IDNA_ALLOW_UNASSIGNED) != IDNA_SUCCESS)
		goto out;
	n = strlen(unicode);
	e = n <= JID_PART_MAX ? ERR_OK : ERR_TOOBIG;
	if (!e)
		memcpy(out, unicode, n + 1);
out:
	free(as_ascii);
	free(unicode);
	return e;
}

static enum err check_length(struct slice in)
{
	if (in.len == 0)
		return ERR_FORMAT;
	return in.len > JID_PART_MAX ? ERR_TOOBIG : ERR_OK;
}

enum err jid_prepare_local(char out[JID_PART_MAX + 1], struct slice text)
{
	enum err e = check_length(text);

	if (e)
		return e;
	e = prepare_ascii(out, text, LOCAL);
	if (e != ERR_AGAIN)
		return e;
	return utf8_ok(text) ? prepare_unicode(out, text, stringprep_xmpp_nodeprep) : ERR_FORMAT;
}

enum err jid_prepare_resource(char out[JID_PART_MAX + 1], struct slice text)
{
	enum err e = check_length(text);

	if (e)
		return e;
	e = prepare_ascii(out, text, RESOURCE);
	if (e != ERR_AGAIN)
		return e;
	return utf8_ok(text) ? prepare_unicode(out, text, stringprep_xmpp_resourceprep)
			     : ERR_FORMAT;
}

enum err jid_prepare_domain(char out[JID_PART_MAX + 1], struct slice text)
{
	char raw[JID_PART_MAX + 1];
	enum err e = check_length(text);
	bool ace;

	if (e)
		return e;
	if (text.data[0] == '[')
		return prepare_ip_literal(out, text);
	/* RFC 7622 3.2: a final dot is stripped before anything else. */
	if (text.len > 1 && text.data[text.len - 1] == '.')
		text.len--;
	e = prepare_ascii(out, text, DOMAIN);
	if (!e && !labels_ok(out, &ace))
		return ERR_FORMAT;
	if (!e && !ace)
		return ERR_OK;
	if (e && (e != ERR_AGAIN || !utf8_ok(text)))
		return ERR_FORMAT;
	memcpy(raw, text.data, text.len);
	raw[text.len] = '\0';
	return prepare_idn(out, raw);
}

/* Where the parts of a JID begin and end (RFC 7622 3.1): the first "/", then the first "@". */
static void split(struct slice text, struct slice *local, struct slice *domain,
		  struct slice *resource)
{
	const char *p = text.len ? memchr(text.data, '/', text.len) : NULL;
	size_t bare = p ? (size_t)(p - text.data) : text.len;

	*resource = p ? slice_of(p + 1, text.len - bare - 1) : SLICE_NONE;
	p = bare ? memchr(text.data, '@', bare) : NULL;
	*local = p ? slice_of(text.data, (size_t)(p - text.data)) : SLICE_NONE;
	*domain = p ? slice_of(p + 1, bare - local->len - 1) : slice_of(text.data, bare);
}

enum err jid_parse(struct jid *out, struct slice text)
{
	char buf[3 * (JID_PART_MAX + 1)];
	struct slice local, domain, resource;
	size_t at = 0, domain_at, resource_at;
	enum err e;

	*out = JID_NONE;
	split(text, &local, &domain, &resource);
	if (local.data) {
		e = jid_prepare_local(buf, local);
		if (e)
			return e;
		local.len = strlen(buf);
		buf[local.len] = '@';
		at = local.len + 1;
	}
	domain_at = at;
	e = jid_prepare_domain(buf + at, domain);
	if (e)
		return e;
	domain.len = strlen(buf + at);
	at += domain.len;
	resource_at = at + 1;
	if (resource.data) {
		buf[at] = '/';
		e = jid_prepare_resource(buf + resource_at, resource);
		if (e)
			return e;
		resource.len = strlen(buf + resource_at);
		at = resource_at + resource.len;
	}
	out->text = xstrndup(buf, at);
	out->domain = slice_of(out->text + domain_at, domain.len);
	if (local.data)
		out->local = slice_of(out->text, local.len);
	if (resource.data)
		out->resource = slice_of(out->text + resource_at, resource.len);
	return ERR_OK;
}

void jid_clear(struct jid *j)
{
	free(j->text);
	*j = JID_NONE;
}

struct slice jid_full(const struct jid *j)
{
	const struct slice *last = j->resource.data ? &j->resource : &j->domain;

	return j->text ? slice_of(j->text, (size_t)(last->data + last->len - j->text)) : SLICE_NONE;
}

struct slice jid_bare(const struct jid *j)
{
	return j->text ? slice_of(j->text, (size_t)(j->domain.data + j->domain.len - j->text))
		       : SLICE_NONE;
}

struct slice jid_text_bare(struct slice text)
{
	const char *p = text.len ? memchr(text.data, '/', text.len) : NULL;

	return p ? slice_of(text.data, (size_t)(p - text.data)) : text;
}

/* Each looks for no more than it needs: they are called several times for a stanza. */
struct slice jid_text_domain(struct slice text)
{
	struct slice bare = jid_text_bare(text);
	const char *p = bare.len ? memchr(bare.data, '@', bare.len) : NULL;

	return p ? slice_of(p + 1, bare.len - (size_t)(p - bare.data) - 1) : bare;
}

struct slice jid_text_local(struct slice text)
{
	/* "@" may stand in a resource, but "/" in no local part. */
	const char *p = text.len ? memchr(text.data, '@', text.len) : NULL;
	size_t len = p ? (size_t)(p - text.data) : 0;

	return p && !memchr(text.data, '/', len) ? slice_of(text.data, len) : SLICE_NONE;
}

struct slice jid_text_resource(struct slice text)
{
	const char *p = text.len ? memchr(text.data, '/', text.len) : NULL;

	return p ? slice_of(p + 1, text.len - (size_t)(p - text.data) - 1) : SLICE_NONE;
}
