#include "callbridge/bridge_settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/config.h"
#include "xmpp/jid.h"

#define NAME_MAX_BYTES 63 /* one label of a domain name */
#define STABLE_MS      10000

/* ---- parts */

bool bridge_name_is_good(const char *name, struct str *why)
{
	char normal[JID_PART_MAX + 1];

	if (!*name)
		str_adds(why, "the Unique Call Bridge name is empty; give it one, such as cb1");
	else if (strpbrk(name, "@./"))
		str_addf(why,
			 "'%.80s' has a domain part; the Unique Call Bridge name is one word, "
			 "such as cb1",
			 name);
	else if (strlen(name) > NAME_MAX_BYTES || strpbrk(name, " \t:\"'<>&") ||
		 jid_prepare_domain(normal, slice_str(name)) != ERR_OK)
		str_addf(why,
			 "'%.80s' cannot be a Unique Call Bridge name: letters, digits and '-', "
			 "at most 63",
			 name);
	else
		return true;
	return false;
}

static bool parse_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long n = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;

	if (n == 0 || n > 65535 || *end)
		return false;
	*port = (uint16_t)n;
	return true;
}

static bool is_address6(const char *text)
{
	struct in6_addr a;

	return inet_pton(AF_INET6, text, &a) == 1;
}

static bool is_host(const char *host)
{
	size_t n = strlen(host);

	return n > 0 && n < SRV_TARGET_MAX && !strpbrk(host, " \t\r\n/@[]\"'<>");
}

/* "[2001:db8::1]" and what follows. */
static bool parse_bracketed(const char *text, char **host, uint16_t *port)
{
	const char *end = strchr(text, ']');

	if (!end || (end[1] && (end[1] != ':' || !parse_port(end + 2, port))))
		return false;
	*host = xstrndup(text + 1, (size_t)(end - text) - 1);
	return is_address6(*host);
}

static bool parse_plain(const char *text, char **host, uint16_t *port)
{
	const char *colon = strchr(text, ':');

	if (colon && strchr(colon + 1, ':')) {
		*host = xstrdup(text);
		return is_address6(text);
	}
	*host = xstrndup(text, colon ? (size_t)(colon - text) : strlen(text));
	return is_host(*host) && (!colon || parse_port(colon + 1, port));
}

enum err bridge_server_parse(const char *text, char **host, uint16_t *port, struct str *why)
{
	*host = NULL;
	*port = BRIDGE_PORT;
	if (text[0] == '[' ? parse_bracketed(text, host, port) : parse_plain(text, host, port))
		return ERR_OK;
	str_addf(why,
		 "'%.120s' is no server address; write HOST, HOST:PORT or [IPv6]:PORT, or nothing "
		 "to ask DNS",
		 text);
	free(*host);
	*host = NULL;
	return ERR_FORMAT;
}

/* ---- all of it */

static enum bridge_tls tls_of(const char *text)
{
	if (strcmp(text, "none") == 0)
		return BRIDGE_TLS_NONE;
	if (strcmp(text, "optional") == 0)
		return BRIDGE_TLS_OPTIONAL;
	return strcmp(text, "direct") == 0 ? BRIDGE_TLS_DIRECT : BRIDGE_TLS_REQUIRED;
}

static bool load_domain(struct bridge_settings *s, const struct config *cfg, struct str *why)
{
	const char *domain = *cfg->bridge_domain ? cfg->bridge_domain : cfg->domains[0];
	char normal[JID_PART_MAX + 1];

	if (!domain || jid_prepare_domain(normal, slice_str(domain)) != ERR_OK) {
		str_addf(why, "callbridge.domain: '%.80s' is no domain", domain ? domain : "");
		return false;
	}
	s->domain = xstrdup(normal);
	s->srv_name = xasprintf(BRIDGE_SRV_PREFIX "%s", normal);
	return true;
}

static bool load_jid(struct bridge_settings *s, const struct config *cfg, struct str *why)
{
	char *text = *cfg->bridge_jid ? xstrdup(cfg->bridge_jid)
				      : xasprintf("%s.%s", s->name, s->domain);
	char normal[JID_PART_MAX + 1];
	bool good = jid_prepare_domain(normal, slice_str(text)) == ERR_OK;

	if (good)
		s->jid = xstrdup(normal);
	else
		str_addf(why, "callbridge.jid: '%.80s' is no domain name", text);
	free(text);
	return good;
}

static bool load_server(struct bridge_settings *s, const struct config *cfg, struct str *why)
{
	s->server = xstrdup(cfg->bridge_server);
	if (!*s->server)
		s->host = xstrdup("");
	return !*s->server || bridge_server_parse(s->server, &s->host, &s->port, why) == ERR_OK;
}

static void load_numbers(struct bridge_settings *s, const struct config *cfg)
{
	s->plan = (struct bridge_plan_config){
		.is_static = *s->server != '\0',
		.dns_retry_ms = (uint32_t)cfg->bridge_dns_retry_s * 1000,
		.retry_min_ms = (uint32_t)cfg->bridge_retry_min_ms,
		.retry_max_ms = (uint32_t)cfg->bridge_retry_max_ms,
		.stable_ms = STABLE_MS,
	};
	s->connect_ms = (uint32_t)cfg->bridge_connect_ms;
	s->check_ms = (uint32_t)cfg->bridge_check_ms;
	s->check_wait_ms = (uint32_t)cfg->bridge_check_wait_ms;
	s->queue_bytes = (size_t)cfg->bridge_queue_bytes;
	s->stanza_bytes = (size_t)cfg->bridge_stanza_bytes;
	s->limits = (struct framer_limits){.bytes = (uint32_t)cfg->bridge_stanza_bytes,
					   .depth = (uint16_t)cfg->limit_depth,
					   .attributes = (uint16_t)cfg->limit_attributes};
}

static bool load_rest(struct bridge_settings *s, const struct config *cfg, struct str *why)
{
	s->tls = tls_of(cfg->bridge_tls);
	s->ca = xstrdup(cfg->bridge_ca);
	s->verify = cfg->bridge_verify;
	s->exec = xstrdup(cfg->bridge_exec);
	s->echo = cfg->bridge_echo;
	if (!*s->exec && !s->echo) {
		str_adds(why, "who answers? callbridge.exec names a program, or callbridge.echo = "
			      "true sends messages back");
		return false;
	}
	if (*s->exec && s->echo) {
		str_adds(why, "callbridge.exec and callbridge.echo: one of them");
		return false;
	}
	return true;
}

enum err bridge_settings_load(struct bridge_settings *out, const struct config *cfg,
			      struct str *why)
{
	*out = (struct bridge_settings){.secret = STR_INIT};
	out->name = xstrdup(cfg->bridge_name);
	if (bridge_name_is_good(out->name, why) && load_domain(out, cfg, why) &&
	    load_jid(out, cfg, why) && load_server(out, cfg, why) && load_rest(out, cfg, why)) {
		load_numbers(out, cfg);
		return ERR_OK;
	}
	bridge_settings_clear(out);
	return ERR_FORMAT;
}

void bridge_settings_clear(struct bridge_settings *s)
{
	if (s->secret.len)
		xwipe(s->secret.data, s->secret.cap);
	str_clear(&s->secret);
	free(s->name);
	free(s->domain);
	free(s->jid);
	free(s->server);
	free(s->host);
	free(s->srv_name);
	free(s->ca);
	free(s->exec);
	*s = (struct bridge_settings){.secret = STR_INIT};
}

bool bridge_settings_same_link(const struct bridge_settings *a, const struct bridge_settings *b)
{
	return strcmp(a->jid, b->jid) == 0 && strcmp(a->domain, b->domain) == 0 &&
	       strcmp(a->server, b->server) == 0 && a->tls == b->tls && strcmp(a->ca, b->ca) == 0 &&
	       a->verify == b->verify && slice_eq(str_slice(&a->secret), str_slice(&b->secret));
}

void bridge_settings_dns(struct resolver_config *out, const struct config *cfg)
{
	*out = (struct resolver_config){
		.servers = (const char *const *)cfg->dns_servers,
		.forwardzones = (const char *const *)cfg->dns_forwardzones,
		.records = (const char *const *)cfg->dns_records,
		.trustanchors = (const char *const *)cfg->dns_trustanchors,
		.timeout_ms = (unsigned int)cfg->dns_timeout_ms,
	};
}

/* ---- the secret */

static enum err take_secret(struct bridge_settings *s, char *text, size_t len, const char *name,
			    struct str *why)
{
	size_t n = strcspn(text, "\r\n");

	if (n > BRIDGE_SECRET_MAX) {
		str_addf(why, "%s: its first line is longer than %d bytes; that is no secret", name,
			 BRIDGE_SECRET_MAX);
		return ERR_TOOBIG;
	}
	if (n == 0 || (n == strlen(text) && n < len)) {
		str_addf(why, "%s: no secret in its first line; set it with 'callbridge secret'",
			 name);
		return ERR_FORMAT;
	}
	str_reset(&s->secret);
	str_add(&s->secret, text, n);
	return ERR_OK;
}

enum err bridge_settings_read_secret(struct bridge_settings *s, int fd, const char *name,
				     struct str *why)
{
	char text[BRIDGE_SECRET_MAX + 64];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	enum err e;

	if (n < 0) {
		str_addf(why, "%s: %s", name, strerror(errno));
		return ERR_IO;
	}
	text[n] = '\0';
	e = take_secret(s, text, (size_t)n, name, why);
	xwipe(text, sizeof(text));
	return e;
}

enum err bridge_settings_read_secret_file(struct bridge_settings *s, const char *path,
					  struct str *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	enum err e;

	if (fd < 0) {
		e = errno == EACCES ? ERR_DENIED : ERR_NOTFOUND;
		str_addf(why, "%s: %s; set the shared secret with 'callbridge secret'", path,
			 strerror(errno));
		return e;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077)) {
		str_addf(why, "%s can be read by others than its owner; chmod 600 %s", path, path);
		e = ERR_DENIED;
	} else {
		e = bridge_settings_read_secret(s, fd, path, why);
	}
	close(fd);
	return e;
}
