#include "../fake_server.h"

#include "cli/common/bus_client.h"
#include "ipc/codec.h"

static struct bus_client *client;
static pid_t router;

static int setup(void **state)
{
	struct str why = STR_INIT;

	fake_setup(state);
	assert_int_equal(bus_client_open(&client, fake_dir, BUS_CLIENT_DEADLINE_MS, &why), ERR_OK);
	return 0;
}

static void reopen(unsigned int deadline_ms)
{
	struct str why = STR_INIT;

	bus_client_close(&client);
	assert_int_equal(bus_client_open(&client, fake_dir, deadline_ms, &why), ERR_OK);
}

static int teardown(void **state)
{
	bus_client_close(&client);
	fake_router_stop(&router);
	return fake_teardown(state);
}

/* Answers STORE with its own body and ADMIN with its command, in two parts. */
static void echo(struct link *l, uint16_t type, struct slice body)
{
	struct msg_store store;
	struct msg_admin admin;

	if (type == MSG_STORE && msg_store_get(body, &store) == ERR_OK) {
		link_put_stored(l, &(struct msg_stored){store.op_boot + 1, store.op_n, ERR_OK,
							slice_str("another's"), SLICE_NONE});
		link_put_stored(l, &(struct msg_stored){store.op_boot, store.op_n, ERR_OK,
							slice_str("text"), store.body});
	}
	if (type == MSG_ADMIN && msg_admin_get(body, &admin) == ERR_OK) {
		link_put_admin_reply(
			l, &(struct msg_admin_reply){admin.req + 7, 0, 0, slice_str("not ours\n")});
		link_put_admin_reply(l, &(struct msg_admin_reply){admin.req, 0, 1, admin.command});
		link_put_admin_reply(l, &(struct msg_admin_reply){admin.req, 0, 0, admin.args});
	}
}

static void a_store_request_gets_the_answer_with_its_own_operation_id(void **state)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;

	(void)state;
	router = fake_router_start(echo);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(bus_client_store(client, slice_str("record"), &a), ERR_OK);
		assert_int_equal(a.status, ERR_OK);
		assert_string_equal(a.text.data, "text");
		assert_string_equal(a.body.data, "record");
	}
	bus_client_answer_clear(&a);
}

static void the_parts_of_an_administrative_answer_are_joined(void **state)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;

	(void)state;
	router = fake_router_start(echo);
	assert_int_equal(bus_client_admin(client, "stats", slice_of("x\0y", 3), &a), ERR_OK);
	assert_int_equal(a.body.len, 8);
	assert_memory_equal(a.body.data, "statsx\0y", 8);
	bus_client_answer_clear(&a);
}

static void refuse(struct link *l, uint16_t type, struct slice body)
{
	struct msg_store store;

	if (type == MSG_STORE && msg_store_get(body, &store) == ERR_OK)
		link_put_stored(l, &(struct msg_stored){store.op_boot, store.op_n, ERR_CONFLICT,
							slice_str("it exists"), SLICE_NONE});
}

static void a_refusal_is_an_answer_with_status_and_reason(void **state)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;

	(void)state;
	router = fake_router_start(refuse);
	assert_int_equal(bus_client_store(client, slice_str("record"), &a), ERR_OK);
	assert_int_equal(a.status, ERR_CONFLICT);
	assert_string_equal(a.text.data, "it exists");
	bus_client_answer_clear(&a);
}

static void silence(struct link *l, uint16_t type, struct slice body)
{
	(void)l, (void)type, (void)body;
}

static void a_silent_server_ends_in_a_timeout_that_says_where_to_look(void **state)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;

	(void)state;
	router = fake_router_start(silence);
	reopen(600);
	assert_int_equal(bus_client_store(client, slice_str("record"), &a), ERR_TIMEOUT);
	assert_non_null(strstr(a.text.data, "no answer from the datastore within 0.6 s"));
	assert_non_null(strstr(a.text.data, "status"));
	bus_client_answer_clear(&a);
}

static void without_a_router_the_timeout_names_the_router_and_its_log(void **state)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;

	(void)state;
	reopen(300);
	assert_int_equal(bus_client_admin(client, "stats", SLICE_NONE, &a), ERR_TIMEOUT);
	assert_non_null(strstr(a.text.data, "the router did not accept this command"));
	assert_non_null(strstr(a.text.data, "logs router"));
	bus_client_answer_clear(&a);
}

/* Dies with the question in its hands, as long as the mark is not there. */
static void die_once(struct link *l, uint16_t type, struct slice body)
{
	if (access("died", F_OK) == 0) {
		echo(l, type, body);
	} else {
		close(open("died", O_CREAT | O_WRONLY, 0600));
		_exit(1);
	}
}

static void restart_router(void)
{
	char *mark = xasprintf("%s/died", fake_dir);

	while (access(mark, F_OK) != 0)
		usleep(10000);
	fake_router_run(die_once);
}

static void a_question_is_asked_again_when_the_router_was_killed_with_it(void **state)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	pid_t second;

	(void)state;
	router = fake_router_start(die_once);
	second = fork();
	if (second == 0)
		restart_router();
	assert_int_equal(bus_client_store(client, slice_str("record"), &a), ERR_OK);
	assert_string_equal(a.body.data, "record");
	fake_router_stop(&second);
	bus_client_answer_clear(&a);
}

static unsigned int answered, refused;

static void on_posted(void *arg, enum err status, struct slice text)
{
	assert_int_equal((uintptr_t)arg, answered); /* in order */
	assert_true(slice_is(text, status == ERR_OK ? "text" : "no"));
	answered++;
	refused += status != ERR_OK;
}

static void many_records_are_answered_in_order_and_a_question_among_them(void **state)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct str why = STR_INIT;

	(void)state;
	answered = refused = 0;
	router = fake_router_start(echo);
	for (uintptr_t i = 0; i < 500; i++)
		assert_int_equal(
			bus_client_post(client, slice_str("record"), on_posted, (void *)i, &why),
			ERR_OK);
	assert_in_range(answered, 500 - BUS_CLIENT_POSTS, 500);
	assert_int_equal(bus_client_store(client, slice_str("question"), &a), ERR_OK);
	assert_string_equal(a.body.data, "question");
	assert_int_equal(bus_client_flush(client, &why), ERR_OK);
	assert_int_equal(answered, 500);
	assert_int_equal(refused, 0);
	bus_client_answer_clear(&a);
}

static void records_that_nobody_answers_end_in_a_timeout(void **state)
{
	struct str why = STR_INIT;

	(void)state;
	answered = 0;
	reopen(300);
	assert_int_equal(bus_client_post(client, slice_str("record"), on_posted, NULL, &why),
			 ERR_OK);
	assert_int_equal(bus_client_flush(client, &why), ERR_TIMEOUT);
	assert_non_null(strstr(why.data, "logs router"));
	bus_client_forget(client);
	router = fake_router_start(echo);
	str_clear(&why);
	assert_int_equal(answered, 0);
}

static void records_are_sent_again_to_a_router_that_was_killed_with_them(void **state)
{
	struct str why = STR_INIT;
	pid_t second;

	(void)state;
	answered = 0;
	router = fake_router_start(die_once);
	second = fork();
	if (second == 0)
		restart_router();
	assert_int_equal(bus_client_post(client, slice_str("a"), on_posted, (void *)0, &why),
			 ERR_OK);
	assert_int_equal(bus_client_post(client, slice_str("b"), on_posted, (void *)1, &why),
			 ERR_OK);
	assert_int_equal(bus_client_flush(client, &why), ERR_OK);
	assert_int_equal(answered, 2);
	fake_router_stop(&second);
}

static unsigned int agains;
static struct str watched;

static void on_text(void *arg, struct slice text)
{
	(void)arg;
	str_add_slice(&watched, text);
}

static void on_again(void *arg)
{
	(void)arg;
	agains++;
}

static void a_watch_gets_the_parts_as_they_come_and_is_told_of_another_router(void **state)
{
	struct bus_client_watch watch = {on_text, on_again, NULL};
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	pid_t second;

	(void)state;
	agains = 0;
	str_init(&watched);
	router = fake_router_start(die_once);
	second = fork();
	if (second == 0)
		restart_router();
	assert_int_equal(bus_client_watch(client, "trace", slice_str("x"), 10000, &watch, &a),
			 ERR_OK);
	assert_string_equal(watched.data, "tracex");
	assert_int_equal(a.body.len, 0);
	assert_int_equal(agains, 1);
	fake_router_stop(&second);
	str_clear(&watched);
	bus_client_answer_clear(&a);
}

static void what_cannot_be_opened_is_told_with_what_to_do_next(void **state)
{
	static const struct {
		enum err open, token, expected;
		const char *says;
	} cases[] = {
		{ERR_CLOSED, ERR_OK, ERR_CLOSED, "start it with 'supervisor -C %s start'"},
		{ERR_DENIED, ERR_OK, ERR_DENIED, "in %s belongs to another user"},
		{ERR_OK, ERR_AGAIN, ERR_AGAIN,
		 "the router is not up; see 'supervisor -C %s status'"},
		{ERR_OK, ERR_TIMEOUT, ERR_TIMEOUT, "supervisor in %s did not give an identity"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str why = STR_INIT, says = STR_INIT;
		struct bus_client *c = client;
		char *hole = strstr(cases[i].says, "%s");

		str_add(&says, cases[i].says, (size_t)(hole - cases[i].says));
		str_adds(&says, fake_dir);
		str_adds(&says, hole + 2);
		fake_open_result = cases[i].open;
		fake_token_result = cases[i].token;
		assert_int_equal(bus_client_open(&c, fake_dir, 200, &why), cases[i].expected);
		assert_null(c);
		assert_non_null(strstr(why.data, says.data));
		str_clear(&why);
		str_clear(&says);
	}
}

static void a_router_that_comes_up_in_time_is_waited_for(void **state)
{
	(void)state;
	bus_client_close(&client);
	fake_token_again = 3;
	reopen(5000);
	assert_int_equal(fake_token_again, 0);
}

static void a_missing_instance_directory_is_told_by_name(void **state)
{
	struct str why = STR_INIT;
	struct bus_client *c;

	(void)state;
	assert_int_equal(bus_client_open(&c, "no/such/place", 200, &why), ERR_IO);
	assert_null(c);
	assert_non_null(strstr(why.data, "no/such/place: No such file or directory"));
	assert_non_null(strstr(why.data, "supervisor -C no/such/place init"));
	str_clear(&why);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_store_request_gets_the_answer_with_its_own_operation_id),
		TEST(the_parts_of_an_administrative_answer_are_joined),
		TEST(a_refusal_is_an_answer_with_status_and_reason),
		TEST(a_silent_server_ends_in_a_timeout_that_says_where_to_look),
		TEST(without_a_router_the_timeout_names_the_router_and_its_log),
		TEST(a_question_is_asked_again_when_the_router_was_killed_with_it),
		TEST(what_cannot_be_opened_is_told_with_what_to_do_next),
		TEST(a_router_that_comes_up_in_time_is_waited_for),
		TEST(many_records_are_answered_in_order_and_a_question_among_them),
		TEST(records_that_nobody_answers_end_in_a_timeout),
		TEST(records_are_sent_again_to_a_router_that_was_killed_with_them),
		TEST(a_watch_gets_the_parts_as_they_come_and_is_told_of_another_router),
		TEST(a_missing_instance_directory_is_told_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
