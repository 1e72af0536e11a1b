/*
 * judge_scene - a ledger told as a story in letters, and what the judge finds in it.
 */
#ifndef TESTS_UNIT_LEDGER_JUDGE_SCENE_H
#define TESTS_UNIT_LEDGER_JUDGE_SCENE_H

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
 * Components, where the story says so: romeo's account is one, or juliet's; romeo's other client is
 * its second connection if it is shared:
 *   C  cm-component is killed just now; romeo's session ends and a new one begins
 *   E  romeo's session ends and a new one begins, although nothing was killed
 *   Z  cm-component is killed just now, but not the one that has their connections
 *   Q  cm-component is killed just now; juliet's session ends and a new one begins
 *   u  romeo's second connection ends
 *   f  four seconds pass
 *   v  the next messages are as big as what the kernel may have
 *   m  juliet sends one to somebody else, who sees it: the server had it */
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

static inline void on_breach(void *arg, enum count count, const char *text)
{
	struct scene *s = arg;

	(void)count;
	assert_true(strlen(text) > 10);
	s->told++;
}

static inline void send(struct scene *s, enum judge_kind kind)
{
	uint32_t to = kind == JUDGE_PING ? 0 : 1;
	uint32_t session = kind == JUDGE_PING ? s->juliet : s->romeo;
	bool bare = kind == JUDGE_BARE || (s->component != OF_COMPONENT && s->component && to == 1);

	s->last = judge_send(s->judge, kind, s->juliet, to, bare ? JUDGE_NONE : session, s->now);
	judge_weigh(s->judge, s->last, s->bytes);
}

static inline void begin_juliet(struct scene *s)
{
	s->juliet = judge_session_begin(s->judge, 0, 0, !s->plain_juliet, s->now);
	if (s->component == OF_COMPONENT)
		judge_component(s->judge, s->juliet, false);
}

static inline void begin_romeo(struct scene *s)
{
	s->romeo = judge_session_begin(s->judge, 1, 1, !s->plain_romeo, s->now);
	if (s->component == TO_COMPONENT || s->component == TO_SHARED)
		judge_component(s->judge, s->romeo, s->component == TO_SHARED);
}

static inline void see(struct scene *s, uint32_t entry, uint32_t session)
{
	judge_see(s->judge, entry, session, 0, s->now);
}

static inline void see_copy(struct scene *s, uint32_t entry, uint32_t session)
{
	bool sent = session == s->twin || session == s->juliet;

	judge_copy_see(s->judge, entry, sent ? JUDGE_SENT : JUDGE_RECEIVED, session, s->now);
}

static inline void play_copies(struct scene *s, char event)
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

static inline void play_blocks(struct scene *s, char event)
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
		judge_bounce(s->judge, s->last, s->juliet, JUDGE_NOT_ACCEPTABLE, s->now);
		break;
	case 'd':
		judge_bounce(s->judge, s->last, s->juliet, JUDGE_CONSTRAINT, s->now);
		break;
	default:
		play_copies(s, event);
	}
}

static inline void keep(struct scene *s, uint32_t entry, const char *parties, uint64_t name)
{
	for (; *parties; parties++)
		judge_archive_see(s->judge, entry, (uint32_t)(*parties - '0'), name, s->now);
}

static inline void play_archives(struct scene *s, char event)
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

static inline void play_components(struct scene *s, char event)
{
	switch (event) {
	case 'C':
		judge_cut(s->judge, s->now);
		/* fall through */
	case 'E':
		judge_session_end(s->judge, s->romeo, s->now);
		begin_romeo(s);
		break;
	case 'f':
		s->now += 4000;
		break;
	case 'u':
		judge_session_end(s->judge, s->other, s->now);
		break;
	case 'Z':
		judge_cut(s->judge, s->now);
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

static inline void play_sending(struct scene *s, char event)
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
		judge_bounce(s->judge, s->last, s->juliet, JUDGE_UNAVAILABLE, s->now);
		break;
	default:
		play_components(s, event);
	}
}

static inline void play(struct scene *s, char event)
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

static inline void tell(const struct story *story, struct verdict *out, struct scene *s)
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

static inline void judge_stories(const struct story *stories, size_t count)
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

#endif
