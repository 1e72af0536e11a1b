#!/usr/bin/python3
"""
Several cm-client processes on one port: clients of all of them talk to each other, one can be
restarted or killed without the others' clients noticing, a session goes on at another one, and a
reload changes how many there are.
"""
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, Raw, case, run_cases, wait_for  # noqa: E402
from sm import Client, Plain, balanced, befriend, settle, shown, texts, until  # noqa: E402
from traffic import Knocker  # noqa: E402

USERS = [(f"user{i}", "secret") for i in range(3)]


def names(rh):
    return sorted(r["instance"] for r in rh.services() if r["service"] == "cm-client")


def where(rh, client):
    """The instance that has this client's connection: by its own port, in the log."""
    port = client.raw.sock.getsockname()[1]
    lines = re.findall(rf"(cm-client-\d+)\[\d+\] \S+ event=connect addr=127\.0\.0\.1:{port}$",
                       rh.log("cm-client"), re.M)
    return lines[-1] if lines else None


class Only:
    """While it lasts only this instance accepts connections: the others stand still."""

    def __init__(self, rh, name):
        self.pids = [rh.pid(n) for n in names(rh) if n != name]

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_):
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)


def place(rh, kind, user, resource, name):
    with Only(rh, name):
        c = kind(rh, user, resource)
        c.send("<presence/>")
    wait_for(lambda: where(rh, c), "the line of the connection")
    assert where(rh, c) == name, (where(rh, c), name)
    return c


def one_at_each(rh, kind, resource):
    clients = [place(rh, kind, USERS[i], resource, name) for i, name in enumerate(names(rh))]
    for a in clients:
        for b in clients:
            until(lambda a=a, b=b: shown(a, b.jid), "presence", *clients)
    for c in clients:
        c.presences.clear()
    return clients


def all_talk(clients, name, n=5):
    for a in clients:
        for b in clients:
            if a is not b:
                for text in texts(f"{name}-{a.user}-{b.user}", n):
                    a.say(b.jid, text)
    settle(*[c for c in clients if isinstance(c, Client)])
    for b in clients:
        wanted = sorted(t for a in clients if a is not b
                        for t in texts(f"{name}-{a.user}-{b.user}", n))
        until(lambda b=b, w=wanted: len([t for t in b.got if t.startswith(name)]) >= len(w),
              "messages", *clients)
        assert sorted(t for t in b.got if t.startswith(name)) == wanted, (b.jid, b.got)
        for a in clients:  # in order, of each
            mine = [t for t in b.got if t.startswith(f"{name}-{a.user}-")]
            assert mine == sorted(mine), mine


def nobody_was_seen_leaving(clients):
    for c in clients:
        c.live(0.2)
        assert not [p for p in c.presences if p[1] == "unavailable"], (c.jid, c.presences)


def close(clients):
    for c in clients:
        c.close()


@case
def three_are_ready_and_all_of_them_get_clients(rh):
    assert names(rh) == ["cm-client-1", "cm-client-2", "cm-client-3"]
    seen, clients = {}, []
    for i in range(300):
        c = Raw(rh)
        c.header()
        clients.append(c)
        if i % 50 == 49:
            for k in clients[-50:]:
                k.expect("</stream:features>")
            seen = {n: rh.stats(n).get("accepted", 0) for n in names(rh)}
            if all(seen.values()):
                break
    for c in clients:
        c.close()
    assert all(seen.values()), seen


@case
def clients_of_different_instances_talk_and_see_each_other(rh):
    for kind in (Plain, Client):
        clients = one_at_each(rh, kind, "talk")
        all_talk(clients, "talk")
        nobody_was_seen_leaving(clients)
        close(clients)


@case
def two_resources_of_one_user_at_different_instances_both_get_their_messages(rh):
    one = place(rh, Client, USERS[0], "one", "cm-client-1")
    two = place(rh, Client, USERS[0], "two", "cm-client-2")
    sender = place(rh, Client, USERS[1], "sender", "cm-client-3")
    sender.say("user0@localhost", "both")
    until(lambda: one.got == ["both"] and two.got == ["both"], "the message", one, two, sender)
    settle(sender)
    close([one, two, sender])


@case
def the_same_resource_at_another_instance_replaces_the_first(rh):
    one = place(rh, Plain, USERS[0], "same", "cm-client-1")
    two = place(rh, Plain, USERS[0], "same", "cm-client-2")
    until(lambda: not one.pump(0.05), "the end of the first")
    assert one.stream_errors == ["conflict"], one.stream_errors
    two.close()


@case
def a_session_is_resumed_at_another_instance(rh):
    clients = one_at_each(rh, Client, "resume")
    first, second, third = clients
    for i in range(3):
        first.drop()
        for text in texts(f"away{i}", 3):
            second.say(first.jid, text)
        settle(second)
        name = names(rh)[(i + 1) % 3]
        with Only(rh, name):
            first.resume()
        assert where(rh, first) == name
        until(lambda: len(first.got) == 3 * (i + 1), "what came meanwhile", *clients)
    assert first.got == texts("away0", 3) + texts("away1", 3) + texts("away2", 3), first.got
    all_talk(clients, "resumed")
    nobody_was_seen_leaving(clients)
    close(clients)


@case
def while_its_old_instance_still_has_the_connection(rh):
    clients = one_at_each(rh, Client, "moved")
    first, second, _ = clients
    old = first.raw
    first.raw = Raw(rh)  # the old one stays open
    with Only(rh, "cm-client-2"):
        first.resume()
    assert where(rh, first) == "cm-client-2"
    assert b"</stream:stream>" not in old.read_to_end()  # CUSTODY 12
    second.say(first.jid, "here")
    until(lambda: first.got == ["here"], "the message", *clients)
    close(clients)


@case
def one_is_restarted_and_only_its_clients_come_back(rh):
    clients = one_at_each(rh, Client, "restart")
    pids = {n: rh.pid(n) for n in names(rh)}
    with Knocker(rh):
        rh.run("supervisor", "restart", "cm-client-2")
        rh.wait_ready()
    after = {n: rh.pid(n) for n in names(rh)}
    assert [n for n in pids if pids[n] != after[n]] == ["cm-client-2"], (pids, after)
    all_talk(clients, "restarted")
    assert [c.resumes for c in clients] == [0, 1, 0], [c.resumes for c in clients]
    nobody_was_seen_leaving(clients)
    close(clients)


@case
def one_is_killed_and_nothing_is_lost(rh):
    clients = one_at_each(rh, Client, "kill")
    first, second, third = clients
    for text in texts("before", 20):  # some of it is at the dying process, either way
        second.say(first.jid, text)
        first.say(second.jid, text)
        third.say(second.jid, "third " + text)
    rh.kill("cm-client-2")
    until(lambda: len(first.got) >= 20 and len(second.got) >= 40, "messages", *clients)
    settle(*clients)
    assert first.got == texts("before", 20), first.got
    assert [t for t in second.got if not t.startswith("third")] == texts("before", 20), second.got
    assert len(second.got) == 40, second.got
    assert [c.resumes for c in clients] == [0, 1, 0], [c.resumes for c in clients]
    nobody_was_seen_leaving(clients)
    rh.wait_ready()
    close(clients)


@case
def clients_without_stream_management_of_the_others_notice_nothing(rh):
    clients = one_at_each(rh, Plain, "plain")
    rh.kill("cm-client-1")
    for text in texts("after", 5):
        clients[1].say(clients[2].jid, text)
    until(lambda: len(clients[2].got) == 5, "messages", clients[1], clients[2])
    until(lambda: clients[0].logins == 2, "a new login", *clients)
    assert [c.logins for c in clients] == [2, 1, 1]
    rh.wait_ready()
    close(clients)


@case
def all_are_killed_at_once_and_come_back(rh):
    clients = one_at_each(rh, Client, "all")
    for text in texts("x", 5):
        clients[0].say(clients[1].jid, text)
    for pid in [rh.pid(n) for n in names(rh)]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: all(c.resumes >= 1 for c in clients), "resumes", *clients)
    until(lambda: len(clients[1].got) >= 5, "messages", *clients)
    assert clients[1].got == texts("x", 5)
    rh.wait_ready()
    settle(*clients)
    nobody_was_seen_leaving(clients)
    close(clients)


@case
def the_router_restarts_under_all_of_them(rh):
    clients = one_at_each(rh, Client, "router")
    for a in clients:
        for b in clients:
            if a is not b:
                for text in texts(f"r-{a.user}", 10):
                    a.say(b.jid, text)
    rh.kill("router")
    until(lambda: all(len(c.got) >= 20 for c in clients), "messages", *clients)
    settle(*clients)
    assert all(len(c.got) == 20 for c in clients), [c.got for c in clients]
    assert [c.resumes for c in clients] == [0, 0, 0]
    nobody_was_seen_leaving(clients)
    close(clients)


def set_instances(rh, n):
    rh.configure({"cm-client": f"instances = {n};"})
    rh.run("supervisor", "reload")
    wait_for(lambda: len(names(rh)) == n, f"{n} instances")
    rh.wait_ready()


@case
def a_reload_changes_how_many_there_are(rh):
    clients = one_at_each(rh, Client, "reload")
    with Knocker(rh):  # no connection is refused meanwhile
        set_instances(rh, 1)
        until(lambda: all(where(rh, c) == "cm-client-1" for c in clients),
              "everybody at the first", *clients)
        all_talk(clients, "one")
        set_instances(rh, 3)
        all_talk(clients, "three")
        moved = place(rh, Client, USERS[0], "new", "cm-client-3")
        set_instances(rh, 2)
        all_talk(clients, "two")
        until(lambda: where(rh, moved) in names(rh), "the last at another one", moved)
    assert [c.resumes for c in clients] == [0, 1, 1], [c.resumes for c in clients]
    assert names(rh) == ["cm-client-1", "cm-client-2"]
    nobody_was_seen_leaving(clients)
    close(clients + [moved])
    set_instances(rh, 3)


@case
def the_books_balance(rh):
    balanced(rh)
    for name in names(rh):
        rh.wait_stats(name, lambda s: s.get("custody_held") == 0)  # none before the first PONG
        assert rh.stats(name)["custody_difference"] == 0


if __name__ == "__main__":
    with Instance(config={"cm-client": "instances = 3;"}) as instance:
        for user in USERS:
            instance.add_user(f"{user[0]}@localhost", user[1])
        friends = [Plain(instance, user, "friend") for user in USERS]
        for friend in friends:
            friend.send("<presence/>")
        for x, y in ((0, 1), (0, 2), (1, 2)):
            befriend(friends[x], friends[y])
        close(friends)
        sys.exit(run_cases(instance))
