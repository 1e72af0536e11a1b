/* A real full disk: a tmpfs of 16 MB, mounted in a mount namespace of this process, so that it is
 * gone with it whatever happens. Needs the right to mount. */
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "store_rig.h"
#include "datastore/quarantine.h"

#define DISK_BYTES "16m"
#define ROOM	   (1024 * 1024)

static bool mounted;

/* Fills the disk of dir but for `leave` bytes. */
static void fill(const char *dir, uint64_t leave)
{
	static char block[4096];
	char path[200];
	uint64_t free_bytes = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/ballast", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	while (disk_free_bytes(dir, &free_bytes) == ERR_OK && free_bytes > leave &&
	       write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

static void unfill(const char *dir)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/ballast", dir);
	assert_int_equal(unlink(path), 0);
}

/* Adds users from *next on until the disk refuses one; returns that answer. */
static enum err add_until_refused(struct store_rig *r, unsigned int *next)
{
	char name[256];
	enum err e;

	do {
		snprintf(name, sizeof(name), "user%u-%0200u", *next, 0u);
		e = rig_ask_take(r, 1000 + *next, rig_add(name));
	} while (e == ERR_OK && ++*next < 20000);
	return e;
}

static void expect_users(struct store_rig *r, unsigned int from, unsigned int to, enum err want)
{
	char name[256];

	for (; from < to; from++) {
		snprintf(name, sizeof(name), "user%u-%0200u", from, 0u);
		if (rig_ask_take(r, 1, rig_get(name, "SCRAM-SHA-256")) != want)
			fail_msg("user %u: %s", from, r->text.data);
	}
}

static void a_full_disk_refuses_writes_answers_reads_and_recovers(void **state)
{
	struct store_rig *r = *state;
	unsigned int users = 0, before;

	if (!mounted)
		skip();
	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	fill(r->f.dir, ROOM);
	assert_int_equal(add_until_refused(r, &users), ERR_NOSPACE);
	assert_string_equal(r->text.data, disk_text(DISK_FULL));
	assert_true(users > 10);
	rig_turn(r, 0, 20);
	assert_non_null(r->alarm);
	assert_string_equal(r->alarm, disk_text(DISK_FULL));
	/* What was answered is there, what was refused is not, and it stays so. */
	expect_users(r, 0, users, ERR_OK);
	expect_users(r, users, users + 1, ERR_NOTFOUND);
	assert_int_equal(rig_ask_take(r, 2, rig_add("romeo")), ERR_NOSPACE);
	assert_int_equal(rig_ask_take(r, 3, rig_get("juliet", "SCRAM-SHA-1")), ERR_OK);
	before = users;
	unfill(r->f.dir);
	rig_turn(r, 0, 2500);
	assert_null(r->alarm); /* by itself, nobody wrote */
	assert_int_equal(rig_ask_take(r, 2, rig_add("romeo")), ERR_OK);
	expect_users(r, 0, before, ERR_OK);
	/* The same file, opened again, is whole. */
	store_close(&r->store);
	r->options.check = SCHEMA_CHECK_FULL;
	rig_start(r);
	expect_users(r, 0, before, ERR_OK);
	expect_users(r, before, before + 1, ERR_NOTFOUND);
}

static void the_watermark_keeps_room_for_removals(void **state)
{
	struct store_rig *r = *state;
	struct store_options o = r->options;

	if (!mounted)
		skip();
	o.min_free = 4 * ROOM;
	store_set_options(r->store, &o);
	assert_int_equal(rig_ask_take(r, 1, rig_add("juliet")), ERR_OK);
	fill(r->f.dir, 3 * ROOM);
	assert_int_equal(rig_ask_take(r, 2, rig_add("romeo")), ERR_NOSPACE);
	assert_string_equal(r->text.data, disk_text(DISK_LOW));
	rig_turn(r, 0, 20);
	assert_string_equal(r->alarm, disk_text(DISK_LOW));
	assert_int_equal(rig_ask_take(r, 3, rig_del("juliet")), ERR_OK);
	unfill(r->f.dir);
	assert_int_equal(rig_ask_take(r, 2, rig_add("romeo")), ERR_OK);
	rig_turn(r, 0, 20);
	assert_null(r->alarm);
}

/* One change of the shelf; length 0: the row's deletion. */
static struct str shelf_request(uint64_t n, size_t length)
{
	struct str body = STR_INIT, changes = STR_INIT, s = STR_INIT;
	struct db_shelf_change c = {.op = SHELF_PUT, .sid = UINT64_MAX, .kind = 2, .n = n};

	while (body.len < length)
		str_addc(&body, 'b');
	c.op = length ? SHELF_PUT : SHELF_DEL;
	c.upto = n;
	c.body = str_slice(&body);
	db_shelf_change_put(&changes, &c);
	if (length)
		msg_db_shelf_put(&s, &(struct msg_db_shelf){str_slice(&changes)});
	else
		msg_db_shelf_del_put(&s, &(struct msg_db_shelf_del){str_slice(&changes)});
	str_clear(&body);
	str_clear(&changes);
	return s;
}

/* The numbers first..last are there, and nothing else. */
static void expect_shelf(struct store_rig *r, uint64_t first, uint64_t last)
{
	struct msg_db_shelf_rows m = {.more = 1};
	struct db_shelf_row row = {0};
	struct str s;

	while (m.more) {
		str_init(&s);
		msg_db_shelf_get_put(&s,
				     &(struct msg_db_shelf_get){row.sid, row.kind, row.n, 100000});
		assert_int_equal(rig_ask_take(r, 1, s), ERR_OK);
		assert_int_equal(msg_db_shelf_rows_get(rig_body(r, MSG_DB_SHELF_ROWS), &m), ERR_OK);
		while (m.list.len) {
			assert_true(db_shelf_row_get(&m.list, &row));
			assert_int_equal(row.n, first++);
		}
	}
	assert_int_equal(first, last + 1);
}

static struct str quarantine_request(size_t length)
{
	struct str bytes = STR_INIT, s = STR_INIT;

	while (bytes.len < length)
		str_addc(&bytes, 'q');
	msg_db_quarantine_put(&s, &(struct msg_db_quarantine){S("a stanza"), str_slice(&bytes)});
	str_clear(&bytes);
	return s;
}

static void a_full_disk_keeps_the_shelf_whole(void **state)
{
	struct store_rig *r = *state;
	uint64_t n = 0, removed = 0;
	enum err e;

	if (!mounted)
		skip();
	fill(r->f.dir, ROOM);
	do
		e = rig_ask_take(r, 1000 + n, shelf_request(n + 1, 20000));
	while (e == ERR_OK && ++n < 1000);
	assert_int_equal(e, ERR_NOSPACE);
	assert_true(n > 10);
	expect_shelf(r, 1, n);
	unfill(r->f.dir);
	/* Within the watermark rows go and none comes. */
	r->options.min_free = 8 * ROOM;
	store_set_options(r->store, &r->options);
	fill(r->f.dir, 6 * ROOM);
	while (removed < 10)
		assert_int_equal(rig_ask_take(r, 3000, shelf_request(++removed, 0)), ERR_OK);
	assert_int_equal(rig_ask_take(r, 4000, shelf_request(n + 1, 100)), ERR_NOSPACE);
	assert_int_equal(rig_ask_take(r, 4001, quarantine_request(10)), ERR_NOSPACE);
	assert_string_equal(r->text.data, disk_text(DISK_LOW));
	expect_shelf(r, 11, n);
	unfill(r->f.dir);
	assert_int_equal(rig_ask_take(r, 4000, shelf_request(n + 1, 100)), ERR_OK);
	store_close(&r->store);
	r->options.check = SCHEMA_CHECK_FULL;
	rig_start(r);
	expect_shelf(r, 11, n + 1);
}

static void a_full_disk_leaves_no_half_file_in_quarantine(void **state)
{
	struct store_rig *r = *state;
	char dir[200];
	struct quarantine *q;

	if (!mounted)
		skip();
	rig_turn(r, 0, 20); /* the first look at the disk */
	snprintf(dir, sizeof(dir), "%s/quarantine", r->f.dir);
	assert_int_equal(rig_ask_take(r, 1, quarantine_request(10)), ERR_OK);
	assert_string_equal(r->alarm, QUARANTINE_TEXT);
	fill(r->f.dir, ROOM);
	assert_int_equal(rig_ask_take(r, 2, quarantine_request(2 * ROOM)), ERR_NOSPACE);
	assert_non_null(strstr(r->text.data, "No space left on device; check"));
	q = quarantine_new(dir);
	assert_int_equal(quarantine_count(q), 1);
	quarantine_free(&q);
	/* The disk's trouble is told before what lies in quarantine. */
	assert_int_equal(rig_ask_take(r, 3, shelf_request(1, 2 * ROOM)), ERR_NOSPACE);
	rig_turn(r, 0, 20);
	assert_string_equal(r->alarm, disk_text(DISK_FULL));
	assert_int_equal(rig_ask_take(r, 2, quarantine_request(10)), ERR_NOSPACE);
	unfill(r->f.dir);
	rig_turn(r, 0, 2500);
	assert_string_equal(r->alarm, QUARANTINE_TEXT);
	assert_int_equal(rig_ask_take(r, 2, quarantine_request(10)), ERR_OK);
}

static void a_start_on_a_full_disk_says_so_and_leaves_nothing(void **state)
{
	struct store_rig *r = *state;
	struct str why = STR_INIT;
	char path[200];

	if (!mounted)
		skip();
	store_close(&r->store);
	snprintf(path, sizeof(path), "%s/another.db", r->f.dir);
	r->options.path = path;
	fill(r->f.dir, 0);
	assert_int_not_equal(rig_open(r, &why), ERR_OK);
	assert_non_null(strstr(why.data, "another.db"));
	assert_non_null(strstr(why.data, "full"));
	assert_int_equal(access(path, F_OK), -1);
	unfill(r->f.dir);
	str_reset(&why);
	assert_int_equal(rig_open(r, &why), ERR_OK);
	str_clear(&why);
}

static int setup(void **state)
{
	struct store_rig *r;

	rig_setup(state);
	r = *state;
	r->options.limits.shelf_bytes = 1 << 30;
	if (!mounted)
		return 0;
	store_close(&r->store);
	fixture_remove_dir(r->f.dir);
	mkdir(r->f.dir, 0700);
	assert_int_equal(mount("tmpfs", r->f.dir, "tmpfs", 0, "size=" DISK_BYTES ",mode=700"), 0);
	rig_start(r);
	return 0;
}

static int teardown(void **state)
{
	struct store_rig *r = *state;

	r->options.path = r->f.path;
	store_close(&r->store);
	if (mounted)
		assert_int_equal(umount2(r->f.dir, MNT_DETACH), 0);
	return rig_teardown(state);
}

/* Mounts of ours stay in a namespace of ours. */
static bool may_mount(void)
{
	const char *tmp = getenv("TMPDIR");
	char dir[128];
	bool ok;

	snprintf(dir, sizeof(dir), "%s/rh-mount-XXXXXX", tmp ? tmp : "/tmp");

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !mkdtemp(dir))
		return false;
	ok = mount("tmpfs", dir, "tmpfs", 0, "size=" DISK_BYTES) == 0;
	if (ok)
		umount2(dir, MNT_DETACH);
	rmdir(dir);
	return ok;
}

#define WITH_DISK(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DISK(a_full_disk_refuses_writes_answers_reads_and_recovers),
		WITH_DISK(the_watermark_keeps_room_for_removals),
		WITH_DISK(a_full_disk_keeps_the_shelf_whole),
		WITH_DISK(a_full_disk_leaves_no_half_file_in_quarantine),
		WITH_DISK(a_start_on_a_full_disk_says_so_and_leaves_nothing),
	};

	mounted = may_mount();
	if (!mounted)
		fprintf(stderr,
			"skipped: mounting a tmpfs is not permitted here (%s); run as root\n",
			strerror(errno));
	log_set_level(LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
