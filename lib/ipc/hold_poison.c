/*
 * hold_poison - a stanza that kills every router must not take the service down for ever
 * (CUSTODY 11; the rules are in hold.h, the records SUSPECT and TRY in PROTOCOL.md).
 *
 * A session with a suspect waits: what stands at its wait_n and behind is not on the link. While
 * one waits RESEND_END is owed, so that the router still knows what earlier ones had delivered.
 */
#include <stdlib.h>

#include "base/blob.h"
#include "base/check.h"
#include "base/log.h"
#include "ipc/hold_types.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"

#define SUSPECT_BOOTS 2
#define CLEARED_BOOTS 6	 /* of one that some boot had survived */
#define PROOF_TRIALS  32 /* of one boot: a kill -9 in a long row of trials proves nothing */
#define CONDITION     "internal-server-error"
#define TEXT	      "quarantined: the server stopped each time it handled this stanza"

void hold_isolate(struct hold *h, void *arg)
{
	h->arg = arg;
	h->isolate = true;
}

static bool is_suspect(const struct hold_session *s, uint64_t n)
{
	uint8_t boots = hold_out_boots(&s->out, n);

	if (boots >= HOLD_OUT_CLEARED)
		return boots >= HOLD_OUT_CLEARED + CLEARED_BOOTS;
	return s->hold->isolate && boots >= SUSPECT_BOOTS;
}

static void put_again(struct hold_session *s, const struct blob *b)
{
	struct slice in = blob_slice(b), body;
	uint16_t type;

	check(codec_next(&in, &type, &body) == ERR_OK);
	link_put_encoded(s->hold->link, type, blob_slice(b));
	s->hold->resent++;
}

/* What was owed until everything was on the link. */
static void stop_waiting(struct hold_session *s)
{
	s->wait_n = 0;
	list_remove(&s->waiting);
	if (!s->unbind_reason)
		return;
	s->told_seq = link_put_unbind(
		s->hold->link, &(struct msg_unbind){s->sid, s->epoch, slice_str(s->unbind_reason)});
	free(s->unbind_reason);
	s->unbind_reason = NULL;
}

/* What went down with a router alone is the first to be tried. */
static void wait_at(struct hold_session *s, uint64_t n)
{
	struct list *waiting = &s->hold->waiting;
	uint8_t boots = hold_out_boots(&s->out, n);

	if (!s->wait_n && boots != SUSPECT_BOOTS && boots != HOLD_OUT_CLEARED + CLEARED_BOOTS)
		list_prepend(waiting, &s->waiting);
	else if (!s->wait_n)
		list_append(waiting, &s->waiting);
	s->wait_n = n;
}

/* Sends what is unsettled from n on, up to the next suspect. */
static void send_from(struct hold_session *s, uint64_t from)
{
	uint64_t n = from - 1;
	struct blob *b;

	while (hold_out_each(&s->out, &n, &b)) {
		if (is_suspect(s, n)) {
			wait_at(s, n);
			return;
		}
		put_again(s, b);
	}
	if (s->wait_n)
		stop_waiting(s);
}

void hold_resend(struct hold_session *s)
{
	send_from(s, 1);
}

void hold_wait_check(struct hold_session *s)
{
	if (s->wait_n && s->wait_n >= hold_out_next(&s->out))
		stop_waiting(s);
}

void hold_try_next(struct hold *h)
{
	struct hold_session *s;

	if (list_empty(&h->waiting)) {
		h->trial = (struct hold_trial){0};
		link_put_resend_end(h->link, &(struct msg_resend_end){h->resent});
		return;
	}
	s = list_entry(list_first(&h->waiting), struct hold_session, waiting);
	h->trial = (struct hold_trial){s->sid, s->wait_n, false};
	h->books.suspects++;
	link_put_suspect(h->link, &(struct msg_suspect){s->sid, s->wait_n});
}

/* It may go now; what asks behind it is answered once it was handled. */
static void send_alone(struct hold *h)
{
	struct hold_session *s = map64_find(&h->by_sid, h->trial.sid);
	struct blob *b = s && s->wait_n == h->trial.n ? hold_out_find(&s->out, s->wait_n) : NULL;

	if (!b) { /* settled or dropped meanwhile */
		if (s && s->wait_n == h->trial.n)
			send_from(s, s->wait_n);
		hold_try_next(h);
		return;
	}
	if (h->tried < PROOF_TRIALS)
		log_warn(s->conn, "event=suspect_tried sid=%016llx n=%llu boots=%u",
			 (unsigned long long)s->sid, (unsigned long long)h->trial.n,
			 hold_out_boots(&s->out, h->trial.n) % HOLD_OUT_CLEARED);
	put_again(s, b);
	s->wait_n++;
	h->trial.sent = true;
	h->tried++;
	link_put_suspect(h->link, &(struct msg_suspect){0, 0});
}

void hold_on_try(struct hold *h, struct slice body)
{
	struct hold_session *s;
	struct msg_try m;

	if (msg_try_get(body, &m) != ERR_OK || !h->trial.sid)
		return;
	if (!h->trial.sent) {
		if (m.sid == h->trial.sid && m.n == h->trial.n)
			send_alone(h);
		return;
	}
	if (m.sid != 0)
		return;
	s = map64_find(&h->by_sid, h->trial.sid);
	if (s)
		hold_out_acquit(&s->out, h->trial.n);
	if (s && s->wait_n)
		send_from(s, s->wait_n);
	hold_try_next(h);
}

/* The stanza as REFUSED: the router answers it with the error and numbers it like any other. Only
 * the id was the client's: a refusal that kills as well goes without it. */
static struct blob *refusal(struct slice record, struct hold_quarantined *q)
{
	struct msg_refused out = {.sid = q->sid,
				  .n = q->n,
				  .condition = slice_str(CONDITION),
				  .text = slice_str(TEXT)};
	struct str encoded = STR_INIT;
	struct msg_refused refused;
	struct msg_stanza stanza;
	struct slice body;
	struct blob *b;
	uint16_t type;

	check(codec_next(&record, &type, &body) == ERR_OK);
	if (type == MSG_STANZA && msg_stanza_get(body, &stanza) == ERR_OK) {
		out.kind = stanza.kind;
		out.type = stanza.type;
		out.id = q->id = stanza.id;
		q->to = stanza.to;
		if (stanza.from.len)
			q->from = stanza.from;
		if (stanza.flags & STANZA_SECRET)
			q->bytes = SLICE_NONE;
	} else if (type == MSG_REFUSED && msg_refused_get(body, &refused) == ERR_OK) {
		out.kind = refused.kind;
		out.type = refused.type;
		q->id = refused.id;
	}
	q->kind = out.kind;
	q->type = out.type;
	msg_refused_put(&encoded, &out);
	b = blob_new(encoded.data, encoded.len);
	str_clear(&encoded);
	return b;
}

static void quarantine(struct hold_session *s, uint64_t n)
{
	struct blob *b = hold_out_find(&s->out, n);
	struct hold_quarantined q = {
		.sid = s->sid, .n = n, .from = slice_str(s->jid), .bytes = blob_slice(b)};
	struct blob *instead = refusal(q.bytes, &q), *old;
	struct hold *h = s->hold;

	old = hold_out_swap_take(&s->out, n, instead);
	s->out_bytes = s->out_bytes - old->len + instead->len;
	h->total = h->total - old->len + instead->len;
	h->books.quarantined++;
	if (h->events->on_quarantine)
		h->events->on_quarantine(h->arg, &q);
	blob_unref(&old);
}

/* Alone at the router when that died. Late in a long row it is let off once and is the first one
 * next time. */
static bool is_guilty(const struct hold *h)
{
	const struct hold_session *s = map64_find(&h->by_sid, h->trial.sid);

	return s && h->trial.sent && h->tried <= PROOF_TRIALS && h->trial.n > s->boot_held_n &&
	       hold_out_find(&s->out, h->trial.n);
}

static void count_boot(const struct list *sessions)
{
	list_each (it, sessions) {
		struct hold_session *s = list_entry(it, struct hold_session, link);
		uint64_t put = s->wait_n ? s->wait_n - 1 : hold_out_next(&s->out) - 1;

		hold_out_count_boot(&s->out, s->boot_held_n, put, s->held_n);
		s->boot_held_n = 0;
		s->wait_n = 0;
		list_remove(&s->waiting);
		free(s->unbind_reason); /* the announcement says it */
		s->unbind_reason = NULL;
	}
}

void hold_new_boot(struct hold *h)
{
	bool guilty = is_guilty(h);

	h->resent = 0;
	if (!h->isolate)
		return;
	count_boot(&h->ended);
	count_boot(&h->sessions);
	if (guilty)
		quarantine(map64_find(&h->by_sid, h->trial.sid), h->trial.n);
	h->trial = (struct hold_trial){0};
	h->tried = 0;
}
