/*
 * sockets - the listening sockets: opened here once, kept while services come and go.
 *
 * Keyed by service and the address as configured, so that those which a running service hands over
 * to a new supervisor find their place again.
 */
#ifndef SUPERVISOR_SOCKETS_H
#define SUPERVISOR_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct sockets;

struct sockets *sockets_new(void);
void sockets_free(struct sockets **sp); /* closes */

/* Opens addr ("127.0.0.1:5222", "[::1]:5222") for service unless it is there. On failure why names
 * the address, the reason and who holds it. */
enum err sockets_open(struct sockets *s, const char *service, const char *addr, struct str *why);

/* Closes those of service that are not in keep (NULL-terminated). */
void sockets_prune(struct sockets *s, const char *service, char *const *keep);

/* Those of service that are not in keep are about to be pruned: what is opened meanwhile may take
 * their port (0.0.0.0:5222 that of 127.0.0.1:5222). stays = true: they are not, after all. */
void sockets_yield(struct sockets *s, const char *service, char *const *keep, bool stays);

/* Takes fd if that place is empty: true. */
bool sockets_adopt(struct sockets *s, const char *service, const char *addr, const char *bound,
		   int fd);

/* Iterates over the sockets of service (NULL = all): start with *it = 0; false at the end. */
bool sockets_next(const struct sockets *s, const char *service, size_t *it, const char **addr,
		  const char **bound, int *fd);

#endif
