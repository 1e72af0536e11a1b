/*
 * load_relay - round trips through something that only passes bytes on (tests/support/relay): no
 * XMPP.
 *
 * --pairs connections to send and as many to answer, one line of as many bytes as a message of
 * --body has on its way in each pair. What is counted are lines, as pingpong counts messages.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotime.h"
#include "base/str.h"
#include "base/xmem.h"
#include "bench/load.h"
#include "bench/tcp.h"

#define AROUND 90 /* bytes of a message around its body: addresses, type, id */

struct end {
	struct volley *volley;
	struct tcp_conn *conn;
	bool answers;
	struct monotime began;
};

struct volley {
	const struct opts *opts;
	struct result *result;
	struct str line;
	struct end *ends; /* [2 i] asks, [2 i + 1] answers */
	uint32_t connected;
	bool measuring;
};

static void serve(struct end *e)
{
	e->began = monotime_now();
	str_add(tcp_output(e->conn), e->volley->line.data, e->volley->line.len);
}

static void on_connected(void *arg)
{
	struct end *e = arg;

	e->volley->connected++;
}

static void on_data(void *arg)
{
	struct end *e = arg;
	struct volley *v = e->volley;
	struct str *in = tcp_input(e->conn);

	if (in->len < v->line.len)
		return;
	if (in->len > v->line.len || memcmp(in->data, v->line.data, in->len) != 0)
		result_error(v->result, "%zu bytes came that are not what was sent", in->len);
	str_consume(in, in->len);
	if (!e->answers && v->measuring) {
		v->result->count += 2;
		hist_add(&v->result->times, monotime_now().us - e->began.us);
	}
	serve(e);
}

static void on_closed(void *arg, const char *why)
{
	struct end *e = arg;

	result_error(e->volley->result, "%s", why);
}

static const struct tcp_events events = {
	.on_connected = on_connected, .on_data = on_data, .on_closed = on_closed};

/* In pairs, one after the other: the relay connects them in this order. */
static bool connect_all(struct volley *v, struct tcp *n)
{
	struct monotime end = monotime_add_ms(monotime_now(), (uint64_t)(v->opts->deadline * 1000));

	for (uint32_t i = 0; i < 2 * v->opts->pairs; i++) {
		struct end *e = &v->ends[i];

		*e = (struct end){.volley = v, .answers = i % 2};
		e->conn = tcp_open(n, &events, e);
		if (!e->conn) {
			fprintf(stderr, "connection %u: %s\n", i, strerror(errno));
			return false;
		}
		while (v->connected <= i && v->result->errors == 0 &&
		       monotime_before(monotime_now(), end))
			tcp_turn(n, 100);
		if (v->connected <= i) {
			fprintf(stderr, "connection %u: not within %.0f s (--deadline)\n", i,
				v->opts->deadline);
			return false;
		}
	}
	return true;
}

static void measure(struct volley *v, struct tcp *n)
{
	struct span span;

	tcp_turn_for(n, 0.1);
	for (uint32_t i = 0; i < v->opts->pairs; i++)
		serve(&v->ends[2 * i]);
	tcp_turn_for(n, v->opts->warmup);
	span_begin(&span, v->opts);
	v->measuring = true;
	tcp_turn_for(n, v->opts->seconds);
	v->measuring = false;
	span_end(&span, v->result);
}

bool load_relay(struct tcp *n, const struct opts *o, struct result *r)
{
	struct volley v = {.opts = o, .result = r, .line = STR_INIT};
	bool ok;

	r->unit = "message";
	r->times_name = "round trip";
	for (uint32_t i = 1; i < o->body + AROUND; i++)
		str_addc(&v.line, 'x');
	str_addc(&v.line, '\n');
	v.ends = xcalloc(2 * (size_t)o->pairs, sizeof *v.ends);
	ok = connect_all(&v, n);
	if (ok)
		measure(&v, n);
	for (uint32_t i = 0; i < 2 * o->pairs; i++)
		tcp_close(&v.ends[i].conn);
	tcp_turn(n, 0);
	free(v.ends);
	str_clear(&v.line);
	return ok;
}
