#include "cm-client/c2s_sasl.h"

#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"
#include "base/str.h"
#include "base/xmem.h"
#include "cm-client/c2s_base64.h"
#include "cm-client/c2s_worker.h"
#include "net/loop.h"
#include "xmpp/jid.h"

#define PLAIN_QUEUE_MAX	 64
#define DECOY_ITERATIONS 4096 /* what `xmpp user add` uses, and its length of salt */
#define DECOY_SALT_LEN	 16
#define PASSWORD_MAX	 1023

static const char wrong[] = "wrong user name or password";

enum login_step {
	LOGIN_NEW,
	LOGIN_FIRST,  /* an empty challenge was sent for want of an initial response */
	LOGIN_KEYS,   /* waits for keys */
	LOGIN_WORKER, /* waits for the worker */
	LOGIN_FINAL,  /* SCRAM: waits for the client's proof */
	LOGIN_OVER,
};

enum answer { ANSWER_NONE, ANSWER_CHALLENGE, ANSWER_DONE, ANSWER_FAILED };

struct c2s_sasl {
	struct loop *loop;
	struct loop_hook *hook;
	struct c2s_key_source source;
	const struct c2s_sasl_events *events;
	struct c2s_worker *worker;
	Gsasl *gsasl;
	struct list answers; /* logins with an answer to be told */
	unsigned char secret[32];
};

struct c2s_login {
	struct list link;
	struct c2s_sasl *sasl;
	void *arg;
	const char *mechanism;
	bool plus;
	bool plain;
	const char *family; /* "SCRAM-SHA-256" */
	char *domain;
	struct c2s_binding binding;
	enum login_step step;
	uint64_t op;
	uint64_t job;
	bool decoy; /* the account does not exist */
	Gsasl_session *session;
	struct str message; /* what came first: wiped after use */
	struct str password;
	char user[JID_PART_MAX + 1];
	enum answer answer;
	struct str data;
	const char *condition;
	const char *text;
	const char *detail;
};

static void answer(struct c2s_login *l, enum answer a)
{
	check(l->answer == ANSWER_NONE);
	l->answer = a;
	list_append(&l->sasl->answers, &l->link);
	loop_wake(l->sasl->loop);
}

static void fail(struct c2s_login *l, const char *condition, const char *text, const char *detail)
{
	l->condition = condition;
	l->text = text;
	l->detail = detail;
	l->step = LOGIN_OVER;
	answer(l, ANSWER_FAILED);
}

static void tell(struct c2s_login *l)
{
	const struct c2s_sasl_events *ev = l->sasl->events;
	enum answer a = l->answer;

	l->answer = ANSWER_NONE;
	/* The login may be freed in each of these calls. */
	if (a == ANSWER_CHALLENGE)
		ev->on_challenge(l->arg, str_slice(&l->data));
	else if (a == ANSWER_DONE)
		ev->on_done(l->arg, slice_str(l->user), str_slice(&l->data));
	else if (a == ANSWER_FAILED)
		ev->on_failed(l->arg, l->condition, l->text, l->detail);
}

static void on_turn(void *arg)
{
	struct c2s_sasl *s = arg;
	struct list *it;

	while ((it = list_first(&s->answers))) {
		list_remove(it);
		tell(list_entry(it, struct c2s_login, link));
	}
}

/* Everything a mechanism may ask for was set before it was stepped. */
static int no_callback(Gsasl *ctx, Gsasl_session *session, Gsasl_property prop)
{
	(void)ctx;
	(void)session;
	(void)prop;
	return GSASL_NO_CALLBACK;
}

struct c2s_sasl *c2s_sasl_new(struct loop *loop, const struct c2s_key_source *source,
			      const struct c2s_sasl_events *events)
{
	struct c2s_sasl *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	s->source = *source;
	s->events = events;
	list_init(&s->answers);
	check(gsasl_init(&s->gsasl) == GSASL_OK);
	gsasl_callback_set(s->gsasl, no_callback);
	s->worker = c2s_worker_new(loop, PLAIN_QUEUE_MAX);
	s->hook = loop_hook_new_at(loop, LOOP_FIRST, on_turn, s);
	return s;
}

void c2s_sasl_free(struct c2s_sasl **sp)
{
	struct c2s_sasl *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	check(list_empty(&s->answers));
	loop_hook_free(&s->hook);
	c2s_worker_free(&s->worker);
	gsasl_done(s->gsasl);
	xwipe(s->secret, sizeof(s->secret));
	free(s);
}

void c2s_sasl_set_secret(struct c2s_sasl *s, const unsigned char secret[32])
{
	memcpy(s->secret, secret, sizeof(s->secret));
}

struct c2s_login *c2s_login_new(struct c2s_sasl *s, const char *mechanism, struct slice domain,
				const struct c2s_binding *binding, void *arg)
{
	struct c2s_login *l = xcalloc(1, sizeof(*l));

	list_init(&l->link);
	l->sasl = s;
	l->arg = arg;
	l->mechanism = mechanism;
	l->plain = strcmp(mechanism, "PLAIN") == 0;
	l->plus = strstr(mechanism, "-PLUS") != NULL;
	l->family = strncmp(mechanism, "SCRAM-SHA-1", 11) == 0 ? "SCRAM-SHA-1" : "SCRAM-SHA-256";
	l->domain = xstrndup(domain.data, domain.len);
	l->binding = *binding;
	str_init(&l->message);
	str_init(&l->password);
	str_init(&l->data);
	return l;
}

static void wipe(struct str *s)
{
	if (s->cap)
		xwipe(s->data, s->cap);
	str_clear(s);
}

void c2s_login_free(struct c2s_login **lp)
{
	struct c2s_login *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	list_remove(&l->link);
	if (l->op)
		l->sasl->source.cancel(l->sasl->source.ctx, l->op);
	if (l->job)
		c2s_worker_cancel(l->sasl->worker, l->job);
	if (l->session)
		gsasl_finish(l->session);
	wipe(&l->message);
	wipe(&l->password);
	wipe(&l->data);
	free(l->domain);
	xwipe(l, sizeof(*l));
	free(l);
}

struct slice c2s_login_user(const struct c2s_login *l)
{
	return slice_str(l->user);
}

/* Cuts "name=" value up to the next comma off *in. */
static bool cut(struct slice *in, struct slice *out)
{
	const char *comma = memchr(in->data, ',', in->len);

	if (!comma)
		return false;
	*out = slice_of(in->data, (size_t)(comma - in->data));
	*in = slice_of(comma + 1, in->len - out->len - 1);
	return true;
}

bool c2s_scram_first_parse(struct slice in, struct c2s_scram_first *out)
{
	struct slice part;

	*out = (struct c2s_scram_first){0};
	if (!in.len || memchr(in.data, '\0', in.len) || !cut(&in, &part) || !part.len)
		return false;
	out->flag = part.data[0];
	if (out->flag == 'p') {
		if (part.len < 3 || part.data[1] != '=')
			return false;
		out->cbname = slice_of(part.data + 2, part.len - 2);
	} else if ((out->flag != 'n' && out->flag != 'y') || part.len != 1) {
		return false;
	}
	if (!cut(&in, &part))
		return false;
	if (part.len) {
		if (part.len < 3 || part.data[0] != 'a' || part.data[1] != '=')
			return false;
		out->authzid = slice_of(part.data + 2, part.len - 2);
		out->has_authzid = true;
	}
	/* "m=" (mandatory extensions) is not known here: refused, as RFC 5802 5.1 demands. */
	if (!cut(&in, &part) || part.len < 3 || part.data[0] != 'n' || part.data[1] != '=')
		return false;
	out->user = slice_of(part.data + 2, part.len - 2);
	return in.len > 2 && in.data[0] == 'r' && in.data[1] == '=';
}

/* saslname (RFC 5802 5.1): "=2C" is a comma, "=3D" an equals sign, no other "=". */
static bool unescape(struct slice in, char out[JID_PART_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		char c = in.data[i];

		if (n == JID_PART_MAX)
			return false;
		if (c == '=') {
			if (in.len - i < 3 || (memcmp(in.data + i, "=2C", 3) != 0 &&
					       memcmp(in.data + i, "=3D", 3) != 0))
				return false;
			c = in.data[i + 1] == '2' ? ',' : '=';
			i += 2;
		}
		out[n++] = c;
	}
	out[n] = '\0';
	return true;
}

/* The authorization identity may only be the user's own bare JID (RFC 6120 6.3.8). */
static bool authzid_is_own(const struct c2s_login *l, struct slice authzid)
{
	struct jid j = JID_NONE;
	bool own = jid_parse(&j, authzid) == ERR_OK && slice_is(j.local, l->user) &&
		   slice_is(j.domain, l->domain) && !j.resource.len;

	jid_clear(&j);
	return own;
}

static void on_keys(void *arg, enum err status, const struct db_scram *keys);

static void ask_keys(struct c2s_login *l)
{
	l->step = LOGIN_KEYS;
	l->op = l->sasl->source.ask(l->sasl->source.ctx, slice_str(l->user), slice_str(l->domain),
				    l->family, on_keys, l);
}

static bool binding_known(const struct c2s_login *l, struct slice name)
{
	return (slice_is(name, "tls-exporter") && l->binding.exporter_len) ||
	       (slice_is(name, "tls-unique") && l->binding.unique_len);
}

static void scram_first(struct c2s_login *l, struct slice data)
{
	struct c2s_scram_first f;
	char name[JID_PART_MAX + 1];

	if (!c2s_scram_first_parse(data, &f) || !unescape(f.user, name) ||
	    l->plus != (f.flag == 'p')) {
		fail(l, "malformed-request", "this is not a SCRAM client-first-message", "syntax");
		return;
	}
	if (l->plus && !binding_known(l, f.cbname)) {
		fail(l, "malformed-request", "this channel binding was not offered",
		     "binding type");
		return;
	}
	if (jid_prepare_local(l->user, slice_str(name)) != ERR_OK) {
		l->user[0] = '\0';
		fail(l, "not-authorized", wrong, "not a user name");
		return;
	}
	if (f.has_authzid && (!unescape(f.authzid, name) || !authzid_is_own(l, slice_str(name)))) {
		fail(l, "invalid-authzid", "you may only act as yourself", "authzid");
		return;
	}
	str_add_slice(&l->message, data);
	ask_keys(l);
}

/* RFC 4616: [authzid] NUL authcid NUL password. */
static void plain_first(struct c2s_login *l, struct slice data)
{
	const char *end = data.data + data.len;
	const char *a = data.len ? memchr(data.data, '\0', data.len) : NULL;
	const char *b = a ? memchr(a + 1, '\0', (size_t)(end - a - 1)) : NULL;
	struct slice authzid, user, password;
	char *copy, *prepared = NULL;
	int rc;

	if (!b || memchr(b + 1, '\0', (size_t)(end - b - 1))) {
		fail(l, "malformed-request", "this is not a PLAIN message (RFC 4616)", "syntax");
		return;
	}
	authzid = slice_of(data.data, (size_t)(a - data.data));
	user = slice_of(a + 1, (size_t)(b - a - 1));
	password = slice_of(b + 1, (size_t)(end - b - 1));
	if (jid_prepare_local(l->user, user) != ERR_OK || !password.len ||
	    password.len > PASSWORD_MAX) {
		fail(l, "not-authorized", wrong, "no user name or no password");
		return;
	}
	if (authzid.len && !authzid_is_own(l, authzid)) {
		fail(l, "invalid-authzid", "you may only act as yourself", "authzid");
		return;
	}
	copy = xstrndup(password.data, password.len);
	rc = gsasl_saslprep(copy, GSASL_ALLOW_UNASSIGNED, &prepared, NULL);
	str_adds(&l->password, rc == GSASL_OK ? prepared : copy);
	if (prepared)
		xwipe(prepared, strlen(prepared));
	gsasl_free(prepared);
	xwipe(copy, password.len);
	free(copy);
	ask_keys(l);
}

static void first(struct c2s_login *l, struct slice data)
{
	if (l->plain)
		plain_first(l, data);
	else
		scram_first(l, data);
}

/* Keys of nobody: the same for a name as long as the secret stands, so that asking twice tells
 * nothing either. */
static void make_decoy(struct c2s_login *l, struct db_scram *keys, unsigned char buf[3][32])
{
	static const char *const labels[3] = {"salt", "stored", "server"};

	for (size_t i = 0; i < 3; i++) {
		struct str text = STR_INIT;

		str_addf(&text, "%s\n%s\n%s@%s", labels[i], l->family, l->user, l->domain);
		check(HMAC(EVP_sha256(), l->sasl->secret, sizeof(l->sasl->secret),
			   (unsigned char *)text.data, text.len, buf[i], NULL));
		str_clear(&text);
	}
	l->decoy = true;
	keys->iterations = DECOY_ITERATIONS;
	keys->salt = slice_of((char *)buf[0], DECOY_SALT_LEN);
	keys->stored_key =
		slice_of((char *)buf[1], strcmp(l->family, "SCRAM-SHA-1") == 0 ? 20 : 32);
	keys->server_key = slice_of((char *)buf[2], keys->stored_key.len);
}

static void on_verified(void *arg, bool right)
{
	struct c2s_login *l = arg;

	l->job = 0;
	wipe(&l->password);
	if (!right || l->decoy) {
		fail(l, "not-authorized", wrong, l->decoy ? "no such account" : "wrong password");
		return;
	}
	l->step = LOGIN_OVER;
	answer(l, ANSWER_DONE);
}

static void verify_plain(struct c2s_login *l, const struct db_scram *keys)
{
	l->job = c2s_worker_verify(l->sasl->worker, str_slice(&l->password), keys, on_verified, l);
	l->step = LOGIN_WORKER;
	if (!l->job)
		fail(l, "temporary-auth-failure",
		     "too many logins are being checked: try again later", "worker queue full");
}

static void set_base64(Gsasl_session *s, Gsasl_property p, struct slice data)
{
	struct str text = STR_INIT;

	c2s_base64_encode(&text, data);
	gsasl_property_set(s, p, text.data);
	xwipe(text.data, text.len);
	str_clear(&text);
}

static void gsasl_failed(struct c2s_login *l, int rc)
{
	if (rc == GSASL_MECHANISM_PARSE_ERROR)
		fail(l, "malformed-request", "this is not what SCRAM says here",
		     gsasl_strerror_name(rc));
	else if (l->decoy)
		fail(l, "not-authorized", wrong, "no such account");
	else
		fail(l, "not-authorized", wrong, gsasl_strerror_name(rc));
}

static void scram_step(struct c2s_login *l, struct slice in)
{
	char *out = NULL;
	size_t len = 0;
	int rc = gsasl_step(l->session, in.data, in.len, &out, &len);

	str_reset(&l->data);
	if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE)
		str_add(&l->data, out, len);
	gsasl_free(out);
	if (rc == GSASL_NEEDS_MORE) {
		l->step = LOGIN_FINAL;
		answer(l, ANSWER_CHALLENGE);
	} else if (rc == GSASL_OK && !l->decoy) {
		l->step = LOGIN_OVER;
		answer(l, ANSWER_DONE);
	} else {
		gsasl_failed(l, rc);
	}
}

static void begin_scram(struct c2s_login *l, const struct db_scram *keys)
{
	char iterations[16];

	if (gsasl_server_start(l->sasl->gsasl, l->mechanism, &l->session) != GSASL_OK) {
		fail(l, "temporary-auth-failure", "this mechanism does not work now",
		     "libgsasl lacks the mechanism");
		return;
	}
	snprintf(iterations, sizeof(iterations), "%u", keys->iterations);
	gsasl_property_set(l->session, GSASL_SCRAM_ITER, iterations);
	set_base64(l->session, GSASL_SCRAM_SALT, keys->salt);
	set_base64(l->session, GSASL_SCRAM_STOREDKEY, keys->stored_key);
	set_base64(l->session, GSASL_SCRAM_SERVERKEY, keys->server_key);
	/* Set also without -PLUS: a client that says 'y' (I could bind, you did not offer it) was
	 * lied to by somebody between us (RFC 5802 6). */
	if (l->binding.exporter_len)
		set_base64(l->session, GSASL_CB_TLS_EXPORTER,
			   slice_of((char *)l->binding.exporter, l->binding.exporter_len));
	if (l->binding.unique_len)
		set_base64(l->session, GSASL_CB_TLS_UNIQUE,
			   slice_of((char *)l->binding.unique, l->binding.unique_len));
	scram_step(l, str_slice(&l->message));
	wipe(&l->message);
}

static void on_keys(void *arg, enum err status, const struct db_scram *found)
{
	struct c2s_login *l = arg;
	unsigned char buf[3][32];
	struct db_scram keys = {0};

	l->op = 0;
	if (status != ERR_OK && status != ERR_NOTFOUND) {
		fail(l, "temporary-auth-failure",
		     status == ERR_AGAIN ? "too many logins of this account: try again later"
					 : "the account store does not answer now: try again later",
		     err_text(status));
		return;
	}
	if (status == ERR_OK)
		keys = *found;
	else
		make_decoy(l, &keys, buf);
	if (l->plain)
		verify_plain(l, &keys);
	else
		begin_scram(l, &keys);
	xwipe(buf, sizeof(buf));
}

void c2s_login_start(struct c2s_login *l, bool has_data, struct slice data)
{
	check(l->step == LOGIN_NEW);
	if (has_data) {
		first(l, data);
		return;
	}
	l->step = LOGIN_FIRST;
	answer(l, ANSWER_CHALLENGE);
}

void c2s_login_data(struct c2s_login *l, struct slice data)
{
	check(l->step == LOGIN_FIRST || l->step == LOGIN_FINAL);
	if (l->step == LOGIN_FIRST)
		first(l, data);
	else if (data.len == 0 || memchr(data.data, '\0', data.len))
		fail(l, "malformed-request", "this is not a SCRAM client-final-message", "syntax");
	else
		scram_step(l, data);
}
