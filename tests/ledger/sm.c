#include "tests/ledger/sm.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"

void sm_init(struct sm *s)
{
	*s = (struct sm){0};
}

void sm_clear(struct sm *s)
{
	while (s->len)
		sm_pop(s);
	free(s->sent);
	sm_init(s);
}

static void grow(struct sm *s)
{
	size_t room = s->room ? s->room * 2 : 16;
	struct sm_sent *sent = xcalloc(room, sizeof *sent);

	for (size_t i = 0; i < s->len; i++)
		sent[i] = *sm_at(s, i);
	free(s->sent);
	s->sent = sent;
	s->room = room;
	s->first = 0;
}

void sm_push(struct sm *s, uint32_t entry, struct slice text)
{
	if (s->len == s->room)
		grow(s);
	s->sent[(s->first + s->len) % s->room] = (struct sm_sent){
		.entry = entry, .text = text.data ? xstrndup(text.data, text.len) : NULL};
	s->len++;
}

const struct sm_sent *sm_at(const struct sm *s, size_t i)
{
	check(i < s->len);
	return &s->sent[(s->first + i) % s->room];
}

const struct sm_sent *sm_oldest(const struct sm *s)
{
	return s->len ? sm_at(s, 0) : NULL;
}

void sm_pop(struct sm *s)
{
	check(s->len > 0);
	free(s->sent[s->first].text);
	s->first = (s->first + 1) % s->room;
	s->len--;
}

bool sm_covers(const struct sm *s, uint32_t h, size_t *count)
{
	uint32_t more = h - s->acked;

	if (more > s->len)
		return false;
	*count = more;
	return true;
}
