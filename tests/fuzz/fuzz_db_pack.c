/* Lists inside of BYTES: what is read is what would be written for it, and nothing behind the end
 * is looked at. The first byte says which list it is. */
#include <stdint.h>

#include "base/check.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(struct slice s)
{
	volatile unsigned char sum = 0;

	for (size_t i = 0; i < s.len; i++)
		sum = (unsigned char)(sum + (unsigned char)s.data[i]);
}

static bool roster_item(struct slice *in, struct str *out)
{
	struct db_roster_item item;
	struct slice group;

	if (!db_roster_item_get(in, &item))
		return false;
	db_roster_item_put(out, &item);
	touch(item.name);
	while (item.groups.len > 0 && codec_get_str(&item.groups, &group))
		touch(group);
	return true;
}

static bool scram(struct slice *in, struct str *out)
{
	struct db_scram keys;

	if (!db_scram_get(in, &keys))
		return false;
	db_scram_put(out, &keys);
	touch(keys.server_key);
	return true;
}

static bool offline(struct slice *in, struct str *out)
{
	struct db_offline message;

	if (!db_offline_get(in, &message))
		return false;
	db_offline_put(out, &message);
	touch(message.inner);
	return true;
}

static bool shelf_change(struct slice *in, struct str *out)
{
	struct db_shelf_change change;

	if (!db_shelf_change_get(in, &change))
		return false;
	db_shelf_change_put(out, &change);
	touch(change.body);
	return true;
}

static bool shelf_row(struct slice *in, struct str *out)
{
	struct db_shelf_row row;

	if (!db_shelf_row_get(in, &row))
		return false;
	db_shelf_row_put(out, &row);
	touch(row.body);
	return true;
}

static bool component(struct slice *in, struct str *out)
{
	struct msg_db_component c;

	if (!db_component_get(in, &c))
		return false;
	db_component_put(out, &c);
	touch(c.secret);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool (*const lists[])(struct slice *, struct str *) = {
		roster_item, scram, offline, shelf_change, shelf_row, component};
	struct slice in = slice_of((const char *)data, size);
	struct slice before;
	uint8_t list;

	if (!codec_get_u8(&in, &list))
		return 0;
	for (before = in; in.len > 0; before = in) {
		struct str out = STR_INIT;
		bool ok = lists[list % (sizeof(lists) / sizeof(lists[0]))](&in, &out);

		check(in.len < before.len);
		check(!ok || slice_eq(str_slice(&out), slice_of(before.data, before.len - in.len)));
		str_clear(&out);
		if (!ok)
			break;
	}
	return 0;
}
