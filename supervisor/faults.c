#include "supervisor/faults.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/xmem.h"

void faults_clear(struct faults *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->list[i].source);
		free(f->list[i].text);
	}
	f->count = 0;
}

/* The same words; numbers do not count. */
static bool same_words(const char *a, const char *b)
{
	while (*a && *b) {
		if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
			while (isdigit((unsigned char)*a))
				a++;
			while (isdigit((unsigned char)*b))
				b++;
		} else if (*a++ != *b++) {
			return false;
		}
	}
	return *a == *b;
}

static struct fault *find(struct faults *f, const char *source, const char *text)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->list[i].source, source) == 0 && same_words(f->list[i].text, text))
			return &f->list[i];
	return NULL;
}

/* Nobody may forge a second line. */
static char *clean_copy(const char *text)
{
	char *copy = xstrdup(text);

	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	return copy;
}

static bool add(struct faults *f, const char *source, const char *text, uint64_t since_ms)
{
	if (f->count == FAULTS_MAX)
		return false;
	f->list[f->count++] = (struct fault){xstrdup(source), clean_copy(text), since_ms, true};
	return true;
}

void faults_begin(struct faults *f)
{
	f->changed = false;
	for (size_t i = 0; i < f->count; i++)
		f->list[i].stands = false;
}

void faults_stand(struct faults *f, const char *source, const char *text, uint64_t now_ms)
{
	struct fault *known = find(f, source, text);

	if (!known) {
		f->changed |= add(f, source, text, now_ms);
		return;
	}
	known->stands = true;
	if (strcmp(known->text, text) != 0) {
		free(known->text);
		known->text = clean_copy(text);
	}
}

bool faults_end(struct faults *f, bool keep)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++) {
		if (f->list[i].stands || keep) {
			f->list[n++] = f->list[i];
			continue;
		}
		free(f->list[i].source);
		free(f->list[i].text);
		f->changed = true;
	}
	f->count = n;
	return f->changed;
}

void faults_format(const struct faults *f, struct str *out)
{
	for (size_t i = 0; i < f->count; i++)
		str_addf(out, "%llu %s %s\n", (unsigned long long)f->list[i].since_ms,
			 f->list[i].source, f->list[i].text);
}

void faults_parse(struct faults *f, struct slice lines)
{
	char *all = xstrndup(lines.data ? lines.data : "", lines.len);

	for (char *line = all, *next; *line; line = next) {
		size_t n = strcspn(line, "\n");
		char *source, *text;
		unsigned long long since;

		next = line + n + (line[n] != '\0');
		line[n] = '\0';
		since = strtoull(line, &source, 10);
		text = *source == ' ' ? strchr(source + 1, ' ') : NULL;
		if (!text || !since || text == source + 1)
			continue;
		*text++ = '\0';
		if (!find(f, source + 1, text))
			add(f, source + 1, text, since);
	}
	free(all);
}
