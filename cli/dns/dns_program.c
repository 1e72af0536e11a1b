#include "cli/dns/dns_program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/common/json_line.h"
#include "cli/common/table.h"
#include "proc/config.h"

int dns_enter(const struct dns_values *v)
{
	const char *dir = v->common.dir;

	if (chdir(dir) == 0 && access(CONFIG_PATH, F_OK) == 0)
		return COMMAND_OK;
	if (errno == EACCES)
		return command_fail("dns", COMMAND_REFUSED,
				    "%s is not yours: only its administrator may do this; run it "
				    "as its owner or as root",
				    dir);
	return command_fail("dns", COMMAND_UNREACHABLE,
			    "%s is no instance: it has no " CONFIG_PATH
			    "; 'supervisor -C %s init' makes one",
			    dir, dir);
}

int dns_config(const struct dns_values *v, struct config **out)
{
	struct str why = STR_INIT;
	int code;

	*out = NULL;
	if (!v->common.dir) {
		*out = config_defaults();
		return COMMAND_OK;
	}
	code = dns_enter(v);
	if (code == COMMAND_OK && config_load(out, CONFIG_PATH, &why) != ERR_OK)
		code = command_fail("dns", COMMAND_REFUSED, "%s", why.data);
	str_clear(&why);
	return code;
}

static const char *const *list(char **lines)
{
	return (const char *const *)lines;
}

struct resolver_config dns_resolver_config(const struct config *cfg)
{
	return (struct resolver_config){
		.servers = list(cfg->dns_servers),
		.forwardzones = list(cfg->dns_forwardzones),
		.records = list(cfg->dns_records),
		.trustanchors = list(cfg->dns_trustanchors),
		.timeout_ms = (unsigned int)cfg->dns_timeout_ms,
	};
}

static void say(const struct dns_values *v, const char *plain, const char *json, const char *fmt,
		va_list ap)
{
	struct str text = STR_INIT, line = STR_INIT;

	str_vaddf(&text, fmt, ap);
	if (v->common.json) {
		str_addf(&line, "{\"result\":\"%s\",\"text\":", json);
		json_line_put_text(&line, str_slice(&text));
		str_adds(&line, "}\n");
	} else {
		str_addf(&line, "%s: ", plain);
		table_raw(&line, str_slice(&text));
	}
	fputs(line.data, stdout);
	str_clear(&line);
	str_clear(&text);
}

void dns_success(const struct dns_values *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(v, "SUCCESS", "success", fmt, ap);
	va_end(ap);
}

int dns_failure(const struct dns_values *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(v, "FAILURE", "failure", fmt, ap);
	va_end(ap);
	return COMMAND_REFUSED;
}
