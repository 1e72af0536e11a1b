#include "cm-component/comp_settings.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "xmpp/jid.h"

#define ANSWER_MS 5000 /* DESIGN 3: logins and binds wait that long for datastore and router */
/* The router asks the one that is bound already, which has 3 s, and waits 3.5 s for the answer. */
#define PROBED_MS 6000
/* The router's answer comes after its wait for the disk (5 s): at the same time would be a race. */
#define RESUME_MS 8000
#define PROBE_MS  3000
#define LINGER_MS 3000
#define ASK_MS	  5000
#define SOON_MS	  200

static void free_list(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

static char **normalise(char *const *domains, struct str *why)
{
	size_t n = 0;
	char **out;

	while (domains[n])
		n++;
	out = xcalloc(n + 1, sizeof(*out));
	for (size_t i = 0; i < n; i++) {
		char name[JID_PART_MAX + 1];

		if (jid_prepare_domain(name, slice_str(domains[i])) != ERR_OK) {
			str_addf(why, "domains: %s is not a domain name; correct it",
				 log_quote(slice_str(domains[i])));
			free_list(out);
			return NULL;
		}
		out[i] = xstrdup(name);
	}
	return out;
}

/* How often an idle stream is looked at: for the nearer of its two deadlines. */
static uint64_t idle_wait(const struct comp_settings *s)
{
	uint64_t idle = s->idle_ms / 4;

	if (s->keepalive_ms && (!idle || s->keepalive_ms < idle))
		return s->keepalive_ms;
	return idle;
}

static struct cm_rate rate(int64_t bytes, int64_t burst)
{
	return (struct cm_rate){(uint64_t)bytes, 1000000, (uint64_t)burst};
}

static void load_limits(struct comp_settings *s, const struct config *cfg)
{
	int64_t before = cfg->limit_bytes_per_second_unauth,
		two = 2 * cfg->limit_stanza_bytes_unauth;

	s->before.bytes = (uint32_t)cfg->limit_stanza_bytes_unauth;
	s->after.bytes = (uint32_t)cfg->component_stanza_bytes;
	s->before.depth = s->after.depth = (uint16_t)cfg->limit_depth;
	s->before.attributes = s->after.attributes = (uint16_t)cfg->limit_attributes;
	s->rate_before = rate(before, before > two ? before : two);
	s->rate_after = rate(cfg->component_bytes_per_second, cfg->component_bytes_burst);
	s->session_unsettled = (size_t)cfg->component_session_unsettled;
	s->unsettled = (size_t)cfg->limit_unsettled;
	s->session_queue = (size_t)cfg->component_session_queue;
}

static void load_waits(struct comp_settings *s, const struct config *cfg)
{
	s->keepalive_ms = (uint64_t)cfg->component_keepalive_s * 1000;
	s->idle_ms = (uint64_t)cfg->component_idle_timeout_s * 1000;
	s->write_timeout_ms = (uint64_t)cfg->component_write_timeout_s * 1000;
	s->wait_ms[COMP_DEADLINE_STEP] = (uint64_t)cfg->component_handshake_s * 1000;
	s->wait_ms[COMP_DEADLINE_ANSWER] = ANSWER_MS;
	s->wait_ms[COMP_DEADLINE_PROBED] = PROBED_MS;
	s->wait_ms[COMP_DEADLINE_RESUME] = RESUME_MS;
	s->wait_ms[COMP_DEADLINE_IDLE] = idle_wait(s);
	s->wait_ms[COMP_DEADLINE_PROBE] = PROBE_MS;
	s->wait_ms[COMP_DEADLINE_ACK] = (uint64_t)cfg->component_ack_timeout_s * 1000;
	s->wait_ms[COMP_DEADLINE_ASK] = ASK_MS;
	s->wait_ms[COMP_DEADLINE_SOON] = SOON_MS;
	s->wait_ms[COMP_DEADLINE_LINGER] = LINGER_MS;
}

enum err comp_settings_load(struct comp_settings *s, const struct config *cfg, struct str *why)
{
	char **domains = normalise(cfg->domains, why);

	if (!domains)
		return ERR_FORMAT;
	free_list(s->domains);
	s->domains = domains;
	s->rules.tls_required = strcmp(cfg->component_starttls, "required") == 0;
	load_limits(s, cfg);
	load_waits(s, cfg);
	return ERR_OK;
}

void comp_settings_clear(struct comp_settings *s)
{
	free_list(s->domains);
	*s = (struct comp_settings){0};
}

bool comp_settings_serves(const struct comp_settings *s, struct slice domain)
{
	for (char **d = s->domains; d && *d; d++)
		if (slice_is(domain, *d))
			return true;
	return false;
}
