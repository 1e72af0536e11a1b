/*
 * codec - records as bytes: the only place where lengths and types from another process are
 * checked, once (STYLE 5). Everything here follows from messages.def.
 *
 * On the wire: u32 length of what follows, u16 type, fields in order; little endian, packed.
 * STR = u16 length + bytes, BYTES = u32 length + bytes.
 */
#ifndef IPC_CODEC_H
#define IPC_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

#define IPC_VERSION    1
#define IPC_RECORD_MAX (17u * 1024 * 1024)
#define IPC_BYTES_MAX  (16u * 1024 * 1024)

/* Roles, as sets. */
#define IPC_ROUTER 1u
#define IPC_CM	   2u
#define IPC_STORE  4u
#define IPC_CLI	   8u
#define IPC_ANY	   (IPC_ROUTER | IPC_CM | IPC_STORE | IPC_CLI)

enum msg_type {
#define MSG(NAME, name, number, from, to, fields, help) MSG_##NAME = (number),
#include "ipc/messages.def"
#undef MSG
};

/* struct msg_hello { uint16_t version; ... }: decoded strings borrow from the decoded bytes. */
#define F_U8(f)	   uint8_t f;
#define F_U16(f)   uint16_t f;
#define F_U32(f)   uint32_t f;
#define F_U64(f)   uint64_t f;
#define F_STR(f)   struct slice f;
#define F_BYTES(f) struct slice f;
#define MSG(NAME, name, number, from, to, fields, help) \
	struct msg_##name {                             \
		fields                                  \
	};
#include "ipc/messages.def"
#undef MSG
#undef F_U8
#undef F_U16
#undef F_U32
#undef F_U64
#undef F_STR
#undef F_BYTES

/* msg_x_put appends one whole record to out. A STR over 65,535 or BYTES over IPC_BYTES_MAX is a
 * bug of the caller (check). msg_x_get reads the fields of one record's body (after the type);
 * ERR_FORMAT when it is too short, too long or a length lies: *m is then zeroed. */
#define MSG(NAME, name, number, from, to, fields, help)                     \
	void msg_##name##_put(struct str *out, const struct msg_##name *m); \
	enum err msg_##name##_get(struct slice body, struct msg_##name *m);
#include "ipc/messages.def"
#undef MSG

/* Cuts the next record off *in. ERR_OK: *type and *body are set and *in is behind it; ERR_FORMAT:
 * the rest is not a record, *in unchanged. */
enum err codec_next(struct slice *in, uint16_t *type, struct slice *body);

/* "STANZA"; "unknown" for other numbers. */
const char *codec_name(uint16_t type);

/* May a service with these roles send (receive) this type? false for unknown numbers. */
bool codec_may_send(uint16_t type, unsigned int roles);
bool codec_may_receive(uint16_t type, unsigned int roles);

/* A report that may ride on the next batch or wait for the 20 ms tick (DESIGN 4). */
bool codec_is_lazy(uint16_t type);

/* The role of a service by its name: "router", "datastore", "cli", "cm-*" and everything else
 * that attaches as an endpoint ("echo", "conference"). */
unsigned int codec_role(struct slice service);

/* Primitives, for packed lists inside BYTES (lib/ipc/db_pack, session blobs). Getters cut off
 * *in; false (with *in empty) when it is too short. */
void codec_put_u8(struct str *out, uint8_t v);
void codec_put_u16(struct str *out, uint16_t v);
void codec_put_u32(struct str *out, uint32_t v);
void codec_put_u64(struct str *out, uint64_t v);
void codec_put_str(struct str *out, struct slice s);
void codec_put_bytes(struct str *out, struct slice s);
bool codec_get_u8(struct slice *in, uint8_t *v);
bool codec_get_u16(struct slice *in, uint16_t *v);
bool codec_get_u32(struct slice *in, uint32_t *v);
bool codec_get_u64(struct slice *in, uint64_t *v);
bool codec_get_str(struct slice *in, struct slice *s);
bool codec_get_bytes(struct slice *in, struct slice *s);

#endif
