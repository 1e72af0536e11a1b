/*
 * dns_probe - asks each server of a zone once, by itself, to learn why a question has failed.
 *
 * libunbound tells that nothing came of it, not what each server said or that nobody listens there;
 * the operator needs exactly that. Private to lib/net.
 */
#ifndef NET_DNS_PROBE_H
#define NET_DNS_PROBE_H

#include <stdbool.h>

#include "net/resolver_lines.h"

struct dns_probe;
struct loop;

struct dns_probe_result {
	enum dns_outcome outcome; /* SERVFAIL, TIMEOUT or MALFORMED */
	bool all_refused;	  /* nobody listens at any of them */
	bool answered;		  /* at least one gave an answer to the question, of any kind */
	const char *text;	  /* "192.0.2.53@53 answers REFUSED; ::1@53 does not answer" */
};

/* done is called once, after at most ms, not inside this function; the probe is gone then and *pp
 * is NULL. result is borrowed. */
void dns_probe_start(struct dns_probe **pp, struct loop *loop, const struct dns_zone *zone,
		     const char *name, enum dns_type type, unsigned int ms,
		     void (*done)(void *arg, const struct dns_probe_result *result), void *arg);
/* What is known by now is told now. */
void dns_probe_hurry(struct dns_probe *p);
void dns_probe_cancel(struct dns_probe **pp); /* NULL-safe; sets *pp to NULL */

#endif
