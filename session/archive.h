/*
 * archive - messages for the archives of their senders and receivers (XEP-0313), on their way to
 * the datastore.
 *
 * What is judged within 20 ms, or 64 KiB of it, travels as one DB_ARCHIVE_ADD; its stanzas are held
 * (session_host.hold) until that is answered, so a router that dies judges them again and archives
 * have no holes. Whether an owner wants it the datastore decides; here is only remembered what he
 * wanted last (archive_prefs.h). A slow datastore does not stop anybody: after a second stanzas are
 * held no longer, and what exceeds archive.queue_bytes, or is refused, is delivered but not
 * archived: event=archive-gap and an alarm say so.
 */
#ifndef SESSION_ARCHIVE_H
#define SESSION_ARCHIVE_H

#include <stdbool.h>

#include "session/manager.h"

struct archive;
struct archive_memory;
struct user;

struct archive *archive_new(struct session_manager *m);
/* What is under way is freed when the datastore answers. */
void archive_free(struct archive **ap);
void archive_configure(struct archive *a, const struct session_config *cfg);

/* in->s is being delivered or stored: it goes into the archives of its local parties, and in->s
 * gets the <stanza-id/> of its receiver's (XEP-0313 3.4), which borrows until the next call. again:
 * it may have been through here before. to: the user who receives it, if he has sessions (else
 * NULL; it only saves looking him up). Nothing happens to what is not to be archived. */
void archive_message(struct inbound *in, struct user *to, bool again);

/* s, a copy of in->s for other resources of its sender, gets the <stanza-id/> of his archive; inner
 * and children are the caller's. */
void archive_name_sent(const struct inbound *in, struct session_stanza *s, struct str *inner,
		       struct str *children);

/* Calls go with the stanza when everything that was archived before is in the datastore, but at the
 * latest after a second (complete = false); perhaps at once. Not when its sender is gone. */
void archive_wait(struct inbound *in, void (*go)(struct inbound *in, bool complete));

/* false: there are no archives here, and nothing is said of them. */
bool archive_enabled(const struct archive *a);
unsigned int archive_page_max(const struct archive *a);
uint8_t archive_policy(const struct archive *a);
struct archive_memory *archive_memory(struct archive *a);

/* session.h: session_flush(), session_alarm(), session_archiving(). */
unsigned int archive_flush(struct archive *a, struct monotime now);
const char *archive_alarm(const struct archive *a);
bool archive_busy(const struct archive *a);
void archive_stats(const struct archive *a, struct str *out);

#endif
