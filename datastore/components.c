#include "datastore/components.h"

#include "datastore/page.h"
#include "ipc/db_pack.h"
#include "ipc/stanza_kinds.h"
#include "scram/fingerprint.h"

static const char sql_add[] =
	"INSERT INTO components(name, domain, jid, secret, mode, hidden, max,"
	" bytes_per_second, created) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
static const char sql_set[] = "UPDATE components SET secret = ifnull(?2, secret), mode = ?3,"
			      " hidden = ?4, max = ?5, bytes_per_second = ?6 WHERE name = ?1"
			      " RETURNING id";
static const char sql_del[] = "DELETE FROM components WHERE name = ?1 RETURNING id";
static const char sql_del_all[] = "DELETE FROM components";
static const char sql_count[] = "SELECT count(*) FROM components";
static const char sql_name[] = "SELECT 1 FROM components WHERE name = ?1";
static const char sql_get[] =
	"SELECT name, domain, jid, secret, mode, hidden, max, bytes_per_second,"
	" created FROM components WHERE jid = ?1";
static const char sql_list[] = "SELECT name, domain, jid, secret, mode, hidden, max,"
			       " bytes_per_second, created FROM components ORDER BY id";

static enum err refuse(struct str *why, const char *text)
{
	str_adds(why, text);
	return ERR_FORMAT;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A name is the first label of a domain, and a word in commands and logs. */
static bool name_ok(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.data[i]) && s.data[i] != '-' && s.data[i] != '_')
			return false;
	return s.len > 0 && s.len <= COMPONENTS_NAME_MAX && s.data[0] != '-';
}

/* What normalised domains never have (RFC 7622 3.2.1): capitals, the separators, blanks. */
static bool domain_ok(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if (c <= ' ' || c == 0x7f || c == '@' || c == '/' || (c >= 'A' && c <= 'Z'))
			return false;
	}
	return s.len > 0 && s.len <= COMPONENTS_JID_MAX;
}

static bool secret_ok(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] < ' ' || s.data[i] == 0x7f)
			return false;
	return s.len <= COMPONENTS_SECRET_MAX;
}

static enum err check_options(struct slice secret, uint8_t mode, uint8_t hidden, struct str *why)
{
	if (!secret_ok(secret))
		return refuse(why, "a secret is at most 1024 bytes of printable text");
	if (mode > DOMAIN_STANDBY || hidden > 1) {
		str_adds(why, "no such mode: it is one, shared or standby");
		return ERR_RANGE;
	}
	return ERR_OK;
}

static enum err check_new(const struct msg_db_component_add *m, struct str *why)
{
	if (!name_ok(m->name))
		return refuse(why, "a component's name is 1 to 63 letters, digits, '-' and '_', "
				   "without a domain part");
	if (!domain_ok(m->domain) || !domain_ok(m->jid))
		return refuse(why, "a component serves a domain: no '@', no '/', in lower case");
	if (slice_eq(m->domain, m->jid))
		return refuse(why, "a component cannot serve the users' own domain");
	if (m->secret.len == 0)
		return refuse(why, "a component needs a secret");
	return check_options(m->secret, m->mode, m->hidden, why);
}

static enum err one_number(struct db *d, sqlite3_stmt *st, uint64_t *out)
{
	enum err e = db_row(d, st);

	if (e == ERR_OK)
		*out = db_int(st, 0);
	db_end(st);
	return e;
}

/* Which of the two was in the way. */
static enum err say_taken(struct db *d, const struct msg_db_component_add *m, struct str *why)
{
	sqlite3_stmt *st = db_stmt(d, sql_name);
	uint64_t one;

	db_bind_text(st, 1, m->name);
	if (one_number(d, st, &one) == ERR_OK)
		str_addf(why, "a component named %.*s exists", SLICE_ARG(m->name));
	else
		str_addf(why, "a component that serves %.*s exists", SLICE_ARG(m->jid));
	return ERR_CONFLICT;
}

enum err components_add(struct db *d, const struct msg_db_component_add *m, uint32_t max,
			uint64_t now_ms, struct str *why)
{
	uint64_t count = 0;
	sqlite3_stmt *st;
	enum err e = check_new(m, why);

	if (e == ERR_OK)
		e = one_number(d, db_stmt(d, sql_count), &count);
	if (e != ERR_OK)
		return e;
	if (count >= max) {
		str_addf(why,
			 "there are %llu components; raise datastore.max_components (%u) if there "
			 "may be more",
			 (unsigned long long)count, max);
		return ERR_FULL;
	}
	st = db_stmt(d, sql_add);
	db_bind_text(st, 1, m->name);
	db_bind_text(st, 2, m->domain);
	db_bind_text(st, 3, m->jid);
	db_bind_blob(st, 4, m->secret);
	db_bind_int(st, 5, m->mode);
	db_bind_int(st, 6, m->hidden);
	db_bind_int(st, 7, m->max);
	db_bind_int(st, 8, m->bytes_per_second);
	db_bind_int(st, 9, now_ms);
	e = db_run(d, st);
	return e == ERR_CONFLICT ? say_taken(d, m, why) : e;
}

static enum err say_unknown(enum err e, struct slice name, struct str *why)
{
	if (e == ERR_NOTFOUND)
		str_addf(why, "there is no component named %.*s", SLICE_ARG(name));
	return e;
}

/* Steps a statement with RETURNING to its end. */
static enum err run_returning(struct db *d, sqlite3_stmt *st)
{
	enum err e = db_row(d, st);

	return e == ERR_OK ? db_run(d, st) : e;
}

enum err components_set(struct db *d, const struct msg_db_component_set *m, struct str *why)
{
	sqlite3_stmt *st;
	enum err e = check_options(m->secret, m->mode, m->hidden, why);

	if (e != ERR_OK)
		return e;
	st = db_stmt(d, sql_set);
	db_bind_text(st, 1, m->name);
	if (m->secret.len) /* else NULL: the old one */
		db_bind_blob(st, 2, m->secret);
	db_bind_int(st, 3, m->mode);
	db_bind_int(st, 4, m->hidden);
	db_bind_int(st, 5, m->max);
	db_bind_int(st, 6, m->bytes_per_second);
	return say_unknown(run_returning(d, st), m->name, why);
}

enum err components_del(struct db *d, struct slice name, struct str *why)
{
	sqlite3_stmt *st;

	if (name.len == 0)
		return db_exec(d, sql_del_all);
	st = db_stmt(d, sql_del);
	db_bind_text(st, 1, name);
	return say_unknown(run_returning(d, st), name, why);
}

static struct msg_db_component row_of(sqlite3_stmt *st)
{
	return (struct msg_db_component){.name = db_text(st, 0),
					 .domain = db_text(st, 1),
					 .jid = db_text(st, 2),
					 .secret = db_blob(st, 3),
					 .mode = (uint8_t)db_int(st, 4),
					 .hidden = (uint8_t)db_int(st, 5),
					 .max = (uint16_t)db_int(st, 6),
					 .bytes_per_second = (uint32_t)db_int(st, 7),
					 .created = db_int(st, 8)};
}

enum err components_get(struct db *d, struct slice jid, struct str *out)
{
	sqlite3_stmt *st = db_stmt(d, sql_get);
	struct msg_db_component c;
	enum err e;

	db_bind_text(st, 1, jid);
	e = db_row(d, st);
	if (e == ERR_OK) {
		c = row_of(st);
		msg_db_component_put(out, &c);
	}
	db_end(st);
	return e;
}

static void put_shown(struct str *out, sqlite3_stmt *st)
{
	struct msg_db_component c = row_of(st);

	db_component_put(out, &c);
}

static void put_plain(struct str *out, sqlite3_stmt *st)
{
	struct msg_db_component c = row_of(st);

	c.secret = SLICE_NONE;
	db_component_put(out, &c);
}

static void put_fingerprint(struct str *out, sqlite3_stmt *st)
{
	struct msg_db_component c = row_of(st);
	char text[FINGERPRINT_SIZE];

	fingerprint(text, c.secret);
	c.secret = slice_str(text);
	db_component_put(out, &c);
}

enum err components_list(struct db *d, uint8_t secrets, struct str *out, uint32_t *count)
{
	page_put_fn *put = secrets == DB_SECRETS_SHOWN		? put_shown
			   : secrets == DB_SECRETS_FINGERPRINTS ? put_fingerprint
								: put_plain;

	return page_fill(d, db_stmt(d, sql_list), put, 0, out, count, NULL);
}
