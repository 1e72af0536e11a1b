/*
 * echo - three small services for the tests of links and custody, by the name of the instance:
 *   source.*  sends numbered messages to sink.test, from what its journal says is settled
 *   sink.*    takes them in order and counts in its journal what came twice or out of order
 *   echo.*    sends every stanza back to where it came from
 *   script*   does what stdin says (script.h)
 * The journal is a small mapped file (ECHO_JOURNAL): it survives kill -9 as a datastore would.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "base/xmem.h"
#include "ipc/bus.h"
#include "ipc/hold.h"
#include "ipc/stanza_kinds.h"
#include "proc/proc.h"
#include "tests/support/echo/script.h"

#define SHARE (256 * 1024)

struct journal {
	uint64_t last;	  /* source: settled without a gap; sink: received in order */
	uint64_t repeats; /* sink: came again after it had been received */
	uint64_t gaps;	  /* sink: came too early: something was lost or overtaken */
	uint64_t bounced; /* source: settled, but not delivered */
};

struct echo {
	struct proc *proc;
	struct script *script; /* then nothing else */
	struct bus *bus;
	struct hold *hold;
	struct hold_session *session;
	uint64_t sid;
	char mode;
	struct journal *journal;
	uint64_t first; /* source: the number that n = 1 carried */
	uint64_t next;
	uint64_t count;
	bool *settled; /* source: by number - first */
};

static struct journal *journal_open(void)
{
	const char *path = getenv("ECHO_JOURNAL");
	struct journal *j;
	int fd;

	if (!path)
		return xcalloc(1, sizeof(*j));
	fd = open(path, O_RDWR | O_CREAT, 0600);
	check(fd >= 0 && ftruncate(fd, sizeof(*j)) == 0);
	j = mmap(NULL, sizeof(*j), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(j != MAP_FAILED);
	close(fd);
	return j;
}

static void send_more(struct echo *e)
{
	char text[64];

	while (e->session && e->mode == 's' && e->next <= e->count &&
	       hold_unsettled(e->session) < SHARE && link_room(bus_link(e->bus)) > 0) {
		int len = snprintf(text, sizeof(text), "<body>%llu</body>",
				   (unsigned long long)e->next++);
		struct msg_stanza m = {
			.kind = STANZA_MESSAGE,
			.type = TYPE_CHAT,
			.flags = STANZA_HAS_BODY,
			.to = slice_str("sink.test"),
			.from = slice_str(proc_instance(e->proc)),
			.inner = slice_of(text, (size_t)len),
		};

		hold_send(e->session, &m);
	}
}

static void on_settled(void *stream, uint64_t first, uint64_t last, uint8_t how)
{
	struct echo *e = stream;

	if (e->mode != 's')
		return;
	for (uint64_t n = first; n <= last; n++)
		e->settled[n - 1] = true;
	if (how != SETTLED_DELIVERED)
		e->journal->bounced += last - first + 1;
	while (e->journal->last < e->next - 1 && e->settled[e->journal->last + 1 - e->first])
		e->journal->last++;
	send_more(e);
}

static void on_deliver(void *stream, const struct msg_deliver *m)
{
	struct echo *e = stream;
	uint64_t number;

	if (e->mode == 'e') {
		struct msg_stanza back = {
			.kind = m->kind,
			.type = m->type,
			.flags = m->flags,
			.to = m->from,
			.from = m->to,
			.id = m->id,
			.inner = m->inner,
		};

		hold_send(e->session, &back);
	} else {
		number = strtoull(m->inner.len > 6 ? m->inner.data + 6 : "", NULL, 10);
		if (number == e->journal->last + 1)
			e->journal->last = number;
		else if (number <= e->journal->last)
			e->journal->repeats++;
		else
			e->journal->gaps++;
	}
	hold_delivered(e->session, m->q);
}

static const struct hold_events hold_events = {
	.on_deliver = on_deliver,
	.on_settled = on_settled,
};

static void on_up(void *arg, bool fresh)
{
	struct echo *e = arg;

	if (!fresh)
		return;
	if (!e->session)
		link_put_bind(bus_link(e->bus), &(struct msg_bind){
							.sid = e->sid,
							.kind = SESSION_DOMAIN,
							.jid = slice_str(proc_instance(e->proc)),
						});
	hold_announce(e->hold);
}

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct echo *e = arg;
	struct msg_bound m;

	if (hold_record(e->hold, type, body) || type != MSG_BOUND ||
	    msg_bound_get(body, &m) != ERR_OK || e->session)
		return;
	e->session = hold_add(e->hold, m.sid, m.epoch, SESSION_DOMAIN, m.jid, "echo#1", "-", e);
	send_more(e);
}

static void on_room(void *arg)
{
	send_more(arg);
}

static const struct bus_events bus_events = {
	.on_up = on_up,
	.on_record = on_record,
	.on_room = on_room,
};

static enum err echo_init(struct proc *p, void **state)
{
	struct echo *e = xcalloc(1, sizeof(*e));
	const char *count = getenv("ECHO_COUNT");

	e->proc = p;
	*state = e;
	if (strncmp(proc_instance(p), "script", 6) == 0) {
		e->script = script_new(p);
		proc_ready(p, true);
		return ERR_OK;
	}
	e->mode = proc_instance(p)[0] == 'e' ? 'e' : proc_instance(p)[1] == 'o' ? 's' : 'k';
	e->journal = journal_open();
	e->count = count ? strtoull(count, NULL, 10) : 0;
	e->first = e->next = e->journal->last + 1;
	e->settled = xcalloc(e->count + 2, sizeof(bool));
	e->sid = random_u64();
	e->bus = bus_open(proc_loop(p), "run/bus/router", proc_service(p), proc_instance(p),
			  proc_token(p), &bus_events, e);
	e->hold = hold_new(bus_link(e->bus), &hold_events);
	proc_ready(p, true);
	return ERR_OK;
}

static void echo_deinit(void *state)
{
	struct echo *e = state;

	if (e->script) {
		script_free(&e->script);
		free(e);
		return;
	}
	hold_free(&e->hold);
	bus_close(&e->bus);
	free(e->settled);
	free(e);
}

int main(int argc, char **argv)
{
	static const struct proc_program program = {
		.service = "echo",
		.help = "Source, sink and echo services for tests.",
		.init = echo_init,
		.deinit = echo_deinit,
	};

	return proc_main(argc, argv, &program);
}
