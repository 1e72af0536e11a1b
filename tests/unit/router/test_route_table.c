#include <stdio.h>

#include "ipc/stanza_kinds.h"
#include "router/route_table.h"
#include "tests/support/cmocka_first.h"

static void bind_refuses_a_domain_held_by_another_session(void **state)
{
	struct route_table *t = route_table_new();

	(void)state;
	assert_int_equal(route_table_bind(t, slice_str("a.test"), 1), ERR_OK);
	assert_int_equal(route_table_bind(t, slice_str("a.test"), 1), ERR_OK);
	assert_int_equal(route_table_bind(t, slice_str("a.test"), 2), ERR_CONFLICT);
	assert_int_equal(route_table_find(t, slice_str("a.test")), 1);
	assert_int_equal(route_table_find(t, slice_str("b.test")), 0);
	route_table_free(&t);
}

static void unbind_takes_out_every_domain_of_a_session_and_no_other(void **state)
{
	struct route_table *t = route_table_new();

	(void)state;
	route_table_bind(t, slice_str("a.test"), 1);
	route_table_bind(t, slice_str("b.test"), 1);
	route_table_bind(t, slice_str("c.test"), 2);
	route_table_unbind(t, 1);
	assert_int_equal(route_table_find(t, slice_str("a.test")), 0);
	assert_int_equal(route_table_find(t, slice_str("b.test")), 0);
	assert_int_equal(route_table_find(t, slice_str("c.test")), 2);
	assert_int_equal(route_table_bind(t, slice_str("a.test"), 3), ERR_OK);
	route_table_free(&t);
	route_table_free(&t);
}

#define D slice_str("c.test")

static const struct route_policy one = {.mode = DOMAIN_ONE};
static const struct route_policy shared = {.mode = DOMAIN_SHARED};
static const struct route_policy standby = {.mode = DOMAIN_STANDBY};

static uint64_t pick(const struct route_table *t, unsigned int peer)
{
	char jid[32];

	snprintf(jid, sizeof(jid), "u%u@x.test/r", peer);
	return route_table_pick(t, D, slice_str(jid));
}

static void a_domain_of_mode_one_takes_a_second_session_only_while_the_first_is_away(void **state)
{
	struct route_table *t = route_table_new();

	(void)state;
	assert_int_equal(route_table_join(t, D, 1, &one, 5), ERR_OK);
	assert_int_equal(route_table_join(t, D, 1, &one, 6), ERR_OK);
	assert_int_equal(route_table_join(t, D, 2, &one, 7), ERR_CONFLICT);
	route_table_set_away(t, 1, true);
	assert_int_equal(pick(t, 0), 1); /* there is no other */
	assert_int_equal(route_table_live(t, D), 0);
	assert_int_equal(route_table_join(t, D, 2, &one, 7), ERR_OK);
	assert_int_equal(pick(t, 0), 2);
	route_table_unbind(t, 2);
	assert_int_equal(pick(t, 0), 1);
	route_table_unbind(t, 1);
	assert_int_equal(pick(t, 0), 0);
	assert_int_equal(route_table_find(t, D), 0);
	route_table_free(&t);
}

static void no_more_are_taken_than_max_and_who_is_away_does_not_count(void **state)
{
	const struct route_policy two = {.mode = DOMAIN_SHARED, .max = 2};
	struct route_table *t = route_table_new();

	(void)state;
	assert_int_equal(route_table_join(t, D, 1, &two, 1), ERR_OK);
	assert_int_equal(route_table_join(t, D, 2, &two, 2), ERR_OK);
	assert_int_equal(route_table_join(t, D, 3, &two, 3), ERR_FULL);
	assert_int_equal(route_table_join(t, D, 2, &two, 2), ERR_OK); /* itself */
	route_table_set_away(t, 1, true);
	assert_int_equal(route_table_join(t, D, 3, &two, 3), ERR_OK);
	route_table_join_away(t, D, 4, &two, 4);
	assert_int_equal(route_table_member(t, D, 4, &(bool){false}), 0);
	assert_int_equal(route_table_member(t, D, 3, &(bool){false}), 4);
	route_table_free(&t);
}

/* Each of four gets its share, and what changes hands is what the one who came or went wins. */
static void shared_sessions_divide_the_peers_and_a_change_moves_no_more_than_it_must(void **state)
{
	static const uint64_t sids[] = {0x1111, 0x2222222222, 0x333, 0x4444444444444444};
	struct route_table *t = route_table_new();
	unsigned int count[5] = {0}, moved = 0;
	uint64_t before[4000];

	(void)state;
	for (int i = 0; i < 4; i++)
		route_table_join(t, D, sids[i], &shared, (uint64_t)i);
	for (unsigned int p = 0; p < 4000; p++) {
		before[p] = pick(t, p);
		for (int i = 0; i < 4; i++)
			count[i] += before[p] == sids[i];
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(count[i], 850, 1150);
	route_table_join(t, D, 77, &shared, 9);
	for (unsigned int p = 0; p < 4000; p++) {
		assert_true(pick(t, p) == before[p] || pick(t, p) == 77);
		moved += pick(t, p) == 77;
	}
	assert_in_range(moved, 650, 950);
	route_table_set_away(t, sids[1], true);
	route_table_unbind(t, 77);
	for (unsigned int p = 0; p < 4000; p++)
		assert_true(before[p] == sids[1] ? pick(t, p) != sids[1] : pick(t, p) == before[p]);
	route_table_free(&t);
}

static void a_peers_resources_are_one_peer(void **state)
{
	(void)state;
	assert_int_equal(route_peer_digest(slice_str("u@x.test/a")),
			 route_peer_digest(slice_str("u@x.test")));
	assert_int_not_equal(route_peer_digest(slice_str("u@x.test")),
			     route_peer_digest(slice_str("v@x.test")));
	/* longer than one block, and different only at its end */
	assert_int_not_equal(
		route_peer_digest(slice_str("0123456789012345678901234567890123456789"
					    "0123456789012345678901234567890@x.test")),
		route_peer_digest(slice_str("0123456789012345678901234567890123456789"
					    "0123456789012345678901234567890@x.tesu")));
	/* the next router must find the same: this number never changes */
	assert_int_equal(route_peer_digest(slice_str("romeo@x.test/orchard")),
			 0x4d2910db5b7fccf7ULL);
}

static void standby_goes_by_age_whatever_the_order_of_coming(void **state)
{
	struct route_table *t = route_table_new();

	(void)state;
	route_table_join(t, D, 3, &standby, 30);
	route_table_join(t, D, 1, &standby, 20);
	route_table_join(t, D, 2, &standby, 10);
	for (unsigned int p = 0; p < 10; p++)
		assert_int_equal(pick(t, p), 2);
	route_table_set_away(t, 2, true);
	assert_int_equal(pick(t, 0), 1);
	assert_int_equal(route_table_find(t, D), 1);
	route_table_set_away(t, 2, false);
	assert_int_equal(pick(t, 0), 2);
	route_table_unbind(t, 2);
	route_table_unbind(t, 1);
	assert_int_equal(pick(t, 0), 3);
	route_table_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bind_refuses_a_domain_held_by_another_session),
		cmocka_unit_test(unbind_takes_out_every_domain_of_a_session_and_no_other),
		cmocka_unit_test(
			a_domain_of_mode_one_takes_a_second_session_only_while_the_first_is_away),
		cmocka_unit_test(no_more_are_taken_than_max_and_who_is_away_does_not_count),
		cmocka_unit_test(
			shared_sessions_divide_the_peers_and_a_change_moves_no_more_than_it_must),
		cmocka_unit_test(a_peers_resources_are_one_peer),
		cmocka_unit_test(standby_goes_by_age_whatever_the_order_of_coming),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
