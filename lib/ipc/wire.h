/*
 * wire - what bus.c and hub.c share: ZeroMQ sockets with our options, and control frames.
 */
#ifndef IPC_WIRE_H
#define IPC_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

#define WIRE_WINDOW	(4u * 1024 * 1024) /* bytes put on a link and not yet receipted */
#define WIRE_BATCH_MAX	(64u * 1024)
#define WIRE_HWM	16 /* batches in ZeroMQ's own queues */
#define WIRE_DRAIN	32 /* frames taken in one turn */
#define WIRE_RECEIPT_MS 20 /* a receipt or lazy report waits at most this long */
#define WIRE_CHECK_MS	1000
#define WIRE_SILENT_MS	3000 /* a peer that answers no ping for so long hangs */
#define WIRE_FRAME_MAX	(24 * 1024 * 1024)

/* A socket with HWMs, IMMEDIATE and a short linger. No ZMTP heartbeats: on a local socket the
 * kernel tells of a death, PING of what hangs, and libzmq 4.3.4 aborts when a heartbeat has run out
 * while the process was stopped ("!_io_error", libzmq issue 4364). type is ZMQ_DEALER or
 * ZMQ_ROUTER; identity may be NULL. Aborts when ZeroMQ refuses (a bug). */
void *wire_socket(void *context, int type, const char *identity);

/* Starts a control frame from this boot; the caller appends one record. */
void wire_control(struct str *out, uint64_t from_boot, uint64_t to_boot);

/* Sends one frame (behind an identity frame when that is not NULL) without blocking. false: the
 * socket does not take it now (or the peer is not there); nothing was sent. */
bool wire_send(void *socket, const char *identity, struct slice frame);

#endif
