/*
 * dns_program - what the files of the `dns` command share: its options, the configuration they
 * stand for, and how results are said.
 */
#ifndef CLI_DNS_DNS_PROGRAM_H
#define CLI_DNS_DNS_PROGRAM_H

#include "cli/common/command.h"
#include "net/resolver.h"

struct config;

struct dns_values {
	struct command_common common;
	struct command_list servers; /* --server: instead of those configured */
};

/* Each returns an exit code. */
int dns_show(const void *values, int argc, char **argv);
int dns_lookup(const void *values, int argc, char **argv);
int dns_flush(const void *values, int argc, char **argv);
int dns_add_rr(const void *values, int argc, char **argv);
int dns_add_forwardzone(const void *values, int argc, char **argv);
int dns_add_server(const void *values, int argc, char **argv);
int dns_add_trustanchor(const void *values, int argc, char **argv);
int dns_del_rr(const void *values, int argc, char **argv);
int dns_del_forwardzone(const void *values, int argc, char **argv);
int dns_del_server(const void *values, int argc, char **argv);
int dns_del_trustanchor(const void *values, int argc, char **argv);

/* Makes the instance the working directory. Returns an exit code; what is wrong was said. */
int dns_enter(const struct dns_values *v);

/* Enters the instance and reads its configuration; without an instance: the defaults. The
 * same results. */
int dns_config(const struct dns_values *v, struct config **out);

/* Borrows cfg's lists. */
struct resolver_config dns_resolver_config(const struct config *cfg);

/* "SUCCESS: ..." or {"result":"success","text":...}; the other one returns COMMAND_REFUSED. */
void dns_success(const struct dns_values *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int dns_failure(const struct dns_values *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
