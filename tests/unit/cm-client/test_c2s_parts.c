/*
 * The small pure parts: base64, settings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmem.h"
#include "cm-client/c2s_base64.h"
#include "cm-client/c2s_settings.h"

static void base64_is_that_of_rfc_4648(void **state)
{
	static const char *const pairs[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xff\xfe\xfd", "//79"},
	};
	struct str out = STR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		str_reset(&out);
		c2s_base64_encode(&out, slice_str(pairs[i][0]));
		assert_string_equal(out.data, pairs[i][1]);
		str_reset(&out);
		assert_true(c2s_base64_decode(&out, slice_str(pairs[i][1])));
		assert_string_equal(out.data, pairs[i][0]);
	}
	str_clear(&out);
}

static void base64_refuses_every_other_spelling(void **state)
{
	static const char *const bad[] = {
		"Z",	"Zg",	 "Zg=",	   "Zh==", "Zm9=", "Zg==Zg==", "=Zg=", "Z===",
		"====", "Zm 9v", "Zm9v\n", "Zm-_", "Zg=A", "Zm9vZ",    "!!!!", "Zm9vY\xc3\xa9=="};
	struct str out = STR_INIT;

	(void)state;
	str_adds(&out, "kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (c2s_base64_decode(&out, slice_str(bad[i])))
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(out.data, "kept");
		assert_int_equal(out.len, 4);
	}
	str_clear(&out);
}

static void settings_are_normalised_and_refused_whole(void **state)
{
	struct config *cfg = config_defaults();
	struct c2s_settings s = {0};
	struct str why = STR_INIT;

	(void)state;
	free(cfg->domains[0]);
	cfg->domains[0] = xstrdup("EXAMPLE.com");
	assert_int_equal(c2s_settings_load(&s, cfg, &why), ERR_OK);
	assert_string_equal(s.rules.domains[0], "example.com");
	assert_true(c2s_settings_serves(&s, slice_str("example.com")));
	assert_false(c2s_settings_serves(&s, slice_str("example.org")));
	assert_true(s.before.bytes < s.after.bytes);
	free(cfg->domains[0]);
	cfg->domains[0] = xstrdup("not a domain");
	assert_int_equal(c2s_settings_load(&s, cfg, &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "\"not a domain\" is not a domain name"));
	assert_string_equal(s.rules.domains[0], "example.com");
	c2s_settings_clear(&s);
	config_free(&cfg);
	str_clear(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_that_of_rfc_4648),
		cmocka_unit_test(base64_refuses_every_other_spelling),
		cmocka_unit_test(settings_are_normalised_and_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
