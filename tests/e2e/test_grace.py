#!/usr/bin/python3
"""
Grace times (CUSTODY 4): contacts see nothing of a broken connection before presence_grace, nothing of
a client whose cm-client died and that comes back within reconnect_grace, and exactly one unavailable
otherwise; also when the router dies in between, so that only the shelf knows.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import SANITIZED, Instance, Raw, add_case, case, run_cases, wait_for
from sm import Client, Plain, befriend, settle, shown, until

GRACE = 9 if SANITIZED else 3  # seconds, both of them: long enough for a router to die in between
JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")


def online(rh, kind, resource):
    """juliet, whose connection will break, and romeo who watches her; by the one manager, romeo
    resumes by himself."""
    juliet, romeo = kind(rh, JULIET, resource), Client(rh, ROMEO, resource)
    for c in (juliet, romeo):
        c.send("<presence/>")
    until(lambda: shown(romeo, juliet.jid) and shown(juliet, romeo.jid), "both", juliet, romeo)
    romeo.pump(0.1)
    romeo.presences.clear()
    return juliet, romeo


def make_friends(rh):
    juliet, romeo = Plain(rh, JULIET, "friend"), Plain(rh, ROMEO, "friend")
    for c in (juliet, romeo):
        c.send("<presence/>")
    befriend(juliet, romeo)
    leave(juliet, romeo)


def is_shelved(rh):
    rh.wait_stats("router", lambda s: s["shelf_behind"] == 0)


def kill_router(rh):
    """When what it knew is on its shelf; until the next one routes."""
    is_shelved(rh)
    routing = rh.log("router").count("event=routing")
    rh.kill("router")
    wait_for(lambda: rh.log("router").count("event=routing") > routing, "routing")


def kill_cm(rh, *clients):
    """Kills the one cm-client; those come back at once."""
    deaths = rh.log("router").count("cm-client-1 event=peer_dead")
    rh.kill("cm-client")
    wait_for(lambda: rh.log("router").count("cm-client-1 event=peer_dead") > deaths, "its death")
    rh.wait_ready()
    for c in clients:
        c.live(0.1)


def watch(romeo, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        romeo.live(0.05)


def expect(romeo, jid, *kinds):
    until(lambda: len(shown(romeo, jid)) >= len(kinds), f"{kinds} of {jid}", romeo)
    watch(romeo, 0.3)
    assert shown(romeo, jid) == list(kinds), romeo.presences


def leave(juliet, romeo):
    juliet.close()
    romeo.close()


def detached_story(rh, resource, harm):
    """Gone without a word: nothing before the grace, then unavailable; available after the resume,
    which loses nothing."""
    juliet, romeo = online(rh, Client, resource)
    settle(juliet)
    juliet.drop()
    left = time.monotonic()
    harm()
    watch(romeo, 0.1)
    if time.monotonic() - left < GRACE - 0.2:
        assert not shown(romeo, juliet.jid), romeo.presences
    until(lambda: shown(romeo, juliet.jid), "the unavailable", romeo)
    gone = time.monotonic() - left
    assert gone > GRACE - 0.5, gone
    expect(romeo, juliet.jid, "unavailable")
    harm()
    expect(romeo, juliet.jid, "unavailable")
    romeo.say(juliet.jid, "art thou there")
    settle(romeo)
    juliet.resume()
    until(lambda: juliet.got, "the message", juliet, romeo)
    assert juliet.got == ["art thou there"], juliet.got
    expect(romeo, juliet.jid, "unavailable", None)
    leave(juliet, romeo)


@case
def a_detached_session_is_unavailable_after_the_grace_and_available_again_when_resumed(rh):
    detached_story(rh, "away", lambda: None)


@case
def also_when_the_router_dies_before_the_grace_is_over_and_after(rh):
    def harm():
        time.sleep(1.2)  # spool_after: its row is put on the shelf
        kill_router(rh)
    detached_story(rh, "away-router", harm)


@case
def who_resumes_within_the_grace_was_never_away(rh):
    juliet, romeo = online(rh, Client, "short")
    for harm in (lambda: None, lambda: kill_cm(rh, romeo), lambda: kill_router(rh)):
        juliet.drop()
        harm()
        juliet.resume()
        settle(juliet)
    watch(romeo, GRACE + 1)
    assert not shown(romeo, juliet.jid), romeo.presences
    leave(juliet, romeo)


@case
def a_detached_session_whose_cm_and_router_died_is_unavailable_once_at_its_old_deadline(rh):
    juliet, romeo = online(rh, Client, "both")
    juliet.drop()
    left = time.monotonic()
    kill_cm(rh, romeo)
    kill_router(rh)
    expect(romeo, juliet.jid, "unavailable")
    gone = time.monotonic() - left
    assert gone > GRACE - 0.5, gone
    juliet.resume()
    expect(romeo, juliet.jid, "unavailable", None)
    leave(juliet, romeo)


def plain_story(rh, resource, harm, back):
    juliet, romeo = online(rh, Plain, resource)
    kill_cm(rh, romeo)
    left = time.monotonic()
    harm()
    if back:
        juliet.live(0.1)
        assert juliet.logins == 2 and time.monotonic() - left < GRACE, "too slow to judge"
        watch(romeo, GRACE + 1)
        # Her new presence may be shown, an unavailable not.
        assert "unavailable" not in shown(romeo, juliet.jid), romeo.presences
        romeo.say(juliet.jid, "here")
        until(lambda: juliet.got == ["here"], "a message", juliet, romeo)
        leave(juliet, romeo)
        return
    until(lambda: shown(romeo, juliet.jid), "the unavailable", romeo)
    assert time.monotonic() - left > GRACE - 1, time.monotonic() - left
    watch(romeo, GRACE)
    assert shown(romeo, juliet.jid) == ["unavailable"], romeo.presences
    juliet.raw.close()
    romeo.close()


for name, harm in (("", lambda rh: None), ("_though_the_router_died_too", kill_router)):
    add_case("a_plain_client_that_logs_in_again_in_time_was_never_away" + name,
             lambda rh, n=name, h=harm: plain_story(rh, "back" + n, lambda: h(rh), True))
    add_case("one_that_does_not_come_back_is_unavailable_once_after_the_grace" + name,
             lambda rh, n=name, h=harm: plain_story(rh, "gone" + n, lambda: h(rh), False))


@case
def a_plain_client_that_comes_back_with_another_resource_replaces_the_old_one(rh):
    juliet, romeo = online(rh, Plain, "first")
    old = juliet.jid
    kill_cm(rh, romeo)
    with Raw(rh) as again:
        new = again.login(*JULIET, resource="second")
        expect(romeo, new, None)
        # One after the other, and the new one first: the account is never away.
        expect(romeo, old, "unavailable")
        order = [who for who, _ in romeo.presences if who in (old, new)]
        assert order == [new, old], romeo.presences
    juliet.raw.close()
    romeo.close()


@case
def the_books_balance_after_all_that(rh):
    rh.wait_stats("router", lambda s: s["held"] == 0 and s["shelf_behind"] == 0)
    assert rh.stats("router")["difference"] == 0


if __name__ == "__main__":
    settings = f"presence_grace = {GRACE};\n\treconnect_grace = {GRACE};"
    with Instance(config={"router": settings, "supervisor": "restart_delay_max_ms = 100;"}) as instance:
        instance.add_user("juliet@localhost", "capulet")
        instance.add_user("romeo@localhost", "montague")
        make_friends(instance)
        sys.exit(run_cases(instance))
