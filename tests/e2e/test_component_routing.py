#!/usr/bin/python3
"""What the router knows of components: accounts that change under connected streams, disco, places on
the shelf for what nobody takes now, presence (CUSTODY 14; lib/ipc/PROTOCOL.md "A component")."""
import os
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from component import ACCEPT, Component  # noqa: E402
from roundhouse import Instance, Raw, case, run_cases, wait_for  # noqa: E402

SECRET = "a-secret-of-twenty-four-c"
ITEMS = "<query xmlns='http://jabber.org/protocol/disco#items'/>"


def add(rh, name, *options):
    rh.run("xmpp", "component", "add", name, "--secret-file", "-", *options, stdin=SECRET + "\n")


def client(rh):
    raw = Raw(rh)
    raw.login("romeo", "x")
    return raw


def say(raw, to, body):
    raw.send(f"<message to='{to}' type='chat' id='{body}'><body>{body}</body></message>")


def components(rh):
    return rh.stats("router")["components"]


def ends_with(c, condition):
    assert c.refusal() == condition
    c.wait_closed()


@case
def disco_names_who_is_connected_and_may_be_seen_xep0030_4(rh):
    with client(rh) as raw:
        def items():
            raw.send(f"<iq type='get' id='d' to='localhost'>{ITEMS}</iq>")
            return raw.expect("<iq [^>]*id='d'.*?</iq>|<iq [^>]*id='d'.*?/></iq>").group(0).decode()

        assert "item " not in items()
        with Component(rh, "b.localhost", SECRET), Component(rh, "a.localhost", SECRET), \
                Component(rh, "hidden.localhost", SECRET):
            got = items()
            assert got.index("jid='a.localhost'") < got.index("jid='b.localhost'"), got
            assert "hidden" not in got and components(rh) == 3
        wait_for(lambda: components(rh) == 0, "no component connected")
        assert "item " not in items()


@case
def presence_of_a_user_ends_at_the_component_that_had_it_rfc6121_4_6(rh):
    with Component(rh, "a.localhost", SECRET) as c:
        with client(rh) as raw:
            raw.send("<presence to='room@a.localhost/n'/>")
            e = c.recv()
            assert (e.tag, e.get("from"), e.get("type")) == (ACCEPT + "presence",
                                                             "romeo@localhost/raw", None)
            c.send("<presence from='room@a.localhost/n' to='romeo@localhost/raw'/>")
            raw.expect("<presence [^>]*room@a.localhost/n")
        e = c.recv()
        assert (e.get("type"), e.get("to")) == ("unavailable", "room@a.localhost/n"), e.attrib


@case
def what_a_component_sends_nowhere_comes_back_and_the_stream_goes_on(rh):
    with Component(rh, "a.localhost", SECRET) as c, Component(rh, "b.localhost", SECRET) as other:
        for to, condition in (("x@elsewhere.example", "remote-server-not-found"),
                              ("nobody@localhost/gone", "service-unavailable")):
            c.send(f"<iq type='get' id='q' from='a.localhost' to='{to}'>{ITEMS}</iq>")
            e = c.recv()
            assert e.get("type") == "error" and condition in [
                x.tag.split("}")[1] for x in e.iter()], [x.tag for x in e.iter()]
        c.send("<message from='u@a.localhost' to='v@b.localhost' id='m'><body>hi</body></message>")
        assert other.recv_body() == "hi"


@case
def a_component_that_is_removed_loses_its_stream_and_what_it_had_is_bounced(rh):
    add(rh, "gone")
    with client(rh) as raw, Component(rh, "gone.localhost", SECRET) as c:
        say(raw, "x@gone.localhost", "m0")
        assert c.recv_body() == "m0"
        rh.run("xmpp", "component", "del", "gone")
        ends_with(c, "not-authorized")
        say(raw, "x@gone.localhost", "m1")
        raw.expect("<message [^>]*id='m1'[^>]*>.*?remote-server-not-found")
        wait_for(lambda: components(rh) == 0, "no component connected")
    p = rh.run("xmpp", "component", "del", "gone", check=False)
    assert p.returncode == 1, p


@case
def a_component_that_is_changed_has_to_connect_again(rh):
    with Component(rh, "b.localhost", SECRET) as c:
        rh.run("xmpp", "component", "set", "b", "--mode", "shared")
        ends_with(c, "reset")
    with Component(rh, "b.localhost", SECRET), Component(rh, "b.localhost", SECRET):
        assert components(rh) == 2
    wait_for(lambda: components(rh) == 0, "no component connected")


@case
def a_new_router_ends_the_stream_of_a_component_that_has_no_account_any_more(rh):
    """As if it had died between the deletion and the end of the stream."""
    add(rh, "orphan")
    with Component(rh, "orphan.localhost", SECRET) as c, Component(rh, "a.localhost", SECRET) as a:
        with sqlite3.connect(rh.path("data", "roundhouse.db"), timeout=10) as db:
            db.execute("DELETE FROM components WHERE name = 'orphan'")
        db.close()
        rh.kill("router")
        ends_with(c, "not-authorized")
        rh.wait_ready()
        with client(rh) as raw:
            say(raw, "x@a.localhost", "still here")
            assert a.recv_body() == "still here"


@case
def what_waits_for_a_component_survives_a_router_and_comes_in_order(rh):
    with client(rh) as raw:
        with Component(rh, "a.localhost", SECRET) as c:
            say(raw, "x@a.localhost", "m0")
            assert c.recv_body() == "m0"
        wait_for(lambda: components(rh) == 0, "no component connected")
        for i in range(1, 4):
            say(raw, "x@a.localhost", f"m{i}")
        raw.ping()
        time.sleep(0.3)
        rh.kill("router")
        for i in range(4, 6):
            say(raw, "x@a.localhost", f"m{i}")
        rh.wait_ready()
        with Component(rh, "a.localhost", SECRET) as c:
            assert [c.recv_body() for _ in range(5)] == [f"m{i}" for i in range(1, 6)]
            assert c.nothing_within(0.3)


@case
def what_nobody_comes_for_is_bounced_after_the_grace(rh):
    with client(rh) as raw:
        with Component(rh, "a.localhost", SECRET):
            pass
        wait_for(lambda: components(rh) == 0, "no component connected")
        say(raw, "x@a.localhost", "late")
        start = time.monotonic()
        raw.expect("<message [^>]*id='late'[^>]*>.*?recipient-unavailable")
        assert time.monotonic() - start > 1
        say(raw, "x@a.localhost", "later")
        raw.expect("<message [^>]*id='later'[^>]*>.*?remote-server-not-found")


@case
def all_that_was_sent_is_settled_in_the_books(rh):
    rh.wait_stats("router", lambda s: s["held"] == 0 and s["difference"] == 0 and s["spoofs"] == 0)


def main():
    with Instance(config={"router": "reconnect_grace = 5;"}) as rh:
        rh.add_user("romeo@localhost", "x")
        for name in ("a", "b"):
            add(rh, name)
        add(rh, "hidden", "--hidden")
        return run_cases(rh)


if __name__ == "__main__":
    sys.exit(main())
