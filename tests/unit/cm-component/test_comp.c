/*
 * cm-component with real sockets and a scripted router: what the router, the datastore and the
 * clock do to a component's stream, and what the router hears.
 */
#include "tests/unit/cm-component/rig.h"

static bool has_said(const char *text)
{
	return strstr(rig.said, text) != NULL;
}

static void put_probe(void)
{
	msg_probe_put(&rig.todo, &(struct msg_probe){rig.sid, RIG_EPOCH});
}

static void put_close(void)
{
	msg_close_put(&rig.todo,
		      &(struct msg_close){rig.sid, RIG_EPOCH, slice_str("connection-timeout"),
					  slice_str("somebody else is here")});
}

static void put_one(void)
{
	rig_deliver(slice_str("<body>one</body>"));
}

static void put_many(void)
{
	char *big = xcalloc(1, 10001);

	memset(big, 'x', 10000);
	for (int i = 0; i < 20; i++)
		rig_deliver(slice_str(big));
	free(big);
}

static void put_bound(void)
{
	msg_bound_put(&rig.todo,
		      &(struct msg_bound){rig.sid, RIG_EPOCH, slice_str("cb1.localhost")});
}

static void new_router(void)
{
	link_restart(rig.bus.link, 3);
	link_restart(rig.bus.link, 2);
	rig.bus.events->on_up(rig.bus.arg, true);
}

static void drain(void)
{
	comp_drain(rig.state);
}

static bool one_delivered(void)
{
	return rig.delivered_q == 1;
}

static void stanzas_go_to_the_router_with_their_from_and_deliveries_come_back(void **state)
{
	struct component c;

	(void)state;
	rig_start(NULL);
	assert_true(component_login(&c, 0));
	component_say(&c, "<message from='a@cb1.localhost/r' to='Romeo@LOCALHOST'><body>x</body>"
			  "</message>");
	rig_do(put_one);
	assert_true(component_wait(&c, "<message from='romeo@localhost/y' to='x@cb1.localhost'>"
				       "<body>one</body></message>"));
	rig_wait(one_delivered, "DELIVERED");
	rig_stop();
	assert_true(has_said("STANZA from=a@cb1.localhost/r to=romeo@localhost <body>x</body>;"));
	component_close(&c);
}

static bool lost(void)
{
	return has_said("UNBIND connection-lost;");
}

static void nothing_is_delivered_that_the_component_did_not_take(void **state)
{
	struct component c;

	(void)state;
	rig_start(NULL);
	assert_true(component_login(&c, 4096));
	rig_do(put_many);
	usleep(300 * 1000);
	pthread_mutex_lock(&rig.lock);
	assert_true(rig.delivered_q < 10); /* the rest is in the send queue */
	pthread_mutex_unlock(&rig.lock);
	close(c.fd);
	rig_wait(lost, "UNBIND");
	rig_stop();
	assert_true(rig.delivered_q < 10);
	str_clear(&c.in);
}

static bool twenty_delivered(void)
{
	return rig.delivered_q == 20;
}

static void what_is_taken_slowly_is_delivered_in_the_end(void **state)
{
	struct component c;

	(void)state;
	rig_start(NULL);
	assert_true(component_login(&c, 4096));
	rig_do(put_many);
	usleep(100 * 1000);
	for (int i = 0; i < 20; i++) {
		assert_true(component_wait(&c, "</message>"));
		str_consume(&c.in, (size_t)(strstr(c.in.data, "</message>") - c.in.data) + 10);
	}
	rig_wait(twenty_delivered, "20 deliveries");
	rig_stop();
	component_close(&c);
}

static bool is_alive(void)
{
	return rig.probed == 1;
}

static void a_probe_is_answered_with_whatever_comes(void **state)
{
	struct component c;

	(void)state;
	rig_start(NULL);
	assert_true(component_login(&c, 0));
	rig_do(put_probe);
	assert_true(component_wait(&c, "<ping xmlns='urn:xmpp:ping'/></iq>"));
	component_say(&c, " ");
	rig_wait(is_alive, "PROBED alive");
	rig_stop();
	component_close(&c);
}

static bool is_dead(void)
{
	return rig.probed == 0;
}

static bool unbound(void)
{
	return has_said("UNBIND closed;");
}

static void who_is_silent_for_three_seconds_is_dead_and_closed_when_the_router_says_so(void **state)
{
	struct component c;

	(void)state;
	rig_start(NULL);
	assert_true(component_login(&c, 0));
	rig_do(put_probe);
	rig_wait(is_dead, "PROBED dead");
	rig_do(put_close);
	rig_wait(unbound, "UNBIND");
	assert_true(component_wait(&c, "<connection-timeout "));
	rig_stop();
	component_close(&c);
}

static bool asked_twice(void)
{
	return rig.asked == 2;
}

static void a_new_router_is_asked_again(void **state)
{
	struct component c;

	(void)state;
	rig_start(NULL);
	rig.binds = false;
	assert_true(component_open(&c, 0));
	component_prove(&c);
	usleep(100 * 1000);
	rig_do(new_router);
	rig_wait(asked_twice, "BIND_DOMAIN again");
	rig_do(put_bound);
	assert_true(component_wait(&c, "<handshake/>"));
	rig_stop();
	component_close(&c);
}

static bool looked_up(void)
{
	return rig.lookups >= 1;
}

static void a_question_to_the_datastore_survives_the_router(void **state)
{
	struct component c;

	(void)state;
	rig_start(NULL);
	rig.account = ERR_AGAIN;
	component_dial(&c, 0);
	component_say(&c, COMPONENT_HEADER);
	rig_wait(looked_up, "the first question");
	rig.account = ERR_OK;
	rig_do(new_router);
	assert_true(component_wait(&c, "xml:lang='en'>"));
	component_prove(&c);
	assert_true(component_wait(&c, "<handshake/>"));
	rig_stop();
	component_close(&c);
}

static bool withdrawn(void)
{
	return has_said("UNBIND gone;");
}

static bool gone(void)
{
	return has_said("UNBIND gone;UNBIND gone;");
}

static bool asked(void)
{
	return rig.asked == 1;
}

static void
a_component_that_leaves_while_it_waits_withdraws_and_gives_back_what_comes_late(void **state)
{
	struct component c;

	(void)state;
	rig_start(NULL);
	rig.binds = false;
	assert_true(component_open(&c, 0));
	component_prove(&c);
	rig_wait(asked, "BIND_DOMAIN");
	component_say(&c, "<presence from='cb1.localhost' to='a@localhost'/>"); /* not taken yet */
	close(c.fd);
	rig_wait(withdrawn, "UNBIND at once");
	rig_do(put_bound);
	rig_wait(gone, "UNBIND again");
	rig_stop();
	str_clear(&c.in);
}

static void what_the_others_refuse_is_said_as_a_stream_error(void **state)
{
	static const struct {
		enum err account;
		const char *domain;
		const char *refuses;
		const char *said;
	} rows[] = {
		{ERR_NOTFOUND, "localhost", NULL, "<host-unknown "},
		{ERR_TIMEOUT, "localhost", NULL, "<resource-constraint "},
		{ERR_IO, "localhost", NULL, "<resource-constraint "},
		{ERR_OK, "example.net", NULL, "<host-unknown "}, /* not served any more */
		{ERR_OK, "localhost", "conflict", "<conflict "},
		{ERR_OK, "localhost", "resource-constraint", "<resource-constraint "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct component c;

		rig_start(NULL);
		log_set_level(LOG_LEVEL_ERROR);
		rig.account = rows[i].account;
		rig.domain = rows[i].domain;
		rig.refuses = rows[i].refuses;
		if (component_open(&c, 0) && !strstr(c.in.data, "stream:error"))
			component_prove(&c);
		component_wait(&c, NULL);
		if (!strstr(c.in.data, rows[i].said) || !strstr(c.in.data, "</stream:stream>"))
			fail_msg("row %zu: %s", i, c.in.data);
		rig_stop();
		component_close(&c);
	}
}

static void put_resumed(void)
{
	msg_resumed_put(&rig.todo, &(struct msg_resumed){.request = rig.request,
							 .sid = 77,
							 .epoch = 6,
							 .jid = slice_str("cb1.localhost"),
							 .resume_id = slice_str("rid"),
							 .max_s = 300,
							 .seen_n = 9,
							 .in_base = 2,
							 .out_base = 1,
							 .next_q = 4});
	rig.sid = 77;
	rig.q = 3;
	rig_deliver(slice_str("<body>kept</body>"));
}

static bool wants_to_resume(void)
{
	return rig.request != 0;
}

static bool detached(void)
{
	return has_said("DETACHED connection-lost;");
}

static void a_session_is_resumed_or_left_detached_when_nobody_waits_any_more(void **state)
{
	struct component c;

	(void)state;
	for (int leaves = 0; leaves < 2; leaves++) {
		rig_start(NULL);
		assert_true(component_open(&c, 0));
		component_say(&c, "<resume xmlns='urn:xmpp:sm:3' previd='rid' h='3'/>");
		component_prove(&c);
		rig_wait(wants_to_resume, "RESUME");
		if (leaves) {
			close(c.fd);
			usleep(100 * 1000);
			rig_do(put_resumed);
			rig_wait(detached, "DETACHED");
		} else {
			rig_do(put_resumed);
			assert_true(component_wait(
				&c, "<resumed xmlns='urn:xmpp:sm:3' previd='rid' h='7'/>"));
			assert_true(component_wait(&c, "<body>kept</body>"));
			assert_null(strstr(c.in.data, "<handshake/>"));
			close(c.fd);
		}
		rig_stop();
		str_clear(&c.in);
	}
}

static void a_drain_ends_plain_streams_and_leaves_counted_ones_unclosed(void **state)
{
	struct component plain, counted;

	(void)state;
	rig_start(NULL);
	assert_true(component_login(&counted, 0));
	component_say(&counted, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
	assert_true(component_wait(&counted, "<enabled "));
	assert_true(component_login(&plain, 0));
	rig_do(drain);
	assert_false(component_wait(&counted, NULL));
	assert_null(strstr(counted.in.data, "stream:error"));
	assert_null(strstr(counted.in.data, "</stream:stream>"));
	assert_false(component_wait(&plain, NULL));
	assert_non_null(strstr(plain.in.data, "<system-shutdown "));
	close(plain.fd);
	close(counted.fd);
	rig_stop();
	assert_true(has_said("DETACHED system-shutdown;"));
	assert_true(has_said("UNBIND "));
	str_clear(&plain.in);
	str_clear(&counted.in);
}

static void a_slow_handshake_is_cut_off(void **state)
{
	struct config *cfg = config_defaults();
	struct component c, d;

	(void)state;
	cfg->component_handshake_s = 1;
	rig_start(cfg);
	component_dial(&c, 0);
	component_say(&c, "<stream:stream ");
	assert_true(component_open(&d, 0));
	component_wait(&c, NULL);
	component_wait(&d, NULL);
	assert_non_null(strstr(c.in.data, "<connection-timeout "));
	assert_non_null(strstr(d.in.data, "<connection-timeout "));
	assert_non_null(strstr(d.in.data, "no &lt;handshake/&gt; in time"));
	rig_stop();
	component_close(&c);
	component_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stanzas_go_to_the_router_with_their_from_and_deliveries_come_back),
		cmocka_unit_test(nothing_is_delivered_that_the_component_did_not_take),
		cmocka_unit_test(what_is_taken_slowly_is_delivered_in_the_end),
		cmocka_unit_test(a_probe_is_answered_with_whatever_comes),
		cmocka_unit_test(
			who_is_silent_for_three_seconds_is_dead_and_closed_when_the_router_says_so),
		cmocka_unit_test(a_new_router_is_asked_again),
		cmocka_unit_test(a_question_to_the_datastore_survives_the_router),
		cmocka_unit_test(
			a_component_that_leaves_while_it_waits_withdraws_and_gives_back_what_comes_late),
		cmocka_unit_test(what_the_others_refuse_is_said_as_a_stream_error),
		cmocka_unit_test(a_session_is_resumed_or_left_detached_when_nobody_waits_any_more),
		cmocka_unit_test(a_drain_ends_plain_streams_and_leaves_counted_ones_unclosed),
		cmocka_unit_test(a_slow_handshake_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
