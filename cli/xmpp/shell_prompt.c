#include "cli/xmpp/shell_prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "base/xmem.h"
#include "cli/xmpp/shell_line.h"
#include "cli/xmpp/shell_words.h"

struct shell_prompt {
	const struct shell_words *words;
	EditLine *el;
	History *history;
	HistEvent event;
	char text[80];
	char *path; /* NULL: nowhere to keep it */
	struct sigaction before;
	bool interrupted; /* the last read */
};

static volatile sig_atomic_t caught;

static void on_interrupt(int signum)
{
	caught = signum;
}

/*
 * One byte for libedit. SIGINT is blocked but in here, so that it cannot come between a look at
 * `caught` and a read that then would wait for the next key.
 */
static int read_key(EditLine *el, wchar_t *out)
{
	static mbstate_t state;
	sigset_t none;
	fd_set fds;
	char byte;

	(void)el;
	sigemptyset(&none);
	for (;;) {
		FD_ZERO(&fds);
		FD_SET(STDIN_FILENO, &fds);
		if (pselect(STDIN_FILENO + 1, &fds, NULL, NULL, NULL, &none) < 0) {
			if (errno == EINTR && !caught)
				continue;
			memset(&state, 0, sizeof(state));
			return -1;
		}
		if (read(STDIN_FILENO, &byte, 1) != 1)
			return 0;
		switch (mbrtowc(out, &byte, 1, &state)) {
		case (size_t)-2:
			continue;
		case (size_t)-1:
			memset(&state, 0, sizeof(state));
			*out = (unsigned char)byte;
			return 1;
		default:
			return 1;
		}
	}
}

/* ---- history */

static char *history_path(void)
{
	const char *home = getenv("HOME");
	const struct passwd *pw = home && *home ? NULL : getpwuid(getuid());

	if (pw)
		home = pw->pw_dir;
	return home && *home ? xasprintf("%s/" SHELL_HISTORY_NAME, home) : NULL;
}

/* The file grows line by line; too long, it is written anew with its end. */
static void shorten(const char *path, const struct str *text, size_t lines)
{
	char *fresh = xasprintf("%s.new", path);
	const char *from = text->data;
	int fd;

	for (; lines > SHELL_HISTORY_MAX / 2; lines--)
		from = strchr(from, '\n') + 1;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0) {
		size_t n = text->len - (size_t)(from - text->data);

		if (write(fd, from, n) != (ssize_t)n || close(fd) < 0 || rename(fresh, path) < 0)
			unlink(fresh);
	}
	free(fresh);
}

static void load_history(struct shell_prompt *p)
{
	int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct str text = STR_INIT;
	char buf[16384];
	size_t lines = 0;
	ssize_t n;

	if (fd >= 0)
		fchmod(fd, 0600);
	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		str_add(&text, buf, (size_t)n);
	if (fd >= 0)
		close(fd);
	for (const char *at = text.data, *end; (end = strchr(at, '\n')); at = end + 1) {
		char *line = xstrndup(at, (size_t)(end - at));

		history(p->history, &p->event, H_ENTER, line);
		free(line);
		lines++;
	}
	if (lines > SHELL_HISTORY_MAX)
		shorten(p->path, &text, lines);
	str_clear(&text);
}

void shell_prompt_keep(struct shell_prompt *p, struct slice line)
{
	struct str text = STR_INIT;
	int fd;

	str_add_slice(&text, line);
	history(p->history, &p->event, H_ENTER, text.data);
	str_addc(&text, '\n');
	fd = p->path ? open(p->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)
		     : -1;
	/* Without it the next session knows less: nothing to stop for. */
	if (fd >= 0) {
		if (write(fd, text.data, text.len) < 0)
			p->event.num = 0;
		close(fd);
	}
	str_clear(&text);
}

/* ---- completion */

static size_t common_prefix(const struct str *words)
{
	size_t n = strcspn(words->data, "\n");

	for (const char *at = words->data + n + 1; *at; at += strcspn(at, "\n") + 1) {
		size_t i = 0;

		while (i < n && at[i] == words->data[i])
			i++;
		n = i;
	}
	return n;
}

static void list_words(const struct str *words)
{
	putchar('\n');
	for (const char *at = words->data; *at; at += strcspn(at, "\n") + 1)
		printf("%.*s  ", (int)strcspn(at, "\n"), at);
	putchar('\n');
	fflush(stdout);
}

/* What is added to the line; *listed: the choices were printed instead. */
static void choose(const struct str *words, const char *prefix, struct str *out, bool *listed)
{
	size_t n = words->len ? common_prefix(words) : 0, have = strlen(prefix);
	bool only = words->len && strchr(words->data, '\n') == words->data + words->len - 1;

	if (n > have)
		str_add(out, words->data + have, n - have);
	if (only)
		str_addc(out, ' ');
	*listed = words->len && !out->len;
	if (*listed)
		list_words(words);
}

static unsigned char on_tab(EditLine *el, int key)
{
	struct str words = STR_INIT, add = STR_INIT, why = STR_INIT;
	struct shell_line l = SHELL_LINE_INIT;
	const LineInfo *info = el_line(el);
	struct shell_prompt *p = NULL;
	unsigned char result = CC_ERROR;
	bool listed = false;

	(void)key;
	el_get(el, EL_CLIENTDATA, &p);
	if (shell_line_parse(&l, slice_of(info->buffer, (size_t)(info->cursor - info->buffer)),
			     &why) == ERR_OK &&
	    !l.quote) {
		bool on_word = l.touching && l.argc > 0;
		const char *prefix = on_word ? l.argv[l.argc - 1] : "";

		shell_words_complete(p->words, l.argc - on_word, l.argv, prefix, &words);
		choose(&words, prefix, &add, &listed);
		if (add.len && el_insertstr(el, add.data) == 0)
			result = CC_REFRESH;
		else if (listed)
			result = CC_REDISPLAY;
	}
	shell_line_clear(&l);
	str_clear(&words);
	str_clear(&add);
	str_clear(&why);
	return result;
}

/* ---- the prompt */

static char *prompt_text(EditLine *el)
{
	struct shell_prompt *p = NULL;

	el_get(el, EL_CLIENTDATA, &p);
	return p->text;
}

struct shell_prompt *shell_prompt_new(const struct shell_words *words)
{
	struct shell_prompt *p = xcalloc(1, sizeof(*p));
	struct sigaction act = {.sa_handler = on_interrupt}; /* no SA_RESTART: it ends the read */
	char host[64] = "roundhouse";

	setlocale(LC_CTYPE, "");
	p->words = words;
	p->path = history_path();
	gethostname(host, sizeof(host) - 1);
	snprintf(p->text, sizeof(p->text), "%.*s> ", (int)strcspn(host, "."), host);
	p->history = history_init();
	history(p->history, &p->event, H_SETSIZE, SHELL_HISTORY_MAX);
	history(p->history, &p->event, H_SETUNIQUE, 1);
	p->el = el_init("xmpp", stdin, stdout, stderr);
	el_set(p->el, EL_CLIENTDATA, p);
	el_set(p->el, EL_PROMPT, prompt_text);
	el_set(p->el, EL_EDITOR, "emacs");
	el_set(p->el, EL_SIGNAL, 0);
	el_set(p->el, EL_GETCFN, read_key);
	el_set(p->el, EL_HIST, history, p->history);
	el_set(p->el, EL_ADDFN, "complete", "Complete a word", on_tab);
	el_set(p->el, EL_BIND, "^I", "complete", NULL);
	el_source(p->el, NULL);
	if (p->path)
		load_history(p);
	sigaction(SIGINT, &act, &p->before);
	return p;
}

void shell_prompt_free(struct shell_prompt **pp)
{
	struct shell_prompt *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	sigaction(SIGINT, &p->before, NULL);
	el_end(p->el);
	history_end(p->history);
	free(p->path);
	free(p);
}

bool shell_prompt_read(struct shell_prompt *p, struct slice *line)
{
	const char *text;
	sigset_t interrupt;
	int n = 0;

	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	caught = 0;
	sigprocmask(SIG_BLOCK, &interrupt, NULL);
	el_resize(p->el);
	text = el_gets(p->el, &n);
	sigprocmask(SIG_UNBLOCK, &interrupt, NULL);
	if (caught) {
		putchar('\n');
		el_reset(p->el);
		*line = slice_of("", 0);
		return true;
	}
	if (!text || n <= 0) {
		putchar('\n');
		return false;
	}
	while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	*line = slice_of(text, (size_t)n);
	return true;
}
