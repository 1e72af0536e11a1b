#include "session/stamp.h"

#include <stdio.h>
#include <time.h>

void stamp_format(uint64_t ms, char out[STAMP_TEXT])
{
	time_t s = (time_t)(ms / 1000);
	char date[24];
	struct tm tm;

	if (!gmtime_r(&s, &tm) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		snprintf(date, sizeof(date), "1970-01-01T00:00:00");
	snprintf(out, STAMP_TEXT, "%s.%03uZ", date, (unsigned int)(ms % 1000));
}

static bool digits(struct slice *in, unsigned int count, unsigned int min, unsigned int max,
		   unsigned int *out)
{
	*out = 0;
	if (in->len < count)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		char c = in->data[i];

		if (c < '0' || c > '9')
			return false;
		*out = *out * 10 + (unsigned int)(c - '0');
	}
	*in = slice_of(in->data + count, in->len - count);
	return *out >= min && *out <= max;
}

static bool literal(struct slice *in, char c)
{
	if (in->len == 0 || in->data[0] != c)
		return false;
	*in = slice_of(in->data + 1, in->len - 1);
	return true;
}

/* "Z", or how far the local time is ahead of UTC. */
static bool zone(struct slice *in, int64_t *seconds)
{
	unsigned int hours, minutes;
	bool behind;

	*seconds = 0;
	if (literal(in, 'Z'))
		return true;
	behind = literal(in, '-');
	if (!behind && !literal(in, '+'))
		return false;
	if (!digits(in, 2, 0, 23, &hours) || !literal(in, ':') || !digits(in, 2, 0, 59, &minutes))
		return false;
	*seconds = (int64_t)(hours * 60 + minutes) * 60;
	if (behind)
		*seconds = -*seconds;
	return true;
}

static bool fraction(struct slice *in, unsigned int *ms)
{
	unsigned int digit, weight = 100;

	*ms = 0;
	if (!literal(in, '.'))
		return true;
	if (!digits(in, 1, 0, 9, &digit))
		return false;
	do {
		*ms += digit * weight;
		weight /= 10;
	} while (digits(in, 1, 0, 9, &digit));
	return true;
}

static unsigned int days_of(unsigned int year, unsigned int month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

bool stamp_parse(struct slice text, uint64_t *ms)
{
	unsigned int year, month, day, hour, minute, second, part;
	struct tm tm = {0};
	int64_t at, ahead;

	if (!digits(&text, 4, 1900, 9999, &year) || !literal(&text, '-') ||
	    !digits(&text, 2, 1, 12, &month) || !literal(&text, '-') ||
	    !digits(&text, 2, 1, days_of(year, month), &day) || !literal(&text, 'T') ||
	    !digits(&text, 2, 0, 23, &hour) || !literal(&text, ':') ||
	    !digits(&text, 2, 0, 59, &minute) || !literal(&text, ':') ||
	    !digits(&text, 2, 0, 60, &second) || !fraction(&text, &part) || !zone(&text, &ahead) ||
	    text.len)
		return false;
	tm.tm_year = (int)year - 1900;
	tm.tm_mon = (int)month - 1;
	tm.tm_mday = (int)day;
	tm.tm_hour = (int)hour;
	tm.tm_min = (int)minute;
	tm.tm_sec = (int)second;
	at = (int64_t)timegm(&tm) - ahead;
	if (at < 0)
		return false;
	*ms = (uint64_t)at * 1000 + part;
	return true;
}
