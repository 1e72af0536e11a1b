#include "tests/ledger/crowd.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "bench/scan.h"
#include "tests/ledger/feud.h"
#include "tests/ledger/mam.h"
#include "tests/ledger/token.h"

#define NS_SM	   "urn:xmpp:sm:3"
#define NS_CARBONS "urn:xmpp:carbons:2"
#define NS_MAM	   "urn:xmpp:mam:2"
#define NS_LEDGER  "urn:roundhouse:ledger"
#define ASK_MS	   1000

/* Asking. */

static void send_ping(struct member *m)
{
	talk_say(m, JUDGE_PING, m);
}

void talk_ask(struct member *m)
{
	uint32_t now = crowd_ms(m->crowd);

	if (m->asked_at == 0)
		m->asked_at = now;
	m->ask_at = now + (m->crowd->calm ? ASK_MS / 3 : ASK_MS);
	m->ask_after = 1 + crowd_random(m->crowd, 8);
	if (m->sm_on)
		str_adds(client_output(m->client), "<r xmlns='" NS_SM "'/>");
	else
		send_ping(m);
}

static void asked_answered(struct member *m)
{
	m->asked_at = 0;
	m->crowd->last_sight = crowd_ms(m->crowd);
}

/* Sending. */

static void put(struct member *m, uint32_t entry, struct slice text)
{
	str_add_slice(client_output(m->client), text);
	if (m->sm_on)
		sm_push(&m->sm, entry, text);
	else if (entry != JUDGE_NONE)
		sm_push(&m->sm, entry, SLICE_NONE);
	if (m->sm.len == 1)
		m->ask_at = crowd_ms(m->crowd) + ASK_MS;
}

static void put_and_ask(struct member *m, uint32_t entry, struct slice text)
{
	put(m, entry, text);
	if (--m->ask_after == 0)
		talk_ask(m);
}

/* What a component says needs it. */
static void add_from(struct str *out, const struct member *m)
{
	if (m->part)
		str_addf(out, " from='%s'", m->jid);
}

static uint32_t padding(struct crowd *w)
{
	uint32_t n = crowd_random(w, w->opts->padding + 1);

	return crowd_random(w, 100) == 0 ? n * 10 : n;
}

static void compose(struct str *out, const struct member *m, enum judge_kind kind, uint32_t number,
		    const struct member *to)
{
	struct crowd *w = m->crowd;
	const struct opts *s = &w->opts->server;

	str_adds(out, kind == JUDGE_BARE || kind == JUDGE_FULL ? "<message type='chat' id='"
							       : "<iq type='get' id='");
	token_add_id(out, w->run, number);
	str_addc(out, '\'');
	add_from(out, m);
	if (kind == JUDGE_PING) {
		str_addf(out, " to='%s'><ping xmlns='urn:xmpp:ping'/></iq>", s->domain);
		return;
	}
	if (kind == JUDGE_BARE && !to->part)
		str_addf(out, " to='%s%u@%s'>", s->user, to->account, s->domain);
	else
		str_addf(out, " to='%s'>", to->jid);
	str_adds(out, kind == JUDGE_IQ ? "<q xmlns='" NS_LEDGER "'>" : "<body>");
	token_add(out, w->run, m->seat, number, padding(w));
	str_adds(out, kind == JUDGE_IQ ? "</q></iq>" : "</body></message>");
}

void talk_say(struct member *m, enum judge_kind kind, const struct member *to)
{
	struct crowd *w = m->crowd;
	bool bare = kind == JUDGE_BARE || (to->part && kind != JUDGE_PING);
	uint32_t session = bare ? JUDGE_NONE : to->session;
	uint32_t number = judge_send(w->judge, kind, m->session, to->account, session, crowd_ms(w));
	struct str text = STR_INIT;

	compose(&text, m, kind, number, to);
	judge_weigh(w->judge, number, text.len);
	if (kind == JUDGE_PING)
		put(m, number, str_slice(&text));
	else
		put_and_ask(m, number, str_slice(&text));
	str_clear(&text);
}

void talk_to_echo(struct member *m)
{
	struct crowd *w = m->crowd;
	uint32_t number = judge_send(w->judge, JUDGE_BARE, m->session,
				     judge_party_of(w->judge, w->echo), JUDGE_NONE, crowd_ms(w));
	struct str text = STR_INIT;

	str_adds(&text, "<message type='chat' id='");
	token_add_id(&text, w->run, number);
	str_addf(&text, "' to='%s'><body>", w->opts->echo);
	token_add(&text, w->run, m->seat, number, padding(w));
	str_adds(&text, "</body></message>");
	judge_weigh(w->judge, number, text.len);
	put_and_ask(m, number, str_slice(&text));
	str_clear(&text);
}

void talk_put(struct member *m, struct slice stanza)
{
	put(m, JUDGE_NONE, stanza);
}

void talk_carbons(struct member *m)
{
	struct str text = STR_INIT;

	str_adds(&text, "<iq type='set' id='");
	token_add_name(&text, 'c', m->crowd->run, m->seat);
	str_adds(&text, "'><enable xmlns='" NS_CARBONS "'/></iq>");
	put(m, JUDGE_NONE, str_slice(&text));
	str_clear(&text);
}

void talk_presence(struct member *m)
{
	put(m, JUDGE_NONE, slice_str("<presence/>"));
}

void talk_enable(struct member *m)
{
	struct str *out = client_output(m->client);

	str_adds(out, "<enable xmlns='" NS_SM "' resume='true'");
	if (m->crowd->opts->resume_max)
		str_addf(out, " max='%u'", m->crowd->opts->resume_max);
	str_adds(out, "/>");
	/* Both sides count from here; what the server sends is counted from <enabled/>. */
	m->sm_on = true;
	m->sm.acked = 0;
	free(m->resume_id);
	m->resume_id = NULL;
}

/* The same stream goes on: all that the server has not counted, in the same order. */
void talk_resent(struct member *m)
{
	for (size_t i = 0; i < m->sm.len; i++) {
		str_adds(client_output(m->client), sm_at(&m->sm, i)->text);
		judge_count(m->crowd->judge, COUNT_RESENT, NULL);
	}
	if (m->sm.len)
		talk_ask(m);
}

void talk_anew(struct member *m)
{
	while (m->anew.len) {
		const struct sm_sent *s = sm_oldest(&m->anew);

		judge_send_anew(m->crowd->judge, s->entry, m->session);
		put(m, s->entry, slice_str(s->text));
		sm_pop(&m->anew);
	}
	if (m->sm.len)
		talk_ask(m);
}

void talk_goodbye(struct member *m)
{
	struct str *out = client_output(m->client);

	if (m->sm_on)
		str_addf(out, "<a xmlns='" NS_SM "' h='%u'/>", m->sm.got);
	str_adds(out, "</stream:stream>");
}

/* Acknowledgements. */

static void pop_acknowledged(struct member *m)
{
	uint32_t entry = sm_oldest(&m->sm)->entry;

	if (entry != JUDGE_NONE)
		judge_acknowledge(m->crowd->judge, entry, crowd_ms(m->crowd));
	sm_pop(&m->sm);
}

/* <a/>, <resumed/> or <failed/> with h. False: it cannot be right. */
bool talk_acknowledged(struct member *m, struct slice element)
{
	struct slice text = scan_attribute(element, "h");
	char digits[16];
	char why[160];
	size_t count = 0;

	if (text.len == 0 || text.len >= sizeof digits)
		return false;
	memcpy(digits, text.data, text.len);
	digits[text.len] = 0;
	uint32_t h = (uint32_t)strtoul(digits, NULL, 10);
	if (!sm_covers(&m->sm, h, &count)) {
		snprintf(why, sizeof why, "client %u: %.*s h=%u; told before %u, sent since %zu",
			 m->seat, SLICE_ARG(scan_name(element)), h, m->sm.acked, m->sm.len);
		judge_count(m->crowd->judge, COUNT_BAD_H, why);
		return false;
	}
	m->sm.acked = h;
	while (count--)
		pop_acknowledged(m);
	asked_answered(m);
	return true;
}

/* A plain client: the server answers in order, so it has what was sent before the ping. */
static void ping_answered(struct member *m, uint32_t number)
{
	const struct judge *j = m->crowd->judge;

	if (m->sm_on || judge_sender_session(j, number) != m->session)
		return;
	while (m->sm.len && sm_oldest(&m->sm)->entry <= number)
		pop_acknowledged(m);
	asked_answered(m);
}

static void take_request(struct member *m, struct slice stanza)
{
	(void)stanza;
	if (m->habit == MUTE && !m->crowd->mam)
		return;
	str_addf(client_output(m->client), "<a xmlns='" NS_SM "' h='%u'/>", m->sm.got);
}

static void take_acknowledgement(struct member *m, struct slice stanza)
{
	if (!talk_acknowledged(m, stanza))
		member_drop(m, true, 100);
}

static void take_enabled(struct member *m, struct slice stanza)
{
	struct slice id = scan_attribute(stanza, "id");

	m->sm.got = 0;
	free(m->resume_id);
	m->resume_id = id.len ? xstrndup(id.data, id.len) : NULL;
	member_ready(m);
}

static void take_failed(struct member *m, struct slice stanza)
{
	uint32_t now = crowd_ms(m->crowd);

	m->sm_on = false;
	judge_count(m->crowd->judge, COUNT_NOT_ENABLED, NULL);
	crowd_tell(m, "not enabled: %.*s", SLICE_ARG(stanza));
	judge_session_end(m->crowd->judge, m->session, now);
	m->session = judge_session_begin(m->crowd->judge, m->account, m->seat, false, now);
	member_ready(m);
}

/* Receiving. */

/* What was sent there was seen there. */
static void take_echo(struct member *m, struct slice message)
{
	uint32_t number = talk_token(m, message);

	if (number == JUDGE_NONE)
		return;
	m->crowd->last_sight = crowd_ms(m->crowd);
	judge_see(m->crowd->judge, number, m->crowd->echo, 0, m->crowd->last_sight);
	judge_count(m->crowd->judge, COUNT_ECHOES, NULL);
}

static void see(struct member *m, uint32_t number, uint64_t name)
{
	m->crowd->last_sight = crowd_ms(m->crowd);
	judge_see(m->crowd->judge, number, m->session, name, m->crowd->last_sight);
}

struct slice talk_inside(struct slice stanza, const char *start)
{
	const char *at =
		stanza.len ? memmem(stanza.data + 1, stanza.len - 1, start, strlen(start)) : NULL;

	return at ? slice_of(at, stanza.len - (size_t)(at - stanza.data)) : SLICE_NONE;
}

static void foreign(const struct member *m, struct slice stanza)
{
	judge_count(m->crowd->judge, COUNT_FOREIGN, NULL);
	crowd_tell(m, "foreign: %.*s", SLICE_ARG(stanza));
}

/* Is it a stanza of this client, or of this component, which may have two connections? */
static bool is_mine(const struct member *m, uint32_t number)
{
	const struct judge *j = m->crowd->judge;
	const struct member *from;

	if (number >= judge_entries(j))
		return false;
	from = &m->crowd->members[judge_seat_of(j, judge_sender_session(j, number))];
	return from == m || (m->part && from->part == m->part);
}

static void take_bounce(struct member *m, uint32_t number, struct slice stanza)
{
	static const struct {
		const char *condition;
		enum judge_error error;
	} errors[] = {{"<service-unavailable", JUDGE_UNAVAILABLE},
		      {"<not-acceptable", JUDGE_NOT_ACCEPTABLE},
		      {"<resource-constraint", JUDGE_CONSTRAINT}};
	enum judge_error error = JUDGE_OTHER;

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		if (scan_has(stanza, errors[i].condition))
			error = errors[i].error;
	}
	m->crowd->last_sight = crowd_ms(m->crowd);
	judge_bounce(m->crowd->judge, number, m->session, error, m->crowd->last_sight);
	crowd_tell(m, "bounced %u: %.*s", number, SLICE_ARG(stanza));
}

/* Reads the token in text and judges it; JUDGE_NONE when it is not to be used. */
static uint32_t take_token(struct member *m, struct slice text, struct slice id)
{
	struct judge *j = m->crowd->judge;
	uint32_t sender = 0, number = 0, by_id = 0;
	char why[200];

	enum token_result r = token_parse(text, m->crowd->run, &sender, &number);
	if (r == TOKEN_FOREIGN) {
		judge_count(j, COUNT_FOREIGN, NULL);
		return JUDGE_NONE;
	}
	if (r == TOKEN_OK && number < judge_entries(j) &&
	    judge_seat_of(j, judge_sender_session(j, number)) == sender &&
	    token_parse_id(id, m->crowd->run, &by_id))
		return number;
	snprintf(why, sizeof why, "client %u got id %.*s: %.*s", m->seat,
		 (int)(id.len < 40 ? id.len : 40), id.data ? id.data : "",
		 (int)(text.len < 100 ? text.len : 100), text.data);
	judge_count(j, COUNT_DAMAGED, why);
	return JUDGE_NONE;
}

uint32_t talk_token(struct member *m, struct slice message)
{
	return take_token(m, scan_text(message, "body"), scan_attribute(message, "id"));
}

/* Whose is it? That of an error tells only that this one has come back. */
static void take_copy(struct member *m, struct slice stanza)
{
	struct slice message = talk_inside(stanza, "<message");
	enum judge_copy direction = scan_has(stanza, "<sent ") ? JUDGE_SENT : JUDGE_RECEIVED;
	uint32_t number;

	if (slice_is(scan_attribute(message, "type"), "error")) {
		judge_count(m->crowd->judge, COUNT_CARBON_BOUNCES, NULL);
		return;
	}
	if (part_is_echo(m->crowd, message))
		return;
	number = talk_token(m, message);
	if (number == JUDGE_NONE)
		return;
	m->crowd->last_sight = crowd_ms(m->crowd);
	judge_copy_see(m->crowd->judge, number, direction, m->session, m->crowd->last_sight);
}

static void take_message(struct member *m, struct slice stanza)
{
	struct slice id = scan_attribute(stanza, "id");
	struct slice name = SLICE_NONE;
	uint32_t number = 0;

	if (m->crowd->mam && scan_has(stanza, NS_MAM)) {
		mam_take(m, stanza);
		return;
	}
	if (m->crowd->opts->carbons > 0 && scan_has(stanza, NS_CARBONS)) {
		take_copy(m, stanza);
		return;
	}
	if (slice_is(scan_attribute(stanza, "type"), "error")) {
		if (token_parse_id(id, m->crowd->run, &number) && is_mine(m, number))
			take_bounce(m, number, stanza);
		else
			foreign(m, stanza);
		return;
	}
	if (part_is_echo(m->crowd, stanza)) {
		take_echo(m, stanza);
		return;
	}
	number = talk_token(m, stanza);
	if (number == JUDGE_NONE)
		return;
	if (m->crowd->opts->archive)
		name = scan_attribute(talk_inside(stanza, "<stanza-id"), "id");
	see(m, number, name.len ? token_hash(name) : 0);
}

static void answer(struct member *m, struct slice request, uint32_t number)
{
	struct crowd *w = m->crowd;
	struct slice from = scan_attribute(request, "from");
	uint32_t session = judge_sender_session(w->judge, number);
	const struct member *to = &w->members[judge_seat_of(w->judge, session)];
	struct str text = STR_INIT;

	uint32_t mine = judge_send(w->judge, JUDGE_ANSWER, m->session, to->account,
				   to->part ? JUDGE_NONE : session, crowd_ms(w));
	str_addf(&text, "<iq type='result' id='%.*s' to='%.*s'",
		 SLICE_ARG(scan_attribute(request, "id")), SLICE_ARG(from));
	add_from(&text, m);
	str_adds(&text, "><q xmlns='" NS_LEDGER "'>");
	token_add(&text, w->run, m->seat, mine, padding(w));
	str_adds(&text, "</q></iq>");
	judge_weigh(w->judge, mine, text.len);
	put_and_ask(m, mine, str_slice(&text));
	str_clear(&text);
}

static void take_get(struct member *m, struct slice stanza)
{
	struct slice id = scan_attribute(stanza, "id");
	uint32_t number = JUDGE_NONE;

	if (scan_has(stanza, NS_LEDGER))
		number = take_token(m, scan_text(stanza, "q"), id);
	if (number != JUDGE_NONE) {
		see(m, number, 0);
		answer(m, stanza, number);
		return;
	}
	struct str text = STR_INIT;
	struct slice from = scan_attribute(stanza, "from");
	str_addf(&text, "<iq type='error' id='%.*s'", SLICE_ARG(id));
	if (from.len)
		str_addf(&text, " to='%.*s'", SLICE_ARG(from));
	add_from(&text, m);
	str_adds(&text, "><error type='cancel'><service-unavailable "
			"xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
	put(m, JUDGE_NONE, str_slice(&text));
	str_clear(&text);
}

/* Is it the answer to something that is not in the ledger? */
static bool take_own_answer(struct member *m, struct slice stanza, bool done)
{
	struct slice id = scan_attribute(stanza, "id");
	uint32_t run = m->crowd->run, number = 0;

	if (token_parse_name(id, 'c', run, &number)) {
		if (done && number == m->seat)
			judge_carbons(m->crowd->judge, m->session, crowd_ms(m->crowd));
		else
			judge_count(m->crowd->judge, COUNT_CARBON_REFUSED, "carbons refused");
	} else if (token_parse_name(id, 'b', run, &number)) {
		feud_answered(m, number, done);
	} else if (token_parse_name(id, 'm', run, &number)) {
		mam_answered(m, number, done, stanza);
	} else {
		return false;
	}
	return true;
}

static void take_iq(struct member *m, struct slice stanza)
{
	struct slice type = scan_attribute(stanza, "type");
	uint32_t number = 0;

	if (slice_is(type, "get") || slice_is(type, "set")) {
		take_get(m, stanza);
	} else if (take_own_answer(m, stanza, slice_is(type, "result"))) {
		return;
	} else if (slice_is(type, "result") && scan_has(stanza, NS_LEDGER)) {
		number = take_token(m, scan_text(stanza, "q"), scan_attribute(stanza, "id"));
		if (number != JUDGE_NONE)
			see(m, number, 0);
	} else if (!token_parse_id(scan_attribute(stanza, "id"), m->crowd->run, &number) ||
		   !is_mine(m, number)) {
		foreign(m, stanza);
	} else if (slice_is(type, "result")) {
		see(m, number, 0);
		ping_answered(m, number);
	} else {
		take_bounce(m, number, stanza);
		ping_answered(m, number);
	}
}

/* Of the other client of the account: it may be away, but that is nobody's business yet. */
static void take_presence(struct member *m, struct slice stanza)
{
	struct crowd *w = m->crowd;

	if (w->closing || m->seat >= w->opts->twins * 2 ||
	    !slice_is(scan_attribute(stanza, "type"), "unavailable"))
		return;
	const struct member *other = &w->members[m->seat ^ 1];
	if (!other->jid || !slice_is(scan_attribute(stanza, "from"), other->jid) ||
	    other->habit == CRASHER || !other->session_lives || !other->resume_id)
		return;
	char why[160];
	snprintf(why, sizeof why, "client %u saw %s unavailable at %.3f", m->seat, other->jid,
		 crowd_ms(w) / 1e3);
	judge_count(w->judge, COUNT_UNAVAILABLE, why);
}

void talk_take(struct member *m, struct slice stanza)
{
	static const struct {
		const char *name;
		bool counts; /* is a stanza, XEP-0198 section 4 */
		void (*take)(struct member *m, struct slice stanza);
	} elements[] = {
		{"message", true, take_message},    {"iq", true, take_iq},
		{"presence", true, take_presence},  {"r", false, take_request},
		{"a", false, take_acknowledgement}, {"enabled", false, take_enabled},
		{"failed", false, take_failed},
	};
	struct slice name = scan_name(stanza);

	for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
		if (!slice_is(name, elements[i].name))
			continue;
		m->sm.got += elements[i].counts;
		elements[i].take(m, stanza);
		return;
	}
}
