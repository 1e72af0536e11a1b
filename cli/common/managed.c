/*
 * With a supervisor the step is its own: it judges the candidate, opens what it names, renames it
 * and puts it in force, so that the death of this command changes nothing half. Without one the
 * candidate is judged by a `supervisor check` and renamed here, and none can start meanwhile.
 */
#include "cli/common/managed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/config.h"
#include "proc/config_set.h"
#include "proc/sup_client.h"

#define LOCK_PATH	"conf/managed.lock"
#define SUPERVISOR_LOCK "run/supervisor.pid" /* held by the supervisor of this instance */
#define PATIENCE	600 /* times PAUSE_NS: a minute for another command, start or reload */
#define PAUSE_NS	100000000L

struct managed {
	int lock;
	struct config *cfg;
	struct config_set *set;
	uint64_t mark; /* of the file that was read */
};

static const char *bin_dir; /* NULL: beside this program */

void managed_use_programs(const char *dir)
{
	bin_dir = dir;
}

static void pause_shortly(void)
{
	struct timespec pause = {.tv_nsec = PAUSE_NS};

	nanosleep(&pause, NULL);
}

/* ---- rights and the lock ---- */

static bool is_denied(int error)
{
	return error == EACCES || error == EPERM || error == EROFS;
}

static enum err deny(struct str *why)
{
	struct stat st;
	struct passwd *pw = stat("conf", &st) == 0 ? getpwuid(st.st_uid) : NULL;

	str_addf(why,
		 "only the administrator of this instance may change its configuration; run it as "
		 "%s%s",
		 pw ? pw->pw_name : "the owner of conf/",
		 pw && pw->pw_uid == 0 ? "" : ", or as root");
	return ERR_DENIED;
}

/* What root writes in another user's instance stays that user's. */
static bool give_to_owner(int fd)
{
	struct stat st;

	return geteuid() != 0 || (stat("conf", &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0);
}

static enum err lock(struct managed *m, struct str *why)
{
	m->lock = open(LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (m->lock < 0 && is_denied(errno))
		return deny(why);
	if (m->lock < 0 || !give_to_owner(m->lock)) {
		str_addf(why, LOCK_PATH ": %s; is this an instance directory?", strerror(errno));
		return ERR_IO;
	}
	for (int i = 0; flock(m->lock, LOCK_EX | LOCK_NB) < 0; i++) {
		if (i == PATIENCE) {
			str_adds(why, "another command has been changing the configuration for a "
				      "minute; end it and try again");
			return ERR_TIMEOUT;
		}
		pause_shortly();
	}
	return ERR_OK;
}

enum err managed_open(struct managed **out, struct str *why)
{
	struct managed *m = xcalloc(1, sizeof(*m));
	enum err e = ERR_OK;

	m->lock = -1;
	m->set = config_set_new();
	if (access("conf", X_OK) < 0 && is_denied(errno))
		e = deny(why);
	if (!e)
		e = lock(m, why);
	if (!e)
		m->mark = config_file_mark(CONFIG_MANAGED_PATH);
	if (!e)
		e = config_set_load(m->set, CONFIG_MANAGED_PATH, why);
	if (!e)
		e = config_load(&m->cfg, CONFIG_PATH, why);
	if (e)
		managed_close(&m);
	*out = m;
	return e;
}

void managed_close(struct managed **mp)
{
	struct managed *m = *mp;

	*mp = NULL;
	if (!m)
		return;
	if (m->lock >= 0)
		close(m->lock);
	config_free(&m->cfg);
	config_set_free(&m->set);
	free(m);
}

const struct config *managed_config(const struct managed *m)
{
	return m->cfg;
}

void managed_set_text(struct managed *m, const char *name, const char *value)
{
	config_set_text(m->set, name, value);
}

void managed_set_number(struct managed *m, const char *name, int64_t value)
{
	config_set_number(m->set, name, value);
}

void managed_set_flag(struct managed *m, const char *name, bool value)
{
	config_set_flag(m->set, name, value);
}

void managed_set_list(struct managed *m, const char *name, const char *const *values)
{
	config_set_list(m->set, name, values);
}

void managed_unset(struct managed *m, const char *name)
{
	config_set_remove(m->set, name);
}

/* ---- the candidate ---- */

static void render(const struct managed *m, struct str *out)
{
	struct passwd *pw = getpwuid(getuid());
	time_t now = time(NULL);
	char date[32] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	str_addf(out,
		 "# Written by commands (%s, by %s, %s): each writes it anew, comments are lost.\n"
		 "# What stands here wins over the same key in roundhouse.conf.\n",
		 program_invocation_short_name, pw ? pw->pw_name : "?", date);
	config_set_format(out, m->set);
}

static bool write_all(int fd, struct slice bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.data, bytes.len);

		if (n < 0)
			return false;
		bytes = slice_of(bytes.data + n, bytes.len - (size_t)n);
	}
	return true;
}

/* Root's services are other users: who may pass into conf/ may read what is in it. */
static bool let_read(int fd)
{
	struct stat st;

	return geteuid() != 0 ||
	       (stat("conf", &st) == 0 && fchmod(fd, st.st_mode & 0010 ? 0640 : 0600) == 0);
}

/* Renamed into place: a supervisor that still works for a command that was killed shall not read
 * half of ours. */
static enum err write_candidate(const struct managed *m, struct str *why)
{
	static const char tmp[] = CONFIG_CANDIDATE_PATH ".new";
	struct str text = STR_INIT;
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok;

	render(m, &text);
	ok = fd >= 0 && write_all(fd, str_slice(&text)) && give_to_owner(fd) && let_read(fd) &&
	     fsync(fd) == 0 && rename(tmp, CONFIG_CANDIDATE_PATH) == 0;
	if (!ok) {
		str_addf(why, CONFIG_MANAGED_PATH " cannot be written: %s; nothing was changed",
			 strerror(errno));
		unlink(tmp);
	}
	if (fd >= 0)
		close(fd);
	str_clear(&text);
	return ok ? ERR_OK : ERR_IO;
}

/* People know the file by the name that it will have. */
static void add_reasons(struct str *why, const char *text)
{
	static const char *const names[] = {CONFIG_CANDIDATE_PATH, CONFIG_JUDGED_PATH,
					    CONFIG_MERGED_PATH};

	while (*text && strcmp(text, "\n") != 0) {
		size_t skip = 0;

		for (size_t i = 0; i < 3; i++)
			if (strncmp(text, names[i], strlen(names[i])) == 0)
				skip = strlen(names[i]);
		if (skip)
			str_adds(why, CONFIG_MANAGED_PATH);
		else
			str_addc(why, *text);
		text += skip ? skip : 1;
	}
}

/* ---- without a supervisor ---- */

/* What a supervisor holds while it runs, and one that starts waits for: it would read the file of
 * before. *fd -1 and ERR_OK: there has never been one. ERR_AGAIN: there is one. */
static enum err keep_supervisor_away(int *fd, struct str *why)
{
	*fd = open(SUPERVISOR_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0 && errno == ENOENT)
		return ERR_OK;
	if (*fd < 0 && is_denied(errno))
		return deny(why);
	if (*fd < 0 || !give_to_owner(*fd)) {
		str_addf(why, SUPERVISOR_LOCK ": %s; nothing was changed", strerror(errno));
		return ERR_IO;
	}
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return ERR_OK;
	close(*fd);
	*fd = -1;
	return ERR_AGAIN;
}

/* Then a change could not be put in force, and neither could it be told apart from one that waits
 * for the operator. */
static bool services_run(void)
{
	DIR *d = opendir("run");
	struct dirent *e;
	bool any = false;

	while (d && !any && (e = readdir(d))) {
		size_t n = strlen(e->d_name);
		int fd;

		if (n <= 5 || strcmp(e->d_name + n - 5, ".lock") != 0)
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDWR | O_CLOEXEC);
		any = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	return any;
}

static char *supervisor_program(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (bin_dir)
		return xasprintf("%s/supervisor", bin_dir);
	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	return xasprintf("%.*s/supervisor", slash ? (int)(slash - path) : 0, path);
}

/* Root in another user's instance: that user's services judge. */
static bool become_owner(void)
{
	struct stat st;
	struct passwd *pw;

	if (geteuid() != 0)
		return true;
	if (stat("conf", &st) < 0)
		return false;
	if (st.st_uid == 0)
		return true;
	pw = getpwuid(st.st_uid);
	return (pw ? initgroups(pw->pw_name, st.st_gid) : setgroups(0, NULL)) == 0 &&
	       setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0;
}

static void judge_child(const char *program, int out)
{
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	if (become_owner())
		execl(program, program, "check", "--candidate", (char *)NULL);
	dprintf(STDERR_FILENO, "%s: %s; install all programs in one folder\n", program,
		strerror(errno));
	_exit(127);
}

static enum err judge(struct str *why)
{
	char *program = supervisor_program(), bytes[4096];
	struct str said = STR_INIT;
	int out[2], status = -1;
	pid_t pid = -1;
	ssize_t n;

	if (pipe2(out, O_CLOEXEC) == 0) {
		pid = fork();
		if (pid == 0)
			judge_child(program, out[1]);
		close(out[1]);
		while (pid > 0 && (n = read(out[0], bytes, sizeof(bytes))) > 0)
			str_add(&said, bytes, (size_t)n);
		close(out[0]);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (status != 0)
		add_reasons(why, said.len ? said.data : "`supervisor check` could not be run");
	str_clear(&said);
	free(program);
	return status == 0 ? ERR_OK : ERR_FORMAT;
}

static void sync_folder(void)
{
	int fd = open("conf", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

static enum err commit_alone(struct str *why)
{
	enum err e;

	if (services_run()) {
		str_adds(why, "services run here without their supervisor; adopt them with "
			      "`supervisor start`, then try again");
		return ERR_AGAIN;
	}
	e = judge(why);
	if (!e && rename(CONFIG_CANDIDATE_PATH, CONFIG_MANAGED_PATH) < 0) {
		str_addf(why, CONFIG_MANAGED_PATH ": %s; nothing was changed", strerror(errno));
		e = ERR_IO;
	}
	sync_folder();
	return e;
}

/* ---- with a supervisor ---- */

/* It has gone without a last word: what stands in the file tells how far it had come. */
static enum err after_its_death(uint64_t mine, struct str *why)
{
	if (config_file_mark(CONFIG_MANAGED_PATH) == mine) {
		str_adds(why,
			 "the supervisor ended meanwhile; the change stands in " CONFIG_MANAGED_PATH
			 ": `supervisor start`, then `supervisor reload`");
		return ERR_OK;
	}
	str_adds(why, "the supervisor ended meanwhile and nothing was changed; `supervisor start`, "
		      "then try again");
	return ERR_IO;
}

static enum err ask(struct sup_client *c, const struct managed *m, struct str *said)
{
	char request[64];

	snprintf(request, sizeof(request), "commit %016" PRIx64, m->mark);
	return sup_client_request(c, request, said, NULL, NULL);
}

/* What is not news: that nothing has changed, and the warnings before it, is what a failure means
 * here, and a success that all is in force. */
static const char *without_frame(struct str *said, enum err e)
{
	static const char first[] = "refused, nothing has changed:\n", last[] = "configuration ";
	char *end = said->data + said->len, *refused;

	if (e == ERR_OK) {
		while (end > said->data && (end[-1] == '\n' && end == said->data + said->len))
			end--;
		while (end > said->data && end[-1] != '\n')
			end--;
		if (strncmp(end, last, strlen(last)) == 0)
			*end = '\0';
	}
	refused = strstr(said->data, first);
	return refused ? refused + strlen(first) : said->data;
}

static enum err commit_with(struct sup_client *c, const struct managed *m, struct str *why)
{
	uint64_t mine = config_file_mark(CONFIG_CANDIDATE_PATH);
	struct str said = STR_INIT;
	enum err e = ask(c, m, &said);

	for (int i = 0; e == ERR_AGAIN && i < PATIENCE; i++) {
		pause_shortly();
		str_reset(&said);
		e = ask(c, m, &said);
	}
	if (e == ERR_CLOSED || e == ERR_IO)
		e = after_its_death(mine, why);
	else
		add_reasons(why, without_frame(&said, e));
	if (e == ERR_TIMEOUT)
		str_adds(why, "it may yet put the change in force: see 'xmpp status' then");
	/* In force, though not everywhere: why says where not. */
	if (e == ERR_CONFLICT)
		e = ERR_OK;
	str_clear(&said);
	return e;
}

/* The supervisor, or *c NULL: there is none, and none starts before *lock is closed. */
static enum err reach_supervisor(struct sup_client **c, int *lock, struct str *why)
{
	enum err e = ERR_AGAIN;

	for (int i = 0; e == ERR_AGAIN && i < PATIENCE; i++) {
		if (i > 0)
			pause_shortly();
		e = sup_client_open(c, ".");
		if (e == ERR_DENIED)
			deny(why);
		else if (e)
			e = keep_supervisor_away(lock, why);
	}
	if (e == ERR_AGAIN)
		str_adds(why, "the supervisor has been starting or ending for a minute; see "
			      "log/supervisor.log");
	return e;
}

enum err managed_commit(struct managed *m, struct str *why)
{
	struct sup_client *c = NULL;
	int lock = -1;
	enum err e = reach_supervisor(&c, &lock, why);

	if (!e)
		e = write_candidate(m, why);
	if (!e)
		e = c ? commit_with(c, m, why) : commit_alone(why);
	sup_client_close(&c);
	unlink(CONFIG_CANDIDATE_PATH);
	if (lock >= 0)
		close(lock);
	return e;
}
