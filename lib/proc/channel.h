/*
 * channel - one end of a SOCK_SEQPACKET connection: text records with file descriptors beside them.
 *
 * What the peer does not take at once is queued (bounded: a peer that never reads is cut off), so
 * sending never blocks. Knows nothing about what the records say.
 */
#ifndef PROC_CHANNEL_H
#define PROC_CHANNEL_H

#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

struct channel;
struct loop;

#define CHANNEL_FDS_MAX 240 /* the kernel takes 253 in one message */

struct channel_events {
	/* One record. To keep a descriptor take it out of fds and put -1 there; the others are
	 * closed. May close the channel. */
	void (*on_message)(void *arg, struct slice text, int *fds, size_t nfds);
	/* The peer is gone; told once. The channel is still to be closed, here or later. */
	void (*on_close)(void *arg);
};

/* Owns fd from now on (made non-blocking). */
struct channel *channel_new(struct loop *loop, int fd, const struct channel_events *events,
			    void *arg);
void channel_close(struct channel **cp); /* NULL-safe; nothing is told */

/* Sends text, or queues it; fds stay the caller's (duplicated if they must wait). */
void channel_send(struct channel *c, struct slice text, const int *fds, size_t nfds);

int channel_fd(const struct channel *c); /* borrowed, for SO_PEERCRED */

/* The same on a bare socket, as blocking as the socket is. ERR_AGAIN, ERR_CLOSED, ERR_IO. */
enum err channel_put(int fd, struct slice text, const int *fds, size_t nfds);

/* Empties text first. *nfds: room before, received after (all close-on-exec). ERR_CLOSED at EOF. */
enum err channel_get(int fd, struct str *text, int *fds, size_t *nfds);

/* A connected, or listening, SEQPACKET socket at dir/name, which may be longer than sun_path.
 * Returns -1 with errno. Both are close-on-exec; the listening one is non-blocking, mode 0600. */
int channel_connect(const char *dir, const char *name);
int channel_listen(const char *dir, const char *name);

#endif
