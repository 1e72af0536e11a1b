#include "cli/xmpp/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "base/xmem.h"
#include "cli/common/command.h"
#include "xmpp/utf8.h"

void secret_generate(char out[PASSWORD_SIZE])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789";
	const unsigned int n = sizeof(letters) - 1, fair = 256 - 256 % n;
	size_t len = 0;

	while (len < SECRET_GENERATED) {
		unsigned char c;

		random_bytes(&c, 1);
		if (c < fair)
			out[len++] = letters[c % n];
	}
	out[len] = '\0';
}

static bool is_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static int judge(char out[PASSWORD_SIZE])
{
	int code = COMMAND_OK;

	if (!*out)
		code = command_fail("xmpp", COMMAND_REFUSED,
				    "the secret is empty; nothing was changed");
	else if (strlen(out) > SECRET_MAX)
		code = command_fail("xmpp", COMMAND_REFUSED,
				    "the secret is longer than %d bytes; nothing was changed",
				    SECRET_MAX);
	else if (!is_text(out) || !utf8_ok(slice_str(out)))
		code = command_fail("xmpp", COMMAND_REFUSED,
				    "the secret is not plain text (UTF-8 without control "
				    "characters); nothing was changed");
	if (code != COMMAND_OK)
		xwipe(out, PASSWORD_SIZE);
	return code;
}

/* Reading a line says password where it is a secret, and standard input where it is a file. */
static int judge_read(enum err e, char out[PASSWORD_SIZE], const char *where)
{
	if (e == ERR_CLOSED)
		*out = '\0';
	if (e == ERR_OK || e == ERR_CLOSED)
		return judge(out);
	return command_fail("xmpp", COMMAND_REFUSED, "%s: %s; nothing was changed", where,
			    e == ERR_FORMAT ? "the secret has a NUL byte in it" : strerror(errno));
}

int secret_ask(char out[PASSWORD_SIZE], const char *prompt)
{
	struct str why = STR_INIT;
	int code;

	if (!isatty(STDIN_FILENO)) {
		code = judge_read(password_read(out, STDIN_FILENO, &why), out, "standard input");
	} else if (password_prompt(out, prompt, &why) == ERR_OK) {
		code = judge(out);
	} else {
		code = command_fail("xmpp", COMMAND_REFUSED, "%s", why.data);
	}
	str_clear(&why);
	return code;
}

int secret_read(char out[PASSWORD_SIZE], const char *path)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct str why = STR_INIT;
	int code;

	if (fd < 0)
		return command_fail("xmpp", COMMAND_REFUSED, "%s: %m; nothing was changed", path);
	code = judge_read(password_read(out, fd, &why), out, path);
	if (!is_stdin)
		close(fd);
	str_clear(&why);
	return code;
}

void secret_print(struct str *out)
{
	fwrite(out->data, 1, out->len, stdout);
	xwipe(out->data, out->len);
	str_clear(out);
}
