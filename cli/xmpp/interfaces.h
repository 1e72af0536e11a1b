/*
 * interfaces - what `xmpp listen` takes (a..d, names of network interfaces, addresses) and the
 * addresses behind it.
 *
 * Of a network interface all addresses count but link-local ones, which need a scope that no
 * `listen` entry can say.
 */
#ifndef CLI_XMPP_INTERFACES_H
#define CLI_XMPP_INTERFACES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct config;

#define INTERFACES_MAX 16

struct interfaces {
	size_t n;
	char *addresses[INTERFACES_MAX]; /* "127.0.0.1", "[::1]": as in front of ":PORT" */
};

/* Adds the addresses of one word, each once. False: why says what it is not and what there is;
 * some may have been added. */
bool interfaces_add(struct interfaces *out, const struct config *cfg, const char *word,
		    struct str *why);
void interfaces_clear(struct interfaces *i);

/* What people call these addresses of `listen` entries: the letters whose addresses are all in it,
 * then what no letter has; separated by blanks. */
void interfaces_name(struct str *out, const struct config *cfg, char *const *listen);

/* The address and the port of "127.0.0.1:5222" or "[::1]:5222"; false: it is neither. */
bool interfaces_split(const char *listen, struct slice *address, struct slice *port);

#endif
