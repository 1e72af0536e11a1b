/* Sessions whose connection broke and that may be resumed: what others see of them (CUSTODY 4). */
#include "tests/unit/session/fake_host.h"

#define JULIET	"juliet@example.com"
#define ROMEO	"romeo@example.org"
#define BALCONY JULIET "/balcony"
#define GONE	"presence unavailable from=" BALCONY " to="
#define LOBBY	"lobby@rooms.example.com/juliet"
#define MADE	" (for no stanza)\n"

/* What everybody is told of balcony when its grace is over. */
static const char told_gone[] = "answer sid=2 " GONE JULIET MADE "answer sid=5 " GONE ROMEO MADE
				"answer sid=30 " GONE LOBBY MADE;
static const char told_back[] = "answer sid=2 presence from=" BALCONY " to=" JULIET MADE
				"answer sid=5 presence from=" BALCONY " to=" ROMEO MADE;

/* Juliet is on her balcony (1) and in the hall (2) and in a room; Romeo (5) sees her. */
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
	presence(f, 1, "", "", "<show>away</show><priority>5</priority>");
	presence(f, 1, "", LOBBY, "");
	fake_forget(f);
	return 0;
}

static void detach(struct fake *f)
{
	session_detached(f->m, 1, NOW);
}

static void detach_and_hide(struct fake *f)
{
	detach(f);
	tick(f, 60);
	fake_forget(f);
}

static void resume(struct fake *f, unsigned int seconds)
{
	session_resumed(f->m, 1, S("c2s#9"), S("127.0.0.2:9"), after_s(seconds));
}

static unsigned int count(const struct fake *f, const char *what)
{
	unsigned int n = 0;

	for (const char *at = f->trace.data; at && (at = strstr(at, what)); at++)
		n++;
	return n;
}

static void nobody_sees_a_difference_until_the_grace_is_over(void **state)
{
	struct fake *f = *state;

	detach(f);
	session_tick(f->m, monotime_add_ms(NOW, 59999));
	expect(f, "");
	message(f, 5, "chat", JULIET);
	expect(f, "deliver sid=1 message chat from=" ROMEO "/orchard to=" JULIET " id=m1\n");
	presence(f, 5, "probe", JULIET, "");
	expect(f, "answer sid=5 presence from=" JULIET "/hall to=" ROMEO "/orchard\n"
		  "answer sid=5 presence from=" BALCONY " to=" ROMEO "/orchard\n"
		  "consumed: rfc6121-4.3.2 probe\n");
}

static void after_the_grace_all_who_saw_it_are_told_once_and_not_the_session_itself(void **state)
{
	struct fake *f = *state;

	detach(f);
	/* Being told again is no new beginning. */
	session_detached(f->m, 1, after_s(30));
	f->show_blobs = true;
	tick(f, 60);
	assert_memory_equal(f->trace.data, told_gone, strlen(told_gone));
	assert_string_equal(f->trace.data + strlen(told_gone), "blob sid=1\n");
	fake_forget(f);
	tick(f, 61);
	tick(f, 3600);
	expect(f, "");
}

static void after_the_grace_a_probe_is_told_that_nobody_is_there(void **state)
{
	struct fake *f = *state;

	session_unbind(f->m, 2, S("closed"), NOW);
	detach_and_hide(f);
	presence(f, 5, "probe", JULIET, "");
	expect(f, "answer sid=5 presence unavailable from=" JULIET " to=" ROMEO "/orchard\n"
		  "consumed: rfc6121-4.3.2 probe\n");
}

static void after_the_grace_who_comes_online_does_not_see_it(void **state)
{
	struct fake *f = *state;

	detach_and_hide(f);
	online(f, 3, JULIET, "tomb", NULL);
	presence(f, 3, "", "", "");
	/* It sees the new one itself, in its queue. */
	expect(f, "deliver sid=2 presence from=" JULIET "/tomb to=" JULIET "\n"
		  "deliver sid=1 presence from=" JULIET "/tomb to=" JULIET "\n"
		  "deliver sid=3 presence from=" JULIET "/tomb to=" JULIET "\n"
		  "answer sid=3 presence from=" JULIET "/hall to=" JULIET "\n"
		  "deliver sid=5 presence from=" JULIET "/tomb to=" ROMEO "\n"
		  "answer sid=3 presence from=" ROMEO "/orchard to=" JULIET "/tomb\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
}

static void after_the_grace_it_is_no_available_resource_of_its_account(void **state)
{
	struct fake *f = *state;

	detach_and_hide(f);
	f->show_inner = true;
	iq(f, 2, "get", JULIET, "<query xmlns='http://jabber.org/protocol/disco#items'/>");
	assert_int_equal(count(f, "<item jid='" JULIET "/hall'/>"), 1);
	assert_int_equal(count(f, BALCONY), 0);
}

static void after_the_grace_messages_for_the_bare_jid_pass_it_by(void **state)
{
	struct fake *f = *state;

	detach_and_hide(f);
	message(f, 5, "chat", JULIET);
	expect(f, "deliver sid=2 message chat from=" ROMEO "/orchard to=" JULIET " id=m1\n");
	message(f, 5, "chat", BALCONY);
	expect(f, "deliver sid=1 message chat from=" ROMEO "/orchard to=" BALCONY " id=m1\n");
	/* Without offline storage the sender learns that nobody takes it. */
	session_unbind(f->m, 2, S("closed"), NOW);
	fake_forget(f);
	message(f, 5, "chat", JULIET);
	expect(f, "answer sid=5 message error from=" JULIET " to=" ROMEO
		  "/orchard id=m1\nbounced: rfc6121-8.5.2.2.1 chat to nobody\n");
}

static void presence_for_it_goes_on_into_its_queue(void **state)
{
	struct fake *f = *state;

	detach_and_hide(f);
	presence(f, 5, "", "", "<show>dnd</show>");
	expect(f, "deliver sid=5 presence from=" ROMEO "/orchard to=" ROMEO "\n"
		  "deliver sid=2 presence from=" ROMEO "/orchard to=" JULIET "\n"
		  "deliver sid=1 presence from=" ROMEO "/orchard to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
}

static void a_resume_within_the_grace_is_seen_by_nobody(void **state)
{
	struct fake *f = *state;

	detach(f);
	f->show_blobs = true;
	resume(f, 59);
	tick(f, 60);
	tick(f, 120);
	expect(f, "");
	session_list(f->m, S(BALCONY), &f->trace);
	assert_non_null(strstr(f->trace.data, "\"conn\":\"c2s#9\",\"addr\":\"127.0.0.2:9\""));
	assert_non_null(strstr(f->trace.data, "\"state\":\"live\""));
	fake_forget(f);
	/* The next break has a grace of its own. */
	session_detached(f->m, 1, after_s(200));
	session_tick(f->m, monotime_add_ms(after_s(200), 59999));
	expect(f, "");
	tick(f, 260);
	assert_non_null(strstr(f->trace.data, told_gone));
}

static void a_resume_after_the_grace_shows_the_last_presence_again_without_probes(void **state)
{
	struct fake *f = *state;

	detach_and_hide(f);
	f->show_inner = true;
	resume(f, 90);
	expect(f,
	       "answer sid=2 presence from=" BALCONY " to=" JULIET
	       " <show>away</show><priority>5</priority>" MADE "answer sid=5 presence from=" BALCONY
	       " to=" ROMEO " <show>away</show><priority>5</priority>" MADE);
	message(f, 5, "chat", JULIET);
	assert_non_null(strstr(f->trace.data, "deliver sid=1 message"));
	fake_forget(f);
	/* The rooms were left when the grace was over. */
	f->show_inner = false;
	session_unbind(f->m, 1, S("closed"), NOW);
	expect(f, "answer sid=2 " GONE JULIET MADE "answer sid=5 " GONE ROMEO MADE);
}

static void a_session_without_presence_is_not_seen_before_nor_after(void **state)
{
	struct fake *f = *state;

	online(f, 3, JULIET, "tomb", NULL);
	f->show_blobs = true;
	session_detached(f->m, 3, NOW);
	tick(f, 60);
	session_resumed(f->m, 3, S("c"), S("a"), after_s(61));
	expect(f, "");
	presence(f, 3, "", LOBBY, "");
	fake_forget(f);
	session_detached(f->m, 3, NOW);
	tick(f, 160);
	expect(f, "answer sid=30 presence unavailable from=" JULIET "/tomb to=" LOBBY MADE
		  "blob sid=3\n");
}

static void end_by_unbind(struct fake *f)
{
	session_unbind(f->m, 1, S("not resumed in time"), NOW);
}

static void end_by_kick(struct fake *f)
{
	assert_int_equal(session_kick(f->m, S(BALCONY), NOW), 1);
}

static void end_by_host_going(struct fake *f)
{
	session_lost(f->m, 1, S("its owner died"), 0, NOW);
	tick(f, 400);
}

static void (*const ends[])(struct fake *f) = {end_by_unbind, end_by_kick, end_by_host_going};

static void unavailable_is_told_exactly_once_whenever_it_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * sizeof(ends) / sizeof(*ends); i++) {
		struct fake *f;
		void *own;

		setup(&own);
		f = own;
		detach(f);
		tick(f, i % 2 ? 60 : 59);
		assert_int_equal(count(f, GONE ROMEO MADE), i % 2);
		ends[i / 2](f);
		tick(f, 1000);
		assert_false(session_exists(f->m, 1));
		assert_int_equal(count(f, GONE JULIET MADE), 1);
		assert_int_equal(count(f, GONE ROMEO MADE), 1);
		assert_int_equal(count(f, GONE LOBBY MADE), 1);
		fake_teardown(&own);
	}
}

static void a_kicked_session_is_closed_at_once(void **state)
{
	struct fake *f = *state;

	detach(f);
	end_by_kick(f);
	assert_memory_equal(f->trace.data, "close sid=1 policy-violation\n", 29);
}

static void what_it_sent_before_but_is_handled_late_is_kept_aside(void **state)
{
	struct fake *f = *state;

	detach_and_hide(f);
	f->show_inner = true;
	presence(f, 1, "", "", "<show>xa</show>");
	expect(f, "consumed: rfc6121-4.2 presence of a session that is detached\n");
	resume(f, 90);
	expect(f, "answer sid=2 presence from=" BALCONY " to=" JULIET " <show>xa</show>" MADE
		  "answer sid=5 presence from=" BALCONY " to=" ROMEO " <show>xa</show>" MADE);
	session_detached(f->m, 1, after_s(100));
	tick(f, 160);
	fake_forget(f);
	presence(f, 1, "unavailable", "", "");
	expect(f, "consumed: rfc6121-4.5 presence broadcast\n");
	resume(f, 170);
	expect(f, "");
}

static void a_restart_of_the_router_does_not_show_it_again(void **state)
{
	struct fake *f = *state;

	detach_and_hide(f);
	fake_restart(f);
	assert_int_equal(announce(f, 1, BALCONY, str_slice(&f->blobs[1])), ERR_OK);
	session_detached(f->m, 1, NOW);
	assert_int_equal(announce(f, 2, JULIET "/hall", str_slice(&f->blobs[2])), ERR_OK);
	assert_int_equal(announce(f, 5, ROMEO "/orchard", str_slice(&f->blobs[5])), ERR_OK);
	f->show_blobs = true;
	tick(f, 0);
	tick(f, 1000);
	expect(f, "");
	f->show_blobs = false;
	resume(f, 1001);
	store_run(f);
	expect(f, told_back);
}

static void the_grace_goes_on_over_a_restart_of_the_router(void **state)
{
	struct fake *f = *state;

	detach(f);
	fake_restart(f);
	assert_int_equal(announce(f, 1, BALCONY, str_slice(&f->blobs[1])), ERR_OK);
	assert_int_equal(announce(f, 2, JULIET "/hall", str_slice(&f->blobs[2])), ERR_OK);
	assert_int_equal(announce(f, 5, ROMEO "/orchard", str_slice(&f->blobs[5])), ERR_OK);
	session_detached(f->m, 1, NOW);
	tick(f, 59);
	expect(f, "");
	tick(f, 60);
	store_run(f);
	assert_int_equal(count(f, GONE ROMEO MADE), 1);
	assert_int_equal(count(f, GONE LOBBY MADE), 1);
}

static void who_was_resumed_while_the_router_was_away_is_shown_soon(void **state)
{
	struct fake *f = *state;

	detach_and_hide(f);
	fake_restart(f);
	assert_int_equal(announce(f, 1, BALCONY, str_slice(&f->blobs[1])), ERR_OK);
	assert_int_equal(announce(f, 2, JULIET "/hall", str_slice(&f->blobs[2])), ERR_OK);
	assert_int_equal(announce(f, 5, ROMEO "/orchard", str_slice(&f->blobs[5])), ERR_OK);
	expect(f, "");
	tick(f, 2);
	store_run(f);
	expect(f, "");
	tick(f, 3);
	store_run(f);
	expect(f, told_back);
}

static void the_same_session_announced_by_a_newer_owner_is_not_gone_in_between(void **state)
{
	struct fake *f = *state;

	presence(f, 1, "unavailable", LOBBY, "");
	fake_forget(f);
	detach(f);
	assert_int_equal(announce(f, 1, BALCONY, str_slice(&f->blobs[1])), ERR_OK);
	assert_int_equal(session_count(f->m), 3);
	tick(f, 1000);
	expect(f, "");
	session_unbind(f->m, 1, S("closed"), NOW);
	expect(f, "answer sid=2 " GONE JULIET MADE "answer sid=5 " GONE ROMEO MADE);
}

static void contacts_that_cannot_be_read_yet_are_told_what_holds_then(void **state)
{
	struct fake *f = *state;

	fake_restart(f);
	assert_int_equal(announce(f, 1, BALCONY, str_slice(&f->blobs[1])), ERR_OK);
	assert_int_equal(announce(f, 5, ROMEO "/orchard", str_slice(&f->blobs[5])), ERR_OK);
	session_detached(f->m, 1, NOW);
	tick(f, 60);
	expect(f, "answer sid=30 " GONE LOBBY MADE);
	resume(f, 61);
	store_run(f);
	expect(f, "answer sid=5 presence from=" BALCONY " to=" ROMEO MADE);
	/* The other way round: gone again before it could be shown. */
	fake_restart(f);
	assert_int_equal(announce(f, 1, BALCONY, str_slice(&f->blobs[1])), ERR_OK);
	assert_int_equal(announce(f, 5, ROMEO "/orchard", str_slice(&f->blobs[5])), ERR_OK);
	session_detached(f->m, 1, NOW);
	tick(f, 60);
	resume(f, 61);
	session_detached(f->m, 1, after_s(62));
	tick(f, 122);
	store_run(f);
	assert_int_equal(count(f, "presence from=" BALCONY), 0);
	assert_in_range(count(f, GONE ROMEO MADE), 1, 2);
}

static void a_detached_session_gives_way_to_a_new_one_and_nobody_sees_it_go(void **state)
{
	static const char *const policies[] = {"replace", "reject", "rename"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fake *f;
		void *own;

		setup(&own);
		f = own;
		fake_configure(f, policies[i], 2);
		detach(f);
		bind_to(f, 7, JULIET, "balcony");
		expect(f, "close sid=1 conflict\nbound sid=7 jid=" BALCONY "\n");
		tick(f, 1000);
		expect(f, "");
		presence(f, 5, "probe", JULIET, "");
		assert_int_equal(count(f, "presence from=" BALCONY " to=" ROMEO "/orchard"), 1);
		fake_forget(f);
		presence(f, 7, "", "", "");
		assert_int_equal(count(f, "presence from=" BALCONY " to=" ROMEO "\n"), 1);
		assert_int_equal(count(f, GONE ROMEO), 0);
		assert_int_equal(count(f, GONE JULIET), 0);
		/* The room did not see who is there now. */
		assert_int_equal(count(f, GONE LOBBY MADE), 1);
		fake_teardown(&own);
	}
}

static void who_gave_way_is_gone_when_the_new_one_ends_without_presence(void **state)
{
	struct fake *f = *state;

	detach(f);
	bind_to(f, 7, JULIET, "balcony");
	session_unbind(f->m, 7, S("closed"), NOW);
	expect(f, "close sid=1 conflict\nbound sid=7 jid=" BALCONY "\n"
		  "answer sid=2 " GONE JULIET MADE "answer sid=5 " GONE ROMEO MADE
		  "answer sid=30 " GONE LOBBY MADE);
}

static void who_gives_way_after_the_grace_leaves_nothing(void **state)
{
	struct fake *f = *state;

	detach_and_hide(f);
	bind_to(f, 7, JULIET, "balcony");
	session_unbind(f->m, 7, S("closed"), NOW);
	expect(f, "close sid=1 conflict\nbound sid=7 jid=" BALCONY "\n");
}

static void an_announced_session_takes_the_place_of_a_detached_one(void **state)
{
	struct fake *f = *state;

	detach(f);
	/* It had its own presence before the restart: the room is told at the next tick. */
	assert_int_equal(announce(f, 7, BALCONY, str_slice(&f->blobs[2])), ERR_OK);
	expect(f, "close sid=1 conflict\n");
	assert_int_equal(announce(f, 8, BALCONY, SLICE_NONE), ERR_CONFLICT);
	tick(f, 1);
	expect(f, "answer sid=30 " GONE LOBBY MADE);
	tick(f, 1000);
	expect(f, "");
}

static void the_list_shows_what_is_detached_and_since_when(void **state)
{
	struct fake *f = *state;

	session_detached(f->m, 1, after_s(10));
	tick(f, 55);
	session_list(f->m, S(BALCONY), &f->trace);
	assert_non_null(strstr(f->trace.data,
			       "\"available\":true,\"priority\":5,\"interested\":false,"
			       "\"carbons\":false,\"state\":\"detached\",\"detached_s\":45}\n"));
	tick(f, 70);
	fake_forget(f);
	session_list(f->m, S(BALCONY), &f->trace);
	assert_non_null(strstr(f->trace.data, "\"available\":false,"));
	assert_non_null(strstr(f->trace.data, "\"detached_s\":60}\n"));
}

static void without_a_grace_it_is_gone_at_the_next_tick(void **state)
{
	static const struct session_config cfg = {
		.domains = fake_domains, .sessions_per_user = 4, .resource_conflict = "replace"};
	struct fake *f = *state;

	session_configure(f->m, &cfg);
	detach(f);
	tick(f, 0);
	expect(f, told_gone);
}

/* Deadlines in no order; each is gone in its second, and the tick looks at nobody else. */
static void many_sessions_are_gone_each_in_its_own_time(void **state)
{
	struct fake *f = *state;
	unsigned int in_order[1000];
	char bare[40];

	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(bare, sizeof(bare), "user%u@example.com", i);
		bind_to(f, 1000 + i, bare, "a");
		bind_to(f, 5000 + i, bare, "b");
		presence(f, 1000 + i, "", "", "");
		presence(f, 5000 + i, "", "", "");
		f->nentries = 0;
		memset(f->entries, 0, sizeof(f->entries));
		in_order[i * 337 % 1000] = i;
		session_detached(f->m, 1000 + i, after_s(100 + i * 337 % 1000));
	}
	for (unsigned int i = 1; i < 1000; i += 2)
		session_resumed(f->m, 1000 + i, S("c"), S("a"), after_s(100));
	for (unsigned int s = 0; s < 1000; s++) {
		unsigned int i = in_order[s];

		fake_forget(f);
		tick(f, 160 + s);
		snprintf(bare, sizeof(bare), "from=user%u@example.com/a", i);
		assert_int_equal(count(f, "unavailable"), i % 2 ? 0 : 1);
		if (i % 2 == 0)
			assert_int_equal(count(f, bare), 1);
	}
}

static void a_great_many_at_once_are_told_over_several_ticks(void **state)
{
	struct fake *f = *state;
	unsigned int told = 0;
	char resource[16];

	session_configure(f->m, &(struct session_config){.domains = fake_domains,
							 .sessions_per_user = 20000,
							 .resource_conflict = "replace",
							 .presence_grace_s = 60});
	for (unsigned int i = 0; i < 10000; i++) {
		snprintf(resource, sizeof(resource), "r%u", i);
		session_bind(f->m, 1000 + i, S("nurse@example.com"), S(resource), S("c"), S("a"),
			     NOW);
		fake_send(f, 1000 + i, NULL, STANZA_PRESENCE, "", LOBBY, "", "");
		session_detached(f->m, 1000 + i, NOW);
		f->nentries = 0;
		memset(f->entries, 0, sizeof(f->entries));
		fake_forget(f);
	}
	for (unsigned int s = 0; s < 10 && told < 10000; s++) {
		unsigned int before = told;

		fake_forget(f);
		tick(f, 60 + s);
		told += count(f, "unavailable");
		assert_in_range(told - before, 1, 5000);
	}
	assert_int_equal(told, 10000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_sees_a_difference_until_the_grace_is_over),
		TEST(after_the_grace_all_who_saw_it_are_told_once_and_not_the_session_itself),
		TEST(after_the_grace_a_probe_is_told_that_nobody_is_there),
		TEST(after_the_grace_who_comes_online_does_not_see_it),
		TEST(after_the_grace_it_is_no_available_resource_of_its_account),
		TEST(after_the_grace_messages_for_the_bare_jid_pass_it_by),
		TEST(presence_for_it_goes_on_into_its_queue),
		TEST(a_resume_within_the_grace_is_seen_by_nobody),
		TEST(a_resume_after_the_grace_shows_the_last_presence_again_without_probes),
		TEST(a_session_without_presence_is_not_seen_before_nor_after),
		cmocka_unit_test(unavailable_is_told_exactly_once_whenever_it_ends),
		TEST(a_kicked_session_is_closed_at_once),
		TEST(what_it_sent_before_but_is_handled_late_is_kept_aside),
		TEST(a_restart_of_the_router_does_not_show_it_again),
		TEST(the_grace_goes_on_over_a_restart_of_the_router),
		TEST(who_was_resumed_while_the_router_was_away_is_shown_soon),
		TEST(the_same_session_announced_by_a_newer_owner_is_not_gone_in_between),
		TEST(contacts_that_cannot_be_read_yet_are_told_what_holds_then),
		cmocka_unit_test(a_detached_session_gives_way_to_a_new_one_and_nobody_sees_it_go),
		TEST(who_gave_way_is_gone_when_the_new_one_ends_without_presence),
		TEST(who_gives_way_after_the_grace_leaves_nothing),
		TEST(an_announced_session_takes_the_place_of_a_detached_one),
		TEST(the_list_shows_what_is_detached_and_since_when),
		TEST(without_a_grace_it_is_gone_at_the_next_tick),
		TEST(many_sessions_are_gone_each_in_its_own_time),
		TEST(a_great_many_at_once_are_told_over_several_ticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
