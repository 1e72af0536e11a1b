#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/common/command.h"
#include "cli/xmpp/xmpp_program.h"

#define ARGS_MAX 8

static int count(const char *const *args)
{
	int n = 0;

	while (n < ARGS_MAX && args[n])
		n++;
	return n;
}

static bool parse(const struct command_program *p, const char *const *args, void *values,
		  struct command_line *line, struct str *why)
{
	static char *argv[ARGS_MAX + 1];

	memcpy(argv, args, ARGS_MAX * sizeof(*args));
	return command_parse(p, count(args), argv, values, line, why);
}

static void good_lines_give_command_operands_and_values(void **state)
{
	static const struct {
		const char *args[ARGS_MAX];
		const char *words, *operand, *dir;
		bool json, from_stdin;
		long iterations;
	} cases[] = {
		{{"xmpp", "-C", "d", "user", "add", "a@b"}, "user add", "a@b", "d", 0, 0, 0},
		{{"xmpp", "user", "-C", "d", "add", "a@b"}, "user add", "a@b", "d", 0, 0, 0},
		{{"xmpp", "user", "add", "a@b", "-C", "d"}, "user add", "a@b", "d", 0, 0, 0},
		{{"xmpp", "-C", "d", "user", "passwd", "a@b", "--password-stdin"},
		 "user passwd",
		 "a@b",
		 "d",
		 0,
		 1,
		 0},
		{{"xmpp", "-C", "d", "user", "add", "a@b", "--iterations", "9000"},
		 "user add",
		 "a@b",
		 "d",
		 0,
		 0,
		 9000},
		{{"xmpp", "-C", "d", "user", "add", "a@b", "--iterations=9000"},
		 "user add",
		 "a@b",
		 "d",
		 0,
		 0,
		 9000},
		{{"xmpp", "-C", "d", "sessions", "--json"}, "sessions", NULL, "d", 1, 0, 0},
		{{"xmpp", "-C", "d", "sessions", "a@b"}, "sessions", "a@b", "d", 0, 0, 0},
		{{"xmpp", "-C", "d", "user", "list"}, "user list", NULL, "d", 0, 0, 0},
		{{"xmpp", "-C", "d", "kick", "--", "--help"}, "kick", "--help", "d", 0, 0, 0},
		{{"xmpp", "-C", "d", "kick", "-"}, "kick", "-", "d", 0, 0, 0},
		{{"xmpp", "-C", "d", "stats"}, "stats", NULL, "d", 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct xmpp_values v = {0};
		struct command_line line;
		struct str why = STR_INIT;

		assert_true(parse(&xmpp_program, cases[i].args, &v, &line, &why));
		assert_string_equal(line.command->words, cases[i].words);
		assert_int_equal(line.argc, cases[i].operand ? 1 : 0);
		if (cases[i].operand)
			assert_string_equal(line.argv[0], cases[i].operand);
		assert_string_equal(v.common.dir, cases[i].dir);
		assert_int_equal(v.common.json, cases[i].json);
		assert_int_equal(v.password_stdin, cases[i].from_stdin);
		assert_int_equal(v.iterations, cases[i].iterations);
		str_clear(&why);
	}
}

static void bad_lines_are_refused_with_what_would_be_right(void **state)
{
	static const struct {
		const char *args[ARGS_MAX];
		const char *why;
	} cases[] = {
		{{"xmpp", "-C", "d", "user"},
		 "unknown command 'user'; there is: add|del|passwd|list|show; see 'xmpp --help'"},
		{{"xmpp", "-C", "d", "usr", "add", "a@b"},
		 "unknown command 'usr add'; did you mean 'xmpp user add'? see 'xmpp --help'"},
		{{"xmpp", "-C", "d", "sesions"},
		 "unknown command 'sesions'; did you mean 'xmpp sessions'? see 'xmpp --help'"},
		{{"xmpp", "-C", "d", "nonsense", "a@b"},
		 "unknown command 'nonsense a@b'; see 'xmpp --help'"},
		{{"xmpp", "-C", "d", "user", "add"},
		 "'xmpp user add' takes JID; usage: xmpp [-C DIR] user add JID"},
		{{"xmpp", "-C", "d", "user", "add", "a@b", "c@d"},
		 "'xmpp user add' takes only JID; usage: xmpp [-C DIR] user add JID"},
		{{"xmpp", "-C", "d", "stats", "x"},
		 "'xmpp stats' takes no operands; usage: xmpp [-C DIR] stats"},
		{{"xmpp", "stats", "-C"}, "-C needs a value: -C DIR"},
		{{"xmpp", "stats", "-C", ""}, "-C has an empty value; it takes DIR"},
		{{"xmpp", "stats", "--jsn"}, "unknown option --jsn; see 'xmpp --help'"},
		{{"xmpp", "stats", "--json=1"}, "--json takes no value"},
		{{"xmpp", "-C", "d", "stats", "--password-stdin"},
		 "'xmpp stats' does not take --password-stdin; see 'xmpp stats --help'"},
		{{"xmpp", "-C", "d", "user", "show", "a@b", "--iterations", "1"},
		 "'xmpp user show' does not take --iterations; see 'xmpp user show --help'"},
		{{"xmpp", "user", "add", "a@b", "--iterations", "many"},
		 "--iterations takes a number, not 'many'"},
		{{"xmpp", "user", "add", "a@b", "--iterations", "-1"},
		 "--iterations takes a number, not '-1'"},
		{{"xmpp", "user", "add", "a@b", "--iterations", "9999999999"},
		 "--iterations takes a number, not '9999999999'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct xmpp_values v = {0};
		struct command_line line;
		struct str why = STR_INIT;

		assert_false(parse(&xmpp_program, cases[i].args, &v, &line, &why));
		assert_string_equal(why.data, cases[i].why);
		str_clear(&why);
	}
}

static void an_option_may_be_repeated_only_so_often(void **state)
{
	struct lists {
		struct command_common common;
		struct command_list names;
	} v = {0};
	static const struct command commands[] = {{"go", "", 0, 0, NULL, .help = "goes"}};
	static const struct command_option options[] = {
		{"--name", COMMAND_TEXTS, offsetof(struct lists, names), "N", NULL, "a name"}};
	static const struct command_program p = {"prog", "summary", commands, 1, options, 1, NULL};
	const char *args[2 * COMMAND_LIST_MAX + 8] = {"prog", "-C", "d", "go"};
	char *argv[2 * COMMAND_LIST_MAX + 8];
	struct command_line line;
	struct str why = STR_INIT;
	int argc = 4;

	(void)state;
	for (int i = 0; i < COMMAND_LIST_MAX; i++) {
		args[argc++] = "--name";
		args[argc++] = i ? "x" : "first";
	}
	memcpy(argv, args, sizeof(args));
	assert_true(command_parse(&p, argc, argv, &v, &line, &why));
	assert_int_equal(v.names.count, COMMAND_LIST_MAX);
	assert_string_equal(v.names.items[0], "first");
	v = (struct lists){0};
	argc = 4;
	for (int i = 0; i <= COMMAND_LIST_MAX; i++) {
		args[argc++] = "--name";
		args[argc++] = "x";
	}
	memcpy(argv, args, sizeof(args));
	assert_false(command_parse(&p, argc, argv, &v, &line, &why));
	assert_string_equal(why.data, "--name was given more than 32 times");
	str_clear(&why);
}

static void the_instance_is_found_by_option_then_environment_then_place(void **state)
{
	const char *stats[ARGS_MAX] = {"xmpp", "stats"},
		   *with[ARGS_MAX] = {"xmpp", "stats", "-C", "o"};
	const char *tmp = getenv("TMPDIR");
	char dir[256], home[4096];
	struct command_line line;
	struct str why = STR_INIT;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/command-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(getcwd(home, sizeof(home)));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	unsetenv("ROUNDHOUSE_DIR");
	assert_false(parse(&xmpp_program, stats, &(struct xmpp_values){0}, &line, &why));
	assert_non_null(strstr(why.data, "with -C DIR or in $ROUNDHOUSE_DIR"));

	assert_int_equal(mkdir("instance", 0700), 0);
	struct xmpp_values v = {0};
	assert_true(parse(&xmpp_program, stats, &v, &line, &why));
	assert_string_equal(v.common.dir, "instance");

	setenv("ROUNDHOUSE_DIR", "/else", 1);
	v = (struct xmpp_values){0};
	assert_true(parse(&xmpp_program, stats, &v, &line, &why));
	assert_string_equal(v.common.dir, "/else");
	v = (struct xmpp_values){0};
	assert_true(parse(&xmpp_program, with, &v, &line, &why));
	assert_string_equal(v.common.dir, "o");

	unsetenv("ROUNDHOUSE_DIR");
	rmdir("instance");
	assert_int_equal(chdir(home), 0);
	rmdir(dir);
	str_clear(&why);
}

static void help_names_every_command_and_only_the_options_it_takes(void **state)
{
	struct str text = STR_INIT;

	(void)state;
	command_help(&xmpp_program, NULL, &text);
	for (size_t i = 0; i < xmpp_program.ncommands; i++)
		assert_non_null(strstr(text.data, xmpp_program.commands[i].words));
	for (size_t i = 0; i < xmpp_program.noptions; i++)
		assert_non_null(strstr(text.data, xmpp_program.options[i].name));
	for (size_t i = 0; i < xmpp_program.ncommands; i++) {
		const struct command *c = &xmpp_program.commands[i];
		bool takes = strcmp(c->words, "user add") == 0 ||
			     strcmp(c->words, "user passwd") == 0 ||
			     strcmp(c->words, "import") == 0;

		str_reset(&text);
		command_help(&xmpp_program, c, &text);
		assert_non_null(strstr(text.data, "-C DIR"));
		assert_int_equal(strstr(text.data, "  --iterations") != NULL, takes);
	}
	str_clear(&text);
}

static void help_is_given_without_an_instance_and_without_operands(void **state)
{
	const char *all[ARGS_MAX] = {"xmpp", "--help"}, *one[ARGS_MAX] = {"xmpp", "kick", "-h"};
	struct command_line line;
	struct str why = STR_INIT;
	struct xmpp_values v = {0};

	(void)state;
	assert_true(parse(&xmpp_program, all, &v, &line, &why));
	assert_true(v.common.help);
	assert_null(line.command);
	v = (struct xmpp_values){0};
	assert_true(parse(&xmpp_program, one, &v, &line, &why));
	assert_true(v.common.help);
	assert_string_equal(line.command->words, "kick");
	str_clear(&why);
}

static void the_tables_can_be_listed(void **state)
{
	struct str out = STR_INIT;
	size_t lines = 0;

	(void)state;
	command_list(&xmpp_program, &out);
	assert_memory_equal(out.data, "program\txmpp\t", 13);
	assert_non_null(strstr(out.data, "\ncommand\tuser add\tJID\tadds an account\n"));
	assert_non_null(strstr(out.data,
			       "\noption\t--json\t\t\tone JSON object a line instead of a "
			       "table\n"));
	assert_non_null(strstr(out.data, "\noption\t--password-stdin\t\tuser add|user passwd\t"));
	/* One line each, whatever stands in the help. */
	for (const char *c = out.data; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 1 + xmpp_program.ncommands + 3 + xmpp_program.noptions);
	str_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tables_can_be_listed),
		cmocka_unit_test(good_lines_give_command_operands_and_values),
		cmocka_unit_test(bad_lines_are_refused_with_what_would_be_right),
		cmocka_unit_test(an_option_may_be_repeated_only_so_often),
		cmocka_unit_test(the_instance_is_found_by_option_then_environment_then_place),
		cmocka_unit_test(help_names_every_command_and_only_the_options_it_takes),
		cmocka_unit_test(help_is_given_without_an_instance_and_without_operands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
