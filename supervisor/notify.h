/*
 * notify - tells systemd about us (sd_notify(3) protocol): a datagram to $NOTIFY_SOCKET. Without
 * that variable nothing happens.
 */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

#include <stdint.h>

void notify_send(const char *state); /* "READY=1\nSTATUS=..." */

/* How often "WATCHDOG=1" is due: half of what $WATCHDOG_USEC allows; 0 = never. */
uint64_t notify_watchdog_ms(void);

#endif
