/*
 * The judge is fed ledgers in which something is wrong, and must say so: a test that cannot fail
 * proves nothing. And ledgers in which all is as promised, which it must let pass.
 */
#include "tests/unit/ledger/judge_scene.h"

static void finds_what_was_lost(void **state)
{
	static const struct story stories[] = {
		BROKEN("never seen", "sk", COUNT_LOST, 1),
		BROKEN("one of three", "skxsksKkx", COUNT_LOST, 1),
		BROKEN("a request", "ik", COUNT_LOST, 1),
		BROKEN("a request to a session that has gone", "ike", COUNT_LOST, 1),
		BROKEN("a request of a session that has gone", "ikj", COUNT_LOST, 1),
		BROKEN("to a full JID, even when that session has ended", "Ske", COUNT_LOST, 1),
		BROKEN("sent anew and acknowledged then", "snk", COUNT_LOST, 1),
		BROKEN("the server does not answer", "pk", COUNT_LOST, 1),
		BROKEN("acknowledged although something died", "stk", COUNT_LOST, 1),
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_hangs(void **state)
{
	static const struct story stories[] = {
		BROKEN("seen and not acknowledged", "sx", COUNT_STUCK, 1),
		BROKEN("neither", "s", COUNT_STUCK, 1),
		KEPT("its sender has gone", "sj"),
		{"a plain client's ping on a living connection", "p", true, false, COUNT_STUCK, 1,
		 0, 0},
		{"a plain client's message: nobody acknowledges", "s", true, false, COUNTS, 0, 0,
		 0},
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_comes_twice(void **state)
{
	static const struct story stories[] = {
		BROKEN("twice", "skxx", COUNT_TWICE, 1),
		BROKEN("three times", "skxxx", COUNT_TWICE, 2),
		BROKEN("twice much later", "skxskx1", COUNT_TWICE, 1),
		BROKEN("more often than it was sent", "sxnkxx", COUNT_TWICE, 1),
		KEPT("the sender could not resume", "sxnxk"),
		KEPT("the receiver could not resume", "skxex"),
		KEPT("both clients of an account", "skxo"),
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_is_overtaken(void **state)
{
	static const struct story stories[] = {
		BROKEN("the second first", "ssKkxX", COUNT_OVERTAKEN, 1),
		BROKEN("full JID", "SSKkxX", COUNT_OVERTAKEN, 1),
		BROKEN("a request overtakes a message", "SiKkxX", COUNT_OVERTAKEN, 1),
		BROKEN("the first of three last", "skskskxX1", COUNT_OVERTAKEN, 2),
		KEPT("bare and full are two addresses", "sSKkxX"),
		KEPT("in order", "skxskxskx"),
		KEPT("sent before the receiver's session began", "ssKkexX"),
		KEPT("sent anew", "snskKxX"),
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_goes_to_the_wrong_place(void **state)
{
	static const struct story stories[] = {
		BROKEN("another user", "skxh", COUNT_MISROUTED, 1),
		BROKEN("another client of the account", "Sko", COUNT_ASTRAY, 1),
		KEPT("another client, but the session has ended", "Skeo"),
		KEPT("the next session of the same client", "Skex"),
	};

	(void)state;
	STORIES(stories);
}

static void lets_pass_what_is_allowed(void **state)
{
	static const struct story stories[] = {
		KEPT("seen", "skx"),
		KEPT("bounced", "skb"),
		KEPT("a request bounced", "ikb"),
		KEPT("seen before it is acknowledged", "sxk"),
		KEPT("a ping answered", "pPk"),
		KEPT("a ping whose session has gone", "pkj"),
		KEPT("a request between two sessions that have gone", "ikej"),
		{"a plain sender while something dies", "stk", true, false, COUNTS, 0, 0, 0},
		{"to a plain client that vanishes then", "ske", false, true, COUNTS, 0, 0, 0},
		{"to a plain client just before its first session ends", "seek", false, true,
		 COUNTS, 0, 0, 0},
	};

	(void)state;
	STORIES(stories);
}

static void finds_copies_that_are_lost(void **state)
{
	static const struct story stories[] = {
		BROKEN("the sender's other client", "cSkxr", COUNT_CARBON_LOST, 1),
		BROKEN("the addressee's other client", "cSkxy", COUNT_CARBON_LOST, 1),
		BROKEN("both", "cSkx", COUNT_CARBON_LOST, 2),
		BROKEN("to a bare JID: neither message nor copy", "cskxy", COUNT_CARBON_LOST, 1),
		BROKEN("it comes to the other one only", "cSkyr", COUNT_LOST, 1),
		KEPT("a copy each", "cSkxry"),
		KEPT("the message itself", "cskxoy"),
		KEPT("before the answer", "Scxk"),
		KEPT("a client that is gone", "cSkxrl"),
		KEPT("nobody wants any", "Skx"),
		KEPT("requests are not copied", "cikx"),
		KEPT("it came back", "cSkb"),
		KEPT("its session has gone, the other client has seen it", "cSkery"),
	};

	(void)state;
	STORIES(stories);
}

static void finds_copies_that_come_twice_or_in_the_wrong_order(void **state)
{
	static const struct story stories[] = {
		BROKEN("twice", "cSkxryy", COUNT_CARBON_TWICE, 1),
		BROKEN("message and copy", "cskxory", COUNT_CARBON_TWICE, 1),
		BROKEN("copy and message", "cskxroy", COUNT_CARBON_TWICE, 1),
		BROKEN("the second first, of what was sent", "cSSKkXxRryY", COUNT_CARBON_OVERTAKEN,
		       1),
		BROKEN("... of what was received", "cSSKkXxrRYy", COUNT_CARBON_OVERTAKEN, 1),
		BROKEN("of one's own", "cSkxryz", COUNT_CARBON_ASTRAY, 1),
		BROKEN("unasked", "Skxq", COUNT_CARBON_ASTRAY, 1),
		KEPT("in order", "cSSKkXxRrYy"),
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_is_wrong_in_archives(void **state)
{
	static const struct story stories[] = {
		BROKEN("in neither", "skxa", COUNT_ARCHIVE_HOLE, 2),
		BROKEN("not in the sender's", "skx)a", COUNT_ARCHIVE_HOLE, 1),
		BROKEN("not in the receiver's", "skx(a", COUNT_ARCHIVE_HOLE, 1),
		BROKEN("one of two", "sskKXxLa", COUNT_ARCHIVE_HOLE, 2),
		BROKEN("twice", "skxA(a", COUNT_ARCHIVE_TWICE, 1),
		BROKEN("the second first", "sskKXxALa", COUNT_ARCHIVE_OVERTAKEN, 2),
		BROKEN("a third party's", "skxATa", COUNT_ARCHIVE_ASTRAY, 1),
		BROKEN("another name", "skNMa", COUNT_ARCHIVE_NAME, 1),
		KEPT("in both", "sskKXxLAa"),
		KEPT("the same name", "skNAa"),
		KEPT("it came back, and is in the sender's", "skb(a"),
		KEPT("it came back, and is in none", "skba"),
		KEPT("a request", "ikxa"),
		KEPT("sent anew, and archived twice", "snkxAAa"),
		KEPT("not read", "skx"),
		{"a plain client was on its way out, but it was delivered", "ske(a", false, true,
		 COUNT_ARCHIVE_HOLE, 1, 0, 0},
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_passes_a_block(void **state)
{
	static const struct story stories[] = {
		BROKEN("delivered", "BDskx", COUNT_BLOCKED_SEEN, 1),
		BROKEN("by who blocks", "Oskx", COUNT_BLOCKED_SEEN, 1),
		BROKEN("a request", "BDikx", COUNT_BLOCKED_SEEN, 1),
		BROKEN("as a copy", "cBDskbr", COUNT_BLOCKED_SEEN, 1),
		BROKEN("archived", "BDskb)a", COUNT_BLOCKED_SEEN, 1),
		BROKEN("neither delivered nor refused", "BDsk", COUNT_LOST, 1),
		BROKEN("refused twice", "BDskbb", COUNT_BOUNCED_TWICE, 1),
		BROKEN("told that it is blocked", "BDskg", COUNT_WRONG_ERROR, 1),
		BROKEN("not told who blocks whom", "Oskb", COUNT_WRONG_ERROR, 1),
		BROKEN("nobody blocks anybody", "skg", COUNT_WRONG_ERROR, 1),
		KEPT("refused", "BDskb"),
		KEPT("refused to who blocks", "Oskg"),
		KEPT("the list could not be read", "BDskd"),
		KEPT("delivered while it is being set", "BskxD"),
		KEPT("sent before, seen after", "sBDkx"),
		KEPT("refused while it is being set", "BskbD"),
		KEPT("delivered while it is being taken back", "BDskUx"),
		KEPT("delivered after it is over", "BDwUVskx"),
		KEPT("its error went with the session", "BDskj"),
		KEPT("in the sender's archive", "BDskb(a"),
		KEPT("not in the archive of who was just blocking", "skxBD(a"),
	};

	(void)state;
	STORIES(stories);
}

static void plain_clients_are_judged_when_nothing_dies(void **state)
{
	static const struct story stories[] = {
		{"from one", "sk", true, false, COUNT_LOST, 1, 0, 0},
		{"from one, long after a death", "twsk", true, false, COUNT_LOST, 1, 0, 0},
		{"to one that stays", "sk", false, true, COUNT_LOST, 1, 0, 0},
		{"to one that vanishes long after", "skwe", false, true, COUNT_LOST, 1, 0, 0},
		{"to one that vanished long before", "ewsk", false, true, COUNT_LOST, 1, 0, 0},
		{"seen twice by one", "skxx", false, true, COUNT_TWICE, 1, 0, 0},
	};

	(void)state;
	STORIES(stories);
}

static void the_table_adds_up(void **state)
{
	static const struct story story = {"", "skxskbiKkxpPkSke", 0, 0, COUNTS, 1, 0, 0};
	struct verdict v;
	struct scene s;

	(void)state;
	tell(&story, &v, &s);
	const struct row *r = &v.rows[ROW_SM_SM];
	assert_int_equal(r->sent, 4);
	assert_int_equal(r->acknowledged, 4);
	assert_int_equal(r->received, 2);
	assert_int_equal(r->bounced, 1);
	assert_int_equal(r->lost, 1);
	assert_int_equal(v.rows[ROW_SERVER].sent, 1);
	assert_int_equal(v.rows[ROW_SERVER].received, 1);
	assert_int_equal(v.counts[COUNT_LOST], 1);
}

static void strict_makes_refusals_breaches(void **state)
{
	struct verdict v = {0};

	(void)state;
	v.counts[COUNT_RESUME_REFUSED] = 2;
	v.counts[COUNT_DROPS] = 100;
	assert_int_equal(verdict_breaches(&v, false), 0);
	assert_int_equal(verdict_breaches(&v, true), 2);
	v.counts[COUNT_BAD_H] = 1;
	assert_int_equal(verdict_breaches(&v, false), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_lost),
		cmocka_unit_test(finds_what_hangs),
		cmocka_unit_test(finds_what_comes_twice),
		cmocka_unit_test(finds_what_is_overtaken),
		cmocka_unit_test(finds_what_goes_to_the_wrong_place),
		cmocka_unit_test(lets_pass_what_is_allowed),
		cmocka_unit_test(finds_copies_that_are_lost),
		cmocka_unit_test(finds_copies_that_come_twice_or_in_the_wrong_order),
		cmocka_unit_test(finds_what_is_wrong_in_archives),
		cmocka_unit_test(finds_what_passes_a_block),
		cmocka_unit_test(plain_clients_are_judged_when_nothing_dies),
		cmocka_unit_test(the_table_adds_up),
		cmocka_unit_test(strict_makes_refusals_breaches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
