#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/str.h"
#include "bench/scan.h"

static const char stream[] =
	"<?xml version='1.0'?><stream:stream from='localhost' id=\"a>b\">"
	"<stream:features><a b='/>'/><c/></stream:features>\n"
	"<empty/> <message id='7'><body>x &lt; y <![CDATA[</message>]]></body></message>"
	"<iq type='result'/></stream:stream>";

static const struct {
	enum scan_result result;
	const char *name;
} expected[] = {
	{SCAN_OPEN, NULL},     {SCAN_CHILD, "stream:features"},
	{SCAN_CHILD, "empty"}, {SCAN_CHILD, "message"},
	{SCAN_CHILD, "iq"},    {SCAN_END, NULL},
};

/* Feeds the stream in steps of so many bytes and compares what is cut with the table. */
static void feed(size_t step)
{
	struct scan s;
	size_t start = 0, found = 0, used;

	scan_init(&s);
	for (size_t end = step; start < sizeof(stream) - 1; end += step) {
		size_t len = end < sizeof(stream) - 1 ? end : sizeof(stream) - 1;
		enum scan_result r;

		while ((r = scan_step(&s, slice_of(stream + start, len - start), &used))) {
			struct slice e = slice_of(stream + start, used);

			assert_true(found < sizeof(expected) / sizeof(expected[0]));
			assert_int_equal(r, expected[found].result);
			if (expected[found].name)
				assert_true(slice_is(scan_name(e), expected[found].name));
			found++;
			start += used;
		}
	}
	assert_int_equal(found, sizeof(expected) / sizeof(expected[0]));
	assert_int_equal(start, sizeof(stream) - 1);
}

static void children_are_cut_the_same_however_the_bytes_arrive(void **state)
{
	(void)state;
	for (size_t step = 1; step <= sizeof(stream); step++)
		feed(step);
}

static void attributes_and_texts_are_found_in_the_right_place(void **state)
{
	struct slice e = slice_str(
		"<message xml:id='no' to=\"a'b\" id='7' type=''><jid>x@y</jid><jidx>z</jidx>"
		"<sub id='8' from='f'/></message>");

	(void)state;
	assert_true(slice_is(scan_attribute(e, "id"), "7"));
	assert_true(slice_is(scan_attribute(e, "to"), "a'b"));
	assert_int_equal(scan_attribute(e, "type").len, 0);
	assert_null(scan_attribute(e, "from").data);
	assert_true(slice_is(scan_text(e, "jid"), "x@y"));
	assert_true(slice_is(scan_text(e, "jidx"), "z"));
	assert_null(scan_text(e, "sub").data);
	assert_null(scan_text(e, "ji").data);
	assert_true(scan_has(e, "<sub"));
	assert_false(scan_has(e, "<sup"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_are_cut_the_same_however_the_bytes_arrive),
		cmocka_unit_test(attributes_and_texts_are_found_in_the_right_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
