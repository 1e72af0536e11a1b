/*
 * pie_export - accounts as a file, or a folder of files (XEP-0227). One page of one account is in
 * memory at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmem.h"
#include "cli/common/json_line.h"
#include "cli/xmpp/account_data.h"
#include "cli/xmpp/base64.h"
#include "cli/xmpp/pie.h"
#include "cli/xmpp/remote.h"
#include "cli/xmpp/stamp.h"
#include "ipc/codec.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"

#define DECLARATION "<?xml version='1.0' encoding='UTF-8'?>\n"
#define FLUSH_BYTES 65536

struct export
{
	const struct xmpp_values *v;
	struct bus_client *c;
	char *path; /* as given, made absolute; "-" = standard output */
	char *temporary;
	FILE *file; /* of everything, or (folder) of the present user */
	bool folder;
	struct str out; /* not written yet */
	char host[JID_PART_MAX + 1];
	struct str hosts; /* folder: the host file and the main file, as they grow */
	struct str users;
	const char
		*section; /* start tag to be written before the first element of it; NULL = out */
	bool opened;
	size_t accounts;
	struct jid jid; /* the present one */
};

static int cannot(const char *path)
{
	return command_fail("xmpp", COMMAND_REFUSED,
			    "%s: %s; give a file or folder that can be written", path,
			    strerror(errno));
}

static int flush(struct export *x)
{
	bool ok = fwrite(x->out.data, 1, x->out.len, x->file) == x->out.len;

	xwipe(x->out.data, x->out.len);
	str_reset(&x->out);
	return ok ? COMMAND_OK : cannot(x->path);
}

static int flush_some(struct export *x)
{
	return x->out.len > FLUSH_BYTES ? flush(x) : COMMAND_OK;
}

/* Sections are left out when they are empty. */
static void section(struct export *x, const char *start)
{
	x->section = start;
	x->opened = false;
}

static void in_section(struct export *x)
{
	if (!x->opened)
		str_adds(&x->out, x->section);
	x->opened = true;
}

static void end_section(struct export *x, const char *end)
{
	if (x->opened)
		str_adds(&x->out, end);
	x->opened = false;
}

/* ---- what an account has */

static void add_key_part(struct str *out, const char *name, struct slice bytes)
{
	str_addf(out, "<%s>", name);
	base64_write(out, bytes);
	str_addf(out, "</%s>", name);
}

static int write_key(void *arg, const struct db_scram *key)
{
	struct export *x = arg;

	if (slice_is(key->salt, ACCOUNT_DATA_LOCK))
		return COMMAND_OK; /* nobody's */
	str_addf(&x->out,
		 "<scram-credentials xmlns='" PIE_NS_SCRAM "' mechanism='SCRAM-%.*s'>"
		 "<iter-count>%u</iter-count>",
		 SLICE_ARG(key->hash), key->iterations);
	add_key_part(&x->out, "salt", key->salt);
	add_key_part(&x->out, "server-key", key->server_key);
	add_key_part(&x->out, "stored-key", key->stored_key);
	str_adds(&x->out, "</scram-credentials>\n");
	return COMMAND_OK;
}

static void add_request(struct export *x, struct slice from, struct str *requests)
{
	(void)x;
	str_adds(requests, "<presence xmlns='" NS_CLIENT "' type='subscribe'");
	xml_out_attr(requests, "from", from);
	str_adds(requests, "/>\n");
}

/* Behind the roster come the requests that wait for an answer, and who is blocked. */
struct roster_walk {
	struct export *x;
	struct str requests;
	unsigned int order;
};

static void write_item(struct export *x, const struct db_roster_item *item)
{
	static const char *const subscriptions[] = {"none", "to", "from", "both"};
	struct slice groups = item->groups, name;

	in_section(x);
	str_adds(&x->out, "<item");
	xml_out_attr(&x->out, "jid", item->jid);
	if (item->name.len)
		xml_out_attr(&x->out, "name", item->name);
	xml_out_attr(&x->out, "subscription", slice_str(subscriptions[item->subscription & 3]));
	if (item->ask)
		str_adds(&x->out, " ask='subscribe'");
	if (item->approved)
		str_adds(&x->out, " approved='true'");
	str_adds(&x->out, groups.len ? ">" : "/>\n");
	if (!groups.len)
		return;
	while (groups.len && codec_get_str(&groups, &name)) {
		str_adds(&x->out, "<group>");
		xml_out_text(&x->out, name);
		str_adds(&x->out, "</group>");
	}
	str_adds(&x->out, "</item>\n");
}

static int on_item(void *arg, const struct db_roster_item *item)
{
	struct roster_walk *w = arg;

	if (!item) {
		end_section(w->x, "</query>\n");
		str_add_slice(&w->x->out, str_slice(&w->requests));
		section(w->x, "<query xmlns='" PIE_NS_PRIVACY "'><default name='" PIE_BLOCK_LIST
			      "'/>\n<list name='" PIE_BLOCK_LIST "'>\n");
		return COMMAND_OK;
	}
	if (item->pending_in)
		add_request(w->x, item->jid, &w->requests);
	if (!item->pending_in || !item->approved) /* both: no item (db_pack.h) */
		write_item(w->x, item);
	return flush_some(w->x);
}

/* XEP-0191 section 5: the block list is the default privacy list, of items that deny. */
static int on_blocked(void *arg, struct slice jid)
{
	struct roster_walk *w = arg;

	in_section(w->x);
	str_adds(&w->x->out, "<item type='jid'");
	xml_out_attr(&w->x->out, "value", jid);
	str_addf(&w->x->out, " action='deny' order='%u'/>\n", ++w->order);
	return flush_some(w->x);
}

static int write_roster(struct export *x)
{
	struct roster_walk w = {.x = x, .requests = STR_INIT};
	int code;

	section(x, "<query xmlns='" NS_ROSTER "'>\n");
	code = account_data_roster(x->c, &x->jid, on_item, on_blocked, &w);
	if (w.order) /* XEP-0016: what matches nothing is allowed, said or not */
		str_addf(&x->out, "<item action='allow' order='%u'/>\n", w.order + 1);
	end_section(x, "</list></query>\n");
	str_clear(&w.requests);
	return code;
}

static void open_message(struct str *out, struct slice from, struct slice to, uint8_t type,
			 struct slice id, struct slice lang)
{
	str_adds(out, "<message xmlns='" NS_CLIENT "'");
	xml_out_attr(out, "from", from);
	if (to.len)
		xml_out_attr(out, "to", to);
	if (*stanza_type_name(type))
		xml_out_attr(out, "type", slice_str(stanza_type_name(type)));
	if (id.len)
		xml_out_attr(out, "id", id);
	if (lang.len)
		xml_out_attr(out, "xml:lang", lang);
	str_addc(out, '>');
}

static int on_offline(void *arg, const struct db_offline *m)
{
	struct export *x = arg;
	char stamp[STAMP_SIZE];

	in_section(x);
	open_message(&x->out, m->from, m->to, m->type, m->stanza_id, m->lang);
	str_add_slice(&x->out, m->inner);
	str_adds(&x->out, "<delay xmlns='" NS_DELAY "'");
	xml_out_attr(&x->out, "from", x->jid.domain);
	xml_out_attr(&x->out, "stamp", slice_str(stamp_format(stamp, m->stamp_ms)));
	str_adds(&x->out, "/></message>\n");
	return flush_some(x);
}

static int on_value(void *arg, struct slice key, struct slice value)
{
	struct export *x = arg;

	(void)key;
	in_section(x);
	str_add_slice(&x->out, value);
	str_addc(&x->out, '\n');
	return flush_some(x);
}

static void add_jids(struct str *out, const char *name, struct slice jids)
{
	struct slice jid;

	str_addf(out, "<%s>", name);
	while (jids.len && codec_get_str(&jids, &jid)) {
		str_adds(out, "<jid>");
		xml_out_text(out, jid);
		str_adds(out, "</jid>");
	}
	str_addf(out, "</%s>", name);
}

/* XEP-0227 has no place for them; as an extension (section 3) they are what XEP-0441 sends. */
static int on_prefs(void *arg, struct slice key, struct slice value)
{
	struct export *x = arg;
	struct db_archive_prefs p;

	(void)key;
	if (!db_archive_prefs_get(&value, &p))
		return COMMAND_OK;
	str_addf(&x->out, "<prefs xmlns='" PIE_NS_ARCHIVE "' default='%s'>",
		 db_archive_policy_name(p.policy));
	add_jids(&x->out, "always", p.always);
	add_jids(&x->out, "never", p.never);
	str_adds(&x->out, "</prefs>\n");
	return COMMAND_OK;
}

static int on_archived(void *arg, const struct db_archive_entry *e)
{
	struct export *x = arg;
	char stamp[STAMP_SIZE];

	in_section(x);
	str_addf(&x->out,
		 "<result xmlns='" PIE_NS_ARCHIVE
		 "' id='%016llx%08x'><forwarded xmlns='" PIE_NS_FORWARD "'><delay xmlns='" NS_DELAY
		 "' stamp='%s'/>",
		 (unsigned long long)e->id.group, e->id.number, stamp_format(stamp, e->stamp_ms));
	open_message(&x->out, e->from, e->to, e->type, e->stanza_id, e->lang);
	str_add_slice(&x->out, e->inner);
	str_adds(&x->out, "</message></forwarded></result>\n");
	return flush_some(x);
}

static int write_data(struct export *x)
{
	struct account_data_range all = {0};
	int code = account_data_keys(x->c, &x->jid, write_key, x);

	if (code == COMMAND_OK)
		code = write_roster(x);
	section(x, "<offline-messages>\n");
	if (code == COMMAND_OK)
		code = account_data_offline(x->c, &x->jid, on_offline, x);
	end_section(x, "</offline-messages>\n");
	section(x, "");
	if (code == COMMAND_OK)
		code = account_data_values(x->c, &x->jid, DB_DATA_VCARD, on_value, x);
	section(x, "<query xmlns='" PIE_NS_PRIVATE "'>\n");
	if (code == COMMAND_OK)
		code = account_data_values(x->c, &x->jid, DB_DATA_PRIVATE, on_value, x);
	end_section(x, "</query>\n");
	if (code == COMMAND_OK)
		code = account_data_values(x->c, &x->jid, DB_DATA_ARCHIVE_PREFS, on_prefs, x);
	section(x, "<archive xmlns='" PIE_NS_MAM "'>\n");
	if (code == COMMAND_OK)
		code = account_data_archive(x->c, &x->jid, &all, on_archived, x, NULL);
	end_section(x, "</archive>\n");
	return code;
}

/* ---- files */

/* Nobody else may read it (XEP-0227, Security Considerations), and it is there whole or not at all.
 */
static int open_file(struct export *x, const char *path)
{
	int fd;

	free(x->temporary);
	x->temporary = xasprintf("%s.part", path);
	fd = open(x->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	x->file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (x->file && fchmod(fd, 0600) == 0)
		return COMMAND_OK;
	return cannot(x->temporary);
}

static int close_file(struct export *x, const char *path)
{
	int code = flush(x);
	bool ok = fflush(x->file) == 0 && fsync(fileno(x->file)) == 0;

	ok = fclose(x->file) == 0 && ok;
	x->file = NULL;
	if (code == COMMAND_OK && (!ok || rename(x->temporary, path) != 0))
		code = cannot(path);
	if (code != COMMAND_OK)
		unlink(x->temporary);
	return code;
}

static int write_file(struct export *x, const char *path, const struct str *text)
{
	int code = open_file(x, path);

	if (code != COMMAND_OK)
		return code;
	str_reset(&x->out);
	str_add_slice(&x->out, str_slice(text));
	return close_file(x, path);
}

/* The file of one host lists its users (XEP-0227, File and Directory Layout). */
static int end_host(struct export *x)
{
	char *path;
	int code = COMMAND_OK;

	if (!*x->host)
		return COMMAND_OK;
	if (!x->folder) {
		str_adds(&x->out, "</host>\n");
		return COMMAND_OK;
	}
	str_adds(&x->users, "</host>\n");
	path = xasprintf("%s/%s.xml", x->path, x->host);
	code = write_file(x, path, &x->users);
	free(path);
	str_reset(&x->users);
	return code;
}

static void begin_host(struct export *x, struct slice host)
{
	struct str *out = x->folder ? &x->users : &x->out;

	snprintf(x->host, sizeof(x->host), "%.*s", SLICE_ARG(host));
	if (x->folder) {
		str_addf(&x->hosts, "<xi:include href='%s.xml'/>\n", x->host);
		str_adds(out, DECLARATION "<host xmlns='" PIE_NS "' xmlns:xi='" PIE_NS_XI "'");
	} else {
		str_adds(out, "<host");
	}
	xml_out_attr(out, "jid", host);
	str_adds(out, ">\n");
}

/* Names that are awkward as a file or in a URI get a number instead, and with them those that look
 * like that. */
static void file_name(const struct export *x, struct str *out)
{
	struct slice name = x->jid.local;
	bool awkward = name.len > 200 || name.data[0] == '.' ||
		       (name.len > 7 && memcmp(name.data, "account-", 8) == 0);

	for (size_t i = 0; i < name.len; i++)
		awkward = awkward || strchr("%#?\\", name.data[i]);
	if (awkward)
		str_addf(out, "account-%zu.xml", x->accounts + 1);
	else
		str_addf(out, "%.*s.xml", SLICE_ARG(name));
}

static int write_user(struct export *x)
{
	int code;

	str_adds(&x->out, x->folder ? DECLARATION "<user xmlns='" PIE_NS "'" : "<user");
	xml_out_attr(&x->out, "name", x->jid.local);
	str_adds(&x->out, ">\n");
	code = write_data(x);
	str_adds(&x->out, "</user>\n");
	return code;
}

static int write_user_file(struct export *x)
{
	struct str path = STR_INIT, name = STR_INIT;
	int code = COMMAND_OK;

	str_addf(&path, "%s/%s", x->path, x->host);
	if (mkdir(path.data, 0700) != 0 && errno != EEXIST)
		code = cannot(path.data);
	file_name(x, &name);
	str_addf(&path, "/%s", name.data);
	if (code == COMMAND_OK)
		code = open_file(x, path.data);
	if (code == COMMAND_OK)
		code = write_user(x);
	if (code == COMMAND_OK)
		code = close_file(x, path.data);
	str_adds(&x->users, "<xi:include href='");
	xml_out_attr_value(&x->users, slice_str(x->host));
	str_addc(&x->users, '/');
	xml_out_attr_value(&x->users, str_slice(&name));
	str_adds(&x->users, "'/>\n");
	str_clear(&path);
	str_clear(&name);
	return code;
}

static void progress(const struct export *x)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%zu accounts", x->accounts);
}

static int on_account(void *arg, struct slice bare)
{
	struct export *x = arg;
	int code = COMMAND_OK;

	jid_clear(&x->jid);
	if (jid_parse(&x->jid, bare) != ERR_OK)
		return remote_misunderstood();
	if (!slice_is(x->jid.domain, x->host)) {
		code = end_host(x);
		if (code == COMMAND_OK)
			begin_host(x, x->jid.domain);
	}
	if (code == COMMAND_OK)
		code = x->folder ? write_user_file(x) : write_user(x);
	if (code == COMMAND_OK && !x->folder)
		code = flush_some(x);
	x->accounts++;
	if (x->accounts % 100 == 0)
		progress(x);
	return code;
}

/* ---- the command */

/* What is to be exported: everything, a domain, or (in *one) an account. */
static int find_scope(const char *text, char domain[JID_PART_MAX + 1], struct jid *one)
{
	domain[0] = '\0';
	if (!text)
		return COMMAND_OK;
	if (strchr(text, '@'))
		return remote_jid(one, text, false);
	if (jid_prepare_domain(domain, slice_str(text)) == ERR_OK)
		return COMMAND_OK;
	return command_fail("xmpp", COMMAND_USAGE, "--domain: '%s' is neither a domain nor a JID",
			    text);
}

static int begin(struct export *x)
{
	if (strcmp(x->path, "-") == 0)
		x->file = stdout;
	else if (!x->folder && open_file(x, x->path) != COMMAND_OK)
		return COMMAND_REFUSED;
	if (x->folder) {
		str_adds(&x->hosts,
			 DECLARATION "<server-data xmlns='" PIE_NS "' xmlns:xi='" PIE_NS_XI "'>\n");
		return COMMAND_OK;
	}
	str_adds(&x->out, DECLARATION "<server-data xmlns='" PIE_NS "'>\n");
	return COMMAND_OK;
}

static int finish(struct export *x)
{
	int code = end_host(x);
	char *path;

	if (code != COMMAND_OK)
		return code;
	if (x->folder) {
		str_adds(&x->hosts, "</server-data>\n");
		path = xasprintf("%s/" PIE_MAIN_FILE, x->path);
		code = write_file(x, path, &x->hosts);
		free(path);
		return code;
	}
	str_adds(&x->out, "</server-data>\n");
	return x->file == stdout ? flush(x) : close_file(x, x->path);
}

static void report(const struct export *x)
{
	struct str out = STR_INIT;

	if (isatty(STDERR_FILENO))
		fputs("\r", stderr);
	if (x->file == stdout)
		return;
	if (x->v->common.json) {
		str_addf(&out, "{\"exported\":%zu,\"to\":", x->accounts);
		json_line_put_text(&out, slice_str(x->path));
		str_adds(&out, "}");
	} else {
		str_addf(&out, "exported %zu account%s to %s%s", x->accounts,
			 x->accounts == 1 ? "" : "s", x->path,
			 x->folder ? " (" PIE_MAIN_FILE ")" : "");
	}
	puts(out.data);
	str_clear(&out);
}

static bool is_folder(const char *path)
{
	size_t len = strlen(path);
	struct stat st;

	return path[len - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

/* The instance becomes the working directory, the file is not in it. */
static char *absolute(const char *path)
{
	char here[PATH_MAX];

	if (*path == '/' || strcmp(path, "-") == 0 || !getcwd(here, sizeof(here)))
		return xstrdup(path);
	return xasprintf("%s/%s", here, path);
}

static int run(struct export *x, const char *domain, const struct jid *one)
{
	int code = begin(x);

	if (code == COMMAND_OK && one->text)
		code = account_data_need(x->c, one);
	if (code == COMMAND_OK)
		code = one->text ? on_account(x, jid_bare(one))
				 : account_data_each(x->c, slice_str(domain), on_account, x);
	if (code == COMMAND_OK)
		code = finish(x);
	if (code == COMMAND_OK)
		report(x);
	else if (x->temporary && x->file != stdout)
		unlink(x->temporary);
	if (x->file && x->file != stdout)
		fclose(x->file);
	return code;
}

int pie_export(const void *values, int argc, char **argv)
{
	const struct xmpp_values *v = values;
	struct export x = {.v = v, .out = STR_INIT, .hosts = STR_INIT, .users = STR_INIT};
	char domain[JID_PART_MAX + 1];
	struct jid one = JID_NONE;
	int code = find_scope(v->domain, domain, &one);

	(void)argc;
	if (!*argv[0])
		code = command_fail("xmpp", COMMAND_USAGE, "the name of the file is empty");
	x.path = absolute(argv[0]);
	x.folder = *argv[0] && strcmp(argv[0], "-") != 0 && is_folder(argv[0]);
	if (code == COMMAND_OK && x.folder && mkdir(x.path, 0700) != 0 && errno != EEXIST)
		code = cannot(x.path);
	if (code == COMMAND_OK)
		code = remote_open(v, &x.c);
	if (code == COMMAND_OK)
		code = run(&x, domain, &one);
	bus_client_close(&x.c);
	jid_clear(&x.jid);
	jid_clear(&one);
	xwipe(x.out.data, x.out.len);
	str_clear(&x.out);
	str_clear(&x.hosts);
	str_clear(&x.users);
	free(x.temporary);
	free(x.path);
	return code;
}
