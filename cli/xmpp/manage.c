#include "cli/xmpp/manage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/common/json_line.h"
#include "proc/config.h"

#define WARNING "warning: "

static bool entered;
static struct str warned = STR_INIT; /* the warnings that were said, a line each */

int manage_enter(const struct xmpp_values *v)
{
	if (!entered && chdir(v->common.dir) < 0)
		return command_fail("xmpp", COMMAND_UNREACHABLE, "%s: %s; %s", v->common.dir,
				    strerror(errno),
				    errno == EACCES ? "run this as the instance's administrator "
						      "(root or its owner)"
						    : "name the instance's directory with -C DIR");
	entered = true;
	if (access(CONFIG_PATH, F_OK) < 0 && errno == ENOENT)
		return command_fail("xmpp", COMMAND_UNREACHABLE,
				    "%s is no instance: it has no " CONFIG_PATH
				    "; 'supervisor -C %s init' makes one",
				    v->common.dir, v->common.dir);
	return COMMAND_OK;
}

struct xmpp_values manage_here(const struct xmpp_values *v)
{
	static char path[4096]; /* as messages name it */
	struct xmpp_values here = *v;

	here.common.dir = getcwd(path, sizeof(path)) ? path : ".";
	return here;
}

static void say(const struct xmpp_values *v, FILE *out, const char *plain, const char *json,
		const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		struct str line = STR_INIT;

		if (v->common.json) {
			str_addf(&line, "{\"result\":\"%s\",\"text\":", json);
			json_line_put_text(&line, slice_of(text, n));
			str_adds(&line, "}");
		} else {
			str_addf(&line, "%s%.*s", plain, (int)n, text);
		}
		fprintf(v->common.json ? stdout : out, "%s\n", line.data);
		str_clear(&line);
		text += n + (text[n] != '\0');
	}
	fflush(stdout);
}

void manage_success(const struct xmpp_values *v, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	say(v, stdout, "SUCCESS: ", "success", text.data);
	str_clear(&text);
}

int manage_failure(const struct xmpp_values *v, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	say(v, stdout, "FAILURE: ", "failure", text.data);
	str_clear(&text);
	return COMMAND_REFUSED;
}

void manage_warning(const struct xmpp_values *v, const char *text)
{
	fflush(stdout);
	str_addf(&warned, "%s\n", text);
	say(v, stderr, WARNING, "warning", text);
}

int manage_open(const struct xmpp_values *v, struct managed **out)
{
	struct str why = STR_INIT;
	int code = manage_enter(v);

	*out = NULL;
	if (code == COMMAND_OK && managed_open(out, &why) != ERR_OK)
		code = manage_failure(v, "%s", why.data);
	str_clear(&why);
	return code;
}

/* Was this said, perhaps without the service in front ("cm-client: ")? */
static bool was_said(const char *text)
{
	const char *colon = strstr(text, ": ");

	return strstr(warned.data, text) || (colon && strstr(warned.data, colon + 2));
}

/* The judges' warnings stand for as long as their cause: they are told by what has to do with it.
 */
static void say_warnings(const struct xmpp_values *v, char *lines, bool judges)
{
	for (char *line = lines, *next; *line; line = next) {
		size_t n = strcspn(line, "\n");
		bool judged = strncmp(line, WARNING, strlen(WARNING)) == 0;

		next = line + n + (line[n] != '\0');
		line[n] = '\0';
		if (n && !judged)
			manage_warning(v, line);
		else if (n && judges && !was_said(line + strlen(WARNING)))
			manage_warning(v, line + strlen(WARNING));
	}
}

int manage_commit(const struct xmpp_values *v, struct managed **mp, bool judges)
{
	struct str why = STR_INIT;
	int code = COMMAND_OK;

	if (managed_commit(*mp, &why) != ERR_OK)
		code = manage_failure(v, "%s", why.data);
	else
		say_warnings(v, why.data, judges);
	managed_close(mp);
	str_clear(&why);
	return code;
}

int manage_finish(const struct xmpp_values *v, struct managed **mp, const char *fmt, ...)
{
	int code = manage_commit(v, mp, false);
	struct str text = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	if (code == COMMAND_OK)
		manage_success(v, "%s", text.data);
	str_clear(&text);
	return code;
}
