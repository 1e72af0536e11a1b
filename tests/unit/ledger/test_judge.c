/*
 * The judge is fed ledgers in which something is wrong, and must say so: a test that cannot fail
 * proves nothing. And ledgers in which all is as promised, which it must let pass.
 */
#include "tests/support/cmocka_first.h"

#include <string.h>

#include "tests/ledger/judge.h"

/* One message's story, in letters:
 *   s  juliet (account 0) sends a message, S to the full JID of romeo's newest session
 *   i  ... a request to it, p a ping to the server
 *   n  juliet cannot resume: a new session of hers, in which the last message is sent anew
 *   k  the last message is acknowledged, K the one before
 *   x  romeo (account 1) sees the last message, X the one before, 1 the first
 *   o  romeo's other client sees it; h a third party does
 *   b  the last message is bounced
 *   e  romeo's session is over and a new one begins
 *   j  juliet's session is over for good
 *   t  something dies just now
 *   w  ten seconds pass
 * Copies (XEP-0280):
 *   c  juliet's and romeo's other clients want them from now on
 *   y  juliet's other client sees one of the last message, Y of the one before
 *   r  romeo's other client does, R
 *   z  juliet's own client does; q romeo's, which has not asked for any
 *   l  juliet's other client is gone for good
 * Blocks (XEP-0191):
 *   B  romeo asks to block juliet, D that is answered; U he asks to unblock her, V
 *   O  juliet has blocked romeo
 *   g  the last message comes back as not acceptable; d for want of resources
 * Archives (XEP-0313), at the end:
 *   A  the last message is in both, L the one before; ( in juliet's, ) in romeo's, T in another
 *   N  romeo sees the last message under a name, M it is in both archives under another one
 *   a  they have been read to the end
 * Components (stories of one: romeo's account is one, whose other client is its second connection
 * if it is shared; juliet is one where it says so): C  cm-component is killed just now, for half a
 * second; romeo's session ends and a new one begins E  it ends and begins again although nothing
 * was killed Q  cm-component is killed just now; juliet's session ends and a new one begins v  the
 * next messages are as big as what the kernel may have m  juliet's message to another one (an
 * account of its own), seen there: the server had it */
struct story {
	const char *name;
	const char *events;
	bool plain_juliet;
	bool plain_romeo;
	enum count breach; /* COUNTS = none */
	uint64_t breaches;
	enum { NO_COMPONENT, TO_COMPONENT, TO_SHARED, OF_COMPONENT } component;
	enum count noted; /* a count that is 1, 0 = none */
};

struct scene {
	struct judge *judge;
	uint32_t now;
	uint32_t juliet, romeo, other, third, twin; /* sessions */
	uint32_t last;
	bool plain_juliet, plain_romeo;
	int component;
	size_t bytes; /* of what is sent */
	int told;
};

#define BUFFER 1000

static void on_breach(void *arg, enum count count, const char *text)
{
	struct scene *s = arg;

	(void)count;
	assert_true(strlen(text) > 10);
	s->told++;
}

static void send(struct scene *s, enum judge_kind kind)
{
	uint32_t to = kind == JUDGE_PING ? 0 : 1;
	uint32_t session = kind == JUDGE_PING ? s->juliet : s->romeo;
	bool bare = kind == JUDGE_BARE || (s->component != OF_COMPONENT && s->component && to == 1);

	s->last = judge_send(s->judge, kind, s->juliet, to, bare ? JUDGE_NONE : session, s->now);
	judge_weigh(s->judge, s->last, s->bytes);
}

static void begin_juliet(struct scene *s)
{
	s->juliet = judge_session_begin(s->judge, 0, 0, !s->plain_juliet, s->now);
	if (s->component == OF_COMPONENT)
		judge_component(s->judge, s->juliet, false);
}

static void begin_romeo(struct scene *s)
{
	s->romeo = judge_session_begin(s->judge, 1, 1, !s->plain_romeo, s->now);
	if (s->component == TO_COMPONENT || s->component == TO_SHARED)
		judge_component(s->judge, s->romeo, s->component == TO_SHARED);
}

static void see(struct scene *s, uint32_t entry, uint32_t session)
{
	judge_see(s->judge, entry, session, 0, s->now);
}

static void see_copy(struct scene *s, uint32_t entry, uint32_t session)
{
	bool sent = session == s->twin || session == s->juliet;

	judge_copy_see(s->judge, entry, sent ? JUDGE_SENT : JUDGE_RECEIVED, session, s->now);
}

static void play_copies(struct scene *s, char event)
{
	switch (event) {
	case 'c':
		judge_carbons(s->judge, s->twin, s->now);
		judge_carbons(s->judge, s->other, s->now);
		break;
	case 'y':
	case 'Y':
		see_copy(s, s->last - (event == 'Y'), s->twin);
		break;
	case 'r':
	case 'R':
		see_copy(s, s->last - (event == 'R'), s->other);
		break;
	case 'z':
		judge_carbons(s->judge, s->juliet, s->now);
		see_copy(s, s->last, s->juliet);
		break;
	case 'q':
		see_copy(s, s->last, s->romeo);
		break;
	case 'l':
		judge_session_end(s->judge, s->twin, s->now);
		break;
	default:
		fail_msg("no event %c", event);
	}
}

static void play_blocks(struct scene *s, char event)
{
	switch (event) {
	case 'B':
	case 'U':
		judge_block(s->judge, 1, 0, JUDGE_CHANGING, s->now);
		break;
	case 'D':
		judge_block(s->judge, 1, 0, JUDGE_BLOCKED, s->now);
		break;
	case 'V':
		judge_block(s->judge, 1, 0, JUDGE_UNBLOCKED, s->now);
		break;
	case 'O':
		judge_block(s->judge, 0, 1, JUDGE_BLOCKED, s->now);
		break;
	case 'g':
		judge_bounce(s->judge, s->last, JUDGE_NOT_ACCEPTABLE, s->now);
		break;
	case 'd':
		judge_bounce(s->judge, s->last, JUDGE_CONSTRAINT, s->now);
		break;
	default:
		play_copies(s, event);
	}
}

static void keep(struct scene *s, uint32_t entry, const char *parties, uint64_t name)
{
	for (; *parties; parties++)
		judge_archive_see(s->judge, entry, (uint32_t)(*parties - '0'), name, s->now);
}

static void play_archives(struct scene *s, char event)
{
	switch (event) {
	case 'A':
	case 'L':
		keep(s, s->last - (event == 'L'), "01", 7);
		break;
	case '(':
		keep(s, s->last, "0", 7);
		break;
	case ')':
		keep(s, s->last, "1", 7);
		break;
	case 'T':
		keep(s, s->last, "2", 7);
		break;
	case 'M':
		keep(s, s->last, "01", 8);
		break;
	case 'N':
		judge_see(s->judge, s->last, s->romeo, 7, s->now);
		break;
	case 'a':
		judge_archive_read(s->judge, 0);
		judge_archive_read(s->judge, 1);
		break;
	default:
		play_blocks(s, event);
	}
}

static void play_components(struct scene *s, char event)
{
	switch (event) {
	case 'C':
		judge_cut(s->judge, s->now);
		/* fall through */
	case 'E':
		judge_session_end(s->judge, s->romeo, s->now);
		begin_romeo(s);
		break;
	case 'Q':
		judge_cut(s->judge, s->now);
		judge_session_end(s->judge, s->juliet, s->now);
		begin_juliet(s);
		break;
	case 'v':
		s->bytes = BUFFER;
		break;
	case 'm':
		see(s, judge_send(s->judge, JUDGE_BARE, s->juliet, 2, JUDGE_NONE, s->now),
		    s->third);
		break;
	default:
		play_archives(s, event);
	}
}

static void play_sending(struct scene *s, char event)
{
	switch (event) {
	case 's':
		send(s, JUDGE_BARE);
		break;
	case 'S':
		send(s, JUDGE_FULL);
		break;
	case 'i':
		send(s, JUDGE_IQ);
		break;
	case 'p':
		send(s, JUDGE_PING);
		break;
	case 'n':
		judge_session_end(s->judge, s->juliet, s->now);
		begin_juliet(s);
		judge_send_anew(s->judge, s->last, s->juliet);
		break;
	case 'k':
	case 'K':
		judge_acknowledge(s->judge, s->last - (event == 'K'), s->now);
		break;
	case 'b':
		judge_bounce(s->judge, s->last, JUDGE_UNAVAILABLE, s->now);
		break;
	default:
		play_components(s, event);
	}
}

static void play(struct scene *s, char event)
{
	s->now += 100;
	switch (event) {
	case 'x':
		see(s, s->last, s->romeo);
		break;
	case 'X':
		see(s, s->last - 1, s->romeo);
		break;
	case '1':
		see(s, 0, s->romeo);
		break;
	case 'o':
		see(s, s->last, s->other);
		break;
	case 'h':
		see(s, s->last, s->third);
		break;
	case 'P':
		see(s, s->last, s->juliet);
		break;
	case 'e':
		judge_session_end(s->judge, s->romeo, s->now);
		begin_romeo(s);
		break;
	case 'j':
		judge_session_end(s->judge, s->juliet, s->now);
		break;
	case 't':
		judge_trouble(s->judge, s->now, s->now);
		break;
	case 'w':
		s->now += 10000;
		break;
	default:
		play_sending(s, event);
	}
}

static void tell(const struct story *story, struct verdict *out, struct scene *s)
{
	*s = (struct scene){.plain_juliet = story->plain_juliet,
			    .plain_romeo = story->plain_romeo,
			    .component = story->component,
			    .bytes = BUFFER / 10};
	s->judge = judge_new(on_breach, s);
	judge_buffer(s->judge, BUFFER);
	begin_juliet(s);
	s->other = judge_session_begin(s->judge, 1, 2, !story->plain_romeo, 0);
	if (story->component == TO_SHARED)
		judge_component(s->judge, s->other, true);
	begin_romeo(s);
	s->third = judge_session_begin(s->judge, 2, 3, true, 0);
	s->twin = judge_session_begin(s->judge, 0, 4, true, 0);
	s->now = 1000;
	for (const char *e = story->events; *e; e++)
		play(s, *e);
	judge_end(s->judge, out);
	judge_free(&s->judge);
}

static void judge_stories(const struct story *stories, size_t count)
{
	struct verdict v;
	struct scene s;

	for (size_t i = 0; i < count; i++) {
		const struct story *t = &stories[i];

		tell(t, &v, &s);
		if (verdict_breaches(&v, false) != t->breaches)
			fail_msg("%s: %d breaches", t->name, (int)verdict_breaches(&v, false));
		if (t->breach != COUNTS && v.counts[t->breach] != t->breaches)
			fail_msg("%s: not counted as what it is", t->name);
		if (t->noted && v.counts[t->noted] != 1)
			fail_msg("%s: noted %d times", t->name, (int)v.counts[t->noted]);
		assert_int_equal(s.told, t->breaches);
	}
}

#define STORIES(list) judge_stories(list, sizeof list / sizeof *list)
#define KEPT(name, events)                          \
	{                                           \
		name, events, 0, 0, COUNTS, 0, 0, 0 \
	}
#define BROKEN(name, events, breach, n)             \
	{                                           \
		name, events, 0, 0, breach, n, 0, 0 \
	}

static void finds_what_was_lost(void **state)
{
	static const struct story stories[] = {
		BROKEN("never seen", "sk", COUNT_LOST, 1),
		BROKEN("one of three", "skxsksKkx", COUNT_LOST, 1),
		BROKEN("a request", "ik", COUNT_LOST, 1),
		BROKEN("a request to a session that has gone", "ike", COUNT_LOST, 1),
		BROKEN("a request of a session that has gone", "ikj", COUNT_LOST, 1),
		BROKEN("to a full JID, even when that session has ended", "Ske", COUNT_LOST, 1),
		BROKEN("sent anew and acknowledged then", "snk", COUNT_LOST, 1),
		BROKEN("the server does not answer", "pk", COUNT_LOST, 1),
		BROKEN("acknowledged although something died", "stk", COUNT_LOST, 1),
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_hangs(void **state)
{
	static const struct story stories[] = {
		BROKEN("seen and not acknowledged", "sx", COUNT_STUCK, 1),
		BROKEN("neither", "s", COUNT_STUCK, 1),
		KEPT("its sender has gone", "sj"),
		{"a plain client's ping on a living connection", "p", true, false, COUNT_STUCK, 1,
		 0, 0},
		{"a plain client's message: nobody acknowledges", "s", true, false, COUNTS, 0, 0,
		 0},
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_comes_twice(void **state)
{
	static const struct story stories[] = {
		BROKEN("twice", "skxx", COUNT_TWICE, 1),
		BROKEN("three times", "skxxx", COUNT_TWICE, 2),
		BROKEN("twice much later", "skxskx1", COUNT_TWICE, 1),
		BROKEN("more often than it was sent", "sxnkxx", COUNT_TWICE, 1),
		KEPT("the sender could not resume", "sxnxk"),
		KEPT("the receiver could not resume", "skxex"),
		KEPT("both clients of an account", "skxo"),
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_is_overtaken(void **state)
{
	static const struct story stories[] = {
		BROKEN("the second first", "ssKkxX", COUNT_OVERTAKEN, 1),
		BROKEN("full JID", "SSKkxX", COUNT_OVERTAKEN, 1),
		BROKEN("a request overtakes a message", "SiKkxX", COUNT_OVERTAKEN, 1),
		BROKEN("the first of three last", "skskskxX1", COUNT_OVERTAKEN, 2),
		KEPT("bare and full are two addresses", "sSKkxX"),
		KEPT("in order", "skxskxskx"),
		KEPT("sent before the receiver's session began", "ssKkexX"),
		KEPT("sent anew", "snskKxX"),
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_goes_to_the_wrong_place(void **state)
{
	static const struct story stories[] = {
		BROKEN("another user", "skxh", COUNT_MISROUTED, 1),
		BROKEN("another client of the account", "Sko", COUNT_ASTRAY, 1),
		KEPT("another client, but the session has ended", "Skeo"),
		KEPT("the next session of the same client", "Skex"),
	};

	(void)state;
	STORIES(stories);
}

static void lets_pass_what_is_allowed(void **state)
{
	static const struct story stories[] = {
		KEPT("seen", "skx"),
		KEPT("bounced", "skb"),
		KEPT("a request bounced", "ikb"),
		KEPT("seen before it is acknowledged", "sxk"),
		KEPT("a ping answered", "pPk"),
		KEPT("a ping whose session has gone", "pkj"),
		KEPT("a request between two sessions that have gone", "ikej"),
		{"a plain sender while something dies", "stk", true, false, COUNTS, 0, 0, 0},
		{"to a plain client that vanishes then", "ske", false, true, COUNTS, 0, 0, 0},
		{"to a plain client just before its first session ends", "seek", false, true,
		 COUNTS, 0, 0, 0},
	};

	(void)state;
	STORIES(stories);
}

static void finds_copies_that_are_lost(void **state)
{
	static const struct story stories[] = {
		BROKEN("the sender's other client", "cSkxr", COUNT_CARBON_LOST, 1),
		BROKEN("the addressee's other client", "cSkxy", COUNT_CARBON_LOST, 1),
		BROKEN("both", "cSkx", COUNT_CARBON_LOST, 2),
		BROKEN("to a bare JID: neither message nor copy", "cskxy", COUNT_CARBON_LOST, 1),
		BROKEN("it comes to the other one only", "cSkyr", COUNT_LOST, 1),
		KEPT("a copy each", "cSkxry"),
		KEPT("the message itself", "cskxoy"),
		KEPT("before the answer", "Scxk"),
		KEPT("a client that is gone", "cSkxrl"),
		KEPT("nobody wants any", "Skx"),
		KEPT("requests are not copied", "cikx"),
		KEPT("it came back", "cSkb"),
		KEPT("its session has gone, the other client has seen it", "cSkery"),
	};

	(void)state;
	STORIES(stories);
}

static void finds_copies_that_come_twice_or_in_the_wrong_order(void **state)
{
	static const struct story stories[] = {
		BROKEN("twice", "cSkxryy", COUNT_CARBON_TWICE, 1),
		BROKEN("message and copy", "cskxory", COUNT_CARBON_TWICE, 1),
		BROKEN("copy and message", "cskxroy", COUNT_CARBON_TWICE, 1),
		BROKEN("the second first, of what was sent", "cSSKkXxRryY", COUNT_CARBON_OVERTAKEN,
		       1),
		BROKEN("... of what was received", "cSSKkXxrRYy", COUNT_CARBON_OVERTAKEN, 1),
		BROKEN("of one's own", "cSkxryz", COUNT_CARBON_ASTRAY, 1),
		BROKEN("unasked", "Skxq", COUNT_CARBON_ASTRAY, 1),
		KEPT("in order", "cSSKkXxRrYy"),
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_is_wrong_in_archives(void **state)
{
	static const struct story stories[] = {
		BROKEN("in neither", "skxa", COUNT_ARCHIVE_HOLE, 2),
		BROKEN("not in the sender's", "skx)a", COUNT_ARCHIVE_HOLE, 1),
		BROKEN("not in the receiver's", "skx(a", COUNT_ARCHIVE_HOLE, 1),
		BROKEN("one of two", "sskKXxLa", COUNT_ARCHIVE_HOLE, 2),
		BROKEN("twice", "skxA(a", COUNT_ARCHIVE_TWICE, 1),
		BROKEN("the second first", "sskKXxALa", COUNT_ARCHIVE_OVERTAKEN, 2),
		BROKEN("a third party's", "skxATa", COUNT_ARCHIVE_ASTRAY, 1),
		BROKEN("another name", "skNMa", COUNT_ARCHIVE_NAME, 1),
		KEPT("in both", "sskKXxLAa"),
		KEPT("the same name", "skNAa"),
		KEPT("it came back, and is in the sender's", "skb(a"),
		KEPT("it came back, and is in none", "skba"),
		KEPT("a request", "ikxa"),
		KEPT("sent anew, and archived twice", "snkxAAa"),
		KEPT("not read", "skx"),
		{"a plain client was on its way out, but it was delivered", "ske(a", false, true,
		 COUNT_ARCHIVE_HOLE, 1, 0, 0},
	};

	(void)state;
	STORIES(stories);
}

static void finds_what_passes_a_block(void **state)
{
	static const struct story stories[] = {
		BROKEN("delivered", "BDskx", COUNT_BLOCKED_SEEN, 1),
		BROKEN("by who blocks", "Oskx", COUNT_BLOCKED_SEEN, 1),
		BROKEN("a request", "BDikx", COUNT_BLOCKED_SEEN, 1),
		BROKEN("as a copy", "cBDskbr", COUNT_BLOCKED_SEEN, 1),
		BROKEN("archived", "BDskb)a", COUNT_BLOCKED_SEEN, 1),
		BROKEN("neither delivered nor refused", "BDsk", COUNT_LOST, 1),
		BROKEN("refused twice", "BDskbb", COUNT_BOUNCED_TWICE, 1),
		BROKEN("told that it is blocked", "BDskg", COUNT_WRONG_ERROR, 1),
		BROKEN("not told who blocks whom", "Oskb", COUNT_WRONG_ERROR, 1),
		BROKEN("nobody blocks anybody", "skg", COUNT_WRONG_ERROR, 1),
		KEPT("refused", "BDskb"),
		KEPT("refused to who blocks", "Oskg"),
		KEPT("the list could not be read", "BDskd"),
		KEPT("delivered while it is being set", "BskxD"),
		KEPT("sent before, seen after", "sBDkx"),
		KEPT("refused while it is being set", "BskbD"),
		KEPT("delivered while it is being taken back", "BDskUx"),
		KEPT("delivered after it is over", "BDwUVskx"),
		KEPT("its error went with the session", "BDskj"),
		KEPT("in the sender's archive", "BDskb(a"),
		KEPT("not in the archive of who was just blocking", "skxBD(a"),
	};

	(void)state;
	STORIES(stories);
}

static void plain_clients_are_judged_when_nothing_dies(void **state)
{
	static const struct story stories[] = {
		{"from one", "sk", true, false, COUNT_LOST, 1, 0, 0},
		{"from one, long after a death", "twsk", true, false, COUNT_LOST, 1, 0, 0},
		{"to one that stays", "sk", false, true, COUNT_LOST, 1, 0, 0},
		{"to one that vanishes long after", "skwe", false, true, COUNT_LOST, 1, 0, 0},
		{"to one that vanished long before", "ewsk", false, true, COUNT_LOST, 1, 0, 0},
		{"seen twice by one", "skxx", false, true, COUNT_TWICE, 1, 0, 0},
	};

	(void)state;
	STORIES(stories);
}

#define TO(name, events, breach, n)                            \
	{                                                      \
		name, events, 0, 1, breach, n, TO_COMPONENT, 0 \
	}
#define NOTED(name, events, kind, noted)                   \
	{                                                  \
		name, events, 0, 1, COUNTS, 0, kind, noted \
	}

static void what_a_plain_component_gets_is_excused_by_a_kill_of_cm_component_only(void **state)
{
	static const struct story stories[] = {
		NOTED("lost in the kernel", "skC", TO_COMPONENT, COUNT_UNCONFIRMED_LOST),
		NOTED("... behind what came", "ssKkXC", TO_COMPONENT, COUNT_UNCONFIRMED_LOST),
		NOTED("an answer", "ikC", TO_COMPONENT, COUNT_UNCONFIRMED_LOST),
		NOTED("come again", "skxCx", TO_COMPONENT, COUNT_UNCONFIRMED_TWICE),
		NOTED("again, and what follows", "skxsCXxKk", TO_COMPONENT,
		      COUNT_UNCONFIRMED_TWICE),
		NOTED("on the other connection", "skxCo", TO_SHARED, COUNT_UNCONFIRMED_TWICE),
		TO("nothing was killed", "sk", COUNT_LOST, 1),
		TO("its connection ended, but nothing was killed", "skE", COUNT_LOST, 1),
		TO("again, but nothing was killed", "skxEx", COUNT_TWICE, 1),
		TO("again on one connection", "skxx", COUNT_TWICE, 1),
		TO("something else died", "stk", COUNT_LOST, 1),
		TO("a hole: what came behind it has come", "ssKkxC", COUNT_LOST, 1),
		TO("sent when the connection was gone", "Csk", COUNT_LOST, 1),
		TO("had come long before", "skxwCx", COUNT_TWICE, 1),
		TO("sent long before", "skwwC", COUNT_LOST, 1),
		TO("three times, killed once", "skxCxEx", COUNT_TWICE, 1),
		TO("lost, more than fits into the kernel", "vsskKC", COUNT_UNCONFIRMED_BEYOND, 1),
		TO("again, more than fits into the kernel", "vskxskxC1x", COUNT_UNCONFIRMED_BEYOND,
		   1),
		TO("the second first, on one connection", "ssKkxX", COUNT_OVERTAKEN, 1),
		TO("the second first, before and after", "ssKkxCX", COUNT_OVERTAKEN, 1),
		TO("what comes again in another order", "ssKkXxCxX", COUNT_OVERTAKEN, 1),
		TO("the sender's other client has a copy", "cskyx", COUNTS, 0),
		TO("waited for its next connection", "Cskx", COUNTS, 0),
		TO("came back", "skCb", COUNTS, 0),
	};

	(void)state;
	STORIES(stories);
}

static void a_component_with_stream_management_is_excused_by_nothing(void **state)
{
	static const struct story stories[] = {
		{"lost at a kill", "skC", 0, 0, COUNT_LOST, 1, TO_COMPONENT, 0},
		{"twice", "skxx", 0, 0, COUNT_TWICE, 1, TO_COMPONENT, 0},
		{"sent and not acknowledged", "s", 0, 0, COUNT_STUCK, 1, OF_COMPONENT, 0},
		{"sent and lost", "skQ", 0, 0, COUNT_LOST, 1, OF_COMPONENT, 0},
		{"in another order on its next session", "ssKkxCX", 0, 0, COUNT_OVERTAKEN, 1,
		 TO_COMPONENT, 0},
		{"in order", "sskKXx", 0, 0, COUNTS, 0, TO_COMPONENT, 0},
	};

	(void)state;
	STORIES(stories);
}

static void
what_a_plain_component_sends_is_unconfirmed_until_the_server_had_something_later(void **state)
{
	static const struct story stories[] = {
		{"gone with the kernel", "sQ", 1, 0, COUNTS, 0, OF_COMPONENT,
		 COUNT_UNCONFIRMED_SENT},
		{"acknowledged", "skQ", 1, 0, COUNT_LOST, 1, OF_COMPONENT, 0},
		{"acknowledged, and something else dies", "stk", 1, 0, COUNT_LOST, 1, OF_COMPONENT,
		 0},
		{"the server had a later one", "smQ", 1, 0, COUNT_LOST, 1, OF_COMPONENT, 0},
		{"the server had an earlier one", "msQ", 1, 0, COUNTS, 0, OF_COMPONENT,
		 COUNT_UNCONFIRMED_SENT},
		{"more than fits into the kernel", "vssQ", 1, 0, COUNT_UNCONFIRMED_BEYOND, 1,
		 OF_COMPONENT, COUNT_UNCONFIRMED_SENT},
		{"twice", "sxxk", 1, 0, COUNT_TWICE, 1, OF_COMPONENT, 0},
		{"its ping is not answered", "p", 1, 0, COUNT_STUCK, 1, OF_COMPONENT, 0},
		{"on the next connection", "sQskx", 1, 0, COUNTS, 0, OF_COMPONENT,
		 COUNT_UNCONFIRMED_SENT},
	};

	(void)state;
	STORIES(stories);
}

static void the_table_adds_up(void **state)
{
	static const struct story story = {"", "skxskbiKkxpPkSke", 0, 0, COUNTS, 1, 0, 0};
	struct verdict v;
	struct scene s;

	(void)state;
	tell(&story, &v, &s);
	const struct row *r = &v.rows[ROW_SM_SM];
	assert_int_equal(r->sent, 4);
	assert_int_equal(r->acknowledged, 4);
	assert_int_equal(r->received, 2);
	assert_int_equal(r->bounced, 1);
	assert_int_equal(r->lost, 1);
	assert_int_equal(v.rows[ROW_SERVER].sent, 1);
	assert_int_equal(v.rows[ROW_SERVER].received, 1);
	assert_int_equal(v.counts[COUNT_LOST], 1);
}

static void strict_makes_refusals_breaches(void **state)
{
	struct verdict v = {0};

	(void)state;
	v.counts[COUNT_RESUME_REFUSED] = 2;
	v.counts[COUNT_DROPS] = 100;
	assert_int_equal(verdict_breaches(&v, false), 0);
	assert_int_equal(verdict_breaches(&v, true), 2);
	v.counts[COUNT_BAD_H] = 1;
	assert_int_equal(verdict_breaches(&v, false), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_lost),
		cmocka_unit_test(finds_what_hangs),
		cmocka_unit_test(finds_what_comes_twice),
		cmocka_unit_test(finds_what_is_overtaken),
		cmocka_unit_test(finds_what_goes_to_the_wrong_place),
		cmocka_unit_test(lets_pass_what_is_allowed),
		cmocka_unit_test(finds_copies_that_are_lost),
		cmocka_unit_test(finds_copies_that_come_twice_or_in_the_wrong_order),
		cmocka_unit_test(finds_what_is_wrong_in_archives),
		cmocka_unit_test(finds_what_passes_a_block),
		cmocka_unit_test(plain_clients_are_judged_when_nothing_dies),
		cmocka_unit_test(
			what_a_plain_component_gets_is_excused_by_a_kill_of_cm_component_only),
		cmocka_unit_test(a_component_with_stream_management_is_excused_by_nothing),
		cmocka_unit_test(
			what_a_plain_component_sends_is_unconfirmed_until_the_server_had_something_later),
		cmocka_unit_test(the_table_adds_up),
		cmocka_unit_test(strict_makes_refusals_breaches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
