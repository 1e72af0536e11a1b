/*
 * faults - what is wrong now, and since when.
 *
 * The list is made anew from what stands (faults_begin, faults_stand ..., faults_end); what stood
 * before keeps its time. The same alarm may change its numbers ("expires in 13 days"). Pure but for
 * load and save: with them times survive the supervisor.
 */
#ifndef SUPERVISOR_FAULTS_H
#define SUPERVISOR_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define FAULTS_MAX 128 /* what exceeds that is not listed */

struct fault {
	char *source; /* an instance, or "supervisor" */
	char *text;
	uint64_t since_ms; /* since 1970 */
	bool stands;
};

struct faults {
	size_t count;
	bool changed; /* since faults_begin() */
	struct fault list[FAULTS_MAX];
};

void faults_clear(struct faults *f);

void faults_begin(struct faults *f);
void faults_stand(struct faults *f, const char *source, const char *text, uint64_t now_ms);
/* Drops what was not named since faults_begin(), unless keep. True: the list has changed. */
bool faults_end(struct faults *f, bool keep);

/* One line for each, oldest first: "SINCE SOURCE TEXT". */
void faults_format(const struct faults *f, struct str *out);
/* Adds what such lines say; those that are damaged are left out. */
void faults_parse(struct faults *f, struct slice lines);

#endif
