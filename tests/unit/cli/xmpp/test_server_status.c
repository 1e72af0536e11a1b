/*
 * cli/xmpp/server_status: the block of `xmpp status` (FEATURES 1.1, 1.2) and its JSON.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "cli/xmpp/server_status.h"
#include "proc/config.h"

static void set(char **field, const char *text)
{
	free(*field);
	*field = xstrdup(text);
}

static struct config *sample(void)
{
	struct config *cfg = config_defaults();

	set(&cfg->domains[0], "tptac9.com");
	set(&cfg->tls_key, "pki/abhiall.key");
	set(&cfg->tls_certificate, "pki/abhiall.cer");
	set(&cfg->tls_bundle, "other/ca.pem");
	set(&cfg->interface_a, "127.0.0.1");
	set(&cfg->xmpp_motd, "two\nlines");
	cfg->router_sessions_per_user = 0;
	cfg->xmpp_enabled = false;
	return cfg;
}

static void labels_have_24_columns_and_what_is_not_set_is_none(void **state)
{
	struct config *cfg = sample();
	struct str out = STR_INIT;

	(void)state;
	server_status_write(cfg, "XMPP server disabled", false, &out);
	assert_string_equal(out.data, "Enabled                 : false\n"
				      "Clustered               : false\n"
				      "Domain                  : tptac9.com\n"
				      "Listening interfaces    : a\n"
				      "Key file                : abhiall.key\n"
				      "Certificate file        : abhiall.cer\n"
				      "CA Bundle file          : other/ca.pem\n"
				      "Max sessions per user   : unlimited\n"
				      "STATUS                  : XMPP server disabled\n"
				      "Client addresses        : 127.0.0.1:5222\n"
				      "Component addresses     : 127.0.0.1:5223\n"
				      "Other domains           : none\n"
				      "Message of the day      : two\\x0alines\n");
	str_clear(&out);
	config_free(&cfg);
}

static void json_has_real_types(void **state)
{
	struct config *cfg = sample();
	struct str out = STR_INIT;

	(void)state;
	set(&cfg->tls_bundle, "");
	server_status_write(cfg, "XMPP server disabled", true, &out);
	assert_string_equal(
		out.data,
		"{\"enabled\":false,\"clustered\":false,\"domain\":\"tptac9.com\","
		"\"interfaces\":[\"a\"],\"key\":\"abhiall.key\",\"certificate\":\"abhiall.cer\","
		"\"bundle\":null,\"max_sessions\":null,\"status\":\"XMPP server disabled\","
		"\"client_addresses\":[\"127.0.0.1:5222\"],\"component_addresses\":"
		"[\"127.0.0.1:5223\"],\"other_domains\":[],\"motd\":\"two\\u000alines\"}\n");
	str_clear(&out);
	config_free(&cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_have_24_columns_and_what_is_not_set_is_none),
		cmocka_unit_test(json_has_real_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
