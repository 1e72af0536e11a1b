#include "datastore/writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/xmem.h"
#include "datastore/ops.h"

#define BATCH_OPS	 256
#define TIGHT		 4 /* times the watermark */
#define BATCH_BYTES	 (4u * 1024 * 1024)
#define CHECKPOINT_PAGES 1000 /* 4 MB of log */

struct writer {
	struct db *db; /* the thread's */
	char *dir;
	bool low;
	bool tight; /* what may go first is refused */
	uint64_t commits;
	pthread_t thread;
	int fd;

	pthread_mutex_t lock; /* all that follows */
	pthread_cond_t wake;
	bool stopping;
	bool broken; /* a sync failed: nothing is run any more */
	uint64_t min_free;
	struct list queue;
	struct list done;
	struct writer_report report;
};

struct write_op *write_op_new(uint64_t op_boot, uint64_t op_n, const struct request *request,
			      struct slice body)
{
	struct write_op *op = xcalloc(1, sizeof(*op));

	list_init(&op->link);
	op->op_boot = op_boot;
	op->op_n = op_n;
	op->request = request;
	str_init(&op->body);
	str_init(&op->out.answer);
	str_init(&op->out.text);
	str_add_slice(&op->body, body);
	return op;
}

void write_op_free(struct write_op **opp)
{
	struct write_op *op = *opp;

	*opp = NULL;
	if (!op)
		return;
	list_remove(&op->link);
	xwipe(op->body.data, op->body.len); /* may hold SCRAM keys */
	str_clear(&op->body);
	request_out_clear(&op->out);
	free(op);
}

static void op_result(struct write_op *op, enum err status, const char *text)
{
	request_out_reset(&op->out);
	op->status = status;
	op->repeat = false;
	str_adds(&op->out.text, text);
}

static bool op_is_late(const struct write_op *op)
{
	return op->deadline.us && monotime_before(op->deadline, monotime_now());
}

static bool keeps_result(const struct write_op *op)
{
	return op->op_boot && !op->request->again;
}

/* Runs one operation inside its savepoint and keeps its result beside what it did. */
static void run_in_savepoint(struct db *d, struct write_op *op)
{
	struct request_in in = {d, str_slice(&op->body), op->now_ms, &op->limits};
	enum err e = db_exec(d, "SAVEPOINT op");

	if (e == ERR_OK) {
		op->status = op->request->run(&in, &op->out);
		if (db_trouble(d) != DISK_OK)
			return;
		if (op->status != ERR_OK) {
			str_reset(&op->out.answer);
			e = db_exec(d, "ROLLBACK TO op");
		}
	}
	if (e == ERR_OK)
		e = db_exec(d, "RELEASE op");
	if (e == ERR_OK && keeps_result(op))
		e = ops_add(d, op->op_boot, op->op_n, op->status, str_slice(&op->out.text),
			    str_slice(&op->out.answer), op->now_ms);
	if (e != ERR_OK && db_trouble(d) == DISK_OK)
		op_result(op, e, "the datastore failed inside; see its log");
}

static void run_op(struct writer *w, struct write_op *op)
{
	enum err found = ERR_NOTFOUND;

	op_result(op, ERR_OK, "");
	if (keeps_result(op))
		found = ops_find(w->db, op->op_boot, op->op_n, &op->status, &op->out.text,
				 &op->out.answer);
	if (found == ERR_OK)
		op->repeat = true;
	else if (found != ERR_NOTFOUND)
		op_result(op, found, disk_text(db_trouble(w->db)));
	else if (op_is_late(op))
		op_result(op, ERR_TIMEOUT, "the datastore was too slow; nothing was changed");
	else if ((w->low || (w->tight && op->request->first)) && op->request->grows)
		op_result(op, disk_err(DISK_LOW), disk_text(DISK_LOW));
	else
		run_in_savepoint(w->db, op);
}

/* All of the batch or nothing of it; what the disk said, DISK_OK when it is synced. */
static enum disk_state run_batch(struct writer *w, struct list *batch)
{
	struct db *d = w->db;

	db_trouble_clear(d);
	db_exec(d, "BEGIN IMMEDIATE");
	list_each (it, batch) {
		if (db_trouble(d) != DISK_OK)
			break;
		run_op(w, list_entry(it, struct write_op, link));
	}
	if (db_trouble(d) == DISK_OK)
		db_exec(d, "COMMIT");
	if (db_trouble(d) == DISK_OK) {
		w->commits++;
		return DISK_OK;
	}
	/* SQLite rolls back by itself after some failures, and not after others. */
	if (!sqlite3_get_autocommit(db_sqlite(d)))
		sqlite3_exec(db_sqlite(d), "ROLLBACK", NULL, NULL, NULL);
	list_each (it, batch)
		op_result(list_entry(it, struct write_op, link), disk_err(db_trouble(d)),
			  disk_text(db_trouble(d)));
	return db_trouble(d);
}

/* After trouble each operation is tried for itself: a small one may fit where all together did
 * not. Never after a failed sync. */
static enum disk_state run_one_by_one(struct writer *w, struct list *batch)
{
	enum disk_state state, worst = DISK_OK;
	struct list tried, one;

	list_init(&tried);
	while (!list_empty(batch)) {
		struct list *it = batch->next;

		list_init(&one);
		list_remove(it);
		list_append(&one, it);
		state = worst == DISK_FSYNC ? worst : run_batch(w, &one);
		if (worst == DISK_FSYNC)
			op_result(list_entry(it, struct write_op, link), disk_err(state),
				  disk_text(state));
		if (state > worst)
			worst = state;
		list_remove(it);
		list_append(&tried, it);
	}
	while (!list_empty(&tried)) {
		struct list *it = tried.next;

		list_remove(it);
		list_append(batch, it);
	}
	return worst;
}

/* A lock or a read-only disk is the same for every operation; room and a bad sector are not. */
static bool worth_trying_alone(enum disk_state state, const struct list *batch)
{
	return batch->next != batch->prev &&
	       (state == DISK_FULL || state == DISK_IO || state == DISK_DAMAGED);
}

static void tell(struct writer *w)
{
	uint64_t one = 1;

	check(write(w->fd, &one, sizeof(one)) == sizeof(one));
}

static void look_at_space(struct writer *w, uint64_t min_free, uint64_t *free_bytes)
{
	if (disk_free_bytes(w->dir, free_bytes) != ERR_OK)
		return;
	w->low = disk_is_low(*free_bytes, min_free, w->low);
	w->tight = disk_is_low(*free_bytes, TIGHT * min_free, w->tight);
}

/* A batch is over: its operations may be collected, the report says how it stands. */
static void finish(struct writer *w, struct list *batch, enum disk_state state, uint64_t free_bytes)
{
	pthread_mutex_lock(&w->lock);
	while (batch && !list_empty(batch)) {
		struct list *it = batch->next;

		list_remove(it);
		list_append(&w->done, it);
	}
	w->report.free_bytes = free_bytes;
	w->report.state = state != DISK_OK ? state : w->low ? DISK_LOW : DISK_OK;
	w->report.code = state != DISK_OK ? db_trouble_code(w->db) : 0;
	w->report.sys_errno = state != DISK_OK ? db_trouble_errno(w->db) : 0;
	w->report.commits = w->commits;
	w->report.failed += state != DISK_OK;
	w->broken = state == DISK_FSYNC;
	pthread_mutex_unlock(&w->lock);
	tell(w);
}

/* SQLite's own checkpoint after a commit would keep a failed sync to itself, so we call it. */
static void checkpoint_if_due(struct writer *w, uint64_t free_bytes)
{
	if (db_wal_pages(w->db) < CHECKPOINT_PAGES)
		return;
	db_trouble_clear(w->db);
	db_checkpoint(w->db);
	if (db_trouble(w->db) != DISK_OK)
		finish(w, NULL, db_trouble(w->db), free_bytes);
}

/* Waits for work; moves a batch of it out. false: stopping and nothing is left, or broken. */
static bool take_batch(struct writer *w, struct list *batch, uint64_t *min_free)
{
	size_t ops = 0, bytes = 0;

	pthread_mutex_lock(&w->lock);
	while (list_empty(&w->queue) && !w->stopping && !w->broken)
		pthread_cond_wait(&w->wake, &w->lock);
	while (!w->broken && !list_empty(&w->queue) && ops < BATCH_OPS && bytes < BATCH_BYTES) {
		struct list *it = w->queue.next;

		list_remove(it);
		list_append(batch, it);
		bytes += list_entry(it, struct write_op, link)->body.len;
		ops++;
	}
	*min_free = w->min_free;
	pthread_mutex_unlock(&w->lock);
	return ops > 0;
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	uint64_t min_free, free_bytes = 0;
	enum disk_state state;
	struct list batch;

	list_init(&batch);
	while (take_batch(w, &batch, &min_free)) {
		look_at_space(w, min_free, &free_bytes);
		state = run_batch(w, &batch);
		if (worth_trying_alone(state, &batch))
			state = run_one_by_one(w, &batch);
		finish(w, &batch, state, free_bytes);
		if (state != DISK_FSYNC)
			checkpoint_if_due(w, free_bytes);
	}
	return NULL;
}

struct writer *writer_start_take(struct db *d, const char *dir, uint64_t min_free)
{
	struct writer *w = xcalloc(1, sizeof(*w));
	sigset_t all, old;

	w->db = d;
	w->dir = xstrdup(dir);
	w->min_free = min_free;
	list_init(&w->queue);
	list_init(&w->done);
	w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	check(w->fd >= 0);
	check(pthread_mutex_init(&w->lock, NULL) == 0);
	check(pthread_cond_init(&w->wake, NULL) == 0);
	/* Signals are the loop thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	check(pthread_create(&w->thread, NULL, writer_main, w) == 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return w;
}

static void free_ops(struct list *ops)
{
	list_each_safe (it, ops) {
		struct write_op *op = list_entry(it, struct write_op, link);

		write_op_free(&op);
	}
}

void writer_stop(struct writer **wp, bool healthy)
{
	struct writer *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	if (healthy && (w->report.state == DISK_OK || w->report.state == DISK_LOW))
		db_out_of_service(w->db);
	db_close(&w->db);
	free_ops(&w->queue);
	free_ops(&w->done);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	close(w->fd);
	free(w->dir);
	free(w);
}

void writer_submit_take(struct writer *w, struct write_op *op)
{
	pthread_mutex_lock(&w->lock);
	w->report.queued++;
	list_append(&w->queue, &op->link);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

int writer_fd(const struct writer *w)
{
	return w->fd;
}

void writer_collect(struct writer *w, struct list *done)
{
	uint64_t n;

	if (read(w->fd, &n, sizeof(n)) < 0)
		n = 0; /* nothing told: nothing is lost by looking */
	pthread_mutex_lock(&w->lock);
	while (!list_empty(&w->done)) {
		struct list *it = w->done.next;

		list_remove(it);
		list_append(done, it);
		w->report.queued--;
	}
	pthread_mutex_unlock(&w->lock);
}

void writer_report(struct writer *w, struct writer_report *out)
{
	pthread_mutex_lock(&w->lock);
	*out = w->report;
	pthread_mutex_unlock(&w->lock);
}

void writer_set_min_free(struct writer *w, uint64_t min_free)
{
	pthread_mutex_lock(&w->lock);
	w->min_free = min_free;
	pthread_mutex_unlock(&w->lock);
}
