/* `xmpp callbridge ...` and `xmpp component ...`, against a server that keeps what it is told. */
#include "../run_command.h"

#include "cli/xmpp/callbridge.h"
#include "cli/xmpp/xmpp_program.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"
#include "scram/fingerprint.h"

#define CREATED_MS 1700000000999ull /* 2023-11-14T22:13:20Z */
#define KEPT_MAX   10

static pid_t router;

/* ---- a datastore (in the router's process) ---- */

struct kept {
	char name[64], domain[64], jid[64], secret[64];
	uint8_t mode, hidden;
	uint16_t max;
	uint32_t bytes;
};

static struct kept kept[KEPT_MAX];
static size_t nkept;

static void copy(char out[64], struct slice s)
{
	snprintf(out, 64, "%.*s", SLICE_ARG(s));
}

static struct kept *find(const char *name)
{
	for (size_t i = 0; i < nkept; i++)
		if (strcmp(kept[i].name, name) == 0)
			return &kept[i];
	return NULL;
}

static enum err add(struct slice body, struct str *out)
{
	struct msg_db_component_add m;
	struct kept *k = &kept[nkept];

	if (msg_db_component_add_get(body, &m) != ERR_OK || nkept == KEPT_MAX)
		return ERR_FORMAT;
	copy(k->name, m.name);
	if (strcmp(k->name, "slow") == 0) {
		str_adds(out, "the datastore did not answer in time");
		return ERR_TIMEOUT;
	}
	if (find(k->name)) {
		str_adds(out, "a component named cb1 exists");
		return ERR_CONFLICT;
	}
	copy(k->domain, m.domain);
	copy(k->jid, m.jid);
	copy(k->secret, m.secret);
	k->mode = m.mode;
	k->hidden = m.hidden;
	k->max = m.max;
	k->bytes = m.bytes_per_second;
	nkept++;
	return ERR_OK;
}

/* Who was shown secrets stands in a file, as it does in the real one's log. */
static void note_shown(struct slice by)
{
	FILE *f = fopen("shown", "a");

	fprintf(f, "%.*s\n", SLICE_ARG(by));
	fclose(f);
}

static void list(struct slice body, struct str *out)
{
	struct msg_db_component_list m;
	struct str packed = STR_INIT;

	assert_int_equal(msg_db_component_list_get(body, &m), ERR_OK);
	for (size_t i = 0; i < nkept; i++) {
		struct msg_db_component c = {.name = slice_str(kept[i].name),
					     .domain = slice_str(kept[i].domain),
					     .jid = slice_str(kept[i].jid),
					     .mode = kept[i].mode,
					     .hidden = kept[i].hidden,
					     .max = kept[i].max,
					     .bytes_per_second = kept[i].bytes,
					     .created = CREATED_MS};
		char mark[FINGERPRINT_SIZE];

		fingerprint(mark, slice_str(kept[i].secret));
		if (m.secrets == DB_SECRETS_SHOWN)
			c.secret = slice_str(kept[i].secret);
		else if (m.secrets == DB_SECRETS_FINGERPRINTS)
			c.secret = slice_str(mark);
		db_component_put(&packed, &c);
	}
	if (m.secrets == DB_SECRETS_SHOWN)
		note_shown(m.by);
	msg_db_components_put(out,
			      &(struct msg_db_components){(uint32_t)nkept, str_slice(&packed)});
	str_clear(&packed);
}

static void answer_store(struct link *l, const struct msg_store *m)
{
	struct slice in = m->body, body;
	struct str out = STR_INIT, text = STR_INIT;
	enum err e = ERR_OK;
	uint16_t type;

	assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
	if (type == MSG_DB_COMPONENT_LIST)
		list(body, &out);
	else
		e = type == MSG_DB_COMPONENT_ADD ? add(body, &text) : ERR_UNSUPPORTED;
	if (type == MSG_DB_COMPONENT_ADD)
		msg_db_done_put(&out, &(struct msg_db_done){0});
	link_put_stored(l, &(struct msg_stored){m->op_boot, m->op_n, (uint8_t)e, str_slice(&text),
						str_slice(&out)});
	str_clear(&out);
	str_clear(&text);
}

/* ---- and a router ---- */

static enum err admin_set(struct slice args)
{
	const char *field[6], *at = args.data;
	char text[400] = "";
	struct kept *k;

	memcpy(text, args.data, args.len);
	at = text;
	for (size_t i = 0; i < 6; i++) {
		field[i] = at;
		at += strlen(at) + 1;
	}
	k = find(field[0]);
	if (!k)
		return ERR_NOTFOUND;
	if (*field[1])
		copy(k->secret, slice_str(field[1]));
	k->mode = strcmp(field[2], "one") == 0 ? 0 : strcmp(field[2], "shared") == 0 ? 1 : 2;
	k->hidden = (uint8_t)atoi(field[3]);
	k->max = (uint16_t)atoi(field[4]);
	k->bytes = (uint32_t)atoi(field[5]);
	return ERR_OK;
}

static enum err admin_del(struct slice args)
{
	char name[64];
	struct kept *k;

	copy(name, args);
	k = find(name);
	if (!k)
		return ERR_NOTFOUND;
	memmove(k, k + 1, (size_t)(kept + nkept - k - 1) * sizeof(*k));
	nkept--;
	return ERR_OK;
}

static void answer_admin(struct link *l, const struct msg_admin *m)
{
	struct msg_admin_reply r = {.req = m->req};

	if (slice_is(m->command, "component-set"))
		r.status = (uint8_t)admin_set(m->args);
	else if (slice_is(m->command, "component-del"))
		r.status = (uint8_t)admin_del(m->args);
	else if (slice_is(m->command, "components"))
		r.text = slice_str("{\"jid\":\"cb1.localhost\",\"state\":\"live\",\"sid\":\"1\","
				   "\"addr\":\"127.0.0.1:4711\",\"since\":1700000001000}\n"
				   "{\"jid\":\"cb1.localhost\",\"state\":\"live\",\"sid\":\"2\","
				   "\"addr\":\"127.0.0.1:4712\",\"since\":1700000009000}\n"
				   "{\"jid\":\"other.localhost\",\"state\":\"live\"}\n"
				   "{\"jid\":\"cb2.localhost\",\"state\":\"detached\"}\n");
	else
		r.status = ERR_UNSUPPORTED;
	link_put_admin_reply(l, &r);
}

static void answer(struct link *l, uint16_t type, struct slice body)
{
	struct msg_store store;
	struct msg_admin admin;

	if (type == MSG_STORE && msg_store_get(body, &store) == ERR_OK)
		answer_store(l, &store);
	if (type == MSG_ADMIN && msg_admin_get(body, &admin) == ERR_OK)
		answer_admin(l, &admin);
}

/* ---- running the command ---- */

static char *write_file(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", fake_dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static int setup(void **state)
{
	fake_setup(state);
	free(write_file("conf/roundhouse.conf",
			"domains = [ \"localhost\", \"Other.Example\", \"users.localhost\" ];\n"));
	router = fake_router_start(answer);
	return 0;
}

static int teardown(void **state)
{
	fake_router_stop(&router);
	return fake_teardown(state);
}

static struct fake_run run(const char *const *args, const char *input)
{
	return fake_run(&xmpp_program, sizeof(struct xmpp_values), args, input);
}

static void expect(const char *const *args, const char *input, int code, const char *out,
		   const char *err)
{
	struct fake_run r = run(args, input);

	if (r.code != code || (out && strcmp(r.out, out) != 0) || (err && !strstr(r.err, err)))
		print_error("%s %s: exit %d\n--- out\n%s--- err\n%s", args[0], args[1], r.code,
			    r.out, r.err);
	assert_int_equal(r.code, code);
	if (out)
		assert_string_equal(r.out, out);
	if (err)
		assert_non_null(strstr(r.err, err));
	else
		assert_string_equal(r.err, "");
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_list(const char *text)
{
	expect(ARGS("callbridge", "list"), "", 0, text, NULL);
}

static void give(const char *name, const char *secret)
{
	struct str line = STR_INIT;

	str_addf(&line, "%s\n", secret);
	assert_int_equal(run(ARGS("callbridge", "add-secret", name), line.data).code, 0);
	str_clear(&line);
}

static void add_makes_a_secret_of_128_bits_and_list_has_the_same(void **state)
{
	char first[100] = "", second[100] = "", want[500];
	struct fake_run r;

	(void)state;
	r = run(ARGS("callbridge", "add", "cb1"), "");
	assert_int_equal(r.code, 0);
	assert_int_equal(sscanf(r.out,
				"Success                 : true\n"
				"Callbridge              : cb1\n"
				"Domain                  : localhost\n"
				"Secret                  : %99[A-Za-z0-9]\n",
				first),
			 1);
	/* log2(62) = 5.95 bits a character */
	assert_true(strlen(first) >= 22);
	r = run(ARGS("callbridge", "add", "cb2", "--domain", "OTHER.example", "--json"), "");
	assert_int_equal(sscanf(r.out,
				"{\"callbridge\":\"cb2\",\"domain\":\"other.example\","
				"\"secret\":\"%99[A-Za-z0-9]\"}",
				second),
			 1);
	assert_string_not_equal(first, second);
	snprintf(want, sizeof(want),
		 "***\n"
		 "Callbridge              : cb1\n"
		 "Domain                  : localhost\n"
		 "Secret                  : %s\n"
		 "***\n"
		 "Callbridge              : cb2\n"
		 "Domain                  : other.example\n"
		 "Secret                  : %s\n",
		 first, second);
	expect_list(want);
}

static void names_with_a_domain_part_and_domains_not_served_are_refused(void **state)
{
	static const char *const names[] = {"cb1@x", "cb1.localhost", "cb/1", "", "cb 1"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		expect(ARGS("callbridge", "add", names[i]), "", 2, "", "without a domain part");
		expect(ARGS("callbridge", "add-secret", names[i]), "x\n", 2, "",
		       "without a domain part");
		expect(ARGS("callbridge", "del", names[i]), "", 2, "", "without a domain part");
		expect(ARGS("component", "add", names[i]), "", 2, "", "without a domain part");
	}
	expect(ARGS("callbridge", "add", "cb1", "--domain", "wrong.example"), "", 1, "",
	       "wrong.example is not served here (served: localhost, Other.Example, "
	       "users.localhost)");
	/* Its clients could not be told from the component. */
	expect(ARGS("callbridge", "add", "users"), "", 1, "",
	       "users.localhost is the domain of users here");
	expect(ARGS("callbridge", "add-secret", "users"), "x\n", 1, "",
	       "users.localhost is the domain of users here");
	expect(ARGS("component", "add", "users"), "", 1, "",
	       "users.localhost is the domain of users here");
	expect_list(CALLBRIDGE_NONE "\n");
}

static void a_second_add_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	give("cb1", "first");
	expect(ARGS("callbridge", "add", "cb1"), "", 1, "", "a component named cb1 exists");
	expect_list("***\nCallbridge              : cb1\nDomain                  : localhost\n"
		    "Secret                  : first\n");
}

/* Exit code 3, as for a server that does not run: to be tried again. */
static void a_datastore_that_is_away_has_refused_nothing(void **state)
{
	(void)state;
	expect(ARGS("callbridge", "add", "slow"), "", 3, "",
	       "xmpp: the datastore did not answer in time\n");
}

static void add_secret_takes_a_line_and_sets_it_if_it_is_there(void **state)
{
	static const char added[] = "Success                 : true\n"
				    "Callbridge              : cb1\n"
				    "Domain                  : localhost\n";

	(void)state;
	expect(ARGS("callbridge", "add-secret", "cb1"), "kvgP1SRzWVabhiPVAb1\r\n", 0, added, NULL);
	expect_list("***\nCallbridge              : cb1\nDomain                  : localhost\n"
		    "Secret                  : kvgP1SRzWVabhiPVAb1\n");
	expect(ARGS("callbridge", "add-secret", "cb1"), "other\n", 0, added, NULL);
	expect(ARGS("callbridge", "add-secret", "cb1"), "\n", 1, "", "the secret is empty");
	expect(ARGS("callbridge", "add-secret", "cb1"), "", 1, "", "the secret is empty");
	expect(ARGS("callbridge", "add-secret", "cb1"), "a\tb\n", 1, "", "not plain text");
	expect(ARGS("callbridge", "add-secret", "cb1"), "\xff\n", 1, "", "not plain text");
	expect(ARGS("callbridge", "add-secret", "cb1", "--domain", "other.example"), "x\n", 1, "",
	       "cb1 is there already, with the domain localhost");
	expect_list("***\nCallbridge              : cb1\nDomain                  : localhost\n"
		    "Secret                  : other\n");
}

static void a_shared_secret_is_warned_about(void **state)
{
	(void)state;
	give("cb1", "same");
	give("cb2", "different");
	expect(ARGS("callbridge", "add-secret", "cb3"), "same\n", 0, NULL,
	       "warning: cb3 and cb1 have the same secret");
}

/* Not more and not less than what was shown: add and list, with whose hands. */
static void showing_secrets_names_who_is_shown_them(void **state)
{
	char *path = xasprintf("%s/shown", fake_dir), line[100];
	FILE *f;
	int n = 0;

	(void)state;
	give("cb1", "x");
	run(ARGS("callbridge", "list", "--fingerprints"), "");
	run(ARGS("component", "list"), "");
	run(ARGS("component", "show", "cb1"), "");
	assert_int_equal(access(path, F_OK), -1);
	run(ARGS("callbridge", "add", "cb2"), "");
	run(ARGS("callbridge", "list"), "");
	run(ARGS("component", "show", "cb1", "--secret"), "");
	f = fopen(path, "r");
	assert_non_null(f);
	for (; fgets(line, sizeof(line), f); n++)
		assert_true(strlen(line) > 2);
	assert_int_equal(n, 3);
	fclose(f);
	free(path);
}

static void only_who_can_write_conf_may_see_or_change_secrets(void **state)
{
	static const char *const commands[][4] = {
		{"callbridge", "list"},
		{"callbridge", "list", "--fingerprints"},
		{"callbridge", "add", "cb2"},
		{"callbridge", "add-secret", "cb1"},
		{"callbridge", "del", "cb1"},
		{"component", "add", "cb2"},
		{"component", "set", "cb1", "--hidden"},
		{"component", "del", "cb1"},
	};
	char *conf = xasprintf("%s/conf", fake_dir);

	(void)state;
	if (geteuid() == 0) { /* nothing is forbidden to root: the e2e test drops it */
		free(conf);
		return;
	}
	give("cb1", "x");
	assert_int_equal(chmod(conf, 0500), 0);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		expect(commands[i], "y\n", 1, "", "only the administrator of ");
	assert_int_equal(chmod(conf, 0700), 0);
	free(conf);
}

static void del_says_what_is_gone(void **state)
{
	(void)state;
	give("cb1", "x");
	give("cb2", "y");
	expect(ARGS("callbridge", "del", "cb1"), "", 0, "SUCCESS: cb1 removed\n", NULL);
	expect(ARGS("callbridge", "del", "cb1"), "", 1, "", "there is no component named cb1");
	expect(ARGS("component", "del", "cb2", "--json"), "", 0,
	       "{\"done\":\"removed\",\"component\":\"cb2\"}\n", NULL);
}

/* ---- compare ---- */

static void same_lists_in_any_order_are_the_same(void **state)
{
	char *path;

	(void)state;
	give("cb1", "s1");
	give("cb2", "s2");
	path = write_file("there", "***\nCallbridge : CB2\nDomain     : localhost\nSecret : s2\n"
				   "{\"callbridge\":\"cb1\",\"domain\":\"localhost\","
				   "\"secret\":\"s1\"}\n");
	expect(ARGS("callbridge", "compare", "-"),
	       "***\r\nCallbridge : cb2\r\nDomain     : localhost\r\nSecret : s2\r\n\r\n"
	       "{\"callbridge\":\"cb1\",\"domain\":\"localhost\",\"secret\":\"s1\"}\n",
	       0, "SUCCESS: 2 call bridges, the same on this node and the other node\n", NULL);
	expect(ARGS("callbridge", "compare", path, "--json"), "", 0, "", NULL);
	free(path);
}

#define MORE "The right secret is set with 'xmpp callbridge add-secret NAME' on that node.\n"

/* FEATURES 2.5: cb1's secret on node 1 was that of cb3. */
static void a_difference_names_bridge_node_and_whose_secret_it_is(void **state)
{
	char mark[FINGERPRINT_SIZE];
	static const struct {
		const char *there, *out;
	} rows[] = {
		{"cb1=s3 cb2=s2 cb3=s3",
		 "FAILURE: cb1 on the other node has the secret of cb3\n" MORE},
		{"cb1=s1 cb2=s2 cb3=s1",
		 "FAILURE: cb3 on the other node has the secret of cb1\n" MORE},
		{"cb1=new cb2=s2 cb3=s3",
		 "FAILURE: cb1 on the other node has another secret than on this node\n" MORE},
		{"cb1=s1 cb3=s3", "FAILURE: cb2 on the other node is missing\n" MORE},
		{"cb1=s1 cb2=s2 cb3=s3 cb4=s4", "FAILURE: cb4 on this node is missing\n" MORE},
		{"cb1=s2 cb2=s1 cb3=s3",
		 "FAILURE: cb1 on this node has the secret of cb2\n"
		 "FAILURE: cb1 on the other node has the secret of cb2\n"
		 "FAILURE: cb2 on this node has the secret of cb1\n"
		 "FAILURE: cb2 on the other node has the secret of cb1\n" MORE},
	};

	(void)state;
	give("cb1", "s1");
	give("cb2", "s2");
	give("cb3", "s3");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str text = STR_INIT;
		const char *at = rows[i].there;

		while (*at) {
			size_t n = strcspn(at, " ");
			struct slice name = slice_of(at, 3), secret = slice_of(at + 4, n - 4);

			fingerprint(mark, secret);
			str_addf(&text, "***\n%-24s: %.*s\n%-24s: localhost\n%-24s: %s\n",
				 "Callbridge", SLICE_ARG(name), "Domain", "Fingerprint", mark);
			at += n + (at[n] == ' ');
		}
		expect(ARGS("callbridge", "compare", "-"), text.data, 1, rows[i].out, NULL);
		str_clear(&text);
	}
	/* This node is the one that is wrong. */
	give("cb2", "s3");
	expect(ARGS("callbridge", "compare", "-", "--json"),
	       "{\"callbridge\":\"cb1\",\"domain\":\"localhost\",\"secret\":\"s1\"}\n"
	       "{\"callbridge\":\"cb2\",\"domain\":\"x\",\"secret\":\"s2\"}\n"
	       "{\"callbridge\":\"cb3\",\"domain\":\"localhost\",\"secret\":\"s3\"}\n",
	       1,
	       "{\"callbridge\":\"cb2\",\"node\":\"this node\",\"problem\":\"has the secret\","
	       "\"of\":\"cb3\"}\n"
	       "{\"callbridge\":\"cb2\",\"node\":\"the other node\",\"problem\":\"has another "
	       "domain than on this node\"}\n",
	       NULL);
}

static void a_node_without_call_bridges_has_a_list_too(void **state)
{
	(void)state;
	expect(ARGS("callbridge", "compare", "-"), CALLBRIDGE_NONE "\n", 0,
	       "SUCCESS: 0 call bridges, the same on this node and the other node\n", NULL);
	give("cb1", "s1");
	expect(ARGS("callbridge", "compare", "-"), CALLBRIDGE_NONE "\n", 1,
	       "FAILURE: cb1 on the other node is missing\n" MORE, NULL);
}

static void what_is_no_list_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *err;
	} rows[] = {
		{"hello\n", "-:1 is not from"},
		{"***\nSecret : x\n", "-:2 is not from"},
		{"***\nCallbridge : \n", "-:2 is not from"},
		{"***\nCallbridge : cb1\nSecret x\n", "-:3 is not from"},
		{"{\"callbridge\":\n", "-:1 is not from"},
		{"{\"name\":\"cb1\"}\n", "-:1 is not from"},
		{"***\nCallbridge : cb1\nDomain : x\n", "-: cb1 has no fingerprint there"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(ARGS("callbridge", "compare", "-"), rows[i].text, 1, "", rows[i].err);
	expect(ARGS("callbridge", "compare", "nowhere"), "", 1, "", "nowhere: No such file");
}

/* ---- component ---- */

static void a_component_has_all_that_it_was_given(void **state)
{
	char *path = write_file("secret", "from a file\nnot this\n");

	(void)state;
	expect(ARGS("component", "add", "weather", "--jid", "Wetter.Example", "--secret-file", path,
		    "--mode", "shared", "--hidden", "--max-connections", "3", "--bytes-per-second",
		    "70000"),
	       "", 0,
	       "Success                 : true\n"
	       "Component               : weather\n"
	       "Domain                  : localhost\n"
	       "JID                     : wetter.example\n"
	       "Mode                    : shared\n"
	       "Hidden                  : true\n"
	       "Max connections         : 3\n"
	       "Bytes per second        : 70000\n"
	       "Created                 : 2023-11-14T22:13:20Z\n",
	       NULL);
	expect(ARGS("component", "show", "weather", "--secret", "--json"), "", 0,
	       "{\"component\":\"weather\",\"domain\":\"localhost\",\"jid\":\"wetter.example\","
	       "\"secret\":\"from a file\",\"mode\":\"shared\",\"hidden\":true,"
	       "\"max_connections\":3,\"bytes_per_second\":70000,"
	       "\"created\":\"2023-11-14T22:13:20Z\",\"connected\":\"no\",\"connections\":0}\n",
	       NULL);
	free(path);
}

static void set_changes_what_is_named_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(run(ARGS("component", "add", "w", "--mode", "standby", "--hidden",
				  "--secret-file", "-"),
			     "old\n")
				 .code,
			 0);
	assert_int_equal(run(ARGS("component", "set", "w", "--max-connections", "9"), "").code, 0);
	assert_non_null(strstr(run(ARGS("component", "show", "w"), "").out,
			       "Hidden                  : true\n"));
	assert_int_equal(run(ARGS("component", "set", "w", "--visible"), "").code, 0);
	assert_int_equal(run(ARGS("component", "set", "w", "--secret-file", "-"), "new\n").code, 0);
	expect(ARGS("component", "show", "w", "--secret"), "", 0,
	       "Component               : w\n"
	       "Domain                  : localhost\n"
	       "JID                     : w.localhost\n"
	       "Secret                  : new\n"
	       "Mode                    : standby\n"
	       "Hidden                  : false\n"
	       "Max connections         : 9\n"
	       "Bytes per second        : default\n"
	       "Created                 : 2023-11-14T22:13:20Z\n"
	       "Connected               : no\n",
	       NULL);
	expect(ARGS("component", "set", "w"), "", 2, "", "nothing to set");
	expect(ARGS("component", "set", "none", "--hidden"), "", 1, "",
	       "there is no component named none");
}

static void options_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		const char *option, *value, *err;
		int code;
	} rows[] = {
		{"--mode", "all", "--mode takes one, shared or standby, not 'all'", 2},
		{"--max-connections", "65536", "--max-connections takes a number up to 65535", 2},
		{"--max-connections", "-1", "--max-connections takes a number", 2},
		{"--bytes-per-second", "4294967296", "--bytes-per-second takes a number up to", 2},
		{"--bytes-per-second", "fast", "or 'default', not 'fast'", 2},
		{"--jid", "user@localhost", "'user@localhost' is not a domain", 2},
		{"--jid", "localhost", "localhost is the domain of users here", 1},
		{"--jid", "OTHER.example", "other.example is the domain of users here", 1},
		{"--secret-file", "nowhere", "nowhere: No such file or directory", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(ARGS("component", "add", "w", rows[i].option, rows[i].value), "",
		       rows[i].code, "", rows[i].err);
	expect(ARGS("component", "add", "w", "--hidden", "--visible"), "", 2, "", "--visible");
	expect(ARGS("component", "add", "w", "--ask-secret", "--new-secret"), "", 2, "",
	       "only one of");
	expect(ARGS("component", "list"), "", 0,
	       "no components; 'xmpp component add NAME' adds one\n", NULL);
}

static void list_shows_who_is_connected_since_when(void **state)
{
	struct fake_run r;

	(void)state;
	give("cb1", "s1");
	give("cb2", "s2");
	give("cb3", "s3");
	expect(ARGS("component", "list"), "", 0,
	       "NAME  JID            MODE  DISCO    MAX  CONNECTED  SINCE                 ADDRESS\n"
	       "cb1   cb1.localhost  one   visible  1    yes (2)    2023-11-14T22:13:21Z  "
	       "127.0.0.1:4711, 127.0.0.1:4712\n"
	       "cb2   cb2.localhost  one   visible  1    resuming   -                     -\n"
	       "cb3   cb3.localhost  one   visible  1    no         -                     -\n",
	       NULL);
	r = run(ARGS("component", "list", "--json"), "");
	assert_non_null(strstr(r.out, "\"connected\":\"yes\",\"connections\":2,"
				      "\"since\":\"2023-11-14T22:13:21Z\","
				      "\"addr\":\"127.0.0.1:4711, 127.0.0.1:4712\"}\n"));
	assert_null(strstr(r.out, "secret"));
	r = run(ARGS("component", "show", "cb1"), "");
	assert_non_null(strstr(r.out, "Connected               : yes\n\n"));
	assert_non_null(strstr(r.out, "127.0.0.1:4712"));
	assert_null(strstr(r.out, "s1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(add_makes_a_secret_of_128_bits_and_list_has_the_same),
		T(names_with_a_domain_part_and_domains_not_served_are_refused),
		T(a_second_add_is_refused_and_changes_nothing),
		T(a_datastore_that_is_away_has_refused_nothing),
		T(add_secret_takes_a_line_and_sets_it_if_it_is_there),
		T(a_shared_secret_is_warned_about),
		T(showing_secrets_names_who_is_shown_them),
		T(only_who_can_write_conf_may_see_or_change_secrets),
		T(del_says_what_is_gone),
		T(same_lists_in_any_order_are_the_same),
		T(a_difference_names_bridge_node_and_whose_secret_it_is),
		T(a_node_without_call_bridges_has_a_list_too),
		T(what_is_no_list_is_refused_with_its_line),
		T(a_component_has_all_that_it_was_given),
		T(set_changes_what_is_named_and_nothing_else),
		T(options_that_make_no_sense_are_refused),
		T(list_shows_who_is_connected_since_when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
