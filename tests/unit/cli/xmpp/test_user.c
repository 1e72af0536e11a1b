#include "../run_command.h"

#include "scram/scram_keys.h"
#include "cli/xmpp/xmpp_program.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"

#define CREATED_MS 1700000000999ull /* 2023-11-14T22:13:20Z */

static pid_t router;

/* ---- a datastore that knows what it is told about here ---- */

static bool keys_are_of_secret(struct slice in, uint32_t iterations)
{
	struct db_scram s;
	size_t n;

	for (n = 0; in.len; n++) {
		char hash[16];
		struct scram_keys k;

		if (!db_scram_get(&in, &s) || s.iterations != iterations || s.salt.len != 16)
			return false;
		snprintf(hash, sizeof(hash), "%.*s", SLICE_ARG(s.hash));
		scram_keys_derive(&k, hash, slice_str("secret"), s.salt, s.iterations);
		if (!slice_eq(s.stored_key, slice_of((char *)k.stored_key, k.len)) ||
		    !slice_eq(s.server_key, slice_of((char *)k.server_key, k.len)))
			return false;
	}
	return n == 2;
}

static enum err add(struct slice body, struct str *out)
{
	struct msg_db_account_add m;

	if (msg_db_account_add_get(body, &m) != ERR_OK || !slice_is(m.domain, "localhost") ||
	    !keys_are_of_secret(m.scram, slice_is(m.user, "strong") ? 9000 : 4096))
		return ERR_FORMAT;
	msg_db_done_put(out, &(struct msg_db_done){0});
	return slice_is(m.user, "taken") ? ERR_CONFLICT : ERR_OK;
}

static enum err set(struct slice body, struct str *out)
{
	struct msg_db_account_set m;

	if (msg_db_account_set_get(body, &m) != ERR_OK || !keys_are_of_secret(m.scram, 4096))
		return ERR_FORMAT;
	msg_db_done_put(out, &(struct msg_db_done){0});
	return slice_is(m.user, "nobody") ? ERR_NOTFOUND : ERR_OK;
}

static enum err get(struct slice body, struct str *out)
{
	struct msg_db_account_get m;

	if (msg_db_account_get_get(body, &m) != ERR_OK || m.mechanism.len)
		return ERR_DENIED;
	if (slice_is(m.user, "nobody"))
		return ERR_NOTFOUND;
	msg_db_account_put(out, &(struct msg_db_account){m.user, m.domain, CREATED_MS, SLICE_NONE});
	return ERR_OK;
}

/* Two a page, five in all: u1@d .. u5@d. */
static enum err list(struct slice body, struct str *out)
{
	struct msg_db_account_list m;
	struct str page = STR_INIT;
	int after;

	if (msg_db_account_list_get(body, &m) != ERR_OK)
		return ERR_FORMAT;
	after = m.after.len ? m.after.data[1] - '0' : 0;
	if (slice_is(m.domain, "empty.example"))
		after = 5;
	for (int i = after + 1; i <= 5 && i <= after + 2; i++) {
		char jid[16];

		snprintf(jid, sizeof(jid), "u%d@d", i);
		codec_put_str(&page, slice_str(jid));
		codec_put_u64(&page, CREATED_MS);
	}
	msg_db_accounts_put(out, &(struct msg_db_accounts){after + 2 <= 5 ? 2 : 5 - after > 0,
							   after + 2 < 5, str_slice(&page)});
	str_clear(&page);
	return ERR_OK;
}

static void answer_store(struct link *l, const struct msg_store *m)
{
	struct slice in = m->body, body;
	struct str out = STR_INIT;
	enum err e = ERR_UNSUPPORTED;
	uint16_t type;

	assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
	e = type == MSG_DB_ACCOUNT_ADD	  ? add(body, &out)
	    : type == MSG_DB_ACCOUNT_SET  ? set(body, &out)
	    : type == MSG_DB_ACCOUNT_GET  ? get(body, &out)
	    : type == MSG_DB_ACCOUNT_LIST ? list(body, &out)
					  : ERR_UNSUPPORTED;
	link_put_stored(l, &(struct msg_stored){m->op_boot, m->op_n, (uint8_t)e,
						e ? slice_str("because of the test") : SLICE_NONE,
						str_slice(&out)});
	str_clear(&out);
}

static void answer_admin(struct link *l, const struct msg_admin *m)
{
	struct msg_admin_reply r = {.req = m->req};

	if (slice_is(m->command, "remove") && slice_is(m->args, "stuck@localhost")) {
		r.status = ERR_TIMEOUT;
		r.text = slice_str("the datastore is silent; run it again");
	} else if (slice_is(m->command, "remove") && slice_is(m->args, "nobody@localhost")) {
		r.status = ERR_NOTFOUND;
	} else if (slice_is(m->command, "remove")) {
		r.text = slice_str("{\"removed\":1}\n");
	} else if (slice_is(m->args, "juliet@localhost")) {
		r.text = slice_str("{\"jid\":\"juliet@localhost/a\",\"addr\":\"127.0.0.1\"}\n");
	}
	link_put_admin_reply(l, &r);
}

static void answer(struct link *l, uint16_t type, struct slice body)
{
	struct msg_store store;
	struct msg_admin admin;

	if (type == MSG_STORE && msg_store_get(body, &store) == ERR_OK)
		answer_store(l, &store);
	if (type == MSG_ADMIN && msg_admin_get(body, &admin) == ERR_OK)
		answer_admin(l, &admin);
}

/* ---- running the command ---- */

static int setup(void **state)
{
	char *path;
	FILE *f;

	fake_setup(state);
	path = xasprintf("%s/conf/roundhouse.conf", fake_dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("domains = [ \"localhost\", \"Other.Example\" ];\n", f);
	fclose(f);
	free(path);
	router = fake_router_start(answer);
	return 0;
}

static int teardown(void **state)
{
	fake_router_stop(&router);
	return fake_teardown(state);
}

static void expect(const char *const *args, const char *input, int code, const char *out,
		   const char *err)
{
	struct fake_run r = fake_run(&xmpp_program, sizeof(struct xmpp_values), args, input);

	if (r.code != code || (out && strcmp(r.out, out) != 0) || (err && !strstr(r.err, err)))
		print_error("%s %s: exit %d\n--- out\n%s--- err\n%s", args[0], args[1], r.code,
			    r.out, r.err);
	assert_int_equal(r.code, code);
	if (out)
		assert_string_equal(r.out, out);
	if (err)
		assert_non_null(strstr(r.err, err));
	else
		assert_string_equal(r.err, "");
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void add_sends_keys_that_fit_the_password(void **state)
{
	(void)state;
	expect(ARGS("user", "add", "Juliet@LOCALHOST", "--password-stdin"), "secret\n", 0,
	       "added: juliet@localhost\n", NULL);
	expect(ARGS("user", "add", "strong@localhost", "--password-stdin", "--iterations", "9000",
		    "--json"),
	       "secret", 0, "{\"done\":\"added\",\"jid\":\"strong@localhost\"}\n", NULL);
	expect(ARGS("user", "add", "juliet@localhost", "--password-stdin"), "wrong\n", 1, "",
	       "refused: because of the test");
}

static void add_of_an_existing_account_names_passwd(void **state)
{
	(void)state;
	expect(ARGS("user", "add", "taken@localhost", "--password-stdin"), "secret\n", 1, "",
	       "taken@localhost exists already; 'xmpp user passwd taken@localhost'");
}

static void add_is_refused_by_name_for_a_domain_not_served(void **state)
{
	(void)state;
	expect(ARGS("user", "add", "a@wrong.example", "--password-stdin"), "secret\n", 1, "",
	       "wrong.example is not served here (served: localhost, Other.Example)");
}

static void bad_input_is_refused_before_anything_is_sent(void **state)
{
	(void)state;
	expect(ARGS("user", "add", "localhost", "--password-stdin"), "secret\n", 2, "",
	       "'localhost' names no user");
	expect(ARGS("user", "add", "a@localhost/res", "--password-stdin"), "secret\n", 2, "",
	       "'a@localhost/res' has a resource; an account is named a@localhost");
	expect(ARGS("user", "add", "a b@localhost", "--password-stdin"), "secret\n", 2, "",
	       "'a b@localhost' is not a JID");
	expect(ARGS("user", "add", "a@localhost", "--password-stdin"), "", 1, "",
	       "standard input is empty");
	expect(ARGS("user", "add", "a@localhost", "--password-stdin"), "\n", 1, "",
	       "the password is empty");
	expect(ARGS("user", "add", "a@localhost", "--iterations", "4095"), "", 2, "",
	       "--iterations takes 4096 to 1000000, not 4095");
	expect(ARGS("user", "list", "a@b"), "", 2, "", "'a@b' is not a domain");
}

static void passwd_sets_new_keys_or_names_list(void **state)
{
	(void)state;
	expect(ARGS("user", "passwd", "juliet@localhost", "--password-stdin"), "secret\n", 0,
	       "password changed: juliet@localhost\n", NULL);
	expect(ARGS("user", "passwd", "nobody@localhost", "--password-stdin"), "secret\n", 1, "",
	       "nobody@localhost does not exist; 'xmpp user list localhost' shows who does");
}

static void del_is_the_routers_work(void **state)
{
	(void)state;
	expect(ARGS("user", "del", "juliet@localhost"), "", 0, "removed: juliet@localhost\n", NULL);
	expect(ARGS("user", "del", "stuck@localhost"), "", 3, "",
	       "the datastore is silent; run it again");
	expect(ARGS("user", "del", "nobody@localhost"), "", 1, "", "does not exist");
}

static void list_shows_all_pages_in_order(void **state)
{
	(void)state;
	expect(ARGS("user", "list"), "", 0,
	       "JID   CREATED\n"
	       "u1@d  2023-11-14T22:13:20Z\n"
	       "u2@d  2023-11-14T22:13:20Z\n"
	       "u3@d  2023-11-14T22:13:20Z\n"
	       "u4@d  2023-11-14T22:13:20Z\n"
	       "u5@d  2023-11-14T22:13:20Z\n",
	       NULL);
	expect(ARGS("user", "list", "empty.example"), "", 0, "no accounts\n", NULL);
	expect(ARGS("user", "list", "empty.example", "--json"), "", 0, "", NULL);
}

static void show_has_labels_in_24_columns_and_the_sessions(void **state)
{
	(void)state;
	expect(ARGS("user", "show", "juliet@localhost"), "", 0,
	       "JID                     : juliet@localhost\n"
	       "Created                 : 2023-11-14T22:13:20Z\n"
	       "Sessions                : 1\n"
	       "\n"
	       "JID                 ADDR\n"
	       "juliet@localhost/a  127.0.0.1\n",
	       NULL);
	expect(ARGS("user", "show", "romeo@localhost", "--json"), "", 0,
	       "{\"jid\":\"romeo@localhost\",\"created\":\"2023-11-14T22:13:20Z\",\"sessions\":0}"
	       "\n",
	       NULL);
	expect(ARGS("user", "show", "nobody@localhost"), "", 1, "", "does not exist");
}

static void without_a_server_the_exit_code_is_3_and_start_is_named(void **state)
{
	static const char *const cases[][4] = {
		{"user", "add", "a@localhost", "--password-stdin"},
		{"user", "del", "a@localhost"},
		{"user", "list"},
		{"user", "show", "a@localhost"},
		{"sessions"},
		{"kick", "a@localhost"},
		{"stats"},
	};

	(void)state;
	fake_open_result = ERR_CLOSED;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(ARGS(cases[i][0], cases[i][1], cases[i][2], cases[i][3]), "secret\n", 3, "",
		       "start it with 'supervisor -C ");
}

static void a_directory_that_is_no_instance_is_told_before_a_password_is_read(void **state)
{
	char *path = xasprintf("%s/conf/roundhouse.conf", fake_dir);

	(void)state;
	unlink(path);
	free(path);
	expect(ARGS("user", "add", "a@localhost"), "", 3, "",
	       "make an instance with 'supervisor -C ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(add_sends_keys_that_fit_the_password),
		TEST(add_of_an_existing_account_names_passwd),
		TEST(add_is_refused_by_name_for_a_domain_not_served),
		TEST(bad_input_is_refused_before_anything_is_sent),
		TEST(passwd_sets_new_keys_or_names_list),
		TEST(del_is_the_routers_work),
		TEST(list_shows_all_pages_in_order),
		TEST(show_has_labels_in_24_columns_and_the_sessions),
		TEST(without_a_server_the_exit_code_is_3_and_start_is_named),
		TEST(a_directory_that_is_no_instance_is_told_before_a_password_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
