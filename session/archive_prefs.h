/*
 * archive_prefs - whom a user wants in his archive (XEP-0441): the commands, and a memory of it.
 *
 * The datastore decides. What is remembered here, for a minute after it was read, spares it what is
 * not wanted, and says whether a message that is delivered gets the <stanza-id/> of an archive.
 */
#ifndef SESSION_ARCHIVE_PREFS_H
#define SESSION_ARCHIVE_PREFS_H

#include "base/map.h"
#include "session/manager.h"

struct xml_node;

enum archive_wish {
	ARCHIVE_UNWANTED,
	ARCHIVE_PERHAPS, /* the datastore knows */
	ARCHIVE_WANTED
};

struct archive_memory {
	struct session_manager *m;
	struct map users;  /* bare JID -> struct memory */
	struct list asked; /* struct memory_job */
};

void archive_memory_init(struct archive_memory *a, struct session_manager *m);
void archive_memory_clear(struct archive_memory *a);

/* Does bare, a local account, want messages with peer (as written)? policy: for who has said
 * nothing. Asks the datastore, for later, when it is not known. */
enum archive_wish archive_memory_wish(struct archive_memory *a, struct slice bare,
				      struct slice peer, uint8_t policy, struct monotime now);

void archive_prefs_get(struct inbound *in, const struct xml_node *payload);
void archive_prefs_set(struct inbound *in, const struct xml_node *payload);

#endif
