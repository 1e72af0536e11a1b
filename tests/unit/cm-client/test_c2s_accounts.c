/*
 * New accounts (XEP-0077): what is asked of the datastore, and how often one address may ask.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

#include "cm-client/c2s_accounts.h"
#include "ipc/bus.h"
#include "ipc/link.h"
#include "net/loop.h"
#include "tests/support/cmocka_first.h"

#define MINUTE_US 60000000ULL

/* A bus whose router never answers: what was put on its link is read off it. */
struct rig {
	char dir[32];
	struct loop *loop;
	struct bus *bus;
	struct c2s_accounts *a;
};

static struct str answers;

static void on_done(void *arg, enum err status)
{
	str_addf(&answers, "%s=%s;", (const char *)arg, err_name(status));
}

static int setup(void **state)
{
	static const struct bus_events none;
	struct rig *r = calloc(1, sizeof(*r));

	*state = r;
	str_init(&answers);
	snprintf(r->dir, sizeof(r->dir), "/tmp/rh-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	assert_int_equal(chdir(r->dir), 0);
	r->loop = loop_new();
	r->bus = bus_open(r->loop, "bus", "cm-client", "cm-client-1", "00", &none, NULL);
	link_restart(bus_link(r->bus), 9);
	r->a = c2s_accounts_new(r->bus, on_done);
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	c2s_accounts_free(&r->a);
	bus_close(&r->bus);
	loop_free(&r->loop);
	assert_int_equal(chdir("/"), 0);
	rmdir(r->dir);
	str_clear(&answers);
	free(r);
	return 0;
}

/* The requests put since the last time: "op user domain password create;" each, ops from 1. */
static void expect(struct rig *r, uint64_t first, const char *text)
{
	struct str out = STR_INIT;
	struct link_header head;
	struct slice frame, in, body, rest;
	struct msg_db_account_password m;
	struct msg_store store;
	uint16_t type;

	while (link_next(bus_link(r->bus), false, &frame)) {
		assert_int_equal(link_header_get(frame, &head, &in), ERR_OK);
		for (uint32_t i = 0; i < head.count; i++) {
			assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
			assert_int_equal(type, MSG_STORE);
			assert_int_equal(msg_store_get(body, &store), ERR_OK);
			assert_int_equal(store.op_boot, bus_boot(r->bus));
			assert_int_equal(store.deadline_ms, 4000);
			rest = store.body;
			assert_int_equal(codec_next(&rest, &type, &body), ERR_OK);
			assert_int_equal(type, MSG_DB_ACCOUNT_PASSWORD);
			assert_true(codec_may_send(type, IPC_CM));
			assert_int_equal(msg_db_account_password_get(body, &m), ERR_OK);
			str_addf(&out, "%llu %.*s %.*s %.*s %u;",
				 (unsigned long long)(store.op_n - first + 1), SLICE_ARG(m.user),
				 SLICE_ARG(m.domain), SLICE_ARG(m.password), m.create);
		}
		link_sent(bus_link(r->bus));
	}
	assert_string_equal(out.len ? out.data : "", text);
	str_clear(&out);
}

static void answer(struct rig *r, uint64_t boot, uint64_t op, enum err status)
{
	struct msg_stored m = {.op_boot = boot, .op_n = op, .status = (uint8_t)status};
	struct str record = STR_INIT;
	struct slice in, body;
	uint16_t type;

	msg_stored_put(&record, &m);
	in = str_slice(&record);
	assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
	c2s_accounts_stored(r->a, body);
	str_clear(&record);
}

static uint64_t add(struct rig *r, const char *user, const char *password)
{
	return c2s_accounts_add(r->a, slice_str(user), slice_str("localhost"), password,
				(void *)(uintptr_t)user);
}

static void an_account_is_asked_for_until_it_is_answered_once(void **state)
{
	struct rig *r = *state;
	uint64_t first = add(r, "a", "x"), second = add(r, "b", "y");

	expect(r, first, "1 a localhost x 1;2 b localhost y 1;");
	answer(r, bus_boot(r->bus), second, ERR_CONFLICT);
	answer(r, bus_boot(r->bus), second, ERR_OK);
	assert_string_equal(answers.data, "b=CONFLICT;");
	c2s_accounts_ask_again(r->a);
	expect(r, first, "1 a localhost x 1;");		/* the same op: a repeat hears the same */
	answer(r, bus_boot(r->bus) + 1, first, ERR_OK); /* of another process */
	answer(r, bus_boot(r->bus), first + 77, ERR_OK);
	assert_string_equal(answers.data, "b=CONFLICT;");
	answer(r, bus_boot(r->bus), first, ERR_OK);
	assert_string_equal(answers.data, "b=CONFLICT;a=OK;");
}

static void who_gave_up_hears_nothing(void **state)
{
	struct rig *r = *state;
	uint64_t op = add(r, "a", "x");

	c2s_accounts_cancel(r->a, op);
	c2s_accounts_cancel(r->a, op);
	c2s_accounts_cancel(r->a, 0);
	answer(r, bus_boot(r->bus), op, ERR_OK);
	assert_string_equal(answers.data, "");
	expect(r, op, "1 a localhost x 1;");
	c2s_accounts_ask_again(r->a);
	expect(r, op, "");
}

static void passwords_are_prepared_as_those_of_logins(void **state)
{
	struct rig *r = *state;
	uint64_t op = add(r, "a", "I\xc2\xadX\xe2\x85\xa8");

	expect(r, op, "1 a localhost IXIX 1;");
	assert_int_equal(add(r, "a", "\x07"), 0);     /* prohibited */
	assert_int_equal(add(r, "a", "\xc2\xad"), 0); /* nothing is left */
	expect(r, op, "");
}

static struct cm_address address(const char *text)
{
	struct sockaddr_storage s = {.ss_family = AF_INET};

	inet_pton(AF_INET, text, &((struct sockaddr_in *)(void *)&s)->sin_addr);
	return cm_address_of(&s);
}

static bool allow(struct rig *r, const char *from, uint64_t minute)
{
	struct cm_address a = address(from);

	return c2s_accounts_allow(r->a, &a, 5, (struct monotime){MINUTE_US * (1000 + minute)});
}

static void an_address_has_five_attempts_at_once_and_one_every_twelve_minutes(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < 5; i++)
		assert_true(allow(r, "192.0.2.1", 0));
	assert_false(allow(r, "192.0.2.1", 0));
	assert_true(allow(r, "192.0.2.2", 0));
	assert_false(allow(r, "192.0.2.1", 11)); /* a refused one costs nothing */
	assert_true(allow(r, "192.0.2.1", 12));
	assert_false(allow(r, "192.0.2.1", 12));
	for (int i = 0; i < 5; i++)
		assert_true(allow(r, "192.0.2.1", 80));
	assert_false(allow(r, "192.0.2.1", 80));
}

static void who_could_begin_anew_is_forgotten(void **state)
{
	struct rig *r = *state;
	char text[32];

	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "10.0.%u.%u", i / 250, i % 250);
		assert_true(allow(r, text, 0));
	}
	assert_int_equal(c2s_accounts_addresses(r->a), 1000);
	assert_true(allow(r, "10.0.0.1", 1));
	assert_true(allow(r, "192.0.2.1", 13)); /* one attempt is paid for after twelve minutes */
	assert_int_equal(c2s_accounts_addresses(r->a), 2);
}

static void addresses_are_bounded(void **state)
{
	struct rig *r = *state;
	char text[32];

	for (unsigned int i = 0; i < 65536; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		assert_true(allow(r, text, 0));
	}
	assert_false(allow(r, "192.0.2.1", 0));
	assert_true(allow(r, "10.0.0.1", 0)); /* who is known goes on */
	assert_true(allow(r, "192.0.2.1", 30));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(an_account_is_asked_for_until_it_is_answered_once),
		T(who_gave_up_hears_nothing),
		T(passwords_are_prepared_as_those_of_logins),
		T(an_address_has_five_attempts_at_once_and_one_every_twelve_minutes),
		T(who_could_begin_anew_is_forgotten),
		T(addresses_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
