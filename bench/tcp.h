/*
 * tcp - the generator's event loop and its connections: TCP, TLS or not, over epoll.
 *
 * What is written during one turn goes out at its end, in one write per connection. A connection
 * that fails or ends is reported once (on_closed) and stays until tcp_close().
 */
#ifndef BENCH_TCP_H
#define BENCH_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "base/str.h"
#include "bench/opts.h"

struct tcp;
struct tcp_conn;

struct tcp_events {
	void (*on_connected)(void *arg); /* TCP stands, or the TLS handshake is done */
	void (*on_data)(void *arg);	 /* more in tcp_input() */
	void (*on_closed)(void *arg, const char *why);
};

/* NULL: the environment is broken (said on stderr). */
struct tcp *tcp_new(const struct opts *o);
void tcp_free(struct tcp **np);

/* One turn: waits at most ms for events, then flushes. */
void tcp_turn(struct tcp *n, int ms);

/* Turns until the time is over. */
void tcp_turn_for(struct tcp *n, double seconds);

/* Starts to connect; direct TLS if the options say so. NULL with errno: out of sockets. */
struct tcp_conn *tcp_open(struct tcp *n, const struct tcp_events *events, void *arg);

/* The same to another port of that host, never with TLS. */
struct tcp_conn *tcp_open_plain(struct tcp *n, uint16_t port, const struct tcp_events *events,
				void *arg);

/* Safe in a callback. No close_notify and no waiting: what was not flushed is lost. */
void tcp_close(struct tcp_conn **cp);

/* What came and was not consumed yet: the owner calls str_consume() on it. */
struct str *tcp_input(struct tcp_conn *c);

/* Append, and it is sent at the end of the turn. */
struct str *tcp_output(struct tcp_conn *c);

/* A reader that is busy elsewhere: while paused nothing is read, and the kernel's buffers fill. */
void tcp_pause(struct tcp_conn *c, bool paused);

/* So much is received before it is read, about; returns what the kernel makes of it. 0: no change.
 */
int tcp_buffer(struct tcp_conn *c, int bytes);

/* TLS from here on; on_connected when it stands. */
void tcp_start_tls(struct tcp_conn *c);

#endif
