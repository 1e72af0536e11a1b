#include "cli/xmpp/interfaces.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xmem.h"
#include "proc/config.h"

void interfaces_clear(struct interfaces *i)
{
	while (i->n > 0)
		free(i->addresses[--i->n]);
}

static bool has(const struct interfaces *i, struct slice address)
{
	for (size_t k = 0; k < i->n; k++)
		if (slice_is(address, i->addresses[k]))
			return true;
	return false;
}

/* What stands for all addresses of its family. */
static const char *all_like(const char *address)
{
	return address[0] == '[' ? "[::]" : "0.0.0.0";
}

static void drop_like(struct interfaces *i, const char *address)
{
	size_t kept = 0;

	for (size_t k = 0; k < i->n; k++) {
		if ((i->addresses[k][0] == '[') == (address[0] == '['))
			free(i->addresses[k]);
		else
			i->addresses[kept++] = i->addresses[k];
	}
	i->n = kept;
}

/* All addresses of a family and one of them cannot be listened on side by side. */
static bool add(struct interfaces *i, const char *address, struct str *why)
{
	if (has(i, slice_str(address)) || has(i, slice_str(all_like(address))))
		return true;
	if (strcmp(address, all_like(address)) == 0)
		drop_like(i, address);
	if (i->n == INTERFACES_MAX) {
		str_addf(why, "more than %d addresses; 0.0.0.0 is all of this machine's",
			 INTERFACES_MAX);
		return false;
	}
	i->addresses[i->n++] = xstrdup(address);
	return true;
}

/* ---- the machine's */

static bool is_usable(const struct sockaddr *sa)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)sa;

	return sa && (sa->sa_family == AF_INET ||
		      (sa->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr)));
}

static void format(const struct sockaddr *sa, char out[INET6_ADDRSTRLEN + 2])
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)sa;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)sa;
	char text[INET6_ADDRSTRLEN] = "";

	if (sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text));
	else
		inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text));
	snprintf(out, INET6_ADDRSTRLEN + 2, sa->sa_family == AF_INET6 ? "[%s]" : "%s", text);
}

/* False only when there are too many. *found: how many addresses it has. */
static bool add_device(struct interfaces *i, const char *name, size_t *found, struct str *why)
{
	struct ifaddrs *list = NULL;
	bool ok = true;

	*found = 0;
	if (getifaddrs(&list) < 0)
		list = NULL;
	for (const struct ifaddrs *at = list; at && ok; at = at->ifa_next) {
		char text[INET6_ADDRSTRLEN + 2];

		if (strcmp(at->ifa_name, name) != 0 || !is_usable(at->ifa_addr))
			continue;
		format(at->ifa_addr, text);
		++*found;
		ok = add(i, text, why);
	}
	if (list)
		freeifaddrs(list);
	return ok;
}

static bool can_bind(const struct addrinfo *ai)
{
	struct sockaddr_storage sa = {0};
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	memcpy(&sa, ai->ai_addr, ai->ai_addrlen);
	ok = fd >= 0 && bind(fd, (const struct sockaddr *)&sa, ai->ai_addrlen) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

enum literal { LITERAL_NONE, LITERAL_OURS, LITERAL_FOREIGN };

/* "127.0.0.1", "::1" or "[::1]". */
static enum literal literal(const char *word, char out[INET6_ADDRSTRLEN + 2])
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
	size_t n = strlen(word);
	struct addrinfo *ai = NULL;
	char host[128];
	bool ours;

	if (n >= sizeof(host))
		return LITERAL_NONE;
	if (n > 2 && word[0] == '[' && word[n - 1] == ']')
		snprintf(host, sizeof(host), "%.*s", (int)n - 2, word + 1);
	else
		snprintf(host, sizeof(host), "%s", word);
	if (getaddrinfo(host, "0", &hints, &ai) != 0)
		return LITERAL_NONE;
	format(ai->ai_addr, out);
	ours = can_bind(ai);
	freeaddrinfo(ai);
	return ours ? LITERAL_OURS : LITERAL_FOREIGN;
}

static void add_known_names(struct str *why)
{
	struct if_nameindex *all = if_nameindex();

	str_adds(why, "a..d");
	for (struct if_nameindex *at = all; at && at->if_name; at++)
		str_addf(why, ", %s", at->if_name);
	if (all)
		if_freenameindex(all);
}

/* if_nametoindex() takes "lo:5222" for lo. */
static bool is_device(const char *name)
{
	struct if_nameindex *all = if_nameindex();
	bool found = false;

	for (struct if_nameindex *at = all; at && at->if_name; at++)
		found = found || strcmp(at->if_name, name) == 0;
	if (all)
		if_freenameindex(all);
	return found;
}

static bool add_real(struct interfaces *out, const char *word, struct str *why)
{
	char text[INET6_ADDRSTRLEN + 2];
	size_t found;

	switch (literal(word, text)) {
	case LITERAL_OURS:
		return add(out, text, why);
	case LITERAL_FOREIGN:
		str_addf(why,
			 "this machine does not have the address %s; `ip addr` lists those it has",
			 word);
		return false;
	case LITERAL_NONE:
		break;
	}
	if (!add_device(out, word, &found, why))
		return false;
	if (found > 0)
		return true;
	if (is_device(word)) {
		str_addf(why, "interface %s has no address to listen on", word);
	} else {
		str_addf(why, "there is no interface \"%s\"; there are ", word);
		add_known_names(why);
	}
	return false;
}

/* ---- letters */

/* NULL: not a letter; "": not configured. */
static const char *letter(const struct config *cfg, const char *word)
{
	const char *const all[] = {cfg->interface_a, cfg->interface_b, cfg->interface_c,
				   cfg->interface_d};

	return word[0] >= 'a' && word[0] <= 'd' && !word[1] ? all[word[0] - 'a'] : NULL;
}

bool interfaces_add(struct interfaces *out, const struct config *cfg, const char *word,
		    struct str *why)
{
	const char *behind = letter(cfg, word);

	if (!behind)
		return add_real(out, word, why);
	if (!*behind) {
		str_addf(why,
			 "interface %s is not configured; name its address or network interface "
			 "in " CONFIG_PATH ": interfaces = { %s = \"...\"; };",
			 word, word);
		return false;
	}
	if (add_real(out, behind, why))
		return true;
	str_addf(why, " (interfaces.%s in " CONFIG_PATH ")", word);
	return false;
}

/* ---- back */

bool interfaces_split(const char *listen, struct slice *address, struct slice *port)
{
	const char *colon = strrchr(listen, ':');

	if (!colon || colon == listen || !colon[1])
		return false;
	*address = slice_of(listen, (size_t)(colon - listen));
	*port = slice_str(colon + 1);
	return true;
}

static bool listens_on(char *const *listen, const char *address)
{
	struct slice own, port;

	for (; *listen; listen++)
		if (interfaces_split(*listen, &own, &port) && slice_is(own, address))
			return true;
	return false;
}

/* The letter's addresses, if all of them are listened on: else nothing. */
static bool covered(struct interfaces *out, const struct config *cfg, const char *name,
		    char *const *listen)
{
	struct str ignored = STR_INIT;
	const char *behind = letter(cfg, name);
	bool ok = *behind && add_real(out, behind, &ignored);

	for (size_t i = 0; ok && i < out->n; i++)
		ok = listens_on(listen, out->addresses[i]);
	str_clear(&ignored);
	return ok;
}

void interfaces_name(struct str *out, const struct config *cfg, char *const *listen)
{
	struct interfaces said = {0};
	struct slice address, port;

	for (char name[2] = "a"; name[0] <= 'd'; name[0]++) {
		struct interfaces own = {0};

		if (covered(&own, cfg, name, listen)) {
			str_addf(out, "%s%s", out->len ? " " : "", name);
			for (size_t i = 0; i < own.n && said.n < INTERFACES_MAX; i++)
				said.addresses[said.n++] = xstrdup(own.addresses[i]);
		}
		interfaces_clear(&own);
	}
	for (; *listen; listen++) {
		if (!interfaces_split(*listen, &address, &port) || has(&said, address))
			continue;
		str_addf(out, "%s%.*s", out->len ? " " : "", SLICE_ARG(address));
		if (said.n < INTERFACES_MAX)
			said.addresses[said.n++] = xstrndup(address.data, address.len);
	}
	interfaces_clear(&said);
}
