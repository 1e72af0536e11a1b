#include "cm/cm_certs.h"

#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "net/tls.h"
#include "proc/proc.h"
#include "proc/tls_files.h"

#define HOUR_MS	 (3600 * 1000)
#define DAY_S	 86400
#define DAYS_MAX 3650

struct cm_certs {
	struct proc *proc;
	const char *alpn;
	struct tls_ctx *tls;
	struct loop_timer *hourly;
	int64_t loaded; /* seconds since 1970 */
	int64_t warned;
	int64_t threshold;  /* the sharpest that was told; -1 none */
	struct str failure; /* of the last load */
	struct str alarm;   /* as it was told */
	void (*on_renewed)(void *arg);
	void *arg;
};

/* ---- reading */

/* What the supervisor passed, under the names that it has for them; -1 where it passed none. */
static void fill_pair(struct tls_pair *out, const struct tls_files *files, size_t i,
		      const struct proc *p)
{
	char name[TLS_FILES_NAME_MAX];

	tls_files_cert_name(i, name);
	out->cert_fd = proc_file(p, name);
	out->cert_path = files->pairs[i].cert_path;
	tls_files_key_name(i, name);
	out->key_fd = proc_file(p, name);
	out->key_path = files->pairs[i].key_path;
	tls_files_bundle_name(i, name);
	out->bundle_fd = proc_file(p, name);
	out->bundle_path = files->pairs[i].bundle_path;
}

static enum err make(struct tls_ctx **out, const struct tls_pair *pairs, size_t n,
		     const struct proc *p, const char *alpn, struct str *why)
{
	const struct tls_config cfg = {
		.pairs = pairs,
		.npairs = n,
		.only_tls13 = strcmp(proc_config(p)->tls_min_version, "1.3") == 0,
		.alpn = alpn,
	};

	return tls_ctx_new(out, &cfg, why);
}

static enum err make_all(struct tls_ctx **out, const struct proc *p, const char *alpn,
			 struct str *why)
{
	struct tls_pair pairs[TLS_FILES_MAX];
	struct tls_files files;
	enum err e = tls_files_parse(&files, proc_config(p), why);

	*out = NULL;
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < files.n; i++)
		fill_pair(&pairs[i], &files, i, p);
	e = make(out, pairs, files.n, p, alpn, why);
	tls_files_clear(&files);
	return e;
}

/* ---- expiry */

int64_t cm_certs_threshold(char *const *warn_days, int64_t days_left)
{
	int64_t best = -1;

	if (days_left < 0)
		return 0;
	for (; *warn_days; warn_days++) {
		int64_t days = strtol(*warn_days, NULL, 10);

		if (days >= days_left && days > 0 && (best < 0 || days < best))
			best = days;
	}
	return best;
}

static void add_expiry(struct str *out, const struct tls_ctx *tls, size_t i, int64_t now)
{
	int64_t left = tls_ctx_days_left(tls, i, now);

	if (out->len)
		str_adds(out, "; ");
	if (left < 0)
		str_addf(out, "%s has expired: clients refuse it; renew it",
			 tls_ctx_expires_text(tls, i));
	else
		str_addf(out, "%s expires in %lld days; renew it", tls_ctx_expires_text(tls, i),
			 (long long)left);
}

static void log_expiry(const struct tls_ctx *tls, size_t i, int64_t now, int64_t threshold)
{
	int64_t left = tls_ctx_days_left(tls, i, now);

	log_at(threshold <= 1 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "-",
	       "event=%s file=%s days_left=%lld threshold=%lld %s next=\"renew it; new files are "
	       "taken up by themselves\"",
	       left < 0 ? "certificate_expired" : "certificate_expires",
	       log_quote(slice_str(tls_ctx_path(tls, i))), (long long)left, (long long)threshold,
	       tls_ctx_text(tls, i));
}

/* The alarm always; lines in the log once a day, and when a threshold has been crossed. */
static void judge_dates(struct cm_certs *c, int64_t now, bool log_anyway)
{
	struct str alarm = STR_INIT;
	int64_t sharpest = -1;
	bool log;

	str_add_slice(&alarm, str_slice(&c->failure));
	for (size_t i = 0; c->tls && i < tls_ctx_count(c->tls); i++) {
		int64_t t = cm_certs_threshold(proc_config(c->proc)->tls_warn_days,
					       tls_ctx_days_left(c->tls, i, now));

		if (t < 0)
			continue;
		add_expiry(&alarm, c->tls, i, now);
		if (sharpest < 0 || t < sharpest)
			sharpest = t;
	}
	log = log_anyway || now - c->warned >= DAY_S || sharpest != c->threshold;
	for (size_t i = 0; log && sharpest >= 0 && i < tls_ctx_count(c->tls); i++) {
		int64_t t = cm_certs_threshold(proc_config(c->proc)->tls_warn_days,
					       tls_ctx_days_left(c->tls, i, now));

		if (t >= 0)
			log_expiry(c->tls, i, now, t);
	}
	if (log)
		c->warned = now;
	c->threshold = sharpest;
	if (strcmp(alarm.data, c->alarm.data) != 0)
		proc_alarm(c->proc, alarm.data);
	str_clear(&c->alarm);
	c->alarm = alarm;
}

/* ---- in force */

static bool has(const struct tls_ctx *old, const struct tls_ctx *new, size_t n)
{
	for (size_t i = 0; old && i < tls_ctx_count(old); i++)
		if (strcmp(tls_ctx_path(old, i), tls_ctx_path(new, n)) == 0 &&
		    strcmp(tls_ctx_text(old, i), tls_ctx_text(new, n)) == 0 &&
		    strcmp(tls_ctx_warnings(old, i), tls_ctx_warnings(new, n)) == 0)
			return true;
	return false;
}

static void log_warnings(const struct tls_ctx *tls, size_t i)
{
	const char *line = tls_ctx_warnings(tls, i);

	for (size_t len; *line; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		log_warn("-", "event=certificate_warning file=%s reason=%s",
			 log_quote(slice_str(tls_ctx_path(tls, i))),
			 log_quote(slice_of(line, len)));
	}
}

enum err cm_certs_load(struct cm_certs *c)
{
	struct tls_ctx *old = c->tls, *new;
	int64_t now = (int64_t)time(NULL);
	bool changed = false;
	enum err e;

	str_reset(&c->failure);
	e = make_all(&new, c->proc, c->alpn, &c->failure);
	if (e != ERR_OK) {
		log_err("-", "event=tls_failed reason=%s", log_quote(str_slice(&c->failure)));
		if (old)
			str_adds(&c->failure, "; until then the certificate before it is used");
		judge_dates(c, now, false);
		return e;
	}
	c->tls = new;
	c->loaded = now;
	for (size_t i = 0; i < tls_ctx_count(new); i++) {
		if (has(old, new, i))
			continue;
		changed = true;
		log_info("-", "event=certificate file=%s %s",
			 log_quote(slice_str(tls_ctx_path(new, i))), tls_ctx_text(new, i));
		log_warnings(new, i);
	}
	judge_dates(c, now, changed);
	tls_ctx_unref(&old);
	return ERR_OK;
}

/* OpenSSL keeps the keys of session tickets as long as their SSL_CTX: whoever gets hold of them can
 * read what TLS 1.2 sessions with tickets said. So none is older than a day. */
static void on_hour(void *arg)
{
	struct cm_certs *c = arg;
	int64_t now = (int64_t)time(NULL);

	if (now - c->loaded >= DAY_S && cm_certs_load(c) == ERR_OK && c->on_renewed)
		c->on_renewed(c->arg);
	judge_dates(c, now, false);
}

struct cm_certs *cm_certs_new(struct loop *loop, struct proc *p, const char *alpn)
{
	struct cm_certs *c = xcalloc(1, sizeof(*c));

	c->proc = p;
	c->alpn = alpn;
	c->threshold = -1;
	str_init(&c->failure);
	str_init(&c->alarm);
	c->hourly = loop_timer_new(loop, on_hour, c);
	loop_timer_set(c->hourly, HOUR_MS, HOUR_MS);
	return c;
}

void cm_certs_free(struct cm_certs **cp)
{
	struct cm_certs *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	loop_timer_free(&c->hourly);
	tls_ctx_unref(&c->tls);
	str_clear(&c->failure);
	str_clear(&c->alarm);
	free(c);
}

struct tls_ctx *cm_certs_tls(const struct cm_certs *c)
{
	return c->tls;
}

void cm_certs_on_renewed(struct cm_certs *c, void (*on_renewed)(void *arg), void *arg)
{
	c->on_renewed = on_renewed;
	c->arg = arg;
}

/* ---- -n */

static bool check_days(const struct config *cfg, struct str *why)
{
	for (char *const *d = cfg->tls_warn_days; *d; d++) {
		char *end;
		long days = strtol(*d, &end, 10);

		if (end != *d && !*end && days > 0 && days <= DAYS_MAX)
			continue;
		str_addf(why,
			 "tls.warn_days: \"%s\": write whole days, 1 to %d, as in "
			 "[ \"30\", \"14\", \"7\", \"1\" ]",
			 *d, DAYS_MAX);
		return false;
	}
	return true;
}

static bool covers_any(const struct tls_ctx *tls, size_t i, char *const *domains)
{
	for (; *domains; domains++)
		if (tls_ctx_covers(tls, i, slice_str(*domains)))
			return true;
	return false;
}

static bool is_covered(const struct tls_ctx *tls, const char *domain)
{
	for (size_t i = 0; i < tls_ctx_count(tls); i++)
		if (tls_ctx_covers(tls, i, slice_str(domain)))
			return true;
	return false;
}

/* Names of type DNS are in ASCII (RFC 5890): nothing can be said of a domain in Unicode. */
static bool is_ascii(const char *s)
{
	while (*s && !(*s & 0x80))
		s++;
	return !*s;
}

static void warn_names(const struct tls_ctx *tls, const struct config *cfg, struct str *warnings)
{
	for (char *const *d = cfg->domains; *d; d++)
		if (is_ascii(*d) && !is_covered(tls, *d))
			str_addf(warnings,
				 "domain %s: no certificate has its name, so clients refuse to "
				 "connect; add one to tls.extra, or have the name added to %s\n",
				 *d, tls_ctx_path(tls, 0));
	for (size_t i = 1; i < tls_ctx_count(tls); i++)
		if (!covers_any(tls, i, cfg->domains))
			str_addf(warnings,
				 "%s: has none of the domains served here among its names (%s); "
				 "name the right file in tls.extra, or take it out\n",
				 tls_ctx_path(tls, i), tls_ctx_text(tls, i));
}

/* Of the files passed only; by hand, what may be read (the key may be the supervisor's alone). */
static bool check_pair(const struct tls_pair *pair, const struct proc *p, struct str *why,
		       struct str *warnings, size_t *judged)
{
	struct tls_ctx *tls;
	enum err e;

	if (proc_has_files(p) &&
	    (pair->cert_fd < 0 || pair->key_fd < 0 || (pair->bundle_path && pair->bundle_fd < 0)))
		return true;
	e = make(&tls, pair, 1, p, NULL, why);
	if (e == ERR_DENIED && pair->key_fd < 0) {
		str_reset(why);
		return true;
	}
	if (e != ERR_OK)
		return false;
	str_adds(warnings, tls_ctx_warnings(tls, 0));
	tls_ctx_unref(&tls);
	++*judged;
	return true;
}

bool cm_certs_check(const struct proc *p, struct str *why, struct str *warnings)
{
	const struct config *cfg = proc_config(p);
	struct tls_ctx *all = NULL;
	struct tls_files files;
	size_t judged = 0;
	bool ok;

	if (!check_days(cfg, why) || tls_files_parse(&files, cfg, why) != ERR_OK)
		return false;
	ok = true;
	for (size_t i = 0; i < files.n && ok; i++) {
		struct tls_pair pair;

		fill_pair(&pair, &files, i, p);
		ok = check_pair(&pair, p, why, warnings, &judged);
	}
	if (ok && judged == files.n && make_all(&all, p, NULL, why) == ERR_OK)
		warn_names(all, cfg, warnings);
	tls_ctx_unref(&all);
	tls_files_clear(&files);
	return ok;
}
