/*
 * pie_import - reads files of accounts (XEP-0227): the walk, XInclude, what happens to whom.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/xmpp/account_data.h"
#include "cli/xmpp/pie.h"
#include "cli/xmpp/pie_types.h"
#include "cli/xmpp/remote.h"
#include "proc/config.h"
#include "xmpp/xml_file.h"
#include "xmpp/xml_in.h"

#define INCLUDES_MAX 4 /* one in another */
#define ELEMENT_MAX  ((size_t)16 * 1024 * 1024)
#define FOLDERS_MAX  4

/* Where in the document a file, or an included one, stands. */
enum level { LEVEL_TOP, LEVEL_DATA, LEVEL_HOST };

struct walk {
	struct import *im;
	struct config *cfg;
	char host[JID_PART_MAX + 1];
	bool served;
	unsigned int depth; /* of includes */
};

static void walk_file(struct walk *w, const char *path, enum level level, bool maybe);

static void say(const struct import *im, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "%s:%u: ", im->file ? im->file : "-",
		im->late_line ? im->late_line
		: im->f	      ? xml_file_line(im->f)
			      : 0);
	if (im->user)
		fprintf(stderr, "%.*s: ", SLICE_ARG(jid_bare(&im->user->jid)));
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void import_problem(struct import *im, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(im, fmt, ap);
	va_end(ap);
	im->problems++;
	if (im->user)
		im->user->problems++;
}

bool import_store(struct import *im, struct str *record, const char *what)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	enum err e = im->v->dry_run ? ERR_OK : bus_client_store(im->c, str_slice(record), &a);
	bool ok = e == ERR_OK && a.status == ERR_OK;

	if (e != ERR_OK) {
		import_problem(im,
			       "%s: %s; then import the file again: it goes on with this account",
			       what, a.text.data);
		im->fatal = e == ERR_TIMEOUT ? COMMAND_UNREACHABLE : COMMAND_REFUSED;
	} else if (!ok) {
		import_problem(im, "%s was refused: %s", what,
			       a.text.len ? a.text.data : err_text(a.status));
	}
	xwipe(record->data, record->len);
	str_reset(record);
	bus_client_answer_clear(&a);
	return ok;
}

/* A record under way. */
struct posted {
	struct import *im;
	char *what;
	unsigned int line;
	unsigned int *count;
	unsigned int n;
};

static void on_posted(void *arg, enum err status, struct slice text)
{
	struct posted *p = arg;
	struct import *im = p->im;

	if (status == ERR_OK) {
		*p->count += p->n;
	} else {
		im->late_line = p->line;
		import_problem(im, "%s was refused: %.*s", p->what,
			       text.len ? (int)text.len : (int)strlen(err_text(status)),
			       text.len ? text.data : err_text(status));
		im->late_line = 0;
	}
	free(p->what);
	free(p);
}

static void no_answer(struct import *im, const struct str *why)
{
	import_problem(im, "%s; then import the file again: it goes on with this account",
		       why->data);
	im->fatal = COMMAND_UNREACHABLE;
	bus_client_forget(im->c);
}

void import_post(struct import *im, struct str *record, const char *what, unsigned int *count,
		 unsigned int n)
{
	struct str why = STR_INIT;
	struct posted *p;

	if (im->v->dry_run) {
		*count += n;
	} else if (!im->fatal) {
		p = xcalloc(1, sizeof(*p));
		*p = (struct posted){im, xstrdup(what), im->f ? xml_file_line(im->f) : 0, count, n};
		if (bus_client_post(im->c, str_slice(record), on_posted, p, &why) != ERR_OK)
			no_answer(im, &why);
	}
	xwipe(record->data, record->len);
	str_reset(record);
	str_clear(&why);
}

void import_flush(struct import *im)
{
	struct str why = STR_INIT;

	if (!im->v->dry_run && !im->fatal && bus_client_flush(im->c, &why) != ERR_OK)
		no_answer(im, &why);
	if (im->fatal)
		bus_client_forget(im->c);
	str_clear(&why);
}

/* ---- one account */

/* The elements of <offline-messages> and <archive> one by one: they may be many. */
static void walk_messages(struct import *im, void (*fn)(struct import *im, struct slice bytes))
{
	struct str bytes = STR_INIT;
	enum xml_file_event ev;
	enum err e;

	while (!im->fatal && (ev = xml_file_next(im->f)) == XML_FILE_START) {
		str_reset(&bytes);
		e = xml_file_take(im->f, &bytes, ELEMENT_MAX);
		if (e == ERR_TOOBIG)
			import_problem(im, "a message is larger than 16 MiB; left out");
		else if (e == ERR_OK)
			fn(im, str_slice(&bytes));
	}
	str_clear(&bytes);
}

static void walk_child(struct import *im)
{
	struct str bytes = STR_INIT;
	enum err e;

	if (xml_file_is(im->f, PIE_NS, "offline-messages")) {
		walk_messages(im, pie_user_offline);
	} else if (xml_file_is(im->f, PIE_NS_MAM, "archive")) {
		pie_user_open_archive(im);
		walk_messages(im, pie_user_archived);
	} else {
		e = xml_file_take(im->f, &bytes, ELEMENT_MAX);
		if (e == ERR_TOOBIG)
			import_problem(im, "an element is larger than 16 MiB; left out");
		else if (e == ERR_OK)
			pie_user_child(im, str_slice(&bytes));
		xwipe(bytes.data, bytes.len);
	}
	str_clear(&bytes);
}

static const char *const fate_names[] = {
	[PIE_ADD] = "added",	   [PIE_REPLACE] = "replaced", [PIE_MERGE] = "merged",
	[PIE_GO_ON] = "completed", [PIE_SKIP] = "skipped",
};

static void add_count(struct str *out, unsigned int n, const char *one, const char *many)
{
	if (n)
		str_addf(out, "%s%u %s", out->len ? ", " : "", n, n == 1 ? one : many);
}

static void report_text(const struct import *im, const struct pie_user *u)
{
	const struct pie_counts *d = &u->did;
	struct str out = STR_INIT;

	add_count(&out, d->contacts, "contact", "contacts");
	add_count(&out, d->requests, "request", "requests");
	add_count(&out, d->messages, "waiting message", "waiting messages");
	add_count(&out, d->archived, "archived message", "archived messages");
	add_count(&out, d->vcards, "vCard", "vCards");
	add_count(&out, d->values, "value", "values");
	add_count(&out, d->blocked, "blocked", "blocked");
	add_count(&out, d->ignored, "thing left out", "things left out");
	add_count(&out, u->problems, "problem", "problems");
	printf("%.*s: %s%s%s%s%s\n", SLICE_ARG(jid_bare(&u->jid)),
	       im->v->dry_run ? "would be " : "", fate_names[u->fate], out.len ? " (" : "",
	       out.len ? out.data : "", out.len ? ")" : "");
	str_clear(&out);
}

static void report_json(const struct pie_user *u)
{
	const struct pie_counts *d = &u->did;
	struct str out = STR_INIT;

	str_adds(&out, "{\"jid\":");
	json_line_put_text(&out, jid_bare(&u->jid));
	str_addf(&out,
		 ",\"done\":\"%s\",\"contacts\":%u,\"requests\":%u,\"messages\":%u,"
		 "\"archived\":%u,\"vcards\":%u,\"values\":%u,\"blocked\":%u,\"left_out\":%u,"
		 "\"problems\":%u}",
		 fate_names[u->fate], d->contacts, d->requests, d->messages, d->archived, d->vcards,
		 d->values, d->blocked, d->ignored, u->problems);
	puts(out.data);
	str_clear(&out);
}

static bool decide(struct walk *w, struct pie_user *u)
{
	struct import *im = w->im;
	bool exists = false, locked = false;
	int code = account_data_exists(im->c, &u->jid, &exists, &locked);

	if (code != COMMAND_OK) {
		im->fatal = code;
		return false;
	}
	u->fate = !exists	   ? PIE_ADD
		  : locked	   ? PIE_GO_ON
		  : im->v->replace ? PIE_REPLACE
		  : im->v->merge   ? PIE_MERGE
				   : PIE_SKIP;
	return true;
}

/* The account that <user name=''> means; false when it cannot be one (said). */
static bool name_user(struct walk *w, struct pie_user *u)
{
	struct str name = STR_INIT, jid = STR_INIT;
	bool ok = false;

	if (!xml_file_attr(w->im->f, "name", &name) || !name.len) {
		import_problem(w->im, "a <user/> has no name; left out");
	} else {
		str_addf(&jid, "%s@%s", name.data, w->host);
		ok = jid_parse(&u->jid, str_slice(&jid)) == ERR_OK && !u->jid.resource.len &&
		     u->jid.local.len;
		if (!ok)
			import_problem(w->im,
				       "'%s' cannot be the name of a user (RFC 6122); left "
				       "out",
				       name.data);
	}
	str_clear(&name);
	str_clear(&jid);
	return ok;
}

static void walk_user(struct walk *w)
{
	struct import *im = w->im;
	struct pie_user u = {.password = STR_INIT,
			     .keys = STR_INIT,
			     .blocked = STR_INIT,
			     .archive = STR_INIT,
			     .prefs = STR_INIT};
	enum xml_file_event ev = XML_FILE_END;

	map_init(&u.roster);
	map_init(&u.requests);
	if (!name_user(w, &u) || !decide(w, &u)) {
		xml_file_skip(im->f);
		pie_user_clear(&u);
		return;
	}
	xml_file_attr(im->f, "password", &u.password);
	if (u.fate != PIE_SKIP)
		pie_user_begin(im, &u);
	im->user = &u;
	if (u.fate == PIE_SKIP)
		xml_file_skip(im->f);
	else
		while (!im->fatal && (ev = xml_file_next(im->f)) == XML_FILE_START)
			walk_child(im);
	if (u.fate != PIE_SKIP && ev == XML_FILE_END && !im->fatal)
		pie_user_end(im);
	import_flush(im);
	if (im->fatal || ev == XML_FILE_BAD) {
		im->user = NULL;
	} else {
		im->fates[u.fate]++;
		if (im->v->common.json)
			report_json(&u);
		else
			report_text(im, &u);
	}
	im->user = NULL;
	pie_user_clear(&u);
}

/* ---- hosts, includes, files */

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* A relative URI to a path beside the file that has it. Nothing above that is opened: files may be
 * somebody else's. */
static bool include_path(const char *file, const char *href, struct str *out)
{
	const char *slash = strrchr(file, '/');

	if (!*href || *href == '/' || strchr(href, ':') || strstr(href, ".."))
		return false;
	if (slash)
		str_add(out, file, (size_t)(slash - file) + 1);
	for (; *href; href++) {
		if (*href == '%' && hex(href[1]) >= 0 && hex(href[2]) >= 0) {
			char c = (char)(hex(href[1]) << 4 | hex(href[2]));

			if (!c || c == '/' || c == '.')
				return false;
			str_addc(out, c);
			href += 2;
		} else {
			str_addc(out, *href);
		}
	}
	return true;
}

static void walk_include(struct walk *w, enum level level)
{
	struct str href = STR_INIT, path = STR_INIT;
	struct import *im = w->im;

	if (!xml_file_attr(im->f, "href", &href) || !include_path(im->file, href.data, &path))
		import_problem(im, "<xi:include href='%s'/> is not a file in this folder; left out",
			       href.data);
	else if (w->depth == INCLUDES_MAX)
		import_problem(im, "includes are nested deeper than %d; left out", INCLUDES_MAX);
	else
		walk_file(w, path.data, level, false);
	xml_file_skip(im->f);
	str_clear(&href);
	str_clear(&path);
}

static void walk_inside(struct walk *w, enum level level);

static void walk_host(struct walk *w)
{
	struct import *im = w->im;
	struct str jid = STR_INIT;

	w->served = false;
	xml_file_attr(im->f, "jid", &jid);
	if (jid_prepare_domain(w->host, str_slice(&jid)) != ERR_OK) {
		import_problem(im, "<host jid='%s'> is not a domain; its users are left out",
			       jid.data);
	} else {
		for (char **d = w->cfg->domains; *d; d++) {
			char normal[JID_PART_MAX + 1];

			if (jid_prepare_domain(normal, slice_str(*d)) == ERR_OK &&
			    strcmp(normal, w->host) == 0)
				w->served = true;
		}
		if (!w->served)
			import_problem(im,
				       "%s is not served here, its users are left out; add it to "
				       "'domains' in conf/roundhouse.conf first",
				       w->host);
	}
	str_clear(&jid);
	if (w->served)
		walk_inside(w, LEVEL_HOST);
	else
		xml_file_skip(im->f);
}

static void walk_element(struct walk *w, enum level level)
{
	struct import *im = w->im;

	if (xml_file_is(im->f, PIE_NS_XI, "include") && level != LEVEL_TOP) {
		walk_include(w, level);
	} else if (level == LEVEL_TOP && xml_file_is(im->f, PIE_NS, "server-data")) {
		walk_inside(w, LEVEL_DATA);
	} else if (level == LEVEL_DATA && xml_file_is(im->f, PIE_NS, "host")) {
		walk_host(w);
	} else if (level == LEVEL_HOST && xml_file_is(im->f, PIE_NS, "user")) {
		walk_user(w);
	} else {
		import_problem(im, "<%s xmlns='%s'> is not expected here (XEP-0227); left out",
			       xml_file_name(im->f), xml_file_ns(im->f));
		xml_file_skip(im->f);
	}
}

/* The children of the element that was just begun, or the root of a file. */
static void walk_inside(struct walk *w, enum level level)
{
	while (!w->im->fatal && xml_file_next(w->im->f) == XML_FILE_START)
		walk_element(w, level);
}

/* maybe: it need not be one of ours. */
static void walk_file(struct walk *w, const char *path, enum level level, bool maybe)
{
	struct import *im = w->im;
	const char *outer_file = im->file;
	struct xml_file *outer = im->f, *f;
	enum xml_file_event ev;

	if (xml_file_open(&f, path) != ERR_OK) {
		import_problem(im, "%s: %s", path, strerror(errno));
		return;
	}
	w->depth++;
	im->file = path;
	im->f = f;
	ev = xml_file_next(f);
	if (ev == XML_FILE_START && (!maybe || xml_file_is(f, PIE_NS, "server-data"))) {
		walk_element(w, level);
		ev = im->fatal ? XML_FILE_DONE : xml_file_next(f);
	} else if (ev == XML_FILE_START) {
		ev = XML_FILE_DONE;
	}
	if (ev == XML_FILE_BAD)
		import_problem(im, "%s; nothing behind it was read: repair it and import it again",
			       xml_file_why(f));
	im->f = outer;
	im->file = outer_file;
	w->depth--;
	xml_file_close(&f);
}

static int is_wanted(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* One document a user, in folders (as Prosody's storage keeps them). */
static void walk_folder(struct walk *w, const char *path, unsigned int depth)
{
	struct dirent **names;
	int n = scandir(path, &names, is_wanted, alphasort);

	for (int i = 0; i < n; i++) {
		char *inside = xasprintf("%s/%s", path, names[i]->d_name);
		size_t len = strlen(inside);
		struct stat st;

		if (!w->im->fatal && lstat(inside, &st) == 0) {
			if (S_ISDIR(st.st_mode) && depth < FOLDERS_MAX)
				walk_folder(w, inside, depth + 1);
			else if (S_ISREG(st.st_mode) && len > 4 &&
				 strcmp(inside + len - 4, ".xml") == 0)
				walk_file(w, inside, LEVEL_TOP, true);
		}
		free(inside);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	else
		import_problem(w->im, "%s: %s", path, strerror(errno));
}

static void walk_path(struct walk *w, const char *path)
{
	char *main_file = xasprintf("%s/" PIE_MAIN_FILE, path);
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		walk_file(w, path, LEVEL_TOP, false);
	else if (access(main_file, F_OK) == 0)
		walk_file(w, main_file, LEVEL_TOP, false);
	else
		walk_folder(w, path, 0);
	free(main_file);
}

/* ---- the command */

static void report(const struct import *im)
{
	const unsigned int *n = im->fates;
	unsigned int done = n[PIE_ADD] + n[PIE_REPLACE] + n[PIE_MERGE] + n[PIE_GO_ON];

	if (im->v->common.json)
		printf("{\"done\":\"%s\",\"added\":%u,\"replaced\":%u,\"merged\":%u,"
		       "\"completed\":%u,\"skipped\":%u,\"problems\":%u}\n",
		       im->v->dry_run ? "dry run" : "import", n[PIE_ADD], n[PIE_REPLACE],
		       n[PIE_MERGE], n[PIE_GO_ON], n[PIE_SKIP], im->problems);
	else
		printf("%s%u account%s imported, %u skipped because they exist%s, %u problem%s\n",
		       im->v->dry_run ? "dry run, nothing was written: " : "", done,
		       done == 1 ? "" : "s", n[PIE_SKIP],
		       n[PIE_SKIP] ? " (--merge adds to them, --replace deletes them first)" : "",
		       im->problems, im->problems == 1 ? "" : "s");
}

static int load_config(struct walk *w, const char *dir)
{
	char *path = xasprintf("%s/" CONFIG_PATH, dir);
	struct str why = STR_INIT;
	int code = COMMAND_OK;

	if (config_load(&w->cfg, path, &why) != ERR_OK)
		code = command_fail("xmpp", COMMAND_UNREACHABLE,
				    "%s; make an instance with 'supervisor -C %s init'", why.data,
				    dir);
	str_clear(&why);
	free(path);
	return code;
}

static int check_options(const struct xmpp_values *v)
{
	if (v->merge && v->replace)
		return command_fail("xmpp", COMMAND_USAGE,
				    "--merge and --replace contradict each other; give one");
	if (v->iterations && (v->iterations < 4096 || v->iterations > 1000000))
		return command_fail("xmpp", COMMAND_USAGE,
				    "--iterations takes 4096 to 1000000, not %ld", v->iterations);
	return COMMAND_OK;
}

int pie_import(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	char *path = realpath(argv[0], NULL); /* the instance becomes the working directory */
	struct import im = {.v = v};
	struct walk w = {.im = &im};
	int code = check_options(v);

	(void)argc;
	if (code == COMMAND_OK && !path)
		code = command_fail("xmpp", COMMAND_REFUSED,
				    "%s: %s; give a file or folder as XEP-0227 describes", argv[0],
				    strerror(errno));
	if (code == COMMAND_OK)
		code = load_config(&w, v->common.dir);
	if (code == COMMAND_OK)
		code = remote_open(v, &im.c);
	if (code == COMMAND_OK) {
		im.xml = xml_in_new();
		walk_path(&w, path);
		report(&im);
		code = im.fatal ? im.fatal : im.problems ? COMMAND_REFUSED : COMMAND_OK;
		xml_in_free(&im.xml);
	}
	bus_client_close(&im.c);
	config_free(&w.cfg);
	free(path);
	return code;
}
