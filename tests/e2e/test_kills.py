#!/usr/bin/python3
"""kill -9 of each service in turn and of the supervisor under load: P2, restarts are private."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, Raw, alive, case, run_cases, wait_for
from traffic import Chat, Knocker

JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")


def pids(rh):
    return {row["instance"]: row["pid"] for row in rh.services()}


def chat(rh, a, b, to, body):
    a.send(f"<message to='{to}' type='chat'><body>{body}</body></message>")
    m = b.expect("<message .*?</message>").group(0).decode()
    assert f"<body>{body}</body>" in m, m


def kill_and_compare(rh, service, cause="SIGKILL"):
    """Kills it; afterwards it alone has another pid, and status says how often and why."""
    before = pids(rh)
    restarts = rh.service(service)["restarts"]
    killed = rh.kill(service)
    wait_for(lambda: rh.service(service)["pid"] not in (0, None, killed), f"a new {service}")
    rh.wait_ready()
    after = pids(rh)
    changed = [name for name in after if after[name] != before[name]]
    assert changed == [rh.service(service)["instance"]], (changed, before, after)
    row = rh.service(service)
    assert row["restarts"] == restarts + 1, row
    assert cause in row["last_exit"], row
    assert row["last_exit"] in rh.run("supervisor", "status", check=False).stdout


def survives(rh, service):
    """Two clients stay connected while a service behind them is killed, and chat afterwards."""
    with Raw(rh) as juliet, Raw(rh) as romeo:
        at_juliet = juliet.login(*JULIET)
        at_romeo = romeo.login(*ROMEO)
        chat(rh, juliet, romeo, at_romeo, "before")
        with Knocker(rh):
            kill_and_compare(rh, service)
        chat(rh, juliet, romeo, at_romeo, "after")
        chat(rh, romeo, juliet, at_juliet, "after too")
        with Raw(rh) as again:
            again.login(*JULIET, resource="new")


@case
def a_killed_router_is_restarted_alone_and_clients_stay(rh):
    survives(rh, "router")


@case
def a_killed_datastore_is_restarted_alone_and_clients_stay(rh):
    survives(rh, "datastore")


@case
def clients_of_a_killed_cm_client_log_in_again_at_once(rh):
    with Raw(rh) as juliet, Raw(rh) as romeo:
        juliet.login(*JULIET)
        romeo.login(*ROMEO)
        with Knocker(rh):
            killed = rh.kill("cm-client")
            # Dialled while the service is away: the supervisor holds the socket, so it waits.
            with Raw(rh) as again, Raw(rh) as other:
                again.login(*JULIET)
                at_romeo = other.login(*ROMEO)
                chat(rh, again, other, at_romeo, "here again")
        juliet.read_to_end()  # the old connection has ended
        assert not alive(killed)
    rh.wait_ready()


@case
def only_the_killed_cm_client_is_restarted(rh):
    with Knocker(rh):
        kill_and_compare(rh, "cm-client")


@case
def each_service_may_be_killed_again_and_again(rh):
    for _ in range(3):
        for service in ("router", "datastore", "cm-client"):
            killed = rh.kill(service)
            wait_for(lambda s=service, k=killed: rh.service(s)["pid"] not in (0, None, k), service)
            rh.wait_ready()
    with Raw(rh) as juliet, Raw(rh) as romeo:
        juliet.login(*JULIET)
        chat(rh, juliet, romeo, romeo.login(*ROMEO), "still here")


@case
def a_killed_supervisor_takes_nothing_with_it_and_the_next_adopts_all(rh):
    with Chat(rh, JULIET, ROMEO) as traffic, Knocker(rh):
        before = pids(rh)
        supervisor = rh.supervisor_pid()
        os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not alive(supervisor), "the supervisor's end")
        rounds = traffic.rounds
        wait_for(lambda: traffic.rounds > rounds + 20, "messages without a supervisor")
        assert all(alive(pid) for pid in before.values()), before
        login_and_leave(rh, "while-away", 5)
        rh.start()
        assert pids(rh) == before, (before, pids(rh))
        assert rh.supervisor_pid() != supervisor
        rounds = traffic.rounds
        wait_for(lambda: traffic.rounds > rounds + 20, "messages after the adoption")
        login_and_leave(rh, "adopted", 30)
    for i in range(5):
        rh.wait_log("cm-client", f"/while-away-{i}\\b")
    for i in range(30):
        rh.wait_log("cm-client", f"/adopted-{i}\\b")


def login_and_leave(rh, name, times):
    for i in range(times):
        with Raw(rh) as c:
            c.login(*JULIET, resource=f"{name}-{i}")


@case
def an_adopted_service_is_restarted_when_it_dies(rh):
    for service in ("datastore", "router", "cm-client"):
        # Only a parent is told how a process ended.
        kill_and_compare(rh, service, cause="adopted")


@case
def a_service_that_dies_while_the_supervisor_is_away_is_started_by_the_next(rh):
    before = pids(rh)
    supervisor = rh.supervisor_pid()
    os.kill(supervisor, signal.SIGKILL)
    wait_for(lambda: not alive(supervisor), "the end of the supervisor")
    cm = before[next(n for n in before if n.startswith("cm-client"))]
    os.kill(cm, signal.SIGKILL)
    wait_for(lambda: not alive(cm), "the end of cm-client")
    rh.start()
    rh.wait_ready()
    after = pids(rh)
    assert [n for n in after if after[n] != before[n]] == \
        [n for n in before if n.startswith("cm-client")], (before, after)
    with Raw(rh) as juliet:
        juliet.login(*JULIET)


if __name__ == "__main__":
    with Instance() as instance:
        instance.add_user("juliet@localhost", "capulet")
        instance.add_user("romeo@localhost", "montague")
        sys.exit(run_cases(instance))
