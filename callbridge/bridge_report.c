#include "callbridge/bridge_report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/xmem.h"
#include "callbridge/bridge.h"
#include "net/loop.h"
#include "proc/channel.h"

#define ACCEPTS_IN_TURN 8
#define ASK_SECONDS	5

struct bridge_report {
	const struct bridge *bridge;
	struct loop_fd *watch;
	char *socket; /* its name in the folder */
	int fd;
	int lock;
};

static void answer(const struct bridge_report *r, int fd)
{
	struct str text = STR_INIT;

	bridge_report(r->bridge, &text);
	channel_put(fd, str_slice(&text), NULL, 0);
	str_clear(&text);
	close(fd);
}

static void on_ask(void *arg, int events)
{
	struct bridge_report *r = arg;

	(void)events;
	for (int i = 0; i < ACCEPTS_IN_TURN; i++) {
		int fd = accept4(r->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		answer(r, fd);
	}
}

static int take_lock(const char *name, struct str *why, enum err *e)
{
	char *path = xasprintf(BRIDGE_REPORT_DIR "/%s.lock", name);
	int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);

	/* What root has run once the service shall run too; the folder keeps strangers out. */
	if (fd >= 0)
		fchmod(fd, 0644);

	*e = ERR_OK;
	if (fd < 0) {
		str_addf(why, "%s: %s", path, strerror(errno));
		*e = ERR_IO;
	} else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		str_addf(why, "a call bridge %s runs here already (%s is locked); stop it first",
			 name, path);
		*e = ERR_CONFLICT;
		close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

enum err bridge_report_open(struct bridge_report **out, struct loop *loop,
			    const struct bridge *bridge, const char *name, struct str *why)
{
	struct bridge_report *r;
	enum err e;
	int lock;

	*out = NULL;
	mkdir("run", 0700);
	mkdir(BRIDGE_REPORT_DIR, 0700);
	lock = take_lock(name, why, &e);
	if (e != ERR_OK)
		return e;
	r = xcalloc(1, sizeof(*r));
	r->bridge = bridge;
	r->lock = lock;
	r->socket = xasprintf("%s.sock", name);
	r->fd = channel_listen(BRIDGE_REPORT_DIR, r->socket);
	if (r->fd < 0) {
		str_addf(why, BRIDGE_REPORT_DIR "/%s: %s", r->socket, strerror(errno));
		bridge_report_close(&r);
		return ERR_IO;
	}
	r->watch = loop_fd_new(loop, r->fd, LOOP_READ, on_ask, r);
	*out = r;
	return ERR_OK;
}

void bridge_report_close(struct bridge_report **rp)
{
	struct bridge_report *r = *rp;
	char *path;

	*rp = NULL;
	if (!r)
		return;
	path = xasprintf(BRIDGE_REPORT_DIR "/%s", r->socket);
	if (r->fd >= 0)
		unlink(path);
	free(path);
	loop_fd_free(&r->watch);
	if (r->fd >= 0)
		close(r->fd);
	close(r->lock);
	free(r->socket);
	free(r);
}

enum err bridge_report_ask(const char *name, struct str *json)
{
	char *socket = xasprintf("%s.sock", name);
	int fd = channel_connect(BRIDGE_REPORT_DIR, socket);
	struct timeval patience = {.tv_sec = ASK_SECONDS};
	size_t nfds = 0;
	enum err e;

	free(socket);
	if (fd < 0)
		return errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_CLOSED;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	e = channel_get(fd, json, NULL, &nfds);
	close(fd);
	return e == ERR_AGAIN ? ERR_TIMEOUT : e;
}
