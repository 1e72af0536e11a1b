/*
 * `dns lookup`: one question, as every program of this instance would ask it. Answers are printed
 * as zone-file lines, so that they can be given to `dns add rr`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/dns/dns_program.h"
#include "net/loop.h"
#include "proc/config.h"

struct lookup {
	const struct dns_values *v;
	struct loop *loop;
	struct str out;
	int code;
};

static int by_use(const void *va, const void *vb)
{
	const struct srv_record *a = va, *b = vb;
	int r = (a->priority > b->priority) - (a->priority < b->priority);

	if (r == 0)
		r = (a->weight < b->weight) - (a->weight > b->weight);
	if (r == 0)
		r = strcasecmp(a->target, b->target);
	return r ? r : (a->port > b->port) - (a->port < b->port);
}

static void begin(struct lookup *l, const struct dns_answer *a, const char *name, const char *type)
{
	if (!l->v->common.json) {
		str_addf(&l->out, "%s. %u IN %s ", name, a->ttl, type);
		return;
	}
	str_adds(&l->out, "{\"name\":");
	json_line_put_text(&l->out, slice_str(name));
	str_addf(&l->out, ",\"type\":\"%s\",\"ttl\":%u,\"secure\":%s", type, a->ttl,
		 a->secure ? "true" : "false");
}

static void put_name(struct lookup *l, const char *key, const char *name)
{
	if (l->v->common.json) {
		str_addf(&l->out, ",\"%s\":", key);
		json_line_put_text(&l->out, slice_str(name));
		str_adds(&l->out, "}\n");
	} else {
		str_addf(&l->out, "%s\n", name);
	}
}

static void put_srv(struct lookup *l, const struct dns_answer *a)
{
	struct srv_record *list = xcalloc(a->count, sizeof(*list));
	const bool json = l->v->common.json;

	memcpy(list, a->of.srv, a->count * sizeof(*list));
	qsort(list, a->count, sizeof(*list), by_use);
	for (size_t i = 0; i < a->count; i++) {
		char target[SRV_TARGET_MAX + 1];

		snprintf(target, sizeof(target), "%s%s", list[i].target, json ? "" : ".");
		begin(l, a, a->canonical, "SRV");
		str_addf(&l->out, json ? ",\"priority\":%u,\"weight\":%u,\"port\":%u" : "%u %u %u ",
			 list[i].priority, list[i].weight, list[i].port);
		put_name(l, "target", target);
	}
	free(list);
}

static void put_addresses(struct lookup *l, const struct dns_answer *a)
{
	for (size_t i = 0; i < a->count; i++) {
		char text[DNS_ADDRESS_TEXT];

		dns_address_format(&a->of.addresses[i], text);
		begin(l, a, a->canonical, dns_type_name(a->type));
		put_name(l, "address", text);
	}
}

static void put_failure(struct lookup *l, const struct dns_answer *a)
{
	l->code = COMMAND_REFUSED;
	if (!l->v->common.json) {
		command_fail("dns", 0, "%s: %s", dns_outcome_name(a->outcome), a->text);
		return;
	}
	str_adds(&l->out, "{\"name\":");
	json_line_put_text(&l->out, slice_str(a->name));
	str_addf(&l->out, ",\"type\":\"%s\",\"result\":\"%s\",\"text\":", dns_type_name(a->type),
		 dns_outcome_name(a->outcome));
	json_line_put_text(&l->out, slice_str(a->text));
	str_adds(&l->out, "}\n");
}

static void on_answer(void *arg, const struct dns_answer *a)
{
	struct lookup *l = arg;
	char target[SRV_TARGET_MAX + 1];

	if (a->outcome == DNS_ANSWER && strcmp(a->name, a->canonical) != 0) {
		snprintf(target, sizeof(target), "%s%s", a->canonical,
			 l->v->common.json ? "" : ".");
		begin(l, a, a->name, "CNAME");
		put_name(l, "target", target);
	}
	if (a->outcome != DNS_ANSWER)
		put_failure(l, a);
	else if (a->type == DNS_SRV)
		put_srv(l, a);
	else
		put_addresses(l, a);
	loop_stop(l->loop);
}

static int look_up(const struct dns_values *v, const struct resolver_config *cfg,
		   enum dns_type type, const char *name)
{
	struct lookup l = {.v = v, .loop = loop_new(), .out = STR_INIT};
	struct resolver *r = NULL;
	struct str why = STR_INIT;

	if (resolver_new(&r, l.loop, cfg, &why) == ERR_OK) {
		resolver_ask(r, name, type, on_answer, &l, NULL);
		loop_run(l.loop);
	} else {
		l.code = command_fail("dns", COMMAND_REFUSED, "%s", why.data);
	}
	fputs(l.out.data, stdout);
	resolver_free(&r);
	loop_free(&l.loop);
	str_clear(&why);
	str_clear(&l.out);
	return l.code;
}

int dns_lookup(const void *values, int argc, char **argv)
{
	const struct dns_values *v = values;
	const char *servers[COMMAND_LIST_MAX + 1] = {NULL};
	struct resolver_config given;
	struct config *cfg;
	enum dns_type type;
	int code;

	(void)argc;
	if (!dns_type_parse(argv[0], &type) || type == DNS_TLSA)
		return command_fail("dns", COMMAND_USAGE,
				    "%s is not a type that can be looked up: srv, a or aaaa",
				    argv[0]);
	code = dns_config(v, &cfg);
	if (code != COMMAND_OK)
		return code;
	given = dns_resolver_config(cfg);
	for (size_t i = 0; i < v->servers.count; i++)
		servers[i] = v->servers.items[i];
	if (v->servers.count > 0) {
		given.servers = servers;
		given.forwardzones = NULL;
	}
	code = look_up(v, &given, type, argv[1]);
	config_free(&cfg);
	return code;
}
