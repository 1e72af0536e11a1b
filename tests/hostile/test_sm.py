#!/usr/bin/python3
"""Hostile clients: stream management (XEP-0198)."""
import sys

from hostile import (JULIET, ROMEO, SM, Raw, main, nothing, reach, says, sm_failed, still_serves,
                     stream_error)


def resume(previd, h="0"):
    return f"<resume {SM} previd='{previd}' h='{h}'/>"


def a(h):
    return f"<a {SM} h='{h}'/>"


def failed(condition):
    """Before binding; the client may bind instead."""
    def check(c):
        c.expect(f"<failed xmlns='urn:xmpp:sm:3'[^>]*><{condition} ")
        c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        c.expect("<jid>juliet@localhost/")
    return check


def refused_before_login(c):
    """The login is still taken."""
    c.expect("<failed xmlns='urn:xmpp:sm:3'><unexpected-request ")
    c.plain(*JULIET)
    c.expect("<success")


def thousand(c):
    for _ in range(1000):
        c.expect("<a [^>]*/>")
    c.ping()


too_high = stream_error("undefined-condition")

ROWS = [
    ("enable_before_the_login", "tls", f"<enable {SM}/>", refused_before_login),
    ("enable_before_binding", "authed", f"<enable {SM}/>", failed("unexpected-request")),
    ("enable_twice", "sm", f"<enable {SM}/>", sm_failed("unexpected-request")),
    ("enable_with_a_maximum_beyond_all_numbers", "bound", f"<enable {SM} resume='true' "
     "max='99999999999999999999'/>", says("<enabled [^>]*max='300'")),
    ("enable_with_a_negative_maximum", "bound", f"<enable {SM} resume='true' max='-5'/>",
     says("<enabled [^>]*max='[0-9]+'")),
    ("a_request_without_stream_management", "bound", f"<r {SM}/>",
     sm_failed("unexpected-request")),
    ("an_acknowledgement_without_stream_management", "bound", a(0),
     sm_failed("unexpected-request")),
    ("an_acknowledgement_without_a_number", "sm", f"<a {SM}/>", stream_error("invalid-xml")),
    ("an_acknowledgement_of_a_word", "sm", a("all"), stream_error("invalid-xml")),
    ("an_acknowledgement_of_minus_one", "sm", a("-1"), stream_error("invalid-xml")),
    ("an_acknowledgement_of_2_to_the_32", "sm", a("4294967296"), stream_error("invalid-xml")),
    ("an_acknowledgement_of_what_was_never_sent", "sm", a(1000), too_high),
    ("an_acknowledgement_of_the_largest_number", "sm", a(4294967295), too_high),
    ("an_unknown_element_of_stream_management", "sm", f"<accelerate {SM}/>",
     sm_failed("unexpected-request")),
    ("a_version_of_long_ago", "bound", "<enable xmlns='urn:xmpp:sm:2'/>",
     stream_error("unsupported-stanza-type")),
    ("resume_within_a_session", "sm", resume("x"), sm_failed("unexpected-request")),
    ("resume_of_nothing", "authed", f"<resume {SM} h='0'/>", failed("bad-request")),
    ("resume_without_h", "authed", f"<resume {SM} previd='x'/>", failed("bad-request")),
    ("resume_with_a_word_for_h", "authed", resume("x", "many"), failed("bad-request")),
    ("resume_of_a_session_that_never_was", "authed", resume("0123456789abcdef"),
     failed("item-not-found")),
    ("resume_with_4001_bytes_of_id", "authed", resume("x" * 4001), failed("bad-request")),
    ("resume_with_markup_in_the_id", "authed", resume("&lt;x&gt;' OR 1=1".replace("'", "&apos;")),
     failed("item-not-found")),
    ("resume_before_the_login", "tls", resume("x"), refused_before_login),
    ("a_thousand_requests_at_once", "sm", f"<r {SM}/>" * 1000, thousand),
]


def enabled(rh, who, resource):
    c = Raw(rh)
    c.login(*who, resource=resource, presence=False)
    c.send(f"<enable {SM} resume='true'/>")
    ident = c.expect("<enabled [^>]*id='([^']*)'").group(1).decode()
    return c, ident


def somebody_elses_session_cannot_be_resumed(rh):
    victim, ident = enabled(rh, ROMEO, "victim")
    with Raw(rh) as c:
        reach(c, "authed")
        c.send(resume(ident))
        failed("item-not-found")(c)
    victim.ping()
    victim.close()
    still_serves(rh)


def a_session_cannot_be_resumed_with_a_number_never_sent(rh):
    victim, ident = enabled(rh, JULIET, "number")
    victim.sock.close()
    with Raw(rh) as c:
        reach(c, "authed")
        c.send(resume(ident, 12345))
        c.expect("<(failed|stream:error)")
    still_serves(rh)


def a_session_that_was_closed_cannot_be_resumed(rh):
    victim, ident = enabled(rh, JULIET, "closed")
    victim.send("</stream:stream>")
    victim.read_to_end()
    with Raw(rh) as c:
        reach(c, "authed")
        c.send(resume(ident))
        failed("item-not-found")(c)
    still_serves(rh)


def two_clients_fight_for_one_session_and_one_has_it(rh):
    victim, ident = enabled(rh, JULIET, "fought")
    for _ in range(20):
        nxt = Raw(rh)
        reach(nxt, "authed")
        nxt.send(resume(ident))
        nxt.expect("<resumed ")
        victim.read_to_end()
        victim = nxt
    nothing(victim)
    victim.close()
    still_serves(rh)


if __name__ == "__main__":
    sys.exit(main(ROWS, (somebody_elses_session_cannot_be_resumed,
                         a_session_cannot_be_resumed_with_a_number_never_sent,
                         a_session_that_was_closed_cannot_be_resumed,
                         two_clients_fight_for_one_session_and_one_has_it)))
