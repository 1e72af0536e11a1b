#!/usr/bin/python3
"""Every limit of section `limits`, one below it, at it and one above it: what passes, the
standard's error for what does not, and a line in the log."""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import LIMIT, Instance, Raw, add_case, case, run_cases, wait_for  # noqa: E402

JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")
BEFORE, AFTER = 4096, 20000  # bytes of an element
DEPTH, ATTRIBUTES = 20, 30
SESSIONS, ATTEMPTS, STRANGERS, CONNECTIONS, ADDRESS = 4, 2, 9, 12, 6
RATE, BURST, RATE_BEFORE = 200000, 65536, 10000

SETTINGS = f"""stanza_bytes_unauthenticated = {BEFORE}; stanza_bytes = {AFTER}; depth = {DEPTH};
    attributes = {ATTRIBUTES}; login_attempts = {ATTEMPTS}; unauthenticated = {STRANGERS};
    unauthenticated_per_address = {ADDRESS}; connections = {CONNECTIONS};
    bytes_per_second = {RATE}; bytes_burst = {BURST};
    bytes_per_second_unauthenticated = {RATE_BEFORE};"""


def secured(rh):
    c = Raw(rh)
    c.start_tls()
    c.open()
    return c


def bound(rh):
    c = Raw(rh)
    c.login(*JULIET, resource="limits")
    return c


def padded(start, end, size):
    """An element of exactly so many bytes."""
    return start + "x" * (size - len(start) - len(end)) + end


def message(size):
    return padded("<message to='juliet@localhost/limits' type='headline'><body>",
                  "</body></message>", size)


def auth(size):
    return padded("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='UNKNOWN'>", "</auth>",
                  size)


def deep(levels):
    """The stanza itself is the first level."""
    return ("<message to='juliet@localhost/limits' type='headline'>" + "<x xmlns='u'>" +
            "<x>" * (levels - 2) + "</x>" * (levels - 2) + "</x></message>")


def wide(attributes):
    return ("<message to='juliet@localhost/limits' type='headline'><x xmlns='u' " +
            " ".join(f"a{i}='b'" for i in range(attributes - 1)) + "/></message>")


# name, the stream, element, what comes when it is taken
SIZES = [
    ("stanza_bytes", bound, message, AFTER, "<message .*?</message>"),
    ("stanza_bytes_unauthenticated", secured, auth, BEFORE, "<invalid-mechanism"),
    ("depth", bound, deep, DEPTH, "<message .*?</message>"),
    ("attributes", bound, wide, ATTRIBUTES, "<message .*?</message>"),
]


def size_case(connect, make, size, taken):
    def run(rh):
        log = len(rh.log("cm-client"))
        with connect(rh) as c:
            c.send(make(size - 1))
            c.expect(taken)
        with connect(rh) as c:
            c.send(make(size))
            c.expect(taken)
        with connect(rh) as c:
            c.send(make(size + 1))
            end = c.read_to_end()
            assert b"<stream:error><policy-violation " in end, end
            assert end.endswith(b"</stream:stream>"), end
        wait_for(lambda: "event=close condition=policy-violation" in rh.log("cm-client")[log:],
                 "the line in the log")
    return run


for name_, connect_, make_, size_, taken_ in SIZES:
    add_case(f"limit_{name_}", size_case(connect_, make_, size_, taken_))


@case
def the_limits_are_announced(rh):
    with Raw(rh) as c:
        c.start_tls()
        c.header()
        features = c.expect("<stream:features>.*</stream:features>").group(0).decode()
        assert f"<max-bytes>{BEFORE}</max-bytes><idle-seconds>30</idle-seconds>" in features
        c.plain(*JULIET)
        c.expect("<success")
        c.header()
        features = c.expect("<stream:features>.*</stream:features>").group(0).decode()
        assert f"<max-bytes>{AFTER}</max-bytes></limits>" in features, features


@case
def limit_login_attempts(rh):
    with secured(rh) as c:
        for _ in range(ATTEMPTS - 1):
            c.plain("juliet", "wrong")
            c.expect("<not-authorized")
        c.plain(*JULIET)
        c.expect("<success")
    with secured(rh) as c:
        for _ in range(ATTEMPTS):
            c.plain("juliet", "wrong")
        end = c.read_to_end()
        assert end.count(b"<not-authorized") == ATTEMPTS and b"<policy-violation " in end, end
    rh.wait_log("cm-client", "event=auth_failed")


@case
def limit_sessions_per_user(rh):
    clients = []
    for i in range(SESSIONS):
        clients.append(Raw(rh))
        clients[i].login(*JULIET, resource=f"s{i}")
    with Raw(rh) as c:
        c.authenticate(*JULIET)
        c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
               "<resource>more</resource></bind></iq>")
        error = c.expect("<iq .*?</iq>").group(0)
        assert b"type='error'" in error and b"<resource-constraint " in error, error
        rh.wait_log("cm-client", "event=bind_refused condition=resource-constraint")
        clients.pop().close()  # one place is free: perhaps not at once
        for _ in range(100):
            c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                   "<resource>more</resource></bind></iq>")
            if b"<jid>" in c.expect("<iq .*?</iq>").group(0):
                break
            time.sleep(0.05)
        else:
            raise AssertionError("no place is free again")
    for c in clients:
        c.ping()
        c.close()


def is_refused(c, why):
    c.header()
    end = c.read_to_end()
    return b"<stream:error><policy-violation " in end and why in end


def when_free(rh, connect):
    """A place becomes free when the closing was seen."""
    for _ in range(200):
        try:
            return connect(rh)
        except (AssertionError, OSError):
            time.sleep(0.02)
    raise AssertionError("no place is free again")


@case
def limit_unauthenticated_per_address(rh):
    strangers = [when_free(rh, secured) for _ in range(ADDRESS)]
    with Raw(rh) as c:
        assert is_refused(c, b"of your address")
    strangers.pop().close()
    strangers.append(when_free(rh, secured))
    strangers[0].plain(*JULIET)  # who has logged in is no stranger
    strangers[0].expect("<success")
    strangers.append(when_free(rh, secured))
    for c in strangers:
        c.close()
    rh.wait_log("cm-client", "event=refused reason=\"too many connections of your address")


class From(Raw):
    """A connection from another address of this machine."""

    def __init__(self, rh, address):
        self.rh = rh
        self.sock = socket.create_connection(("127.0.0.1", rh.port), timeout=LIMIT,
                                             source_address=(address, 0))
        self.buffer = self.seen = b""


@case
def limit_unauthenticated(rh):
    def stranger(address):
        def connect(rh):
            c = From(rh, address)
            c.open()
            return c
        return connect
    strangers = [when_free(rh, stranger(f"127.0.0.{2 + i % 3}")) for i in range(STRANGERS)]
    with From(rh, "127.0.0.5") as c:
        assert is_refused(c, b"too many connections are logging in now")
    strangers.pop().close()
    strangers.append(when_free(rh, stranger("127.0.0.5")))
    for c in strangers:
        c.close()


@case
def limit_connections(rh):
    def member(rh):
        c = Raw(rh)
        c.authenticate(*JULIET)
        return c
    members = [when_free(rh, member) for _ in range(CONNECTIONS)]
    with Raw(rh) as c:
        assert is_refused(c, b"all the connections that it takes")
    members.pop().close()
    members.append(when_free(rh, member))
    for c in members:
        c.close()


@case
def who_floods_is_slowed_down_and_others_are_served(rh):
    """Four times what may be sent at once and a second: everything arrives, later."""
    stanzas = 4 * (BURST + RATE) // 10000
    with when_free(rh, bound) as flood, Raw(rh) as other:
        other.login(*ROMEO)
        begin = time.monotonic()
        rounds = 0
        for i in range(stanzas):
            flood.send(padded(f"<message to='juliet@localhost/limits' id='f{i}' type='headline'>"
                              "<body>", "</body></message>", 10000))
            if i % 10 == 0:
                other.ping()
                rounds += 1
        others_were_served = time.monotonic()
        for i in range(stanzas):
            flood.expect(f"<message [^>]*id=.f{i}.[^>]*><body>")
        took = time.monotonic() - begin
        # The last bytes may be owed (what one read takes from the kernel, 128 KiB at most).
        assert took > (stanzas * 10000 - BURST - 131072) / RATE, took
        assert rounds == stanzas // 10 + (stanzas % 10 > 0), rounds
        assert others_were_served - begin < took + 1
    rh.wait_log("cm-client", "event=throttled .*juliet|juliet.*event=throttled")
    lines = [line for line in rh.log("cm-client").splitlines()
             if "event=throttled" in line and "juliet" in line]
    assert len(lines) == 1 and "see limits.bytes_per_second" in lines[0], lines


@case
def before_login_it_is_slower(rh):
    space = " " * 1000
    with when_free(rh, secured) as c:
        begin = time.monotonic()
        for _ in range(30):
            c.send(space)
        c.plain(*JULIET)
        c.expect("<success")
        took = time.monotonic() - begin
        assert took > (30000 - max(RATE_BEFORE, 2 * BEFORE)) / RATE_BEFORE - 1, took
    rh.wait_log("cm-client", "see limits.bytes_per_second_unauthenticated")


if __name__ == "__main__":
    router = f"sessions_per_user = {SESSIONS};"
    with Instance(config={"limits": SETTINGS, "router": router}) as instance:
        instance.add_user("juliet@localhost", JULIET[1])
        instance.add_user("romeo@localhost", ROMEO[1])
        sys.exit(run_cases(instance))
