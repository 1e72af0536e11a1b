/*
 * router - the turntable: moves stanzas between services by their envelopes, holds them until they
 * are settled, and lets the session manager (session/) decide. No network, TLS, disk.
 */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct config;
struct proc;

/* The hooks of struct proc_program (lib/proc/proc.h). */
enum err router_init(struct proc *p, void **state);
void router_deinit(void *state);
void router_drain(void *state);
void router_reload(void *state, const struct config *old);
void router_on_instances(void *state);
void router_on_instance(void *state, const char *instance, const char *service, const char *token);

#endif
