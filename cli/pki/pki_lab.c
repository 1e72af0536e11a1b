#include "cli/pki/pki_lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "cli/pki/pki_cert.h"

#define CA_NAME	      "Roundhouse lab CA"
#define FILE_NAME_MAX 288 /* a domain, ".", ".crt.new" */

enum { CA_KEY, SERVER_KEY, CA_CERT, SERVER_CERT, NFILES };

static const struct {
	const char *name;
	mode_t mode;
} files[NFILES] = {
	[CA_KEY] = {"ca.key", 0600},
	[SERVER_KEY] = {"server.key", 0600},
	[CA_CERT] = {"ca.pem", 0644},
	[SERVER_CERT] = {"server.crt", 0644},
};

/* Everything made in memory before the first file is touched. */
struct lab {
	EVP_PKEY *ca_key;
	EVP_PKEY *server_key;
	X509 *ca;
	X509 *server;
	GENERAL_NAMES *names;
	char file[NFILES][FILE_NAME_MAX]; /* "": not written */
};

static void lab_clear(struct lab *lab)
{
	EVP_PKEY_free(lab->ca_key);
	EVP_PKEY_free(lab->server_key);
	X509_free(lab->ca);
	X509_free(lab->server);
	GENERAL_NAMES_free(lab->names);
}

static enum err openssl_failed(struct str *why, const char *what)
{
	char text[256] = "no reason given";

	if (ERR_peek_last_error())
		ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	str_addf(why, "%s failed in OpenSSL (%s); see 'openssl version -a' for the library in use",
		 what, text);
	return ERR_INTERNAL;
}

/* RFC 1035 2.3.1 with the underscore that host names have in practice. */
static bool is_dns_name(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > 253 || s[0] == '.' || s[len - 1] == '.' || strstr(s, ".."))
		return false;
	for (const char *at = s; *at; at += strcspn(at, "."), at += *at == '.') {
		size_t label = strcspn(at, ".");

		if (label > 63 || at[0] == '-' || at[label - 1] == '-')
			return false;
	}
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
	       len;
}

static bool has_dns(const GENERAL_NAMES *names, const char *host)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(names, i);

		if (gn->type == GEN_DNS && strlen(host) == (size_t)gn->d.dNSName->length &&
		    strncasecmp((const char *)gn->d.dNSName->data, host, strlen(host)) == 0)
			return true;
	}
	return false;
}

static bool has_ip(const GENERAL_NAMES *names, const unsigned char *addr, int len)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(names, i);

		if (gn->type == GEN_IPADD && gn->d.iPAddress->length == len &&
		    memcmp(gn->d.iPAddress->data, addr, (size_t)len) == 0)
			return true;
	}
	return false;
}

/* A host name or an address, once. */
static int add_host(GENERAL_NAMES *names, const char *host)
{
	unsigned char addr[16];

	if (inet_pton(AF_INET, host, addr) == 1)
		return has_ip(names, addr, 4) || pki_cert_add_ip(names, addr, 4);
	if (inet_pton(AF_INET6, host, addr) == 1)
		return has_ip(names, addr, 16) || pki_cert_add_ip(names, addr, 16);
	return has_dns(names, host) || pki_cert_add_dns(names, host);
}

static bool is_host(const char *host)
{
	unsigned char addr[16];

	return inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1 ||
	       is_dns_name(strncmp(host, "*.", 2) == 0 ? host + 2 : host);
}

static enum err judge_names(const struct pki_lab_request *req, struct str *why)
{
	unsigned char addr[16];

	if (!is_dns_name(req->domain) || inet_pton(AF_INET, req->domain, addr) == 1) {
		str_addf(why,
			 "--domain '%s' is not a DNS name: give letters, digits, '-' and '.', and "
			 "an international name in its xn-- form",
			 req->domain);
		return ERR_FORMAT;
	}
	for (size_t i = 0; i < req->nhosts; i++) {
		if (!is_host(req->hosts[i])) {
			str_addf(why, "--host '%s' is neither a DNS name nor an IP address",
				 req->hosts[i]);
			return ERR_FORMAT;
		}
	}
	return ERR_OK;
}

static bool add_names(GENERAL_NAMES *names, const struct pki_lab_request *req)
{
	char host[HOST_NAME_MAX + 1] = "", wild[256 + 2];
	bool ok;

	snprintf(wild, sizeof(wild), "*.%s", req->domain);
	ok = pki_cert_add_dns(names, req->domain) && pki_cert_add_dns(names, wild);
	/* A host name that is no DNS name (a container may have one) is left out. */
	if (gethostname(host, sizeof(host) - 1) == 0 && is_dns_name(host))
		ok = ok && add_host(names, host);
	for (size_t i = 0; ok && i < req->nhosts; i++)
		ok = add_host(names, req->hosts[i]);
	return ok && add_host(names, "127.0.0.1") && pki_cert_add_xmpp(names, req->domain);
}

static enum err make_certificates(struct lab *lab, const struct pki_lab_request *req,
				  struct str *why)
{
	/* X.520 bounds a common name at 64; clients look at the alternative names only. */
	const char *cn = strlen(req->domain) <= 64 ? req->domain : "Roundhouse lab server";

	lab->server_key = pki_cert_new_key();
	if (!req->add)
		lab->ca_key = pki_cert_new_key();
	if (!lab->ca_key || !lab->server_key)
		return openssl_failed(why, "making an ECDSA P-256 key");
	lab->names = GENERAL_NAMES_new();
	if (!lab->names || !add_names(lab->names, req))
		return openssl_failed(why, "listing the certificate's names");
	if (!req->add)
		lab->ca = pki_cert_new_ca(lab->ca_key, CA_NAME, PKI_LAB_CA_DAYS);
	if (lab->ca)
		lab->server = pki_cert_new_server(lab->server_key, cn, lab->names,
						  PKI_LAB_SERVER_DAYS, lab->ca, lab->ca_key);
	return lab->server ? ERR_OK : openssl_failed(why, "signing a certificate");
}

/* ---- files ---- */

static enum err io_failed(struct str *why, const char *dir, const char *name)
{
	int e = errno;

	str_addf(why, "%s%s%s: %s; ", dir, *name ? "/" : "", name, strerror(e));
	if (e == EACCES || e == EPERM || e == EROFS)
		str_adds(why, "run this as the user that owns the instance");
	else if (e == ENOENT || e == ENOTDIR)
		str_adds(why, "name an existing directory with -C DIR, or make it first");
	else
		str_adds(why, "make room or repair the file system, then run this again");
	return ERR_IO;
}

/* Open to all like ca.pem, which clients read; the keys in it are 0600. */
static int open_dir(const char *path, struct str *why)
{
	int fd;

	if (mkdir(path, 0755) != 0 && errno != EEXIST) {
		io_failed(why, path, "");
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		io_failed(why, path, "");
	return fd;
}

static bool write_pem(BIO *bio, const struct lab *lab, int which)
{
	switch (which) {
	case CA_KEY:
		return PEM_write_bio_PrivateKey(bio, lab->ca_key, NULL, NULL, 0, NULL, NULL);
	case SERVER_KEY:
		return PEM_write_bio_PrivateKey(bio, lab->server_key, NULL, NULL, 0, NULL, NULL);
	case CA_CERT:
		return PEM_write_bio_X509(bio, lab->ca);
	default: /* RFC 8446 4.4.2: the leaf first, each next one certifies the one before */
		return PEM_write_bio_X509(bio, lab->server) && PEM_write_bio_X509(bio, lab->ca);
	}
}

static void set_names(struct lab *lab, const struct pki_lab_request *req)
{
	for (int i = 0; i < NFILES; i++)
		if (!req->add)
			snprintf(lab->file[i], FILE_NAME_MAX, "%s", files[i].name);
	if (!req->add)
		return;
	snprintf(lab->file[SERVER_KEY], FILE_NAME_MAX, "%s.key", req->domain);
	snprintf(lab->file[SERVER_CERT], FILE_NAME_MAX, "%s.crt", req->domain);
}

static FILE *open_in(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (!f && fd >= 0)
		close(fd);
	return f;
}

static enum err load_ca(struct lab *lab, int dirfd, const char *path, struct str *why)
{
	FILE *key = open_in(dirfd, files[CA_KEY].name);
	FILE *cert = key ? open_in(dirfd, files[CA_CERT].name) : NULL;

	if (cert) {
		lab->ca_key = PEM_read_PrivateKey(key, NULL, NULL, (void *)(uintptr_t) "");
		lab->ca = PEM_read_X509(cert, NULL, NULL, NULL);
	}
	if (!lab->ca || !lab->ca_key || X509_check_private_key(lab->ca, lab->ca_key) != 1) {
		str_addf(why,
			 "%s: no lab CA that could sign (ca.key and ca.pem); make one first, "
			 "without --add",
			 path);
		ERR_clear_error();
	}
	if (key)
		fclose(key);
	if (cert)
		fclose(cert);
	return why->len ? ERR_CONFLICT : ERR_OK;
}

static void temp_name(char out[FILE_NAME_MAX + 8], const struct lab *lab, int which)
{
	snprintf(out, FILE_NAME_MAX + 8, ".%s.new", lab->file[which]);
}

static bool write_temp(int dirfd, const struct lab *lab, int which)
{
	char name[FILE_NAME_MAX + 8];
	FILE *f = NULL;
	BIO *bio = NULL;
	int fd;
	bool ok;

	temp_name(name, lab, which);
	unlinkat(dirfd, name, 0); /* left by one that was killed */
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	f = fdopen(fd, "w");
	bio = f ? BIO_new_fp(f, BIO_NOCLOSE) : NULL;
	ok = bio && write_pem(bio, lab, which) && BIO_flush(bio) == 1 &&
	     fchmod(fd, files[which].mode) == 0 && fsync(fd) == 0;
	BIO_free(bio);
	if (f)
		ok = fclose(f) == 0 && ok;
	else
		close(fd);
	return ok;
}

static enum err refuse_existing(int dirfd, const char *path, const struct lab *lab, bool add,
				struct str *why)
{
	for (int i = 0; i < NFILES; i++) {
		if (!*lab->file[i] ||
		    faccessat(dirfd, lab->file[i], F_OK, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		str_addf(why, "%s/%s is there already and was left alone; --force replaces %s",
			 path, lab->file[i],
			 add ? "this domain's key and certificate"
			     : "the lab CA and the server's key and certificate (clients must then "
			       "trust the new ca.pem)");
		return ERR_CONFLICT;
	}
	return ERR_OK;
}

static void remove_temps(int dirfd, const struct lab *lab)
{
	char name[FILE_NAME_MAX + 8];

	for (int i = 0; i < NFILES; i++) {
		temp_name(name, lab, i);
		if (*lab->file[i])
			unlinkat(dirfd, name, 0);
	}
}

/* All are on disk under other names before the first gets its own. */
static enum err write_files(int dirfd, const char *path, const struct lab *lab, bool force,
			    struct str *why)
{
	char name[FILE_NAME_MAX + 8];

	for (int i = 0; i < NFILES; i++) {
		if (*lab->file[i] && !write_temp(dirfd, lab, i)) {
			io_failed(why, path, lab->file[i]);
			remove_temps(dirfd, lab);
			return ERR_IO;
		}
	}
	for (int i = 0; i < NFILES; i++) {
		temp_name(name, lab, i);
		if (*lab->file[i] &&
		    renameat2(dirfd, name, dirfd, lab->file[i], force ? 0 : RENAME_NOREPLACE)) {
			io_failed(why, path, lab->file[i]);
			remove_temps(dirfd, lab);
			return ERR_IO;
		}
	}
	fsync(dirfd);
	return ERR_OK;
}

enum err pki_lab_make(const struct pki_lab_request *req, struct str *why)
{
	struct lab lab = {0};
	struct str path = STR_INIT;
	int dirfd = -1, instance = -1;
	enum err err = judge_names(req, why);

	if (err != ERR_OK)
		return err;
	str_addf(&path, "%s/pki", req->dir);
	instance = open_dir(req->dir, why);
	dirfd = instance < 0 ? -1 : open_dir(path.data, why);
	err = dirfd < 0 ? ERR_IO : ERR_OK;
	if (err == ERR_OK) /* until it is closed: two at a time would mix their files */
		flock(dirfd, LOCK_EX);
	set_names(&lab, req);
	if (err == ERR_OK && !req->force)
		err = refuse_existing(dirfd, path.data, &lab, req->add, why);
	if (err == ERR_OK && req->add)
		err = load_ca(&lab, dirfd, path.data, why);
	if (err == ERR_OK)
		err = make_certificates(&lab, req, why);
	if (err == ERR_OK)
		err = write_files(dirfd, path.data, &lab, req->force, why);
	if (dirfd >= 0)
		close(dirfd);
	if (instance >= 0)
		close(instance);
	lab_clear(&lab);
	str_clear(&path);
	return err;
}
