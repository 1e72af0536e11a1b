/* Whatever jid_parse() accepts has parts of legal length, splits like its text, and is stable:
 * parsed again it is the same text. */
#include <stdint.h>

#include "base/check.h"
#include "xmpp/jid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct jid *j)
{
	struct slice text = jid_full(j);
	struct jid again;

	check(jid_parse(&again, text) == ERR_OK);
	check(slice_eq(jid_full(&again), text));
	jid_clear(&again);
	check(jid_parse(&again, jid_bare(j)) == ERR_OK);
	check(slice_eq(jid_full(&again), jid_bare(j)));
	jid_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);
	struct jid j;

	if (jid_parse(&j, text) != ERR_OK) {
		check(!j.text);
		return 0;
	}
	check(strlen(j.text) == jid_full(&j).len);
	check(j.domain.len >= 1 && j.domain.len <= JID_PART_MAX);
	check(j.local.len <= JID_PART_MAX && (j.local.len > 0 || !j.local.data));
	check(j.resource.len <= JID_PART_MAX && (j.resource.len > 0 || !j.resource.data));
	check(slice_eq(jid_text_local(jid_full(&j)), j.local));
	check(slice_eq(jid_text_domain(jid_full(&j)), j.domain));
	check(slice_eq(jid_text_resource(jid_full(&j)), j.resource));
	check(slice_eq(jid_text_bare(jid_full(&j)), jid_bare(&j)));
	check_again(&j);
	jid_clear(&j);
	return 0;
}
