#include "cli/pki/pki_request.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/xmem.h"
#include "cli/pki/pki_names.h"
#include "xmpp/utf8.h"

/* RFC 5280 appendix A: the upper bounds of X.520. */
static const struct {
	const char *name;
	size_t max; /* characters */
	const char *what;
} attributes[PKI_ATTRIBUTES] = {
	[PKI_C] = {"C", 2, "the country, two letters"},
	[PKI_ST] = {"ST", 128, "the state"},
	[PKI_L] = {"L", 128, "the town"},
	[PKI_O] = {"O", 64, "the organization"},
	[PKI_OU] = {"OU", 64, "a unit of it"},
	[PKI_CN] = {"CN", 64, "the domain or host name"},
};

enum err pki_request_judge_basename(const char *basename, struct str *why)
{
	size_t len = strlen(basename);

	if (len > 0 && len <= PKI_REQUEST_BASENAME_MAX && basename[0] != '-' &&
	    strspn(basename, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
		    len)
		return ERR_OK;
	str_addf(why,
		 "the basename '%s': give 1 to %d letters, digits, '-' or '_', without a suffix or "
		 "a folder: the files get its name with .key and .csr or .crt",
		 basename, PKI_REQUEST_BASENAME_MAX);
	return ERR_FORMAT;
}

static enum err add_name(struct pki_request *r, struct slice name, struct str *why)
{
	char *host;

	if (r->nnames == PKI_REQUEST_NAMES_MAX) {
		str_addf(why, "subjectAltName: more than %d names", PKI_REQUEST_NAMES_MAX);
		return ERR_TOOBIG;
	}
	/* As OpenSSL writes them. */
	if (name.len > 4 && strncasecmp(name.data, "DNS:", 4) == 0)
		name = slice_of(name.data + 4, name.len - 4);
	else if (name.len > 3 && strncasecmp(name.data, "IP:", 3) == 0)
		name = slice_of(name.data + 3, name.len - 3);
	host = xstrndup(name.data, name.len);
	if (pki_names_is_host(host)) {
		r->names[r->nnames++] = host;
		return ERR_OK;
	}
	if (!*host)
		str_adds(why, "subjectAltName: an empty name; write them with one comma between, "
			      "a.example.org,b.example.org");
	else
		str_addf(why,
			 "subjectAltName: '%s' is neither a DNS name nor an IP address (letters, "
			 "digits, '-' and '.'; an international name in its xn-- form)",
			 host);
	free(host);
	return ERR_FORMAT;
}

static enum err add_names(struct pki_request *r, const char *list, struct str *why)
{
	enum err e = ERR_OK;

	if (r->nnames > 0) {
		str_adds(why, "subjectAltName is given twice; put all names into one list");
		return ERR_FORMAT;
	}
	if (strpbrk(list, " \t")) {
		str_adds(why, "subjectAltName: a space in the list; write the names with commas "
			      "only, a.example.org,b.example.org");
		return ERR_FORMAT;
	}
	for (;;) {
		size_t len = strcspn(list, ",");

		e = add_name(r, slice_of(list, len), why);
		if (e != ERR_OK || !list[len])
			return e;
		list += len + 1;
	}
}

static bool is_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

/* Characters, of valid UTF-8. */
static size_t length(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static bool value_fits(enum pki_attribute a, const char *value)
{
	if (a == PKI_C)
		return strlen(value) == 2 && isalpha((unsigned char)value[0]) &&
		       isalpha((unsigned char)value[1]);
	if (a == PKI_CN)
		return strlen(value) <= attributes[a].max && pki_names_is_host(value);
	return *value && length(value) <= attributes[a].max && is_text(value) &&
	       utf8_ok(slice_str(value));
}

static enum err set_value(struct pki_request *r, enum pki_attribute a, const char *value,
			  struct str *why)
{
	if (r->value[a]) {
		str_addf(why, "%s is given twice", attributes[a].name);
		return ERR_FORMAT;
	}
	if (!value_fits(a, value)) {
		str_addf(why, "%s:%s: give %s", attributes[a].name, value, attributes[a].what);
		if (a == PKI_CN)
			str_adds(why, " (letters, digits, '-' and '.'; an international name in "
				      "its xn-- form)");
		if (a != PKI_C)
			str_addf(why, ", at most %zu characters", attributes[a].max);
		return ERR_FORMAT;
	}
	r->value[a] = value;
	return ERR_OK;
}

static enum err parse_word(struct pki_request *r, const char *word, struct str *why)
{
	const char *colon = strchr(word, ':');
	struct slice key = slice_of(word, colon ? (size_t)(colon - word) : 0);

	for (size_t a = 0; a < PKI_ATTRIBUTES; a++)
		if (key.len == strlen(attributes[a].name) &&
		    strncasecmp(key.data, attributes[a].name, key.len) == 0)
			return set_value(r, a, colon + 1, why);
	if ((key.len == 14 && strncasecmp(key.data, "subjectAltName", 14) == 0) ||
	    (key.len == 10 && strncasecmp(key.data, "subAltName", 10) == 0))
		return add_names(r, colon + 1, why);
	str_addf(why,
		 "'%s': write ATTRIBUTE:VALUE with one of CN, OU, O, L, ST, C and subjectAltName "
		 "(no spaces in its list; quote a value that has some: O:\"Example Ltd\")",
		 word);
	return ERR_FORMAT;
}

enum err pki_request_parse(struct pki_request *out, int argc, char *const *argv, struct str *why)
{
	enum err e;

	*out = (struct pki_request){.basename = argc > 0 ? argv[0] : ""};
	e = pki_request_judge_basename(out->basename, why);
	for (int i = 1; i < argc && e == ERR_OK; i++)
		e = parse_word(out, argv[i], why);
	if (e == ERR_OK)
		return ERR_OK;
	pki_request_clear(out);
	return e;
}

void pki_request_clear(struct pki_request *r)
{
	for (size_t i = 0; i < r->nnames; i++)
		free(r->names[i]);
	*r = (struct pki_request){.basename = ""};
}
