#include "net/resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unbound.h>

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/xmem.h"
#include "net/dns_probe.h"
#include "net/dns_wire.h"
#include "net/loop.h"
#include "net/resolver_context.h"
#include "net/resolver_lines.h"

#define CNAMES_MAX  8
#define PENDING_MAX 4096 /* questions; what libunbound is told as well */
#define PROBES_MAX  64	 /* at once: each has a socket for every server */
#define PROBE_MS    1000 /* that a question may take before the servers are asked why */
#define CLASS_IN    1
#define RCODE_NAME  3 /* NXDOMAIN */
#define RCODE_FAIL  2

/* A libunbound context with the settings of its time. A retired one answers what it was asked. */
struct backend {
	struct list link;	   /* resolver.backends */
	struct resolver *resolver; /* NULL: it is gone */
	struct ub_ctx *ub;
	struct loop_fd *watch;
	struct list flights;
	bool retired;
	bool busy; /* ub_process() is on the stack */
};

/* What libunbound holds of a question. */
struct flight {
	struct list link; /* backend.flights */
	struct backend *backend;
	struct resolver_query *query;
	int id;
};

/* What a file was when it was read. */
struct file_mark {
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct resolver {
	struct loop *loop;
	struct dns_settings settings;
	struct backend *current;
	struct list backends; /* with current */
	struct list queries;
	size_t pending;
	size_t probes;
	struct file_mark resolv_conf, hosts;
};

struct resolver_query {
	struct list link; /* resolver.queries */
	struct resolver *resolver;
	struct resolver_query **qp;
	resolver_done *done;
	void *arg;
	enum dns_type type;
	char name[DNS_NAME_MAX];
	char canonical[DNS_NAME_MAX];
	unsigned int cnames;
	struct flight *flight;
	struct loop_timer *timer;
	struct monotime asked;
	struct dns_probe *probe;
	bool probed; /* these three are its result */
	enum dns_outcome probe_outcome;
	bool probe_answered;
	bool failed;	   /* libunbound has given up; the probe is awaited */
	bool probing_time; /* the timer is for the probe, not the end */
	bool ending;	   /* its time is over */
	struct str text;   /* the probe's, or why nothing could be asked */
	bool unaskable;
	enum dns_outcome unaskable_outcome;
};

/* ---- backends */

static struct file_mark mark(const char *path)
{
	struct file_mark m = {.size = -1};
	struct stat st;

	if (stat(path, &st) == 0)
		m = (struct file_mark){st.st_ino, st.st_size, st.st_mtim};
	return m;
}

static bool same(const struct file_mark *a, const struct file_mark *b)
{
	return a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void backend_free(struct backend *b)
{
	check(list_empty(&b->flights));
	loop_fd_free(&b->watch);
	ub_ctx_delete(b->ub);
	list_remove(&b->link);
	free(b);
}

static void reap(struct backend *b)
{
	if (b->retired && !b->busy && list_empty(&b->flights))
		backend_free(b);
}

static void retire(struct resolver *r)
{
	struct backend *b = r->current;

	r->current = NULL;
	if (!b)
		return;
	b->retired = true;
	reap(b);
}

static void on_answers(void *arg, int events)
{
	struct backend *b = arg;
	int e;

	(void)events;
	b->busy = true;
	e = ub_process(b->ub);
	b->busy = false;
	if (e != 0) { /* its thread is gone: what it was asked ends in time-outs */
		log_warn("-",
			 "event=dns_resolver_failed reason=\"%s\" hint=\"a new one is "
			 "started with the next question\"",
			 ub_strerror(e));
		loop_fd_set(b->watch, 0);
		if (b->resolver && b->resolver->current == b)
			b->resolver->current = NULL;
		b->retired = true;
	}
	reap(b);
}

static enum err backend_new(struct resolver *r, struct str *why)
{
	struct ub_ctx *ub;
	struct backend *b;
	enum err e;

	r->resolv_conf = mark(r->settings.resolv_conf);
	r->hosts = mark(r->settings.hosts);
	dns_settings_refresh(&r->settings);
	e = resolver_context_new(&ub, &r->settings, why);
	if (e != ERR_OK)
		return e;
	retire(r);
	b = xcalloc(1, sizeof(*b));
	b->resolver = r;
	b->ub = ub;
	list_init(&b->flights);
	list_append(&r->backends, &b->link);
	b->watch = loop_fd_new(r->loop, ub_fd(ub), LOOP_READ, on_answers, b);
	r->current = b;
	return ERR_OK;
}

/* resolv.conf and hosts are looked at for every question: two stat(), a few microseconds. */
static enum err backend_ready(struct resolver *r, struct str *why)
{
	struct file_mark resolv_conf = mark(r->settings.resolv_conf);
	struct file_mark hosts = mark(r->settings.hosts);

	if (r->current && same(&hosts, &r->hosts) &&
	    (!r->settings.from_resolv_conf || same(&resolv_conf, &r->resolv_conf)))
		return ERR_OK;
	return backend_new(r, why);
}

/* ---- the end of a question */

static void query_free(struct resolver_query *q)
{
	struct flight *f = q->flight;

	if (q->qp)
		*q->qp = NULL;
	q->resolver->probes -= q->probe != NULL;
	dns_probe_cancel(&q->probe);
	loop_timer_free(&q->timer);
	str_clear(&q->text);
	list_remove(&q->link);
	q->resolver->pending--;
	if (f) {
		struct backend *b = f->backend;

		/* It cannot answer any more: only ub_process() calls back. */
		ub_cancel(b->ub, f->id);
		list_remove(&f->link);
		free(f);
		reap(b);
	}
	free(q);
}

static void sentence(const struct resolver_query *q, enum dns_outcome o, struct str *out)
{
	const char *name = q->name, *type = dns_type_name(q->type);

	switch (o) {
	case DNS_ANSWER:
		str_adds(out, "found");
		break;
	case DNS_NXDOMAIN:
		str_addf(out, "the name %s does not exist in DNS", name);
		break;
	case DNS_NODATA:
		str_addf(out, "%s exists in DNS but has no %s record", name, type);
		break;
	case DNS_NOSERVICE:
		str_addf(out, "%s says that the service is not offered (SRV target \".\")", name);
		break;
	case DNS_SERVFAIL:
		str_addf(out, "DNS cannot answer for %s %s now: %s", name, type, q->text.data);
		break;
	case DNS_TIMEOUT:
		str_addf(out, "no DNS server has answered for %s %s: %s", name, type, q->text.data);
		break;
	case DNS_BOGUS:
		str_addf(out, "DNSSEC refuses the answer for %s %s: %s", name, type, q->text.data);
		break;
	case DNS_MALFORMED:
		str_addf(out, "%s", q->text.data);
		break;
	}
}

/* Frees q and tells. answer: name, canonical and text are set here. */
static void finish(struct resolver_query *q, struct dns_answer *answer)
{
	char name[DNS_NAME_MAX], canonical[DNS_NAME_MAX];
	struct str text = STR_INIT;
	resolver_done *done = q->done;
	void *arg = q->arg;

	memcpy(name, q->name, sizeof(name));
	memcpy(canonical, q->canonical, sizeof(canonical));
	sentence(q, answer->outcome, &text);
	answer->type = q->type;
	answer->name = name;
	answer->canonical = canonical;
	answer->text = text.data;
	query_free(q);
	done(arg, answer);
	str_clear(&text);
}

static void finish_without(struct resolver_query *q, enum dns_outcome o)
{
	finish(q, &(struct dns_answer){.outcome = o});
}

static void set_text(struct resolver_query *q, const char *text)
{
	str_reset(&q->text);
	str_adds(&q->text, text);
}

/* ---- why there is no answer */

static unsigned int ms_left(const struct resolver_query *q)
{
	uint64_t gone = monotime_ms_between(q->asked, monotime_now());

	return gone < q->resolver->settings.timeout_ms
		       ? q->resolver->settings.timeout_ms - (unsigned int)gone
		       : 0;
}

static void time_is_over(struct resolver_query *q)
{
	const struct dns_zone *z = dns_settings_zone(&q->resolver->settings, q->canonical);

	/* A server that answers the probe is only too slow for the whole. */
	if (q->probed && !q->probe_answered) {
		finish_without(q, q->probe_outcome);
		return;
	}
	str_reset(&q->text);
	str_addf(&q->text, "nothing from %s%s within %u ms", z->servers[0].text,
		 z->nservers > 1 ? " and others" : "", q->resolver->settings.timeout_ms);
	finish_without(q, DNS_TIMEOUT);
}

static void on_probed(void *arg, const struct dns_probe_result *result)
{
	struct resolver_query *q = arg;

	q->resolver->probes--;
	q->probed = true;
	q->probe_outcome = result->outcome;
	q->probe_answered = result->answered;
	set_text(q, result->text);
	if (result->outcome == DNS_SERVFAIL)
		str_adds(&q->text, "; see the log of that server");
	if (q->failed || result->all_refused)
		finish_without(q, result->outcome);
	else if (q->ending)
		time_is_over(q);
}

static void probe(struct resolver_query *q)
{
	struct resolver *r = q->resolver;
	unsigned int left = ms_left(q);

	if (q->probe || q->probed || r->probes == PROBES_MAX)
		return;
	r->probes++;
	dns_probe_start(&q->probe, r->loop, dns_settings_zone(&r->settings, q->canonical),
			q->canonical, q->type, left < PROBE_MS ? left : PROBE_MS, on_probed, q);
}

static void on_timer(void *arg)
{
	struct resolver_query *q = arg;

	if (q->unaskable) {
		finish_without(q, q->unaskable_outcome);
	} else if (q->probing_time) {
		q->probing_time = false;
		probe(q);
		loop_timer_set(q->timer, ms_left(q), 0);
	} else {
		q->ending = true;
		if (q->probe)
			dns_probe_hurry(q->probe);
		else
			time_is_over(q);
	}
}

/* libunbound has given up. */
static void failed(struct resolver_query *q)
{
	q->failed = true;
	probe(q);
	if (q->probe)
		return;
	if (q->probed) {
		finish_without(q, q->probe_outcome);
	} else {
		set_text(q, "no server has given an answer that can be used");
		finish_without(q, DNS_SERVFAIL);
	}
}

static void refuse(struct resolver_query *q, enum dns_outcome o)
{
	q->unaskable = true;
	q->unaskable_outcome = o;
	loop_timer_set(q->timer, 0, 0);
}

/* ---- answers */

static void records(struct resolver_query *q, const struct ub_result *res)
{
	struct dns_answer a = {.outcome = DNS_ANSWER,
			       .secure = res->secure,
			       .ttl = res->ttl > 0 ? (uint32_t)res->ttl : 0};
	size_t size = q->type == DNS_SRV    ? sizeof(struct srv_record)
		      : q->type == DNS_TLSA ? sizeof(struct dns_tlsa)
					    : sizeof(struct dns_address);
	bool not_offered = false;
	size_t n = 0;
	char *list;

	while (res->data[n] && n < DNS_RECORDS_MAX)
		n++;
	list = xcalloc(n ? n : 1, size);
	for (size_t i = 0; i < n; i++) {
		const unsigned char *data = (const unsigned char *)res->data[i];
		size_t len = (size_t)res->len[i];
		void *out = list + a.count * size;
		bool good = q->type == DNS_SRV	  ? dns_srv_unpack(out, data, len)
			    : q->type == DNS_TLSA ? dns_tlsa_unpack(out, data, len)
						  : dns_address_unpack(out, q->type, data, len);

		if (good && q->type == DNS_SRV && !((struct srv_record *)out)->target[0])
			not_offered = true;
		else if (good)
			a.count++;
	}
	if (a.count == 0) {
		a.outcome = not_offered ? DNS_NOSERVICE : DNS_MALFORMED;
		str_reset(&q->text);
		str_addf(&q->text, "the %s records of %s in DNS are broken", dns_type_name(q->type),
			 q->name);
	}
	a.of.srv = (const struct srv_record *)(void *)list;
	finish(q, &a);
	free(list);
}

static bool send_question(struct resolver_query *q);

/* A local CNAME, or a chain that libunbound did not follow to its end. */
static bool follow(struct resolver_query *q, const struct ub_result *res)
{
	char next[DNS_NAME_MAX];

	if (!res->canonname || dns_name_parse(next, res->canonname) != ERR_OK ||
	    strcmp(next, q->canonical) == 0 || ++q->cnames > CNAMES_MAX)
		return false;
	memcpy(q->canonical, next, sizeof(next));
	if (!send_question(q))
		failed(q);
	return true;
}

static void judge(struct resolver_query *q, const struct ub_result *res)
{
	char canonical[DNS_NAME_MAX];

	if (res->bogus) {
		set_text(q, res->why_bogus ? res->why_bogus : "no reason is known");
		finish_without(q, DNS_BOGUS);
	} else if (res->rcode == RCODE_NAME || (res->rcode == 0 && res->nxdomain)) {
		finish_without(q, DNS_NXDOMAIN);
	} else if (res->rcode != 0) {
		failed(q);
	} else if (res->havedata) {
		if (res->canonname && dns_name_parse(canonical, res->canonname) == ERR_OK)
			memcpy(q->canonical, canonical, sizeof(canonical));
		records(q, res);
	} else if (!follow(q, res)) {
		finish_without(q, DNS_NODATA);
	}
}

static void on_result(void *arg, int e, struct ub_result *res)
{
	struct flight *f = arg;
	struct resolver_query *q = f->query;

	q->flight = NULL;
	list_remove(&f->link);
	free(f);
	if (e != 0 || !res) {
		log_warn("-", "event=dns_failed name=%s reason=\"%s\"", q->canonical,
			 ub_strerror(e));
		failed(q);
	} else {
		judge(q, res);
	}
	ub_resolve_free(res);
}

static bool send_question(struct resolver_query *q)
{
	struct resolver *r = q->resolver;
	struct flight *f;
	char name[DNS_NAME_MAX + 1];
	int e;

	if (!r->current)
		return false;
	f = xcalloc(1, sizeof(*f));
	f->backend = r->current;
	f->query = q;
	snprintf(name, sizeof(name), "%s.", q->canonical);
	e = ub_resolve_async(r->current->ub, name, (int)q->type, CLASS_IN, f, on_result, &f->id);
	if (e != 0) {
		log_warn("-", "event=dns_failed name=%s reason=\"%s\"", q->canonical,
			 ub_strerror(e));
		free(f);
		return false;
	}
	list_append(&f->backend->flights, &f->link);
	q->flight = f;
	return true;
}

/* ---- the outside */

void resolver_ask(struct resolver *r, const char *name, enum dns_type type, resolver_done *done,
		  void *arg, struct resolver_query **qp)
{
	struct resolver_query *q = xcalloc(1, sizeof(*q));
	struct str why = STR_INIT;
	unsigned int probe_after;

	*q = (struct resolver_query){
		.resolver = r, .qp = qp, .done = done, .arg = arg, .type = type};
	str_init(&q->text);
	list_append(&r->queries, &q->link);
	r->pending++;
	if (qp)
		*qp = q;
	q->asked = monotime_now();
	q->timer = loop_timer_new(r->loop, on_timer, q);
	if (dns_name_parse(q->name, name) != ERR_OK || !q->name[0]) {
		str_addf(&q->text, "%s is not a name that can be in DNS",
			 log_quote(slice_str(name)));
		refuse(q, DNS_MALFORMED);
		return;
	}
	if (r->pending > PENDING_MAX) {
		str_addf(&q->text, "%d questions wait for an answer already", PENDING_MAX);
		refuse(q, DNS_SERVFAIL);
		return;
	}
	memcpy(q->canonical, q->name, sizeof(q->canonical));
	if (backend_ready(r, &why) != ERR_OK)
		log_warn("-", "event=dns_resolver_failed reason=\"%s\"", why.data);
	str_clear(&why);
	q->probing_time = true;
	probe_after = r->settings.timeout_ms / 3;
	loop_timer_set(q->timer, probe_after < PROBE_MS ? probe_after : PROBE_MS, 0);
	if (!send_question(q)) {
		str_addf(&q->text, "libunbound does not take the question");
		refuse(q, DNS_SERVFAIL);
	}
}

void resolver_cancel(struct resolver_query **qp)
{
	if (!*qp)
		return;
	check((*qp)->qp == qp);
	query_free(*qp);
}

size_t resolver_pending(const struct resolver *r)
{
	return r->pending;
}

enum err resolver_new(struct resolver **out, struct loop *loop, const struct resolver_config *cfg,
		      struct str *why)
{
	struct resolver *r = xcalloc(1, sizeof(*r));
	enum err e;

	*out = NULL;
	r->loop = loop;
	list_init(&r->backends);
	list_init(&r->queries);
	e = dns_settings_init(&r->settings, cfg, why);
	if (e == ERR_OK) {
		e = backend_new(r, why);
		if (e != ERR_OK)
			dns_settings_clear(&r->settings);
	}
	if (e == ERR_OK)
		*out = r;
	else
		free(r);
	return e;
}

void resolver_free(struct resolver **rp)
{
	struct resolver *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	list_each_safe (l, &r->queries)
		query_free(list_entry(l, struct resolver_query, link));
	list_each_safe (l, &r->backends) {
		struct backend *b = list_entry(l, struct backend, link);

		list_remove(l);
		b->resolver = NULL;
		b->retired = true;
		reap(b);
	}
	dns_settings_clear(&r->settings);
	free(r);
}

enum err resolver_set(struct resolver *r, const struct resolver_config *cfg, struct str *why)
{
	struct dns_settings old = r->settings, next;
	enum err e = dns_settings_init(&next, cfg, why);

	if (e != ERR_OK)
		return e;
	r->settings = next;
	e = backend_new(r, why);
	if (e != ERR_OK)
		r->settings = old;
	dns_settings_clear(e == ERR_OK ? &old : &next);
	return e;
}

void resolver_servers(struct resolver *r, struct str *out)
{
	dns_settings_refresh(&r->settings);
	for (size_t i = 0; i < r->settings.zones[0].nservers; i++)
		str_addf(out, "%s\n", r->settings.zones[0].servers[i].text);
}

bool resolver_forwards_everything(const struct resolver *r)
{
	return r->settings.forwards_everything;
}
