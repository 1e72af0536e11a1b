/* Lines as people type them, and as the guides print them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/xmpp/shell_line.h"

static void lines_become_words(void **state)
{
	static const struct {
		const char *line;
		const char *words[8];
	} rows[] = {
		{"", {NULL}},
		{"  \t ", {NULL}},
		{"xmpp", {"xmpp"}},
		{" xmpp  user\tlist ", {"xmpp", "user", "list"}},
		{"xmpp listen a b", {"xmpp", "listen", "a", "b"}},
		{"pki csr abhiall CN:tptac9.com subAltName:cb1.tptac9.com,cb2.tptac9.com",
		 {"pki", "csr", "abhiall", "CN:tptac9.com",
		  "subAltName:cb1.tptac9.com,cb2.tptac9.com"}},
		{"dns add rr \"_xmpp-component._tcp.example.com. 86400 IN SRV 0 0 5223 h.\"",
		 {"dns", "add", "rr",
		  "_xmpp-component._tcp.example.com. 86400 IN SRV 0 0 5223 h."}},
		{"xmpp motd add 'it''s \"late\"'", {"xmpp", "motd", "add", "its \"late\""}},
		{"a \"\" '' b", {"a", "", "", "b"}},
		{"a\\ b \\\"c \\#", {"a b", "\"c", "#"}},
		{"\"a\\\"b\\\\c\\d\"", {"a\"b\\c\\d"}},
		{"'a\\'b", {"a\\b"}},
		{"x\\", {"x\\"}},
		{"xmpp # user list", {"xmpp"}},
		{"# all of it", {NULL}},
		{"a#b '#' c", {"a#b", "#", "c"}},
		{"xmpp log export - > f; rm -rf $HOME | cat `id` *",
		 {"xmpp", "log", "export", "-", ">", "f;", "rm", "-rf"}},
		{"xmpp status\r\n", {"xmpp", "status"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct shell_line l = SHELL_LINE_INIT;
		struct str why = STR_INIT;

		assert_int_equal(shell_line_parse(&l, slice_str(rows[i].line), &why), ERR_OK);
		assert_int_equal(l.quote, 0);
		for (int k = 0; k < 8 && rows[i].words[k]; k++) {
			assert_true(k < l.argc);
			assert_string_equal(l.argv[k], rows[i].words[k]);
		}
		if (!rows[i].words[7])
			for (int k = 0; k < 8; k++)
				if (!rows[i].words[k]) {
					assert_int_equal(l.argc, k);
					break;
				}
		assert_null(l.argv[l.argc]);
		shell_line_clear(&l);
	}
}

static void where_a_line_ends_is_told(void **state)
{
	static const struct {
		const char *line;
		bool touching;
		char quote;
	} rows[] = {
		{"xmpp us", true, 0},	{"xmpp us ", false, 0}, {"", false, 0},
		{"a \"b c", true, '"'}, {"a 'b", true, '\''},	{"a \"b\"", true, 0},
		{"a '\"", true, '\''},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct shell_line l = SHELL_LINE_INIT;
		struct str why = STR_INIT;

		assert_int_equal(shell_line_parse(&l, slice_str(rows[i].line), &why), ERR_OK);
		assert_int_equal(l.touching, rows[i].touching);
		assert_int_equal(l.quote, rows[i].quote);
		shell_line_clear(&l);
	}
}

static void too_long_too_many_and_nul_are_refused(void **state)
{
	static char big[SHELL_LINE_MAX + 2], many[2 * SHELL_WORDS_MAX + 3];
	struct shell_line l = SHELL_LINE_INIT;
	struct str why = STR_INIT;

	(void)state;
	memset(big, 'a', sizeof(big) - 1);
	assert_int_equal(shell_line_parse(&l, slice_str(big), &why), ERR_TOOBIG);
	for (int i = 0; i <= SHELL_WORDS_MAX; i++)
		memcpy(many + 2 * i, "a ", 2);
	assert_int_equal(shell_line_parse(&l, slice_str(many), &why), ERR_TOOBIG);
	assert_int_equal(l.argc, 0);
	many[2 * SHELL_WORDS_MAX] = '\0';
	assert_int_equal(shell_line_parse(&l, slice_str(many), &why), ERR_OK);
	assert_int_equal(l.argc, SHELL_WORDS_MAX);
	assert_int_equal(shell_line_parse(&l, slice_of("a\0b", 3), &why), ERR_FORMAT);
	assert_true(why.len > 0);
	str_clear(&why);
	shell_line_clear(&l);
}

static void lines_with_secrets_are_known(void **state)
{
	static const struct {
		const char *line;
		bool secret;
	} rows[] = {
		{"xmpp user list", false},
		{"xmpp user passwd juliet@localhost", false},
		{"xmpp user add juliet@localhost --password-stdin", false},
		{"xmpp callbridge add-secret cb1", false},
		{"xmpp callbridge add-secret cb1 kvgP1SRzWVabhiPVAb1", true},
		{"xmpp component add x --secret-file f", false},
		{"xmpp component add x --new-secret", false},
		{"xmpp component add x --secret hunter2", true},
		{"xmpp component add x --secret=hunter2", true},
		{"callbridge set Secret hunter2", true},
		{"callbridge set \"shared secret\" hunter2", true},
		{"xmpp user add juliet@localhost --password=x", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct shell_line l = SHELL_LINE_INIT;
		struct str why = STR_INIT;

		assert_int_equal(shell_line_parse(&l, slice_str(rows[i].line), &why), ERR_OK);
		if (shell_line_is_secret(&l) != rows[i].secret)
			fail_msg("%s", rows[i].line);
		shell_line_clear(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_become_words),
		cmocka_unit_test(where_a_line_ends_is_told),
		cmocka_unit_test(too_long_too_many_and_nul_are_refused),
		cmocka_unit_test(lines_with_secrets_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
