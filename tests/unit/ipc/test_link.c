/* Two links talk over a wire that the test cuts, delays and repeats. */
#include <stdlib.h>

#include "ipc/link.h"
#include "tests/support/cmocka_first.h"

struct side {
	struct link *link;
	uint64_t got[4096];
	size_t ngot;
};

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct side *s = arg;
	struct msg_ping m;

	assert_int_equal(type, MSG_PING);
	assert_int_equal(msg_ping_get(body, &m), ERR_OK);
	s->got[s->ngot++] = m.sent_us;
}

static void put(struct side *s, uint64_t value)
{
	link_put_ping(s->link, &(struct msg_ping){value});
}

static void setup(struct side *a, struct side *b)
{
	*a = (struct side){.link = link_new(1, 4096, 256)};
	*b = (struct side){.link = link_new(2, 4096, 256)};
	link_restart(a->link, 2);
	link_restart(b->link, 1);
}

static void teardown(struct side *a, struct side *b)
{
	link_free(&a->link);
	link_free(&b->link);
}

/* One frame from a to b; false when a has nothing. */
static bool pass(struct side *from, struct side *to, bool force, bool lose)
{
	struct slice frame;

	if (!link_next(from->link, force, &frame))
		return false;
	if (!lose)
		link_receive(to->link, frame, on_record, to);
	link_sent(from->link);
	return true;
}

static void check_sequence(const struct side *s, uint64_t count)
{
	assert_int_equal(s->ngot, count);
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(s->got[i], i + 1);
}

static void records_arrive_in_order_and_receipts_open_the_window(void **state)
{
	struct side a, b;

	(void)state;
	setup(&a, &b);
	for (uint64_t i = 1; i <= 100; i++)
		put(&a, i);
	assert_true(link_unreceipted(a.link) > 1400);
	while (pass(&a, &b, false, false))
		;
	check_sequence(&b, 100);
	assert_true(link_receipt_owed(b.link) > 0);
	assert_true(pass(&b, &a, true, false));
	assert_int_equal(link_unreceipted(a.link), 0);
	assert_int_equal(link_receipted(a.link), 100);
	assert_int_equal(link_receipt_owed(b.link), 0);
	teardown(&a, &b);
}

static void a_lost_frame_shows_as_a_gap_and_is_sent_again(void **state)
{
	struct side a, b;
	struct str sync = STR_INIT;
	struct slice frame;

	(void)state;
	setup(&a, &b);
	put(&a, 1);
	assert_true(pass(&a, &b, false, true));
	put(&a, 2);
	assert_true(link_next(a.link, false, &frame));
	assert_int_equal(link_receive(b.link, frame, on_record, &b), ERR_AGAIN);
	link_sent(a.link);
	assert_int_equal(b.ngot, 0);
	link_make_sync(b.link, &sync);
	assert_int_equal(link_receive(a.link, str_slice(&sync), on_record, &a), ERR_OK);
	while (pass(&a, &b, false, false))
		;
	check_sequence(&b, 2);
	str_clear(&sync);
	teardown(&a, &b);
}

static void a_repeated_frame_is_taken_once(void **state)
{
	struct side a, b;
	struct slice frame;

	(void)state;
	setup(&a, &b);
	put(&a, 1);
	put(&a, 2);
	assert_true(link_next(a.link, false, &frame));
	assert_int_equal(link_receive(b.link, frame, on_record, &b), ERR_OK);
	assert_int_equal(link_receive(b.link, frame, on_record, &b), ERR_DUPLICATE);
	check_sequence(&b, 2);
	assert_true(link_receipt_owed(b.link) > 0);
	teardown(&a, &b);
}

static void frames_of_other_boots_are_dropped(void **state)
{
	struct side a, b;
	struct slice frame;

	(void)state;
	setup(&a, &b);
	put(&a, 1);
	assert_true(link_next(a.link, false, &frame));
	link_restart(b.link, 99);
	assert_int_equal(link_receive(b.link, frame, on_record, &b), ERR_VERSION);
	assert_int_equal(b.ngot, 0);
	teardown(&a, &b);
}

static void a_restart_forgets_and_starts_from_one(void **state)
{
	struct side a, b;

	(void)state;
	setup(&a, &b);
	put(&a, 7);
	link_restart(a.link, 2);
	link_restart(b.link, 1);
	assert_int_equal(link_unreceipted(a.link), 0);
	assert_false(link_pending(a.link));
	put(&a, 1);
	pass(&a, &b, false, false);
	check_sequence(&b, 1);
	teardown(&a, &b);
}

static void resume_refuses_a_receipt_that_cannot_be(void **state)
{
	struct side a, b;

	(void)state;
	setup(&a, &b);
	put(&a, 1);
	assert_int_equal(link_resume(a.link, 2), ERR_RANGE);
	assert_int_equal(link_resume(a.link, 1), ERR_OK);
	assert_int_equal(link_resume(a.link, 0), ERR_RANGE);
	teardown(&a, &b);
}

static void a_frame_whose_records_do_not_add_up_is_refused_whole(void **state)
{
	struct side a, b;
	struct slice frame;
	char copy[4096];

	(void)state;
	setup(&a, &b);
	put(&a, 1);
	put(&a, 2);
	assert_true(link_next(a.link, false, &frame));
	for (size_t cut = 0; cut < frame.len; cut++)
		assert_int_not_equal(link_receive(b.link, slice_of(frame.data, cut), on_record, &b),
				     ERR_OK);
	memcpy(copy, frame.data, frame.len);
	copy[4]++; /* the count */
	assert_int_equal(link_receive(b.link, slice_of(copy, frame.len), on_record, &b),
			 ERR_FORMAT);
	copy[4] -= 2;
	assert_int_equal(link_receive(b.link, slice_of(copy, frame.len), on_record, &b),
			 ERR_FORMAT);
	copy[2] = 9; /* the version */
	assert_int_equal(link_receive(b.link, slice_of(copy, frame.len), on_record, &b),
			 ERR_VERSION);
	assert_int_equal(b.ngot, 0);
	teardown(&a, &b);
}

static void lazy_records_do_not_ask_to_be_flushed(void **state)
{
	struct side a, b;

	(void)state;
	setup(&a, &b);
	link_put_delivered(a.link, &(struct msg_delivered){1, 1});
	assert_true(link_pending(a.link));
	assert_false(link_eager(a.link));
	put(&a, 1);
	assert_true(link_eager(a.link));
	teardown(&a, &b);
}

/* Frames are lost, repeated and syncs made at random: order and completeness hold. */
static void anything_may_happen_to_frames(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 300; seed++) {
		struct side a, b;
		struct str sync = STR_INIT;
		uint64_t sent = 0;

		srandom(seed);
		setup(&a, &b);
		while (b.ngot < 500) {
			switch (random() % 6) {
			case 0:
			case 1:
				if (sent < 500)
					put(&a, ++sent);
				break;
			case 2:
				pass(&a, &b, false, random() % 3 == 0);
				break;
			case 3:
				pass(&b, &a, true, random() % 3 == 0);
				break;
			case 4:
				str_reset(&sync);
				link_make_sync(b.link, &sync);
				link_receive(a.link, str_slice(&sync), on_record, &a);
				break;
			default:
				pass(&a, &b, true, false);
				break;
			}
		}
		check_sequence(&b, 500);
		pass(&b, &a, true, false);
		assert_int_equal(link_unreceipted(a.link), 0);
		str_clear(&sync);
		teardown(&a, &b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_arrive_in_order_and_receipts_open_the_window),
		cmocka_unit_test(a_lost_frame_shows_as_a_gap_and_is_sent_again),
		cmocka_unit_test(a_repeated_frame_is_taken_once),
		cmocka_unit_test(frames_of_other_boots_are_dropped),
		cmocka_unit_test(a_restart_forgets_and_starts_from_one),
		cmocka_unit_test(resume_refuses_a_receipt_that_cannot_be),
		cmocka_unit_test(a_frame_whose_records_do_not_add_up_is_refused_whole),
		cmocka_unit_test(lazy_records_do_not_ask_to_be_flushed),
		cmocka_unit_test(anything_may_happen_to_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
