/*
 * cli/xmpp/interfaces: words of `xmpp listen` to addresses and back, on this machine's loopback.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/xmem.h"
#include "cli/xmpp/interfaces.h"
#include "proc/config.h"

static struct config *config_with(const char *a, const char *b)
{
	struct config *cfg = config_defaults();

	free(cfg->interface_a);
	cfg->interface_a = xstrdup(a);
	free(cfg->interface_b);
	cfg->interface_b = xstrdup(b);
	return cfg;
}

/* The addresses of words separated by blanks, or "refused: why". */
static void add_all(struct str *out, const struct config *cfg, const char *words)
{
	struct interfaces i = {0};
	struct str why = STR_INIT;
	bool ok = true;

	for (size_t n; *words && ok; words += n + (words[n] == ' ')) {
		char *word;

		n = strcspn(words, " ");
		word = xstrndup(words, n);
		ok = interfaces_add(&i, cfg, word, &why);
		free(word);
	}
	if (!ok)
		str_addf(out, "refused: %s", why.data);
	for (size_t k = 0; ok && k < i.n; k++)
		str_addf(out, "%s%s", k ? " " : "", i.addresses[k]);
	interfaces_clear(&i);
	str_clear(&why);
}

static void words_become_addresses_or_are_refused(void **state)
{
	static const struct {
		const char *words, *want; /* the beginning of it */
	} cases[] = {
		{"127.0.0.1", "127.0.0.1"},
		{"127.0.0.1 127.0.0.1", "127.0.0.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"127.0.0.1 a 0.0.0.0", "0.0.0.0"}, /* they could not be bound beside it */
		{"0.0.0.0 127.0.0.1 a", "0.0.0.0"},
		{"127.0.0.1 ::1 ::", "127.0.0.1 [::]"},
		{"[::1]", "[::1]"},
		{"::", "[::]"},
		{"a", "127.0.0.2"},
		{"a 127.0.0.3", "127.0.0.2 127.0.0.3"},
		{"a 127.0.0.2", "127.0.0.2"},
		{"lo", "127.0.0.1"},
		{"b", "127.0.0.1"},
		{"c", "refused: interface c is not configured; name its address or network"},
		{"d", "refused: interface d is not configured"},
		{"e", "refused: there is no interface \"e\"; there are a..d, "},
		{"lo:5222", "refused: there is no interface \"lo:5222\""},
		{"127.0.0.1:5222", "refused: there is no interface"},
		{"", "refused: there is no interface"},
		{"203.0.113.7", "refused: this machine does not have the address 203.0.113.7"},
	};
	struct config *cfg = config_with("127.0.0.2", "lo");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str got = STR_INIT;

		add_all(&got, cfg, *cases[i].words ? cases[i].words : " ");
		/* A machine without IPv6 has none of these. */
		if (strchr(cases[i].words, ':') && strstr(got.data, "does not have"))
			got.len = 0;
		else if (strncmp(got.data, cases[i].want, strlen(cases[i].want)) != 0)
			fail_msg("%s: %s", cases[i].words, got.data);
		str_clear(&got);
	}
	config_free(&cfg);
}

static void more_than_sixteen_addresses_are_refused(void **state)
{
	struct config *cfg = config_with("", "");
	struct interfaces i = {0};
	struct str why = STR_INIT;
	char word[24];

	(void)state;
	for (int n = 1; n <= INTERFACES_MAX; n++) {
		snprintf(word, sizeof(word), "127.0.1.%d", n);
		assert_true(interfaces_add(&i, cfg, word, &why));
	}
	assert_false(interfaces_add(&i, cfg, "127.0.2.1", &why));
	assert_non_null(strstr(why.data, "0.0.0.0 is all"));
	assert_true(interfaces_add(&i, cfg, "0.0.0.0", &why));
	assert_int_equal(i.n, 1);
	interfaces_clear(&i);
	str_clear(&why);
	config_free(&cfg);
}

static void addresses_are_called_by_their_letters_where_all_of_a_letter_is_there(void **state)
{
	char one[] = "127.0.0.1:5222", two[] = "127.0.0.2:5222", two_again[] = "127.0.0.2:5223";
	char six[] = "[::1]:5222", odd[] = "nonsense";
	char *none[] = {NULL}, *some[] = {one, two, two_again, odd, NULL},
	     *all[] = {six, two, NULL};
	struct config *cfg = config_with("127.0.0.2", "127.0.0.9");
	struct str text = STR_INIT;

	(void)state;
	interfaces_name(&text, cfg, none);
	assert_string_equal(text.data, "");
	interfaces_name(&text, cfg, some);
	assert_string_equal(text.data, "a 127.0.0.1");
	str_reset(&text);
	interfaces_name(&text, cfg, all);
	assert_string_equal(text.data, "a [::1]");
	str_clear(&text);
	config_free(&cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_become_addresses_or_are_refused),
		cmocka_unit_test(more_than_sixteen_addresses_are_refused),
		cmocka_unit_test(
			addresses_are_called_by_their_letters_where_all_of_a_letter_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
