/*
 * account_end - an account is removed: its sessions end, its contacts are told, then everything of
 * it goes from the datastore. One way for the user (XEP-0077 3.2) and for the operator.
 *
 * The contacts come first: once the account is gone nobody knows who they were. So whatever dies in
 * between, the account is still there, and doing it again ends it.
 */
#ifndef SESSION_ACCOUNT_END_H
#define SESSION_ACCOUNT_END_H

#include "session/manager.h"

/* in->sender removes his account. Concludes the stanza. */
void account_end_asked(struct inbound *in);

/* The manager goes away: whoever waits is told ERR_CLOSED. */
void account_end_orphan_all(struct session_manager *m);

#endif
