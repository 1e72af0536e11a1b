#include "base/blob.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/xmem.h"

struct blob *blob_new(const void *data, size_t len)
{
	struct blob *b;

	check(len < UINT32_MAX);
	b = xmalloc(sizeof(*b) + len + 1);
	b->refs = 1;
	b->len = (uint32_t)len;
	if (len)
		memcpy(b->data, data, len);
	b->data[len] = '\0';
	return b;
}

struct blob *blob_ref(struct blob *b)
{
	check(b->refs < UINT32_MAX);
	b->refs++;
	return b;
}

void blob_unref(struct blob **bp)
{
	struct blob *b = *bp;

	*bp = NULL;
	if (!b)
		return;
	check(b->refs > 0);
	if (--b->refs == 0)
		free(b);
}
