/*
 * bridge_run - `callbridge run`: a call bridge in the foreground, with or without an instance.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "callbridge/bridge.h"
#include "callbridge/bridge_program.h"
#include "callbridge/bridge_report.h"
#include "cli/common/password.h"
#include "net/loop.h"
#include "proc/config.h"

struct run {
	const struct bridge_values *v;
	struct config *cfg;
	struct bridge_settings settings;
	struct loop *loop;
	struct bridge *bridge;
	struct bridge_report *report;
	struct loop_signal *term, *interrupt, *hangup; /* NULL: as it was */
	int cwd;
	bool stopping;
};

/* ---- settings */

static void replace(char **field, const char *text)
{
	if (!text)
		return;
	free(*field);
	*field = xstrdup(text);
}

/* Files are named from where the command is given, not from the instance. */
static int replace_path(char **field, const char *path)
{
	char full[PATH_MAX];

	if (!path)
		return COMMAND_OK;
	if (!realpath(path, full))
		return command_fail("callbridge", COMMAND_REFUSED, "%s: %s", path, strerror(errno));
	replace(field, full);
	return COMMAND_OK;
}

static void replace_list(char ***field, const struct command_list *list)
{
	if (!list->count)
		return;
	for (char **p = *field; *p; p++)
		free(*p);
	free(*field);
	*field = xcalloc(list->count + 1, sizeof(**field));
	for (size_t i = 0; i < list->count; i++)
		(*field)[i] = xstrdup(list->items[i]);
}

static bool tls_is_known(const char *mode)
{
	static const char *const modes[] = {"required", "optional", "direct", "none"};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(mode, modes[i]) == 0)
			return true;
	return false;
}

static int override(struct run *r)
{
	const struct bridge_values *v = r->v;
	struct config *cfg = r->cfg;

	if (v->tls && !tls_is_known(v->tls))
		return command_fail("callbridge", COMMAND_USAGE,
				    "--tls %s: it is required, optional, direct or none", v->tls);
	replace(&cfg->bridge_name, v->name);
	replace(&cfg->bridge_domain, v->domain);
	replace(&cfg->bridge_server, v->server ? bridge_server_of(v->server) : NULL);
	replace(&cfg->bridge_jid, v->jid);
	replace(&cfg->bridge_tls, v->tls);
	replace_list(&cfg->dns_servers, &v->dns);
	if (v->exec || v->echo) {
		replace(&cfg->bridge_exec, v->exec ? v->exec : "");
		cfg->bridge_echo = v->echo;
	}
	if (v->no_verify)
		cfg->bridge_verify = false;
	if (v->dns_retry)
		cfg->bridge_dns_retry_s = v->dns_retry;
	if (v->retry_max)
		cfg->bridge_retry_max_ms = v->retry_max;
	return COMMAND_OK;
}

/* What is relative in the configuration is so from the instance, the program's own is from here. */
static int load_config(struct run *r)
{
	const struct bridge_values *v = r->v;
	struct str why = STR_INIT;
	char *secret_file = NULL, *ca = NULL;
	int code = replace_path(&secret_file, v->secret_file);

	if (code == COMMAND_OK)
		code = replace_path(&ca, v->ca);
	if (code == COMMAND_OK && v->common.dir)
		code = bridge_enter(v);
	if (code == COMMAND_OK && v->common.dir && config_load(&r->cfg, CONFIG_PATH, &why))
		code = command_fail("callbridge", COMMAND_REFUSED, "%s", why.data);
	if (code == COMMAND_OK && !v->common.dir)
		r->cfg = config_defaults();
	if (code == COMMAND_OK) {
		replace(&r->cfg->bridge_secret_file, secret_file);
		replace(&r->cfg->bridge_ca, ca);
		code = override(r);
	}
	free(secret_file);
	free(ca);
	str_clear(&why);
	return code;
}

static enum err ask_secret(struct run *r, struct str *why)
{
	char text[PASSWORD_SIZE] = "";
	enum err e = r->v->secret_stdin ? password_read(text, STDIN_FILENO, why)
					: password_prompt(text, "Shared secret", why);

	if (e == ERR_OK && !*text) {
		str_adds(why, "the shared secret is empty");
		e = ERR_FORMAT;
	}
	if (e == ERR_OK)
		str_adds(&r->settings.secret, text);
	if (e == ERR_UNSUPPORTED)
		str_adds(why, "; give the shared secret with --secret-file or --secret-stdin");
	xwipe(text, sizeof(text));
	return e;
}

static int load_settings(struct run *r)
{
	const struct bridge_values *v = r->v;
	const char *path = r->cfg->bridge_secret_file;
	struct str why = STR_INIT;
	enum err e = bridge_settings_load(&r->settings, r->cfg, &why);
	bool ask =
		v->secret_stdin || (!v->secret_file && (!v->common.dir || access(path, F_OK) < 0));

	if (e == ERR_OK)
		e = ask ? ask_secret(r, &why)
			: bridge_settings_read_secret_file(&r->settings, path, &why);
	if (e != ERR_OK)
		command_fail("callbridge", 0, "%s", why.data);
	str_clear(&why);
	return e == ERR_OK ? COMMAND_OK : COMMAND_REFUSED;
}

/* ---- running */

static void on_fault(void *arg, const char *text)
{
	(void)arg;
	(void)text; /* the log has said it */
}

static void on_stopped(void *arg)
{
	const struct run *r = arg;

	loop_stop(r->loop);
}

/* The second one does not wait. */
static void on_signal(void *arg)
{
	struct run *r = arg;

	if (r->stopping)
		loop_stop(r->loop);
	r->stopping = true;
	bridge_stop(r->bridge);
}

/* A terminal that is closed ends it in order; nohup(1) stays in force. */
static struct loop_signal *watch_hangup(struct run *r)
{
	struct sigaction now;

	if (sigaction(SIGHUP, NULL, &now) < 0 || now.sa_handler == SIG_IGN)
		return NULL;
	return loop_signal_new(r->loop, SIGHUP, on_signal, r);
}

static enum err begin(struct run *r, struct str *why)
{
	struct bridge_host host = {on_fault, on_stopped, r, r->cwd};
	struct resolver_config dns;
	enum err e;

	bridge_settings_dns(&dns, r->cfg);
	e = bridge_new(&r->bridge, r->loop, &r->settings, &dns, &host, why);
	if (e == ERR_OK && r->v->common.dir)
		e = bridge_report_open(&r->report, r->loop, r->bridge, bridge_name(r->bridge), why);
	return e;
}

static int work(struct run *r)
{
	struct str why = STR_INIT;
	int code = COMMAND_OK;

	log_open("callbridge", STDERR_FILENO, r->v->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		 r->v->common.json);
	r->loop = loop_new();
	if (begin(r, &why) == ERR_OK) {
		r->term = loop_signal_new(r->loop, SIGTERM, on_signal, r);
		r->interrupt = loop_signal_new(r->loop, SIGINT, on_signal, r);
		r->hangup = watch_hangup(r);
		loop_run(r->loop);
	} else {
		code = command_fail("callbridge", COMMAND_REFUSED, "%s", why.data);
	}
	loop_signal_free(&r->term);
	loop_signal_free(&r->interrupt);
	loop_signal_free(&r->hangup);
	bridge_report_close(&r->report);
	bridge_free(&r->bridge);
	loop_free(&r->loop);
	str_clear(&why);
	return code;
}

int bridge_run(const void *values, int argc, char **argv)
{
	struct run r = {.v = values, .settings = {.secret = STR_INIT}};
	int code;

	(void)argc, (void)argv;
	r.cwd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	code = load_config(&r);
	if (code == COMMAND_OK)
		code = load_settings(&r);
	if (code == COMMAND_OK)
		code = work(&r);
	bridge_settings_clear(&r.settings);
	config_free(&r.cfg);
	if (r.cwd >= 0)
		close(r.cwd);
	return code;
}
