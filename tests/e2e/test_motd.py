#!/usr/bin/python3
"""The message of the day (`xmpp motd`, key xmpp.motd): each session is told once, whatever dies."""
import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from roundhouse import Instance, Raw, case, run_cases, wait_for  # noqa: E402
from sm import Client, balanced, until  # noqa: E402

JULIET = ("juliet@localhost", "r0m30")
USER = ("juliet", JULIET[1])


def set_motd(rh, text):
    """As an operator does in the file; in force when the router has said so."""
    name = rh.path("conf", "roundhouse.conf")
    with open(name, encoding="utf-8") as f:
        conf = f.read()
    conf = re.sub(r'^xmpp = \{ motd = .*\n', "", conf, flags=re.M)
    conf = re.sub(r'^(xmpp\s*[:=]\s*\{\n)(\tmotd = .*\n)?',
                  lambda m: m.group(1) + f"\tmotd = {json.dumps(text)};\n", conf, flags=re.M)
    if "motd = " not in re.sub(r"#.*", "", conf):
        conf += f"xmpp = {{ motd = {json.dumps(text)}; }};\n"
    with open(name, "w", encoding="utf-8") as f:
        f.write(conf)
    rh.run("supervisor", "reload")


def headlines(raw):
    return re.findall(rb"<message [^>]*type='headline'[^>]*>.*?</message>", raw.seen, re.S)


def login(rh, resource):
    """An available plain client, and all that it was told until then."""
    raw = Raw(rh)
    raw.login(*USER, resource)
    raw.ping()
    return raw


@case
def a_client_is_told_when_it_becomes_available_and_never_again(rh):
    set_motd(rh, "Good <day> & welcome")
    with Raw(rh) as raw:
        jid = raw.login(*USER, "first", presence=False)
        raw.ping()
        assert not headlines(raw), raw.seen
        raw.send("<presence/>")
        raw.ping()
        told = headlines(raw)
        assert len(told) == 1, raw.seen
        assert b"from='localhost'" in told[0] and f"to='{jid}'".encode() in told[0], told
        assert b"<body>Good &lt;day&gt; &amp; welcome</body>" in told[0], told
        raw.send("<presence><show>away</show></presence><presence type='unavailable'/><presence/>")
        raw.ping()
        assert len(headlines(raw)) == 1, raw.seen


@case
def a_reload_changes_it_for_who_comes_then(rh):
    set_motd(rh, "old")
    with login(rh, "before") as before:
        set_motd(rh, "new")
        with login(rh, "after") as after:
            assert [b"<body>new</body>" in t for t in headlines(after)] == [True], after.seen
        set_motd(rh, "")
        with login(rh, "none") as none:
            assert not headlines(none), none.seen
        before.ping()
        assert [b"<body>old</body>" in t for t in headlines(before)] == [True], before.seen


@case
def a_resumed_session_is_not_told_again(rh):
    set_motd(rh, "hello")
    juliet = Client(rh, USER, "resuming")
    juliet.send("<presence/>")
    until(lambda: juliet.got, "the message of the day", juliet)
    juliet.ack()
    for _ in range(3):
        juliet.drop()
        juliet.resume()
        juliet.send("<presence><show>chat</show></presence>")
        juliet.request()
        until(lambda: not juliet.unacked, "acknowledgement", juliet)
    assert juliet.got == ["hello"], juliet.got
    juliet.close()


@case
def a_router_that_dies_after_it_tells_nobody_twice(rh):
    set_motd(rh, "hello")
    juliet = Client(rh, USER, "stays")
    juliet.send("<presence/>")
    until(lambda: juliet.got, "the message of the day", juliet)
    rh.kill("router", signal.SIGKILL)
    rh.wait_ready()
    juliet.send("<presence type='unavailable'/>")
    juliet.send("<presence/>")
    juliet.request()
    until(lambda: not juliet.unacked, "acknowledgement", juliet)
    juliet.pump(0.3)
    assert juliet.got == ["hello"], juliet.got
    juliet.close()


@case
def a_router_that_dies_in_the_middle_of_it_tells_everybody_once(rh):
    set_motd(rh, "hello")
    for n in range(6):
        juliet = Client(rh, USER, f"middle-{n}")
        juliet.send("<presence/>")
        if n % 2:
            juliet.pump(0.002 * n)
        rh.kill("router", signal.SIGKILL)
        rh.wait_ready()
        until(lambda c=juliet: c.got, "the message of the day", juliet)
        juliet.request()
        until(lambda c=juliet: not c.unacked, "acknowledgement", juliet)
        juliet.pump(0.2)
        assert juliet.got == ["hello"], (n, juliet.got)
        juliet.close()


@case
def who_goes_before_it_comes_leaves_nothing_behind(rh):
    set_motd(rh, "hello " * 300)
    for n in range(5):
        with Raw(rh) as raw:
            raw.login(*USER, f"hasty-{n}", presence=False)
            raw.send("<presence/>")
    juliet = Client(rh, USER, "never-back")
    juliet.send("<presence/>")
    juliet.drop()
    assert "hello" not in rh.run("xmpp", "offline", "show", JULIET[0], "--bodies").stdout
    rh.run("xmpp", "kick", JULIET[0], check=False)
    balanced(rh)


@case
def one_that_is_no_text_is_refused_with_a_line_and_nobody_is_harmed(rh):
    set_motd(rh, "x" * 2049)
    with login(rh, "long") as raw:
        assert not headlines(raw), raw.seen
    wait_for(lambda: "event=motd-refused" in rh.log("router"), "a line in the router's log")
    set_motd(rh, "")


def main():
    with Instance() as rh:
        rh.add_user(*JULIET)
        return run_cases(rh)


if __name__ == "__main__":
    sys.exit(main())
