/* Copies for bystanders (custody_copy, XEP-0280): they delay a stanza's end and say nothing of it.
 */
#include "tests/unit/router/custody_bed.h"

#include "router/custody_types.h"

static const struct monotime later = {1000000};

static struct session_stanza copy_text(void)
{
	struct session_stanza s = text("copy");

	s.flags = STANZA_CARBON;
	return s;
}

/* Stanza 1 of session 1 at cm 0, to session 2 at cm 1, with a copy for session 3 at cm 2. */
static struct custody_entry *send_with_copy(struct bed *b, struct endpoint *from,
					    struct endpoint *to, struct endpoint *seer)
{
	struct custody_entry *e = accept_from(b, from, 1);
	struct session_stanza s = text("hello"), copy = copy_text();

	custody_deliver(b->c, e, to, &s);
	custody_copy(b->c, e, seer, &copy, false);
	return e;
}

static void a_stanza_is_settled_after_its_copy_but_not_by_it(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2), *seer = client(b, 2, 3);

	custody_handled(b->c, send_with_copy(b, from, to, seer));
	expect(b, 1, "DELIVER 2 q1 hello;");
	bed_got(b, 2, "DELIVER 3 q1 copy;");
	custody_delivered(b->c, to, 1);
	expect(b, 0, "HELD 1 n1;");
	custody_delivered(b->c, seer, 1);
	expect(b, 0, "SETTLED 1 n1 how1;");
	assert_int_equal(custody_books(b->c)->held, 0);
}

static void a_copy_alone_does_not_make_it_delivered(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2), *seer = client(b, 2, 3);

	custody_handled(b->c, send_with_copy(b, from, to, seer));
	bed_turn(b);
	custody_delivered(b->c, seer, 1);
	endpoint_remove(b->c, to, "gone");
	assert_string_equal(b->judged.data, "2:hello:gone;");
	str_reset(&b->cm[0].text);
	expect(b, 0, "SETTLED 1 n1 how5;");
}

static void an_undelivered_copy_is_dropped_and_judged_by_nobody(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2), *seer = client(b, 2, 3);

	custody_handled(b->c, send_with_copy(b, from, to, seer));
	bed_turn(b);
	endpoint_remove(b->c, seer, "gone");
	assert_int_equal(b->judged.len, 0);
	custody_delivered(b->c, to, 1);
	str_reset(&b->cm[0].text);
	expect(b, 0, "SETTLED 1 n1 how1;");
	assert_int_equal(custody_books(b->c)->settled[SETTLED_DISCARDED], 1);
}

static void nobody_is_given_two_and_who_has_the_stanza_none(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2), *seer = client(b, 2, 3);
	struct custody_entry *e = send_with_copy(b, from, to, seer);
	struct session_stanza copy = copy_text(), error = copy_text();

	custody_copy(b->c, e, seer, &copy, false);
	custody_copy(b->c, e, to, &copy, false);
	bed_turn(b);
	custody_delivered(b->c, seer, 1);
	custody_copy(b->c, e, seer, &copy, false);
	bed_turn(b);
	bed_got(b, 1, "DELIVER 2 q1 hello;");
	bed_got(b, 2, "DELIVER 3 q1 copy;");
	/* That of its error is another. */
	error.type = TYPE_ERROR;
	error.inner = slice_str("error");
	custody_copy(b->c, e, seer, &error, false);
	custody_copy(b->c, e, seer, &error, false);
	expect(b, 2, "DELIVER 3 q2 error;");
	custody_handled(b->c, e);
}

static void whether_a_client_has_had_its_copy_is_known(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2), *seer = client(b, 2, 3);
	struct custody_entry *e = send_with_copy(b, from, to, seer);

	bed_turn(b);
	assert_true(custody_had_copy(b->c, e, seer)); /* it is on its way */
	custody_delivered(b->c, seer, 1);
	assert_true(custody_had_copy(b->c, e, seer));
	assert_false(custody_had_copy(b->c, e, to));
	custody_handled(b->c, e);
}

/* As the router does it: what came is kept as long as somebody may have to judge it again. */
static void handled(struct bed *b, struct custody_entry *e)
{
	custody_keep(e,
		     &(struct msg_stanza){
			     .sid = 1, .n = 1, .kind = STANZA_MESSAGE, .inner = slice_str("hello")},
		     slice_str("a@x.test/r"));
	custody_handled(b->c, e);
}

static void a_copy_that_stands_for_its_stanza_is_what_that_waits_for(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2), *seer = client(b, 2, 3);
	struct custody_entry *e = send_with_copy(b, from, to, seer);
	struct session_stanza copy = copy_text();

	custody_copy(b->c, e, seer, &copy, true);
	custody_conclude(e, SETTLED_DELIVERED);
	handled(b, e);
	bed_turn(b);
	bed_got(b, 2, "DELIVER 3 q1 copy;");
	custody_delivered(b->c, to, 1);
	assert_int_equal(custody_books(b->c)->held, 2);
	custody_delivered(b->c, seer, 1);
	assert_int_equal(custody_books(b->c)->settled[SETTLED_DELIVERED], 2);
	assert_int_equal(b->judged.len, 0);
}

static void when_it_fails_the_stanza_itself_is_judged(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *seer = client(b, 2, 3);
	struct custody_entry *e = accept_from(b, from, 1);
	struct session_stanza copy = copy_text();

	custody_copy(b->c, e, seer, &copy, false);
	custody_copy(b->c, e, seer, &copy, true);
	custody_conclude(e, SETTLED_DELIVERED);
	handled(b, e);
	bed_turn(b);
	endpoint_remove(b->c, seer, "gone");
	assert_string_equal(b->judged.data, "3:hello:gone;");
	assert_int_equal(custody_books(b->c)->held, 0);
	assert_int_equal(custody_books(b->c)->settled[SETTLED_DISCARDED], 2);
}

/* Its row is on disk, and the stanza waited for it no more. */
static void a_spooled_copy_may_stand_for_its_stanza_too(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2), *seer = sm_client(b, 2, 3);
	struct session_stanza copy = copy_text();
	struct custody_entry *e;

	detach(b, seer);
	e = send_with_copy(b, from, to, seer);
	handled(b, e);
	bed_turn(b);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 3;answer 3 n1;");
	custody_hold(e); /* session/ judges it again */
	custody_copy(b->c, e, seer, &copy, true);
	custody_release(b->c, e);
	custody_delivered(b->c, to, 1);
	bed_sync(b);
	assert_int_equal(custody_books(b->c)->held, 2);
	assert_int_equal(endpoint_resume(b->c, seer, b->cm[2].peer, 5, 0), ERR_OK);
	bed_turn(b);
	custody_delivered(b->c, seer, 1);
	bed_sync(b);
	assert_int_equal(custody_books(b->c)->held, 0);
}

/* The resent stanza 1 of session 1. */
static struct custody_entry *resent(struct bed *b, struct endpoint *from)
{
	return custody_accept(b->c, b->cm[0].peer, from, 1, 10, true);
}

static void after_a_restart_a_copy_is_known_by_its_stanzas_origin_whoever_else_had_one(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2), *seer = client(b, 2, 3);
	struct endpoint *another = client(b, 2, 4);
	struct session_stanza s = text("hello"), copy = copy_text();
	struct custody_entry *e;

	have(b, to, 1, 1, 1, true);
	have(b, seer, 1, 1, 1 | CUSTODY_COPY, true);
	e = resent(b, from);
	custody_deliver(b->c, e, to, &s);
	/* One more has come between: its copy is made first. */
	custody_copy(b->c, e, another, &copy, false);
	custody_copy(b->c, e, seer, &copy, false);
	assert_true(custody_had_copy(b->c, e, seer));
	custody_handled(b->c, e);
	custody_restored(b->c);
	bed_turn(b);
	bed_got(b, 1, "");
	bed_got(b, 2, "DELIVER 4 q1 copy;");
	custody_delivered(b->c, another, 1);
	str_reset(&b->cm[0].text);
	expect(b, 0, "SETTLED 1 n1 how1;");
}

static void after_a_restart_who_had_the_stanza_gets_no_copy(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *seer = client(b, 2, 3);
	struct session_stanza copy = copy_text();
	struct custody_entry *e;

	have(b, seer, 1, 1, 1, true);
	e = resent(b, from);
	custody_copy(b->c, e, seer, &copy, false);
	custody_handled(b->c, e);
	custody_restored(b->c);
	bed_turn(b);
	bed_got(b, 2, "FORGET 3 q1;"); /* nobody claimed it */
}

static void
a_copy_for_somebody_away_burdens_its_stanza_no_longer_than_until_it_is_on_disk(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2), *seer = sm_client(b, 2, 3);
	struct custody_entry *e;

	detach(b, seer);
	e = send_with_copy(b, from, to, seer);
	custody_handled(b->c, e);
	bed_turn(b);
	custody_delivered(b->c, to, 1);
	custody_spool(b->c, later, 0);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "session 3;answer 3 n1;");
	str_reset(&b->cm[0].text);
	expect(b, 0, "SETTLED 1 n1 how1;");
	assert_int_equal(endpoint_resume(b->c, seer, b->cm[2].peer, 5, 0), ERR_OK);
	bed_turn(b);
	custody_delivered(b->c, seer, 1);
	bed_sync(b);
	assert_null(bed_row(b, 3, SHELF_ANSWER, 1));
}

/* Found by the simulator (seed 845): nobody but the router held what the copy is made of. */
static void what_only_waits_for_its_copy_is_on_the_shelf_when_its_senders_cm_dies(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = sm_client(b, 0, 1), *to = client(b, 1, 2),
			*seer = sm_client(b, 2, 3);
	struct session_stanza s = text("hello"), copy = copy_text();
	struct custody_entry *e;

	have(b, to, 1, 1, 1, true);
	detach(b, seer);
	e = resent(b, from);
	custody_deliver(b->c, e, to, &s);
	custody_copy(b->c, e, seer, &copy, false);
	custody_keep(e,
		     &(struct msg_stanza){
			     .sid = 1, .n = 1, .kind = STANZA_MESSAGE, .inner = slice_str("hello")},
		     slice_str("a@x.test/r"));
	custody_handled(b->c, e);
	custody_restored(b->c);
	bed_turn(b);
	bed_cm_dies(b, 0);
	bed_sync(b);
	assert_non_null(bed_row(b, 1, SHELF_STANZA, 1));
	bed_cm_start(b, 0);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)
#define STARTING(name) cmocka_unit_test_setup_teardown(name, bed_setup_starting, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stanza_is_settled_after_its_copy_but_not_by_it),
		TEST(a_copy_alone_does_not_make_it_delivered),
		TEST(an_undelivered_copy_is_dropped_and_judged_by_nobody),
		TEST(nobody_is_given_two_and_who_has_the_stanza_none),
		TEST(whether_a_client_has_had_its_copy_is_known),
		TEST(a_copy_that_stands_for_its_stanza_is_what_that_waits_for),
		TEST(when_it_fails_the_stanza_itself_is_judged),
		TEST(a_spooled_copy_may_stand_for_its_stanza_too),
		STARTING(
			after_a_restart_a_copy_is_known_by_its_stanzas_origin_whoever_else_had_one),
		STARTING(after_a_restart_who_had_the_stanza_gets_no_copy),
		TEST(a_copy_for_somebody_away_burdens_its_stanza_no_longer_than_until_it_is_on_disk),
		STARTING(what_only_waits_for_its_copy_is_on_the_shelf_when_its_senders_cm_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
