#include "bench/component.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/monotime.h"
#include "base/xmem.h"
#include "bench/scan.h"
#include "bench/tcp.h"

struct component {
	const struct opts *opts;
	struct tcp *tcp;
	struct tcp_conn *conn;
	struct scan scan;
	bool ready;
	char why[256];
};

static void on_connected(void *arg)
{
	struct component *c = arg;

	str_addf(tcp_output(c->conn),
		 "<stream:stream xmlns='jabber:component:accept' "
		 "xmlns:stream='http://etherx.jabber.org/streams' to='%s'>",
		 c->opts->component);
}

/* XEP-0114 3: SHA-1 of stream id and secret, in hexadecimal. */
void component_handshake(struct str *out, struct slice header, const char *secret)
{
	const char *tag =
		memmem(header.data, header.len, "<stream:stream", 14); /* behind <?xml?> */
	size_t skip = tag ? (size_t)(tag - header.data) : 0;
	struct slice id = scan_attribute(slice_of(header.data + skip, header.len - skip), "id");
	struct str proof = STR_INIT;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	str_add(&proof, id.data, id.len);
	str_adds(&proof, secret);
	EVP_Digest(proof.data, proof.len, digest, &len, EVP_sha1(), NULL);
	str_clear(&proof);
	str_adds(out, "<handshake>");
	for (unsigned int i = 0; i < len; i++)
		str_addf(out, "%02x", digest[i]);
	str_adds(out, "</handshake>");
}

static void add_attribute(struct str *out, const char *name, struct slice value)
{
	str_adds(out, name);
	str_add(out, value.data, value.len);
	str_addc(out, '\'');
}

static void send_back(struct component *c, struct slice message)
{
	const char *inner = memchr(message.data, '>', message.len);
	struct str *out = tcp_output(c->conn);

	if (!inner || slice_is(scan_attribute(message, "type"), "error"))
		return;
	str_adds(out, "<message type='chat");
	str_addc(out, '\'');
	add_attribute(out, " from='", scan_attribute(message, "to"));
	add_attribute(out, " to='", scan_attribute(message, "from"));
	add_attribute(out, " id='", scan_attribute(message, "id"));
	str_add(out, inner, message.len - (size_t)(inner - message.data));
}

static void take(struct component *c, struct slice element)
{
	struct slice name = scan_name(element);

	if (slice_is(name, "handshake"))
		c->ready = true;
	else if (slice_is(name, "message"))
		send_back(c, element);
	else if (slice_is(name, "stream:error"))
		snprintf(c->why, sizeof c->why, "%.*s", SLICE_ARG(element));
}

static void on_data(void *arg)
{
	struct component *c = arg;

	for (;;) {
		struct str *in = tcp_input(c->conn);
		struct slice all = slice_of(in->data, in->len);
		size_t used = 0;
		enum scan_result got = scan_step(&c->scan, all, &used);

		if (got == SCAN_MORE)
			return;
		if (got == SCAN_OPEN)
			component_handshake(tcp_output(c->conn), slice_of(all.data, used),
					    c->opts->component_secret);
		else if (got == SCAN_CHILD)
			take(c, slice_of(all.data, used));
		str_consume(in, used);
		if (got == SCAN_END)
			return;
	}
}

static void on_closed(void *arg, const char *why)
{
	struct component *c = arg;

	if (!*c->why)
		snprintf(c->why, sizeof c->why, "%s", why);
}

static const struct tcp_events events = {
	.on_connected = on_connected,
	.on_data = on_data,
	.on_closed = on_closed,
};

struct component *component_open(struct tcp *n, const struct opts *o)
{
	struct component *c = xcalloc(1, sizeof *c);
	uint64_t end = monotime_now().us + (uint64_t)(o->deadline * 1e6);

	c->opts = o;
	c->tcp = n;
	scan_init(&c->scan);
	c->conn = tcp_open_plain(n, o->component_port, &events, c);
	while (c->conn && !c->ready && !*c->why && monotime_now().us < end)
		tcp_turn(n, 100);
	if (c->ready)
		return c;
	fprintf(stderr, "component %s: %s\n", o->component, *c->why ? c->why : "no answer");
	component_close(&c);
	return NULL;
}

void component_close(struct component **cp)
{
	struct component *c = *cp;

	uint64_t end = monotime_now().us + 2000000;

	*cp = NULL;
	if (!c)
		return;
	if (c->ready && !*c->why)
		str_adds(tcp_output(c->conn), "</stream:stream>");
	while (c->ready && !*c->why && monotime_now().us < end)
		tcp_turn(c->tcp, 100);
	if (c->conn)
		tcp_close(&c->conn);
	free(c);
}

const char *component_lost(const struct component *c)
{
	return *c->why ? c->why : NULL;
}
