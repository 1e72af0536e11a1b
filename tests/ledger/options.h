/*
 * options - the command line of the ledger.
 */
#ifndef LEDGER_OPTIONS_H
#define LEDGER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/opts.h"

struct options {
	struct opts server;  /* where it is and how to log in */
	uint32_t sm;	     /* clients with XEP-0198 */
	uint32_t plain;	     /* ... and without */
	uint32_t twins;	     /* pairs of the former that share an account */
	uint32_t slow;	     /* with XEP-0198: that do not read for a while */
	uint32_t mute;	     /* ... that never acknowledge */
	uint32_t droppers;   /* ... that drop their connection and resume */
	uint32_t crashers;   /* ... that forget their session and bind anew */
	uint32_t vanishers;  /* plain clients that drop their connection */
	uint32_t components; /* plain ones: the domains part0.DOMAIN, ... */
	uint32_t bridges;    /* ... with XEP-0198: bridge0.DOMAIN, ... */
	uint32_t shared;     /* ... plain, with two connections: shared0.DOMAIN, ... */
	uint16_t component_port;
	const char *echo;	/* sends everything back; NULL: nobody does */
	const char *secret;	/* of all of them */
	double component_share; /* of the messages: to or from one */
	double carbons;		/* share of --sm that wants copies */
	double block;		/* share of --sm that blocks others */
	uint32_t rate;		/* messages a second, all together */
	uint32_t window;	/* a client's unacknowledged messages */
	uint32_t padding;	/* at most, of most bodies */
	uint32_t resume_max;
	uint32_t seed;
	double seconds;
	double quiet;
	double settle;
	bool archive; /* read at the end */
	bool no_sm;
	bool strict;
	bool json;
	bool verbose;
};

/* False: the command line was not understood (said on stderr) or --help was asked. */
bool options_parse(struct options *o, int argc, char **argv);

#endif
