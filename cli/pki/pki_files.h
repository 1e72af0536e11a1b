/*
 * pki_files - writes files into an instance's pki/: all of them or none, never over others unless
 * that is asked for.
 *
 * They belong to whom the directory belongs to, also when root writes them.
 */
#ifndef CLI_PKI_PKI_FILES_H
#define CLI_PKI_PKI_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

#define PKI_FILES_MAX	   4
#define PKI_FILES_NAME_MAX 288 /* a domain, ".", ".crt.new" */

struct pki_file {
	char name[PKI_FILES_NAME_MAX];
	mode_t mode;
	struct str bytes; /* wiped by pki_files_clear() */
};

struct pki_files {
	size_t n;
	struct pki_file list[PKI_FILES_MAX];
};

#define PKI_FILES_INIT ((struct pki_files){.n = 0})

/* The bytes of the file to fill. mode: 0600 for keys, 0644 for what everybody may see. */
struct str *pki_files_add(struct pki_files *f, mode_t mode, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void pki_files_clear(struct pki_files *f);

struct pki_dir; /* dir/pki, locked against other commands that write */

/* Makes pki/ if it is not there. ERR_DENIED: not the instance's administrator; ERR_IO. */
enum err pki_dir_open(struct pki_dir **out, const char *dir, struct str *why);
void pki_dir_close(struct pki_dir **dp); /* NULL-safe */
int pki_dir_fd(const struct pki_dir *d);
const char *pki_dir_path(const struct pki_dir *d);

/* ERR_CONFLICT: one is there, and replaces says what --force would replace. */
enum err pki_files_refuse_existing(const struct pki_files *f, const struct pki_dir *d,
				   const char *replaces, struct str *why);

/* In the order of the list. force: over what is there. ERR_DENIED, ERR_IO; nothing is left behind
 * then. */
enum err pki_files_write(const struct pki_files *f, const struct pki_dir *d, bool force,
			 struct str *why);

/* False: errno says why; a part may be written. */
bool pki_files_write_all(int fd, struct slice bytes);

#endif
