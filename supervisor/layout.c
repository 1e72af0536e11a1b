#include "supervisor/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmem.h"
#include "proc/config.h"
#include "proc/privs.h"
#include "supervisor/spawn.h"
#include "supervisor/table.h"

/* Modes as root; "" = root:root, "group" = root:roundhouse, else a service's user. */
static const struct {
	const char *path;
	const char *owner;
	mode_t mode;
} folders[] = {
	{".", "group", 0750},		 /* passage for services */
	{"conf", "group", 0750},	 /* read by all of them */
	{"pki", "group", 0750},		 /* keys in it are root's, passed as descriptors */
	{"log", "", 0700},		 /* written by the supervisor only */
	{"run", "group", 0750},		 /* run/service.sock */
	{"run/log", "", 0700},		 /* FIFOs, opened before rights are dropped */
	{"run/bus", "router", 0750},	 /* the router binds, members of the group connect */
	{"run/metrics", "group", 03770}, /* each binds its own socket, which the group may use */
	{"run/callbridge", "callbridge", 0700}, /* where it tells its status */
	{"data", "datastore", 0700},
};

enum err layout_user(const struct table_row *row, const struct config *cfg, int64_t *uid,
		     int64_t *gid, struct str *why)
{
	enum err e;
	uid_t u;
	gid_t g;

	*uid = *gid = -1;
	if (geteuid() != 0)
		return ERR_OK;
	e = privs_find(table_user(row, cfg), cfg->users_group, &u, &g, why);
	if (e)
		return e;
	*uid = u;
	*gid = g;
	return ERR_OK;
}

static enum err apply_one(size_t i, const struct config *cfg, struct str *why)
{
	bool root = geteuid() == 0;
	const struct table_row *row = table_find(folders[i].owner);
	int64_t uid = 0, gid = 0;
	struct group *gr = root ? getgrnam(cfg->users_group) : NULL;
	struct str unwanted = STR_INIT;
	enum err e;

	/* A service that is not wanted need not have its user: the instance is older than it. */
	if (root && row && table_instances(row, cfg) > 0 &&
	    (e = layout_user(row, cfg, &uid, &gid, why)))
		return e;
	if (root && row && table_instances(row, cfg) == 0 &&
	    layout_user(row, cfg, &uid, &gid, &unwanted))
		uid = gid = 0;
	str_clear(&unwanted);
	if (root && strcmp(folders[i].owner, "group") == 0 && gr)
		gid = gr->gr_gid;
	if (mkdir(folders[i].path, 0700) < 0 && errno != EEXIST)
		goto failed;
	if (root && chown(folders[i].path, (uid_t)uid, (gid_t)gid) < 0)
		goto failed;
	if (chmod(folders[i].path, root ? folders[i].mode : 0700) < 0)
		goto failed;
	return ERR_OK;
failed:
	str_addf(why, "%s: %s", folders[i].path, strerror(errno));
	return ERR_IO;
}

void layout_readable(const struct config *cfg)
{
	static const char *const readable[] = {CONFIG_PATH, CONFIG_MANAGED_PATH};
	struct group *gr = geteuid() == 0 ? getgrnam(cfg->users_group) : NULL;

	for (size_t i = 0; gr && i < sizeof(readable) / sizeof(readable[0]); i++)
		if (chown(readable[i], 0, gr->gr_gid) == 0 && chmod(readable[i], 0640) < 0)
			log_warn("-", "event=chmod_failed path=%s reason=\"%s\"", readable[i],
				 strerror(errno));
}

enum err layout_apply(const struct config *cfg, struct str *why)
{
	enum err e = ERR_OK;

	for (size_t i = 0; !e && i < sizeof(folders) / sizeof(folders[0]); i++)
		e = apply_one(i, cfg, why);
	layout_readable(cfg);
	return e;
}

static enum err make_user(const char *user, const char *group, struct str *done, struct str *why)
{
	const char *const argv[] = {"/usr/sbin/useradd",
				    "--system",
				    "--no-create-home",
				    "--home-dir",
				    "/nonexistent",
				    "--shell",
				    "/usr/sbin/nologin",
				    "--gid",
				    group,
				    "--comment",
				    "Roundhouse",
				    user,
				    NULL};
	enum err e;

	if (getpwnam(user))
		return ERR_OK;
	e = spawn_wait(argv, why);
	if (!e)
		str_addf(done, "created user %s\n", user);
	return e;
}

enum err layout_make_users(const struct config *cfg, struct str *done, struct str *why)
{
	const char *const groupadd[] = {"/usr/sbin/groupadd", "--system", cfg->users_group, NULL};
	enum err e = ERR_OK;

	if (geteuid() != 0)
		return ERR_OK;
	if (!getgrnam(cfg->users_group)) {
		e = spawn_wait(groupadd, why);
		if (!e)
			str_addf(done, "created group %s\n", cfg->users_group);
	}
	for (size_t i = 0; !e && i < table_len; i++)
		e = make_user(table_user(&table_rows[i], cfg), cfg->users_group, done, why);
	return e;
}

static bool write_all(int fd, struct slice bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.data, bytes.len);

		if (n < 0)
			return false;
		bytes = slice_of(bytes.data + n, bytes.len - (size_t)n);
	}
	return fsync(fd) == 0;
}

enum err layout_write_file(const char *path, struct slice bytes, const struct config *cfg,
			   struct str *why)
{
	struct group *gr = geteuid() == 0 ? getgrnam(cfg->users_group) : NULL;
	char *tmp = xasprintf("%s.new", path);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write_all(fd, bytes);

	if (ok && gr)
		ok = fchown(fd, 0, gr->gr_gid) == 0 && fchmod(fd, 0640) == 0;
	ok = ok && rename(tmp, path) == 0;
	if (!ok) {
		str_addf(why, "%s: %s", path, strerror(errno));
		unlink(tmp);
	}
	if (fd >= 0)
		close(fd);
	free(tmp);
	return ok ? ERR_OK : ERR_IO;
}
