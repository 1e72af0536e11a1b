/*
 * usage - what the server's processes have used: CPU time, resident and proportional memory.
 *
 * Reads /proc. The processes are named by pid, or as all descendants of one pid, looked up anew at
 * each snapshot. CPU is utime + stime of the whole process, threads included.
 */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USAGE_MAX 128

struct usage_process {
	int pid;
	char name[32];
	uint64_t cpu_us;
	uint64_t rss;
	uint64_t pss;
};

struct usage {
	size_t count;
	struct usage_process process[USAGE_MAX];
};

struct usage_source {
	int root; /* this process and all below it; 0 = none */
	int pids[USAGE_MAX];
	size_t npids;
};

/* Adds the pids of a comma separated list, or of all *.pid files of a directory. False: not
 * understood, why said on stderr. */
bool usage_add_pids(struct usage_source *src, const char *list);
bool usage_add_dir(struct usage_source *src, const char *dir);

bool usage_wanted(const struct usage_source *src);

/* memory: RSS and PSS too (PSS walks page tables: not for the middle of a measurement). */
void usage_take(struct usage *out, const struct usage_source *src, bool memory);

/* What was used between two snapshots, by process; memory may have shrunk, then it is 0. A process
 * that is new counts whole, one that is gone not at all. */
void usage_between(struct usage *out, const struct usage *before, const struct usage *after);

void usage_sum(const struct usage *u, uint64_t *cpu_us, uint64_t *rss, uint64_t *pss);

#endif
