#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/xmpp/shell_words.h"
#include "cli/xmpp/xmpp_program.h"

static const char list[] = "program\tpki\tkeys and certificates\n"
			   "command\t\t\tshows what is in use\n"
			   "command\tlist\t\tlists files\n"
			   "command\tcsr\tNAME CN:VALUE\tmakes a request\n"
			   "command\tcsr show\tNAME\tshows one\n"
			   "option\t--json\t\t\tone JSON object a line\n"
			   "option\t-C\tDIR\t\tthe instance\n"
			   "option\t--force\t\tcsr|lab\treplace\n"
			   "rubbish\n\n\t\t\noption\ttoo\tfew\n";

static int setup(void **state)
{
	struct shell_words *w = shell_words_new();
	struct str own = STR_INIT;

	shell_words_add(w, "pki", slice_str(list));
	command_list(&xmpp_program, &own);
	shell_words_add(w, "xmpp", str_slice(&own));
	str_clear(&own);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct shell_words *w = *state;

	shell_words_free(&w);
	return 0;
}

static int split(char *line, char **argv)
{
	int n = 0;

	for (char *at = line; *at;) {
		size_t len = strcspn(at, " ");
		bool last = !at[len];

		argv[n++] = at;
		at[len] = '\0';
		at += len + !last;
	}
	return n;
}

static void what_can_stand_next_is_offered(void **state)
{
	static const struct {
		const char *before, *prefix, *words;
	} rows[] = {
		{"", "", "pki\nxmpp\nhelp\nexit\n"},
		{"", "x", "xmpp\n"},
		{"help ", "", "pki\nxmpp\n"},
		{"pki ", "", "list\ncsr\n"},
		{"pki ", "c", "csr\n"},
		{"pki -C /x ", "l", "list\n"},
		{"pki -C ", "", ""},
		{"pki csr ", "", "show\n"},
		{"pki csr x ", "", ""},
		{"pki ", "-", "--json\n-C\n"},
		{"pki csr ", "--", "--json\n--force\n"},
		{"pki list ", "--f", ""},
		{"help pki csr ", "--", ""},
		{"xmpp user ", "a", "add\n"},
		{"xmpp log ", "", "show\nsearch\nexport\nclear\n"},
		{"nothing ", "", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[128], *argv[16];
		struct str out = STR_INIT;
		int argc;

		snprintf(line, sizeof(line), "%s", rows[i].before);
		argc = split(line, argv);
		shell_words_complete(*state, argc, argv, rows[i].prefix, &out);
		if (strcmp(out.data, rows[i].words) != 0)
			fail_msg("'%s' + '%s' offers '%s'", rows[i].before, rows[i].prefix,
				 out.data);
		str_clear(&out);
	}
}

static void every_command_of_the_table_completes(void **state)
{
	for (size_t i = 0; i < xmpp_program.ncommands; i++) {
		char line[128] = "xmpp ", *argv[16], *last;
		struct str out = STR_INIT, wanted = STR_INIT;
		int argc;

		if (!*xmpp_program.commands[i].words)
			continue;
		snprintf(line + 5, sizeof(line) - 5, "%s", xmpp_program.commands[i].words);
		argc = split(line, argv);
		last = argv[argc - 1];
		shell_words_complete(*state, argc - 1, argv, last, &out);
		str_addf(&wanted, "%s\n", last);
		if (!strstr(out.data, wanted.data))
			fail_msg("%s is not offered", xmpp_program.commands[i].words);
		str_clear(&out);
		str_clear(&wanted);
	}
}

static void mistyped_words_get_a_suggestion(void **state)
{
	static const struct {
		const char *line, *suggestion;
	} rows[] = {
		{"sessions", "xmpp sessions"},	 {"list", "pki list"},
		{"user list", "xmpp user list"}, {"xmp user list", "xmpp user list"},
		{"pky list", "pki list"},	 {"halp", "help"},
		{"supercalifragilistic", ""},	 {"zz", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[64], *argv[16];
		struct str out = STR_INIT;
		int argc;

		snprintf(line, sizeof(line), "%s", rows[i].line);
		argc = split(line, argv);
		shell_words_suggest(*state, argc, argv, &out);
		assert_string_equal(out.data, rows[i].suggestion);
		str_clear(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_stand_next_is_offered),
		cmocka_unit_test(every_command_of_the_table_completes),
		cmocka_unit_test(mistyped_words_get_a_suggestion),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
