#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/common/password.h"

static enum err read_from(const char *bytes, size_t len, char out[PASSWORD_SIZE], struct str *why)
{
	int fds[2];
	enum err e;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], bytes, len), len);
	close(fds[1]);
	e = password_read(out, fds[0], why);
	close(fds[0]);
	return e;
}

static void the_first_line_of_a_pipe_is_the_password(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"secret\n", "secret"},
		{"secret", "secret"},
		{"secret\r\n", "secret"},
		{" two words \n", " two words "},
		{"\n", ""},
		{"first\nsecond\n", "first"},
	};
	char out[PASSWORD_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str why = STR_INIT;

		assert_int_equal(read_from(cases[i].in, strlen(cases[i].in), out, &why), ERR_OK);
		assert_string_equal(out, cases[i].out);
		str_clear(&why);
	}
}

static void what_is_no_password_is_refused(void **state)
{
	char out[PASSWORD_SIZE], big[5000];
	struct str why = STR_INIT;

	(void)state;
	assert_int_equal(read_from("", 0, out, &why), ERR_CLOSED);
	assert_int_equal(read_from("a\0b\n", 4, out, &why), ERR_FORMAT);
	assert_int_equal(password_read(out, -1, &why), ERR_IO);
	memset(big, 'x', sizeof(big));
	assert_int_equal(read_from(big, sizeof(big), out, &why), ERR_OK);
	assert_true(strlen(out) > 1023); /* so that preparation sees that it is too long */
	str_clear(&why);
}

static void a_line_without_end_is_not_read_for_ever(void **state)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct str why = STR_INIT;
	char out[PASSWORD_SIZE];

	(void)state;
	assert_true(zero >= 0);
	assert_int_equal(password_read(out, zero, &why), ERR_FORMAT);
	close(zero);
	str_clear(&why);
}

/* ---- on a terminal ---- */

struct terminal {
	int master, result;
	pid_t pid;
	char shown[4096];
	size_t len;
};

/* The child has the terminal as its own and asks on it; the exit code is the enum err. */
static bool once; /* asked by password_prompt() */

static void terminal_child(int master, int result, void (*interrupts)(int))
{
	char out[PASSWORD_SIZE];
	struct str why = STR_INIT;
	struct termios t;
	enum err e;
	int tty;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, interrupts);
	setsid();
	tty = open(ptsname(master), O_RDWR);
	close(master); /* so that the terminal hangs up when the test is gone */
	ioctl(tty, TIOCSCTTY, 0);
	e = once ? password_prompt(out, "Enter it", &why) : password_ask(out, "a@b", &why);
	if (e == ERR_OK)
		dprintf(result, "%s", out);
	tcgetattr(tty, &t);
	dprintf(result, "%s", t.c_lflag & ECHO ? "+echo" : "-echo");
	str_clear(&why);
	_exit((int)e);
}

static void terminal_start(struct terminal *t, void (*interrupts)(int))
{
	int fds[2];

	*t = (struct terminal){.master = posix_openpt(O_RDWR | O_NOCTTY)};
	assert_true(t->master >= 0);
	assert_int_equal(grantpt(t->master), 0);
	assert_int_equal(unlockpt(t->master), 0);
	assert_int_equal(pipe(fds), 0);
	t->pid = fork();
	if (t->pid == 0)
		terminal_child(t->master, fds[1], interrupts);
	close(fds[1]);
	t->result = fds[0];
}

static void terminal_wait_for(struct terminal *t, const char *text)
{
	while (!strstr(t->shown, text)) {
		ssize_t n = read(t->master, t->shown + t->len, sizeof(t->shown) - 1 - t->len);

		assert_true(n > 0);
		t->len += (size_t)n;
	}
}

static void terminal_type(struct terminal *t, const char *text)
{
	assert_int_equal(write(t->master, text, strlen(text)), strlen(text));
}

/* The exit code; what the child had to say is in out. */
static int terminal_end(struct terminal *t, char *out, size_t size)
{
	int status;
	ssize_t n = read(t->result, out, size - 1), more = 0;

	while (n >= 0 && (more = read(t->result, out + n, size - 1 - (size_t)n)) > 0)
		n += more;
	out[n > 0 ? n : 0] = '\0';
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	close(t->master);
	close(t->result);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void it_is_asked_for_twice_and_never_shown(void **state)
{
	struct terminal t;
	char out[2048];

	(void)state;
	terminal_start(&t, SIG_DFL);
	terminal_wait_for(&t, "Password for a@b: ");
	terminal_type(&t, "pencil\n");
	terminal_wait_for(&t, "Again, for a@b: ");
	terminal_type(&t, "pencil\n");
	assert_int_equal(terminal_end(&t, out, sizeof(out)), ERR_OK);
	assert_string_equal(out, "pencil+echo");
	assert_null(strstr(t.shown, "pencil"));
}

static void a_prompt_asks_once_and_shows_nothing(void **state)
{
	struct terminal t;
	char out[2048];

	(void)state;
	once = true;
	terminal_start(&t, SIG_DFL);
	once = false;
	terminal_wait_for(&t, "Enter it: ");
	terminal_type(&t, "pencil\n");
	assert_int_equal(terminal_end(&t, out, sizeof(out)), ERR_OK);
	assert_string_equal(out, "pencil+echo");
	assert_null(strstr(t.shown, "pencil"));
}

static void two_that_differ_are_refused(void **state)
{
	struct terminal t;
	char out[2048];

	(void)state;
	terminal_start(&t, SIG_DFL);
	terminal_wait_for(&t, "Password for a@b: ");
	terminal_type(&t, "pencil\n");
	terminal_wait_for(&t, "Again, for a@b: ");
	terminal_type(&t, "Pencil\n");
	assert_int_equal(terminal_end(&t, out, sizeof(out)), ERR_CONFLICT);
	assert_string_equal(out, "+echo");
}

static void an_interrupt_ends_it_with_the_echo_back_on(void **state)
{
	struct terminal t;
	struct termios attr;
	char out[2048];

	(void)state;
	terminal_start(&t, SIG_DFL);
	terminal_wait_for(&t, "Password for a@b: ");
	terminal_type(&t, "pen\x03");
	for (int i = 0; i < 500; i++) {
		assert_int_equal(tcgetattr(t.master, &attr), 0);
		if (attr.c_lflag & ECHO)
			break;
		usleep(10000);
	}
	assert_true(attr.c_lflag & ECHO);
	assert_int_equal(terminal_end(&t, out, sizeof(out)), 128 + SIGINT);
}

static void an_interrupt_that_was_ignored_before_stays_ignored(void **state)
{
	struct terminal t;
	char out[2048];

	(void)state;
	terminal_start(&t, SIG_IGN);
	terminal_wait_for(&t, "Password for a@b: ");
	terminal_type(&t, "pen\x03");
	terminal_type(&t, "pencil\n");
	terminal_wait_for(&t, "Again, for a@b: ");
	terminal_type(&t, "pencil\n");
	assert_int_equal(terminal_end(&t, out, sizeof(out)), ERR_OK);
	assert_string_equal(out, "pencil+echo");
}

static void without_a_terminal_the_option_is_named(void **state)
{
	char out[PASSWORD_SIZE];
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct str why = STR_INIT;
		bool ok;

		setsid(); /* no controlling terminal any more */
		ok = password_ask(out, "a@b", &why) == ERR_UNSUPPORTED &&
		     strstr(why.data, "--password-stdin");
		str_clear(&why);
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_line_of_a_pipe_is_the_password),
		cmocka_unit_test(what_is_no_password_is_refused),
		cmocka_unit_test(a_line_without_end_is_not_read_for_ever),
		cmocka_unit_test(it_is_asked_for_twice_and_never_shown),
		cmocka_unit_test(a_prompt_asks_once_and_shows_nothing),
		cmocka_unit_test(two_that_differ_are_refused),
		cmocka_unit_test(an_interrupt_ends_it_with_the_echo_back_on),
		cmocka_unit_test(an_interrupt_that_was_ignored_before_stays_ignored),
		cmocka_unit_test(without_a_terminal_the_option_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
