/* A body that was changed on its way is found out; a foreign one is not taken for ours. */
#include "tests/support/cmocka_first.h"

#include "tests/ledger/token.h"

#define RUN 0xbeef

static void a_body_comes_back_as_it_was(void **state)
{
	static const uint32_t paddings[] = {0, 1, 300, 5000};
	uint32_t sender, number;

	(void)state;
	for (size_t i = 0; i < sizeof paddings / sizeof *paddings; i++) {
		struct str body = STR_INIT;

		token_add(&body, RUN, 17, 4242 + (uint32_t)i, paddings[i]);
		assert_int_equal(token_parse(str_slice(&body), RUN, &sender, &number), TOKEN_OK);
		assert_int_equal(sender, 17);
		assert_int_equal(number, 4242 + i);
		str_clear(&body);
	}
}

static void every_changed_byte_is_noticed(void **state)
{
	struct str body = STR_INIT;
	uint32_t sender, number;

	(void)state;
	token_add(&body, RUN, 3, 99, 40);
	for (size_t i = 0; i < body.len; i++) {
		char was = body.data[i];

		body.data[i] = was == 'Q' ? 'R' : 'Q';
		assert_int_not_equal(token_parse(str_slice(&body), RUN, &sender, &number),
				     TOKEN_OK);
		body.data[i] = was;
		assert_int_not_equal(token_parse(slice_of(body.data, i), RUN, &sender, &number),
				     TOKEN_OK);
	}
	assert_int_equal(token_parse(str_slice(&body), RUN, &sender, &number), TOKEN_OK);
	str_addc(&body, 'x');
	assert_int_equal(token_parse(str_slice(&body), RUN, &sender, &number), TOKEN_DAMAGED);
	str_clear(&body);
}

static void other_runs_and_other_peoples_messages_are_foreign(void **state)
{
	struct str body = STR_INIT;
	uint32_t sender, number;

	(void)state;
	token_add(&body, RUN + 1, 3, 99, 10);
	assert_int_equal(token_parse(str_slice(&body), RUN, &sender, &number), TOKEN_FOREIGN);
	assert_int_equal(token_parse(slice_str("Wherefore art thou"), RUN, &sender, &number),
			 TOKEN_FOREIGN);
	assert_int_equal(token_parse(SLICE_NONE, RUN, &sender, &number), TOKEN_FOREIGN);
	str_clear(&body);
}

static void ids_name_run_and_number(void **state)
{
	static const char *const bad[] = {"",
					  "l",
					  "l0000beef-",
					  "l0000beef-12x",
					  "l0000bee0-12",
					  "l0000beef-12345678901234567890123"};
	struct str id = STR_INIT;
	uint32_t number = 0;

	(void)state;
	token_add_id(&id, RUN, 12);
	assert_true(token_parse_id(str_slice(&id), RUN, &number));
	assert_int_equal(number, 12);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(token_parse_id(slice_str(bad[i]), RUN, &number));
	/* Of commands the letter is another one. */
	assert_false(token_parse_name(str_slice(&id), 'b', RUN, &number));
	str_reset(&id);
	token_add_name(&id, 'b', RUN, 13);
	assert_true(token_parse_name(str_slice(&id), 'b', RUN, &number));
	assert_int_equal(number, 13);
	assert_false(token_parse_id(str_slice(&id), RUN, &number));
	str_clear(&id);
}

static void hashes_tell_texts_apart(void **state)
{
	(void)state;
	assert_true(token_hash(slice_str("a-1")) != token_hash(slice_str("a-2")));
	assert_true(token_hash(slice_str("a-1")) == token_hash(slice_str("a-1")));
	assert_true(token_hash(SLICE_NONE) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_comes_back_as_it_was),
		cmocka_unit_test(every_changed_byte_is_noticed),
		cmocka_unit_test(other_runs_and_other_peoples_messages_are_foreign),
		cmocka_unit_test(ids_name_run_and_number),
		cmocka_unit_test(hashes_tell_texts_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
