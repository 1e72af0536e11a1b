/*
 * loop_zmq - a ZeroMQ socket in the loop. All that is known about ZMQ_FD being edge-triggered is
 * in this file (MEASURED B): the fd tells once, and not when a send or a receive of ours has seen
 * the news already. So after a send, and after an early stop, ZMQ_EVENTS is read at the end of the
 * turn.
 */
#ifndef NET_LOOP_ZMQ_H
#define NET_LOOP_ZMQ_H

#include <stdbool.h>

struct loop;
struct loop_zmq;

/* on_readable: take some messages (a bounded number) and say whether there may be more: false only
 * when a receive has found nothing; it is called again in the next turn otherwise. on_turn_end:
 * send what the turn produced. */
struct loop_zmq *loop_zmq_new(struct loop *loop, void *socket, bool (*on_readable)(void *arg),
			      void (*on_turn_end)(void *arg), void *arg);
void loop_zmq_free(struct loop_zmq **zp); /* before zmq_close() */

/* After every send on the socket. */
void loop_zmq_sent(struct loop_zmq *z);

#endif
