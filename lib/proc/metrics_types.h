/*
 * metrics_types - the state that metrics.c (sockets) and metrics_text.c (format) share.
 */
#ifndef PROC_METRICS_TYPES_H
#define PROC_METRICS_TYPES_H

#include "base/list.h"
#include "proc/metrics.h"

#define METRICS_LISTENERS_MAX 5

struct listener;

struct metrics {
	struct loop *loop;
	char *service;
	char *instance;
	metrics_add_fn *add;
	void *arg;
	double started;
	struct list asking; /* struct asker */
	size_t nasking;
	size_t nlisteners;
	struct {
		int fd;
		struct listener *listener;
	} listeners[METRICS_LISTENERS_MAX];
};

#endif
