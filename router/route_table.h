/*
 * route_table - which sessions serve which domain (components, other servers, echo services), and
 * which of them gets what.
 *
 * Pure data. Local domains are not in it: they belong to session/. A domain has one session or,
 * by its mode, several; one that is away (its connection is gone, its queue is here) gets something
 * only where no other is left.
 */
#ifndef ROUTER_ROUTE_TABLE_H
#define ROUTER_ROUTE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct route_table;

/* What is said of a domain by its newest session. */
struct route_policy {
	uint8_t mode; /* enum domain_mode */
	bool hidden;  /* not in disco */
	uint16_t max; /* sessions at once, 0 = any number */
};

struct route_table *route_table_new(void);
void route_table_free(struct route_table **tp);

/* Binds a domain to session sid, alone. ERR_CONFLICT if another session holds it: nothing changed.
 */
enum err route_table_bind(struct route_table *t, struct slice domain, uint64_t sid);

/* Adds sid to those of domain. since: when it was bound; who is older comes first. sid is there
 * already: only the rest is new. ERR_CONFLICT: the mode is one, and another is there that is not
 * away; ERR_FULL: max of them are. */
enum err route_table_join(struct route_table *t, struct slice domain, uint64_t sid,
			  const struct route_policy *policy, uint64_t since);

/* As join, of a session that is away: never refused, and changes no policy of others. */
void route_table_join_away(struct route_table *t, struct slice domain, uint64_t sid,
			   const struct route_policy *policy, uint64_t since);
void route_table_set_away(struct route_table *t, uint64_t sid, bool away);

/* Takes sid out of every domain. */
void route_table_unbind(struct route_table *t, uint64_t sid);

/* The oldest session of domain; 0 when nobody serves it. */
uint64_t route_table_find(const struct route_table *t, struct slice domain);

/* Who gets what is for domain, by its mode; peer is the JID on the other side. 0 as above. */
uint64_t route_table_pick(const struct route_table *t, struct slice domain, struct slice peer);

/* The same with what is left of that JID. The digest is the same in each process. */
uint64_t route_peer_digest(struct slice jid);
uint64_t route_table_pick_digest(const struct route_table *t, struct slice domain, uint64_t digest);

/* The sessions of domain, oldest first: number i; 0 at the end. */
uint64_t route_table_member(const struct route_table *t, struct slice domain, size_t i, bool *away);
/* The oldest that is not away, 0 = none. */
uint64_t route_table_live(const struct route_table *t, struct slice domain);

/* Every domain: start with *it = 0; false at the end. The table must not change meanwhile. */
bool route_table_next(const struct route_table *t, size_t *it, struct slice *domain,
		      struct route_policy *policy);

#endif
