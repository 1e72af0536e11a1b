#include "session/session_blob.h"

#include "base/str.h"
#include "ipc/codec.h"
#include "session/manager.h"
#include "session/registry.h"

#define BLOB_VERSION 1

#define BLOB_INTERESTED 0x01
#define BLOB_AVAILABLE	0x02
#define BLOB_BACKLOG	0x04

void session_blob_emit(struct session_manager *m, const struct session *s)
{
	struct str out = STR_INIT;
	uint8_t flags = (s->interested ? BLOB_INTERESTED : 0) | (s->last ? BLOB_AVAILABLE : 0) |
			(s->backlog ? BLOB_BACKLOG : 0);

	codec_put_u8(&out, BLOB_VERSION);
	codec_put_u8(&out, flags);
	codec_put_u8(&out, (uint8_t)s->priority);
	if (s->last) {
		codec_put_u16(&out, s->last->flags);
		codec_put_str(&out, s->last->lang);
		codec_put_str(&out, s->last->children);
		codec_put_bytes(&out, s->last->inner);
	}
	codec_put_u16(&out, s->ntargets);
	codec_put_bytes(&out, str_slice(&s->targets));
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

enum err session_blob_restore(struct session *s, struct slice blob)
{
	struct session_stanza last = {0};
	struct slice targets;
	uint8_t version, flags, priority;
	uint16_t count;

	if (blob.len == 0)
		return ERR_OK;
	if (!codec_get_u8(&blob, &version))
		return ERR_FORMAT;
	if (version != BLOB_VERSION)
		return ERR_VERSION;
	if (!codec_get_u8(&blob, &flags) || !codec_get_u8(&blob, &priority))
		return ERR_FORMAT;
	if ((flags & BLOB_AVAILABLE) &&
	    (!codec_get_u16(&blob, &last.flags) || !codec_get_str(&blob, &last.lang) ||
	     !codec_get_str(&blob, &last.children) || !codec_get_bytes(&blob, &last.inner)))
		return ERR_FORMAT;
	if (!codec_get_u16(&blob, &count) || !codec_get_bytes(&blob, &targets) ||
	    !targets_valid(targets, count))
		return ERR_FORMAT;

	s->interested = flags & BLOB_INTERESTED;
	if (flags & BLOB_AVAILABLE)
		registry_set_presence(s, &last, (int8_t)priority);
	s->informed = s->last != NULL;
	s->backlog = s->last && (flags & BLOB_BACKLOG);
	str_reset(&s->targets);
	str_add_slice(&s->targets, targets);
	s->ntargets = count;
	return ERR_OK;
}
