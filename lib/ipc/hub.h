/*
 * hub - the router's end of the bus: one ZeroMQ ROUTER, one link per service instance.
 *
 * Checks tokens and message directions, resumes links, pings, batches per peer and turn.
 */
#ifndef IPC_HUB_H
#define IPC_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "ipc/link.h"

struct hub;
struct hub_peer;
struct loop;

struct hub_events {
	/* fresh: a boot that this router has not seen (a new process, or we are new). */
	void (*on_peer_up)(void *arg, struct hub_peer *p, bool fresh);
	/* The process is dead (told by the supervisor, or another boot took its place): everything
	 * of it is void. p is freed after the call. */
	void (*on_peer_dead)(void *arg, struct hub_peer *p);
	void (*on_record)(void *arg, struct hub_peer *p, uint16_t type, struct slice body);
};

struct hub *hub_open(struct loop *loop, const char *path, const struct hub_events *events,
		     void *arg);
void hub_close(struct hub **hp);
uint64_t hub_boot(const struct hub *h);

/* What the supervisor says: this instance of service may speak with this token; NULL = dead. */
void hub_expect(struct hub *h, const char *instance, const char *service, const char *token);

/* Iterates over the instances the supervisor says are alive; peer is NULL while it has not said
 * HELLO. it starts at 0. */
bool hub_next(const struct hub *h, size_t *it, const char **instance, const char **service,
	      struct hub_peer **peer);

/* The first service that has answered nothing for 3 s, or NULL. */
const char *hub_silent(const struct hub *h);

struct link *hub_peer_link(struct hub_peer *p);
const char *hub_peer_instance(const struct hub_peer *p);
const char *hub_peer_service(const struct hub_peer *p);
unsigned int hub_peer_roles(const struct hub_peer *p);
struct monotime hub_peer_since(const struct hub_peer *p); /* its first HELLO */
struct slice hub_peer_stats(const struct hub_peer *p);	  /* of its last PONG */
void hub_peer_set_data(struct hub_peer *p, void *data);
void *hub_peer_data(const struct hub_peer *p);

#endif
