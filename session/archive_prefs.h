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

struct user;
struct xml_node;

enum archive_wish {
	ARCHIVE_UNWANTED,
	ARCHIVE_PERHAPS, /* the datastore knows */
	ARCHIVE_WANTED
};

/* What is known of one account. struct user points to it (archive_owner): no lookup while its owner
 * has a session. */
struct archive_owner {
	bool known, asked;
	struct monotime until; /* then it is asked for again */
	struct slice value;    /* packed preferences; empty: he has said nothing */
	char *text;
	uint64_t batch; /* the newest he has a number in */
	uint16_t number;
};

struct archive_memory {
	struct session_manager *m;
	struct map users;   /* bare JID -> struct archive_owner */
	uint64_t forgotten; /* how often all of them were: older pointers are not valid */
	struct list asked;  /* struct memory_job */
};

void archive_memory_init(struct archive_memory *a, struct session_manager *m);
void archive_memory_clear(struct archive_memory *a);
/* When too many are remembered all are forgotten. */
void archive_memory_trim(struct archive_memory *a);

/* What is remembered of bare, a local account, u when he has sessions. Until
 * archive_memory_trim(). */
struct archive_owner *archive_memory_owner(struct archive_memory *a, struct slice bare,
					   struct user *u);

/* Does he want messages with peer (as written)? policy: for who has said nothing. Asks the
 * datastore, for later, when it is not known. */
enum archive_wish archive_memory_wish(struct archive_memory *a, struct archive_owner *owner,
				      struct slice bare, struct slice peer, uint8_t policy,
				      struct monotime now);

void archive_prefs_get(struct inbound *in, const struct xml_node *payload);
void archive_prefs_set(struct inbound *in, const struct xml_node *payload);

#endif
