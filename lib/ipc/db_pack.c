#include "ipc/db_pack.h"

#include "base/xmem.h"
#include "ipc/codec.h"

void db_roster_item_put(struct str *out, const struct db_roster_item *item)
{
	codec_put_str(out, item->jid);
	codec_put_str(out, item->name);
	codec_put_u8(out, item->subscription);
	codec_put_u8(out, item->ask);
	codec_put_u8(out, item->approved);
	codec_put_u8(out, item->pending_in);
	codec_put_u16(out, item->ngroups);
	codec_put_bytes(out, item->groups);
	codec_put_bytes(out, item->request);
}

bool db_roster_item_get(struct slice *in, struct db_roster_item *item)
{
	*item = (struct db_roster_item){0};
	return codec_get_str(in, &item->jid) && codec_get_str(in, &item->name) &&
	       codec_get_u8(in, &item->subscription) && codec_get_u8(in, &item->ask) &&
	       codec_get_u8(in, &item->approved) && codec_get_u8(in, &item->pending_in) &&
	       codec_get_u16(in, &item->ngroups) && codec_get_bytes(in, &item->groups) &&
	       codec_get_bytes(in, &item->request);
}

void db_scram_put(struct str *out, const struct db_scram *s)
{
	codec_put_str(out, s->hash);
	codec_put_u32(out, s->iterations);
	codec_put_str(out, s->salt);
	codec_put_str(out, s->stored_key);
	codec_put_str(out, s->server_key);
}

bool db_scram_get(struct slice *in, struct db_scram *s)
{
	*s = (struct db_scram){0};
	return codec_get_str(in, &s->hash) && codec_get_u32(in, &s->iterations) &&
	       codec_get_str(in, &s->salt) && codec_get_str(in, &s->stored_key) &&
	       codec_get_str(in, &s->server_key);
}

void db_offline_put(struct str *out, const struct db_offline *o)
{
	codec_put_u64(out, o->id);
	codec_put_u64(out, o->origin_sid);
	codec_put_u64(out, o->origin_n);
	codec_put_u64(out, o->stamp_ms);
	codec_put_u8(out, o->kind);
	codec_put_u8(out, o->type);
	codec_put_u16(out, o->flags);
	codec_put_str(out, o->from);
	codec_put_str(out, o->to);
	codec_put_str(out, o->stanza_id);
	codec_put_str(out, o->lang);
	codec_put_str(out, o->children);
	codec_put_bytes(out, o->inner);
}

bool db_offline_get(struct slice *in, struct db_offline *o)
{
	*o = (struct db_offline){0};
	return codec_get_u64(in, &o->id) && codec_get_u64(in, &o->origin_sid) &&
	       codec_get_u64(in, &o->origin_n) && codec_get_u64(in, &o->stamp_ms) &&
	       codec_get_u8(in, &o->kind) && codec_get_u8(in, &o->type) &&
	       codec_get_u16(in, &o->flags) && codec_get_str(in, &o->from) &&
	       codec_get_str(in, &o->to) && codec_get_str(in, &o->stanza_id) &&
	       codec_get_str(in, &o->lang) && codec_get_str(in, &o->children) &&
	       codec_get_bytes(in, &o->inner);
}

void db_shelf_change_put(struct str *out, const struct db_shelf_change *c)
{
	codec_put_u8(out, c->op);
	codec_put_u64(out, c->sid);
	codec_put_u8(out, c->kind);
	codec_put_u64(out, c->n);
	codec_put_u64(out, c->upto);
	codec_put_bytes(out, c->body);
}

bool db_shelf_change_get(struct slice *in, struct db_shelf_change *c)
{
	*c = (struct db_shelf_change){0};
	return codec_get_u8(in, &c->op) && codec_get_u64(in, &c->sid) &&
	       codec_get_u8(in, &c->kind) && codec_get_u64(in, &c->n) &&
	       codec_get_u64(in, &c->upto) && codec_get_bytes(in, &c->body);
}

void db_shelf_row_put(struct str *out, const struct db_shelf_row *r)
{
	codec_put_u64(out, r->sid);
	codec_put_u8(out, r->kind);
	codec_put_u64(out, r->n);
	codec_put_bytes(out, r->body);
}

bool db_shelf_row_get(struct slice *in, struct db_shelf_row *r)
{
	*r = (struct db_shelf_row){0};
	return codec_get_u64(in, &r->sid) && codec_get_u8(in, &r->kind) &&
	       codec_get_u64(in, &r->n) && codec_get_bytes(in, &r->body);
}

void db_component_put(struct str *out, const struct msg_db_component *c)
{
	struct str record = STR_INIT;

	msg_db_component_put(&record, c);
	codec_put_bytes(out, str_slice(&record));
	xwipe(record.data, record.len); /* a secret */
	str_clear(&record);
}

bool db_component_get(struct slice *in, struct msg_db_component *c)
{
	struct slice record, body;
	uint16_t type;

	*c = (struct msg_db_component){0};
	return codec_get_bytes(in, &record) && codec_next(&record, &type, &body) == ERR_OK &&
	       record.len == 0 && type == MSG_DB_COMPONENT &&
	       msg_db_component_get(body, c) == ERR_OK;
}
