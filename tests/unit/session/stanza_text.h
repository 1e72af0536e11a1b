/*
 * stanza_text - sending a stanza as it stands in a stream, with the envelope that xml_in makes.
 */
#ifndef TESTS_UNIT_SESSION_STANZA_TEXT_H
#define TESTS_UNIT_SESSION_STANZA_TEXT_H

#include "tests/unit/session/fake_host.h"
#include "xmpp/xml_in.h"

/* from NULL: by session sid; else by a service. */
static inline struct custody_entry *say_from(struct fake *f, uint64_t sid, const char *from,
					     const char *text)
{
	struct custody_entry *e = &f->entries[f->nentries++];
	struct xml_in *x = xml_in_new();
	struct msg_stanza m = {.sid = sid};
	struct stanza_in in;

	assert_true(f->nentries < 256);
	assert_int_equal(xml_in_stanza(x, S(text), NS_CLIENT, &in), XML_OK);
	assert_true(in.root_is_stanza);
	m.kind = in.kind;
	m.type = in.type;
	m.flags = in.flags;
	m.to = jid_full(&in.to);
	m.id = in.id;
	m.lang = in.lang;
	m.children = in.children;
	m.inner = in.inner;
	if (m.to.len == 0)
		m.flags |= STANZA_TO_SELF;
	if (from)
		session_stanza_from(f->m, S(from), e, &m, NOW);
	else
		session_stanza(f->m, sid, e, &m, NOW);
	stanza_in_clear(&in);
	xml_in_free(&x);
	assert_true(e->delivered || e->concluded || e->holds);
	return e;
}

static inline struct custody_entry *say(struct fake *f, uint64_t sid, const char *text)
{
	return say_from(f, sid, NULL, text);
}

#endif
