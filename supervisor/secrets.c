#include "supervisor/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc/config.h"
#include "proc/inherit.h"
#include "supervisor/table.h"

static int open_secret(const struct table_row *row, const struct config *cfg, struct str *why)
{
	const char *path = *(char *const *)((const char *)cfg + row->secret);
	/* A fifo that somebody put there must not stop us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & 077))
		return fd;
	if (fd >= 0)
		str_addf(why, "%s: %s: it must be a file that only its owner can read; chmod 600",
			 row->secret_name, path);
	else
		str_addf(why, "%s: %s: %s; set it with `callbridge secret`", row->secret_name, path,
			 strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

bool secrets_add(const struct table_row *row, const struct config *cfg, struct inherit *in,
		 struct str *why)
{
	int fd = row->secret ? open_secret(row, cfg, why) : -1;

	if (fd >= 0)
		inherit_add_fd(in, INHERIT_FILE, fd, row->secret_name, NULL);
	return fd >= 0 || !row->secret;
}

bool secrets_missing(const struct config *cfg, struct str *why)
{
	for (size_t i = 0; i < table_len; i++) {
		const struct table_row *row = &table_rows[i];
		int fd;

		if (!row->secret || table_instances(row, cfg) == 0)
			continue;
		fd = open_secret(row, cfg, why);
		if (fd < 0)
			return true;
		close(fd);
	}
	return false;
}
