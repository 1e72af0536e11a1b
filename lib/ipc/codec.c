#include "ipc/codec.h"

#include <endian.h>
#include <string.h>

#include "base/check.h"

void codec_put_u8(struct str *out, uint8_t v)
{
	str_add(out, &v, 1);
}

void codec_put_u16(struct str *out, uint16_t v)
{
	v = htole16(v);
	str_add(out, &v, sizeof(v));
}

void codec_put_u32(struct str *out, uint32_t v)
{
	v = htole32(v);
	str_add(out, &v, sizeof(v));
}

void codec_put_u64(struct str *out, uint64_t v)
{
	v = htole64(v);
	str_add(out, &v, sizeof(v));
}

void codec_put_str(struct str *out, struct slice s)
{
	check(s.len <= UINT16_MAX);
	codec_put_u16(out, (uint16_t)s.len);
	str_add_slice(out, s);
}

void codec_put_bytes(struct str *out, struct slice s)
{
	check(s.len <= IPC_BYTES_MAX);
	codec_put_u32(out, (uint32_t)s.len);
	str_add_slice(out, s);
}

/* Cuts n bytes off *in to *p; empties *in when it is too short, so that all later cuts fail too. */
static bool cut(struct slice *in, size_t n, const char **p)
{
	if (in->len < n) {
		*in = SLICE_NONE;
		return false;
	}
	*p = in->data;
	in->data += n;
	in->len -= n;
	return true;
}

static bool cut_copy(struct slice *in, size_t n, void *to)
{
	const char *p;

	if (!cut(in, n, &p))
		return false;
	memcpy(to, p, n);
	return true;
}

bool codec_get_u8(struct slice *in, uint8_t *v)
{
	return cut_copy(in, 1, v);
}

bool codec_get_u16(struct slice *in, uint16_t *v)
{
	bool ok = cut_copy(in, sizeof(*v), v);

	*v = ok ? le16toh(*v) : 0;
	return ok;
}

bool codec_get_u32(struct slice *in, uint32_t *v)
{
	bool ok = cut_copy(in, sizeof(*v), v);

	*v = ok ? le32toh(*v) : 0;
	return ok;
}

bool codec_get_u64(struct slice *in, uint64_t *v)
{
	bool ok = cut_copy(in, sizeof(*v), v);

	*v = ok ? le64toh(*v) : 0;
	return ok;
}

bool codec_get_str(struct slice *in, struct slice *s)
{
	uint16_t len;
	const char *p;

	if (!codec_get_u16(in, &len) || !cut(in, len, &p))
		return false;
	*s = slice_of(p, len);
	return true;
}

bool codec_get_bytes(struct slice *in, struct slice *s)
{
	uint32_t len;
	const char *p;

	if (!codec_get_u32(in, &len) || len > IPC_BYTES_MAX || !cut(in, len, &p)) {
		*in = SLICE_NONE;
		return false;
	}
	*s = slice_of(p, len);
	return true;
}

/* A record is measured first and then written at one go: its dozen fields would each ask for room.
 */

static inline size_t str_size(struct slice s)
{
	check(s.len <= UINT16_MAX);
	return sizeof(uint16_t) + s.len;
}

static inline size_t bytes_size(struct slice s)
{
	check(s.len <= IPC_BYTES_MAX);
	return sizeof(uint32_t) + s.len;
}

static inline char *write_u16(char *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline char *write_u32(char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline char *write_u64(char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline char *write_slice(char *p, struct slice s)
{
	if (s.len)
		memcpy(p, s.data, s.len);
	return p + s.len;
}

/* Room for a record of size bytes in all, and its beginning. */
static char *record_begin(struct str *out, size_t size, uint16_t type)
{
	char *p;

	check(size <= IPC_RECORD_MAX);
	str_reserve(out, size);
	p = out->data + out->len;
	out->len += size;
	out->data[out->len] = '\0';
	p = write_u32(p, (uint32_t)(size - sizeof(uint32_t)));
	return write_u16(p, type);
}

#define RECORD_HEAD (sizeof(uint32_t) + sizeof(uint16_t))

#define F_U8(f)	   +sizeof(uint8_t)
#define F_U16(f)   +sizeof(uint16_t)
#define F_U32(f)   +sizeof(uint32_t)
#define F_U64(f)   +sizeof(uint64_t)
#define F_STR(f)   +str_size(m->f)
#define F_BYTES(f) +bytes_size(m->f)
#define MSG(NAME, name, number, from, to, fields, help)              \
	static inline size_t name##_size(const struct msg_##name *m) \
	{                                                            \
		(void)m;                                             \
		return RECORD_HEAD fields;                           \
	}
#include "ipc/messages.def"
#undef MSG
#undef F_U8
#undef F_U16
#undef F_U32
#undef F_U64
#undef F_STR
#undef F_BYTES

#define F_U8(f)	   *p++ = (char)m->f;
#define F_U16(f)   p = write_u16(p, m->f);
#define F_U32(f)   p = write_u32(p, m->f);
#define F_U64(f)   p = write_u64(p, m->f);
#define F_STR(f)   p = write_slice(write_u16(p, (uint16_t)m->f.len), m->f);
#define F_BYTES(f) p = write_slice(write_u32(p, (uint32_t)m->f.len), m->f);
#define MSG(NAME, name, number, from, to, fields, help)                    \
	void msg_##name##_put(struct str *out, const struct msg_##name *m) \
	{                                                                  \
		char *p = record_begin(out, name##_size(m), (number));     \
		fields check(p == out->data + out->len);                   \
	}
#include "ipc/messages.def"
#undef MSG
#undef F_U8
#undef F_U16
#undef F_U32
#undef F_U64
#undef F_STR
#undef F_BYTES

#define F_U8(f)	   ok = ok && codec_get_u8(&in, &m->f);
#define F_U16(f)   ok = ok && codec_get_u16(&in, &m->f);
#define F_U32(f)   ok = ok && codec_get_u32(&in, &m->f);
#define F_U64(f)   ok = ok && codec_get_u64(&in, &m->f);
#define F_STR(f)   ok = ok && codec_get_str(&in, &m->f);
#define F_BYTES(f) ok = ok && codec_get_bytes(&in, &m->f);
#define MSG(NAME, name, number, from, to, fields, help)                  \
	enum err msg_##name##_get(struct slice in, struct msg_##name *m) \
	{                                                                \
		bool ok = true;                                          \
		memset(m, 0, sizeof(*m));                                \
		fields if (ok && in.len == 0) return ERR_OK;             \
		memset(m, 0, sizeof(*m));                                \
		return ERR_FORMAT;                                       \
	}
#include "ipc/messages.def"
#undef MSG

enum err codec_next(struct slice *in, uint16_t *type, struct slice *body)
{
	struct slice rest = *in;
	uint32_t len;
	const char *p;

	if (!codec_get_u32(&rest, &len) || len < sizeof(*type) || len > IPC_RECORD_MAX ||
	    !cut(&rest, len, &p))
		return ERR_FORMAT;
	*body = slice_of(p, len);
	codec_get_u16(body, type);
	*in = rest;
	return ERR_OK;
}

struct msg_row {
	const char *name;
	unsigned int from;
	unsigned int to;
};

static const struct msg_row msg_rows[] = {
#define MSG(NAME, name, number, from, to, fields, help) [number] = {#NAME, (from), (to)},
#include "ipc/messages.def"
#undef MSG
};

static const struct msg_row *row_of(uint16_t type)
{
	if (type >= sizeof(msg_rows) / sizeof(msg_rows[0]) || !msg_rows[type].name)
		return NULL;
	return &msg_rows[type];
}

const char *codec_name(uint16_t type)
{
	const struct msg_row *r = row_of(type);

	return r ? r->name : "unknown";
}

bool codec_may_send(uint16_t type, unsigned int roles)
{
	const struct msg_row *r = row_of(type);

	return r && (r->from & roles);
}

bool codec_may_receive(uint16_t type, unsigned int roles)
{
	const struct msg_row *r = row_of(type);

	return r && (r->to & roles);
}

bool codec_is_lazy(uint16_t type)
{
	return type == MSG_HELD || type == MSG_SETTLED || type == MSG_SETTLED_RUN ||
	       type == MSG_DELIVERED || type == MSG_FORGET || type == MSG_PONG;
}

unsigned int codec_role(struct slice service)
{
	if (slice_is(service, "router"))
		return IPC_ROUTER;
	if (slice_is(service, "datastore"))
		return IPC_STORE;
	if (slice_is(service, "cli"))
		return IPC_CLI;
	return IPC_CM;
}
