#include "cli/xmpp/component_options.h"

#include <stdlib.h>

#include "cli/xmpp/component_store.h"

/* Digits, or the word that stands for 0. */
static int parse_number(const char *option, const char *text, const char *zero, uint64_t max,
			uint64_t *out)
{
	bool digits = *text && strlen(text) <= 10 && strspn(text, "0123456789") == strlen(text);

	*out = digits ? strtoull(text, NULL, 10) : 0;
	if ((digits && *out <= max) || strcmp(text, zero) == 0)
		return COMMAND_OK;
	return command_fail("xmpp", COMMAND_USAGE,
			    "%s takes a number up to %llu, or '%s', not '%s'", option,
			    (unsigned long long)max, zero, text);
}

bool component_options_given(const struct xmpp_values *v)
{
	return v->mode || v->hidden || v->visible || v->max_connections || v->bytes_per_second;
}

int component_options_apply(const struct xmpp_values *v, struct msg_db_component *c)
{
	int mode = v->mode ? component_store_mode(v->mode) : c->mode, code = COMMAND_OK;
	uint64_t max = c->max, bytes = c->bytes_per_second;

	if (mode < 0)
		return command_fail("xmpp", COMMAND_USAGE,
				    "--mode takes one, shared or standby, not '%s'", v->mode);
	if (v->hidden && v->visible)
		return command_fail("xmpp", COMMAND_USAGE,
				    "--hidden and --visible cannot both be meant");
	if (v->max_connections)
		code = parse_number("--max-connections", v->max_connections, "none", UINT16_MAX,
				    &max);
	if (code == COMMAND_OK && v->bytes_per_second)
		code = parse_number("--bytes-per-second", v->bytes_per_second, "default",
				    UINT32_MAX, &bytes);
	if (code != COMMAND_OK)
		return code;
	c->mode = (uint8_t)mode;
	c->hidden = (c->hidden || v->hidden) && !v->visible;
	c->max = (uint16_t)max;
	c->bytes_per_second = (uint32_t)bytes;
	return COMMAND_OK;
}

int component_options_secret(const struct xmpp_values *v, bool fresh, char out[PASSWORD_SIZE])
{
	*out = '\0';
	if (v->ask_secret + v->new_secret + (v->secret_file != NULL) > 1)
		return command_fail("xmpp", COMMAND_USAGE,
				    "only one of --secret-file, --ask-secret and --new-secret can "
				    "be meant");
	if (v->secret_file)
		return secret_read(out, v->secret_file);
	if (v->ask_secret)
		return secret_ask(out, "Enter component secret");
	if (fresh || v->new_secret)
		secret_generate(out);
	return COMMAND_OK;
}
