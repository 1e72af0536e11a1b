/*
 * stamp - points in time as XEP-0082 writes them: "2026-11-21T10:00:00.123Z".
 */
#ifndef CLI_XMPP_STAMP_H
#define CLI_XMPP_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#define STAMP_SIZE 40

const char *stamp_format(char out[STAMP_SIZE], uint64_t ms);

/* "2026-11-21", "2026-11-21T10:00:00Z", with a fraction, with an offset such as +01:00; also the
 * older "20261121T10:00:00" (XEP-0091). */
bool stamp_parse(const char *text, uint64_t *ms);

#endif
