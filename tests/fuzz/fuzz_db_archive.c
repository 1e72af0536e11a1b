/* Archive lists inside of BYTES: what is read is what would be written for it, and nothing behind
 * the end is looked at. The first byte says which list it is. */
#include <stdint.h>

#include "base/check.h"
#include "ipc/codec.h"
#include "ipc/db_archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool id(struct slice *in, struct str *out)
{
	struct db_archive_id i;

	if (!db_archive_id_get(in, &i))
		return false;
	db_archive_id_put(out, i);
	return true;
}

static bool entry(struct slice *in, struct str *out)
{
	struct db_archive_entry e;

	if (!db_archive_entry_get(in, &e))
		return false;
	db_archive_entry_put(out, &e);
	return true;
}

static bool addition(struct slice *in, struct str *out)
{
	struct db_archive_addition a;

	if (!db_archive_addition_get(in, &a))
		return false;
	db_archive_addition_put(out, &a);
	return true;
}

static bool prefs(struct slice *in, struct str *out)
{
	struct db_archive_prefs p;
	uint8_t policy;

	if (!db_archive_prefs_get(in, &p))
		return false;
	db_archive_prefs_put(out, &p);
	policy = db_archive_prefs_for(&p, slice_str("juliet@example.com/balcony"));
	check(db_archive_policy_parse(slice_str(db_archive_policy_name(policy)), &policy));
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool (*const lists[])(struct slice *, struct str *) = {id, entry, addition, prefs};
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
