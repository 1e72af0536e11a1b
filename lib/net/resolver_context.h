/*
 * resolver_context - a libunbound context made for our settings. All that is known about
 * libunbound's configuration is in this file. Private to lib/net.
 */
#ifndef NET_RESOLVER_CONTEXT_H
#define NET_RESOLVER_CONTEXT_H

#include "base/err.h"
#include "base/str.h"
#include "net/resolver_lines.h"

struct ub_ctx;

/* Ready for questions; answers come in a thread of its own and are told by ub_fd(). ERR_FORMAT:
 * which record or trust anchor is wrong; ERR_IO. Freed with ub_ctx_delete(). */
enum err resolver_context_new(struct ub_ctx **out, const struct dns_settings *s, struct str *why);

#endif
