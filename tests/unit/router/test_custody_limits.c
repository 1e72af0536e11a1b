/* How much may wait for a session, for a domain and in all: what is more is judged with
 * resource-constraint, and every account is back at 0 when all is over. */
#include "tests/unit/router/custody_bed.h"

#define TEXT_100                                         \
	"0123456789012345678901234567890123456789012345" \
	"678901234567890123456789012345678901234567890123456789"

static size_t queued_of(const struct bed *b, const char *domain)
{
	size_t it = 0, queued;
	struct slice name;

	while (custody_next_domain(b->c, &it, &name, &queued))
		if (slice_is(name, domain))
			return queued;
	return 0;
}

static struct endpoint *client_of(struct bed *b, int cm, uint64_t sid, const char *jid)
{
	return endpoint_add(b->c, b->cm[cm].peer, sid, 1, SESSION_CLIENT, 1, slice_str(jid));
}

static size_t judged_count(const struct bed *b)
{
	size_t count = 0;

	for (const char *at = b->judged.data; (at = strstr(at, ":resource-constraint;")); at++)
		count++;
	return count;
}

/* One record is 100 bytes of text and 61 to 100 of envelope. */
static void each_limit_refuses_what_exceeds_it(void **state)
{
	static const struct {
		const char *name;
		struct custody_limits limits;
		const char *first, *second; /* receivers, in turn */
		size_t refused;		    /* of 8 */
	} cases[] = {
		{"none", {.flight = 1 << 20, .queue = 1 << 20}, "a@x/1", "b@y/1", 0},
		{"a session", {.flight = 1 << 20, .queue = 400}, "a@x/1", "b@x/1", 4},
		{"a domain",
		 {.flight = 1 << 20, .queue = 4000, .domain = 400},
		 "a@x/1",
		 "b@x/1",
		 6},
		{"two domains",
		 {.flight = 1 << 20, .queue = 4000, .domain = 400},
		 "a@x/1",
		 "b@y/1",
		 4},
		{"in all", {.flight = 1 << 20, .queue = 4000, .total = 400}, "a@x/1", "b@y/1", 6},
		{"a domain itself",
		 {.flight = 1 << 20, .queue = 4000, .domain = 400},
		 "x",
		 "b@x",
		 6},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bed *b = bed_new(cases[i].limits);
		struct endpoint *from = client_of(b, 0, 1, "s@z/1");
		struct endpoint *one = client_of(b, 1, 2, cases[i].first);
		struct endpoint *two = client_of(b, 1, 3, cases[i].second);

		custody_restored(b->c);
		for (uint64_t n = 1; n <= 8; n++)
			send_to(b, from, n, TEXT_100, n % 2 ? one : two, NULL);
		bed_turn(b);
		if (judged_count(b) != cases[i].refused)
			fail_msg("%s: %zu refused", cases[i].name, judged_count(b));
		bed_turn(b);
		custody_delivered(b->c, one, 8);
		custody_delivered(b->c, two, 8);
		assert_int_equal(custody_books(b->c)->held, 0);
		assert_int_equal(custody_books(b->c)->queued, 0);
		assert_int_equal(queued_of(b, "x"), 0);
		/* there is room again */
		send_to(b, from, 9, TEXT_100, one, NULL);
		bed_turn(b);
		assert_int_equal(judged_count(b), cases[i].refused);
		assert_true(endpoint_queued(one) > 100);
		assert_int_equal(queued_of(b, "x"), endpoint_queued(one));
		bed_teardown((void **)&b);
	}
}

static void a_change_of_the_limits_counts_from_then_on(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);

	send_to(b, from, 1, TEXT_100, to, NULL);
	custody_set_limits(b->c, (struct custody_limits){.flight = 1 << 20, .queue = 100});
	send_to(b, from, 2, TEXT_100, to, NULL);
	bed_turn(b);
	assert_int_equal(judged_count(b), 1);
}

/* Of copies the one that fits is enough. */
static void a_copy_that_does_not_fit_is_not_missed(void **state)
{
	struct bed *b = bed_new((struct custody_limits){.flight = 1000, .queue = 400});
	struct endpoint *from = client_of(b, 0, 1, "s@z/1"), *full = client_of(b, 1, 2, "a@x/1");
	struct endpoint *other = client_of(b, 1, 3, "a@x/2");

	(void)state;
	custody_restored(b->c);
	send_to(b, from, 1, TEXT_100, full, NULL);
	send_to(b, from, 2, TEXT_100, full, NULL);
	send_to(b, from, 3, TEXT_100, full, other);
	bed_turn(b);
	assert_string_equal(b->judged.data, "");
	custody_delivered(b->c, other, 1);
	assert_int_equal(custody_books(b->c)->settled[SETTLED_DELIVERED], 1);
	bed_teardown((void **)&b);
}

/* In whatever way they end. */
static void the_accounts_are_at_0_when_all_is_over(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *plain = client_of(b, 1, 2, "a@x/1");
	struct endpoint *sm = sm_client(b, 1, 3), *gone = sm_client(b, 1, 4);
	struct endpoint *domain =
		endpoint_add(b->c, b->cm[2].peer, 9, 1, SESSION_DOMAIN, 1, slice_str("d"));

	for (uint64_t n = 1; n <= 20; n += 4) {
		send_to(b, from, n, TEXT_100, plain, sm);
		send_to(b, from, n + 1, TEXT_100, gone, domain);
		send_to(b, from, n + 2, TEXT_100, sm, domain);
		send_to(b, from, n + 3, TEXT_100, plain, gone);
	}
	bed_turn(b);
	assert_int_equal(custody_books(b->c)->queued,
			 queued_of(b, "x") + queued_of(b, "x.test") + queued_of(b, "d"));
	custody_delivered(b->c, plain, 2);
	custody_undeliverable(b->c, plain, 3, "gone");
	endpoint_remove(b->c, plain, "gone"); /* its manager has not said UNBIND yet */
	assert_int_equal(queued_of(b, "x"), 0);
	detach(b, sm);
	custody_spool(b->c, (struct monotime){.us = 1}, 0);
	bed_cm_dies(b, 2); /* the domain's queue waits */
	assert_true(queued_of(b, "d") > 1000);
	take_over(b, &domain, 0, 10);
	assert_true(queued_of(b, "d") > 1000);
	bed_turn(b);
	custody_delivered(b->c, domain, 10);
	assert_int_equal(queued_of(b, "d"), 0);
	assert_int_equal(endpoint_resume(b->c, sm, b->cm[0].peer, 7, 4), ERR_OK);
	bed_turn(b);
	custody_delivered(b->c, sm, 20);
	assert_int_equal(endpoint_queued(sm), 0);
	bed_cm_dies(b, 1);
	assert_int_equal(endpoint_queued(gone) + 0, custody_books(b->c)->queued);
	endpoint_release(gone);
	endpoint_remove(b->c, gone, "gone");
	assert_int_equal(custody_books(b->c)->queued, 0);
	assert_int_equal(queued_of(b, "x.test"), 0);
	assert_int_equal(custody_books(b->c)->held, 0);
	assert_int_equal(custody_books(b->c)->held_bytes, 0);
	bed_sync(b);
	bed_turn(b);
	bed_turn(b);
	bed_sync(b);
	assert_string_equal(bed_rows(b), "");
}

/* What a manager announced as not delivered counts when its stanza came again. */
static void what_is_claimed_after_a_start_is_counted(void **state)
{
	struct bed *b = *state;
	struct endpoint *from = client(b, 0, 1), *to = client(b, 1, 2);
	struct session_stanza s = text(TEXT_100);
	struct custody_entry *e;

	have(b, to, 1, 1, 1, false);
	assert_int_equal(endpoint_queued(to), 0);
	e = custody_accept(b->c, b->cm[0].peer, from, 1, 10, true);
	custody_deliver(b->c, e, to, &s);
	custody_handled(b->c, e);
	assert_true(endpoint_queued(to) > 100);
	custody_restored(b->c);
	custody_delivered(b->c, to, 1);
	assert_int_equal(endpoint_queued(to), 0);
	assert_int_equal(queued_of(b, "x.test"), 0);
	assert_int_equal(custody_books(b->c)->queued, 0);
}

#define T(f)	    cmocka_unit_test_setup_teardown(f, bed_setup, bed_teardown)
#define STARTING(f) cmocka_unit_test_setup_teardown(f, bed_setup_starting, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_limit_refuses_what_exceeds_it),
		T(a_change_of_the_limits_counts_from_then_on),
		cmocka_unit_test(a_copy_that_does_not_fit_is_not_missed),
		T(the_accounts_are_at_0_when_all_is_over),
		STARTING(what_is_claimed_after_a_start_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
