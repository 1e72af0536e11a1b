#include "scram/fingerprint.h"

#include <stdio.h>

#include <openssl/hmac.h>

#include "base/check.h"

void fingerprint(char out[FINGERPRINT_SIZE], struct slice secret)
{
	static const char label[] = "Roundhouse component secret";
	unsigned char mac[EVP_MAX_MD_SIZE];

	check(HMAC(EVP_sha256(), label, (int)sizeof(label) - 1, (const unsigned char *)secret.data,
		   secret.len, mac, NULL));
	for (size_t i = 0; i < FINGERPRINT_LEN / 2; i++)
		snprintf(out + 2 * i, FINGERPRINT_SIZE - 2 * i, "%02x", mac[i]);
}
