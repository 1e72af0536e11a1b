/*
 * The SASL engine against GNU SASL's client side, with keys from a table instead of a datastore.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/str.h"
#include "base/xmem.h"
#include "cm-client/c2s_base64.h"
#include "cm-client/c2s_sasl.h"
#include "net/loop.h"

#define ITERATIONS 4096

static struct rig {
	struct loop *loop;
	struct loop_timer *timer;
	struct c2s_sasl *sasl;
	struct c2s_login *login;
	/* key source */
	void (*done)(void *arg, enum err status, const struct db_scram *keys);
	void *done_arg;
	char asked[128];
	unsigned int cancelled;
	enum err status; /* ERR_OK: answer from the table */
	bool silent;
	/* answers */
	char answer[32]; /* "challenge", "done", or the failing condition */
	char detail[64];
	struct str data;
	char user[64];
} rig;

static void answer_later(void *arg)
{
	static const char *const known = "juliet";
	unsigned char salted[32], key[32], stored[32], server[32];
	struct db_scram k = {.iterations = ITERATIONS, .salt = slice_str("0123456789abcdef")};
	bool sha1 = strstr(rig.asked, "SCRAM-SHA-1 ") != NULL;
	const EVP_MD *md = sha1 ? EVP_sha1() : EVP_sha256();
	unsigned int len = sha1 ? 20 : 32;

	(void)arg;
	if (rig.status != ERR_OK || !strstr(rig.asked, known)) {
		rig.done(rig.done_arg, rig.status == ERR_OK ? ERR_NOTFOUND : rig.status, &k);
		return;
	}
	PKCS5_PBKDF2_HMAC("s\xc3\xa9 cret", 8, (const unsigned char *)k.salt.data, (int)k.salt.len,
			  ITERATIONS, md, (int)len, salted);
	HMAC(md, salted, (int)len, (const unsigned char *)"Client Key", 10, key, NULL);
	EVP_Digest(key, len, stored, NULL, md, NULL);
	HMAC(md, salted, (int)len, (const unsigned char *)"Server Key", 10, server, NULL);
	k.stored_key = slice_of((char *)stored, len);
	k.server_key = slice_of((char *)server, len);
	rig.done(rig.done_arg, ERR_OK, &k);
}

static uint64_t ask(void *ctx, struct slice user, struct slice domain, const char *mechanism,
		    void (*done)(void *arg, enum err status, const struct db_scram *keys),
		    void *arg)
{
	(void)ctx;
	snprintf(rig.asked, sizeof(rig.asked), "%s %.*s@%.*s", mechanism, SLICE_ARG(user),
		 SLICE_ARG(domain));
	rig.done = done;
	rig.done_arg = arg;
	if (!rig.silent)
		loop_timer_set(rig.timer, 0, 0);
	return 7;
}

static void cancel(void *ctx, uint64_t op)
{
	(void)ctx;
	assert_int_equal(op, 7);
	rig.cancelled++;
}

static void on_challenge(void *arg, struct slice data)
{
	assert_ptr_equal(arg, &rig);
	snprintf(rig.answer, sizeof(rig.answer), "challenge");
	str_reset(&rig.data);
	str_add_slice(&rig.data, data);
	loop_stop(rig.loop);
}

static void on_done(void *arg, struct slice user, struct slice data)
{
	assert_ptr_equal(arg, &rig);
	snprintf(rig.answer, sizeof(rig.answer), "done");
	snprintf(rig.user, sizeof(rig.user), "%.*s", SLICE_ARG(user));
	str_reset(&rig.data);
	str_add_slice(&rig.data, data);
	loop_stop(rig.loop);
}

static void on_failed(void *arg, const char *condition, const char *text, const char *detail)
{
	assert_ptr_equal(arg, &rig);
	assert_true(*text);
	snprintf(rig.answer, sizeof(rig.answer), "%s", condition);
	snprintf(rig.detail, sizeof(rig.detail), "%s", detail);
	loop_stop(rig.loop);
}

static int setup(void **state)
{
	static const struct c2s_sasl_events events = {on_challenge, on_done, on_failed};
	static const struct c2s_key_source source = {ask, cancel, NULL};

	(void)state;
	memset(&rig, 0, sizeof(rig));
	str_init(&rig.data);
	rig.loop = loop_new();
	rig.timer = loop_timer_new(rig.loop, answer_later, NULL);
	rig.sasl = c2s_sasl_new(rig.loop, &source, &events);
	c2s_sasl_set_secret(rig.sasl, (const unsigned char *)"0123456789abcdef0123456789abcdef");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	c2s_login_free(&rig.login);
	c2s_sasl_free(&rig.sasl);
	loop_timer_free(&rig.timer);
	loop_free(&rig.loop);
	str_clear(&rig.data);
	return 0;
}

static const struct c2s_binding exporter = {.exporter = "0123456789abcdef0123456789abcde",
					    .exporter_len = 32};
static const struct c2s_binding no_binding;

static void begin(const char *mechanism, const struct c2s_binding *b)
{
	c2s_login_free(&rig.login);
	rig.login = c2s_login_new(rig.sasl, mechanism, slice_str("localhost"), b, &rig);
}

/* One step; what came of it is in rig. */
static const char *start(struct slice data)
{
	rig.answer[0] = '\0';
	c2s_login_start(rig.login, true, data);
	loop_run(rig.loop);
	return rig.answer;
}

static const char *data(struct slice d)
{
	rig.answer[0] = '\0';
	c2s_login_data(rig.login, d);
	loop_run(rig.loop);
	return rig.answer;
}

static void set_binding(Gsasl_session *c, Gsasl_property p, const unsigned char *bytes, size_t len)
{
	struct str text = STR_INIT;

	c2s_base64_encode(&text, slice_of((const char *)bytes, len));
	gsasl_property_set(c, p, text.data);
	str_clear(&text);
}

/* A whole SCRAM exchange with gsasl as the client; the last answer. */
static const char *scram(const char *mechanism, const char *user, const char *password,
			 const char *authzid, const struct c2s_binding *server,
			 const struct c2s_binding *client)
{
	Gsasl *g;
	Gsasl_session *c;
	char *out;
	size_t len;
	const char *answer;

	check(gsasl_init(&g) == GSASL_OK);
	check(gsasl_client_start(g, mechanism, &c) == GSASL_OK);
	gsasl_property_set(c, GSASL_AUTHID, user);
	gsasl_property_set(c, GSASL_PASSWORD, password);
	if (authzid)
		gsasl_property_set(c, GSASL_AUTHZID, authzid);
	if (client->exporter_len)
		set_binding(c, GSASL_CB_TLS_EXPORTER, client->exporter, client->exporter_len);
	if (client->unique_len)
		set_binding(c, GSASL_CB_TLS_UNIQUE, client->unique, client->unique_len);
	begin(mechanism, server);
	assert_int_equal(gsasl_step(c, NULL, 0, &out, &len), GSASL_NEEDS_MORE);
	answer = start(slice_of(out, len));
	gsasl_free(out);
	if (strcmp(answer, "challenge") == 0) {
		assert_int_equal(gsasl_step(c, rig.data.data, rig.data.len, &out, &len),
				 GSASL_NEEDS_MORE);
		answer = data(slice_of(out, len));
		gsasl_free(out);
	}
	if (strcmp(answer, "done") == 0) { /* the server proved itself too */
		assert_int_equal(gsasl_step(c, rig.data.data, rig.data.len, &out, &len), GSASL_OK);
		gsasl_free(out);
	}
	gsasl_finish(c);
	gsasl_done(g);
	return answer;
}

static void every_scram_mechanism_proves_the_user(void **state)
{
	static const char *const plain[] = {"SCRAM-SHA-1", "SCRAM-SHA-256"};
	static const char *const plus[] = {"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"};
	static const struct c2s_binding unique = {.unique = "finished!!!", .unique_len = 12};

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_string_equal(
			scram(plain[i], "juliet", "s\xc3\xa9 cret", NULL, &no_binding, &no_binding),
			"done");
		assert_string_equal(rig.user, "juliet");
		assert_string_equal(
			scram(plus[i], "juliet", "s\xc3\xa9 cret", NULL, &exporter, &exporter),
			"done");
		assert_string_equal(
			scram(plus[i], "juliet", "s\xc3\xa9 cret", NULL, &unique, &unique), "done");
	}
	assert_string_equal(rig.asked, "SCRAM-SHA-256 juliet@localhost");
}

static void user_names_are_normalised(void **state)
{
	(void)state;
	assert_string_equal(
		scram("SCRAM-SHA-256", "JULIET", "s\xc3\xa9 cret", NULL, &no_binding, &no_binding),
		"done");
	assert_string_equal(rig.user, "juliet");
}

static void wrong_password_and_unknown_user_look_the_same(void **state)
{
	(void)state;
	assert_string_equal(
		scram("SCRAM-SHA-256", "juliet", "wrong", NULL, &no_binding, &no_binding),
		"not-authorized");
	assert_string_equal(
		scram("SCRAM-SHA-256", "nobody", "wrong", NULL, &no_binding, &no_binding),
		"not-authorized");
	assert_string_equal(rig.detail, "no such account");
	begin("PLAIN", &no_binding);
	assert_string_equal(start(slice_of("\0juliet\0wrong", 13)), "not-authorized");
	assert_string_equal(rig.detail, "wrong password");
	begin("PLAIN", &no_binding);
	assert_string_equal(start(slice_of("\0nobody\0wrong", 13)), "not-authorized");
	assert_string_equal(rig.detail, "no such account");
}

/* What follows "s=" in a server-first-message. */
static void salt_of(const char *user, char out[64])
{
	char first[64];
	const char *s;

	snprintf(first, sizeof(first), "n,,n=%s,r=abc", user);
	begin("SCRAM-SHA-1", &no_binding);
	assert_string_equal(start(slice_str(first)), "challenge");
	s = strstr(rig.data.data, ",s=");
	assert_non_null(s);
	assert_non_null(strstr(s, ",i=4096"));
	snprintf(out, 64, "%.*s", (int)(strstr(s, ",i=") - s), s);
}

static void the_salt_of_an_unknown_user_never_changes(void **state)
{
	char a[64], b[64], c[64], known[64];

	(void)state;
	salt_of("nobody", a);
	salt_of("nobody", b);
	salt_of("noone", c);
	salt_of("juliet", known);
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	assert_int_equal(strlen(a), strlen(known));
	c2s_sasl_set_secret(rig.sasl, (const unsigned char *)"another secret, 32 bytes of it..");
	salt_of("nobody", b);
	assert_string_not_equal(a, b);
}

static void the_channel_must_be_the_same_at_both_ends(void **state)
{
	static const struct c2s_binding other = {.exporter = "another connection's bytes are..",
						 .exporter_len = 32};

	(void)state;
	assert_string_equal(
		scram("SCRAM-SHA-256-PLUS", "juliet", "s\xc3\xa9 cret", NULL, &exporter, &other),
		"not-authorized");
}

static void a_client_that_was_told_there_is_no_binding_is_refused(void **state)
{
	(void)state;
	begin("SCRAM-SHA-256", &exporter);
	assert_string_equal(start(slice_str("y,,n=juliet,r=abc")), "not-authorized");
	begin("SCRAM-SHA-256", &no_binding);
	assert_string_equal(start(slice_str("y,,n=juliet,r=abc")), "challenge");
}

static void one_may_only_act_as_oneself(void **state)
{
	(void)state;
	assert_string_equal(scram("SCRAM-SHA-256", "juliet", "s\xc3\xa9 cret", "juliet@localhost",
				  &no_binding, &no_binding),
			    "done");
	assert_string_equal(scram("SCRAM-SHA-256", "juliet", "s\xc3\xa9 cret", "romeo@localhost",
				  &no_binding, &no_binding),
			    "invalid-authzid");
	begin("PLAIN", &no_binding);
	assert_string_equal(start(slice_of("juliet@localhost\0juliet\0s\xc3\xa9 cret", 32)),
			    "done");
	begin("PLAIN", &no_binding);
	assert_string_equal(start(slice_of("romeo@localhost\0juliet\0s\xc3\xa9 cret", 31)),
			    "invalid-authzid");
}

static void plain_proves_the_user_in_either_form_of_unicode(void **state)
{
	(void)state;
	begin("PLAIN", &no_binding);
	assert_string_equal(start(slice_of("\0juliet\0s\xc3\xa9 cret", 16)), "done");
	assert_string_equal(rig.user, "juliet");
	begin("PLAIN",
	      &no_binding); /* e + combining acute, no-break space: SASLprep makes them one */
	assert_string_equal(start(slice_of("\0juliet\0se\xcc\x81\xc2\xa0"
					   "cret",
					   18)),
			    "done");
}

static void an_exchange_without_initial_response_begins_with_an_empty_challenge(void **state)
{
	(void)state;
	begin("PLAIN", &no_binding);
	c2s_login_start(rig.login, false, SLICE_NONE);
	loop_run(rig.loop);
	assert_string_equal(rig.answer, "challenge");
	assert_int_equal(rig.data.len, 0);
	assert_string_equal(data(slice_of("\0juliet\0s\xc3\xa9 cret", 16)), "done");
}

static void garbage_is_malformed(void **state)
{
	static const struct {
		const char *mechanism;
		struct slice data;
		const char *answer;
	} cases[] = {
		{"PLAIN", {"", 0}, "malformed-request"},
		{"PLAIN", {"juliet", 6}, "malformed-request"},
		{"PLAIN", {"\0juliet", 7}, "malformed-request"},
		{"PLAIN", {"\0juliet\0a\0b", 11}, "malformed-request"},
		{"PLAIN", {"\0juliet\0", 8}, "not-authorized"},
		{"PLAIN", {"\0ju@liet\0x", 10}, "not-authorized"},
		{"PLAIN", {"\0\xff\xfe\0x", 5}, "not-authorized"},
		{"SCRAM-SHA-1", {"", 0}, "malformed-request"},
		{"SCRAM-SHA-1", {"n", 1}, "malformed-request"},
		{"SCRAM-SHA-1", {"n,,", 3}, "malformed-request"},
		{"SCRAM-SHA-1", {"n,,n=juliet", 11}, "malformed-request"},
		{"SCRAM-SHA-1", {"n,,n=juliet,r=", 14}, "malformed-request"},
		{"SCRAM-SHA-1", {"n,,n=,r=abc", 11}, "malformed-request"},
		{"SCRAM-SHA-1", {"n,,n=ju=liet,r=abc", 18}, "malformed-request"},
		{"SCRAM-SHA-1", {"n,,m=x,n=juliet,r=abc", 21}, "malformed-request"},
		{"SCRAM-SHA-1", {"x,,n=juliet,r=abc", 17}, "malformed-request"},
		{"SCRAM-SHA-1", {"n,,n=juliet\0,r=abc", 18}, "malformed-request"},
		{"SCRAM-SHA-1", {"p=tls-exporter,,n=juliet,r=abc", 30}, "malformed-request"},
		{"SCRAM-SHA-1", {"n,,n=ju=2Cliet,r=abc", 20}, "challenge"},
		{"SCRAM-SHA-1", {"n,,n=@,r=abc", 12}, "not-authorized"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(cases[i].mechanism, &no_binding);
		if (strcmp(start(cases[i].data), cases[i].answer) != 0)
			fail_msg("case %zu: %s", i, rig.answer);
	}
	begin("SCRAM-SHA-1-PLUS", &exporter);
	assert_string_equal(start(slice_str("p=tls-unique,,n=juliet,r=abc")), "malformed-request");
	begin("SCRAM-SHA-1-PLUS", &exporter);
	assert_string_equal(start(slice_str("n,,n=juliet,r=abc")), "malformed-request");
	begin("SCRAM-SHA-1", &no_binding);
	assert_string_equal(start(slice_str("n,,n=juliet,r=abc")), "challenge");
	assert_string_equal(data(slice_str("c=biws,r=zzz,p=")), "malformed-request");
}

static void a_datastore_that_is_away_is_a_temporary_failure(void **state)
{
	(void)state;
	rig.status = ERR_TIMEOUT;
	begin("PLAIN", &no_binding);
	assert_string_equal(start(slice_of("\0juliet\0s\xc3\xa9 cret", 16)),
			    "temporary-auth-failure");
}

static void a_login_that_is_dropped_hears_nothing_more(void **state)
{
	(void)state;
	rig.silent = true;
	begin("PLAIN", &no_binding);
	c2s_login_start(rig.login, true, slice_of("\0juliet\0x", 9));
	c2s_login_free(&rig.login);
	assert_int_equal(rig.cancelled, 1);
	/* one that waits for the worker, one whose answer is ready to be told */
	begin("PLAIN", &no_binding);
	c2s_login_start(rig.login, true, slice_of("\0juliet\0x", 9));
	answer_later(NULL);
	begin("PLAIN", &no_binding);
	c2s_login_start(rig.login, true, slice_str("garbage"));
	begin("PLAIN", &no_binding);
	rig.silent = false;
	assert_string_equal(start(slice_of("\0juliet\0s\xc3\xa9 cret", 16)), "done");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_scram_mechanism_proves_the_user),
		T(user_names_are_normalised),
		T(wrong_password_and_unknown_user_look_the_same),
		T(the_salt_of_an_unknown_user_never_changes),
		T(the_channel_must_be_the_same_at_both_ends),
		T(a_client_that_was_told_there_is_no_binding_is_refused),
		T(one_may_only_act_as_oneself),
		T(plain_proves_the_user_in_either_form_of_unicode),
		T(an_exchange_without_initial_response_begins_with_an_empty_challenge),
		T(garbage_is_malformed),
		T(a_datastore_that_is_away_is_a_temporary_failure),
		T(a_login_that_is_dropped_hears_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
