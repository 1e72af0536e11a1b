/*
 * component_options - what `xmpp component add|set` were told, as the fields of an account.
 */
#ifndef CLI_XMPP_COMPONENT_OPTIONS_H
#define CLI_XMPP_COMPONENT_OPTIONS_H

#include "cli/xmpp/secret.h"
#include "cli/xmpp/xmpp_program.h"
#include "ipc/codec.h"

/* Sets in *c what was given (mode, hidden, max, bytes_per_second). COMMAND_USAGE: said. */
int component_options_apply(const struct xmpp_values *v, struct msg_db_component *c);

/* Is there anything to apply, other than a secret? */
bool component_options_given(const struct xmpp_values *v);

/* The secret by --secret-file, --ask-secret or --new-secret (fresh: also by none of them); empty
 * when none was wanted. Relative paths: before the working directory changes. */
int component_options_secret(const struct xmpp_values *v, bool fresh, char out[PASSWORD_SIZE]);

#endif
