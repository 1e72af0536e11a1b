#include "ipc/link.h"
#include "router/store_ops.h"
#include "tests/support/cmocka_first.h"

#define MS(n) ((struct monotime){(uint64_t)(n)*1000})

/* What a link would send next, as text: "STORE 7/1 DB_DONE;" ... */
struct reader {
	struct str text;
};

static struct str quarantined; /* the bytes of the newest one */

static bool is_quarantine(struct slice in)
{
	struct msg_db_quarantine m;
	struct slice body;
	uint16_t type;

	if (codec_next(&in, &type, &body) != ERR_OK || type != MSG_DB_QUARANTINE)
		return false;
	assert_int_equal(msg_db_quarantine_get(body, &m), ERR_OK);
	assert_true(m.about.len > 0);
	str_reset(&quarantined);
	str_add_slice(&quarantined, m.bytes);
	return true;
}

static uint32_t told_until; /* by the last STORE */

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct reader *r = arg;
	struct msg_store store;
	struct msg_stored stored;

	if (type == MSG_STORE && msg_store_get(body, &store) == ERR_OK && is_quarantine(store.body))
		str_addf(&r->text, "QUARANTINE %d/%d;", (int)store.op_boot, (int)store.op_n);
	else if (type == MSG_STORE && msg_store_get(body, &store) == ERR_OK)
		str_addf(&r->text, "STORE %d/%d;", (int)store.op_boot, (int)store.op_n);
	else if (type == MSG_STORED && msg_stored_get(body, &stored) == ERR_OK)
		str_addf(&r->text, "STORED %d/%d %s;", (int)stored.op_boot, (int)stored.op_n,
			 err_name(stored.status));
	if (type == MSG_STORE)
		told_until = store.deadline_ms;
}

static void expect(struct link *l, const char *text)
{
	struct link *peer = link_new(link_peer_boot(l), 1 << 20, 1 << 16);
	struct reader r = {STR_INIT};
	struct slice frame;

	link_restart(peer, link_my_boot(l));
	link_resume(l, 0);
	while (link_next(l, false, &frame)) {
		assert_int_equal(link_receive(peer, frame, on_record, &r), ERR_OK);
		link_sent(l);
	}
	assert_string_equal(r.text.len ? r.text.data : "", text);
	str_clear(&r.text);
	link_free(&peer);
	link_restart(l, link_peer_boot(l));
}

static struct link *link_to(uint64_t boot)
{
	struct link *l = link_new(1, 1 << 20, 1 << 16);

	link_restart(l, boot);
	return l;
}

static int done_count;
static enum err done_status;
static uint16_t done_type;

static void on_done(void *arg, enum err status, uint16_t type, struct slice body)
{
	(void)arg;
	(void)body;
	done_count++;
	done_status = status;
	done_type = type;
}

static struct msg_store request(uint64_t boot, uint64_t n)
{
	return (struct msg_store){
		.op_boot = boot, .op_n = n, .deadline_ms = 1000, .body = slice_str("xxxxxx")};
}

static void requests_wait_for_the_datastore_and_are_sent_again_in_order(void **state)
{
	struct store_ops *s = store_ops_new(9);
	struct link *cm = link_to(5), *d1 = link_to(2), *d2 = link_to(3);
	struct msg_store a = request(5, 1), b = request(5, 2);

	(void)state;
	store_ops_forward(s, cm, &a, MS(0));
	store_ops_attach(s, d1);
	store_ops_forward(s, cm, &b, MS(0));
	expect(d1, "STORE 5/1;STORE 5/2;");
	store_ops_attach(s, NULL);
	store_ops_attach(s, d2);
	expect(d2, "STORE 5/1;STORE 5/2;");
	store_ops_answer(s, &(struct msg_stored){5, 2, ERR_NOTFOUND, SLICE_NONE, SLICE_NONE});
	store_ops_answer(s, &(struct msg_stored){5, 2, ERR_OK, SLICE_NONE, SLICE_NONE});
	expect(cm, "STORED 5/2 NOTFOUND;");
	assert_int_equal(store_ops_pending(s), 1);
	store_ops_free(&s);
	link_free(&cm);
	link_free(&d1);
	link_free(&d2);
}

static void the_datastore_is_told_until_when_however_late_it_hears_of_it(void **state)
{
	struct store_ops *s = store_ops_new(9);
	struct link *d1 = link_to(2), *d2 = link_to(3);

	(void)state;
	store_ops_ask(s, slice_str("xxxxxx"), 5000, on_done, NULL, MS(1000));
	store_ops_attach(s, d1);
	expect(d1, "STORE 9/1;");
	assert_int_equal(told_until, 5500); /* a little before the asker hears ERR_TIMEOUT */
	store_ops_tick(s, MS(4000));
	store_ops_attach(s, NULL);
	store_ops_attach(s, d2);
	expect(d2, "STORE 9/1;");
	assert_int_equal(told_until, 5500);
	store_ops_ask(s, slice_str("xxxxxx"), STORE_OPS_FOREVER, on_done, NULL, MS(4000));
	expect(d2, "STORE 9/2;");
	assert_int_equal(told_until, 0);
	store_ops_free(&s);
	link_free(&d1);
	link_free(&d2);
}

static void a_repeated_request_is_not_sent_twice(void **state)
{
	struct store_ops *s = store_ops_new(9);
	struct link *cm = link_to(5), *d = link_to(2);
	struct msg_store a = request(5, 1);

	(void)state;
	store_ops_attach(s, d);
	store_ops_forward(s, cm, &a, MS(0));
	store_ops_forward(s, cm, &a, MS(1));
	expect(d, "STORE 5/1;");
	store_ops_free(&s);
	link_free(&cm);
	link_free(&d);
}

static void an_overdue_request_is_answered_with_timeout_once(void **state)
{
	struct store_ops *s = store_ops_new(9);
	struct link *cm = link_to(5);
	struct msg_store a = request(5, 1);

	(void)state;
	done_count = 0;
	store_ops_forward(s, cm, &a, MS(0));
	store_ops_ask(s, slice_str("xxxxxx"), 1000, on_done, NULL, MS(0));
	store_ops_tick(s, MS(1000));
	assert_int_equal(store_ops_pending(s), 2);
	store_ops_tick(s, MS(1001));
	expect(cm, "STORED 5/1 TIMEOUT;");
	assert_int_equal(done_count, 1);
	assert_int_equal(done_status, ERR_TIMEOUT);
	store_ops_tick(s, MS(5000));
	assert_int_equal(done_count, 1);
	store_ops_free(&s);
	link_free(&cm);
}

static void a_request_for_ever_never_times_out_and_others_do_within_a_minute(void **state)
{
	struct store_ops *s = store_ops_new(9);
	struct link *d = link_to(2);

	(void)state;
	done_count = 0;
	store_ops_ask(s, slice_str("xxxxxx"), STORE_OPS_FOREVER, on_done, NULL, MS(0));
	store_ops_ask(s, slice_str("xxxxxx"), STORE_OPS_FOREVER - 1, on_done, NULL, MS(0));
	store_ops_tick(s, MS(60001));
	assert_int_equal(done_count, 1);
	assert_int_equal(done_status, ERR_TIMEOUT);
	store_ops_tick(s, MS(1000ull * UINT32_MAX));
	assert_int_equal(store_ops_pending(s), 1);
	store_ops_attach(s, d);
	expect(d, "STORE 9/1;");
	store_ops_answer(s, &(struct msg_stored){9, 1, ERR_OK, SLICE_NONE, SLICE_NONE});
	assert_int_equal(done_count, 2);
	assert_int_equal(done_status, ERR_OK);
	store_ops_free(&s);
	link_free(&d);
}

static void nobody_is_told_after_the_asker_has_gone(void **state)
{
	struct store_ops *s = store_ops_new(9);
	struct link *cm = link_to(5), *d = link_to(2);
	struct msg_store a = request(5, 1);

	(void)state;
	store_ops_attach(s, d);
	store_ops_forward(s, cm, &a, MS(0));
	store_ops_forget(s, cm);
	link_free(&cm);
	store_ops_answer(s, &(struct msg_stored){5, 1, ERR_OK, SLICE_NONE, SLICE_NONE});
	assert_int_equal(store_ops_pending(s), 0);
	store_ops_free(&s);
	link_free(&d);
}

static void an_answer_that_is_no_record_is_told_as_corrupt(void **state)
{
	struct store_ops *s = store_ops_new(9);
	struct str body = STR_INIT;

	(void)state;
	done_count = 0;
	store_ops_ask(s, slice_str("xxxxxx"), 1000, on_done, NULL, MS(0));
	store_ops_answer(s, &(struct msg_stored){9, 1, ERR_OK, SLICE_NONE, slice_str("garbage")});
	assert_int_equal(done_status, ERR_CORRUPT);
	store_ops_ask(s, slice_str("xxxxxx"), 1000, on_done, NULL, MS(0));
	msg_db_done_put(&body, &(struct msg_db_done){0});
	store_ops_answer(s, &(struct msg_stored){9, 2, ERR_OK, SLICE_NONE, str_slice(&body)});
	assert_int_equal(done_status, ERR_OK);
	assert_int_equal(done_type, MSG_DB_DONE);
	assert_int_equal(done_count, 2);
	str_clear(&body);
	store_ops_free(&s);
}

/* A datastore that dies: links of one boot after the other. */
struct rig {
	struct store_ops *s;
	struct link *cm, *d[16];
	int boots;
};

static void rig_start(struct rig *r, uint64_t requests)
{
	*r = (struct rig){.s = store_ops_new(9), .cm = link_to(5)};
	for (uint64_t n = 1; n <= requests; n++) {
		struct msg_store m = request(5, n);

		m.deadline_ms = STORE_OPS_FOREVER;
		store_ops_forward(r->s, r->cm, &m, MS(0));
	}
}

static struct link *next_boot(struct rig *r)
{
	store_ops_attach(r->s, NULL);
	r->d[r->boots] = link_to((uint64_t)r->boots + 100);
	store_ops_attach(r->s, r->d[r->boots]);
	return r->d[r->boots++];
}

static void answer(struct rig *r, uint64_t boot, uint64_t n)
{
	store_ops_answer(r->s, &(struct msg_stored){boot, n, ERR_OK, SLICE_NONE, SLICE_NONE});
}

static void rig_end(struct rig *r)
{
	store_ops_free(&r->s);
	link_free(&r->cm);
	for (int i = 0; i < r->boots; i++)
		link_free(&r->d[i]);
	str_clear(&quarantined);
}

static void a_request_that_kills_three_datastores_is_answered_with_an_error(void **state)
{
	struct rig r;
	struct link *d;

	(void)state;
	rig_start(&r, 1);
	expect(next_boot(&r), "STORE 5/1;");
	expect(next_boot(&r), "STORE 5/1;");
	d = next_boot(&r);
	expect(d, "STORE 5/1;");
	assert_int_equal(store_ops_books(r.s)->suspects, 1);
	d = next_boot(&r);
	expect(d, "QUARANTINE 9/1;");
	assert_string_equal(quarantined.data, "xxxxxx");
	expect(r.cm, "STORED 5/1 QUARANTINED;");
	assert_int_equal(store_ops_books(r.s)->quarantined, 1);
	assert_int_equal(store_ops_pending(r.s), 1);
	answer(&r, 9, 1);
	assert_int_equal(store_ops_pending(r.s), 0);
	rig_end(&r);
}

static void suspects_go_one_at_a_time_after_everything_else_is_answered(void **state)
{
	struct msg_store late = request(5, 4);
	struct rig r;
	struct link *d;

	(void)state;
	rig_start(&r, 2);
	next_boot(&r);
	next_boot(&r);
	late.op_n = 3;
	store_ops_forward(r.s, r.cm, &late, MS(0));
	d = next_boot(&r);
	expect(d, "STORE 5/3;");
	late.op_n = 4; /* new ones do not wait */
	store_ops_forward(r.s, r.cm, &late, MS(0));
	expect(d, "STORE 5/4;");
	answer(&r, 5, 3);
	expect(d, "STORE 5/1;");
	answer(&r, 5, 4);
	expect(d, "");
	answer(&r, 5, 1);
	expect(d, "STORE 5/2;");
	answer(&r, 5, 2);
	expect(r.cm, "STORED 5/3 OK;STORED 5/4 OK;STORED 5/1 OK;STORED 5/2 OK;");
	assert_int_equal(store_ops_books(r.s)->quarantined, 0);
	rig_end(&r);
}

static void who_waits_behind_a_suspect_is_not_blamed_for_its_deed(void **state)
{
	struct rig r;
	struct link *d;

	(void)state;
	rig_start(&r, 3);
	next_boot(&r);
	next_boot(&r);
	expect(next_boot(&r), "STORE 5/1;"); /* kills it */
	d = next_boot(&r);
	expect(d, "QUARANTINE 9/1;STORE 5/2;");
	answer(&r, 9, 1);
	answer(&r, 5, 2);
	expect(d, "STORE 5/3;");
	answer(&r, 5, 3);
	expect(r.cm, "STORED 5/1 QUARANTINED;STORED 5/2 OK;STORED 5/3 OK;");
	rig_end(&r);
}

/* A kill -9 in the middle of many trials hits somebody: only who is hit as the first is guilty. */
static void late_in_a_long_row_a_death_proves_nothing_yet(void **state)
{
	struct rig r;
	struct link *d;

	(void)state;
	rig_start(&r, 12);
	next_boot(&r);
	next_boot(&r);
	next_boot(&r);
	for (uint64_t n = 1; n <= 9; n++)
		answer(&r, 5, n);
	assert_int_equal(store_ops_books(r.s)->suspects, 10);
	d = next_boot(&r);
	assert_int_equal(store_ops_books(r.s)->quarantined, 0);
	expect(d, "STORE 5/10;");
	expect(next_boot(&r), "QUARANTINE 9/1;STORE 5/11;");
	rig_end(&r);
}

static void the_record_of_a_quarantine_is_never_a_suspect(void **state)
{
	struct str body = STR_INIT;
	struct rig r;

	(void)state;
	rig_start(&r, 0);
	msg_db_quarantine_put(&body, &(struct msg_db_quarantine){slice_str("a"), slice_str("b")});
	store_ops_ask(r.s, str_slice(&body), STORE_OPS_FOREVER, NULL, NULL, MS(0));
	for (int i = 0; i < 6; i++)
		expect(next_boot(&r), "QUARANTINE 9/1;");
	assert_int_equal(store_ops_books(r.s)->suspects, 0);
	str_clear(&body);
	rig_end(&r);
}

static void a_suspect_whose_time_is_over_makes_room_for_the_next(void **state)
{
	struct msg_store m = request(5, 7);
	struct rig r;
	struct link *d;

	(void)state;
	rig_start(&r, 0);
	store_ops_forward(r.s, r.cm, &m, MS(0));
	m.op_n = 8;
	m.deadline_ms = 5000;
	store_ops_forward(r.s, r.cm, &m, MS(0));
	next_boot(&r);
	next_boot(&r);
	d = next_boot(&r);
	expect(d, "STORE 5/7;");
	store_ops_tick(r.s, MS(1001));
	expect(d, "STORE 5/8;");
	expect(r.cm, "STORED 5/7 TIMEOUT;");
	expect(next_boot(&r), "QUARANTINE 9/1;");
	rig_end(&r);
}

static struct rig *asking;

static void on_done_ask_again(void *arg, enum err status, uint16_t type, struct slice body)
{
	on_done(arg, status, type, body);
	store_ops_ask(asking->s, slice_str("yyyyyy"), 1000, on_done, NULL, MS(0));
}

static void a_callback_may_ask_again_when_its_request_is_quarantined(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r, 1);
	asking = &r;
	done_count = 0;
	store_ops_ask(r.s, slice_str("xxxxxx"), 1000, on_done_ask_again, NULL, MS(0));
	next_boot(&r);
	next_boot(&r);
	next_boot(&r);
	answer(&r, 5, 1);
	expect(next_boot(&r), "QUARANTINE 9/2;STORE 9/3;");
	assert_int_equal(done_count, 1);
	assert_int_equal(done_status, ERR_QUARANTINED);
	answer(&r, 9, 3);
	assert_int_equal(done_count, 2);
	rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_wait_for_the_datastore_and_are_sent_again_in_order),
		cmocka_unit_test(the_datastore_is_told_until_when_however_late_it_hears_of_it),
		cmocka_unit_test(a_repeated_request_is_not_sent_twice),
		cmocka_unit_test(an_overdue_request_is_answered_with_timeout_once),
		cmocka_unit_test(a_request_for_ever_never_times_out_and_others_do_within_a_minute),
		cmocka_unit_test(a_request_that_kills_three_datastores_is_answered_with_an_error),
		cmocka_unit_test(suspects_go_one_at_a_time_after_everything_else_is_answered),
		cmocka_unit_test(who_waits_behind_a_suspect_is_not_blamed_for_its_deed),
		cmocka_unit_test(late_in_a_long_row_a_death_proves_nothing_yet),
		cmocka_unit_test(the_record_of_a_quarantine_is_never_a_suspect),
		cmocka_unit_test(a_suspect_whose_time_is_over_makes_room_for_the_next),
		cmocka_unit_test(a_callback_may_ask_again_when_its_request_is_quarantined),
		cmocka_unit_test(nobody_is_told_after_the_asker_has_gone),
		cmocka_unit_test(an_answer_that_is_no_record_is_told_as_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
