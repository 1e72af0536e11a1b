/* Bytes from another process: every record that is accepted is the one that would be written for
 * what was read; lists inside of BYTES end where they end. */
#include <stdint.h>

#include "base/check.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err read_and_write(uint16_t type, struct slice body, struct str *out)
{
	enum err e = ERR_NOTFOUND;

	switch (type) {
#define MSG(NAME, name, number, from, to, fields, help) \
	case MSG_##NAME: {                              \
		struct msg_##name m;                    \
                                                        \
		e = msg_##name##_get(body, &m);         \
		if (!e)                                 \
			msg_##name##_put(out, &m);      \
		break;                                  \
	}
#include "ipc/messages.def"
#undef MSG
	default:
		break;
	}
	return e;
}

static void read_lists(struct slice in)
{
	struct slice roster = in, scram = in;
	struct db_roster_item item;
	struct db_scram keys;
	struct slice group;

	while (roster.len > 0 && db_roster_item_get(&roster, &item))
		while (item.groups.len > 0 && codec_get_str(&item.groups, &group))
			;
	while (scram.len > 0 && db_scram_get(&scram, &keys))
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of((const char *)data, size);
	struct slice body;
	uint16_t type;

	read_lists(in);
	while (in.len > 0) {
		struct slice before = in;
		struct str out = STR_INIT;

		if (codec_next(&in, &type, &body)) {
			check(in.len == before.len);
			break;
		}
		check(in.len < before.len && body.len <= before.len - in.len);
		check(codec_name(type));
		(void)codec_may_send(type, IPC_ANY);
		if (read_and_write(type, body, &out) == ERR_OK)
			check(slice_eq(str_slice(&out),
				       slice_of(before.data, before.len - in.len)));
		str_clear(&out);
	}
	return 0;
}
