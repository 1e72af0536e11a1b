#include "bench/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/monotime.h"

void result_error(struct result *r, const char *fmt, ...)
{
	va_list ap;

	if (r->errors++ > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof r->why, fmt, ap);
	va_end(ap);
}

static uint64_t own_cpu(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

void span_begin(struct span *s, const struct opts *o)
{
	s->opts = o;
	usage_take(&s->before, &o->server, false);
	s->began_us = monotime_now().us;
	s->own_us = own_cpu();
}

void span_end(struct span *s, struct result *r)
{
	struct usage after;

	r->seconds = (double)(monotime_now().us - s->began_us) / 1e6;
	r->own_cpu_us = own_cpu() - s->own_us;
	usage_take(&after, &s->opts->server, false);
	usage_between(&r->used, &s->before, &after);
}
