/*
 * trace_filter - whom an operator watches (`xmpp trace`): an account or session, a client address,
 * or a domain. Plain comparison of texts, the same in the router and in connection managers.
 */
#ifndef IPC_TRACE_FILTER_H
#define IPC_TRACE_FILTER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

#define TRACE_FILTER_MAX 3071 /* a JID */

enum trace_filter_kind { TRACE_JID = 1, TRACE_ADDR, TRACE_DOMAIN };

struct trace_filter {
	enum trace_filter_kind kind;
	size_t len;
	char text[TRACE_FILTER_MAX + 1];
};

/* "juliet@example.com", "juliet@example.com/balcony" (normalised), "192.0.2.1", "192.0.2.1:40000",
 * "2001:db8::1", "[2001:db8::1]:40000", else a domain. ERR_FORMAT: empty or too long. */
enum err trace_filter_parse(struct trace_filter *f, struct slice text);

/* Is that the watched account (a bare JID: with any resource), session, or somebody of the domain?
 */
bool trace_filter_jid(const struct trace_filter *f, struct slice jid);

/* addr as the connection has it: "192.0.2.1:40000", "[2001:db8::1]:40000". */
bool trace_filter_addr(const struct trace_filter *f, struct slice addr);

#endif
