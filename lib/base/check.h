/*
 * check - a bug ends the process: always compiled in, logged with place and text, then abort().
 *
 * Never used on input, peers or networks (STYLE 8).
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#define check(expr) ((expr) ? (void)0 : check_failed(#expr, __FILE__, __LINE__, __func__))

_Noreturn void check_failed(const char *expr, const char *file, int line, const char *func);

#endif
