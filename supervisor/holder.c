#include "supervisor/holder.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

bool holder_is_locked(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool held;

	if (fd < 0)
		return false;
	/* Shared: two that look at the same time do not take each other for a holder. */
	held = flock(fd, LOCK_SH | LOCK_NB) < 0;
	close(fd);
	return held;
}

/* Calls match(path of one descriptor) for all of a process's descriptors. */
static bool any_fd(pid_t pid, bool (*match)(const char *fd_path, const void *arg), const void *arg)
{
	char path[320];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, e->d_name);
		found = match(path, arg);
	}
	if (d)
		closedir(d);
	return found;
}

static pid_t any_process(bool (*match)(const char *fd_path, const void *arg), const void *arg)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	pid_t found = 0;

	while (d && !found && (e = readdir(d))) {
		pid_t pid = (pid_t)atoi(e->d_name);

		if (pid > 0 && pid != getpid() && any_fd(pid, match, arg))
			found = pid;
	}
	if (d)
		closedir(d);
	return found;
}

static bool is_file(const char *fd_path, const void *arg)
{
	const struct stat *want = arg;
	struct stat st;

	return stat(fd_path, &st) == 0 && st.st_dev == want->st_dev && st.st_ino == want->st_ino;
}

bool holder_has_file(pid_t pid, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && any_fd(pid, is_file, &st);
}

pid_t holder_of_file(const char *path, int *pidfd)
{
	struct stat st;
	pid_t pid;

	*pidfd = -1;
	if (stat(path, &st) < 0)
		return 0;
	pid = any_process(is_file, &st);
	if (!pid)
		return 0;
	*pidfd = pidfd_open(pid, 0);
	if (*pidfd >= 0 && any_fd(pid, is_file, &st))
		return pid;
	if (*pidfd >= 0)
		close(*pidfd);
	*pidfd = -1;
	return 0;
}

static bool is_socket(const char *fd_path, const void *arg)
{
	const unsigned long *inode = arg;
	char target[64], want[64];
	ssize_t n = readlink(fd_path, target, sizeof(target) - 1);

	if (n < 0)
		return false;
	target[n] = '\0';
	snprintf(want, sizeof(want), "socket:[%lu]", *inode);
	return strcmp(target, want) == 0;
}

/* The inode of a socket that listens on port, in /proc/net/tcp or tcp6; 0 = none. */
static unsigned long listening_inode(const char *table, unsigned int port)
{
	FILE *f = fopen(table, "re");
	char line[512];
	unsigned long inode = 0;

	while (f && !inode && fgets(line, sizeof(line), f)) {
		unsigned int local, state;
		unsigned long i;

		if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*u %*d %lu",
			   &local, &state, &i) == 3 &&
		    local == port && state == 0x0a)
			inode = i;
	}
	if (f)
		fclose(f);
	return inode;
}

void holder_of_port(const struct sockaddr *sa, struct str *out)
{
	unsigned int port =
		ntohs(sa->sa_family == AF_INET6
			      ? ((const struct sockaddr_in6 *)(const void *)sa)->sin6_port
			      : ((const struct sockaddr_in *)(const void *)sa)->sin_port);
	unsigned long inode = listening_inode("/proc/net/tcp", port);
	char path[64], comm[64] = "?\n";
	pid_t pid;
	FILE *f;

	if (!inode)
		inode = listening_inode("/proc/net/tcp6", port);
	pid = inode ? any_process(is_socket, &inode) : 0;
	if (!pid) {
		str_adds(out, "a process that /proc does not show (of another user?)");
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	if (f && !fgets(comm, sizeof(comm), f))
		comm[0] = '\0';
	if (f)
		fclose(f);
	str_addf(out, "pid %d (%.*s)", (int)pid, (int)strcspn(comm, "\n"), comm);
}

struct monotime holder_start(pid_t pid)
{
	struct monotime none = {0};
	char path[64], line[1024];
	unsigned long long ticks;
	const char *p;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return none;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = '\0';
	p = strrchr(line, ')'); /* the name before it may hold anything */
	if (!p || sscanf(p + 1,
			 " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			 "%*d %*d %llu",
			 &ticks) != 1)
		return none;
	return (struct monotime){ticks * 1000000 / (unsigned long long)sysconf(_SC_CLK_TCK)};
}
