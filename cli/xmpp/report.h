/*
 * report - what the router answers, for people: JSON lines in, aligned text out.
 */
#ifndef CLI_XMPP_REPORT_H
#define CLI_XMPP_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

/* One row for each object; the columns are the keys in the order in which they first appear. Lines
 * that are no flat objects are shown as they are. How many objects. */
size_t report_rows(struct slice lines, struct str *out);

/* Process, key, value; then the books if the lines hold them. */
void report_stats(struct slice lines, struct str *out);

/* The books of P1: every accepted stanza is somewhere. */
struct report_books {
	int64_t accepted, announced, generated;
	int64_t delivered, stored, bounced, consumed, discarded, held;
	int64_t difference; /* what came in less what is accounted for */
};

/* false: no line has them. */
bool report_books(struct slice lines, struct report_books *out);

/* {"process":"books","accepted":0,...} and a line feed. */
void report_books_json(const struct report_books *b, struct str *out);

/* The number of objects, and the sum of one key over them. */
size_t report_count(struct slice lines);
int64_t report_sum(struct slice lines, const char *key);

#endif
