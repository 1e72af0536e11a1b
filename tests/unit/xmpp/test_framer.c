/* lib/xmpp/framer.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/str.h"
#include "xmpp/framer.h"

#define HEADER "<stream:stream xmlns='jabber:client' a=\">/'\">"

static const struct framer_limits limits = {.bytes = 400, .depth = 4, .attributes = 5};

static const char *const names[] = {
	[FRAMER_MORE] = "more",
	[FRAMER_STREAM_OPEN] = "open",
	[FRAMER_STREAM_CLOSE] = "close",
	[FRAMER_ELEMENT] = "element",
	[FRAMER_SPACE] = "space",
	[FRAMER_NOT_XML] = "not-xml",
	[FRAMER_RESTRICTED] = "restricted",
	[FRAMER_TOO_BIG] = "too-big",
	[FRAMER_TOO_DEEP] = "too-deep",
};

/* Presents text in pieces of `step` bytes and writes down what is cut: "open[..] element[..]". */
static void trace(struct str *out, const char *text, size_t step)
{
	struct str kept = STR_INIT;
	struct framer f;
	size_t len = strlen(text), at = 0;
	bool refused = false;

	framer_init(&f, &limits);
	while (at < len && !refused) {
		size_t n = len - at < step ? len - at : step;
		size_t used;
		enum framer_result r = framer_step(&f, text + at, n, &used);

		assert_true(used <= n);
		str_add(&kept, text + at, used);
		at += used;
		if (r == FRAMER_MORE) {
			assert_int_equal(used, n);
			continue;
		}
		if (r == FRAMER_SPACE) {
			assert_false(framer_inside(&f));
			str_reset(&kept);
			continue;
		}
		str_addf(out, "%s%s", out->len ? " " : "", names[r]);
		refused = r >= FRAMER_NOT_XML;
		if (refused)
			continue;
		assert_false(framer_inside(&f));
		while (kept.len > 0 && strchr(" \n\r\t", kept.data[0]))
			str_consume(&kept, 1);
		str_addf(out, "[%s]", kept.data);
		str_reset(&kept);
	}
	if (framer_inside(&f) && !refused)
		str_adds(out, " ...");
	str_clear(&kept);
}

struct cut {
	const char *text;
	const char *expected;
};

static void run(const struct cut *cases, size_t count)
{
	static const size_t steps[] = {1, 2, 3, 7, 1000};

	for (size_t i = 0; i < count; i++) {
		for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
			struct str out = STR_INIT;

			trace(&out, cases[i].text, steps[s]);
			if (strcmp(out.data, cases[i].expected) != 0)
				fail_msg("%s by %zu: %s", cases[i].text, steps[s], out.data);
			str_clear(&out);
		}
	}
}

#define RUN(cases) run((cases), sizeof(cases) / sizeof((cases)[0]))

static void elements_are_cut_wherever_the_bytes_are_split(void **state)
{
	static const struct cut cases[] = {
		{HEADER "<a/>", "open[" HEADER "] element[<a/>]"},
		{HEADER "<a/><b></b><c>x</c>",
		 "open[" HEADER "] element[<a/>] element[<b></b>] element[<c>x</c>]"},
		{HEADER " \n\t\r<a/> \n <b/> ", "open[" HEADER "] element[<a/>] element[<b/>]"},
		{HEADER "<a><b><c/></b>t</a>", "open[" HEADER "] element[<a><b><c/></b>t</a>]"},
		{HEADER "<a b='>' c=\"/>'\" d = ''/>",
		 "open[" HEADER "] element[<a b='>' c=\"/>'\" d = ''/>]"},
		{HEADER "<a>1 > 0 ' \" /> ]]</a>",
		 "open[" HEADER "] element[<a>1 > 0 ' \" /> ]]</a>]"},
		{HEADER "<a><![CDATA[</a><!-- ]] ]> ]]]></a>",
		 "open[" HEADER "] element[<a><![CDATA[</a><!-- ]] ]> ]]]></a>]"},
		{HEADER "<a><![CDATA[]]></a>", "open[" HEADER "] element[<a><![CDATA[]]></a>]"},
		{HEADER "<a ></a >", "open[" HEADER "] element[<a ></a >]"},
		{HEADER "<\xc3\xa9/>", "open[" HEADER "] element[<\xc3\xa9/>]"},
		{HEADER "<a", "open[" HEADER "] ..."},
		{HEADER "<a><b/>", "open[" HEADER "] ..."},
	};

	(void)state;
	RUN(cases);
}

static void stream_headers_and_ends_are_found(void **state)
{
	static const struct cut cases[] = {
		{"<?xml version='1.0'?><s>", "open[<?xml version='1.0'?><s>]"},
		{"<?xml version='1.0'?>\n <s>", "open[<?xml version='1.0'?>\n <s>]"},
		{"<?xml version='1.0'?>\n ", " ..."},
		{" \n <s></s>", "open[<s>] close[</s>]"},
		{"<s:s><a/></s:s>\n", "open[<s:s>] element[<a/>] close[</s:s>]"},
		{"<s></s><a/>", "open[<s>] close[</s>] not-xml"},
		{"<s></s>x", "open[<s>] close[</s>] not-xml"},
	};

	(void)state;
	RUN(cases);
}

static void what_rfc_6120_11_1_forbids_is_restricted(void **state)
{
	static const struct cut cases[] = {
		{"<s><!-- c --><a/>", "open[<s>] restricted"},
		{"<s><a><!-- c --></a>", "open[<s>] restricted"},
		{"<s><a><!DOCTYPE x></a>", "open[<s>] restricted"},
		{"<s><?pi?>", "open[<s>] restricted"},
		{"<s><a><?pi?></a>", "open[<s>] restricted"},
		{"<s><?xml version='1.0'?>", "open[<s>] restricted"},
		{"<!DOCTYPE s><s>", "restricted"},
		{"<!-- c --><s>", "restricted"},
		{"<?pi?><s>", "restricted"},
		{"<?xml-stylesheet href='x'?><s>", "restricted"},
		{"<?xml version='1.0'?><?xml version='1.0'?><s>", "restricted"},
		{"<?xml version='1.0'?><!DOCTYPE s>", "restricted"},
	};

	(void)state;
	RUN(cases);
}

static void what_cannot_become_xml_is_refused_at_once(void **state)
{
	static const struct cut cases[] = {
		{"GET / HTTP/1.1\r\n", "not-xml"},
		{"\x16\x03\x01", "not-xml"},
		{"\xef\xbb\xbf<s>", "not-xml"},
		{"</s>", "not-xml"},
		{"<s/>", "not-xml"},
		{"< s>", "not-xml"},
		{"<1>", "not-xml"},
		{"<>", "not-xml"},
		{"<s>x", "open[<s>] not-xml"},
		{"<s><a/>x<b/>", "open[<s>] element[<a/>] not-xml"},
		{"<s><![CDATA[x]]>", "open[<s>] not-xml"},
		{"<s>&amp;<a/>", "open[<s>] not-xml"},
		{"<s><a<b/></a>", "open[<s>] not-xml"},
		{"<s><a b='<c/>'/>", "open[<s>] not-xml"},
		{"<s><a b='c><d>", "open[<s>] not-xml"},
		{"<s><a / >", "open[<s>] not-xml"},
		{"<s><a></a<b>", "open[<s>] not-xml"},
		{"<s><a><![cdata[x]]></a>", "open[<s>] not-xml"},
		{"<s><a><!></a>", "open[<s>] not-xml"},
		{"<?xml version='1.0'><s>", "not-xml"},
		{"<?xml <s>", "not-xml"},
	};

	(void)state;
	RUN(cases);
}

static void depth_and_attributes_have_limits(void **state)
{
	static const struct cut cases[] = {
		{"<s><a><b><c><d/></c></b></a>", "open[<s>] element[<a><b><c><d/></c></b></a>]"},
		{"<s><a><b><c><d><e/>", "open[<s>] too-deep"},
		{"<s><a 1='' 2='' 3='' 4='' 5=''/>",
		 "open[<s>] element[<a 1='' 2='' 3='' 4='' 5=''/>]"},
		{"<s><a 1='' 2='' 3='' 4='' 5='' 6=''/>", "open[<s>] too-deep"},
		{"<s 1='' 2='' 3='' 4='' 5='' 6=''>", "too-deep"},
		{"<s><a 1='' 2='' 3=''><b 1='' 2='' 3=''/></a>",
		 "open[<s>] element[<a 1='' 2='' 3=''><b 1='' 2='' 3=''/></a>]"},
	};

	(void)state;
	RUN(cases);
}

/* Sends `size` bytes as one element after white space and tells the result. */
static enum framer_result element_of(size_t size, size_t step, size_t spaces)
{
	struct str text = STR_INIT;
	struct framer f;
	enum framer_result r = FRAMER_MORE;
	size_t used;

	framer_init(&f, &limits);
	assert_int_equal(framer_step(&f, "<s>", 3, &used), FRAMER_STREAM_OPEN);
	for (size_t i = 0; i < spaces; i++)
		str_addc(&text, ' ');
	str_adds(&text, "<a>");
	while (text.len < size + spaces - 4)
		str_addc(&text, 'x');
	str_adds(&text, "</a>");
	for (size_t at = 0; at < text.len && (r == FRAMER_MORE || r == FRAMER_SPACE); at += used)
		r = framer_step(&f, text.data + at, text.len - at < step ? text.len - at : step,
				&used);
	str_clear(&text);
	return r;
}

static void size_is_limited_as_the_bytes_arrive(void **state)
{
	static const size_t steps[] = {1, 7, 399, 400, 401, 5000};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_int_equal(element_of(400, steps[i], 0), FRAMER_ELEMENT);
		assert_int_equal(element_of(401, steps[i], 0), FRAMER_TOO_BIG);
		assert_int_equal(element_of(4000, steps[i], 0), FRAMER_TOO_BIG);
		/* white space before the element is not of it */
		assert_int_equal(element_of(400, steps[i], 500), FRAMER_ELEMENT);
	}
}

static void an_endless_header_is_too_big(void **state)
{
	struct framer f;
	enum framer_result r = FRAMER_MORE;
	size_t used, total = 0;

	(void)state;
	framer_init(&f, &limits);
	assert_int_equal(framer_step(&f, "<s a='", 6, &used), FRAMER_MORE);
	for (; r == FRAMER_MORE && total < 5000; total += 10)
		r = framer_step(&f, "aaaaaaaaaa", 10, &used);
	assert_int_equal(r, FRAMER_TOO_BIG);
	assert_int_equal(total, 400);
}

static void white_space_between_children_is_keepalive(void **state)
{
	struct framer f;
	size_t used;

	(void)state;
	framer_init(&f, &limits);
	assert_int_equal(framer_step(&f, "<s>", 3, &used), FRAMER_STREAM_OPEN);
	assert_int_equal(framer_step(&f, " \n", 2, &used), FRAMER_SPACE);
	assert_int_equal(used, 2);
	assert_false(framer_inside(&f));
	assert_int_equal(framer_step(&f, " <a", 3, &used), FRAMER_MORE);
	assert_true(framer_inside(&f));
	assert_int_equal(framer_step(&f, " ", 1, &used), FRAMER_MORE);
	assert_int_equal(framer_step(&f, "/> ", 3, &used), FRAMER_ELEMENT);
	assert_int_equal(used, 2);
	assert_false(framer_inside(&f));
}

static void a_framer_without_bytes_wants_more(void **state)
{
	struct framer f;
	size_t used = 7;

	(void)state;
	framer_init(&f, &limits);
	assert_int_equal(framer_step(&f, "", 0, &used), FRAMER_MORE);
	assert_int_equal(used, 0);
	assert_true(sizeof(struct framer) <= 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_are_cut_wherever_the_bytes_are_split),
		cmocka_unit_test(stream_headers_and_ends_are_found),
		cmocka_unit_test(what_rfc_6120_11_1_forbids_is_restricted),
		cmocka_unit_test(what_cannot_become_xml_is_refused_at_once),
		cmocka_unit_test(depth_and_attributes_have_limits),
		cmocka_unit_test(size_is_limited_as_the_bytes_arrive),
		cmocka_unit_test(an_endless_header_is_too_big),
		cmocka_unit_test(white_space_between_children_is_keepalive),
		cmocka_unit_test(a_framer_without_bytes_wants_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
