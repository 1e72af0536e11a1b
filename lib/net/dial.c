#include "net/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "net/resolver.h"

/* RFC 8305 section 8. */
#define RESOLUTION_DELAY_MS 50
#define ATTEMPT_DELAY_MS    250
#define ATTEMPT_MS	    10000
#define TOTAL_MS	    60000
#define ADDRESSES_MAX	    16 /* of one family of one target */

enum { V6, V4, FAMILIES };

struct attempt {
	struct dial *dial;
	struct sockaddr_storage addr;
	struct loop_fd *watch;
	struct loop_timer *timer;
	int fd;
};

/* One family of the present target. */
struct family {
	struct resolver_query *query;
	struct sockaddr_storage list[ADDRESSES_MAX];
	size_t n, used;
	enum dns_outcome outcome; /* when it has been asked and n is 0 */
	char *text;
};

enum waiting { WAIT_BEGIN, WAIT_RESOLUTION, WAIT_ATTEMPT, WAIT_NOTHING };

struct dial {
	struct dial **dp;
	struct loop *loop;
	struct dial_config cfg;
	struct dial_target *targets;
	struct dial_report *reports; /* texts are ours */
	size_t n, now;		     /* now: the target that is tried */
	dial_done *done;
	void *arg;
	struct loop_timer *total;
	struct loop_timer *timer; /* what for: waiting */
	enum waiting waiting;
	struct family family[FAMILIES];
	int last; /* family of the last attempt */
	bool racing;
	struct attempt attempts[FAMILIES * ADDRESSES_MAX];
	size_t nattempts, open;
	enum dial_failure failure; /* of the present target, so far */
	struct str text;
};

static void next_attempt(struct dial *d);

static void wait_for(struct dial *d, enum waiting what, unsigned int ms)
{
	d->waiting = what;
	if (what == WAIT_NOTHING)
		loop_timer_stop(d->timer);
	else
		loop_timer_set(d->timer, ms, 0);
}

/* ---- the end */

static void drop_attempt(struct attempt *a, bool keep_fd)
{
	if (!a->watch)
		return;
	loop_fd_free(&a->watch);
	loop_timer_free(&a->timer);
	if (!keep_fd)
		close(a->fd);
	a->dial->open--;
}

static void leave_target(struct dial *d)
{
	for (size_t i = 0; i < d->nattempts; i++)
		drop_attempt(&d->attempts[i], false);
	d->nattempts = 0;
	for (int f = 0; f < FAMILIES; f++) {
		resolver_cancel(&d->family[f].query);
		free(d->family[f].text);
		d->family[f] = (struct family){.query = NULL};
	}
	wait_for(d, WAIT_NOTHING, 0);
	str_clear(&d->text);
}

static void dial_free(struct dial *d)
{
	leave_target(d);
	loop_timer_free(&d->total);
	loop_timer_free(&d->timer);
	for (size_t i = 0; i < d->n; i++) {
		free((char *)(uintptr_t)d->targets[i].host);
		free((char *)(uintptr_t)d->reports[i].text);
	}
	free(d->targets);
	free(d->reports);
	free(d);
}

static void finish(struct dial *d, int fd, const struct sockaddr_storage *peer)
{
	struct dial_result r = {.fd = fd,
				.target = d->now,
				.reports = d->reports,
				.nreports = d->n,
				.failure = DIAL_OK,
				.text = ""};
	dial_done *done = d->done;
	void *arg = d->arg;

	/* In the order of enum dial_failure what comes first says less, but for the last. */
	for (size_t i = 0; fd < 0 && i < d->n; i++)
		if (r.failure == DIAL_OK || r.failure == DIAL_NOT_TRIED ||
		    (d->reports[i].failure > r.failure &&
		     d->reports[i].failure != DIAL_NOT_TRIED)) {
			r.failure = d->reports[i].failure;
			r.text = d->reports[i].text;
		}
	if (peer)
		r.peer = *peer;
	*d->dp = NULL;
	leave_target(d);
	done(arg, &r);
	dial_free(d);
}

static void report(struct dial *d, size_t target, enum dial_failure failure, int dns,
		   const char *text)
{
	struct dial_report *r = &d->reports[target];

	free((char *)(uintptr_t)r->text);
	r->failure = failure;
	r->dns = dns;
	r->text = xasprintf("%s:%u: %s", d->targets[target].host, d->targets[target].port, text);
}

static void give_up_target(struct dial *d, enum dial_failure failure, int dns, const char *text)
{
	report(d, d->now, failure, dns, text);
	leave_target(d);
	d->now++;
	if (d->now == d->n) {
		d->now = d->n - 1;
		finish(d, -1, NULL);
		return;
	}
	wait_for(d, WAIT_BEGIN, 0);
}

static void won(struct attempt *a)
{
	struct dial *d = a->dial;
	struct sockaddr_storage peer = a->addr;
	int fd = a->fd;

	drop_attempt(a, true);
	report(d, d->now, DIAL_OK, 0, "connected");
	finish(d, fd, &peer);
}

static void on_total(void *arg)
{
	struct dial *d = arg;
	char text[64];

	snprintf(text, sizeof(text), "not connected within %u ms", d->cfg.total_ms);
	report(d, d->now, DIAL_TIMEOUT, 0, text);
	finish(d, -1, NULL);
}

/* ---- attempts */

static enum dial_failure failure_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET:
		return DIAL_REFUSED;
	case ETIMEDOUT:
		return DIAL_TIMEOUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case EADDRNOTAVAIL: /* no address of ours of that family or scope */
	case EAFNOSUPPORT:
	case EACCES: /* a packet filter, or a broadcast address */
	case EPERM:
	case EINVAL: /* a link-local address without its link */
		return DIAL_UNREACHABLE;
	default:
		return DIAL_SYSTEM;
	}
}

static void attempt_failed(struct dial *d, const struct sockaddr_storage *addr, int error)
{
	enum dial_failure f = failure_of(error);
	char text[INET6_ADDRSTRLEN] = "?";

	if (addr->ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)addr)->sin_addr,
			  text, sizeof(text));
	else
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr,
			  text, sizeof(text));
	if (d->text.len < 512)
		str_addf(&d->text, "%s%s: %s", d->text.len ? ", " : "", text, strerror(error));
	if (f > d->failure)
		d->failure = f;
}

static void lost(struct attempt *a, int error)
{
	struct dial *d = a->dial;

	drop_attempt(a, false);
	attempt_failed(d, &a->addr, error);
	next_attempt(d);
}

static void on_connected(void *arg, int events)
{
	struct attempt *a = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error == 0)
		won(a);
	else
		lost(a, error);
}

static void on_attempt_over(void *arg)
{
	lost(arg, ETIMEDOUT);
}

/* 0, or why it cannot even begin. */
static int begin_attempt(struct dial *d, const struct sockaddr_storage *addr)
{
	struct attempt *a = &d->attempts[d->nattempts];
	socklen_t len = addr->ss_family == AF_INET ? sizeof(struct sockaddr_in)
						   : sizeof(struct sockaddr_in6);
	int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error = 0;

	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)addr, len) != 0 && errno != EINPROGRESS) {
		error = errno;
		close(fd);
		return error;
	}
	/* Also when it is connected already: that the socket can be written to is told as well. */
	*a = (struct attempt){.dial = d, .addr = *addr, .fd = fd};
	a->watch = loop_fd_new(d->loop, fd, LOOP_WRITE, on_connected, a);
	a->timer = loop_timer_new(d->loop, on_attempt_over, a);
	loop_timer_set(a->timer, d->cfg.attempt_ms, 0);
	d->nattempts++;
	d->open++;
	return 0;
}

/* RFC 8305 4: families take turns, the other one than the last first. */
static const struct sockaddr_storage *next_address(struct dial *d)
{
	for (int i = 1; i <= FAMILIES; i++) {
		int f = (d->last + i) % FAMILIES;
		struct family *fam = &d->family[f];

		if (fam->used < fam->n) {
			d->last = f;
			return &fam->list[fam->used++];
		}
	}
	return NULL;
}

static bool asking(const struct dial *d)
{
	return d->family[V6].query || d->family[V4].query;
}

static bool has_more(const struct dial *d)
{
	return d->family[V6].used < d->family[V6].n || d->family[V4].used < d->family[V4].n;
}

static bool is_nothing(enum dns_outcome o)
{
	return o == DNS_NODATA || o == DNS_NXDOMAIN;
}

static void no_address(struct dial *d)
{
	/* That somebody does not know says more than that there is nothing. */
	int f = is_nothing(d->family[V4].outcome) ? V6 : V4;
	enum dns_outcome o = d->family[f].outcome;
	bool none = is_nothing(o);
	char *text = none ? xasprintf("%s has no A or AAAA records in DNS", d->targets[d->now].host)
			  : xstrdup(d->family[f].text ? d->family[f].text : "no address");

	give_up_target(d, none ? DIAL_NO_ADDRESS : DIAL_DNS, (int)o, text);
	free(text);
}

static void next_attempt(struct dial *d)
{
	const struct sockaddr_storage *addr;

	wait_for(d, WAIT_NOTHING, 0);
	while ((addr = next_address(d))) {
		int error = begin_attempt(d, addr);

		if (error == 0) {
			if (has_more(d))
				wait_for(d, WAIT_ATTEMPT, ATTEMPT_DELAY_MS);
			return;
		}
		attempt_failed(d, addr, error);
	}
	if (d->open > 0 || asking(d))
		return;
	if (d->failure == DIAL_OK) {
		no_address(d);
	} else {
		char *text = str_detach(&d->text);

		give_up_target(d, d->failure, 0, text);
		free(text);
	}
}

/* ---- addresses */

static void add_address(struct dial *d, int f, const struct dns_address *a)
{
	struct family *fam = &d->family[f];
	struct sockaddr_storage s = {0};
	uint16_t port = htons(d->targets[d->now].port);

	if (fam->n == ADDRESSES_MAX)
		return;
	if (f == V4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&s;

		v4->sin_family = AF_INET;
		v4->sin_port = port;
		memcpy(&v4->sin_addr, a->bytes, 4);
	} else {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&s;

		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		memcpy(&v6->sin6_addr, a->bytes, 16);
	}
	for (size_t i = 0; i < fam->n; i++)
		if (memcmp(&fam->list[i], &s, sizeof(s)) == 0)
			return;
	fam->list[fam->n++] = s;
}

static void start_race(struct dial *d)
{
	d->racing = true;
	d->last = V4; /* so V6 is next */
	next_attempt(d);
}

static void on_address(struct dial *d, int f, const struct dns_answer *answer)
{
	const char *ctx = d->cfg.log_ctx;

	d->family[f].outcome = answer->outcome;
	d->family[f].text = xstrdup(answer->text);
	for (size_t i = 0; i < answer->count; i++)
		add_address(d, f, &answer->of.addresses[i]);
	if (answer->count > 0 && d->targets[d->now].from_srv &&
	    strcmp(answer->name, answer->canonical) != 0 && !(f == V4 && d->family[V6].n > 0))
		log_warn(ctx,
			 "event=srv_target_is_alias target=%s canonical=%s hint=\"the target "
			 "of an SRV record must not be a CNAME (RFC 2782); put %s into the "
			 "record\"",
			 answer->name, answer->canonical, answer->canonical);
	if (d->racing) {
		/* Came late: its turn is after the attempt that is under way. */
		if (d->open == 0)
			next_attempt(d);
		else if (d->waiting == WAIT_NOTHING && has_more(d))
			wait_for(d, WAIT_ATTEMPT, ATTEMPT_DELAY_MS);
	} else if (f == V4 && d->family[V6].query && d->family[V4].n > 0) {
		wait_for(d, WAIT_RESOLUTION, RESOLUTION_DELAY_MS); /* RFC 8305 3 */
	} else if (!asking(d) || d->family[V6].n > 0) {
		start_race(d);
	}
}

static void on_v6(void *arg, const struct dns_answer *answer)
{
	on_address(arg, V6, answer);
}

static void on_v4(void *arg, const struct dns_answer *answer)
{
	on_address(arg, V4, answer);
}

/* A host that is an address itself. */
static bool literal(struct dial *d, const char *host)
{
	struct dns_address a = {0};
	char copy[INET6_ADDRSTRLEN];
	size_t len = strlen(host);

	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len >= sizeof(copy))
		return false;
	memcpy(copy, host, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET, copy, a.bytes) == 1)
		add_address(d, V4, &a);
	else if (inet_pton(AF_INET6, copy, a.bytes) == 1)
		add_address(d, V6, &a);
	else
		return false;
	return true;
}

static void begin_target(struct dial *d)
{
	const struct dial_target *t = &d->targets[d->now];

	d->racing = false;
	d->failure = DIAL_OK;
	str_init(&d->text);
	if (literal(d, t->host)) {
		start_race(d);
		return;
	}
	resolver_ask(d->cfg.resolver, t->host, DNS_AAAA, on_v6, d, &d->family[V6].query);
	resolver_ask(d->cfg.resolver, t->host, DNS_A, on_v4, d, &d->family[V4].query);
}

static void on_timer(void *arg)
{
	struct dial *d = arg;
	enum waiting what = d->waiting;

	d->waiting = WAIT_NOTHING;
	if (what == WAIT_BEGIN)
		begin_target(d);
	else if (what == WAIT_RESOLUTION)
		start_race(d);
	else if (what == WAIT_ATTEMPT)
		next_attempt(d);
}

/* ---- the outside */

void dial_start(struct dial **dp, struct loop *loop, const struct dial_config *cfg,
		const struct dial_target *targets, size_t n, dial_done *done, void *arg)
{
	struct dial *d = xcalloc(1, sizeof(*d));

	check(n > 0);
	*dp = d;
	d->dp = dp;
	d->loop = loop;
	d->cfg = *cfg;
	d->cfg.attempt_ms = cfg->attempt_ms ? cfg->attempt_ms : ATTEMPT_MS;
	d->cfg.total_ms = cfg->total_ms ? cfg->total_ms : TOTAL_MS;
	d->cfg.log_ctx = cfg->log_ctx ? cfg->log_ctx : "-";
	d->done = done;
	d->arg = arg;
	d->n = n < DIAL_TARGETS_MAX ? n : DIAL_TARGETS_MAX;
	d->targets = xcalloc(d->n, sizeof(*d->targets));
	d->reports = xcalloc(d->n, sizeof(*d->reports));
	str_init(&d->text);
	for (size_t i = 0; i < d->n; i++) {
		d->targets[i] = targets[i];
		d->targets[i].host = xstrdup(targets[i].host);
		report(d, i, DIAL_NOT_TRIED, 0, "not tried");
	}
	d->total = loop_timer_new(loop, on_total, d);
	d->timer = loop_timer_new(loop, on_timer, d);
	loop_timer_set(d->total, d->cfg.total_ms, 0);
	wait_for(d, WAIT_BEGIN, 0);
}

void dial_cancel(struct dial **dp)
{
	struct dial *d = *dp;

	*dp = NULL;
	if (d)
		dial_free(d);
}

const char *dial_failure_name(enum dial_failure f)
{
	static const char *const names[] = {
		[DIAL_OK] = "OK",
		[DIAL_DNS] = "DNS",
		[DIAL_NO_ADDRESS] = "NO_ADDRESS",
		[DIAL_UNREACHABLE] = "UNREACHABLE",
		[DIAL_TIMEOUT] = "TIMEOUT",
		[DIAL_REFUSED] = "REFUSED",
		[DIAL_SYSTEM] = "SYSTEM",
		[DIAL_NOT_TRIED] = "NOT_TRIED",
	};

	return names[f];
}
