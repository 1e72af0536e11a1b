/*
 * shelf_changes - what the tests of the shelf share: changes gathered one after the other, rows as
 * text.
 */
#ifndef TESTS_DATASTORE_SHELF_CHANGES_H
#define TESTS_DATASTORE_SHELF_CHANGES_H

#include "fixture.h"

#define BIG (UINT64_C(1) << 63)

static struct str changes;

static inline void put(uint64_t sid, uint8_t kind, uint64_t n, const char *body)
{
	db_shelf_change_put(
		&changes,
		&(struct db_shelf_change){
			.op = SHELF_PUT, .sid = sid, .kind = kind, .n = n, .body = S(body)});
}

static inline void del(uint64_t sid, uint8_t kind, uint64_t n, uint64_t upto)
{
	db_shelf_change_put(
		&changes, &(struct db_shelf_change){
				  .op = SHELF_DEL, .sid = sid, .kind = kind, .n = n, .upto = upto});
}

static inline void add_row(struct str *text, const struct db_shelf_row *row)
{
	str_addf(text, "%s%llx/%u/%llx=%.*s", text->len ? " " : "", (unsigned long long)row->sid,
		 row->kind, (unsigned long long)row->n, SLICE_ARG(row->body));
}

#endif
