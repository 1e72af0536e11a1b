#include "tests/support/instance.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/xmem.h"

#define ARGS_MAX 16

struct instance {
	char *top; /* what mkdtemp() made */
	char *dir;
	char *ca;
	uint16_t port;
	struct instance *next;
};

/* All of them, for the end of the program. */
static struct instance *instances;

static uint16_t free_port(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
		perror("no free port");
		addr.sin_port = 0;
	}
	if (fd >= 0)
		close(fd);
	return ntohs(addr.sin_port);
}

static char *binary(const char *program)
{
	const char *bin = getenv("BIN");

	return xasprintf("%s/%s", bin ? bin : "build/bin", program);
}

/* In the child: never returns. */
static void exec_program(const struct instance *i, const char *program, const char *const *args,
			 int input)
{
	char *path = binary(program);
	char *argv[ARGS_MAX + 4] = {path, xstrdup("-C"), i->dir};

	for (size_t k = 0; args[k] && k < ARGS_MAX; k++)
		argv[3 + k] = xstrdup(args[k]);
	dup2(input, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execv(path, argv);
	fprintf(stderr, "%s: %s; set BIN to the directory of the programs\n", path,
		strerror(errno));
	_exit(127);
}

int instance_run(struct instance *i, const char *program, const char *const *args,
		 const char *input)
{
	int fds[2];
	int status;

	if (pipe(fds) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[1]);
		exec_program(i, program, args, fds[0]);
	}
	close(fds[0]);
	if (pid > 0 && input) {
		ssize_t n = write(fds[1], input, strlen(input));
		(void)n; /* a program that does not read it says so by its exit code */
	}
	close(fds[1]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	if (WEXITSTATUS(status) != 0)
		fprintf(stderr, "%s %s: exit code %d\n", program, args[0], WEXITSTATUS(status));
	return WEXITSTATUS(status);
}

int instance_start(struct instance *i)
{
	return instance_run(i, "supervisor", (const char *const[]){"start", NULL}, NULL);
}

int instance_stop(struct instance *i)
{
	return instance_run(i, "supervisor", (const char *const[]){"stop", NULL}, NULL);
}

int instance_add_user(struct instance *i, const char *jid, const char *password)
{
	char *input = xasprintf("%s\n", password);
	int rc = instance_run(i, "xmpp",
			      (const char *const[]){"user", "add", jid, "--password-stdin", NULL},
			      input);

	free(input);
	return rc;
}

static int init(struct instance *i)
{
	char *listen = xasprintf("127.0.0.1:%u", i->port);
	char *components = xasprintf("127.0.0.1:%u", free_port());
	int rc = instance_run(i, "supervisor",
			      (const char *const[]){"init", "--domain", "localhost", "--listen",
						    listen, "--components", components, NULL},
			      NULL);

	free(listen);
	free(components);
	return rc;
}

static void free_all(void)
{
	while (instances) {
		struct instance *i = instances;

		instance_free(&i);
	}
}

struct instance *instance_new(void)
{
	const char *tmp = getenv("TMPDIR");
	struct instance *i = xcalloc(1, sizeof(*i));
	static int registered;

	i->top = xasprintf("%s/iXXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(i->top)) {
		perror(i->top);
		free(i->top);
		free(i);
		return NULL;
	}
	chmod(i->top, 0755); /* services that drop their rights pass through */
	i->dir = xasprintf("%s/rh", i->top);
	i->ca = xasprintf("%s/pki/ca.pem", i->dir);
	i->port = free_port();
	i->next = instances;
	instances = i;
	if (!registered++)
		atexit(free_all);
	if (init(i) != 0 || instance_start(i) != 0)
		instance_free(&i);
	return i;
}

/* Services run in the instance's directory; signals them all and says how many there were. */
static int signal_all(const struct instance *i, int signum)
{
	DIR *d = opendir("/proc");
	int count = 0;

	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		char cwd[4096];
		char *link = xasprintf("/proc/%s/cwd", e->d_name);
		ssize_t n = readlink(link, cwd, sizeof(cwd) - 1);

		free(link);
		cwd[n > 0 ? n : 0] = 0;
		if (atoi(e->d_name) > 1 && strcmp(cwd, i->dir) == 0) {
			kill(atoi(e->d_name), signum);
			count++;
		}
	}
	if (d)
		closedir(d);
	return count;
}

static void forget(struct instance *i)
{
	for (struct instance **at = &instances; *at; at = &(*at)->next) {
		if (*at == i) {
			*at = i->next;
			return;
		}
	}
}

static void remove_tree(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", path, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

void instance_free(struct instance **ip)
{
	struct instance *i = *ip;

	if (!i)
		return;
	*ip = NULL;
	forget(i);
	if (access(i->dir, F_OK) == 0)
		instance_stop(i);
	for (int tries = 0; tries < 200 && signal_all(i, SIGTERM); tries++)
		usleep(25000);
	while (signal_all(i, SIGKILL))
		usleep(10000);
	if (!getenv("TMPDIR")) /* by hand; tests/run keeps or removes what it made */
		remove_tree(i->top);
	free(i->top);
	free(i->dir);
	free(i->ca);
	free(i);
}

uint16_t instance_port(const struct instance *i)
{
	return i->port;
}

const char *instance_dir(const struct instance *i)
{
	return i->dir;
}

const char *instance_ca(const struct instance *i)
{
	return i->ca;
}
