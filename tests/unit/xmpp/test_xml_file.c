/* lib/xmpp/xml_file.c */
#include "tests/support/cmocka_first.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xmem.h"
#include "xmpp/xml_file.h"

static char path[256];

static struct xml_file *file_of(const char *text)
{
	const char *tmp = getenv("TMPDIR");
	struct xml_file *f;
	int fd;

	snprintf(path, sizeof(path), "%s/xml-XXXXXX", tmp ? tmp : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	assert_int_equal(xml_file_open(&f, path), ERR_OK);
	unlink(path);
	return f;
}

static void elements_come_in_order_with_names_lines_and_attributes(void **state)
{
	struct xml_file *f =
		file_of("<?xml version='1.0'?>\n<!-- c -->\n<a xmlns='u:a' x='1 &lt;'>\n"
			" text <b/>\n<c xmlns='u:c'><d/></c>\n</a>");
	struct str value = STR_INIT;

	(void)state;
	assert_int_equal(xml_file_next(f), XML_FILE_START);
	assert_true(xml_file_is(f, "u:a", "a"));
	assert_int_equal(xml_file_line(f), 3);
	assert_true(xml_file_attr(f, "x", &value));
	assert_string_equal(value.data, "1 <");
	assert_false(xml_file_attr(f, "y", &value));
	assert_int_equal(xml_file_next(f), XML_FILE_START);
	assert_true(xml_file_is(f, "u:a", "b"));
	assert_int_equal(xml_file_line(f), 4);
	assert_int_equal(xml_file_next(f), XML_FILE_END);
	assert_int_equal(xml_file_next(f), XML_FILE_START);
	assert_true(xml_file_is(f, "u:c", "c"));
	assert_int_equal(xml_file_skip(f), ERR_OK);
	assert_int_equal(xml_file_next(f), XML_FILE_END);
	assert_int_equal(xml_file_next(f), XML_FILE_DONE);
	str_clear(&value);
	xml_file_close(&f);
	assert_null(f);
}

static void an_element_taken_whole_has_no_prefixes_comments_or_cdata(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"<a xmlns='u:a'><b/></a>", "<b xmlns='u:a'/>"},
		{"<a><b>x</b></a>", "<b xmlns=''>x</b>"},
		{"<p:a xmlns:p='u:p'><p:b><p:c/><d xmlns='u:d'>1<e/></d></p:b></p:a>",
		 "<b xmlns='u:p'><c/><d xmlns='u:d'>1<e/></d></b>"},
		{"<a xmlns='u:a'><b><!-- no --><?pi no?>x<![CDATA[<&]]>&#65;&amp;</b></a>",
		 "<b xmlns='u:a'>x&lt;&amp;A&amp;</b>"},
		{"<a xmlns='u:a' xmlns:q='u:q'><b q:t='1' xml:lang='de' n='&lt;&apos;'/></a>",
		 "<b xmlns='u:a' xmlns:a1='u:q' a1:t='1' xml:lang='de' n='&lt;&apos;'/>"},
		{"<a xmlns='u:a'><b> <c/> </b></a>", "<b xmlns='u:a'> <c/> </b>"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct xml_file *f = file_of(cases[i].text);
		struct str out = STR_INIT;

		assert_int_equal(xml_file_next(f), XML_FILE_START);
		assert_int_equal(xml_file_next(f), XML_FILE_START);
		assert_int_equal(xml_file_take(f, &out, 1000), ERR_OK);
		assert_string_equal(out.data, cases[i].want);
		assert_int_equal(xml_file_next(f), XML_FILE_END);
		assert_int_equal(xml_file_next(f), XML_FILE_DONE);
		str_clear(&out);
		xml_file_close(&f);
	}
}

static void what_is_too_large_is_passed_over(void **state)
{
	struct xml_file *f = file_of("<a><b>0123456789<c/><c/></b><d/></a>");
	struct str out = STR_INIT;

	(void)state;
	xml_file_next(f);
	xml_file_next(f);
	assert_int_equal(xml_file_take(f, &out, 20), ERR_TOOBIG);
	assert_int_equal(out.len, 0);
	assert_int_equal(xml_file_next(f), XML_FILE_START);
	assert_true(xml_file_is(f, "", "d"));
	str_clear(&out);
	xml_file_close(&f);
}

static void bad_files_are_named_with_their_line(void **state)
{
	static const struct {
		const char *text, *why;
		unsigned int line;
	} cases[] = {
		{"", "content", 0},
		{"<a>\n\n<b></a>", "mismatch", 3},
		{"<a>\n<b>", "", 2},
		{"<!DOCTYPE a [<!ENTITY x 'xx'>]>\n<a>&x;</a>", "document type", 0},
		{"<a>\n&nothing;</a>", "nothing", 1}, /* of the element */
		/* libxml2 warns of the namespace first: it is no URI. */
		{"<a>\n<vCard xmlns='vcard-temp'/>\n</b>", "mismatch", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct xml_file *f = file_of(cases[i].text);
		enum xml_file_event ev;

		while ((ev = xml_file_next(f)) == XML_FILE_START || ev == XML_FILE_END)
			;
		assert_int_equal(ev, XML_FILE_BAD);
		if (!strstr(xml_file_why(f), cases[i].why))
			fail_msg("%s: \"%s\"", cases[i].text, xml_file_why(f));
		assert_true(*xml_file_why(f));
		if (cases[i].line && xml_file_line(f) != cases[i].line)
			fail_msg("%s: line %u", cases[i].text, xml_file_line(f));
		assert_int_equal(xml_file_next(f), XML_FILE_BAD);
		xml_file_close(&f);
	}
}

static void an_element_that_does_not_end_is_no_element(void **state)
{
	struct str text = STR_INIT, out = STR_INIT;
	struct xml_file *f;

	(void)state;
	for (int skip = 0; skip < 2; skip++) {
		f = file_of("<a><b><c>text");
		xml_file_next(f);
		xml_file_next(f);
		assert_int_equal(skip ? xml_file_skip(f) : xml_file_take(f, &out, 100), ERR_FORMAT);
		assert_int_equal(out.len, 0);
		xml_file_close(&f);
	}
	for (int i = 0; i < 1000; i++) /* nor one that is too deep */
		str_adds(&text, "<a>");
	f = file_of(text.data);
	xml_file_next(f);
	assert_int_equal(xml_file_take(f, &out, 100000), ERR_FORMAT);
	assert_true(strstr(xml_file_why(f), "deep") || strstr(xml_file_why(f), "depth"));
	xml_file_close(&f);
	str_clear(&text);
	str_clear(&out);
	assert_int_equal(xml_file_open(&f, "no/such/file"), ERR_IO);
	assert_null(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_come_in_order_with_names_lines_and_attributes),
		cmocka_unit_test(an_element_taken_whole_has_no_prefixes_comments_or_cdata),
		cmocka_unit_test(what_is_too_large_is_passed_over),
		cmocka_unit_test(bad_files_are_named_with_their_line),
		cmocka_unit_test(an_element_that_does_not_end_is_no_element),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
