/* CUSTODY 5, 6: presence that a router has broadcast, or has begun to, is judged again by the next
 * one. All are told the same as before (who has had it recognises it), and nothing is changed. */
#include "tests/unit/session/fake_host.h"

#include "session/manager.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.org"
#define NURSE  "nurse@example.com"
#define ROOM   "lobby@rooms.example.com"
#define J      "juliet@example.com/balcony"
#define C      "juliet@example.com/chamber"
#define R      "romeo@example.org/orchard"
#define SAID   "consumed: rfc6121-4.2 presence broadcast\n"
#define LEFT   "consumed: rfc6121-4.5 presence broadcast\n"
#define OVER   "consumed: rfc6121-4.4 presence that a later one has replaced\n"

/* The number of the stanza that is sent next; all of them have been sent before. */
static uint64_t number;
static bool is_resent;

static void origin(void *ctx, const struct custody_entry *e, uint64_t *sid, uint64_t *n)
{
	(void)ctx;
	(void)e;
	*sid = 1;
	*n = number;
}

static bool repeated(void *ctx, const struct custody_entry *e)
{
	(void)ctx;
	(void)e;
	return is_resent;
}

static void watch(struct fake *f, bool resent)
{
	f->m->host.origin = origin;
	f->m->host.repeated = repeated;
	is_resent = resent;
}

static void say(struct fake *f, uint64_t n, const char *type, const char *to, const char *inner)
{
	number = n;
	presence(f, 1, type, to, inner);
}

/* The next router: sessions come with what their cms keep. */
static void restart(struct fake *f)
{
	fake_restart(f);
	for (; f->nrequests; f->nrequests--) { /* nobody waits for those any more */
		struct fake_request *r = &f->requests[f->nrequests - 1];

		r->done(r->arg, ERR_CLOSED, 0, SLICE_NONE);
		free(r->body);
	}
	watch(f, true);
	assert_int_equal(announce(f, 2, R, str_slice(&f->blobs[2])), ERR_OK);
	assert_int_equal(announce(f, 3, C, str_slice(&f->blobs[3])), ERR_OK);
	assert_int_equal(announce(f, 1, J, str_slice(&f->blobs[1])), ERR_OK);
	fake_forget(f);
}

/* Romeo, and another resource of Juliet, are available. */
static void company(struct fake *f)
{
	contact(f, JULIET, ROMEO, "both");
	contact(f, ROMEO, JULIET, "both");
	watch(f, false);
	number = 1;
	online(f, 2, ROMEO, "orchard", "1");
	online(f, 3, JULIET, "chamber", "3");
	bind_to(f, 1, JULIET, "balcony");
	f->show_inner = true;
	fake_forget(f);
}

/* Whether somebody's contacts must be read first is no difference. */
static void take_out(char *text, const char *line)
{
	char *at = strstr(text, line);

	assert_non_null(at);
	memmove(at, at + strlen(line), strlen(at + strlen(line)) + 1);
}

static void assert_same(struct fake *f, uint64_t n, const char *type, const char *inner)
{
	char *first;

	say(f, n, type, "", inner);
	first = xstrdup(f->trace.data);
	assert_non_null(strstr(first, "sid=2 presence"));
	restart(f);
	say(f, n, type, "", inner);
	take_out(first, SAID);
	take_out(f->trace.data, SAID);
	assert_string_equal(f->trace.data, first);
	free(first);
}

static void initial_presence_shows_the_same_to_the_same(void **state)
{
	struct fake *f = *state;

	company(f);
	assert_same(f, 1, "", "<show>chat</show>");
	assert_non_null(strstr(f->trace.data, "answer sid=1 presence from=" R));
	assert_non_null(strstr(f->trace.data, "answer sid=1 presence from=" C));
}

static void a_router_that_died_while_contacts_were_read_has_shown_nobody_yet(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, ROOM, "to");
	watch(f, false);
	number = 9;
	bind_to(f, 2, ROMEO, "orchard");
	bind_to(f, 3, JULIET, "chamber");
	bind_to(f, 1, JULIET, "balcony");
	f->slow_store = true;
	say(f, 1, "", "", "");
	restart(f);
	f->slow_store = false;
	say(f, 1, "", "", "");
	assert_non_null(strstr(f->trace.data, "answer sid=30 presence probe from=" J));
}

static void an_update_is_told_to_the_same_and_shows_nobody_again(void **state)
{
	struct fake *f = *state;

	company(f);
	say(f, 1, "", "", "");
	fake_forget(f);
	assert_same(f, 2, "", "<show>dnd</show>");
	assert_null(strstr(f->trace.data, "answer"));
}

static void what_was_replaced_since_is_not_shown_again(void **state)
{
	struct fake *f = *state;

	company(f);
	say(f, 1, "", "", "");
	say(f, 2, "", "", "<show>away</show>");
	say(f, 3, "", "", "<show>dnd</show>");
	restart(f);
	say(f, 2, "", "", "<show>away</show>");
	assert_null(strstr(f->trace.data, "away"));
	assert_non_null(strstr(f->trace.data, "deliver sid=2 presence from=" J " to=" ROMEO
					      " <show>dnd</show>\n"));
	fake_forget(f);
	presence(f, 2, "probe", JULIET "/balcony", "");
	assert_non_null(strstr(f->trace.data, "<show>dnd</show>"));
}

static void unavailable_is_told_to_the_same(void **state)
{
	struct fake *f = *state;

	company(f);
	say(f, 1, "", "", "");
	say(f, 2, "", ROOM "/juliet", "");
	fake_forget(f);
	say(f, 3, "unavailable", "", "<status>bye</status>");
	fake_forget(f);
	restart(f);
	say(f, 3, "unavailable", "", "<status>bye</status>");
	expect(f,
	       "deliver sid=3 presence unavailable from=" J " to=" JULIET " <status>bye</status>\n"
	       "deliver sid=1 presence unavailable from=" J " to=" JULIET " <status>bye</status>\n"
	       "deliver sid=2 presence unavailable from=" J " to=" ROMEO " <status>bye</status>\n"
	       "deliver sid=30 presence unavailable from=" J " to=" ROOM
	       "/juliet <status>bye</status>\n" LEFT);
	/* The end of the session is no news. */
	session_unbind(f->m, 1, S("gone"), NOW);
	expect(f, "");
}

static void presence_from_before_an_unavailable_is_over(void **state)
{
	struct fake *f = *state;

	company(f);
	say(f, 1, "", "", "");
	say(f, 2, "", ROOM "/juliet", "");
	say(f, 3, "unavailable", "", "");
	restart(f);
	say(f, 1, "", "", "");
	expect(f, OVER);
	/* Directed presence is repeated, but not remembered anew. */
	say(f, 2, "", ROOM "/juliet", "");
	fake_forget(f);
	session_unbind(f->m, 1, S("gone"), NOW);
	expect(f, "");
}

static void an_unavailable_from_before_it_came_back_is_over(void **state)
{
	struct fake *f = *state;

	company(f);
	say(f, 1, "", "", "");
	say(f, 2, "unavailable", "", "");
	say(f, 3, "", "", "");
	restart(f);
	say(f, 1, "", "", "");
	expect(f, OVER);
	say(f, 2, "unavailable", "", "");
	expect(f, OVER);
	say(f, 3, "", "", "");
	assert_non_null(strstr(f->trace.data, "answer sid=1 presence from=" R));
}

/* Somebody who came after Juliet was shown her, and she has seen him come. */
static void who_came_later_is_not_told_again(void **state)
{
	struct fake *f = *state;

	contact(f, JULIET, ROMEO, "both");
	contact(f, ROMEO, JULIET, "both");
	watch(f, false);
	bind_to(f, 1, JULIET, "balcony");
	say(f, 1, "", "", "");
	number = 1;
	online(f, 2, ROMEO, "orchard", "1");
	online(f, 3, JULIET, "chamber", "3");
	restart(f);
	say(f, 1, "", "", "");
	expect(f, "deliver sid=1 presence from=" J " to=" JULIET "\n" SAID);
	say(f, 2, "", "", "");
	assert_non_null(strstr(f->trace.data, "deliver sid=2 presence from=" J));
	assert_non_null(strstr(f->trace.data, "deliver sid=3 presence from=" J));
	/* That is later than both. */
	fake_forget(f);
	restart(f);
	say(f, 2, "", "", "");
	assert_non_null(strstr(f->trace.data, "deliver sid=2 presence from=" J));
	assert_non_null(strstr(f->trace.data, "deliver sid=3 presence from=" J));
}

static void what_no_router_has_judged_is_new(void **state)
{
	struct fake *f = *state;

	company(f);
	say(f, 1, "", "", "");
	restart(f);
	say(f, 2, "", "", "<show>xa</show>");
	fake_forget(f);
	say(f, 3, "unavailable", "", "");
	assert_non_null(strstr(f->trace.data, "deliver sid=2 presence unavailable"));
	fake_forget(f);
	/* Sent to this router alone: nobody asks an earlier one. */
	is_resent = false;
	say(f, 1, "", "", "");
	assert_non_null(strstr(f->trace.data, SAID));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
		T(initial_presence_shows_the_same_to_the_same),
		T(a_router_that_died_while_contacts_were_read_has_shown_nobody_yet),
		T(an_update_is_told_to_the_same_and_shows_nobody_again),
		T(what_was_replaced_since_is_not_shown_again),
		T(unavailable_is_told_to_the_same),
		T(presence_from_before_an_unavailable_is_over),
		T(an_unavailable_from_before_it_came_back_is_over),
		T(who_came_later_is_not_told_again),
		T(what_no_router_has_judged_is_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
