/*
 * stanza_kinds - the numbers in the envelopes of STANZA and DELIVER. lib/xmpp fills them, the
 * router routes by them; nothing here knows XML.
 */
#ifndef IPC_STANZA_KINDS_H
#define IPC_STANZA_KINDS_H

enum stanza_kind { STANZA_MESSAGE = 1, STANZA_PRESENCE = 2, STANZA_IQ = 3 };

/* One space for all kinds; TYPE_NONE = no type attribute. TYPE_OTHER: an unknown value on a
 * message or presence (RFC 6121 5.2.2: message = normal; presence = refused with bad-request). */
enum stanza_type {
	TYPE_NONE = 0,
	TYPE_ERROR = 1,
	/* message; normal is TYPE_NONE or this */
	TYPE_NORMAL = 2,
	TYPE_CHAT = 3,
	TYPE_GROUPCHAT = 4,
	TYPE_HEADLINE = 5,
	/* presence; available is TYPE_NONE */
	TYPE_UNAVAILABLE = 10,
	TYPE_SUBSCRIBE = 11,
	TYPE_SUBSCRIBED = 12,
	TYPE_UNSUBSCRIBE = 13,
	TYPE_UNSUBSCRIBED = 14,
	TYPE_PROBE = 15,
	/* iq */
	TYPE_GET = 20,
	TYPE_SET = 21,
	TYPE_RESULT = 22,
	TYPE_OTHER = 99,
};

/* Envelope flags: what routing needs to know of the inside. */
#define STANZA_HAS_BODY	  0x0001 /* message with a <body/> */
#define STANZA_NO_STORE	  0x0002 /* XEP-0334 <no-store/>: nowhere, not even offline */
#define STANZA_STORE	  0x0004 /* XEP-0334 <store/> */
#define STANZA_PRIVATE	  0x0008 /* XEP-0280 <private/> or XEP-0334 <no-copy/> */
#define STANZA_RECEIPT	  0x0010 /* XEP-0184 request or received */
#define STANZA_CHAT_STATE 0x0020 /* XEP-0085 */
#define STANZA_DELAYED	  0x0040 /* has a XEP-0203 delay already */
#define STANZA_TO_SELF	  0x0080 /* there was no 'to': the sender's own bare JID is meant */
#define STANZA_HAS_SID	  0x0100 /* has a XEP-0359 <stanza-id/> (perhaps a forged one) */
#define STANZA_ARCHIVED	  0x0200 /* is in its receiver's archive, whose <stanza-id/> it carries */
#define STANZA_CARBON	  0x0400 /* a XEP-0280 copy; HAS_BODY, CHAT_STATE ... are of its inside */
#define STANZA_MUC_USER	  0x0800 /* has a XEP-0045 <x xmlns='...muc#user'/> */
#define STANZA_NO_ARCHIVE 0x1000 /* XEP-0334 <no-store/> or <no-permanent-store/> */
#define STANZA_MARKER	  0x2000 /* XEP-0333 */
#define STANZA_INVITE	  0x4000 /* XEP-0249, or a mediated invitation (XEP-0045 7.8.2) */
#define STANZA_SECRET	  0x8000 /* an iq that may have a password (XEP-0077): never on a disk */

/* SETTLED.how: the books of P1 count these. */
enum settled {
	SETTLED_DELIVERED = 1,
	SETTLED_STORED = 2,
	SETTLED_BOUNCED = 3,
	SETTLED_CONSUMED = 4,
	SETTLED_DISCARDED = 5,
};

/* What an announced session is: its stream lives; it is over and only custody is left; its
 * connection broke and it waits for <resume/> (XEP-0198). */
enum session_state {
	SESSION_LIVE = 0,
	SESSION_ENDED = 1,
	SESSION_DETACHED = 2,
	SESSION_MOVED = 3, /* ended here, but another cm has it: nobody is told that it is gone */
};

enum session_kind { SESSION_CLIENT = 0, SESSION_DOMAIN = 1 };

/* Several connections for one domain (BIND_DOMAIN): none but the first; each peer's stanzas to one
 * of them, by a hash of the peer's bare JID; all to the oldest, the others stand by. */
enum domain_mode { DOMAIN_ONE = 0, DOMAIN_SHARED = 1, DOMAIN_STANDBY = 2 };

#endif
