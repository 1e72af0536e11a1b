/*
 * opts - the command line of xmpp-load.
 */
#ifndef BENCH_OPTS_H
#define BENCH_OPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/usage.h"

enum tls_mode { TLS_NONE, TLS_STARTTLS, TLS_DIRECT };

struct opts {
	const char *load; /* main.c has the list */
	const char *host;
	uint16_t port;
	uint16_t component_port; /* component: plain TCP */
	const char *component;	 /* ... the domain that it serves */
	const char *component_secret;
	const char *domain;
	const char *user;     /* account i is USERi */
	const char *password; /* the same for all */
	const char *mech;     /* NULL = the best offered that we speak */
	const char *ca;	      /* NULL = any certificate */
	enum tls_mode tls;
	uint32_t users;	   /* accounts 0..users-1 exist */
	uint32_t pairs;	   /* chat, pingpong */
	uint32_t window;   /* chat: messages of a pair on their way */
	uint32_t body;	   /* bytes */
	uint32_t count;	   /* login: logins in all; idle, detach: connections */
	uint32_t held;	   /* detach: messages for each session that is away */
	uint32_t idle;	   /* chat, pingpong: more clients that are there and do nothing */
	uint32_t together; /* logins under way at the same time */
	uint32_t retry;	   /* so many logins may be refused, and are tried again */
	double warmup;	   /* seconds before the measurement */
	double seconds;	   /* of the measurement */
	double deadline;   /* seconds for everything before it */
	bool presence;	   /* send initial presence */
	bool hold;	   /* idle: stay until standard input ends, report nothing */
	bool roster;	   /* ask for the roster, before that */
	bool sm;	   /* XEP-0198 on all streams */
	bool json;
	struct usage_source server;
};

/* False: the command line was not understood (said on stderr) or --help was asked. */
bool opts_parse(struct opts *o, int argc, char **argv);

#endif
