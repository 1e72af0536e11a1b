#include "bench/usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

struct stat_line {
	char name[32];
	int ppid;
	uint64_t cpu_ticks;
};

static bool read_stat(int pid, struct stat_line *out)
{
	char path[64];
	char line[1024];

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	size_t n = fread(line, 1, sizeof line - 1, f);
	fclose(f);
	line[n] = 0;

	char *open = strchr(line, '(');
	char *close = strrchr(line, ')');
	unsigned long utime, stime;
	char state;

	if (!open || !close || close < open)
		return false;
	snprintf(out->name, sizeof out->name, "%.*s", (int)(close - open - 1), open + 1);
	if (sscanf(close + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &state,
		   &out->ppid, &utime, &stime) != 4)
		return false;
	out->cpu_ticks = utime + stime;
	return state != 'Z';
}

static uint64_t field_kb(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

static void read_memory(struct usage_process *p)
{
	char path[64];
	char text[2048];

	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", p->pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = 0;
	p->rss = field_kb(text, "\nRss:");
	p->pss = field_kb(text, "\nPss:");
}

static void add_process(struct usage *u, int pid, const struct stat_line *st)
{
	if (u->count == USAGE_MAX)
		return;
	for (size_t i = 0; i < u->count; i++) {
		if (u->process[i].pid == pid)
			return;
	}
	struct usage_process *p = &u->process[u->count++];
	*p = (struct usage_process){.pid = pid};
	snprintf(p->name, sizeof p->name, "%s", st->name);
	p->cpu_us = st->cpu_ticks * (1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

static bool below(int pid, int root)
{
	struct stat_line st;

	for (int hops = 0; pid > 1 && hops < 32; hops++) {
		if (pid == root)
			return true;
		if (!read_stat(pid, &st))
			return false;
		pid = st.ppid;
	}
	return pid == root;
}

static void add_tree(struct usage *u, int root)
{
	DIR *d = opendir("/proc");
	struct stat_line st;

	if (!d)
		return;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		int pid = atoi(e->d_name);

		if (pid > 0 && below(pid, root) && read_stat(pid, &st))
			add_process(u, pid, &st);
	}
	closedir(d);
}

bool usage_wanted(const struct usage_source *src)
{
	return src->root || src->npids;
}

void usage_take(struct usage *out, const struct usage_source *src, bool memory)
{
	struct stat_line st;

	out->count = 0;
	if (src->root)
		add_tree(out, src->root);
	for (size_t i = 0; i < src->npids; i++) {
		if (read_stat(src->pids[i], &st))
			add_process(out, src->pids[i], &st);
	}
	for (size_t i = 0; memory && i < out->count; i++)
		read_memory(&out->process[i]);
}

static uint64_t grown(uint64_t before, uint64_t after)
{
	return after > before ? after - before : 0;
}

void usage_between(struct usage *out, const struct usage *before, const struct usage *after)
{
	*out = *after;
	for (size_t i = 0; i < out->count; i++) {
		struct usage_process *p = &out->process[i];

		for (size_t k = 0; k < before->count; k++) {
			const struct usage_process *b = &before->process[k];

			if (b->pid != p->pid)
				continue;
			p->cpu_us = grown(b->cpu_us, p->cpu_us);
			p->rss = grown(b->rss, p->rss);
			p->pss = grown(b->pss, p->pss);
		}
	}
}

void usage_sum(const struct usage *u, uint64_t *cpu_us, uint64_t *rss, uint64_t *pss)
{
	*cpu_us = *rss = *pss = 0;
	for (size_t i = 0; i < u->count; i++) {
		*cpu_us += u->process[i].cpu_us;
		*rss += u->process[i].rss;
		*pss += u->process[i].pss;
	}
}

static bool add_pid(struct usage_source *src, const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (pid <= 0 || src->npids == USAGE_MAX)
		return false;
	src->pids[src->npids++] = (int)pid;
	return true;
}

bool usage_add_pids(struct usage_source *src, const char *list)
{
	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!add_pid(src, at)) {
			fprintf(stderr, "--pids %s: not a comma separated list of pids\n", list);
			return false;
		}
	}
	return true;
}

bool usage_add_dir(struct usage_source *src, const char *dir)
{
	DIR *d = opendir(dir);

	if (!d) {
		fprintf(stderr, "--pid-dir %s: cannot be read\n", dir);
		return false;
	}
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		const char *dot = strrchr(e->d_name, '.');
		struct str path = STR_INIT;
		char text[32] = "";

		if (!dot || strcmp(dot, ".pid") != 0)
			continue;
		str_addf(&path, "%s/%s", dir, e->d_name);
		FILE *f = fopen(path.data, "re");
		if (f) {
			if (fgets(text, sizeof text, f))
				add_pid(src, text);
			fclose(f);
		}
		str_clear(&path);
	}
	closedir(d);
	return true;
}
