#include "cli/xmpp/shell_line.h"

#include <strings.h>

struct lexer {
	struct str *text;
	char quote;
	bool in_word;
	size_t starts[SHELL_WORDS_MAX];
	int words;
};

static bool begin_word(struct lexer *x)
{
	if (x->in_word)
		return true;
	if (x->words == SHELL_WORDS_MAX)
		return false;
	x->starts[x->words++] = x->text->len;
	x->in_word = true;
	return true;
}

static void end_word(struct lexer *x)
{
	if (x->in_word)
		str_addc(x->text, '\0');
	x->in_word = false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The character at line[*i], inside quotes or not. False: too many words. */
static bool take(struct lexer *x, struct slice line, size_t *i)
{
	char c = line.data[*i];
	bool last = *i + 1 == line.len;

	if (!x->quote && is_blank(c)) {
		end_word(x);
		return true;
	}
	if (!begin_word(x))
		return false;
	if (c == x->quote) {
		x->quote = 0;
	} else if (!x->quote && (c == '\'' || c == '"')) {
		x->quote = c;
	} else if (c == '\\' && !last &&
		   (!x->quote || (x->quote == '"' && strchr("\"\\", line.data[*i + 1])))) {
		str_addc(x->text, line.data[++*i]);
	} else {
		str_addc(x->text, c);
	}
	return true;
}

enum err shell_line_parse(struct shell_line *out, struct slice line, struct str *why)
{
	struct lexer x = {.text = &out->text};

	shell_line_clear(out);
	if (line.len > SHELL_LINE_MAX) {
		str_addf(why, "a line has at most %d bytes", SHELL_LINE_MAX);
		return ERR_TOOBIG;
	}
	if (line.len && memchr(line.data, '\0', line.len)) {
		str_adds(why, "the line has a NUL in it");
		return ERR_FORMAT;
	}
	for (size_t i = 0; i < line.len; i++) {
		if (line.data[i] == '#' && !x.in_word)
			break;
		if (!take(&x, line, &i)) {
			str_addf(why, "a line has at most %d words", SHELL_WORDS_MAX);
			shell_line_clear(out);
			return ERR_TOOBIG;
		}
	}
	out->touching = x.in_word;
	out->quote = x.quote;
	end_word(&x);
	for (int i = 0; i < x.words; i++)
		out->argv[i] = out->text.data + x.starts[i];
	out->argc = x.words;
	return ERR_OK;
}

void shell_line_clear(struct shell_line *l)
{
	if (l->text.cap)
		explicit_bzero(l->text.data, l->text.cap);
	str_clear(&l->text);
	*l = SHELL_LINE_INIT;
}

static bool mentions(const char *word, const char *what)
{
	return strcasestr(word, what) != NULL;
}

/* The words of the commands that ask for one themselves, when nothing stands behind their operand.
 */
static bool only_asks(const struct shell_line *l, int i)
{
	if (strcmp(l->argv[i], "add-secret") == 0)
		return l->argc <= i + 2;
	return strcmp(l->argv[i], "--password-stdin") == 0 ||
	       strcmp(l->argv[i], "--new-secret") == 0 || strcmp(l->argv[i], "--ask-secret") == 0 ||
	       strcmp(l->argv[i], "--secret-file") == 0;
}

bool shell_line_is_secret(const struct shell_line *l)
{
	for (int i = 0; i < l->argc; i++)
		if ((mentions(l->argv[i], "secret") || mentions(l->argv[i], "password")) &&
		    !only_asks(l, i))
			return true;
	return false;
}
