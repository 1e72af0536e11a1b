/*
 * archive_form - what a query of an archive asks for: its form and its <set/> (XEP-0313 4.1, 4.3).
 */
#ifndef SESSION_ARCHIVE_FORM_H
#define SESSION_ARCHIVE_FORM_H

#include <stdbool.h>

#include "base/str.h"
#include "ipc/codec.h"
#include "xmpp/stanza_error.h"

struct xml_node;

struct archive_form {
	struct msg_db_archive_query q; /* borrows from the rest; user and domain are the caller's */
	bool flip;
	const char *queryid; /* borrowed from the query; NULL = none */
	struct str with, ids, after_id, before_id, after, before;
};

/* Why a query is refused. */
struct archive_refusal {
	enum stanza_error error;
	const char *text, *rule;
};

/* payload: <query/>. page_max: what it may ask for at most, and does if it says nothing. NULL: f is
 * good. Clear f in any case. */
const struct archive_refusal *
archive_form_read(struct archive_form *f, const struct xml_node *payload, unsigned int page_max);
void archive_form_clear(struct archive_form *f);

/* All fields there are (section 4.1.5). */
void archive_form_write(struct str *out);

#endif
