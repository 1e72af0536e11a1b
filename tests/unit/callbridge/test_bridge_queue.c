/* bridge_queue: what is on its way, acknowledged, repeated, streamed. */
#include "tests/support/cmocka_first.h"

#include <stdlib.h>

#include "callbridge/bridge_queue.h"

static void add(struct bridge_queue *q, const char *text)
{
	bridge_queue_add(q, slice_str(text));
}

/* Writes all that can be written; what was written. */
static void write_all(struct bridge_queue *q, struct str *out, uint64_t *at)
{
	struct slice s;

	while (bridge_queue_next(q, &s)) {
		str_add_slice(out, s);
		*at += s.len;
		bridge_queue_wrote(q, *at);
	}
}

static void what_is_not_acknowledged_is_written_again(void **state)
{
	struct str out = STR_INIT;
	struct bridge_queue q;
	uint64_t at = 0;

	(void)state;
	bridge_queue_init(&q);
	add(&q, "aa");
	add(&q, "b");
	add(&q, "ccc");
	write_all(&q, &out, &at);
	assert_string_equal(out.data, "aabccc");
	bridge_queue_arrived(&q, 1);
	add(&q, "d");
	assert_int_equal(q.held_bytes, 5);
	assert_int_equal(bridge_queue_unwritten(&q), 1);
	bridge_queue_rewind(&q);
	assert_int_equal(bridge_queue_unwritten(&q), 5);
	str_reset(&out);
	write_all(&q, &out, &at);
	assert_string_equal(out.data, "bcccd");
	bridge_queue_arrived(&q, 3);
	assert_int_equal(q.held_bytes, 0);
	bridge_queue_clear(&q);
	str_clear(&out);
}

static void without_acknowledgements_the_kernels_word_counts(void **state)
{
	struct str out = STR_INIT;
	struct bridge_queue q;
	uint64_t at = 100; /* a header came before */

	(void)state;
	bridge_queue_init(&q);
	add(&q, "aa");
	add(&q, "bbb");
	write_all(&q, &out, &at);
	assert_int_equal(bridge_queue_arrived_upto(&q, 101), 0);
	assert_int_equal(bridge_queue_arrived_upto(&q, 104), 1);
	assert_int_equal(q.held_bytes, 3);
	assert_int_equal(bridge_queue_arrived_upto(&q, 105), 1);
	assert_int_equal(bridge_queue_arrived_upto(&q, 500), 0);
	bridge_queue_clear(&q);
	str_clear(&out);
}

static void a_pipe_takes_any_number_of_bytes(void **state)
{
	(void)state;
	for (size_t step = 1; step < 12; step++) {
		struct bridge_queue q;
		struct str out = STR_INIT;
		size_t part = 0, whole = 0;

		bridge_queue_init(&q);
		add(&q, "one\n");
		add(&q, "\n");
		add(&q, "three\n");
		while (q.count) {
			struct slice s = bridge_queue_stream(&q, part);
			size_t n = s.len < step ? s.len : step;

			str_add(&out, s.data, n);
			whole += bridge_queue_streamed(&q, n, &part);
		}
		assert_string_equal(out.data, "one\n\nthree\n");
		assert_int_equal(whole, 3);
		assert_int_equal(part, 0);
		assert_int_equal(q.held_bytes, 0);
		bridge_queue_clear(&q);
		str_clear(&out);
	}
}

static void all_but_the_oldest_can_be_forgotten(void **state)
{
	struct bridge_queue q;
	size_t part = 0;

	(void)state;
	bridge_queue_init(&q);
	add(&q, "one\n");
	add(&q, "two\n");
	bridge_queue_streamed(&q, 2, &part);
	bridge_queue_keep(&q, 1);
	add(&q, "3\n");
	assert_string_equal(bridge_queue_stream(&q, part).data, "e\n3\n");
	assert_int_equal(q.held_bytes, 6);
	bridge_queue_keep(&q, 0);
	assert_int_equal(q.count, 0);
	assert_int_equal(q.held_bytes, 0);
	bridge_queue_clear(&q);
}

/* Against a plain model: everything comes out once, in order, over many rounds. */
static void long_use_keeps_the_order_and_the_memory_small(void **state)
{
	struct bridge_queue q;
	unsigned int seed = 1, in = 0, acked = 0;
	uint64_t at = 0;

	(void)state;
	bridge_queue_init(&q);
	for (int round = 0; round < 20000; round++) {
		char text[200];
		struct slice s;
		size_t n;

		for (int k = rand_r(&seed) % 5; k > 0; k--) {
			n = (size_t)snprintf(text, sizeof(text), "%u:%0*d", in++,
					     1 + rand_r(&seed) % 150, 0);
			bridge_queue_add(&q, slice_of(text, n));
		}
		for (int k = rand_r(&seed) % 6; k > 0 && bridge_queue_next(&q, &s); k--) {
			assert_int_equal(strtoul(s.data, NULL, 10), acked + q.written);
			bridge_queue_wrote(&q, ++at);
		}
		n = q.written ? (size_t)rand_r(&seed) % (q.written + 1) : 0;
		bridge_queue_arrived(&q, n);
		acked += (unsigned int)n;
		if (rand_r(&seed) % 50 == 0)
			bridge_queue_rewind(&q);
		assert_int_equal(q.count, in - acked);
	}
	assert_true(q.bytes.cap < 1000000);
	bridge_queue_clear(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_acknowledged_is_written_again),
		cmocka_unit_test(without_acknowledgements_the_kernels_word_counts),
		cmocka_unit_test(a_pipe_takes_any_number_of_bytes),
		cmocka_unit_test(all_but_the_oldest_can_be_forgotten),
		cmocka_unit_test(long_use_keeps_the_order_and_the_memory_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
