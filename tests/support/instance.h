/*
 * instance - an instance of the real programs in a temporary directory, for tests in C.
 *
 * Listens on a free port of 127.0.0.1 for the domain "localhost" and lives below TMPDIR. The
 * programs are those of $BIN. instance_free() ends every process that works in the instance's
 * directory, by pid; it is also run at exit, so that a failed assertion leaves nothing behind.
 */
#ifndef TESTS_SUPPORT_INSTANCE_H
#define TESTS_SUPPORT_INSTANCE_H

#include <stdint.h>

struct instance;

/* Made (`supervisor init`) and started. NULL: a command failed, its output is on stderr. */
struct instance *instance_new(void);
void instance_free(struct instance **ip);

uint16_t instance_port(const struct instance *i);
const char *instance_dir(const struct instance *i);
const char *instance_ca(const struct instance *i); /* path of pki/ca.pem */

/* Runs a program of $BIN on the instance: `program -C DIR args...`, args NULL-terminated, input
 * (may be NULL) on its stdin. Its exit code, or -1 when it could not be run or was killed. */
int instance_run(struct instance *i, const char *program, const char *const *args,
		 const char *input);

int instance_start(struct instance *i);
int instance_stop(struct instance *i);
int instance_add_user(struct instance *i, const char *jid, const char *password);

#endif
