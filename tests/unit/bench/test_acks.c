#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/str.h"
#include "bench/acks.h"

#define NS "xmlns='urn:xmpp:sm:3'"

static enum acks_kind take(struct acks *a, const char *element, struct str *out)
{
	return acks_take(a, slice_str(element), out);
}

static void a_question_is_answered_with_what_came(void **state)
{
	struct acks a = {0};
	struct str out = STR_INIT;

	(void)state;
	acks_begin(&a, 0, 0);
	assert_int_equal(take(&a, "<message id='1'/>", &out), ACKS_STANZA);
	assert_int_equal(take(&a, "<iq type='get' id='2'/>", &out), ACKS_STANZA);
	assert_int_equal(take(&a, "<presence/>", &out), ACKS_STANZA);
	assert_int_equal(out.len, 0);
	assert_int_equal(take(&a, "<r " NS "/>", &out), ACKS_OWN);
	assert_string_equal(out.data, "<a " NS " h='3'/>");
	assert_int_equal(a.got, 3);
	assert_int_equal(a.count.asked_in, 1);
	assert_int_equal(a.count.told_out, 1);
	str_clear(&out);
}

static void many_stanzas_are_acknowledged_unasked(void **state)
{
	struct acks a = {0};
	struct str out = STR_INIT;

	(void)state;
	acks_begin(&a, 100, 0);
	for (int i = 1; i < ACKS_TELL_EVERY; i++)
		take(&a, "<message/>", &out);
	assert_int_equal(out.len, 0);
	take(&a, "<message/>", &out);
	assert_string_equal(out.data, "<a " NS " h='116'/>");
	str_reset(&out);
	take(&a, "<message/>", &out);
	assert_int_equal(out.len, 0);
	str_clear(&out);
}

static void one_question_is_open_at_a_time(void **state)
{
	struct acks a = {0};
	struct str out = STR_INIT;

	(void)state;
	acks_begin(&a, 0, 7);
	for (int i = 1; i < ACKS_ASK_EVERY; i++)
		acks_sent(&a, &out);
	assert_int_equal(out.len, 0);
	acks_sent(&a, &out);
	assert_string_equal(out.data, "<r " NS "/>");
	str_reset(&out);
	for (int i = 0; i < 3 * ACKS_ASK_EVERY; i++)
		acks_sent(&a, &out);
	acks_ask(&a, &out);
	assert_int_equal(out.len, 0);
	assert_int_equal(take(&a, "<a " NS " h='17'/>", &out), ACKS_OWN);
	acks_sent(&a, &out);
	assert_string_equal(out.data, "<r " NS "/>");
	assert_int_equal(a.count.asked_out, 2);
	str_clear(&out);
}

static void nothing_is_asked_when_all_is_acknowledged(void **state)
{
	struct acks a = {0};
	struct str out = STR_INIT;

	(void)state;
	acks_begin(&a, 0, 0);
	acks_ask(&a, &out);
	assert_int_equal(out.len, 0);
	acks_sent(&a, &out);
	assert_int_equal(take(&a, "<a h='1' " NS "/>", &out), ACKS_OWN);
	acks_ask(&a, &out);
	assert_int_equal(out.len, 0);
	str_clear(&out);
}

static const struct {
	const char *element;
	enum acks_kind kind;
} answers[] = {
	{"<a " NS " h='5'/>", ACKS_OWN},	  /* all that was sent */
	{"<a " NS " h='4294967290'/>", ACKS_OWN}, /* again what was known */
	{"<a " NS " h='6'/>", ACKS_WRONG},	  /* more than was sent */
	{"<a " NS " h='4294967289'/>", ACKS_WRONG},
	{"<a " NS " h='-1'/>", ACKS_WRONG},
	{"<a " NS " h='4294967296'/>", ACKS_WRONG},
	{"<a " NS "/>", ACKS_WRONG},
	{"<abc/>", ACKS_STANZA},
};

static void a_server_that_counts_wrong_is_noticed_across_the_wrap(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct acks a = {0};

		acks_begin(&a, 0, UINT32_MAX - 5);
		for (int k = 0; k < 11; k++)
			acks_sent(&a, &out);
		assert_int_equal(a.sent, 5);
		assert_int_equal(take(&a, answers[i].element, &out), answers[i].kind);
	}
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_is_answered_with_what_came),
		cmocka_unit_test(many_stanzas_are_acknowledged_unasked),
		cmocka_unit_test(one_question_is_open_at_a_time),
		cmocka_unit_test(nothing_is_asked_when_all_is_acknowledged),
		cmocka_unit_test(a_server_that_counts_wrong_is_noticed_across_the_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
