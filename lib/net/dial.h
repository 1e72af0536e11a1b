/*
 * dial - connects to the first of several targets that can be reached, without blocking.
 *
 * Targets are tried in the order given. Of each, A and AAAA are asked at once and the addresses
 * raced (RFC 8305: families take turns, IPv6 first; the next attempt starts 250 ms after the last
 * one or when that has failed; A waits 50 ms for AAAA). A host that is an address is not asked for.
 * Targets without addresses are passed over. Knows TCP only; TLS and streams are the caller's.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct dial;
struct loop;
struct resolver;

struct dial_target {
	const char *host; /* a name, or an address ("192.0.2.1", "2001:db8::1", "[2001:db8::1]") */
	uint16_t port;
	bool from_srv; /* then a CNAME at host is worth a warning (RFC 2782, RFC 2181 10.3) */
};

#define DIAL_TARGETS_MAX 64

struct dial_config {
	struct resolver *resolver; /* outlives the dial */
	const char *log_ctx;	   /* static or outlives the dial; for the lines it logs */
	unsigned int attempt_ms;   /* to connect to one address; 0 = 10000 */
	unsigned int total_ms;	   /* for everything; 0 = 60000 */
};

/* What comes later says more about what is wrong, but for the last. */
enum dial_failure {
	DIAL_OK,
	DIAL_NO_ADDRESS,  /* its name has no address: see dns */
	DIAL_DNS,	  /* nobody can say whether it has: see dns */
	DIAL_UNREACHABLE, /* no way to the host or network */
	DIAL_TIMEOUT,	  /* no answer in time */
	DIAL_REFUSED,	  /* nobody listens there */
	DIAL_SYSTEM,	  /* this machine refused: descriptors, memory */
	DIAL_NOT_TRIED,	  /* a target before it was reached, or total_ms was over */
};

/* What became of one target. */
struct dial_report {
	enum dial_failure failure;
	int dns;	  /* enum dns_outcome, when failure is DIAL_DNS or DIAL_NO_ADDRESS */
	const char *text; /* "cb1.example.org:5223: 192.0.2.7: Connection refused"; no dot */
};

struct dial_result {
	int fd; /* connected, non-blocking, close-on-exec, now the callee's; -1: no target could be
		   reached */
	size_t target; /* which */
	struct sockaddr_storage peer;
	const struct dial_report *reports; /* of all targets; those behind target are NOT_TRIED */
	size_t nreports;
	enum dial_failure failure; /* fd -1: the one of all targets that says most */
	const char *text;	   /* fd -1: of that target */
};

/* result is borrowed for the call, but for fd. The dial is gone already. */
typedef void dial_done(void *arg, const struct dial_result *result);

/* targets: at least 1; those beyond DIAL_TARGETS_MAX are not used; copied. done is called exactly
 * once, never inside this function, unless dial_cancel() comes first. *dp (outlives the dial) is
 * set to it, and to NULL just before done is called. */
void dial_start(struct dial **dp, struct loop *loop, const struct dial_config *cfg,
		const struct dial_target *targets, size_t n, dial_done *done, void *arg);
void dial_cancel(struct dial **dp); /* NULL-safe (*dp may be NULL); sets *dp to NULL */

const char *dial_failure_name(enum dial_failure f); /* "REFUSED"; for key=value */

#endif
