/* secrets: the call bridge's secret is opened for it, or refused with what to do. */
#include "tests/support/cmocka_first.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/config.h"
#include "proc/inherit.h"
#include "supervisor/secrets.h"
#include "supervisor/table.h"

static char path[] = "/tmp/secrets-XXXXXX";
static struct config *cfg;

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "s3cret\n", 7), 7);
	close(fd);
	cfg = config_defaults();
	free(cfg->bridge_secret_file);
	cfg->bridge_secret_file = xstrdup(path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	config_free(&cfg);
	return 0;
}

static void the_call_bridge_runs_only_when_it_is_enabled(void **state)
{
	const struct table_row *row = table_find("callbridge");

	(void)state;
	assert_non_null(row);
	assert_int_equal(table_instances(row, cfg), 0);
	cfg->bridge_enabled = true;
	assert_int_equal(table_instances(row, cfg), 1);
	assert_ptr_equal(table_of_instance("callbridge"), row);
}

static void its_secret_is_passed_opened(void **state)
{
	struct str why = STR_INIT;
	struct inherit in;
	char text[16] = "";

	(void)state;
	inherit_init(&in);
	assert_true(secrets_add(table_find("callbridge"), cfg, &in, &why));
	assert_int_equal(in.nfds, 1);
	assert_int_equal(in.fds[0].kind, INHERIT_FILE);
	assert_string_equal(in.fds[0].name, "callbridge.secret_file");
	assert_int_equal(pread(in.fds[0].fd, text, sizeof(text) - 1, 0), 7);
	assert_string_equal(text, "s3cret\n");
	close(in.fds[0].fd);
	inherit_clear(&in);
	/* Nobody else gets one. */
	assert_true(secrets_add(table_find("router"), cfg, &in, &why));
	assert_int_equal(in.nfds, 0);
	str_clear(&why);
}

static void a_secret_that_is_missing_or_open_to_others_is_refused(void **state)
{
	struct str why = STR_INIT;
	struct inherit in;

	(void)state;
	inherit_init(&in);
	chmod(path, 0644);
	assert_false(secrets_add(table_find("callbridge"), cfg, &in, &why));
	assert_non_null(strstr(why.data, "chmod 600"));
	str_reset(&why);
	unlink(path);
	assert_false(secrets_missing(cfg, &why)); /* it is not enabled */
	cfg->bridge_enabled = true;
	assert_true(secrets_missing(cfg, &why));
	assert_non_null(strstr(why.data, "callbridge.secret_file"));
	assert_non_null(strstr(why.data, "callbridge secret"));
	assert_int_equal(in.nfds, 0);
	str_clear(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_call_bridge_runs_only_when_it_is_enabled, setup,
						teardown),
		cmocka_unit_test_setup_teardown(its_secret_is_passed_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_secret_that_is_missing_or_open_to_others_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
