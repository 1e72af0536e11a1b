#include "cli/xmpp/served.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "base/xmem.h"
#include "proc/config.h"

static int load(const char *dir, struct config **out)
{
	char *path = xasprintf("%s/" CONFIG_PATH, dir);
	struct str why = STR_INIT;
	int code = COMMAND_OK;

	*out = NULL;
	if (access(path, F_OK) != 0)
		code = command_fail("xmpp", COMMAND_UNREACHABLE,
				    "%s: %m; make an instance with 'supervisor -C %s init' and "
				    "start it with 'supervisor -C %s start'",
				    path, dir, dir);
	else if (config_load(out, path, &why) != ERR_OK)
		code = command_fail("xmpp", COMMAND_REFUSED, "%s", why.data);
	str_clear(&why);
	free(path);
	return code;
}

static bool is_served(const struct config *cfg, struct slice domain)
{
	for (char **d = cfg->domains; *d; d++) {
		char normal[JID_PART_MAX + 1];

		if (jid_prepare_domain(normal, slice_str(*d)) == ERR_OK && slice_is(domain, normal))
			return true;
	}
	return false;
}

static int say_not_served(const struct config *cfg, struct slice domain)
{
	struct str served = STR_INIT;
	int code;

	for (char **d = cfg->domains; *d; d++)
		str_addf(&served, "%s%s", served.len ? ", " : "", *d);
	code = command_fail(
		"xmpp", COMMAND_REFUSED,
		"%.*s is not served here (served: %s); add it to 'domains' in " CONFIG_PATH
		" first",
		SLICE_ARG(domain), served.len ? served.data : "none");
	str_clear(&served);
	return code;
}

int served_check(const char *dir, struct slice domain)
{
	struct config *cfg;
	int code = load(dir, &cfg);

	if (code == COMMAND_OK && !is_served(cfg, domain))
		code = say_not_served(cfg, domain);
	config_free(&cfg);
	return code;
}

int served_check_other(const char *dir, struct slice domain)
{
	struct config *cfg;
	int code = load(dir, &cfg);

	if (code == COMMAND_OK && is_served(cfg, domain))
		code = command_fail("xmpp", COMMAND_REFUSED,
				    "%.*s is the domain of users here; a component needs one of "
				    "its own, such as name.%.*s",
				    SLICE_ARG(domain), SLICE_ARG(domain));
	config_free(&cfg);
	return code;
}

int served_choose(const char *dir, const char *wanted, char out[JID_PART_MAX + 1])
{
	struct config *cfg;
	int code = load(dir, &cfg);

	if (code == COMMAND_OK && !wanted && !cfg->domains[0])
		code = command_fail("xmpp", COMMAND_REFUSED,
				    "no domain is served here; set one with 'xmpp domain DOMAIN'");
	if (code == COMMAND_OK && !wanted)
		wanted = cfg->domains[0];
	if (code == COMMAND_OK && jid_prepare_domain(out, slice_str(wanted)) != ERR_OK)
		code = command_fail("xmpp", COMMAND_USAGE, "'%s' is not a domain", wanted);
	if (code == COMMAND_OK && !is_served(cfg, slice_str(out)))
		code = say_not_served(cfg, slice_str(out));
	config_free(&cfg);
	return code;
}

int served_administrator(const char *dir)
{
	char *conf = xasprintf("%s/conf", dir);
	int code = COMMAND_OK;

	/* Whatever else is wrong with it is said by who needs it. */
	if (faccessat(AT_FDCWD, conf, W_OK, AT_EACCESS) != 0 && (errno == EACCES || errno == EPERM))
		code = command_fail("xmpp", COMMAND_REFUSED,
				    "only the administrator of %s (root, or who owns it) may do "
				    "this; you cannot write %s",
				    dir, conf);
	free(conf);
	return code;
}
