/*
 * resolver - asks DNS without blocking: SRV, A, AAAA, TLSA through libunbound, in our loop.
 *
 * Knows the servers (configured, or /etc/resolv.conf as it is at the time of the question), zones
 * that are asked elsewhere, local records and /etc/hosts. Keeps no answers, so that a repair in DNS
 * is seen by the next question; caching is the business of the servers that it asks. Follows
 * CNAMEs. Orders nothing: see srv.h. Hundreds of questions may be under way (4096; one more is
 * SERVFAIL). Runs one thread of libunbound's; who forks and execs closes its descriptors
 * (close_range).
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "net/srv.h"

struct loop;
struct resolver;
struct resolver_query;

/* The configuration's dns section; lists are NULL-terminated, NULL = empty. Copied. */
struct resolver_config {
	const char *const *servers;	 /* "192.0.2.1", "2001:db8::1@5353"; empty: resolv.conf */
	const char *const *forwardzones; /* "ZONE SERVER[@port]"; several lines for a zone add up */
	const char *const *records;	 /* zone-file lines: of these names nobody else is asked */
	const char *const *trustanchors; /* DS or DNSKEY lines: below them DNSSEC is required */
	unsigned int timeout_ms;	 /* of one question, whatever it takes; 0 = 5000 */
	const char *resolv_conf;	 /* NULL = /etc/resolv.conf */
	const char *hosts;		 /* NULL = /etc/hosts */
};

enum dns_type { DNS_A = 1, DNS_AAAA = 28, DNS_SRV = 33, DNS_TLSA = 52 };

enum dns_outcome {
	DNS_ANSWER,    /* at least one record */
	DNS_NXDOMAIN,  /* the name does not exist */
	DNS_NODATA,    /* it does, but has no record of this type */
	DNS_NOSERVICE, /* SRV to ".": decidedly not offered there (RFC 2782) */
	DNS_SERVFAIL,  /* a server answered that it cannot say */
	DNS_TIMEOUT,   /* no server could be reached, or none answered in time */
	DNS_BOGUS,     /* DNSSEC: the answer is forged or its zone is broken */
	DNS_MALFORMED, /* no question can be made of the name, or the answer makes no sense */
};

/* One A or AAAA record: 4 or 16 bytes. */
struct dns_address {
	int family; /* AF_INET or AF_INET6 */
	unsigned char bytes[16];
};

struct dns_tlsa {
	unsigned char usage, selector, matching;
	const unsigned char *data;
	size_t len;
};

#define DNS_RECORDS_MAX 256 /* of one answer; what comes behind is dropped */

struct dns_answer {
	enum dns_outcome outcome;
	enum dns_type type;
	const char *name;      /* what was asked: ASCII (IDNA), no dot at its end */
	const char *canonical; /* where CNAMEs led; the same as name without any */
	bool secure;	       /* proven by DNSSEC */
	uint32_t ttl;
	const char *text; /* for the operator: what the outcome is and what to do */
	size_t count;	  /* records; 0 but for DNS_ANSWER */
	union {
		const struct srv_record *srv; /* as they came; never the target "." */
		const struct dns_address *addresses;
		const struct dns_tlsa *tlsa;
	} of;
};

/* answer is borrowed for the call. */
typedef void resolver_done(void *arg, const struct dns_answer *answer);

/* ERR_FORMAT: which line of the configuration is wrong and why; ERR_IO: libunbound cannot start. */
enum err resolver_new(struct resolver **out, struct loop *loop, const struct resolver_config *cfg,
		      struct str *why);
void resolver_free(struct resolver **rp); /* NULL-safe; cancels what is under way */

/* Another configuration for the questions to come. On failure the old one stands. */
enum err resolver_set(struct resolver *r, const struct resolver_config *cfg, struct str *why);

/* Judges only: what resolver_new() would say. One record alone: resolver_check_record(). */
enum err resolver_check(const struct resolver_config *cfg, struct str *why);
enum err resolver_check_record(const char *record, struct str *why);
enum err resolver_check_server(const char *server, struct str *why);
enum err resolver_check_forwardzone(const char *line, struct str *why);
enum err resolver_check_trustanchor(const char *record, struct str *why);

/* Asks; name: UTF-8 or ASCII, with or without a dot at its end. done is called exactly once, never
 * inside this function, unless resolver_cancel() comes first. *qp (may be NULL) is set to the
 * question, and to NULL again just before done is called; so it must outlive the question. */
void resolver_ask(struct resolver *r, const char *name, enum dns_type type, resolver_done *done,
		  void *arg, struct resolver_query **qp);
/* NULL-safe (*qp may be NULL); sets *qp to NULL. Safe in any callback. */
void resolver_cancel(struct resolver_query **qp);

/* Questions under way. */
size_t resolver_pending(const struct resolver *r);

/* The servers asked now, one "address@port" a line; whether a forward zone "." names them. */
void resolver_servers(struct resolver *r, struct str *out);
bool resolver_forwards_everything(const struct resolver *r);

const char *dns_outcome_name(enum dns_outcome o); /* "NXDOMAIN", "TIMEOUT"; for key=value */
const char *dns_type_name(enum dns_type t);	  /* "SRV" */
bool dns_type_parse(const char *text, enum dns_type *out);

/* "192.0.2.1", "2001:db8::1" */
#define DNS_ADDRESS_TEXT 46
void dns_address_format(const struct dns_address *a, char out[DNS_ADDRESS_TEXT]);

#endif
