#!/usr/bin/python3
"""
Presence (RFC 6121 section 4) against the real programs, with routers that die under it: every
presence is counted at the clients, and each comes exactly once.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, case, run_cases, wait_for  # noqa: E402
from sm import Client, befriend, balanced, settle, until  # noqa: E402

JULIET = ("juliet", "capulet")
CONTACTS = [(name, "montague") for name in ("romeo", "benvolio", "mercutio", "rosaline")]


class Seer(Client):
    """Keeps what presences say, not only that they came."""

    def _on_element(self, e):
        if e.tag == "{jabber:client}presence":
            self.shows.append((e.get("from"), e.get("type") or e.findtext("{jabber:client}show")))
        if e.tag == "{jabber:client}iq" and e.get("type") == "set":
            self.pushes.append(e[0][0].get("jid"))
        super()._on_element(e)

    def __init__(self, rh, user, resource):
        self.shows = []
        self.pushes = []
        super().__init__(rh, user, resource)


def restart_router(rh):
    routing = rh.log("router").count("event=routing")
    rh.wait_ready()
    rh.kill("router")
    wait_for(lambda: rh.log("router").count("event=routing") > routing, "routing")


def ping(*clients):
    """A round trip through the server: what was sent before has been seen."""
    for c in clients:
        before = len(c.results)
        c.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        until(lambda c=c, n=before: len(c.results) > n, "the answer to a ping", c)


def company(rh, name):
    """Juliet and her contacts, all online and all seeing her."""
    juliet = Seer(rh, JULIET, name)
    contacts = [Seer(rh, user, name) for user in CONTACTS]
    for c in (juliet, *contacts):
        c.send("<presence/>")
    for c in contacts:
        until(lambda c=c: (c.jid, None) in juliet.presences and
              (juliet.jid, None) in c.presences, "presence", juliet, *contacts)
    ping(juliet, *contacts)
    settle(juliet, *contacts)
    for c in (juliet, *contacts):
        c.presences.clear()
        c.shows.clear()
    return juliet, contacts


def shown(client, who):
    return [what for jid, what in client.shows if jid == who.jid]


def close(*clients):
    for c in clients:
        c.close()


@case
def juliet_has_contacts(rh):
    juliet = Client(rh, JULIET, "friend")
    juliet.send("<presence/>")
    for user in CONTACTS:
        c = Client(rh, user, "friend")
        c.send("<presence/>")
        befriend(juliet, c)
        c.close()
    juliet.close()


@case
def an_unacknowledged_presence_does_not_come_again_from_the_next_router(rh):
    juliet, contacts = company(rh, "unacked")
    juliet.mute = True
    for i in range(3):
        for c in contacts:
            c.send(f"<presence><show>dnd</show><status>{i}</status></presence>")
        until(lambda n=4 * i + 4: len(juliet.shows) >= n, "presence", juliet, *contacts)
        restart_router(rh)
        ping(juliet)
        juliet.pump(0.3)
        assert sorted(juliet.shows) == sorted((c.jid, "dnd") for c in contacts
                                              for _ in range(i + 1)), juliet.shows
    juliet.mute = False
    settle(juliet)
    close(juliet, *contacts)


def kill_after(rh, milliseconds, juliet, *others):
    """The router dies so long after what juliet sent last; all is as it should be afterwards."""
    time.sleep(milliseconds / 1000)
    restart_router(rh)
    settle(juliet, *others)
    ping(juliet, *others)
    for c in (juliet, *others):
        c.pump(0.1)


# From before the first record is read until after everybody was told.
MOMENTS = (0, 1, 2, 3, 5, 8, 12, 20, 40)


def expect_once(client, wanted):
    assert sorted(client.shows, key=str) == sorted(wanted, key=str), (client.jid, client.shows)
    client.shows.clear()


@case
def initial_presence_is_seen_and_shown_once_whenever_the_router_dies(rh):
    first, contacts = company(rh, "initial")
    for i, moment in enumerate(MOMENTS):
        juliet = Seer(rh, JULIET, f"late-{i}")
        juliet.send("<presence><show>chat</show></presence>")
        kill_after(rh, moment, juliet, first, *contacts)
        expect_once(juliet, [(c.jid, None) for c in (first, *contacts)] + [(juliet.jid, "chat")])
        for c in (first, *contacts):
            expect_once(c, [(juliet.jid, "chat")])
        juliet.send("<presence type='unavailable'/>")
        settle(juliet)
        juliet.close()
        ping(first, *contacts)
        for c in (first, *contacts):
            expect_once(c, [(juliet.jid, "unavailable")])
    close(first, *contacts)


@case
def unavailable_presence_is_told_once_whenever_the_router_dies(rh):
    juliet, contacts = company(rh, "leaving")
    stranger = Seer(rh, ("friar", "lawrence"), "leaving")
    for moment in MOMENTS:
        juliet.send(f"<presence to='{stranger.jid}'/>")
        until(lambda: stranger.shows, "directed presence", stranger)
        stranger.shows.clear()
        juliet.send("<presence type='unavailable'/>")
        kill_after(rh, moment, juliet, stranger, *contacts)
        for c in (juliet, stranger, *contacts):
            expect_once(c, [(juliet.jid, "unavailable")])
        juliet.send("<presence/>")
        settle(juliet)
        ping(juliet, *contacts)
        for c in (juliet, *contacts):
            c.shows.clear()
    close(juliet, stranger, *contacts)


@case
def the_end_of_a_session_is_told_once_whenever_the_router_dies(rh):
    first, contacts = company(rh, "ended")
    for i, moment in enumerate(MOMENTS):
        juliet = Seer(rh, JULIET, f"ends-{i}")
        juliet.send("<presence/>")
        settle(juliet)
        ping(juliet, first, *contacts)
        for c in (first, *contacts):
            expect_once(c, [(juliet.jid, None)])
        juliet.raw.send(("<presence type='unavailable'/>" if i % 2 else "") + "</stream:stream>")
        kill_after(rh, moment, first, *contacts)
        for c in (first, *contacts):
            expect_once(c, [(juliet.jid, "unavailable")])
        juliet.raw.close()
    close(first, *contacts)


@case
def who_comes_while_a_presence_waits_for_somebody_is_shown_it_once(rh):
    juliet, contacts = company(rh, "waits")
    away = contacts[0]
    away.drop()
    juliet.send("<presence><show>dnd</show></presence>")
    for c in contacts[1:]:
        until(lambda c=c: c.shows, "the presence", juliet, c)
    late = Seer(rh, CONTACTS[1], "late")
    late.send("<presence><show>xa</show></presence>")
    ping(late, juliet)
    restart_router(rh)
    ping(juliet, late, *contacts[1:])
    time.sleep(0.3)
    ping(juliet, late, *contacts[1:])
    away.resume()
    ping(away)
    for c in contacts:
        assert shown(c, juliet) == ["dnd"], (c.jid, c.shows)
    assert shown(late, juliet) == ["dnd"] and shown(juliet, late) == ["xa"], \
        (late.shows, juliet.shows)
    settle(juliet, late, *contacts)
    close(juliet, late, *contacts)


@case
def results_and_pushes_come_once_whenever_the_router_dies(rh):
    clients = [Seer(rh, JULIET, f"roster-{i}") for i in range(3)]
    juliet = clients[0]
    for c in clients:
        c.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    ping(*clients)
    for i, moment in enumerate(MOMENTS):
        juliet.send(f"<iq type='set' id='set-{i}'><query xmlns='jabber:iq:roster'>"
                    f"<item jid='paris-{i}@localhost'/></query></iq>")
        kill_after(rh, moment, *clients)
        assert juliet.results.count(f"set-{i}") == 1, (moment, juliet.results)
        for c in clients:
            assert c.pushes == [f"paris-{i}@localhost"], (moment, c.pushes)
            c.pushes.clear()
    close(*clients)


@case
def nothing_is_left(rh):
    balanced(rh)


if __name__ == "__main__":
    with Instance(config={"cm-client": "instances = 2;",
                          "supervisor": "restart_delay_max_ms = 100;"}) as instance:
        instance.add_user("juliet@localhost", JULIET[1])
        for n, p in (*CONTACTS, ("friar", "lawrence")):
            instance.add_user(f"{n}@localhost", p)
        sys.exit(run_cases(instance))
