/*
 * token - what every message carries: (run, sender, number, hash), and the id made of it.
 *
 * A body is "ledger RUN SENDER NUMBER HASH PADDING", HASH over all the rest. So a body that was
 * cut, mixed up or belongs to another run is recognised as such.
 */
#ifndef LEDGER_TOKEN_H
#define LEDGER_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

enum token_result { TOKEN_OK, TOKEN_FOREIGN, TOKEN_DAMAGED };

/* Appends a body with padding bytes behind the hash. */
void token_add(struct str *out, uint32_t run, uint32_t sender, uint32_t number, uint32_t padding);

/* Foreign: nothing of ours, or of another run. *number is set when it could be read. */
enum token_result token_parse(struct slice body, uint32_t run, uint32_t *sender, uint32_t *number);

/* A hash of any text; 0 is as unlikely as any other. */
uint64_t token_hash(struct slice text);

/* The id of another stanza of ours: letter, run and number. */
void token_add_name(struct str *out, char letter, uint32_t run, uint32_t number);
bool token_parse_name(struct slice id, char letter, uint32_t run, uint32_t *number);

/* The stanza's id. */
void token_add_id(struct str *out, uint32_t run, uint32_t number);
bool token_parse_id(struct slice id, uint32_t run, uint32_t *number);

#endif
