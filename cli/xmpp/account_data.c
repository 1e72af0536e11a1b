#include "cli/xmpp/account_data.h"

#include "cli/common/command.h"
#include "cli/xmpp/remote.h"
#include "ipc/codec.h"

#define LIST_PAGE    500
#define ARCHIVE_PAGE 200
#define BYTES_PAGE   (512 * 1024)

/* Asks one question and gives the answering record's body. */
static int ask(struct bus_client *c, struct str *record, uint16_t type, enum err quiet,
	       struct bus_client_answer *a, struct slice *body)
{
	int code;

	bus_client_answer_clear(a);
	code = remote_store(c, str_slice(record), quiet, a);
	if (code == COMMAND_OK && !remote_record(a, type, body))
		code = COMMAND_REFUSED;
	str_reset(record);
	return code;
}

/* ---- accounts */

static int list_page(const struct msg_db_accounts *page, int (*fn)(void *arg, struct slice bare),
		     void *arg, struct str *after)
{
	struct slice in = page->list, jid;
	uint64_t created;
	int code = COMMAND_OK;

	for (uint32_t i = 0; i < page->count && code == COMMAND_OK; i++) {
		if (!codec_get_str(&in, &jid) || !codec_get_u64(&in, &created))
			return remote_misunderstood();
		str_reset(after);
		str_add_slice(after, jid);
		code = fn(arg, jid);
	}
	return code;
}

int account_data_each(struct bus_client *c, struct slice domain,
		      int (*fn)(void *arg, struct slice bare), void *arg)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct str after = STR_INIT, record = STR_INIT;
	struct msg_db_accounts page = {.more = 1};
	struct slice body;
	int code = COMMAND_OK;

	while (code == COMMAND_OK && page.more) {
		msg_db_account_list_put(&record, &(struct msg_db_account_list){
							 domain, str_slice(&after), LIST_PAGE});
		code = ask(c, &record, MSG_DB_ACCOUNTS, ERR_OK, &a, &body);
		if (code == COMMAND_OK &&
		    (msg_db_accounts_get(body, &page) != ERR_OK || (page.more && page.count == 0)))
			code = remote_misunderstood();
		if (code == COMMAND_OK)
			code = list_page(&page, fn, arg, &after);
	}
	bus_client_answer_clear(&a);
	str_clear(&after);
	str_clear(&record);
	return code;
}

static int get_account(struct bus_client *c, const struct jid *jid, const char *mechanism,
		       struct bus_client_answer *a, struct msg_db_account *out)
{
	struct str record = STR_INIT;
	struct slice body;
	int code;

	msg_db_account_get_put(&record, &(struct msg_db_account_get){jid->local, jid->domain,
								     slice_str(mechanism)});
	code = ask(c, &record, MSG_DB_ACCOUNT, ERR_NOTFOUND, a, &body);
	if (code == COMMAND_OK && msg_db_account_get(body, out) != ERR_OK)
		code = remote_misunderstood();
	str_clear(&record);
	return code;
}

int account_data_exists(struct bus_client *c, const struct jid *jid, bool *exists, bool *locked)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct msg_db_account account = {0};
	struct db_scram key;
	int code = get_account(c, jid, "SCRAM-SHA-256", &a, &account);

	*exists = code == COMMAND_OK;
	*locked = *exists && db_scram_get(&account.scram, &key) &&
		  slice_is(key.salt, ACCOUNT_DATA_LOCK);
	if (code == COMMAND_REFUSED && a.status == ERR_NOTFOUND)
		code = COMMAND_OK;
	bus_client_answer_clear(&a);
	return code;
}

int account_data_need(struct bus_client *c, const struct jid *jid)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct msg_db_account account = {0};
	int code = get_account(c, jid, "", &a, &account);

	if (a.status == ERR_NOTFOUND)
		code = command_fail("xmpp", COMMAND_REFUSED,
				    "%s does not exist; 'xmpp user list %.*s' shows who does",
				    jid->text, SLICE_ARG(jid->domain));
	bus_client_answer_clear(&a);
	return code;
}

int account_data_keys(struct bus_client *c, const struct jid *jid,
		      int (*fn)(void *arg, const struct db_scram *key), void *arg)
{
	static const char *const mechanisms[] = {"SCRAM-SHA-1", "SCRAM-SHA-256"};
	int code = COMMAND_OK;

	for (size_t i = 0; i < 2 && code == COMMAND_OK; i++) {
		struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
		struct msg_db_account account = {0};
		struct db_scram key;

		code = get_account(c, jid, mechanisms[i], &a, &account);
		if (a.status == ERR_NOTFOUND) /* deleted meanwhile */
			code = account_data_need(c, jid);
		while (code == COMMAND_OK && account.scram.len)
			code = db_scram_get(&account.scram, &key) ? fn(arg, &key)
								  : remote_misunderstood();
		bus_client_answer_clear(&a);
	}
	return code;
}

/* ---- roster */

int account_data_roster(struct bus_client *c, const struct jid *jid,
			int (*fn)(void *arg, const struct db_roster_item *item),
			int (*blocked)(void *arg, struct slice jid), void *arg)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct msg_db_roster roster = {0};
	struct str record = STR_INIT;
	struct db_roster_item item;
	struct slice body, who;
	int code;

	msg_db_roster_get_put(&record, &(struct msg_db_roster_get){jid->local, jid->domain});
	code = ask(c, &record, MSG_DB_ROSTER, ERR_NOTFOUND, &a, &body);
	if (a.status == ERR_NOTFOUND)
		code = account_data_need(c, jid);
	else if (code == COMMAND_OK && msg_db_roster_get(body, &roster) != ERR_OK)
		code = remote_misunderstood();
	while (code == COMMAND_OK && fn && roster.list.len)
		code = db_roster_item_get(&roster.list, &item) ? fn(arg, &item)
							       : remote_misunderstood();
	if (code == COMMAND_OK && fn)
		code = fn(arg, NULL);
	while (code == COMMAND_OK && blocked && roster.blocked.len)
		code = codec_get_str(&roster.blocked, &who) ? blocked(arg, who)
							    : remote_misunderstood();
	bus_client_answer_clear(&a);
	str_clear(&record);
	return code;
}

/* ---- messages and values */

static int offline_page(struct slice list, int (*fn)(void *arg, const struct db_offline *m),
			void *arg, uint64_t *after)
{
	struct db_offline m;
	int code = COMMAND_OK;

	while (list.len && code == COMMAND_OK) {
		if (!db_offline_get(&list, &m) || m.id <= *after)
			return remote_misunderstood();
		*after = m.id;
		code = fn(arg, &m);
	}
	return code;
}

int account_data_offline(struct bus_client *c, const struct jid *jid,
			 int (*fn)(void *arg, const struct db_offline *m), void *arg)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct msg_db_offline page = {.more = 1};
	struct str record = STR_INIT;
	struct slice body;
	uint64_t after = 0;
	int code = COMMAND_OK;

	while (code == COMMAND_OK && page.more) {
		msg_db_offline_get_put(
			&record,
			&(struct msg_db_offline_get){jid->local, jid->domain, after, BYTES_PAGE});
		code = ask(c, &record, MSG_DB_OFFLINE, ERR_NOTFOUND, &a, &body);
		if (a.status == ERR_NOTFOUND)
			code = account_data_need(c, jid);
		else if (code == COMMAND_OK && (msg_db_offline_get(body, &page) != ERR_OK ||
						(page.more && page.count == 0)))
			code = remote_misunderstood();
		if (code == COMMAND_OK)
			code = offline_page(page.list, fn, arg, &after);
	}
	bus_client_answer_clear(&a);
	str_clear(&record);
	return code;
}

static int value_page(struct slice list, int (*fn)(void *arg, struct slice key, struct slice value),
		      void *arg, struct str *after)
{
	struct slice key, value;
	int code = COMMAND_OK;

	while (list.len && code == COMMAND_OK) {
		if (!codec_get_str(&list, &key) || !codec_get_bytes(&list, &value))
			return remote_misunderstood();
		str_reset(after);
		str_add_slice(after, key);
		code = fn(arg, key, value);
	}
	return code;
}

/* A key may be empty, and nothing is in front of that one: it is asked for by itself. */
static int empty_key(struct bus_client *c, const struct jid *jid, uint8_t kind,
		     int (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct str record = STR_INIT;
	struct msg_db_data data;
	struct slice body;
	int code;

	msg_db_data_get_put(&record,
			    &(struct msg_db_data_get){jid->local, jid->domain, kind, SLICE_NONE});
	code = ask(c, &record, MSG_DB_DATA, ERR_NOTFOUND, &a, &body);
	if (a.status == ERR_NOTFOUND)
		code = COMMAND_OK;
	else if (code == COMMAND_OK)
		code = msg_db_data_get(body, &data) == ERR_OK ? fn(arg, SLICE_NONE, data.value)
							      : remote_misunderstood();
	bus_client_answer_clear(&a);
	str_clear(&record);
	return code;
}

int account_data_values(struct bus_client *c, const struct jid *jid, uint8_t kind,
			int (*fn)(void *arg, struct slice key, struct slice value), void *arg)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct msg_db_data_rows page = {.more = 1};
	struct str record = STR_INIT, after = STR_INIT;
	struct slice body;
	int code = empty_key(c, jid, kind, fn, arg);

	while (code == COMMAND_OK && page.more) {
		msg_db_data_list_put(&record,
				     &(struct msg_db_data_list){jid->local, jid->domain, kind,
								str_slice(&after), BYTES_PAGE});
		code = ask(c, &record, MSG_DB_DATA_ROWS, ERR_NOTFOUND, &a, &body);
		if (a.status == ERR_NOTFOUND)
			code = account_data_need(c, jid);
		else if (code == COMMAND_OK && (msg_db_data_rows_get(body, &page) != ERR_OK ||
						(page.more && page.count == 0)))
			code = remote_misunderstood();
		if (code == COMMAND_OK)
			code = value_page(page.list, fn, arg, &after);
	}
	bus_client_answer_clear(&a);
	str_clear(&record);
	str_clear(&after);
	return code;
}

/* ---- archive */

static int archive_page(struct slice list, int (*fn)(void *arg, const struct db_archive_entry *e),
			void *arg, struct str *after)
{
	struct db_archive_entry e;
	int code = COMMAND_OK;

	while (list.len && code == COMMAND_OK) {
		if (!db_archive_entry_get(&list, &e))
			return remote_misunderstood();
		str_reset(after);
		db_archive_id_put(after, e.id);
		code = fn(arg, &e);
	}
	return code;
}

int account_data_archive(struct bus_client *c, const struct jid *jid,
			 const struct account_data_range *range,
			 int (*fn)(void *arg, const struct db_archive_entry *e), void *arg,
			 bool *more)
{
	struct bus_client_answer a = BUS_CLIENT_ANSWER_INIT;
	struct msg_db_archive_page page = {.more = 1};
	struct str record = STR_INIT, after = STR_INIT;
	uint32_t left = range->limit ? range->limit : UINT32_MAX;
	struct slice body;
	int code = COMMAND_OK;

	while (code == COMMAND_OK && page.more && left) {
		msg_db_archive_query_put(&record,
					 &(struct msg_db_archive_query){
						 .user = jid->local,
						 .domain = jid->domain,
						 .with = range->with,
						 .start_ms = range->start_ms,
						 .end_ms = range->end_ms,
						 .after = str_slice(&after),
						 .max = left < ARCHIVE_PAGE ? left : ARCHIVE_PAGE,
						 .bytes = BYTES_PAGE});
		code = ask(c, &record, MSG_DB_ARCHIVE_PAGE, ERR_NOTFOUND, &a, &body);
		if (a.status == ERR_NOTFOUND)
			code = account_data_need(c, jid);
		else if (code == COMMAND_OK && (msg_db_archive_page_get(body, &page) != ERR_OK ||
						(page.more && page.count == 0)))
			code = remote_misunderstood();
		if (code == COMMAND_OK)
			code = archive_page(page.list, fn, arg, &after);
		left -= page.count < left ? page.count : left;
	}
	if (more)
		*more = page.more;
	bus_client_answer_clear(&a);
	str_clear(&record);
	str_clear(&after);
	return code;
}
