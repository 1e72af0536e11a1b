#include "session/server_info.h"

#include <time.h>

#include "session/reply.h"
#include "xmpp/ns.h"
#include "xmpp/xml_out.h"

void server_info_ping(struct inbound *in, const struct xml_node *payload)
{
	(void)payload;
	reply_result(in, SLICE_NONE, "xep0199 ping");
}

void server_info_version(struct inbound *in, const struct xml_node *payload)
{
	struct str out = STR_INIT;

	(void)payload;
	str_adds(&out, "<query xmlns='" NS_VERSION "'><name>");
	xml_out_text(&out, slice_str(in->m->software_name));
	str_adds(&out, "</name><version>");
	xml_out_text(&out, slice_str(in->m->software_version));
	str_adds(&out, "</version></query>");
	reply_result(in, str_slice(&out), "xep0092 version");
	str_clear(&out);
}

/* The server keeps UTC; where it stands is nobody's business. */
void server_info_time(struct inbound *in, const struct xml_node *payload)
{
	time_t t = (time_t)(manager_wall_ms(in->m) / 1000);
	struct str out = STR_INIT;
	char text[32];
	struct tm tm;

	(void)payload;
	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm)) {
		reply_error(in, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL, "xep0202 no time");
		return;
	}
	str_addf(&out, "<time xmlns='" NS_TIME "'><tzo>+00:00</tzo><utc>%sZ</utc></time>", text);
	reply_result(in, str_slice(&out), "xep0202 time");
	str_clear(&out);
}

void server_info_form(struct str *out, const struct session_config *cfg)
{
	static const char *const vars[SESSION_ADDRESSES] = {
		[ADDRESS_ABUSE] = "abuse-addresses",	   [ADDRESS_ADMIN] = "admin-addresses",
		[ADDRESS_FEEDBACK] = "feedback-addresses", [ADDRESS_SALES] = "sales-addresses",
		[ADDRESS_SECURITY] = "security-addresses", [ADDRESS_STATUS] = "status-addresses",
		[ADDRESS_SUPPORT] = "support-addresses"};
	bool any = false;

	for (size_t i = 0; i < SESSION_ADDRESSES; i++) {
		const char *const *uri = cfg->addresses[i];

		if (!uri || !*uri)
			continue;
		if (!any)
			str_adds(out,
				 "<x xmlns='" NS_DATA_FORM "' type='result'>"
				 "<field var='FORM_TYPE' type='hidden'>"
				 "<value>http://jabber.org/network/serverinfo</value></field>");
		any = true;
		str_addf(out, "<field var='%s' type='list-multi'>", vars[i]);
		for (; *uri; uri++) {
			str_adds(out, "<value>");
			xml_out_text(out, slice_str(*uri));
			str_adds(out, "</value>");
		}
		str_adds(out, "</field>");
	}
	if (any)
		str_adds(out, "</x>");
}
