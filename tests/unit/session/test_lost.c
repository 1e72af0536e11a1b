/* Sessions that are lost with their connection manager: their presence stands until the client is
 * back (CUSTODY 4). */
#include "tests/unit/session/fake_host.h"

#define JULIET	"juliet@example.com"
#define ROMEO	"romeo@example.org"
#define BALCONY JULIET "/balcony"
#define GONE	"presence unavailable from=" BALCONY " to="
#define LOBBY	"lobby@rooms.example.com/juliet"
#define KITCHEN "kitchen@rooms.example.com/juliet"
#define MADE	" (for no stanza)\n"
#define BOUND7	"bound sid=7 jid=" BALCONY "\n"

/* What everybody is told of balcony when it is over. */
#define TOLD_GONE                                                        \
	"answer sid=2 " GONE JULIET MADE "answer sid=5 " GONE ROMEO MADE \
	"answer sid=30 " GONE LOBBY MADE "answer sid=30 " GONE KITCHEN MADE

/* Juliet is on her balcony (1), in two rooms, and in the hall (2); Romeo (5) sees her. */
static int setup(void **state)
{
	struct fake *f;

	fake_setup(state);
	f = *state;
	contact(f, JULIET, ROMEO, "both");
	contact(f, ROMEO, JULIET, "both");
	online(f, 5, ROMEO, "orchard", "0");
	online(f, 2, JULIET, "hall", "0");
	bind_to(f, 1, JULIET, "balcony");
	presence(f, 1, "", "", "<show>away</show>");
	presence(f, 1, "", LOBBY, "");
	presence(f, 1, "", KITCHEN, "");
	fake_forget(f);
	return 0;
}

static void lose(struct fake *f, uint64_t sid)
{
	session_lost(f->m, sid, S("its connection manager died"), 0, NOW);
	fake_forget(f);
}

/* The host gives back what it kept. */
static void restart(struct fake *f, bool lost)
{
	fake_restart(f);
	if (lost) {
		assert_int_equal(announce(f, 1, BALCONY, str_slice(&f->blobs[1])), ERR_OK);
		session_lost(f->m, 1, S("lost before the restart"), 4, NOW);
	}
	assert_int_equal(announce(f, 2, JULIET "/hall", str_slice(&f->blobs[2])), ERR_OK);
	assert_int_equal(announce(f, 5, ROMEO "/orchard", str_slice(&f->blobs[5])), ERR_OK);
	fake_forget(f);
}

static unsigned int count(const struct fake *f, const char *what)
{
	unsigned int n = 0;

	for (const char *at = f->trace.data; at && (at = strstr(at, what)); at++)
		n++;
	return n;
}

static void contacts_are_told_when_the_grace_is_over_and_not_before(void **state)
{
	struct fake *f = *state;

	session_lost(f->m, 1, S("its connection manager died"), 0, NOW);
	expect(f, "lost sid=1 " BALCONY " for 10 s\n");
	session_tick(f->m, monotime_add_ms(NOW, 9999));
	expect(f, "");
	tick(f, 10);
	expect(f, TOLD_GONE "lost over sid=1\n");
	tick(f, 1000);
	expect(f, "");
}

static void it_is_over_for_deliveries_at_once(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	assert_false(session_exists(f->m, 1));
	assert_int_equal(session_jid(f->m, 1).len, 0);
	assert_int_equal(session_count(f->m), 2);
	message(f, 5, "chat", JULIET);
	message(f, 5, "chat", BALCONY);
	iq(f, 5, "get", BALCONY, "<ping xmlns='urn:xmpp:ping'/>");
	presence(f, 5, "", BALCONY, "");
	expect(f, "deliver sid=2 message chat from=" ROMEO "/orchard to=" JULIET " id=m1\n"
		  "deliver sid=2 message chat from=" ROMEO "/orchard to=" BALCONY " id=m1\n"
		  "answer sid=5 iq error from=" BALCONY " to=" ROMEO "/orchard id=q1\n"
		  "bounced: rfc6121-8.5.3.2.3 iq to no such resource\n"
		  "discarded: rfc6121-8.5 presence to nobody\n");
	session_list(f->m, S(BALCONY), &f->trace);
	session_unbind(f->m, 1, S("closed"), NOW);
	session_lost(f->m, 1, S("again"), 0, NOW);
	session_detached(f->m, 1, NOW);
	session_resumed(f->m, 1, S(""), S(""), NOW);
	expect(f, "");
}

static void who_asks_within_the_grace_sees_it_as_available(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	lose(f, 2);
	f->show_inner = true;
	presence(f, 5, "probe", JULIET, "");
	expect(f, "answer sid=5 presence from=" BALCONY " to=" ROMEO "/orchard <show>away</show>\n"
		  "answer sid=5 presence from=" JULIET "/hall to=" ROMEO
		  "/orchard <priority>0</priority>\n"
		  "consumed: rfc6121-4.3.2 probe\n");
	/* So does a contact who comes online. */
	online(f, 6, ROMEO, "tomb", NULL);
	presence(f, 6, "", "", "");
	assert_int_equal(count(f, "answer sid=6 presence from=" BALCONY " to=" ROMEO "/tomb"), 1);
	tick(f, 10);
	fake_forget(f);
	presence(f, 5, "probe", JULIET, "");
	expect(f, "answer sid=5 presence unavailable from=" JULIET " to=" ROMEO "/orchard\n"
		  "consumed: rfc6121-4.3.2 probe\n");
}

static void the_same_resource_replaces_it_with_its_own_presence(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	f->show_blobs = true;
	bind_to(f, 7, JULIET, "balcony");
	expect(f, BOUND7 "blob sid=7\nlost over sid=1\n");
	f->show_blobs = false;
	tick(f, 1000);
	expect(f, "");
	/* A room that it enters again already is not left. */
	presence(f, 7, "", KITCHEN, "");
	fake_forget(f);
	presence(f, 7, "", "", "<show>chat</show>");
	expect(f, "answer sid=30 " GONE LOBBY MADE "deliver sid=2 presence from=" BALCONY
		  " to=" JULIET "\n"
		  "deliver sid=7 presence from=" BALCONY " to=" JULIET "\n"
		  "answer sid=7 presence from=" JULIET "/hall to=" JULIET "\n"
		  "deliver sid=5 presence from=" BALCONY " to=" ROMEO "\n"
		  "answer sid=7 presence from=" ROMEO "/orchard to=" BALCONY "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	session_unbind(f->m, 7, S("closed"), NOW);
	expect(f, "answer sid=2 " GONE JULIET MADE "answer sid=5 " GONE ROMEO MADE
		  "answer sid=30 " GONE KITCHEN MADE);
}

static void a_contact_who_had_directed_presence_too_is_not_told_of_the_change(void **state)
{
	struct fake *f = *state;

	presence(f, 1, "", ROMEO, "");
	presence(f, 1, "", ROMEO "/orchard", "");
	presence(f, 1, "", "nurse@example.com", "");
	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	fake_forget(f);
	presence(f, 7, "", "", "");
	assert_int_equal(count(f, GONE ROMEO MADE), 0);
	assert_int_equal(count(f, GONE LOBBY MADE), 1);
}

static void a_room_that_the_heir_leaves_is_not_left_again(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	presence(f, 7, "unavailable", LOBBY, "");
	fake_forget(f);
	session_unbind(f->m, 7, S("closed"), NOW);
	assert_int_equal(count(f, GONE LOBBY), 0);
	assert_int_equal(count(f, GONE KITCHEN), 1);
}

static void until_the_same_resource_sends_presence_it_takes_no_messages(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	lose(f, 2);
	bind_to(f, 7, JULIET, "balcony");
	fake_forget(f);
	message(f, 5, "normal", JULIET);
	assert_int_equal(count(f, "deliver"), 0);
	message(f, 5, "normal", BALCONY);
	assert_int_equal(count(f, "deliver sid=7"), 1);
}

static void the_same_resource_that_ends_without_presence_tells_it_as_gone(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	fake_forget(f);
	tick(f, 100);
	session_unbind(f->m, 7, S("closed"), NOW);
	expect(f, TOLD_GONE);
	tick(f, 1000);
	expect(f, "");
}

static void the_same_resource_may_begin_with_unavailable(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	fake_forget(f);
	presence(f, 7, "unavailable", "", "");
	expect(f, "deliver sid=2 " GONE JULIET "\ndeliver sid=7 " GONE JULIET "\n"
		  "deliver sid=5 " GONE ROMEO "\ndeliver sid=30 " GONE LOBBY "\n"
		  "deliver sid=30 " GONE KITCHEN "\nconsumed: rfc6121-4.5 presence broadcast\n");
	session_unbind(f->m, 7, S("closed"), NOW);
	expect(f, "");
}

static void another_resource_is_seen_first_then_the_lost_one_is_gone(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "tomb");
	fake_forget(f);
	presence(f, 7, "", "", "");
	expect(f, "deliver sid=2 presence from=" JULIET "/tomb to=" JULIET "\n"
		  "deliver sid=7 presence from=" JULIET "/tomb to=" JULIET "\n"
		  "answer sid=7 presence from=" JULIET "/hall to=" JULIET "\n"
		  "deliver sid=5 presence from=" JULIET "/tomb to=" ROMEO "\n"
		  "answer sid=7 presence from=" ROMEO "/orchard to=" JULIET "/tomb\n"
		  "consumed: rfc6121-4.2 presence broadcast\n"
		  "answer sid=2 " GONE JULIET MADE "answer sid=7 " GONE JULIET MADE
		  "answer sid=5 " GONE ROMEO MADE "answer sid=30 " GONE LOBBY MADE
		  "answer sid=30 " GONE KITCHEN MADE "lost over sid=1\n");
	tick(f, 10);
	presence(f, 7, "", "", "");
	assert_int_equal(count(f, "unavailable"), 0);
}

static void another_resource_without_presence_does_not_lengthen_the_grace(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "tomb");
	fake_forget(f);
	tick(f, 9);
	expect(f, "");
	tick(f, 10);
	expect(f, TOLD_GONE "lost over sid=1\n");
	presence(f, 7, "", "", "");
	assert_int_equal(count(f, "unavailable"), 0);
}

static void a_session_that_was_there_before_takes_nobodys_place(void **state)
{
	struct fake *f = *state;

	bind_to(f, 3, JULIET, "garden");
	lose(f, 1);
	presence(f, 3, "", "", "");
	assert_int_equal(count(f, "unavailable"), 0);
	assert_int_equal(count(f, "answer sid=3 presence from=" BALCONY " to=" JULIET "\n"), 1);
}

static void two_that_come_back_take_over_from_two_that_were_lost(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	lose(f, 2);
	bind_to(f, 7, JULIET, "x");
	bind_to(f, 8, JULIET, "balcony"); /* had been claimed by x, but it is this one's */
	bind_to(f, 9, JULIET, "y");
	fake_forget(f);
	presence(f, 7, "", "", "");
	assert_int_equal(count(f, "unavailable"), 0);
	presence(f, 8, "", "", "");
	assert_int_equal(count(f, GONE ROMEO), 0);
	assert_int_equal(count(f, "unavailable from=" JULIET "/hall to=" ROMEO), 0);
	presence(f, 9, "", "", "");
	assert_int_equal(count(f, GONE ROMEO), 0);
	assert_int_equal(count(f, "unavailable from=" JULIET "/hall to=" ROMEO), 1);
}

static void who_takes_the_place_of_a_live_session_takes_no_other(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "hall");
	fake_forget(f);
	presence(f, 7, "", "", "");
	assert_int_equal(count(f, GONE ROMEO), 0);
}

static void the_heir_that_leaves_again_is_no_heir(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "x");
	session_unbind(f->m, 7, S("closed"), NOW);
	bind_to(f, 8, JULIET, "y");
	fake_forget(f);
	presence(f, 8, "", "", "");
	assert_int_equal(count(f, GONE ROMEO MADE), 1);
}

static void it_does_not_count_as_a_session_of_its_user(void **state)
{
	struct fake *f = *state;

	fake_configure(f, "reject", 2);
	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	bind_to(f, 8, JULIET, "tomb");
	expect(f, BOUND7 "lost over sid=1\nrefused sid=8 resource-constraint\n");
}

static void who_was_never_seen_is_not_waited_for(void **state)
{
	struct fake *f = *state;

	online(f, 3, JULIET, "tomb", NULL);
	session_lost(f->m, 3, S("died"), 0, NOW);
	tick(f, 10);
	expect(f, "");
	/* But a room that it has entered would wait for ever. */
	online(f, 4, JULIET, "tomb", NULL);
	presence(f, 4, "", LOBBY, "");
	fake_forget(f);
	session_lost(f->m, 4, S("died"), 0, NOW);
	tick(f, 10);
	expect(f, "lost sid=4 " JULIET "/tomb for 10 s\n"
		  "answer sid=30 presence unavailable from=" JULIET "/tomb to=" LOBBY MADE
		  "lost over sid=4\n");
}

static void a_kick_ends_what_is_lost_as_well(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	assert_int_equal(session_kick(f->m, S(BALCONY), NOW), 0);
	expect(f, TOLD_GONE "lost over sid=1\n");
	online(f, 1, JULIET, "balcony", "0");
	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	fake_forget(f);
	assert_int_equal(session_kick(f->m, S(JULIET), NOW), 2);
	assert_int_equal(count(f, GONE ROMEO MADE), 1);
	fake_forget(f);
	tick(f, 1000);
	expect(f, "");
}

static void a_domain_taken_away_takes_what_is_lost_with_it(void **state)
{
	static const char *const domains[] = {"example.org", NULL};
	struct fake *f = *state;

	lose(f, 1);
	session_configure(f->m, &(struct session_config){.domains = domains,
							 .sessions_per_user = 4,
							 .resource_conflict = "replace"});
	assert_int_equal(count(f, "lost over sid=1\n"), 1);
	assert_int_equal(count(f, GONE ROMEO MADE), 1);
	fake_forget(f);
	tick(f, 1000);
	expect(f, "");
}

static void lost_again_before_it_sent_presence_it_waits_again(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	fake_forget(f);
	session_lost(f->m, 7, S("died"), 0, after_s(5));
	expect(f, "lost sid=7 " BALCONY " for 10 s\n");
	tick(f, 14);
	expect(f, "");
	tick(f, 15);
	expect(f, TOLD_GONE "lost over sid=7\n");
}

static void a_live_heir_that_is_replaced_hands_it_on(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	presence(f, 7, "", "attic@rooms.example.com/juliet", "");
	fake_forget(f);
	bind_to(f, 8, JULIET, "balcony");
	expect(f, "close sid=7 conflict\nbound sid=8 jid=" BALCONY "\n");
	restart(f, false);
	assert_int_equal(announce(f, 8, BALCONY, str_slice(&f->blobs[8])), ERR_OK);
	session_unbind(f->m, 8, S("closed"), NOW);
	store_run(f);
	assert_int_equal(count(f, GONE ROMEO MADE), 1);
	assert_int_equal(count(f, GONE LOBBY MADE), 1);
	assert_int_equal(count(f, GONE "attic@rooms.example.com/juliet" MADE), 1);
}

static void an_heir_announced_by_a_newer_owner_has_what_its_blob_says(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	session_detached(f->m, 7, NOW);
	fake_forget(f);
	/* It has sent its own presence on another cm: all were told then. */
	assert_int_equal(announce(f, 7, BALCONY, str_slice(&f->blobs[2])), ERR_OK);
	tick(f, 1000);
	expect(f, "");
	session_unbind(f->m, 7, S("closed"), NOW);
	assert_int_equal(count(f, GONE ROMEO MADE), 1);
	assert_int_equal(count(f, GONE LOBBY MADE), 0);
}

static void a_detached_heir_shows_it_until_its_own_grace_is_over(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	session_detached(f->m, 7, NOW);
	fake_forget(f);
	tick(f, 59);
	expect(f, "");
	tick(f, 60);
	expect(f, TOLD_GONE);
	session_resumed(f->m, 7, S("c"), S("a"), after_s(70));
	session_unbind(f->m, 7, S("closed"), NOW);
	expect(f, "");
}

static void a_restart_leaves_it_the_time_that_remains(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	restart(f, true);
	tick(f, 3);
	store_run(f);
	expect(f, "");
	tick(f, 4);
	store_run(f);
	assert_int_equal(count(f, GONE ROMEO MADE), 1);
	assert_int_equal(count(f, GONE LOBBY MADE), 1);
	assert_int_equal(count(f, "lost over sid=1\n"), 1);
}

static void what_was_inherited_survives_a_restart(void **state)
{
	(void)state;
	for (unsigned int with_presence = 0; with_presence < 2; with_presence++) {
		struct fake *f;
		void *own;

		setup(&own);
		f = own;
		lose(f, 1);
		bind_to(f, 7, JULIET, "balcony");
		/* The host had no time to forget the old one. */
		restart(f, with_presence);
		assert_int_equal(announce(f, 7, BALCONY, str_slice(&f->blobs[7])), ERR_OK);
		assert_int_equal(count(f, "lost over sid=1\n"), with_presence);
		tick(f, 1000);
		assert_int_equal(count(f, "unavailable"), 0);
		fake_forget(f);
		f->show_inner = true;
		presence(f, 5, "probe", JULIET, "");
		assert_int_equal(count(f, "presence from=" BALCONY " to=" ROMEO
					  "/orchard <show>away</show>\n"),
				 1);
		f->show_inner = false;
		fake_forget(f);
		if (with_presence)
			presence(f, 7, "", "", "");
		else
			session_unbind(f->m, 7, S("closed"), NOW);
		store_run(f);
		assert_int_equal(count(f, GONE ROMEO MADE), !with_presence);
		assert_int_equal(count(f, GONE LOBBY MADE), 1);
		assert_int_equal(count(f, GONE KITCHEN MADE), 1);
		fake_teardown(&own);
	}
}

static void an_announced_session_inherits_what_the_host_had_kept(void **state)
{
	struct fake *f = *state;

	lose(f, 1);
	restart(f, true);
	/* Bound, but its blob did not reach its cm any more. */
	f->show_blobs = true;
	assert_int_equal(announce(f, 7, BALCONY, SLICE_NONE), ERR_OK);
	expect(f, "blob sid=7\nlost over sid=1\n");
	f->show_blobs = false;
	tick(f, 1000);
	expect(f, "");
	session_unbind(f->m, 7, S("closed"), NOW);
	store_run(f);
	assert_int_equal(count(f, GONE ROMEO MADE), 1);
}

static void an_announced_session_with_presence_has_replaced_it_long_ago(void **state)
{
	struct fake *f = *state;
	struct str blob = STR_INIT;

	str_add_slice(&blob, str_slice(&f->blobs[2]));
	lose(f, 1);
	restart(f, true);
	assert_int_equal(announce(f, 7, BALCONY, str_slice(&blob)), ERR_OK);
	expect(f, "");
	tick(f, 1);
	expect(f, "answer sid=30 " GONE LOBBY MADE "answer sid=30 " GONE KITCHEN MADE
		  "lost over sid=1\n");
	tick(f, 1000);
	expect(f, "");
	str_clear(&blob);
}

static void two_lost_ones_of_one_address_are_gone_with_the_last(void **state)
{
	struct fake *f = *state;
	struct str blob = STR_INIT;

	str_add_slice(&blob, str_slice(&f->blobs[2]));
	lose(f, 1);
	restart(f, true);
	presence(f, 2, "", "", "");
	assert_int_equal(announce(f, 7, BALCONY, str_slice(&blob)), ERR_OK);
	lose(f, 7);
	tick(f, 9);
	store_run(f);
	assert_int_equal(count(f, GONE ROMEO MADE), 0);
	tick(f, 10);
	store_run(f);
	assert_int_equal(count(f, GONE ROMEO MADE), 1);
	str_clear(&blob);
}

static void a_blob_with_an_inheritance_cut_anywhere_is_refused(void **state)
{
	struct fake *f = *state;
	size_t len;

	lose(f, 1);
	bind_to(f, 7, JULIET, "balcony");
	len = f->blobs[7].len;
	fake_restart(f);
	for (size_t cut = 1; cut < len; cut++) {
		char *copy = xmalloc(cut);

		memcpy(copy, f->blobs[7].data, cut);
		assert_int_equal(announce(f, 7, BALCONY, slice_of(copy, cut)), ERR_OK);
		free(copy);
		session_unbind(f->m, 7, S(""), NOW);
		store_run(f);
		expect(f, "");
	}
	assert_int_equal(announce(f, 7, BALCONY, str_slice(&f->blobs[7])), ERR_OK);
	session_unbind(f->m, 7, S(""), NOW);
	assert_int_equal(count(f, GONE LOBBY MADE), 1);
}

static void a_host_that_keeps_nothing_need_not_be_asked(void **state)
{
	struct fake *f = *state;
	struct session_host host = fake_host;

	host.lost = NULL;
	host.lost_over = NULL;
	session_free(&f->m);
	f->m = session_new(&host, f);
	fake_configure(f, "replace", 4);
	online(f, 1, JULIET, "balcony", "0");
	online(f, 5, ROMEO, "orchard", "0");
	session_lost(f->m, 1, S("died"), 3, NOW);
	tick(f, 2);
	expect(f, "");
	tick(f, 3);
	expect(f, "answer sid=5 " GONE ROMEO MADE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(contacts_are_told_when_the_grace_is_over_and_not_before),
		TEST(it_is_over_for_deliveries_at_once),
		TEST(who_asks_within_the_grace_sees_it_as_available),
		TEST(the_same_resource_replaces_it_with_its_own_presence),
		TEST(a_contact_who_had_directed_presence_too_is_not_told_of_the_change),
		TEST(a_room_that_the_heir_leaves_is_not_left_again),
		TEST(until_the_same_resource_sends_presence_it_takes_no_messages),
		TEST(the_same_resource_that_ends_without_presence_tells_it_as_gone),
		TEST(the_same_resource_may_begin_with_unavailable),
		TEST(another_resource_is_seen_first_then_the_lost_one_is_gone),
		TEST(another_resource_without_presence_does_not_lengthen_the_grace),
		TEST(a_session_that_was_there_before_takes_nobodys_place),
		TEST(two_that_come_back_take_over_from_two_that_were_lost),
		TEST(who_takes_the_place_of_a_live_session_takes_no_other),
		TEST(the_heir_that_leaves_again_is_no_heir),
		TEST(it_does_not_count_as_a_session_of_its_user),
		TEST(who_was_never_seen_is_not_waited_for),
		TEST(a_kick_ends_what_is_lost_as_well),
		TEST(a_domain_taken_away_takes_what_is_lost_with_it),
		TEST(lost_again_before_it_sent_presence_it_waits_again),
		TEST(a_live_heir_that_is_replaced_hands_it_on),
		TEST(an_heir_announced_by_a_newer_owner_has_what_its_blob_says),
		TEST(a_detached_heir_shows_it_until_its_own_grace_is_over),
		TEST(a_restart_leaves_it_the_time_that_remains),
		cmocka_unit_test(what_was_inherited_survives_a_restart),
		TEST(an_announced_session_inherits_what_the_host_had_kept),
		TEST(an_announced_session_with_presence_has_replaced_it_long_ago),
		TEST(two_lost_ones_of_one_address_are_gone_with_the_last),
		TEST(a_blob_with_an_inheritance_cut_anywhere_is_refused),
		TEST(a_host_that_keeps_nothing_need_not_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
