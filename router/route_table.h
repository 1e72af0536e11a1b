/*
 * route_table - which session serves which domain (components, other servers, echo services).
 *
 * Pure data. Local domains are not in it: they belong to session/.
 */
#ifndef ROUTER_ROUTE_TABLE_H
#define ROUTER_ROUTE_TABLE_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct route_table;

struct route_table *route_table_new(void);
void route_table_free(struct route_table **tp);

/* Binds a domain to session sid. ERR_CONFLICT if another session holds it: nothing changed. */
enum err route_table_bind(struct route_table *t, struct slice domain, uint64_t sid);

/* Takes out every domain of sid. */
void route_table_unbind(struct route_table *t, uint64_t sid);

/* 0 when nobody serves domain. */
uint64_t route_table_find(const struct route_table *t, struct slice domain);

#endif
