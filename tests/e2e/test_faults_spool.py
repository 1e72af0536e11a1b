#!/usr/bin/python3
"""
spool_after: who writes more than limits.session_unsettled_bytes to somebody who is away is not
stalled by it, and his connection manager is soon rid of it; everything arrives in order when that one
resumes, also when the router died.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, case, run_cases, wait_for
from sm import Client, balanced, settle, texts, until

LIMIT_BYTES = 65536
STANZA_BYTES = 4000
COUNT = 100  # six times the limit
JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")
NURSE = ("nurse", "capulet")


def scene(rh, name):
    clients = [Client(rh, user, name) for user in (JULIET, ROMEO, NURSE)]
    for c in clients:
        c.send("<presence/>")
    settle(*clients)
    clients[1].drop()
    return clients


def write_much(juliet, romeo, nurse, name):
    """All of it, then a word to somebody who is there: it is behind all that in juliet's stream."""
    for text in texts(name, COUNT):
        juliet.say(romeo.jid, text, pad=STANZA_BYTES)
        juliet.live(0)
    began = time.monotonic()
    juliet.say(nurse.jid, name)
    until(lambda: name in nurse.got, "the word to another", nurse, juliet)
    return time.monotonic() - began


def everything_came(romeo, name, rounds=1):
    wanted = [t for i in range(rounds) for t in texts(f"{name}{i}", COUNT)]
    until(lambda: len(romeo.got) >= len(wanted), "all of it", romeo)
    romeo.live(0.3)
    assert romeo.got == wanted, [g for g, w in zip(romeo.got, wanted) if g != w][:5]


@case
def a_sender_is_not_stalled_by_somebody_who_is_away(rh):
    juliet, romeo, nurse = scene(rh, "away")
    for i in range(2):
        write_much(juliet, romeo, nurse, f"away{i}")
    settle(juliet, nurse)
    # On disk, and so no burden to the manager of the sender any more.
    rh.wait_stats("cm-client-1", lambda s: s.get("custody_held_bytes", 1) == 0)
    books = rh.stats("router")
    assert books["held"] == 2 * COUNT and books["held_bytes"] > 2 * COUNT * STANZA_BYTES, books
    romeo.resume()
    everything_came(romeo, "away", 2)
    assert not juliet.errors and juliet.logins == 1 and not juliet.resumes, juliet.errors
    for c in (juliet, romeo, nurse):
        c.close()
    balanced(rh)


@case
def it_arrives_in_order_though_the_router_is_killed_meanwhile(rh):
    juliet, romeo, nurse = scene(rh, "killed")
    for i in range(3):
        write_much(juliet, romeo, nurse, f"killed{i}")
        routing = rh.log("router").count("event=routing")
        rh.kill("router")
        if i == 1:  # and once when it has loaded it
            wait_for(lambda n=routing: rh.log("router").count("event=routing") > n, "routing")
    settle(juliet)
    romeo.resume()
    everything_came(romeo, "killed", 3)
    for c in (juliet, romeo, nurse):
        c.close()
    balanced(rh)


@case
def it_arrives_in_order_though_it_goes_on_while_he_comes_back(rh):
    juliet, romeo, nurse = scene(rh, "back")
    write_much(juliet, romeo, nurse, "back0")
    for text in texts("back1", COUNT):
        juliet.say(romeo.jid, text, pad=STANZA_BYTES)
        if text.endswith("-50"):
            romeo.resume()
        juliet.live(0)
    settle(juliet, romeo)
    everything_came(romeo, "back", 2)
    for c in (juliet, romeo, nurse):
        c.close()
    balanced(rh)


@case
def he_may_come_back_after_cm_client_and_router_died(rh):
    juliet, romeo, nurse = scene(rh, "both")
    write_much(juliet, romeo, nurse, "both0")
    settle(juliet)
    deaths = rh.log("router").count("cm-client-1 event=peer_dead")
    rh.kill("cm-client")
    wait_for(lambda: rh.log("router").count("cm-client-1 event=peer_dead") > deaths, "its death")
    rh.wait_stats("router", lambda s: s["shelf_behind"] == 0)
    rh.kill("router")
    rh.wait_ready()
    romeo.resume()
    everything_came(romeo, "both", 1)
    for c in (juliet, nurse):
        c.live(0.1)
    for c in (juliet, romeo, nurse):
        c.close()
    balanced(rh)


if __name__ == "__main__":
    settings = {"limits": f"session_unsettled_bytes = {LIMIT_BYTES};",
                "router": "spool_after_ms = 500;", "supervisor": "restart_delay_max_ms = 100;"}
    with Instance(config=settings) as instance:
        for name, password in (JULIET, ROMEO, NURSE):
            instance.add_user(f"{name}@localhost", password)
        sys.exit(run_cases(instance))
