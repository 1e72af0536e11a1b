/*
 * listener - accepts on a listening socket that belongs to somebody else (the supervisor).
 *
 * Takes a bounded number per turn, so that a storm of connections does not starve those there are.
 * Out of descriptors: closes one connection with a spare so that the peer learns it at once, then
 * rests for a moment.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

struct listener;
struct loop;

/* fd: non-blocking, listening, stays the caller's. on_accept owns the new (non-blocking,
 * close-on-exec) socket. */
struct listener *
listener_new(struct loop *loop, int fd,
	     void (*on_accept)(void *arg, int fd, const struct sockaddr_storage *peer), void *arg);
void listener_free(struct listener **lp);

/* While paused new connections wait in the kernel, or go to another instance. */
void listener_pause(struct listener *l, bool paused);

#endif
