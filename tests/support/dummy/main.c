/*
 * dummy - stands for any service in the supervisor's tests: one program under several names, built
 * on the real proc_main(). It accepts on its listeners, says who it is, and obeys a file: do/
 * INSTANCE holds one word (ready, unready, alarm, segv, hang, exit, say TEXT, stubborn), which
 * it removes and does. While do/slow exists judging a configuration does not end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/proc.h"
#include "proc/proc_listen.h"

struct dummy {
	struct proc *proc;
	struct loop_timer *poll;
	struct proc_listen *listeners;
	bool stubborn;
	unsigned int counting;
};

static void do_hang(struct dummy *d, const char *arg)
{
	(void)d;
	(void)arg;
	for (;;)
		usleep(1000);
}

static void do_segv(struct dummy *d, const char *arg)
{
	/* Through a variable, so that no compiler sees what it is. */
	volatile uintptr_t nowhere = 8;

	(void)d;
	(void)arg;
	*(volatile int *)nowhere = 1;
}

static void do_say(struct dummy *d, const char *arg)
{
	(void)d;
	log_info("-", "event=said text=\"%s\"", arg);
}

static void do_exit(struct dummy *d, const char *arg)
{
	(void)d;
	exit(atoi(arg));
}

static void do_ready(struct dummy *d, const char *arg)
{
	proc_ready(d->proc, strcmp(arg, "no") != 0);
}

static void do_alarm(struct dummy *d, const char *arg)
{
	proc_alarm(d->proc, arg);
}

static void do_stubborn(struct dummy *d, const char *arg)
{
	(void)arg;
	d->stubborn = true;
}

static void do_count(struct dummy *d, const char *arg)
{
	(void)arg;
	d->counting = 1;
}

static const struct {
	const char *word;
	void (*run)(struct dummy *d, const char *arg);
} words[] = {
	{"hang", do_hang},   {"segv", do_segv},	  {"say", do_say},	     {"exit", do_exit},
	{"ready", do_ready}, {"alarm", do_alarm}, {"stubborn", do_stubborn}, {"count", do_count},
};

static void obey(struct dummy *d, char *line)
{
	size_t n = strcspn(line, " \n");
	char *arg = line + n + (line[n] == ' ');

	arg[strcspn(arg, "\n")] = '\0';
	line[n] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(line, words[i].word) == 0)
			words[i].run(d, arg);
}

static void on_poll(void *arg)
{
	struct dummy *d = arg;
	char *path = xasprintf("do/%s", proc_instance(d->proc)), line[256] = "";
	FILE *f = fopen(path, "re");

	if (f && fgets(line, sizeof(line), f)) {
		unlink(path);
		fclose(f);
		f = NULL;
		obey(d, line);
	}
	if (f)
		fclose(f);
	for (int i = 0; d->counting && i < 20; i++)
		log_info("-", "event=count n=%u", d->counting++);
	free(path);
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer)
{
	struct dummy *d = arg;

	(void)peer;
	dprintf(fd, "%s %d\n", proc_instance(d->proc), (int)getpid());
	close(fd);
}

static enum err dummy_init(struct proc *p, void **state)
{
	struct dummy *d = xcalloc(1, sizeof(*d));
	char *fail = xasprintf("do/%s.fail", proc_instance(p));
	bool failing = access(fail, F_OK) == 0;

	free(fail);
	*state = d;
	d->proc = p;
	if (failing) {
		log_err("-", "event=dummy_failed reason=\"told to fail\"");
		free(d);
		return ERR_IO;
	}
	d->listeners = proc_listen_new(p, on_accept, d);
	proc_listen_update(d->listeners);
	log_info("-", "event=dummy uid=%d gid=%d key=%d token=%d", (int)getuid(), (int)getgid(),
		 proc_file(p, "tls.key") >= 0, (int)strlen(proc_token(p)));
	d->poll = loop_timer_new(proc_loop(p), on_poll, d);
	loop_timer_set(d->poll, 0, 20);
	proc_ready(p, true);
	return ERR_OK;
}

static void dummy_deinit(void *state)
{
	struct dummy *d = state;

	loop_timer_free(&d->poll);
	proc_listen_free(&d->listeners);
	free(d);
}

/* While do/slow is there it is still thinking about it. */
static bool dummy_check(const struct config *cfg, char *why, size_t whylen)
{
	while (access("do/slow", F_OK) == 0)
		usleep(10000);
	if (strcmp(cfg->domains[0], "refused.example") != 0)
		return true;
	snprintf(why, whylen, "the dummy does not like refused.example; name another domain");
	return false;
}

static void dummy_on_reload(void *state, const struct config *old)
{
	struct dummy *d = state;
	char head[32] = "";

	proc_listen_update(d->listeners);
	if (proc_file(d->proc, "tls.key") >= 0 &&
	    pread(proc_file(d->proc, "tls.key"), head, sizeof(head) - 1, 0) >= 0)
		head[strcspn(head, "\n")] = '\0';
	log_info("-", "event=dummy_reloaded from=%s to=%s key=%s", old->domains[0],
		 proc_config(d->proc)->domains[0], head);
}

static void dummy_drain(void *state)
{
	struct dummy *d = state;

	if (!d->stubborn)
		proc_drained(d->proc);
}

static void dummy_on_instance(void *state, const char *instance, const char *service,
			      const char *token)
{
	(void)state;
	log_info("-", "event=instance name=%s service=%s %s", instance, service,
		 token ? "alive" : "dead");
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	struct proc_program program = {
		.service = slash ? slash + 1 : argv[0],
		.help = "a service that does nothing, for tests",
		.init = dummy_init,
		.deinit = dummy_deinit,
		.check = dummy_check,
		.on_reload = dummy_on_reload,
		.drain = dummy_drain,
		.on_instance = dummy_on_instance,
	};

	return proc_main(argc, argv, &program);
}
