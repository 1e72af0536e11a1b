/*
 * pie - names of the portable import/export format for servers (XEP-0227), shared by both ways.
 */
#ifndef CLI_XMPP_PIE_H
#define CLI_XMPP_PIE_H

#define PIE_NS	       "urn:xmpp:pie:0"
#define PIE_NS_SCRAM   "urn:xmpp:pie:0#scram"
#define PIE_NS_MAM     "urn:xmpp:pie:0#mam"
#define PIE_NS_XI      "http://www.w3.org/2001/XInclude"
#define PIE_NS_VCARD   "vcard-temp"
#define PIE_NS_PRIVATE "jabber:iq:private"
#define PIE_NS_PRIVACY "jabber:iq:privacy"
#define PIE_NS_ARCHIVE "urn:xmpp:mam:2"
#define PIE_NS_FORWARD "urn:xmpp:forward:0"
#define PIE_NS_BLOCK   "urn:xmpp:blocking"

#define PIE_MAIN_FILE  "server-data.xml" /* of an export in several files */
#define PIE_BLOCK_LIST "blocklist"	 /* the privacy list that stands for XEP-0191's list */

/* Commands: values is a struct xmpp_values; the result an enum command_exit. */
int pie_export(const void *values, int argc, char **argv);
int pie_import(const void *values, int argc, char **argv);

#endif
