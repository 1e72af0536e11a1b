#include "cli/pki/pki_unlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/xmem.h"
#include "cli/pki/pki_files.h"
#include "cli/pki/pki_pem.h"
#include "cli/pki/pki_what.h"

struct asking {
	const char *path;
	bool from_stdin;
	bool asked;
};

/* OpenSSL's way to ask: without echo, which is back on after a signal. */
static int ask(char *buf, int size, int rwflag, void *arg)
{
	struct asking *a = arg;
	char *prompt;
	int bad;

	(void)rwflag;
	a->asked = true;
	if (a->from_stdin) {
		if (!fgets(buf, size, stdin))
			return -1;
		buf[strcspn(buf, "\r\n")] = '\0';
		return (int)strlen(buf);
	}
	prompt = xasprintf("Pass phrase of %s: ", a->path);
	bad = EVP_read_pw_string(buf, size, prompt, 0);
	free(prompt);
	return bad ? -1 : (int)strlen(buf);
}

static enum err read_key(EVP_PKEY **out, const struct str *bytes, struct asking *a, struct str *why)
{
	BIO *bio = BIO_new_mem_buf(bytes->data, (int)bytes->len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, ask, a);

	BIO_free(bio);
	ERR_clear_error();
	*out = key;
	if (key && a->asked)
		return ERR_OK;
	if (key) {
		str_addf(why, "%s: has no pass phrase: services can use it as it is", a->path);
		return ERR_CONFLICT;
	}
	if (a->asked) {
		str_addf(why, "%s: that is not its pass phrase; nothing was changed", a->path);
		return ERR_DENIED;
	}
	str_addf(why, "%s: holds no private key in PEM form", a->path);
	return ERR_FORMAT;
}

static bool write_new(const char *name, const struct str *bytes, const struct stat *st)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), e;
	bool ok = fd >= 0 && pki_files_write_all(fd, str_slice(bytes)) &&
		  (geteuid() != 0 || fchown(fd, st->st_uid, st->st_gid) == 0) && fsync(fd) == 0;

	e = errno;
	if (fd >= 0)
		close(fd);
	errno = e;
	return ok;
}

static enum err replace(const char *path, EVP_PKEY *key, struct str *why)
{
	char *new = xasprintf("%s.new", path);
	struct str bytes = STR_INIT;
	struct stat st;
	enum err e = ERR_OK;

	if (!pki_pem_add_key(&bytes, key)) {
		e = pki_pem_failed(why, "writing the key");
	} else if (stat(path, &st) < 0 || !write_new(new, &bytes, &st) || rename(new, path) < 0) {
		str_addf(why, "%s: %s; run this as the user that owns the instance", new,
			 strerror(errno));
		if (errno != EEXIST)
			unlink(new);
		e = ERR_IO;
	}
	if (bytes.cap)
		xwipe(bytes.data, bytes.cap);
	str_clear(&bytes);
	free(new);
	return e;
}

enum err pki_unlock(const char *name, const char *dir, bool from_stdin, char **path,
		    struct str *why)
{
	struct str bytes = STR_INIT;
	EVP_PKEY *key = NULL;
	struct asking a;
	enum err e = pki_what_read(&bytes, path, name, dir, why);

	a = (struct asking){.path = *path, .from_stdin = from_stdin};
	if (e == ERR_OK)
		e = read_key(&key, &bytes, &a, why);
	if (e == ERR_OK)
		e = replace(*path, key, why);
	EVP_PKEY_free(key);
	if (bytes.cap)
		xwipe(bytes.data, bytes.cap);
	str_clear(&bytes);
	return e;
}
