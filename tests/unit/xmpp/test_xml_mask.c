/* lib/xmpp/xml_mask.c */
#include "tests/support/cmocka_first.h"

#include <stdlib.h>
#include <string.h>

#include "base/xmem.h"
#include "xmpp/xml_mask.h"

static void texts_and_unknown_attributes_become_their_length(void **state)
{
	static const struct {
		const char *xml, *want;
	} cases[] = {
		{"", ""},
		{"<body>Hello, world</body>", "<body>[12]</body>"},
		{"<body/>", "<body/>"},
		{"<body />", "<body/>"},
		{"<body></body >", "<body></body>"},
		{"a", "[1]"},
		/* a reference and a character outside ASCII are one each; CDATA is text */
		{"<b>a&amp;b&#x1F600;\xc3\xa4\xf0\x9f\x8c\xb9</b>", "<b>[6]</b>"},
		{"<b>ab<![CDATA[<c d='e'>&amp;]]>f</b>", "<b>[17]</b>"},
		{"<![CDATA[x]]>", "[1]"},
		{"<b>a<i>bc</i>def</b>", "<b>[1]<i>[2]</i>[3]</b>"},
		{"<x xmlns='a:b' id=\"1\" password='secret'/>",
		 "<x xmlns='a:b' id='1' password='[6]'/>"},
		{"<p:x xmlns:p='u' p:id='7'>s</p:x>", "<p:x xmlns:p='u' p:id='[1]'>[1]</p:x>"},
		{"<x\n\ttype = 'get'\n name='Nur&amp;se' />", "<x type='get' name='[6]'/>"},
		{"<x id=\"it's\"/>", "<x id='it&apos;s'/>"},
		{"<x name='a>b/c' jid='r@m/x'>t</x>", "<x name='[5]' jid='r@m/x'>[1]</x>"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;

		xml_mask(&out, slice_str(cases[i].xml), 1000);
		assert_string_equal(out.data, cases[i].want);
		str_clear(&out);
	}
}

static void what_is_long_is_cut_between_characters(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	str_adds(&out, "> ");
	xml_mask(&out, slice_str("<aaaa><bbbb><cccc>"), 10);
	assert_string_equal(out.data, "> <aaaa><bbb...");
	str_reset(&out);
	xml_mask(&out, slice_str("<a id='\xc3\xa4\xc3\xa4\xc3\xa4'/>"), 8);
	assert_string_equal(out.data, "<a id='...");
	str_clear(&out);
}

/* Whatever comes, nothing outside it is read (ASan says so) and no text gets through. */
static void broken_xml_does_no_harm(void **state)
{
	static const char whole[] =
		"<a b='SECRET' c=\"SECRET\"><![CDATA[SECRET]]>SECRET&amp;</a ></";

	(void)state;
	for (size_t from = 0; from < sizeof(whole) - 1; from++)
		for (size_t len = 0; from + len < sizeof(whole); len++) {
			char *copy = xmalloc(len ? len : 1);
			struct str out = STR_INIT;

			memcpy(copy, whole + from, len);
			xml_mask(&out, slice_of(copy, len), 100);
			if (from == 0)
				assert_null(strstr(out.data, "SECRET"));
			str_clear(&out);
			free(copy);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_and_unknown_attributes_become_their_length),
		cmocka_unit_test(what_is_long_is_cut_between_characters),
		cmocka_unit_test(broken_xml_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
