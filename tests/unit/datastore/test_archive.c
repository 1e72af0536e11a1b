/* Message archives (XEP-0313) as the datastore keeps and reads them. */
#include "store_rig.h"

#include "datastore/accounts.h"
#include "datastore/archive.h"
#include "datastore/blocklist.h"
#include "datastore/userdata.h"
#include "ipc/db_archive.h"

#define DAY_MS 86400000ull
#define START  (1000 * DAY_MS)

static struct archive_limits limits;
static struct str why;
static struct db *d;

static void add_account(const char *user)
{
	struct str keys = fixture_keys(1);

	assert_int_equal(accounts_add(d, S(user), S("localhost"), str_slice(&keys), 5000, &why),
			 ERR_OK);
	str_clear(&keys);
}

static int setup(void **state)
{
	str_init(&why);
	fixture_setup(state);
	d = fixture_open(*state);
	add_account("juliet");
	add_account("romeo");
	limits = (struct archive_limits){.user_bytes = 1 << 30};
	return 0;
}

static int teardown(void **state)
{
	db_close(&d);
	str_clear(&why);
	return fixture_teardown(state);
}

struct mail {
	uint64_t n;
	const char *from, *to;
	uint64_t stamp_ms;
	bool again;
	size_t pad;
};

/* An id as session/ makes it: neighbours share a group. */
static struct db_archive_id id_of(uint64_t n)
{
	return (struct db_archive_id){0xfedcba9876543210u + n / 128, (uint32_t)(n * 2654435761u)};
}

static void put_mail(struct str *list, const struct mail *m)
{
	struct str entry = STR_INIT, inner = STR_INIT;

	str_addf(&inner, "<body>%llu%*s</body>", (unsigned long long)m->n, (int)m->pad, "");
	db_archive_entry_put(&entry, &(struct db_archive_entry){.id = id_of(m->n),
								.stamp_ms = m->stamp_ms,
								.type = 3,
								.from = S(m->from),
								.to = S(m->to),
								.stanza_id = S("i"),
								.lang = S("it"),
								.inner = str_slice(&inner)});
	db_archive_addition_put(
		list, &(struct db_archive_addition){
			      .sender = strncmp(m->from, "juliet", 6) == 0  ? 0
					: strncmp(m->from, "romeo", 5) == 0 ? 1
									    : DB_ARCHIVE_NOBODY,
			      .receiver = strncmp(m->to, "juliet", 6) == 0  ? 0
					  : strncmp(m->to, "romeo", 5) == 0 ? 1
					  : strncmp(m->to, "paris", 5) == 0 ? 2
									    : DB_ARCHIVE_NOBODY,
			      .again = m->again,
			      .entry = str_slice(&entry)});
	str_clear(&entry);
	str_clear(&inner);
}

static enum err add_list(struct slice list, uint64_t now_ms)
{
	struct str owners = STR_INIT;
	enum err e;

	codec_put_str(&owners, S("juliet@localhost"));
	codec_put_str(&owners, S("romeo@localhost"));
	codec_put_str(&owners, S("paris@localhost")); /* who has no account */
	str_reset(&why);
	e = archive_add(d, &(struct msg_db_archive_add){str_slice(&owners), list}, now_ms, &limits,
			&why);
	str_clear(&owners);
	return e;
}

static void add_mail(const struct mail *m)
{
	struct str list = STR_INIT;

	put_mail(&list, m);
	assert_int_equal(add_list(str_slice(&list), m->stamp_ms), ERR_OK);
	str_clear(&list);
}

static void add(uint64_t n, const char *from, const char *to, uint64_t stamp_ms)
{
	add_mail(&(struct mail){n, from, to, stamp_ms, false, 0});
}

/* n messages of juliet to romeo, every tenth to paris, a second apart, `together` in a batch. */
static void add_many(uint64_t from, uint64_t n, unsigned int together)
{
	struct str list = STR_INIT;

	for (uint64_t i = from; i < from + n; i++) {
		struct mail m = {i,
				 "juliet@localhost/x",
				 i % 10 == 9 ? "paris@localhost/y" : "romeo@localhost/y",
				 START + i * 1000,
				 false,
				 60};

		put_mail(&list, &m);
		if ((i - from) % together != together - 1 && i + 1 < from + n)
			continue;
		assert_int_equal(add_list(str_slice(&list), START + i * 1000), ERR_OK);
		str_reset(&list);
	}
	str_clear(&list);
}

static struct str text;

/* A page as "0 1 2 more 3/20": bodies, whether there is more, index and total. */
static const char *show(enum err e, const struct msg_db_archive_page *p)
{
	struct slice in = p->list;
	struct db_archive_entry m;
	unsigned int seen = 0;

	str_reset(&text);
	if (e != ERR_OK) {
		str_adds(&text, err_name(e));
		return text.data;
	}
	while (in.len && db_archive_entry_get(&in, &m)) {
		str_addf(&text, "%s%d", seen++ ? " " : "", atoi(m.inner.data + 6));
		assert_true(m.stamp_ms && slice_is(m.lang, "it"));
	}
	assert_int_equal(seen, p->count);
	if (p->more)
		str_adds(&text, " more");
	if (p->known & 2)
		str_addf(&text, " %llu", (unsigned long long)p->index);
	if (p->known & 1)
		str_addf(&text, "/%llu", (unsigned long long)p->total);
	return text.data;
}

static const char *ask_at(const struct msg_db_archive_query *q, uint64_t now_ms)
{
	struct msg_db_archive_page page;
	struct str out = STR_INIT;
	const char *shown;
	enum err e;

	str_reset(&why);
	e = archive_query(d, q, now_ms, &limits, &page, &out, &why);
	assert_true(e == ERR_OK || why.len);
	shown = show(e, &page);
	str_clear(&out);
	return shown;
}

static struct msg_db_archive_query query(const char *user)
{
	return (struct msg_db_archive_query){
		.user = S(user), .domain = S("localhost"), .max = 5, .bytes = 100000};
}

static const char *ask(struct msg_db_archive_query q)
{
	return ask_at(&q, START);
}

static struct slice packed_id(uint64_t n)
{
	static struct str keep[8];
	static unsigned int next;
	struct str *s = &keep[next++ % 8];

	str_reset(s);
	db_archive_id_put(s, id_of(n));
	return str_slice(s);
}

static void a_message_is_once_in_the_archives_of_both(void **state)
{
	struct msg_db_archive_query q = query("juliet"), other = query("romeo"),
				    none = query("paris");

	(void)state;
	add_many(0, 4, 3);
	add(4, "romeo@localhost/y", "romeo@localhost", START + 4000);
	add(5, "far@example.org/z", "romeo@localhost", START + 5000);
	add(6, "juliet@localhost/x", "far@example.org/z", START + 6000);
	assert_string_equal(ask(q), "0 1 2 3 6");
	assert_string_equal(ask(other), "0 1 2 3 4 more");
	q.counted = 1;
	assert_string_equal(ask(q), "0 1 2 3 6 0/5");
	assert_string_equal(ask(none), "NOTFOUND");
	other.with = S("romeo@localhost"); /* XEP-0313 4.1.1: what he sent to himself */
	assert_string_equal(ask(other), "4");
	other.with = S("far@example.org");
	assert_string_equal(ask(other), "5");
	other.with = S("far@example.org/other");
	assert_string_equal(ask(other), "");
	other.with = S("far@example.org/z");
	assert_string_equal(ask(other), "5");
	other.with = S("juliet@localhost/x");
	assert_string_equal(ask(other), "0 1 2 3");
}

/* The same archive, whatever was written together. */
static void pages_lead_through_an_archive_in_both_directions(void **state)
{
	static const unsigned int together[] = {1, 7, 500};
	const uint64_t n = 700;

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct msg_db_archive_query q = query("juliet");
		uint64_t base = k * 1000, at = 0;
		struct str expected = STR_INIT;

		add_many(base, n, together[k]);
		q.start_ms = START + base * 1000;
		q.max = 50;
		for (at = 0; at < n; at += 50) {
			str_reset(&expected);
			for (uint64_t i = 0; i < 50; i++)
				str_addf(&expected, "%s%llu", i ? " " : "",
					 (unsigned long long)(base + at + i));
			if (at + 50 < n)
				str_adds(&expected, " more");
			assert_string_equal(ask(q), expected.data);
			q.after = packed_id(base + at + 49);
		}
		q.after = SLICE_NONE;
		q.backward = 1;
		for (at = n; at > 0; at -= 50) {
			str_reset(&expected);
			for (uint64_t i = 0; i < 50; i++)
				str_addf(&expected, "%s%llu", i ? " " : "",
					 (unsigned long long)(base + at - 1 - i));
			if (at > 50)
				str_adds(&expected, " more");
			assert_string_equal(ask(q), expected.data);
			q.before = packed_id(base + at - 50);
		}
		str_clear(&expected);
	}
}

static void what_limits_a_query(void **state)
{
	static const struct {
		uint64_t after_id, before_id, after, before, start, end; /* number + 1; 0 = none */
		bool backward;
		const char *with, *expected;
	} rows[] = {
		{0, 0, 0, 0, 0, 0, false, "", "100 101 102 103 104 more 0/200"},
		{0, 0, 0, 0, 0, 0, true, "", "299 298 297 296 295 more 195/200"},
		{0, 0, 111, 0, 0, 0, false, "", "111 112 113 114 115 more 11/200"},
		{0, 0, 0, 111, 0, 0, true, "", "109 108 107 106 105 more 5/200"},
		{0, 0, 0, 103, 0, 0, true, "", "101 100 0/200"},
		{0, 0, 299, 0, 0, 0, false, "", "299 199/200"},
		{0, 0, 300, 0, 0, 0, false, "", "/200"},
		{151, 155, 0, 0, 0, 0, false, "", "151 152 153 0/3"},
		{151, 0, 0, 0, 0, 0, true, "", "299 298 297 296 295 more 144/149"},
		{151, 152, 0, 0, 0, 0, false, "", "/0"},
		{152, 151, 0, 0, 0, 0, false, "", "/0"},
		{0, 160, 158, 0, 0, 0, false, "", "158 58/59"},
		{0, 0, 0, 0, 251, 253, false, "", "250 251 252 0/3"},
		{0, 0, 252, 0, 251, 0, false, "", "252 253 254 255 256 more 2/50"},
		{0, 0, 0, 0, 500, 0, false, "", "/0"},
		{0, 0, 0, 0, 0, 2, false, "", "/0"},
		{0, 0, 0, 0, 0, 0, false, "paris@localhost", "109 119 129 139 149 more 0/20"},
		{0, 0, 0, 0, 0, 0, true, "paris@localhost", "299 289 279 269 259 more 15/20"},
		{0, 0, 150, 180, 0, 0, false, "paris@localhost", "159 169 5/20"},
		{0, 0, 110, 0, 0, 131, false, "paris@localhost", "119 129 1/3"},
		{0, 0, 0, 0, 0, 0, false, "nobody@localhost", "/0"},
		{0, 0, 900, 0, 0, 0, false, "", "NOTFOUND"},
		{900, 0, 0, 0, 0, 0, false, "", "NOTFOUND"},
	};

	(void)state;
	add_many(100, 200, 13);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msg_db_archive_query q = query("juliet");

		q.counted = 1;
		q.backward = rows[i].backward;
		q.with = S(rows[i].with);
		if (rows[i].after_id)
			q.after_id = packed_id(rows[i].after_id - 1);
		if (rows[i].before_id)
			q.before_id = packed_id(rows[i].before_id - 1);
		if (rows[i].after)
			q.after = packed_id(rows[i].after - 1);
		if (rows[i].before)
			q.before = packed_id(rows[i].before - 1);
		if (rows[i].start)
			q.start_ms = START + (rows[i].start - 1) * 1000;
		if (rows[i].end)
			q.end_ms = START + (rows[i].end - 1) * 1000;
		assert_string_equal(ask(q), rows[i].expected);
	}
}

static void messages_asked_for_by_id_come_in_the_order_of_the_archive(void **state)
{
	struct msg_db_archive_query q = query("juliet");
	struct str ids = STR_INIT;

	(void)state;
	add_many(0, 300, 9);
	db_archive_id_put(&ids, id_of(250));
	db_archive_id_put(&ids, id_of(3));
	db_archive_id_put(&ids, id_of(4));
	q.ids = str_slice(&ids);
	q.counted = 1;
	assert_string_equal(ask(q), "3 4 250 0/3");
	q.max = 2;
	assert_string_equal(ask(q), "3 4 more 0/3");
	q.backward = 1;
	assert_string_equal(ask(q), "250 4 more 1/3");
	db_archive_id_put(&ids, id_of(900));
	q.ids = str_slice(&ids);
	assert_string_equal(ask(q), "NOTFOUND");
	str_add(&ids, "x", 1);
	q.ids = str_slice(&ids);
	assert_string_equal(ask(q), "NOTFOUND"); /* the first that is wrong */
	str_clear(&ids);
}

/* Neighbours have one group, but may be far from each other. */
static void ids_that_are_all_over_an_archive_are_too_much_for_one_query(void **state)
{
	struct msg_db_archive_query q = query("juliet");
	struct str ids = STR_INIT;

	(void)state;
	for (uint64_t i = 0; i < 640; i++)
		add_mail(&(struct mail){i, "juliet@localhost/x", "romeo@localhost", START + i,
					false, 11000});
	for (uint64_t i = 0; i < 640; i += 128)
		db_archive_id_put(&ids, id_of(i));
	q.ids = str_slice(&ids);
	assert_string_equal(ask(q), "0 128 256 384 512");
	str_reset(&ids);
	for (uint64_t i = 127; i < 640; i += 128)
		db_archive_id_put(&ids, id_of(i));
	q.ids = str_slice(&ids);
	assert_string_equal(ask(q), "TOOBIG");
	str_reset(&ids);
	for (int i = 0; i < 1000; i++)
		db_archive_id_put(&ids, id_of(127));
	q.ids = str_slice(&ids);
	assert_string_equal(ask(q), "127");
	str_clear(&ids);
}

static void a_page_is_bounded_by_its_bytes(void **state)
{
	struct msg_db_archive_query q = query("juliet");

	(void)state;
	for (uint64_t i = 0; i < 4; i++)
		add_mail(&(struct mail){i, "juliet@localhost/x", "far@example.org", START + i,
					false, 30000});
	q.bytes = 65000;
	assert_string_equal(ask(q), "0 1 more");
	q.bytes = 1;
	q.backward = 1;
	assert_string_equal(ask(q), "3 more");
}

static void what_was_added_by_a_router_that_died_is_not_added_again(void **state)
{
	struct msg_db_archive_query q = query("romeo");

	(void)state;
	q.max = 100;
	add_many(0, 8, 3);
	for (uint64_t i = 4; i < 12; i++)
		add_mail(&(struct mail){i, "juliet@localhost/x", "romeo@localhost",
					START + i * 1000, true, 0});
	assert_string_equal(ask(q), "0 1 2 3 4 5 6 7 8 9 10 11");
	q.user = S("juliet");
	assert_string_equal(ask(q), "0 1 2 3 4 5 6 7 8 9 10 11");
}

static void set_prefs(const char *user, uint8_t policy, const char *always, const char *never)
{
	struct userdata_quota quota = {100000, 100000};
	struct str a = STR_INIT, n = STR_INIT, value = STR_INIT;

	if (*always)
		codec_put_str(&a, S(always));
	if (*never)
		codec_put_str(&n, S(never));
	db_archive_prefs_put(&value,
			     &(struct db_archive_prefs){policy, str_slice(&a), str_slice(&n)});
	assert_int_equal(userdata_set(d, S(user), S("localhost"), DB_DATA_ARCHIVE_PREFS, S(""),
				      str_slice(&value), START, &quota, &why),
			 ERR_OK);
	str_clear(&a);
	str_clear(&n);
	str_clear(&value);
}

static void owners_have_what_they_want(void **state)
{
	struct msg_db_archive_query q = query("romeo");
	uint64_t n = 0;

	(void)state;
	q.max = 100;
#define HEAR(sender) add(n, sender, "romeo@localhost", START + n), n++
	HEAR("juliet@localhost/x"); /* 0 */
	set_prefs("romeo", ARCHIVE_NEVER, "", "");
	HEAR("juliet@localhost/x"); /* 1 */
	set_prefs("romeo", ARCHIVE_NEVER, "juliet@localhost", "juliet@localhost/phone");
	HEAR("juliet@localhost/x");	/* 2 */
	HEAR("juliet@localhost/phone"); /* 3: the full JID outweighs the bare one */
	set_prefs("romeo", ARCHIVE_ROSTER, "", "");
	HEAR("juliet@localhost/x"); /* 4 */
	limits.policy = ARCHIVE_NEVER;
	set_prefs("romeo", ARCHIVE_ALWAYS, "", "");
	HEAR("juliet@localhost/x"); /* 5 */
	assert_string_equal(ask(q), "0 2 5");
	q.user = S("juliet"); /* who has said nothing: the policy of the server */
	assert_string_equal(ask(q), "0 1 2 3 4");
}

static void whom_a_user_has_blocked_does_not_reach_his_archive(void **state)
{
	struct msg_db_archive_query q = query("romeo");
	struct str jids = STR_INIT, out = STR_INIT;

	(void)state;
	codec_put_str(&jids, S("juliet@localhost"));
	assert_int_equal(
		blocklist_add(d, S("romeo"), S("localhost"), str_slice(&jids), 10, &out, &why),
		ERR_OK);
	add(1, "juliet@localhost/x", "romeo@localhost", START + 1);
	add(2, "far@example.org/x", "romeo@localhost", START + 2);
	assert_string_equal(ask(q), "2");
	q.user = S("juliet");
	assert_string_equal(ask(q), "1");
	str_clear(&jids);
	str_clear(&out);
}

static uint64_t number(const char *sql)
{
	sqlite3_stmt *st = NULL;
	uint64_t n;

	assert_int_equal(sqlite3_prepare_v2(db_sqlite(d), sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static void a_full_archive_loses_its_oldest_messages_and_only_those(void **state)
{
	struct msg_db_archive_query q = query("juliet");

	(void)state;
	limits.user_bytes = 60000;
	add_many(0, 2000, 20);
	assert_in_range(number("SELECT bytes FROM archive_owner ORDER BY account LIMIT 1"), 40000,
			60000);
	assert_int_equal(number("SELECT SUM(bytes) FROM archive_owner"),
			 number("SELECT SUM(LENGTH(body)) FROM archive"));
	assert_int_equal(number("SELECT SUM(messages) FROM archive_owner"),
			 number("SELECT SUM(messages) FROM archive"));
	assert_int_equal(number("SELECT COUNT(*) FROM archive_key WHERE NOT EXISTS (SELECT 1 FROM"
				" archive WHERE id = account * 4294967296 + block)"),
			 0);
	q.max = 1;
	q.counted = 1;
	ask(q);
	assert_in_range(atoi(text.data), 1400, 1800);
	q.backward = 1;
	assert_int_equal(atoi(ask(q)), 1999);
	q.after = packed_id(0);
	assert_string_equal(ask(q), "NOTFOUND");
}

static void messages_that_are_too_old_are_not_seen_and_go(void **state)
{
	struct msg_db_archive_query q = query("juliet");

	(void)state;
	limits.retention_ms = 10 * DAY_MS;
	add_many(0, 100, 10); /* all within two minutes of START */
	assert_int_equal(atoi(ask_at(&q, START + 10 * DAY_MS + 50000)), 50);
	assert_int_equal(archive_prune(d, START + 10 * DAY_MS, &limits, 100), ERR_OK);
	assert_true(number("SELECT COUNT(*) FROM archive") > 0);
	/* A message a week later is in a block of its own, and its addition removes nothing new. */
	add(500, "juliet@localhost/x", "romeo@localhost", START + 7 * DAY_MS);
	assert_int_equal(number("SELECT SUM(messages) FROM archive_owner WHERE account = 1"), 101);
	add(501, "juliet@localhost/x", "romeo@localhost", START + 12 * DAY_MS);
	assert_string_equal(ask_at(&q, START + 12 * DAY_MS), "500 501");
	assert_int_equal(number("SELECT SUM(messages) FROM archive_owner WHERE account = 1"), 2);
	limits.retention_ms = 0;
	assert_int_equal(archive_prune(d, START + 9000 * DAY_MS, &limits, 100), ERR_OK);
	assert_string_equal(ask_at(&q, START + 9000 * DAY_MS), "500 501");
}

static void pruning_is_done_in_pieces(void **state)
{
	uint64_t before;

	(void)state;
	add_many(0, 500, 1);
	before = number("SELECT COUNT(*) FROM archive");
	limits.retention_ms = DAY_MS;
	assert_true(before > 20);
	assert_int_equal(archive_prune(d, START + 5 * DAY_MS, &limits, 3), ERR_OK);
	assert_int_equal(number("SELECT COUNT(*) FROM archive"), before - 3);
	assert_int_equal(archive_prune(d, START + 5 * DAY_MS, &limits, 1000), ERR_OK);
	assert_int_equal(number("SELECT COUNT(*) FROM archive"), 0);
	assert_int_equal(number("SELECT COUNT(*) FROM archive_key"), 0);
	assert_int_equal(number("SELECT SUM(bytes) + SUM(messages) FROM archive_owner"), 0);
	limits.retention_ms = 0;
	add_many(600, 3, 1);
	assert_string_equal(ask(query("juliet")), "600 601 602");
}

static void an_archive_stays_in_order_when_the_clock_is_set_back(void **state)
{
	struct msg_db_archive_query q = query("juliet");

	(void)state;
	for (uint64_t i = 0; i < 60; i++)
		add_mail(&(struct mail){i, "juliet@localhost/x", "romeo@localhost",
					START + (i < 30 ? i * 1000 : 0) + DAY_MS, false, 500});
	q.max = 3;
	q.backward = 1;
	assert_string_equal(ask(q), "59 58 57 more");
	q.backward = 0;
	q.max = 40;
	q.start_ms = START + DAY_MS + 29000;
	assert_string_equal(ask(q), "29");
	q.start_ms = START + DAY_MS;
	q.max = 2;
	q.after = packed_id(29);
	assert_string_equal(ask(q), "30 31 more");
}

static void everything_goes_with_its_account_and_nothing_of_others(void **state)
{
	bool more = true;

	(void)state;
	add_many(0, 100, 10);
	assert_int_equal(accounts_del(d, S("juliet"), S("localhost")), ERR_OK);
	assert_string_equal(ask(query("juliet")), "NOTFOUND");
	assert_int_equal(archive_remove_gone(d, 1000, &more), ERR_OK);
	assert_false(more);
	assert_int_equal(number("SELECT COUNT(*) FROM archive WHERE id < 2 * 4294967296"), 0);
	assert_int_equal(number("SELECT COUNT(*) FROM archive_key WHERE account = 1"), 0);
	assert_int_equal(number("SELECT COUNT(*) FROM archive_owner WHERE account = 1"), 0);
	assert_int_equal(number("SELECT COUNT(*) FROM archive_gone"), 0);
	assert_string_equal(ask(query("romeo")), "0 1 2 3 4 more");
}

/* A large one would keep all other writes waiting. */
static void the_archive_of_an_account_that_is_gone_goes_in_pieces_and_nobody_gets_it(void **state)
{
	uint64_t before;
	bool more = false;

	(void)state;
	add_many(0, 500, 1);
	assert_int_equal(accounts_del(d, S("romeo"), S("localhost")), ERR_OK);
	before = number("SELECT COUNT(*) FROM archive");
	assert_int_equal(archive_remove_gone(d, 3, &more), ERR_OK);
	assert_true(more);
	assert_int_equal(number("SELECT COUNT(*) FROM archive"), before - 3);
	add_account("romeo"); /* the number of the old one was the highest */
	assert_int_equal(number("SELECT id FROM accounts WHERE user = 'romeo'"), 3);
	assert_string_equal(ask(query("romeo")), "");
	add_many(600, 2, 1);
	assert_int_equal(archive_remove_gone(d, 1000, &more), ERR_OK);
	assert_false(more);
	assert_int_equal(number("SELECT COUNT(*) FROM archive WHERE id >= 2 * 4294967296"
				" AND id < 3 * 4294967296"),
			 0);
	assert_string_equal(ask(query("romeo")), "600 601");
}

static void the_ends_are_the_first_and_the_last_message(void **state)
{
	struct msg_db_archive_page page;
	struct str out = STR_INIT;

	(void)state;
#define ENDS(user)                                                                    \
	show((str_reset(&out),                                                        \
	      archive_ends(d, S(user), S("localhost"), START, &limits, &page, &out)), \
	     &page)
	assert_string_equal(ENDS("juliet"), "");
	add_many(7, 1, 1);
	assert_string_equal(ENDS("juliet"), "7 7");
	add_many(8, 90, 4);
	assert_string_equal(ENDS("juliet"), "7 97");
	assert_string_equal(ENDS("paris"), "NOTFOUND");
	str_clear(&out);
}

static void malformed_lists_change_nothing(void **state)
{
	struct str list = STR_INIT;

	(void)state;
	put_mail(&list,
		 &(struct mail){1, "juliet@localhost/x", "romeo@localhost", START, false, 0});
	for (size_t cut = 1; cut < list.len; cut += 3)
		assert_int_equal(add_list(slice_of(list.data, cut), START), ERR_FORMAT);
	list.data[0] = 3; /* a fourth owner */
	assert_int_equal(add_list(str_slice(&list), START), ERR_FORMAT);
	assert_string_equal(ask(query("juliet")), "");
	str_clear(&list);
}

static struct str add_record(void)
{
	struct str owners = STR_INIT, list = STR_INIT, record = STR_INIT;

	codec_put_str(&owners, S("juliet@localhost"));
	put_mail(&list,
		 &(struct mail){1, "juliet@localhost/x", "far@example.org", START, false, 0});
	msg_db_archive_add_put(&record,
			       &(struct msg_db_archive_add){str_slice(&owners), str_slice(&list)});
	str_clear(&owners);
	str_clear(&list);
	return record;
}

static void on_a_disk_that_gets_full_archives_are_refused_first(void **state)
{
	struct store_rig *r = *state;
	struct msg_db_archive_page page;
	struct str record = STR_INIT;
	uint64_t free_bytes;

	r->options.limits.archive.user_bytes = 1 << 20;
	store_set_options(r->store, &r->options);
	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	assert_int_equal(rig_ask_take(r, 2, add_record()), ERR_OK);
	assert_int_equal(disk_free_bytes(r->f.dir, &free_bytes), ERR_OK);
	r->options.min_free = free_bytes / 2;
	store_set_options(r->store, &r->options);
	assert_int_equal(rig_ask_take(r, 3, rig_add("romeo")), ERR_OK);
	assert_int_equal(rig_ask_take(r, 4, add_record()), ERR_NOSPACE);
	msg_db_archive_query_put(&record, &(struct msg_db_archive_query){.user = S("juliet"),
									 .domain = S("localhost"),
									 .max = 9,
									 .bytes = 9999});
	assert_int_equal(rig_ask_take(r, 5, record), ERR_OK);
	assert_int_equal(msg_db_archive_page_get(rig_body(r, MSG_DB_ARCHIVE_PAGE), &page), ERR_OK);
	assert_int_equal(page.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_message_is_once_in_the_archives_of_both),
		T(pages_lead_through_an_archive_in_both_directions),
		T(what_limits_a_query),
		T(messages_asked_for_by_id_come_in_the_order_of_the_archive),
		T(a_page_is_bounded_by_its_bytes),
		T(ids_that_are_all_over_an_archive_are_too_much_for_one_query),
		T(what_was_added_by_a_router_that_died_is_not_added_again),
		T(owners_have_what_they_want),
		T(whom_a_user_has_blocked_does_not_reach_his_archive),
		T(a_full_archive_loses_its_oldest_messages_and_only_those),
		T(messages_that_are_too_old_are_not_seen_and_go),
		T(pruning_is_done_in_pieces),
		T(an_archive_stays_in_order_when_the_clock_is_set_back),
		T(everything_goes_with_its_account_and_nothing_of_others),
		T(the_archive_of_an_account_that_is_gone_goes_in_pieces_and_nobody_gets_it),
		T(the_ends_are_the_first_and_the_last_message),
		T(malformed_lists_change_nothing),
		cmocka_unit_test_setup_teardown(on_a_disk_that_gets_full_archives_are_refused_first,
						rig_setup, rig_teardown),
	};

	str_init(&text);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
