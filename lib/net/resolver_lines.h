/*
 * resolver_lines - the resolver's configuration, judged line by line, and resolv.conf.
 *
 * Private to lib/net. Knows no libunbound.
 */
#ifndef NET_RESOLVER_LINES_H
#define NET_RESOLVER_LINES_H

#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "net/dns_wire.h"
#include "net/resolver.h"

#define DNS_SERVERS_MAX 16 /* of one zone */
#define DNS_SERVER_TEXT 80

struct dns_server {
	struct sockaddr_storage addr;
	socklen_t len;
	char text[DNS_SERVER_TEXT]; /* "192.0.2.1@53" */
};

struct dns_zone {
	char name[DNS_NAME_MAX]; /* "" = everything */
	struct dns_server servers[DNS_SERVERS_MAX];
	size_t nservers;
};

/* Everything that the questions of a moment go by. zones[0] is everything; the others in any order.
 */
struct dns_settings {
	struct dns_zone *zones;
	size_t nzones;
	char **records; /* NULL-terminated */
	char **trustanchors;
	char *resolv_conf, *hosts;
	unsigned int timeout_ms;
	/* zones[0] is of resolv.conf; of a forward zone "." */
	bool from_resolv_conf, forwards_everything;
};

/* ERR_FORMAT: why names the line and what is wrong. */
enum err dns_settings_init(struct dns_settings *s, const struct resolver_config *cfg,
			   struct str *why);
void dns_settings_clear(struct dns_settings *s);

/* Reads the servers of resolv.conf anew, if they are used. */
void dns_settings_refresh(struct dns_settings *s);

/* Who is asked about a name (as dns_name_parse() made it). */
const struct dns_zone *dns_settings_zone(const struct dns_settings *s, const char *name);

enum err dns_server_parse(struct dns_server *out, const char *text, struct str *why);

/* The shape of a record's line: a name that can be one, a type, as many fields as the type needs
 * (libunbound takes an SRV record without its target). */
enum err dns_record_shape(const char *line, struct str *why);

#endif
