/*
 * archive_id - the name of a message in an archive (XEP-0313, XEP-0359), made from its origin: so
 * one that is judged again after a crash has the same.
 *
 * A message's receiver must not learn from it who sent how much meanwhile, nor guess others
 * (XEP-0313 3): it is a keyed hash, and the key is the random session id, which nobody is told. A
 * number in clear would be neither. Only that two messages are among 128 neighbours in a session
 * can be seen; the datastore finds them by that.
 */
#ifndef SESSION_ARCHIVE_ID_H
#define SESSION_ARCHIVE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "ipc/db_archive.h"

#define ARCHIVE_ID_TEXT 25 /* 24 hexadecimal digits, and NUL */

struct db_archive_id archive_id(uint64_t origin_sid, uint64_t origin_n);

void archive_id_format(struct db_archive_id id, char out[ARCHIVE_ID_TEXT]);
bool archive_id_parse(struct slice text, struct db_archive_id *id);

#endif
