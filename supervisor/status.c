#include "supervisor/sup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/xmem.h"
#include "net/loop.h"
#include "proc/config.h"
#include "supervisor/certwatch.h"
#include "supervisor/logpipe.h"
#include "supervisor/sockets.h"

static bool is_shown(const struct unit *u)
{
	return !u->retired || service_is_running(&u->core);
}

static bool is_behind(const struct unit *u)
{
	return service_is_running(&u->core) && u->generation != u->sup->generation;
}

bool status_is_well(const struct sup *s)
{
	for (size_t i = 0; i < s->nunits; i++)
		if (is_shown(s->units[i]) && s->units[i]->core.state != SERVICE_READY)
			return false;
	return true;
}

static uint64_t uptime_s(const struct unit *u)
{
	if (!service_is_running(&u->core))
		return 0;
	return monotime_ms_between(u->core.since, loop_now(u->sup->loop)) / 1000;
}

/* Ours about its log stands behind its own. NULL: none. */
const char *status_alarm(const struct unit *u)
{
	if (u->alarm)
		return u->alarm;
	return u->log && logpipe_is_stuck(u->log) ? "its log file cannot be written" : NULL;
}

static void add_remarks(const struct unit *u, struct str *out)
{
	if (u->core.state == SERVICE_BACKOFF)
		str_addf(out, " restarts in %.1f s;",
			 (double)monotime_ms_between(loop_now(u->sup->loop), u->core.due) / 1000);
	if (u->cause.len)
		str_addf(out, " last end: %s;", u->cause.data);
	if (status_alarm(u))
		str_addf(out, " ALARM: %s;", status_alarm(u));
	if (is_behind(u))
		str_addf(out, " BEHIND: configuration %llu instead of %llu%s%s;",
			 (unsigned long long)u->generation, (unsigned long long)u->sup->generation,
			 u->behind ? ": " : "", u->behind ? u->behind : "");
	if (out->len && out->data[out->len - 1] == ';')
		out->data[--out->len] = '\0';
}

void status_table(const struct sup *s, struct str *out)
{
	const char *addr, *bound, *alarm;
	size_t it = 0;
	int fd;

	str_addf(out, "%-14s %8s %-9s %-5s %9s %8s  %s\n", "INSTANCE", "PID", "STATE", "READY",
		 "UPTIME", "RESTARTS", "REMARKS");
	for (size_t i = 0; i < s->nunits; i++) {
		const struct unit *u = s->units[i];
		struct str remarks = STR_INIT;

		if (!is_shown(u))
			continue;
		add_remarks(u, &remarks);
		str_addf(out, "%-14s %8d %-9s %-5s %8llus %8llu %s\n", u->name, (int)u->pid,
			 service_state_name(u->core.state),
			 u->core.state == SERVICE_READY ? "yes" : "no",
			 (unsigned long long)uptime_s(u), (unsigned long long)u->core.restarts,
			 remarks.data);
		str_clear(&remarks);
	}
	while (sockets_next(s->sockets, NULL, &it, &addr, &bound, &fd))
		str_addf(out, "listening on %s\n", bound);
	if (!s->cfg->xmpp_enabled)
		str_adds(out, "XMPP is disabled: no client or component can connect; `xmpp enable` "
			      "opens the ports\n");
	for (size_t i = 0; certwatch_alarm(s->certs, i, &alarm); i++)
		if (alarm)
			str_addf(out, "ALARM: %s\n", alarm);
}

static void add_json(struct str *out, const char *key, const char *value)
{
	str_addf(out, ",\"%s\":", key);
	if (value)
		json_text(out, slice_str(value));
	else
		str_adds(out, "null");
}

static void add_unit(const struct unit *u, struct str *out)
{
	str_addf(out, "{\"pid\":%d", (int)u->pid);
	add_json(out, "service", u->row->service);
	add_json(out, "instance", u->name);
	add_json(out, "state", service_state_name(u->core.state));
	str_addf(out, ",\"ready\":%s,\"uptime\":%llu,\"restarts\":%llu,\"generation\":%llu",
		 u->core.state == SERVICE_READY ? "true" : "false", (unsigned long long)uptime_s(u),
		 (unsigned long long)u->core.restarts, (unsigned long long)u->generation);
	str_addf(out, ",\"behind\":%s,\"adopted\":%s", is_behind(u) ? "true" : "false",
		 u->pid && !u->child ? "true" : "false");
	add_json(out, "last_exit", u->cause.len ? u->cause.data : NULL);
	add_json(out, "alarm", status_alarm(u));
	str_addc(out, '}');
}

void status_json(const struct sup *s, struct str *out)
{
	static const char *const phases[] = {[SUP_CHECKING] = "checking",
					     [SUP_ADOPTING] = "adopting",
					     [SUP_STARTING] = "starting",
					     [SUP_RUNNING] = "running",
					     [SUP_STOPPING] = "stopping"};
	const char *addr, *bound, *alarm, *sep = "";
	size_t it = 0;
	int fd;

	str_addf(out, "{\"pid\":%d,\"phase\":\"%s\",\"generation\":%llu,\"services\":[\n",
		 (int)getpid(), phases[s->phase], (unsigned long long)s->generation);
	for (size_t i = 0; i < s->nunits; i++) {
		if (!is_shown(s->units[i]))
			continue;
		str_adds(out, sep);
		add_unit(s->units[i], out);
		sep = ",\n";
	}
	str_addf(out, "],\n\"enabled\":%s,\n\"listeners\":[",
		 s->cfg->xmpp_enabled ? "true" : "false");
	for (sep = ""; sockets_next(s->sockets, NULL, &it, &addr, &bound, &fd); sep = ",")
		str_addf(out, "%s\"%s\"", sep, bound);
	str_adds(out, "],\n\"alarms\":[");
	sep = "";
	for (size_t i = 0; certwatch_alarm(s->certs, i, &alarm); i++) {
		if (!alarm)
			continue;
		str_adds(out, sep);
		json_text(out, slice_str(alarm));
		sep = ",";
	}
	str_adds(out, "]}\n");
}

void status_metrics(void *arg, struct str *out)
{
	const struct sup *s = arg;

	str_addf(out, "generation=%llu", (unsigned long long)s->generation);
	for (size_t i = 0; i < s->nunits; i++) {
		const struct unit *u = s->units[i];

		if (is_shown(u))
			str_addf(out, " up:%s=%d restarts:%s=%llu alarms:%s=%d", u->name,
				 u->core.state == SERVICE_READY, u->name,
				 (unsigned long long)u->core.restarts, u->name,
				 status_alarm(u) != NULL);
	}
}

void status_last_error(const struct unit *u, struct str *out)
{
	char *path = xasprintf("log/%s.log", u->row->service), buf[16384], *found = NULL;
	char who[TABLE_NAME_MAX + 2];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	off_t from = size > (off_t)sizeof(buf) - 1 ? size - (off_t)sizeof(buf) + 1 : 0;
	ssize_t n = fd >= 0 ? pread(fd, buf, sizeof(buf) - 1, from) : 0;

	buf[n > 0 ? n : 0] = '\0';
	snprintf(who, sizeof(who), " %s[", u->name);
	for (char *line = buf, *next; *line; line = next) {
		size_t len = strcspn(line, "\n");

		next = line + len + (line[len] != '\0');
		line[len] = '\0';
		if ((strstr(line, " error ") && strstr(line, who)) || strstr(line, "exec_failed"))
			found = line;
	}
	if (found)
		str_addf(out, "; it said: %s", found);
	if (fd >= 0)
		close(fd);
	free(path);
}
