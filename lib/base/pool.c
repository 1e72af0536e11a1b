#include "base/pool.h"

#include <stdlib.h>

#include "base/xmem.h"

#define STEP	64
#define CLASSES 16	     /* up to 1 KiB */
#define KEEP	(256 * 1024) /* bytes, of each class */

struct room {
	struct room *next;
};

struct shelf {
	struct room *first;
	unsigned int count;
};

static _Thread_local struct shelf shelves[CLASSES];

static size_t class_of(size_t size)
{
	return size ? (size - 1) / STEP : 0;
}

void *pool_alloc(size_t size)
{
	size_t class = class_of(size);
	struct room *r;

	if (class >= CLASSES)
		return xmalloc(size);
	r = shelves[class].first;
	if (!r)
		return xmalloc((class + 1) * STEP);
	shelves[class].first = r->next;
	shelves[class].count--;
	return r;
}

#ifdef ROUNDHOUSE_SANITIZED
static unsigned int most(size_t class)
{
	(void)class;
	return 0;
}
#else
static unsigned int most(size_t class)
{
	return (unsigned int)(KEEP / STEP / (class + 1));
}
#endif

void pool_free(void *p, size_t size)
{
	size_t class = class_of(size);
	struct room *r = p;

	if (class >= CLASSES || shelves[class].count >= most(class)) {
		free(p);
		return;
	}
	r->next = shelves[class].first;
	shelves[class].first = r;
	shelves[class].count++;
}
