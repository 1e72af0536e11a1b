/*
 * loop_zmq - a ZeroMQ socket in the loop. All that is known about ZMQ_FD being edge-triggered is
 * in this file (MEASURED B): the fd only wakes the loop, ZMQ_EVENTS is read every turn, before and
 * after everything else of the turn.
 */
#ifndef NET_LOOP_ZMQ_H
#define NET_LOOP_ZMQ_H

#include <stdbool.h>

struct loop;
struct loop_zmq;

/* on_readable: take some messages (a bounded number; it is called again in the next turn while
 * there are more). on_turn_end: send what the turn produced. */
struct loop_zmq *loop_zmq_new(struct loop *loop, void *socket, void (*on_readable)(void *arg),
			      void (*on_turn_end)(void *arg), void *arg);
void loop_zmq_free(struct loop_zmq **zp); /* before zmq_close() */

#endif
