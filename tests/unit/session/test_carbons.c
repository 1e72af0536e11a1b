/* XEP-0280: who gets a copy of what. */
#include "tests/unit/session/stanza_text.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.org"
#define ROOM   "lobby@rooms.example.com"

static void enable(struct fake *f, uint64_t sid)
{
	iq(f, sid, "set", "", "<enable xmlns='urn:xmpp:carbons:2'/>");
	fake_forget(f);
}

/* Juliet: balcony = 1, chamber = 2 (copies). Romeo: orchard = 3, phone = 4 and tablet = 5 (copies;
 * tablet has priority -1). */
static void people(struct fake *f)
{
	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, JULIET, "chamber", "0");
	online(f, 3, ROMEO, "orchard", "5");
	online(f, 4, ROMEO, "phone", "1");
	online(f, 5, ROMEO, "tablet", "-1");
	enable(f, 2);
	enable(f, 4);
	enable(f, 5);
}

/* The sessions that got the stanza, and those that got a copy of it: "to 3 copies 2 4". */
static const char *who(struct fake *f)
{
	static char out[128];
	char *save = NULL, *copy = xstrdup(f->trace.len ? f->trace.data : "");
	size_t at = 0;

	out[0] = '\0';
	for (const char *what = "deliver";; what = "copy") {
		char *text = xstrdup(copy);

		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s",
				       *what == 'd' ? "to" : " copies");
		for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
			if (strncmp(l, what, strlen(what)) == 0)
				at += (size_t)snprintf(out + at, sizeof(out) - at, " %d",
						       atoi(strchr(l, '=') + 1));
		}
		free(text);
		if (*what == 'c')
			break;
	}
	free(copy);
	fake_forget(f);
	return out;
}

static void each_side_has_its_copies_in_the_form_of_the_examples(void **state)
{
	struct fake *f = *state;

	people(f);
	f->show_inner = true;
	say(f, 1,
	    "<message to='" ROMEO "/orchard' type='chat' id='m1' xml:lang='en'><body>hi"
	    "</body></message>");
#define INNER                                                                                \
	"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='" JULIET \
	"/balcony' to='" ROMEO "/orchard' id='m1' type='chat' xml:lang='en'><body>hi</body>" \
	"</message></forwarded>"
	expect(f, "copy sid=2 message chat from=" JULIET " to=" JULIET
		  "/chamber <sent xmlns='urn:xmpp:carbons:2'>" INNER "</sent>\n"
		  "deliver sid=3 message chat from=" JULIET "/balcony to=" ROMEO
		  "/orchard id=m1 <body>hi</body>\n"
		  "copy sid=4 message chat from=" ROMEO " to=" ROMEO
		  "/phone <received xmlns='urn:xmpp:carbons:2'>" INNER "</received>\n"
		  "copy sid=5 message chat from=" ROMEO " to=" ROMEO
		  "/tablet <received xmlns='urn:xmpp:carbons:2'>" INNER "</received>\n");
}

#define BODY	"<body>hi</body>"
#define MUC(in) "<x xmlns='http://jabber.org/protocol/muc#user'>" in "</x>"

static const struct {
	const char *name, *start, *children, *who;
} rules[] = {
	{"chat", "type='chat'", "", "to 3 copies 2 4 5"},
	{"normal with body", "", BODY, "to 3 copies 2 4 5"},
	{"normal without body", "", "<subject>x</subject>", "to 3 copies"},
	{"type normal with body", "type='normal'", BODY, "to 3 copies 2 4 5"},
	{"unknown type is normal", "type='party'", BODY, "to 3 copies 2 4 5"},
	{"headline with body", "type='headline'", BODY, "to 3 copies"},
	{"groupchat", "type='groupchat'", BODY, "to 3 copies"},
	{"groupchat with an invitation", "type='groupchat'", MUC("<invite/>"), "to 3 copies"},
	{"receipt", "", "<received xmlns='urn:xmpp:receipts' id='1'/>", "to 3 copies 2 4 5"},
	{"chat state", "", "<active xmlns='http://jabber.org/protocol/chatstates'/>",
	 "to 3 copies 2 4 5"},
	{"chat marker", "", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
	 "to 3 copies 2 4 5"},
	{"error", "type='error'", "<error type='cancel'/>", "to 3 copies 2 4 5"},
	{"private", "type='chat'", BODY "<private xmlns='urn:xmpp:carbons:2'/>", "to 3 copies"},
	{"no-copy", "type='chat'", BODY "<no-copy xmlns='urn:xmpp:hints'/>", "to 3 copies"},
	{"private error", "type='error'", "<private xmlns='urn:xmpp:carbons:2'/>", "to 3 copies"},
	{"direct invitation", "", "<x xmlns='jabber:x:conference' jid='" ROOM "'/>",
	 "to 3 copies 2 4 5"},
};

static void section_6_1_decides_what_is_copied(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		struct str text = STR_INIT;
		void *own;

		fake_setup(&own);
		people(own);
		str_addf(&text, "<message to='" ROMEO "/orchard' %s>%s</message>", rules[i].start,
			 rules[i].children);
		say(own, 1, text.data);
		if (strcmp(who(own), rules[i].who) != 0)
			fail_msg("%s", rules[i].name);
		str_clear(&text);
		fake_teardown(&own);
	}
}

/* Section 6.1, the rules about rooms. */
static const struct {
	const char *name, *from, *start, *children, *who;
} room_rules[] = {
	{"private message", ROOM "/nick", "type='chat'", BODY MUC(""), "to 3 copies"},
	{"invitation", ROOM, "", MUC("<invite from='a@b'/>"), "to 3 copies 4 5"},
	{"chat of a component", ROOM "/nick", "type='chat'", BODY, "to 3 copies 4 5"},
	{"error of a room that was joined", ROOM, "type='error'", BODY, "to 3 copies"},
	{"error of a private message there", ROOM "/nick", "type='error'", BODY, "to 3 copies 4 5"},
	{"error of somebody else there", "x@rooms.example.com", "type='error'", BODY,
	 "to 3 copies 4 5"},
};

static void messages_by_rooms_follow_the_rules_for_rooms(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(room_rules) / sizeof(*room_rules); i++) {
		struct str text = STR_INIT;
		struct fake *f;
		void *own;

		fake_setup(&own);
		f = own;
		people(f);
		presence(f, 3, "", ROOM "/me", "");
		fake_forget(f);
		str_addf(&text, "<message to='" ROMEO "/orchard' %s>%s</message>",
			 room_rules[i].start, room_rules[i].children);
		say_from(f, 30, room_rules[i].from, text.data);
		if (strcmp(who(f), room_rules[i].who) != 0)
			fail_msg("%s", room_rules[i].name);
		str_clear(&text);
		fake_teardown(&own);
	}
}

static void a_private_message_to_an_occupant_is_copied_to_the_senders_others(void **state)
{
	struct fake *f = *state;

	people(f);
	say(f, 1, "<message to='" ROOM "/nick' type='chat'>" BODY MUC("") "</message>");
	assert_string_equal(who(f), "to 30 copies 2");
	say(f, 1, "<message to='" ROOM "' type='groupchat'>" BODY "</message>");
	assert_string_equal(who(f), "to 30 copies");
}

static void a_message_for_the_bare_jid_is_copied_to_those_it_passes_by(void **state)
{
	struct fake *f = *state;

	people(f);
	say(f, 1, "<message to='" ROMEO "' type='chat'>" BODY "</message>");
	assert_string_equal(who(f), "to 3 copies 2 4 5");
	presence(f, 4, "", "", "<priority>5</priority>");
	fake_forget(f);
	say(f, 1, "<message to='" ROMEO "' type='chat'>" BODY "</message>");
	assert_string_equal(who(f), "to 3 4 copies 2 5");
	/* Section 6.1 of RFC 6121 8.5.3.2.1: to a resource that is gone. */
	say(f, 1, "<message to='" ROMEO "/gone' type='chat'>" BODY "</message>");
	assert_string_equal(who(f), "to 3 4 copies 2 5");
}

static void a_message_to_oneself_is_copied_once_and_not_to_its_sender(void **state)
{
	struct fake *f = *state;

	people(f);
	enable(f, 1);
	say(f, 1, "<message to='" JULIET "/chamber' type='chat'>" BODY "</message>");
	assert_string_equal(who(f), "to 2 copies");
	online(f, 6, JULIET, "garden", "-1");
	enable(f, 6);
	say(f, 1, "<message to='" JULIET "/chamber' type='chat'>" BODY "</message>");
	assert_string_equal(who(f), "to 2 copies 6");
	say(f, 6, "<message to='" JULIET "' type='chat'>" BODY "</message>");
	assert_string_equal(who(f), "to 1 2 copies");
}

static void what_is_bounced_is_not_copied_for_its_receiver_and_the_error_goes_to_all(void **state)
{
	struct fake *f = *state;

	people(f);
	say(f, 1, "<message to='" ROMEO "/gone' id='m1'>" BODY "</message>");
	expect(f, "copy sid=2 message from=" JULIET " to=" JULIET "/chamber\n"
		  "answer sid=1 message error from=" ROMEO "/gone to=" JULIET "/balcony id=m1\n"
		  "copy sid=2 message error from=" JULIET " to=" JULIET "/chamber\n"
		  "bounced: rfc6121-8.5.3.2.1 normal to no such resource\n");
	/* Not eligible: nor is its error. */
	say(f, 1, "<message to='" ROMEO "/gone' id='m2' type='groupchat'>" BODY "</message>");
	assert_string_equal(who(f), "to copies");
}

static void an_error_that_nobody_takes_is_still_copied(void **state)
{
	struct fake *f = *state;

	people(f);
	say(f, 1, "<message to='" ROMEO "/gone' type='error'>" BODY "</message>");
	assert_string_equal(who(f), "to copies 2 4 5");
}

static void enabling_twice_is_no_error_and_disabling_ends_it(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 3, ROMEO, "orchard", "5");
	online(f, 4, ROMEO, "phone", "1");
	f->show_blobs = true;
	iq(f, 4, "set", "", "<enable xmlns='urn:xmpp:carbons:2'/>");
	expect(f, "blob sid=4\n"
		  "answer sid=4 iq result from=" ROMEO " to=" ROMEO "/phone id=q1\n"
		  "consumed: xep0280-4 carbons enabled\n");
	iq(f, 4, "set", ROMEO, "<enable xmlns='urn:xmpp:carbons:2'/>");
	expect(f, "answer sid=4 iq result from=" ROMEO " to=" ROMEO "/phone id=q1\n"
		  "consumed: xep0280-4 carbons enabled\n");
	message(f, 3, "chat", JULIET);
	fake_forget(f);
	iq(f, 4, "set", "", "<disable xmlns='urn:xmpp:carbons:2'/>");
	expect(f, "blob sid=4\n"
		  "answer sid=4 iq result from=" ROMEO " to=" ROMEO "/phone id=q1\n"
		  "consumed: xep0280-5 carbons disabled\n");
	message(f, 3, "chat", JULIET);
	assert_string_equal(who(f), "to 1 copies");
	iq(f, 1, "set", ROMEO, "<enable xmlns='urn:xmpp:carbons:2'/>");
	expect(f, "answer sid=1 iq error from=" ROMEO " to=" JULIET "/balcony id=q1\n"
		  "bounced: xep0280-4.1 carbons of somebody else\n");
}

static void copies_go_on_after_a_restart_and_end_with_the_session(void **state)
{
	struct fake *f = *state;
	struct str blob = STR_INIT;

	online(f, 3, ROMEO, "orchard", "5");
	online(f, 4, ROMEO, "phone", "1");
	enable(f, 4);
	str_add_slice(&blob, str_slice(&f->blobs[4]));
	fake_restart(f);
	online(f, 1, JULIET, "balcony", "0");
	online(f, 3, ROMEO, "orchard", "5");
	assert_int_equal(announce(f, 4, ROMEO "/phone", str_slice(&blob)), ERR_OK);
	message(f, 1, "chat", ROMEO "/orchard");
	assert_string_equal(who(f), "to 3 copies 4");
	session_unbind(f->m, 4, S("gone"), NOW);
	fake_forget(f);
	message(f, 1, "chat", ROMEO "/orchard");
	assert_string_equal(who(f), "to 3 copies");
	bind_to(f, 7, ROMEO, "phone");
	fake_forget(f);
	message(f, 1, "chat", ROMEO "/orchard");
	assert_string_equal(who(f), "to 3 copies");
	str_clear(&blob);
}

static void a_detached_session_gets_its_copies_into_its_queue(void **state)
{
	struct fake *f = *state;

	people(f);
	session_detached(f->m, 4, NOW);
	tick(f, 61);
	fake_forget(f);
	message(f, 1, "chat", ROMEO "/orchard");
	assert_string_equal(who(f), "to 3 copies 2 4 5");
}

static void undelivered(struct fake *f, struct custody_entry *e, uint64_t sid, uint16_t flags,
			const char *to)
{
	struct session_stanza s = {.kind = STANZA_MESSAGE,
				   .type = TYPE_CHAT,
				   .flags = flags,
				   .from = S(JULIET "/balcony"),
				   .to = S(to),
				   .id = S("m1")};

	session_undelivered(f->m, e, sid, &s, "recipient-unavailable", NOW);
}

static void judged_again_nothing_is_copied_twice(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;

	people(f);
	e = message(f, 1, "chat", ROMEO "/orchard");
	assert_string_equal(who(f), "to 3 copies 2 4 5");
	online(f, 6, ROMEO, "late", "-1");
	enable(f, 6);
	session_unbind(f->m, 3, S("gone"), NOW);
	fake_forget(f);
	/* The phone's copy did not fit into its queue and is gone: it gets the message. */
	undelivered(f, e, 3, STANZA_HAS_BODY, ROMEO "/orchard");
	assert_string_equal(who(f), "to 4 copies");
}

static void a_copy_stands_for_the_message_judged_again(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;

	people(f);
	e = message(f, 1, "chat", ROMEO "/orchard");
	e->copy_seen[4] = true;
	session_unbind(f->m, 3, S("gone"), NOW);
	fake_forget(f);
	undelivered(f, e, 3, STANZA_HAS_BODY, ROMEO "/orchard");
	expect(f, "delivered: xep0280-7 the copy of a message\n");
	assert_true(e->instead[4]); /* if it fails, the message is judged again */
	assert_false(e->instead[5]);
}

/* An earlier router had made the copy, which a cm has announced. */
static void after_a_restart_nobody_is_given_the_message_and_its_copy(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;

	people(f);
	session_unbind(f->m, 3, S("gone"), NOW);
	fake_forget(f);
	e = &f->entries[f->nentries];
	e->copy_seen[4] = true;
	assert_ptr_equal(message(f, 1, "chat", ROMEO "/orchard"), e);
	assert_true(e->instead[4]);
	assert_int_equal(e->delivered, 0);
}

static void an_undelivered_copy_is_dropped(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;

	people(f);
	e = message(f, 1, "chat", ROMEO "/orchard");
	fake_forget(f);
	undelivered(f, e, 4, STANZA_CARBON | STANZA_HAS_BODY, ROMEO "/phone");
	expect(f, "discarded: xep0280 copy that nobody took\n");
}

static void after_a_restart_the_copies_of_what_was_delivered_before_are_made(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e = &f->entries[f->nentries++];
	struct msg_stanza m = {.sid = 1,
			       .kind = STANZA_MESSAGE,
			       .type = TYPE_CHAT,
			       .to = S(ROMEO "/orchard"),
			       .inner = S(BODY)};

	people(f);
	e->had[4] = true;
	session_copies(f->m, 1, SLICE_NONE, e, &m, true, NOW);
	assert_string_equal(who(f), "to copies 2 5");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_side_has_its_copies_in_the_form_of_the_examples),
		cmocka_unit_test(section_6_1_decides_what_is_copied),
		cmocka_unit_test(messages_by_rooms_follow_the_rules_for_rooms),
		TEST(a_private_message_to_an_occupant_is_copied_to_the_senders_others),
		TEST(a_message_for_the_bare_jid_is_copied_to_those_it_passes_by),
		TEST(a_message_to_oneself_is_copied_once_and_not_to_its_sender),
		TEST(what_is_bounced_is_not_copied_for_its_receiver_and_the_error_goes_to_all),
		TEST(an_error_that_nobody_takes_is_still_copied),
		TEST(enabling_twice_is_no_error_and_disabling_ends_it),
		TEST(copies_go_on_after_a_restart_and_end_with_the_session),
		TEST(a_detached_session_gets_its_copies_into_its_queue),
		TEST(judged_again_nothing_is_copied_twice),
		TEST(a_copy_stands_for_the_message_judged_again),
		TEST(after_a_restart_nobody_is_given_the_message_and_its_copy),
		TEST(an_undelivered_copy_is_dropped),
		TEST(after_a_restart_the_copies_of_what_was_delivered_before_are_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
