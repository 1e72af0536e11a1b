#include "tests/ledger/table.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
	const char *key;
	const char *title;
} rows[ROWS] = {
	[ROW_SM_SM] = {"sm_sm", "XEP-0198 to XEP-0198"},
	[ROW_SM_PLAIN] = {"sm_plain", "XEP-0198 to plain"},
	[ROW_PLAIN_SM] = {"plain_sm", "plain to XEP-0198"},
	[ROW_PLAIN_PLAIN] = {"plain_plain", "plain to plain"},
	[ROW_TO_BRIDGE] = {"to_bridge", "to XEP-0198 component"},
	[ROW_OF_BRIDGE] = {"of_bridge", "of XEP-0198 component"},
	[ROW_TO_PART] = {"to_part", "to plain component"},
	[ROW_OF_PART] = {"of_part", "of plain component"},
	[ROW_SERVER] = {"server", "pings to the server"},
};

static const struct {
	enum weight weight;
	const char *key;
	const char *text;
} counts[COUNTS] = {
#define COUNT(name, weight, key, text) [COUNT_##name] = {weight, key, text},
#include "tests/ledger/counts.def"
#undef COUNT
};

static void print_row(const char *title, const struct row *r)
{
	printf("%-22s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %8" PRIu64 " %7" PRIu64 " %8" PRIu64
	       " %6" PRIu64 "\n",
	       title, r->sent, r->acknowledged, r->received, r->bounced, r->apart, r->unknown,
	       r->lost);
}

static void add(struct row *sum, const struct row *r)
{
	sum->sent += r->sent;
	sum->acknowledged += r->acknowledged;
	sum->received += r->received;
	sum->bounced += r->bounced;
	sum->apart += r->apart;
	sum->unknown += r->unknown;
	sum->lost += r->lost;
}

static bool is_breach(size_t i, bool strict)
{
	return counts[i].weight == BREACH || (strict && counts[i].weight == STRICT);
}

void table_print(const struct options *o, const struct verdict *v)
{
	static const char *const words[] = {[BREACH] = "breach", [STRICT] = "strict", [NOTE] = ""};
	struct row sum = {0};

	printf("%u clients with%s XEP-0198, %u without, %u messages/s for %.0f s, seed %u\n\n",
	       o->sm, o->no_sm ? "out" : "", o->plain, o->rate, o->seconds, o->seed);
	printf("%-22s %9s %9s %9s %8s %7s %8s %6s\n", "", "sent", "acked", "received", "bounced",
	       "apart", "unknown", "lost");
	for (size_t i = 0; i < ROWS; i++) {
		print_row(rows[i].title, &v->rows[i]);
		add(&sum, &v->rows[i]);
	}
	print_row("all", &sum);
	printf("\n");
	for (size_t i = 0; i < COUNTS; i++)
		printf("%-7s %8" PRIu64 "  %s\n", words[counts[i].weight], v->counts[i],
		       counts[i].text);
	uint64_t breaches = verdict_breaches(v, o->strict);
	printf("\n%s: %" PRIu64 " breaches\n", breaches ? "BROKEN" : "kept", breaches);
}

static void json_row(const char *key, const struct row *r)
{
	printf("\"%s\":{\"sent\":%" PRIu64 ",\"acknowledged\":%" PRIu64 ",\"received\":%" PRIu64
	       ",\"bounced\":%" PRIu64 ",\"apart\":%" PRIu64 ",\"unknown\":%" PRIu64
	       ",\"lost\":%" PRIu64 "},",
	       key, r->sent, r->acknowledged, r->received, r->bounced, r->apart, r->unknown,
	       r->lost);
}

void table_json(const struct options *o, const struct verdict *v)
{
	struct row sum = {0};

	printf("{\"sm\":%u,\"plain\":%u,\"no_sm\":%s,\"rate\":%u,\"seconds\":%.1f,\"seed\":%u,",
	       o->sm, o->plain, o->no_sm ? "true" : "false", o->rate, o->seconds, o->seed);
	for (size_t i = 0; i < ROWS; i++) {
		json_row(rows[i].key, &v->rows[i]);
		add(&sum, &v->rows[i]);
	}
	json_row("all", &sum);
	for (size_t i = 0; i < COUNTS; i++)
		printf("\"%s\":%" PRIu64 ",", counts[i].key, v->counts[i]);
	printf("\"broken\":[");
	const char *comma = "";
	for (size_t i = 0; i < COUNTS; i++) {
		if (v->counts[i] && is_breach(i, o->strict)) {
			printf("%s\"%s\"", comma, counts[i].key);
			comma = ",";
		}
	}
	printf("],\"breaches\":%" PRIu64 "}\n", verdict_breaches(v, o->strict));
}
