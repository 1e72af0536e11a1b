/*
 * pki_csr - a key with a request for a certificate (or one that it signs itself), in pki/.
 */
#ifndef CLI_PKI_PKI_CSR_H
#define CLI_PKI_PKI_CSR_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "cli/pki/pki_request.h"

#define PKI_CSR_RSA_MIN	  2048
#define PKI_CSR_RSA_MAX	  8192
#define PKI_CSR_SELF_DAYS 365

struct pki_csr_options {
	const char *dir;
	const char *type; /* NULL: ecdsa (P-256); "rsa" */
	long bits;	  /* of RSA; 0: PKI_CSR_RSA_MIN */
	bool force;
};

/* BASENAME.key (0600) and BASENAME.csr, both or none. The CN must be given; it is among the
 * alternative names too, since clients look at nothing else (RFC 6125 6.4.4). warnings: lines, of
 * domains served here that it does not name. ERR_FORMAT, ERR_CONFLICT (a file is there),
 * ERR_DENIED, ERR_IO, ERR_INTERNAL. */
enum err pki_csr_make(const struct pki_csr_options *o, const struct pki_request *r,
		      struct str *warnings, struct str *why);

/* BASENAME.key and BASENAME.crt, signed by that key itself. Without a CN: the first domain of the
 * instance; without alternative names: its domains, each also as a wildcard, and this host. */
enum err pki_csr_self_signed(const struct pki_csr_options *o, const struct pki_request *r,
			     struct str *warnings, struct str *why);

#endif
