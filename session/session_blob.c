#include "session/session_blob.h"

#include "base/str.h"
#include "ipc/codec.h"
#include "session/lost.h"
#include "session/manager.h"
#include "session/registry.h"

#define BLOB_VERSION 1

#define BLOB_INTERESTED 0x01
#define BLOB_AVAILABLE	0x02
#define BLOB_BACKLOG	0x04
#define BLOB_HIDDEN	0x08
#define BLOB_HEIR	0x10 /* what the session before it has left follows */
#define BLOB_CARBONS	0x20

#define BLOB_BLOCKED 0x40 /* whom the user has blocked is known and follows */

static void put_presence(struct str *out, const struct presence *p)
{
	codec_put_u16(out, p->flags);
	codec_put_str(out, p->lang);
	codec_put_str(out, p->children);
	codec_put_bytes(out, p->inner);
}

static void put_targets(struct str *out, const struct session *s)
{
	codec_put_u16(out, s->ntargets);
	codec_put_bytes(out, str_slice(&s->targets));
}

/* At the end, and only of a session that has said any. */
static void put_numbers(struct str *out, const struct session *s)
{
	if (!s->said_n)
		return;
	codec_put_u64(out, s->came_n);
	codec_put_u64(out, s->said_n);
	codec_put_u64(out, s->came_at);
	codec_put_u64(out, s->said_at);
	codec_put_u8(out, s->left ? 1 + s->left->shown : 0);
	if (s->left) {
		codec_put_u16(out, s->left->ntargets);
		codec_put_bytes(out, slice_of(s->left->targets, s->left->len));
	}
	if (s->greeted_n)
		codec_put_u64(out, s->greeted_n);
}

void session_blob_pack(const struct session *s, struct str *out)
{
	const struct session *before = lost_of(s);
	bool blocked = s->user->contacts.blocking != BLOCKING_UNKNOWN;
	uint8_t flags = (s->interested ? BLOB_INTERESTED : 0) | (s->last ? BLOB_AVAILABLE : 0) |
			(s->backlog ? BLOB_BACKLOG : 0) | (s->hidden ? BLOB_HIDDEN : 0) |
			(before ? BLOB_HEIR : 0) | (s->carbons ? BLOB_CARBONS : 0) |
			(blocked ? BLOB_BLOCKED : 0);

	codec_put_u8(out, BLOB_VERSION);
	codec_put_u8(out, flags);
	codec_put_u8(out, (uint8_t)s->priority);
	if (s->last)
		put_presence(out, s->last);
	put_targets(out, s);
	if (before) {
		codec_put_u8(out, before->last ? 1 : 0);
		if (before->last)
			put_presence(out, before->last);
		put_targets(out, before);
	}
	if (blocked) {
		codec_put_u8(out, s->follows_blocked);
		codec_put_bytes(out, blob_slice(s->user->contacts.blocked));
	}
	put_numbers(out, s);
}

void session_blob_emit(struct session_manager *m, struct session *s)
{
	struct str out = STR_INIT;

	session_blob_pack(s, &out);
	s->knows_blocked = s->user->contacts.blocking != BLOCKING_UNKNOWN;
	m->host.blob(m->ctx, s->sid, str_slice(&out));
	str_clear(&out);
}

static bool targets_valid(struct slice packed, uint16_t count)
{
	struct slice jid;

	for (uint16_t i = 0; i < count; i++) {
		if (!codec_get_str(&packed, &jid) || jid.len == 0)
			return false;
	}
	return packed.len == 0;
}

static bool get_left(struct slice *blob, bool available, struct session_left *out)
{
	out->available = available;
	if (available &&
	    (!codec_get_u16(blob, &out->last.flags) || !codec_get_str(blob, &out->last.lang) ||
	     !codec_get_str(blob, &out->last.children) || !codec_get_bytes(blob, &out->last.inner)))
		return false;
	return codec_get_u16(blob, &out->ntargets) && codec_get_bytes(blob, &out->targets) &&
	       targets_valid(out->targets, out->ntargets);
}

struct session_parts {
	uint8_t flags, priority;
	struct session_left own, before;
	uint8_t follows_blocked;
	struct slice blocked;
	uint64_t came_n, said_n, came_at, said_at;
	uint8_t left; /* 1 = it has said unavailable, 2 = and was seen until then */
	uint16_t ntargets;
	struct slice targets;
	uint64_t greeted_n;
};

static bool blocked_valid(struct slice packed)
{
	struct slice jid;

	while (packed.len) {
		if (!codec_get_str(&packed, &jid) || jid.len == 0)
			return false;
	}
	return true;
}

static bool get_numbers(struct slice *blob, struct session_parts *b)
{
	if (blob->len == 0)
		return true;
	if (!codec_get_u64(blob, &b->came_n) || !codec_get_u64(blob, &b->said_n) ||
	    !codec_get_u64(blob, &b->came_at) || !codec_get_u64(blob, &b->said_at) ||
	    !codec_get_u8(blob, &b->left))
		return false;
	if (b->left && (!codec_get_u16(blob, &b->ntargets) || !codec_get_bytes(blob, &b->targets) ||
			!targets_valid(b->targets, b->ntargets)))
		return false;
	return blob->len == 0 || codec_get_u64(blob, &b->greeted_n);
}

static enum err parse(struct slice in, struct session_parts *b)
{
	uint8_t version, available;

	*b = (struct session_parts){0};
	if (in.len == 0)
		return ERR_OK;
	if (!codec_get_u8(&in, &version))
		return ERR_FORMAT;
	if (version != BLOB_VERSION)
		return ERR_VERSION;
	if (!codec_get_u8(&in, &b->flags) || !codec_get_u8(&in, &b->priority) ||
	    !get_left(&in, b->flags & BLOB_AVAILABLE, &b->own))
		return ERR_FORMAT;
	if ((b->flags & BLOB_HEIR) &&
	    (!codec_get_u8(&in, &available) || !get_left(&in, available, &b->before)))
		return ERR_FORMAT;
	if ((b->flags & BLOB_BLOCKED) &&
	    (!codec_get_u8(&in, &b->follows_blocked) || !codec_get_bytes(&in, &b->blocked) ||
	     !blocked_valid(b->blocked)))
		return ERR_FORMAT;
	return get_numbers(&in, b) ? ERR_OK : ERR_FORMAT;
}

/* A router that died in the middle of a change has told some cms of it and others not. */
static void restore_blocked(struct session *s, const struct session_parts *b)
{
	struct contacts *c = &s->user->contacts;

	s->follows_blocked = b->follows_blocked;
	if (!(b->flags & BLOB_BLOCKED) || c->blocking_doubt)
		return;
	if (c->blocking == BLOCKING_UNKNOWN) {
		contacts_block(c, b->blocked);
		s->knows_blocked = true;
	} else if (slice_eq(blob_slice(c->blocked), b->blocked)) {
		s->knows_blocked = true;
	} else {
		contacts_doubt(c);
	}
}

enum err session_blob_restore(struct session *s, struct slice blob)
{
	struct session_parts b;
	enum err e = parse(blob, &b);

	if (e != ERR_OK || blob.len == 0)
		return e;
	s->interested = b.flags & BLOB_INTERESTED;
	registry_set_carbons(s, b.flags & BLOB_CARBONS);
	if (b.own.available)
		registry_set_presence(s, &b.own.last, (int8_t)b.priority);
	s->informed = s->last != NULL;
	s->backlog = s->last && (b.flags & BLOB_BACKLOG);
	s->hidden = s->last && (b.flags & BLOB_HIDDEN);
	str_reset(&s->targets);
	str_add_slice(&s->targets, b.own.targets);
	s->ntargets = b.own.ntargets;
	s->came_n = b.came_n;
	s->said_n = b.said_n;
	s->came_at = b.came_at;
	s->said_at = b.said_at;
	s->greeted_n = b.said_n ? b.greeted_n : 0;
	if (b.left)
		registry_set_left(s, b.left > 1, b.ntargets, b.targets);
	restore_blocked(s, &b);
	return ERR_OK;
}

bool session_blob_inherited(struct slice blob, struct session_left *out)
{
	struct session_parts b;

	if (parse(blob, &b) != ERR_OK || (!b.before.available && !b.before.ntargets))
		return false;
	*out = b.before;
	return true;
}
