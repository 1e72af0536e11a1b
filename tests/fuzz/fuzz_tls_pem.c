/* Any file is read or refused with a reason; what is read as certificates makes a chain or a
 * reason; a file that is whole stays whole with text before it. */
#include <stdint.h>
#include <stdlib.h>

#include <openssl/x509.h>

#include "base/check.h"
#include "base/str.h"
#include "net/tls_chain.h"
#include "net/tls_pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(struct slice bytes)
{
	/* The first half as certificate, all of it as bundle: both ends of what is tried. */
	struct tls_chain_files f = {.cert_path = "c",
				    .cert = slice_of(bytes.data, bytes.len / 2),
				    .bundle_path = "b",
				    .bundle = bytes};
	struct str why = STR_INIT;
	struct tls_chain chain;

	for (int i = 0; i < 2; i++) {
		str_reset(&why);
		if (tls_chain_build(&chain, &f, &why) == ERR_OK) {
			check(chain.leaf && chain.first && why.len == 0);
			tls_chain_clear(&chain);
		} else {
			check(!chain.leaf && why.len > 0);
		}
		f.cert = bytes;
		f.bundle_path = NULL;
	}
	str_clear(&why);
}

static void check_whole(struct slice bytes)
{
	struct str why = STR_INIT, more = STR_INIT;
	bool whole = tls_pem_is_whole(bytes, &why);

	check(whole == (why.len == 0));
	str_adds(&more, "text\n");
	str_add_slice(&more, bytes);
	str_reset(&why);
	if (bytes.len > 0 && bytes.data[0] != '\xef') /* a mark counts at the beginning only */
		check(tls_pem_is_whole(str_slice(&more), &why) == whole);
	str_clear(&why);
	str_clear(&more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	struct str why = STR_INIT;
	EVP_PKEY *key;

	check_whole(bytes);
	judge(bytes);
	if (tls_pem_key(&key, bytes, "k", &why) != ERR_OK)
		check(!key && why.len > 0);
	EVP_PKEY_free(key);
	str_clear(&why);
	return 0;
}
