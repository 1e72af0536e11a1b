/*
 * archive_query - reading an archive: one page of what matches, and its place in all that does.
 *
 * A place is (block, number in it). What limits a query by ids or times becomes two places, lo <=
 * place < hi; what is left is judged message by message.
 */
#include <string.h>

#include "datastore/accounts.h"
#include "datastore/archive.h"
#include "datastore/archive_block.h"
#include "datastore/page.h"

#define IDS_MAX 1000
/* Each takes a fifth of a ms, and nothing else is answered meanwhile. */
#define COUNT_BLOCKS 250 /* beyond these a result set is not counted */
#define PAGE_BLOCKS  500 /* nor looked through at once for what matches */
#define FIND_BLOCKS  500 /* nor read to find ids */
#define NO_END	     UINT64_MAX

struct range {
	struct archive_place lo, hi; /* lo <= place < hi */
};

struct query {
	struct db *d;
	const struct msg_db_archive_query *m;
	uint64_t account;
	uint64_t start_ms, end_ms;
	uint64_t oldest, next; /* blocks */
	struct str own;	       /* bare JID */
	struct slice with_bare;
	uint64_t with_key;
	size_t nids;
	struct archive_place ids[IDS_MAX];
	unsigned int find_blocks; /* that may still be read for them */
	struct archive_block block;
};

static int compare(struct archive_place a, struct archive_place b)
{
	if (a.block != b.block)
		return a.block < b.block ? -1 : 1;
	return a.at < b.at ? -1 : a.at > b.at;
}

static struct archive_place at_block(uint64_t block)
{
	return (struct archive_place){block, 0};
}

static void raise_lo(struct range *r, struct archive_place p)
{
	if (compare(p, r->lo) > 0)
		r->lo = p;
}

static void lower_hi(struct range *r, struct archive_place p)
{
	if (compare(p, r->hi) < 0)
		r->hi = p;
}

/* The first block of which the last (or first) stamp is at least (or above) ms: they never fall
 * from block to block. */
static enum err block_by_time(struct query *q, uint64_t ms, bool by_last, uint64_t *out)
{
	uint64_t low = q->oldest, high = q->next;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		enum err e = archive_block_times(q->d, q->account, middle, &q->block);

		if (e != ERR_OK)
			return e;
		if (by_last ? q->block.last_ms >= ms : q->block.first_ms > ms)
			high = middle;
		else
			low = middle + 1;
	}
	*out = low;
	return ERR_OK;
}

/* packed: one id, or nothing. */
static enum err limit_by_id(struct query *q, struct range *r, struct slice packed, bool is_lower)
{
	struct archive_place place;
	struct db_archive_id id;
	enum err e;

	if (packed.len == 0)
		return ERR_OK;
	if (!db_archive_id_get(&packed, &id) || packed.len)
		return ERR_FORMAT;
	q->block.number = 0; /* what it has may be times only */
	e = archive_find_within(q->d, q->account, id, &place, &q->block, &q->find_blocks);
	if (e != ERR_OK)
		return e;
	if (is_lower) {
		place.at++;
		raise_lo(r, place);
	} else {
		lower_hi(r, place);
	}
	return ERR_OK;
}

static enum err limit_by_time(struct query *q, struct range *r)
{
	uint64_t block = 0;
	enum err e = ERR_OK;

	if (q->start_ms) {
		e = block_by_time(q, q->start_ms, true, &block);
		raise_lo(r, at_block(block));
	}
	if (e == ERR_OK && q->end_ms != NO_END) {
		e = block_by_time(q, q->end_ms, false, &block);
		lower_hi(r, at_block(block));
	}
	return e;
}

static enum err find_ids(struct query *q)
{
	struct slice in = q->m->ids;
	struct db_archive_id id;
	enum err e = ERR_OK;

	q->block.number = 0;
	while (e == ERR_OK && in.len) {
		if (q->nids == IDS_MAX || !db_archive_id_get(&in, &id))
			return ERR_FORMAT;
		e = archive_find_within(q->d, q->account, id, &q->ids[q->nids], &q->block,
					&q->find_blocks);
		q->nids += e == ERR_OK;
	}
	return e;
}

static bool is_asked_for(const struct query *q, struct archive_place p)
{
	for (size_t i = 0; i < q->nids; i++) {
		if (compare(q->ids[i], p) == 0)
			return true;
	}
	return q->nids == 0;
}

/* XEP-0313 4.1.1: a bare JID means all its resources; one's own means what one sent to oneself. */
static bool is_with(const struct query *q, const struct db_archive_entry *m)
{
	struct slice with = q->m->with;

	if (with.len == 0)
		return true;
	if (!slice_eq(archive_peer(m, str_slice(&q->own)), q->with_bare))
		return false;
	return with.len == q->with_bare.len || slice_eq(m->from, with) || slice_eq(m->to, with);
}

static bool matches(const struct query *q, const struct db_archive_entry *m, struct archive_place p)
{
	return m->stamp_ms >= q->start_ms && m->stamp_ms <= q->end_ms && is_with(q, m) &&
	       is_asked_for(q, p);
}

static enum err next_block_of_ids(const struct query *q, uint64_t *number, bool backward)
{
	uint64_t best = 0;

	for (size_t i = 0; i < q->nids; i++) {
		uint64_t block = q->ids[i].block;

		if (backward ? block < *number && block > best
			     : block > *number && (!best || block < best))
			best = block;
	}
	*number = best;
	return best ? ERR_OK : ERR_NOTFOUND;
}

/* The next block that may have something, behind (or in front of) *number. */
static enum err next_block(struct query *q, uint64_t *number, bool backward)
{
	if (q->nids)
		return next_block_of_ids(q, number, backward);
	if (q->m->with.len)
		return archive_key_next(q->d, q->account, q->with_key, number, backward);
	*number += backward ? (uint64_t)-1 : 1;
	return *number >= q->oldest && *number < q->next ? ERR_OK : ERR_NOTFOUND;
}

/* What is found is told one by one; false: enough. */
typedef bool found_fn(void *arg, struct archive_place p, struct slice packed);

/* Where each entry of the block starts: one takes 33 bytes at least. */
#define ENTRIES_MAX (ARCHIVE_BLOCK_MAX / 33 + 2)
struct starts {
	uint32_t at[ENTRIES_MAX];
	uint32_t n;
};

static bool look_through(struct query *q, const struct range *r, bool backward, found_fn *found,
			 void *arg)
{
	struct slice all = str_slice(&q->block.body), in = all;
	struct db_archive_entry m;
	struct starts s = {.n = 0};

	while (in.len && s.n < ENTRIES_MAX) {
		s.at[s.n++] = (uint32_t)(all.len - in.len);
		if (!db_archive_entry_get(&in, &m))
			return true; /* found damaged when it was read from the disk, if so */
	}
	for (uint32_t i = 0; i < s.n; i++) {
		uint32_t at = backward ? s.n - 1 - i : i;
		struct archive_place p = {q->block.number, at};

		if (compare(p, r->lo) < 0 || compare(p, r->hi) >= 0)
			continue;
		in = slice_of(all.data + s.at[at], all.len - s.at[at]);
		db_archive_entry_get(&in, &m);
		if (matches(q, &m, p) &&
		    !found(arg, p, slice_of(all.data + s.at[at], all.len - s.at[at] - in.len)))
			return false;
	}
	return true;
}

/* Through all blocks of the range. ERR_FULL: there are more than limit. */
static enum err walk(struct query *q, const struct range *r, bool backward, unsigned int limit,
		     found_fn *found, void *arg)
{
	uint64_t number = backward ? r->hi.block + 1 : r->lo.block - 1;
	enum err e;

	if (compare(r->lo, r->hi) >= 0)
		return ERR_OK;
	if (backward && number > q->next)
		number = q->next;
	while ((e = next_block(q, &number, backward)) == ERR_OK) {
		if (number < r->lo.block || number > r->hi.block)
			return ERR_OK;
		if (limit-- == 0)
			return ERR_FULL;
		e = archive_block_get(q->d, q->account, number, &q->block);
		if (e != ERR_OK)
			return e;
		if (!look_through(q, r, backward, found, arg))
			return ERR_OK;
	}
	return e == ERR_NOTFOUND ? ERR_OK : e;
}

struct taking {
	const struct msg_db_archive_query *m;
	struct msg_db_archive_page *page;
	struct str *out;
	struct archive_place earliest;
};

static bool take(void *arg, struct archive_place p, struct slice packed)
{
	struct taking *t = arg;
	uint32_t bytes = t->m->bytes < PAGE_MAX ? t->m->bytes : PAGE_MAX;

	if (t->page->count >= t->m->max || (t->page->count && t->out->len + packed.len > bytes)) {
		t->page->more = 1;
		return false;
	}
	if (t->page->count == 0 || compare(p, t->earliest) < 0)
		t->earliest = p;
	str_add_slice(t->out, packed);
	t->page->count++;
	return true;
}

struct counting {
	uint64_t total, before;
	struct archive_place earliest;
};

static bool count_one(void *arg, struct archive_place p, struct slice packed)
{
	struct counting *c = arg;

	(void)packed;
	c->total++;
	c->before += compare(p, c->earliest) < 0;
	return true;
}

static enum err count(struct query *q, const struct range *set, const struct taking *t)
{
	struct counting c = {.earliest = t->earliest};
	enum err e = walk(q, set, false, COUNT_BLOCKS, count_one, &c);

	if (e != ERR_OK)
		return e == ERR_FULL ? ERR_OK : e;
	t->page->total = c.total;
	t->page->known = 1;
	if (t->page->count) {
		t->page->index = c.before;
		t->page->known |= 2;
	}
	return ERR_OK;
}

/* The result set, then the page in it. */
static enum err limit(struct query *q, struct range *set, struct range *page)
{
	enum err e = limit_by_time(q, set);

	if (e == ERR_OK)
		e = limit_by_id(q, set, q->m->after_id, true);
	if (e == ERR_OK)
		e = limit_by_id(q, set, q->m->before_id, false);
	*page = *set;
	if (e == ERR_OK)
		e = limit_by_id(q, page, q->m->after, true);
	if (e == ERR_OK)
		e = limit_by_id(q, page, q->m->before, false);
	if (e == ERR_OK)
		e = find_ids(q);
	return e == ERR_FULL ? ERR_TOOBIG : e;
}

static uint64_t kept_since(uint64_t now_ms, const struct archive_limits *limits)
{
	return limits->retention_ms && now_ms > limits->retention_ms ? now_ms - limits->retention_ms
								     : 0;
}

static enum err open_query(struct query *q, struct slice user, struct slice domain)
{
	struct archive_owner o;
	uint64_t created;
	enum err e = accounts_id(q->d, user, domain, &q->account, &created);

	if (e == ERR_OK)
		e = archive_owner_get(q->d, q->account, &o);
	if (e != ERR_OK)
		return e;
	str_addf(&q->own, "%.*s@%.*s", SLICE_ARG(user), SLICE_ARG(domain));
	q->next = o.next;
	e = archive_block_oldest(q->d, q->account, &q->oldest);
	if (e != ERR_NOTFOUND)
		return e;
	q->oldest = q->next;
	return ERR_OK;
}

static void close_query(struct query *q)
{
	str_clear(&q->own);
	str_clear(&q->block.body);
}

static enum err run(struct query *q, struct msg_db_archive_page *page, struct str *out)
{
	struct range set = {at_block(q->oldest), at_block(q->next)}, range;
	struct taking t = {.m = q->m, .page = page, .out = out};
	enum err e = limit(q, &set, &range);

	if (e == ERR_OK)
		e = walk(q, &range, q->m->backward, PAGE_BLOCKS, take, &t);
	if (e == ERR_FULL) { /* what was found is the page, and there may be more */
		page->more = 1;
		e = page->count ? ERR_OK : ERR_TOOBIG;
	}
	if (e == ERR_OK && q->m->counted)
		e = count(q, &set, &t);
	page->list = str_slice(out);
	return e;
}

enum err archive_query(struct db *d, const struct msg_db_archive_query *m, uint64_t now_ms,
		       const struct archive_limits *limits, struct msg_db_archive_page *page,
		       struct str *out, struct str *why)
{
	struct query q = {.d = d,
			  .m = m,
			  .start_ms = m->start_ms,
			  .end_ms = m->end_ms ? m->end_ms : NO_END,
			  .own = STR_INIT,
			  .with_bare = archive_bare(m->with),
			  .find_blocks = FIND_BLOCKS,
			  .block = ARCHIVE_BLOCK_INIT};
	uint64_t since = kept_since(now_ms, limits);
	enum err e = open_query(&q, m->user, m->domain);

	*page = (struct msg_db_archive_page){0};
	q.with_key = archive_key_peer(q.with_bare);
	if (since > q.start_ms)
		q.start_ms = since;
	if (e == ERR_OK)
		e = run(&q, page, out);
	if (e == ERR_NOTFOUND)
		str_adds(why, "there is no such account or message");
	else if (e == ERR_TOOBIG)
		str_adds(why, "too much would have to be looked through; name a shorter time, or "
			      "fewer ids");
	else if (e == ERR_FORMAT)
		str_adds(why, "the request is malformed");
	close_query(&q);
	return e;
}

enum err archive_ends(struct db *d, struct slice user, struct slice domain, uint64_t now_ms,
		      const struct archive_limits *limits, struct msg_db_archive_page *page,
		      struct str *out)
{
	struct msg_db_archive_query m = {.user = user, .domain = domain, .max = 1, .bytes = 1};
	struct str why = STR_INIT, last = STR_INIT;
	struct msg_db_archive_page other;
	enum err e = archive_query(d, &m, now_ms, limits, page, out, &why);

	m.backward = 1;
	if (e == ERR_OK && page->count)
		e = archive_query(d, &m, now_ms, limits, &other, &last, &why);
	if (e == ERR_OK && page->count) {
		str_add_slice(out, str_slice(&last));
		page->count += other.count;
		page->more = 0;
		page->list = str_slice(out);
	}
	str_clear(&last);
	str_clear(&why);
	return e;
}
