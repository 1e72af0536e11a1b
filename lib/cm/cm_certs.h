/*
 * cm_certs - the certificates that peers are shown: read, judged, told of in the log, replaced
 * while connections go on, and watched until they expire.
 *
 * A set that cannot be used leaves the one before in force; the log and `supervisor status` say so.
 */
#ifndef CM_CM_CERTS_H
#define CM_CM_CERTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct cm_certs;
struct loop;
struct proc;
struct tls_ctx;

/* alpn: see struct tls_config. */
struct cm_certs *cm_certs_new(struct loop *loop, struct proc *p, const char *alpn);
void cm_certs_free(struct cm_certs **cp);

/* From the files that the configuration in force names; again when either has changed. */
enum err cm_certs_load(struct cm_certs *c);

/* Borrowed until the next load; NULL before the first that went well. */
struct tls_ctx *cm_certs_tls(const struct cm_certs *c);

/* Called once a day: session tickets are from then on made with fresh keys. */
void cm_certs_on_renewed(struct cm_certs *c, void (*on_renewed)(void *arg), void *arg);

/* proc_program.check_files: judges each pair alone, warns of dates and of domains without one. */
bool cm_certs_check(const struct proc *p, struct str *why, struct str *warnings);

/* What is to be said about days_left: the smallest of tls.warn_days that is not below it, 0 when
 * it has expired, -1 nothing. */
int64_t cm_certs_threshold(char *const *warn_days, int64_t days_left);

#endif
