/*
 * permission - may the sender of a stanza see the presence of an account? What tells whether
 * somebody is there, or has been, is only for those who may (RFC 6120 13.10.2).
 */
#ifndef SESSION_PERMISSION_H
#define SESSION_PERMISSION_H

#include "base/err.h"
#include "session/manager.h"

/* Calls go, now or when the account's roster was read: ERR_OK: he may; ERR_DENIED: he may not, or
 * there is no such account; else the roster could not be read. in is then the parked stanza; when
 * its sender is gone go is not called. Too many are waiting: the stanza is refused. */
void permission_ask(struct inbound *in, struct slice bare,
		    void (*go)(struct inbound *in, struct slice bare, enum err may));

#endif
