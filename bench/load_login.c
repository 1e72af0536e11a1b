/*
 * load_login - a storm of logins: connect, TLS, SASL, bind, presence, close; a number at a time.
 *
 * Every account logs in once before the measurement, so that the generator's own key derivation
 * (see scram.h) is not in it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/monotime.h"
#include "bench/client.h"
#include "bench/crew.h"
#include "bench/load.h"
#include "bench/tcp.h"

struct storm {
	struct tcp *tcp;
	const struct opts *opts;
	struct result *result;
	uint32_t started;
	uint32_t under_way;
};

static void on_ready(void *arg, struct client *c)
{
	struct storm *s = arg;

	s->result->count++;
	hist_add(&s->result->times, monotime_now().us - client_begun(c).us);
	client_set_tag(c, 1);
	str_adds(client_output(c), "</stream:stream>");
}

static void on_closed(void *arg, struct client *c, const char *why)
{
	struct storm *s = arg;

	if (client_tag(c) == 0 && s->result->retried < s->opts->retry) {
		s->result->retried++;
		s->started--;
	} else if (client_tag(c) == 0)
		result_error(s->result, "%s", why);
	s->under_way--;
	client_free(&c);
}

static const struct client_events events = {.on_ready = on_ready, .on_closed = on_closed};

static bool blow(struct storm *s)
{
	while (s->started < s->opts->count || s->under_way) {
		while (s->started < s->opts->count && s->under_way < s->opts->together) {
			uint32_t user = s->started++ % s->opts->users;

			if (!client_new(s->tcp, s->opts, user, NULL, &events, s)) {
				fprintf(stderr, "no connection: %s\n", strerror(errno));
				return false;
			}
			s->under_way++;
		}
		tcp_turn(s->tcp, 1000);
	}
	return true;
}

static bool log_in_once(struct tcp *n, const struct opts *o)
{
	uint32_t all = o->users < o->count ? o->users : o->count;
	struct crew *crew = crew_new(n, o, all, NULL, NULL);
	bool ok = crew_login(crew, all);

	crew_free(&crew);
	return ok;
}

bool load_login(struct tcp *n, const struct opts *o, struct result *r)
{
	struct storm s = {.tcp = n, .opts = o, .result = r};
	struct span span;

	r->unit = "login";
	r->times_name = "login";
	if (!log_in_once(n, o))
		return false;
	span_begin(&span, o);
	bool ok = blow(&s);
	span_end(&span, r);
	return ok;
}
