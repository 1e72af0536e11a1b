#include "base/err.h"

#include <stddef.h>

static const char *const err_texts[] = {
#define ERR(name, text) [ERR_##name] = (text),
#include "base/err.def"
#undef ERR
};

static const char *const err_names[] = {
#define ERR(name, text) [ERR_##name] = #name,
#include "base/err.def"
#undef ERR
};

const char *err_text(enum err e)
{
	if ((size_t)e >= sizeof(err_texts) / sizeof(err_texts[0]))
		return "unknown error";
	return err_texts[e];
}

const char *err_name(enum err e)
{
	if ((size_t)e >= sizeof(err_names) / sizeof(err_names[0]))
		return "UNKNOWN";
	return err_names[e];
}
