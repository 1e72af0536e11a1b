/*
 * A request is one record; the answer is records: " text" a line, "." still at it, "=OK" or
 * "=NAME of an err" at the end.
 */
#include "proc/sup_client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/channel.h"

#define SILENCE_S 20 /* the supervisor says "." every 5 s while it works on something */

struct sup_client {
	int fd;
	char *instance;
	char *token;
};

enum err sup_client_open(struct sup_client **out, const char *dir)
{
	struct timeval tv = {.tv_sec = SILENCE_S};
	char *run = xasprintf("%s/run", dir);
	int fd = channel_connect(run, "supervisor.sock");
	struct sup_client *c;

	free(run);
	*out = NULL;
	if (fd < 0)
		return errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_CLOSED;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	c = xcalloc(1, sizeof(*c));
	c->fd = fd;
	*out = c;
	return ERR_OK;
}

void sup_client_close(struct sup_client **cp)
{
	struct sup_client *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	close(c->fd);
	if (c->token)
		xwipe(c->token, strlen(c->token));
	free(c->token);
	free(c->instance);
	free(c);
}

static enum err err_of(const char *name)
{
	for (int e = ERR_OK; e <= ERR_QUARANTINED; e++)
		if (strcmp(err_name((enum err)e), name) == 0)
			return (enum err)e;
	return ERR_INTERNAL;
}

static enum err no_answer(enum err e, struct str *out)
{
	if (e == ERR_AGAIN)
		e = ERR_TIMEOUT;
	str_addf(out, "the supervisor does not answer: %s; see log/supervisor.log\n", err_text(e));
	return e;
}

enum err sup_client_request(struct sup_client *c, const char *request, struct str *out,
			    void (*on_line)(void *arg, const char *line), void *arg)
{
	enum err e = channel_put(c->fd, slice_str(request), NULL, 0);
	struct str text = STR_INIT;
	size_t nfds = 0;

	if (e)
		e = no_answer(e, out);
	while (!e) {
		nfds = 0;
		e = channel_get(c->fd, &text, NULL, &nfds);
		if (e) {
			e = no_answer(e, out);
		} else if (text.data[0] == '=') {
			e = err_of(text.data + 1);
			break;
		} else if (text.data[0] == ' ') {
			str_addf(out, "%s\n", text.data + 1);
			if (on_line)
				on_line(arg, text.data + 1);
		}
	}
	str_clear(&text);
	return e;
}

enum err sup_client_token(struct sup_client *c, const char **instance, const char **token)
{
	struct str out = STR_INIT;
	enum err e = sup_client_request(c, "token cli", &out, NULL, NULL);
	size_t n = strcspn(out.data, " ");

	if (!e && (!out.data[n] || c->token)) {
		e = ERR_FORMAT;
	} else if (!e) {
		c->instance = xstrndup(out.data, n);
		c->token = xstrndup(out.data + n + 1, strcspn(out.data + n + 1, "\n"));
		*instance = c->instance;
		*token = c->token;
	}
	if (out.len)
		xwipe(out.data, out.len);
	str_clear(&out);
	return e;
}
