/* The commands that ask the running supervisor: stop, status, restart, reload, log-level; check. */
#include "supervisor/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "net/loop.h"
#include "proc/config.h"
#include "proc/sup_client.h"
#include "supervisor/certset.h"
#include "supervisor/checker.h"
#include "supervisor/holder.h"
#include "supervisor/sup.h"

static int usage(const char *word)
{
	fprintf(stderr, "supervisor: wrong arguments; see supervisor %s --help\n", word);
	return COMMAND_USAGE;
}

static void print_line(void *arg, const char *line)
{
	fprintf(arg, "%s\n", line);
	fflush(arg);
}

/* Services may run on after their supervisor was killed. */
static void tell_orphans(const struct command_env *env)
{
	bool any = false;

	for (size_t r = 0; r < table_len; r++)
		for (size_t i = 0; i < SUP_UNITS_MAX; i++) {
			char name[TABLE_NAME_MAX], path[TABLE_NAME_MAX + 16];

			if (i > 0 && table_rows[r].instances == SIZE_MAX)
				break;
			table_instance_name(&table_rows[r], i, name);
			snprintf(path, sizeof(path), "run/%s.lock", name);
			if (!holder_is_locked(path))
				continue;
			fprintf(stderr, "  %s runs without a supervisor\n", name);
			any = true;
		}
	if (any)
		fprintf(stderr, "adopt what runs with: %s/supervisor -C %s start\n", env->shown,
			env->dir);
}

static int ask(const struct command_env *env, const char *request, enum err *result)
{
	struct sup_client *c;
	struct str out = STR_INIT;
	enum err e = sup_client_open(&c, ".");

	*result = e;
	if (e == ERR_DENIED) {
		fprintf(stderr, "supervisor: run/supervisor.sock belongs to another user; run this "
				"as the one who started it\n");
		return COMMAND_FAILED;
	}
	if (e) {
		fprintf(stderr, "supervisor: no supervisor is running in %s\n", env->dir);
		tell_orphans(env);
		return COMMAND_NOT_RUNNING;
	}
	e = sup_client_request(c, request, &out, print_line, stdout);
	if (e == ERR_TIMEOUT || e == ERR_CLOSED || e == ERR_IO)
		fprintf(stderr, "supervisor: no answer: %s; see log/supervisor.log\n", err_text(e));
	sup_client_close(&c);
	str_clear(&out);
	*result = e;
	return e ? COMMAND_FAILED : COMMAND_OK;
}

/* Until the process is gone, so that what comes next finds ports and sockets free. */
static void wait_gone(void)
{
	struct timespec pause = {.tv_nsec = 20000000};

	for (int i = 0; i < 500 && holder_is_locked(SUP_PID_FILE); i++)
		nanosleep(&pause, NULL);
}

int command_stop(const struct command_env *env, int argc, char **argv)
{
	enum err e;
	int rc;

	(void)argv;
	if (argc != 1)
		return usage("stop");
	rc = ask(env, "stop", &e);
	if (rc == COMMAND_OK)
		wait_gone();
	return rc;
}

int command_status(const struct command_env *env, int argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	enum err e;
	int rc;

	if (argc != 1 && !json)
		return usage("status");
	rc = ask(env, json ? "status json" : "status", &e);
	return e == ERR_AGAIN ? COMMAND_NOT_READY : rc;
}

int command_restart(const struct command_env *env, int argc, char **argv)
{
	struct str request = STR_INIT;
	enum err e;
	int rc;

	if (argc != 2)
		return usage("restart");
	str_addf(&request, "restart %s", argv[1]);
	rc = ask(env, request.data, &e);
	str_clear(&request);
	return rc;
}

int command_reload(const struct command_env *env, int argc, char **argv)
{
	enum err e;

	(void)argv;
	return argc == 1 ? ask(env, "reload", &e) : usage("reload");
}

int command_log_level(const struct command_env *env, int argc, char **argv)
{
	struct str request = STR_INIT;
	enum err e;
	int rc;

	if (argc != 3)
		return usage("log-level");
	str_addf(&request, "log-level %s %s", argv[1], argv[2]);
	rc = ask(env, request.data, &e);
	str_clear(&request);
	return rc;
}

struct check {
	struct loop *loop;
	struct checker *checker;
	int rc;
};

static void on_checked(void *arg, const char *reasons)
{
	struct check *k = arg;

	for (const char *line = checker_warnings(k->checker); *line;) {
		int n = (int)strcspn(line, "\n");

		fprintf(stderr, "warning: %.*s\n", n, line);
		line += n + (line[n] != '\0');
	}
	fputs(*reasons ? reasons : "the configuration is good\n", *reasons ? stderr : stdout);
	k->rc = *reasons ? COMMAND_FAILED : COMMAND_OK;
	loop_stop(k->loop);
}

int command_check(const struct command_env *env, int argc, char **argv)
{
	bool candidate = argc == 2 && strcmp(argv[1], "--candidate") == 0;
	const char *over = candidate ? CONFIG_CANDIDATE_PATH : CONFIG_MANAGED_PATH;
	struct check k = {.rc = COMMAND_FAILED};
	struct str why = STR_INIT;
	struct certset *certs = NULL;
	struct config *cfg;

	if (argc != 1 && !candidate)
		return usage("check");
	/* Once here, so that a mistake is not told by every service. */
	if (config_load_layers(&cfg, CONFIG_PATH, over, &why) || certset_new(&certs, cfg, &why) ||
	    certset_missing(certs, true, &why) ||
	    (candidate && checker_write_candidate(cfg, &why))) {
		fprintf(stderr, "%s\n", why.data);
		certset_free(&certs);
		config_free(&cfg);
		str_clear(&why);
		return COMMAND_FAILED;
	}
	k.loop = loop_new();
	k.checker = checker_start(
		k.loop,
		&(struct checker_request){.bin = env->bin,
					  .path = candidate ? CONFIG_MERGED_PATH : CONFIG_PATH,
					  .cfg = cfg,
					  .files = certs,
					  .on_done = on_checked,
					  .arg = &k});
	loop_run(k.loop);
	if (candidate)
		unlink(CONFIG_MERGED_PATH);
	checker_free(&k.checker);
	certset_free(&certs);
	loop_free(&k.loop);
	config_free(&cfg);
	return k.rc;
}
