#!/usr/bin/python3
"""Hostile components (XEP-0114): headers, digests, spoofed stanzas, floods, and the wrong kind of stream
on either port. After every row an ordinary component and ordinary clients still work."""
import socket
import sys
import time

from hostile import JULIET, ROMEO, Raw, main, nothing_held, still_serves
from component import Component, Echo, Refused
from roundhouse import LIMIT, Closed, add_case, wait_for

SECRET = "a-secret-of-twenty-four-c"
JID = "cb1.localhost"
NS = "xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'"
HEADER_MAX = 10240  # limits.stanza_bytes_unauthenticated
STANZA_MAX = 20000  # cm-component.stanza_bytes, below


def head(to=JID, ns=NS, name="stream:stream", extra=""):
    to = f" to='{to}'" if to is not None else ""
    return f"<?xml version='1.0'?><{name}{to} {ns}{extra}>"


def message(origin=f"a@{JID}", to="romeo@localhost", inner="<body>x</body>"):
    return f"<message from='{origin}' to='{to}'>{inner}</message>"


def dial(rh):
    c = Component(rh, JID, SECRET, connect=False)
    c.dial()
    c._new_parser()
    return c


def opened(rh):
    c = dial(rh)
    c.open_stream()
    return c


def bound(rh):
    return Component(rh, JID, SECRET)


def counted(rh):
    c = bound(rh)
    c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    assert c.recv().tag.endswith("}enabled")
    return c


def still_serves_components(rh):
    """An ordinary component answers an ordinary client; the processes are those of before."""
    still_serves(rh)

    def answered():
        try:
            with Echo(rh, JID, SECRET), Raw(rh) as juliet:
                juliet.login(*JULIET, resource="c")
                juliet.send(f"<message to='x@{JID}' type='chat'><body>there?</body></message>")
                juliet.expect("<body>there\\?</body>")
                return True
        except Refused as e:  # the one of the row is being probed
            assert e.condition in ("conflict", None), e
            return False
    wait_for(answered, "an ordinary component")


# (name, how far it comes first, what it sends, the stream error)
ROWS = [
    ("no_xml", dial, "GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
    ("a_client_stream", dial, head("localhost", NS.replace("component:accept", "client")),
     "invalid-namespace"),
    ("a_server_stream", dial, head("localhost", NS.replace("component:accept", "server")),
     "invalid-namespace"),
    ("a_connect_stream", dial, head(ns=NS.replace("accept", "connect")), "invalid-namespace"),
    ("another_stream_namespace", dial, head(ns=NS.replace("etherx.jabber.org", "example.org")),
     "invalid-namespace"),
    ("another_prefix", dial, head(ns=NS.replace("xmlns:stream", "xmlns:s"), name="s:stream"),
     "bad-namespace-prefix"),
    ("another_name", dial, head(name="stream:river"), "bad-format"),
    ("a_dtd", dial, "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]>" + head()[21:],
     "restricted-xml"),
    ("a_header_without_end", dial, head()[:-1] + " a='" + "x" * 1000000, "policy-violation"),
    ("an_unknown_domain", dial, head("cb9.localhost"), "host-unknown"),
    ("the_servers_own_domain", dial, head("localhost"), "host-unknown"),
    ("a_domain_that_is_none", dial, head("a@b@c"), "host-unknown"),
    ("an_empty_domain", dial, head(""), "host-unknown"),
    ("no_domain", dial, head(None), "host-unknown"),
    ("a_very_long_domain", dial, head("x" * 2000), "host-unknown"),
    ("a_digest_of_nothing", opened, "<handshake/>", "not-authorized"),
    ("a_wrong_digest", opened, f"<handshake>{'0' * 40}</handshake>", "not-authorized"),
    ("the_secret_itself", opened, f"<handshake>{SECRET}</handshake>", "not-authorized"),
    ("a_digest_that_is_too_long", opened, f"<handshake>{'a' * 9000}</handshake>",
     "not-authorized"),
    ("a_digest_with_children", opened, f"<handshake><a/>{'0' * 40}</handshake>",
     "not-authorized"),
    ("a_huge_handshake", opened, f"<handshake>{'a' * 200000}</handshake>", "policy-violation"),
    ("a_stanza_without_handshake", opened, message(), "not-authorized"),
    ("something_unknown_without_handshake", opened, "<x xmlns='urn:example'/>",
     "unsupported-stanza-type"),
    ("sasl", opened, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
     "unsupported-stanza-type"),
    ("a_spoofed_user", bound, message("juliet@localhost"), "invalid-from"),
    ("a_spoofed_server", bound, message("localhost"), "invalid-from"),
    ("a_spoofed_component", bound, message("a@cb2.localhost"), "invalid-from"),
    ("a_spoofed_presence", bound, "<presence from='juliet@localhost' to='romeo@localhost'/>",
     "invalid-from"),
    ("no_from", bound, "<message to='romeo@localhost'/>", "invalid-from"),
    ("a_from_that_is_none", bound, message("@"), "invalid-from"),
    ("a_stanza_of_jabber_client", bound,
     message().replace("<message", "<message xmlns='jabber:client'"), "unsupported-stanza-type"),
    ("no_stanza", bound, "<letter/>", "unsupported-stanza-type"),
    ("text_between_stanzas", bound, "hello<presence/>", "not-well-formed"),
    ("an_unbound_prefix", bound, message(inner="<a:b/>"), "bad-namespace-prefix"),
    ("bad_utf8", bound, message().encode().replace(b"x<", b"\xff\xfe<"), "not-well-formed"),
    ("an_entity", bound, message(inner="&b;"), "restricted-xml|not-well-formed"),
    ("a_comment", bound, "<!-- a -->", "restricted-xml"),
    ("too_deep", bound, message(inner="<a>" * 100 + "</a>" * 100), "policy-violation"),
    ("too_many_attributes", bound,
     message(inner="<a " + " ".join(f"a{i}=''" for i in range(100)) + "/>"), "policy-violation"),
    ("too_large", bound, message(inner="<body>" + "x" * (STANZA_MAX + 1) + "</body>"),
     "policy-violation"),
    ("a_stanza_that_never_ends", bound, "<message><body>" + "x" * 2000000, "policy-violation"),
    ("a_second_header", bound, head(), "[a-z-]+"),
    ("another_closing_tag", bound, "</stream:river>", "not-well-formed"),
    ("an_acknowledgement_that_is_no_number", counted, "<a xmlns='urn:xmpp:sm:3' h='x'/>",
     "invalid-xml"),
    ("an_acknowledgement_of_more_than_was_sent", counted, "<a xmlns='urn:xmpp:sm:3' h='7'/>",
     "undefined-condition"),
]


def add_row(name, how, data, condition):
    import re

    def run(rh):
        c = how(rh)
        try:
            c.send(data)
        except OSError:
            pass  # refused already: what it said is still to be read
        said = None
        try:
            said = c.refusal()
        except OSError:
            pass  # a reset overtook the last words: bytes that nobody wanted were on their way
        assert said is None or re.fullmatch(condition, said), said
        assert said or len(data) > 100000, f"no stream error: {c.seen[-300:]!r}"
        c.drop()
        still_serves_components(rh)
    add_case("a_component_" + name + "_is_refused", run)


def a_component_on_the_clients_port_is_told_where_to_go(rh):
    with Raw(rh) as c:
        c.send(head())
        c.expect("invalid-namespace.*components connect to the component port")
    still_serves_components(rh)


def a_client_on_the_components_port_is_told_where_to_go_and_so_is_the_administrator(rh):
    with Component(rh, JID, SECRET, connect=False) as c:
        c.dial()
        c._new_parser()
        c.send(head("localhost", NS.replace("component:accept", "client")))
        assert c.refusal() == "invalid-namespace"
        assert b"clients connect to the client port" in c.seen, c.seen
    rh.wait_log("cm-component", "condition=invalid-namespace .*cm-client.listen")
    still_serves_components(rh)


def a_wrong_secret_names_the_component_and_its_address_in_the_log(rh):
    try:
        Component(rh, JID, "wrong")
        raise AssertionError("let in with a wrong secret")
    except Refused as e:
        assert e.condition == "not-authorized", e
    rh.wait_log("cm-component", 'event=auth_failed component="cb1.localhost" '
                                "condition=not-authorized .*addr=127.0.0.1:")
    assert "wrong" not in rh.log("cm-component").replace("wrong-", ""), "a secret in the log"


def the_secret_of_another_component_is_of_no_use(rh):
    try:
        Component(rh, JID, "the-secret-of-the-other-24")
        raise AssertionError("let in with another's secret")
    except Refused as e:
        assert e.condition == "not-authorized", e
    with Component(rh, "cb2.localhost", "the-secret-of-the-other-24"):
        pass


def a_digest_cannot_be_replayed(rh):
    with opened(rh) as first, opened(rh) as second:
        try:
            second.handshake(first.digest())
            raise AssertionError("a digest of another stream was taken")
        except Refused as e:
            assert e.condition == "not-authorized", e


def many_half_open_connections_leave_room_for_others_elsewhere(rh):
    half = []
    for _ in range(30):  # 20 of one address are allowed
        c = Component(rh, JID, SECRET, connect=False)
        c.dial()
        half.append(c)
    refused = 0
    for c in half[-10:]:
        c._new_parser()
        try:
            refused += c.refusal() == "policy-violation"
        except OSError:
            refused += 1
    assert refused == 10, refused
    still_serves(rh)
    for c in half:
        c.drop()
    still_serves_components(rh)


def a_slow_handshake_is_cut_off(rh):
    c = dial(rh)
    begun = time.monotonic()
    try:
        for byte in head().encode():
            c.send(bytes([byte]))
            time.sleep(0.1)
            if time.monotonic() - begun > 30:
                break
        condition = c.refusal()
    except OSError:
        condition = "connection-timeout"
    assert condition == "connection-timeout", condition
    assert time.monotonic() - begun < 20
    c.drop()
    c = opened(rh)
    assert c.refusal() == "connection-timeout"
    c.drop()
    still_serves_components(rh)


def a_flood_is_read_more_slowly_and_nobody_else_notices(rh):
    with Raw(rh) as romeo, bound(rh) as c:
        romeo.login(*ROMEO, resource="r")
        c.sock.settimeout(0.5)
        one = message(to="romeo@localhost/r", inner="<body>" + "x" * 1000 + "</body>").encode()
        begun, sent = time.monotonic(), 0
        while time.monotonic() - begun < 4:
            try:
                sent += c.sock.send(one * 50)
            except (TimeoutError, socket.timeout):
                break
        assert sent < 40 << 20, f"{sent} bytes were taken in 4 s"
        still_serves(rh)
        c.drop()
    rh.wait_log("cm-component", "event=throttled")
    still_serves_components(rh)


def a_flood_of_connections_does_not_hurt(rh):
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", rh.component_port), timeout=LIMIT) as s:
            s.send(b"\x16\x03\x01")
    still_serves_components(rh)


def a_component_that_vanishes_anywhere_does_no_harm(rh):
    for how in (dial, opened, bound):
        c = how(rh)
        try:
            c.send("<message from='a@cb1.localhost' to='romeo@localhost'><body>half")
        except (OSError, Closed):
            pass
        c.drop()
    still_serves_components(rh)


def bytes_one_at_a_time_make_a_session(rh):
    with Component(rh, JID, SECRET, connect=False) as c, Raw(rh) as romeo:
        romeo.login(*ROMEO, resource="r")
        c.dial()
        c._new_parser()
        for b in head().encode():
            c.send(bytes([b]))
        c._until(lambda: c.header is not None)
        c.stream_id = c.header.get("id")
        for b in f"<handshake>\n {c.digest()} </handshake>".encode():
            c.send(bytes([b]))
        assert c.recv().tag.endswith("}handshake")
        for b in message(to="romeo@localhost/r", inner="<body>slow</body>").encode():
            c.send(bytes([b]))
        romeo.expect("<body>slow</body>")


def nothing_is_held_for_anybody(rh):
    nothing_held(rh)
    rh.wait_stats("cm-component-1", lambda s: s["custody_held"] == 0 and
                  s["custody_difference"] == 0 and s["connections"] == 0)


def set_up(rh):
    for name, secret in (("cb1", SECRET), ("cb2", "the-secret-of-the-other-24")):
        rh.run("xmpp", "component", "add", name, "--secret-file", "-", stdin=secret + "\n")


add_case(set_up.__name__, set_up)
for row in ROWS:
    add_row(*row)

CONFIG = {"cm-component": f"stanza_bytes = {STANZA_MAX}; handshake_s = 3; "
                          "unauthenticated_per_address = 20; bytes_per_second = 1000000; "
                          "bytes_burst = 2000000;",
          "router": "reconnect_grace = 1;"}


if __name__ == "__main__":
    sys.exit(main((), (a_component_on_the_clients_port_is_told_where_to_go,
                       a_client_on_the_components_port_is_told_where_to_go_and_so_is_the_administrator,
                       a_wrong_secret_names_the_component_and_its_address_in_the_log,
                       the_secret_of_another_component_is_of_no_use,
                       a_digest_cannot_be_replayed,
                       many_half_open_connections_leave_room_for_others_elsewhere,
                       a_slow_handshake_is_cut_off,
                       a_flood_is_read_more_slowly_and_nobody_else_notices,
                       a_flood_of_connections_does_not_hurt,
                       a_component_that_vanishes_anywhere_does_no_harm,
                       bytes_one_at_a_time_make_a_session,
                       nothing_is_held_for_anybody), config=CONFIG,
                  slack=20 << 20))  # the flood goes into an archive: SQLite keeps its pages
