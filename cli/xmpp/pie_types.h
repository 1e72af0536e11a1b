/*
 * pie_types - the state of an import, shared by its rooms: pie_import.c walks files, pie_user.c and
 * pie_messages.c turn what an account has into records.
 */
#ifndef CLI_XMPP_PIE_TYPES_H
#define CLI_XMPP_PIE_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/str.h"
#include "cli/common/bus_client.h"
#include "cli/xmpp/xmpp_program.h"
#include "xmpp/jid.h"

struct xml_file;
struct xml_in;
struct xml_node;

/* What happens to an account of the file. */
enum pie_fate { PIE_ADD, PIE_REPLACE, PIE_MERGE, PIE_GO_ON, PIE_SKIP };

struct pie_counts {
	unsigned int contacts, requests, messages, vcards, values, blocked, archived, ignored;
};

/* One account, from <user> to </user>. */
struct pie_user {
	struct jid jid;
	enum pie_fate fate;
	struct str password;
	struct str keys;     /* packed struct db_scram */
	struct map roster;   /* JID to struct str: the packed item */
	struct map requests; /* JIDs that wait for an answer; values are not used */
	struct str blocked;  /* packed STR each */
	struct str archive;  /* packed additions, not sent yet */
	unsigned int archive_count;
	struct str prefs;    /* archiving preferences, set at the end */
	bool archive_opened; /* they say "always" meanwhile */
	struct pie_counts did;
	unsigned int uncounted;
	unsigned int problems;
};

struct import {
	const struct xmpp_values *v;
	struct bus_client *c; /* NULL only before it is opened */
	struct xml_in *xml;
	const char *file;   /* for messages */
	struct xml_file *f; /* the same */
	struct pie_user *user;
	unsigned int late_line; /* of what is said now about something read earlier; 0 = none */
	int fatal;		/* a COMMAND_* that ends everything; 0 = go on */
	unsigned int problems;
	unsigned int fates[PIE_SKIP + 1];
};

/* "FILE:LINE: JID: text" on standard error, counted. */
void import_problem(struct import *im, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for many: does not wait. When it was done n is added to *count; a refusal is said later.
 */
void import_post(struct import *im, struct str *record, const char *what, unsigned int *count,
		 unsigned int n);
/* Waits for all of them: before counts are read, and before they go away. */
void import_flush(struct import *im);

/* Sends one record, unless this is a dry run. false: it was refused (said, with what it was), or
 * nobody answers (said, im->fatal). record is wiped and emptied. */
bool import_store(struct import *im, struct str *record, const char *what);

/* One element; NULL, and said, when it cannot be read. The caller frees it. */
struct xml_node *pie_parse(struct import *im, struct slice bytes);

/* pie_messages.c: a child of <offline-messages> or <archive>. */
void pie_user_offline(struct import *im, struct slice bytes);
void pie_user_archived(struct import *im, struct slice bytes);
void pie_send_archive(struct import *im); /* what was read and not sent yet */

/* pie_user.c */
/* What the server would not archive by itself is to be kept all the same (not of merged accounts:
 * their preferences stay). */
void pie_user_open_archive(struct import *im);
void pie_user_begin(struct import *im, struct pie_user *u);
/* A child of <user> as normalised XML. */
void pie_user_child(struct import *im, struct slice bytes);
void pie_user_end(struct import *im); /* the last thing is that it can log in */
void pie_user_clear(struct pie_user *u);

#endif
