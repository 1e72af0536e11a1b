#include "datastore/derive.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "scram/scram_keys.h"

struct derive {
	struct loop_fd *watch;
	int event;
	unsigned int queue_max;
	unsigned int waiting; /* loop thread only */
	bool started;
	void (*done)(void *arg, struct derive_job *job);
	void *arg;
	pthread_t thread;

	pthread_mutex_t lock; /* todo, finished, stop */
	pthread_cond_t wake;
	struct list todo, finished;
	bool stop;
};

static void clear_secret(struct str *s)
{
	xwipe(s->data, s->len);
	str_clear(s);
}

struct derive_job *derive_job_new(struct slice user, struct slice domain, struct slice password)
{
	struct derive_job *j = xcalloc(1, sizeof(*j));

	list_init(&j->link);
	str_init(&j->user);
	str_init(&j->domain);
	str_init(&j->password);
	str_init(&j->scram);
	str_init(&j->why);
	str_add_slice(&j->user, user);
	str_add_slice(&j->domain, domain);
	str_add_slice(&j->password, password);
	return j;
}

void derive_job_free(struct derive_job **jp)
{
	struct derive_job *j = *jp;

	*jp = NULL;
	if (!j)
		return;
	list_remove(&j->link);
	clear_secret(&j->password);
	clear_secret(&j->scram);
	str_clear(&j->user);
	str_clear(&j->domain);
	str_clear(&j->why);
	free(j);
}

static void make_keys(struct derive_job *j)
{
	if (j->password.len && memchr(j->password.data, 0, j->password.len)) {
		str_adds(&j->why, "the password holds a NUL");
		j->status = ERR_FORMAT;
	} else {
		j->status = scram_keys_pack(&j->scram, j->password.len ? j->password.data : "",
					    SCRAM_KEYS_ITERATIONS, &j->why);
	}
	clear_secret(&j->password);
}

static void *run(void *arg)
{
	struct derive *d = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&d->lock);
	while (!d->stop) {
		struct list *l = list_first(&d->todo);

		if (!l) {
			pthread_cond_wait(&d->wake, &d->lock);
			continue;
		}
		list_remove(l);
		pthread_mutex_unlock(&d->lock);
		make_keys(list_entry(l, struct derive_job, link));
		pthread_mutex_lock(&d->lock);
		list_append(&d->finished, l);
		check(write(d->event, &one, sizeof(one)) == sizeof(one));
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static struct derive_job *take_finished(struct derive *d)
{
	struct list *l;

	pthread_mutex_lock(&d->lock);
	l = list_first(&d->finished);
	if (l)
		list_remove(l);
	pthread_mutex_unlock(&d->lock);
	return l ? list_entry(l, struct derive_job, link) : NULL;
}

static void on_event(void *arg, int events)
{
	struct derive *d = arg;
	struct derive_job *j;
	uint64_t n;

	(void)events;
	if (read(d->event, &n, sizeof(n)) != sizeof(n))
		return;
	while ((j = take_finished(d)) != NULL) {
		d->waiting--;
		d->done(d->arg, j);
	}
}

struct derive *derive_new(struct loop *loop, unsigned int queue_max,
			  void (*done)(void *arg, struct derive_job *job), void *arg)
{
	struct derive *d = xcalloc(1, sizeof(*d));

	d->queue_max = queue_max;
	d->done = done;
	d->arg = arg;
	d->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	check(d->event >= 0);
	list_init(&d->todo);
	list_init(&d->finished);
	check(pthread_mutex_init(&d->lock, NULL) == 0);
	check(pthread_cond_init(&d->wake, NULL) == 0);
	d->watch = loop_fd_new(loop, d->event, LOOP_READ, on_event, d);
	return d;
}

static void free_jobs(struct list *jobs)
{
	list_each_safe (it, jobs) {
		struct derive_job *j = list_entry(it, struct derive_job, link);

		derive_job_free(&j);
	}
}

void derive_free(struct derive **dp)
{
	struct derive *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->lock);
	if (d->started)
		pthread_join(d->thread, NULL);
	free_jobs(&d->todo);
	free_jobs(&d->finished);
	loop_fd_free(&d->watch);
	close(d->event);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* Only a datastore that is asked for it has this thread. */
static bool start(struct derive *d)
{
	sigset_t all, old;

	if (d->started)
		return true;
	sigfillset(&all); /* signals are the loop thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	d->started = pthread_create(&d->thread, NULL, run, d) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return d->started;
}

bool derive_submit_take(struct derive *d, struct derive_job *job)
{
	if (d->waiting >= d->queue_max || !start(d)) {
		derive_job_free(&job);
		return false;
	}
	d->waiting++;
	pthread_mutex_lock(&d->lock);
	list_append(&d->todo, &job->link);
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->lock);
	return true;
}

unsigned int derive_waiting(const struct derive *d)
{
	return d->waiting;
}
