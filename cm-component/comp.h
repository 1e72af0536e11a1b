/*
 * comp - the component connection manager: accepts components, owns their streams, hands their
 * stanzas to the router and the router's deliveries to them. The shell around comp_stream.
 */
#ifndef CM_COMPONENT_COMP_H
#define CM_COMPONENT_COMP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct config;
struct proc;

/* The hooks of struct proc_program; see proc/proc.h. */
enum err comp_init(struct proc *p, void **state);
void comp_deinit(void *state);
bool comp_check(const struct config *cfg, char *why, size_t whylen);
void comp_on_files(void *state);
void comp_on_reload(void *state, const struct config *old);
void comp_drain(void *state);

#endif
