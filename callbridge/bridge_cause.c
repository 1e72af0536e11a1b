#include "callbridge/bridge_cause.h"

#include "base/check.h"

static const struct {
	int code;
	const char *status, *log;
} causes[] = {
#define CAUSE(NAME, code, status, log) [BRIDGE_CAUSE_##NAME] = {code, status, log},
#include "callbridge/bridge_cause.def"
#undef CAUSE
};

int bridge_cause_code(enum bridge_cause c)
{
	check(c < BRIDGE_CAUSES);
	return causes[c].code;
}

const char *bridge_cause_status(enum bridge_cause c)
{
	check(c < BRIDGE_CAUSES);
	return causes[c].status;
}

const char *bridge_cause_log(enum bridge_cause c)
{
	check(c < BRIDGE_CAUSES);
	return causes[c].log;
}
