/*
 * proc_listen - accepts on the listening sockets that the supervisor has passed to this service,
 * and keeps to them when a reload adds or takes away some.
 */
#ifndef PROC_PROC_LISTEN_H
#define PROC_PROC_LISTEN_H

#include <stddef.h>
#include <sys/socket.h>

struct proc;
struct proc_listen;

/* Accepts on none before proc_listen_update(). on_accept as in net/listener.h. */
struct proc_listen *proc_listen_new(struct proc *p,
				    void (*on_accept)(void *arg, int fd,
						      const struct sockaddr_storage *peer),
				    void *arg);
void proc_listen_free(struct proc_listen **lp); /* NULL-safe */

/* At the start and in on_reload: begins on those that are new, lets go of those that proc is about
 * to close. Logs each. Returns how many there are. */
size_t proc_listen_update(struct proc_listen *l);

/* For good, at a drain: what waits in the kernel goes to other instances. */
void proc_listen_stop(struct proc_listen *l);

#endif
