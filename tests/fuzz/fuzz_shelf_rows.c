/* Rows of the shelf as a starting router finds them, whole and torn: whatever is in them, it
 * starts, goes on and lets go of everything. The input is a list of packed struct db_shelf_row. */
#include <fcntl.h>
#include <stdint.h>

#include "base/check.h"
#include "base/log.h"
#include "ipc/db_pack.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "router/custody.h"
#include "router/shelf.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bed {
	struct custody *c;
	struct shelf *shelf;
	struct link *link;
	struct custody_peer *peer;
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_open("fuzz", open("/dev/null", O_WRONLY), LOG_LEVEL_ERROR, false);
	return 0;
}

static void undelivered(void *ctx, struct custody_entry *e, uint64_t sid,
			const struct session_stanza *s, const char *reason)
{
	(void)ctx;
	(void)e;
	(void)sid;
	(void)s;
	(void)reason;
}

static void load_session(struct bed *b, const struct db_shelf_row *row)
{
	struct session_row s;

	if (session_row_get(row->body, &s) && s.m.sid == row->sid)
		endpoint_load(b->c, &s, (struct monotime){.us = 1000});
}

/* To the session whose sid is its n, if there is one. */
static void load_stanza(struct bed *b, const struct db_shelf_row *row)
{
	struct slice in = row->body, body;
	struct custody_entry *e;
	struct endpoint *to;
	struct msg_stanza m;
	uint16_t type;

	if (codec_next(&in, &type, &body) != ERR_OK || type != MSG_STANZA ||
	    msg_stanza_get(body, &m) != ERR_OK)
		return;
	e = custody_accept_shelved(b->c, row->sid, row->n, body.len);
	if (!e)
		return;
	to = endpoint_find(b->c, row->n);
	if (!custody_was_delivered(b->c, e) && to && !endpoint_ended(to))
		custody_deliver(
			b->c, e, to,
			&(struct session_stanza){.kind = m.kind, .to = m.to, .inner = m.inner});
	custody_keep(e, &m, m.from);
	custody_handled(b->c, e);
}

static void each(struct slice rows, struct bed *b,
		 void (*load)(struct bed *b, const struct db_shelf_row *row), uint8_t kind)
{
	struct db_shelf_row row;

	while (rows.len && db_shelf_row_get(&rows, &row))
		if (row.kind == kind)
			load(b, &row);
}

static void load_answer(struct bed *b, const struct db_shelf_row *row)
{
	custody_load_answer(b->c, row->sid, row->n, row->body);
}

static void written(struct bed *b)
{
	struct slice changes;
	bool only_deletes;

	while (shelf_next(b->shelf, &changes, &only_deletes)) {
		struct db_shelf_change c;

		while (changes.len)
			check(db_shelf_change_get(&changes, &c));
		shelf_done(b->shelf, true);
	}
}

/* Every other one is resumed; the rest is given up. */
static void end(void *ctx, struct endpoint *ep)
{
	struct bed *b = ctx;

	if (endpoint_kind(ep) == SESSION_CLIENT && endpoint_sid(ep) % 2 &&
	    endpoint_resume(b->c, ep, b->peer, 1, 0) == ERR_OK)
		return;
	endpoint_release(ep);
	endpoint_remove(b->c, ep, "gone");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rows = slice_of((const char *)data, size);
	struct bed b = {.shelf = shelf_new(), .link = link_new(7, 1 << 20, 1 << 16)};
	const struct custody_books *books;
	struct custody_fetch f;

	b.c = custody_new(7, (struct custody_limits){.flight = 200, .queue = 4000, .memory = 100},
			  undelivered, NULL);
	books = custody_books(b.c);
	custody_set_shelf(b.c, b.shelf, 0);
	link_restart(b.link, 5);
	b.peer = custody_peer_add(b.c, b.link);
	each(rows, &b, load_session, SHELF_SESSION);
	each(rows, &b, load_answer, SHELF_ANSWER);
	each(rows, &b, load_stanza, SHELF_STANZA);
	custody_restored(b.c);
	custody_turn(b.c);
	written(&b);
	custody_spool(b.c, (struct monotime){.us = 9000000}, 0);
	custody_each_detached(b.c, end, &b);
	custody_turn(b.c);
	for (int i = 0; i < 100 && custody_next_fetch(b.c, &f); i++)
		custody_fetched(b.c, f.id, false, SLICE_NONE);
	custody_peer_dead(b.c, &b.peer, "gone", (struct monotime){.us = 1000});
	written(&b);
	custody_turn(b.c);
	check(books->accepted == 0 && books->announced + books->generated >= books->held);
	custody_free(&b.c);
	shelf_free(&b.shelf);
	link_free(&b.link);
	return 0;
}
