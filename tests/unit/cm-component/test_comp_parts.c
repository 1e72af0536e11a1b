/*
 * The small pure parts: what is in flight, digests, settings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmem.h"
#include "cm-component/comp_accounts.h"
#include "cm-component/comp_flight.h"
#include "cm-component/comp_settings.h"

static void a_delivery_is_told_when_its_last_raw_byte_has_left(void **state)
{
	struct comp_flight f = {0};

	(void)state;
	assert_true(comp_flight_is_empty(&f));
	comp_flight_queue(&f, 1, 100);
	comp_flight_queue(&f, 2, 200);
	assert_false(comp_flight_has_sent(&f));
	assert_int_equal(comp_flight_left(&f, 10000), 0); /* not even written */
	comp_flight_written(&f, 199, 299);		  /* TLS: 100 raw bytes more */
	assert_true(comp_flight_has_sent(&f));
	assert_int_equal(comp_flight_left(&f, 298), 0);
	assert_int_equal(comp_flight_left(&f, 299), 1);
	assert_false(comp_flight_is_empty(&f));
	comp_flight_written(&f, 200, 330);
	assert_int_equal(comp_flight_left(&f, 329), 0);
	assert_int_equal(comp_flight_left(&f, 330), 2);
	assert_true(comp_flight_is_empty(&f));
	assert_int_equal(comp_flight_left(&f, 330), 0);
}

static void more_than_can_be_told_apart_is_told_late_and_never_early(void **state)
{
	struct comp_flight f = {0};
	uint64_t q;

	(void)state;
	for (uint64_t i = 1; i <= 10; i++)
		comp_flight_queue(&f, i, 100 * i);
	comp_flight_written(&f, 350, 350);
	assert_int_equal(comp_flight_left(&f, 350), 3);
	comp_flight_written(&f, 999, 999);
	assert_int_equal(comp_flight_left(&f, 999), 0); /* 4 to 10 are one */
	comp_flight_written(&f, 1000, 1000);
	assert_int_equal(comp_flight_left(&f, 1000), 10);
	for (uint64_t i = 11; i <= 30; i++) { /* each written by itself, nothing leaves */
		comp_flight_queue(&f, i, 100 * i);
		comp_flight_written(&f, 100 * i, 100 * i);
	}
	for (uint64_t left = 1000; left <= 3000; left += 100) {
		q = comp_flight_left(&f, left);
		assert_true(q * 100 <= left);
	}
	assert_int_equal(q, 30);
	assert_true(comp_flight_is_empty(&f));
	comp_flight_queue(&f, 31, 3100);
	comp_flight_clear(&f);
	assert_true(comp_flight_is_empty(&f));
}

/* The id of XEP-0114's example; its secret is not told there. SHA-1("3BF96D32secret"). */
#define ID    "3BF96D32"
#define RIGHT "b09ea9b3b7f586be8a08d0a3dd7466f110aeb136"

static void only_the_right_digest_proves_anything(void **state)
{
	static const struct {
		const char *digest, *id, *secret;
		bool right;
	} rows[] = {
		{RIGHT, ID, "secret", true},
		{"B09EA9B3B7F586BE8A08D0A3DD7466F110AEB136", ID, "secret", true},
		{" \r\n\t" RIGHT "\n", ID, "secret", true},
		{RIGHT, ID, "Secret", false},
		{RIGHT, ID, "", false},
		{RIGHT, "3bf96d32", "secret", false},
		{RIGHT "0", ID, "secret", false},
		{"b09ea9b3b7f586be8a08d0a3dd7466f110aeb13", ID, "secret", false},
		{"b09ea9b3b7f586be8a08d0a3dd7466f110aeb137", ID, "secret", false},
		{"", ID, "secret", false},
		{"b09ea9b3b7f586be8a08 d0a3dd7466f110aeb136", ID, "secret", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (comp_accounts_proves(slice_str(rows[i].digest), slice_str(rows[i].id),
					 slice_str(rows[i].secret)) != rows[i].right)
			fail_msg("row %zu: %s", i, rows[i].digest);
}

static void settings_are_normalised_and_refused_whole(void **state)
{
	struct config *cfg = config_defaults();
	struct comp_settings s = {0};
	struct str why = STR_INIT;

	(void)state;
	free(cfg->domains[0]);
	cfg->domains[0] = xstrdup("EXAMPLE.com");
	assert_int_equal(comp_settings_load(&s, cfg, &why), ERR_OK);
	assert_true(comp_settings_serves(&s, slice_str("example.com")));
	assert_false(comp_settings_serves(&s, slice_str("cb1.example.com")));
	assert_false(s.rules.tls_required);
	assert_true(s.before.bytes < s.after.bytes);
	assert_true(s.wait_ms[COMP_DEADLINE_PROBE] < s.wait_ms[COMP_DEADLINE_PROBED]);
	free(cfg->domains[0]);
	cfg->domains[0] = xstrdup("not a domain");
	assert_int_equal(comp_settings_load(&s, cfg, &why), ERR_FORMAT);
	assert_non_null(strstr(why.data, "\"not a domain\" is not a domain name"));
	assert_true(comp_settings_serves(&s, slice_str("example.com")));
	comp_settings_clear(&s);
	config_free(&cfg);
	str_clear(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_delivery_is_told_when_its_last_raw_byte_has_left),
		cmocka_unit_test(more_than_can_be_told_apart_is_told_late_and_never_early),
		cmocka_unit_test(only_the_right_digest_proves_anything),
		cmocka_unit_test(settings_are_normalised_and_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
