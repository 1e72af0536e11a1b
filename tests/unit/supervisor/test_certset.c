#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/xmem.h"
#include "proc/config.h"
#include "proc/inherit.h"
#include "proc/tls_files.h"
#include "supervisor/certset.h"

static char dir[64];

static void put(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

/* Two pairs: a.crt a.key, and b.pem, which holds both. */
static struct config *config(void)
{
	struct config *cfg = xcalloc(1, sizeof(*cfg));

	cfg->tls_certificate = xasprintf("%s/a.crt", dir);
	cfg->tls_key = xasprintf("%s/a.key", dir);
	cfg->tls_extra = xcalloc(2, sizeof(char *));
	cfg->tls_extra[0] = xasprintf(" %s/b.pem\t", dir);
	return cfg;
}

static void config_drop(struct config *cfg)
{
	free(cfg->tls_certificate);
	free(cfg->tls_key);
	for (char **p = cfg->tls_extra; *p; p++)
		free(*p);
	free(cfg->tls_extra);
	free(cfg);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/certset.XXXXXX");
	assert_non_null(mkdtemp(dir));
	put("a.crt", "certificate a");
	put("a.key", "key a");
	put("b.pem", "both of b");
	return 0;
}

static int teardown(void **state)
{
	char *command = xasprintf("rm -rf %s", dir);

	(void)state;
	assert_int_equal(system(command), 0);
	free(command);
	return 0;
}

static struct certset *read_set(void)
{
	struct config *cfg = config();
	struct str why = STR_INIT;
	struct certset *set;

	assert_int_equal(certset_new(&set, cfg, &why), ERR_OK);
	config_drop(cfg);
	return set;
}

static void expect_file(const struct inherit *in, size_t i, const char *name, const char *bytes)
{
	char buf[64] = "";

	assert_int_equal(in->fds[i].kind, INHERIT_FILE);
	assert_string_equal(in->fds[i].name, name);
	assert_true(pread(in->fds[i].fd, buf, sizeof(buf) - 1, 0) >= 0);
	assert_string_equal(buf, bytes);
	/* Sealed: a service can change it for nobody. */
	assert_int_equal(pwrite(in->fds[i].fd, "x", 1, 0), -1);
}

static void close_all(struct inherit *in)
{
	for (size_t i = 0; i < in->nfds; i++)
		close(in->fds[i].fd);
	inherit_clear(in);
}

static void services_get_what_was_read_whatever_happens_to_the_files(void **state)
{
	struct certset *set = read_set();
	struct inherit in;

	(void)state;
	put("a.crt", "something else");
	inherit_init(&in);
	certset_add(set, &in);
	assert_int_equal(in.nfds, 4);
	expect_file(&in, 0, "tls.certificate", "certificate a");
	expect_file(&in, 1, "tls.key", "key a");
	expect_file(&in, 2, "tls.extra.1.certificate", "both of b");
	expect_file(&in, 3, "tls.extra.1.key", "both of b");
	close_all(&in);
	certset_free(&set);
}

/* Both pairs with a bundle: one file for both. */
static struct certset *read_set_with_bundles(void)
{
	struct config *cfg = config();
	struct str why = STR_INIT;
	struct certset *set;

	put("ca.pem", "bundle");
	cfg->tls_bundle = xasprintf("%s/ca.pem", dir);
	free(cfg->tls_extra[0]);
	cfg->tls_extra[0] = xasprintf("%s/b.pem %s/b.pem  %s/ca.pem", dir, dir, dir);
	assert_int_equal(certset_new(&set, cfg, &why), ERR_OK);
	free(cfg->tls_bundle);
	config_drop(cfg);
	return set;
}

static void bundles_are_handed_on_compared_and_missed_like_the_others(void **state)
{
	struct certset *set = read_set_with_bundles(), *new;
	struct str why = STR_INIT;
	struct certset_look before = certset_look(set, 0), after;
	struct inherit in;
	char *path;

	(void)state;
	inherit_init(&in);
	certset_add(set, &in);
	assert_int_equal(in.nfds, 6);
	expect_file(&in, 2, "tls.bundle", "bundle");
	expect_file(&in, 3, "tls.extra.1.certificate", "both of b");
	expect_file(&in, 5, "tls.extra.1.bundle", "bundle");
	close_all(&in);

	put("ca.pem", "another bundle");
	after = certset_look(set, 0);
	assert_false(certset_look_same(&before, &after));
	new = certset_read_pair(set, 0);
	assert_false(certset_pair_same(set, new, 0));
	certset_take_pair(set, new, 0);
	certset_free(&new);
	inherit_init(&in);
	certset_add_pair(set, 0, &in);
	expect_file(&in, 2, "tls.bundle", "another bundle");
	close_all(&in);

	path = xasprintf("%s/ca.pem", dir);
	assert_int_equal(unlink(path), 0);
	free(path);
	new = certset_read_pair(set, 1);
	assert_true(certset_pair_missing(new, 1, &why));
	assert_non_null(strstr(why.data, "tls.extra.1.bundle: "));
	assert_non_null(strstr(why.data, "/ca.pem: No such file or directory; copy the CA's"));
	inherit_init(&in);
	certset_add_pair(new, 1, &in); /* never without its bundle */
	assert_int_equal(in.nfds, 0);
	close_all(&in);
	certset_free(&new);
	certset_free(&set);
	str_clear(&why);
}

static void every_way_to_replace_a_file_is_seen(void **state)
{
	static const char *const ways[] = {"printf 'key A' > a.key",
					   "printf 'key a' > n && mv n a.key",
					   "touch -d @1000000000 a.key", "rm a.key",
					   "printf 'key' > real && ln -sf real a.key"};
	struct certset *set = read_set();

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct certset_look before = certset_look(set, 0), other = certset_look(set, 1);
		struct certset_look again = certset_look(set, 0), after, other_after;
		char *command = xasprintf("cd %s && %s", dir, ways[i]);

		assert_true(certset_look_same(&before, &again));
		assert_int_equal(system(command), 0);
		after = certset_look(set, 0);
		other_after = certset_look(set, 1);
		if (certset_look_same(&before, &after))
			fail_msg("not seen: %s", ways[i]);
		assert_true(certset_look_same(&other, &other_after));
		free(command);
	}
	certset_free(&set);
}

/* What changes between reading and judging is a change still. */
static void the_look_of_a_set_is_that_of_what_was_read(void **state)
{
	struct certset *set = read_set();
	struct certset_look read_look = certset_read_look(set, 0), now = certset_look(set, 0);

	(void)state;
	assert_true(certset_look_same(&read_look, &now));
	put("a.key", "another key");
	read_look = certset_read_look(set, 0);
	now = certset_look(set, 0);
	assert_false(certset_look_same(&read_look, &now));
	certset_free(&set);
}

static void a_pair_is_read_anew_compared_and_taken_over_alone(void **state)
{
	struct certset *set = read_set(), *new;
	struct inherit in;

	(void)state;
	new = certset_read_pair(set, 0);
	assert_true(certset_pair_same(set, new, 0));
	assert_false(certset_pair_same(set, new, 1)); /* not read */
	certset_free(&new);
	put("a.key", "key A");
	put("b.pem", "new");
	new = certset_read_pair(set, 0);
	assert_false(certset_pair_same(set, new, 0));
	certset_take_pair(set, new, 0);
	certset_free(&new);
	inherit_init(&in);
	certset_add(set, &in);
	expect_file(&in, 1, "tls.key", "key A");
	expect_file(&in, 2, "tls.extra.1.certificate", "both of b");
	close_all(&in);
	certset_free(&set);
}

static void what_cannot_be_read_is_named_with_its_reason(void **state)
{
	static const struct {
		const char *way, *says;
	} cases[] = {
		{"rm a.key", "/a.key: No such file or directory; `pki lab` makes one"},
		{"rm -f a.key && mkdir a.key", "/a.key: Is a directory"},
		{"rmdir a.key && mkfifo a.key", "/a.key: Invalid argument; put a readable PEM"},
		{"rm a.key && truncate -s 2M a.key", "/a.key: File too large; larger than 1 MiB"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *command = xasprintf("cd %s && %s", dir, cases[i].way);
		struct str why = STR_INIT;
		struct certset *set;
		struct inherit in;

		assert_int_equal(system(command), 0);
		set = read_set();
		assert_true(certset_missing(set, false, &why));
		if (strncmp(why.data, "tls.key: ", 9) != 0 || !strstr(why.data, cases[i].says))
			fail_msg("%s", why.data);
		assert_true(certset_pair_missing(set, 0, NULL));
		assert_false(certset_pair_missing(set, 1, NULL));
		inherit_init(&in);
		certset_add(set, &in); /* never half a pair */
		assert_int_equal(in.nfds, 2);
		close_all(&in);
		certset_free(&set);
		str_clear(&why);
		free(command);
	}
}

static void an_entry_of_the_list_that_is_wrong_is_shown_with_its_form(void **state)
{
	static const char *const wrong[] = {"", "  ", "a b c d"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct config *cfg = config();
		struct str why = STR_INIT;
		struct certset *set;

		free(cfg->tls_extra[0]);
		cfg->tls_extra[0] = xstrdup(wrong[i]);
		assert_int_equal(certset_new(&set, cfg, &why), ERR_FORMAT);
		assert_null(set);
		assert_non_null(strstr(why.data, "write \"CERTIFICATE KEY\""));
		config_drop(cfg);
		str_clear(&why);
	}
}

static void more_pairs_than_can_be_passed_are_refused(void **state)
{
	struct config *cfg = config();
	struct str why = STR_INIT;
	struct certset *set;

	(void)state;
	free(cfg->tls_extra[0]);
	free(cfg->tls_extra);
	cfg->tls_extra = xcalloc(TLS_FILES_MAX + 1, sizeof(char *));
	for (size_t i = 0; i < TLS_FILES_MAX; i++)
		cfg->tls_extra[i] = xstrdup("a b");
	assert_int_equal(certset_new(&set, cfg, &why), ERR_TOOBIG);
	free(cfg->tls_extra[TLS_FILES_MAX - 1]);
	cfg->tls_extra[TLS_FILES_MAX - 1] = NULL;
	assert_int_equal(certset_new(&set, cfg, &why), ERR_OK);
	assert_int_equal(certset_count(set), TLS_FILES_MAX);
	certset_free(&set);
	config_drop(cfg);
	str_clear(&why);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(services_get_what_was_read_whatever_happens_to_the_files),
		TEST(bundles_are_handed_on_compared_and_missed_like_the_others),
		TEST(every_way_to_replace_a_file_is_seen),
		TEST(the_look_of_a_set_is_that_of_what_was_read),
		TEST(a_pair_is_read_anew_compared_and_taken_over_alone),
		TEST(what_cannot_be_read_is_named_with_its_reason),
		TEST(an_entry_of_the_list_that_is_wrong_is_shown_with_its_form),
		TEST(more_pairs_than_can_be_passed_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
