#include "bench/report.h"

#include <stdio.h>
#include <string.h>

static const char *const tls_names[] = {
	[TLS_NONE] = "none", [TLS_STARTTLS] = "starttls", [TLS_DIRECT] = "direct"};

static bool is_idle(const struct result *r)
{
	return r->idle_connections > 0;
}

static double per(uint64_t amount, uint64_t count)
{
	return count ? (double)amount / (double)count : 0;
}

static void table_times(const struct result *r)
{
	if (!r->times.count)
		return;
	printf("%-22s p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", r->times_name,
	       (double)hist_percentile(&r->times, 0.5) / 1e3,
	       (double)hist_percentile(&r->times, 0.99) / 1e3, (double)r->times.max / 1e3);
}

static void table_usage(const struct result *r)
{
	uint64_t cpu, rss, pss;

	usage_sum(&r->used, &cpu, &rss, &pss);
	if (is_idle(r)) {
		printf("%-22s %.0f bytes RSS, %.0f bytes PSS per connection\n", "server memory",
		       per(rss, r->idle_connections), per(pss, r->idle_connections));
		printf("%-22s %.2f ms per second, all connections idle\n", "server CPU",
		       (double)cpu / 1e3 / r->seconds);
	} else {
		printf("%-22s %.2f us per %s, %.0f %% of a core\n", "server CPU",
		       per(cpu, r->count), r->unit, (double)cpu / 1e4 / r->seconds);
	}
	for (size_t i = 0; i < r->used.count; i++) {
		const struct usage_process *p = &r->used.process[i];

		if (is_idle(r))
			printf("  %-20s %.0f bytes PSS per connection, pid %d\n", p->name,
			       per(p->pss, r->idle_connections), p->pid);
		else
			printf("  %-20s %.2f us, pid %d\n", p->name, per(p->cpu_us, r->count),
			       p->pid);
	}
}

static void table_acks(const struct result *r)
{
	printf("%-22s <r/> %.3f asked, %.3f answered; <a/> %.3f sent, %.3f got per %s\n",
	       "XEP-0198", per(r->acks.asked_out, r->count), per(r->acks.asked_in, r->count),
	       per(r->acks.told_out, r->count), per(r->acks.told_in, r->count), r->unit);
}

void report_table(const struct opts *o, const struct result *r)
{
	printf("%-22s TLS %s, mechanism %s\n", o->load, tls_names[o->tls],
	       o->mech ? o->mech : "best offered");
	if (!is_idle(r))
		printf("%-22s %llu in %.2f s: %.0f per second\n", r->unit,
		       (unsigned long long)r->count, r->seconds, (double)r->count / r->seconds);
	table_times(r);
	if (o->sm)
		table_acks(r);
	if (usage_wanted(&o->server))
		table_usage(r);
	if (!is_idle(r))
		printf("%-22s %.2f us per %s\n", "generator CPU", per(r->own_cpu_us, r->count),
		       r->unit);
	if (r->retried)
		printf("%-22s %u logins were refused and tried again\n", "refused", r->retried);
	if (r->errors)
		printf("%-22s %llu, the first: %s\n", "ERRORS", (unsigned long long)r->errors,
		       r->why);
}

static void json_text(const char *name, const char *text)
{
	printf("\"%s\":\"", name);
	for (const char *at = text; *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	printf("\",");
}

void report_json(const struct opts *o, const struct result *r)
{
	uint64_t cpu, rss, pss;
	uint64_t spread = is_idle(r) ? r->idle_connections : r->count;

	usage_sum(&r->used, &cpu, &rss, &pss);
	printf("{");
	json_text("load", o->load);
	json_text("tls", tls_names[o->tls]);
	json_text("unit", r->unit);
	printf("\"pairs\":%u,\"window\":%u,\"body\":%u,\"together\":%u,", o->pairs, o->window,
	       o->body, o->together);
	printf("\"count\":%llu,\"seconds\":%.3f,\"per_second\":%.1f,", (unsigned long long)r->count,
	       r->seconds, (double)r->count / r->seconds);
	printf("\"p50_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu,",
	       (unsigned long long)hist_percentile(&r->times, 0.5),
	       (unsigned long long)hist_percentile(&r->times, 0.99),
	       (unsigned long long)r->times.max);
	printf("\"cpu_us\":%llu,\"cpu_us_each\":%.3f,\"own_cpu_us_each\":%.3f,",
	       (unsigned long long)cpu, per(cpu, r->count), per(r->own_cpu_us, r->count));
	printf("\"rss_each\":%.0f,\"pss_each\":%.0f,", per(rss, spread), per(pss, spread));
	printf("\"asked_each\":%.4f,\"told_each\":%.4f,\"asked_by_server_each\":%.4f,"
	       "\"told_by_server_each\":%.4f,",
	       per(r->acks.asked_out, r->count), per(r->acks.told_out, r->count),
	       per(r->acks.asked_in, r->count), per(r->acks.told_in, r->count));
	printf("\"retried\":%u,\"errors\":%llu,", r->retried, (unsigned long long)r->errors);
	json_text("why", r->why);
	printf("\"processes\":[");
	for (size_t i = 0; i < r->used.count; i++) {
		const struct usage_process *p = &r->used.process[i];

		printf("%s{", i ? "," : "");
		json_text("name", p->name);
		printf("\"pid\":%d,\"cpu_us\":%llu,\"cpu_us_each\":%.3f,\"pss_each\":%.0f}", p->pid,
		       (unsigned long long)p->cpu_us, per(p->cpu_us, r->count),
		       per(p->pss, spread));
	}
	printf("]}\n");
}

void report_step(const struct step *s)
{
	printf("{");
	json_text("step", s->name);
	printf("\"seconds\":%.3f,\"delivered\":%.3f,\"ready\":%u,\"refused\":%u,\"retried\":%u,",
	       s->seconds, s->delivered, s->ready, s->refused, s->retried);
	printf("\"messages\":%llu,\"bytes\":%llu,\"errors\":%llu,", (unsigned long long)s->messages,
	       (unsigned long long)s->bytes, (unsigned long long)s->errors);
	json_text("why", s->why);
	printf("\"processes\":[");
	for (size_t i = 0; i < s->used.count; i++) {
		const struct usage_process *p = &s->used.process[i];

		printf("%s{", i ? "," : "");
		json_text("name", p->name);
		printf("\"pid\":%d,\"cpu_us\":%llu,\"rss\":%llu,\"pss\":%llu}", p->pid,
		       (unsigned long long)p->cpu_us, (unsigned long long)p->rss,
		       (unsigned long long)p->pss);
	}
	printf("]}\n");
	fflush(stdout);
}
