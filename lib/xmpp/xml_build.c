#include "xmpp/xml_build.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/xmem.h"

#define CHUNK_MIN 1024
#define CHUNK_MAX 65536

/* Chunks, the newest first; each twice as large as the one before. */
struct xml_arena {
	struct xml_arena *next;
	size_t used;
	size_t size;
	max_align_t data[];
};

static struct xml_arena *chunk_new(size_t size)
{
	struct xml_arena *a = xmalloc(sizeof(*a) + size);

	*a = (struct xml_arena){.size = size};
	return a;
}

/* The first chunk stays the handle; the one in use stands behind it. */
static void *arena_alloc(struct xml_arena *a, size_t n, size_t align)
{
	struct xml_arena *at = a->next ? a->next : a;
	size_t start = (at->used + align - 1) & ~(align - 1);

	if (start + n > at->size) {
		size_t size = at->size < CHUNK_MAX ? 2 * at->size : CHUNK_MAX;

		at = chunk_new(size > n ? size : n);
		at->next = a->next;
		a->next = at;
		start = 0;
	}
	at->used = start + n;
	return (char *)at->data + start;
}

static const char *arena_text(struct xml_arena *a, struct slice s)
{
	char *p;

	if (s.len == 0)
		return "";
	p = arena_alloc(a, s.len + 1, 1);
	memcpy(p, s.data, s.len);
	p[s.len] = '\0';
	return p;
}

void xml_arena_free(struct xml_arena *a)
{
	while (a) {
		struct xml_arena *next = a->next;

		xwipe(a->data, a->used);
		free(a);
		a = next;
	}
}

void xml_build_init(struct xml_build *b)
{
	*b = (struct xml_build){.text = STR_INIT};
}

void xml_build_clear(struct xml_build *b)
{
	xml_arena_free(b->arena);
	if (b->text.cap)
		xwipe(b->text.data, b->text.cap);
	str_clear(&b->text);
	xml_build_init(b);
}

struct xml_node *xml_build_take(struct xml_build *b)
{
	struct xml_node *root = b->root;

	b->root = NULL;
	b->arena = NULL;
	return root;
}

static const char *take_text(struct xml_build *b)
{
	const char *text = arena_text(b->arena, str_slice(&b->text));

	str_reset(&b->text);
	return text;
}

/* libxml2's form of a value or namespace name, see xml_push_value(). */
static const char *decoded(struct xml_build *b, struct slice raw)
{
	struct str s = STR_INIT;
	const char *text;

	if (raw.len == 0 || !memchr(raw.data, '&', raw.len))
		return arena_text(b->arena, raw);
	xml_push_value(&s, raw);
	text = arena_text(b->arena, str_slice(&s));
	str_clear(&s);
	return text;
}

static void add_attributes(struct xml_build *b, struct xml_node *n, const struct xml_start *e)
{
	struct xml_attr **tail = &n->attrs;

	for (int i = 0; i < e->nattributes; i++) {
		struct xml_attribute in = xml_push_attribute(e, i);
		struct xml_attr *a = arena_alloc(b->arena, sizeof(*a), _Alignof(struct xml_attr));

		*a = (struct xml_attr){
			.ns = decoded(b, slice_str(in.ns)),
			.name = arena_text(b->arena, slice_str(in.name)),
			.value = decoded(b, in.raw),
		};
		*tail = a;
		tail = &a->next;
	}
}

static void on_start(void *arg, int depth, const struct xml_start *e)
{
	struct xml_build *b = arg;
	struct xml_node *n;

	(void)depth;
	if (!b->arena)
		b->arena = chunk_new(CHUNK_MIN);
	n = arena_alloc(b->arena, sizeof(*n), _Alignof(struct xml_node));
	*n = (struct xml_node){
		.parent = b->open,
		.name = arena_text(b->arena, slice_str(e->name)),
		.ns = decoded(b, slice_str(e->ns)),
		.text = "",
		.before = take_text(b),
		.after = "",
		.arena = b->arena,
	};
	add_attributes(b, n, e);
	if (!b->open)
		b->root = n;
	else if (b->open->last)
		b->open->last->next = n;
	else
		b->open->first = n;
	if (b->open)
		b->open->last = n;
	b->open = n;
}

/* All pieces of n's character data as one. */
static const char *joined_text(struct xml_build *b, const struct xml_node *n)
{
	bool mixed = false;

	for (const struct xml_node *c = n->first; c; c = c->next)
		mixed = mixed || *c->before;
	if (!mixed)
		return n->after;
	for (const struct xml_node *c = n->first; c; c = c->next)
		str_adds(&b->text, c->before);
	str_adds(&b->text, n->after);
	return take_text(b);
}

static void on_end(void *arg, int depth, size_t offset)
{
	struct xml_build *b = arg;
	struct xml_node *n = b->open;

	(void)depth;
	(void)offset;
	check(n);
	n->after = take_text(b);
	n->text = joined_text(b, n);
	b->open = n->parent;
}

static void on_text(void *arg, const char *s, size_t len)
{
	struct xml_build *b = arg;

	str_add(&b->text, s, len);
}

const struct xml_sink *xml_build_sink(void)
{
	static const struct xml_sink sink = {.start = on_start, .end = on_end, .text = on_text};

	return &sink;
}
