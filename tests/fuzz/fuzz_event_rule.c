/*
 * Lines of the services' logs as the supervisor reads them for the event log: any bytes are passed
 * over, or become an event that stands in one line and is read back as it was.
 */
#include <stdint.h>

#include "base/check.h"
#include "supervisor/event_rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str scratch = STR_INIT, line = STR_INIT;
	struct event_line e, again;
	struct slice in = slice_of((const char *)data, size);

	/* Lines are cut before: none has a line feed. */
	if (size && memchr(data, '\n', size))
		return 0;
	if (event_rule(in, &e, &scratch)) {
		check(e.service.len && e.text.len <= size);
		check(!memchr(e.service.data, ' ', e.service.len));
		event_rule_name(e.text);
		if (!memchr(data, '\0', size) && e.text.len && e.text.data[0] != ' ') {
			event_line_format(&line, &e);
			check(event_line_parse(slice_of(line.data, line.len - 1), &again));
			check(again.ms == e.ms && again.level == e.level);
			check(slice_eq(again.service, e.service));
			check(slice_eq(again.text, e.text));
		}
	}
	str_clear(&scratch);
	str_clear(&line);
	return 0;
}
