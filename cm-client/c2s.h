/*
 * c2s - the client connection manager: accepts clients, owns their streams, hands their stanzas to
 * the router and the router's deliveries to them. The shell around c2s_stream.
 */
#ifndef CM_CLIENT_C2S_H
#define CM_CLIENT_C2S_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct config;
struct proc;

/* The hooks of struct proc_program; see proc/proc.h. */
enum err c2s_init(struct proc *p, void **state);
void c2s_deinit(void *state);
bool c2s_check(const struct config *cfg, char *why, size_t whylen);
void c2s_on_files(void *state);
void c2s_on_reload(void *state, const struct config *old);
void c2s_drain(void *state);

#endif
