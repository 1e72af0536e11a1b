#include "net/resolver_lines.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/log.h"
#include "base/xmem.h"

#define TIMEOUT_MS 5000
#define RECORD_MAX 1024 /* of a configured line */

/* ---- servers */

static bool port_parse(const char *text, uint16_t *out)
{
	unsigned long n = 0;

	if (!*text || strlen(text) > 5)
		return false;
	for (const char *p = text; *p; p++) {
		if (!isdigit((unsigned char)*p))
			return false;
		n = n * 10 + (unsigned long)(*p - '0');
	}
	*out = (uint16_t)n;
	return n >= 1 && n <= 65535;
}

static bool address_parse(struct dns_server *out, char *host, uint16_t port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&out->addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&out->addr;
	char *scope;

	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		out->len = sizeof(*v4);
		return true;
	}
	scope = strchr(host, '%');
	if (scope)
		*scope++ = '\0';
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		return false;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	v6->sin6_scope_id = scope ? if_nametoindex(scope) : 0;
	out->len = sizeof(*v6);
	return !scope || v6->sin6_scope_id != 0;
}

enum err dns_server_parse(struct dns_server *out, const char *text, struct str *why)
{
	char host[DNS_SERVER_TEXT - 8];
	const char *at = strchr(text, '@');
	size_t len = at ? (size_t)(at - text) : strlen(text);
	struct dns_server s = {.len = 0};
	uint16_t port = 53;

	if (len == 0 || len >= sizeof(host) || (at && !port_parse(at + 1, &port))) {
		str_addf(why, "%s is not ADDRESS or ADDRESS@PORT, such as 192.0.2.53 or ::1@5353",
			 log_quote(slice_str(text)));
		return ERR_FORMAT;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	snprintf(s.text, sizeof(s.text), "%s@%u", host, port);
	if (!address_parse(&s, host, port)) {
		str_addf(why, "%s does not begin with an IP address (names cannot be used here)",
			 log_quote(slice_str(text)));
		return ERR_FORMAT;
	}
	*out = s;
	return ERR_OK;
}

static enum err zone_add(struct dns_zone *z, const char *text, struct str *why)
{
	struct dns_server s;
	enum err e = dns_server_parse(&s, text, why);

	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < z->nservers; i++)
		if (strcmp(z->servers[i].text, s.text) == 0)
			return ERR_OK;
	if (z->nservers == DNS_SERVERS_MAX) {
		str_addf(why, "more than %d servers for one zone", DNS_SERVERS_MAX);
		return ERR_TOOBIG;
	}
	z->servers[z->nservers++] = s;
	return ERR_OK;
}

/* ---- zones */

static struct dns_zone *zone_find(struct dns_settings *s, const char *name)
{
	for (size_t i = 0; i < s->nzones; i++)
		if (strcmp(s->zones[i].name, name) == 0)
			return &s->zones[i];
	s->zones = xrealloc(s->zones, (s->nzones + 1) * sizeof(*s->zones));
	s->zones[s->nzones] = (struct dns_zone){.nservers = 0};
	memcpy(s->zones[s->nzones].name, name, strlen(name) + 1);
	return &s->zones[s->nzones++];
}

static enum err forwardzone(struct dns_settings *s, const char *line, struct str *why)
{
	char zone[DNS_NAME_MAX], ascii[DNS_NAME_MAX];
	const char *p = line + strspn(line, " \t");
	size_t len = strcspn(p, " \t");
	const char *server = p + len + strspn(p + len, " \t");
	struct str reason = STR_INIT;
	enum err e = ERR_FORMAT;

	if (len == 0 || !*server || len >= sizeof(zone) || strpbrk(server, " \t")) {
		str_adds(&reason, "ZONE SERVER is wanted, such as \"example.org 192.0.2.53\"; "
				  "the zone \".\" is everything");
	} else {
		memcpy(zone, p, len);
		zone[len] = '\0';
		e = dns_name_parse(ascii, zone);
		if (e != ERR_OK)
			str_addf(&reason, "%s is not a domain", log_quote(slice_str(zone)));
		else
			e = zone_add(zone_find(s, ascii), server, &reason);
	}
	if (e != ERR_OK)
		str_addf(why, "forwardzone %s: %s", log_quote(slice_str(line)), reason.data);
	str_clear(&reason);
	return e;
}

const struct dns_zone *dns_settings_zone(const struct dns_settings *s, const char *name)
{
	const struct dns_zone *best = &s->zones[0];
	size_t len = strlen(name), best_len = 0;

	for (size_t i = 1; i < s->nzones; i++) {
		size_t n = strlen(s->zones[i].name);

		if (n <= len && n > best_len && strcmp(name + len - n, s->zones[i].name) == 0 &&
		    (n == len || name[len - n - 1] == '.')) {
			best = &s->zones[i];
			best_len = n;
		}
	}
	return best;
}

/* resolv.conf(5): without a nameserver the one on this machine. Options and search lists are for
 * people who type short names; ours are whole. */
void dns_settings_refresh(struct dns_settings *s)
{
	struct dns_zone *z = &s->zones[0];
	struct str ignored = STR_INIT;
	char line[256];
	FILE *f;

	if (!s->from_resolv_conf)
		return;
	z->nservers = 0;
	f = fopen(s->resolv_conf, "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *p = line + strspn(line, " \t");

		if (strncmp(p, "nameserver", 10) != 0 || (p[10] != ' ' && p[10] != '\t'))
			continue;
		p += 10 + strspn(p + 10, " \t");
		p[strcspn(p, " \t\r\n#;")] = '\0';
		zone_add(z, p, &ignored);
	}
	if (f)
		fclose(f);
	if (z->nservers == 0)
		zone_add(z, "127.0.0.1", &ignored);
	str_clear(&ignored);
}

/* ---- records */

/* The next field of a line: borrowed; "" at its end or comment. */
static struct slice field(const char **p)
{
	const char *start;

	*p += strspn(*p, " \t");
	start = *p;
	if (*start == ';')
		return SLICE_NONE;
	*p += strcspn(*p, " \t");
	return slice_of(start, (size_t)(*p - start));
}

static bool is_number(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit((unsigned char)s.data[i]))
			return false;
	return s.len > 0;
}

/* 16 bits; libunbound would take more of them. */
static bool is_port(struct slice s)
{
	unsigned long n = 0;

	if (!is_number(s) || s.len > 5)
		return false;
	for (size_t i = 0; i < s.len; i++)
		n = n * 10 + (unsigned long)(s.data[i] - '0');
	return n <= 65535;
}

static bool is_word(struct slice s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.data, word, s.len) == 0;
}

/* ASCII only: libunbound would take UTF-8 as it stands, and no question comes so. */
static bool is_name(struct slice s)
{
	char name[DNS_NAME_MAX + 1], ascii[DNS_NAME_MAX];

	if (s.len == 0 || s.len >= sizeof(name))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] >= 0x80)
			return false;
	memcpy(name, s.data, s.len);
	name[s.len] = '\0';
	return dns_name_parse(ascii, name) == ERR_OK;
}

enum err dns_record_shape(const char *line, struct str *why)
{
	const char *p = line;
	struct slice owner = field(&p), f = field(&p);

	if (strlen(line) > RECORD_MAX || strpbrk(line, "\r\n()")) {
		str_addf(why, "a record is one line of at most %d bytes without ( and )",
			 RECORD_MAX);
		return ERR_FORMAT;
	}
	if (!is_name(owner)) {
		str_addf(why,
			 "a record begins with the name that it is for, and %s is none (other "
			 "letters than a-z in the form xn--...)",
			 log_quote(owner));
		return ERR_FORMAT;
	}
	if (is_number(f) || is_word(f, "IN"))
		f = field(&p);
	if (is_number(f) || is_word(f, "IN"))
		f = field(&p);
	if (f.len == 0) {
		str_adds(why, "it has no type; NAME [TTL] [IN] TYPE DATA is wanted");
		return ERR_FORMAT;
	}
	if (!is_word(f, "SRV"))
		return ERR_OK; /* libunbound knows the rest */
	for (int i = 0; i < 3; i++)
		if (!is_port(field(&p)))
			goto bad_srv;
	f = field(&p);
	if (is_name(f) && field(&p).len == 0)
		return ERR_OK;
bad_srv:
	str_adds(why, "an SRV record is NAME [TTL] [IN] SRV PRIORITY WEIGHT PORT TARGET, the "
		      "numbers at most 65535");
	return ERR_FORMAT;
}

/* ---- all of it */

static char **copy_lines(const char *const *lines)
{
	size_t n = 0;
	char **out;

	while (lines && lines[n])
		n++;
	out = xcalloc(n + 1, sizeof(*out));
	for (size_t i = 0; i < n; i++)
		out[i] = xstrdup(lines[i]);
	return out;
}

static void free_lines(char ***lines)
{
	for (char **l = *lines; l && *l; l++)
		free(*l);
	free(*lines);
	*lines = NULL;
}

static enum err add_zones(struct dns_settings *s, const struct resolver_config *cfg,
			  struct str *why)
{
	enum err e = ERR_OK;
	struct dns_zone servers = {.nservers = 0};

	zone_find(s, "");
	for (const char *const *l = cfg->forwardzones; e == ERR_OK && l && *l; l++)
		e = forwardzone(s, *l, why);
	for (const char *const *l = cfg->servers; e == ERR_OK && l && *l; l++)
		e = zone_add(&servers, *l, why);
	/* Then the servers are not needed. */
	s->forwards_everything = s->zones[0].nservers > 0;
	if (!s->forwards_everything)
		s->zones[0] = servers;
	s->from_resolv_conf = s->zones[0].nservers == 0;
	return e;
}

enum err dns_settings_init(struct dns_settings *s, const struct resolver_config *cfg,
			   struct str *why)
{
	struct str reason = STR_INIT;
	enum err e;

	*s = (struct dns_settings){.timeout_ms = cfg->timeout_ms ? cfg->timeout_ms : TIMEOUT_MS};
	s->resolv_conf = xstrdup(cfg->resolv_conf ? cfg->resolv_conf : "/etc/resolv.conf");
	s->hosts = xstrdup(cfg->hosts ? cfg->hosts : "/etc/hosts");
	s->records = copy_lines(cfg->records);
	s->trustanchors = copy_lines(cfg->trustanchors);
	e = add_zones(s, cfg, why);
	for (char **l = s->records; e == ERR_OK && *l; l++) {
		e = dns_record_shape(*l, &reason);
		if (e != ERR_OK)
			str_addf(why, "record %s: %s", log_quote(slice_str(*l)), reason.data);
	}
	str_clear(&reason);
	if (e != ERR_OK)
		dns_settings_clear(s);
	else
		dns_settings_refresh(s);
	return e;
}

void dns_settings_clear(struct dns_settings *s)
{
	free(s->zones);
	free_lines(&s->records);
	free_lines(&s->trustanchors);
	free(s->resolv_conf);
	free(s->hosts);
	*s = (struct dns_settings){.nzones = 0};
}
