/* Messages for users who are away: kept, and delivered in order (XEP-0160). */
#include "tests/unit/session/fake_host.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.org"
#define ROWS   64
#define KB     1024

struct row {
	uint64_t id, origin_n;
	char *packed;
	size_t len;
};

struct queued {
	uint64_t sid;
	uint64_t n;
	void (*settled)(void *arg, uint8_t how);
	void *arg;
};

/* The datastore's table, and what the host has on queues of the server's own making. */
struct away {
	struct row rows[ROWS];
	size_t nrows;
	uint64_t next_id;
	size_t quota, page_bytes;
	struct queued queue[ROWS];
	size_t nqueue;
	uint64_t no_queue_of; /* originate() answers 0 for this one */
	bool at_once;	      /* settled from inside originate() */
	unsigned int fetches, dels, noted;
};

static struct away *away_of(struct fake *f)
{
	return f->more;
}

static enum err execute_add(struct fake *f, struct slice body)
{
	struct away *a = away_of(f);
	struct msg_db_offline_add m;
	struct db_offline o;
	struct slice in;

	assert_int_equal(msg_db_offline_add_get(body, &m), ERR_OK);
	in = m.message;
	assert_true(db_offline_get(&in, &o));
	assert_true(slice_is(m.user, "romeo") && slice_is(m.domain, "example.org"));
	if (f->unknown)
		return ERR_NOTFOUND;
	if (a->nrows >= a->quota)
		return ERR_FULL;
	a->rows[a->nrows++] = (struct row){a->next_id++, o.origin_n,
					   xstrndup(m.message.data, m.message.len), m.message.len};
	return ERR_OK;
}

static void execute_get(struct fake *f, struct slice body, struct str *out)
{
	struct away *a = away_of(f);
	struct msg_db_offline_get m;
	struct msg_db_offline page = {0};
	struct str list = STR_INIT;

	assert_int_equal(msg_db_offline_get_get(body, &m), ERR_OK);
	assert_int_equal(m.bytes, 256 * KB);
	a->fetches++;
	for (size_t i = 0; i < a->nrows; i++) {
		struct slice in = slice_of(a->rows[i].packed, a->rows[i].len);
		struct db_offline o;

		if (a->rows[i].id <= m.after)
			continue;
		if (page.count && list.len + in.len > a->page_bytes) {
			page.more = 1;
			break;
		}
		assert_true(db_offline_get(&in, &o));
		o.id = a->rows[i].id;
		o.stamp_ms = 1000000000123 + o.id * 1000;
		db_offline_put(&list, &o);
		page.count++;
	}
	page.list = str_slice(&list);
	msg_db_offline_put(out, &page);
	str_clear(&list);
}

static void execute_del(struct fake *f, struct slice body)
{
	struct away *a = away_of(f);
	struct msg_db_offline_del m;
	uint64_t id;

	assert_int_equal(msg_db_offline_del_get(body, &m), ERR_OK);
	a->dels++;
	while (codec_get_u64(&m.ids, &id)) {
		for (size_t i = 0; i < a->nrows; i++) {
			if (a->rows[i].id != id)
				continue;
			free(a->rows[i].packed);
			memmove(&a->rows[i], &a->rows[i + 1],
				(--a->nrows - i) * sizeof(a->rows[0]));
			break;
		}
	}
}

static enum err execute(struct fake *f, uint16_t type, struct slice body, struct str *out)
{
	enum err e = ERR_OK;

	if (type == MSG_DB_OFFLINE_GET) {
		execute_get(f, body, out);
		return ERR_OK;
	}
	if (type == MSG_DB_OFFLINE_ADD)
		e = execute_add(f, body);
	else
		execute_del(f, body);
	if (e == ERR_OK)
		msg_db_done_put(out, &(struct msg_db_done){0});
	return e;
}

static void host_origin(void *ctx, const struct custody_entry *e, uint64_t *sid, uint64_t *n)
{
	struct fake *f = ctx;

	*sid = 77;
	*n = (uint64_t)(e - f->entries) + 1;
}

/* What the index says of the stamp is where the stamp is. */
static void check_stamp(const struct session_stanza *s)
{
	struct slice index = s->children;
	struct stanza_child c = {0};

	assert_true(s->flags & STANZA_DELAYED);
	while (index.len)
		assert_true(stanza_child_get(&index, &c));
	assert_int_equal(c.ns, NS_ID_DELAY);
	assert_int_equal(c.name, NAME_ID_DELAY);
	assert_int_equal(c.offset + c.length, s->inner.len);
	assert_memory_equal(s->inner.data + c.offset, "<delay ", 7);
}

static uint64_t host_originate(void *ctx, uint64_t sid, uint64_t origin_sid, uint64_t origin_n,
			       const struct session_stanza *s,
			       void (*settled)(void *arg, uint8_t how), void *arg)
{
	struct fake *f = ctx;
	struct away *a = away_of(f);

	assert_int_equal(origin_sid, 77);
	assert_true(session_exists(f->m, sid));
	check_stamp(s);
	if (sid == a->no_queue_of)
		return 0;
	str_addf(&f->trace, "kept sid=%u n=%u id=%.*s", (unsigned int)sid, (unsigned int)origin_n,
		 SLICE_ARG(s->id));
	if (f->show_inner)
		str_addf(&f->trace, " from=%.*s to=%.*s %.*s", SLICE_ARG(s->from), SLICE_ARG(s->to),
			 SLICE_ARG(s->inner));
	str_adds(&f->trace, "\n");
	if (a->at_once) {
		settled(arg, SETTLED_DELIVERED);
		return 1;
	}
	assert_true(a->nqueue < ROWS);
	a->queue[a->nqueue++] = (struct queued){sid, origin_n, settled, arg};
	return a->nqueue;
}

static void host_noted(void *ctx, uint64_t origin_sid, uint64_t origin_n)
{
	struct fake *f = ctx;
	struct away *a = away_of(f);

	assert_int_equal(origin_sid, 77);
	assert_int_not_equal(origin_n, 0);
	a->noted++;
}

/* Presence is not what these tests look at. */
static void host_conclude(void *ctx, struct custody_entry *e, uint8_t how, const char *rule)
{
	if (how == SETTLED_CONSUMED)
		e->concluded++;
	else
		fake_conclude(ctx, e, how, rule);
}

static int setup(void **state)
{
	struct session_host host = fake_host;
	struct away *a = xcalloc(1, sizeof(*a));
	struct fake *f;

	fake_setup(state);
	f = *state;
	f->more = a;
	f->execute = execute;
	a->quota = 40;
	a->next_id = 1;
	a->page_bytes = 256 * KB;
	host.conclude = host_conclude;
	host.origin = host_origin;
	host.originate = host_originate;
	host.noted = host_noted;
	session_free(&f->m);
	f->m = session_new(&host, f);
	fake_configure(f, "replace", 4);
	online(f, 1, JULIET, "balcony", "0");
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;
	struct away *a = f->more;

	for (size_t i = 0; i < a->nrows; i++)
		free(a->rows[i].packed);
	/* What is under way must be freed by its own means. */
	fake_teardown(state);
	free(a);
	return 0;
}

static struct custody_entry *send(struct fake *f, const char *type, const char *to, const char *id,
				  uint16_t flags, size_t padding)
{
	struct custody_entry *e = &f->entries[f->nentries++];
	struct str inner = STR_INIT, children = STR_INIT;

	str_addf(&inner, "<body>%s%*s</body>", id, (int)padding, "");
	stanza_child_put(&children,
			 &(struct stanza_child){.ns = flags & STANZA_CHAT_STATE ? NS_ID_CHATSTATES
										: NS_ID_CONTENT,
						.name = NAME_ID_BODY,
						.length = (uint32_t)inner.len});
	session_stanza(
		f->m, 1, e,
		&(struct msg_stanza){.sid = 1,
				     .kind = STANZA_MESSAGE,
				     .type = *type ? stanza_type_parse(STANZA_MESSAGE, S(type))
						   : TYPE_NONE,
				     .flags = flags,
				     .to = S(to),
				     .id = S(id),
				     .children = str_slice(&children),
				     .inner = str_slice(&inner)},
		NOW);
	str_clear(&inner);
	str_clear(&children);
	assert_true(e->delivered || e->concluded || e->holds);
	assert_true(e->concluded <= 1);
	return e;
}

static struct custody_entry *say(struct fake *f, const char *id)
{
	return send(f, "chat", ROMEO, id, STANZA_HAS_BODY, 0);
}

static void ask(struct fake *f, const char *id)
{
	struct custody_entry *e = &f->entries[f->nentries++];

	session_stanza(f->m, 1, e,
		       &(struct msg_stanza){.sid = 1,
					    .kind = STANZA_IQ,
					    .type = TYPE_GET,
					    .to = S(ROMEO "/orchard"),
					    .id = S(id),
					    .inner = S("<q xmlns='urn:example'/>")},
		       NOW);
}

/* Stored, without a trace. */
static void keep(struct fake *f, const char *id)
{
	say(f, id);
	store_run(f);
	fake_forget(f);
}

/* Only what the offline messages do, not the presence around it. */
static void appear(struct fake *f, uint64_t sid, const char *resource, const char *priority)
{
	bool slow = f->slow_store;

	f->slow_store = true;
	online(f, sid, ROMEO, resource, priority);
	f->slow_store = slow;
	if (!slow)
		store_run(f);
}

/* Ends the oldest on the queues. */
static void settle(struct fake *f, uint8_t how)
{
	struct away *a = away_of(f);
	struct queued q = a->queue[0];

	assert_true(a->nqueue > 0);
	memmove(a->queue, a->queue + 1, --a->nqueue * sizeof(q));
	q.settled(q.arg, how);
}

static void settle_all(struct fake *f)
{
	while (away_of(f)->nqueue)
		settle(f, SETTLED_DELIVERED);
}

/* The connection ends; what is on its queue is given up. */
static void leave(struct fake *f, uint64_t sid)
{
	struct away *a = away_of(f);

	session_unbind(f->m, sid, S("lost"), NOW);
	for (size_t i = 0; i < a->nqueue;) {
		struct queued q = a->queue[i];

		if (q.sid != sid) {
			i++;
			continue;
		}
		memmove(a->queue + i, a->queue + i + 1, (--a->nqueue - i) * sizeof(q));
		q.settled(q.arg, SETTLED_DISCARDED);
	}
}

static const struct {
	const char *type;
	uint16_t flags;
	const char *to, *trace;
} kinds[] = {
	{"chat", STANZA_HAS_BODY, ROMEO, "stored: xep0160 stored\n"},
	{"normal", STANZA_HAS_BODY, ROMEO, "stored: xep0160 stored\n"},
	{"", STANZA_HAS_BODY, ROMEO, "stored: xep0160 stored\n"},
	{"chat", STANZA_HAS_BODY, ROMEO "/gone", "stored: xep0160 stored\n"},
	{"chat", STANZA_STORE, ROMEO, "stored: xep0160 stored\n"},
	{"chat", STANZA_HAS_BODY | STANZA_NO_STORE, ROMEO,
	 "answer sid=1 message error from=" ROMEO " to=" JULIET "/balcony id=m\n"
	 "bounced: rfc6121-8.5.2.2.1 chat to nobody\n"},
	{"chat", STANZA_STORE | STANZA_NO_STORE, ROMEO,
	 "answer sid=1 message error from=" ROMEO " to=" JULIET "/balcony id=m\n"
	 "bounced: rfc6121-8.5.2.2.1 chat to nobody\n"},
	{"chat", STANZA_CHAT_STATE, ROMEO,
	 "answer sid=1 message error from=" ROMEO " to=" JULIET "/balcony id=m\n"
	 "bounced: rfc6121-8.5.2.2.1 chat to nobody\n"},
	{"groupchat", STANZA_HAS_BODY, ROMEO,
	 "answer sid=1 message error from=" ROMEO " to=" JULIET "/balcony id=m\n"
	 "bounced: rfc6121-8.5.2.2.1 groupchat to a bare JID\n"},
	{"headline", STANZA_HAS_BODY, ROMEO, "discarded: rfc6121-8.5.2.2.1 headline to nobody\n"},
	{"error", STANZA_HAS_BODY, ROMEO, "discarded: rfc6121-8.5.2.2.1 error to a bare JID\n"},
};

static void messages_that_say_something_are_kept(void **state)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		bool stored = kinds[i].trace[0] == 's';
		struct fake *f;

		setup(state);
		f = *state;
		send(f, kinds[i].type, kinds[i].to, "m", kinds[i].flags, 0);
		store_run(f);
		if (strcmp(f->trace.data, kinds[i].trace) != 0)
			print_error("row %zu\n", i);
		expect(f, kinds[i].trace);
		assert_int_equal(away_of(f)->nrows, stored);
		teardown(state);
	}
}

static void a_message_stays_in_custody_until_it_is_stored(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e = say(f, "m1");

	expect(f, "");
	assert_int_equal(e->holds, 1);
	store_answer(f, ERR_OK);
	expect(f, "stored: xep0160 stored\n");
	assert_int_equal(e->holds, 0);
}

#define REFUSAL(type, condition, text)                                                             \
	"answer sid=1 message error from=" ROMEO " to=" JULIET "/balcony id=m1 <error type='" type \
	"'><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>" text                      \
	"</error>\nbounced: rfc6121-8.5.2.2.1 chat to nobody\n"

static void a_full_store_looks_like_an_unknown_user(void **state)
{
	struct fake *f = *state;

	f->show_inner = true;
	f->unknown = ROMEO;
	say(f, "m1");
	store_run(f);
	expect(f, REFUSAL("cancel", "service-unavailable", ""));
	f->unknown = NULL;
	away_of(f)->quota = 0;
	say(f, "m1");
	store_run(f);
	expect(f, REFUSAL("cancel", "service-unavailable", ""));
}

static void a_datastore_in_trouble_asks_the_sender_to_wait(void **state)
{
	static const enum err troubles[] = {ERR_TIMEOUT, ERR_NOSPACE, ERR_IO, ERR_AGAIN};
	struct fake *f = *state;

	f->show_inner = true;
	for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
		say(f, "m1");
		store_answer(f, troubles[i]);
		expect(f, REFUSAL("wait", "resource-constraint",
				  "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>The message "
				  "could not be stored now; try again later.</text>"));
	}
}

static void they_come_in_order_with_stamps_under_their_old_origins(void **state)
{
	struct fake *f = *state;

	keep(f, "m1");
	send(f, "chat", ROMEO "/old", "m2", STANZA_HAS_BODY, 0);
	store_run(f);
	f->show_inner = true;
	appear(f, 2, "orchard", "0");
	expect(f, "kept sid=2 n=2 id=m1 from=" JULIET "/balcony to=" ROMEO " <body>m1</body>"
		  "<delay xmlns='urn:xmpp:delay' from='example.org' "
		  "stamp='2001-09-09T01:46:41.123Z'/>\n"
		  "kept sid=2 n=3 id=m2 from=" JULIET "/balcony to=" ROMEO "/old <body>m2</body>"
		  "<delay xmlns='urn:xmpp:delay' from='example.org' "
		  "stamp='2001-09-09T01:46:42.123Z'/>\n");
}

static void rows_go_when_they_are_delivered_not_before(void **state)
{
	struct fake *f = *state;

	keep(f, "m1");
	keep(f, "m2");
	appear(f, 2, "orchard", "0");
	assert_int_equal(away_of(f)->nrows, 2);
	settle(f, SETTLED_DELIVERED);
	settle(f, SETTLED_DELIVERED);
	assert_int_equal(away_of(f)->nrows, 2);
	assert_int_equal(f->nrequests, 1);
	assert_int_equal(away_of(f)->noted, 0);
	store_run(f);
	assert_int_equal(away_of(f)->nrows, 0);
	assert_int_equal(away_of(f)->dels, 2);
	assert_int_equal(away_of(f)->noted, 2);
	fake_forget(f);
	leave(f, 2);
	appear(f, 3, "orchard", "0");
	expect(f, "");
}

static void new_messages_wait_until_the_old_ones_are_on_the_queue(void **state)
{
	struct fake *f = *state;

	keep(f, "m1");
	f->slow_store = true;
	appear(f, 2, "orchard", "0");
	say(f, "m2");
	send(f, "normal", ROMEO "/orchard", "m3", STANZA_HAS_BODY, 0);
	send(f, "headline", ROMEO, "m4", 0, 0);
	expect(f, "");
	store_run(f);
	expect(f,
	       "kept sid=2 n=2 id=m1\n"
	       "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=m2\n"
	       "deliver sid=2 message normal from=" JULIET "/balcony to=" ROMEO "/orchard id=m3\n"
	       "deliver sid=2 message headline from=" JULIET "/balcony to=" ROMEO " id=m4\n");
	say(f, "m5"); /* the queue keeps the order now */
	expect(f, "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=m5\n");
	settle_all(f);
}

/* RFC 6120 10.1: in order between two, whatever the kind. */
static void an_iq_does_not_overtake_a_message_that_waits(void **state)
{
	struct fake *f = *state;

	keep(f, "m1");
	f->slow_store = true;
	appear(f, 2, "orchard", "0");
	send(f, "normal", ROMEO "/orchard", "m2", STANZA_HAS_BODY, 0);
	ask(f, "i2");
	expect(f, "");
	store_run(f);
	expect(f,
	       "kept sid=2 n=2 id=m1\n"
	       "deliver sid=2 message normal from=" JULIET "/balcony to=" ROMEO "/orchard id=m2\n"
	       "deliver sid=2 iq get from=" JULIET "/balcony to=" ROMEO "/orchard id=i2\n");
	settle_all(f);
}

static void additions_under_way_belong_to_what_is_fetched(void **state)
{
	struct fake *f = *state;

	f->slow_store = true;
	say(f, "m1");
	appear(f, 2, "orchard", "0");
	say(f, "m2");
	assert_int_equal(f->nrequests, 2); /* m1, a roster; nothing is fetched yet */
	store_run(f);
	expect(f, "stored: xep0160 stored\nkept sid=2 n=2 id=m1\n"
		  "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=m2\n");
	assert_int_equal(away_of(f)->fetches, 2); /* juliet's and this */
}

static void what_could_not_be_stored_goes_to_who_is_there_by_now(void **state)
{
	struct fake *f = *state;

	f->slow_store = true;
	say(f, "m1");
	say(f, "m2");
	appear(f, 2, "orchard", "0");
	store_answer(f, ERR_TIMEOUT);
	store_answer(f, ERR_FULL);
	expect(f, "");
	store_run(f);
	expect(f, "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=m1\n"
		  "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=m2\n");
}

/* Three messages of 100 KB: two make a page, and are more than may be ahead of the next one. */
static void keep_three_large(struct fake *f)
{
	away_of(f)->page_bytes = 220 * KB;
	for (int i = 1; i <= 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%d", i);
		send(f, "chat", ROMEO, id, STANZA_HAS_BODY, 100 * KB);
		store_run(f);
	}
	fake_forget(f);
}

static void many_are_fetched_page_by_page_as_the_client_takes_them(void **state)
{
	struct fake *f = *state;

	keep_three_large(f);
	appear(f, 2, "orchard", "0");
	expect(f, "kept sid=2 n=2 id=m1\nkept sid=2 n=3 id=m2\n");
	say(f, "m4");
	assert_int_equal(f->nrequests, 0);
	settle(f, SETTLED_DELIVERED);
	assert_int_equal(f->nrequests, 2);
	expect(f, "");
	store_run(f);
	expect(f, "kept sid=2 n=4 id=m3\n"
		  "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=m4\n");
	settle_all(f);
	store_run(f);
	assert_int_equal(away_of(f)->nrows, 0);
}

static void what_a_lost_session_did_not_get_is_for_the_next(void **state)
{
	struct fake *f = *state;

	keep_three_large(f);
	appear(f, 2, "orchard", "0");
	settle(f, SETTLED_DELIVERED);
	store_run(f);
	say(f, "m4");
	fake_forget(f);
	leave(f, 2);
	store_run(f);
	assert_int_equal(away_of(f)->nrows, 2);
	fake_forget(f);
	say(f, "m5");
	store_run(f);
	expect(f, "stored: xep0160 stored\n");
	appear(f, 3, "orchard", "0");
	settle_all(f);
	store_run(f);
	expect(f, "kept sid=3 n=3 id=m2\nkept sid=3 n=4 id=m3\nkept sid=3 n=7 id=m5\n");
	settle_all(f);
	store_run(f);
	assert_int_equal(away_of(f)->nrows, 0);
}

static void what_waited_for_a_lost_session_is_stored_behind(void **state)
{
	struct fake *f = *state;

	keep_three_large(f);
	appear(f, 2, "orchard", "0");
	say(f, "m4"); /* waits: there is another page */
	fake_forget(f);
	leave(f, 2);
	store_run(f);
	expect(f, "stored: xep0160 stored\n");
	assert_int_equal(away_of(f)->nrows, 4);
}

static void another_resource_takes_over_what_is_left(void **state)
{
	struct fake *f = *state;

	keep(f, "m1");
	appear(f, 2, "orchard", "0");
	appear(f, 3, "garden", "0");
	expect(f, "");
	assert_int_equal(away_of(f)->nqueue, 1); /* not once more */
	leave(f, 2);
	fake_forget(f);
	store_run(f);
	expect(f, "kept sid=3 n=2 id=m1\n");
	settle_all(f);
	store_run(f);
	assert_int_equal(away_of(f)->nrows, 0);
}

static void a_resource_of_before_takes_over_as_well(void **state)
{
	struct fake *f = *state;

	online(f, 2, ROMEO, "desk", "-1");
	keep(f, "m1");
	appear(f, 3, "orchard", "0");
	presence(f, 2, "", "", "<priority>1</priority>");
	leave(f, 3);
	fake_forget(f);
	store_run(f);
	expect(f, "kept sid=2 n=3 id=m1\n");
}

static void a_session_that_refuses_is_asked_again_by_its_next_presence(void **state)
{
	struct fake *f = *state;

	keep(f, "m1");
	appear(f, 2, "orchard", "0");
	fake_forget(f);
	settle(f, SETTLED_DISCARDED);
	store_run(f);
	expect(f, "");
	assert_int_equal(away_of(f)->nrows, 1);
	f->slow_store = true;
	presence(f, 2, "", "", "<show>away</show>");
	fake_forget(f);
	store_run(f);
	expect(f, "kept sid=2 n=2 id=m1\n");
	settle_all(f);
	store_run(f);
	presence(f, 2, "", "", "<show>dnd</show>"); /* and now no more */
	assert_int_equal(f->nrequests, 0);
}

static void a_session_without_a_queue_is_no_loop(void **state)
{
	struct fake *f = *state;

	keep(f, "m1");
	away_of(f)->no_queue_of = 2;
	appear(f, 2, "orchard", "0");
	expect(f, "");
	assert_int_equal(away_of(f)->nrows, 1);
}

static void a_datastore_that_does_not_answer_stops_no_chat(void **state)
{
	struct fake *f = *state;

	keep(f, "m1");
	f->slow_store = true;
	appear(f, 2, "orchard", "0");
	say(f, "m2");
	store_answer(f, ERR_OK); /* his contacts, and whom he has blocked */
	store_answer(f, ERR_TIMEOUT);
	expect(f, "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=m2\n");
	say(f, "m3");
	expect(f, "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=m3\n");
	presence(f, 2, "", "", "");
	fake_forget(f);
	store_run(f);
	expect(f, "kept sid=2 n=2 id=m1\n");
}

static void what_waits_is_bounded(void **state)
{
	struct fake *f = *state;

	f->slow_store = true;
	appear(f, 2, "orchard", "0");
	store_answer(f, ERR_OK); /* his contacts, and whom he has blocked */
	fake_forget(f);
	for (int i = 0; i < 10; i++)
		send(f, "chat", ROMEO, "m", STANZA_HAS_BODY, 100 * KB);
	expect(f, "");
	send(f, "chat", ROMEO, "m", STANZA_HAS_BODY, 100 * KB);
	expect(f, "answer sid=1 message error from=" ROMEO " to=" JULIET "/balcony id=m\n"
		  "bounced: too much waits behind offline messages\n");
	store_run(f);
	fake_forget(f);
	send(f, "chat", ROMEO, "m", STANZA_HAS_BODY, 100 * KB);
	expect(f, "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=m\n");
}

static void a_restarted_router_goes_on_where_it_was(void **state)
{
	struct fake *f = *state;
	struct str blob = STR_INIT;

	keep(f, "m1");
	appear(f, 2, "orchard", "0");
	str_add_slice(&blob, str_slice(&f->blobs[2]));
	leave(f, 2);
	fake_forget(f);
	assert_int_equal(session_announce(f->m, 3, S(ROMEO "/orchard"), S("c2s#1"), S(""),
					  str_slice(&blob), NOW),
			 ERR_OK);
	assert_true(session_catching_up(f->m));
	say(f, "m2");
	expect(f, "");
	store_run(f);
	assert_false(session_catching_up(f->m));
	expect(f, "kept sid=3 n=2 id=m1\n"
		  "deliver sid=3 message chat from=" JULIET "/balcony to=" ROMEO " id=m2\n");
	settle_all(f);
	store_run(f);
	/* All is delivered: the next router need not ask. */
	str_reset(&blob);
	str_add_slice(&blob, str_slice(&f->blobs[3]));
	leave(f, 3);
	store_run(f);
	assert_int_equal(session_announce(f->m, 4, S(ROMEO "/orchard"), S("c2s#1"), S(""),
					  str_slice(&blob), NOW),
			 ERR_OK);
	assert_int_equal(f->nrequests, 0);
	str_clear(&blob);
}

static void a_negative_priority_gets_nothing_until_it_is_raised(void **state)
{
	struct fake *f = *state;

	keep(f, "m1");
	appear(f, 2, "orchard", "-1");
	expect(f, "");
	f->slow_store = true;
	presence(f, 2, "", "", "<priority>0</priority>");
	fake_forget(f);
	store_run(f);
	expect(f, "kept sid=2 n=2 id=m1\n");
}

static void a_deletion_is_tried_again_while_nobody_answers(void **state)
{
	struct fake *f = *state;

	keep(f, "m1");
	appear(f, 2, "orchard", "0");
	settle_all(f);
	for (int i = 0; i < 5; i++)
		store_answer(f, ERR_TIMEOUT);
	assert_int_equal(f->nrequests, 1);
	store_run(f);
	assert_int_equal(away_of(f)->nrows, 0);
}

static void a_deletion_is_given_up_in_the_end(void **state)
{
	struct fake *f = *state;
	unsigned int tries = 0;

	keep(f, "m1");
	appear(f, 2, "orchard", "0");
	settle_all(f);
	while (f->nrequests) {
		store_answer(f, ERR_TIMEOUT);
		assert_true(++tries < 100);
	}
	assert_true(tries > 5);
	fake_forget(f);
	leave(f, 2);
	appear(f, 3, "orchard", "0");
	expect(f, "kept sid=3 n=2 id=m1\n"); /* under the same origin */
}

static void many_are_deleted_before_all_are_delivered(void **state)
{
	struct fake *f = *state;

	away_of(f)->quota = ROWS;
	for (int i = 0; i < ROWS; i++)
		keep(f, "m");
	away_of(f)->at_once = true; /* from inside originate(), one after the other */
	appear(f, 2, "orchard", "0");
	assert_int_equal(away_of(f)->nrows, 0);
	assert_int_equal(away_of(f)->dels, 1);
}

static void a_message_refused_by_a_session_that_lives_is_bounced(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e;
	struct session_stanza s = {.kind = STANZA_MESSAGE,
				   .type = TYPE_CHAT,
				   .flags = STANZA_HAS_BODY,
				   .from = S(JULIET "/balcony"),
				   .to = S(ROMEO),
				   .id = S("m1")};

	appear(f, 2, "orchard", "0");
	e = say(f, "m1");
	fake_forget(f);
	session_undelivered(f->m, e, 2, &s, "resource-constraint", NOW);
	expect(f, "answer sid=1 message error from=" ROMEO " to=" JULIET "/balcony id=m1\n"
		  "bounced: rfc6121-8.5.2.2.1 chat to nobody\n");
	session_unbind(f->m, 2, S("lost"), NOW);
	fake_forget(f);
	session_undelivered(f->m, e, 2, &s, "recipient-unavailable", NOW);
	e->concluded = 0;
	store_run(f);
	expect(f, "stored: xep0160 stored\n");
}

/* For the sanitizers: everything at once, then the manager goes. */
static void nothing_is_left_behind_by_a_manager_that_goes(void **state)
{
	struct fake *f = *state;

	keep_three_large(f);
	appear(f, 2, "orchard", "0");
	f->slow_store = true;
	settle(f, SETTLED_DELIVERED);
	say(f, "m4");
	away_of(f)->nqueue = 0; /* the host forgets its entries */
	assert_true(f->nrequests > 0);
}

static void what_is_kept_while_a_session_is_detached_comes_when_it_is_resumed(void **state)
{
	struct fake *f = *state;
	struct away *a = away_of(f);

	appear(f, 2, "orchard", "0");
	session_detached(f->m, 2, NOW);
	fake_forget(f);
	say(f, "before");
	expect(f, "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=before\n");
	tick(f, 60);
	fake_forget(f);
	say(f, "after");
	store_run(f);
	send(f, "chat", ROMEO "/orchard", "full", STANZA_HAS_BODY, 0);
	expect(f,
	       "stored: xep0160 stored\n"
	       "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO "/orchard id=full\n");
	session_resumed(f->m, 2, S("c"), S("a"), after_s(90));
	say(f, "new");
	store_run(f);
	expect(f, "kept sid=2 n=4 id=after\n"
		  "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO " id=new\n");
	settle_all(f);
	store_run(f);
	assert_int_equal(a->nrows, 0);
}

static void a_lost_session_is_offered_nothing(void **state)
{
	struct fake *f = *state;
	unsigned int fetches;

	keep(f, "1");
	appear(f, 2, "orchard", "0");
	fake_forget(f);
	session_lost(f->m, 2, S("its connection manager died"), 0, NOW);
	fake_forget(f);
	say(f, "2");
	store_run(f);
	expect(f, "stored: xep0160 stored\n");
	leave(f, 2);
	/* Nor when a restarted router hears of it. */
	fetches = away_of(f)->fetches;
	assert_int_equal(announce(f, 9, ROMEO "/orchard", str_slice(&f->blobs[2])), ERR_OK);
	session_lost(f->m, 9, S("lost before the restart"), 5, NOW);
	store_run(f);
	assert_int_equal(away_of(f)->fetches, fetches);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_that_say_something_are_kept),
		TEST(a_message_stays_in_custody_until_it_is_stored),
		TEST(a_full_store_looks_like_an_unknown_user),
		TEST(a_datastore_in_trouble_asks_the_sender_to_wait),
		TEST(they_come_in_order_with_stamps_under_their_old_origins),
		TEST(rows_go_when_they_are_delivered_not_before),
		TEST(new_messages_wait_until_the_old_ones_are_on_the_queue),
		TEST(an_iq_does_not_overtake_a_message_that_waits),
		TEST(additions_under_way_belong_to_what_is_fetched),
		TEST(what_could_not_be_stored_goes_to_who_is_there_by_now),
		TEST(many_are_fetched_page_by_page_as_the_client_takes_them),
		TEST(what_a_lost_session_did_not_get_is_for_the_next),
		TEST(what_waited_for_a_lost_session_is_stored_behind),
		TEST(another_resource_takes_over_what_is_left),
		TEST(a_resource_of_before_takes_over_as_well),
		TEST(a_session_that_refuses_is_asked_again_by_its_next_presence),
		TEST(a_session_without_a_queue_is_no_loop),
		TEST(a_datastore_that_does_not_answer_stops_no_chat),
		TEST(what_waits_is_bounded),
		TEST(a_restarted_router_goes_on_where_it_was),
		TEST(a_negative_priority_gets_nothing_until_it_is_raised),
		TEST(a_deletion_is_tried_again_while_nobody_answers),
		TEST(a_deletion_is_given_up_in_the_end),
		TEST(many_are_deleted_before_all_are_delivered),
		TEST(a_message_refused_by_a_session_that_lives_is_bounced),
		TEST(nothing_is_left_behind_by_a_manager_that_goes),
		TEST(what_is_kept_while_a_session_is_detached_comes_when_it_is_resumed),
		TEST(a_lost_session_is_offered_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
