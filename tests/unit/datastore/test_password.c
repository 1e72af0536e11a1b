/* Passwords that the datastore makes keys of. */
#include "store_rig.h"

#include "scram/scram_keys.h"

static struct str password(const char *user, struct slice text, bool create)
{
	struct str s = STR_INIT;

	msg_db_account_password_put(
		&s, &(struct msg_db_account_password){S(user), S("localhost"), text, create});
	return s;
}

/* Do the stored keys of this family fit the password? */
static bool fits(struct store_rig *r, uint64_t n, const char *user, const char *mechanism,
		 const char *text)
{
	struct msg_db_account a;
	struct db_scram stored;
	struct scram_keys made;
	struct slice in;
	char hash[16];

	assert_int_equal(rig_ask_take(r, n, rig_get(user, mechanism)), ERR_OK);
	assert_int_equal(msg_db_account_get(rig_body(r, MSG_DB_ACCOUNT), &a), ERR_OK);
	in = a.scram;
	assert_true(db_scram_get(&in, &stored) && in.len == 0);
	snprintf(hash, sizeof(hash), "%.*s", SLICE_ARG(stored.hash));
	assert_int_equal(scram_keys_derive(&made, hash, S(text), stored.salt, stored.iterations),
			 ERR_OK);
	return slice_eq(stored.stored_key, slice_of((char *)made.stored_key, made.len)) &&
	       slice_eq(stored.server_key, slice_of((char *)made.server_key, made.len));
}

static void a_password_becomes_keys_of_both_families(void **state)
{
	struct store_rig *r = *state;

	rig_ask_take(r, 1, rig_add("juliet"));
	assert_int_equal(rig_ask_take(r, 2, password("juliet", S("I\xc2\xadX"), false)), ERR_OK);
	rig_body(r, MSG_DB_DONE);
	assert_true(fits(r, 3, "juliet", "SCRAM-SHA-1", "IX")); /* SASLprep */
	assert_true(fits(r, 4, "juliet", "SCRAM-SHA-256", "IX"));
	assert_false(fits(r, 5, "juliet", "SCRAM-SHA-256", "other"));
}

static void a_new_account_is_made_only_when_that_is_asked(void **state)
{
	struct store_rig *r = *state;

	assert_int_equal(rig_ask_take(r, 1, password("juliet", S("secret"), false)), ERR_NOTFOUND);
	assert_int_equal(rig_ask_take(r, 2, password("juliet", S("secret"), true)), ERR_OK);
	assert_int_equal(rig_ask_take(r, 3, password("juliet", S("other"), true)), ERR_CONFLICT);
	assert_true(fits(r, 4, "juliet", "SCRAM-SHA-256", "secret"));
}

static void a_repeat_is_answered_as_before_and_changes_nothing(void **state)
{
	struct store_rig *r = *state;

	assert_int_equal(rig_ask_take(r, 1, password("juliet", S("first"), true)), ERR_OK);
	assert_int_equal(rig_ask_take(r, 2, password("juliet", S("second"), false)), ERR_OK);
	assert_int_equal(rig_ask_take(r, 1, password("juliet", S("first"), true)), ERR_OK);
	assert_true(fits(r, 3, "juliet", "SCRAM-SHA-1", "second"));
}

static void passwords_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		enum err want;
	} cases[] = {{"", 0, ERR_FORMAT}, {"a\0b", 3, ERR_FORMAT}, {"\x07", 1, ERR_FORMAT}};
	struct store_rig *r = *state;
	char large[SCRAM_KEYS_PASSWORD_MAX + 1];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(
			rig_ask_take(
				r, 10 + i,
				password("juliet", slice_of(cases[i].text, cases[i].len), true)),
			cases[i].want);
		assert_true(r->text.len > 0);
	}
	memset(large, 'x', sizeof(large));
	assert_int_equal(
		rig_ask_take(r, 2, password("juliet", slice_of(large, sizeof(large)), true)),
		ERR_TOOBIG);
	assert_int_equal(rig_ask_take(r, 3, rig_get("juliet", "")), ERR_NOTFOUND);
}

static void the_loop_goes_on_and_too_many_are_refused(void **state)
{
	struct store_rig *r = *state;
	unsigned int idle = r->idle;
	size_t refused;

	for (uint64_t n = 1; n <= 80; n++) {
		struct str s = password("juliet", S("secret"), true);

		rig_send(r, n, &s);
		str_clear(&s);
	}
	refused = r->answers;
	assert_int_equal(refused, 16);
	assert_int_equal(r->status, ERR_AGAIN);
	assert_false(store_idle(r->store));
	/* A read does not wait for them. */
	assert_int_equal(rig_ask_take(r, 100, rig_get("romeo", "")), ERR_NOTFOUND);
	assert_true(r->answers < 80);
	rig_turn(r, 81 - r->answers, 20000);
	assert_false(r->timed_out);
	assert_true(store_idle(r->store));
	assert_true(r->idle > idle);
}

static void what_is_waiting_is_forgotten_at_the_end(void **state)
{
	struct store_rig *r = *state;

	for (uint64_t n = 1; n <= 20; n++) {
		struct str s = password("juliet", S("secret"), true);

		rig_send(r, n, &s);
		str_clear(&s);
	}
	/* The teardown closes the store. */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_password_becomes_keys_of_both_families),
		TEST(a_new_account_is_made_only_when_that_is_asked),
		TEST(a_repeat_is_answered_as_before_and_changes_nothing),
		TEST(passwords_that_cannot_be_are_refused),
		TEST(the_loop_goes_on_and_too_many_are_refused),
		TEST(what_is_waiting_is_forgotten_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
