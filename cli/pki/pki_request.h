/*
 * pki_request - what a certificate shall be for, as it stands on the command line:
 *
 *     BASENAME CN:example.org O:"Example Ltd" subjectAltName:cb1.example.org,192.0.2.7
 *
 * Pure; everything is judged before any of it is used. The attributes are those of CMS (CN, OU, O,
 * L, ST, C, subjectAltName), of any case; subAltName, which its guides also print, is the same as
 * subjectAltName.
 */
#ifndef CLI_PKI_PKI_REQUEST_H
#define CLI_PKI_PKI_REQUEST_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#define PKI_REQUEST_BASENAME_MAX 64
#define PKI_REQUEST_NAMES_MAX	 100

enum pki_attribute { PKI_C, PKI_ST, PKI_L, PKI_O, PKI_OU, PKI_CN, PKI_ATTRIBUTES };

struct pki_request {
	const char *basename;		    /* borrowed from argv */
	const char *value[PKI_ATTRIBUTES];  /* borrowed; NULL = not given */
	char *names[PKI_REQUEST_NAMES_MAX]; /* host names and addresses, as given */
	size_t nnames;
};

/* argv: the basename, then attributes. On failure out is empty and why says what is wrong with
 * which word, and how it is written. ERR_FORMAT, ERR_TOOBIG. */
enum err pki_request_parse(struct pki_request *out, int argc, char *const *argv, struct str *why);
void pki_request_clear(struct pki_request *r);

/* As for the first word: [A-Za-z0-9_-], not a '-' first. */
enum err pki_request_judge_basename(const char *basename, struct str *why);

#endif
