#include "datastore/page.h"

/* As packed or a little more: a number at its widest, a string with its length. */
static size_t row_bytes(sqlite3_stmt *st)
{
	size_t sum = 0;

	for (int i = 0; i < sqlite3_column_count(st); i++)
		sum += sqlite3_column_type(st, i) == SQLITE_INTEGER
			       ? sizeof(uint64_t)
			       : sizeof(uint32_t) + (size_t)sqlite3_column_bytes(st, i);
	return sum;
}

enum err page_fill(struct db *d, sqlite3_stmt *st, page_put_fn *put, uint32_t bytes,
		   struct str *out, uint32_t *count, bool *more)
{
	uint64_t taken = 0;
	enum err e;

	if (bytes > PAGE_MAX)
		bytes = PAGE_MAX;
	*count = 0;
	while ((e = db_row(d, st)) == ERR_OK) {
		taken += row_bytes(st);
		if (more && *count > 0 && taken > bytes)
			break;
		put(out, st);
		(*count)++;
	}
	db_end(st);
	if (more)
		*more = e == ERR_OK;
	return e == ERR_NOTFOUND ? ERR_OK : e;
}
