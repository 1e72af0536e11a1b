/*
 * cm_limits - how many connections there may be: in total, not logged in, and of one address.
 *
 * Pure. An address is an IPv4 address or an IPv6 /64 (whoever has one address of it has all).
 */
#ifndef CM_CM_LIMITS_H
#define CM_CM_LIMITS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/map.h"

struct cm_limits {
	size_t connections_max;
	size_t strangers_max;
	size_t strangers_per_address_max;
	size_t connections;
	size_t strangers; /* not logged in */
	struct map addresses;
};

struct cm_address {
	uint8_t len; /* 0, 4 or 8 */
	char bytes[8];
};

struct cm_address cm_address_of(const struct sockaddr_storage *peer);

void cm_limits_init(struct cm_limits *l);
void cm_limits_clear(struct cm_limits *l);

/* A new connection: NULL and it is counted, or why it cannot be taken (static; nothing counted). */
const char *cm_limits_enter(struct cm_limits *l, const struct cm_address *a);
void cm_limits_login(struct cm_limits *l, const struct cm_address *a); /* no stranger any more */
void cm_limits_leave(struct cm_limits *l); /* the connection is gone; strangers: login first */

#endif
