#include "cli/xmpp/trace.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/xmpp/remote.h"
#include "ipc/trace_filter.h"

#define SECONDS_DEFAULT 60
#define SECONDS_MAX	3600
#define MARGIN_MS	2000 /* the router ends it; this is for one that cannot */

unsigned int trace_seconds(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long n, factor;

	if (digits == 0 || digits > 5)
		return 0;
	n = strtoul(text, NULL, 10);
	switch (text[digits]) {
	case '\0':
	case 's':
		factor = 1;
		break;
	case 'm':
		factor = 60;
		break;
	case 'h':
		factor = 3600;
		break;
	default:
		return 0;
	}
	if (text[digits] && text[digits + 1])
		return 0;
	return n * factor <= SECONDS_MAX ? (unsigned int)(n * factor) : 0;
}

static struct slice member(const struct json_line *j, const char *key)
{
	struct slice value = SLICE_NONE;

	json_line_find(j, key, &value);
	return value;
}

/* " name=value" unless there is none. */
static void add_field(struct str *out, const struct json_line *j, const char *key)
{
	struct slice value = member(j, key);

	if (value.len)
		str_addf(out, " %s=%.*s", key, SLICE_ARG(value));
}

/* "2026-11-21T16:45:38.123Z" to "16:45:38.123" */
static struct slice clock_of(struct slice time)
{
	return time.len == 24 ? slice_of(time.data + 11, 12) : time;
}

static void show_stream(const struct json_line *j, struct str *out)
{
	str_addf(out, "%.*s  -- %.*s", SLICE_ARG(clock_of(member(j, "time"))),
		 SLICE_ARG(member(j, "event")));
	if (member(j, "detail").len)
		str_addf(out, " %.*s", SLICE_ARG(member(j, "detail")));
	add_field(out, j, "jid");
	add_field(out, j, "addr");
	str_addf(out, " (%.*s %.*s)", SLICE_ARG(member(j, "instance")),
		 SLICE_ARG(member(j, "conn")));
}

static void show_stanza(const struct json_line *j, struct str *out, struct str *xml)
{
	bool in = slice_is(member(j, "dir"), "in");

	str_addf(out, "%.*s  %s %.*s", SLICE_ARG(clock_of(member(j, "time"))), in ? ">>" : "<<",
		 SLICE_ARG(member(j, "kind")));
	add_field(out, j, "type");
	add_field(out, j, "id");
	add_field(out, j, "from");
	add_field(out, j, "to");
	add_field(out, j, "bytes");
	if (member(j, "session").len)
		str_addf(out, " (%s %.*s)", in ? "from" : "for", SLICE_ARG(member(j, "session")));
	str_addf(xml, "              %.*s", SLICE_ARG(member(j, "xml")));
}

static void show(const struct json_line *j, struct str *out, struct str *xml)
{
	struct slice what = member(j, "what");

	if (slice_is(what, "stanza")) {
		show_stanza(j, out, xml);
	} else if (slice_is(what, "stream")) {
		show_stream(j, out);
	} else if (slice_is(what, "started")) {
		str_addf(out,
			 "tracing %.*s for %.*s s; >> from the session, << for it; texts are shown "
			 "as [length]",
			 SLICE_ARG(member(j, "filter")), SLICE_ARG(member(j, "seconds")));
	} else if (slice_is(what, "dropped")) {
		str_addf(out, "... %.*s lines were left out: more than router.trace_lines a second",
			 SLICE_ARG(member(j, "count")));
	} else if (slice_is(what, "ended")) {
		str_addf(out, "time is over: %.*s lines, %.*s left out",
			 SLICE_ARG(member(j, "lines")), SLICE_ARG(member(j, "dropped")));
	}
}

void trace_show(struct slice line, struct str *out)
{
	struct json_line j = JSON_LINE_INIT;
	struct str text = STR_INIT, xml = STR_INIT;

	if (json_line_parse(&j, line) == ERR_OK)
		show(&j, &text, &xml);
	table_raw(out, text.len ? str_slice(&text) : line);
	if (xml.len)
		table_raw(out, str_slice(&xml));
	str_clear(&text);
	str_clear(&xml);
	json_line_clear(&j);
}

static void on_text(void *arg, struct slice text)
{
	const struct xmpp_values *v = arg;
	struct str out = STR_INIT;
	struct slice line;

	if (v->common.json)
		str_add_slice(&out, text);
	else
		while (json_line_next(&text, &line))
			trace_show(line, &out);
	fwrite(out.data, 1, out.len, stdout);
	fflush(stdout);
	str_clear(&out);
}

static void on_again(void *arg)
{
	const struct xmpp_values *v = arg;

	puts(v->common.json ? "{\"what\":\"router-restarted\"}"
			    : "... the router was restarted; what happened meanwhile is not seen");
	fflush(stdout);
}

/* Sessions and domains are compared as texts: so the given one must be in its normal form. */
static int prepare(const char *text, struct str *out)
{
	struct jid jid = JID_NONE;
	struct trace_filter f;

	if (trace_filter_parse(&f, slice_str(text)) == ERR_OK && f.kind == TRACE_ADDR) {
		str_add(out, f.text, f.len);
		return COMMAND_OK;
	}
	if (jid_parse(&jid, slice_str(text)) != ERR_OK || (!jid.local.len && jid.resource.len)) {
		jid_clear(&jid);
		return command_fail("xmpp", COMMAND_USAGE,
				    "'%s' is neither a JID nor an address nor a domain; for "
				    "example juliet@example.com, 192.0.2.1 or example.com",
				    text);
	}
	str_add_slice(out, jid_full(&jid));
	jid_clear(&jid);
	return COMMAND_OK;
}

int trace_run(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	unsigned int seconds = v->duration ? trace_seconds(v->duration) : SECONDS_DEFAULT;
	struct bus_client_watch watch = {on_text, on_again, (void *)(uintptr_t)v};
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct str args = STR_INIT;
	struct bus_client *c = NULL;
	enum err e = ERR_OK;
	int code;

	(void)argc;
	if (!seconds)
		return command_fail("xmpp", COMMAND_USAGE,
				    "--for takes a time to %d s, such as 90, 60s or 5m, not '%s'",
				    SECONDS_MAX, v->duration);
	code = prepare(argv[0], &args);
	if (code == COMMAND_OK)
		code = remote_open(v, &c);
	if (code == COMMAND_OK) {
		str_addc(&args, '\0');
		str_addf(&args, "%u", seconds);
		e = bus_client_watch(c, "trace", str_slice(&args), seconds * 1000 + MARGIN_MS,
				     &watch, &a);
		if (e == ERR_OK && a.status != ERR_OK)
			code = command_fail("xmpp", COMMAND_REFUSED, "refused: %s",
					    a.text.len ? a.text.data : err_text(a.status));
		else if (e != ERR_OK && e != ERR_TIMEOUT)
			code = command_fail("xmpp", COMMAND_REFUSED, "%s", a.text.data);
	}
	bus_client_close(&c);
	bus_client_answer_clear(&a);
	str_clear(&args);
	return code;
}
