/*
 * bridge_settings - what a call bridge is told: the configuration's callbridge section, judged.
 */
#ifndef CALLBRIDGE_BRIDGE_SETTINGS_H
#define CALLBRIDGE_BRIDGE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "callbridge/bridge_plan.h"
#include "callbridge/bridge_stream.h"
#include "net/resolver.h"
#include "xmpp/framer.h"

struct config;

#define BRIDGE_PORT	  5223 /* when the server address has none */
#define BRIDGE_SRV_PREFIX "_xmpp-component._tcp."
#define BRIDGE_SECRET_MAX 1024

struct bridge_settings {
	char *name;
	char *domain;	/* normalised */
	char *jid;	/* normalised: NAME.DOMAIN, or what was said */
	char *server;	/* as configured; "" = DNS */
	char *host;	/* of it */
	uint16_t port;	/* of it */
	char *srv_name; /* _xmpp-component._tcp.DOMAIN */
	struct str secret;
	enum bridge_tls tls;
	char *ca;
	bool verify;
	char *exec; /* "" = none */
	bool echo;
	struct bridge_plan_config plan;
	uint32_t connect_ms, check_ms, check_wait_ms;
	size_t queue_bytes, stanza_bytes;
	struct framer_limits limits; /* of what is sent to the server */
};

/* Everything but the secret. ERR_FORMAT: out is empty, and why says what is wrong. */
enum err bridge_settings_load(struct bridge_settings *out, const struct config *cfg,
			      struct str *why);

/* The first line of fd (read with pread from 0). name: for texts. ERR_IO, ERR_FORMAT, ERR_TOOBIG.
 */
enum err bridge_settings_read_secret(struct bridge_settings *s, int fd, const char *name,
				     struct str *why);

/* The same of a file; ERR_NOTFOUND, ERR_DENIED: also when others may read it. */
enum err bridge_settings_read_secret_file(struct bridge_settings *s, const char *path,
					  struct str *why);

void bridge_settings_clear(struct bridge_settings *s); /* wipes */

/* The configuration's dns section; borrowed. */
void bridge_settings_dns(struct resolver_config *out, const struct config *cfg);

/* A connection made with one can stay with the other. */
bool bridge_settings_same_link(const struct bridge_settings *a, const struct bridge_settings *b);

/* Whether text may be a call bridge's name: short, without a domain part (FEATURES A44). */
bool bridge_name_is_good(const char *name, struct str *why);

/* "host", "host:port", "[address]:port"; ERR_FORMAT: why says how it is written. *host is the
 * caller's. */
enum err bridge_server_parse(const char *text, char **host, uint16_t *port, struct str *why);

#endif
