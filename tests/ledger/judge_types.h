/*
 * judge_types - what the judge writes down; for the files judge*.c and nobody else.
 */
#ifndef LEDGER_JUDGE_TYPES_H
#define LEDGER_JUDGE_TYPES_H

#include "base/map.h"
#include "tests/ledger/judge.h"

enum { ACKNOWLEDGED = 1 };

struct session {
	uint32_t party;
	uint32_t seat;
	uint32_t began;
	uint32_t ended;	   /* JUDGE_NONE: lives */
	uint32_t previous; /* of the same party */
	uint32_t carbons;  /* since when it wants copies, JUDGE_NONE: it does not */
	uint32_t had;	   /* of what it sent the server had all before this entry */
	uint64_t bytes;	   /* that came */
	uint64_t gone;	   /* unconfirmed ones: to it, */
	uint64_t unsent;   /* ... from it */
	bool resumable;
	bool component;
	bool shared; /* with other connections of its domain */
};

struct entry {
	uint32_t session; /* that sent it, the last one */
	uint32_t to;
	uint32_t to_session;
	uint32_t sent;
	uint32_t told;	   /* when acknowledged */
	uint32_t sight;	   /* newest, JUDGE_NONE: none */
	uint32_t archived; /* newest, JUDGE_NONE: none */
	uint32_t bytes;
	uint32_t bounced_to; /* session, when bounces */
	uint16_t sendings;
	uint16_t bounces;
	uint8_t kind;
	uint8_t flags;
	uint8_t error; /* enum judge_error, of the last bounce */
};

/* What one session saw of one entry. */
struct sight {
	uint32_t session;
	uint32_t times;	   /* itself */
	uint32_t copies;   /* carbons of it */
	uint32_t first;	   /* when */
	uint32_t previous; /* of the same entry */
	uint64_t name;	   /* its <stanza-id/>, 0: none */
	uint64_t at;	   /* the session's bytes, it included */
};

/* An entry in the archive of one party. */
struct archived {
	uint32_t party;
	uint32_t times;
	uint32_t previous; /* of the same entry */
	uint64_t name;
};

struct interval {
	uint32_t from;
	uint32_t until;
};

/* Since when one party blocks another one, or not. */
struct block_step {
	uint32_t since;
	uint32_t previous; /* of the same two */
	enum judge_block state;
};

#define ARRAY(type)            \
	struct {               \
		type *at;      \
		uint32_t len;  \
		uint32_t room; \
	}
#define ARRAY_ADD(a) (array_room((void **)&(a).at, &(a).room, (a).len, sizeof *(a).at), (a).len++)

struct judge {
	ARRAY(struct session) sessions;
	ARRAY(struct entry) entries;
	ARRAY(struct sight) sights;
	ARRAY(struct archived) archived;
	ARRAY(struct interval) troubles;
	ARRAY(uint32_t) cuts; /* when cm-component was killed */
	ARRAY(struct block_step) blocks;
	ARRAY(uint32_t) newest; /* by party: its last session */
	ARRAY(bool) read;	/* by party: its archive */
	struct map64
		order; /* by sender's and receiver's session and address: last entry seen + 1 */
	struct map64 copy_order[2]; /* by direction; sent: no address */
	struct map64 kept_order[2]; /* of archives: the sender's, the receiver's */
	struct map64 blocking;	    /* by both parties: their newest step + 1 */
	struct map64 part_order;    /* by sender's session and component: last one + 1 */
	struct map64 link_order;    /* by sender's session and component's connection */
	uint32_t overtaker;	    /* of the breach that is being told, else JUDGE_NONE */
	uint64_t buffer;	    /* bytes that the kernel may have of one connection */
	uint64_t counts[COUNTS];
	judge_on_breach *on_breach;
	void *arg;
};

/* Makes room for one more. */
void array_room(void **at, uint32_t *room, uint32_t len, size_t size);

/* A breach of one entry, told with all that helps to find it in the server's logs. session:
 * JUDGE_NONE when nobody in particular saw it. */
void judge_breach(struct judge *j, enum count count, uint32_t number, uint32_t session,
		  uint32_t now);

/* What this session has seen of it, added when there is nothing yet. Valid until the next. */
struct sight *judge_sight(struct judge *j, uint32_t number, uint32_t session, uint32_t now);

/* Within what has this key in map, what was sent first comes first. */
void judge_in_order(struct judge *j, struct map64 *map, uint64_t key, enum count count,
		    uint32_t number, uint32_t session, uint32_t now);

/* Sent by a plain client while something died. */
bool judge_in_trouble(const struct judge *j, const struct entry *e);

/* judge_copy.c: at the end, for a message that was delivered or stored. */
void judge_copy_end(struct judge *j, uint32_t number);

/* judge_archive.c: at the end; accepted: acknowledged and not lost, received: by its addressee. */
void judge_archive_end(struct judge *j, uint32_t number, bool accepted, bool received);

/* judge_component.c. The server had this one; it had it if it had a later one; it was not told; it
 * was lost: true, it is unconfirmed; at the end: it came again. */
void judge_component_had(struct judge *j, uint32_t number);
void judge_component_told(struct judge *j, uint32_t number);
void judge_component_untold(struct judge *j, uint32_t number);
bool judge_component_lost(struct judge *j, uint32_t number);
void judge_component_end(struct judge *j, uint32_t number);
/* It came back: true: again, and that is excused. */
bool judge_component_bounce(struct judge *j, uint32_t number, uint32_t session);
void judge_component_order(struct judge *j, uint32_t number, uint32_t session, bool first,
			   uint32_t now);
bool judge_is_component(const struct judge *j, uint32_t party);

/* judge_block.c: was e blocked all the time from its sending until then, by its addressee (IN) or
 * by its sender (OUT)? Was it never, from ms before its sending? */
enum block_side { BLOCK_IN, BLOCK_OUT };
bool judge_blocked(const struct judge *j, const struct entry *e, enum block_side side,
		   uint32_t until);
bool judge_unblocked(const struct judge *j, const struct entry *e, uint32_t ms);

static inline bool judge_is_message(const struct entry *e)
{
	return e->kind == JUDGE_BARE || e->kind == JUDGE_FULL;
}

#endif
