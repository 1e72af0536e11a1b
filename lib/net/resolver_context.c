#include "net/resolver_context.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unbound.h>
#include <unistd.h>

#include "base/log.h"

/* What libunbound says while it judges a line goes to a stream of ours; it knows no other way. The
 * stream is one for all contexts of the process, so it is taken away again before it is closed. */
struct ear {
	FILE *f;
	char *text;
	size_t len;
};

static void ear_open(struct ear *ear, struct ub_ctx *ub)
{
	*ear = (struct ear){.f = open_memstream(&ear->text, &ear->len)};
	ub_ctx_debugout(ub, ear->f);
}

/* "[1795291173] libunbound[18612:0] error: error parsing local-data at 8 'a': the reason" */
static void ear_close(struct ear *ear, struct ub_ctx *ub, struct str *why)
{
	const char *p, *line;

	ub_ctx_debugout(ub, NULL);
	if (!ear->f || fclose(ear->f) != 0 || !ear->text)
		return;
	if (ear->len > 0 && ear->text[ear->len - 1] == '\n')
		ear->text[ear->len - 1] = '\0';
	line = strstr(ear->text, "error: ");
	line = line ? line + 7 : ear->text;
	p = strstr(line, "': ");
	str_addf(why, "%.*s", (int)strcspn(p ? p + 3 : line, "\n"), p ? p + 3 : line);
	free(ear->text);
}

/* Names and addresses in here were parsed and written by us, so nothing needs quoting.
 *
 * forward-no-cache, infra-host-ttl: an answer, a failure or a dead server that is remembered would
 * hide a repair. do-not-query-localhost: the usual server is a cache on this machine. test. and
 * home.arpa. are used in laboratories and homes, and whoever serves them there is asked. */
static void write_config(const struct dns_settings *s, FILE *f)
{
	fprintf(f,
		"server:\n"
		" verbosity: 0\n"
		" module-config: \"%siterator\"\n"
		" do-not-query-localhost: no\n"
		" num-queries-per-thread: 4096\n"
		" outgoing-range: 512\n"
		" outgoing-num-tcp: 32\n"
		" infra-host-ttl: 1\n"
		" infra-keep-probing: yes\n"
		" cache-max-negative-ttl: 0\n"
		" unblock-lan-zones: yes\n"
		" insecure-lan-zones: yes\n"
		" local-zone: \"test.\" nodefault\n"
		" local-zone: \"home.arpa.\" nodefault\n",
		s->trustanchors[0] ? "validator " : "");
	for (size_t i = 0; i < s->nzones; i++) {
		fprintf(f, "forward-zone:\n name: \"%s.\"\n forward-no-cache: yes\n",
			s->zones[i].name);
		for (size_t k = 0; k < s->zones[i].nservers; k++)
			fprintf(f, " forward-addr: %s\n", s->zones[i].servers[k].text);
	}
}

static enum err configure(struct ub_ctx *ub, const struct dns_settings *s, struct str *why)
{
	int fd = memfd_create("roundhouse-dns", MFD_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	char path[64];
	int r = -1;

	if (f) {
		write_config(s, f);
		fflush(f);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		r = ub_ctx_config(ub, path);
		fclose(f);
	} else if (fd >= 0) {
		close(fd);
	}
	if (r == 0)
		r = ub_ctx_async(ub, 1);
	if (r == 0) {
		ub_ctx_hosts(ub, s->hosts); /* a machine may have none */
		return ERR_OK;
	}
	str_addf(why, "libunbound does not take its configuration: %s (is /proc there?)",
		 ub_strerror(r));
	return ERR_IO;
}

static enum err add_trustanchors(struct ub_ctx *ub, const struct dns_settings *s, struct str *why)
{
	struct str reason = STR_INIT;
	struct ear ear;
	int r = 0;

	for (char **l = s->trustanchors; *l && r == 0; l++)
		r = ub_ctx_add_ta(ub, *l);
	ear_open(&ear, ub);
	/* The first call that needs the configuration whole; it judges the trust anchors. */
	if (r == 0)
		r = ub_ctx_zone_remove(ub, "none.invalid.");
	if (r == 0) {
		ear_close(&ear, ub, &reason);
		str_clear(&reason);
		return ERR_OK;
	}
	ear_close(&ear, ub, &reason);
	str_addf(why, "trustanchors: %s (%s)", reason.data, ub_strerror(r));
	str_clear(&reason);
	return s->trustanchors[0] ? ERR_FORMAT : ERR_IO;
}

static enum err add_records(struct ub_ctx *ub, const struct dns_settings *s, struct str *why)
{
	struct str reason = STR_INIT;
	struct ear ear;
	int r = 0;

	for (char **l = s->records; *l && r == 0; l++) {
		ear_open(&ear, ub);
		r = ub_ctx_data_add(ub, *l);
		ear_close(&ear, ub, &reason);
		if (r != 0)
			str_addf(why, "record %s: %s", log_quote(slice_str(*l)),
				 reason.len ? reason.data : ub_strerror(r));
		str_reset(&reason);
	}
	str_clear(&reason);
	return r == 0 ? ERR_OK : ERR_FORMAT;
}

enum err resolver_context_new(struct ub_ctx **out, const struct dns_settings *s, struct str *why)
{
	struct ub_ctx *ub = ub_ctx_create();
	enum err e = ub ? ERR_OK : ERR_IO;

	*out = NULL;
	if (!ub) {
		str_adds(why, "libunbound cannot start: out of memory or file descriptors?");
		return e;
	}
	ub_ctx_debugout(ub, NULL);
	e = configure(ub, s, why);
	if (e == ERR_OK)
		e = add_trustanchors(ub, s, why);
	if (e == ERR_OK)
		e = add_records(ub, s, why);
	if (e == ERR_OK)
		*out = ub;
	else
		ub_ctx_delete(ub);
	return e;
}
