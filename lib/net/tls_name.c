#include "net/tls_name.h"

#include <openssl/x509.h>

static void add_safe(struct str *out, const unsigned char *s, int len)
{
	str_addc(out, '"');
	for (int i = 0; i < len; i++)
		str_addc(out, s[i] < 0x20 || s[i] == 0x7f || s[i] == '"' ? '?' : (char)s[i]);
	str_addc(out, '"');
}

static void put_name(struct str *out, const X509_NAME *name)
{
	static const int telling[] = {NID_commonName, NID_organizationalUnitName,
				      NID_organizationName};
	char line[256] = "";

	for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++) {
		int at = X509_NAME_get_index_by_NID(name, telling[i], -1);
		unsigned char *utf8;
		int len;

		if (at < 0)
			continue;
		len = ASN1_STRING_to_UTF8(&utf8,
					  X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
		if (len < 0)
			continue;
		add_safe(out, utf8, len);
		OPENSSL_free(utf8);
		return;
	}
	X509_NAME_oneline(name, line, sizeof(line));
	add_safe(out, (const unsigned char *)line, (int)strlen(line));
}

void tls_name_subject(struct str *out, const X509 *cert)
{
	put_name(out, X509_get_subject_name(cert));
}

void tls_name_issuer(struct str *out, const X509 *cert)
{
	put_name(out, X509_get_issuer_name(cert));
}

void tls_name_plain(struct str *out, const X509 *cert)
{
	struct str quoted = STR_INIT;

	tls_name_subject(&quoted, cert);
	str_add(out, quoted.data + 1, quoted.len - 2);
	str_clear(&quoted);
}
