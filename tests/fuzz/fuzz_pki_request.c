/* The words of `pki csr`, one a line: taken or refused with a reason; what is taken can stand in a
 * certificate and in a file name. */
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/xmem.h"
#include "cli/pki/pki_names.h"
#include "cli/pki/pki_request.h"

#define WORDS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct pki_request *r)
{
	check(*r->basename && !strpbrk(r->basename, "/. \n") && *r->basename != '-');
	check(!r->value[PKI_C] || strlen(r->value[PKI_C]) == 2);
	check(!r->value[PKI_CN] || pki_names_is_host(r->value[PKI_CN]));
	for (size_t a = 0; a < PKI_ATTRIBUTES; a++)
		check(!r->value[a] || (*r->value[a] && strlen(r->value[a]) <= 4 * 128));
	for (size_t i = 0; i < r->nnames; i++)
		check(pki_names_is_host(r->names[i]) && !strpbrk(r->names[i], ", "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size), *argv[WORDS];
	struct str why = STR_INIT;
	struct pki_request r;
	int argc = 0;

	for (char *at = text; argc < WORDS; at++) {
		size_t len = strcspn(at, "\n");

		argv[argc++] = at;
		at += len;
		if (!*at)
			break;
		*at = '\0';
	}
	if (pki_request_parse(&r, argc, argv, &why) == ERR_OK) {
		check(why.len == 0);
		judge(&r);
	} else {
		check(why.len > 0 && r.nnames == 0);
	}
	pki_request_clear(&r);
	str_clear(&why);
	free(text);
	return 0;
}
