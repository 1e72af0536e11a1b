#include "cli/pki/pki_lab.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "cli/pki/pki_cert.h"
#include "cli/pki/pki_files.h"
#include "cli/pki/pki_names.h"
#include "cli/pki/pki_pem.h"

#define CA_NAME "Roundhouse lab CA"
#define CA_KEY	"ca.key"
#define CA_CERT "ca.pem"

/* Everything made in memory before the first file is touched. */
struct lab {
	EVP_PKEY *ca_key;
	EVP_PKEY *server_key;
	X509 *ca;
	X509 *server;
	GENERAL_NAMES *names;
};

static void lab_clear(struct lab *lab)
{
	EVP_PKEY_free(lab->ca_key);
	EVP_PKEY_free(lab->server_key);
	X509_free(lab->ca);
	X509_free(lab->server);
	GENERAL_NAMES_free(lab->names);
}

static enum err judge_names(const struct pki_lab_request *req, struct str *why)
{
	if (!pki_names_is_dns(req->domain) || pki_names_is_ip(req->domain)) {
		str_addf(why,
			 "--domain '%s' is not a DNS name: give letters, digits, '-' and '.', and "
			 "an international name in its xn-- form",
			 req->domain);
		return ERR_FORMAT;
	}
	for (size_t i = 0; i < req->nhosts; i++) {
		if (!pki_names_is_host(req->hosts[i])) {
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
	if (gethostname(host, sizeof(host) - 1) == 0 && pki_names_is_dns(host))
		ok = ok && pki_names_add(names, host);
	for (size_t i = 0; ok && i < req->nhosts; i++)
		ok = pki_names_add(names, req->hosts[i]);
	return ok && pki_names_add(names, "127.0.0.1") && pki_cert_add_xmpp(names, req->domain);
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
		return pki_pem_failed(why, "making an ECDSA P-256 key");
	lab->names = GENERAL_NAMES_new();
	if (!lab->names || !add_names(lab->names, req))
		return pki_pem_failed(why, "listing the certificate's names");
	if (!req->add)
		lab->ca = pki_cert_new_ca(lab->ca_key, CA_NAME, PKI_LAB_CA_DAYS);
	if (lab->ca)
		lab->server = pki_cert_new_server(lab->server_key, cn, lab->names,
						  PKI_LAB_SERVER_DAYS, lab->ca, lab->ca_key);
	return lab->server ? ERR_OK : pki_pem_failed(why, "signing a certificate");
}

/* ---- files ---- */

static FILE *open_in(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (!f && fd >= 0)
		close(fd);
	return f;
}

static enum err load_ca(struct lab *lab, const struct pki_dir *d, struct str *why)
{
	FILE *key = open_in(pki_dir_fd(d), CA_KEY);
	FILE *cert = key ? open_in(pki_dir_fd(d), CA_CERT) : NULL;

	if (cert) {
		lab->ca_key = PEM_read_PrivateKey(key, NULL, NULL, (void *)(uintptr_t) "");
		lab->ca = PEM_read_X509(cert, NULL, NULL, NULL);
	}
	if (!lab->ca || !lab->ca_key || X509_check_private_key(lab->ca, lab->ca_key) != 1) {
		str_addf(why,
			 "%s: no lab CA that could sign (ca.key and ca.pem); make one first, "
			 "without --add",
			 pki_dir_path(d));
		ERR_clear_error();
	}
	if (key)
		fclose(key);
	if (cert)
		fclose(cert);
	return why->len ? ERR_CONFLICT : ERR_OK;
}

/* Only the names: what is there already is looked for before anything is made. */
static void name_files(struct pki_files *f, const struct pki_lab_request *req)
{
	if (!req->add)
		pki_files_add(f, 0600, CA_KEY);
	pki_files_add(f, 0600, "%s.key", req->add ? req->domain : "server");
	if (!req->add)
		pki_files_add(f, 0644, CA_CERT);
	pki_files_add(f, 0644, "%s.crt", req->add ? req->domain : "server");
}

static enum err fill_files(struct pki_files *f, const struct lab *lab, bool add, struct str *why)
{
	struct str *key = &f->list[add ? 0 : 1].bytes, *cert = &f->list[f->n - 1].bytes;

	/* RFC 8446 4.4.2: the leaf first, each next one certifies the one before. */
	if (pki_pem_add_key(key, lab->server_key) && pki_pem_add_cert(cert, lab->server) &&
	    pki_pem_add_cert(cert, lab->ca) &&
	    (add || (pki_pem_add_key(&f->list[0].bytes, lab->ca_key) &&
		     pki_pem_add_cert(&f->list[2].bytes, lab->ca))))
		return ERR_OK;
	return pki_pem_failed(why, "writing keys and certificates");
}

enum err pki_lab_make(const struct pki_lab_request *req, struct str *why)
{
	struct pki_files files = PKI_FILES_INIT;
	struct pki_dir *d = NULL;
	struct lab lab = {0};
	enum err err = judge_names(req, why);

	if (err == ERR_OK)
		err = pki_dir_open(&d, req->dir, why);
	if (err == ERR_OK)
		name_files(&files, req);
	if (err == ERR_OK && !req->force)
		err = pki_files_refuse_existing(
			&files, d,
			req->add ? "this domain's key and certificate"
				 : "the lab CA and the server's key and certificate (clients must "
				   "then trust the new ca.pem)",
			why);
	if (err == ERR_OK && req->add)
		err = load_ca(&lab, d, why);
	if (err == ERR_OK)
		err = make_certificates(&lab, req, why);
	if (err == ERR_OK)
		err = fill_files(&files, &lab, req->add, why);
	if (err == ERR_OK)
		err = pki_files_write(&files, d, req->force, why);
	pki_files_clear(&files);
	pki_dir_close(&d);
	lab_clear(&lab);
	return err;
}
