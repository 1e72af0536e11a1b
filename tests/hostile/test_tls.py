#!/usr/bin/python3
"""Hostile clients: TLS (RFC 6120 5, RFC 7590) and STARTTLS."""
import socket
import ssl
import sys

from hostile import (JULIET, TLS, Raw, auth, b64, ends, failure, head, main, nothing, still_serves,
                     stream_error)
from roundhouse import LIMIT

JUNK = [b"\x16\x03\x01\x00\x05hello", b"\x16" + b"\xff" * 5000, b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x00", b"\x16\x00\x00\x00\x00\x00"]


def junk(data):
    def send(c):
        c.send(data)
        c.sock.shutdown(socket.SHUT_WR)
    return send


def junk_after_proceed(data):
    def send(c):
        c.send(f"<starttls {TLS}/>")
        c.expect("<proceed[^>]*/>")
        c.send(data)
        c.sock.shutdown(socket.SHUT_WR)
    return send


def refused_by_tls(**how):
    """The handshake fails with an alert."""
    def send(c):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if "ciphers" in how:
            context.set_ciphers(how["ciphers"])
        if "version" in how:
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = how["version"]
        try:
            c.sock = context.wrap_socket(c.sock)
        except ssl.SSLError as e:
            c.refused = str(e)
            return
        raise AssertionError(f"the handshake went well: {c.sock.version()} {c.sock.cipher()}")
    return send


def alert(c):
    assert "ALERT" in c.refused.upper() or "EOF" in c.refused.upper(), c.refused


ROWS = [
    *((f"junk_{i}_instead_of_a_handshake", "raw", junk(data), ends)
      for i, data in enumerate(JUNK)),
    *((f"junk_{i}_after_proceed", "plain", junk_after_proceed(data), ends)
      for i, data in enumerate(JUNK)),
    ("xml_after_proceed", "plain", junk_after_proceed(head().encode() * 100), ends),
    ("starttls_within_tls", "tls", f"<starttls {TLS}/>",
     lambda c: c.expect("(<failure |<stream:error>)")),
    ("starttls_within_a_session", "bound", f"<starttls {TLS}/>",
     stream_error("unsupported-stanza-type")),
    ("an_unknown_element_of_tls", "plain", f"<starttls2 {TLS}/>", stream_error("[a-z-]+")),
    ("tls_1_0", "raw", refused_by_tls(version=ssl.TLSVersion.TLSv1, ciphers="ALL:@SECLEVEL=0"),
     alert),
    ("tls_1_1", "raw", refused_by_tls(version=ssl.TLSVersion.TLSv1_1, ciphers="ALL:@SECLEVEL=0"),
     alert),
    ("no_encryption", "raw", refused_by_tls(version=ssl.TLSVersion.TLSv1_2,
                                            ciphers="eNULL:@SECLEVEL=0"), alert),
    ("anonymous_key_exchange", "raw", refused_by_tls(version=ssl.TLSVersion.TLSv1_2,
                                                     ciphers="aNULL:@SECLEVEL=0"), alert),
    ("cbc_with_sha1", "raw", refused_by_tls(version=ssl.TLSVersion.TLSv1_2,
                                            ciphers="AES128-SHA:AES256-SHA:@SECLEVEL=0"), alert),
]


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


def a_handshake_that_stops_half_way_does_no_harm(rh):
    """The client's hello in pieces, then nothing, two hundred times."""
    context = ssl.create_default_context(cafile=rh.ca)
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = out.read()
    open_ = []
    for i in range(200):
        c = Raw(rh)
        c.send(hello[:1 + i * len(hello) // 200])
        open_.append(c)
    still_serves(rh)
    for c in open_:
        c.close()
    still_serves(rh)


def an_end_without_close_notify_loses_the_session_only(rh):
    with Raw(rh) as c:
        c.login(*JULIET)
        c.sock.unwrap = None
        socket.socket.shutdown(c.sock, socket.SHUT_RDWR)
    still_serves(rh)


def a_large_record_one_byte_at_a_time_is_taken(rh):
    with Raw(rh) as c:
        c.login(*JULIET)
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.send("<message to='juliet@localhost'><body>" + "x" * 16000 + "</body></message>")
        c.expect("<body>x{16000}</body>")
        nothing(c)
    still_serves(rh)


def direct_tls_and_starttls_share_the_port(rh):
    context = ssl.create_default_context(cafile=rh.ca)
    with Raw(rh) as c:
        c.sock = context.wrap_socket(c.sock, server_hostname="localhost")
        c.sock.settimeout(LIMIT)
        features = c.open().string
        assert b"starttls" not in features, features
        c.plain("juliet", "wrong")
        failure("not-authorized")(c)
    still_serves(rh)


if __name__ == "__main__":
    sys.exit(main(ROWS, (plain_text_behind_starttls_is_never_obeyed,
                         a_handshake_that_stops_half_way_does_no_harm,
                         an_end_without_close_notify_loses_the_session_only,
                         a_large_record_one_byte_at_a_time_is_taken,
                         direct_tls_and_starttls_share_the_port),
                  slack=24 << 20))  # what malloc keeps of 200 handshakes; a second time adds nothing
