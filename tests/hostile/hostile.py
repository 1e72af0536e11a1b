"""
hostile - a table of bad input: what a client sends, what it must get, and what is true afterwards.

A row is (name, where, data, expectation):

  where        how far the client comes first: "raw" a fresh connection, "plain" an open stream that
               is not secured, "tls" secured and not logged in, "authed" logged in and not bound,
               "bound" an ordinary session, "sm" the same with XEP-0198
  data         str or bytes to send, or a function of the Raw that does more than that
  expectation  what this module makes: stream_error("policy-violation"), stanza("iq", "conflict")...

After every row an ordinary pair logs in and chats, every process is the one that was there before,
and the router holds nothing any more; after every table the services' memory is back (its slack is
what malloc keeps; not asserted under sanitizers, which keep freed memory on purpose).
"""
import base64
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import SANITIZED, Instance, Raw, add_case, run_cases, wait_for

SASL = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
TLS = "xmlns='urn:ietf:params:xml:ns:xmpp-tls'"
BIND = "xmlns='urn:ietf:params:xml:ns:xmpp-bind'"
ROSTER = "xmlns='jabber:iq:roster'"
SM = "xmlns='urn:xmpp:sm:3'"
XML = "<?xml version='1.0'?>"
NS = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")

MEMORY_SLACK = 6 << 20


def head(to="localhost", version="1.0", ns=NS, name="stream:stream"):
    return f"{XML}<{name} to='{to}' version='{version}' {ns}>"


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def auth(mechanism, data):
    return f"<auth {SASL} mechanism='{mechanism}'>{data}</auth>"


def iq(kind, payload, to=None, ident="e"):
    to = f" to='{to}'" if to else ""
    return f"<iq type='{kind}' id='{ident}'{to}>{payload}</iq>"


# Expectations: functions of the Raw, after data was sent.

def stream_error(condition, header=False):
    """This stream error ends the stream. header: a stream header comes first (RFC 6120 4.9.1.2)."""
    def check(c):
        end = c.read_to_end().decode(errors="replace")
        error = re.search(r"<stream:error><([a-z-]+) xmlns=.urn:ietf:params:xml:ns:xmpp-streams.",
                          end)
        assert error, f"no stream error: {end[-1000:]!r}"
        assert re.fullmatch(condition, error.group(1)), end[-1000:]
        assert end.endswith("</stream:stream>"), end[-1000:]
        if header:
            assert re.match(r"(<\?xml[^>]*>)?<stream:stream ", end), end[-1000:]
    return check


def failure(condition, goes_on=True):
    """SASL refuses; goes_on: the right password is taken on the same stream."""
    def check(c):
        m = c.expect("<failure [^>]*xmpp-sasl[^>]*><([a-z-]+)[ /]").group(1).decode()
        assert re.fullmatch(condition, m), m
        c.expect("</failure>")
        if goes_on:
            c.plain(*JULIET)
            c.expect("<success")
    return check


def stanza(kind, condition, text=None):
    """A stanza error with the id "e"; the stream goes on."""
    def check(c):
        m = c.expect(f"<{kind} [^>]*type=.error.[^>]*>.*?</{kind}>").group(0).decode()
        assert re.search(f"<({condition}) xmlns=.urn:ietf:params:xml:ns:xmpp-stanzas.", m), m
        assert "id='e'" in m, m
        assert not text or text in m, m
        c.ping()
    return check


def says(pattern):
    """An answer that matches; the stream goes on."""
    def check(c):
        c.expect(pattern)
        c.ping()
    return check


def sm_failed(condition):
    return says(f"<failed xmlns='urn:xmpp:sm:3'><{condition} ")


def nothing(c):
    """No answer at all; the stream goes on."""
    c.seen = b""
    c.ping()
    said = re.sub(rb"<iq [^>]*id='rt'[^>]*(/>|>.*?</iq>)|<r xmlns='urn:xmpp:sm:3'/>", b"", c.seen)
    assert said == b"", said


def ends(c):
    """The connection ends; nothing is promised about the last words."""
    c.read_to_end()


# What is true afterwards.

def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1)) << 10


def memory(rh):
    return {row["instance"]: pss(row["pid"]) for row in rh.services()}


def memory_back(rh, before, slack=MEMORY_SLACK):
    """Also what a process gives back only after a while."""
    if SANITIZED:
        return

    def back():
        now = memory(rh)
        return all(now[name] <= before[name] + slack for name in before)
    try:
        wait_for(back, "the memory to be back", limit=20)
    except AssertionError as e:
        raise AssertionError(f"memory is not back: before {before}, now {memory(rh)}") from e


def still_serves(rh):
    """An ordinary pair logs in and chats; no process has been replaced."""
    with Raw(rh) as juliet, Raw(rh) as romeo:
        juliet.login(*JULIET, resource="after")
        to = romeo.login(*ROMEO, resource="after")
        juliet.send(f"<message to='{to}' type='chat'><body>still here</body></message>")
        romeo.expect("<body>still here</body>")
    now = {row["instance"]: (row["pid"], row["restarts"]) for row in rh.services()}
    assert now == rh.started, f"processes were replaced: {rh.started} {now}\n{rh.log_tail()}"


def nothing_held(rh):
    """Nobody is left, and nothing is kept for anybody."""
    for who in (JULIET, ROMEO):
        rh.run("xmpp", "kick", f"{who[0]}@localhost", check=False)
    rh.wait_stats("router", lambda s: s["sessions"] == 0 and s["held"] == 0 and
                  s["queued_bytes"] == 0 and s["difference"] == 0)


def reach(c, where):
    if where == "plain":
        c.open()
    elif where == "tls":
        c.start_tls()
        c.open()
    elif where == "authed":
        c.authenticate(*JULIET)
    elif where in ("bound", "sm"):
        c.login(*JULIET)
    if where == "sm":
        c.send(f"<enable {SM} resume='true'/>")
        c.expect("<enabled [^>]*/>")
    c.buffer = b""


def add_row(row):
    name, where, data, expectation = row

    def run(rh):
        with Raw(rh) as c:
            reach(c, where)
            if callable(data):
                data(c)
            else:
                c.send(data)
            expectation(c)
        still_serves(rh)
        nothing_held(rh)
    add_case(name, run)


def main(rows, cases=(), config=None, slack=MEMORY_SLACK):
    """Runs a table and further cases (functions of the instance); the exit code."""
    for row in rows:
        add_row(row)
    for f in cases:
        add_case(f.__name__, f)
    with Instance(config=config) as rh:
        rh.add_user("juliet@localhost", "capulet")
        rh.add_user("romeo@localhost", "montague")
        rh.started = {r["instance"]: (r["pid"], r["restarts"]) for r in rh.services()}
        still_serves(rh)
        time.sleep(0.2)
        before = memory(rh)
        add_case("the_memory_is_back", lambda rh: memory_back(rh, before, slack))
        return run_cases(rh)
