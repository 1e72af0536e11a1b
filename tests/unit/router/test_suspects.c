#include "ipc/link.h"
#include "router/suspects.h"
#include "tests/support/cmocka_first.h"

#define MS(n) ((struct monotime){(uint64_t)(n)*1000})

static struct link *link_to(uint64_t boot)
{
	struct link *l = link_new(1, 1 << 20, 1 << 16);

	link_restart(l, boot);
	return l;
}

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct msg_try m;

	assert_int_equal(type, MSG_TRY);
	assert_int_equal(msg_try_get(body, &m), ERR_OK);
	str_addf(arg, "%d/%d;", (int)m.sid, (int)m.n);
}

/* What was put since the last time: "sid/n;" for each TRY. */
static void expect(struct link *l, const char *text)
{
	struct link *peer = link_new(link_peer_boot(l), 1 << 20, 1 << 16);
	struct str said = STR_INIT;
	struct slice frame;

	link_restart(peer, link_my_boot(l));
	while (link_next(l, false, &frame)) {
		assert_int_equal(link_receive(peer, frame, on_record, &said), ERR_OK);
		link_sent(l);
	}
	assert_string_equal(said.len ? said.data : "", text);
	str_clear(&said);
	link_free(&peer);
	link_restart(l, link_peer_boot(l));
}

static void ask(struct suspects *s, struct link *from, uint64_t sid, uint64_t n)
{
	suspects_ask(s, from, &(struct msg_suspect){sid, n}, MS(0));
}

static void one_suspect_at_a_time_over_all_peers_in_order_of_asking(void **state)
{
	struct suspects *s = suspects_new();
	struct link *a = link_to(2), *b = link_to(3);

	(void)state;
	ask(s, a, 7, 1);
	expect(a, "7/1;");
	ask(s, b, 8, 1);
	expect(b, "");
	ask(s, a, 0, 0); /* handled: a is told so, and b may */
	expect(a, "0/0;");
	expect(b, "8/1;");
	ask(s, a, 7, 2);
	expect(a, "");
	ask(s, b, 8, 2); /* b's first one is over as well */
	expect(a, "7/2;");
	expect(b, "");
	suspects_leave(s, a, MS(0));
	expect(b, "8/2;");
	suspects_free(&s);
	link_free(&a);
	link_free(&b);
}

static void who_is_gone_neither_blocks_nor_is_let(void **state)
{
	struct suspects *s = suspects_new();
	struct link *a = link_to(2), *b = link_to(3), *c = link_to(4);

	(void)state;
	ask(s, a, 7, 1);
	ask(s, b, 8, 1);
	ask(s, c, 9, 1);
	suspects_leave(s, b, MS(0));
	link_free(&b);
	suspects_leave(s, a, MS(0));
	link_free(&a);
	expect(c, "9/1;");
	suspects_free(&s);
	link_free(&c);
}

static void who_does_not_send_within_a_second_is_passed_over(void **state)
{
	struct suspects *s = suspects_new();
	struct link *a = link_to(2), *b = link_to(3);

	(void)state;
	ask(s, a, 7, 1);
	ask(s, b, 8, 1);
	suspects_check(s, MS(999));
	expect(b, "");
	suspects_check(s, MS(1000));
	expect(b, "8/1;");
	ask(s, a, 0, 0); /* late, but answered; b is not disturbed */
	expect(a, "7/1;0/0;");
	ask(s, a, 7, 2);
	expect(a, "");
	suspects_free(&s);
	link_free(&a);
	link_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_suspect_at_a_time_over_all_peers_in_order_of_asking),
		cmocka_unit_test(who_is_gone_neither_blocks_nor_is_let),
		cmocka_unit_test(who_does_not_send_within_a_second_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
