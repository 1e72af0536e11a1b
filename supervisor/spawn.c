#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/inherit.h"

static const int reset_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD, SIGUSR1, SIGUSR2};

static _Noreturn void child(const char *const argv[], const struct inherit *in, int memfd,
			    int out_fd)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;
	char number[16];

	/* Our handlers write to a pipe that we share with the parent: away with them first. */
	for (size_t i = 0; i < sizeof(reset_signals) / sizeof(reset_signals[0]); i++)
		signal(reset_signals[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	umask(0077);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0)
		_exit(EX_OSERR);
	if (in) {
		for (size_t i = 0; i < in->nfds; i++)
			fcntl(in->fds[i].fd, F_SETFD, 0);
		fcntl(memfd, F_SETFD, 0);
		snprintf(number, sizeof(number), "%d", memfd);
		setenv(INHERIT_ENV, number, 1);
	}
	execv(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(2, "event=exec_failed program=%s reason=\"%s\" next=\"build it with make\"\n",
		argv[0], strerror(errno));
	_exit(127);
}

pid_t spawn_run(const char *const argv[], const struct inherit *in, int out_fd, int *pidfd,
		struct str *why)
{
	sigset_t all, before;
	int memfd = -1;
	pid_t pid;

	*pidfd = -1;
	if (access(argv[0], X_OK) < 0) {
		str_addf(why, "%s: %s; build it with make", argv[0], strerror(errno));
		return -1;
	}
	if (in && (memfd = inherit_memfd(in)) < 0) {
		str_addf(why, "memory file: %s", strerror(errno));
		return -1;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		child(argv, in, memfd, out_fd);
	if (pid < 0)
		str_addf(why, "fork: %s", strerror(errno));
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (memfd >= 0)
		close(memfd);
	if (pid < 0)
		return -1;
	/* The pid cannot be another's: nobody but us reaps this child. */
	*pidfd = pidfd_open(pid, 0);
	if (*pidfd < 0) {
		str_addf(why, "pidfd_open: %s", strerror(errno));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	return pid;
}

void spawn_cause(int code, int status, struct str *out)
{
	const char *meaning = status == EX_CONFIG  ? " (cannot run as configured)"
			      : status == EX_USAGE ? " (wrong command line)"
			      : status == 127	   ? " (program cannot be executed)"
						   : "";

	if (code == CLD_EXITED)
		str_addf(out, "exit %d%s", status, meaning);
	else
		str_addf(out, "signal %d SIG%s%s", status, sigabbrev_np(status),
			 code == CLD_DUMPED ? " (core dumped)" : "");
}

enum err spawn_wait(const char *const argv[], struct str *why)
{
	int pidfd;
	pid_t pid = spawn_run(argv, NULL, STDERR_FILENO, &pidfd, why);
	siginfo_t si = {0};

	if (pid < 0)
		return ERR_IO;
	waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED);
	close(pidfd);
	if (si.si_code == CLD_EXITED && si.si_status == 0)
		return ERR_OK;
	str_addf(why, "%s: ", argv[0]);
	spawn_cause(si.si_code, si.si_status, why);
	return ERR_IO;
}

const char *spawn_bin_dir(void)
{
	static char dir[PATH_MAX];
	ssize_t n;

	if (*dir)
		return dir;
	n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	dir[n > 0 ? n : 0] = '\0';
	if (strrchr(dir, '/'))
		*strrchr(dir, '/') = '\0';
	return dir;
}
