/* stanza_edit: children out and in, and what only the server may say (XEP-0359 4, XEP-0203 5). */
#include "session/stanza_edit.h"

#include "tests/unit/session/stanza_text.h"

#define JULIET	"juliet@example.com"
#define ROMEO	"romeo@example.org"
#define SID(by) "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='" by "'/>"

/* "ns.name=bytes;" of each indexed child. */
static void index_is(const struct session_stanza *s, const char *expected)
{
	struct slice index = s->children;
	struct str out = STR_INIT;
	struct stanza_child c;

	while (stanza_child_get(&index, &c)) {
		assert_true((size_t)c.offset + c.length <= s->inner.len);
		str_addf(&out, "%u.%u=%.*s;", c.ns, c.name, (int)c.length,
			 s->inner.data + c.offset);
	}
	assert_string_equal(out.len ? out.data : "", expected);
	str_clear(&out);
}

static void inner_is(const struct session_stanza *s, const char *expected)
{
	if (!slice_is(s->inner, expected))
		fail_msg("%.*s", SLICE_ARG(s->inner));
}

static void put(struct str *index, uint16_t ns, uint16_t name, uint32_t offset, uint32_t length)
{
	stanza_child_put(index, &(struct stanza_child){ns, name, offset, length});
}

static void children_go_and_come_and_the_index_stays_right(void **state)
{
	struct stanza_edit b = STANZA_EDIT_INIT;
	struct str index = STR_INIT;
	struct session_stanza s = {.inner = S("<a/> <bb/>text<ccc/>")};

	(void)state;
	put(&index, 1, 1, 0, 4);
	put(&index, 2, 2, 5, 5);
	put(&index, 3, 3, 14, 6);
	s.children = str_slice(&index);
	stanza_edit_remove(&s, 1, &b);
	inner_is(&s, "<a/> text<ccc/>");
	index_is(&s, "1.1=<a/>;3.3=<ccc/>;");
	stanza_edit_append(&s, 4, 5, S("<d>x</d>"), &b);
	inner_is(&s, "<a/> text<ccc/><d>x</d>");
	index_is(&s, "1.1=<a/>;3.3=<ccc/>;4.5=<d>x</d>;");
	stanza_edit_remove(&s, 0, &b);
	stanza_edit_remove(&s, 1, &b);
	inner_is(&s, " text<ccc/>");
	index_is(&s, "3.3=<ccc/>;");
	stanza_edit_remove(&s, 0, &b);
	inner_is(&s, " text");
	index_is(&s, "");
	stanza_edit_append(&s, 4, 5, S("<d/>"), &b);
	index_is(&s, "4.5=<d/>;");
	stanza_edit_clear(&b);
	str_clear(&index);
}

static void a_full_index_stays_as_it_is(void **state)
{
	struct stanza_edit b = STANZA_EDIT_INIT;
	struct str index = STR_INIT;
	struct session_stanza s = {.inner = S("<a/>")};

	(void)state;
	for (int i = 0; i < STANZA_CHILD_MAX; i++)
		put(&index, 1, 1, 0, 4);
	s.children = str_slice(&index);
	stanza_edit_append(&s, 4, 5, S("<d/>"), &b);
	inner_is(&s, "<a/><d/>");
	assert_int_equal(s.children.len, index.len);
	stanza_edit_clear(&b);
	str_clear(&index);
}

static const struct {
	const char *to, *in, *out;
} forgeries[] = {
	{ROMEO "/r1", SID(ROMEO) "<body/>", "<body/>"},
	{ROMEO, SID(ROMEO) "<body/>", "<body/>"},
	{ROMEO "/r1", "<body/>" SID("Romeo@EXAMPLE.org") "x", "<body/>x"},
	{ROMEO "/r1", SID(ROMEO "/r1") "<body/>", "<body/>"},
	{ROMEO "/r1", SID("example.org") "<body/>", "<body/>"},
	{ROMEO "/r1", SID("example.com") "<body/>", "<body/>"},
	{ROMEO "/r1", SID(JULIET) "<body/>", "<body/>"},
	{ROMEO "/r1", SID(ROMEO) SID(ROMEO) "<body/>" SID(ROMEO), "<body/>"},
	{ROMEO "/r1", "<s:stanza-id xmlns:s='urn:xmpp:sid:0' id='1' by='" ROMEO "'/><body/>",
	 "<body/>"},
	{ROMEO "/r1", SID("romeo&#64;example.org") "<body/>", "<body/>"},
	/* Others may say what they like. */
	{ROMEO "/r1", SID("room@rooms.example.com") "<body/>",
	 SID("room@rooms.example.com") "<body/>"},
	{ROMEO "/r1", SID("tybalt@example.org") "<body/>", SID("tybalt@example.org") "<body/>"},
	{ROMEO "/r1", SID(ROMEO) "<body/>" SID("room@rooms.example.com"),
	 "<body/>" SID("room@rooms.example.com")},
	{ROMEO "/r1", SID("@") "<body/>", SID("@") "<body/>"},
	{ROMEO "/r1", "<stanza-id xmlns='urn:xmpp:sid:0' id='1'/><body/>",
	 "<stanza-id xmlns='urn:xmpp:sid:0' id='1'/><body/>"},
	{ROMEO "/r1", "<a>" SID(ROMEO) "</a><body/>", "<a>" SID(ROMEO) "</a><body/>"},
	{ROMEO "/r1", "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>" SID(ROMEO) "<body/>",
	 "<origin-id xmlns='urn:xmpp:sid:0' id='1'/><body/>"},
	/* XEP-0203 */
	{ROMEO "/r1", "<delay xmlns='urn:xmpp:delay' from='example.org' stamp='x'/><body/>",
	 "<body/>"},
	{ROMEO "/r1", "<delay xmlns='urn:xmpp:delay' from='EXAMPLE.com' stamp='x'/><body/>",
	 "<body/>"},
	{ROMEO "/r1", "<delay xmlns='urn:xmpp:delay' from='" JULIET "' stamp='x'/><body/>",
	 "<delay xmlns='urn:xmpp:delay' from='" JULIET "' stamp='x'/><body/>"},
	{ROMEO "/r1", "<delay xmlns='urn:xmpp:delay' stamp='x'/><body/>",
	 "<delay xmlns='urn:xmpp:delay' stamp='x'/><body/>"},
};

static void what_only_the_server_may_say_is_taken_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forgeries) / sizeof(*forgeries); i++) {
		struct str text = STR_INIT, expected = STR_INIT;
		struct fake *f;
		void *own;

		fake_setup(&own);
		f = own;
		online(f, 1, JULIET, "balcony", "0");
		online(f, 2, ROMEO, "r1", "0");
		f->show_inner = true;
		str_addf(&text, "<message to='%s' type='chat'>%s</message>", forgeries[i].to,
			 forgeries[i].in);
		str_addf(&expected, "deliver sid=2 message chat from=" JULIET "/balcony to=%s %s\n",
			 forgeries[i].to, forgeries[i].out);
		say(f, 1, text.data);
		if (strcmp(f->trace.data, expected.data) != 0)
			print_error("row %zu\n", i);
		expect(f, expected.data);
		str_clear(&text);
		str_clear(&expected);
		fake_teardown(&own);
	}
}

static void a_service_cannot_forge_either(void **state)
{
	struct fake *f = *state;

	online(f, 2, ROMEO, "r1", "0");
	f->show_inner = true;
	say_from(f, 30, "lobby@rooms.example.com/nick",
		 "<message to='" ROMEO
		 "/r1'>" SID(ROMEO) "<body/>" SID("lobby@rooms.example.com") "</message>");
	expect(f, "deliver sid=2 message from=lobby@rooms.example.com/nick to=" ROMEO
		  "/r1 <body/>" SID("lobby@rooms.example.com") "\n");
}

static void a_presence_cannot_have_been_delayed_here_either(void **state)
{
	struct fake *f = *state;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, ROMEO, "r1", "0");
	f->show_inner = true;
	say(f, 1,
	    "<presence to='" ROMEO "/r1'><show>dnd</show><delay xmlns='urn:xmpp:delay' "
	    "from='example.com' stamp='x'/></presence>");
	expect(f,
	       "deliver sid=2 presence from=" JULIET "/balcony to=" ROMEO "/r1 <show>dnd</show>\n");
}

/* A stanza id that stands behind more children than are known could not be found. */
static void too_many_children_beside_a_stanza_id_are_refused(void **state)
{
	struct fake *f = *state;
	struct str text = STR_INIT;

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, ROMEO, "r1", "0");
	str_adds(&text, "<message to='" ROMEO "/r1' type='chat' id='m1'>");
	for (int i = 0; i < STANZA_CHILD_MAX; i++)
		str_adds(&text, "<a xmlns='u'/>");
	str_adds(&text, SID(ROMEO) "</message>");
	say(f, 1, text.data);
	expect(f, "answer sid=1 message error from=" ROMEO "/r1 to=" JULIET "/balcony id=m1\n"
		  "bounced: xep0359-4 too many children\n");
	str_clear(&text);
}

static void an_ordinary_message_is_not_copied(void **state)
{
	struct fake *f = *state;
	static const char inner[] = "<body>hi</body>";
	struct custody_entry *e = &f->entries[f->nentries++];
	struct msg_stanza m = {.sid = 1,
			       .kind = STANZA_MESSAGE,
			       .type = TYPE_CHAT,
			       .flags = STANZA_HAS_BODY,
			       .to = S(ROMEO "/r1"),
			       .inner = S(inner)};

	online(f, 1, JULIET, "balcony", "0");
	online(f, 2, ROMEO, "r1", "0");
	session_stanza(f->m, 1, e, &m, NOW);
	assert_ptr_equal(f->inner_seen, m.inner.data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_go_and_come_and_the_index_stays_right),
		cmocka_unit_test(a_full_index_stays_as_it_is),
		cmocka_unit_test(what_only_the_server_may_say_is_taken_out),
		TEST(a_service_cannot_forge_either),
		TEST(a_presence_cannot_have_been_delayed_here_either),
		TEST(too_many_children_beside_a_stanza_id_are_refused),
		TEST(an_ordinary_message_is_not_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
