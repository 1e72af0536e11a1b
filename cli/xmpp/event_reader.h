/*
 * event_reader - the event log as it lies on the disk: reads, selects, prints. Works without a
 * running supervisor.
 */
#ifndef CLI_XMPP_EVENT_READER_H
#define CLI_XMPP_EVENT_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "proc/event_line.h"

struct event_filter {
	enum event_level level; /* and what is worse */
	bool exactly;		/* this level only */
	const char *service;	/* an instance, or a service: all its instances; NULL = all */
	uint64_t since_ms;	/* 0 = from the beginning */
	const char *text;	/* stands in it, in any case; NULL = any */
};

struct event_list {
	size_t count;
	struct event_line *events; /* by time */
	size_t end;		   /* the present file was read so far */
	struct str text;	   /* what they point into */
};

#define EVENT_LIST_INIT ((struct event_list){.text = STR_INIT})

bool event_filter_fits(const struct event_filter *f, const struct event_line *e);

/* Adds the messages below dir that fit, rotated files too. A missing log is an empty one.
 * ERR_DENIED, ERR_IO: why says what to do. */
enum err event_list_read(struct event_list *l, const char *dir, const struct event_filter *f,
			 struct str *why);
void event_list_clear(struct event_list *l);

/* One event: a row of the table, or a JSON object; with a line feed. */
void event_write_heading(struct str *out);
void event_write(struct str *out, const struct event_line *e, bool json);

#endif
