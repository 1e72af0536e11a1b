/* A line from supervisor, service or command: a value that was found comes out the same when it is
 * written anew. */
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "proc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {"pid", "k", "", "reason"};
	struct slice in = slice_of((const char *)data, size);
	struct str anew = STR_INIT;

	(void)message_is(in, "READY");
	(void)message_is(in, "");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *value = message_get(in, keys[i]), *again;
		uint64_t number = message_getu(in, keys[i], 7);

		if (!value) {
			check(number == 7);
			continue;
		}
		message_begin(&anew, "READY");
		message_add(&anew, keys[i], value);
		message_addu(&anew, "behind", number);
		check(message_is(str_slice(&anew), "READY"));
		again = message_get(str_slice(&anew), keys[i]);
		check(again && strcmp(again, value) == 0);
		check(message_getu(str_slice(&anew), "behind", number + 1) == number);
		free(again);
		free(value);
	}
	str_clear(&anew);
	return 0;
}
