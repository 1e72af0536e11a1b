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

/* The same without waiting for the answer, for many records: at most BUS_CLIENT_POSTS (or 4 MiB)
 * are under way at once, so it may wait for earlier ones. They are carried out in order. done is
 * called once for each that is answered, in any function of c. ERR_TIMEOUT: nothing is answered any
 * more; why says what to do. Then bus_client_forget(). */
#define BUS_CLIENT_POSTS 64
typedef void bus_client_done(void *arg, enum err status, struct slice text);
enum err bus_client_post(struct bus_client *c, struct slice record, bus_client_done *done,
			 void *arg, struct str *why);
/* Waits until all are answered. */
enum err bus_client_flush(struct bus_client *c, struct str *why);
/* No done is called for those that are still under way. */
void bus_client_forget(struct bus_client *c);

/* args: separated by NUL, may be empty. Same results. */
enum err bus_client_admin(struct bus_client *c, const char *command, struct slice args,
			  struct bus_client_answer *out);

/* The same, but each piece of the answer is handed on as it comes, for at most ms; on_again: the
 * router is a new one and was asked again. ERR_TIMEOUT: that time is over, which may be meant. */
struct bus_client_watch {
	void (*on_text)(void *arg, struct slice text);
	void (*on_again)(void *arg);
	void *arg;
};
enum err bus_client_watch(struct bus_client *c, const char *command, struct slice args,
			  unsigned int ms, const struct bus_client_watch *watch,
			  struct bus_client_answer *out);

#endif
