/*
 * `dns`: who is asked, and what is answered here.
 */
#include <stdio.h>
#include <string.h>

#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "cli/dns/dns_program.h"
#include "net/loop.h"
#include "proc/config.h"

struct page {
	bool json;
	struct str out;
};

static void row(struct page *p, const char *label, const char *kind, const char *value)
{
	if (p->json) {
		str_addf(&p->out, "{\"kind\":\"%s\",\"value\":", kind);
		json_line_put_text(&p->out, slice_str(value));
		str_adds(&p->out, "}\n");
	} else {
		table_label(&p->out, label, slice_str(value));
	}
}

static void rows(struct page *p, const char *label, const char *kind, char **lines)
{
	for (char **l = lines; *l; l++)
		row(p, label, kind, *l);
	if (!*lines && !p->json)
		table_label(&p->out, label, slice_str("none"));
}

static void show(struct page *p, const struct config *cfg, struct resolver *r)
{
	const struct resolver_config given = dns_resolver_config(cfg);
	struct str servers = STR_INIT;
	char number[32];
	bool everything = resolver_forwards_everything(r);

	resolver_servers(r, &servers);
	row(p, "Servers from", "source",
	    everything	     ? "forward zone \".\""
	    : *given.servers ? "configuration"
			     : "/etc/resolv.conf");
	for (char *s = servers.data, *end; *s && (end = strchr(s, '\n')); s = end + 1) {
		*end = '\0';
		row(p, "Server", "server", s);
	}
	rows(p, "Forward zone", "forwardzone", cfg->dns_forwardzones);
	rows(p, "Local record", "rr", cfg->dns_records);
	rows(p, "Trust anchor", "trustanchor", cfg->dns_trustanchors);
	snprintf(number, sizeof(number), "%lld ms", (long long)cfg->dns_timeout_ms);
	row(p, "Timeout", "timeout", number);
	str_clear(&servers);
}

int dns_show(const void *values, int argc, char **argv)
{
	const struct dns_values *v = values;
	struct page page = {.json = v->common.json, .out = STR_INIT};
	struct resolver_config given;
	struct resolver *r = NULL;
	struct str why = STR_INIT;
	struct config *cfg;
	struct loop *loop;
	int code = dns_config(v, &cfg);

	(void)argc, (void)argv;
	if (code != COMMAND_OK)
		return code;
	loop = loop_new();
	given = dns_resolver_config(cfg);
	if (resolver_new(&r, loop, &given, &why) == ERR_OK)
		show(&page, cfg, r);
	else
		code = command_fail("dns", COMMAND_REFUSED, "%s", why.data);
	fputs(page.out.data, stdout);
	resolver_free(&r);
	loop_free(&loop);
	config_free(&cfg);
	str_clear(&why);
	str_clear(&page.out);
	return code;
}

int dns_flush(const void *values, int argc, char **argv)
{
	(void)argc, (void)argv;
	dns_success(values,
		    "nothing to flush: no answers are kept between questions here; caches of "
		    "the DNS servers are theirs to flush");
	return COMMAND_OK;
}
