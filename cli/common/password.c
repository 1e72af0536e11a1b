#include "cli/common/password.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/xmem.h"

/* Signals that end or stop a program: with echo off they wait until it is on again. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

#define NSIGNALS (sizeof(signals) / sizeof(signals[0]))

static volatile sig_atomic_t caught;

static void on_signal(int signum)
{
	caught = signum;
}

/* Signals are taken only while waiting here, so that none falls between looking and reading. */
static bool wait_readable(int fd, const sigset_t *outside)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (!caught && ppoll(&p, 1, NULL, outside) < 0)
		if (errno != EINTR)
			return false;
	errno = EINTR;
	return !caught;
}

#define SKIP_MAX 65536 /* of a line too long; /dev/zero has no end */

/* One line, byte by byte: what follows in a pipe is not ours. Its length, or -1 (errno; 0 at the
 * end of file). The line end is left out; a line too long is cut where the caller sees it.
 * outside: the signal mask to wait with; NULL = just read. */
static ssize_t read_line(int fd, char out[PASSWORD_SIZE], const sigset_t *outside)
{
	size_t len = 0, skipped = 0;
	bool any = false;

	while (skipped < SKIP_MAX) {
		char c;
		ssize_t n = outside && !wait_readable(fd, outside) ? -1 : read(fd, &c, 1);

		if (n < 0 && errno == EINTR && !caught)
			continue;
		if (n < 0)
			return -1;
		any |= n > 0;
		if (n == 0 || c == '\n')
			break;
		if (len < PASSWORD_SIZE - 1)
			out[len++] = c;
		else
			skipped++;
	}
	if (len && out[len - 1] == '\r')
		len--;
	out[len] = '\0';
	errno = 0;
	return any ? (ssize_t)len : -1;
}

enum err password_read(char out[PASSWORD_SIZE], int fd, struct str *why)
{
	ssize_t n = read_line(fd, out, NULL);

	if (n < 0 && errno) {
		str_addf(why, "standard input: %s; pipe the password in as one line",
			 strerror(errno));
		return ERR_IO;
	}
	if (n < 0) {
		str_adds(why, "standard input is empty; pipe the password in as one line");
		return ERR_CLOSED;
	}
	if (strlen(out) != (size_t)n) {
		str_adds(why, "the password has a NUL byte in it; it must be text");
		xwipe(out, PASSWORD_SIZE);
		return ERR_FORMAT;
	}
	return ERR_OK;
}

static void say(int tty, const char *text)
{
	while (*text) {
		ssize_t n = write(tty, text, strlen(text));

		if (n <= 0)
			return;
		text += n;
	}
}

static ssize_t ask_once(int tty, const char *prompt, const char *who, char out[PASSWORD_SIZE],
			const sigset_t *outside)
{
	ssize_t n;

	say(tty, prompt);
	say(tty, who);
	say(tty, ": ");
	n = read_line(tty, out, outside);
	say(tty, "\n");
	return n;
}

static enum err ask_twice(int tty, char out[PASSWORD_SIZE], const char *who,
			  const sigset_t *outside, struct str *why)
{
	char again[PASSWORD_SIZE] = "";
	enum err e = ERR_OK;

	if (ask_once(tty, "Password for ", who, out, outside) < 0 ||
	    ask_once(tty, "Again, for ", who, again, outside) < 0) {
		str_adds(why, "interrupted; nothing was changed");
		e = ERR_CLOSED;
	} else if (strcmp(out, again) != 0) {
		str_adds(why, "the two passwords differ; nothing was changed, try again");
		e = ERR_CONFLICT;
	}
	xwipe(again, sizeof(again));
	if (e != ERR_OK)
		xwipe(out, PASSWORD_SIZE);
	return e;
}

static enum err ask_for(int tty, char out[PASSWORD_SIZE], const char *prompt,
			const sigset_t *outside, struct str *why)
{
	if (ask_once(tty, prompt, "", out, outside) >= 0)
		return ERR_OK;
	str_adds(why, "interrupted; nothing was changed");
	xwipe(out, PASSWORD_SIZE);
	return ERR_CLOSED;
}

typedef enum err ask_fn(int tty, char out[PASSWORD_SIZE], const char *what, const sigset_t *outside,
			struct str *why);

static enum err ask_quietly(ask_fn *ask, char out[PASSWORD_SIZE], const char *what, struct str *why)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct sigaction act = {.sa_handler = on_signal}, old[NSIGNALS];
	struct termios before, quiet;
	sigset_t held, outside;
	enum err e;

	if (tty < 0 || tcgetattr(tty, &before) != 0) {
		str_adds(why, "there is no terminal to ask on");
		if (tty >= 0)
			close(tty);
		return ERR_UNSUPPORTED;
	}
	caught = 0;
	sigemptyset(&held);
	for (size_t i = 0; i < NSIGNALS; i++)
		sigaddset(&held, signals[i]);
	sigprocmask(SIG_BLOCK, &held, &outside);
	for (size_t i = 0; i < NSIGNALS; i++)
		if (sigaction(signals[i], &act, &old[i]) == 0 && old[i].sa_handler == SIG_IGN)
			sigaction(signals[i], &old[i], NULL); /* nohup: stays ignored */
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(tty, TCSAFLUSH, &quiet);
	e = ask(tty, out, what, &outside, why);
	tcsetattr(tty, TCSAFLUSH, &before);
	for (size_t i = 0; i < NSIGNALS; i++)
		sigaction(signals[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, &outside, NULL);
	close(tty);
	if (caught)
		raise(caught);
	return e;
}

enum err password_ask(char out[PASSWORD_SIZE], const char *who, struct str *why)
{
	enum err e = ask_quietly(ask_twice, out, who, why);

	if (e == ERR_UNSUPPORTED)
		str_adds(why, "; use --password-stdin");
	return e;
}

enum err password_prompt(char out[PASSWORD_SIZE], const char *prompt, struct str *why)
{
	return ask_quietly(ask_for, out, prompt, why);
}
