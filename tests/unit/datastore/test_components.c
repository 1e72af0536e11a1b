/* Accounts of components, as the datastore keeps and judges them. */
#include "store_rig.h"

#include "ipc/stanza_kinds.h"
#include "scram/fingerprint.h"

static const struct msg_db_component_add plain = {
	.name = {"cb1", 3},
	.domain = {"localhost", 9},
	.jid = {"cb1.localhost", 13},
	.secret = {"kvgP1SRzWVabhiPVAb1", 19},
};

static struct str add_of(const struct msg_db_component_add *m)
{
	struct str s = STR_INIT;

	msg_db_component_add_put(&s, m);
	return s;
}

static enum err add(struct store_rig *r, uint64_t n, const char *name, const char *secret)
{
	struct msg_db_component_add m = plain;
	char jid[100];

	snprintf(jid, sizeof(jid), "%s.localhost", name);
	m.name = S(name);
	m.jid = S(jid);
	m.secret = S(secret);
	return rig_ask_take(r, n, add_of(&m));
}

static enum err get(struct store_rig *r, uint64_t n, const char *jid, struct msg_db_component *out)
{
	struct str s = STR_INIT;
	enum err e;

	*out = (struct msg_db_component){0};
	msg_db_component_get_put(&s, &(struct msg_db_component_get){S(jid)});
	e = rig_ask_take(r, n, s);
	if (e == ERR_OK)
		assert_int_equal(msg_db_component_get(rig_body(r, MSG_DB_COMPONENT), out), ERR_OK);
	return e;
}

static enum err del(struct store_rig *r, uint64_t n, const char *name)
{
	struct str s = STR_INIT;

	msg_db_component_del_put(&s, &(struct msg_db_component_del){S(name)});
	return rig_ask_take(r, n, s);
}

static enum err set(struct store_rig *r, uint64_t n, const struct msg_db_component_set *m)
{
	struct str s = STR_INIT;

	msg_db_component_set_put(&s, m);
	return rig_ask_take(r, n, s);
}

/* "name:secret name:secret" */
static const char *list(struct store_rig *r, uint64_t n, uint8_t secrets)
{
	static char text[500];
	struct msg_db_components m;
	struct msg_db_component c;
	struct str s = STR_INIT;
	size_t len = 0, count = 0;

	msg_db_component_list_put(&s, &(struct msg_db_component_list){secrets, S("me")});
	assert_int_equal(rig_ask_take(r, n, s), ERR_OK);
	assert_int_equal(msg_db_components_get(rig_body(r, MSG_DB_COMPONENTS), &m), ERR_OK);
	text[0] = '\0';
	for (; m.list.len; count++) {
		assert_true(db_component_get(&m.list, &c));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s:%.*s",
					len ? " " : "", SLICE_ARG(c.name), SLICE_ARG(c.secret));
	}
	assert_int_equal(count, m.count);
	return text;
}

static void what_was_added_is_found_by_the_domain_it_serves(void **state)
{
	struct msg_db_component_add m = plain;
	struct store_rig *r = *state;
	struct msg_db_component c;

	m.mode = DOMAIN_STANDBY;
	m.hidden = 1;
	m.max = 7;
	m.bytes_per_second = 70000;
	assert_int_equal(rig_ask_take(r, 1, add_of(&m)), ERR_OK);
	rig_body(r, MSG_DB_DONE);
	assert_int_equal(get(r, 2, "cb1.localhost", &c), ERR_OK);
	assert_true(slice_is(c.name, "cb1"));
	assert_true(slice_is(c.domain, "localhost"));
	assert_true(slice_is(c.jid, "cb1.localhost"));
	assert_true(slice_is(c.secret, "kvgP1SRzWVabhiPVAb1"));
	assert_int_equal(c.mode, DOMAIN_STANDBY);
	assert_int_equal(c.hidden, 1);
	assert_int_equal(c.max, 7);
	assert_int_equal(c.bytes_per_second, 70000);
	assert_true(c.created > 1600000000000);
	assert_int_equal(get(r, 3, "cb2.localhost", &c), ERR_NOTFOUND);
	assert_int_equal(get(r, 4, "cb1", &c), ERR_NOTFOUND);
}

static void a_name_and_a_domain_are_taken_once(void **state)
{
	struct msg_db_component_add m = plain;
	struct store_rig *r = *state;

	assert_int_equal(rig_ask_take(r, 1, add_of(&m)), ERR_OK);
	m.jid = S("other.localhost");
	assert_int_equal(rig_ask_take(r, 2, add_of(&m)), ERR_CONFLICT);
	assert_string_equal(r->text.data, "a component named cb1 exists");
	m.name = S("CB1");
	assert_int_equal(rig_ask_take(r, 3, add_of(&m)), ERR_CONFLICT);
	m.name = S("cb2");
	m.jid = S("cb1.localhost");
	assert_int_equal(rig_ask_take(r, 4, add_of(&m)), ERR_CONFLICT);
	assert_string_equal(r->text.data, "a component that serves cb1.localhost exists");
	assert_string_equal(list(r, 5, DB_SECRETS_NONE), "cb1:");
}

/* The same request again, as after a lost answer, is answered as before. */
static void a_repeat_of_an_addition_is_no_conflict(void **state)
{
	struct store_rig *r = *state;

	assert_int_equal(add(r, 1, "cb1", "secret"), ERR_OK);
	assert_int_equal(add(r, 1, "cb1", "secret"), ERR_OK);
	assert_int_equal(add(r, 2, "cb1", "secret"), ERR_CONFLICT);
	assert_int_equal(add(r, 2, "cb1", "secret"), ERR_CONFLICT);
}

static void what_cannot_be_is_refused_and_nothing_is_kept(void **state)
{
	static const char long_name[] = "0123456789012345678901234567890123456789012345678901234567"
					"890123";
	struct store_rig *r = *state;
	static char big[1100];
	const struct {
		const char *name, *domain, *jid, *secret;
		uint8_t mode, hidden;
	} rows[] = {
		{"", "localhost", "a.localhost", "s", 0, 0},
		{"cb1@x", "localhost", "a.localhost", "s", 0, 0},
		{"cb1.localhost", "localhost", "a.localhost", "s", 0, 0},
		{"cb/1", "localhost", "a.localhost", "s", 0, 0},
		{"cb 1", "localhost", "a.localhost", "s", 0, 0},
		{"-cb1", "localhost", "a.localhost", "s", 0, 0},
		{"cb\xc3\xa9", "localhost", "a.localhost", "s", 0, 0},
		{long_name, "localhost", "a.localhost", "s", 0, 0},
		{"cb1", "", "a.localhost", "s", 0, 0},
		{"cb1", "localhost", "", "s", 0, 0},
		{"cb1", "localhost", "u@a.localhost", "s", 0, 0},
		{"cb1", "localhost", "a.localhost/r", "s", 0, 0},
		{"cb1", "localhost", "A.localhost", "s", 0, 0},
		{"cb1", "localhost", "a b.localhost", "s", 0, 0},
		{"cb1", "localhost", big, "s", 0, 0},
		{"cb1", "localhost", "localhost", "s", 0, 0},
		{"cb1", "localhost", "a.localhost", "", 0, 0},
		{"cb1", "localhost", "a.localhost", "two\nlines", 0, 0},
		{"cb1", "localhost", "a.localhost", big, 0, 0},
		{"cb1", "localhost", "a.localhost", "s", 3, 0},
		{"cb1", "localhost", "a.localhost", "s", 0, 2},
	};

	memset(big, 'x', sizeof(big) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum err e = rig_ask_take(
			r, i + 1,
			add_of(&(struct msg_db_component_add){.name = S(rows[i].name),
							      .domain = S(rows[i].domain),
							      .jid = S(rows[i].jid),
							      .secret = S(rows[i].secret),
							      .mode = rows[i].mode,
							      .hidden = rows[i].hidden}));

		if (e != ERR_FORMAT && e != ERR_RANGE)
			fail_msg("row %zu: %s", i, err_name(e));
		assert_true(r->text.len > 10);
	}
	assert_string_equal(list(r, 99, DB_SECRETS_NONE), "");
}

static void there_is_a_largest_number_of_them(void **state)
{
	struct store_rig *r = *state;
	char name[20];

	for (unsigned int i = 1; i <= 6; i++) {
		snprintf(name, sizeof(name), "cb%u", i);
		assert_int_equal(add(r, i, name, "s"), i <= 5 ? ERR_OK : ERR_FULL);
	}
	assert_non_null(strstr(r->text.data, "datastore.max_components (5)"));
	assert_int_equal(del(r, 7, "cb2"), ERR_OK);
	assert_int_equal(add(r, 8, "cb6", "s"), ERR_OK);
}

static void a_change_keeps_what_it_does_not_name(void **state)
{
	struct store_rig *r = *state;
	struct msg_db_component c;

	assert_int_equal(add(r, 1, "cb1", "first"), ERR_OK);
	assert_int_equal(
		set(r, 2, &(struct msg_db_component_set){S("cb1"), SLICE_NONE, 1, 1, 5, 99}),
		ERR_OK);
	assert_int_equal(get(r, 3, "cb1.localhost", &c), ERR_OK);
	assert_true(slice_is(c.secret, "first"));
	assert_int_equal(c.mode, DOMAIN_SHARED);
	assert_int_equal(c.hidden, 1);
	assert_int_equal(c.max, 5);
	assert_int_equal(c.bytes_per_second, 99);
	assert_int_equal(
		set(r, 4, &(struct msg_db_component_set){.name = S("CB1"), .secret = S("second")}),
		ERR_OK);
	assert_int_equal(get(r, 5, "cb1.localhost", &c), ERR_OK);
	assert_true(slice_is(c.secret, "second"));
	assert_int_equal(c.mode, DOMAIN_ONE);
	assert_int_equal(
		set(r, 6, &(struct msg_db_component_set){.name = S("cb2"), .secret = S("x")}),
		ERR_NOTFOUND);
	assert_string_equal(r->text.data, "there is no component named cb2");
	assert_int_equal(
		set(r, 7, &(struct msg_db_component_set){.name = S("cb1"), .secret = S("\t")}),
		ERR_FORMAT);
	assert_int_equal(set(r, 8, &(struct msg_db_component_set){.name = S("cb1"), .mode = 3}),
			 ERR_RANGE);
	assert_string_equal(list(r, 9, DB_SECRETS_SHOWN), "cb1:second");
}

static void one_or_all_of_them_go(void **state)
{
	struct store_rig *r = *state;
	struct msg_db_component c;

	assert_int_equal(add(r, 1, "cb1", "a"), ERR_OK);
	assert_int_equal(add(r, 2, "cb2", "b"), ERR_OK);
	assert_int_equal(add(r, 3, "cb3", "c"), ERR_OK);
	assert_int_equal(del(r, 4, "cb2"), ERR_OK);
	assert_int_equal(get(r, 5, "cb2.localhost", &c), ERR_NOTFOUND);
	assert_int_equal(del(r, 6, "cb2"), ERR_NOTFOUND);
	assert_string_equal(list(r, 7, DB_SECRETS_NONE), "cb1: cb3:");
	assert_int_equal(del(r, 8, ""), ERR_OK);
	assert_string_equal(list(r, 9, DB_SECRETS_NONE), "");
	assert_int_equal(del(r, 10, ""), ERR_OK);
}

/* The guides' cb3 lists 3, 2, 1, because it was told in that order. */
static void the_list_is_in_the_order_of_addition(void **state)
{
	struct store_rig *r = *state;
	char a[FINGERPRINT_SIZE], b[FINGERPRINT_SIZE], want[100];

	assert_int_equal(add(r, 1, "cb3", "s1"), ERR_OK);
	assert_int_equal(add(r, 2, "cb2", "s2"), ERR_OK);
	assert_int_equal(add(r, 3, "cb1", "s1"), ERR_OK);
	assert_int_equal(set(r, 4, &(struct msg_db_component_set){.name = S("cb3"), .hidden = 1}),
			 ERR_OK);
	assert_string_equal(list(r, 5, DB_SECRETS_SHOWN), "cb3:s1 cb2:s2 cb1:s1");
	assert_string_equal(list(r, 6, DB_SECRETS_NONE), "cb3: cb2: cb1:");
	fingerprint(a, S("s1"));
	fingerprint(b, S("s2"));
	assert_string_not_equal(a, b);
	snprintf(want, sizeof(want), "cb3:%s cb2:%s cb1:%s", a, b, a);
	assert_string_equal(list(r, 7, DB_SECRETS_FINGERPRINTS), want);
}

/* They are compared between nodes, perhaps of different releases. */
static void a_fingerprint_never_changes(void **state)
{
	char text[FINGERPRINT_SIZE];

	(void)state;
	fingerprint(text, S("kvgP1SRzWVabhiPVAb1"));
	assert_string_equal(text, "247f6343232a4c9a");
}

/* cm-component asks when somebody names a domain, before any proof: a bound for each name, as users
 * have it, would let anybody keep a call bridge out. */
static void who_names_a_component_often_does_not_keep_it_out(void **state)
{
	struct store_rig *r = *state;
	struct store_options o = r->options;
	struct msg_db_component c;

	o.key_reads_per_minute = 3;
	store_set_options(r->store, &o);
	assert_int_equal(add(r, 1, "cb1", "a"), ERR_OK);
	assert_int_equal(rig_ask_take(r, 2, rig_add("cb1")), ERR_OK);
	for (unsigned int i = 0; i < 50; i++)
		assert_int_equal(get(r, 10 + i, "cb1.localhost", &c), ERR_OK);
	assert_int_equal(rig_ask_take(r, 70, rig_get("cb1", "SCRAM-SHA-1")), ERR_OK);
}

static void they_are_there_after_a_restart(void **state)
{
	struct store_rig *r = *state;
	struct msg_db_component c;

	assert_int_equal(add(r, 1, "cb1", "a"), ERR_OK);
	store_close(&r->store);
	rig_start(r);
	assert_int_equal(get(r, 2, "cb1.localhost", &c), ERR_OK);
	assert_true(slice_is(c.secret, "a"));
}

static void a_packed_list_that_lies_is_refused(void **state)
{
	struct str list = STR_INIT, other = STR_INIT;
	struct msg_db_component c;
	struct slice in;

	(void)state;
	db_component_put(&list, &(struct msg_db_component){.name = S("cb1"), .secret = S("s")});
	in = str_slice(&list);
	assert_true(db_component_get(&in, &c));
	assert_int_equal(in.len, 0);
	assert_true(slice_is(c.name, "cb1"));
	for (size_t n = 0; n < list.len; n++) {
		in = slice_of(list.data, n);
		assert_false(db_component_get(&in, &c));
		assert_int_equal(c.name.len, 0);
	}
	msg_db_done_put(&other, &(struct msg_db_done){0});
	str_reset(&list);
	codec_put_bytes(&list, str_slice(&other));
	in = str_slice(&list);
	assert_false(db_component_get(&in, &c));
	str_clear(&list);
	str_clear(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
		T(what_was_added_is_found_by_the_domain_it_serves),
		T(a_name_and_a_domain_are_taken_once),
		T(a_repeat_of_an_addition_is_no_conflict),
		T(what_cannot_be_is_refused_and_nothing_is_kept),
		T(there_is_a_largest_number_of_them),
		T(a_change_keeps_what_it_does_not_name),
		T(one_or_all_of_them_go),
		T(the_list_is_in_the_order_of_addition),
		T(a_fingerprint_never_changes),
		T(who_names_a_component_often_does_not_keep_it_out),
		T(they_are_there_after_a_restart),
		T(a_packed_list_that_lies_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
