#include "proc/event_line.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

static const char *const names[] = {
	[EVENT_INFO] = "Info", [EVENT_WARNING] = "Warning", [EVENT_ERROR] = "Error"};

const char *event_level_name(enum event_level level)
{
	return names[level];
}

bool event_level_parse(struct slice text, enum event_level *out)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (text.len == strlen(names[i]) &&
		    strncasecmp(text.data, names[i], text.len) == 0) {
			*out = (enum event_level)i;
			return true;
		}
	if (text.len == 4 && strncasecmp(text.data, "warn", 4) == 0) {
		*out = EVENT_WARNING;
		return true;
	}
	return false;
}

void event_line_time(uint64_t ms, char date[EVENT_DATE_SIZE], char text[EVENT_TIME_SIZE])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, EVENT_DATE_SIZE, "%Y-%m-%d", &tm);
	strftime(text, EVENT_TIME_SIZE, "%H:%M:%S", &tm);
	snprintf(text + 8, EVENT_TIME_SIZE - 8, ".%03u", (unsigned int)(ms % 1000));
}

void event_line_format(struct str *out, const struct event_line *e)
{
	char date[EVENT_DATE_SIZE], time[EVENT_TIME_SIZE];

	event_line_time(e->ms, date, time);
	str_addf(out, "%s %s %-7s %.*s %.*s\n", date, time, names[e->level], SLICE_ARG(e->service),
		 SLICE_ARG(e->text));
}

/* ---- reading */

static void skip(struct slice *s, size_t n)
{
	s->data += n;
	s->len -= n;
}

/* Exactly n digits. */
static bool take_number(struct slice *s, size_t n, int *out)
{
	*out = 0;
	if (s->len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->data[i] < '0' || s->data[i] > '9')
			return false;
		*out = *out * 10 + (s->data[i] - '0');
	}
	skip(s, n);
	return true;
}

static bool take_char(struct slice *s, char c)
{
	if (!s->len || s->data[0] != c)
		return false;
	skip(s, 1);
	return true;
}

static int days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool take_date(struct slice *s, struct tm *tm)
{
	if (!take_number(s, 4, &tm->tm_year) || !take_char(s, '-') ||
	    !take_number(s, 2, &tm->tm_mon) || !take_char(s, '-') ||
	    !take_number(s, 2, &tm->tm_mday))
		return false;
	if (tm->tm_year < 1970 || tm->tm_mon < 1 || tm->tm_mon > 12 || tm->tm_mday < 1 ||
	    tm->tm_mday > days_of(tm->tm_year, tm->tm_mon))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return true;
}

/* "05:16", ":17" and ".804123" behind it or not; the fraction is cut to milliseconds. */
static bool take_clock(struct slice *s, struct tm *tm, unsigned int *ms)
{
	unsigned int weight = 100;

	if (!take_number(s, 2, &tm->tm_hour) || !take_char(s, ':') ||
	    !take_number(s, 2, &tm->tm_min))
		return false;
	if (take_char(s, ':')) {
		if (!take_number(s, 2, &tm->tm_sec))
			return false;
		if (take_char(s, '.'))
			for (; s->len && s->data[0] >= '0' && s->data[0] <= '9'; weight /= 10) {
				*ms += (unsigned int)(s->data[0] - '0') * weight;
				skip(s, 1);
			}
	}
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

bool event_line_parse_time(struct slice text, uint64_t *ms)
{
	struct tm tm = {0};
	unsigned int fraction = 0;

	if (!take_date(&text, &tm))
		return false;
	if ((take_char(&text, 'T') || take_char(&text, ' ')) && !take_clock(&text, &tm, &fraction))
		return false;
	take_char(&text, 'Z');
	*ms = (uint64_t)timegm(&tm) * 1000 + fraction;
	return text.len == 0;
}

/* The next word; the blanks behind it go too. */
static struct slice take_word(struct slice *s)
{
	const char *blank = s->len ? memchr(s->data, ' ', s->len) : NULL;
	struct slice word = slice_of(s->data, blank ? (size_t)(blank - s->data) : s->len);

	skip(s, word.len);
	while (take_char(s, ' '))
		;
	return word;
}

bool event_line_parse(struct slice line, struct event_line *out)
{
	const size_t stamp = EVENT_DATE_SIZE + EVENT_TIME_SIZE - 1;
	struct event_line e = {0};

	if (line.len <= stamp || line.data[stamp] != ' ' ||
	    !event_line_parse_time(slice_of(line.data, stamp), &e.ms))
		return false;
	skip(&line, stamp + 1);
	if (!event_level_parse(take_word(&line), &e.level))
		return false;
	e.service = take_word(&line);
	e.text = line;
	if (!e.service.len)
		return false;
	*out = e;
	return true;
}
