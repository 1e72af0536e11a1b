#include "ipc/link.h"
#include "router/store_ops.h"
#include "tests/support/cmocka_first.h"

#define MS(n) ((struct monotime){(uint64_t)(n)*1000})

/* What a link would send next, as text: "STORE 7/1 DB_DONE;" ... */
struct reader {
	struct str text;
};

static void on_record(void *arg, uint16_t type, struct slice body)
{
	struct reader *r = arg;
	struct msg_store store;
	struct msg_stored stored;

	if (type == MSG_STORE && msg_store_get(body, &store) == ERR_OK)
		str_addf(&r->text, "STORE %d/%d;", (int)store.op_boot, (int)store.op_n);
	else if (type == MSG_STORED && msg_stored_get(body, &stored) == ERR_OK)
		str_addf(&r->text, "STORED %d/%d %s;", (int)stored.op_boot, (int)stored.op_n,
			 err_name(stored.status));
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
	assert_string_equal(r.text.data, text);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_wait_for_the_datastore_and_are_sent_again_in_order),
		cmocka_unit_test(a_repeated_request_is_not_sent_twice),
		cmocka_unit_test(an_overdue_request_is_answered_with_timeout_once),
		cmocka_unit_test(nobody_is_told_after_the_asker_has_gone),
		cmocka_unit_test(an_answer_that_is_no_record_is_told_as_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
