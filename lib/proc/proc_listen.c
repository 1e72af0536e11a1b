#include "proc/proc_listen.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/listener.h"
#include "proc/inherit.h"
#include "proc/proc.h"

struct entry {
	int fd;
	char *addr;
	struct listener *listener;
};

struct proc_listen {
	struct proc *proc;
	void (*on_accept)(void *arg, int fd, const struct sockaddr_storage *peer);
	void *arg;
	bool stopped;
	size_t n;
	struct entry entries[INHERIT_FDS_MAX];
};

struct proc_listen *proc_listen_new(struct proc *p,
				    void (*on_accept)(void *arg, int fd,
						      const struct sockaddr_storage *peer),
				    void *arg)
{
	struct proc_listen *l = xcalloc(1, sizeof(*l));

	l->proc = p;
	l->on_accept = on_accept;
	l->arg = arg;
	return l;
}

static void entry_clear(struct entry *e)
{
	listener_free(&e->listener);
	free(e->addr);
}

void proc_listen_stop(struct proc_listen *l)
{
	l->stopped = true;
	while (l->n > 0)
		entry_clear(&l->entries[--l->n]);
}

void proc_listen_free(struct proc_listen **lp)
{
	struct proc_listen *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	proc_listen_stop(l);
	free(l);
}

static bool has(const struct proc_listen *l, int fd)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->entries[i].fd == fd)
			return true;
	return false;
}

static bool is_passed(const struct proc_listen *l, int fd)
{
	const char *addr;
	int one;

	for (size_t i = 0; (one = proc_listener(l->proc, i, &addr)) >= 0; i++)
		if (one == fd)
			return true;
	return false;
}

size_t proc_listen_update(struct proc_listen *l)
{
	const char *addr;
	size_t kept = 0;
	int fd;

	if (l->stopped)
		return 0;
	for (size_t i = 0; i < l->n; i++) {
		if (is_passed(l, l->entries[i].fd)) {
			l->entries[kept++] = l->entries[i];
			continue;
		}
		log_info("-", "event=listen_ended addr=%s", l->entries[i].addr);
		entry_clear(&l->entries[i]);
	}
	l->n = kept;
	for (size_t i = 0; (fd = proc_listener(l->proc, i, &addr)) >= 0; i++) {
		if (has(l, fd) || l->n == INHERIT_FDS_MAX)
			continue;
		l->entries[l->n++] = (struct entry){
			.fd = fd,
			.addr = xstrdup(addr),
			.listener = listener_new(proc_loop(l->proc), fd, l->on_accept, l->arg)};
		log_info("-", "event=listen addr=%s", addr);
	}
	return l->n;
}
