/*
 * metrics_text - the exposition format: OpenMetrics 1.0, section "Text format".
 */
#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/metrics_types.h"
#include "proc/version.h"

#define SAMPLES_MAX 1024 /* of one owner: what exceeds it is not shown */

enum metric_type { COUNTER, GAUGE, UNKNOWN };

static const struct metric {
	const char *service;
	const char *key;
	enum metric_type type;
	const char *name;
	const char *unit;
	const char *label;
	const char *help;
} rows[] = {
#define METRIC(service, key, type, name, unit, label, help) \
	{service, key, type, name, unit, label, help},
#include "proc/metrics.def"
#undef METRIC
};

struct sample {
	struct slice key; /* with ':' when there is a label */
	struct slice label;
	struct slice value;
	bool shown;
};

static const char *type_name(enum metric_type type)
{
	return type == COUNTER ? "counter" : type == GAUGE ? "gauge" : "unknown";
}

static bool is_number(struct slice s)
{
	bool digit = false;

	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] >= '0' && s.data[i] <= '9')
			digit = true;
		else if (s.data[i] != '.' && !(s.data[i] == '-' && i == 0))
			return false;
	}
	return digit;
}

/* "a=1 b:x=2" to samples; words (store_disk=full) are no metrics. */
static size_t split(struct slice text, struct sample *out)
{
	const char *p = text.data, *end = text.data + text.len;
	size_t n = 0;

	while (p < end && n < SAMPLES_MAX) {
		const char *space = memchr(p, ' ', (size_t)(end - p));
		const char *stop = space ? space : end;
		const char *eq = memchr(p, '=', (size_t)(stop - p));
		const char *colon = eq ? memchr(p, ':', (size_t)(eq - p)) : NULL;
		struct slice value = eq ? slice_of(eq + 1, (size_t)(stop - eq - 1)) : SLICE_NONE;

		if (eq && eq > p && is_number(value))
			out[n++] = (struct sample){
				.key = slice_of(p, (size_t)((colon ? colon + 1 : eq) - p)),
				.label = colon ? slice_of(colon + 1, (size_t)(eq - colon - 1))
					       : SLICE_NONE,
				.value = value,
			};
		p = stop + 1;
	}
	return n;
}

/* A metric's name has letters, digits and underscores only. */
static void add_name(struct str *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		bool plain =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (c != ':')
			str_addc(out, plain ? c : '_');
	}
}

static void add_label(struct str *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (c == '\\' || c == '"')
			str_addc(out, '\\');
		if (c == '\n')
			str_adds(out, "\\n");
		else
			str_addc(out, c);
	}
}

static void add_head(struct str *out, const char *family, const char *type, const char *unit,
		     const char *help)
{
	str_addf(out, "# TYPE %s %s\n", family, type);
	if (*unit)
		str_addf(out, "# UNIT %s %s\n", family, unit);
	str_addf(out, "# HELP %s %s\n", family, help);
}

static struct metric describe(const char *service, struct slice key)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].service, service) == 0 && slice_is(key, rows[i].key))
			return rows[i];
	return (struct metric){.type = UNKNOWN, .unit = "", .label = "of"};
}

static void add_sample(const struct metrics *m, const struct metric *row, const char *family,
		       const struct sample *s, struct str *out)
{
	str_addf(out, "%s%s{process=\"", family, row->type == COUNTER ? "_total" : "");
	add_label(out, slice_str(m->instance));
	if (s->label.len) {
		str_addf(out, "\",%s=\"", row->label);
		add_label(out, s->label);
	}
	str_adds(out, "\"} ");
	str_add_slice(out, s->value);
	str_addc(out, '\n');
}

/* All samples of one key stand together: a family must not be interrupted. */
static void add_family(const struct metrics *m, struct sample *all, size_t n, size_t first,
		       struct str *out)
{
	struct metric row = describe(m->service, all[first].key);
	struct str family = STR_INIT, help = STR_INIT;

	str_adds(&family, "roundhouse_");
	add_name(&family, slice_str(m->service));
	str_addc(&family, '_');
	add_name(&family, row.name ? slice_str(row.name) : all[first].key);
	if (!row.name && all[first].label.len) /* beside one without */
		str_adds(&family, "_of");
	if (row.help)
		str_adds(&help, row.help);
	else
		str_addf(&help, "See %.*s in xmpp stats.", SLICE_ARG(all[first].key));
	add_head(out, family.data, type_name(row.type), row.unit, help.data);
	for (size_t i = first; i < n; i++) {
		if (!slice_eq(all[i].key, all[first].key))
			continue;
		all[i].shown = true;
		add_sample(m, &row, family.data, &all[i], out);
	}
	str_clear(&family);
	str_clear(&help);
}

/* ---- the process itself */

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = -1; /* of the directory itself */

	if (!d)
		return -1; /* not ours to see after rights were dropped */
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2; /* "." and ".." */
}

static void add_one(const struct metrics *m, struct str *out, const char *name, const char *type,
		    const char *unit, const char *help, double value)
{
	char family[128];

	snprintf(family, sizeof(family), "roundhouse_process_%s", name);
	add_head(out, family, type, unit, help);
	str_addf(out, "%s%s{process=\"%s\"} %.15g\n", family,
		 strcmp(type, "counter") == 0 ? "_total" : "", m->instance, value);
}

static void add_process(const struct metrics *m, struct str *out)
{
	struct rusage ru = {0};
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	int fds = count_fds();

	getrusage(RUSAGE_SELF, &ru);
	add_one(m, out, "cpu_seconds", "counter", "seconds", "CPU time used.",
		(double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
			(double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	if (f && fscanf(f, "%lu %lu", &size, &resident) == 2)
		add_one(m, out, "resident_memory_bytes", "gauge", "bytes",
			"Memory of the process in RAM.",
			(double)resident * (double)sysconf(_SC_PAGESIZE));
	if (f)
		fclose(f);
	if (fds >= 0)
		add_one(m, out, "open_fds", "gauge", "", "Open file descriptors.", fds);
	add_one(m, out, "start_time_seconds", "gauge", "seconds",
		"When the process was started (seconds since 1970).", m->started);
	add_head(out, "roundhouse_build", "info", "", "The version that runs.");
	str_addf(out, "roundhouse_build_info{process=\"%s\",version=\"%s\"} 1\n", m->instance,
		 ROUNDHOUSE_VERSION);
}

void metrics_text(const struct metrics *m, struct str *out)
{
	struct sample *samples = xcalloc(SAMPLES_MAX, sizeof(*samples));
	struct str stats = STR_INIT;
	size_t n;

	if (m->add)
		m->add(m->arg, &stats);
	n = split(str_slice(&stats), samples);
	for (size_t i = 0; i < n; i++)
		if (!samples[i].shown)
			add_family(m, samples, n, i, out);
	add_process(m, out);
	str_adds(out, "# EOF\n");
	str_clear(&stats);
	free(samples);
}
