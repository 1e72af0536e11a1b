#!/usr/bin/python3
"""
test_matrix - the client libraries of the README's tour, every one with every other.

A table: the features are the functions marked with @feature, the clients are PROGRAMS of
clients.py; each pair of both is a case, in this order. What a library cannot do is a row of
LEFT_OUT with the reason; MATRIX_WITHOUT="xmppjs ..." leaves clients out by hand. Both are printed.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
sys.path.insert(0, HERE)
from roundhouse import Instance, case, run_cases
from clients import PROGRAMS, Client, bare, close_all

WITHOUT = os.environ.get("MATRIX_WITHOUT", "").split()
NAMES = [name for name in PROGRAMS if name not in WITHOUT]
LEFT_OUT = {}  # (feature, library): why
FEATURES = []
TEXT = "<it> is & \"was\" the nightingale, não?"


def feature(f):
    FEATURES.append(f)
    return f


class World:
    """The instance, one session of each library, and what short sessions were started."""

    def __init__(self, rh):
        self.rh = rh
        for name in NAMES:
            rh.add_user(bare(name), "secret-" + name)
        self.main = {name: Client(rh, name) for name in NAMES}
        self.probes = {}

    def __getitem__(self, name):
        return self.main[name]

    def others(self, name):
        return [self.main[n] for n in NAMES if n != name]

    def next(self, name, steps=1):
        return self.main[NAMES[(NAMES.index(name) + steps) % len(NAMES)]]

    def forget(self):
        for client in self.main.values():
            client.forget()

    def settle(self):
        """Clients have acknowledged all they got: what one had not when it leaves goes to another
        session or comes again (XEP-0198)."""
        self.rh.wait_stats("router", lambda s: s["held"] == 0)

    def return_of(self, name):
        """Logs in again."""
        self.main[name] = Client(self.rh, name)
        return self.main[name].online()

    def probe(self, name, resource, **how):
        """A short session; those of all libraries are started together, which saves time."""
        if resource not in self.probes:
            self.probes[resource] = {n: Client(self.rh, n, f"{bare(n)}/{resource}", **how)
                                     for n in NAMES}
        return self.probes[resource].pop(name)

    def has_log(self, jid, pattern):
        return re.search(rf" {re.escape(jid)} .*{pattern}", self.rh.log("cm-client"))


def other_ca(rh):
    """A CA that has signed nothing, for clients that must not trust what it did not sign."""
    path = rh.path("other.pem")
    if not os.path.exists(path):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=other CA",
                        "-keyout", "/dev/null", "-out", path], check=True, capture_output=True)
    return path


@feature
def logs_in_with_starttls_and_scram(world, name):
    world[name].online()
    assert world.has_log(bare(name), "event=auth mechanism=SCRAM-SHA-")


@feature
def logs_in_with_direct_tls(world, name):
    before = world.rh.log("cm-client").count(" direct=yes")
    world.probe(name, "direct", tls="direct").online().leave()
    assert world.rh.log("cm-client").count(" direct=yes") >= max(1, before)


@feature
def is_refused_with_a_wrong_password(world, name):
    probe = world.probe(name, "wrong", password="wrong")
    probe.expect("refused")
    assert not probe.has("online")
    probe.close()


@feature
def refuses_a_server_whose_ca_it_does_not_trust(world, name):
    probe = world.probe(name, "other", ca=other_ca(world.rh))
    probe.expect("refused")
    assert not probe.has("online")
    assert not world.has_log(f"{bare(name)}/other", "event=bind")
    probe.close()


@feature
def chats_with_every_other_both_ways(world, name):
    me = world[name]
    for other in world.others(name):
        for one, two in ((me, other), (other, me)):
            body = f"{one.library} to {two.library}: {TEXT}"
            one.do("say", to=two.bare, body=body)
            came = two.expect("message", who=one.bare, body=body)
            assert came["from"] == one.jid and not came["carbon"] and not came["delay"], came


@feature
def subscribes_to_every_other_who_approves(world, name):
    me = world[name]
    for other in world.others(name):
        me.do("subscribe", jid=other.bare)
        me.expect("roster", jid=other.bare, ask="subscribe")
        other.expect("presence", who=me.bare, type="subscribe")
        other.do("approve", jid=me.bare)
        # The other way round may have been there before.
        back = any(e["event"] == "roster" and e["jid"] == me.bare and e["subscription"] == "to"
                   for e in other.seen)
        other.expect("roster", jid=me.bare, subscription="both" if back else "from")
        me.expect("roster", jid=other.bare, subscription="both" if back else "to", ask="")
        me.expect("presence", **{"from": other.jid, "type": "available"})


@feature
def is_seen_away_and_back_by_every_contact(world, name):
    me = world[name]
    for show, status in (("away", f"{name} is fishing"), ("", f"{name} is back")):
        me.do("presence", show=show, status=status)
        for other in world.others(name):
            other.expect("presence", **{"from": me.jid, "type": "available", "show": show,
                                        "status": status})


@feature
def is_seen_leaving_and_gets_what_was_sent_meanwhile(world, name):
    world.settle()
    world[name].leave()
    for other in world.others(name):
        other.expect("presence", **{"from": world[name].jid, "type": "unavailable"})
        other.do("say", to=bare(name), body=f"{other.library} to {name}, later")
        other.sync()
    me = world.return_of(name)
    for other in world.others(name):
        came = me.expect("message", who=other.bare, body=f"{other.library} to {name}, later")
        assert came["delay"], came
        me.expect("presence", **{"from": other.jid, "type": "available"})
        other.expect("presence", **{"from": me.jid, "type": "available"})
    me.sync()
    assert not me.has("message"), "a message came twice"


@feature
def sees_by_carbons_what_another_session_sends_and_gets(world, name):
    me = world[name]
    library = world.next(name).library
    # Addresses a full JID, which profanity does for contacts it knows only.
    peer = next(c for c in world.others(name) if c.library not in (library, "profanity"))
    second = Client(world.rh, library, f"{bare(name)}/second-{library}").online()
    me.ask("carbons")
    peer.do("say", to=second.jid, body=f"{peer.library} to the second {name}")
    second.expect("message", body=f"{peer.library} to the second {name}", who=peer.bare)
    copy = me.expect("message", body=f"{peer.library} to the second {name}", who=peer.bare)
    assert copy["carbon"] == "received" and copy["to"] == second.jid, copy
    second.do("say", to=peer.bare, body=f"the second {name} to {peer.library}")
    peer.expect("message", body=f"the second {name} to {peer.library}", who=me.bare)
    copy = me.expect("message", body=f"the second {name} to {peer.library}", who=me.bare)
    assert copy["carbon"] == "sent" and copy["from"] == second.jid, copy
    world.settle()
    second.leave()
    me.sync()
    assert not me.has("message"), me.seen[-6:]


@feature
def blocks_a_contact_and_lets_him_in_again(world, name):
    me, villain = world[name], world.next(name)
    me.ask("block", jid=villain.bare)
    villain.expect("presence", **{"from": me.jid, "type": "unavailable"})
    villain.do("say", to=me.bare, body=f"blocked by {name}")
    villain.expect("bounced", who=me.bare, condition="service-unavailable")
    me.sync()
    assert not me.has("message"), "a blocked message came"
    me.ask("unblock", jid=villain.bare)
    villain.expect("presence", **{"from": me.jid, "type": "available"})
    villain.do("say", to=me.bare, body=f"let in by {name}")
    me.expect("message", who=villain.bare, body=f"let in by {name}")


@feature
def reads_what_was_said_in_its_archive(world, name):
    me, peer = world[name], world.next(name)
    reader = Client(world.rh, name, f"{bare(name)}/reader").online()
    reader.ask("archive", **{"with": peer.bare})
    for one, two in ((me, peer), (peer, me)):
        body = f"{one.library} to {two.library}: {TEXT}"
        found = reader.expect("archived", who=one.bare, body=body)
        assert found["stamp"], found
    reader.expect("archived", who=peer.bare, body=f"let in by {name}")
    assert not reader.has("archived", body=f"blocked by {name}")
    reader.leave()


@feature
def removes_a_contact(world, name):
    me, other = world[name], world.next(name)
    me.ask("remove", jid=other.bare)
    me.expect("roster", jid=other.bare, subscription="remove")
    me.expect("presence", **{"from": other.jid, "type": "unavailable"})
    other.expect("presence", who=me.bare, type="unsubscribed")
    other.expect("roster", jid=me.bare, subscription="none")
    other.expect("presence", **{"from": me.jid, "type": "unavailable"})


@feature
def logs_out(world, name):
    world[name].leave()


def add_cases():
    for f in FEATURES:
        for name in NAMES:
            why = LEFT_OUT.get((f.__name__, name))
            if why:
                print(f"[  LEFT OUT ] {name}_{f.__name__}: {why}")
                continue

            def one(world, f=f, name=name):
                world.forget()
                f(world, name)
            one.__name__ = f"{name}_{f.__name__}"
            case(one)


def nothing_is_held_afterwards_and_the_books_balance(world):
    world.rh.wait_stats("router", lambda s: s["held"] == 0)
    books = world.rh.stats("router")
    assert books["difference"] == 0, books


if __name__ == "__main__":
    for left_out in WITHOUT:
        print(f"[  LEFT OUT ] {left_out}: MATRIX_WITHOUT says so")
    with Instance() as instance:
        add_cases()
        case(nothing_is_held_afterwards_and_the_books_balance)
        code = run_cases(World(instance))
        close_all()
    sys.exit(code)
