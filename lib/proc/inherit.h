/*
 * inherit - all that a service gets from the supervisor that starts it, and what it hands to a new
 * one: the same list both ways.
 *
 * At exec it is text in a sealed memory file (no token in the environment or in `ps`), whose number
 * stands in the environment variable INHERIT_ENV; the descriptors that it names are inherited. In a
 * REGISTER message it is the text of the message and the listeners travel beside it. Everything
 * is complete before exec: a service whose supervisor dies in between lacks nothing.
 */
#ifndef PROC_INHERIT_H
#define PROC_INHERIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

#define INHERIT_ENV	"ROUNDHOUSE_INHERIT"
#define INHERIT_FDS_MAX 240 /* 64 certificates with key and bundle, listeners, lock */

enum inherit_kind {
	INHERIT_LOCK = 'k',	/* run/INSTANCE.lock, locked; held until death */
	INHERIT_LISTENER = 'l', /* name = address as configured, addr = as bound */
	INHERIT_FILE = 'f',	/* name = config key ("tls.key") */
};

struct inherit_fd {
	enum inherit_kind kind;
	int fd;
	char *name;
	char *addr; /* listeners; else NULL */
};

struct inherit {
	char *service;
	char *instance;
	char *token;  /* what HELLO carries on the bus */
	char *config; /* the configuration file in force */
	uint64_t generation;
	uint64_t restarts; /* how often this instance has been restarted: only kept for `status` */
	int64_t uid;	   /* to run as; -1 = as we are */
	int64_t gid;
	size_t nfds;
	struct inherit_fd fds[INHERIT_FDS_MAX];
};

void inherit_init(struct inherit *in);
void inherit_clear(struct inherit *in); /* frees and wipes; does not close descriptors */

/* Copies name and addr. */
void inherit_add_fd(struct inherit *in, enum inherit_kind kind, int fd, const char *name,
		    const char *addr);

/* As a message: "VERB key=value ... fds=...". The order of fds is that of in->fds. */
void inherit_format(struct str *out, const char *verb, const struct inherit *in);

/* Reads a message; in->fds get their numbers from fds. ERR_FORMAT: in is empty. */
enum err inherit_parse(struct inherit *in, struct slice text, const int *fds, size_t nfds);

/* Supervisor: the memory file, close-on-exec like all else until the child clears that. -1. */
int inherit_memfd(const struct inherit *in);

/* Service: reads what INHERIT_ENV names, removes the variable, makes everything close-on-exec.
 * ERR_NOTFOUND: started by hand. */
enum err inherit_take(struct inherit *in);

#endif
