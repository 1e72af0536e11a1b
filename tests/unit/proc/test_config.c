/*
 * config against goldens: every config/NAME.in is loaded, what comes of it stands in
 * config/NAME.ok: the reason of the refusal, or the live lines of the configuration. UPDATE=1
 * writes them (and conf/roundhouse.conf) anew: look at the difference before it is committed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "base/xmem.h"
#include "proc/config.h"
#include "proc/config_set.h"
#include "proc/config_table.h"

#define GOLDENS "tests/unit/proc/config/"
#define EXAMPLE "conf/roundhouse.conf"

static char *slurp(const char *path)
{
	struct str text = STR_INIT;
	FILE *f = fopen(path, "re");
	char buf[4096];
	size_t n;

	while (f && (n = fread(buf, 1, sizeof(buf), f)) > 0)
		str_add(&text, buf, n);
	if (f)
		fclose(f);
	return str_detach(&text);
}

/* Text that must stand in path. */
static void compare(const char *path, const char *text)
{
	char *want;
	FILE *f;

	if (getenv("UPDATE")) {
		f = fopen(path, "we");
		assert_non_null(f);
		fputs(text, f);
		fclose(f);
	}
	want = slurp(path);
	if (strcmp(want, text) != 0)
		print_error("%s: UPDATE=1 writes it anew\n", path);
	assert_string_equal(text, want);
	free(want);
}

static bool is_live(const char *line, size_t n)
{
	size_t blank = strspn(line, "\t ");

	return blank < n && line[blank] != '#';
}

/* The lines that are neither blank nor comment, without the frames of empty sections: those come
 * and go with options.def. */
static void add_live(struct str *out, const char *text)
{
	size_t frame = SIZE_MAX; /* where the line before began, if it opened a section */

	while (*text) {
		size_t n = strcspn(text, "\n");

		if (is_live(text, n) && frame != SIZE_MAX && strncmp(text, "};", 2) == 0) {
			out->len = frame;
			out->data[frame] = '\0';
			frame = SIZE_MAX;
		} else if (is_live(text, n)) {
			frame = text[n - 1] == '{' ? out->len : SIZE_MAX;
			str_addf(out, "%.*s\n", (int)n, text);
		}
		text += n + (text[n] != '\0');
	}
}

static void outcome(const char *path, struct str *out)
{
	struct str why = STR_INIT, text = STR_INIT;
	struct config *cfg;
	enum err e = config_load(&cfg, path, &why);

	if (e) {
		assert_null(cfg);
		assert_int_equal(e, ERR_FORMAT);
		str_addf(out, "refused: %s\n", why.data);
	} else {
		assert_int_equal(why.len, 0);
		config_format(&text, cfg);
		add_live(out, text.data);
	}
	config_free(&cfg);
	str_clear(&why);
	str_clear(&text);
}

static void every_golden_comes_out_as_written(void **state)
{
	DIR *d = opendir(GOLDENS);
	struct dirent *e;
	int count = 0;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name);
		struct str out = STR_INIT;
		char *in, *ok;

		if (n < 4 || strcmp(e->d_name + n - 3, ".in") != 0)
			continue;
		in = xasprintf(GOLDENS "%s", e->d_name);
		ok = xasprintf(GOLDENS "%.*s.ok", (int)n - 3, e->d_name);
		outcome(in, &out);
		compare(ok, out.data);
		free(in);
		free(ok);
		str_clear(&out);
		count++;
	}
	closedir(d);
	assert_true(count >= 20);
}

static void a_missing_file_is_refused_with_what_to_do(void **state)
{
	struct str why = STR_INIT;
	struct config *cfg;

	(void)state;
	assert_int_equal(config_load(&cfg, "no/such/file.conf", &why), ERR_FORMAT);
	assert_null(cfg);
	assert_non_null(strstr(why.data, "no/such/file.conf"));
	assert_non_null(strstr(why.data, "No such file"));
	assert_non_null(strstr(why.data, "supervisor init"));
	str_clear(&why);
}

static void assert_same(const struct config *a, const struct config *b)
{
	for (size_t i = 0; i < config_table_len; i++)
		if (!config_same(a, b, &config_table[i]))
			fail_msg("%s.%s differs", config_table[i].section, config_table[i].key);
}

static struct config *round_trip(const struct config *cfg)
{
	char path[] = "/tmp/config-XXXXXX";
	struct str text = STR_INIT, why = STR_INIT;
	struct config *back;
	int fd = mkstemp(path);

	config_format(&text, cfg);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.data, text.len), (ssize_t)text.len);
	close(fd);
	if (config_load(&back, path, &why))
		fail_msg("%s", why.data);
	unlink(path);
	str_clear(&text);
	str_clear(&why);
	return back;
}

/* Every row is given a value that is not its default. */
static void change_all(struct config *cfg)
{
	for (size_t i = 0; i < config_table_len; i++) {
		const struct config_option *o = &config_table[i];
		void *field = config_field(cfg, o);

		switch (o->kind) {
		case CONFIG_KIND_BOOL:
			*(bool *)field = !*(bool *)field;
			break;
		case CONFIG_KIND_INT:
			*(int64_t *)field = *(int64_t *)field == o->max ? o->min : o->max;
			break;
		case CONFIG_KIND_STR:
			free(*(char **)field);
			*(char **)field = xstrdup("a \"b\" \\ c\td\x01 \xc3\xa4");
			break;
		case CONFIG_KIND_ENUM: {
			const char *last = strrchr(o->choices, '|') + 1;
			size_t n =
				strcmp(last, o->def_str) ? strlen(last) : strcspn(o->choices, "|");

			free(*(char **)field);
			*(char **)field = xstrndup(strcmp(last, o->def_str) ? last : o->choices, n);
			break;
		}
		case CONFIG_KIND_LIST:
			free(**(char ***)field);
			**(char ***)field = xstrdup("x \"y\"");
			break;
		}
	}
}

static void what_is_written_reads_back_equal(void **state)
{
	struct config *cfg = config_defaults(), *back = round_trip(cfg);

	(void)state;
	assert_same(cfg, back);
	config_free(&back);
	change_all(cfg);
	cfg->restart_delay_max_ms = cfg->restart_delay_min_ms;
	back = round_trip(cfg);
	assert_same(cfg, back);
	config_free(&back);
	config_free(&cfg);
}

static void only_frozen_keys_need_a_restart(void **state)
{
	struct config *a = config_defaults(), *b = config_defaults();
	struct str why = STR_INIT;

	(void)state;
	free(b->log_level);
	b->log_level = xstrdup("debug");
	b->client_instances = 2;
	free(b->client_listen[0]);
	b->client_listen[0] = xstrdup("127.0.0.1:5333");
	assert_false(config_needs_restart(a, b, &why));
	assert_int_equal(why.len, 0);
	free(b->users_router);
	b->users_router = xstrdup("somebody");
	assert_true(config_needs_restart(a, b, &why));
	assert_non_null(strstr(why.data, "users.router has changed"));
	str_clear(&why);
	config_free(&a);
	config_free(&b);
}

static void put(const char *dir, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

/* What a roundhouse.conf with a managed.conf (NULL: none) beside it says, or why it is refused. */
static char *layered(const char *base, const char *over)
{
	char dir[] = "/tmp/config-XXXXXX", *path, *at;
	struct str why = STR_INIT, text = STR_INIT, out = STR_INIT;
	struct config *cfg;

	assert_non_null(mkdtemp(dir));
	put(dir, "roundhouse.conf", base);
	if (over)
		put(dir, "managed.conf", over);
	path = xasprintf("%s/roundhouse.conf", dir);
	if (config_load(&cfg, path, &why) == ERR_OK) {
		config_format(&text, cfg);
		add_live(&out, text.data);
	} else {
		at = strstr(why.data, dir);
		str_adds(&out, at ? at + strlen(dir) + 1 : why.data);
	}
	config_free(&cfg);
	unlink(path);
	free(path);
	path = xasprintf("%s/managed.conf", dir);
	unlink(path);
	free(path);
	rmdir(dir);
	str_clear(&why);
	str_clear(&text);
	return str_detach(&out);
}

static void what_commands_set_lies_over_the_operators_file(void **state)
{
	static const struct {
		const char *base, *over;
		const char *want;  /* is in the outcome ... */
		const char * not ; /* ... and this is not */
	} cases[] = {
		{"domains = [\"a\"];", NULL, "domains = [ \"a\" ];", "refused"},
		{"domains = [\"a\"];", "", "domains = [ \"a\" ];", "refused"},
		/* A key of its own, and lists are not joined. */
		{"domains = [\"a\", \"b\"];", "domains = [\"c\"];", "domains = [ \"c\" ];",
		 "\"a\""},
		{"cm-client = { listen = [\"127.0.0.1:1\"]; };", "cm-client = { listen = []; };",
		 "\tlisten = [];", "127.0.0.1:1"},
		/* Key by key, not section by section. */
		{"router = { traces = 3; sessions_per_user = 5; };",
		 "router = { sessions_per_user = 6; };", "\ttraces = 3;", "sessions_per_user = 5"},
		{"router = { traces = 3; };", "router = { sessions_per_user = 6; };",
		 "\tsessions_per_user = 6;", "refused"},
		/* Instances of old include it. */
		{"domains = [\"a\"];\n@include \"managed.conf\"\n", "domains = [\"c\"];",
		 "domains = [ \"c\" ];", "\"a\""},
		{"domains = [\"a\"];\n\t@include\t\"managed.conf\"", NULL, "domains = [ \"a\" ];",
		 "refused"},
		/* Mistakes have their own file and line. */
		{"domains = [\"a\"];\n\nnonsense = 1;\n", "domains = [\"c\"];",
		 "roundhouse.conf:3: unknown key", "managed.conf"},
		{"domains = [\"a\"];\n", "\n\nrouter = {\n\ttraces = 1000;\n};\n",
		 "managed.conf:4: router.traces is 1000", "roundhouse.conf"},
		{"domains = [\"a\"];\n@include \"managed.conf\"\nlog = { level = 1; };\n", "",
		 "roundhouse.conf:3: log.level must be a text", "managed.conf"},
		{"domains = [\"a\"];", "domains = [\"c\"", "managed.conf:1: syntax error",
		 "roundhouse"},
		{"domains = [\"a\"];", "domains = [];", "domains is empty", "managed.conf"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = layered(cases[i].base, cases[i].over);

		if (!strstr(got, cases[i].want) || strstr(got, cases[i].not ))
			fail_msg("case %zu: %s", i, got);
		free(got);
	}
}

static void another_file_has_nothing_over_it(void **state)
{
	char dir[] = "/tmp/config-XXXXXX", *path, *over;
	struct str why = STR_INIT;
	struct config *cfg;

	(void)state;
	assert_non_null(mkdtemp(dir));
	put(dir, "accepted.conf", "domains = [\"a\"];");
	put(dir, "managed.conf", "domains = [\"c\"];");
	path = xasprintf("%s/accepted.conf", dir);
	over = xasprintf("%s/managed.conf", dir);
	assert_int_equal(config_load(&cfg, path, &why), ERR_OK);
	assert_string_equal(cfg->domains[0], "a");
	config_free(&cfg);
	assert_int_equal(config_load_layers(&cfg, path, over, &why), ERR_OK);
	assert_string_equal(cfg->domains[0], "c");
	config_free(&cfg);
	unlink(path);
	unlink(over);
	rmdir(dir);
	free(path);
	free(over);
}

static void a_set_of_keys_is_written_as_what_reads_back_and_nothing_else(void **state)
{
	static const char *const domains[] = {"a \"b\"", "c", NULL};
	char path[] = "/tmp/config-XXXXXX";
	struct config_set *s = config_set_new(), *back = config_set_new();
	struct str text = STR_INIT, again = STR_INIT, why = STR_INIT;
	int fd = mkstemp(path);

	(void)state;
	config_set_list(s, "domains", domains);
	config_set_text(s, "xmpp.motd", "two\nlines, \"quoted\" \\");
	config_set_flag(s, "xmpp.enabled", false);
	config_set_number(s, "router.total_queue_bytes", 1099511627776);
	config_set_text(s, "log.level", "debug");
	config_set_remove(s, "log.level");
	config_set_format(&text, s);
	assert_null(strstr(text.data, "level"));
	assert_int_equal(write(fd, text.data, text.len), (ssize_t)text.len);
	close(fd);
	assert_int_equal(config_set_load(back, path, &why), ERR_OK);
	config_set_format(&again, back);
	assert_string_equal(again.data, text.data);
	assert_true(config_set_has(back, "xmpp.enabled"));
	assert_false(config_set_has(back, "log.level"));
	unlink(path);
	assert_int_equal(config_file_mark(path), 0);
	assert_int_equal(config_set_load(back, path, &why), ERR_OK);
	config_set_free(&s);
	config_set_free(&back);
	str_clear(&text);
	str_clear(&again);
}

static void every_default_is_within_its_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_table_len; i++) {
		const struct config_option *o = &config_table[i];

		if (o->kind == CONFIG_KIND_INT &&
		    (o->def_int < o->min || o->def_int > o->max || o->min > o->max))
			fail_msg("%s.%s", o->section, o->key);
		if (o->kind == CONFIG_KIND_ENUM && !strstr(o->choices, o->def_str))
			fail_msg("%s.%s", o->section, o->key);
		if (!*o->help)
			fail_msg("%s.%s has no help", o->section, o->key);
	}
}

static void the_example_in_conf_is_up_to_date(void **state)
{
	struct str text = STR_INIT;

	(void)state;
	config_format(&text, NULL);
	compare(EXAMPLE, text.data);
	str_clear(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_golden_comes_out_as_written),
		cmocka_unit_test(a_missing_file_is_refused_with_what_to_do),
		cmocka_unit_test(what_is_written_reads_back_equal),
		cmocka_unit_test(only_frozen_keys_need_a_restart),
		cmocka_unit_test(what_commands_set_lies_over_the_operators_file),
		cmocka_unit_test(another_file_has_nothing_over_it),
		cmocka_unit_test(a_set_of_keys_is_written_as_what_reads_back_and_nothing_else),
		cmocka_unit_test(every_default_is_within_its_bounds),
		cmocka_unit_test(the_example_in_conf_is_up_to_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
