#!/usr/bin/python3
"""Hostile clients: registration (XEP-0077), client state (0352), archive and paging (0313, 0059),
blocking (0191), private data (0049), vCards (0054), carbons (0280), last activity, disco, time."""
import sys

from hostile import JULIET, iq, main, nothing, says, stanza, stream_error

REGISTER = "xmlns='jabber:iq:register'"
CSI = "xmlns='urn:xmpp:csi:0'"
MAM = "xmlns='urn:xmpp:mam:2'"
RSM = "xmlns='http://jabber.org/protocol/rsm'"
FORM = "xmlns='jabber:x:data'"
BLOCKING = "xmlns='urn:xmpp:blocking'"
PRIVATE = "xmlns='jabber:iq:private'"
VCARD = "xmlns='vcard-temp'"
CARBONS = "xmlns='urn:xmpp:carbons:2'"

CONFIG = {
    "registration": "enabled = true;\n\tper_hour_per_address = 1000;",
    "datastore": "max_blocked = 100;\n\tuser_data_bytes = 65536;\n\tuser_data_value_bytes = 32768;",
}


# Before the login: after a refusal the right password is taken on the same stream.


def register(fields, kind="set", to=""):
    return f"<iq type='{kind}' id='e'{to}><query {REGISTER}>{fields}</query></iq>"


def account(user, password="secret"):
    return register(f"<username>{user}</username><password>{password}</password>")


def refused(condition):
    def check(c):
        m = c.expect("<iq type='error' id='e'[^>]*>.*?</iq>").group(0).decode()
        assert f"<{condition} xmlns=" in m, m
        c.plain(*JULIET)
        c.expect("<success")
    return check


def attempts(c):
    for _ in range(50):
        c.send(account("juliet"))


def two_at_once(c):
    """The second waits for the first, and one account is enough for a stream."""
    c.send(account("twice-a") + account("twice-b"))


def only_the_first(c):
    c.expect("<iq type='result' id='e'[^>]*/?>")
    m = c.expect("<iq type='error' id='e'.*?</iq>").group(0).decode()
    assert "<not-acceptable " in m, m
    c.plain("twice-a", "secret")
    c.expect("<success")


def goes_away(c):
    c.send(account("gone"))
    c.sock.close()


def is_gone(_):
    """What is true afterwards is what counts."""


NAME_IS_BAD = refused("not-acceptable")

REGISTRATION = [
    ("an_account_before_tls", "plain", account("early"), stream_error("not-authorized")),
    ("an_account_without_a_name", "tls", register("<password>x</password>"), NAME_IS_BAD),
    ("an_account_without_a_password", "tls", register("<username>x</username>"), NAME_IS_BAD),
    ("an_account_with_an_empty_name", "tls", account(""), NAME_IS_BAD),
    ("an_account_with_a_domain_in_its_name", "tls", account("a@elsewhere"), NAME_IS_BAD),
    ("an_account_with_a_resource_in_its_name", "tls", account("a/b"), NAME_IS_BAD),
    ("an_account_with_blanks_in_its_name", "tls", account("a b"), NAME_IS_BAD),
    ("an_account_with_quotes_in_its_name", "tls", account("a&quot;b&apos;c"), NAME_IS_BAD),
    ("an_account_whose_name_is_too_long", "tls", account("n" * 1024), NAME_IS_BAD),
    ("a_password_that_is_too_long", "tls", account("longpass", "p" * 1024), NAME_IS_BAD),
    ("a_password_of_control_characters", "tls", account("tabs", "a&#9;b"), NAME_IS_BAD),
    ("a_password_that_is_nothing", "tls", account("soft", "\u00ad"), NAME_IS_BAD),
    ("a_name_that_is_taken", "tls", account("juliet"), refused("conflict")),
    ("a_name_that_is_taken_in_capitals", "tls", account("JULIET"), refused("conflict")),
    ("a_removal_before_the_login", "tls", register("<remove/>"), refused("unexpected-request")),
    ("a_registration_at_another_domain", "tls",
     register("<username>x</username><password>y</password>", to=" to='elsewhere.example'"),
     stream_error("not-authorized")),
    ("a_registration_that_is_a_result", "tls", register("", kind="result"),
     stream_error("not-authorized")),
    ("fifty_attempts_on_one_stream", "tls", attempts, stream_error("policy-violation")),
    ("two_accounts_at_once", "tls", two_at_once, only_the_first),
    ("somebody_who_leaves_while_his_account_is_made", "tls", goes_away, is_gone),
]


# After it: an account and what it has.


def password(user, word):
    return iq("set", f"<query {REGISTER}><username>{user}</username><password>{word}</password>"
                     "</query>")


ACCOUNT = [
    ("a_new_password_for_somebody_else", "bound", password("romeo", "mine"),
     stanza("iq", "not-acceptable")),
    ("an_empty_password", "bound", password("juliet", ""),
     stanza("iq", "bad-request|not-acceptable")),
    ("a_new_password_of_64_kb", "bound", password("juliet", "p" * 65536),
     stanza("iq", "not-acceptable|bad-request")),
    ("a_removal_with_something_beside_it", "bound",
     iq("set", f"<query {REGISTER}><remove/><username>juliet</username></query>"),
     stanza("iq", "bad-request")),
    ("the_removal_of_somebody_else", "bound",
     iq("set", f"<query {REGISTER}><remove/></query>", "romeo@localhost"),
     stanza("iq", "service-unavailable|forbidden|not-allowed")),
]


def thousands_of_states(c):
    for _ in range(5000):
        c.send(f"<inactive {CSI}/><active {CSI}/>")


STATE = [
    ("a_client_state_before_the_login", "tls", f"<inactive {CSI}/>",
     stream_error("unsupported-stanza-type")),
    ("a_client_state_before_tls", "plain", f"<inactive {CSI}/>",
     stream_error("unsupported-stanza-type")),
    ("a_client_state_before_binding", "authed", f"<inactive {CSI}/>",
     lambda c: c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
     or c.expect("<jid>juliet@localhost/")),
    ("a_client_state_that_is_unknown", "bound", f"<asleep {CSI}/>",
     stream_error("unsupported-stanza-type")),
    ("a_client_state_that_is_full_of_elements", "bound",
     f"<inactive {CSI}>{'<x/>' * 10000}</inactive>", nothing),
    ("five_thousand_changes_of_state", "bound", thousands_of_states, nothing),
    ("inactive_and_gone", "sm", f"<inactive {CSI}/></stream:stream>",
     lambda c: c.read_to_end()),
]


def query(inner, attrs=""):
    return iq("set", f"<query {MAM}{attrs}>{inner}</query>")


def form(*fields):
    inner = "".join(f"<field var='{var}'><value>{value}</value></field>" for var, value in fields)
    return (f"<x {FORM} type='submit'><field var='FORM_TYPE' type='hidden'>"
            f"<value>urn:xmpp:mam:2</value></field>{inner}</x>")


def page(inner):
    return query(f"<set {RSM}>{inner}</set>")


bad = stanza("iq", "bad-request")
no_such = stanza("iq", "item-not-found")
fin = says("<iq [^>]*type='result'[^>]*><fin ")


def many_queries(c):
    for i in range(300):
        c.send(f"<iq type='set' id='q{i}'><query {MAM} queryid='{i}'/></iq>")


def answers_all(c):
    """With a page or a refusal, in whatever order."""
    left = {f"q{i}" for i in range(300)}
    while left:
        left.remove(c.expect("<iq [^>]*id='(q[0-9]+)'").group(1).decode())
    c.ping()


ARCHIVE = [
    ("a_page_of_minus_one", "bound", page("<max>-1</max>"), bad),
    ("a_page_of_a_word", "bound", page("<max>many</max>"), bad),
    ("a_page_of_nothing_said", "bound", page("<max/>"), bad),
    ("a_page_of_a_googol", "bound", page(f"<max>1{'0' * 100}</max>"), fin),
    ("a_page_behind_no_id", "bound", page("<after>not an id</after>"), no_such),
    ("a_page_before_an_id_that_is_64_kb", "bound",
     page(f"<before>{'f' * 65536}</before>"), no_such),
    ("a_page_by_index", "bound", page("<max>1</max><index>5</index>"),
     stanza("iq", "feature-not-implemented")),
    ("a_query_from_a_day_that_is_none", "bound",
     query(form(("start", "2026-02-30T25:61:61Z"))), bad),
    ("a_query_from_the_year_minus_one", "bound",
     query(form(("start", "-001-01-01T00:00:00Z"))), bad),
    ("a_query_with_no_jid", "bound", query(form(("with", "@@"))), bad),
    ("a_query_by_an_unknown_field", "bound", query(form(("colour", "red"))),
     stanza("iq", "feature-not-implemented")),
    ("a_query_whose_form_is_of_something_else", "bound",
     query(form().replace("urn:xmpp:mam:2", "urn:xmpp:else")), bad),
    ("a_query_that_cancels_its_form", "bound", query(form().replace("submit", "cancel")), bad),
    ("a_query_for_2000_ids", "bound",
     query(f"<x {FORM} type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>"
           f"<field var='ids'>{'<value>' + '0' * 24 + '</value>'}</field></x>").replace(
               f"<value>{'0' * 24}</value>", f"<value>{'0' * 24}</value>" * 2000), bad),
    ("a_query_of_an_unknown_node", "bound", query("", " node='x'"),
     says("<iq [^>]*id='e'[^>]*type='(error|result)'")),
    ("a_query_whose_id_is_markup", "bound", query("", " queryid='&lt;/iq&gt;&apos;&quot;'"),
     says("queryid='&lt;/iq|<fin ")),
    ("the_archive_of_somebody_else", "bound",
     iq("set", f"<query {MAM}/>", "romeo@localhost"), stanza("iq", "forbidden")),
    ("preferences_of_no_kind", "bound", iq("set", f"<prefs {MAM} default='sometimes'/>"), bad),
    ("preferences_with_2000_jids", "bound",
     iq("set", f"<prefs {MAM} default='never'><always>{'<jid>a@b</jid>' * 2000}</always>"
               "<never/></prefs>"), bad),
    ("preferences_with_no_jid", "bound",
     iq("set", f"<prefs {MAM} default='never'><always><jid>@</jid></always><never/></prefs>"), bad),
    ("three_hundred_queries_at_once", "bound", many_queries, answers_all),
]


def block(*jids, what="block"):
    return iq("set", f"<{what} {BLOCKING}>" + "".join(f"<item jid='{j}'/>" for j in jids) +
              f"</{what}>")


def unblocks(check):
    """Whatever stood there goes again: romeo is needed."""
    def run(c):
        check(c)
        c.send(f"<iq type='set' id='u'><unblock {BLOCKING}/></iq>")
        c.expect("<iq [^>]*id='u'")
    return run


BLOCK = [
    ("nobody_is_blocked", "bound", block(), bad),
    ("no_jid_is_blocked", "bound", block("@@"), stanza("iq", "jid-malformed|bad-request")),
    ("an_item_without_a_jid_is_blocked", "bound",
     iq("set", f"<block {BLOCKING}><item/></block>"), stanza("iq", "jid-malformed|bad-request")),
    ("more_are_blocked_than_may_be", "bound", block(*(f"b{i}@localhost" for i in range(101))),
     unblocks(stanza("iq", "not-acceptable|resource-constraint|not-allowed|policy-violation"))),
    ("a_jid_of_3_kb_is_blocked", "bound",
     block("l" * 1023 + "@" + ".".join(["d" * 60] * 15) + "/" + "r" * 1023),
     unblocks(says("<iq [^>]*id='e'"))),
    ("the_same_is_blocked_a_thousand_times", "bound", block(*["x@localhost"] * 1000),
     unblocks(says("<iq [^>]*id='e'"))),
    ("the_list_of_somebody_else", "bound",
     iq("get", f"<blocklist {BLOCKING}/>", "romeo@localhost"),
     stanza("iq", "forbidden|service-unavailable|not-allowed")),
    ("somebody_who_is_not_there_is_unblocked", "bound", block("x@localhost", what="unblock"),
     says("<iq [^>]*id='e'")),
]

PRIVATE_ROWS = [
    ("private_data_without_an_element", "bound", iq("set", f"<query {PRIVATE}/>"),
     stanza("iq", "not-acceptable|bad-request")),
    ("private_data_without_a_namespace_of_its_own", "bound",
     iq("set", f"<query {PRIVATE}><x/></query>"), stanza("iq", "not-acceptable|bad-request")),
    ("private_data_of_33_elements", "bound",
     iq("set", f"<query {PRIVATE}>" + "".join(f"<x xmlns='u:{i}'/>" for i in range(33)) +
        "</query>"), stanza("iq", "not-acceptable")),
    ("private_data_whose_name_is_3_kb", "bound",
     iq("set", f"<query {PRIVATE}><x xmlns='u:{'n' * 3000}'/></query>"),
     stanza("iq", "not-acceptable")),
    ("private_data_that_is_too_large", "bound",
     iq("set", f"<query {PRIVATE}><x xmlns='u:big'>{'d' * 40000}</x></query>"),
     stanza("iq", "not-acceptable|resource-constraint|policy-violation|not-allowed")),
    ("private_data_of_somebody_else", "bound",
     iq("get", f"<query {PRIVATE}><x xmlns='u:x'/></query>", "romeo@localhost"),
     stanza("iq", "forbidden")),
]

VCARDS = [
    ("a_vcard_that_is_too_large", "bound",
     iq("set", f"<vCard {VCARD}><FN>{'v' * 40000}</FN></vCard>"),
     stanza("iq", "not-acceptable|resource-constraint|policy-violation|not-allowed")),
    ("a_vcard_of_nested_elements", "bound",
     iq("set", f"<vCard {VCARD}>{'<a>' * 60}{'</a>' * 60}</vCard>"),
     says("<iq [^>]*id='e'[^>]*type='(error|result)'|<stream:error>")),
    ("a_vcard_for_somebody_else", "bound",
     iq("set", f"<vCard {VCARD}><FN>x</FN></vCard>", "romeo@localhost"), stanza("iq", "forbidden")),
    ("a_vcard_for_the_server", "bound", iq("set", f"<vCard {VCARD}/>", "localhost"),
     stanza("iq", "forbidden|not-allowed")),
    ("the_vcard_of_nobody", "bound", iq("get", f"<vCard {VCARD}/>", "nobody@localhost"),
     stanza("iq", "service-unavailable|item-not-found")),
]


def copy_of(inner):
    return (f"<message to='juliet@localhost/raw' type='chat'><sent {CARBONS}><forwarded "
            f"xmlns='urn:xmpp:forward:0'>{inner}</forwarded></sent></message>")


def turned_on_and_off(c):
    for _ in range(500):
        c.send(f"<iq type='set' id='x'><enable {CARBONS}/></iq>"
               f"<iq type='set' id='x'><disable {CARBONS}/></iq>")


def a_thousand_results(c):
    for _ in range(1000):
        c.expect("<iq [^>]*id='x'[^>]*type='result'")
    c.ping()


def is_marked_as_mine(c):
    """A forged copy arrives as what it is: from its sender, not from the account."""
    m = c.expect("<message [^>]*>").group(0).decode()
    assert "from='juliet@localhost/raw'" in m, m
    c.ping()


OTHERS = [
    ("carbons_for_somebody_else", "bound", iq("set", f"<enable {CARBONS}/>", "romeo@localhost"),
     stanza("iq", "not-allowed")),
    ("carbons_that_are_asked_for_not_ordered", "bound", iq("get", f"<enable {CARBONS}/>"),
     stanza("iq", "service-unavailable|bad-request|feature-not-implemented")),
    ("carbons_on_and_off_500_times", "bound", turned_on_and_off,
     a_thousand_results),
    ("a_forged_carbon", "bound",
     copy_of("<message xmlns='jabber:client' from='romeo@localhost'><body>x</body></message>"),
     is_marked_as_mine),
    ("a_carbon_in_a_carbon_in_a_carbon", "bound", copy_of(copy_of(copy_of("<message/>"))),
     is_marked_as_mine),
    ("a_stanza_id_that_is_forged", "bound",
     "<message to='juliet@localhost/raw'><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' "
     "by='juliet@localhost' id='forged'/></message>",
     lambda c: c.ping() or _not_in(c, b"forged")),
    ("the_last_activity_of_a_stranger", "bound",
     iq("get", "<query xmlns='jabber:iq:last'/>", "romeo@localhost"),
     stanza("iq", "forbidden|service-unavailable|item-not-found")),
    ("a_disco_node_of_64_kb", "bound",
     iq("get", f"<query xmlns='http://jabber.org/protocol/disco#info' node='{'n' * 65536}'/>",
        "localhost"), no_such),
    ("the_time_that_somebody_sets", "bound",
     iq("set", "<time xmlns='urn:xmpp:time'/>", "localhost"),
     stanza("iq", "service-unavailable|bad-request|not-allowed|feature-not-implemented")),
]


def _not_in(c, what):
    assert what not in c.seen, c.seen[-500:]


ROWS = REGISTRATION + ACCOUNT + STATE + ARCHIVE + BLOCK + PRIVATE_ROWS + VCARDS + OTHERS

if __name__ == "__main__":
    # Its bursts (300 queries at once, 1,000 blocked) cost the router 8 MB once; a second and third
    # round through the table add next to nothing.
    sys.exit(main(ROWS, config=CONFIG, slack=16 << 20))
