#include "supervisor/certwatch.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/config.h"
#include "proc/inherit.h"
#include "proc/tls_files.h"
#include "supervisor/certset.h"
#include "supervisor/checker.h"
#include "supervisor/sup.h"

#define RETRY_TICKS 60

struct watched {
	struct certset_look judged; /* of the files that were judged last */
	struct certset_look seen;   /* a second ago */
	char *alarm;
	unsigned int retry; /* seconds until refused ones are judged again; 0 = not */
	bool unsent; /* services may run with older ones: an earlier supervisor started them */
};

struct certwatch {
	struct sup *sup;
	struct certset *set;
	struct watched pairs[TLS_FILES_MAX];
	struct checker *checker; /* of a candidate */
	struct certset *candidate;
	size_t pair;
};

static void forget_candidate(struct certwatch *w)
{
	checker_free(&w->checker);
	certset_free(&w->candidate);
}

static void begin(struct certwatch *w, struct certset *set, bool judged)
{
	w->set = set;
	for (size_t i = 0; i < certset_count(set); i++) {
		struct watched *p = &w->pairs[i];

		p->seen = certset_read_look(set, i);
		if (judged)
			p->judged = p->seen;
		p->unsent = !judged;
	}
}

struct certwatch *certwatch_new(struct sup *s, struct certset *set, bool judged)
{
	struct certwatch *w = xcalloc(1, sizeof(*w));

	w->sup = s;
	begin(w, set, judged);
	return w;
}

static void clear(struct certwatch *w)
{
	forget_candidate(w);
	for (size_t i = 0; i < TLS_FILES_MAX; i++)
		free(w->pairs[i].alarm);
	memset(w->pairs, 0, sizeof(w->pairs));
	certset_free(&w->set);
}

void certwatch_replace(struct certwatch *w, struct certset *set)
{
	clear(w);
	begin(w, set, true);
}

void certwatch_free(struct certwatch **wp)
{
	struct certwatch *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	clear(w);
	free(w);
}

const struct certset *certwatch_set(const struct certwatch *w)
{
	return w->set;
}

bool certwatch_alarm(const struct certwatch *w, size_t i, const char **text)
{
	if (i >= certset_count(w->set))
		return false;
	*text = w->pairs[i].alarm;
	return true;
}

/* pair SIZE_MAX: all. */
static void send_files(struct unit *u, const struct certset *set, size_t pair)
{
	int fds[INHERIT_FDS_MAX];
	struct str m = STR_INIT;
	struct inherit in;

	inherit_init(&in);
	in.service = xstrdup(u->row->service);
	in.instance = xstrdup(u->name);
	in.generation = u->sup->generation;
	if (pair == SIZE_MAX)
		certset_add(set, &in);
	else
		certset_add_pair(set, pair, &in);
	inherit_format(&m, "FILES", &in);
	for (size_t i = 0; i < in.nfds; i++)
		fds[i] = in.fds[i].fd;
	u->files_owed = !peer_send(u, str_slice(&m), fds, in.nfds) || u->files_owed;
	unit_close_files(&in);
	inherit_clear(&in);
	str_clear(&m);
}

void certwatch_catch_up(struct certwatch *w, struct unit *u)
{
	u->files_owed = false;
	send_files(u, w->set, SIZE_MAX);
}

static void set_alarm(struct certwatch *w, const char *reason)
{
	struct watched *p = &w->pairs[w->pair];
	char *text = xasprintf("%s; the certificate before it stays in use", reason);

	p->retry = RETRY_TICKS;
	if (p->alarm && strcmp(p->alarm, text) == 0) {
		free(text);
		return;
	}
	log_err("-",
		"event=certificate_refused file=%s reason=%s next=\"mend the files; the "
		"certificate before them stays in use\"",
		log_quote(slice_str(certset_cert_path(w->set, w->pair))),
		log_quote(slice_str(reason)));
	free(p->alarm);
	p->alarm = text;
}

static void clear_alarm(struct watched *p)
{
	free(p->alarm);
	p->alarm = NULL;
	p->retry = 0;
}

static void accept_candidate(struct certwatch *w)
{
	struct watched *p = &w->pairs[w->pair];

	certset_take_pair(w->set, w->candidate, w->pair);
	clear_alarm(p);
	p->unsent = false;
	log_info("-",
		 "event=certificate_changed file=%s next=\"the services' logs say which it "
		 "is\"",
		 log_quote(slice_str(certset_cert_path(w->set, w->pair))));
	for (size_t i = 0; i < w->sup->nunits; i++) {
		struct unit *u = w->sup->units[i];

		if (u->row->uses_tls && service_is_running(&u->core))
			send_files(u, w->set, w->pair);
	}
}

static void on_judged(void *arg, const char *reasons)
{
	struct certwatch *w = arg;

	w->pairs[w->pair].judged = certset_read_look(w->candidate, w->pair);
	if (*reasons) {
		char *first = xstrndup(reasons, strcspn(reasons, "\n"));

		set_alarm(w, first);
		free(first);
	} else {
		accept_candidate(w);
	}
	forget_candidate(w);
}

/* Its files have changed and stand still. */
static void judge(struct certwatch *w, size_t pair)
{
	struct watched *p = &w->pairs[pair];
	struct str why = STR_INIT;

	w->pair = pair;
	w->candidate = certset_read_pair(w->set, pair);
	if (certset_pair_missing(w->candidate, pair, &why)) {
		p->judged = certset_read_look(w->candidate, pair);
		set_alarm(w, why.data);
		forget_candidate(w);
	} else if (!p->unsent && certset_pair_same(w->set, w->candidate, pair)) {
		p->judged = certset_read_look(w->candidate, pair); /* touched, or put back */
		if (p->alarm)
			log_info("-", "event=certificate_mended file=%s",
				 log_quote(slice_str(certset_cert_path(w->set, pair))));
		clear_alarm(p);
		forget_candidate(w);
	} else {
		w->checker = checker_start(w->sup->loop,
					   &(struct checker_request){.bin = w->sup->bin,
								     .path = SUP_ACCEPTED_CONF,
								     .cfg = w->sup->cfg,
								     .files = w->candidate,
								     .only_tls = true,
								     .on_done = on_judged,
								     .arg = w});
	}
	str_clear(&why);
}

void certwatch_tick(struct certwatch *w)
{
	/* One at a time; a configuration on its way may name other files. */
	if (w->checker || w->sup->reload || w->sup->phase != SUP_RUNNING)
		return;
	for (size_t i = 0; i < certset_count(w->set) && !w->checker; i++) {
		struct watched *p = &w->pairs[i];
		struct certset_look now = certset_look(w->set, i);
		bool still = certset_look_same(&now, &p->seen);
		bool again = p->retry > 0 && --p->retry == 0;

		p->seen = now;
		if (still &&
		    (again || (p->unsent && !p->retry) || !certset_look_same(&now, &p->judged)))
			judge(w, i);
	}
}
