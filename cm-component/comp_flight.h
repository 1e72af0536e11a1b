/*
 * comp_flight - what was written to a component and may not have left this machine (CUSTODY 14).
 *
 * Pure. A delivery is told as soon as its last byte is out of the socket's send queue: marks map
 * queue numbers first to bytes given to net/conn, then (when write() took them) to raw bytes given
 * to the kernel. Four of each are told apart; more become one with the last, which is told later,
 * never too early.
 */
#ifndef CM_COMPONENT_COMP_FLIGHT_H
#define CM_COMPONENT_COMP_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#define COMP_MARKS 4

struct comp_marks {
	struct {
		uint64_t q;
		uint64_t upto;
	} item[COMP_MARKS];
	unsigned int count;
};

struct comp_flight {
	struct comp_marks queued; /* by conn_queued() */
	struct comp_marks sent;	  /* by conn_sent() */
};

/* Delivery q ends at so many queued bytes. */
void comp_flight_queue(struct comp_flight *f, uint64_t q, uint64_t queued);

/* write() took so many of them; with them so many raw bytes are with the kernel. */
void comp_flight_written(struct comp_flight *f, uint64_t written, uint64_t sent);

/* So many raw bytes are out. Everything up to the number returned is delivered; 0 = nothing new. */
uint64_t comp_flight_left(struct comp_flight *f, uint64_t left);

bool comp_flight_is_empty(const struct comp_flight *f);
bool comp_flight_has_sent(const struct comp_flight *f); /* a look at SIOCOUTQ may tell something */
void comp_flight_clear(struct comp_flight *f);

#endif
