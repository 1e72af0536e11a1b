/*
 * pki_lab - a certificate authority for a laboratory and one server certificate signed by it.
 *
 * For trying things out and for tests: the CA's key lies beside the certificates, so whoever reads
 * the directory can impersonate any server to those who trust its ca.pem.
 */
#ifndef CLI_PKI_PKI_LAB_H
#define CLI_PKI_PKI_LAB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct pki_lab_request {
	const char *dir;	  /* the files go to dir/pki/ */
	const char *domain;	  /* the XMPP domain, ASCII (xn-- form) */
	const char *const *hosts; /* more names or IP addresses for the certificate */
	size_t nhosts;
	bool force; /* replace what is there */
	bool add;   /* signed by the CA that is there: one more domain of the same server */
};

#define PKI_LAB_CA_DAYS	    3650
#define PKI_LAB_SERVER_DAYS 825

/* Makes ca.pem, ca.key, server.crt (leaf, then CA) and server.key; all four or none. On failure
 * why says what to do next: ERR_FORMAT (a name), ERR_CONFLICT (a file is there), ERR_IO. With add:
 * DOMAIN.crt and DOMAIN.key, and the others stay as they are. */
enum err pki_lab_make(const struct pki_lab_request *req, struct str *why);

#endif
