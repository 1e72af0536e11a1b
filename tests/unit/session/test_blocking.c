/* XEP-0191: the commands, what a block does to stanzas in both directions, and what becomes of it
 * when the datastore is away or the router starts anew. */
#include "tests/unit/session/fake_host.h"

#define JULIET	  "juliet@example.com"
#define ROMEO	  "romeo@example.org"
#define NURSE	  "nurse@example.com"
#define J	  "juliet@example.com/balcony"
#define R	  "romeo@example.org/orchard"
#define NS	  "xmlns='urn:xmpp:blocking'"
#define ITEM(jid) "<item jid='" jid "'/>"

static void client(struct fake *f, uint64_t sid, const char *bare, const char *resource)
{
	bind_to(f, sid, bare, resource);
	presence(f, sid, "", "", "");
	store_run(f);
	fake_forget(f);
}

/* Juliet (1) and Romeo (2) see each other. */
static void friends(struct fake *f)
{
	contact(f, JULIET, ROMEO, "both");
	contact(f, ROMEO, JULIET, "both");
	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
}

static void command(struct fake *f, uint64_t sid, const char *inner)
{
	iq(f, sid, "set", "", inner);
	store_run(f);
}

static void block(struct fake *f, uint64_t sid, const char *jid)
{
	char inner[256];

	snprintf(inner, sizeof(inner), "<block " NS "><item jid='%s'/></block>", jid);
	command(f, sid, inner);
	fake_forget(f);
}

static void xep0191_3_2_a_list_is_empty_or_has_its_items(void **state)
{
	struct fake *f = *state;

	f->show_inner = true;
	client(f, 1, JULIET, "balcony");
	iq(f, 1, "get", "", "<blocklist " NS "/>");
	expect(f, "answer sid=1 iq result from=" JULIET " to=" J " id=q1 <blocklist " NS "/>\n"
		  "consumed: xep0191-3.2 blocklist\n");
	block(f, 1, "Romeo@EXAMPLE.org");
	block(f, 1, "a.example");
	iq(f, 1, "get", "", "<blocklist " NS "/>");
	expect(f, "answer sid=1 iq result from=" JULIET " to=" J " id=q1 <blocklist " NS
		  ">" ITEM("a.example") ITEM(ROMEO) "</blocklist>\n"
						    "consumed: xep0191-3.2 blocklist\n");
}

static void xep0191_3_3_to_3_5_changes_are_pushed_to_who_asked_for_the_list(void **state)
{
	struct fake *f = *state;

	f->show_inner = true;
	client(f, 1, JULIET, "balcony");
	client(f, 2, JULIET, "chamber");
	client(f, 3, JULIET, "hall");
	iq(f, 2, "get", "", "<blocklist " NS "/>");
	iq(f, 3, "get", "", "<blocklist " NS "/>");
	fake_forget(f);
	command(f, 1, "<block " NS ">" ITEM("A.example") ITEM("x@b.example") "</block>");
	expect(f,
	       "answer sid=2 iq set from=" JULIET " to=" JULIET "/chamber <block " NS
	       ">" ITEM("a.example") ITEM(
		       "x@b.example") "</block>\n"
				      "answer sid=3 iq set from=" JULIET " to=" JULIET
				      "/hall <block " NS ">" ITEM("a.example") ITEM(
					      "x@b.example") "</block>\n"
							     "answer sid=1 iq result from=" JULIET
							     " to=" J " id=q1\n"
							     "consumed: xep0191 blocking "
							     "command\n");
	command(f, 2, "<unblock " NS ">" ITEM("a.example") "</unblock>");
	expect(f,
	       "answer sid=2 iq set from=" JULIET " to=" JULIET "/chamber <unblock " NS
	       ">" ITEM("a.example") "</unblock>\n"
				     "answer sid=3 iq set from=" JULIET " to=" JULIET
				     "/hall <unblock " NS
				     ">" ITEM("a.example") "</unblock>\n"
							   "answer sid=2 iq result from=" JULIET
							   " to=" JULIET "/chamber id=q1\n"
							   "consumed: xep0191 blocking command\n");
	session_unbind(f->m, 3, S("gone"), NOW);
	fake_forget(f);
	command(f, 1, "<unblock " NS "/>");
	expect(f, "answer sid=2 iq set from=" JULIET " to=" JULIET "/chamber <unblock " NS "/>\n"
		  "answer sid=1 iq result from=" JULIET " to=" J " id=q1\n"
		  "consumed: xep0191 blocking command\n");
	iq(f, 1, "get", "", "<blocklist " NS "/>");
	expect(f, "answer sid=1 iq result from=" JULIET " to=" J " id=q1 <blocklist " NS "/>\n"
		  "consumed: xep0191-3.2 blocklist\n");
}

static void commands_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		const char *to, *inner, *condition;
	} rows[] = {
		{"", "<block " NS "/>", "<bad-request "},
		{"", "<block " NS "><item/></block>", "<bad-request "},
		{"", "<block " NS "><item jid=''/></block>", "<bad-request "},
		{"", "<block " NS "><other jid='a.example'/></block>", "<bad-request "},
		{"", "<block " NS "><item jid='a b@c'/></block>", "<jid-malformed "},
		{"", "<block " NS ">" ITEM("a.example") "<item jid='@c'/></block>",
		 "<jid-malformed "},
		{"", "<unblock " NS "><item jid='@c'/></unblock>", "<jid-malformed "},
		{"", "<blocklist " NS "/>", "<service-unavailable "},
		{ROMEO, "<block " NS ">" ITEM("a.example") "</block>", "<service-unavailable "},
		{"example.com", "<block " NS ">" ITEM("a.example") "</block>",
		 "<service-unavailable "},
	};
	struct fake *f = *state;

	f->show_inner = true;
	client(f, 1, JULIET, "balcony");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		iq(f, 1, "set", rows[i].to, rows[i].inner);
		store_run(f);
		if (!strstr(f->trace.data, rows[i].condition))
			fail_msg("row %zu: %s", i, f->trace.data);
		fake_forget(f);
	}
	assert_int_equal(f->nblocked, 0);
	f->max_blocked = 1;
	block(f, 1, "a.example");
	command(f, 1, "<block " NS ">" ITEM("b.example") "</block>");
	assert_non_null(strstr(f->trace.data, "<resource-constraint "));
	assert_int_equal(f->nblocked, 1);
}

static void xep0191_3_3_stanzas_of_a_blocked_jid_are_refused_as_if_nobody_were_there(void **state)
{
	static const struct {
		uint8_t kind;
		const char *type, *to, *want;
	} rows[] = {
		{STANZA_MESSAGE, "chat", JULIET, "error"},
		{STANZA_MESSAGE, "", J, "error"},
		{STANZA_MESSAGE, "chat", JULIET "/gone", "error"},
		{STANZA_MESSAGE, "groupchat", J, ""},
		{STANZA_MESSAGE, "headline", J, ""},
		{STANZA_MESSAGE, "error", J, ""},
		{STANZA_IQ, "get", J, "error"},
		{STANZA_IQ, "set", JULIET, "error"},
		{STANZA_IQ, "result", J, ""},
		{STANZA_IQ, "error", J, ""},
		{STANZA_PRESENCE, "", J, ""},
		{STANZA_PRESENCE, "", JULIET, ""},
		{STANZA_PRESENCE, "unavailable", J, ""},
		{STANZA_PRESENCE, "probe", JULIET, ""},
		{STANZA_PRESENCE, "subscribe", JULIET, ""},
	};
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
	block(f, 1, ROMEO);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_send(f, 2, NULL, rows[i].kind, rows[i].type, rows[i].to, "s1",
			  "<query xmlns='x'/>");
		store_run(f);
		if (strstr(f->trace.data, "sid=1") ||
		    (strstr(f->trace.data, "answer sid=2") != NULL) != (*rows[i].want != '\0'))
			if (!strstr(rows[i].type, "subscribe"))
				fail_msg("row %zu: %s", i, f->trace.data);
		assert_null(strstr(f->trace.data, "sid=1"));
		fake_forget(f);
	}
	assert_string_equal(stored(f, JULIET, ROMEO), "-");
	f->show_inner = true;
	message(f, 2, "chat", JULIET);
	assert_non_null(strstr(f->trace.data, "<service-unavailable "));
	assert_null(strstr(f->trace.data, "urn:xmpp:blocking"));
}

/* What comes from components and other servers has any JID. */
static void xep0191_6_items_match_by_jid_account_or_domain(void **state)
{
	static const struct {
		const char *item, *from;
		bool blocked;
	} rows[] = {
		{"romeo@x.example/garden", "romeo@x.example/garden", true},
		{"romeo@x.example/garden", "romeo@x.example/hall", false},
		{"romeo@x.example", "romeo@x.example/hall", true},
		{"romeo@x.example", "x.example", false},
		{"x.example/garden", "x.example/garden", true},
		{"x.example/garden", "romeo@x.example/garden", false},
		{"x.example", "romeo@x.example/hall", true},
		{"x.example", "x.example", true},
		{"x.example", "romeo@sub.x.example", false},
		{"example.com", "nurse@example.com/a", true},
		{"example.com", "example.com", false},
	};
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		block(f, 1, rows[i].item);
		fake_send(f, 0, rows[i].from, STANZA_MESSAGE, "chat", J, "m", "<body>x</body>");
		if ((strstr(f->trace.data, "deliver sid=1") == NULL) != rows[i].blocked)
			fail_msg("row %zu: %s", i, f->trace.data);
		command(f, 1, "<unblock " NS "/>");
		fake_forget(f);
	}
}

/* Section 5: the user's own resources and his server are never kept from him. */
static void xep0191_5_nobody_blocks_himself_or_his_server(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	client(f, 2, JULIET, "chamber");
	block(f, 1, JULIET);
	block(f, 1, JULIET "/chamber");
	block(f, 1, "example.com");
	message(f, 2, "chat", J);
	expect(f, "deliver sid=1 message chat from=" JULIET "/chamber to=" J " id=m1\n");
	iq(f, 1, "get", "example.com", "<ping xmlns='urn:xmpp:ping'/>");
	expect(f, "answer sid=1 iq result from=example.com to=" J " id=q1\n"
		  "consumed: xep0199 ping\n");
	presence(f, 2, "", "", "<show>away</show>");
	expect(f, "deliver sid=1 presence from=" JULIET "/chamber to=" JULIET "\n"
		  "deliver sid=2 presence from=" JULIET "/chamber to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	client(f, 3, NURSE, "hall");
	message(f, 3, "chat", J);
	assert_non_null(strstr(f->trace.data, "xep0191-3.3"));
}

static void xep0191_3_3_nothing_goes_to_a_blocked_jid(void **state)
{
	static const struct {
		uint8_t kind;
		const char *type, *to;
		bool answered;
	} rows[] = {
		{STANZA_MESSAGE, "chat", ROMEO, true},
		{STANZA_MESSAGE, "", R, true},
		{STANZA_MESSAGE, "error", R, false},
		{STANZA_IQ, "get", R, true},
		{STANZA_IQ, "get", ROMEO, true},
		{STANZA_IQ, "result", R, false},
		{STANZA_PRESENCE, "", R, true},
		{STANZA_PRESENCE, "subscribe", ROMEO, true},
		{STANZA_PRESENCE, "probe", ROMEO, true},
	};
	struct fake *f = *state;

	f->show_inner = true;
	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
	block(f, 1, "example.org");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static const char error[] =
			"<not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
		static const char why[] = "<blocked xmlns='urn:xmpp:blocking:errors'/></error>";

		fake_send(f, 1, NULL, rows[i].kind, rows[i].type, rows[i].to, "s1",
			  "<query xmlns='x'/>");
		store_run(f);
		assert_null(strstr(f->trace.data, "sid=2"));
		if ((strstr(f->trace.data, error) && strstr(f->trace.data, why)) !=
		    rows[i].answered)
			fail_msg("row %zu: %s", i, f->trace.data);
		fake_forget(f);
	}
	assert_string_equal(stored(f, JULIET, ROMEO), "-");
}

/* All that is known after a restart is that it was refused. */
static void what_an_earlier_router_refused_is_refused_in_the_same_words(void **state)
{
	struct fake *f = *state;
	struct msg_stanza m = {.sid = 1, .kind = STANZA_MESSAGE, .type = TYPE_CHAT, .to = S(R)};

	f->show_inner = true;
	friends(f);
	session_bounce(f->m, 1, &f->entries[f->nentries++], &m, "service-unavailable", NOW);
	assert_non_null(strstr(f->trace.data, "<service-unavailable "));
	block(f, 1, ROMEO);
	session_bounce(f->m, 1, &f->entries[f->nentries++], &m, "service-unavailable", NOW);
	assert_null(strstr(f->trace.data, "<service-unavailable "));
	assert_non_null(strstr(f->trace.data, "<not-acceptable "));
	assert_non_null(strstr(f->trace.data, "<blocked "));
	fake_forget(f);
}

static void xep0191_3_3_who_saw_the_user_is_told_unavailable(void **state)
{
	struct fake *f = *state;

	friends(f);
	client(f, 3, NURSE, "hall");
	command(f, 1, "<block " NS ">" ITEM(ROMEO) ITEM(NURSE) "</block>");
	expect(f, "answer sid=2 presence unavailable from=" J " to=" ROMEO "\n"
		  "answer sid=1 iq result from=" JULIET " to=" J " id=q1\n"
		  "consumed: xep0191 blocking command\n");
	/* And stays so, in both directions. */
	presence(f, 1, "", "", "<show>away</show>");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	presence(f, 2, "", "", "<show>away</show>");
	expect(f, "deliver sid=2 presence from=" R " to=" ROMEO "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	client(f, 4, JULIET, "chamber");
	assert_string_equal(f->trace.data, "");
	presence(f, 4, "unavailable", "", "");
	assert_null(strstr(f->trace.data, "sid=2"));
	fake_forget(f);
	session_unbind(f->m, 1, S("gone"), NOW);
	assert_null(strstr(f->trace.data, "sid=2"));
}

static void neither_sees_the_other_at_login_while_one_has_blocked_the_other(void **state)
{
	struct fake *f = *state;

	friends(f);
	block(f, 1, ROMEO);
	session_unbind(f->m, 2, S("gone"), NOW);
	fake_forget(f);
	bind_to(f, 2, ROMEO, "orchard");
	fake_forget(f);
	presence(f, 2, "", "", "");
	store_run(f);
	expect(f, "deliver sid=2 presence from=" R " to=" ROMEO "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	session_unbind(f->m, 1, S("gone"), NOW);
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	presence(f, 1, "", "", "");
	store_run(f);
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
}

static void xep0191_3_4_who_may_see_the_user_again_is_told_and_seen(void **state)
{
	struct fake *f = *state;

	friends(f);
	block(f, 1, "example.org");
	presence(f, 2, "", "", "<show>away</show>");
	fake_forget(f);
	command(f, 1, "<unblock " NS ">" ITEM("example.org") "</unblock>");
	expect(f, "answer sid=2 presence from=" J " to=" ROMEO "\n"
		  "answer sid=1 presence from=" R " to=" J "\n"
		  "answer sid=1 iq result from=" JULIET " to=" J " id=q1\n"
		  "consumed: xep0191 blocking command\n");
	/* Or that he has left meanwhile. */
	block(f, 1, "example.org");
	session_unbind(f->m, 2, S("gone"), NOW);
	fake_forget(f);
	command(f, 1, "<unblock " NS "/>");
	assert_non_null(strstr(f->trace.data,
			       "answer sid=1 presence unavailable from=" ROMEO " to=" J "\n"));
}

static void an_item_still_blocked_keeps_an_unblocked_one_hidden(void **state)
{
	struct fake *f = *state;

	friends(f);
	block(f, 1, ROMEO);
	block(f, 1, "example.org");
	command(f, 1, "<unblock " NS ">" ITEM(ROMEO) "</unblock>");
	expect(f, "answer sid=1 iq result from=" JULIET " to=" J " id=q1\n"
		  "consumed: xep0191 blocking command\n");
}

/* Not even a probe goes to another server. */
static void an_item_still_blocked_is_not_asked_for_its_presence(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, "nurse@rooms.example.com", "both");
	client(f, 1, JULIET, "balcony");
	block(f, 1, "nurse@rooms.example.com");
	block(f, 1, "rooms.example.com");
	command(f, 1, "<unblock " NS ">" ITEM("nurse@rooms.example.com") "</unblock>");
	expect(f, "answer sid=1 iq result from=" JULIET " to=" J " id=q1\n"
		  "consumed: xep0191 blocking command\n");
	command(f, 1, "<unblock " NS ">" ITEM("rooms.example.com") "</unblock>");
	expect(f, "answer sid=30 presence from=" J " to=nurse@rooms.example.com\n"
		  "answer sid=30 presence probe from=" J " to=nurse@rooms.example.com\n"
		  "answer sid=1 iq result from=" JULIET " to=" J " id=q1\n"
		  "consumed: xep0191 blocking command\n");
}

/* What the host has kept of a lost session is older than the block. */
static void a_lost_session_tells_a_blocked_jid_nothing_at_its_end(void **state)
{
	struct fake *f = *state;
	struct str old = STR_INIT;

	client(f, 1, JULIET, "balcony");
	client(f, 3, JULIET, "chamber");
	presence(f, 1, "", "room@rooms.example.com/juliet", "");
	session_lost(f->m, 1, S("gone"), 10, NOW);
	str_add_slice(&old, str_slice(&f->blobs[1]));
	block(f, 3, "rooms.example.com");
	fake_restart(f);
	assert_int_equal(announce(f, 3, JULIET "/chamber", str_slice(&f->blobs[3])), ERR_OK);
	assert_int_equal(announce(f, 1, J, str_slice(&old)), ERR_OK);
	session_lost(f->m, 1, S("gone"), 10, NOW);
	iq(f, 3, "get", "", "<blocklist " NS "/>"); /* they differ: it is read */
	store_run(f);
	fake_forget(f);
	tick(f, 11);
	store_run(f);
	assert_null(strstr(f->trace.data, "sid=30"));
	str_clear(&old);
}

static void one_resource_of_a_contact_can_be_blocked(void **state)
{
	struct fake *f = *state;

	friends(f);
	client(f, 3, ROMEO, "hall");
	command(f, 1, "<block " NS ">" ITEM(R) "</block>");
	expect(f, "answer sid=2 presence unavailable from=" J " to=" R "\n"
		  "answer sid=1 iq result from=" JULIET " to=" J " id=q1\n"
		  "consumed: xep0191 blocking command\n");
	presence(f, 1, "", "", "<show>away</show>");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n"
		  "deliver sid=3 presence from=" J " to=" ROMEO "/hall\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	presence(f, 2, "", "", "<show>away</show>");
	assert_null(strstr(f->trace.data, "sid=1"));
	presence(f, 3, "", "", "<show>away</show>");
	assert_non_null(strstr(f->trace.data, "sid=1"));
	fake_forget(f);
	command(f, 1, "<unblock " NS ">" ITEM(R) "</unblock>");
	assert_non_null(strstr(f->trace.data, "answer sid=2 presence from=" J " to=" R "\n"));
}

static void directed_presence_is_taken_back_and_forgotten(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	presence(f, 1, "", "room@rooms.example.com/juliet", "");
	fake_forget(f);
	command(f, 1, "<block " NS ">" ITEM("room@rooms.example.com") "</block>");
	expect(f, "answer sid=30 presence unavailable from=" J " to=room@rooms.example.com/juliet\n"
		  "answer sid=1 iq result from=" JULIET " to=" J " id=q1\n"
		  "consumed: xep0191 blocking command\n");
	fake_restart(f);
	assert_int_equal(announce(f, 1, J, str_slice(&f->blobs[1])), ERR_OK);
	session_unbind(f->m, 1, S("gone"), NOW);
	store_run(f);
	expect(f, "");
}

static void rfc6121_3_1_3_a_request_of_a_blocked_jid_is_silently_ignored(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
	block(f, 1, ROMEO);
	presence(f, 2, "subscribe", JULIET, "");
	assert_null(strstr(f->trace.data, "sid=1"));
	assert_null(strstr(f->trace.data, "error"));
	assert_string_equal(stored(f, JULIET, ROMEO), "-");
	assert_string_equal(stored(f, ROMEO, JULIET), "none ask");
}

static void a_subscription_that_a_blocked_contact_ends_has_ended(void **state)
{
	struct fake *f = *state;

	friends(f);
	iq(f, 1, "get", "", "<query xmlns='jabber:iq:roster'/>");
	block(f, 1, ROMEO);
	presence(f, 2, "unsubscribe", JULIET, "");
	presence(f, 2, "unsubscribed", JULIET, "");
	assert_non_null(strstr(f->trace.data, "answer sid=1 iq set")); /* the server's own */
	assert_null(strstr(f->trace.data, "sid=1 presence"));
	assert_string_equal(stored(f, JULIET, ROMEO), "none");
	assert_string_equal(stored(f, ROMEO, JULIET), "none");
}

static void a_request_kept_from_before_is_not_shown_while_its_sender_is_blocked(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	client(f, 2, ROMEO, "orchard");
	presence(f, 2, "subscribe", JULIET, "");
	block(f, 1, ROMEO);
	session_unbind(f->m, 1, S("gone"), NOW);
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	presence(f, 1, "", "", "");
	store_run(f);
	assert_null(strstr(f->trace.data, "subscribe"));
}

/* The list of a user without presence: nobody has read it yet. */
static void what_depends_on_a_list_that_is_not_read_waits_in_order(void **state)
{
	struct fake *f = *state;

	client(f, 2, ROMEO, "orchard");
	client(f, 3, NURSE, "hall");
	fake_block(f, JULIET, S(ROMEO));
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	f->slow_store = f->slow_lists = true;
	fake_send(f, 3, NULL, STANZA_MESSAGE, "chat", J, "n1", "<body>1</body>");
	fake_send(f, 2, NULL, STANZA_MESSAGE, "chat", J, "r1", "<body>1</body>");
	fake_send(f, 3, NULL, STANZA_IQ, "get", J, "n2", "<query xmlns='x'/>");
	fake_send(f, 3, NULL, STANZA_PRESENCE, "", J, "", "");
	fake_send(f, 3, NULL, STANZA_MESSAGE, "chat", J, "n3", "<body>2</body>");
	expect(f, "");
	assert_int_equal(f->nrequests, 1);
	store_run(f);
	expect(f, "deliver sid=1 message chat from=" NURSE "/hall to=" J " id=n1\n"
		  "answer sid=2 message error from=" J " to=" R " id=r1\n"
		  "bounced: xep0191-3.3 stanza of a blocked JID\n"
		  "deliver sid=1 iq get from=" NURSE "/hall to=" J " id=n2\n"
		  "deliver sid=1 presence from=" NURSE "/hall to=" J "\n"
		  "deliver sid=1 message chat from=" NURSE "/hall to=" J " id=n3\n");
	fake_send(f, 3, NULL, STANZA_MESSAGE, "chat", J, "n4", "<body>3</body>");
	expect(f, "deliver sid=1 message chat from=" NURSE "/hall to=" J " id=n4\n");
	assert_int_equal(f->nrequests, 0);
}

/* The list is known with the read of a change that is in front of it in the roster queue. */
static void what_waits_for_a_list_is_not_overtaken_while_the_roster_is_written(void **state)
{
	struct fake *f = *state;

	client(f, 3, NURSE, "hall");
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	f->slow_store = f->slow_lists = true;
	fake_send(f, 1, NULL, STANZA_IQ, "set", "", "s",
		  "<query xmlns='jabber:iq:roster'><item jid='" ROMEO "'/></query>");
	fake_send(f, 3, NULL, STANZA_MESSAGE, "chat", J, "n1", "<body>1</body>");
	fake_send(f, 1, NULL, STANZA_MESSAGE, "chat", NURSE, "j1", "<body>1</body>");
	expect(f, "");
	store_answer(f, ERR_OK); /* the read; the write is under way */
	fake_send(f, 3, NULL, STANZA_MESSAGE, "chat", J, "n2", "<body>2</body>");
	fake_send(f, 1, NULL, STANZA_MESSAGE, "chat", NURSE, "j2", "<body>2</body>");
	expect(f, "deliver sid=1 message chat from=" NURSE "/hall to=" J " id=n1\n"
		  "deliver sid=3 message chat from=" J " to=" NURSE " id=j1\n"
		  "deliver sid=1 message chat from=" NURSE "/hall to=" J " id=n2\n"
		  "deliver sid=3 message chat from=" J " to=" NURSE " id=j2\n");
	store_run(f);
	expect(f, "answer sid=1 iq result from=" JULIET " to=" J " id=s\n"
		  "consumed: rfc6121-2.1.5 roster set\n");
}

static void what_a_sender_has_blocked_is_read_before_his_first_stanza_goes(void **state)
{
	struct fake *f = *state;

	client(f, 2, ROMEO, "orchard");
	client(f, 3, NURSE, "hall");
	fake_block(f, JULIET, S(ROMEO));
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	f->slow_store = f->slow_lists = true;
	fake_send(f, 1, NULL, STANZA_MESSAGE, "chat", R, "r1", "<body>1</body>");
	fake_send(f, 1, NULL, STANZA_MESSAGE, "chat", NURSE, "n1", "<body>1</body>");
	expect(f, "");
	session_unbind(f->m, 1, S("gone"), NOW); /* and who has sent it may be gone */
	fake_forget(f);
	store_run(f);
	expect(f, "discarded: no way back to the sender\n"
		  "deliver sid=3 message chat from=" J " to=" NURSE " id=n1\n");
}

static void a_failed_read_is_no_empty_list(void **state)
{
	struct fake *f = *state;

	client(f, 2, ROMEO, "orchard");
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	f->slow_store = f->slow_lists = f->show_inner = true;
	message(f, 2, "chat", J);
	message(f, 1, "chat", R);
	presence(f, 2, "", J, "");
	store_answer(f, ERR_TIMEOUT);
	assert_null(strstr(f->trace.data, "deliver"));
	assert_non_null(strstr(f->trace.data, "answer sid=2 message error"));
	assert_non_null(strstr(f->trace.data, "answer sid=1 message error"));
	assert_non_null(strstr(f->trace.data, "<error type='wait'><resource-constraint "));
	fake_forget(f);
	/* The next one tries again. */
	message(f, 2, "chat", J);
	store_run(f);
	assert_non_null(strstr(f->trace.data, "deliver sid=1 message chat"));
}

static void what_waits_for_a_list_is_bounded(void **state)
{
	struct fake *f = *state;
	struct str big = STR_INIT;
	unsigned int held = 0;

	client(f, 2, ROMEO, "orchard");
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	f->slow_store = f->slow_lists = true;
	for (int i = 0; i < 100 * 1024; i++)
		str_addc(&big, 'x');
	while (held < 30) {
		fake_send(f, 2, NULL, STANZA_MESSAGE, "chat", J, "m", big.data);
		if (f->trace.len)
			break;
		held++;
	}
	assert_in_range(held, 9, 10);
	expect(f, "answer sid=2 message error from=" J " to=" R " id=m\n"
		  "bounced: xep0191 blocklist away\n");
	store_run(f);
	fake_forget(f);
	str_clear(&big);
}

static void somebody_without_an_account_has_blocked_nobody(void **state)
{
	struct fake *f = *state;

	client(f, 2, ROMEO, "orchard");
	f->unknown = JULIET;
	bind_to(f, 1, JULIET, "balcony");
	fake_forget(f);
	message(f, 2, "chat", J);
	expect(f, "deliver sid=1 message chat from=" R " to=" J " id=m1\n");
}

static void a_blocked_jid_learns_nothing_from_requests_to_an_account(void **state)
{
	static const char vcard[] = "<vCard xmlns='vcard-temp'/>";
	struct fake *f = *state;

	client(f, 2, ROMEO, "orchard");
	fake_block(f, JULIET, S(ROMEO));
	f->show_inner = true;
	/* Juliet is away. */
	iq(f, 2, "get", JULIET, vcard);
	store_run(f);
	assert_non_null(strstr(f->trace.data, "<service-unavailable "));
	assert_non_null(strstr(f->trace.data, "xep0191-3.3"));
	fake_forget(f);
	client(f, 1, JULIET, "balcony");
	iq(f, 2, "get", JULIET, vcard);
	store_run(f);
	assert_non_null(strstr(f->trace.data, "xep0191-3.3"));
}

static void after_a_restart_lists_are_known_without_the_datastore(void **state)
{
	struct fake *f = *state;

	friends(f);
	iq(f, 1, "get", "", "<blocklist " NS "/>");
	block(f, 1, ROMEO);
	fake_restart(f);
	f->slow_store = f->slow_lists = true;
	assert_int_equal(announce(f, 1, J, str_slice(&f->blobs[1])), ERR_OK);
	assert_int_equal(announce(f, 2, R, str_slice(&f->blobs[2])), ERR_OK);
	fake_forget(f);
	message(f, 2, "chat", J);
	message(f, 1, "chat", R);
	expect(f, "answer sid=2 message error from=" J " to=" R " id=m1\n"
		  "bounced: xep0191-3.3 stanza of a blocked JID\n"
		  "answer sid=1 message error from=" R " to=" J " id=m1\n"
		  "bounced: xep0191-3.3 to a blocked JID\n");
	assert_int_equal(f->nrequests, 0);
	/* Who had asked for the list still gets pushes. */
	command(f, 1, "<unblock " NS "/>");
	assert_non_null(strstr(f->trace.data, "answer sid=1 iq set"));
}

/* A router died while it told the cms. */
static void after_a_restart_lists_that_differ_are_read_again(void **state)
{
	struct str old = STR_INIT;
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	client(f, 3, JULIET, "chamber");
	client(f, 2, ROMEO, "orchard");
	str_add_slice(&old, str_slice(&f->blobs[3]));
	block(f, 1, ROMEO);
	fake_restart(f);
	f->slow_store = f->slow_lists = true;
	assert_int_equal(announce(f, 3, JULIET "/chamber", str_slice(&old)), ERR_OK);
	assert_int_equal(announce(f, 1, J, str_slice(&f->blobs[1])), ERR_OK);
	assert_int_equal(announce(f, 2, R, str_slice(&f->blobs[2])), ERR_OK);
	fake_forget(f);
	message(f, 2, "chat", J);
	expect(f, "");
	store_run(f);
	expect(f, "answer sid=2 message error from=" J " to=" R " id=m1\n"
		  "bounced: xep0191-3.3 stanza of a blocked JID\n");
	str_clear(&old);
}

/* The router dies when the change is written and nothing else has been done. */
static void a_command_judged_twice_has_the_same_effects(void **state)
{
	static const char *const commands[] = {
		"<block " NS ">" ITEM(ROMEO) "</block>",
		"<unblock " NS ">" ITEM(ROMEO) "</unblock>",
		"<block " NS ">" ITEM("example.org") "</block>",
		"<unblock " NS "/>",
	};
	struct fake *f = *state;

	friends(f);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char *first;

		command(f, 1, commands[i]);
		first = xstrdup(f->trace.data);
		assert_non_null(strstr(first, "sid=2 presence"));
		fake_forget(f);
		command(f, 1, commands[i]);
		assert_string_equal(f->trace.data, first);
		fake_forget(f);
		free(first);
	}
}

static void a_change_that_fails_leaves_what_was_in_force(void **state)
{
	struct fake *f = *state;

	friends(f);
	f->slow_store = true;
	iq(f, 1, "set", "", "<block " NS ">" ITEM(ROMEO) "</block>");
	store_answer(f, ERR_OK);
	store_answer(f, ERR_TIMEOUT);
	expect(f, "answer sid=1 iq error from=" JULIET " to=" J " id=q1\n"
		  "bounced: xep0191 blocklist store failed\n");
	message(f, 2, "chat", J);
	expect(f, "deliver sid=1 message chat from=" R " to=" J " id=m1\n");
	assert_int_equal(f->nrequests, 0);
}

static void two_changes_at_once_are_made_one_after_the_other(void **state)
{
	struct fake *f = *state;

	client(f, 1, JULIET, "balcony");
	client(f, 2, JULIET, "chamber");
	iq(f, 1, "set", "", "<block " NS ">" ITEM("a.example") "</block>");
	iq(f, 2, "set", "", "<block " NS ">" ITEM("b.example") "</block>");
	iq(f, 1, "set", "", "<unblock " NS ">" ITEM("a.example") "</unblock>");
	store_run(f);
	fake_forget(f);
	f->show_inner = true;
	iq(f, 1, "get", "", "<blocklist " NS "/>");
	expect(f, "answer sid=1 iq result from=" JULIET " to=" J " id=q1 <blocklist " NS
		  ">" ITEM("b.example") "</blocklist>\n"
					"consumed: xep0191-3.2 blocklist\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
		T(xep0191_3_2_a_list_is_empty_or_has_its_items),
		T(xep0191_3_3_to_3_5_changes_are_pushed_to_who_asked_for_the_list),
		T(commands_that_make_no_sense_are_refused),
		T(xep0191_3_3_stanzas_of_a_blocked_jid_are_refused_as_if_nobody_were_there),
		T(xep0191_6_items_match_by_jid_account_or_domain),
		T(xep0191_5_nobody_blocks_himself_or_his_server),
		T(xep0191_3_3_nothing_goes_to_a_blocked_jid),
		T(what_an_earlier_router_refused_is_refused_in_the_same_words),
		T(xep0191_3_3_who_saw_the_user_is_told_unavailable),
		T(neither_sees_the_other_at_login_while_one_has_blocked_the_other),
		T(xep0191_3_4_who_may_see_the_user_again_is_told_and_seen),
		T(an_item_still_blocked_keeps_an_unblocked_one_hidden),
		T(an_item_still_blocked_is_not_asked_for_its_presence),
		T(a_lost_session_tells_a_blocked_jid_nothing_at_its_end),
		T(one_resource_of_a_contact_can_be_blocked),
		T(directed_presence_is_taken_back_and_forgotten),
		T(rfc6121_3_1_3_a_request_of_a_blocked_jid_is_silently_ignored),
		T(a_subscription_that_a_blocked_contact_ends_has_ended),
		T(a_request_kept_from_before_is_not_shown_while_its_sender_is_blocked),
		T(what_depends_on_a_list_that_is_not_read_waits_in_order),
		T(what_a_sender_has_blocked_is_read_before_his_first_stanza_goes),
		T(what_waits_for_a_list_is_not_overtaken_while_the_roster_is_written),
		T(a_failed_read_is_no_empty_list),
		T(what_waits_for_a_list_is_bounded),
		T(somebody_without_an_account_has_blocked_nobody),
		T(a_blocked_jid_learns_nothing_from_requests_to_an_account),
		T(after_a_restart_lists_are_known_without_the_datastore),
		T(after_a_restart_lists_that_differ_are_read_again),
		T(a_command_judged_twice_has_the_same_effects),
		T(a_change_that_fails_leaves_what_was_in_force),
		T(two_changes_at_once_are_made_one_after_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
