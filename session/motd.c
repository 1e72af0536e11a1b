#include "session/motd.h"

#include "base/log.h"
#include "ipc/stanza_kinds.h"
#include "session/registry.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"
#include "xmpp/stanza.h"
#include "xmpp/utf8.h"
#include "xmpp/xml_out.h"

/* NULL: it can be sent. XML 1.0 section 2.2: of the control characters only these three, and
 * neither U+FFFE nor U+FFFF. */
static const char *refusal(struct slice text)
{
	size_t characters = 0;

	if (!utf8_ok(text))
		return "it is not UTF-8";
	if (text.len && (memmem(text.data, text.len, "\xef\xbf\xbe", 3) ||
			 memmem(text.data, text.len, "\xef\xbf\xbf", 3)))
		return "it has U+FFFE or U+FFFF, which XML has not";
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c < ' ' && c != '\t' && c != '\n' && c != '\r')
			return "it has control characters";
		characters += (c & 0xc0) != 0x80;
	}
	return characters > MOTD_CHARACTERS ? "it is longer than 2048 characters" : NULL;
}

void motd_configure(struct session_manager *m, const char *text)
{
	struct slice s = slice_str(text);
	const char *reason = refusal(s);

	str_reset(&m->motd);
	if (reason)
		log_warn("-", "event=motd-refused reason=\"%s\" hint=\"'xmpp motd add' sets one\"",
			 reason);
	if (reason || !s.len)
		return;
	str_adds(&m->motd, "<body>");
	xml_out_text(&m->motd, s);
	str_adds(&m->motd, "</body>");
}

void motd_note(const struct inbound *in, bool initial, uint64_t number)
{
	if (initial && !in->sender->came_n && in->m->motd.len)
		in->sender->greeted_n = number;
}

/* RFC 6121 5.2.2: a headline is for who is here, and not kept for anybody. */
void motd_send(const struct inbound *in, uint64_t number)
{
	struct session_stanza out = {.kind = STANZA_MESSAGE,
				     .type = TYPE_HEADLINE,
				     .flags = STANZA_HAS_BODY | STANZA_NO_STORE,
				     .from = jid_text_domain(in->sender->full),
				     .to = in->sender->full,
				     .inner = str_slice(&in->m->motd)};
	struct str children = STR_INIT;

	if (!number || in->sender->greeted_n != number || !in->m->motd.len)
		return;
	stanza_child_put(&children, &(struct stanza_child){.ns = NS_ID_CONTENT,
							   .name = NAME_ID_BODY,
							   .length = (uint32_t)out.inner.len});
	out.children = str_slice(&children);
	manager_answer(in->m, in->e, in->sender->sid, &out);
	str_clear(&children);
}
