#include "proc/inherit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/xmem.h"
#include "proc/message.h"

void inherit_init(struct inherit *in)
{
	memset(in, 0, sizeof(*in));
	in->uid = in->gid = -1;
}

void inherit_clear(struct inherit *in)
{
	for (size_t i = 0; i < in->nfds; i++) {
		free(in->fds[i].name);
		free(in->fds[i].addr);
	}
	if (in->token)
		xwipe(in->token, strlen(in->token));
	free(in->service);
	free(in->instance);
	free(in->token);
	free(in->config);
	inherit_init(in);
}

void inherit_add_fd(struct inherit *in, enum inherit_kind kind, int fd, const char *name,
		    const char *addr)
{
	struct inherit_fd *f = &in->fds[in->nfds];

	check(in->nfds < INHERIT_FDS_MAX);
	in->nfds++;
	f->kind = kind;
	f->fd = fd;
	f->name = xstrdup(name);
	f->addr = addr ? xstrdup(addr) : NULL;
}

void inherit_format(struct str *out, const char *verb, const struct inherit *in)
{
	struct str fds = STR_INIT;

	message_begin(out, verb);
	message_add(out, "service", in->service);
	message_add(out, "instance", in->instance);
	message_add(out, "token", in->token ? in->token : "");
	message_add(out, "config", in->config ? in->config : "");
	message_addu(out, "generation", in->generation);
	message_addu(out, "restarts", in->restarts);
	if (in->uid >= 0) {
		message_addu(out, "uid", (uint64_t)in->uid);
		message_addu(out, "gid", (uint64_t)in->gid);
	}
	for (size_t i = 0; i < in->nfds; i++) {
		const struct inherit_fd *f = &in->fds[i];

		str_addf(&fds, "%s%c|%s|%s", i ? "," : "", (char)f->kind, f->name,
			 f->addr ? f->addr : "");
	}
	message_add(out, "fds", fds.data);
	str_clear(&fds);
}

/* "l|name|addr" */
static bool parse_fd(struct inherit *in, const char *p, size_t len, int fd)
{
	char *text = xstrndup(p, len), *name = NULL, *addr = NULL;
	bool ok = false;

	if (in->nfds >= INHERIT_FDS_MAX || len < 3 || !strchr("klf", text[0]) || text[1] != '|')
		goto out;
	name = text + 2;
	addr = strchr(name, '|');
	if (!addr)
		goto out;
	*addr++ = '\0';
	inherit_add_fd(in, (enum inherit_kind)text[0], fd, name, *addr ? addr : NULL);
	ok = true;
out:
	free(text);
	return ok;
}

static bool parse_fds(struct inherit *in, const char *list, const int *fds, size_t nfds)
{
	size_t i = 0;

	while (*list) {
		size_t n = strcspn(list, ",");

		if (i >= nfds || !parse_fd(in, list, n, fds[i++]))
			return false;
		list += n + (list[n] == ',');
	}
	return true;
}

enum err inherit_parse(struct inherit *in, struct slice text, const int *fds, size_t nfds)
{
	char *list = message_get(text, "fds");
	bool ok;

	inherit_init(in);
	in->service = message_get(text, "service");
	in->instance = message_get(text, "instance");
	in->token = message_get(text, "token");
	in->config = message_get(text, "config");
	in->generation = message_getu(text, "generation", 0);
	in->restarts = message_getu(text, "restarts", 0);
	in->uid = (int64_t)message_getu(text, "uid", UINT64_MAX);
	in->gid = (int64_t)message_getu(text, "gid", UINT64_MAX);
	ok = in->service && in->instance && in->token && in->config && list &&
	     parse_fds(in, list, fds, nfds);
	free(list);
	if (ok)
		return ERR_OK;
	inherit_clear(in);
	return ERR_FORMAT;
}

int inherit_memfd(const struct inherit *in)
{
	struct str text = STR_INIT, numbers = STR_INIT;
	int fd = memfd_create("inherit", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool ok;

	inherit_format(&text, "INHERIT", in);
	for (size_t i = 0; i < in->nfds; i++)
		str_addf(&numbers, "%s%d", i ? "," : "", in->fds[i].fd);
	message_add(&text, "numbers", numbers.data);
	ok = fd >= 0 && write(fd, text.data, text.len) == (ssize_t)text.len &&
	     fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0;
	if (!ok && fd >= 0) {
		close(fd);
		fd = -1;
	}
	xwipe(text.data, text.len);
	str_clear(&text);
	str_clear(&numbers);
	return fd;
}

static size_t parse_numbers(const char *text, int *fds)
{
	size_t n = 0;

	while (*text && n < INHERIT_FDS_MAX) {
		char *end;

		fds[n] = (int)strtol(text, &end, 10);
		if (end == text || fcntl(fds[n], F_SETFD, FD_CLOEXEC) < 0)
			break;
		n++;
		text = end + (*end == ',');
	}
	return n;
}

enum err inherit_take(struct inherit *in)
{
	const char *env = getenv(INHERIT_ENV);
	int fds[INHERIT_FDS_MAX], fd = env ? atoi(env) : -1;
	char *text, *numbers;
	enum err e = ERR_FORMAT;
	ssize_t n;

	inherit_init(in);
	if (!env)
		return ERR_NOTFOUND;
	unsetenv(INHERIT_ENV);
	text = xcalloc(1, MESSAGE_MAX + 1);
	n = fd > 2 ? pread(fd, text, MESSAGE_MAX, 0) : -1;
	if (n > 0) {
		struct slice s = slice_of(text, (size_t)n);

		close(fd);
		numbers = message_get(s, "numbers");
		e = inherit_parse(in, s, fds, numbers ? parse_numbers(numbers, fds) : 0);
		free(numbers);
		xwipe(text, (size_t)n);
	}
	free(text);
	return e;
}
