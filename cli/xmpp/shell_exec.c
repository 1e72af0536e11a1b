#include "cli/xmpp/shell_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/xmem.h"
#include "cli/xmpp/shell_line.h"

#define LIST_MAX ((size_t)256 * 1024)

static char *path_of(const char *program)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	return xasprintf("%s/%s", slash ? self : ".", program);
}

/* For a child: signals as they were before this program minded them. */
static void default_signals(void)
{
	static const int numbers[] = {SIGINT, SIGQUIT, SIGTSTP};
	sigset_t none;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int shell_exec(const char *dir, int argc, char *const *argv)
{
	char *path = path_of(argv[0]), *args[SHELL_WORDS_MAX + 4];
	struct termios before;
	bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
	int n = 0, code;
	pid_t pid;

	args[n++] = argv[0];
	if (dir) {
		args[n++] = (char *)(uintptr_t) "-C";
		args[n++] = (char *)(uintptr_t)dir;
	}
	for (int i = 1; i < argc; i++)
		args[n++] = argv[i];
	args[n] = NULL;
	fflush(NULL);
	sigaction(SIGINT, &ignore, &interrupt);
	sigaction(SIGQUIT, &ignore, &quit);
	pid = fork();
	if (pid == 0) {
		default_signals();
		execv(path, args);
		fprintf(stderr, "%s: %s: %s\n", argv[0], path, strerror(errno));
		_exit(127);
	}
	code = pid > 0 ? wait_for(pid) : 127;
	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGQUIT, &quit, NULL);
	/* It may have been killed while the echo was off. */
	if (terminal)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	free(path);
	return code;
}

enum err shell_exec_list(const char *program, struct str *out)
{
	char *path = path_of(program);
	bool there = access(path, X_OK) == 0;
	int fds[2], code = 127;
	char buf[4096];
	ssize_t n;
	pid_t pid;

	if (!there || pipe2(fds, O_CLOEXEC) < 0) {
		free(path);
		return there ? ERR_IO : ERR_NOTFOUND;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(fds[1], STDOUT_FILENO);
		dup2(null, STDIN_FILENO);
		dup2(null, STDERR_FILENO);
		execl(path, program, "--commands", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	while (pid > 0 && out->len < LIST_MAX && (n = read(fds[0], buf, sizeof(buf))) > 0)
		str_add(out, buf, (size_t)n);
	close(fds[0]);
	if (pid > 0)
		code = wait_for(pid);
	free(path);
	return code == 0 ? ERR_OK : ERR_IO;
}
