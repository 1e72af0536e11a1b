/*
 * iq - requests that the server answers itself, for itself or for an account.
 */
#ifndef SESSION_IQ_H
#define SESSION_IQ_H

#include "session/manager.h"

struct xml_node;

enum iq_where {
	IQ_SERVER = 1, /* to a local domain */
	IQ_OWN = 2,    /* to the sender's own account, or without 'to' */
	IQ_OTHER = 4,  /* to somebody else's account, which may exist or not */
};

void iq_handle(struct inbound *in, enum iq_where where);

#endif
