/* Whatever happens to the sessions of a user, and in which order: a contact and a room end up with
 * the truth, and nobody is told twice that somebody is gone. */
#include "tests/unit/session/fake_host.h"

#define JULIET "juliet@example.com"
#define ROMEO  "romeo@example.org"
#define ROOM   "lobby@rooms.example.com/juliet"
#define ROUNDS 400
#define STEPS  60
#define NAMES  3 /* resources */
#define MOST   8 /* sessions alive at once */

struct one {
	uint64_t sid;
	unsigned int name;
	bool detached, lost;
};

struct world {
	struct fake *f;
	uint64_t rng;
	uint64_t next_sid;
	unsigned int time;
	struct one all[MOST];
	unsigned int count;
	bool seen[NAMES];    /* by Romeo */
	bool in_room[NAMES]; /* as the room knows it */
	struct str story;
};

static unsigned int pick(struct world *w, unsigned int n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (unsigned int)(w->rng >> 33) % n;
}

static const char *full(unsigned int name)
{
	static const char *const names[NAMES] = {JULIET "/a", JULIET "/b", JULIET "/c"};

	return names[name];
}

#define insist(w, what)                                 \
	do {                                            \
		if (!(what)) {                          \
			fputs((w)->story.data, stderr); \
			assert_string_equal("", #what); \
		}                                       \
	} while (0)

static void drop(struct world *w, uint64_t sid)
{
	for (unsigned int i = 0; i < w->count; i++) {
		if (w->all[i].sid == sid)
			w->all[i--] = w->all[--w->count];
	}
}

/* What one line of the trace tells `to` about one resource. The server itself (answer) never says
 * twice that it is gone. */
static void hear(struct world *w, const char *line, unsigned int name, const char *to, bool *knows)
{
	char on[100], off[100];

	snprintf(on, sizeof(on), " presence from=%s to=%s", full(name), to);
	snprintf(off, sizeof(off), " presence unavailable from=%s to=%s", full(name), to);
	if (strstr(line, off)) {
		insist(w, *knows || strncmp(line, "answer", 6) != 0);
		*knows = false;
	} else if (strstr(line, on)) {
		*knows = true;
	}
}

/* Reads what was told since the last time. */
static void look(struct world *w)
{
	char *line, *rest;

	store_run(w->f);
	str_addf(&w->story, "%s", w->f->trace.data ? w->f->trace.data : "");
	rest = w->f->trace.data;
	while (rest && (line = strsep(&rest, "\n")) != NULL) {
		unsigned int sid;

		if (sscanf(line, "close sid=%u", &sid) == 1 ||
		    sscanf(line, "lost over sid=%u", &sid) == 1)
			drop(w, sid);
		for (unsigned int i = 0; i < NAMES; i++) {
			hear(w, line, i, ROMEO, &w->seen[i]);
			hear(w, line, i, ROOM, &w->in_room[i]);
		}
	}
	fake_forget(w->f);
}

static struct one *some(struct world *w)
{
	return w->count ? &w->all[pick(w, w->count)] : NULL;
}

static void do_bind(struct world *w)
{
	unsigned int name = pick(w, NAMES);
	uint64_t sid = w->next_sid++;

	if (w->count == MOST)
		return;
	session_bind(w->f->m, sid, S(JULIET), S(full(name) + strlen(JULIET "/")), S("c"), S("a"),
		     after_s(w->time));
	w->all[w->count++] = (struct one){.sid = sid, .name = name};
}

static void do_presence(struct world *w)
{
	static const char *const to[] = {"", "", ROOM};
	struct one *s = some(w);

	if (s && !s->lost)
		presence(w->f, s->sid, pick(w, 4) ? "" : "unavailable", to[pick(w, 3)], "");
}

static void do_detach(struct world *w)
{
	struct one *s = some(w);

	if (!s || s->lost)
		return;
	s->detached = true;
	session_detached(w->f->m, s->sid, after_s(w->time));
}

static void do_resume(struct world *w)
{
	struct one *s = some(w);

	if (!s || s->lost)
		return;
	s->detached = false;
	session_resumed(w->f->m, s->sid, S("c"), S("a"), after_s(w->time));
}

static void do_lose(struct world *w)
{
	struct one *s = some(w);
	uint64_t sid = s ? s->sid : 0;

	if (!s || s->lost)
		return;
	s->lost = true;
	session_lost(w->f->m, sid, S("died"), 0, after_s(w->time));
	/* Not kept: nobody has seen it. */
	if (!w->f->trace.len || !strstr(w->f->trace.data, "\nlost sid="))
		if (!w->f->trace.len || strncmp(w->f->trace.data, "lost sid=", 9) != 0)
			drop(w, sid);
}

static void do_end(struct world *w)
{
	struct one *s = some(w);
	uint64_t sid = s ? s->sid : 0;

	if (!s || s->lost)
		return;
	session_unbind(w->f->m, sid, S("closed"), after_s(w->time));
	drop(w, sid);
}

static void do_kick(struct world *w)
{
	if (pick(w, 4) == 0)
		session_kick(w->f->m, S(full(pick(w, NAMES))), after_s(w->time));
}

static void do_wait(struct world *w)
{
	w->time += pick(w, 25);
	tick(w->f, w->time);
}

/* The shelf first, then what is announced, as a router does it. */
static void do_restart(struct world *w)
{
	struct one old[MOST];
	unsigned int count = w->count;

	memcpy(old, w->all, sizeof(old));
	fake_restart(w->f);
	for (unsigned int turn = 0; turn < 2; turn++) {
		for (unsigned int i = 0; i < count; i++) {
			const struct one *s = &old[i];

			if (s->lost == (turn == 1))
				continue;
			insist(w, announce(w->f, s->sid, full(s->name),
					   str_slice(&w->f->blobs[s->sid % FAKE_SIDS])) == ERR_OK);
			if (s->lost)
				session_lost(w->f->m, s->sid, S("died"), 5, after_s(w->time));
			else if (s->detached)
				session_detached(w->f->m, s->sid, after_s(w->time));
		}
	}
	announce(w->f, 5, ROMEO "/orchard", str_slice(&w->f->blobs[5]));
	tick(w->f, w->time);
}

static const struct {
	const char *name;
	void (*act)(struct world *w);
} acts[] = {
	{"bind", do_bind},     {"bind", do_bind},     {"presence", do_presence},
	{"detach", do_detach}, {"resume", do_resume}, {"presence", do_presence},
	{"lose", do_lose},     {"end", do_end},	      {"kick", do_kick},
	{"wait", do_wait},     {"wait", do_wait},     {"restart", do_restart},
};

static bool is_there(const struct world *w, unsigned int name)
{
	for (unsigned int i = 0; i < w->count; i++) {
		if (w->all[i].name == name)
			return true;
	}
	return false;
}

/* Everybody whom the list shows as available is seen; nobody is seen who is not there at all. */
static void check_view(struct world *w)
{
	struct str list = STR_INIT;

	session_list(w->f->m, S(JULIET), &list);
	for (unsigned int i = 0; i < NAMES; i++) {
		char start[80];
		const char *at, *end;

		snprintf(start, sizeof(start), "{\"jid\":\"%s\"", full(i));
		at = list.len ? strstr(list.data, start) : NULL;
		end = at ? strchr(at, '\n') : NULL;
		if (at && memmem(at, (size_t)(end - at), "\"available\":true", 16))
			insist(w, w->seen[i]);
		if (!is_there(w, i))
			insist(w, !w->seen[i] && !w->in_room[i]);
	}
	str_clear(&list);
}

static void one_round(struct fake *f, uint64_t seed)
{
	struct world w = {.f = f, .rng = seed * 2654435761u + 1, .next_sid = 6};

	str_init(&w.story);
	contact(f, JULIET, ROMEO, "both");
	contact(f, ROMEO, JULIET, "both");
	online(f, 5, ROMEO, "orchard", "0");
	for (unsigned int i = 0; i < STEPS; i++) {
		unsigned int which = pick(&w, sizeof(acts) / sizeof(*acts));

		f->nentries = 0;
		memset(f->entries, 0, sizeof(f->entries));
		str_addf(&w.story, "-- %s\n", acts[which].name);
		/* The place that a sid's blob has is not to be Romeo's. */
		if (w.next_sid % FAKE_SIDS == 5)
			w.next_sid++;
		acts[which].act(&w);
		look(&w);
		check_view(&w);
	}
	session_kick(f->m, S(JULIET), NOW);
	tick(f, w.time + 1000);
	look(&w);
	for (unsigned int i = 0; i < NAMES; i++)
		insist(&w, !w.seen[i] && !w.in_room[i]);
	str_clear(&w.story);
}

static void a_contact_ends_up_with_the_truth_and_is_never_told_twice(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		void *own;

		fake_setup(&own);
		one_round(own, seed);
		fake_teardown(&own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_contact_ends_up_with_the_truth_and_is_never_told_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
