#include "cli/xmpp/stamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *stamp_format(char out[STAMP_SIZE], uint64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char date[24] = "1970-01-01T00:00:00";
	struct tm tm;

	if (gmtime_r(&s, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	if (ms % 1000)
		snprintf(out, STAMP_SIZE, "%s.%03uZ", date, (unsigned int)(ms % 1000));
	else
		snprintf(out, STAMP_SIZE, "%sZ", date);
	return out;
}

/* ".123456" to 123; moves *at behind it. */
static unsigned int fraction(const char **at)
{
	unsigned int ms = 0, weight = 100;

	if (**at != '.')
		return 0;
	for ((*at)++; **at >= '0' && **at <= '9'; (*at)++) {
		ms += (unsigned int)(**at - '0') * weight;
		weight /= 10;
	}
	return ms;
}

/* "Z", "+01:00", "-0530", or nothing (UTC); minutes. */
static bool offset(const char *at, int *minutes)
{
	int h, m;
	char end;

	*minutes = 0;
	if (!*at || strcmp(at, "Z") == 0)
		return true;
	if ((*at != '+' && *at != '-') || (sscanf(at + 1, "%2d:%2d%c", &h, &m, &end) != 2 &&
					   sscanf(at + 1, "%2d%2d%c", &h, &m, &end) != 2))
		return false;
	*minutes = (*at == '-' ? -1 : 1) * (h * 60 + m);
	return true;
}

bool stamp_parse(const char *text, uint64_t *ms)
{
	struct tm tm = {0};
	const char *at = strptime(text, "%Y-%m-%d", &tm);
	unsigned int part = 0;
	int minutes = 0;
	time_t t;

	if (!at)
		at = strptime(text, "%Y%m%d", &tm);
	if (at && *at == 'T') {
		at = strptime(at + 1, "%H:%M:%S", &tm);
		part = at ? fraction(&at) : 0;
		if (at && !offset(at, &minutes))
			at = NULL;
		else if (at)
			at = "";
	}
	if (!at || *at)
		return false;
	t = timegm(&tm);
	if (t < 0 || (minutes > 0 && t < minutes * 60))
		return false;
	*ms = (uint64_t)(t - minutes * 60) * 1000 + part;
	return true;
}
