/*
 * crash - the last words of a process: one line that says why, then the stack, then death.
 *
 * Async-signal-safe. The line has the form of every log line (event=crash signal=... addr=...), so
 * that a log ends with why and where. Under sanitizers their own report is left alone.
 */
#ifndef PROC_CRASH_H
#define PROC_CRASH_H

/* fd is where the log goes; who is the instance, copied. */
void crash_install(const char *who, int fd);

/* For the watchdog, from inside its signal handler: the words, the stack, SIGABRT. */
_Noreturn void crash_hung(unsigned int silent_ms);

#endif
