/*
 * bus_client - a command's way to the router: one question at a time, blocking, with a deadline.
 *
 * Gets an identity from the supervisor, opens the bus with the first question and asks again by
 * itself when the router was restarted meanwhile: datastore requests carry an operation id, so that
 * a repeat gets the first result; administrative questions may be asked twice without harm.
 */
#ifndef CLI_COMMON_BUS_CLIENT_H
#define CLI_COMMON_BUS_CLIENT_H

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

#define BUS_CLIENT_DEADLINE_MS 10000

struct bus_client;

/* dir becomes the working directory. deadline_ms bounds the waiting here, for a router that is just
 * being restarted, and later each question. ERR_CLOSED: no supervisor there; ERR_AGAIN: no router;
 * ERR_DENIED, ERR_IO. why says what to do next. */
enum err bus_client_open(struct bus_client **out, const char *dir, unsigned int deadline_ms,
			 struct str *why);
void bus_client_close(struct bus_client **cp);

struct bus_client_answer {
	enum err status; /* what the server decided; text has its reason when not ERR_OK */
	struct str text;
	struct str body; /* STORE: the answering record; ADMIN: the lines */
};

#define BUS_CLIENT_ANSWER_INIT ((struct bus_client_answer){ERR_OK, STR_INIT, STR_INIT})

void bus_client_answer_clear(struct bus_client_answer *a); /* wipes: it may hold keys */

/* record: one encoded DB_* record. ERR_OK: answered, see out->status. ERR_TIMEOUT or ERR_FORMAT:
 * nobody answered in time or not in our language; out->text says what to do next. */
enum err bus_client_store(struct bus_client *c, struct slice record, struct bus_client_answer *out);

/* args: separated by NUL, may be empty. Same results. */
enum err bus_client_admin(struct bus_client *c, const char *command, struct slice args,
			  struct bus_client_answer *out);

#endif
