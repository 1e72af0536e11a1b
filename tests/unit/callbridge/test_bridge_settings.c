/* bridge_settings: names, server addresses, secrets (A43, A44). */
#include "tests/support/cmocka_first.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "callbridge/bridge_settings.h"
#include "proc/config.h"

static void a44_a_name_has_no_domain_part(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} cases[] = {
		{"cb1", true},	  {"cb-1", true}, {"", false},	  {"cb1@x", false},
		{"cb1.x", false}, {"a/b", false}, {"a b", false}, {"a'b", false},
	};
	char *long_name = xmalloc(80);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str why = STR_INIT;

		assert_int_equal(bridge_name_is_good(cases[i].name, &why), cases[i].good);
		assert_int_equal(why.len > 0, !cases[i].good);
		str_clear(&why);
	}
	for (size_t n = 63; n < 65; n++) {
		struct str why = STR_INIT;

		memset(long_name, 'a', n);
		long_name[n] = '\0';
		assert_int_equal(bridge_name_is_good(long_name, &why), n == 63);
		str_clear(&why);
	}
	free(long_name);
}

static void a_server_address_is_host_or_host_and_port(void **state)
{
	static const struct {
		const char *text, *host; /* NULL: refused */
		int port;
	} cases[] = {
		{"localhost", "localhost", 5223},
		{"localhost:5299", "localhost", 5299},
		{"192.0.2.1:65535", "192.0.2.1", 65535},
		{"[2001:db8::1]", "2001:db8::1", 5223},
		{"[::1]:5222", "::1", 5222},
		{"2001:db8::1", "2001:db8::1", 5223},
		{"localhost:", NULL, 0},
		{"localhost:0", NULL, 0},
		{"localhost:65536", NULL, 0},
		{"localhost:x", NULL, 0},
		{":5223", NULL, 0},
		{"[::1", NULL, 0},
		{"[::1]x", NULL, 0},
		{"[localhost]:1", NULL, 0},
		{"a:b:c", NULL, 0},
		{"a b", NULL, 0},
		{"user@host", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str why = STR_INIT;
		char *host;
		uint16_t port;
		enum err e = bridge_server_parse(cases[i].text, &host, &port, &why);

		if (cases[i].host) {
			assert_int_equal(e, ERR_OK);
			assert_string_equal(host, cases[i].host);
			assert_int_equal(port, cases[i].port);
		} else {
			assert_int_equal(e, ERR_FORMAT);
			assert_null(host);
			assert_non_null(strstr(why.data, cases[i].text));
		}
		free(host);
		str_clear(&why);
	}
}

static void set(char **field, const char *text)
{
	free(*field);
	*field = xstrdup(text);
}

static void the_address_is_name_and_domain_and_dns_is_asked_for_the_domain(void **state)
{
	struct config *cfg = config_defaults();
	struct bridge_settings s;
	struct str why = STR_INIT;

	(void)state;
	set(&cfg->bridge_name, "CB1");
	set(&cfg->bridge_domain, "Example.Org");
	cfg->bridge_echo = true;
	assert_int_equal(bridge_settings_load(&s, cfg, &why), ERR_OK);
	assert_string_equal(s.jid, "cb1.example.org");
	assert_string_equal(s.srv_name, "_xmpp-component._tcp.example.org");
	assert_false(s.plan.is_static);
	assert_int_equal(s.plan.dns_retry_ms, 64000); /* FEATURES 2.4 */
	assert_int_equal(s.plan.retry_min_ms, 1000);
	assert_true(s.verify);
	assert_int_equal(s.tls, BRIDGE_TLS_REQUIRED);
	bridge_settings_clear(&s);
	set(&cfg->bridge_server, "localhost:5223");
	set(&cfg->bridge_jid, "gateway.example.net");
	assert_int_equal(bridge_settings_load(&s, cfg, &why), ERR_OK);
	assert_true(s.plan.is_static);
	assert_string_equal(s.host, "localhost");
	assert_string_equal(s.jid, "gateway.example.net");
	bridge_settings_clear(&s);
	config_free(&cfg);
	str_clear(&why);
}

static void what_is_missing_or_wrong_is_said(void **state)
{
	struct config *cfg = config_defaults();
	struct bridge_settings s;
	struct str why = STR_INIT;

	(void)state;
	cfg->bridge_echo = true;
	assert_int_equal(bridge_settings_load(&s, cfg, &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "name is empty"));
	str_reset(&why);
	set(&cfg->bridge_name, "cb1");
	set(&cfg->bridge_server, "a:b");
	assert_int_equal(bridge_settings_load(&s, cfg, &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "no server address"));
	str_reset(&why);
	set(&cfg->bridge_server, "");
	set(&cfg->bridge_exec, "cat");
	assert_int_equal(bridge_settings_load(&s, cfg, &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "one of them"));
	str_reset(&why);
	set(&cfg->bridge_exec, "");
	cfg->bridge_echo = false;
	assert_int_equal(bridge_settings_load(&s, cfg, &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "who answers?"));
	config_free(&cfg);
	str_clear(&why);
}

static void a_secret_is_the_first_line_of_a_file_of_ones_own(void **state)
{
	static const struct {
		const char *text, *secret; /* NULL: refused */
	} cases[] = {
		{"s3cret\n", "s3cret"}, {"s3cret", "s3cret"}, {"a b\r\nx\n", "a b"}, {"", NULL},
		{"\nx\n", NULL},
	};
	char path[] = "/tmp/bridge-secret-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bridge_settings s = {.secret = STR_INIT};
		struct str why = STR_INIT;
		enum err e;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, cases[i].text, strlen(cases[i].text), 0),
				 strlen(cases[i].text));
		e = bridge_settings_read_secret_file(&s, path, &why);
		assert_int_equal(e, cases[i].secret ? ERR_OK : ERR_FORMAT);
		assert_string_equal(s.secret.data, cases[i].secret ? cases[i].secret : "");
		bridge_settings_clear(&s);
		str_clear(&why);
	}
	close(fd);
	unlink(path);
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
	char path[] = "/tmp/bridge-secret-XXXXXX";
	struct bridge_settings s = {.secret = STR_INIT};
	struct str why = STR_INIT;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "s\n", 2), 2);
	fchmod(fd, 0640);
	assert_int_equal(bridge_settings_read_secret_file(&s, path, &why), ERR_DENIED);
	assert_non_null(strstr(why.data, "chmod 600"));
	str_reset(&why);
	unlink(path);
	assert_int_equal(bridge_settings_read_secret_file(&s, path, &why), ERR_NOTFOUND);
	assert_non_null(strstr(why.data, "callbridge secret"));
	close(fd);
	str_clear(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a44_a_name_has_no_domain_part),
		cmocka_unit_test(a_server_address_is_host_or_host_and_port),
		cmocka_unit_test(the_address_is_name_and_domain_and_dns_is_asked_for_the_domain),
		cmocka_unit_test(what_is_missing_or_wrong_is_said),
		cmocka_unit_test(a_secret_is_the_first_line_of_a_file_of_ones_own),
		cmocka_unit_test(a_secret_that_others_can_read_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
