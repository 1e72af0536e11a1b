#include "callbridge/bridge_stream.h"

#include <stdlib.h>

#include "callbridge/bridge_digest.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"
#include "xmpp/xml_tree.h"

void bridge_sm_init(struct bridge_sm *sm)
{
	*sm = (struct bridge_sm){.id = STR_INIT};
}

void bridge_sm_clear(struct bridge_sm *sm)
{
	str_clear(&sm->id);
	bridge_sm_init(sm);
}

void bridge_effects_init(struct bridge_effects *fx)
{
	*fx = (struct bridge_effects){.write = STR_INIT, .detail = STR_INIT};
}

void bridge_effects_clear(struct bridge_effects *fx)
{
	str_clear(&fx->write);
	str_clear(&fx->detail);
}

static void reset(struct bridge_effects *fx)
{
	struct str write = fx->write, detail = fx->detail;

	str_reset(&write);
	str_reset(&detail);
	*fx = (struct bridge_effects){.write = write, .detail = detail};
}

static void over(struct bridge_stream *s, struct bridge_effects *fx, enum bridge_cause cause,
		 const char *detail)
{
	s->state = BRIDGE_OVER;
	fx->over = true;
	fx->cause = cause;
	str_adds(&fx->detail, detail);
}

static void say_header(struct bridge_stream *s, struct bridge_effects *fx)
{
	str_adds(&fx->write, "<?xml version='1.0'?><stream:stream xmlns='" NS_COMPONENT
			     "' xmlns:stream='" NS_STREAM "'");
	/* Roundhouse has features for those only who say who they are: XEP-0114 knows none. */
	xml_out_attr(&fx->write, "from", slice_str(s->jid));
	xml_out_attr(&fx->write, "to", slice_str(s->jid));
	str_adds(&fx->write, " version='1.0'>");
	fx->new_stream = true;
	s->state = BRIDGE_OPENING;
	s->sm_offered = false;
}

void bridge_stream_open(struct bridge_stream *s, enum bridge_tls tls, const char *jid,
			struct slice secret, struct bridge_sm *sm, struct bridge_effects *fx)
{
	*s = (struct bridge_stream){
		.tls = tls, .jid = jid, .secret = secret, .sm = sm, .id = STR_INIT};
	s->secure = tls == BRIDGE_TLS_DIRECT;
	reset(fx);
	say_header(s, fx);
}

void bridge_stream_clear(struct bridge_stream *s)
{
	str_clear(&s->id);
}

/* xs:unsignedInt; false when it is none. */
static bool parse_h(const char *text, uint32_t *h)
{
	char *end;
	unsigned long n;

	if (!text || *text < '0' || *text > '9')
		return false;
	n = strtoul(text, &end, 10);
	*h = (uint32_t)n;
	return *end == '\0' && n <= UINT32_MAX;
}

static void prove(struct bridge_stream *s, struct bridge_effects *fx)
{
	char digest[BRIDGE_DIGEST_SIZE];

	s->resuming = s->sm_offered && s->sm->id.len > 0;
	if (s->resuming) {
		str_adds(&fx->write, "<resume xmlns='" NS_SM3 "'");
		xml_out_attr(&fx->write, "previd", str_slice(&s->sm->id));
		str_addf(&fx->write, " h='%u'/>", s->sm->in);
	}
	bridge_digest(digest, str_slice(&s->id), s->secret);
	str_addf(&fx->write, "<handshake>%s</handshake>", digest);
	s->state = BRIDGE_PROVING;
}

/* The server's features are known, or it has none. */
static void decide(struct bridge_stream *s, bool starttls, struct bridge_effects *fx)
{
	if (!s->secure && starttls && s->tls != BRIDGE_TLS_NONE) {
		str_adds(&fx->write, "<starttls xmlns='" NS_TLS "'/>");
		s->state = BRIDGE_ASKED;
	} else if (!s->secure && s->tls == BRIDGE_TLS_REQUIRED) {
		over(s, fx, BRIDGE_CAUSE_TLS,
		     "the server does not offer STARTTLS; tls = \"direct\" is for ports with TLS "
		     "from the first byte, \"none\" for links that need none");
	} else {
		prove(s, fx);
	}
}

static void on_header(struct bridge_stream *s, const struct xml_stream_header *h,
		      struct bridge_effects *fx)
{
	if (!slice_is(h->ns, NS_STREAM) || !slice_is(h->name, "stream") ||
	    !slice_is(h->content, NS_COMPONENT)) {
		over(s, fx, BRIDGE_CAUSE_PROTOCOL,
		     "this is no port for components (its namespace is not " NS_COMPONENT ")");
		return;
	}
	if (h->id.len == 0) {
		over(s, fx, BRIDGE_CAUSE_PROTOCOL, "the server's stream header has no id");
		return;
	}
	str_reset(&s->id);
	str_add_slice(&s->id, h->id);
	/* RFC 6120 4.3.2: version 1.0 promises features; XEP-0114 alone does not know them. */
	if (h->version.len > 0 && h->version.data[0] != '0')
		s->state = BRIDGE_OFFERED;
	else
		decide(s, false, fx);
}

static enum bridge_cause cause_of(const struct bridge_stream *s, const char *condition)
{
	if (strcmp(condition, "not-authorized") == 0)
		return BRIDGE_CAUSE_AUTH;
	if (strcmp(condition, "conflict") == 0)
		return BRIDGE_CAUSE_CONFLICT;
	if (s->state == BRIDGE_LIVE)
		return strcmp(condition, "system-shutdown") == 0 ||
				       strcmp(condition, "reset") == 0 ||
				       strcmp(condition, "connection-timeout") == 0
			       ? BRIDGE_CAUSE_CLOSED
			       : BRIDGE_CAUSE_PROTOCOL;
	/* A server that does not know this component (FEATURES A52). */
	return strcmp(condition, "host-unknown") == 0 ? BRIDGE_CAUSE_AUTH : BRIDGE_CAUSE_PROTOCOL;
}

/* RFC 6120 4.9.3: those that the content of a stanza may bring about. */
static bool is_about_content(const char *condition)
{
	static const char *const those[] = {
		"bad-format",	   "bad-namespace-prefix", "improper-addressing",
		"invalid-from",	   "invalid-namespace",	   "invalid-xml",
		"not-well-formed", "xml-not-well-formed",  "policy-violation",
		"restricted-xml",  "unsupported-encoding", "unsupported-stanza-type"};

	for (size_t i = 0; i < sizeof(those) / sizeof(those[0]); i++)
		if (strcmp(condition, those[i]) == 0)
			return true;
	return false;
}

static void on_error(struct bridge_stream *s, const struct xml_node *tree,
		     struct bridge_effects *fx)
{
	const struct xml_node *c = xml_child_ns(tree, NS_STREAMS_ERR);
	const char *text = xml_child_text(tree, NS_STREAMS_ERR, "text");
	const char *condition = "undefined-condition";

	for (; c; c = c->next)
		if (strcmp(c->ns, NS_STREAMS_ERR) == 0 && strcmp(c->name, "text") != 0) {
			condition = c->name;
			break;
		}
	str_addf(&fx->detail, "stream error %.64s", condition);
	if (text && *text)
		str_addf(&fx->detail, ": %.200s", text);
	fx->blames = s->state == BRIDGE_LIVE && is_about_content(condition);
	over(s, fx, cause_of(s, condition), "");
}

static void on_features(struct bridge_stream *s, const struct xml_node *tree,
			struct bridge_effects *fx)
{
	s->sm_offered = xml_child(tree, NS_SM3, "sm") != NULL;
	decide(s, xml_child(tree, NS_TLS, "starttls") != NULL, fx);
}

static void go_live(struct bridge_stream *s, struct bridge_effects *fx)
{
	s->state = BRIDGE_LIVE;
	fx->live = true;
}

/* <handshake/>: a new session. */
static void on_proven(struct bridge_stream *s, struct bridge_effects *fx)
{
	str_reset(&s->sm->id);
	s->sm->counts_in = false;
	s->sm->asked = s->sm_offered;
	s->sm->in = s->sm->acked = 0;
	if (s->sm_offered)
		str_adds(&fx->write, "<enable xmlns='" NS_SM3 "' resume='true'/>");
	go_live(s, fx);
}

static void on_resumed(struct bridge_stream *s, const struct xml_node *tree,
		       struct bridge_effects *fx)
{
	const char *previd = xml_attr(tree, "previd");

	if (!previd || !slice_is(str_slice(&s->sm->id), previd) ||
	    !parse_h(xml_attr(tree, "h"), &fx->h)) {
		over(s, fx, BRIDGE_CAUSE_PROTOCOL, "the server resumed something else");
		return;
	}
	fx->has_h = true;
	fx->resumed = true;
	s->sm->asked = s->sm->counts_in = true;
	go_live(s, fx);
}

static void proving(struct bridge_stream *s, const struct xml_node *tree, struct bridge_effects *fx)
{
	if (xml_is(tree, NS_COMPONENT, "handshake")) {
		on_proven(s, fx);
	} else if (s->resuming && xml_is(tree, NS_SM3, "resumed")) {
		on_resumed(s, tree, fx);
	} else if (s->resuming && xml_is(tree, NS_SM3, "failed")) {
		/* XEP-0198 section 5: it may know how far it got. */
		fx->has_h = parse_h(xml_attr(tree, "h"), &fx->h);
		s->resuming = false;
	}
}

static void live(struct bridge_stream *s, const struct xml_node *tree, struct bridge_effects *fx)
{
	const char *id = xml_attr(tree, "id"), *resume = xml_attr(tree, "resume");

	if (xml_is(tree, NS_SM3, "r")) {
		fx->wants_ack = s->sm->counts_in;
	} else if (xml_is(tree, NS_SM3, "a")) {
		fx->has_h = s->sm->asked && parse_h(xml_attr(tree, "h"), &fx->h);
	} else if (xml_is(tree, NS_SM3, "enabled") && s->sm->asked && !s->sm->counts_in) {
		s->sm->counts_in = fx->enabled = true;
		str_reset(&s->sm->id);
		if (id && resume && (strcmp(resume, "true") == 0 || strcmp(resume, "1") == 0))
			str_adds(&s->sm->id, id);
	} else if (xml_is(tree, NS_SM3, "failed") && s->sm->asked && !s->sm->counts_in) {
		s->sm->asked = false;
		fx->disabled = true;
	}
}

static void on_element(struct bridge_stream *s, const struct xml_node *tree,
		       struct bridge_effects *fx)
{
	if (xml_is(tree, NS_STREAM, "error")) {
		on_error(s, tree, fx);
		return;
	}
	switch (s->state) {
	case BRIDGE_OFFERED:
		if (xml_is(tree, NS_STREAM, "features"))
			on_features(s, tree, fx);
		break;
	case BRIDGE_ASKED:
		if (xml_is(tree, NS_TLS, "proceed")) {
			s->state = BRIDGE_SECURING;
			fx->start_tls = true;
		} else if (xml_is(tree, NS_TLS, "failure")) {
			over(s, fx, BRIDGE_CAUSE_TLS, "the server refused STARTTLS");
		}
		break;
	case BRIDGE_PROVING:
		proving(s, tree, fx);
		break;
	case BRIDGE_LIVE:
		live(s, tree, fx);
		break;
	default:
		break;
	}
}

void bridge_stream_step(struct bridge_stream *s, const struct bridge_event *ev,
			struct bridge_effects *fx)
{
	reset(fx);
	if (s->state == BRIDGE_OVER)
		return;
	switch (ev->kind) {
	case BRIDGE_EV_HEADER:
		if (s->state == BRIDGE_OPENING)
			on_header(s, ev->header, fx);
		else
			over(s, fx, BRIDGE_CAUSE_PROTOCOL, "a second stream header");
		break;
	case BRIDGE_EV_ELEMENT:
		on_element(s, ev->tree, fx);
		break;
	case BRIDGE_EV_END:
		over(s, fx, BRIDGE_CAUSE_CLOSED, "the server closed the stream");
		break;
	case BRIDGE_EV_BROKEN:
		over(s, fx, BRIDGE_CAUSE_PROTOCOL, ev->text);
		break;
	case BRIDGE_EV_SECURE:
		if (s->state == BRIDGE_SECURING) {
			s->secure = true;
			say_header(s, fx);
		}
		break;
	case BRIDGE_EV_LATE:
		if (s->state == BRIDGE_OFFERED)
			decide(s, false, fx);
		break;
	}
}

const char *bridge_state_name(enum bridge_state s)
{
	static const char *const names[BRIDGE_STATES] = {
		[BRIDGE_OPENING] = "opening", [BRIDGE_OFFERED] = "offered",
		[BRIDGE_ASKED] = "asked",     [BRIDGE_SECURING] = "securing",
		[BRIDGE_PROVING] = "proving", [BRIDGE_LIVE] = "live",
		[BRIDGE_OVER] = "over",
	};

	return s < BRIDGE_STATES ? names[s] : "?";
}
