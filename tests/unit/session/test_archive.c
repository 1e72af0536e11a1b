/* The message archive (XEP-0313): what is archived, held until it is, and read again. */
#include "tests/unit/session/fake_host.h"

#include "ipc/db_archive.h"
#include "session/archive_id.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.org"
#define SID    77
#define FLAGS  (STANZA_HAS_BODY)

static struct monotime moment; /* at which stanzas come */

/* The datastore's side. */
struct shelf {
	struct str added; /* what came, readable */
	struct str prefs; /* packed, of everybody */
	struct str asked; /* the last query */
	struct str page;  /* packed entries that it is answered with */
	uint32_t count;
	bool more, again;
	size_t room, room_later; /* in the queue of who asks: when he does, when he is answered */
	uint16_t flags;		 /* of the last delivery */
	enum err query_err;
	unsigned int adds, reads;
};

static struct shelf *shelf_of(struct fake *f)
{
	return f->more;
}

static struct slice owner(struct slice owners, uint16_t n)
{
	struct slice bare = S("-");

	for (unsigned int i = 0; n != DB_ARCHIVE_NOBODY && i <= n; i++)
		assert_true(codec_get_str(&owners, &bare));
	return bare;
}

/* "juliet@example.com>romeo@example.org 12 again <body>..." */
static void execute_add(struct fake *f, struct slice body)
{
	struct shelf *h = shelf_of(f);
	struct db_archive_addition a;
	struct msg_db_archive_add m;
	struct db_archive_entry e;
	struct slice entry;

	assert_int_equal(msg_db_archive_add_get(body, &m), ERR_OK);
	h->adds++;
	while (m.list.len) {
		assert_true(db_archive_addition_get(&m.list, &a));
		entry = a.entry;
		assert_true(db_archive_entry_get(&entry, &e) && entry.len == 0);
		str_addf(&h->added, "%.*s>%.*s%s%s%.*s\n", SLICE_ARG(owner(m.owners, a.sender)),
			 SLICE_ARG(owner(m.owners, a.receiver)), a.again ? " again" : "",
			 e.inner.len ? " " : "", SLICE_ARG(e.inner));
		assert_int_equal(e.stamp_ms, f->wall_ms);
	}
}

static void show_query(struct shelf *h, const struct msg_db_archive_query *q)
{
	str_reset(&h->asked);
	str_addf(&h->asked, "%.*s@%.*s max=%u", SLICE_ARG(q->user), SLICE_ARG(q->domain), q->max);
	if (q->with.len)
		str_addf(&h->asked, " with=%.*s", SLICE_ARG(q->with));
	if (q->start_ms)
		str_addf(&h->asked, " start=%llu", (unsigned long long)q->start_ms);
	if (q->end_ms)
		str_addf(&h->asked, " end=%llu", (unsigned long long)q->end_ms);
	str_addf(&h->asked, "%s%s%s%s%s%s%s", q->after_id.len ? " after-id" : "",
		 q->before_id.len ? " before-id" : "", q->ids.len ? " ids" : "",
		 q->after.len ? " after" : "", q->before.len ? " before" : "",
		 q->backward ? " backward" : "", q->counted ? " counted" : "");
}

static enum err execute_query(struct fake *f, struct slice body, struct str *out)
{
	struct shelf *h = shelf_of(f);
	struct msg_db_archive_query q;

	assert_int_equal(msg_db_archive_query_get(body, &q), ERR_OK);
	show_query(h, &q);
	if (h->query_err != ERR_OK)
		return h->query_err;
	msg_db_archive_page_put(out, &(struct msg_db_archive_page){.count = h->count,
								   .more = h->more,
								   .known = q.counted ? 3 : 0,
								   .total = 9,
								   .index = 4,
								   .list = str_slice(&h->page)});
	return ERR_OK;
}

static enum err execute(struct fake *f, uint16_t type, struct slice body, struct str *out)
{
	struct shelf *h = shelf_of(f);
	struct msg_db_data_set set;

	switch (type) {
	case MSG_DB_ARCHIVE_ADD:
		execute_add(f, body);
		break;
	case MSG_DB_ARCHIVE_QUERY:
		return execute_query(f, body, out);
	case MSG_DB_ARCHIVE_ENDS:
		msg_db_archive_page_put(out,
					&(struct msg_db_archive_page){.count = h->count,
								      .list = str_slice(&h->page)});
		return ERR_OK;
	case MSG_DB_DATA_GET:
		h->reads++;
		if (h->prefs.len == 0)
			return ERR_NOTFOUND;
		msg_db_data_put(out, &(struct msg_db_data){.value = str_slice(&h->prefs)});
		return ERR_OK;
	case MSG_DB_DATA_SET:
		assert_int_equal(msg_db_data_set_get(body, &set), ERR_OK);
		assert_int_equal(set.kind, DB_DATA_ARCHIVE_PREFS);
		str_reset(&h->prefs);
		str_add_slice(&h->prefs, set.value);
		break;
	default: /* offline messages */
		break;
	}
	msg_db_done_put(out, &(struct msg_db_done){0});
	return ERR_OK;
}

static size_t host_room(void *ctx, uint64_t sid)
{
	struct shelf *h = shelf_of(ctx);
	size_t room = h->room;

	(void)sid;
	h->room = h->room_later;
	return room;
}

static void host_origin(void *ctx, const struct custody_entry *e, uint64_t *sid, uint64_t *n)
{
	struct fake *f = ctx;

	*sid = SID;
	*n = (uint64_t)(e - f->entries) + 1;
}

static bool host_repeated(void *ctx, const struct custody_entry *e)
{
	struct fake *f = ctx;

	(void)e;
	return shelf_of(f)->again;
}

static uint64_t host_originate(void *ctx, uint64_t sid, uint64_t origin_sid, uint64_t origin_n,
			       const struct session_stanza *s,
			       void (*settled)(void *arg, uint8_t how), void *arg)
{
	(void)ctx;
	(void)sid;
	(void)origin_sid;
	(void)origin_n;
	(void)s;
	(void)settled;
	(void)arg;
	return 0;
}

static void configure(struct fake *f, const char *policy)
{
	session_configure(f->m, &(struct session_config){.domains = fake_domains,
							 .sessions_per_user = 4,
							 .archive_default = policy,
							 .archive_queue_bytes = 200000,
							 .archive_page_max = 50});
}

static void deliver_and_look(void *ctx, struct custody_entry *e, uint64_t sid,
			     const struct session_stanza *s)
{
	struct fake *f = ctx;

	fake_deliver(ctx, e, sid, s);
	shelf_of(f)->flags = s->flags;
}

static int setup(void **state)
{
	struct session_host host = fake_host;
	struct shelf *h = xcalloc(1, sizeof(*h));
	struct fake *f;

	moment = NOW;
	fake_setup(state);
	f = *state;
	f->more = h;
	f->execute = execute;
	f->wall_ms = 1700000000123;
	str_init(&h->added);
	str_init(&h->prefs);
	str_init(&h->asked);
	str_init(&h->page);
	host.deliver = deliver_and_look;
	host.origin = host_origin;
	host.originate = host_originate;
	host.room = host_room;
	h->room = h->room_later = SIZE_MAX;
	host.repeated = host_repeated;
	session_free(&f->m);
	f->m = session_new(&host, f);
	configure(f, "always");
	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, ROMEO, "orchard", "0");
	f->show_inner = true;
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;

	fake_teardown(state);
	str_clear(&h->added);
	str_clear(&h->prefs);
	str_clear(&h->asked);
	str_clear(&h->page);
	free(h);
	return 0;
}

static struct custody_entry *say_as(struct fake *f, const char *from, uint8_t type, const char *to,
				    uint16_t flags, const char *inner)
{
	struct custody_entry *e = &f->entries[f->nentries++];
	struct msg_stanza s = {.sid = 1,
			       .kind = STANZA_MESSAGE,
			       .type = type,
			       .flags = flags,
			       .to = S(to),
			       .id = S("m1"),
			       .inner = S(inner)};

	assert_true(f->nentries < 256);
	if (from)
		session_stanza_from(f->m, S(from), e, &s, moment);
	else
		session_stanza(f->m, 1, e, &s, moment);
	return e;
}

static struct custody_entry *say(struct fake *f, const char *to, const char *inner)
{
	return say_as(f, NULL, TYPE_CHAT, to, FLAGS, inner);
}

static struct monotime after_ms(uint64_t ms)
{
	return monotime_add_ms(NOW, ms);
}

/* All that was asked for is answered, and nothing is collected any more. */
static void settle(struct fake *f, uint64_t ms)
{
	store_run(f);
	session_flush(f->m, after_ms(ms));
	store_run(f);
}

static const char *id_text(unsigned int n)
{
	static char text[ARCHIVE_ID_TEXT];

	archive_id_format(archive_id(SID, n), text);
	return text;
}

static void what_is_said_is_collected_for_both_archives_and_held_until_it_is_there(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;
	struct custody_entry *a, *b;

	a = say(f, ROMEO, "<body>1</body>");
	b = say(f, ROMEO "/orchard", "<body>2</body>");
	say(f, "far@rooms.example.com/x", "<body>3</body>");
	store_run(f); /* the preferences of both */
	assert_int_equal(h->adds, 0);
	assert_int_equal(session_flush(f->m, NOW), 20);
	assert_int_equal(session_flush(f->m, after_ms(19)), 1);
	assert_int_equal(f->nrequests, 0);
	assert_true(session_archiving(f->m));
	assert_int_equal(session_flush(f->m, after_ms(20)), 0);
	assert_int_equal(f->nrequests, 1);
	assert_int_equal(a->holds, 1);
	assert_int_equal(b->holds, 1);
	store_run(f);
	assert_int_equal(a->holds + b->holds, 0);
	assert_false(session_archiving(f->m));
	assert_string_equal(h->added.data, JULIET ">" ROMEO " <body>1</body>\n" JULIET ">" ROMEO
						  " <body>2</body>\n" JULIET ">- <body>3</body>\n");
}

static void receivers_here_get_the_id_of_their_archive_and_others_do_not(void **state)
{
	struct fake *f = *state;
	struct str expected = STR_INIT;
	unsigned int n = (unsigned int)f->nentries + 1;

	say(f, ROMEO, "<body>1</body>");
	assert_int_equal(shelf_of(f)->flags, FLAGS | STANZA_ARCHIVED | STANZA_HAS_SID);
	say(f, "far@rooms.example.com", "<body>2</body>");
	assert_int_equal(shelf_of(f)->flags, FLAGS);
	str_addf(&expected,
		 "deliver sid=2 message chat from=" JULIET "/balcony to=" ROMEO
		 " id=m1 <body>1</body><stanza-id xmlns='urn:xmpp:sid:0' by='" ROMEO
		 "' id='%s'/>\ndeliver sid=30 message chat from=" JULIET
		 "/balcony to=far@rooms.example.com id=m1 <body>2</body>\n",
		 id_text(n));
	expect(f, expected.data);
	str_clear(&expected);
	settle(f, 20);
}

static void only_what_says_something_to_somebody_is_archived(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t flags;
		bool archived;
	} rows[] = {
		{TYPE_CHAT, STANZA_HAS_BODY, true},
		{TYPE_NONE, STANZA_HAS_BODY, true},
		{TYPE_NORMAL, STANZA_HAS_BODY, true},
		{TYPE_OTHER, STANZA_HAS_BODY, true},
		{TYPE_CHAT, STANZA_STORE, true},
		{TYPE_CHAT, STANZA_CHAT_STATE, false},
		{TYPE_CHAT, 0, false},
		{TYPE_HEADLINE, STANZA_HAS_BODY, false},
		{TYPE_HEADLINE, STANZA_HAS_BODY | STANZA_STORE, false},
		{TYPE_GROUPCHAT, STANZA_HAS_BODY, false},
		{TYPE_ERROR, STANZA_HAS_BODY, false},
		{TYPE_CHAT, STANZA_HAS_BODY | STANZA_NO_ARCHIVE, false},
		{TYPE_CHAT, STANZA_STORE | STANZA_NO_ARCHIVE, false},
		{TYPE_CHAT, STANZA_HAS_BODY | STANZA_ARCHIVED, false},
	};
	struct fake *f = *state;
	struct shelf *h = f->more;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		str_reset(&h->added);
		say_as(f, NULL, rows[i].type, ROMEO "/orchard", rows[i].flags, "<body>x</body>");
		settle(f, 20);
		assert_string_equal(h->added.len ? h->added.data : "",
				    rows[i].archived ? JULIET ">" ROMEO " <body>x</body>\n" : "");
	}
}

static void what_is_refused_is_not_archived(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;

	say_as(f, NULL, TYPE_NORMAL, ROMEO "/gone", FLAGS, "<body>1</body>");
	say(f, "far@nowhere.example.net", "<body>2</body>");
	say(f, "example.org", "<body>3</body>");
	settle(f, 20);
	assert_int_equal(h->adds, 0);
}

static void messages_of_strangers_and_to_oneself_have_one_archive(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;

	say_as(f, "far@rooms.example.com/x", TYPE_CHAT, ROMEO, FLAGS, "<body>1</body>");
	say(f, JULIET, "<body>2</body>");
	settle(f, 20);
	assert_string_equal(h->added.data,
			    "->" ROMEO " <body>1</body>\n" JULIET ">" JULIET " <body>2</body>\n");
}

static void an_offline_message_carries_its_id_into_the_offline_storage(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;

	say(f, "mercutio@example.org", "<body>1</body>");
	settle(f, 20);
	assert_string_equal(h->added.data, JULIET ">mercutio@example.org <body>1</body>\n");
}

static void what_is_judged_again_gets_no_second_id(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;
	struct custody_entry *e;
	struct session_stanza s = {.kind = STANZA_MESSAGE,
				   .type = TYPE_CHAT,
				   .from = S(JULIET "/balcony"),
				   .to = S(ROMEO),
				   .id = S("m1"),
				   .inner = S("<body>1</body>")};

	online(f, 3, ROMEO, "phone", "0");
	f->show_inner = true;
	e = say(f, ROMEO "/orchard", "<body>1</body>");
	settle(f, 20);
	str_reset(&f->trace);
	s.flags = FLAGS | STANZA_ARCHIVED | STANZA_HAS_SID;
	session_undelivered(f->m, e, 2, &s, "recipient-unavailable", NOW);
	expect(f, "deliver sid=3 message chat from=" JULIET "/balcony to=" ROMEO
		  " id=m1 <body>1</body>\n");
	settle(f, 20);
	assert_int_equal(h->adds, 1);
	/* One that was not archived here is, as one that may have been. */
	s.flags = FLAGS;
	session_undelivered(f->m, e, 3, &s, "recipient-unavailable", NOW);
	settle(f, 20);
	assert_non_null(strstr(h->added.data, ROMEO " again <body>1</body>\n"));
}

static void what_an_earlier_router_may_have_archived_is_marked(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;
	struct custody_entry *e;
	struct msg_stanza s = {.sid = 1,
			       .kind = STANZA_MESSAGE,
			       .type = TYPE_CHAT,
			       .flags = FLAGS,
			       .to = S(ROMEO),
			       .inner = S("<body>2</body>")};

	h->again = true;
	say(f, ROMEO, "<body>1</body>");
	/* Its receiver has had it, and is gone: it is only archived. */
	e = &f->entries[f->nentries++];
	session_copies(f->m, 1, S(JULIET "/balcony"), e, &s, true, NOW);
	session_copies(f->m, 1, S(JULIET "/balcony"), &f->entries[f->nentries++], &s, false, NOW);
	e->concluded = 1;
	settle(f, 20);
	assert_string_equal(h->added.data, JULIET ">" ROMEO " again <body>1</body>\n" JULIET
						  ">" ROMEO " again <body>2</body>\n");
}

static void a_full_batch_does_not_wait(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;
	struct str body = STR_INIT;

	str_addf(&body, "<body>%*s</body>", 40000, "");
	say(f, ROMEO, body.data);
	store_run(f);
	assert_int_equal(h->adds, 0);
	say(f, ROMEO, body.data);
	store_run(f);
	assert_int_equal(h->adds, 1);
	str_clear(&body);
}

static void a_datastore_that_does_not_answer_holds_nobody_for_long(void **state)
{
	struct fake *f = *state;
	struct custody_entry *a, *b, *c;

	settle(f, 0);
	a = say(f, ROMEO, "<body>1</body>");
	store_run(f);
	session_flush(f->m, after_ms(20));
	session_flush(f->m, after_ms(1019));
	assert_int_equal(a->holds, 1);
	session_flush(f->m, after_ms(1020));
	assert_int_equal(a->holds, 0);
	b = say(f, ROMEO, "<body>2</body>");
	assert_int_equal(b->holds, 0);
	assert_true(session_archiving(f->m));
	assert_null(session_alarm(f->m));
	settle(f, 1100);
	c = say(f, ROMEO, "<body>3</body>");
	assert_int_equal(c->holds, 1);
	settle(f, 1200);
	assert_string_equal(shelf_of(f)->added.data,
			    JULIET ">" ROMEO " <body>1</body>\n" JULIET ">" ROMEO
				   " <body>2</body>\n" JULIET ">" ROMEO " <body>3</body>\n");
	assert_null(session_alarm(f->m));
}

static void what_could_not_be_archived_is_told_and_delivered(void **state)
{
	struct fake *f = *state;
	struct custody_entry *e = say(f, ROMEO, "<body>1</body>");
	struct str stats = STR_INIT;

	store_run(f);
	session_flush(f->m, after_ms(20));
	store_answer(f, ERR_NOSPACE);
	assert_int_equal(e->holds, 0);
	assert_int_equal(e->delivered, 1);
	assert_non_null(strstr(session_alarm(f->m), "archive-gap"));
	session_add_stats(f->m, &stats);
	assert_non_null(strstr(stats.data, "archive_gaps=1 archive_queue=0"));
	session_flush(f->m, after_ms(50000));
	assert_non_null(session_alarm(f->m));
	session_flush(f->m, after_ms(70000));
	assert_null(session_alarm(f->m));
	str_clear(&stats);
}

static void what_waits_for_the_datastore_is_bounded(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;
	struct str body = STR_INIT;
	struct custody_entry *e = NULL;

	settle(f, 0);
	str_addf(&body, "<body>%*s</body>", 60000, "");
	for (int i = 0; i < 5; i++)
		e = say(f, ROMEO, body.data);
	assert_int_equal(e->delivered, 1);
	assert_null(strstr(f->trace.data + f->trace.len - 100, "stanza-id"));
	assert_non_null(session_alarm(f->m));
	settle(f, 20);
	assert_int_equal(f->nrequests, 0);
	assert_int_equal(h->adds, 2); /* three of them */
	say(f, ROMEO, body.data);
	settle(f, 40);
	assert_int_equal(h->adds, 3);
	str_clear(&body);
}

static void prefs(struct fake *f, const char *xml)
{
	iq(f, 2, "set", "", xml);
	store_run(f);
}

static void who_wants_nothing_is_asked_for_nothing(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;

	prefs(f, "<prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>Far@rooms.example.com"
		 "</jid></always></prefs>");
	expect(f, "answer sid=2 iq result from=" ROMEO " to=" ROMEO "/orchard id=q1 <prefs "
		  "xmlns='urn:xmpp:mam:2' default='never'><always><jid>far@rooms.example.com</jid>"
		  "</always><never></never></prefs>\n"
		  "consumed: xep0441-2.1 archiving preferences set\n");
	h->prefs.len = 0; /* juliet has none */
	say(f, ROMEO, "<body>1</body>");
	assert_null(strstr(f->trace.data, "stanza-id"));
	say_as(f, "far@rooms.example.com/x", TYPE_CHAT, ROMEO, FLAGS, "<body>2</body>");
	assert_non_null(strstr(f->trace.data, "stanza-id"));
	settle(f, 20);
	assert_string_equal(h->added.data,
			    JULIET ">- <body>1</body>\n->" ROMEO " <body>2</body>\n");
}

static void preferences_are_read_once_a_minute_and_kept_when_that_fails(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;
	unsigned int before;

	say(f, ROMEO, "<body>1</body>");
	settle(f, 20);
	before = h->reads;
	assert_int_equal(before, 2);
	for (int i = 0; i < 5; i++) {
		moment = after_ms(100 + 10000 * (uint64_t)i);
		say(f, ROMEO, "<body>1</body>");
		settle(f, 200 + 10000 * (uint64_t)i);
	}
	assert_int_equal(h->reads, before);
	moment = after_ms(70000);
	say(f, ROMEO, "<body>1</body>");
	settle(f, 71000);
	assert_int_equal(h->reads, before + 2);
	iq(f, 2, "get", "", "<prefs xmlns='urn:xmpp:mam:2'/>");
	str_reset(&f->trace);
	store_run(f);
	assert_non_null(strstr(f->trace.data, "default='always'"));
}

static void bad_preferences_are_refused(void **state)
{
	static const char *const rows[] = {
		"<prefs xmlns='urn:xmpp:mam:2'/>",
		"<prefs xmlns='urn:xmpp:mam:2' default='maybe'/>",
		"<prefs xmlns='urn:xmpp:mam:2' default='never'><never><jid>@</jid></never></prefs>",
	};
	struct fake *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		str_reset(&f->trace);
		prefs(f, rows[i]);
		assert_non_null(strstr(f->trace.data, "bounced: xep0441-2.1 bad"));
	}
	assert_int_equal(shelf_of(f)->prefs.len, 0);
}

static void keep(struct shelf *h, unsigned int n, const char *inner)
{
	db_archive_entry_put(&h->page, &(struct db_archive_entry){.id = archive_id(SID, n),
								  .stamp_ms = 1700000000123,
								  .type = TYPE_CHAT,
								  .from = S(JULIET "/balcony"),
								  .to = S(ROMEO),
								  .stanza_id = S("m<1"),
								  .lang = S("it"),
								  .inner = S(inner)});
	h->count++;
}

static void result(struct str *out, unsigned int n, const char *inner)
{
	str_addf(out,
		 "answer sid=2 message from=" ROMEO " to=" ROMEO
		 "/orchard <result xmlns='urn:xmpp:mam:2' queryid='q&amp;1' id='%s'><forwarded "
		 "xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' "
		 "stamp='2023-11-14T22:13:20.123Z'/><message xmlns='jabber:client' from='" JULIET
		 "/balcony' to='" ROMEO "' id='m&lt;1' type='chat' xml:lang='it'>%s</message>"
		 "</forwarded></result>\n",
		 id_text(n), inner);
}

/* index: attribute of <first/>, of forward pages. */
static void fin(struct str *out, const char *attrs, const char *index, unsigned int first,
		unsigned int last)
{
	str_addf(out,
		 "answer sid=2 iq result from=" ROMEO " to=" ROMEO "/orchard id=q1 <fin "
		 "xmlns='urn:xmpp:mam:2'%s><set xmlns='http://jabber.org/protocol/rsm'>"
		 "<first%s>%s</first>",
		 attrs, index, id_text(first));
	str_addf(out,
		 "<last>%s</last><count>9</count></set></fin>\n"
		 "consumed: xep0313-4 archive query\n",
		 id_text(last));
}

#define QUERY(inside) "<query xmlns='urn:xmpp:mam:2' queryid='q&amp;1'>" inside "</query>"
#define SET(inside)   "<set xmlns='http://jabber.org/protocol/rsm'>" inside "</set>"
#define FORM(fields)                                                                          \
	"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2" \
	"</value></field>" fields "</x>"
#define FIELD(var, value) "<field var='" var "'><value>" value "</value></field>"

static void a_page_is_sent_in_the_order_of_the_archive_or_flipped(void **state)
{
	static const struct {
		const char *query, *asked;
		bool flip, backward;
	} rows[] = {
		{QUERY(SET("<max>2</max>")), "romeo@example.org max=2 counted", false, false},
		{QUERY(SET("<max>2</max>") "<flip-page/>"), "romeo@example.org max=2 counted", true,
		 false},
		{QUERY(SET("<max>99</max><before/>")), "romeo@example.org max=50 backward counted",
		 false, true},
	};
	struct fake *f = *state;
	struct shelf *h = f->more;
	struct str expected = STR_INIT;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool flip = rows[i].flip;

		str_reset(&expected);
		str_reset(&h->page);
		h->count = 0;
		h->more = i == 1;
		keep(h, rows[i].backward ? 8 : 7, rows[i].backward ? "b" : "a");
		keep(h, rows[i].backward ? 7 : 8, rows[i].backward ? "a" : "b");
		iq(f, 2, "set", "", rows[i].query);
		store_run(f);
		result(&expected, flip ? 8 : 7, flip ? "b" : "a");
		result(&expected, flip ? 7 : 8, flip ? "a" : "b");
		fin(&expected, h->more ? "" : " complete='true'",
		    rows[i].backward ? "" : " index='4'", 7, 8);
		expect(f, expected.data);
		assert_string_equal(h->asked.data, rows[i].asked);
	}
	str_clear(&expected);
}

static void a_query_waits_for_what_was_said_before_it(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;
	struct custody_entry *e;

	settle(f, 0);
	say(f, ROMEO, "<body>1</body>");
	store_run(f);
	str_reset(&f->trace);
	e = iq(f, 2, "set", "", QUERY(""));
	assert_int_equal(f->nrequests, 1);
	assert_int_equal(e->holds, 1);
	store_answer(f, ERR_OK);
	assert_int_equal(h->adds, 1);
	assert_int_equal(f->nrequests, 1);
	store_run(f);
	assert_non_null(strstr(f->trace.data, "<fin xmlns='urn:xmpp:mam:2' complete='true'>"));
	assert_int_equal(e->holds, 0);
	/* But not for ever: then what it says may change (4.3.2). */
	say(f, ROMEO, "<body>2</body>");
	str_reset(&f->trace);
	iq(f, 2, "set", "", QUERY(""));
	session_flush(f->m, after_ms(1000));
	assert_int_equal(f->nrequests, 2);
	store_run(f);
	assert_non_null(strstr(f->trace.data, " complete='true' stable='false'>"));
}

static void what_a_query_asks_for_reaches_the_datastore(void **state)
{
	static const struct {
		const char *query, *asked;
	} rows[] = {
		{QUERY(""), "romeo@example.org max=50"},
		{QUERY(FORM("")), "romeo@example.org max=50"},
		{QUERY(FORM(FIELD("with", "Juliet@Example.COM/B"))),
		 "romeo@example.org max=50 with=juliet@example.com/B"},
		{QUERY(FORM(FIELD("start", "1970-01-01T00:00:01Z")
				    FIELD("end", "1970-01-01T01:00:02.5+01:00"))),
		 "romeo@example.org max=50 start=1000 end=2500"},
		{QUERY(FORM(FIELD("after-id", "0123456789abcdef01234567")
				    FIELD("before-id", "0123456789abcdef01234567")
					    FIELD("ids", "0123456789abcdef01234567"))),
		 "romeo@example.org max=50 after-id before-id ids"},
		{QUERY(SET("<max>0</max><after>0123456789abcdef01234567</after>")),
		 "romeo@example.org max=0 after counted"},
		{QUERY(SET("<before>0123456789abcdef01234567</before>")),
		 "romeo@example.org max=50 before backward counted"},
	};
	struct fake *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		iq(f, 2, "set", "", rows[i].query);
		store_run(f);
		assert_string_equal(shelf_of(f)->asked.data, rows[i].asked);
	}
}

#define LONG "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void wrong_queries_are_refused_without_a_question(void **state)
{
	static const struct {
		const char *query, *error;
	} rows[] = {
		{QUERY(SET("<max>-1</max>")), "bad-request"},
		{QUERY(SET("<max>1x</max>")), "bad-request"},
		{QUERY(SET("<index>1</index>")), "feature-not-implemented"},
		{QUERY(SET("<after>x</after>")), "item-not-found"},
		{QUERY(SET("<before>0123456789ABCDEF01234567</before>")), "item-not-found"},
		{QUERY(FORM(FIELD("with", "@"))), "bad-request"},
		{QUERY(FORM(FIELD("with", ""))), "bad-request"},
		{QUERY(FORM(FIELD("start", "2010-02-30T00:00:00Z"))), "bad-request"},
		{QUERY(FORM(FIELD("end", "2010-02-03"))), "bad-request"},
		{QUERY(FORM(FIELD("ids", "x"))), "item-not-found"},
		{QUERY(FORM(FIELD("before-id", "x"))), "item-not-found"},
		{QUERY(FORM(FIELD("colour", "x"))), "feature-not-implemented"},
		{QUERY(FORM("<field><value>x</value></field>")), "feature-not-implemented"},
		{QUERY("<x xmlns='jabber:x:data' type='submit'/>"), "bad-request"},
		{"<query xmlns='urn:xmpp:mam:2' queryid='" LONG LONG LONG LONG "+'/>",
		 "bad-request"},
		{QUERY("<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE'><value>"
		       "urn:xmpp:mam:2</value></field></x>"),
		 "bad-request"},
		{"<query xmlns='urn:xmpp:mam:2' node='princely_musings'/>", "item-not-found"},
	};
	struct fake *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		str_reset(&f->trace);
		iq(f, 2, "set", "", rows[i].query);
		assert_int_equal(f->nrequests, 0);
		assert_non_null(strstr(f->trace.data, rows[i].error));
	}
}

static void what_the_datastore_cannot_answer_is_an_error(void **state)
{
	static const struct {
		enum err e;
		const char *error;
	} rows[] = {
		{ERR_NOTFOUND, "item-not-found"},
		{ERR_TIMEOUT, "resource-constraint"},
		{ERR_CORRUPT, "internal-server-error"},
		{ERR_TOOBIG, "policy-violation"},
	};
	struct fake *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		str_reset(&f->trace);
		shelf_of(f)->query_err = rows[i].e;
		iq(f, 2, "set", "", QUERY(""));
		store_run(f);
		assert_non_null(strstr(f->trace.data, rows[i].error));
		assert_null(strstr(f->trace.data, "<fin"));
	}
}

/* Of what the queue does not take nothing is told, and <fin/> would say that it was all. */
static void a_page_is_no_larger_than_the_room_for_it_or_refused(void **state)
{
	static const struct {
		size_t room, later;
		const char *asked; /* "" = refused at once */
		bool answered;
	} rows[] = {
		{SIZE_MAX, SIZE_MAX, "romeo@example.org max=50", true},
		{16384, 16384, "romeo@example.org max=16", true},
		{16384, 4096, "romeo@example.org max=16", true},
		{16384, 4095, "romeo@example.org max=16", false},
		{4095, 4095, "", false},
		{0, 0, "", false},
	};
	struct fake *f = *state;
	struct shelf *h = f->more;

	keep(h, 7, "a");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		str_reset(&f->trace);
		str_reset(&h->asked);
		h->room = rows[i].room;
		h->room_later = rows[i].later;
		iq(f, 2, "set", "", QUERY(""));
		store_run(f);
		assert_string_equal(h->asked.data, rows[i].asked);
		assert_int_equal(strstr(f->trace.data, "<fin") != NULL, rows[i].answered);
		assert_int_equal(strstr(f->trace.data, "resource-constraint") != NULL,
				 !rows[i].answered);
	}
	for (unsigned int n = 8; n < 20; n++)
		keep(h, n, "many");
	str_reset(&f->trace);
	h->room = SIZE_MAX;
	h->room_later = 5000; /* others' answers came first */
	iq(f, 2, "set", "", QUERY(""));
	store_run(f);
	assert_non_null(strstr(f->trace.data, "resource-constraint"));
	assert_null(strstr(f->trace.data, "<result"));
}

static void the_archives_of_others_are_forbidden(void **state)
{
	static const char *const rows[] = {QUERY(""), "<prefs xmlns='urn:xmpp:mam:2'/>"};
	struct fake *f = *state;

	for (size_t i = 0; i < 2; i++) {
		str_reset(&f->trace);
		iq(f, 2, "set", JULIET, rows[i]);
		store_run(f);
		assert_non_null(strstr(f->trace.data, "<forbidden"));
	}
}

static void without_archives_nothing_is_said_of_them(void **state)
{
	static const char info[] = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
	static const char *const asked[] = {QUERY(""), "<prefs xmlns='urn:xmpp:mam:2'/>"};
	struct fake *f = *state;
	struct shelf *h = f->more;

	iq(f, 2, "get", "", info);
	store_run(f);
	assert_non_null(strstr(f->trace.data, "'urn:xmpp:mam:2'"));
	assert_non_null(strstr(f->trace.data, "'urn:xmpp:sid:0'"));
	configure(f, NULL);
	str_reset(&f->trace);
	iq(f, 2, "get", "", info);
	store_run(f);
	assert_non_null(strstr(f->trace.data, "'urn:xmpp:carbons:2'"));
	assert_null(strstr(f->trace.data, "urn:xmpp:mam"));
	assert_null(strstr(f->trace.data, "urn:xmpp:sid:0"));
	for (size_t i = 0; i < 2; i++) {
		str_reset(&f->trace);
		iq(f, 2, "set", "", asked[i]);
		assert_non_null(strstr(f->trace.data, "<service-unavailable"));
	}
	say(f, ROMEO, "<body>1</body>");
	assert_null(strstr(f->trace.data, "stanza-id"));
	settle(f, 20);
	assert_string_equal(h->added.len ? h->added.data : "", "");
}

static void metadata_are_the_ends_of_the_archive(void **state)
{
	struct fake *f = *state;
	struct shelf *h = f->more;
	struct str expected = STR_INIT;

	iq(f, 2, "get", "", "<metadata xmlns='urn:xmpp:mam:2'/>");
	store_run(f);
	expect(f, "answer sid=2 iq result from=" ROMEO " to=" ROMEO "/orchard id=q1 <metadata "
		  "xmlns='urn:xmpp:mam:2'></metadata>\nconsumed: xep0313-5 metadata\n");
	keep(h, 1, "");
	keep(h, 2, "");
	iq(f, 2, "get", "", "<metadata xmlns='urn:xmpp:mam:2'/>");
	store_run(f);
	str_addf(&expected, "<start id='%s' timestamp='2023-11-14T22:13:20.123Z'/>", id_text(1));
	str_addf(&expected, "<end id='%s'", id_text(2));
	assert_non_null(strstr(f->trace.data, expected.data));
	str_clear(&expected);
}

static void a_manager_may_end_while_everything_is_under_way(void **state)
{
	struct fake *f = *state;

	settle(f, 0);
	say(f, ROMEO, "<body>1</body>");
	session_flush(f->m, after_ms(20));
	say(f, ROMEO, "<body>2</body>");
	iq(f, 2, "set", "", QUERY(""));
	say(f, "mercutio@example.org", "<body>3</body>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(what_is_said_is_collected_for_both_archives_and_held_until_it_is_there),
		T(receivers_here_get_the_id_of_their_archive_and_others_do_not),
		T(only_what_says_something_to_somebody_is_archived),
		T(what_is_refused_is_not_archived),
		T(messages_of_strangers_and_to_oneself_have_one_archive),
		T(an_offline_message_carries_its_id_into_the_offline_storage),
		T(what_is_judged_again_gets_no_second_id),
		T(what_an_earlier_router_may_have_archived_is_marked),
		T(a_full_batch_does_not_wait),
		T(a_datastore_that_does_not_answer_holds_nobody_for_long),
		T(what_could_not_be_archived_is_told_and_delivered),
		T(what_waits_for_the_datastore_is_bounded),
		T(who_wants_nothing_is_asked_for_nothing),
		T(without_archives_nothing_is_said_of_them),
		T(preferences_are_read_once_a_minute_and_kept_when_that_fails),
		T(bad_preferences_are_refused),
		T(a_page_is_sent_in_the_order_of_the_archive_or_flipped),
		T(a_query_waits_for_what_was_said_before_it),
		T(what_a_query_asks_for_reaches_the_datastore),
		T(wrong_queries_are_refused_without_a_question),
		T(what_the_datastore_cannot_answer_is_an_error),
		T(a_page_is_no_larger_than_the_room_for_it_or_refused),
		T(the_archives_of_others_are_forbidden),
		T(metadata_are_the_ends_of_the_archive),
		T(a_manager_may_end_while_everything_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
