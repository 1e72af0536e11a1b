#!/usr/bin/python3
"""Hostile clients: stream headers, and what comes before, between and instead of stanzas (RFC 6120
4)."""
import sys

from hostile import NS, XML, Raw, ends, head, main, reach, still_serves, stream_error
from roundhouse import wait_for

LIMIT = 10240  # limits.stanza_bytes_unauthenticated


def error(condition):
    return stream_error(condition, header=True)


def header_of(size):
    text = head()
    pad = size - len(text) - len(" a=''")
    return text[:-1] + " a='" + "x" * pad + "'>"


ROWS = [
    ("not_xml_at_all", "raw", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
     error("not-well-formed")),
    ("a_header_that_is_no_tag", "raw", "<?xml version='1.0'?><<stream>", error("not-well-formed")),
    ("a_header_of_another_namespace", "raw",
     head(ns="xmlns='jabber:client' xmlns:stream='http://example.org/'"),
     error("invalid-namespace")),
    ("a_header_of_the_server_namespace", "raw", head(ns=NS.replace("client", "server")),
     error("invalid-namespace")),
    ("a_component_on_the_clients_port", "raw", head(ns=NS.replace("client", "component:accept")),
     error("invalid-namespace")),
    ("a_header_with_another_prefix", "raw",
     head(ns="xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'", name="s:stream"),
     error("bad-namespace-prefix")),
    ("a_header_that_is_not_named_stream", "raw", head(name="stream:river"), error("bad-format")),
    ("a_domain_that_is_not_served", "raw", head(to="verona.example"), error("host-unknown")),
    ("a_header_to_something_that_is_no_domain", "raw", head(to="a@b@c"),
     error("improper-addressing")),
    ("a_header_without_to", "raw", head().replace("to='localhost' ", ""),
     error("improper-addressing")),
    ("a_stream_without_version", "raw", head().replace("version='1.0' x", "x"),
     error("unsupported-version")),
    ("a_stream_of_version_zero", "raw", head(version="0.9"), error("unsupported-version")),
    ("a_version_that_is_no_number", "raw", head(version="one"), error("unsupported-version")),
    ("a_dtd_before_the_header", "raw",
     "<?xml version='1.0'?><!DOCTYPE stream [<!ENTITY a 'b'>]>" + head()[len(XML):],
     error("restricted-xml")),
    ("a_comment_before_the_header", "raw", XML + "<!-- hello -->" + head()[len(XML):],
     error("restricted-xml")),
    ("a_processing_instruction_before_the_header", "raw", XML + "<?php ?>" + head()[len(XML):],
     error("restricted-xml")),
    ("an_encoding_other_than_utf8", "raw",
     "<?xml version='1.0' encoding='iso-8859-1'?>" + head()[len(XML):],
     error("unsupported-encoding")),
    ("a_header_in_utf16", "raw", head().encode("utf-16"),
     error("not-well-formed|unsupported-encoding")),
    ("a_header_with_bad_utf8", "raw",
     head().encode().replace(b"localhost", b"local\xff\xfehost"), error("not-well-formed")),
    ("a_header_without_end", "raw", XML + "<stream:stream a='" + "x" * 2000000,
     error("policy-violation")),
    ("a_header_one_byte_too_long", "raw", header_of(LIMIT + len(XML) + 1),
     error("policy-violation")),
    ("a_second_xml_declaration", "raw", XML + head(), error("not-well-formed|restricted-xml")),
    ("a_closing_tag_before_the_header", "raw", "</stream:stream>", error("not-well-formed")),
    ("a_header_that_closes_itself", "raw", head()[:-1] + "/>", ends),
    ("nothing_but_zeros", "raw", b"\0" * 4096, error("not-well-formed")),
    ("a_second_header_in_a_session", "bound", head(), stream_error("[a-z-]+")),
    ("a_message_before_anything", "plain", "<message to='romeo@localhost'><body>a</body></message>",
     stream_error("not-authorized")),
    ("an_iq_before_the_login", "tls",
     "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
     stream_error("not-authorized")),
    ("an_element_of_no_known_kind", "plain", "<hello xmlns='urn:example'/>",
     stream_error("unsupported-stanza-type")),
    ("text_between_stanzas", "bound", "hello<presence/>", stream_error("not-well-formed")),
    ("an_element_that_is_no_stanza", "bound", "<letter/>",
     stream_error("unsupported-stanza-type")),
    ("a_stanza_of_another_namespace", "bound", "<message xmlns='jabber:server' "
     "to='romeo@localhost'/>", stream_error("unsupported-stanza-type")),
    ("a_closing_tag_of_something_else", "bound", "</stream:river>",
     stream_error("not-well-formed")),
    ("a_stream_error_of_the_clients_own", "bound", "<stream:error><undefined-condition "
     "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", ends),
]


def a_header_as_long_as_allowed_is_taken(rh):
    with Raw(rh) as c:
        c.send(header_of(LIMIT))
        c.expect("</stream:features>")
    still_serves(rh)


def half_a_header_and_no_bytes_at_all_do_no_harm(rh):
    silent = [Raw(rh) for _ in range(20)]
    half = [Raw(rh) for _ in range(20)]
    for c in half:
        c.send("<?xml version='1.0'?><stream:stream to='local")
    still_serves(rh)
    for c in silent + half:
        c.close()
    still_serves(rh)


def a_client_that_vanishes_in_the_middle_does_no_harm(rh):
    for where in ("plain", "tls", "authed", "bound", "sm"):
        with Raw(rh) as c:
            reach(c, where)
            c.send("<message to='romeo@localhost'><body>half")
    still_serves(rh)


def bytes_one_at_a_time_make_a_session(rh):
    from hostile import JULIET, TLS, auth, b64
    with Raw(rh) as c:
        c.send_slowly(head())
        c.expect("</stream:features>")
        c.send_slowly(f"<starttls {TLS}/>")
        c.expect("<proceed[^>]*/>")
        c.wrap()
        for part in (head(), auth("PLAIN", b64(f"\0{JULIET[0]}\0{JULIET[1]}")), head(),
                     "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
                     "<message to='juliet@localhost' type='chat'><body>&lt;a \u00e9 "
                     "<![CDATA[<b>]]></body></message>"):
            c.send_slowly(part)
            if part.startswith(XML):
                c.expect("</stream:features>")
        c.send("<presence/>")
        c.ping()
    still_serves(rh)


def every_refused_stream_has_its_line_in_the_log(rh):
    with Raw(rh) as c:
        c.send(head(to="nowhere.example"))
        c.read_to_end()
    wait_for(lambda: "nowhere.example" in rh.log("cm-client") or
             "host-unknown" in rh.log("cm-client"), "the refusal in the log")


if __name__ == "__main__":
    sys.exit(main(ROWS, (a_header_as_long_as_allowed_is_taken,
                         half_a_header_and_no_bytes_at_all_do_no_harm,
                         a_client_that_vanishes_in_the_middle_does_no_harm,
                         bytes_one_at_a_time_make_a_session,
                         every_refused_stream_has_its_line_in_the_log)))
