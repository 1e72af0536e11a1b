/*
 * served - which domains this instance serves, and who may administer it.
 */
#ifndef CLI_XMPP_SERVED_H
#define CLI_XMPP_SERVED_H

#include "base/slice.h"
#include "cli/xmpp/xmpp_program.h"
#include "xmpp/jid.h"

/* An enum command_exit each; what is wrong was said. */

/* domain is normalised. An account of another domain could never log in. */
int served_check(const char *dir, struct slice domain);

/* Not one of them. */
int served_check_other(const char *dir, struct slice domain);

/* wanted, normalised and served, or (NULL) the first served domain. */
int served_choose(const char *dir, const char *wanted, char out[JID_PART_MAX + 1]);

/* Root or the instance's owner: who can write its conf/. */
int served_administrator(const char *dir);

#endif
