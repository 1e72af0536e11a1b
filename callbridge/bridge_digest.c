#include "callbridge/bridge_digest.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/check.h"

void bridge_digest(char out[BRIDGE_DIGEST_SIZE], struct slice id, struct slice secret)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	check(ctx && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) == 1 &&
	      EVP_DigestUpdate(ctx, id.data, id.len) == 1 &&
	      EVP_DigestUpdate(ctx, secret.data, secret.len) == 1 &&
	      EVP_DigestFinal_ex(ctx, raw, &len) == 1 && len == 20);
	EVP_MD_CTX_free(ctx);
	for (unsigned int i = 0; i < len; i++)
		snprintf(out + 2 * (size_t)i, 3, "%02x", raw[i]);
}
