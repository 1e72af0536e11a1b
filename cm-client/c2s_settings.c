#include "cm-client/c2s_settings.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xmem.h"
#include "xmpp/jid.h"

#define ANSWER_MS 5000 /* DESIGN 3: logins and binds wait that long for datastore and router */
/* The router's answer comes after its wait for the disk (5 s): at the same time would be a race
 * that the client, told that its session is refused, loses. */
#define RESUME_MS 8000
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
	if (n == 0) {
		str_adds(why, "domains: no domain is served; name at least one");
		free_list(out);
		return NULL;
	}
	return out;
}

/* How often an idle stream is looked at: for the nearer of its two deadlines. */
static uint64_t idle_wait(const struct c2s_settings *s)
{
	uint64_t idle = s->idle_ms / 4;

	if (s->keepalive_ms && (!idle || s->keepalive_ms < idle))
		return s->keepalive_ms;
	return idle;
}

/* Bytes of one client in a second. */
static struct cm_rate rate(int64_t bytes, int64_t burst)
{
	return (struct cm_rate){(uint64_t)bytes, 1000000, (uint64_t)burst};
}

static void load_rates(struct c2s_settings *s, const struct config *cfg)
{
	int64_t before = cfg->limit_bytes_per_second_unauth,
		two = 2 * cfg->limit_stanza_bytes_unauth;

	s->rate_before = rate(before, before > two ? before : two);
	s->rate_after = rate(cfg->limit_bytes_per_second, cfg->limit_bytes_burst);
	s->registrations = (unsigned int)cfg->registration_per_hour;
}

/* Half of what the router has under way to a client at once may be kept back, or what is important
 * would wait in the router behind it. What one sender, and all, may have waiting: see c2s_csi.h. */
static void load_csi(struct c2s_settings *s, const struct config *cfg)
{
	size_t half = (size_t)cfg->router_flight_bytes / 2, bytes = (size_t)cfg->client_csi_bytes;
	size_t processes = (size_t)cfg->client_instances;

	s->csi.stanzas = (unsigned int)cfg->client_csi_stanzas;
	s->csi.bytes = bytes < half ? bytes : half;
	s->csi.sender = s->session_unsettled / 2 / processes;
	s->csi.total = s->unsettled / 4 / processes;
	s->wait_ms[C2S_DEADLINE_CSI] = (uint64_t)cfg->client_csi_s * 1000;
}

static void load_announced(struct c2s_rules *r, const struct config *cfg)
{
	r->registration = cfg->registration_enabled;
	r->csi = cfg->client_csi_stanzas > 0;
	r->max_bytes[0] = (uint32_t)cfg->limit_stanza_bytes_unauth;
	r->max_bytes[1] = (uint32_t)cfg->limit_stanza_bytes;
	r->idle_s[0] = (uint32_t)cfg->limit_login_s;
	r->idle_s[1] = (uint32_t)cfg->client_idle_timeout_s;
}

enum err c2s_settings_load(struct c2s_settings *s, const struct config *cfg, struct str *why)
{
	char **domains = normalise(cfg->domains, why);

	if (!domains)
		return ERR_FORMAT;
	free_list(s->domains);
	s->domains = domains;
	s->rules.domains = (const char *const *)domains;
	s->rules.tls_required = strcmp(cfg->client_starttls, "required") == 0;
	s->rules.plain_allowed = cfg->client_sasl_plain;
	s->rules.login_attempts = (unsigned int)cfg->limit_login_attempts;
	s->rules.component_hint = "this port is for clients: components connect to the component "
				  "port";
	s->before.bytes = (uint32_t)cfg->limit_stanza_bytes_unauth;
	s->after.bytes = (uint32_t)cfg->limit_stanza_bytes;
	s->before.depth = s->after.depth = (uint16_t)cfg->limit_depth;
	s->before.attributes = s->after.attributes = (uint16_t)cfg->limit_attributes;
	s->keepalive_ms = (uint64_t)cfg->client_keepalive_s * 1000;
	s->idle_ms = (uint64_t)cfg->client_idle_timeout_s * 1000;
	s->wait_ms[C2S_DEADLINE_TLS] = (uint64_t)cfg->limit_tls_s * 1000;
	s->wait_ms[C2S_DEADLINE_LOGIN] = (uint64_t)cfg->limit_login_s * 1000;
	s->wait_ms[C2S_DEADLINE_ANSWER] = ANSWER_MS;
	s->wait_ms[C2S_DEADLINE_RESUME] = RESUME_MS;
	s->wait_ms[C2S_DEADLINE_IDLE] = idle_wait(s);
	s->wait_ms[C2S_DEADLINE_ACK] = (uint64_t)cfg->client_ack_timeout_s * 1000;
	s->wait_ms[C2S_DEADLINE_ASK] = ASK_MS;
	s->wait_ms[C2S_DEADLINE_SOON] = SOON_MS;
	s->wait_ms[C2S_DEADLINE_LINGER] = LINGER_MS;
	s->session_unsettled = (size_t)cfg->limit_session_unsettled;
	s->unsettled = (size_t)cfg->limit_unsettled;
	s->session_queue = (size_t)cfg->limit_session_queue;
	load_announced(&s->rules, cfg);
	load_rates(s, cfg);
	load_csi(s, cfg);
	return ERR_OK;
}

void c2s_settings_clear(struct c2s_settings *s)
{
	free_list(s->domains);
	*s = (struct c2s_settings){0};
}

bool c2s_settings_serves(const struct c2s_settings *s, struct slice domain)
{
	for (char **d = s->domains; *d; d++)
		if (slice_is(domain, *d))
			return true;
	return false;
}
