/*
 * strophe_client - libstrophe behind the line protocol of tests/matrix/adapter.py.
 *
 * The library has connections, TLS, SASL and stanzas; rosters, presence, carbons, blocking and the
 * archive are stanzas made here with its functions. Commands come on stdin, events go to stdout.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <unistd.h>

#include "base/str.h"
#include "base/xmem.h"
#include "cli/common/json_line.h"

#define NS_BLOCKING "urn:xmpp:blocking"
#define NS_CARBONS  "urn:xmpp:carbons:2"
#define NS_DELAY    "urn:xmpp:delay"
#define NS_FORWARD  "urn:xmpp:forward:0"
#define NS_MAM	    "urn:xmpp:mam:2"
#define NS_RSM	    "http://jabber.org/protocol/rsm"
#define END	    ((const char *)NULL)
#define TURN_MS	    5

static xmpp_ctx_t *ctx;
static xmpp_conn_t *conn;
static bool online, gone;

/* Prints {"event":NAME, "key":"value" ...}: pairs until END; a NULL value is "". */
static void emit(const char *event, ...)
{
	struct str line = STR_INIT;
	const char *key, *value;
	va_list pairs;

	str_adds(&line, "{\"event\":");
	json_line_put_text(&line, slice_str(event));
	va_start(pairs, event);
	while ((key = va_arg(pairs, const char *))) {
		value = va_arg(pairs, const char *);
		str_addc(&line, ',');
		json_line_put_text(&line, slice_str(key));
		str_addc(&line, ':');
		json_line_put_text(&line, slice_str(value ? value : ""));
	}
	va_end(pairs);
	str_adds(&line, "}\n");
	fputs(line.data, stdout);
	fflush(stdout);
	str_clear(&line);
}

/* An element with attributes: pairs of name and value until END. */
static xmpp_stanza_t *element(const char *name, const char *ns, ...)
{
	xmpp_stanza_t *e = xmpp_stanza_new(ctx);
	const char *key;
	va_list pairs;

	xmpp_stanza_set_name(e, name);
	if (ns)
		xmpp_stanza_set_ns(e, ns);
	va_start(pairs, ns);
	while ((key = va_arg(pairs, const char *)))
		xmpp_stanza_set_attribute(e, key, va_arg(pairs, const char *));
	va_end(pairs);
	return e;
}

static xmpp_stanza_t *put(xmpp_stanza_t *parent, xmpp_stanza_t *child)
{
	xmpp_stanza_add_child_ex(parent, child, 0);
	return child;
}

static void put_text(xmpp_stanza_t *parent, const char *name, const char *text)
{
	xmpp_stanza_t *child = put(parent, element(name, NULL, END));
	xmpp_stanza_t *inside = xmpp_stanza_new(ctx);

	xmpp_stanza_set_text(inside, text);
	put(child, inside);
}

static void send_off(xmpp_stanza_t *stanza)
{
	xmpp_send(conn, stanza);
	xmpp_stanza_release(stanza);
}

static char *text_of(xmpp_stanza_t *parent, const char *name)
{
	xmpp_stanza_t *child = xmpp_stanza_get_child_by_name(parent, name);
	char *text = child ? xmpp_stanza_get_text(child) : NULL;
	char *copy = xstrdup(text ? text : "");

	xmpp_free(ctx, text);
	return copy;
}

static const char *condition_of(xmpp_stanza_t *stanza)
{
	xmpp_stanza_t *error = xmpp_stanza_get_child_by_name(stanza, "error");
	xmpp_stanza_t *c = error ? xmpp_stanza_get_children(error) : NULL;

	for (; c; c = xmpp_stanza_get_next(c))
		if (xmpp_stanza_get_ns(c) &&
		    strcmp(xmpp_stanza_get_ns(c), XMPP_NS_STANZAS_IETF) == 0)
			return xmpp_stanza_get_name(c);
	return "none";
}

/* What is forwarded in the child of that name (XEP-0297), or NULL. */
static xmpp_stanza_t *forwarded(xmpp_stanza_t *stanza, const char *name, const char *ns)
{
	xmpp_stanza_t *wrapper = xmpp_stanza_get_child_by_name_and_ns(stanza, name, ns);

	return wrapper ? xmpp_stanza_get_child_by_ns(wrapper, NS_FORWARD) : NULL;
}

static void say_message(xmpp_stanza_t *message, const char *carbon)
{
	char *body = text_of(message, "body");
	bool delayed = xmpp_stanza_get_child_by_ns(message, NS_DELAY) != NULL;

	if (body[0])
		emit("message", "from", xmpp_stanza_get_from(message), "to",
		     xmpp_stanza_get_to(message), "body", body, "carbon", carbon, "delay",
		     delayed ? "yes" : "", END);
	free(body);
}

static void say_archived(xmpp_stanza_t *found)
{
	xmpp_stanza_t *message = xmpp_stanza_get_child_by_name(found, "message");
	char *body = text_of(message, "body");

	emit("archived", "from", xmpp_stanza_get_from(message), "body", body, "stamp",
	     xmpp_stanza_get_child_by_ns(found, NS_DELAY) ? "yes" : "", END);
	free(body);
}

static int on_message(xmpp_conn_t *c, xmpp_stanza_t *stanza, void *arg)
{
	const char *type = xmpp_stanza_get_type(stanza);
	static const char *const ways[] = {"sent", "received"};
	xmpp_stanza_t *inside;

	(void)c;
	(void)arg;
	for (size_t i = 0; i < 2; i++)
		if ((inside = forwarded(stanza, ways[i], NS_CARBONS))) {
			say_message(xmpp_stanza_get_child_by_name(inside, "message"), ways[i]);
			return 1;
		}
	if (type && strcmp(type, "error") == 0)
		emit("bounced", "from", xmpp_stanza_get_from(stanza), "condition",
		     condition_of(stanza), END);
	else if ((inside = forwarded(stanza, "result", NS_MAM)))
		say_archived(inside);
	else
		say_message(stanza, "");
	return 1;
}

static int on_presence(xmpp_conn_t *c, xmpp_stanza_t *stanza, void *arg)
{
	const char *type = xmpp_stanza_get_type(stanza);
	char *show = text_of(stanza, "show");
	char *status = text_of(stanza, "status");

	(void)c;
	(void)arg;
	emit("presence", "from", xmpp_stanza_get_from(stanza), "type", type ? type : "available",
	     "show", show, "status", status, END);
	free(show);
	free(status);
	return 1;
}

static void say_roster(xmpp_stanza_t *iq)
{
	xmpp_stanza_t *query = xmpp_stanza_get_child_by_ns(iq, XMPP_NS_ROSTER);
	xmpp_stanza_t *item = query ? xmpp_stanza_get_children(query) : NULL;

	for (; item; item = xmpp_stanza_get_next(item))
		emit("roster", "jid", xmpp_stanza_get_attribute(item, "jid"), "subscription",
		     xmpp_stanza_get_attribute(item, "subscription"), "ask",
		     xmpp_stanza_get_attribute(item, "ask"), END);
}

/* Pushes, and the answers to what do_ commands asked: their ids are the commands. */
static int on_iq(xmpp_conn_t *c, xmpp_stanza_t *stanza, void *arg)
{
	const char *type = xmpp_stanza_get_type(stanza);
	const char *id = xmpp_stanza_get_id(stanza);

	(void)arg;
	if (!type || !id)
		return 1;
	if (strcmp(type, "error") == 0) {
		emit("failed", "do", id, "condition", condition_of(stanza), END);
	} else if (strcmp(type, "set") == 0) {
		xmpp_stanza_t *result = xmpp_iq_new(ctx, "result", id);

		say_roster(stanza);
		xmpp_send(c, result);
		xmpp_stanza_release(result);
	} else if (strcmp(type, "result") == 0 && strcmp(id, "roster") == 0) {
		say_roster(stanza);
		send_off(xmpp_presence_new(ctx));
		online = true;
		emit("online", "jid", xmpp_conn_get_bound_jid(c), END);
	} else if (strcmp(type, "result") == 0) {
		emit("done", "do", id, END);
	}
	return 1;
}

static xmpp_stanza_t *ask(const char *type, const char *name, const char *child, const char *ns)
{
	xmpp_stanza_t *iq = xmpp_iq_new(ctx, type, name);

	put(iq, element(child, ns, END));
	return iq;
}

static void on_conn(xmpp_conn_t *c, xmpp_conn_event_t event, int error,
		    xmpp_stream_error_t *stream_error, void *arg)
{
	(void)arg;
	if (event == XMPP_CONN_CONNECT) {
		xmpp_handler_add(c, on_message, NULL, "message", NULL, NULL);
		xmpp_handler_add(c, on_presence, NULL, "presence", NULL, NULL);
		xmpp_handler_add(c, on_iq, NULL, "iq", NULL, NULL);
		send_off(ask("get", "roster", "query", XMPP_NS_ROSTER));
		return;
	}
	if (!online)
		emit("refused", "why",
		     stream_error && stream_error->text ? stream_error->text
		     : error				? strerror(error)
							: "closed",
		     END);
	gone = true;
}

static int on_bad_certificate(const xmpp_tlscert_t *cert, const char *why)
{
	(void)cert;
	emit("refused", "why", why, END);
	return 0;
}

/* The value of a member of the command as a string of our own; "" when there is none. */
static char *arg_of(const struct json_line *line, const char *key)
{
	struct slice value = SLICE_NONE;
	struct str text = STR_INIT;

	json_line_find(line, key, &value);
	str_add_slice(&text, value);
	str_addc(&text, '\0');
	return str_detach(&text);
}

static void do_connect(const struct json_line *line)
{
	char *jid = arg_of(line, "jid"), *password = arg_of(line, "password");
	char *host = arg_of(line, "host"), *port = arg_of(line, "port");
	char *ca = arg_of(line, "ca"), *tls = arg_of(line, "tls");

	conn = xmpp_conn_new(ctx);
	xmpp_conn_set_jid(conn, jid);
	xmpp_conn_set_pass(conn, password);
	xmpp_conn_set_cafile(conn, ca);
	xmpp_conn_set_certfail_handler(conn, on_bad_certificate);
	xmpp_conn_set_flags(conn, strcmp(tls, "direct") == 0 ? XMPP_CONN_FLAG_LEGACY_SSL
							     : XMPP_CONN_FLAG_MANDATORY_TLS);
	if (xmpp_connect_client(conn, host, (unsigned short)atoi(port), on_conn, NULL) != XMPP_EOK)
		emit("refused", "why", "no connection", END);
	free(jid);
	free(password);
	free(host);
	free(port);
	free(ca);
	free(tls);
}

static void do_say(const struct json_line *line)
{
	char *to = arg_of(line, "to"), *body = arg_of(line, "body");
	xmpp_stanza_t *message = xmpp_message_new(ctx, "chat", to, NULL);

	xmpp_message_set_body(message, body);
	send_off(message);
	free(to);
	free(body);
}

static void do_presence(const struct json_line *line)
{
	char *show = arg_of(line, "show"), *status = arg_of(line, "status");
	xmpp_stanza_t *presence = xmpp_presence_new(ctx);

	if (show[0])
		put_text(presence, "show", show);
	if (status[0])
		put_text(presence, "status", status);
	send_off(presence);
	free(show);
	free(status);
}

static void send_presence_to(const struct json_line *line, const char *type)
{
	char *jid = arg_of(line, "jid");
	xmpp_stanza_t *presence = xmpp_presence_new(ctx);

	xmpp_stanza_set_to(presence, jid);
	xmpp_stanza_set_type(presence, type);
	send_off(presence);
	free(jid);
}

static void do_subscribe(const struct json_line *line)
{
	send_presence_to(line, "subscribe");
}

static void do_approve(const struct json_line *line)
{
	send_presence_to(line, "subscribed");
}

static void do_remove(const struct json_line *line)
{
	char *jid = arg_of(line, "jid");
	xmpp_stanza_t *iq = ask("set", "remove", "query", XMPP_NS_ROSTER);

	put(xmpp_stanza_get_children(iq),
	    element("item", NULL, "jid", jid, "subscription", "remove", END));
	send_off(iq);
	free(jid);
}

static void do_carbons(const struct json_line *line)
{
	(void)line;
	send_off(ask("set", "carbons", "enable", NS_CARBONS));
}

static void send_blocking(const struct json_line *line, const char *name)
{
	char *jid = arg_of(line, "jid");
	xmpp_stanza_t *iq = ask("set", name, name, NS_BLOCKING);

	put(xmpp_stanza_get_children(iq), element("item", NULL, "jid", jid, END));
	send_off(iq);
	free(jid);
}

static void do_block(const struct json_line *line)
{
	send_blocking(line, "block");
}

static void do_unblock(const struct json_line *line)
{
	send_blocking(line, "unblock");
}

static void do_archive(const struct json_line *line)
{
	char *with = arg_of(line, "with");
	xmpp_stanza_t *iq = ask("set", "archive", "query", NS_MAM);
	xmpp_stanza_t *query = xmpp_stanza_get_children(iq);
	xmpp_stanza_t *form = put(query, element("x", "jabber:x:data", "type", "submit", END));

	put_text(put(form, element("field", NULL, "var", "FORM_TYPE", END)), "value", NS_MAM);
	put_text(put(form, element("field", NULL, "var", "with", END)), "value", with);
	put_text(put(query, element("set", NS_RSM, END)), "max", "50");
	send_off(iq);
	free(with);
}

static void do_sync(const struct json_line *line)
{
	xmpp_stanza_t *iq = ask("get", "sync", "ping", "urn:xmpp:ping");
	char *domain = xmpp_jid_domain(ctx, xmpp_conn_get_bound_jid(conn));

	(void)line;
	xmpp_stanza_set_to(iq, domain);
	send_off(iq);
	xmpp_free(ctx, domain);
}

static const struct command {
	const char *name;
	void (*run)(const struct json_line *line);
} commands[] = {
	{"connect", do_connect}, {"say", do_say},	{"presence", do_presence},
	{"approve", do_approve}, {"remove", do_remove}, {"subscribe", do_subscribe},
	{"carbons", do_carbons}, {"block", do_block},	{"unblock", do_unblock},
	{"archive", do_archive}, {"sync", do_sync},
};

static void run_command(struct slice text)
{
	struct json_line line = JSON_LINE_INIT;
	struct slice name = SLICE_NONE;

	if (json_line_parse(&line, text) == ERR_OK)
		json_line_find(&line, "do", &name);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (slice_eq(name, slice_str(commands[i].name)))
			commands[i].run(&line);
	json_line_clear(&line);
}

/* False at the end of stdin. */
static bool take_commands(struct str *in)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char *end;
	ssize_t n;

	if (poll(&p, 1, conn ? 0 : TURN_MS) <= 0)
		return true;
	str_reserve(in, 4096);
	n = read(STDIN_FILENO, in->data + in->len, 4096);
	if (n <= 0)
		return false;
	in->len += (size_t)n;
	while ((end = memchr(in->data, '\n', in->len))) {
		size_t used = (size_t)(end - in->data) + 1;

		run_command((struct slice){in->data, used - 1});
		str_consume(in, used);
	}
	return true;
}

int main(void)
{
	struct str in = STR_INIT;

	signal(SIGPIPE, SIG_IGN);
	xmpp_initialize();
	ctx = xmpp_ctx_new(NULL, NULL);
	while (take_commands(&in))
		if (conn)
			xmpp_run_once(ctx, TURN_MS);
	if (online && !gone)
		xmpp_disconnect(conn);
	while (online && !gone)
		xmpp_run_once(ctx, TURN_MS);
	emit("offline", END);
	if (conn)
		xmpp_conn_release(conn);
	xmpp_ctx_free(ctx);
	xmpp_shutdown();
	str_clear(&in);
	return 0;
}
