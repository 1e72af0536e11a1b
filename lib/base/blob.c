#include "base/blob.h"

#include <string.h>

#include "base/check.h"
#include "base/pool.h"
#include "base/xmem.h"

#define SECRET (1u << 31)

struct blob *blob_new(const void *data, size_t len)
{
	struct blob *b;

	check(len < UINT32_MAX);
	b = pool_alloc(sizeof(*b) + len + 1);
	b->refs = 1;
	b->len = (uint32_t)len;
	if (len)
		memcpy(b->data, data, len);
	b->data[len] = '\0';
	return b;
}

void blob_set_secret(struct blob *b)
{
	b->refs |= SECRET;
}

struct blob *blob_ref(struct blob *b)
{
	check((b->refs & ~SECRET) < SECRET - 1);
	b->refs++;
	return b;
}

void blob_unref(struct blob **bp)
{
	struct blob *b = *bp;

	*bp = NULL;
	if (!b)
		return;
	check((b->refs & ~SECRET) > 0);
	if ((--b->refs & ~SECRET) != 0)
		return;
	if (b->refs & SECRET)
		xwipe(b->data, b->len);
	pool_free(b, sizeof(*b) + b->len + 1);
}
