/*
 * bridge_report - how a call bridge is, told to whoever asks: run/callbridge/NAME.sock.
 *
 * Each connection gets one record, the JSON of bridge_report(), and is closed. Beside it
 * NAME.lock, held as long as the bridge runs: two of one name would take turns in throwing each
 * other out.
 */
#ifndef CALLBRIDGE_BRIDGE_REPORT_H
#define CALLBRIDGE_BRIDGE_REPORT_H

#include "base/err.h"
#include "base/str.h"

#define BRIDGE_REPORT_DIR "run/callbridge"

struct bridge;
struct bridge_report;
struct loop;

/* Working directory = the instance. Makes the folder when it is not there. ERR_CONFLICT: one of
 * this name runs; ERR_IO. */
enum err bridge_report_open(struct bridge_report **out, struct loop *loop,
			    const struct bridge *bridge, const char *name, struct str *why);
void bridge_report_close(struct bridge_report **rp); /* NULL-safe; removes the socket */

/* Asks one that runs; blocking, some seconds at most. ERR_CLOSED: none of this name runs;
 * ERR_DENIED; ERR_TIMEOUT. */
enum err bridge_report_ask(const char *name, struct str *json);

#endif
