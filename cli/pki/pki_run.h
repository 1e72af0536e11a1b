/*
 * pki_run - what each command of `pki` does: reads its values, calls, prints, and says with which
 * exit code it ends.
 */
#ifndef CLI_PKI_PKI_RUN_H
#define CLI_PKI_PKI_RUN_H

#include "cli/common/command.h"

struct pki_values {
	struct command_common common;
	const char *domain;
	struct command_list hosts;
	const char *type;
	long bits;
	bool force;
	bool add;
	bool phrase_stdin;
};

/* values is a struct pki_values (command.h). */
int pki_run_lab(const void *values, int argc, char **argv);
int pki_run_inspect(const void *values, int argc, char **argv);
int pki_run_list(const void *values, int argc, char **argv);
int pki_run_usage(const void *values, int argc, char **argv);
int pki_run_csr(const void *values, int argc, char **argv);
int pki_run_selfsigned(const void *values, int argc, char **argv);
int pki_run_match(const void *values, int argc, char **argv);
int pki_run_verify(const void *values, int argc, char **argv);
int pki_run_unlock(const void *values, int argc, char **argv);

#endif
