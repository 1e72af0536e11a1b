/*
 * pki_check - whether files belong together: a key and a certificate or request; a certificate, its
 * bundle and a root.
 */
#ifndef CLI_PKI_PKI_CHECK_H
#define CLI_PKI_PKI_CHECK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* The same public key in both? Either may be key, certificate, bundle (its first) or request. Names
 * as pki_what_read() takes them. ERR_OK: *same is set, text says which they are. */
enum err pki_check_match(const char *a, const char *b, const char *dir, bool *same,
			 struct str *text, struct str *why);

struct pki_check_chain {
	bool good;
	struct str path;     /* "1 chat.example.org", "2 Int A", ...: lines, the leaf first */
	struct str warnings; /* lines */
	struct str reason;   /* when not good: which link, and what to do */
};

#define PKI_CHECK_CHAIN_INIT ((struct pki_check_chain){false, STR_INIT, STR_INIT, STR_INIT})

/* bundle: the CA's certificates; root: what is trusted, NULL: the bundle's own. Errors are of
 * reading; what is wrong with the chain stands in out. */
enum err pki_check_verify(const char *cert, const char *bundle, const char *root, const char *dir,
			  struct pki_check_chain *out, struct str *why);
void pki_check_chain_clear(struct pki_check_chain *c);

#endif
