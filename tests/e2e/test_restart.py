#!/usr/bin/python3
"""
Planned restarts under load, watched at the clients: `supervisor restart cm-client` refuses no
connection, every client with XEP-0198 resumes (our own and slixmpp), nobody sees a contact leave;
`supervisor restart router` closes not one connection.
"""
import asyncio
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import LIMIT, Instance, case, run_cases, wait_for
from sm import Client, Plain, befriend, settle, shown, until
from traffic import Background, Knocker
import slix

USERS = [(f"user{i}", "secret") for i in range(6)]
SLIX = [("slix0", "secret"), ("slix1", "secret")]


class Crowd(Background):
    """Pairs of contacts who talk to each other without a pause; counted at the end."""

    def __init__(self, rh, kind, resource):
        super().__init__()
        self.rh = rh
        self.members = [kind(rh, u, resource) for u in USERS]
        for c in self.members:
            c.send("<presence/>")
        self.wanted = {c: [] for c in self.members}
        for a, b in self.pairs():
            until(lambda a=a, b=b: shown(a, b.jid) and shown(b, a.jid), "their presence", a, b)
            a.presences.clear()
            b.presences.clear()

    def pairs(self):
        return list(zip(self.members[::2], self.members[1::2]))

    def step(self):
        for a, b in self.pairs():
            for one, other in ((a, b), (b, a)):
                text = f"{one.user}-{self.rounds}"
                one.say(other.jid, text)
                self.wanted[other].append(text)
        for c in self.members:
            c.live(0.002)

    def judge(self):
        """After the load: everything arrived once and in order, nobody saw anybody leave."""
        if isinstance(self.members[0], Client):
            settle(*self.members)
        until(lambda: all(len(c.got) >= len(w) for c, w in self.wanted.items()), "messages",
              *self.members)
        for c, w in self.wanted.items():
            c.live(0.1)
            assert c.got == w, (c.jid, [x for x in w if x not in c.got],
                                [x for x in c.got if c.got.count(x) > 1])
            assert not c.errors, c.errors
            assert not [p for p in c.presences if p[1] == "unavailable"], (c.jid, c.presences)
        for c in self.members:
            c.close()


def load(crowd, rounds=30):
    """So much more has been said."""
    at = crowd.rounds
    wait_for(lambda: crowd.rounds >= at + rounds or crowd._failure, "rounds of chat")


def befriend_all(rh):
    for users in (USERS, SLIX):
        everybody = [Plain(rh, u, "friend") for u in users]
        for c in everybody:
            c.send("<presence/>")
        for a, b in zip(everybody[::2], everybody[1::2]):
            befriend(a, b)
        for c in everybody:
            c.close()


@case
def a_restart_of_cm_client_refuses_no_connection_and_everybody_resumes(rh):
    crowd = Crowd(rh, Client, "restart")
    with crowd, Knocker(rh) as knocker:
        for _ in range(3):
            load(crowd)
            before = [c.resumes for c in crowd.members]
            knocks = knocker.rounds
            rh.run("supervisor", "restart", "cm-client")
            wait_for(lambda b=before: all(c.resumes > n for c, n in zip(crowd.members, b)) or
                     crowd._failure, "everybody to resume")
            assert knocker.rounds > knocks, "nobody knocked meanwhile"
        load(crowd)
    assert [c.resumes for c in crowd.members] == [3] * len(USERS)
    assert all(c.logins == 1 for c in crowd.members)
    crowd.judge()


def closes_nothing(rh, kind, name):
    crowd = Crowd(rh, kind, name)
    with crowd, Knocker(rh):
        for _ in range(3):
            load(crowd)
            restarts = rh.log("router").count("event=routing")
            rh.run("supervisor", "restart", "router")
            wait_for(lambda n=restarts: rh.log("router").count("event=routing") > n, "routing")
        load(crowd)
    for c in crowd.members:
        assert c.logins == 1 and not getattr(c, "resumes", 0), (c.jid, c.logins)
    crowd.judge()


@case
def a_restart_of_the_router_closes_no_connection_with_stream_management(rh):
    closes_nothing(rh, Client, "turntable")


@case
def a_restart_of_the_router_closes_no_plain_connection(rh):
    closes_nothing(rh, Plain, "plain")


class Real(slix.Client):
    """slixmpp with its own XEP-0198: connects again when its connection ends, as its users do."""

    def __init__(self, rh, user):
        super().__init__(rh, f"{user[0]}@localhost/real", user[1])
        self.register_plugin("xep_0198")
        self.resumed = self.closed = self.sessions = 0
        self.unavailable = []
        self.got = []
        self.enabled = asyncio.Event()
        self.add_event_handler("sm_enabled", lambda _: self.enabled.set())
        self.add_event_handler("session_start", lambda _: self.count("sessions"))
        self.add_event_handler("session_resumed", lambda _: self.count("resumed"))
        self.add_event_handler("disconnected", self.on_closed)
        self.add_event_handler("presence_unavailable", lambda p: self.unavailable.append(p["from"]))
        self.add_event_handler("message", lambda m: self.got.append(m["body"]))

    def count(self, name):
        setattr(self, name, getattr(self, name) + 1)

    def on_closed(self, _):
        self.closed += 1
        if not self.leaving:
            self.connect(address=("127.0.0.1", self.rh.port), force_starttls=True)

    leaving = False


async def during(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        await asyncio.sleep(0.02)


class Speaker(Background):
    """A client of ours talks to them without a pause. slixmpp 1.8 itself is not asked to talk at
    these moments: at <resume/> it forgets what it has sent and was not acknowledged."""

    def __init__(self, rh, audience):
        super().__init__()
        self.client = Client(rh, USERS[0], "speaker")
        self.audience = audience

    def step(self):
        for jid in self.audience:
            self.client.say(jid, str(self.rounds))
        self.client.live(0.01)


async def slixmpp_story(rh, service, times, resumes):
    """Two contacts are talked to all the time; the service is restarted; nothing is missing, and
    neither sees the other leave."""
    loop = asyncio.get_running_loop()
    pair = [Real(rh, u) for u in SLIX]
    for c in pair:
        await c.login()
        await asyncio.wait_for(c.enabled.wait(), LIMIT)
    with Speaker(rh, [c.boundjid.full for c in pair]) as speaker:
        for i in range(times):
            await asyncio.sleep(0.3)
            await loop.run_in_executor(None, rh.run, "supervisor", "restart", service)
            if resumes:
                await during(lambda n=i: all(c.resumed > n for c in pair), "slixmpp to resume")
        await asyncio.sleep(0.3)
    settle(speaker.client)
    speaker.client.close()
    for one, other in (pair, pair[::-1]):
        one.chat(other.boundjid.full, "still here")
    wanted = [str(i) for i in range(speaker.rounds)]
    for c in pair:
        await during(lambda c=c: len(c.got) > len(wanted), "all messages")
        await asyncio.sleep(0.2)
        assert sorted(c.got) == sorted(wanted + ["still here"]), (wanted, c.got)
        assert [m for m in c.got if m in wanted] == wanted, c.got
        assert c.sessions == 1 and not c.unavailable, (c.sessions, c.unavailable)
        expected = times if resumes else 0
        assert (c.resumed, c.closed) == (expected, expected), (c.resumed, c.closed)
    for c in pair:
        c.leaving = True
        await c.leave()


@case
def slixmpp_resumes_by_itself_when_cm_client_is_restarted(rh):
    slix.run(slixmpp_story(rh, "cm-client", 3, True))


@case
def slixmpp_notices_nothing_when_the_router_is_restarted(rh):
    slix.run(slixmpp_story(rh, "router", 3, False))


REQUESTS = {
    "roster1": "<query xmlns='jabber:iq:roster'><item jid='one@localhost'/></query>",
    "roster2": "<query xmlns='jabber:iq:roster'><item jid='two@localhost'/></query>",
    "private": "<query xmlns='jabber:iq:private'><a xmlns='x:a'>1</a><b xmlns='x:b'>2</b></query>",
    "vcard": "<vCard xmlns='vcard-temp'><FN>Somebody</FN></vCard>",
}


@case
def what_waits_for_the_datastore_when_the_router_is_restarted_is_answered_by_the_next(rh):
    c = Client(rh, USERS[0], "waiting")
    c.send("<presence/>")
    settle(c)
    c.results.clear()
    datastore = rh.pid("datastore")
    os.kill(datastore, signal.SIGSTOP)
    try:
        for name, payload in REQUESTS.items():
            c.send(f"<iq type='set' id='{name}'>{payload}</iq>")
        rh.wait_stats("router", lambda s: s["store_pending"] >= 3)
        rh.run("supervisor", "restart", "router")
    finally:
        os.kill(datastore, signal.SIGCONT)
    until(lambda: set(REQUESTS) <= set(c.results), "all results", c)
    assert not c.errors, c.errors
    assert rh.service("router")["last_exit"] == "told to stop: exit 0", rh.service("router")
    c.close()


@case
def the_books_balance_after_all_that(rh):
    rh.wait_stats("router", lambda s: s["held"] == 0 and s["shelf_behind"] == 0)
    assert rh.stats("router")["difference"] == 0


if __name__ == "__main__":
    with Instance() as instance:
        for name, password in USERS + SLIX:
            instance.add_user(f"{name}@localhost", password)
        befriend_all(instance)
        sys.exit(run_cases(instance))
