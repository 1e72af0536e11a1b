/*
 * bridge_service - a call bridge under the supervisor: the functions of its proc_program.
 */
#ifndef CALLBRIDGE_BRIDGE_SERVICE_H
#define CALLBRIDGE_BRIDGE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct config;
struct proc;

#define BRIDGE_SERVICE_SECRET "callbridge.secret_file" /* for proc_file() */

enum err bridge_service_init(struct proc *p, void **state);
void bridge_service_deinit(void *state);
bool bridge_service_check(const struct config *cfg, char *why, size_t whylen);
void bridge_service_reload(void *state, const struct config *old);
void bridge_service_drain(void *state);

#endif
