/*
 * fake_data - beside fake_host: a datastore of what users keep, accounts and passwords.
 */
#ifndef TESTS_UNIT_SESSION_FAKE_DATA_H
#define TESTS_UNIT_SESSION_FAKE_DATA_H

#include "tests/unit/session/fake_host.h"

#define DATA_ROWS 32

struct fake_row {
	char *key; /* "juliet@example.com 2 ns name" */
	struct str value;
	uint64_t changed_ms;
};

struct fake_data {
	struct fake_row rows[DATA_ROWS];
	size_t count;
	struct str log; /* what was asked, one word a request */
	enum err fails; /* what writes answer instead */
	char password[64];
	char gone[128]; /* the account that was removed */
};

static inline struct fake_row *data_find(struct fake_data *d, const char *key)
{
	for (size_t i = 0; i < d->count; i++) {
		if (strcmp(d->rows[i].key, key) == 0)
			return &d->rows[i];
	}
	return NULL;
}

static inline void data_remove(struct fake_data *d, struct fake_row *r)
{
	free(r->key);
	str_clear(&r->value);
	*r = d->rows[--d->count];
}

static inline void data_put(struct fake *f, const char *key, struct slice value)
{
	struct fake_data *d = f->more;
	struct fake_row *r = data_find(d, key);

	if (r)
		data_remove(d, r);
	if (!value.len)
		return;
	assert_true(d->count < DATA_ROWS);
	r = &d->rows[d->count++];
	*r = (struct fake_row){xstrdup(key), STR_INIT, f->wall_ms};
	str_add_slice(&r->value, value);
}

static inline const char *data_key(char out[256], struct slice user, struct slice domain,
				   uint8_t kind, struct slice key)
{
	snprintf(out, 256, "%.*s@%.*s %u%s%.*s", SLICE_ARG(user), SLICE_ARG(domain), kind,
		 key.len ? " " : "", SLICE_ARG(key));
	return out;
}

static inline enum err data_get_run(struct fake *f, struct slice body, struct str *out)
{
	struct msg_db_data_get m;
	struct fake_row *r;
	char key[256];

	assert_int_equal(msg_db_data_get_get(body, &m), ERR_OK);
	r = data_find(f->more, data_key(key, m.user, m.domain, m.kind, m.key));
	if (!r)
		return ERR_NOTFOUND;
	msg_db_data_put(out, &(struct msg_db_data){r->changed_ms, str_slice(&r->value)});
	return ERR_OK;
}

static inline enum err data_set_run(struct fake *f, struct slice body)
{
	struct fake_data *d = f->more;
	struct msg_db_data_set m;
	char key[256];

	assert_int_equal(msg_db_data_set_get(body, &m), ERR_OK);
	data_key(key, m.user, m.domain, m.kind, m.key);
	if (slice_is(m.user, "nobody") || (*d->gone && strncmp(key, d->gone, strlen(d->gone)) == 0))
		return ERR_NOTFOUND;
	data_put(f, key, m.value);
	return ERR_OK;
}

/* Everything of an account, rosters too. */
static inline enum err data_del_run(struct fake *f, struct slice body)
{
	struct fake_data *d = f->more;
	struct msg_db_account_del m;
	char owner[256];
	size_t len;

	assert_int_equal(msg_db_account_del_get(body, &m), ERR_OK);
	snprintf(owner, sizeof(owner), "%.*s@%.*s", SLICE_ARG(m.user), SLICE_ARG(m.domain));
	if (f->unknown && strcmp(owner, f->unknown) == 0)
		return ERR_NOTFOUND;
	len = strlen(owner);
	for (size_t i = d->count; i-- > 0;) {
		if (strncmp(d->rows[i].key, owner, len) == 0 && d->rows[i].key[len] == ' ')
			data_remove(d, &d->rows[i]);
	}
	for (size_t i = f->nitems; i-- > 0;) {
		if (strcmp(f->items[i].owner, owner) != 0)
			continue;
		fake_item_free(&f->items[i]);
		f->items[i] = f->items[--f->nitems];
	}
	snprintf(d->gone, sizeof(d->gone), "%.*s ", 120, owner);
	str_addf(&f->trace, "removed %s\n", owner);
	return ERR_OK;
}

static inline enum err data_password_run(struct fake *f, struct slice body)
{
	struct fake_data *d = f->more;
	struct msg_db_account_password m;

	assert_int_equal(msg_db_account_password_get(body, &m), ERR_OK);
	assert_int_equal(m.create, 0);
	snprintf(d->password, sizeof(d->password), "%.*s:%.*s", SLICE_ARG(m.user),
		 SLICE_ARG(m.password));
	return ERR_OK;
}

static inline enum err data_execute(struct fake *f, uint16_t type, struct slice body,
				    struct str *out)
{
	struct fake_data *d = f->more;
	enum err e;

	str_addf(&d->log, "%s ", codec_name(type));
	if (type == MSG_DB_DATA_GET)
		return data_get_run(f, body, out);
	if (d->fails != ERR_OK)
		return d->fails;
	e = type == MSG_DB_DATA_SET	      ? data_set_run(f, body)
	    : type == MSG_DB_ACCOUNT_DEL      ? data_del_run(f, body)
	    : type == MSG_DB_ACCOUNT_PASSWORD ? data_password_run(f, body)
					      : ERR_UNSUPPORTED;
	if (e == ERR_OK)
		msg_db_done_put(out, &(struct msg_db_done){0});
	return e;
}

static const char *const data_abuse[] = {"mailto:abuse@example.com", "xmpp:abuse@example.com",
					 NULL};

static inline void data_configure(struct fake *f, bool change, bool remove_allowed,
				  unsigned int waiting)
{
	session_configure(f->m,
			  &(struct session_config){.domains = fake_domains,
						   .sessions_per_user = 4,
						   .software_name = "Roundhouse",
						   .software_version = "0.1",
						   .presence_grace_s = 60,
						   .reconnect_grace_s = 10,
						   .waiting_requests = waiting,
						   .last_activity = true,
						   .change_password = change,
						   .remove_account = remove_allowed,
						   .addresses = {[ADDRESS_ABUSE] = data_abuse}});
}

static inline int data_setup(void **state)
{
	struct fake_data *d = xcalloc(1, sizeof(*d));
	struct fake *f;

	fake_setup(state);
	f = *state;
	str_init(&d->log);
	f->more = d;
	f->execute = data_execute;
	f->wall_ms = UINT64_C(1700000000000);
	f->show_inner = true;
	data_configure(f, true, true, 0);
	return 0;
}

static inline int data_teardown(void **state)
{
	struct fake *f = *state;
	struct fake_data *d = f->more;

	while (d->count)
		data_remove(d, &d->rows[0]);
	str_clear(&d->log);
	free(d);
	return fake_teardown(state);
}

/* An iq, answered as far as the datastore goes. */
static inline void ask(struct fake *f, uint64_t sid, const char *type, const char *to,
		       const char *inner)
{
	iq(f, sid, type, to, inner);
	store_run(f);
}

#define STANZAS		"xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
#define DATA_TEST(name) cmocka_unit_test_setup_teardown(name, data_setup, data_teardown)

/* The last trace has this in it. */
#define expect_part(f, text)                                                 \
	do {                                                                 \
		if (!strstr((f)->trace.data, text))                          \
			fail_msg("no \"%s\" in\n%s", text, (f)->trace.data); \
		fake_forget(f);                                              \
	} while (0)

#endif
