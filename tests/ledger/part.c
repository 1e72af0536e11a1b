/*
 * part - components (XEP-0114): who they are, and how they come back.
 *
 * First the plain ones, each alone on its domain; then those with XEP-0198; then the domains with
 * two plain connections each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmem.h"
#include "bench/scan.h"
#include "tests/ledger/crowd.h"

#define BUFFER	 8192 /* small, so that what one does not read waits in the server's kernel, too */
#define PAUSE_MS 100  /* after the first failure; doubled up to */
#define PAUSES	 4

/* It lives as long as we, wherever it is: what comes back it has seen. */
static void begin_echo(struct crowd *w, uint32_t parts)
{
	if (!w->opts->echo)
		return;
	w->echo = judge_session_begin(w->judge, w->clients - w->opts->twins + parts, JUDGE_NONE,
				      true, 0);
	judge_component(w->judge, w->echo, false);
}

bool part_is_echo(const struct crowd *w, struct slice stanza)
{
	return w->opts->echo && slice_is(scan_attribute(stanza, "from"), w->opts->echo);
}

uint32_t part_init(struct crowd *w)
{
	const struct options *o = w->opts;
	uint32_t count = o->components + o->bridges + o->shared;

	w->parts = xcalloc(count + 1, sizeof *w->parts);
	for (uint32_t i = 0; i < count; i++) {
		struct part *p = &w->parts[i];
		bool plain = i < o->components;
		bool bridge = !plain && i < o->components + o->bridges;
		uint32_t first = plain ? 0 : o->components + (bridge ? 0 : o->bridges);

		snprintf(p->domain, sizeof p->domain, "%s%u.%s",
			 plain ? "part" : (bridge ? "bridge" : "shared"), i - first,
			 o->server.domain);
		p->shared = !plain && !bridge;
		p->is = (struct client_component){.port = o->component_port,
						  .domain = p->domain,
						  .secret = o->secret,
						  .buffer = BUFFER};
	}
	begin_echo(w, count);
	return count + o->shared;
}

/* Their own half is as small as BUFFER says (doubled: socket(7)); the server's grows as it likes.
 */
uint64_t part_buffer(void)
{
	unsigned long long min = 0, usual = 0, most = 4194304;
	FILE *f = fopen("/proc/sys/net/ipv4/tcp_wmem", "r");

	if (f && fscanf(f, "%llu %llu %llu", &min, &usual, &most) != 3)
		most = 4194304;
	if (f)
		fclose(f);
	return most + 2 * BUFFER;
}

void part_clear(struct crowd *w)
{
	free(w->parts);
	w->parts = NULL;
}

void part_take(struct member *m, uint32_t n)
{
	static const enum habit habits[] = {STEADY, DROPPER, SLOW, CRASHER};
	const struct options *o = m->crowd->opts;
	uint32_t alone = o->components + o->bridges;
	struct str jid = STR_INIT;

	m->part = &m->crowd->parts[n < alone ? n : alone + (n - alone) / 2];
	m->account = m->crowd->clients - o->twins + (uint32_t)(m->part - m->crowd->parts);
	m->wants_sm = n >= o->components && n < alone && !o->no_sm;
	/* A plain one that drops its connection has nobody to tell what it had. */
	if (m->wants_sm)
		m->habit = habits[(n - o->components) % 4];
	else
		m->habit = n < o->components && n % 2 ? SLOW : STEADY;
	str_addf(&jid, "bot@%s", m->part->domain);
	m->jid = xstrdup(jid.data);
	str_clear(&jid);
}

void part_broken(struct member *m, const char *why)
{
	char text[400];

	m->tries = 0;
	if (m->crowd->closing || crowd_is_cut(m->crowd))
		return;
	snprintf(text, sizeof text, "%s: %s", m->part->domain, why);
	judge_count(m->crowd->judge, COUNT_COMPONENT_BROKEN, text);
}

void part_refused(struct member *m, const char *why)
{
	m->tries++;
	if (strstr(why, "<conflict"))
		judge_count(m->crowd->judge, COUNT_CONFLICTS, NULL);
	else if (strstr(why, "<not-authorized") || strstr(why, "<host-unknown"))
		judge_count(m->crowd->judge, COUNT_COMPONENT_REFUSED, why);
}

uint32_t part_pause(struct member *m)
{
	uint32_t doubled = m->tries > PAUSES ? PAUSES : m->tries;

	if (m->tries == 0)
		return 0;
	return (PAUSE_MS << (doubled - 1)) + crowd_random(m->crowd, PAUSE_MS);
}
