#include "datastore/audit.h"

#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/db_pack.h"

static const char *account_event(uint16_t type)
{
	switch (type) {
	case MSG_DB_ACCOUNT_ADD:
		return "account_added";
	case MSG_DB_ACCOUNT_SET:
		return "account_keys_changed";
	case MSG_DB_ACCOUNT_DEL:
		return "account_removed";
	default:
		return NULL;
	}
}

static const char *component_event(uint16_t type)
{
	switch (type) {
	case MSG_DB_COMPONENT_ADD:
		return "component_added";
	case MSG_DB_COMPONENT_SET:
		return "component_changed";
	case MSG_DB_COMPONENT_DEL:
		return "component_removed";
	default:
		return NULL;
	}
}

void audit_written(uint16_t type, struct slice body)
{
	const char *account = account_event(type), *component = component_event(type);
	struct slice name, domain;

	if (account && codec_get_str(&body, &name) && codec_get_str(&body, &domain))
		log_info("-", "event=%s user=%s domain=%s", account, log_quote(name),
			 log_quote(domain));
	if (component && codec_get_str(&body, &name))
		log_info("-", "event=%s name=%s", component, name.len ? log_quote(name) : "all");
}

void audit_read(uint16_t type, struct slice body)
{
	struct msg_db_component_list m;

	if (type == MSG_DB_COMPONENT_LIST && msg_db_component_list_get(body, &m) == ERR_OK &&
	    m.secrets == DB_SECRETS_SHOWN)
		log_info("-", "event=secret_shown by=%s", log_quote(m.by));
}
