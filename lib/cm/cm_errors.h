/*
 * cm_errors - bytes that are not taken: the stream error (RFC 6120 4.9.3) for what the framer or
 * libxml2 said of them.
 */
#ifndef CM_CM_ERRORS_H
#define CM_CM_ERRORS_H

#include "xmpp/framer.h"
#include "xmpp/xml_in.h"

/* Static texts. Not for XML_OK and XML_STANZA_BAD. */
const char *cm_errors_verdict(enum xml_verdict v, const char **text);

/* Only for results that are errors. */
const char *cm_errors_framer(enum framer_result r, const char **text);

#endif
