/*
 * blocking_change - the blocking commands: a user's list as his clients get, change and are told of
 * it (XEP-0191 sections 3.2 to 3.5), and the presence that follows a change.
 */
#ifndef SESSION_BLOCKING_CHANGE_H
#define SESSION_BLOCKING_CHANGE_H

struct inbound;
struct xml_node;

/* Handlers of iq.c. */
void blocking_list(struct inbound *in, const struct xml_node *payload);	   /* <blocklist/> */
void blocking_block(struct inbound *in, const struct xml_node *payload);   /* <block/> */
void blocking_unblock(struct inbound *in, const struct xml_node *payload); /* <unblock/> */

#endif
