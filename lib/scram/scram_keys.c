#include "scram/scram_keys.h"

#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stringprep.h>

#include "base/random.h"
#include "base/xmem.h"
#include "ipc/db_pack.h"

enum err scram_keys_prepare(struct str *out, const char *password, struct str *why)
{
	/* Preparation may lengthen (NFKC expands a character to 18 at most). */
	size_t size = strlen(password) * 18 + 1;
	char *text;
	int rc;

	if (strlen(password) > SCRAM_KEYS_PASSWORD_MAX) {
		str_addf(why, "the password is longer than %d bytes", SCRAM_KEYS_PASSWORD_MAX);
		return ERR_TOOBIG;
	}
	text = xmalloc(size);
	memcpy(text, password, strlen(password) + 1);
	rc = stringprep(text, size, STRINGPREP_NO_UNASSIGNED, stringprep_saslprep);
	if (rc == STRINGPREP_OK && *text)
		str_adds(out, text);
	else if (rc == STRINGPREP_OK)
		str_adds(why, "the password is empty");
	else if (rc == STRINGPREP_CONTAINS_UNASSIGNED)
		str_adds(why, "the password has a character that SASLprep (RFC 4013 2.5) does not "
			      "know, such as an emoji; choose one without");
	else
		str_addf(why,
			 "the password cannot be used (SASLprep, RFC 4013: %s); choose one without "
			 "control characters and in one direction of writing",
			 stringprep_strerror((Stringprep_rc)rc));
	rc = rc == STRINGPREP_OK && *text;
	xwipe(text, size);
	free(text);
	return rc ? ERR_OK : ERR_FORMAT;
}

static bool hmac(const EVP_MD *md, const unsigned char *key, size_t len, const char *text,
		 unsigned char *out)
{
	return HMAC(md, key, (int)len, (const unsigned char *)text, strlen(text), out, NULL);
}

enum err scram_keys_derive(struct scram_keys *out, const char *hash, struct slice password,
			   struct slice salt, uint32_t iterations)
{
	const EVP_MD *md = strcmp(hash, "SHA-1") == 0	  ? EVP_sha1()
			   : strcmp(hash, "SHA-256") == 0 ? EVP_sha256()
							  : NULL;
	unsigned char salted[SCRAM_KEYS_HASH_MAX], client[SCRAM_KEYS_HASH_MAX];
	size_t len;
	bool ok;

	*out = (struct scram_keys){0};
	if (!md)
		return ERR_UNSUPPORTED;
	len = (size_t)EVP_MD_get_size(md);
	ok = PKCS5_PBKDF2_HMAC(password.data, (int)password.len, (const unsigned char *)salt.data,
			       (int)salt.len, (int)iterations, md, (int)len, salted) == 1 &&
	     hmac(md, salted, len, "Client Key", client) &&
	     EVP_Digest(client, len, out->stored_key, NULL, md, NULL) == 1 &&
	     hmac(md, salted, len, "Server Key", out->server_key);
	xwipe(salted, sizeof(salted));
	xwipe(client, sizeof(client));
	if (ok)
		out->len = len;
	else
		xwipe(out, sizeof(*out));
	return ok ? ERR_OK : ERR_INTERNAL;
}

static enum err pack_one(struct str *out, const char *hash, struct slice password,
			 uint32_t iterations)
{
	char salt[SCRAM_KEYS_SALT_LEN];
	struct scram_keys keys;
	enum err e;

	random_bytes(salt, sizeof(salt));
	e = scram_keys_derive(&keys, hash, password, slice_of(salt, sizeof(salt)), iterations);
	if (e == ERR_OK)
		db_scram_put(out, &(struct db_scram){
					  .hash = slice_str(hash),
					  .iterations = iterations,
					  .salt = slice_of(salt, sizeof(salt)),
					  .stored_key = slice_of((char *)keys.stored_key, keys.len),
					  .server_key = slice_of((char *)keys.server_key, keys.len),
				  });
	xwipe(&keys, sizeof(keys));
	return e;
}

enum err scram_keys_pack(struct str *out, const char *password, uint32_t iterations,
			 struct str *why)
{
	struct str prepared = STR_INIT;
	size_t start = out->len;
	enum err e = scram_keys_prepare(&prepared, password, why);

	if (e == ERR_OK) {
		e = pack_one(out, "SHA-1", str_slice(&prepared), iterations);
		if (e == ERR_OK)
			e = pack_one(out, "SHA-256", str_slice(&prepared), iterations);
		if (e != ERR_OK)
			str_adds(why, "OpenSSL could not derive the keys; is PBKDF2 with SHA-1 "
				      "switched off in its configuration?");
	}
	if (e != ERR_OK && out->len > start) {
		xwipe(out->data + start, out->len - start);
		out->len = start;
	}
	xwipe(prepared.data, prepared.len);
	str_clear(&prepared);
	return e;
}
