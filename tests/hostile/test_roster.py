#!/usr/bin/python3
"""Hostile clients: rosters and presence (RFC 6121 2, 3, 4)."""
import sys

from hostile import (JULIET, ROMEO, ROSTER, Raw, iq, main, nothing, says, stanza, still_serves,
                     stream_error)


def query(*items):
    return iq("set", f"<query {ROSTER}>{''.join(items)}</query>")


def presence(kind, to, inner=""):
    return f"<presence id='e' type='{kind}' to='{to}'>{inner}</presence>"


def priority(text):
    return f"<presence id='e'><priority>{text}</priority></presence>"


def groups(*names):
    return "<item jid='romeo@localhost'>" + "".join(f"<group>{n}</group>" for n in names) + "</item>"


refused = stanza("iq", "bad-request")

ROWS = [
    ("a_roster_of_somebody_else", "bound", iq("get", f"<query {ROSTER}/>", "romeo@localhost"),
     stanza("iq", "forbidden")),
    ("a_change_of_somebody_elses_roster", "bound",
     iq("set", f"<query {ROSTER}><item jid='a@localhost'/></query>", "romeo@localhost"),
     stanza("iq", "forbidden")),
    ("a_roster_set_without_an_item", "bound", query(), refused),
    ("a_roster_set_with_two_items", "bound", query("<item jid='a@localhost'/>",
                                                  "<item jid='b@localhost'/>"), refused),
    ("an_item_without_a_jid", "bound", query("<item name='x'/>"), refused),
    ("an_item_whose_jid_is_none", "bound", query("<item jid='@x'/>"),
     stanza("iq", "jid-malformed|bad-request")),
    ("an_item_for_oneself", "bound", query("<item jid='juliet@localhost'/>"),
     stanza("iq", "not-allowed|bad-request|not-acceptable")),
    ("a_group_twice", "bound", query(groups("a", "a")), refused),
    ("an_empty_group", "bound", query(groups("")), stanza("iq", "not-acceptable")),
    ("a_group_name_that_is_too_long", "bound", query(groups("g" * 5000)),
     stanza("iq", "not-acceptable")),
    ("a_name_that_is_too_long", "bound",
     query(f"<item jid='romeo@localhost' name='{'n' * 5000}'/>"), stanza("iq", "not-acceptable")),
    ("far_too_many_groups", "bound", query(groups(*(f"g{i}" for i in range(5000)))),
     stanza("iq", "not-acceptable|bad-request|resource-constraint")),
    ("an_item_that_was_never_there_is_removed", "bound",
     query("<item jid='nobody@localhost' subscription='remove'/>"),
     stanza("iq", "item-not-found")),
    ("a_roster_get_with_an_item", "bound",
     iq("get", f"<query {ROSTER}><item jid='a@localhost'/></query>"),
     says("<iq [^>]*id='e'[^>]*type='(error|result)'")),
    ("a_roster_version_that_is_no_number", "bound",
     iq("get", f"<query {ROSTER} ver='&lt;x&gt;'/>"), says("<iq [^>]*type='result'")),
    ("a_priority_above_127", "bound", priority("128"), stanza("presence", "bad-request")),
    ("a_priority_below_minus_128", "bound", priority("-129"), stanza("presence", "bad-request")),
    ("a_priority_that_is_no_number", "bound", priority("high"),
     stanza("presence", "bad-request")),
    ("a_priority_of_100_digits", "bound", priority("9" * 100), stanza("presence", "bad-request")),
    ("a_presence_of_unknown_type", "bound", "<presence id='e' type='away'/>",
     stanza("presence", "bad-request")),
    ("a_presence_from_somebody_else", "bound", "<presence from='romeo@localhost'/>",
     stream_error("invalid-from")),
    ("a_presence_from_another_resource", "bound", "<presence from='juliet@localhost/elsewhere'/>",
     stream_error("invalid-from")),
    ("a_subscription_to_oneself", "bound", presence("subscribe", "juliet@localhost"),
     stanza("presence", "not-allowed")),
    ("a_subscription_to_the_server", "bound", presence("subscribe", "localhost"),
     stanza("presence", "service-unavailable")),
    ("a_subscription_to_no_jid", "bound", presence("subscribe", "@@"),
     stanza("presence", "jid-malformed")),
    ("an_approval_that_nobody_asked_for", "bound", presence("subscribed", "nobody@localhost"),
     nothing),
    ("a_cancellation_that_nobody_needs", "bound", presence("unsubscribed", "nobody@localhost"),
     nothing),
    ("an_unsubscription_from_nobody", "bound", presence("unsubscribe", "nobody@localhost"),
     nothing),
    ("a_probe_of_a_client", "bound", presence("probe", "romeo@localhost"),
     lambda c: c.ping()),
    ("a_presence_error_to_nobody", "bound", presence("error", "nobody@localhost/x"), nothing),
    ("a_presence_to_a_resource_of_nobody", "bound", "<presence to='nobody@localhost/x'/>",
     nothing),
]


def directed_presence_to_too_many_is_refused(rh):
    """What the server must remember of a session (RFC 6121 4.6.3) has an end. The addresses must be
    somebody's, or there is nothing to remember: one account with many resources will do, and the
    domain of nobody will not."""
    with Raw(rh) as c, Raw(rh) as romeo:
        c.login(*JULIET)
        to = romeo.login(*ROMEO)
        for i in range(3000):
            c.send(f"<presence to='user{i}@localhost/x'/><presence to='{to}'/>")
        c.ping()
    still_serves(rh)


def a_roster_has_an_end(rh):
    """datastore.max_roster_items is 50 here; requests that others make count as well."""
    rh.add_user("tybalt@localhost", "verona")
    with Raw(rh) as c:
        c.login("tybalt", "verona")
        for i in range(50):
            c.send(f"<iq type='set' id='s{i}'><query {ROSTER}><item jid='c{i}@localhost'/></query>"
                   "</iq>")
        c.expect("<iq [^>]*id='s49'[^>]*type='result'")
        c.send(query("<item jid='toomany@localhost'/>"))
        c.expect("<iq [^>]*id='e'[^>]*type='error'[^>]*>.*?<resource-constraint ")
        c.send(query("<item jid='c0@localhost' subscription='remove'/>"))
        c.expect("<iq [^>]*id='e'[^>]*type='result'")
        c.send(query("<item jid='nowitfits@localhost'/>"))
        c.expect("<iq [^>]*id='e'[^>]*type='result'")
    still_serves(rh)


def ten_thousand_subscription_requests_do_no_harm(rh):
    with Raw(rh) as c:
        c.login(*ROMEO)
        for i in range(10000):
            c.send(f"<presence type='subscribe' to='stranger{i}@localhost'/>")
            if i % 100 == 99:
                c.ping()
        c.send(iq("get", f"<query {ROSTER}/>"))
        answer = c.expect("<iq [^>]*id='e'.*?</iq>").group(0)
        assert answer.count(b"<item ") <= 50, answer.count(b"<item ")
    still_serves(rh)


if __name__ == "__main__":
    sys.exit(main(ROWS, (directed_presence_to_too_many_is_refused, a_roster_has_an_end,
                         ten_thousand_subscription_requests_do_no_harm),
                  config={"datastore": "max_roster_items = 50;"}))
