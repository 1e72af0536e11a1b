/*
 * The small pure parts: base64, limits, deadlines, settings.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmem.h"
#include "cm-client/c2s_base64.h"
#include "cm-client/c2s_deadlines.h"
#include "cm-client/c2s_limits.h"
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

static struct sockaddr_storage addr(const char *text)
{
	struct sockaddr_storage out = {0};
	struct sockaddr_in *in4 = (void *)&out;
	struct sockaddr_in6 *in6 = (void *)&out;

	if (inet_pton(AF_INET, text, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		in6->sin6_family = AF_INET6;
	}
	return out;
}

static const char *enter(struct c2s_limits *l, const char *text)
{
	struct sockaddr_storage s = addr(text);
	struct c2s_address a = c2s_address_of(&s);

	return c2s_limits_enter(l, &a);
}

static void login(struct c2s_limits *l, const char *text)
{
	struct sockaddr_storage s = addr(text);
	struct c2s_address a = c2s_address_of(&s);

	c2s_limits_login(l, &a);
}

static void strangers_are_limited_by_address_and_in_total(void **state)
{
	struct c2s_limits l;

	(void)state;
	c2s_limits_init(&l);
	l.connections_max = 6;
	l.strangers_max = 4;
	l.strangers_per_address_max = 2;
	assert_null(enter(&l, "192.0.2.1"));
	assert_null(enter(&l, "192.0.2.1"));
	assert_string_equal(enter(&l, "192.0.2.1"),
			    "too many connections of your address have not logged in");
	assert_non_null(enter(&l, "::ffff:192.0.2.1")); /* the same address */
	assert_null(enter(&l, "2001:db8::1"));
	assert_null(enter(&l, "2001:db8::2"));
	assert_string_equal(enter(&l, "192.0.2.9"), "too many connections are logging in now");
	login(&l, "192.0.2.1");
	assert_string_equal(enter(&l, "2001:db8::ffff"),
			    "too many connections of your address have not logged in");
	assert_null(enter(&l, "2001:db8:0:1::1")); /* another /64 */
	login(&l, "192.0.2.1");
	assert_null(enter(&l, "192.0.2.1"));
	assert_string_equal(enter(&l, "192.0.2.1"),
			    "this server has all the connections that it takes");
	c2s_limits_leave(&l);
	login(&l, "2001:db8::1");
	assert_null(enter(&l, "192.0.2.1"));
	assert_int_equal(l.connections, 6);
	assert_int_equal(l.strangers, 4);
	c2s_limits_clear(&l);
}

static struct monotime at(uint64_t ms)
{
	return (struct monotime){ms * 1000};
}

static void deadlines_come_in_order_over_all_classes(void **state)
{
	struct c2s_deadlines d;
	struct c2s_deadline a, b, c;
	struct monotime next;

	(void)state;
	c2s_deadlines_init(&d);
	c2s_deadline_init(&a);
	c2s_deadline_init(&b);
	c2s_deadline_init(&c);
	assert_false(c2s_deadlines_next(&d, &next));
	c2s_deadline_set(&d, &a, C2S_DEADLINE_LOGIN, at(300));
	c2s_deadline_set(&d, &b, C2S_DEADLINE_LOGIN, at(310));
	c2s_deadline_set(&d, &c, C2S_DEADLINE_TLS, at(305));
	assert_true(c2s_deadlines_next(&d, &next));
	assert_int_equal(next.us, 300000);
	assert_null(c2s_deadlines_due(&d, at(299)));
	assert_ptr_equal(c2s_deadlines_due(&d, at(300)), &a);
	assert_null(c2s_deadlines_due(&d, at(300)));
	c2s_deadline_set(&d, &c, C2S_DEADLINE_IDLE, at(900)); /* moved */
	assert_ptr_equal(c2s_deadlines_due(&d, at(500)), &b);
	c2s_deadline_clear(&c);
	c2s_deadline_clear(&c);
	assert_false(c2s_deadlines_next(&d, &next));
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
		cmocka_unit_test(strangers_are_limited_by_address_and_in_total),
		cmocka_unit_test(deadlines_come_in_order_over_all_classes),
		cmocka_unit_test(settings_are_normalised_and_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
