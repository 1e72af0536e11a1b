#include "datastore/store.h"

#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/log.h"
#include "base/xmem.h"
#include "datastore/audit.h"
#include "datastore/derive.h"
#include "datastore/keyrate.h"
#include "datastore/quarantine.h"
#include "datastore/slow_reads.h"
#include "datastore/writer.h"
#include "ipc/db_pack.h"
#include "net/loop.h"

#define QUEUE_OPS     20000
#define QUEUE_BYTES   (64u * 1024 * 1024)
#define DERIVE_MAX    64 /* passwords waiting for their keys: half a second */
#define TICK_MS	      1000
#define UPKEEP_TICKS  60   /* without trouble; with it at every tick, to notice its end */
#define UPKEEP_WRITES 1000 /* half of what it forgets at once */
#define STALLED_MS    5000
#define LATE_MS	      500 /* for what nobody waits for to be written with others */
#define LATE_OPS      256 /* a batch of the writer */
#define STALLED_TEXT \
	"the disk of data/ has not finished a write for some seconds; see its load and health"

struct store {
	struct loop *loop;
	struct store_options options;
	const struct store_events *events;
	void *arg;
	struct writer *writer;
	struct db *reader;
	struct keyrate *keyrate;
	struct quarantine *quarantine;
	struct derive *derive;
	struct slow_reads *slow;
	struct loop_timer *slow_turn;
	uint64_t quarantined[2]; /* operation id of the last one */
	struct loop_hook *turn;
	bool reading;	  /* the reads of this turn are one transaction */
	struct list late; /* of the pending: writes that wait for others, see may_wait() */
	uint64_t nlate;
	struct loop_timer *late_timer;
	struct loop_fd *done_watch;
	struct loop_timer *tick;
	uint64_t pending; /* writes under way, upkeep not counted */
	uint64_t pending_bytes;
	bool upkeep_pending, upkeep_more;
	unsigned int ticks;
	uint64_t writes_at_upkeep;
	struct monotime progress; /* when the writer last finished something, or was idle */
	const char *alarm;
	enum disk_state told;	  /* last state of the writer that was logged */
	enum disk_state read_bad; /* last trouble of a read; DISK_OK after one that went well */
	bool damaged;
	struct {
		uint64_t ops, reads, writes, repeats, errors;
	} count;
};

static uint64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void answer(struct store *s, uint64_t op_boot, uint64_t op_n, enum err status,
		   const struct request_out *out)
{
	struct msg_stored m = {.op_boot = op_boot, .op_n = op_n, .status = (uint8_t)status};

	if (status == ERR_OK)
		m.body = str_slice(&out->answer);
	else
		m.text = out && out->text.len ? str_slice(&out->text) : slice_str(err_text(status));
	/* NOTFOUND and CONFLICT are answers, the others are failures. */
	if (status != ERR_OK && status != ERR_NOTFOUND && status != ERR_CONFLICT)
		s->count.errors++;
	s->events->on_answer(s->arg, &m);
}

static void refuse(struct store *s, const struct msg_store *m, enum err status, const char *text)
{
	struct request_out out = {.answer = STR_INIT, .text = STR_INIT};

	str_adds(&out.text, text);
	answer(s, m->op_boot, m->op_n, status, &out);
	request_out_clear(&out);
}

static void update_alarm(struct store *s, const struct writer_report *r)
{
	const char *text = NULL;

	if (s->damaged)
		text = disk_text(DISK_DAMAGED);
	else if (r->state != DISK_OK)
		text = disk_text(r->state);
	else if (s->read_bad != DISK_OK)
		text = disk_text(s->read_bad);
	else if (r->queued && monotime_ms_between(s->progress, monotime_now()) > STALLED_MS)
		text = STALLED_TEXT;
	else if (quarantine_count(s->quarantine))
		text = QUARANTINE_TEXT;
	if (text == s->alarm)
		return;
	s->alarm = text;
	s->events->on_alarm(s->arg, text);
}

static void log_state(struct store *s, const struct writer_report *r)
{
	if (r->state == s->told)
		return;
	s->told = r->state;
	if (r->state == DISK_OK)
		log_info("-", "event=disk state=ok free=%llu", (unsigned long long)r->free_bytes);
	else
		log_err("-", "event=disk state=%s free=%llu sqlite=%d errno=%d text=\"%s\"",
			disk_name(r->state), (unsigned long long)r->free_bytes, r->code,
			r->sys_errno, disk_text(r->state));
}

static void note_damage(struct store *s, enum disk_state state)
{
	if (state == DISK_DAMAGED && !s->damaged) {
		s->damaged = true;
		log_err("-", "event=damaged path=%s text=\"%s\"", s->options.path,
			disk_text(DISK_DAMAGED));
	}
}

static void finish_op(struct store *s, struct write_op *op)
{
	if (op->op_boot) {
		s->pending--;
		s->pending_bytes -= op->body.len;
		s->count.repeats += op->repeat;
		if (op->status == ERR_OK && !op->repeat)
			audit_written(op->type, str_slice(&op->body));
		log_debug("-", "event=written type=%s op=%llx/%llu status=%s repeat=%d",
			  codec_name(op->type), (unsigned long long)op->op_boot,
			  (unsigned long long)op->op_n, err_name(op->status), op->repeat);
		answer(s, op->op_boot, op->op_n, op->status, &op->out);
		s->upkeep_more |= op->type == MSG_DB_ACCOUNT_DEL && op->status == ERR_OK;
	} else {
		s->upkeep_pending = false;
		s->upkeep_more = op->status == ERR_OK && op->out.more;
	}
	write_op_free(&op);
}

/* Locks of the file are taken once a turn. What is answered to a write must be seen by the next
 * read, so this comes before. */
static void end_reads(void *arg)
{
	struct store *s = arg;

	if (!s->reading)
		return;
	s->reading = false;
	if (!sqlite3_get_autocommit(db_sqlite(s->reader)) &&
	    db_exec(s->reader, "COMMIT") != ERR_OK && !sqlite3_get_autocommit(db_sqlite(s->reader)))
		sqlite3_exec(db_sqlite(s->reader), "ROLLBACK", NULL, NULL, NULL);
}

static void on_done(void *arg, int events)
{
	struct store *s = arg;
	bool had_pending = s->pending > 0;
	struct writer_report r;
	struct list done;

	(void)events;
	list_init(&done);
	end_reads(s);
	writer_collect(s->writer, &done);
	writer_report(s->writer, &r);
	s->progress = monotime_now();
	log_state(s, &r);
	note_damage(s, r.state);
	/* What this batch did is unknown: nobody is answered, everybody repeats. */
	if (r.state == DISK_FSYNC)
		s->events->on_broken(s->arg);
	list_each_safe (it, &done)
		finish_op(s, list_entry(it, struct write_op, link));
	update_alarm(s, &r);
	if (had_pending && store_idle(s))
		s->events->on_idle(s->arg);
}

static void submit(struct store *s, struct write_op *op)
{
	if (s->pending == s->nlate && !s->upkeep_pending)
		s->progress = monotime_now();
	writer_submit_take(s->writer, op);
}

static struct write_op *new_op(const struct store *s, uint64_t op_boot, uint64_t op_n,
			       const struct request *r, struct slice body)
{
	struct write_op *op = write_op_new(op_boot, op_n, r, body);

	op->limits = s->options.limits;
	op->now_ms = wall_ms();
	return op;
}

void store_flush(struct store *s)
{
	struct list *l;

	while ((l = list_first(&s->late))) {
		list_remove(l);
		submit(s, list_entry(l, struct write_op, link));
	}
	s->nlate = 0;
	loop_timer_stop(s->late_timer);
}

static void on_late(void *arg)
{
	store_flush(arg);
}

/* When somebody left: nobody waits for it, and a sync for each would cost more than the rest of a
 * logout. It keeps the time at which it came, and its place before what is written later. */
static bool may_wait(uint16_t type, struct slice body)
{
	struct msg_db_data_set m;

	return type == MSG_DB_DATA_SET && msg_db_data_set_get(body, &m) == ERR_OK &&
	       m.kind == DB_DATA_LAST;
}

static void submit_late(struct store *s, struct write_op *op)
{
	if (list_empty(&s->late))
		loop_timer_set(s->late_timer, LATE_MS, 0);
	list_append(&s->late, &op->link);
	if (++s->nlate == LATE_OPS)
		store_flush(s);
}

static void upkeep(struct store *s)
{
	if (s->upkeep_pending || s->damaged)
		return;
	s->writes_at_upkeep = s->count.writes;
	submit(s, new_op(s, 0, 0, requests_upkeep(), SLICE_NONE));
	s->upkeep_pending = true;
}

static void on_tick(void *arg)
{
	struct store *s = arg;
	struct writer_report r;
	bool due = ++s->ticks % UPKEEP_TICKS == 0 && s->count.writes != s->writes_at_upkeep;

	if (quarantine_count(s->quarantine))
		quarantine_look(s->quarantine); /* people delete what they have seen */
	writer_report(s->writer, &r);
	if (due || s->upkeep_more || r.state != DISK_OK)
		upkeep(s);
	update_alarm(s, &r);
}

static void on_derived(void *arg, struct derive_job *job);
static void on_slow_turn(void *arg);

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup("./");
}

enum err store_open(struct store **out, struct loop *loop, const struct store_options *options,
		    const struct store_events *events, void *arg, struct str *why)
{
	struct db *writing = NULL, *reading = NULL;
	struct store *s;
	char *dir, *quarantine_dir;
	enum err e = schema_open(&writing, options->path, options->check, why);

	*out = NULL;
	if (e == ERR_OK) {
		e = db_open(&reading, options->path, DB_READER, why);
		if (e != ERR_OK)
			str_addf(why, " (%s, second connection); %s", options->path, err_text(e));
	}
	if (e != ERR_OK) {
		db_close(&writing);
		return e;
	}
	s = xcalloc(1, sizeof(*s));
	s->loop = loop;
	s->options = *options;
	s->options.path = xstrdup(options->path);
	s->events = events;
	s->arg = arg;
	s->reader = reading;
	s->keyrate = keyrate_new();
	dir = directory_of(options->path);
	s->writer = writer_start_take(writing, dir, options->min_free);
	quarantine_dir = xasprintf("%squarantine", dir);
	s->quarantine = quarantine_new(quarantine_dir);
	s->derive = derive_new(loop, DERIVE_MAX, on_derived, s);
	free(quarantine_dir);
	free(dir);
	s->done_watch = loop_fd_new(loop, writer_fd(s->writer), LOOP_READ, on_done, s);
	s->slow = slow_reads_new();
	s->slow_turn = loop_timer_new(loop, on_slow_turn, s);
	s->turn = loop_hook_new_at(loop, LOOP_LAST, end_reads, s);
	s->late_timer = loop_timer_new(loop, on_late, s);
	list_init(&s->late);
	s->tick = loop_timer_new(loop, on_tick, s);
	loop_timer_set(s->tick, TICK_MS, TICK_MS);
	upkeep(s); /* is there space? before the first request asks */
	*out = s;
	return ERR_OK;
}

void store_close(struct store **sp)
{
	struct store *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	store_flush(s);
	end_reads(s);
	loop_hook_free(&s->turn);
	loop_timer_free(&s->late_timer);
	loop_timer_free(&s->tick);
	loop_timer_free(&s->slow_turn);
	slow_reads_free(&s->slow);
	loop_fd_free(&s->done_watch);
	derive_free(&s->derive);
	db_close(&s->reader);
	writer_stop(&s->writer, !s->damaged);
	keyrate_free(&s->keyrate);
	quarantine_free(&s->quarantine);
	free((char *)s->options.path);
	free(s);
}

bool store_idle(const struct store *s)
{
	return s->pending == 0 && derive_waiting(s->derive) == 0;
}

void store_set_options(struct store *s, const struct store_options *options)
{
	const char *path = s->options.path;
	enum schema_check check = s->options.check;

	s->options = *options;
	s->options.path = path;
	s->options.check = check;
	writer_set_min_free(s->writer, options->min_free);
}

/* Keys leave for one user at a time, and not faster than people and their devices log in. Not so
 * the secret of a component: it is asked for when somebody merely names it, so a bound would let
 * anybody keep a call bridge out, and who has it once needs no second time. */
static bool may_read(struct store *s, uint16_t type, struct slice body)
{
	struct msg_db_account_get m;

	if (type != MSG_DB_ACCOUNT_GET || msg_db_account_get_get(body, &m) != ERR_OK ||
	    m.mechanism.len == 0)
		return true;
	if (keyrate_take(s->keyrate, m.user, m.domain, s->options.key_reads_per_minute,
			 loop_now(s->loop)))
		return true;
	log_warn("-", "event=key_rate user=%s domain=%s text=\"more than %u logins a minute\"",
		 log_quote(m.user), log_quote(m.domain), s->options.key_reads_per_minute);
	return false;
}

static void do_read(struct store *s, const struct msg_store *m, uint16_t type,
		    const struct request *r, struct slice body)
{
	struct request_in in = {s->reader, body, wall_ms(), &s->options.limits};
	struct request_out out = {.answer = STR_INIT, .text = STR_INIT};
	enum disk_state bad;
	enum err e;

	s->count.reads++;
	audit_read(type, body);
	db_trouble_clear(s->reader);
	if (!s->reading)
		s->reading = db_exec(s->reader, "BEGIN") == ERR_OK;
	e = r->run(&in, &out);
	bad = db_trouble(s->reader);
	if (bad != DISK_OK)
		end_reads(s);
	if (bad != s->read_bad) {
		s->read_bad = bad;
		if (bad != DISK_OK)
			log_err("-", "event=read_failed state=%s sqlite=%d errno=%d text=\"%s\"",
				disk_name(bad), db_trouble_code(s->reader),
				db_trouble_errno(s->reader), disk_text(bad));
	}
	note_damage(s, bad);
	/* What the tables concluded from a failing disk ("not found") is void. */
	if (bad != DISK_OK)
		refuse(s, m, disk_err(bad), disk_text(bad));
	else
		answer(s, m->op_boot, m->op_n, e, &out);
	xwipe(out.answer.data, out.answer.len);
	request_out_clear(&out);
}

/* The router says until when, in ms of the machine's clock modulo 2^32 (49 days); 0: forever. */
static struct monotime deadline_of(const struct msg_store *m, struct monotime now)
{
	int32_t left = (int32_t)(m->deadline_ms - (uint32_t)(now.us / 1000));

	if (!m->deadline_ms)
		return (struct monotime){0};
	return left > 0 ? monotime_add_ms(now, (uint64_t)left) : (struct monotime){1};
}

static void do_slow_read(struct store *s, const struct msg_store *m, struct slice body)
{
	struct slice rest = body, user, domain;

	if (!codec_get_str(&rest, &user) || !codec_get_str(&rest, &domain))
		refuse(s, m, ERR_FORMAT, "the request is malformed");
	else if (!slow_reads_put(s->slow, m, slice_of(body.data, body.len - rest.len)))
		refuse(s, m, ERR_AGAIN, "too many archives are being read; try again later");
	else
		loop_timer_set(s->slow_turn, 0, 0);
}

/* One, then what has come meanwhile. */
static void on_slow_turn(void *arg)
{
	struct store *s = arg;
	struct slow_read *read = slow_reads_take(s->slow);
	const struct msg_store *m = slow_read_request(read);
	struct slice rest = m->body, body;
	struct monotime deadline = deadline_of(m, loop_now(s->loop));
	uint16_t type;

	check(codec_next(&rest, &type, &body) == ERR_OK);
	if (deadline.us && monotime_before(deadline, loop_now(s->loop)))
		refuse(s, m, ERR_TIMEOUT, "the datastore was too slow; nothing was read");
	else
		do_read(s, m, type, requests_find(type), body);
	slow_read_free(&read);
	if (!slow_reads_empty(s->slow))
		loop_timer_set(s->slow_turn, 0, 0);
}

static void do_write(struct store *s, const struct msg_store *m, uint16_t type,
		     const struct request *r, struct slice body)
{
	struct write_op *op;

	if (m->op_boot == 0) {
		refuse(s, m, ERR_FORMAT, "a write needs an operation id");
		return;
	}
	/* More writing makes damage worse, and a backup is due anyway. */
	if (s->damaged) {
		refuse(s, m, disk_err(DISK_DAMAGED), disk_text(DISK_DAMAGED));
		return;
	}
	if (s->pending >= QUEUE_OPS || s->pending_bytes >= QUEUE_BYTES) {
		refuse(s, m, ERR_AGAIN, "too many writes are waiting for the disk; try later");
		return;
	}
	s->count.writes++;
	op = new_op(s, m->op_boot, m->op_n, r, body);
	op->type = type;
	op->deadline = deadline_of(m, loop_now(s->loop));
	s->pending_bytes += body.len;
	if (may_wait(type, body)) {
		s->pending++;
		submit_late(s, op);
	} else {
		store_flush(s);
		submit(s, op);
		s->pending++;
	}
	if (s->count.writes - s->writes_at_upkeep >= UPKEEP_WRITES)
		upkeep(s);
}

/* A password: its keys are made on another thread, then written like those that a command sends.
 * A repeat makes others, but the writer knows the operation and answers as before. */
static void do_password(struct store *s, const struct msg_store *m, struct slice body)
{
	struct msg_db_account_password p;
	struct derive_job *job;

	if (m->op_boot == 0 || msg_db_account_password_get(body, &p) != ERR_OK) {
		refuse(s, m, ERR_FORMAT, "the request is malformed or has no operation id");
		return;
	}
	job = derive_job_new(p.user, p.domain, p.password);
	job->op_boot = m->op_boot;
	job->op_n = m->op_n;
	job->deadline_ms = m->deadline_ms;
	job->create = p.create;
	if (!derive_submit_take(s->derive, job))
		refuse(s, m, ERR_AGAIN, "too many passwords are being changed; try again later");
}

static void write_keys(struct store *s, const struct msg_store *m, const struct derive_job *job)
{
	struct slice user = str_slice(&job->user), domain = str_slice(&job->domain);
	struct slice scram = str_slice(&job->scram), rest, body;
	struct str record = STR_INIT;
	uint16_t type;

	if (job->create)
		msg_db_account_add_put(&record, &(struct msg_db_account_add){user, domain, scram});
	else
		msg_db_account_set_put(&record, &(struct msg_db_account_set){user, domain, scram});
	rest = str_slice(&record);
	check(codec_next(&rest, &type, &body) == ERR_OK);
	do_write(s, m, type, requests_find(type), body);
	xwipe(record.data, record.len);
	str_clear(&record);
}

static void on_derived(void *arg, struct derive_job *job)
{
	struct msg_store m = {job->op_boot, job->op_n, job->deadline_ms, SLICE_NONE};
	struct store *s = arg;

	if (job->status == ERR_OK)
		write_keys(s, &m, job);
	else
		refuse(s, &m, job->status, job->why.data);
	derive_job_free(&job);
	if (store_idle(s))
		s->events->on_idle(s->arg);
}

static enum err quarantine(struct store *s, const struct msg_store *m, struct slice body,
			   const struct writer_report *r, struct str *why)
{
	struct msg_db_quarantine q;
	enum err e;

	if (m->op_boot == 0 || msg_db_quarantine_get(body, &q) != ERR_OK) {
		str_adds(why, "the request is malformed or has no operation id");
		return ERR_FORMAT;
	}
	if (s->quarantined[0] == m->op_boot && s->quarantined[1] == m->op_n)
		return ERR_OK;
	if (r->state == DISK_LOW || r->state == DISK_FULL) {
		str_adds(why, disk_text(r->state));
		return disk_err(r->state);
	}
	e = quarantine_put(s->quarantine, q.about, q.bytes, wall_ms(), why);
	if (e == ERR_OK) {
		s->quarantined[0] = m->op_boot;
		s->quarantined[1] = m->op_n;
	}
	return e;
}

/* No database, so no writer. */
static void do_quarantine(struct store *s, const struct msg_store *m, struct slice body)
{
	struct request_out out = {.answer = STR_INIT, .text = STR_INIT};
	struct writer_report r;
	enum err e;

	writer_report(s->writer, &r);
	e = quarantine(s, m, body, &r, &out.text);
	if (e == ERR_OK)
		msg_db_done_put(&out.answer, &(struct msg_db_done){0});
	update_alarm(s, &r);
	answer(s, m->op_boot, m->op_n, e, &out);
	request_out_clear(&out);
}

void store_request(struct store *s, const struct msg_store *m)
{
	struct slice rest = m->body, body;
	const struct request *r;
	uint16_t type;

	s->count.ops++;
	if (codec_next(&rest, &type, &body) != ERR_OK || rest.len != 0) {
		refuse(s, m, ERR_FORMAT, "the request is malformed");
		return;
	}
	r = requests_find(type);
	if (type == MSG_DB_QUARANTINE)
		do_quarantine(s, m, body);
	else if (type == MSG_DB_ACCOUNT_PASSWORD)
		do_password(s, m, body);
	else if (!r)
		refuse(s, m, ERR_UNSUPPORTED,
		       "the datastore does not know this request; is it older than its router?");
	else if (r->writes || (r->ordered && s->pending && !s->damaged))
		do_write(s, m, type, r, body);
	else if (r->slow)
		do_slow_read(s, m, body);
	else if (!may_read(s, type, body))
		refuse(s, m, ERR_AGAIN, "too many logins for this user; try again in a minute");
	else
		do_read(s, m, type, r, body);
}

void store_add_stats(struct store *s, struct str *out)
{
	struct writer_report r;

	writer_report(s->writer, &r);
	str_addf(out,
		 "store_ops=%llu store_reads=%llu store_writes=%llu store_repeats=%llu "
		 "store_commits=%llu store_queue=%llu store_errors=%llu store_free=%llu "
		 "store_disk=%s store_quarantine=%u",
		 (unsigned long long)s->count.ops, (unsigned long long)s->count.reads,
		 (unsigned long long)s->count.writes, (unsigned long long)s->count.repeats,
		 (unsigned long long)r.commits, (unsigned long long)r.queued,
		 (unsigned long long)s->count.errors, (unsigned long long)r.free_bytes,
		 disk_name(s->damaged ? DISK_DAMAGED : r.state), quarantine_count(s->quarantine));
}
