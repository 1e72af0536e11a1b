#include "cli/pki/pki_names.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "cli/pki/pki_cert.h"

bool pki_names_is_dns(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > 253 || s[0] == '.' || s[len - 1] == '.' || strstr(s, ".."))
		return false;
	for (const char *at = s; *at; at += strcspn(at, "."), at += *at == '.') {
		size_t label = strcspn(at, ".");

		if (label > 63 || at[0] == '-' || at[label - 1] == '-')
			return false;
	}
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
	       len;
}

bool pki_names_is_ip(const char *s)
{
	unsigned char addr[16];

	return inet_pton(AF_INET, s, addr) == 1 || inet_pton(AF_INET6, s, addr) == 1;
}

bool pki_names_is_host(const char *s)
{
	return pki_names_is_ip(s) || pki_names_is_dns(strncmp(s, "*.", 2) == 0 ? s + 2 : s);
}

static bool has_dns(const GENERAL_NAMES *names, const char *host)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(names, i);

		if (gn->type == GEN_DNS && strlen(host) == (size_t)gn->d.dNSName->length &&
		    strncasecmp((const char *)gn->d.dNSName->data, host, strlen(host)) == 0)
			return true;
	}
	return false;
}

static bool has_ip(const GENERAL_NAMES *names, const unsigned char *addr, int len)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(names, i);

		if (gn->type == GEN_IPADD && gn->d.iPAddress->length == len &&
		    memcmp(gn->d.iPAddress->data, addr, (size_t)len) == 0)
			return true;
	}
	return false;
}

int pki_names_add(GENERAL_NAMES *names, const char *host)
{
	unsigned char addr[16];

	if (inet_pton(AF_INET, host, addr) == 1)
		return has_ip(names, addr, 4) || pki_cert_add_ip(names, addr, 4);
	if (inet_pton(AF_INET6, host, addr) == 1)
		return has_ip(names, addr, 16) || pki_cert_add_ip(names, addr, 16);
	return has_dns(names, host) || pki_cert_add_dns(names, host);
}
