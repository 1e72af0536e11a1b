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

void session_blob_pack(const struct session *s, struct str *out)
{
	const struct session *before = lost_of(s);
	uint8_t flags = (s->interested ? BLOB_INTERESTED : 0) | (s->last ? BLOB_AVAILABLE : 0) |
			(s->backlog ? BLOB_BACKLOG : 0) | (s->hidden ? BLOB_HIDDEN : 0) |
			(before ? BLOB_HEIR : 0);

	codec_put_u8(out, BLOB_VERSION);
	codec_put_u8(out, flags);
	codec_put_u8(out, (uint8_t)s->priority);
	if (s->last)
		put_presence(out, s->last);
	put_targets(out, s);
	if (!before)
		return;
	codec_put_u8(out, before->last ? 1 : 0);
	if (before->last)
		put_presence(out, before->last);
	put_targets(out, before);
}

void session_blob_emit(struct session_manager *m, const struct session *s)
{
	struct str out = STR_INIT;

	session_blob_pack(s, &out);
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

struct blob {
	uint8_t flags, priority;
	struct session_left own, before;
};

static enum err parse(struct slice in, struct blob *b)
{
	uint8_t version, available;

	*b = (struct blob){0};
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
	return ERR_OK;
}

enum err session_blob_restore(struct session *s, struct slice blob)
{
	struct blob b;
	enum err e = parse(blob, &b);

	if (e != ERR_OK || blob.len == 0)
		return e;
	s->interested = b.flags & BLOB_INTERESTED;
	if (b.own.available)
		registry_set_presence(s, &b.own.last, (int8_t)b.priority);
	s->informed = s->last != NULL;
	s->backlog = s->last && (b.flags & BLOB_BACKLOG);
	s->hidden = s->last && (b.flags & BLOB_HIDDEN);
	str_reset(&s->targets);
	str_add_slice(&s->targets, b.own.targets);
	s->ntargets = b.own.ntargets;
	return ERR_OK;
}

bool session_blob_inherited(struct slice blob, struct session_left *out)
{
	struct blob b;

	if (parse(blob, &b) != ERR_OK || (!b.before.available && !b.before.ntargets))
		return false;
	*out = b.before;
	return true;
}
