/*
 * Judging a configuration is making a context of it that is never asked anything.
 */
#include <unbound.h>

#include "net/resolver.h"
#include "net/resolver_context.h"
#include "net/resolver_lines.h"

enum err resolver_check(const struct resolver_config *cfg, struct str *why)
{
	struct dns_settings s;
	struct ub_ctx *ub;
	enum err e = dns_settings_init(&s, cfg, why);

	if (e != ERR_OK)
		return e;
	e = resolver_context_new(&ub, &s, why);
	if (e == ERR_OK)
		ub_ctx_delete(ub);
	dns_settings_clear(&s);
	return e;
}

enum err resolver_check_record(const char *record, struct str *why)
{
	const char *const lines[] = {record, NULL};

	return resolver_check(&(struct resolver_config){.records = lines}, why);
}

enum err resolver_check_server(const char *server, struct str *why)
{
	const char *const lines[] = {server, NULL};

	return resolver_check(&(struct resolver_config){.servers = lines}, why);
}

enum err resolver_check_forwardzone(const char *line, struct str *why)
{
	const char *const lines[] = {line, NULL};

	return resolver_check(&(struct resolver_config){.forwardzones = lines}, why);
}

enum err resolver_check_trustanchor(const char *record, struct str *why)
{
	const char *const lines[] = {record, NULL};

	return resolver_check(&(struct resolver_config){.trustanchors = lines}, why);
}
