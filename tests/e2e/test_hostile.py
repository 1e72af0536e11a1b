#!/usr/bin/python3
"""Bad input: each row is what a hostile client sends and the exact error it gets; after every row
two ordinary clients log in and chat, served by the same process as before."""
import base64
import hashlib
import hmac
import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, Raw, add_case, run_cases

SASL = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
TLS = "xmlns='urn:ietf:params:xml:ns:xmpp-tls'"
XML = "<?xml version='1.0'?>"
NS = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")


def head(to="localhost", version="1.0", ns=NS, name="stream:stream"):
    return f"{XML}<{name} to='{to}' version='{version}' {ns}>"


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def auth(mechanism, data):
    return f"<auth {SASL} mechanism='{mechanism}'>{data}</auth>"


def deep(levels):
    return "<message to='romeo@localhost'>" + "<x>" * levels + "</x>" * levels + "</message>"


# What ends a stream, and with which stream error. Where: "raw" = a fresh connection, "plain" = the
# stream is open but not secured, "tls" = secured, not logged in, "authed" = logged in, not bound,
# "bound" = an ordinary session.
STREAM_ERRORS = [
    # name, where, bytes, condition
    ("not_xml_at_all", "raw", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "not-well-formed"),
    ("a_header_that_is_no_tag", "raw", "<?xml version='1.0'?><<stream>", "not-well-formed"),
    ("a_header_of_another_namespace", "raw",
     head(ns="xmlns='jabber:client' xmlns:stream='http://example.org/'"), "invalid-namespace"),
    ("a_header_of_the_server_namespace", "raw", head(ns=NS.replace("client", "server")),
     "invalid-namespace"),
    ("a_component_on_the_clients_port", "raw", head(ns=NS.replace("client", "component:accept")),
     "invalid-namespace"),
    ("a_header_with_another_prefix", "raw",
     head(ns="xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'", name="s:stream"),
     "bad-namespace-prefix"),
    ("a_header_that_is_not_named_stream", "raw", head(name="stream:river"), "bad-format"),
    ("a_domain_that_is_not_served", "raw", head(to="verona.example"), "host-unknown"),
    ("a_header_to_something_that_is_no_domain", "raw", head(to="a@b@c"), "improper-addressing"),
    ("a_header_without_to", "raw", head().replace("to='localhost' ", ""), "improper-addressing"),
    ("a_stream_without_version", "raw", head().replace("version='1.0' x", "x"),
     "unsupported-version"),
    ("a_stream_of_version_zero", "raw", head(version="0.9"), "unsupported-version"),
    ("a_dtd_before_the_header", "raw",
     "<?xml version='1.0'?><!DOCTYPE stream [<!ENTITY a 'b'>]>" + head()[len(XML):],
     "restricted-xml"),
    ("a_comment_before_the_header", "raw", XML + "<!-- hello -->" + head()[len(XML):],
     "restricted-xml"),
    ("a_processing_instruction_before_the_header", "raw", XML + "<?php ?>" + head()[len(XML):],
     "restricted-xml"),
    ("an_encoding_other_than_utf8", "raw",
     "<?xml version='1.0' encoding='iso-8859-1'?>" + head()[len(XML):], "unsupported-encoding"),
    ("a_header_with_bad_utf8", "raw",
     head().encode().replace(b"localhost", b"local\xff\xfehost"), "not-well-formed"),
    ("a_header_without_end", "raw", XML + "<stream:stream a='" + "x" * 2000000,
     "policy-violation"),
    ("a_message_before_anything", "plain", "<message to='romeo@localhost'><body>a</body></message>",
     "not-authorized"),
    ("an_iq_before_the_login", "tls", "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/>"
     "</iq>", "not-authorized"),
    ("an_element_of_no_known_kind", "plain", "<hello xmlns='urn:example'/>",
     "unsupported-stanza-type"),
    ("a_comment_before_the_login", "tls", "<!-- hello -->", "restricted-xml"),
    ("a_presence_before_binding", "authed", "<presence/>", "not-authorized"),
    ("tags_that_do_not_match", "bound", "<message><body>a</message></body>", "not-well-formed"),
    ("an_attribute_without_quotes", "bound", "<message to=romeo@localhost/>", "not-well-formed"),
    ("an_attribute_twice", "bound", "<message to='a@localhost' to='b@localhost'/>",
     "not-well-formed"),
    ("text_between_stanzas", "bound", "hello<presence/>", "not-well-formed"),
    ("a_control_character", "bound", "<message><body>\x01</body></message>", "not-well-formed"),
    ("a_reference_to_a_control_character", "bound", "<message><body>&#1;</body></message>",
     "not-well-formed"),
    ("bad_utf8_in_a_body", "bound", b"<message><body>\xc3\x28</body></message>",
     "not-well-formed"),
    ("an_overlong_utf8_sequence", "bound", b"<message><body>\xc0\xaf</body></message>",
     "not-well-formed"),
    ("a_surrogate_in_utf8", "bound", b"<message><body>\xed\xa0\x80</body></message>",
     "not-well-formed"),
    ("a_dtd_between_stanzas", "bound", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "restricted-xml"),
    ("a_dtd_within_a_stanza", "bound", "<message><!DOCTYPE a><body/></message>",
     "restricted-xml"),
    ("a_comment_within_a_stanza", "bound", "<message><!-- a --><body/></message>",
     "restricted-xml"),
    ("a_processing_instruction", "bound", "<message><?php exit ?></message>", "restricted-xml"),
    ("an_entity_that_is_not_predefined", "bound", "<message><body>&nbsp;</body></message>",
     "restricted-xml"),
    ("an_unbound_prefix", "bound", "<message><a:b/></message>", "bad-namespace-prefix"),
    ("an_unbound_prefix_of_an_attribute", "bound", "<message><b a:c='d'/></message>",
     "bad-namespace-prefix"),
    ("a_stanza_too_large", "bound",
     "<message to='romeo@localhost'><body>" + "a" * 2000000, "policy-violation"),
    ("a_stanza_too_deep", "bound", deep(2000), "policy-violation"),
    ("a_tag_with_too_many_attributes", "bound",
     "<message " + " ".join(f"a{i}='b'" for i in range(2000)) + "/>", "policy-violation"),
    ("a_spoofed_from", "bound", "<message from='romeo@localhost' to='romeo@localhost'><body>I am "
     "Romeo</body></message>", "invalid-from"),
    ("a_from_of_another_resource", "bound", "<presence from='juliet@localhost/elsewhere'/>",
     "invalid-from"),
    ("a_stanza_of_another_namespace", "bound", "<message xmlns='jabber:server' "
     "to='romeo@localhost'/>", "unsupported-stanza-type"),
    ("an_element_that_is_no_stanza", "bound", "<letter/>", "unsupported-stanza-type"),
    ("a_login_within_a_session", "bound", auth("PLAIN", b64("\0juliet\0capulet")),
     "unsupported-stanza-type"),
    ("a_closing_tag_of_something_else", "bound", "</stream:river>", "not-well-formed"),
]

# What SASL refuses, inside TLS unless it says otherwise; the stream goes on.
SASL_FAILURES = [
    ("a_login_before_tls", "plain", auth("PLAIN", b64("\0juliet\0capulet")),
     "encryption-required"),
    ("a_scram_login_before_tls", "plain", auth("SCRAM-SHA-1", b64("n,,n=juliet,r=abc")),
     "encryption-required"),
    ("an_unknown_mechanism", "tls", auth("DIGEST-MD5", "="), "invalid-mechanism"),
    ("no_mechanism", "tls", f"<auth {SASL}/>", "invalid-mechanism"),
    ("data_that_is_not_base64", "tls", auth("PLAIN", "!!!!"), "incorrect-encoding"),
    ("plain_without_its_separators", "tls", auth("PLAIN", b64("juliet capulet")),
     "malformed-request"),
    ("plain_in_somebody_elses_name", "tls",
     auth("PLAIN", b64("romeo@localhost\0juliet\0capulet")), "invalid-authzid"),
    ("scram_garbage", "tls", auth("SCRAM-SHA-256", b64("garbage")), "malformed-request"),
    ("a_response_without_a_login", "tls", f"<response {SASL}>aa==</response>",
     "malformed-request"),
    ("an_abort", "tls", auth("SCRAM-SHA-1", b64("n,,n=juliet,r=abc")) + f"<abort {SASL}/>",
     "aborted"),
    ("a_wrong_password", "tls", auth("PLAIN", b64("\0juliet\0wrong")), "not-authorized"),
    ("an_unknown_user", "tls", auth("PLAIN", b64("\0nobody\0wrong")), "not-authorized"),
    ("an_empty_password", "tls", auth("PLAIN", b64("\0juliet\0")),
     "(not-authorized|malformed-request)"),
    ("a_user_name_that_is_no_localpart", "tls", auth("PLAIN", b64("\0ju liet@x\0wrong")),
     "(not-authorized|malformed-request)"),
]

# What a bound client gets as a stanza error; its stream goes on.
STANZA_ERRORS = [
    ("an_address_that_is_no_jid", "<message id='e' to='@localhost'><body>a</body></message>",
     "message", "jid-malformed"),
    ("a_resource_that_is_too_long", f"<message id='e' to='a@localhost/{'r' * 1100}'/>",
     "message", "jid-malformed"),
    ("an_iq_of_no_known_type", "<iq id='e' type='take' to='localhost'><a xmlns='b'/></iq>",
     "iq", "bad-request"),
    ("an_iq_with_two_payloads", "<iq id='e' type='get' to='localhost'><a xmlns='b'/>"
     "<a xmlns='b'/></iq>", "iq", "bad-request"),
    ("an_iq_without_a_payload", "<iq id='e' type='get' to='localhost'/>", "iq", "bad-request"),
    ("a_second_binding", "<iq id='e' type='set'><bind "
     "xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "iq", "not-allowed"),
    ("an_iq_that_nobody_knows", "<iq id='e' type='get' to='localhost'><a xmlns='urn:b'/></iq>",
     "iq", "service-unavailable"),
    ("an_iq_to_nobody", "<iq id='e' type='get' to='nobody@localhost/x'><a xmlns='urn:b'/></iq>",
     "iq", "service-unavailable"),
    ("a_message_to_nobody", "<message id='e' to='nobody@localhost'><body>a</body></message>",
     "message", "service-unavailable"),
]


def still_serves(rh):
    """An ordinary pair logs in and chats; no process has been replaced."""
    with Raw(rh) as juliet, Raw(rh) as romeo:
        juliet.login(*JULIET, resource="after")
        to = romeo.login(*ROMEO, resource="after")
        juliet.send(f"<message to='{to}' type='chat'><body>still here</body></message>")
        romeo.expect("<body>still here</body></message>")
    now = {row["instance"]: (row["pid"], row["restarts"]) for row in rh.services()}
    assert now == rh.started, f"processes were replaced: {rh.started} {now}\n{rh.log_tail()}"


def reach(c, where):
    if where == "plain":
        c.open()
    elif where == "tls":
        c.start_tls()
        c.open()
    elif where == "authed":
        c.authenticate(*JULIET)
    elif where == "bound":
        c.login(*JULIET)


def stream_error_case(where, data, condition):
    def run(rh):
        with Raw(rh) as c:
            reach(c, where)
            c.buffer = b""
            c.send(data)
            end = c.read_to_end().decode(errors="replace")
            error = re.search(r"<stream:error><([a-z-]+) xmlns=.urn:ietf:params:xml:ns:"
                              r"xmpp-streams.", end)
            assert error, f"no stream error: {end!r}"
            assert error.group(1) == condition, end
            assert end.endswith("</stream:stream>"), end
            if where == "raw":  # RFC 6120 4.9.1.2: a header comes first
                assert re.match(r"(<\?xml[^>]*>)?<stream:stream ", end), end
        still_serves(rh)
    return run


def sasl_case(where, data, condition):
    def run(rh):
        with Raw(rh) as c:
            reach(c, where)
            c.send(data)
            m = c.expect(f"<failure [^>]*xmpp-sasl[^>]*><([a-z-]+)[ /]").group(1).decode()
            assert re.fullmatch(condition, m), m
            c.expect("</failure>")
            if where == "tls":  # the stream goes on: the right password is taken
                c.plain(*JULIET)
                c.expect("<success")
        still_serves(rh)
    return run


def stanza_error_case(data, kind, condition):
    def run(rh):
        with Raw(rh) as c:
            c.login(*JULIET)
            c.send(data)
            m = c.expect(f"<{kind} [^>]*type=.error.[^>]*>.*?</{kind}>").group(0).decode()
            assert re.search(f"<{condition} xmlns=.urn:ietf:params:xml:ns:xmpp-stanzas.", m), m
            assert re.search("id=.e.", m), m
            c.ping()
        still_serves(rh)
    return run


def an_iq_without_an_id_is_refused(rh):
    with Raw(rh) as c:
        c.login(*JULIET)
        c.send("<iq type='get' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        c.expect("<iq [^>]*type=.error.[^>]*>.*?<bad-request .*?</iq>")
        c.ping()
    still_serves(rh)


def bytes_one_at_a_time_make_a_session(rh):
    with Raw(rh) as c:
        c.send_slowly(head())
        c.expect("</stream:features>")
        c.send_slowly(f"<starttls {TLS}/>")
        c.expect("<proceed[^>]*/>")
        c.wrap()
        for part in (head(), auth("PLAIN", b64("\0juliet\0capulet")), head(),
                     "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
                     "<message to='juliet@localhost' type='chat'><body>&lt;a \u00e9 "
                     "<![CDATA[<b>]]></body></message>"):
            c.send_slowly(part)
            if part.startswith(XML):
                c.expect("</stream:features>")
        c.send("<presence/>")
        c.ping()
    still_serves(rh)


def plain_text_behind_starttls_is_never_obeyed(rh):
    with Raw(rh) as c:
        c.open()
        c.send(f"<starttls {TLS}/>" + head() + auth("PLAIN", b64("\0juliet\0capulet")))
        try:
            c.expect("<proceed[^>]*/>")
            c.wrap()
            c.header()
        except (AssertionError, OSError):
            pass  # refused at once is as good
        else:
            try:
                c.expect("<stream:features>.*</stream:features>")
                c.send("<iq type='get' id='rt'><ping xmlns='urn:xmpp:ping'/></iq>")
            except AssertionError:
                pass
        rest = c.read_to_end()
        assert b"<success" not in c.seen and b"result" not in rest, c.seen
    still_serves(rh)


def garbage_instead_of_a_tls_handshake(rh):
    for junk in (b"\x16\x03\x01\x00\x05hello", b"\x16" + b"\xff" * 5000, b"\x16\x03\x01\xff\xff"):
        with Raw(rh) as c:
            c.send(junk)
            c.sock.shutdown(socket.SHUT_WR)
            c.read_to_end()
    with Raw(rh) as c:
        c.open()
        c.send(f"<starttls {TLS}/>")
        c.expect("<proceed[^>]*/>")
        c.send(b"<stream:stream>" * 100)
        c.sock.shutdown(socket.SHUT_WR)
        c.read_to_end()
    still_serves(rh)


def no_bytes_at_all_and_half_a_header_do_no_harm(rh):
    silent = [Raw(rh) for _ in range(20)]
    half = [Raw(rh) for _ in range(20)]
    for c in half:
        c.send("<?xml version='1.0'?><stream:stream to='local")
    still_serves(rh)
    for c in silent + half:
        c.close()
    still_serves(rh)


def a_client_that_vanishes_in_the_middle_does_no_harm(rh):
    for where in ("plain", "tls", "authed", "bound"):
        with Raw(rh) as c:
            reach(c, where)
            c.send("<message to='romeo@localhost'><body>half")
    still_serves(rh)


def wrong_password_and_unknown_user_get_the_same_answer(rh):
    answers = []
    for user in ("juliet", "nobody"):
        with Raw(rh) as c:
            reach(c, "tls")
            c.plain(user, "wrong")
            answers.append(c.expect("<failure.*?</failure>").group(0))
    assert answers[0] == answers[1], answers


def scram_first(c, user):
    """Begins SCRAM-SHA-256; the server's first message."""
    reach(c, "tls")
    c.send(auth("SCRAM-SHA-256", b64(f"n,,n={user},r=clientnonce")))
    text = c.expect("<challenge[^>]*>([^<]*)</challenge>").group(1)
    return base64.b64decode(text).decode()


def scram_finish(c, user, password, server_first):
    """Sends the proof, right or wrong; the answer's bytes."""
    values = dict(part.split("=", 1) for part in server_first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(values["s"]),
                                 int(values["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without = f"c=biws,r={values['r']}"
    message = f"n={user},r=clientnonce,{server_first},{without}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    c.send(f"<response {SASL}>{b64(without + ',p=' + b64(proof))}</response>")
    return c.expect("<(failure|success).*?(</failure>|</success>)").group(0)


def scram_does_not_tell_who_exists(rh):
    shapes = []
    for user in ("juliet", "nobody"):
        firsts = []
        for _ in range(2):
            with Raw(rh) as c:
                first = scram_first(c, user)
                firsts.append(re.search("s=([^,]*)", first).group(1))
                answer = scram_finish(c, user, "wrong", first)
        assert firsts[0] == firsts[1], "the salt of a user changes between two logins"
        iterations = re.search("i=([0-9]+)", first).group(1)
        shapes.append((len(firsts[0]), iterations, answer))
    assert shapes[0] == shapes[1], shapes
    assert b"<not-authorized" in shapes[0][2], shapes
    with Raw(rh) as c:
        answer = scram_finish(c, "juliet", "capulet", scram_first(c, "juliet"))
        assert answer.startswith(b"<success"), answer


def scram_with_another_nonce_is_refused(rh):
    with Raw(rh) as c:
        first = scram_first(c, "juliet")
        answer = scram_finish(c, "juliet", "capulet", first.replace("r=clientnonce", "r=other"))
        assert b"<failure" in answer, answer
    still_serves(rh)


def too_many_failed_logins_end_the_stream(rh):
    with Raw(rh) as c:
        reach(c, "tls")
        for _ in range(50):
            c.plain("juliet", "wrong")
        end = c.read_to_end().decode()
        assert "<not-authorized" in end and "<policy-violation" in end, end
        assert end.endswith("</stream:stream>"), end
    still_serves(rh)


def delivered(rh, stanza):
    """Sends it as juliet to romeo; what romeo gets."""
    with Raw(rh) as juliet, Raw(rh) as romeo:
        juliet.login(*JULIET)
        to = romeo.login(*ROMEO)
        juliet.send(stanza.replace("ROMEO", to))
        return romeo.expect("<message .*?</message>").group(0).decode()


def a_prefixed_stanza_arrives_as_an_ordinary_one(rh):
    m = delivered(rh, "<c:message xmlns:c='jabber:client' to='ROMEO' type='chat'>"
                      "<c:body>hello</c:body><x xmlns='urn:x' c:y='z'>k</x></c:message>")
    assert "<body>hello</body>" in m, m
    assert re.match("<message [^>]*from=.juliet@localhost/raw.", m), m
    still_serves(rh)


def a_redeclared_content_namespace_arrives_as_an_ordinary_stanza(rh):
    m = delivered(rh, "<message xmlns='jabber:client' to='ROMEO' type='chat'>"
                      "<body xmlns='jabber:client'>hello</body></message>")
    assert re.search("<body( xmlns=.jabber:client.)?>hello</body>", m), m
    still_serves(rh)


def a_default_namespace_that_is_not_ours_stays_with_its_element(rh):
    m = delivered(rh, "<c:message xmlns:c='jabber:client' xmlns='urn:other' to='ROMEO'>"
                      "<c:body>hello</c:body><note>n</note></c:message>")
    assert re.search("<note xmlns=.urn:other.>n</note>", m) or \
        re.search("<([a-z0-9]+):note xmlns:\\1=.urn:other.>n</\\1:note>", m), m
    assert re.search("<body>hello</body>", m), m
    still_serves(rh)


def the_from_of_a_message_is_the_senders_own(rh):
    m = delivered(rh, "<message to='ROMEO' from='juliet@localhost' type='chat'><body>a</body>"
                      "</message>")
    assert re.search("from=.juliet@localhost/raw.", m), m


for name_, where_, data_, condition_ in STREAM_ERRORS:
    add_case(f"{name_}_is_{condition_}", stream_error_case(where_, data_, condition_))
for name_, where_, data_, condition_ in SASL_FAILURES:
    add_case(f"{name_}_is_{condition_}", sasl_case(where_, data_, condition_))
for name_, data_, kind_, condition_ in STANZA_ERRORS:
    add_case(f"{name_}_is_{condition_}", stanza_error_case(data_, kind_, condition_))
for f_ in (an_iq_without_an_id_is_refused, bytes_one_at_a_time_make_a_session,
           plain_text_behind_starttls_is_never_obeyed, garbage_instead_of_a_tls_handshake,
           no_bytes_at_all_and_half_a_header_do_no_harm,
           a_client_that_vanishes_in_the_middle_does_no_harm,
           wrong_password_and_unknown_user_get_the_same_answer, scram_does_not_tell_who_exists,
           scram_with_another_nonce_is_refused, too_many_failed_logins_end_the_stream,
           a_prefixed_stanza_arrives_as_an_ordinary_one,
           a_redeclared_content_namespace_arrives_as_an_ordinary_stanza,
           a_default_namespace_that_is_not_ours_stays_with_its_element,
           the_from_of_a_message_is_the_senders_own):
    add_case(f_.__name__, f_)

if __name__ == "__main__":
    with Instance() as instance:
        instance.add_user("juliet@localhost", "capulet")
        instance.add_user("romeo@localhost", "montague")
        instance.started = {row["instance"]: (row["pid"], row["restarts"])
                            for row in instance.services()}
        sys.exit(run_cases(instance))
