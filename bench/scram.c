#include "bench/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/random.h"
#include "base/xmem.h"

#define DIGEST_MAX 32

struct keys {
	unsigned char client[DIGEST_MAX];
	unsigned char stored[DIGEST_MAX];
	unsigned char server[DIGEST_MAX];
};

static struct map known_keys;

static const EVP_MD *digest(const struct scram *s)
{
	return s->sha256 ? EVP_sha256() : EVP_sha1();
}

static size_t digest_len(const struct scram *s)
{
	return s->sha256 ? 32 : 20;
}

static void add_base64(struct str *out, const void *data, size_t len)
{
	str_reserve(out, (len + 2) / 3 * 4 + 1);
	out->len += (size_t)EVP_EncodeBlock((unsigned char *)out->data + out->len, data, (int)len);
}

/* False: not base64. out is appended to. */
static bool add_decoded(struct str *out, struct slice text)
{
	if (text.len == 0 || text.len % 4)
		return false;
	str_reserve(out, text.len);
	int n = EVP_DecodeBlock((unsigned char *)out->data + out->len,
				(const unsigned char *)text.data, (int)text.len);
	if (n < 0)
		return false;
	for (size_t i = text.len; text.data[i - 1] == '=' && n > 0; i--)
		n--;
	out->len += (size_t)n;
	out->data[out->len] = 0;
	return true;
}

static void hmac(const struct scram *s, const unsigned char *key, struct slice text,
		 unsigned char *out)
{
	HMAC(digest(s), key, (int)digest_len(s), (const unsigned char *)text.data, text.len, out,
	     NULL);
}

static const struct keys *derive(const struct scram *s, const char *password, struct slice salt,
				 int iterations)
{
	struct str name = STR_INIT;
	unsigned char salted[DIGEST_MAX];

	str_addf(&name, "%d:%d:%s:", s->sha256, iterations, password);
	str_add_slice(&name, salt);
	struct keys *k = map_find(&known_keys, str_slice(&name));
	if (!k) {
		k = xcalloc(1, sizeof *k);
		PKCS5_PBKDF2_HMAC(password, -1, (const unsigned char *)salt.data, (int)salt.len,
				  iterations, digest(s), (int)digest_len(s), salted);
		hmac(s, salted, slice_str("Client Key"), k->client);
		hmac(s, salted, slice_str("Server Key"), k->server);
		EVP_Digest(k->client, digest_len(s), k->stored, NULL, digest(s), NULL);
		map_put(&known_keys, str_slice(&name), k);
	}
	str_clear(&name);
	return k;
}

void scram_init(struct scram *s, bool sha256)
{
	*s = (struct scram){.sha256 = sha256};
	str_init(&s->first_bare);
	str_init(&s->nonce);
}

void scram_clear(struct scram *s)
{
	str_clear(&s->first_bare);
	str_clear(&s->nonce);
}

void scram_first(struct scram *s, const char *user, struct str *out)
{
	char nonce[33];
	struct str message = STR_INIT;

	random_hex(nonce, 16);
	str_adds(&s->nonce, nonce);
	str_addf(&s->first_bare, "n=%s,r=%s", user, nonce);
	str_addf(&message, "n,,%s", s->first_bare.data);
	add_base64(out, message.data, message.len);
	str_clear(&message);
}

/* The value of "name=..." in a SCRAM message. */
static struct slice attribute(const struct str *message, char name)
{
	for (const char *at = message->data; *at; at++) {
		size_t len = strcspn(at, ",");

		if (at[0] == name && at[1] == '=')
			return slice_of(at + 2, len - 2);
		at += len;
		if (!*at)
			break;
	}
	return SLICE_NONE;
}

static void prove(struct scram *s, const struct keys *k, const struct str *server_first,
		  const struct str *without_proof, unsigned char *proof)
{
	struct str all = STR_INIT;

	str_addf(&all, "%s,%s,%s", s->first_bare.data, server_first->data, without_proof->data);
	hmac(s, k->stored, str_slice(&all), proof);
	for (size_t i = 0; i < digest_len(s); i++)
		proof[i] ^= k->client[i];
	hmac(s, k->server, str_slice(&all), s->server_signature);
	str_clear(&all);
}

bool scram_final(struct scram *s, const char *password, struct slice challenge, struct str *out)
{
	struct str first = STR_INIT;
	struct str salt = STR_INIT;
	struct str message = STR_INIT;
	unsigned char proof[DIGEST_MAX];
	bool ok = false;

	if (!add_decoded(&first, challenge))
		goto out;
	struct slice nonce = attribute(&first, 'r');
	int iterations = atoi(attribute(&first, 'i').data ? attribute(&first, 'i').data : "");
	if (nonce.len <= s->nonce.len || memcmp(nonce.data, s->nonce.data, s->nonce.len) != 0 ||
	    iterations < 1 || !add_decoded(&salt, attribute(&first, 's')))
		goto out;
	str_addf(&message, "c=biws,r=%.*s", SLICE_ARG(nonce));
	prove(s, derive(s, password, str_slice(&salt), iterations), &first, &message, proof);
	str_adds(&message, ",p=");
	add_base64(&message, proof, digest_len(s));
	add_base64(out, message.data, message.len);
	ok = true;
out:
	str_clear(&first);
	str_clear(&salt);
	str_clear(&message);
	return ok;
}

bool scram_verify(const struct scram *s, struct slice additional)
{
	struct str message = STR_INIT;
	struct str signature = STR_INIT;
	bool ok = add_decoded(&message, additional) &&
		  add_decoded(&signature, attribute(&message, 'v')) &&
		  signature.len == digest_len(s) &&
		  memcmp(signature.data, s->server_signature, signature.len) == 0;

	str_clear(&message);
	str_clear(&signature);
	return ok;
}

void scram_plain(const char *user, const char *password, struct str *out)
{
	struct str message = STR_INIT;

	str_addc(&message, 0);
	str_adds(&message, user);
	str_addc(&message, 0);
	str_adds(&message, password);
	add_base64(out, message.data, message.len);
	str_clear(&message);
}
