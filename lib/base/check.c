#include "base/check.h"

#include <stdlib.h>

#include "base/log.h"

_Noreturn void check_failed(const char *expr, const char *file, int line, const char *func)
{
	log_err("-", "event=bug check=\"%s\" at=%s:%d in=%s", expr, file, line, func);
	abort();
}
