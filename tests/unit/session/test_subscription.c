/* RFC 6121 section 3 and appendix A: subscriptions, and the presence that follows them. */
#include "tests/unit/session/fake_host.h"

#include "session/subscription_state.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.org"
#define J      "juliet@example.com/balcony"
#define R      "romeo@example.org/orchard"

/* A state as a word: subscription, then ? = pending out, ! = pending in, * = approved. */
static struct subscription_state state_of(const char *word)
{
	struct subscription_state s = {0};

	s.subscription = *word == 't' ? 1 : *word == 'f' ? 2 : *word == 'b' ? 3 : 0;
	s.ask = strchr(word, '?') != NULL;
	s.pending = strchr(word, '!') != NULL;
	s.approved = strchr(word, '*') != NULL;
	s.listed = strcmp(word, "-") != 0 && strcmp(word, "-!") != 0;
	return s;
}

/* "-" = no contact; "pass" and "reply" as in struct subscription_step. */
static const struct {
	bool out;
	uint8_t type;
	const char *before, *after, *effect;
} transitions[] = {
	/* A.2.1 outbound subscribe: always routed */
	{true, TYPE_SUBSCRIBE, "-", "none?", "pass"},
	{true, TYPE_SUBSCRIBE, "none", "none?", "pass"},
	{true, TYPE_SUBSCRIBE, "none?", "none?", "pass"},
	{true, TYPE_SUBSCRIBE, "-!", "none?!", "pass"},
	{true, TYPE_SUBSCRIBE, "none?!", "none?!", "pass"},
	{true, TYPE_SUBSCRIBE, "to", "to", "pass"},
	{true, TYPE_SUBSCRIBE, "to!", "to!", "pass"},
	{true, TYPE_SUBSCRIBE, "from", "from?", "pass"},
	{true, TYPE_SUBSCRIBE, "from?", "from?", "pass"},
	{true, TYPE_SUBSCRIBE, "both", "both", "pass"},
	/* A.2.2 outbound unsubscribe */
	{true, TYPE_UNSUBSCRIBE, "-", "-", "pass"},
	{true, TYPE_UNSUBSCRIBE, "none", "none", "pass"},
	{true, TYPE_UNSUBSCRIBE, "none?", "none", "pass"},
	{true, TYPE_UNSUBSCRIBE, "none!", "none!", "pass"},
	{true, TYPE_UNSUBSCRIBE, "none?!", "none!", "pass"},
	{true, TYPE_UNSUBSCRIBE, "to", "none", "pass"},
	{true, TYPE_UNSUBSCRIBE, "to!", "none!", "pass"},
	{true, TYPE_UNSUBSCRIBE, "from", "from", "pass"},
	{true, TYPE_UNSUBSCRIBE, "from?", "from", "pass"},
	{true, TYPE_UNSUBSCRIBE, "both", "from", "pass"},
	/* A.2.3 outbound subscribed; without a request it is pre-approval (3.4) */
	{true, TYPE_SUBSCRIBED, "-", "none*", ""},
	{true, TYPE_SUBSCRIBED, "none", "none*", ""},
	{true, TYPE_SUBSCRIBED, "none?", "none?*", ""},
	{true, TYPE_SUBSCRIBED, "-!", "from", "pass"},
	{true, TYPE_SUBSCRIBED, "none!", "from", "pass"},
	{true, TYPE_SUBSCRIBED, "none?!", "from?", "pass"},
	{true, TYPE_SUBSCRIBED, "to", "to*", ""},
	{true, TYPE_SUBSCRIBED, "to!", "both", "pass"},
	{true, TYPE_SUBSCRIBED, "from", "from", ""},
	{true, TYPE_SUBSCRIBED, "from?", "from?", ""},
	{true, TYPE_SUBSCRIBED, "both", "both", ""},
	/* A.2.4 outbound unsubscribed */
	{true, TYPE_UNSUBSCRIBED, "-", "-", ""},
	{true, TYPE_UNSUBSCRIBED, "none", "none", ""},
	{true, TYPE_UNSUBSCRIBED, "none*", "none", ""},
	{true, TYPE_UNSUBSCRIBED, "-!", "-", "pass"},
	{true, TYPE_UNSUBSCRIBED, "none!", "none", "pass"},
	{true, TYPE_UNSUBSCRIBED, "none?!", "none?", "pass"},
	{true, TYPE_UNSUBSCRIBED, "to", "to", ""},
	{true, TYPE_UNSUBSCRIBED, "to!", "to", "pass"},
	{true, TYPE_UNSUBSCRIBED, "from", "none", "pass"},
	{true, TYPE_UNSUBSCRIBED, "from?", "none?", "pass"},
	{true, TYPE_UNSUBSCRIBED, "both", "to", "pass"},
	/* A.3.1 inbound subscribe */
	{false, TYPE_SUBSCRIBE, "-", "-!", "pass"},
	{false, TYPE_SUBSCRIBE, "-!", "-!", ""},
	{false, TYPE_SUBSCRIBE, "none", "none!", "pass"},
	{false, TYPE_SUBSCRIBE, "none?", "none?!", "pass"},
	{false, TYPE_SUBSCRIBE, "none!", "none!", ""},
	{false, TYPE_SUBSCRIBE, "none*", "from", "reply"},
	{false, TYPE_SUBSCRIBE, "to", "to!", "pass"},
	{false, TYPE_SUBSCRIBE, "to*", "both", "reply"},
	{false, TYPE_SUBSCRIBE, "to!", "to!", ""},
	{false, TYPE_SUBSCRIBE, "from", "from", "reply"},
	{false, TYPE_SUBSCRIBE, "from?", "from?", "reply"},
	{false, TYPE_SUBSCRIBE, "both", "both", "reply"},
	/* A.3.2 inbound unsubscribe */
	{false, TYPE_UNSUBSCRIBE, "-", "-", ""},
	{false, TYPE_UNSUBSCRIBE, "-!", "-", "pass"},
	{false, TYPE_UNSUBSCRIBE, "none", "none", ""},
	{false, TYPE_UNSUBSCRIBE, "none?!", "none?", "pass"},
	{false, TYPE_UNSUBSCRIBE, "to", "to", ""},
	{false, TYPE_UNSUBSCRIBE, "to!", "to", "pass"},
	{false, TYPE_UNSUBSCRIBE, "from", "none", "pass"},
	{false, TYPE_UNSUBSCRIBE, "from?", "none?", "pass"},
	{false, TYPE_UNSUBSCRIBE, "both", "to", "pass"},
	/* A.3.3 inbound subscribed: only when it was asked for */
	{false, TYPE_SUBSCRIBED, "-", "-", ""},
	{false, TYPE_SUBSCRIBED, "none", "none", ""},
	{false, TYPE_SUBSCRIBED, "none?", "to", "pass"},
	{false, TYPE_SUBSCRIBED, "none!", "none!", ""},
	{false, TYPE_SUBSCRIBED, "none?!", "to!", "pass"},
	{false, TYPE_SUBSCRIBED, "to", "to", ""},
	{false, TYPE_SUBSCRIBED, "from", "from", ""},
	{false, TYPE_SUBSCRIBED, "from?", "both", "pass"},
	{false, TYPE_SUBSCRIBED, "both", "both", ""},
	/* A.3.4 inbound unsubscribed */
	{false, TYPE_UNSUBSCRIBED, "-", "-", ""},
	{false, TYPE_UNSUBSCRIBED, "none", "none", ""},
	{false, TYPE_UNSUBSCRIBED, "none?", "none", "pass"},
	{false, TYPE_UNSUBSCRIBED, "none?!", "none!", "pass"},
	{false, TYPE_UNSUBSCRIBED, "to", "none", "pass"},
	{false, TYPE_UNSUBSCRIBED, "to!", "none!", "pass"},
	{false, TYPE_UNSUBSCRIBED, "from", "from", ""},
	{false, TYPE_UNSUBSCRIBED, "from?", "from", "pass"},
	{false, TYPE_UNSUBSCRIBED, "both", "from", "pass"},
};

static void transitions_follow_appendix_a(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(transitions) / sizeof(*transitions); i++) {
		struct subscription_state before = state_of(transitions[i].before);
		struct subscription_state after = state_of(transitions[i].after);
		struct subscription_step step =
			transitions[i].out ? subscription_state_out(before, transitions[i].type)
					   : subscription_state_in(before, transitions[i].type);
		const char *effect = step.pass ? "pass" : step.reply ? "reply" : "";

		if (!subscription_state_equal(step.next, after) ||
		    strcmp(effect, transitions[i].effect) != 0)
			fail_msg("%s %s from %s: not %s %s", transitions[i].out ? "out" : "in",
				 stanza_type_name(transitions[i].type), transitions[i].before,
				 transitions[i].after, transitions[i].effect);
	}
}

static void a_state_survives_being_stored(void **state)
{
	static const char *const words[] = {"-!", "none", "none?", "none!", "none?!", "none*",
					    "to", "to!",  "to*",   "from",  "from?",  "both"};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		struct subscription_state s = state_of(words[i]);
		struct db_roster_item item = {0};

		subscription_state_apply(&item, s);
		if (!subscription_state_equal(s, subscription_state_of(&item, true)))
			fail_msg("%s", words[i]);
	}
}

/* Available and interested. */
static void client(struct fake *f, uint64_t sid, const char *bare, const char *resource)
{
	bind_to(f, sid, bare, resource);
	iq(f, sid, "get", "", "<query xmlns='jabber:iq:roster'/>");
	store_run(f);
	presence(f, sid, "", "", "<show>chat</show>");
	fake_forget(f);
}

#define PUSH(sid, bare, full, item)                        \
	"answer sid=" sid " iq set from=" bare " to=" full \
	" <query xmlns='jabber:iq:roster' ver='%'>" item "</query>\n"
#define SHOW " <show>chat</show>"

/* expect() with the roster versions taken out. */
static void expect_push(struct fake *f, const char *text)
{
	char *at = f->trace.data, *end;

	while (at && (at = strstr(at, "ver='")) != NULL) {
		at += 5;
		end = strchr(at, '\'');
		*at = '%';
		memmove(at + 1, end, strlen(end) + 1);
	}
	f->trace.len = strlen(f->trace.data);
	expect(f, text);
}

static void a_subscription_is_asked_for_and_granted(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
	f->show_inner = true;
	presence(f, 1, "subscribe", ROMEO "/orchard", "<status>please</status>");
	expect_push(f, PUSH("1", JULIET, J,
			    "<item jid='" ROMEO
			    "' subscription='none' ask='subscribe'/>") "deliver sid=2 presence "
								       "subscribe from=" JULIET
								       " to=" ROMEO
								       " <status>please</status>\n"
								       "consumed: rfc6121-a.3 "
								       "subscription\n");
	assert_string_equal(stored(f, JULIET, ROMEO), "none ask");
	assert_string_equal(stored(f, ROMEO, JULIET), "none approved pending"); /* hidden */
	presence(f, 2, "subscribed", JULIET, "");
	expect_push(
		f,
		PUSH("2", ROMEO, R,
		     "<item jid='" JULIET
		     "' subscription='from'/>") "deliver sid=1 presence subscribed from=" ROMEO
						" to=" JULIET "\n" PUSH(
							"1", JULIET, J,
							"<item jid='" ROMEO
							"' subscription='to'/>") "answer sid=1 "
										 "presence from=" R
										 " to=" JULIET SHOW
										 "\n"
										 "consumed: "
										 "rfc6121-a.3 "
										 "subscription\n");
	/* And from now on juliet sees what becomes of romeo. */
	presence(f, 2, "", "", "<show>away</show>");
	expect(f, "deliver sid=2 presence from=" R " to=" ROMEO " <show>away</show>\n"
		  "deliver sid=1 presence from=" R " to=" JULIET " <show>away</show>\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	/* But not the other way round. */
	presence(f, 1, "", "", "");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	session_unbind(f->m, 2, S("lost"), NOW);
	expect(f, "answer sid=1 presence unavailable from=" R " to=" JULIET " (for no stanza)\n");
}

static void a_request_waits_for_a_contact_who_is_away(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	presence(f, 1, "subscribe", ROMEO, "");
	fake_forget(f);
	bind_to(f, 2, ROMEO, "orchard");
	f->show_inner = true;
	fake_forget(f);
	/* The request is not a contact yet. */
	iq(f, 2, "get", "", "<query xmlns='jabber:iq:roster'/>");
	store_run(f);
	expect_push(f, "answer sid=2 iq result from=" ROMEO " to=" R " id=q1 "
		       "<query xmlns='jabber:iq:roster' ver='%'></query>\n"
		       "consumed: rfc6121-2.1.3 roster get\n");
	presence(f, 2, "", "", "");
	expect(f, "deliver sid=2 presence from=" R " to=" ROMEO "\n"
		  "answer sid=2 presence subscribe from=" JULIET " to=" ROMEO "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	presence(f, 2, "unsubscribed", JULIET, "");
	expect_push(f, "deliver sid=1 presence unsubscribed from=" ROMEO " to=" JULIET
		       "\n" PUSH("1", JULIET, J,
				 "<item jid='" ROMEO
				 "' subscription='none'/>") "consumed: rfc6121-a.3 subscription\n");
	assert_string_equal(stored(f, ROMEO, JULIET), "-");
}

static void friends(struct fake *f)
{
	contact(f, JULIET, ROMEO, "both");
	contact(f, ROMEO, JULIET, "both");
	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
}

static void initial_presence_shows_contacts_to_each_other(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, ROMEO, "both");
	contact(f, ROMEO, JULIET, "both");
	client(f, 2, ROMEO, "orchard");
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	presence(f, 1, "", "", "");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "deliver sid=2 presence from=" J " to=" ROMEO "\n"
		  "answer sid=1 presence from=" R " to=" J "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	presence(f, 1, "unavailable", "", "");
	expect(f, "deliver sid=1 presence unavailable from=" J " to=" JULIET "\n"
		  "deliver sid=2 presence unavailable from=" J " to=" ROMEO "\n"
		  "consumed: rfc6121-4.5 presence broadcast\n");
}

static void a_contact_who_does_not_allow_it_is_not_shown(void **state)
{
	struct fake *f = *state;

	/* Juliet's roster says that she may see romeo; his does not. */
	contact(f, JULIET, ROMEO, "to");
	contact(f, ROMEO, JULIET, "to");
	client(f, 2, ROMEO, "orchard");
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	presence(f, 1, "", "", "");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
}

#define SEEN(jid, subscription) "<item jid='" jid "' subscription='" subscription "'/>"
#define AT_JULIET(item)		PUSH("1", JULIET, J, item)
#define AT_ROMEO(item)		PUSH("2", ROMEO, R, item)

static void unsubscribe_ends_it_on_both_sides(void **state)
{
	struct fake *f = *state;

	friends(f);
	f->show_inner = true;
	presence(f, 1, "unsubscribe", ROMEO, "");
	/* 3.3.3: unavailable after the rest. */
	/* clang-format off */
	expect_push(f,
		AT_JULIET(SEEN(ROMEO, "from"))
		"deliver sid=2 presence unsubscribe from=" JULIET " to=" ROMEO "\n"
		AT_ROMEO(SEEN(JULIET, "to"))
		"answer sid=1 presence unavailable from=" R " to=" JULIET "\n"
		"consumed: rfc6121-a.3 subscription\n");
	presence(f, 1, "unsubscribed", ROMEO, "");
	/* 3.2.2: unavailable before it, while he is still subscribed. */
	expect_push(f,
		"answer sid=2 presence unavailable from=" J " to=" ROMEO "\n"
		AT_JULIET(SEEN(ROMEO, "none"))
		"deliver sid=2 presence unsubscribed from=" JULIET " to=" ROMEO "\n"
		AT_ROMEO(SEEN(JULIET, "none"))
		"consumed: rfc6121-a.3 subscription\n");
	/* clang-format on */
	presence(f, 1, "", "", "");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
}

static void removing_a_contact_ends_both_subscriptions(void **state)
{
	struct fake *f = *state;

	friends(f);
	f->show_inner = true;
	iq(f, 1, "set", "",
	   "<query xmlns='jabber:iq:roster'><item jid='" ROMEO "' subscription='remove'/></query>");
	store_run(f);
	/* clang-format off */
	expect_push(f,
		AT_JULIET(SEEN(ROMEO, "remove"))
		"answer sid=2 presence unavailable from=" J " to=" ROMEO "\n"
		"answer sid=1 iq result from=" JULIET " to=" J " id=q1\n"
		"consumed: rfc6121-2.1.5 roster set\n"
		"answer sid=2 presence unsubscribe from=" JULIET " to=" ROMEO "\n"
		AT_ROMEO(SEEN(JULIET, "to"))
		"answer sid=1 presence unavailable from=" R " to=" JULIET "\n"
		"answer sid=2 presence unsubscribed from=" JULIET " to=" ROMEO "\n"
		AT_ROMEO(SEEN(JULIET, "none")));
	/* clang-format on */
	assert_string_equal(stored(f, JULIET, ROMEO), "-");
	assert_string_equal(stored(f, ROMEO, JULIET), "none");
	/* He is not told any more. */
	presence(f, 1, "", "", "");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
}

static void removing_a_contact_ends_requests_as_well(void **state)
{
	static const char remove[] = "<query xmlns='jabber:iq:roster'>"
				     "<item jid='%s' subscription='remove'/></query>";
	struct fake *f = *state;
	char inner[256];

	client(f, 1, JULIET, "balcony");
	presence(f, 1, "subscribe", ROMEO, "");
	snprintf(inner, sizeof(inner), remove, ROMEO);
	iq(f, 1, "set", "", inner);
	store_run(f);
	assert_string_equal(stored(f, ROMEO, JULIET), "-");
	/* Now the other side: the one who is asked removes the asker. */
	client(f, 2, ROMEO, "orchard");
	presence(f, 1, "subscribe", ROMEO, "");
	iq(f, 2, "set", "", "<query xmlns='jabber:iq:roster'><item jid='" JULIET "'/></query>");
	store_run(f);
	assert_string_equal(stored(f, ROMEO, JULIET), "none pending");
	snprintf(inner, sizeof(inner), remove, JULIET);
	fake_forget(f);
	iq(f, 2, "set", "", inner);
	store_run(f);
	assert_string_equal(stored(f, JULIET, ROMEO), "none");
	assert_non_null(strstr(f->trace.data,
			       "answer sid=1 presence unsubscribed from=" ROMEO " to=" JULIET));
}

static void a_request_of_somebody_added_to_the_roster_shows_the_contact(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
	presence(f, 1, "subscribe", ROMEO, "");
	fake_forget(f);
	f->show_inner = true;
	iq(f, 2, "set", "",
	   "<query xmlns='jabber:iq:roster'><item jid='" JULIET "' name='J'/></query>");
	store_run(f);
	expect_push(
		f, PUSH("2", ROMEO, R,
			"<item jid='" JULIET
			"' name='J' subscription='none'/>") "answer sid=2 iq result from=" ROMEO
							    " to=" R " id=q1\n"
							    "consumed: rfc6121-2.1.5 roster set\n");
	iq(f, 2, "get", "", "<query xmlns='jabber:iq:roster'/>");
	store_run(f);
	assert_non_null(strstr(f->trace.data, JULIET "' name='J'"));
	fake_forget(f);
	/* The name is kept when the request is granted. */
	presence(f, 2, "subscribed", JULIET, "");
	assert_non_null(strstr(f->trace.data, JULIET "' name='J' subscription='from'/>"));
}

static void a_contact_with_directed_presence_hears_of_the_end_once(void **state)
{
	struct fake *f = *state;

	friends(f);
	presence(f, 1, "", ROMEO, "");
	fake_forget(f);
	presence(f, 1, "unavailable", "", "");
	expect(f, "deliver sid=1 presence unavailable from=" J " to=" JULIET "\n"
		  "deliver sid=2 presence unavailable from=" J " to=" ROMEO "\n"
		  "consumed: rfc6121-4.5 presence broadcast\n");
	/* One who never was available for all tells him as a target. */
	presence(f, 1, "", ROMEO, "");
	fake_forget(f);
	session_unbind(f->m, 1, S("lost"), NOW);
	expect(f, "answer sid=2 presence unavailable from=" J " to=" ROMEO " (for no stanza)\n");
}

static void an_approval_in_advance_answers_for_the_user(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
	f->show_inner = true;
	presence(f, 2, "subscribed", JULIET, "");
	expect_push(f, PUSH("2", ROMEO, R,
			    "<item jid='" JULIET
			    "' subscription='none' approved='true'/>") "consumed: rfc6121-a.2 "
								       "subscription kept here\n");
	presence(f, 1, "subscribe", ROMEO, "");
	expect_push(
		f,
		PUSH("1", JULIET, J, "<item jid='" ROMEO "' subscription='none' ask='subscribe'/>")
			PUSH("2", ROMEO, R,
			     "<item jid='" JULIET
			     "' subscription='from'/>") "consumed: rfc6121-a.3 subscription\n"
							"answer sid=1 presence subscribed "
							"from=" ROMEO " to=" JULIET
							"\n" PUSH("1", JULIET, J,
								  "<item jid='" ROMEO "' "
								  "subscription='to'/"
								  ">") "answer sid=1 "
								       "presence "
								       "from=" R " to=" JULIET SHOW
								       "\n");
}

static void services_on_the_bus_take_part(void **state)
{
	struct fake *f = *state;
#define ROOM "lobby@rooms.example.com"

	client(f, 1, JULIET, "balcony");
	presence(f, 1, "subscribe", ROOM, "");
	expect(f, "answer sid=1 iq set from=" JULIET " to=" J "\n"
		  "deliver sid=30 presence subscribe from=" JULIET " to=" ROOM "\n");
	fake_send(f, 30, ROOM, STANZA_PRESENCE, "subscribed", JULIET, "", "");
	store_run(f);
	expect(f, "deliver sid=1 presence subscribed from=" ROOM " to=" JULIET "\n"
		  "answer sid=1 iq set from=" JULIET " to=" J "\n"
		  "consumed: rfc6121-a.3 subscription\n");
	fake_send(f, 30, ROOM, STANZA_PRESENCE, "subscribe", JULIET, "", "");
	store_run(f);
	fake_forget(f);
	presence(f, 1, "subscribed", ROOM, "");
	expect(f, "answer sid=1 iq set from=" JULIET " to=" J "\n"
		  "deliver sid=30 presence subscribed from=" JULIET " to=" ROOM "\n"
		  "answer sid=30 presence from=" J " to=" ROOM "\n");
	/* A new resource probes what is elsewhere. */
	online(f, 3, JULIET, "hall", NULL);
	presence(f, 3, "", "", "");
	assert_non_null(strstr(f->trace.data,
			       "answer sid=30 presence probe from=" JULIET "/hall to=" ROOM "\n"));
	fake_forget(f);
	fake_send(f, 30, ROOM, STANZA_PRESENCE, "probe", JULIET, "", "");
	store_run(f);
	expect(f, "answer sid=30 presence from=" J " to=" ROOM "\n"
		  "answer sid=30 presence from=" JULIET "/hall to=" ROOM "\n"
		  "consumed: rfc6121-4.3.2 probe\n");
}

static void probes_tell_strangers_nothing(void **state)
{
	struct fake *f = *state;

	f->unknown = "nobody@example.com";
	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
	presence(f, 1, "probe", ROMEO, "");
	expect(f, "answer sid=1 presence unsubscribed from=" ROMEO " to=" J "\n"
		  "consumed: rfc6121-4.3.2 probe\n");
	presence(f, 1, "probe", "nobody@example.com", "");
	expect(f, "answer sid=1 presence unsubscribed from=nobody@example.com to=" J "\n"
		  "consumed: rfc6121-4.3.2 probe\n");
	contact(f, "nurse@example.com", JULIET, "from");
	presence(f, 1, "probe", "nurse@example.com", "");
	expect(f, "answer sid=1 presence unavailable from=nurse@example.com to=" J "\n"
		  "consumed: rfc6121-4.3.2 probe\n");
}

static void impossible_subscriptions_are_refused(void **state)
{
	struct fake *f = *state;

	f->unknown = "nobody@example.com";
	client(f, 1, JULIET, "balcony");
	presence(f, 1, "subscribe", "", "");
	presence(f, 1, "subscribe", JULIET, "");
	presence(f, 1, "subscribe", "example.com", "");
	presence(f, 1, "subscribe", "x@elsewhere.example", "");
	expect(f, "answer sid=1 presence error from=" JULIET " to=" J "\n"
		  "bounced: rfc6121-3.1 subscription to no address\n"
		  "answer sid=1 presence error from=" JULIET " to=" J "\n"
		  "bounced: rfc6121-4.2.2 subscription to oneself\n"
		  "answer sid=1 presence error from=example.com to=" J "\n"
		  "bounced: subscription to the server\n"
		  "answer sid=1 presence error from=x@elsewhere.example to=" J "\n"
		  "bounced: rfc6120-10.4 no such server\n");
	/* Whether there is such an account stays a secret. */
	presence(f, 1, "subscribe", "nobody@example.com", "");
	expect(f, "answer sid=1 iq set from=" JULIET " to=" J "\n"
		  "discarded: rfc6121-8.5.1 subscription to nobody\n");
}

static void a_datastore_in_trouble_refuses_subscriptions_but_not_presence(void **state)
{
	struct fake *f = *state;

	friends(f);
	f->slow_store = true;
	f->show_inner = true;
	presence(f, 1, "unsubscribe", ROMEO, "");
	store_answer(f, ERR_TIMEOUT);
	assert_non_null(strstr(f->trace.data, "<error type='wait'>"));
	fake_forget(f);
	/* From memory: no request is made. */
	presence(f, 1, "", "", "");
	assert_int_equal(f->nrequests, 0);
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "deliver sid=2 presence from=" J " to=" ROMEO "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	/* A write whose end is not known: what was in memory is read again. */
	presence(f, 1, "unsubscribed", ROMEO, "");
	store_answer(f, ERR_OK);
	store_answer(f, ERR_TIMEOUT);
	fake_forget(f);
	presence(f, 1, "", "", "");
	assert_int_equal(f->nrequests, 1);
}

static void presence_waits_for_contacts_that_cannot_be_read_yet(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, ROMEO, "both");
	contact(f, ROMEO, JULIET, "both");
	client(f, 2, ROMEO, "orchard");
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	f->slow_store = true;
	f->show_inner = true;
	presence(f, 1, "", "", "<show>dnd</show>");
	store_answer(f, ERR_TIMEOUT);
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET " <show>dnd</show>\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	/* The next one tries again, and tells what holds when the answer is there. */
	presence(f, 1, "", "", "<show>away</show>");
	presence(f, 1, "", "", "<show>xa</show>");
	fake_forget(f);
	store_answer(f, ERR_OK);
	expect(f, "deliver sid=2 presence from=" J " to=" ROMEO " <show>xa</show>\n"
		  "answer sid=1 presence from=" R " to=" J SHOW "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n"
		  "deliver sid=2 presence from=" J " to=" ROMEO " <show>xa</show>\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
}

static void after_a_router_restart_contacts_are_found_again(void **state)
{
	struct fake *f = *state;

	friends(f);
	session_free(&f->m);
	f->m = session_new(&fake_host, f);
	fake_configure(f, "replace", 4);
	assert_int_equal(
		session_announce(f->m, 1, S(J), S("c"), S("a"), str_slice(&f->blobs[1]), NOW),
		ERR_OK);
	assert_int_equal(
		session_announce(f->m, 2, S(R), S("c"), S("a"), str_slice(&f->blobs[2]), NOW),
		ERR_OK);
	fake_forget(f);
	session_unbind(f->m, 1, S("lost"), NOW);
	store_run(f);
	expect(f, "answer sid=2 presence unavailable from=" J " to=" ROMEO " (for no stanza)\n");
	/* Romeo was informed before: an update does not show everybody again. */
	client(f, 3, JULIET, "balcony");
	presence(f, 2, "", "", "");
	expect(f, "deliver sid=2 presence from=" R " to=" ROMEO "\n"
		  "deliver sid=3 presence from=" R " to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
}

static void a_reconnect_before_the_contacts_are_read_is_no_absence(void **state)
{
	struct fake *f = *state;

	friends(f);
	session_free(&f->m);
	f->m = session_new(&fake_host, f);
	fake_configure(f, "replace", 4);
	session_announce(f->m, 1, S(J), S("c"), S("a"), str_slice(&f->blobs[1]), NOW);
	session_announce(f->m, 2, S(R), S("c"), S("a"), str_slice(&f->blobs[2]), NOW);
	f->slow_store = true;
	bind_to(f, 3, JULIET, "balcony");
	presence(f, 3, "", "", "");
	fake_forget(f);
	store_run(f);
	assert_null(strstr(f->trace.data, "unavailable"));
	assert_non_null(strstr(f->trace.data, "deliver sid=2 presence from=" J " to=" ROMEO));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transitions_follow_appendix_a),
		cmocka_unit_test(a_state_survives_being_stored),
		TEST(a_subscription_is_asked_for_and_granted),
		TEST(a_request_waits_for_a_contact_who_is_away),
		TEST(initial_presence_shows_contacts_to_each_other),
		TEST(a_contact_who_does_not_allow_it_is_not_shown),
		TEST(unsubscribe_ends_it_on_both_sides),
		TEST(removing_a_contact_ends_both_subscriptions),
		TEST(removing_a_contact_ends_requests_as_well),
		TEST(a_request_of_somebody_added_to_the_roster_shows_the_contact),
		TEST(a_contact_with_directed_presence_hears_of_the_end_once),
		TEST(an_approval_in_advance_answers_for_the_user),
		TEST(services_on_the_bus_take_part),
		TEST(probes_tell_strangers_nothing),
		TEST(impossible_subscriptions_are_refused),
		TEST(a_datastore_in_trouble_refuses_subscriptions_but_not_presence),
		TEST(presence_waits_for_contacts_that_cannot_be_read_yet),
		TEST(after_a_router_restart_contacts_are_found_again),
		TEST(a_reconnect_before_the_contacts_are_read_is_no_absence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
