/*
 * router_asked - which of several connections of a domain has asked what: an iq's answer comes back
 * to it, not to whom a hash of the other side's JID names (RFC 6120 8.2.3).
 *
 * A table of fixed size, which a newer question overwrites: who is not found there, or is over, has
 * his answer go where everything else goes. A new router knows what is asked again by its manager.
 */
#include <stdlib.h>

#include "base/random.h"
#include "base/siphash.h"
#include "base/xmem.h"
#include "ipc/stanza_kinds.h"
#include "router/router_types.h"

#define PLACES 8192

struct asked {
	uint64_t key[2];
	struct {
		uint64_t question, sid;
	} at[PLACES];
};

static void absorb(uint64_t v[4], struct slice s)
{
	uint64_t word = s.len;

	for (size_t at = 0;; at += sizeof(word)) {
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
		if (at >= s.len)
			return;
		word = 0;
		memcpy(&word, s.data + at, s.len - at < sizeof(word) ? s.len - at : sizeof(word));
	}
}

/* SipHash-1-3: peers choose ids. Never 0. */
static uint64_t question(const struct asked *a, struct slice who, struct slice whom,
			 struct slice id)
{
	uint64_t v[4] = {a->key[0] ^ 0x736f6d6570736575ULL, a->key[1] ^ 0x646f72616e646f6dULL,
			 a->key[0] ^ 0x6c7967656e657261ULL, a->key[1] ^ 0x7465646279746573ULL};

	absorb(v, who);
	absorb(v, whom);
	absorb(v, id);
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return (v[0] ^ v[1] ^ v[2] ^ v[3]) | 1;
}

void asked_note(struct router *r, const struct endpoint *ep, const struct msg_stanza *m)
{
	uint64_t q;

	if (m->kind != STANZA_IQ || (m->type != TYPE_GET && m->type != TYPE_SET))
		return;
	if (!r->asked) {
		r->asked = xcalloc(1, sizeof(*r->asked));
		r->asked->key[0] = random_u64();
		r->asked->key[1] = random_u64();
	}
	q = question(r->asked, m->from, m->to, m->id);
	r->asked->at[q / 2 % PLACES].question = q;
	r->asked->at[q / 2 % PLACES].sid = endpoint_sid(ep);
}

struct endpoint *asked_by(const struct router *r, struct endpoint *ep,
			  const struct session_stanza *s)
{
	struct endpoint *who;
	uint64_t q;

	if (s->kind != STANZA_IQ || (s->type != TYPE_RESULT && s->type != TYPE_ERROR) || !r->asked)
		return ep;
	q = question(r->asked, s->to, s->from, s->id);
	if (r->asked->at[q / 2 % PLACES].question != q)
		return ep;
	who = endpoint_find(r->custody, r->asked->at[q / 2 % PLACES].sid);
	return who && domain_is_sibling(who, ep) ? who : ep;
}

void asked_end(struct router *r)
{
	free(r->asked);
	r->asked = NULL;
}
