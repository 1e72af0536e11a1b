/*
 * bridge_set - `callbridge settings`, `secret`, `enable` and `disable`: the block "XMPP server
 * settings" of the guides (FEATURES 2.3) as commands.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/xmem.h"
#include "callbridge/bridge_program.h"
#include "callbridge/bridge_settings.h"
#include "cli/common/managed.h"
#include "cli/common/password.h"
#include "cli/common/table.h"
#include "proc/config.h"
#include "proc/sup_client.h"

/* ---- what is said */

static int say(const struct bridge_values *v, bool good, const char *text)
{
	struct str out = STR_INIT;

	if (v->common.json) {
		str_addf(&out, "{\"result\":\"%s\",\"text\":", good ? "success" : "failure");
		json_text(&out, slice_str(text));
		str_adds(&out, "}\n");
	} else {
		str_addf(&out, "%s: ", good ? "SUCCESS" : "FAILURE");
		table_raw(&out, slice_str(text));
	}
	fputs(out.data, stdout);
	str_clear(&out);
	return good ? COMMAND_OK : COMMAND_REFUSED;
}

static bool has_secret(const struct config *cfg)
{
	struct stat st;

	return stat(cfg->bridge_secret_file, &st) == 0 && st.st_size > 0;
}

static void show_json(const struct config *cfg, const char *domain)
{
	struct str out = STR_INIT;
	const char *const members[][2] = {
		{"name", cfg->bridge_name},	{"domain", domain},
		{"server", cfg->bridge_server}, {"jid", cfg->bridge_jid},
		{"tls", cfg->bridge_tls},	{"exec", cfg->bridge_exec},
	};

	str_addc(&out, '{');
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		str_addf(&out, "%s\"%s\":", i ? "," : "", members[i][0]);
		json_text(&out, slice_str(members[i][1]));
	}
	str_addf(&out, ",\"echo\":%s,\"secret\":%s,\"enabled\":%s}\n",
		 cfg->bridge_echo ? "true" : "false", has_secret(cfg) ? "true" : "false",
		 cfg->bridge_enabled ? "true" : "false");
	fputs(out.data, stdout);
	str_clear(&out);
}

/* The five fields as on the guides' page; the secret is never shown back (A43). */
static void show(const struct bridge_values *v, const struct config *cfg)
{
	const char *domain = *cfg->bridge_domain ? cfg->bridge_domain : cfg->domains[0];
	bool secret = has_secret(cfg);
	const char *program = *cfg->bridge_exec	 ? cfg->bridge_exec
			      : cfg->bridge_echo ? "(echo)"
						 : "";
	struct str out = STR_INIT;

	if (v->common.json) {
		show_json(cfg, domain ? domain : "");
		return;
	}
	table_label(&out, "Unique Call Bridge name", slice_str(cfg->bridge_name));
	table_label(&out, "Domain", slice_str(domain));
	table_label(&out, "Server address", slice_str(cfg->bridge_server));
	table_label(&out, "Shared secret", slice_str(secret ? "******** [change]" : "[change]"));
	table_label(&out, "Confirm shared secret", slice_str(secret ? "********" : ""));
	table_label(&out, "Enabled", slice_str(cfg->bridge_enabled ? "true" : "false"));
	table_label(&out, "TLS", slice_str(cfg->bridge_tls));
	table_label(&out, "Program", slice_str(program));
	fputs(out.data, stdout);
	str_clear(&out);
}

/* ---- settings */

static bool judge(const struct bridge_values *v, struct str *why)
{
	char *host = NULL;
	uint16_t port;
	bool good = true;

	if (v->name)
		good = bridge_name_is_good(v->name, why);
	if (good && v->server && *bridge_server_of(v->server))
		good = bridge_server_parse(v->server, &host, &port, why) == ERR_OK;
	if (good && v->exec && v->echo) {
		str_adds(why, "--exec and --echo: one of them");
		good = false;
	}
	free(host);
	return good;
}

static void set_text(struct managed *m, const char *key, const char *value)
{
	if (value)
		managed_set_text(m, key, value);
}

static void set_all(struct managed *m, const struct bridge_values *v)
{
	set_text(m, "callbridge.name", v->name);
	set_text(m, "callbridge.domain", v->domain);
	set_text(m, "callbridge.server", v->server ? bridge_server_of(v->server) : NULL);
	set_text(m, "callbridge.jid", v->jid);
	set_text(m, "callbridge.tls", v->tls);
	set_text(m, "callbridge.ca", v->ca);
	if (v->exec || v->echo) {
		managed_set_text(m, "callbridge.exec", v->exec ? v->exec : "");
		managed_set_flag(m, "callbridge.echo", v->echo);
	}
}

static int commit(const struct bridge_values *v, struct managed *m, const char *done)
{
	struct str why = STR_INIT;
	enum err e = managed_commit(m, &why);
	int code = say(v, e == ERR_OK, e == ERR_OK ? done : why.data);

	str_clear(&why);
	return code;
}

static int change(const struct bridge_values *v)
{
	struct str why = STR_INIT;
	struct managed *m = NULL;
	int code;

	if (!judge(v, &why) || managed_open(&m, &why) != ERR_OK) {
		code = say(v, false, why.data);
	} else {
		set_all(m, v);
		code = commit(v, m, "XMPP server settings changed");
	}
	managed_close(&m);
	str_clear(&why);
	return code;
}

int bridge_show_settings(const void *values, int argc, char **argv)
{
	const struct bridge_values *v = values;
	struct str why = STR_INIT;
	struct config *cfg = NULL;
	int code = bridge_enter(v);

	(void)argc, (void)argv;
	if (code == COMMAND_OK &&
	    (v->name || v->domain || v->server || v->jid || v->tls || v->ca || v->exec || v->echo))
		return change(v);
	if (code == COMMAND_OK && config_load(&cfg, CONFIG_PATH, &why) != ERR_OK)
		code = command_fail("callbridge", COMMAND_REFUSED, "%s", why.data);
	if (code == COMMAND_OK)
		show(v, cfg);
	config_free(&cfg);
	str_clear(&why);
	return code;
}

/* ---- enable and disable */

struct condition {
	bool met;
	const char *success, *failure;
};

static bool say_conditions(const struct bridge_values *v, const struct config *cfg)
{
	struct condition c[] = {
		{*cfg->bridge_name != '\0', "Unique Call Bridge name configured",
		 "no Unique Call Bridge name; set it with: callbridge settings --name NAME"},
		{has_secret(cfg), "Shared secret configured",
		 "no shared secret; set it with: callbridge secret"},
		{*cfg->bridge_exec || cfg->bridge_echo, "Program configured",
		 "no program; set it with: callbridge settings --exec CMD, or --echo"},
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		say(v, c[i].met, c[i].met ? c[i].success : c[i].failure);
		good &= c[i].met;
	}
	return good;
}

static int switch_to(const struct bridge_values *v, bool on)
{
	struct str why = STR_INIT;
	struct managed *m = NULL;
	int code = bridge_enter(v);

	if (code != COMMAND_OK)
		return code;
	if (managed_open(&m, &why) != ERR_OK) {
		code = say(v, false, why.data);
	} else if (on && !say_conditions(v, managed_config(m))) {
		code = COMMAND_REFUSED;
	} else {
		managed_set_flag(m, "callbridge.enabled", on);
		code = commit(v, m, on ? "Callbridge enabled" : "Callbridge disabled");
	}
	managed_close(&m);
	str_clear(&why);
	return code;
}

int bridge_enable(const void *values, int argc, char **argv)
{
	(void)argc, (void)argv;
	return switch_to(values, true);
}

int bridge_disable(const void *values, int argc, char **argv)
{
	(void)argc, (void)argv;
	return switch_to(values, false);
}

/* ---- the secret */

static enum err ask(char secret[PASSWORD_SIZE], struct str *why)
{
	char again[PASSWORD_SIZE] = "";
	enum err e = password_prompt(secret, "Shared secret", why);

	if (e == ERR_OK)
		e = password_prompt(again, "Confirm shared secret", why);
	if (e == ERR_OK && strcmp(secret, again) != 0) {
		str_adds(why, "the two shared secrets differ; nothing was changed, try again");
		e = ERR_CONFLICT;
	}
	if (e == ERR_UNSUPPORTED)
		str_adds(why, "; use --secret-stdin");
	xwipe(again, sizeof(again));
	return e;
}

static enum err get_secret(const struct bridge_values *v, char secret[PASSWORD_SIZE],
			   struct str *why)
{
	enum err e = v->secret_stdin ? password_read(secret, STDIN_FILENO, why) : ask(secret, why);

	if (e == ERR_OK && !*secret) {
		str_adds(why, "the shared secret is empty; nothing was changed");
		e = ERR_FORMAT;
	}
	if (e == ERR_OK && strlen(secret) > BRIDGE_SECRET_MAX) {
		str_addf(why, "the shared secret is longer than %d bytes", BRIDGE_SECRET_MAX);
		e = ERR_TOOBIG;
	}
	for (const char *p = secret; e == ERR_OK && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			str_adds(why, "the shared secret has a control character in it");
			e = ERR_FORMAT;
		}
	return e;
}

/* A new file in the place of the old, readable for its owner only. */
static enum err write_secret(const char *path, const char *secret, struct str *why)
{
	char *tmp = xasprintf("%s.new", path);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t n = strlen(secret);
	struct stat st;
	bool ok = fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, secret, n) == (ssize_t)n &&
		  write(fd, "\n", 1) == 1;

	/* What root writes in another user's instance stays that user's. */
	if (ok && geteuid() == 0 && stat("conf", &st) == 0)
		ok = fchown(fd, st.st_uid, st.st_gid) == 0;
	ok = ok && fsync(fd) == 0 && rename(tmp, path) == 0;
	if (!ok) {
		str_addf(why, "%s: %s; run it as root or as the instance's owner", path,
			 strerror(errno));
		unlink(tmp);
	}
	if (fd >= 0)
		close(fd);
	free(tmp);
	return ok ? ERR_OK : ERR_IO;
}

/* The service gets the file anew with a reload. */
static enum err put_in_force(const struct config *cfg, struct str *why)
{
	struct sup_client *c = NULL;
	enum err e = ERR_OK;

	if (cfg->bridge_enabled && sup_client_open(&c, ".") == ERR_OK)
		e = sup_client_request(c, "reload", why, NULL, NULL);
	sup_client_close(&c);
	return e;
}

int bridge_set_secret(const void *values, int argc, char **argv)
{
	const struct bridge_values *v = values;
	char secret[PASSWORD_SIZE] = "";
	struct str why = STR_INIT;
	struct config *cfg = NULL;
	int code = bridge_enter(v);
	enum err e;

	(void)argc, (void)argv;
	if (code != COMMAND_OK)
		return code;
	e = config_load(&cfg, CONFIG_PATH, &why);
	if (e == ERR_OK)
		e = get_secret(v, secret, &why);
	if (e == ERR_OK)
		e = write_secret(cfg->bridge_secret_file, secret, &why);
	if (e == ERR_OK)
		e = put_in_force(cfg, &why);
	xwipe(secret, sizeof(secret));
	code = say(v, e == ERR_OK, e == ERR_OK ? "Shared secret changed" : why.data);
	config_free(&cfg);
	str_clear(&why);
	return code;
}
