/*
 * bridge_echo - a component that answers by itself, for trying things out and for measuring
 * (callbridge --echo). Pure.
 *
 * A message goes back to its sender as it is (but not an error, nor one of a room); pings
 * (XEP-0199) and disco#info (XEP-0030) are answered; other IQ requests get service-unavailable (RFC
 * 6120 8.2.3); subscriptions are granted, other presence is not answered.
 */
#ifndef CALLBRIDGE_BRIDGE_ECHO_H
#define CALLBRIDGE_BRIDGE_ECHO_H

#include <stdbool.h>

#include "base/str.h"
#include "xmpp/xml_in.h"

/* Appends the answer; false: there is none. name: of the component, for disco. */
bool bridge_echo(struct str *out, const struct stanza_in *st, const char *name);

#endif
