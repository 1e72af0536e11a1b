/*
 * log - one event, one line: "time level service[pid] ctx event=... key=value".
 *
 * ctx is the stream's or peer's prefix ("c2s#41 juliet@example.com"), "-" for the process itself.
 * Values that come from outside go through log_quote() or "%.*s" of validated text. Control
 * characters in a line are replaced, a line is cut at LOG_LINE_MAX; secrets and bodies never.
 * The sink is a file descriptor (stderr until log_open), written with one non-blocking write();
 * lines that do not fit are counted and the count is logged with the next line that does.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define LOG_LINE_MAX 2048

/* service: "cm-client-1"; fd stays the caller's. */
void log_open(const char *service, int fd, enum log_level level, bool json);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* "error", "warn", "info", "debug" to the level; false when it is none of them. */
bool log_level_parse(const char *text, enum log_level *out);

/* Gets every line as well, whole with its line feed, before it is written; NULL: nobody. What is
 * logged from within is handed on too: beware. */
void log_tap(void (*tap)(void *arg, struct slice line), void *arg);

/* Lines lost so far because the sink was full. */
uint64_t log_lost(void);

/* A copy of s, quoted and escaped for key=value ("" around it, \" \\ \xHH inside), cut at 128
 * bytes. From a ring of 8 static buffers: valid until the eighth call after this one. */
const char *log_quote(struct slice s);

void log_at(enum log_level level, const char *ctx, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_err(ctx, ...)  log_at(LOG_LEVEL_ERROR, ctx, __VA_ARGS__)
#define log_warn(ctx, ...) log_at(LOG_LEVEL_WARN, ctx, __VA_ARGS__)
#define log_info(ctx, ...) log_at(LOG_LEVEL_INFO, ctx, __VA_ARGS__)
#define log_debug(ctx, ...)                                        \
	do {                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                  \
			log_at(LOG_LEVEL_DEBUG, ctx, __VA_ARGS__); \
	} while (0)

/* A broken environment at start: logs at error level, says it on stderr too if that is somewhere
 * else, exits with 78 (EX_CONFIG). Say the path, the reason and what to do next. */
_Noreturn void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
