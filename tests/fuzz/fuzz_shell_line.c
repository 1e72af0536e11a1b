/*
 * The command line of `xmpp shell`, and completion on it: any bytes give words that are as long
 * together as the line at most, or a refusal; what is completed begins as it was typed.
 */
#include <stdint.h>

#include "base/check.h"
#include "cli/xmpp/shell_line.h"
#include "cli/xmpp/shell_words.h"

static const char list[] = "program\txmpp\tx\n"
			   "command\tuser add\tJID\tx\n"
			   "command\tuser list\t\tx\n"
			   "command\t\t\tx\n"
			   "option\t--json\t\t\tx\n"
			   "option\t-n\tN\tuser list|user add\tx\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shell_line l = SHELL_LINE_INIT;
	struct str why = STR_INIT, out = STR_INIT;
	struct shell_words *w = shell_words_new();
	struct slice line = slice_of((const char *)data, size);
	size_t total = 0;

	shell_words_add(w, "xmpp", slice_str(list));
	shell_words_add(w, "fuzz", line);
	if (shell_line_parse(&l, line, &why) == ERR_OK) {
		check(l.argc <= SHELL_WORDS_MAX && !l.argv[l.argc]);
		for (int i = 0; i < l.argc; i++)
			total += strlen(l.argv[i]);
		check(total <= size);
		shell_line_is_secret(&l);
		shell_words_suggest(w, l.argc, l.argv, &out);
		str_reset(&out);
		if (l.argc && l.touching) {
			const char *prefix = l.argv[l.argc - 1];

			shell_words_complete(w, l.argc - 1, l.argv, prefix, &out);
			check(strncmp(out.data, prefix, strlen(prefix)) == 0 || !out.len);
		} else {
			shell_words_complete(w, l.argc, l.argv, "", &out);
		}
	} else {
		check(why.len > 0 && l.argc == 0);
	}
	shell_words_free(&w);
	shell_line_clear(&l);
	str_clear(&why);
	str_clear(&out);
	return 0;
}
