/*
 * The small pure parts of lib/cm: limits, deadlines.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cm/cm_deadlines.h"
#include "cm/cm_limits.h"

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

static const char *enter(struct cm_limits *l, const char *text)
{
	struct sockaddr_storage s = addr(text);
	struct cm_address a = cm_address_of(&s);

	return cm_limits_enter(l, &a);
}

static void login(struct cm_limits *l, const char *text)
{
	struct sockaddr_storage s = addr(text);
	struct cm_address a = cm_address_of(&s);

	cm_limits_login(l, &a);
}

static void strangers_are_limited_by_address_and_in_total(void **state)
{
	struct cm_limits l;

	(void)state;
	cm_limits_init(&l);
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
	cm_limits_leave(&l);
	login(&l, "2001:db8::1");
	assert_null(enter(&l, "192.0.2.1"));
	assert_int_equal(l.connections, 6);
	assert_int_equal(l.strangers, 4);
	cm_limits_clear(&l);
}

static struct monotime at(uint64_t ms)
{
	return (struct monotime){ms * 1000};
}

static void deadlines_come_in_order_over_all_classes(void **state)
{
	struct cm_deadlines d;
	struct cm_deadline a, b, c;
	struct monotime next;

	(void)state;
	cm_deadlines_init(&d);
	cm_deadline_init(&a);
	cm_deadline_init(&b);
	cm_deadline_init(&c);
	assert_false(cm_deadlines_next(&d, &next));
	cm_deadline_set(&d, &a, 1, at(300));
	cm_deadline_set(&d, &b, 1, at(310));
	cm_deadline_set(&d, &c, 0, at(305));
	assert_true(cm_deadlines_next(&d, &next));
	assert_int_equal(next.us, 300000);
	assert_null(cm_deadlines_due(&d, at(299)));
	assert_ptr_equal(cm_deadlines_due(&d, at(300)), &a);
	assert_null(cm_deadlines_due(&d, at(300)));
	cm_deadline_set(&d, &c, 4, at(900)); /* moved */
	assert_ptr_equal(cm_deadlines_due(&d, at(500)), &b);
	cm_deadline_clear(&c);
	cm_deadline_clear(&c);
	assert_false(cm_deadlines_next(&d, &next));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strangers_are_limited_by_address_and_in_total),
		cmocka_unit_test(deadlines_come_in_order_over_all_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
