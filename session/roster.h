/*
 * roster - a user's roster as his clients get, set and are told of it (RFC 6121 section 2).
 *
 * The roster itself is in the datastore; when that does not answer the client is told to wait, a
 * failed read is never an empty roster.
 */
#ifndef SESSION_ROSTER_H
#define SESSION_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct custody_entry;
struct db_roster_item;
struct inbound;
struct session_manager;
struct xml_node;

/* Handlers of iq.c: payload is the <query/>. */
void roster_get(struct inbound *in, const struct xml_node *payload);
void roster_set(struct inbound *in, const struct xml_node *payload);

/* Tells every interested resource of the user what has become of one item (2.1.6). e is the stanza
 * that changed it. */
void roster_push(struct session_manager *m, struct custody_entry *e, struct slice bare,
		 const struct db_roster_item *item, bool removed, uint64_t version);

/* The answer to who asked for something that the datastore could not do. */
void roster_refuse(const struct inbound *in, enum err why);

#endif
