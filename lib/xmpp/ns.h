/*
 * ns - the namespaces this server knows, by number and by name. NS(NAME, "uri").
 */
#ifndef XMPP_NS_H
#define XMPP_NS_H

#include <stdint.h>

#include "base/slice.h"

#define NS_CLIENT	    "jabber:client"
#define NS_SERVER	    "jabber:server"
#define NS_COMPONENT	    "jabber:component:accept"
#define NS_STREAM	    "http://etherx.jabber.org/streams"
#define NS_STREAMS_ERR	    "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_STANZAS_ERR	    "urn:ietf:params:xml:ns:xmpp-stanzas"
#define NS_TLS		    "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL		    "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_BIND		    "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION	    "urn:ietf:params:xml:ns:xmpp-session"
#define NS_SASL_CB	    "urn:xmpp:sasl-cb:0"
#define NS_SM3		    "urn:xmpp:sm:3"
#define NS_ROSTER	    "jabber:iq:roster"
#define NS_ROSTERVER	    "urn:xmpp:features:rosterver"
#define NS_PREAPPROVAL	    "urn:xmpp:features:pre-approval"
#define NS_DISCO_INFO	    "http://jabber.org/protocol/disco#info"
#define NS_DISCO_ITEMS	    "http://jabber.org/protocol/disco#items"
#define NS_PING		    "urn:xmpp:ping"
#define NS_VERSION	    "jabber:iq:version"
#define NS_DELAY	    "urn:xmpp:delay"
#define NS_HINTS	    "urn:xmpp:hints"
#define NS_CARBONS	    "urn:xmpp:carbons:2"
#define NS_RECEIPTS	    "urn:xmpp:receipts"
#define NS_CHATSTATES	    "http://jabber.org/protocol/chatstates"
#define NS_STANZA_ID	    "urn:xmpp:sid:0"
#define NS_FORWARD	    "urn:xmpp:forward:0"
#define NS_MARKERS	    "urn:xmpp:chat-markers:0"
#define NS_MUC_USER	    "http://jabber.org/protocol/muc#user"
#define NS_CONFERENCE	    "jabber:x:conference"
#define NS_CARBON_RULES	    "urn:xmpp:carbons:rules:0"
#define NS_CAPS		    "http://jabber.org/protocol/caps"
#define NS_CSI		    "urn:xmpp:csi:0"
#define NS_STREAM_LIMITS    "urn:xmpp:stream-limits:0"
#define NS_REGISTER	    "jabber:iq:register"
#define NS_REGISTER_FEATURE "http://jabber.org/features/iq-register"
#define NS_BLOCKING	    "urn:xmpp:blocking"
#define NS_BLOCKING_ERR	    "urn:xmpp:blocking:errors"
#define NS_TIME		    "urn:xmpp:time"
#define NS_LAST		    "jabber:iq:last"
#define NS_PRIVATE	    "jabber:iq:private"
#define NS_VCARD	    "vcard-temp"
#define NS_DATA_FORM	    "jabber:x:data"
#define NS_MAM		    "urn:xmpp:mam:2"
#define NS_MAM_EXTENDED	    "urn:xmpp:mam:2#extended"
#define NS_RSM		    "http://jabber.org/protocol/rsm"
#define NS_VALIDATE	    "http://jabber.org/protocol/xdata-validate"
#define NS_XML		    "http://www.w3.org/XML/1998/namespace"

/* Numbers for struct stanza_child.ns: the content namespace is 1. */
enum ns_id {
	NS_ID_OTHER = 0,
	NS_ID_CONTENT = 1,
	NS_ID_DELAY,
	NS_ID_HINTS,
	NS_ID_CARBONS,
	NS_ID_RECEIPTS,
	NS_ID_CHATSTATES,
	NS_ID_STANZA_ID,
	NS_ID_CAPS,
	NS_ID_PING,
	NS_ID_MARKERS,
	NS_ID_MUC_USER,
	NS_ID_CONFERENCE,
	NS_ID_REGISTER
};

/* Numbers for struct stanza_child.name. */
enum name_id {
	NAME_ID_OTHER = 0,
	NAME_ID_BODY = 1,
	NAME_ID_SUBJECT,
	NAME_ID_THREAD,
	NAME_ID_ERROR,
	NAME_ID_PRIORITY,
	NAME_ID_SHOW,
	NAME_ID_STATUS,
	NAME_ID_DELAY,
	NAME_ID_NO_STORE,
	NAME_ID_NO_COPY,
	NAME_ID_PRIVATE,
	NAME_ID_STORE,
	NAME_ID_NO_PERMANENT_STORE,
	NAME_ID_STANZA_ID,
	NAME_ID_PING,
	NAME_ID_X
};

#endif
