/* RFC 6121 section 4: presence of a user's own resources, and directed presence. */
#include "tests/unit/session/fake_host.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.org"
#define FROM   " from=" JULIET "/balcony"

static void initial_presence_goes_to_all_own_resources_and_shows_them(void **state)
{
	struct fake *f = *state;

	online(f, 2, JULIET, "hall", "-3");
	online(f, 3, JULIET, "tomb", NULL);
	online(f, 1, JULIET, "balcony", NULL);
	f->show_blobs = true;
	f->show_inner = true;
	presence(f, 1, "", "", "<show>away</show>");
	expect(f,
	       "blob sid=1\n"
	       "deliver sid=2 presence" FROM " to=" JULIET " <show>away</show>\n"
	       "deliver sid=1 presence" FROM " to=" JULIET " <show>away</show>\n"
	       "answer sid=1 presence from=" JULIET "/hall to=" JULIET " <priority>-3</priority>\n"
	       "consumed: rfc6121-4.2 presence broadcast\n");
}

static void an_update_goes_to_all_and_shows_nobody_again(void **state)
{
	struct fake *f = *state;

	online(f, 2, JULIET, "hall", "0");
	online(f, 1, JULIET, "balcony", "0");
	presence(f, 1, "", "", "<show>dnd</show>");
	expect(f, "deliver sid=2 presence" FROM " to=" JULIET "\n"
		  "deliver sid=1 presence" FROM " to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
}

static void unavailable_goes_to_all_and_the_sender_and_ends_availability(void **state)
{
	struct fake *f = *state;

	online(f, 2, JULIET, "hall", "0");
	online(f, 1, JULIET, "balcony", "0");
	presence(f, 1, "unavailable", "", "");
	expect(f, "deliver sid=2 presence unavailable" FROM " to=" JULIET "\n"
		  "deliver sid=1 presence unavailable" FROM " to=" JULIET "\n"
		  "consumed: rfc6121-4.5 presence broadcast\n");
	presence(f, 2, "", "", "");
	expect(f, "deliver sid=2 presence from=" JULIET "/hall to=" JULIET "\n"
		  "consumed: rfc6121-4.2 presence broadcast\n");
	presence(f, 1, "unavailable", "", "");
	expect(f, "consumed: rfc6121-4.5 presence broadcast\n");
}

static void a_lost_session_is_announced_as_unavailable(void **state)
{
	struct fake *f = *state;

	online(f, 2, JULIET, "hall", "0");
	online(f, 1, JULIET, "balcony", "0");
	session_unbind(f->m, 1, S("lost"), NOW);
	expect(f, "answer sid=2 presence unavailable" FROM " to=" JULIET " (for no stanza)\n");
	/* One that was never available says nothing. */
	online(f, 3, JULIET, "tomb", NULL);
	session_unbind(f->m, 3, S("lost"), NOW);
	expect(f, "");
}

static void fan_out_reuses_the_bytes(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "a", "0");
	online(f, 2, JULIET, "b", "0");
	online(f, 3, JULIET, "c", "0");
	f->inner_same = 0;
	presence(f, 1, "", "", "<status>x</status>");
	assert_int_equal(f->inner_same, 2);
}

static const struct {
	const char *inner;
	int priority; /* 999: refused */
} priorities[] = {
	{"<priority>127</priority>", 127},
	{"<priority>-128</priority>", -128},
	{"<priority> 5\n</priority>", 5},
	{"<show>away</show><priority>+3</priority><status>s</status>", 3},
	{"<priority>&#49;2</priority>", 12},
	{"<priority>128</priority>", 999},
	{"<priority>-129</priority>", 999},
	{"<priority>high</priority>", 999},
	{"<priority></priority>", 999},
	{"<priority>1 2</priority>", 999},
	{"<priority>99999999999999999999</priority>", 999},
	{"", 0},
};

static void the_priority_is_a_small_integer(void **state)
{
	struct fake *f = *state;
	char wanted[64];

	online(f, 1, JULIET, "balcony", NULL);
	for (size_t i = 0; i < sizeof(priorities) / sizeof(*priorities); i++) {
		presence(f, 1, "unavailable", "", "");
		fake_forget(f);
		presence(f, 1, "", "", priorities[i].inner);
		if (priorities[i].priority == 999) {
			expect(f, "answer sid=1 presence error from=" JULIET " to=" JULIET
				  "/balcony\nbounced: rfc6121-4.7.2.3 priority\n");
			continue;
		}
		fake_forget(f);
		session_list(f->m, SLICE_NONE, &f->trace);
		snprintf(wanted, sizeof(wanted), "\"priority\":%d,", priorities[i].priority);
		assert_non_null(strstr(f->trace.data, wanted));
		fake_forget(f);
	}
}

static void directed_presence_goes_where_it_is_addressed(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, ROMEO, "orchard", "0");
	online(f, 3, ROMEO, "hall", "-1");
	online(f, 4, ROMEO, "tomb", NULL);
	presence(f, 1, "", ROMEO, "");
	expect(f, "deliver sid=2 presence" FROM " to=" ROMEO "\n"
		  "deliver sid=3 presence" FROM " to=" ROMEO "\n");
	presence(f, 1, "", ROMEO "/tomb", "");
	expect(f, "deliver sid=4 presence" FROM " to=" ROMEO "/tomb\n");
	presence(f, 1, "", ROMEO "/nowhere", "");
	expect(f, "discarded: rfc6121-8.5 presence to nobody\n");
	presence(f, 1, "unavailable", "mercutio@example.org", "");
	expect(f, "discarded: rfc6121-8.5 presence to nobody\n");
	presence(f, 1, "", "lobby@rooms.example.com/juliet", "");
	expect(f, "deliver sid=30 presence" FROM " to=lobby@rooms.example.com/juliet\n");
	presence(f, 1, "", "x@elsewhere.example", "");
	expect(f, "answer sid=1 presence error from=x@elsewhere.example to=" JULIET
		  "/balcony\nbounced: rfc6120-10.4 no such server\n");
	presence(f, 1, "", "example.com", "");
	expect(f, "consumed: presence to the server\n");
}

static void who_got_directed_presence_gets_the_unavailable(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, ROMEO, "orchard", "0");
	presence(f, 1, "", ROMEO, "");
	presence(f, 1, "", ROMEO, "");
	presence(f, 1, "", "lobby@rooms.example.com/juliet", "");
	presence(f, 1, "", "kitchen@rooms.example.com/juliet", "");
	presence(f, 1, "unavailable", "lobby@rooms.example.com/juliet", "");
	fake_forget(f);
	f->show_blobs = true;
	presence(f, 1, "unavailable", "", "");
	expect(f,
	       "deliver sid=1 presence unavailable" FROM " to=" JULIET "\n"
	       "deliver sid=2 presence unavailable" FROM " to=" ROMEO "\n"
	       "deliver sid=30 presence unavailable" FROM " to=kitchen@rooms.example.com/juliet\n"
	       "blob sid=1\n"
	       "consumed: rfc6121-4.5 presence broadcast\n");
	/* Once. */
	session_unbind(f->m, 1, S("closed"), NOW);
	expect(f, "");
}

static void every_change_of_the_targets_is_in_the_blob(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	f->show_blobs = true;
	presence(f, 1, "", "lobby@rooms.example.com/juliet", "");
	presence(f, 1, "", "lobby@rooms.example.com/juliet", "");
	presence(f, 1, "unavailable", "lobby@rooms.example.com/juliet", "");
	expect(f, "deliver sid=30 presence" FROM " to=lobby@rooms.example.com/juliet\n"
		  "blob sid=1\n"
		  "deliver sid=30 presence" FROM " to=lobby@rooms.example.com/juliet\n"
		  "deliver sid=30 presence unavailable" FROM " to=lobby@rooms.example.com/juliet\n"
		  "blob sid=1\n");
}

static void directed_presence_has_a_limit(void **state)
{
	struct fake *f = *state;
	char to[64];

	online(f, 1, JULIET, "balcony", "0");
	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(to, sizeof(to), "room%u@rooms.example.com/juliet", i);
		f->nentries = 0;
		memset(f->entries, 0, sizeof(f->entries));
		presence(f, 1, "", to, "");
	}
	fake_forget(f);
	presence(f, 1, "", "last@rooms.example.com/juliet", "");
	expect(f, "answer sid=1 presence error from=last@rooms.example.com/juliet to=" JULIET
		  "/balcony\nbounced: rfc6121-4.6.3 directed presence to too many\n");
}

static void errors_reach_only_the_resource_they_name(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, ROMEO, "orchard", "0");
	presence(f, 1, "error", ROMEO "/orchard", "");
	expect(f, "deliver sid=2 presence error" FROM " to=" ROMEO "/orchard\n");
	presence(f, 1, "error", ROMEO, "");
	expect(f, "discarded: rfc6121-8.5 presence error to nobody\n");
	presence(f, 1, "error", "", "");
	expect(f, "discarded: rfc6121-8.5 presence error to nobody\n");
	presence(f, 1, "error", "lobby@rooms.example.com", "");
	expect(f, "deliver sid=30 presence error" FROM " to=lobby@rooms.example.com\n");
}

static void an_unknown_type_is_refused(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	presence(f, 1, "invisible", "", "");
	expect(f, "answer sid=1 presence error from=" JULIET " to=" JULIET
		  "/balcony\nbounced: rfc6121-4.7.1 presence of unknown type\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(initial_presence_goes_to_all_own_resources_and_shows_them),
		TEST(an_update_goes_to_all_and_shows_nobody_again),
		TEST(unavailable_goes_to_all_and_the_sender_and_ends_availability),
		TEST(a_lost_session_is_announced_as_unavailable),
		TEST(fan_out_reuses_the_bytes),
		TEST(the_priority_is_a_small_integer),
		TEST(directed_presence_goes_where_it_is_addressed),
		TEST(who_got_directed_presence_gets_the_unavailable),
		TEST(every_change_of_the_targets_is_in_the_blob),
		TEST(directed_presence_has_a_limit),
		TEST(errors_reach_only_the_resource_they_name),
		TEST(an_unknown_type_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
