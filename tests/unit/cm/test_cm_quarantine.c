#include <stdlib.h>
#include <unistd.h>

#include "cm/cm_quarantine.h"
#include "ipc/bus.h"
#include "ipc/link.h"
#include "ipc/stanza_kinds.h"
#include "net/loop.h"
#include "tests/support/cmocka_first.h"

/* A bus whose router never answers: what was put on its link is read off it. */
struct rig {
	char dir[32];
	struct loop *loop;
	struct bus *bus;
	struct cm_quarantine *q;
};

static void rig_start(struct rig *r)
{
	static const struct bus_events none;

	snprintf(r->dir, sizeof(r->dir), "/tmp/rh-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	assert_int_equal(chdir(r->dir), 0);
	r->loop = loop_new();
	r->bus = bus_open(r->loop, "bus", "cm-client", "cm-client-1", "00", &none, NULL);
	link_restart(bus_link(r->bus), 9);
	r->q = cm_quarantine_new(r->bus);
}

static void rig_end(struct rig *r)
{
	cm_quarantine_free(&r->q);
	bus_close(&r->bus);
	loop_free(&r->loop);
	assert_int_equal(chdir("/"), 0);
	rmdir(r->dir);
}

/* The requests put since the last time: "about|bytes;" each. Sets *op to the last one's. */
static void expect(struct rig *r, const char *text, uint64_t *op)
{
	struct str out = STR_INIT;
	struct link_header head;
	struct slice frame, in, body, rest;
	struct msg_db_quarantine m;
	struct msg_store store;
	uint16_t type;

	while (link_next(bus_link(r->bus), false, &frame)) {
		assert_int_equal(link_header_get(frame, &head, &in), ERR_OK);
		for (uint32_t i = 0; i < head.count; i++) {
			assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
			assert_int_equal(type, MSG_STORE);
			assert_int_equal(msg_store_get(body, &store), ERR_OK);
			assert_int_equal(store.op_boot, bus_boot(r->bus));
			*op = store.op_n;
			rest = store.body;
			assert_int_equal(codec_next(&rest, &type, &body), ERR_OK);
			assert_int_equal(type, MSG_DB_QUARANTINE);
			assert_true(codec_may_send(type, IPC_CM));
			assert_int_equal(msg_db_quarantine_get(body, &m), ERR_OK);
			str_addf(&out, "%.*s|%.*s;", SLICE_ARG(m.about), SLICE_ARG(m.bytes));
		}
		link_sent(bus_link(r->bus));
	}
	assert_string_equal(out.len ? out.data : "", text);
	str_clear(&out);
}

static void answer(struct rig *r, uint64_t op, enum err status)
{
	struct msg_stored m = {.op_boot = bus_boot(r->bus), .op_n = op, .status = (uint8_t)status};
	struct str record = STR_INIT;
	struct slice in, body;
	uint16_t type;

	msg_stored_put(&record, &m);
	in = str_slice(&record);
	assert_int_equal(codec_next(&in, &type, &body), ERR_OK);
	cm_quarantine_stored(r->q, body);
	str_clear(&record);
}

static struct hold_quarantined poison(const char *bytes)
{
	return (struct hold_quarantined){.sid = 7,
					 .n = 3,
					 .kind = STANZA_MESSAGE,
					 .type = TYPE_CHAT,
					 .from = slice_str("juliet@localhost/x"),
					 .to = slice_str("romeo@localhost"),
					 .id = slice_str("secret-id"),
					 .bytes = slice_str(bytes)};
}

#define ABOUT                                                                                     \
	"stanza sid=0000000000000007 n=3 kind=message type=\"chat\" from=\"juliet@localhost/x\" " \
	"to=\"romeo@localhost\" bytes=3|"

static void the_bytes_are_asked_to_be_kept_until_that_is_answered(void **state)
{
	struct hold_quarantined first = poison("abc"), second = poison("xyz");
	struct rig r;
	uint64_t op = 0, second_op = 0;

	(void)state;
	rig_start(&r);
	cm_quarantine_add(r.q, &first);
	expect(&r, ABOUT "abc;", &op);
	cm_quarantine_add(r.q, &second);
	expect(&r, ABOUT "xyz;", &second_op);
	assert_int_not_equal(op, second_op);
	link_restart(bus_link(r.bus), 10);
	cm_quarantine_ask_again(r.q);
	expect(&r, ABOUT "abc;" ABOUT "xyz;", &second_op);
	answer(&r, op, ERR_OK);
	answer(&r, 12345, ERR_OK); /* somebody else's */
	cm_quarantine_ask_again(r.q);
	expect(&r, ABOUT "xyz;", &second_op);
	answer(&r, second_op, ERR_NOSPACE); /* said in the log */
	cm_quarantine_ask_again(r.q);
	expect(&r, "", &op);
	rig_end(&r);
}

static void a_datastore_that_is_away_is_not_waited_for_with_everything(void **state)
{
	struct hold_quarantined q = poison("abc");
	struct str all = STR_INIT;
	struct rig r;
	uint64_t op = 0;

	(void)state;
	rig_start(&r);
	for (int i = 0; i < 20; i++)
		cm_quarantine_add(r.q, &q);
	for (int i = 0; i < 16; i++)
		str_adds(&all, ABOUT "abc;");
	expect(&r, all.data, &op);
	str_clear(&all);
	rig_end(&r);
}

static void huge_bytes_are_cut(void **state)
{
	struct hold_quarantined q = poison("abc");
	struct slice frame;
	struct rig r;
	char *huge = calloc(1, 16u * 1024 * 1024);

	(void)state;
	rig_start(&r);
	q.bytes = slice_of(huge, 16u * 1024 * 1024);
	cm_quarantine_add(r.q, &q);
	assert_true(link_next(bus_link(r.bus), false, &frame));
	assert_in_range(frame.len, 4u * 1024 * 1024, 5u * 1024 * 1024);
	free(huge);
	rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes_are_asked_to_be_kept_until_that_is_answered),
		cmocka_unit_test(a_datastore_that_is_away_is_not_waited_for_with_everything),
		cmocka_unit_test(huge_bytes_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
