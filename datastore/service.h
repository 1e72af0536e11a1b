/*
 * service - the store on the bus: what main.c describes to proc_main().
 */
#ifndef DATASTORE_SERVICE_H
#define DATASTORE_SERVICE_H

#include "base/err.h"
#include "proc/proc.h"

enum err service_init(struct proc *p, void **state);
void service_deinit(void *state);
void service_reload(void *state, const struct config *old);
void service_drain(void *state);

#endif
