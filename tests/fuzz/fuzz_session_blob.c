/* What a cm kept for a session and gives back to a new router: it is refused whole, or it is a
 * state that packs to the same bytes as the state that those bytes restore. */
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/str.h"
#include "session/manager.h"
#include "session/registry.h"
#include "session/session_blob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep(void *ctx, uint64_t sid, struct slice blob)
{
	struct str *out = ctx;

	(void)sid;
	str_reset(out);
	str_add_slice(out, blob);
}

static void forget(struct session *s)
{
	registry_set_presence(s, NULL, 0);
	str_clear(&s->targets);
	free(s->left);
	contacts_clear(&s->user->contacts);
	free(s->user);
	free(s);
}

static struct session *fresh(void)
{
	struct session *s = calloc(1, sizeof(*s));

	check(s);
	str_init(&s->targets);
	s->user = calloc(1, sizeof(*s->user));
	check(s->user);
	list_init(&s->user->lost);
	str_init(&s->user->contacts.list);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str first = STR_INIT, second = STR_INIT;
	struct session_manager m = {.host = {.blob = keep}};
	struct session *s = fresh(), *t = fresh();

	if (session_blob_restore(s, slice_of((const char *)data, size)) == ERR_OK) {
		m.ctx = &first;
		session_blob_emit(&m, s);
		check(session_blob_restore(t, str_slice(&first)) == ERR_OK);
		m.ctx = &second;
		session_blob_emit(&m, t);
		check(slice_eq(str_slice(&first), str_slice(&second)));
	} else {
		check(!s->last && s->targets.len == 0 && s->ntargets == 0);
		check(s->user->contacts.blocking == BLOCKING_UNKNOWN);
	}
	forget(s);
	forget(t);
	str_clear(&first);
	str_clear(&second);
	return 0;
}
