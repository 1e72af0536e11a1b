/* RFC 6121 section 2 against a datastore that answers, is slow, or fails. */
#include "tests/unit/session/fake_host.h"

#define JULIET	  "juliet@example.com"
#define TO	  " to=" JULIET "/balcony id=q1"
#define GET	  "<query xmlns='jabber:iq:roster'/>"
#define SET(item) "<query xmlns='jabber:iq:roster'>" item "</query>"
#define RESULT	  "answer sid=1 iq result from=" JULIET TO
#define DONE	  "consumed: rfc6121-2.1.5 roster set\n"
#define PUSH(sid, res, ver, item)                                      \
	"answer sid=" sid " iq set from=" JULIET " to=" JULIET "/" res \
	" <query xmlns='jabber:iq:roster' ver='" ver "'>" item "</query>\n"

static void interested(struct fake *f, uint64_t sid, const char *resource)
{
	online(f, sid, JULIET, resource, NULL);
	iq(f, sid, "get", "", GET);
	store_run(f);
	fake_forget(f);
}

static void get_answers_the_contacts_as_they_are_stored(void **state)
{
	struct fake *f = *state;
	struct str packed = STR_INIT, groups = STR_INIT;

	online(f, 1, JULIET, "balcony", NULL);
	codec_put_str(&groups, S("Friends & <foes>"));
	codec_put_str(&groups, S("Verona"));
	db_roster_item_put(&packed, &(struct db_roster_item){.jid = S("nurse@example.com"),
							     .name = S("The 'Nurse'"),
							     .subscription = 1,
							     .ask = 1,
							     .ngroups = 2,
							     .groups = str_slice(&groups)});
	fake_item_set(f, JULIET, str_slice(&packed));
	contact(f, JULIET, "romeo@example.org", "both");
	contact(f, "tybalt@example.com", "paris@example.org", "both");
	f->show_inner = true;
	iq(f, 1, "get", "", GET);
	expect(f, "");
	store_run(f);
	expect(f, RESULT " <query xmlns='jabber:iq:roster' ver='7'>"
			 "<item jid='nurse@example.com' name='The &apos;Nurse&apos;' "
			 "subscription='to' ask='subscribe'><group>Friends &amp; &lt;foes&gt;"
			 "</group><group>Verona</group></item>"
			 "<item jid='romeo@example.org' subscription='both'/></query>\n"
			 "consumed: rfc6121-2.1.3 roster get\n");
	str_clear(&packed);
	str_clear(&groups);
}

static void get_of_the_present_version_is_answered_empty(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", NULL);
	contact(f, JULIET, "romeo@example.org", "both");
	f->show_inner = true;
	iq(f, 1, "get", "", "<query xmlns='jabber:iq:roster' ver='7'/>");
	store_run(f);
	expect(f, RESULT "\nconsumed: rfc6121-2.1.3 roster get\n");
	iq(f, 1, "get", "", "<query xmlns='jabber:iq:roster' ver='6'/>");
	store_run(f);
	assert_non_null(strstr(f->trace.data, "romeo@example.org"));
}

static void set_pushes_to_interested_resources_then_answers(void **state)
{
	struct fake *f = *state;

	interested(f, 1, "balcony");
	interested(f, 2, "hall");
	online(f, 3, JULIET, "tomb", "0");
	f->show_inner = true;
	iq(f, 1, "set", "",
	   SET("<item jid='Nurse@EXAMPLE.com' name='N' subscription='both'>"
	       "<group>Servants</group></item>"));
	expect(f, "");
	store_run(f);
#define ITEM                                      \
	"<item jid='nurse@example.com' name='N' " \
	"subscription='none'><group>Servants</group></item>"
	expect(f, PUSH("1", "balcony", "8", ITEM) PUSH("2", "hall", "8", ITEM) RESULT "\n" DONE);
	assert_string_equal(stored(f, JULIET, "nurse@example.com"), "none");
}

static void set_keeps_what_is_the_servers_to_say(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, "romeo@example.org", "both");
	interested(f, 1, "balcony");
	f->show_inner = true;
	iq(f, 1, "set", "", SET("<item jid='romeo@example.org' name='R' ask='subscribe'/>"));
	store_run(f);
	expect(f, PUSH("1", "balcony", "8",
		       "<item jid='romeo@example.org' name='R' subscription='both'/>") RESULT
	       "\n" DONE);
}

static void remove_pushes_the_deletion(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, "nurse@example.com", "none");
	interested(f, 1, "balcony");
	f->show_inner = true;
	iq(f, 1, "set", "", SET("<item jid='nurse@example.com' subscription='remove'/>"));
	store_run(f);
	expect(f, PUSH("1", "balcony", "8", "<item jid='nurse@example.com' subscription='remove'/>")
			  RESULT "\n" DONE);
	assert_string_equal(stored(f, JULIET, "nurse@example.com"), "-");
}

static void remove_of_nobody_is_item_not_found(void **state)
{
	struct fake *f = *state;

	interested(f, 1, "balcony");
	iq(f, 1, "set", "", SET("<item jid='nurse@example.com' subscription='remove'/>"));
	store_run(f);
	expect(f,
	       "answer sid=1 iq error from=" JULIET TO "\nbounced: rfc6121-2.5.3 no such item\n");
	/* The same when it goes between reading and writing. */
	contact(f, JULIET, "nurse@example.com", "none");
	iq(f, 1, "set", "", SET("<item jid='nurse@example.com' subscription='remove'/>"));
	store_answer(f, ERR_OK);
	store_answer(f, ERR_NOTFOUND);
	expect(f,
	       "answer sid=1 iq error from=" JULIET TO "\nbounced: rfc6121-2.5.3 no such item\n");
}

#define BYTES16	  "0123456789abcdef"
#define BYTES128  BYTES16 BYTES16 BYTES16 BYTES16 BYTES16 BYTES16 BYTES16 BYTES16
#define BYTES1024 BYTES128 BYTES128 BYTES128 BYTES128 BYTES128 BYTES128 BYTES128 BYTES128

static const struct {
	const char *inner, *condition, *rule;
} refusals[] = {
	{SET(""), "<bad-request ", "rfc6121-2.1.5 not exactly one item"},
	{SET("<item jid='a@example.com'/><item jid='b@example.com'/>"), "<bad-request ",
	 "rfc6121-2.1.5 not exactly one item"},
	{SET("<other/>"), "<bad-request ", "rfc6121-2.1.5 not exactly one item"},
	{SET("<item name='x'/>"), "<bad-request ", "rfc6121-2.1.2.3 item without jid"},
	{SET("<item jid='@'/>"), "<jid-malformed ", "rfc6121-2.1.2.3 malformed jid"},
	{SET("<item jid='a@example.com/x'/>"), "<bad-request ",
	 "rfc6121-2.1.2.3 jid with a resource"},
	{SET("<item jid='" JULIET "'/>"), "<not-allowed ", "rfc6121-2.1.2 own jid in the roster"},
	{SET("<item jid='a@example.com'><group>x</group><group>x</group></item>"), "<bad-request ",
	 "rfc6121-2.3.3 duplicate group"},
	{SET("<item jid='a@example.com'><group/></item>"), "<not-acceptable ",
	 "rfc6121-2.3.3 length of a group"},
	{SET("<item jid='a@example.com'><group>" BYTES1024 "</group></item>"), "<not-acceptable ",
	 "rfc6121-2.3.3 length of a group"},
	{SET("<item jid='a@example.com' name='" BYTES1024 "'/>"), "<not-acceptable ",
	 "rfc6121-2.3.3 length of the name"},
};

static void malformed_sets_are_refused_before_the_datastore_is_asked(void **state)
{
	struct fake *f = *state;

	interested(f, 1, "balcony");
	f->show_inner = true;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		iq(f, 1, "set", "", refusals[i].inner);
		assert_int_equal(f->nrequests, 0);
		assert_non_null(strstr(f->trace.data, refusals[i].condition));
		assert_non_null(strstr(f->trace.data, refusals[i].rule));
		assert_null(strstr(f->trace.data, "0123456789"));
		fake_forget(f);
	}
}

static const struct {
	enum err err;
	const char *condition;
} failures[] = {
	{ERR_TIMEOUT, "<error type='wait'><resource-constraint "},
	{ERR_NOSPACE, "<error type='wait'><resource-constraint "},
	{ERR_FULL, "<error type='wait'><resource-constraint "},
	{ERR_CLOSED, "<error type='wait'><resource-constraint "},
	{ERR_IO, "<error type='wait'><internal-server-error "},
	{ERR_CORRUPT, "<error type='wait'><internal-server-error "},
	{ERR_NOTFOUND, "<error type='cancel'><item-not-found "},
};

static void a_datastore_in_trouble_is_an_error_never_an_empty_roster(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", NULL);
	f->show_inner = true;
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		iq(f, 1, "get", "", GET);
		store_answer(f, failures[i].err);
		assert_non_null(strstr(f->trace.data, "answer sid=1 iq error"));
		assert_non_null(strstr(f->trace.data, failures[i].condition));
		fake_forget(f);
		iq(f, 1, "set", "", SET("<item jid='nurse@example.com'/>"));
		store_answer(f, ERR_OK);
		store_answer(f, failures[i].err);
		assert_non_null(strstr(f->trace.data, failures[i].condition));
		assert_null(strstr(f->trace.data, "iq set"));
		fake_forget(f);
	}
	/* Such a session is not interested: it has no roster yet (2.2). */
	session_list(f->m, SLICE_NONE, &f->trace);
	assert_non_null(strstr(f->trace.data, "\"interested\":false"));
}

static void changes_of_one_roster_are_made_one_after_the_other(void **state)
{
	struct fake *f = *state;

	interested(f, 1, "balcony");
	interested(f, 2, "hall");
	iq(f, 1, "set", "", SET("<item jid='nurse@example.com' name='1'/>"));
	iq(f, 2, "set", "", SET("<item jid='nurse@example.com' name='2'/>"));
	iq(f, 2, "get", "", GET);
	assert_int_equal(f->nrequests, 1);
	f->show_inner = true;
	store_run(f);
#define NURSE(n) "<item jid='nurse@example.com' name='" n "' subscription='none'/>"
	expect(f, PUSH("1", "balcony", "8", NURSE("1")) PUSH("2", "hall", "8", NURSE("1")) RESULT
	       "\n" DONE PUSH("1", "balcony", "9", NURSE("2"))
		       PUSH("2", "hall", "9",
			    NURSE("2")) "answer sid=2 iq result from=" JULIET " to=" JULIET
					"/hall id=q1\n" DONE "answer sid=2 iq result from=" JULIET
					" to=" JULIET "/hall id=q1 "
					"<query xmlns='jabber:iq:roster' ver='9'>" NURSE(
						"2") "</query>\n"
						     "consumed: rfc6121-2.1.3 roster get\n");
}

static void a_session_that_leaves_while_the_datastore_works_is_not_answered(void **state)
{
	struct fake *f = *state;

	interested(f, 1, "balcony");
	interested(f, 2, "hall");
	iq(f, 1, "get", "", GET);
	session_unbind(f->m, 1, S("lost"), NOW);
	store_run(f);
	expect(f, "discarded: roster request of a session that is gone\n");
	interested(f, 1, "balcony");
	iq(f, 1, "set", "", SET("<item jid='nurse@example.com'/>"));
	store_answer(f, ERR_OK);
	session_unbind(f->m, 1, S("lost"), NOW);
	store_run(f);
	/* The change is made: the others are told. */
	expect(f, "answer sid=2 iq set from=" JULIET " to=" JULIET "/hall\n" DONE);
	interested(f, 1, "balcony");
	iq(f, 1, "set", "", SET("<item jid='nurse@example.com'/>"));
	session_unbind(f->m, 1, S("lost"), NOW);
	store_answer(f, ERR_TIMEOUT);
	expect(f, "discarded: roster request of a session that is gone\n");
}

static void answers_that_come_after_the_manager_are_harmless(void **state)
{
	struct fake *f = *state;

	interested(f, 1, "balcony");
	iq(f, 1, "set", "", SET("<item jid='nurse@example.com'/>"));
	iq(f, 1, "get", "", GET);
	assert_int_equal(f->nrequests, 1);
	/* fake_teardown() frees the manager, then answers: a sanitizer watches. */
}

static void a_datastore_that_is_silent_fails_all_that_wait_at_once(void **state)
{
	struct fake *f = *state;

	interested(f, 1, "balcony");
	for (unsigned int i = 0; i < 3; i++)
		iq(f, 1, "get", "", GET);
	store_answer(f, ERR_TIMEOUT);
	assert_int_equal(f->nrequests, 0);
#define AWAY "answer sid=1 iq error from=" JULIET TO "\nbounced: roster store away\n"
	expect(f, AWAY AWAY AWAY);
	/* Any other trouble is of one request. */
	iq(f, 1, "get", "", GET);
	iq(f, 1, "get", "", GET);
	store_answer(f, ERR_IO);
	assert_int_equal(f->nrequests, 1);
	store_run(f);
	expect(f, "answer sid=1 iq error from=" JULIET TO "\nbounced: roster store failed\n" RESULT
		  "\nconsumed: rfc6121-2.1.3 roster get\n");
}

static void every_push_has_its_own_id(void **state)
{
	struct fake *f = *state;
	char first[32];

	interested(f, 1, "balcony");
	iq(f, 1, "set", "", SET("<item jid='nurse@example.com' name='1'/>"));
	store_run(f);
	assert_true(f->push_id[0]);
	snprintf(first, sizeof(first), "%s", f->push_id);
	iq(f, 1, "set", "", SET("<item jid='nurse@example.com' name='2'/>"));
	store_run(f);
	assert_string_not_equal(f->push_id, first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(get_answers_the_contacts_as_they_are_stored),
		TEST(get_of_the_present_version_is_answered_empty),
		TEST(set_pushes_to_interested_resources_then_answers),
		TEST(set_keeps_what_is_the_servers_to_say),
		TEST(remove_pushes_the_deletion),
		TEST(remove_of_nobody_is_item_not_found),
		TEST(malformed_sets_are_refused_before_the_datastore_is_asked),
		TEST(a_datastore_in_trouble_is_an_error_never_an_empty_roster),
		TEST(changes_of_one_roster_are_made_one_after_the_other),
		TEST(a_session_that_leaves_while_the_datastore_works_is_not_answered),
		TEST(answers_that_come_after_the_manager_are_harmless),
		TEST(a_datastore_that_is_silent_fails_all_that_wait_at_once),
		TEST(every_push_has_its_own_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
