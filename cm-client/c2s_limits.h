/*
 * c2s_limits - how many connections there may be: in total, not logged in, and of one address.
 *
 * Pure. An address is an IPv4 address or an IPv6 /64 (whoever has one address of it has all).
 */
#ifndef CM_CLIENT_C2S_LIMITS_H
#define CM_CLIENT_C2S_LIMITS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/map.h"

struct c2s_limits {
	size_t connections_max;
	size_t strangers_max;
	size_t strangers_per_address_max;
	size_t connections;
	size_t strangers; /* not logged in */
	struct map addresses;
};

struct c2s_address {
	uint8_t len; /* 0, 4 or 8 */
	char bytes[8];
};

struct c2s_address c2s_address_of(const struct sockaddr_storage *peer);

void c2s_limits_init(struct c2s_limits *l);
void c2s_limits_clear(struct c2s_limits *l);

/* A new connection: NULL and it is counted, or why it cannot be taken (static; nothing counted). */
const char *c2s_limits_enter(struct c2s_limits *l, const struct c2s_address *a);
void c2s_limits_login(struct c2s_limits *l, const struct c2s_address *a); /* no stranger any more */
void c2s_limits_leave(struct c2s_limits *l); /* the connection is gone; strangers: login first */

#endif
