#include "proc/privs.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool is_gone(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0)
		return false;
	if (r != uid || e != uid || s != uid || rg != gid || eg != gid || sg != gid)
		return false;
	/* The way back must be shut: also with capabilities that survived by accident. */
	return setuid(0) < 0 && getgroups(0, NULL) == 0;
}

enum err privs_drop(int64_t uid, int64_t gid, struct str *why)
{
	const char *call = "prctl(PR_SET_NO_NEW_PRIVS)";

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		goto failed;
	if (uid < 0)
		return ERR_OK;
	if (uid == 0 || gid <= 0) {
		str_adds(why,
			 "refusing to run as root; set the section users in the configuration");
		return ERR_DENIED;
	}
	call = "setgroups";
	if (setgroups(0, NULL) < 0)
		goto failed;
	call = "setgid";
	if (setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) < 0)
		goto failed;
	call = "setuid";
	if (setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) < 0)
		goto failed;
	if (is_gone((uid_t)uid, (gid_t)gid))
		return ERR_OK;
	str_adds(why, "rights of root are still there after setuid; refusing to run");
	return ERR_DENIED;
failed:
	str_addf(why, "cannot give up rights: %s: %s", call, strerror(errno));
	return ERR_DENIED;
}

enum err privs_find(const char *user, const char *group, uid_t *uid, gid_t *gid, struct str *why)
{
	struct group *gr = getgrnam(group);
	struct passwd *pw = getpwnam(user);

	if (!gr) {
		str_addf(why, "group %s does not exist; create it: groupadd --system %s", group,
			 group);
		return ERR_NOTFOUND;
	}
	if (!pw) {
		str_addf(why, "user %s does not exist; create it: useradd --system -g %s %s", user,
			 group, user);
		return ERR_NOTFOUND;
	}
	if (pw->pw_uid == 0 || gr->gr_gid == 0) {
		str_addf(why, "user %s, group %s: a service does not run as root; name another",
			 user, group);
		return ERR_DENIED;
	}
	*uid = pw->pw_uid;
	*gid = gr->gr_gid;
	return ERR_OK;
}
