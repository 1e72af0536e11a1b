/* `supervisor init`: a new instance directory. The configuration is written last: an init that
 * failed half-way can be repeated. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/config.h"
#include "supervisor/command.h"
#include "supervisor/layout.h"
#include "supervisor/spawn.h"

static const char managed[] = "# Written by commands: each writes it anew, comments are lost.\n"
			      "# What stands here wins over the same key in roundhouse.conf.\n";

static bool is_domain(const char *d)
{
	size_t n = strlen(d);

	return n > 0 && n < 256 &&
	       strspn(d, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == n &&
	       d[0] != '.' && d[0] != '-';
}

static void add(char ***list, const char *text)
{
	size_t n = 0;

	while (*list && (*list)[n])
		n++;
	*list = xrealloc(*list, (n + 2) * sizeof(**list));
	(*list)[n] = xstrdup(text);
	(*list)[n + 1] = NULL;
}

static void replace(char ***field, char **list)
{
	if (!list)
		return;
	for (char **p = *field; *p; p++)
		free(*p);
	free(*field);
	*field = list;
}

/* An address without a port gets the usual one. */
static void add_listen(char ***list, const char *addr, const char *port)
{
	const char *colon = strrchr(addr, ':'), *bracket = strrchr(addr, ']');
	char *full = colon && (!bracket || colon > bracket) ? xstrdup(addr)
							    : xasprintf("%s:%s", addr, port);

	add(list, full);
	free(full);
}

/* Components beside the clients: the port after theirs, so that instances do not collide. */
static char **beside(char **clients)
{
	char **list = NULL;

	for (; clients && *clients; clients++) {
		const char *colon = strrchr(*clients, ':');
		long port = strtol(colon + 1, NULL, 10);
		char *addr = xasprintf("%.*s:%ld", (int)(colon - *clients), *clients,
				       port > 0 && port < 65535 ? port + 1 : port);

		add(&list, addr);
		free(addr);
	}
	return list;
}

static int parse(int argc, char **argv, struct config *cfg)
{
	static const struct option options[] = {{"domain", required_argument, NULL, 'd'},
						{"listen", required_argument, NULL, 'l'},
						{"components", required_argument, NULL, 'c'},
						{NULL, 0, NULL, 0}};
	char **domains = NULL, **listen = NULL, **components = NULL;
	bool good = true;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'd' && is_domain(optarg))
			add(&domains, optarg);
		else if (c == 'l')
			add_listen(&listen, optarg, "5222");
		else if (c == 'c')
			add_listen(&components, optarg, "5223");
		else
			good = false;
	}
	replace(&cfg->domains, domains);
	replace(&cfg->component_listen, components ? components : beside(listen));
	replace(&cfg->client_listen, listen);
	if (good && optind == argc)
		return COMMAND_OK;
	fprintf(stderr, "supervisor: wrong arguments; see supervisor init --help\n");
	return COMMAND_USAGE;
}

static enum err make_pki(const struct command_env *env, const struct config *cfg, struct str *why)
{
	char *program = xasprintf("%s/pki", env->bin);
	const char *const argv[] = {program, "-C", ".", "lab", "--domain", cfg->domains[0], NULL};
	enum err e = spawn_wait(argv, why);

	free(program);
	return e;
}

static enum err write_conf(const struct config *cfg, struct str *why)
{
	struct str text = STR_INIT;
	enum err e = layout_write_file("conf/managed.conf", slice_str(managed), cfg, why);

	config_format(&text, cfg);
	str_adds(&text,
		 "\n# What commands such as `xmpp domain` set stands in managed.conf and wins "
		 "over this file.\n");
	if (!e)
		e = layout_write_file(CONFIG_PATH, str_slice(&text), cfg, why);
	str_clear(&text);
	return e;
}

static int make(const struct command_env *env, const struct config *cfg)
{
	struct str done = STR_INIT, why = STR_INIT;
	enum err e = layout_make_users(cfg, &done, &why);

	if (!e)
		e = layout_apply(cfg, &why);
	if (!e)
		e = make_pki(env, cfg, &why);
	if (!e)
		e = write_conf(cfg, &why);
	fputs(done.data, stdout);
	if (e)
		fprintf(stderr, "supervisor: init failed: %s\n", why.data);
	else
		printf("made instance %s for domain %s\nstart it with: %s/supervisor -C %s start\n",
		       env->dir, cfg->domains[0], env->shown, env->dir);
	str_clear(&done);
	str_clear(&why);
	return e ? COMMAND_FAILED : COMMAND_OK;
}

int command_init(const struct command_env *env, int argc, char **argv)
{
	struct config *cfg = config_defaults();
	int rc = parse(argc, argv, cfg);

	if (rc)
		goto out;
	rc = COMMAND_FAILED;
	if ((mkdir(env->dir, 0700) < 0 && errno != EEXIST) || chdir(env->dir) < 0) {
		fprintf(stderr, "supervisor: %s: %s\n", env->dir, strerror(errno));
	} else if (access(CONFIG_PATH, F_OK) == 0) {
		fprintf(stderr,
			"supervisor: %s is an instance already (it has " CONFIG_PATH
			"); nothing was changed\n",
			env->dir);
	} else {
		rc = make(env, cfg);
	}
out:
	config_free(&cfg);
	return rc;
}
