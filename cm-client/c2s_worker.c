#include "cm-client/c2s_worker.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/list.h"
#include "base/xmem.h"
#include "net/loop.h"

#define HASH_LEN 32

struct job {
	struct list link; /* todo or finished */
	struct list all;
	uint64_t id;
	void (*done)(void *arg, bool right); /* loop thread only; NULL = cancelled */
	void *arg;
	char *password;
	size_t password_len;
	unsigned char *salt;
	size_t salt_len;
	unsigned int iterations;
	unsigned char stored_key[HASH_LEN];
	bool usable;
	bool right;
};

struct c2s_worker {
	struct loop_fd *watch;
	int event;
	unsigned int queue_max;
	bool started;
	uint64_t last_id;
	struct list jobs; /* all, for cancelling; loop thread only */
	pthread_t thread;
	pthread_mutex_t lock; /* guards todo, finished, count, stop */
	pthread_cond_t wake;
	struct list todo;
	struct list finished;
	unsigned int count;
	bool stop;
};

static void job_free(struct job *j)
{
	list_remove(&j->all);
	xwipe(j->password, j->password_len);
	free(j->password);
	free(j->salt);
	xwipe(j, sizeof(*j));
	free(j);
}

/* RFC 5802 3: StoredKey := H(HMAC(Hi(password, salt, i), "Client Key")). */
static bool verify(const struct job *j)
{
	unsigned char salted[HASH_LEN], client[HASH_LEN], stored[HASH_LEN];
	bool ok = PKCS5_PBKDF2_HMAC(j->password, (int)j->password_len, j->salt, (int)j->salt_len,
				    (int)j->iterations, EVP_sha256(), HASH_LEN, salted) == 1 &&
		  HMAC(EVP_sha256(), salted, HASH_LEN, (const unsigned char *)"Client Key", 10,
		       client, NULL) &&
		  EVP_Digest(client, HASH_LEN, stored, NULL, EVP_sha256(), NULL) == 1;

	ok = ok && CRYPTO_memcmp(stored, j->stored_key, HASH_LEN) == 0 && j->usable;
	xwipe(salted, sizeof(salted));
	xwipe(client, sizeof(client));
	return ok;
}

static void *run(void *arg)
{
	struct c2s_worker *w = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		struct list *l = list_first(&w->todo);
		struct job *j;

		if (!l) {
			pthread_cond_wait(&w->wake, &w->lock);
			continue;
		}
		j = list_entry(l, struct job, link);
		list_remove(&j->link);
		pthread_mutex_unlock(&w->lock);
		j->right = verify(j);
		pthread_mutex_lock(&w->lock);
		list_append(&w->finished, &j->link);
		check(write(w->event, &one, sizeof(one)) == sizeof(one));
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static struct job *take_finished(struct c2s_worker *w)
{
	struct list *l;

	pthread_mutex_lock(&w->lock);
	l = list_first(&w->finished);
	if (l) {
		list_remove(l);
		w->count--;
	}
	pthread_mutex_unlock(&w->lock);
	return l ? list_entry(l, struct job, link) : NULL;
}

static void on_event(void *arg, int events)
{
	struct c2s_worker *w = arg;
	struct job *j;
	uint64_t n;

	(void)events;
	if (read(w->event, &n, sizeof(n)) != sizeof(n))
		return;
	while ((j = take_finished(w))) {
		void (*done)(void *, bool) = j->done;
		void *done_arg = j->arg;
		bool right = j->right;

		job_free(j);
		if (done)
			done(done_arg, right);
	}
}

struct c2s_worker *c2s_worker_new(struct loop *loop, unsigned int queue_max)
{
	struct c2s_worker *w = xcalloc(1, sizeof(*w));

	w->queue_max = queue_max;
	w->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	check(w->event >= 0);
	list_init(&w->jobs);
	list_init(&w->todo);
	list_init(&w->finished);
	check(pthread_mutex_init(&w->lock, NULL) == 0);
	check(pthread_cond_init(&w->wake, NULL) == 0);
	w->watch = loop_fd_new(loop, w->event, LOOP_READ, on_event, w);
	return w;
}

void c2s_worker_free(struct c2s_worker **wp)
{
	struct c2s_worker *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	if (w->started)
		pthread_join(w->thread, NULL);
	list_each_safe (it, &w->jobs)
		job_free(list_entry(it, struct job, all));
	loop_fd_free(&w->watch);
	close(w->event);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static struct job *job_new(struct slice password, const struct db_scram *keys)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->password = xstrndup(password.data, password.len);
	j->password_len = password.len;
	j->salt = xmalloc(keys->salt.len + 1);
	memcpy(j->salt, keys->salt.data, keys->salt.len);
	j->salt_len = keys->salt.len;
	j->iterations = keys->iterations;
	j->usable = keys->stored_key.len == HASH_LEN;
	if (j->usable)
		memcpy(j->stored_key, keys->stored_key.data, HASH_LEN);
	return j;
}

uint64_t c2s_worker_verify(struct c2s_worker *w, struct slice password, const struct db_scram *keys,
			   void (*done)(void *arg, bool right), void *arg)
{
	struct job *j;
	bool full;

	pthread_mutex_lock(&w->lock);
	full = w->count >= w->queue_max;
	pthread_mutex_unlock(&w->lock);
	if (full)
		return 0;
	if (!w->started) {
		if (pthread_create(&w->thread, NULL, run, w) != 0)
			return 0;
		w->started = true;
	}
	j = job_new(password, keys);
	j->id = ++w->last_id;
	j->done = done;
	j->arg = arg;
	list_append(&w->jobs, &j->all);
	pthread_mutex_lock(&w->lock);
	list_append(&w->todo, &j->link);
	w->count++;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	return w->last_id;
}

void c2s_worker_cancel(struct c2s_worker *w, uint64_t id)
{
	list_each (it, &w->jobs) {
		struct job *j = list_entry(it, struct job, all);

		if (j->id == id)
			j->done = NULL;
	}
}
