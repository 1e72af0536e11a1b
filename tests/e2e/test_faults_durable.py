#!/usr/bin/python3
"""
router.durable_domains: what a client sends counts in h when it is delivered or on disk, not before.
So it outlives even the death of every process that held it.
"""
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, alive, case, run_cases, wait_for
from sm import Client, Plain, balanced, settle, texts, until

JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")


def sessions(rh):
    return [json.loads(x) for x in rh.run("xmpp", "sessions", "--json").stdout.splitlines()]


def is_detached(rh, jid):
    return any(s["jid"] == jid and s["state"] == "detached" for s in sessions(rh))


def pair(rh, resource, shelved=True):
    """juliet, and romeo who is gone without a word; shelved: for long enough that his session is on
    disk (spool_after)."""
    juliet, romeo = Client(rh, JULIET, resource), Client(rh, ROMEO, resource)
    for c in (juliet, romeo):
        c.send("<presence/>")
    settle(juliet, romeo)
    romeo.drop()
    wait_for(lambda: is_detached(rh, romeo.jid), "his session to be detached")
    if shelved:
        away = sum(s["state"] == "detached" for s in sessions(rh))
        rh.wait_stats("router", lambda s: s["shelf_sessions"] == away and s["shelf_behind"] == 0)
    return juliet, romeo


def asked(client):
    """Has h after a moment: it was asked for, and what could come has come."""
    client.request()
    client.live(0.5)
    client.request()
    client.live(0.5)
    return client.acked


@case
def h_moves_when_the_disk_has_it(rh):
    juliet, romeo = pair(rh, "disk")
    pid = rh.pid("datastore")
    h = juliet.acked
    os.kill(pid, signal.SIGSTOP)
    try:
        for text in texts("m", 5):
            juliet.say(romeo.jid, text)
        assert asked(juliet) == h, (h, juliet.acked)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: juliet.acked == h + 5, "h, unasked", juliet)
    romeo.resume()
    until(lambda: len(romeo.got) >= 5, "messages", romeo, juliet)
    assert romeo.got == texts("m", 5), romeo.got
    juliet.close()
    romeo.close()


@case
def h_moves_when_it_is_delivered_though_the_disk_hangs(rh):
    juliet, romeo = pair(rh, "delivered")
    romeo.resume()
    settle(romeo)
    pid = rh.pid("datastore")
    h = juliet.acked
    os.kill(pid, signal.SIGSTOP)
    try:
        juliet.say(romeo.jid, "live")
        juliet.request()
        until(lambda: romeo.got, "the message", romeo)
        until(lambda: juliet.acked == h + 1, "h", juliet, romeo)
    finally:
        os.kill(pid, signal.SIGCONT)
    juliet.close()
    romeo.close()


def kill_at_once(rh, *names):
    pids = [rh.pid(name) for name in names]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        wait_for(lambda p=pid: not alive(p), f"the end of {pid}")
    rh.wait_ready()


@case
def what_h_told_of_outlives_cm_client_and_router_killed_at_the_same_moment(rh):
    for i, names in enumerate((("cm-client", "router"), ("router", "cm-client"),
                               ("cm-client", "router", "datastore"))):
        juliet, romeo = pair(rh, f"killed-{i}")
        for text in texts("k", 20):
            juliet.say(romeo.jid, text)
        settle(juliet)
        kill_at_once(rh, *names)
        # The sender never comes back: it is not he who saves them.
        juliet.drop()
        romeo.resume()
        until(lambda: len(romeo.got) >= 20, "messages", romeo)
        romeo.live(0.3)
        assert romeo.got == texts("k", 20), romeo.got
        romeo.close()


@case
def it_finds_him_at_his_next_login_when_his_session_died_with_them(rh):
    """He was gone for too short a time for his session to be on disk: it is over, what h told of is
    not."""
    juliet, romeo = pair(rh, "young", shelved=False)
    for text in texts("k", 20):
        juliet.say(romeo.jid, text)
    settle(juliet)
    kill_at_once(rh, "router", "cm-client")  # so that it cannot be put on the shelf at the last
    juliet.drop()
    if romeo.jid in [s["jid"] for s in sessions(rh)]:  # but it may be, on a machine that is slow
        print("his session is on disk: nothing is proved here")
        romeo.resume()
        romeo.close()
        return
    again = Plain(rh, ROMEO, "again")
    again.send("<presence/>")
    until(lambda: len(again.got) >= 20, "messages", again)
    again.pump(0.3)
    assert again.got == texts("k", 20), again.got
    again.close()


@case
def elsewhere_two_processes_are_enough(rh):
    """What is tested above is not simply always so."""
    with Instance() as own:
        for user in (JULIET, ROMEO):
            own.add_user(f"{user[0]}@localhost", user[1])
        juliet, romeo = pair(own, "process")
        h = juliet.acked
        pid = own.pid("datastore")
        os.kill(pid, signal.SIGSTOP)
        try:
            juliet.say(romeo.jid, "m")
            juliet.request()
            until(lambda: juliet.acked == h + 1, "h", juliet)
        finally:
            os.kill(pid, signal.SIGCONT)
        romeo.resume()
        until(lambda: romeo.got, "the message", romeo)
        juliet.close()
        romeo.close()


@case
def the_books_balance_after_all_that(rh):
    for s in sessions(rh):
        rh.run("xmpp", "kick", s["jid"])
    balanced(rh)


if __name__ == "__main__":
    settings = {"router": 'durable_domains = [ "localhost" ];',
                "supervisor": "restart_delay_max_ms = 100;"}
    with Instance(config=settings) as instance:
        for name, password in (JULIET, ROMEO):
            instance.add_user(f"{name}@localhost", password)
        sys.exit(run_cases(instance))
