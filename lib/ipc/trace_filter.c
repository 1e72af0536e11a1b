#include "ipc/trace_filter.h"

#include <arpa/inet.h>
#include <stdio.h>

static struct slice text_of(const struct trace_filter *f)
{
	return slice_of(f->text, f->len);
}

/* The canonical text of an address without a port; false when it is none. */
static bool canonical(struct slice host, char out[INET6_ADDRSTRLEN])
{
	char text[INET6_ADDRSTRLEN];
	unsigned char addr[16];

	if (host.len == 0 || host.len >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(host));
	if (inet_pton(AF_INET, text, addr) == 1)
		return inet_ntop(AF_INET, addr, out, INET6_ADDRSTRLEN) != NULL;
	return inet_pton(AF_INET6, text, addr) == 1 &&
	       inet_ntop(AF_INET6, addr, out, INET6_ADDRSTRLEN) != NULL;
}

/* "host:port" or "[host]:port" in two; port is empty when there is none. */
static void cut(struct slice text, struct slice *host, struct slice *port)
{
	const char *end = text.data + text.len, *bracket, *colon;

	*host = text;
	*port = SLICE_NONE;
	if (text.len && text.data[0] == '[') {
		bracket = memchr(text.data, ']', text.len);
		if (!bracket)
			return;
		*host = slice_of(text.data + 1, (size_t)(bracket - text.data - 1));
		if (end - bracket > 1 && bracket[1] == ':')
			*port = slice_of(bracket + 2, (size_t)(end - bracket - 2));
		return;
	}
	colon = text.len ? memchr(text.data, ':', text.len) : NULL;
	if (colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
		*host = slice_of(text.data, (size_t)(colon - text.data));
		*port = slice_of(colon + 1, (size_t)(end - colon - 1));
	}
}

enum err trace_filter_parse(struct trace_filter *f, struct slice text)
{
	struct slice host, port;
	char addr[INET6_ADDRSTRLEN];

	*f = (struct trace_filter){.kind = TRACE_DOMAIN};
	if (text.len == 0 || text.len > TRACE_FILTER_MAX)
		return ERR_FORMAT;
	cut(text, &host, &port);
	if (memchr(text.data, '@', text.len))
		f->kind = TRACE_JID;
	else if (canonical(host, addr))
		f->kind = TRACE_ADDR;
	if (f->kind != TRACE_ADDR)
		snprintf(f->text, sizeof(f->text), "%.*s", SLICE_ARG(text));
	else if (port.len && strchr(addr, ':'))
		snprintf(f->text, sizeof(f->text), "[%s]:%.*s", addr, SLICE_ARG(port));
	else
		snprintf(f->text, sizeof(f->text), "%s%s%.*s", addr, port.len ? ":" : "",
			 SLICE_ARG(port));
	f->len = strlen(f->text);
	return f->len ? ERR_OK : ERR_FORMAT;
}

static struct slice domain_of(struct slice jid)
{
	const char *at = jid.len ? memchr(jid.data, '@', jid.len) : NULL;
	const char *slash = jid.len ? memchr(jid.data, '/', jid.len) : NULL;
	const char *start, *end = slash ? slash : jid.data + jid.len;

	start = at && at < end ? at + 1 : jid.data;
	return slice_of(start, (size_t)(end - start));
}

bool trace_filter_jid(const struct trace_filter *f, struct slice jid)
{
	const char *slash = jid.len ? memchr(jid.data, '/', jid.len) : NULL;
	bool full = memchr(f->text, '/', f->len) != NULL;

	if (jid.len == 0 || f->kind == TRACE_ADDR)
		return false;
	if (f->kind == TRACE_DOMAIN)
		return slice_eq(domain_of(jid), text_of(f));
	if (!full && slash)
		jid.len = (size_t)(slash - jid.data);
	return slice_eq(jid, text_of(f));
}

bool trace_filter_addr(const struct trace_filter *f, struct slice addr)
{
	struct slice host, port;

	if (f->kind != TRACE_ADDR)
		return false;
	if (slice_eq(addr, text_of(f)))
		return true;
	cut(addr, &host, &port);
	return slice_eq(host, text_of(f));
}
