/* Sessions: binding, conflicts, announcement, the session blob, kick, list, configuration. */
#include "tests/unit/session/fake_host.h"

#define JULIET "juliet@example.com"

static const struct {
	const char *name;
	const char *policy;
	const char *wish;
	const char *trace; /* NULL: a generated resource is expected */
} conflicts[] = {
	{"free resource", "replace", "garden", "bound sid=2 jid=" JULIET "/garden\n"},
	{"replace closes the old", "replace", "balcony",
	 "close sid=1 conflict\n"
	 "answer sid=3 presence unavailable from=" JULIET "/balcony to=" JULIET " (for no stanza)\n"
	 "bound sid=2 jid=" JULIET "/balcony\n"},
	{"reject refuses the new", "reject", "balcony", "refused sid=2 conflict\n"},
	{"rename gives another", "rename", "balcony", NULL},
	{"no wish gives one", "replace", "", NULL},
	{"resource is normalised before it is compared", "reject", "balcony\xc2\xad",
	 "refused sid=2 conflict\n"},
	{"bad UTF-8", "replace", "\xff\xfe", "refused sid=2 bad-request\n"},
};

static void bind_settles_conflicts_by_the_policy(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(conflicts) / sizeof(*conflicts); i++) {
		void *own;
		struct fake *f;

		fake_setup(&own);
		f = own;
		fake_configure(f, conflicts[i].policy, 4);
		online(f, 1, JULIET, "balcony", "0");
		online(f, 3, JULIET, "hall", "0");
		bind_to(f, 2, JULIET, conflicts[i].wish);
		if (conflicts[i].trace) {
			if (strcmp(f->trace.data, conflicts[i].trace) != 0)
				print_error("row: %s\n", conflicts[i].name);
			expect(f, conflicts[i].trace);
		} else {
			struct slice jid = session_jid(f->m, 2);

			assert_int_equal(jid.len, strlen(JULIET "/") + 16);
			assert_true(session_exists(f->m, 1));
		}
		fake_teardown(&own);
	}
}

static void bind_limits_the_sessions_of_one_user(void **state)
{
	struct fake *f = *state;

	fake_configure(f, "replace", 2);
	bind_to(f, 1, JULIET, "a");
	bind_to(f, 2, JULIET, "b");
	bind_to(f, 3, JULIET, "c");
	bind_to(f, 4, "romeo@example.com", "c");
	/* Taking the place of one of them is no session more. */
	bind_to(f, 5, JULIET, "a");
	expect(f, "bound sid=1 jid=" JULIET "/a\n"
		  "bound sid=2 jid=" JULIET "/b\n"
		  "refused sid=3 resource-constraint\n"
		  "bound sid=4 jid=romeo@example.com/c\n"
		  "close sid=1 conflict\n"
		  "bound sid=5 jid=" JULIET "/a\n");
	assert_int_equal(session_count(f->m), 3);
}

/* `xmpp max_sessions none` */
static void a_limit_of_0_sessions_is_no_limit(void **state)
{
	struct fake *f = *state;
	char resource[16];

	fake_configure(f, "replace", 0);
	for (unsigned int sid = 1; sid < FAKE_SIDS; sid++) {
		snprintf(resource, sizeof(resource), "r%u", sid);
		bind_to(f, sid, JULIET, resource);
	}
	assert_int_equal(session_count(f->m), FAKE_SIDS - 1);
	assert_null(strstr(f->trace.data, "refused"));
}

static void bind_refuses_what_cannot_be_a_session_here(void **state)
{
	struct fake *f = *state;

	bind_to(f, 1, "juliet@elsewhere.example", "a");
	bind_to(f, 2, "example.com", "a");
	bind_to(f, 3, "juliet@example.com/x", "a");
	bind_to(f, 4, JULIET, "a");
	bind_to(f, 4, JULIET, "b");
	expect(f, "refused sid=1 not-allowed\n"
		  "refused sid=2 not-allowed\n"
		  "refused sid=3 not-allowed\n"
		  "bound sid=4 jid=" JULIET "/a\n"
		  "refused sid=4 not-allowed\n");
}

static void lookups_forget_a_session_that_has_ended(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	assert_true(session_exists(f->m, 1));
	assert_true(slice_is(session_jid(f->m, 1), JULIET "/balcony"));
	session_unbind(f->m, 1, S("closed"), NOW);
	session_unbind(f->m, 1, S("closed"), NOW);
	assert_false(session_exists(f->m, 1));
	assert_int_equal(session_jid(f->m, 1).len, 0);
	assert_int_equal(session_count(f->m), 0);
	expect(f, "");
}

static void the_blob_brings_a_session_back_as_it_was(void **state)
{
	struct fake *f = *state;
	struct str blob = STR_INIT;

	online(f, 1, JULIET, "balcony", NULL);
	iq(f, 1, "get", "", "<query xmlns='jabber:iq:roster'/>");
	store_run(f);
	presence(f, 1, "", "", "<show>away</show><priority>7</priority>");
	presence(f, 1, "", "lobby@rooms.example.com/juliet", "");
	presence(f, 1, "", "kitchen@rooms.example.com/juliet", "");
	str_add_slice(&blob, str_slice(&f->blobs[1]));
	session_free(&f->m);
	f->m = session_new(&fake_host, f);
	fake_configure(f, "replace", 4);
	fake_forget(f);

	assert_int_equal(announce(f, 11, JULIET "/balcony", str_slice(&blob)), ERR_OK);
	expect(f, "");
	session_list(f->m, SLICE_NONE, &f->trace);
	expect(f, "{\"jid\":\"" JULIET "/balcony\",\"sid\":\"000000000000000b\",\"conn\":\"c2s#1\","
		  "\"addr\":\"127.0.0.1:4000\",\"available\":true,\"priority\":7,"
		  "\"interested\":true,\"carbons\":false,\"state\":\"live\"}\n");
	/* The presence, for a resource that comes later; the targets, when it goes. */
	f->show_inner = true;
	bind_to(f, 2, JULIET, "hall");
	presence(f, 2, "", "", "");
	session_unbind(f->m, 11, S("lost"), NOW);
	expect(f, "bound sid=2 jid=" JULIET "/hall\n"
		  "deliver sid=11 presence from=" JULIET "/hall to=" JULIET "\n"
		  "deliver sid=2 presence from=" JULIET "/hall to=" JULIET "\n"
		  "answer sid=2 presence from=" JULIET "/balcony to=" JULIET
		  " <show>away</show><priority>7</priority>\n"
		  "consumed: rfc6121-4.2 presence broadcast\n"
		  "answer sid=2 presence unavailable from=" JULIET "/balcony to=" JULIET
		  " (for no stanza)\n"
		  "answer sid=30 presence unavailable from=" JULIET
		  "/balcony to=lobby@rooms.example.com/juliet (for no stanza)\n"
		  "answer sid=30 presence unavailable from=" JULIET
		  "/balcony to=kitchen@rooms.example.com/juliet (for no stanza)\n");
	str_clear(&blob);
}

static void a_session_brought_back_twice_keeps_its_targets(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	presence(f, 1, "", "lobby@rooms.example.com/juliet", "");
	presence(f, 1, "", "kitchen@rooms.example.com/juliet", "");
	session_unbind(f->m, 1, S(""), NOW);
	assert_int_equal(announce(f, 2, JULIET "/balcony", str_slice(&f->blobs[1])), ERR_OK);
	presence(f, 2, "unavailable", "lobby@rooms.example.com/juliet", "");
	session_unbind(f->m, 2, S(""), NOW);
	assert_int_equal(announce(f, 3, JULIET "/balcony", str_slice(&f->blobs[2])), ERR_OK);
	fake_forget(f);
	session_unbind(f->m, 3, S(""), NOW);
	store_run(f);
	expect(f, "answer sid=30 presence unavailable from=" JULIET
		  "/balcony to=kitchen@rooms.example.com/juliet (for no stanza)\n");
}

static void a_blob_cut_anywhere_is_refused_and_the_session_stands(void **state)
{
	struct fake *f = *state;
	size_t len;
	char *blob;

	online(f, 1, JULIET, "balcony", "3");
	presence(f, 1, "", "lobby@rooms.example.com/juliet", "");
	session_unbind(f->m, 1, S(""), NOW);
	len = f->blobs[1].len;
	assert_true(len > 20);
	for (size_t cut = 1; cut < len; cut++) {
		/* A copy of exactly this size, so that reading on is seen by a sanitizer. */
		blob = xmalloc(cut);
		memcpy(blob, f->blobs[1].data, cut);
		assert_int_equal(announce(f, 2, JULIET "/balcony", slice_of(blob, cut)), ERR_OK);
		free(blob);
		fake_forget(f);
		session_list(f->m, SLICE_NONE, &f->trace);
		assert_non_null(strstr(f->trace.data, "\"available\":false,\"priority\":0"));
		session_unbind(f->m, 2, S(""), NOW);
	}
	/* A version from the future as well. */
	f->blobs[1].data[0] = 99;
	assert_int_equal(announce(f, 2, JULIET "/balcony", str_slice(&f->blobs[1])), ERR_OK);
	fake_forget(f);
	session_list(f->m, SLICE_NONE, &f->trace);
	assert_non_null(strstr(f->trace.data, "\"available\":false"));
}

static void announcements_that_cannot_be_are_refused(void **state)
{
	struct fake *f = *state;

	assert_int_equal(announce(f, 1, JULIET "/a", SLICE_NONE), ERR_OK);
	assert_int_equal(announce(f, 1, JULIET "/b", SLICE_NONE), ERR_CONFLICT);
	assert_int_equal(announce(f, 2, JULIET "/a", SLICE_NONE), ERR_CONFLICT);
	assert_int_equal(announce(f, 3, "juliet@elsewhere.example/a", SLICE_NONE), ERR_NOTFOUND);
	assert_int_equal(announce(f, 3, JULIET, SLICE_NONE), ERR_FORMAT);
	assert_int_equal(announce(f, 0, JULIET "/c", SLICE_NONE), ERR_FORMAT);
	assert_int_equal(session_count(f->m), 1);
}

static void kick_ends_one_resource_or_all_and_tells_the_rest(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, JULIET, "hall", "0");
	online(f, 3, "romeo@example.com", "orchard", "0");
	assert_int_equal(session_kick(f->m, S("Juliet@EXAMPLE.com/balcony"), NOW), 1);
	expect(f, "close sid=1 policy-violation\n"
		  "answer sid=2 presence unavailable from=" JULIET "/balcony to=" JULIET
		  " (for no stanza)\n");
	online(f, 4, JULIET, "balcony", NULL);
	assert_int_equal(session_kick(f->m, S(JULIET), NOW), 2);
	assert_int_equal(session_kick(f->m, S(JULIET), NOW), 0);
	assert_int_equal(session_kick(f->m, S("@@"), NOW), 0);
	assert_int_equal(session_kick(f->m, S("example.com"), NOW), 0);
	assert_int_equal(session_count(f->m), 1);
}

static void list_shows_all_one_user_or_one_resource(void **state)
{
	struct fake *f = *state;

	online(f, 1, "romeo@example.com", "orchard", "-2");
	online(f, 2, JULIET, "a\"b", NULL);
	online(f, 3, JULIET, "c", NULL);
	session_list(f->m, S(JULIET "/c"), &f->trace);
	expect(f, "{\"jid\":\"" JULIET "/c\",\"sid\":\"0000000000000003\",\"conn\":\"c2s#1\","
		  "\"addr\":\"127.0.0.1:4000\",\"available\":false,\"priority\":0,"
		  "\"interested\":false,\"carbons\":false,\"state\":\"live\"}\n");
	session_list(f->m, S(JULIET), &f->trace);
	assert_non_null(strstr(f->trace.data, "{\"jid\":\"" JULIET "/a\\\"b\""));
	assert_null(strstr(f->trace.data, "romeo"));
	fake_forget(f);
	session_list(f->m, SLICE_NONE, &f->trace);
	assert_non_null(strstr(f->trace.data, "romeo@example.com/orchard"));
	assert_non_null(strstr(f->trace.data, "\"available\":true,\"priority\":-2"));
	assert_true(strstr(f->trace.data, "romeo") > strstr(f->trace.data, "juliet"));
	fake_forget(f);
	session_list(f->m, S("nobody@example.com"), &f->trace);
	expect(f, "");
}

static void a_domain_taken_away_closes_its_sessions(void **state)
{
	static const char *const domains[] = {"example.com", NULL};
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, "romeo@example.org", "orchard", "0");
	session_configure(f->m, &(struct session_config){.domains = domains,
							 .sessions_per_user = 4,
							 .resource_conflict = "replace"});
	expect(f, "close sid=2 host-gone\n");
	assert_false(session_is_local(f->m, S("example.org")));
	assert_true(session_is_local(f->m, S("example.com")));
}

static void a_server_that_is_disabled_ends_all_sessions_and_detached_ones_too(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, "romeo@example.org", "orchard", "0");
	bind_to(f, 3, JULIET, "away");
	session_detached(f->m, 3, NOW);
	fake_forget(f);
	session_configure(f->m, &(struct session_config){.domains = fake_domains,
							 .sessions_per_user = 4,
							 .disabled = true});
	assert_int_equal(session_count(f->m), 0);
	assert_non_null(strstr(f->trace.data, "close sid=1 system-shutdown\n"));
	assert_non_null(strstr(f->trace.data, "close sid=2 system-shutdown\n"));
	assert_non_null(strstr(f->trace.data, "close sid=3 system-shutdown\n"));
	/* A bind that was on its way. */
	fake_forget(f);
	bind_to(f, 4, JULIET, "late");
	expect(f, "refused sid=4 service-unavailable\n");
	fake_configure(f, "replace", 4);
	fake_forget(f);
	bind_to(f, 5, JULIET, "again");
	expect(f, "bound sid=5 jid=" JULIET "/again\n");
}

static void ten_thousand_sessions_come_and_go(void **state)
{
	struct fake *f = *state;
	char bare[40];

	for (unsigned int i = 1; i <= 10000; i++) {
		snprintf(bare, sizeof(bare), "user%u@example.com", i % 3000);
		bind_to(f, i, bare, "");
	}
	assert_int_equal(session_count(f->m), 10000);
	for (unsigned int i = 1; i <= 10000; i++)
		session_unbind(f->m, i, SLICE_NONE, NOW);
	assert_int_equal(session_count(f->m), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bind_settles_conflicts_by_the_policy),
		TEST(bind_limits_the_sessions_of_one_user),
		TEST(a_limit_of_0_sessions_is_no_limit),
		TEST(bind_refuses_what_cannot_be_a_session_here),
		TEST(lookups_forget_a_session_that_has_ended),
		TEST(the_blob_brings_a_session_back_as_it_was),
		TEST(a_session_brought_back_twice_keeps_its_targets),
		TEST(a_blob_cut_anywhere_is_refused_and_the_session_stands),
		TEST(announcements_that_cannot_be_are_refused),
		TEST(kick_ends_one_resource_or_all_and_tells_the_rest),
		TEST(list_shows_all_one_user_or_one_resource),
		TEST(a_domain_taken_away_closes_its_sessions),
		TEST(a_server_that_is_disabled_ends_all_sessions_and_detached_ones_too),
		TEST(ten_thousand_sessions_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
