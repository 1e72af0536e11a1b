/*
 * XEP-0352: what is unimportant, in which order it is kept, and whose share it uses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cm-client/c2s_csi.h"
#include "ipc/stanza_kinds.h"

#define CHAT_STATE "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
#define EVENT                                                            \
	"<event xmlns='http://jabber.org/protocol/pubsub#event'><items " \
	"node='n'/></event>"
#define COPY(how, attrs, inside)                                                              \
	"<" how " xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"          \
	"<message xmlns='jabber:client' from='a@b' to='c@d/e' " attrs ">" inside "</message>" \
	"</forwarded></" how ">"

static const struct c2s_csi_limits limits = {
	.stanzas = 4, .bytes = 2000, .sender = 1000, .total = 100000};

static void only_what_can_wait_is_unimportant(void **state)
{
	static const struct {
		uint8_t kind, type;
		uint16_t flags;
		const char *inner;
		bool unimportant;
	} rows[] = {
		{STANZA_PRESENCE, TYPE_NONE, 0, "<show>away</show>", true},
		{STANZA_PRESENCE, TYPE_UNAVAILABLE, 0, "", true},
		{STANZA_PRESENCE, TYPE_SUBSCRIBE, 0, "", false},
		{STANZA_PRESENCE, TYPE_SUBSCRIBED, 0, "", false},
		{STANZA_PRESENCE, TYPE_UNSUBSCRIBE, 0, "", false},
		{STANZA_PRESENCE, TYPE_UNSUBSCRIBED, 0, "", false},
		{STANZA_PRESENCE, TYPE_ERROR, 0, "", false},
		{STANZA_PRESENCE, TYPE_PROBE, 0, "", false},
		{STANZA_IQ, TYPE_GET, 0, "<ping xmlns='urn:xmpp:ping'/>", false},
		{STANZA_IQ, TYPE_SET, 0, "<query xmlns='jabber:iq:roster'/>", false},
		{STANZA_IQ, TYPE_RESULT, 0, "", false},
		{STANZA_IQ, TYPE_ERROR, 0, "", false},
		{STANZA_MESSAGE, TYPE_CHAT, STANZA_HAS_BODY, "<body>a</body>", false},
		{STANZA_MESSAGE, TYPE_CHAT, STANZA_HAS_BODY, "<body>a</body>" CHAT_STATE, false},
		{STANZA_MESSAGE, TYPE_CHAT, 0, CHAT_STATE, true},
		{STANZA_MESSAGE, TYPE_NONE, 0, "<thread>t</thread>" CHAT_STATE, true},
		{STANZA_MESSAGE, TYPE_CHAT, 0, CHAT_STATE "<no-store xmlns='urn:xmpp:hints'/>",
		 true},
		{STANZA_MESSAGE, TYPE_CHAT, 0,
		 CHAT_STATE "<delay xmlns='urn:xmpp:delay'/><stanza-id xmlns='urn:xmpp:sid:0'/>",
		 true},
		{STANZA_MESSAGE, TYPE_GROUPCHAT, 0, CHAT_STATE, true},
		{STANZA_MESSAGE, TYPE_GROUPCHAT, 0, "<subject>s</subject>", false},
		{STANZA_MESSAGE, TYPE_ERROR, 0, CHAT_STATE, false},
		/* An encrypted message may have no body, only a chat state beside it. */
		{STANZA_MESSAGE, TYPE_CHAT, 0, CHAT_STATE "<encrypted xmlns='urn:xmpp:omemo:2'/>",
		 false},
		{STANZA_MESSAGE, TYPE_CHAT, 0, "<received xmlns='urn:xmpp:receipts' id='a'/>",
		 false},
		{STANZA_MESSAGE, TYPE_CHAT, 0, "<subject>s</subject>", false},
		{STANZA_MESSAGE, TYPE_CHAT, 0, "", false},
		{STANZA_MESSAGE, TYPE_NONE, 0, EVENT, true},
		{STANZA_MESSAGE, TYPE_HEADLINE, 0, EVENT, true},
		{STANZA_MESSAGE, TYPE_HEADLINE, 0, "<x xmlns='urn:x'/>", true},
		{STANZA_MESSAGE, TYPE_HEADLINE, STANZA_HAS_BODY, "<body>a</body>", false},
		{STANZA_MESSAGE, TYPE_NONE, 0, EVENT "<x xmlns='urn:x'/>", false},
		{STANZA_MESSAGE, TYPE_CHAT, STANZA_CARBON,
		 COPY("received", "type='chat'", CHAT_STATE), true},
		{STANZA_MESSAGE, TYPE_CHAT, STANZA_CARBON, COPY("sent", "", CHAT_STATE), true},
		{STANZA_MESSAGE, TYPE_CHAT, STANZA_CARBON,
		 COPY("received", "type='chat'", CHAT_STATE "<body>a</body>"), false},
		{STANZA_MESSAGE, TYPE_CHAT, STANZA_CARBON,
		 COPY("received", "type='error'", CHAT_STATE), false},
		{STANZA_MESSAGE, TYPE_CHAT, STANZA_CARBON, COPY("received", "", ""), false},
		{STANZA_MESSAGE, TYPE_CHAT, 0, "<received xmlns='urn:xmpp:carbons:2'/>", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msg_deliver m = {.kind = rows[i].kind,
					.type = rows[i].type,
					.flags = rows[i].flags,
					.inner = slice_str(rows[i].inner)};

		if (c2s_csi_is_unimportant(&m) != rows[i].unimportant)
			fail_msg("row %zu: %s", i, rows[i].inner);
	}
}

static struct msg_deliver presence(uint64_t q, uint64_t sender, uint64_t n, const char *inner)
{
	return (struct msg_deliver){.q = q,
				    .origin_sid = sender,
				    .origin_n = n,
				    .kind = STANZA_PRESENCE,
				    .from = slice_str("a@b/c"),
				    .inner = slice_str(inner)};
}

static bool keep(struct c2s_csi *c, struct c2s_csi_pool *p, uint64_t q, uint64_t sender, uint64_t n,
		 const char *inner)
{
	struct msg_deliver m = presence(q, sender, n, inner);

	return c2s_csi_keep(c, p, &limits, &m);
}

static void they_are_kept_in_order_as_they_will_be_written(void **state)
{
	struct c2s_csi_pool p;
	struct c2s_csi *c = c2s_csi_new(NULL);

	(void)state;
	c2s_csi_pool_init(&p);
	assert_false(keep(c, &p, 7, 1, 1, "<show>away</show>"));
	assert_false(keep(c, &p, 8, 2, 1, ""));
	assert_false(keep(c, &p, 9, 1, 2, "<show>xa</show>"));
	assert_string_equal(c->out.data, "<presence from='a@b/c'><show>away</show></presence>"
					 "<presence from='a@b/c'/>"
					 "<presence from='a@b/c'><show>xa</show></presence>");
	assert_int_equal(c->last_q, 9);
	assert_int_equal(c->count, 3);
	assert_true(keep(c, &p, 10, 3, 1, "")); /* the fourth */
	c2s_csi_free(&c, &p);
	c2s_csi_pool_clear(&p);
}

static void a_queue_is_bounded_in_bytes(void **state)
{
	struct c2s_csi_pool p;
	struct c2s_csi *c = c2s_csi_new(NULL);
	char big[901] = "";

	(void)state;
	c2s_csi_pool_init(&p);
	memset(big, 'x', sizeof(big) - 1);
	assert_false(keep(c, &p, 1, 1, 1, big + 200));
	assert_false(keep(c, &p, 2, 2, 1, big + 200));
	assert_int_equal(p.bytes, c->bytes);
	assert_true(keep(c, &p, 3, 3, 1, big + 200));
	c2s_csi_free(&c, &p);
	assert_int_equal(p.bytes, 0);
	c2s_csi_pool_clear(&p);
}

/* A sender is not read on when his share of unsettled bytes is used up, and what waits here is
 * unsettled: a part of that share ends the waiting, whoever waits. */
static void what_one_sender_has_waiting_is_bounded_over_all_receivers(void **state)
{
	struct c2s_csi_pool p;
	struct c2s_csi *c[8];
	int full = -1;
	char text[301] = "";

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	c2s_csi_pool_init(&p);
	for (int i = 0; i < 8; i++)
		c[i] = c2s_csi_new(NULL);
	for (int i = 0; i < 8 && full < 0; i++)
		if (keep(c[i], &p, 1, 5, (uint64_t)i + 1, text))
			full = i;
	assert_int_equal(full, 2); /* 3 x 433 bytes */
	assert_int_equal(c2s_csi_pool_of(&p, 5), 3 * 433);
	c2s_csi_free(&c[2], &p);
	assert_int_equal(c2s_csi_pool_of(&p, 5), 2 * 433);
	assert_false(keep(c[3], &p, 1, 6, 1, text)); /* another sender has his own */
	for (int i = 0; i < 8; i++)
		c2s_csi_free(&c[i], &p);
	assert_int_equal(c2s_csi_pool_of(&p, 5), 0);
	c2s_csi_pool_clear(&p);
}

/* He holds it once: a presence broadcast is one stanza of his. */
static void one_stanza_to_many_receivers_counts_once_until_all_have_it(void **state)
{
	struct c2s_csi_pool p;
	struct c2s_csi *c[20];

	(void)state;
	c2s_csi_pool_init(&p);
	for (int i = 0; i < 20; i++) {
		c[i] = c2s_csi_new(NULL);
		assert_false(keep(c[i], &p, 1, 5, 77, "<show>away</show>"));
	}
	assert_int_equal(c2s_csi_pool_of(&p, 5), 128 + 17 + 5);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(c2s_csi_pool_of(&p, 5), 128 + 17 + 5);
		c2s_csi_free(&c[i], &p);
	}
	assert_int_equal(c2s_csi_pool_of(&p, 5), 0);
	c2s_csi_pool_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_can_wait_is_unimportant),
		cmocka_unit_test(they_are_kept_in_order_as_they_will_be_written),
		cmocka_unit_test(a_queue_is_bounded_in_bytes),
		cmocka_unit_test(what_one_sender_has_waiting_is_bounded_over_all_receivers),
		cmocka_unit_test(one_stanza_to_many_receivers_counts_once_until_all_have_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
