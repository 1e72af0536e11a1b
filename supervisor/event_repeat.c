#include "supervisor/event_repeat.h"

#include <stdlib.h>

#include "base/xmem.h"
#include "supervisor/event_rule.h"

#define KEY_MAX 160

struct kind {
	char *key; /* NULL: free */
	struct monotime window;
	struct monotime seen;
	unsigned int passed;
	bool over;     /* more than passed have come in this window */
	bool flooding; /* so it was in the window before */
	uint64_t count;
	struct str text; /* of the last that was counted */
	uint64_t ms;
	enum event_level level;
	char service[64];
};

struct event_repeat {
	struct kind kinds[EVENT_REPEAT_KINDS];
};

struct event_repeat *event_repeat_new(void)
{
	struct event_repeat *r = xcalloc(1, sizeof(*r));

	for (size_t i = 0; i < EVENT_REPEAT_KINDS; i++)
		str_init(&r->kinds[i].text);
	return r;
}

static void forget(struct kind *k)
{
	free(k->key);
	str_clear(&k->text);
	memset(k, 0, sizeof(*k));
	str_init(&k->text);
}

void event_repeat_forget(struct event_repeat *r)
{
	for (size_t i = 0; i < EVENT_REPEAT_KINDS; i++)
		forget(&r->kinds[i]);
}

void event_repeat_free(struct event_repeat **rp)
{
	if (*rp)
		event_repeat_forget(*rp);
	free(*rp);
	*rp = NULL;
}

/* What differs from one event to the next of the same kind. */
static bool is_particular(struct slice word)
{
	static const char *const names[] = {"sid=", "pid=", "addr="};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i]);

		if (word.len >= n && memcmp(word.data, names[i], n) == 0)
			return true;
	}
	return false;
}

static void add_words(struct str *key, struct slice text)
{
	for (size_t i = 0, n; i < text.len && key->len < KEY_MAX; i += n) {
		const char *word = text.data + i, *blank = memchr(word, ' ', text.len - i);

		n = blank ? (size_t)(blank + 1 - word) : text.len - i;
		for (size_t k = 0; k < n && !is_particular(slice_of(word, n)); k++)
			if (word[k] < '0' || word[k] > '9')
				str_addc(key, word[k]);
	}
}

static void make_key(const struct event_line *e, struct str *key)
{
	struct slice name = event_rule_name(e->text);

	str_addf(key, "%d %.*s ", (int)e->level, SLICE_ARG(e->service));
	if (name.len && e->level != EVENT_INFO && !slice_is(e->service, "supervisor"))
		str_add_slice(key, name);
	else
		add_words(key, e->text);
}

/* What was counted becomes a line. */
static void tell(struct kind *k, struct str *out)
{
	struct str text = STR_INIT;

	if (!k->count)
		return;
	str_addf(&text, "%s (repeated %llu time%s)", k->text.data, (unsigned long long)k->count,
		 k->count == 1 ? "" : "s");
	event_line_format(out, &(struct event_line){k->ms, k->level, slice_str(k->service),
						    str_slice(&text)});
	str_clear(&text);
	str_reset(&k->text);
	k->count = 0;
}

static void turn_window(struct kind *k, struct monotime now, struct str *out)
{
	tell(k, out);
	k->flooding = k->over;
	k->over = false;
	k->passed = 0;
	k->window = now;
}

static struct kind *find(struct event_repeat *r, const char *key, struct str *out)
{
	struct kind *oldest = &r->kinds[0];

	for (size_t i = 0; i < EVENT_REPEAT_KINDS; i++) {
		struct kind *k = &r->kinds[i];

		if (k->key && strcmp(k->key, key) == 0)
			return k;
		if (oldest->key && (!k->key || monotime_before(k->seen, oldest->seen)))
			oldest = k;
	}
	if (oldest->key) {
		tell(oldest, out);
		forget(oldest);
	}
	return oldest;
}

static bool window_is_over(const struct kind *k, struct monotime now)
{
	return monotime_ms_between(k->window, now) >= EVENT_REPEAT_WINDOW_MS;
}

void event_repeat_add(struct event_repeat *r, const struct event_line *e, struct monotime now,
		      struct str *out)
{
	struct str key = STR_INIT;
	struct kind *k;

	make_key(e, &key);
	k = find(r, key.data, out);
	if (!k->key) {
		k->key = str_detach(&key);
		k->window = now;
		k->level = e->level;
		snprintf(k->service, sizeof(k->service), "%.*s", SLICE_ARG(e->service));
	} else if (window_is_over(k, now)) {
		turn_window(k, now, out);
	}
	str_clear(&key);
	k->seen = now;
	if (!k->flooding && k->passed < EVENT_REPEAT_FREE) {
		k->passed++;
		event_line_format(out, e);
		return;
	}
	k->over = true;
	k->count++;
	k->ms = e->ms;
	str_reset(&k->text);
	str_add_slice(&k->text, e->text);
}

void event_repeat_tick(struct event_repeat *r, struct monotime now, bool all, struct str *out)
{
	for (size_t i = 0; i < EVENT_REPEAT_KINDS; i++) {
		struct kind *k = &r->kinds[i];
		bool over = k->key && window_is_over(k, now);

		if (!k->key)
			continue;
		if (over && !k->over)
			forget(k); /* a minute without a flood */
		else if (over)
			turn_window(k, now, out);
		else if (all || monotime_ms_between(k->seen, now) >= EVENT_REPEAT_QUIET_MS)
			tell(k, out);
	}
}
