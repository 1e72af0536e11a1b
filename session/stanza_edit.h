/*
 * stanza_edit - taking children out of a stanza and adding some, without parsing the rest.
 *
 * (children, inner) of a stanza in hand are borrowed. What is changed is built in the caller's
 * buffers, which the stanza then borrows; several changes may follow each other on the same pair.
 */
#ifndef SESSION_STANZA_EDIT_H
#define SESSION_STANZA_EDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"
#include "session/session.h"

struct inbound;

struct stanza_edit {
	struct str inner, children;
};

#define STANZA_EDIT_INIT           \
	{                          \
		STR_INIT, STR_INIT \
	}

/* After the last use of the stanza. */
void stanza_edit_clear(struct stanza_edit *b);

/* Child k (from 0) of the index goes; flags are the caller's. */
void stanza_edit_remove(struct session_stanza *s, unsigned int k, struct stanza_edit *b);

/* One more child at the end: element is its XML, ns and name its numbers of xmpp/ns.h. A full index
 * stays as it is. */
void stanza_edit_append(struct session_stanza *s, uint16_t ns, uint16_t name, struct slice element,
			struct stanza_edit *b);

/* Takes out what only this server may say: <stanza-id/> by the receiving account, the sending one
 * or a domain served here (XEP-0359 section 4), and <delay/> from such a domain (XEP-0203 section
 * 5). For stanzas with STANZA_HAS_SID or STANZA_DELAYED, which are kept right. false: it has more
 * children than are known and must be refused. */
bool stanza_edit_forged(struct inbound *in, struct stanza_edit *b);

#endif
