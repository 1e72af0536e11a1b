/*
 * remote - asking the server and saying what went wrong: each failure becomes one sentence on
 * standard error and an exit code.
 */
#ifndef CLI_XMPP_REMOTE_H
#define CLI_XMPP_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/common/bus_client.h"
#include "cli/xmpp/xmpp_program.h"
#include "ipc/codec.h"
#include "xmpp/jid.h"

/* COMMAND_OK and *out, or COMMAND_UNREACHABLE and it was said. */
int remote_open(const struct xmpp_values *v, struct bus_client **out);

/* COMMAND_OK: the server did it. COMMAND_REFUSED, COMMAND_UNREACHABLE: said, except that a refusal
 * is left to the caller when quiet is its status (ERR_OK = none). a is cleared by the caller. */
int remote_store(struct bus_client *c, struct slice record, enum err quiet,
		 struct bus_client_answer *a);
int remote_admin(struct bus_client *c, const char *command, struct slice args, enum err quiet,
		 struct bus_client_answer *a);

/* The body of the answering record; false when it is another type (said). */
bool remote_record(const struct bus_client_answer *a, uint16_t type, struct slice *body);

/* Says that an answer made no sense; COMMAND_REFUSED. */
int remote_misunderstood(void);

/* A JID from the command line, normalised. COMMAND_USAGE when it is none, lacks the local part, or
 * has a resource where that makes no sense (said). */
int remote_jid(struct jid *out, const char *text, bool resource_allowed);

/* "2026-11-21T10:00:00Z" */
#define REMOTE_TIME_SIZE 32
const char *remote_time(char out[REMOTE_TIME_SIZE], uint64_t ms);

#endif
