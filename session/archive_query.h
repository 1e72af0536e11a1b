/*
 * archive_query - a user reads his archive (XEP-0313 4, 5, with the paging of XEP-0059).
 *
 * A query is answered from the datastore when it has what came before the query. Its results are
 * answers of the iq, in order, the iq's result the last. What is asked for is in archive_form.h.
 */
#ifndef SESSION_ARCHIVE_QUERY_H
#define SESSION_ARCHIVE_QUERY_H

#include "session/manager.h"

struct xml_node;

void archive_query_fields(struct inbound *in, const struct xml_node *payload); /* iq get */
void archive_query_run(struct inbound *in, const struct xml_node *payload);    /* iq set */
void archive_query_metadata(struct inbound *in, const struct xml_node *payload);

/* Of somebody else's archive (section 8.1). */
void archive_query_foreign(struct inbound *in, const struct xml_node *payload);

#endif
