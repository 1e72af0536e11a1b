#!/usr/bin/python3
"""One connection for one component's name (FEATURES 9: A33, A49): a second one is refused with conflict
and the first stays, unless the first is half dead; also over a restart of either side."""
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from component import Component, Echo, Refused  # noqa: E402
from roundhouse import Instance, Raw, case, run_cases, wait_for  # noqa: E402


def add(rh, name):
    """`xmpp callbridge add`: its secret."""
    return re.search(r"^Secret +: (\S+)$", rh.run("xmpp", "callbridge", "add", name).stdout,
                     re.M).group(1)


def echoes(raw, jid, text):
    raw.send(f"<message to='x@{jid}' type='chat'><body>{text}</body></message>")
    raw.expect(f"<body>{text}</body>")


def is_refused(rh, jid, secret, condition="conflict", tls=False):
    try:
        Component(rh, jid, secret, tls=tls).drop()
    except Refused as e:
        assert e.condition == condition, e
        return
    raise AssertionError(f"a second {jid} was let in")


@case
def a33_two_components_with_one_name_the_second_gets_conflict_and_the_first_stays(rh, secrets):
    with Raw(rh) as raw, Echo(rh, "cb1.localhost", secrets["cb1"]) as first:
        raw.login("juliet", "capulet")
        echoes(raw, "cb1.localhost", "before")
        for tls in (False, "starttls", True):
            is_refused(rh, "cb1.localhost", secrets["cb1"], tls=tls)
        echoes(raw, "cb1.localhost", "after")
        assert first.got == ["before", "after"] and first.refused is None
    rh.wait_log("cm-component", 'event=auth_failed component="cb1.localhost" condition=conflict')


@case
def a33_components_with_different_names_do_not_disturb_each_other(rh, secrets):
    with Raw(rh) as raw, Echo(rh, "cb1.localhost", secrets["cb1"]) as one, \
            Echo(rh, "cb2.localhost", secrets["cb2"]) as two:
        raw.login("juliet", "capulet")
        is_refused(rh, "cb2.localhost", secrets["cb1"], "not-authorized")
        echoes(raw, "cb1.localhost", "to one")
        echoes(raw, "cb2.localhost", "to two")
        assert (one.got, two.got) == (["to one"], ["to two"])


@case
def a49_the_name_is_free_as_soon_as_the_first_has_gone(rh, secrets):
    for _ in range(3):
        begun = time.monotonic()
        with Component(rh, "cb1.localhost", secrets["cb1"]):
            assert time.monotonic() - begun < 2.5, "it was probed for"
    Component(rh, "cb1.localhost", secrets["cb1"]).drop()  # without a word
    with Component(rh, "cb1.localhost", secrets["cb1"]):
        pass


@case
def a49_a_half_dead_first_gives_way_after_the_probe_and_not_before(rh, secrets):
    with Raw(rh) as raw:
        raw.login("juliet", "capulet")
        dead = Component(rh, "cb1.localhost", secrets["cb1"])  # reads nothing, answers nothing
        begun = time.monotonic()
        with Echo(rh, "cb1.localhost", secrets["cb1"]) as second:
            assert time.monotonic() - begun > 2.5, "it was not asked"
            echoes(raw, "cb1.localhost", "alive")
            assert second.got == ["alive"]
        assert dead.refusal() == "connection-timeout"
        dead.drop()
    rh.wait_log("cm-component", "cb1.localhost event=probe alive=no")


@case
def a49_of_many_that_come_at_once_one_is_let_in(rh, secrets):
    tries = []
    for _ in range(8):
        c = Component(rh, "cb1.localhost", secrets["cb1"], connect=False)
        c.dial()
        c.open_stream()
        tries.append(c)
    for c in tries:
        c.send(f"<handshake>{c.digest()}</handshake>")
    let_in = []

    def answers():  # who is in must answer the probe that the others cause
        for c in list(tries):
            c._take(0.01)
            while c.elements:
                try:
                    e = c.recv()
                except Refused as r:
                    assert r.condition == "conflict", r
                    tries.remove(c)
                    break
                if e.tag.endswith("}handshake"):
                    let_in.append(c)
                elif e.tag.endswith("}iq"):
                    c.send(f"<iq type='result' id='{e.get('id')}' from='{e.get('to')}' "
                           f"to='{e.get('from')}'/>")
        return len(tries) == 1 and let_in
    wait_for(answers, "seven refusals")
    assert let_in == tries
    tries[0].close()


@case
def a49_a_second_is_refused_also_after_kill_9_of_the_router_and_by_another_process(rh, secrets):
    with Raw(rh) as raw, Echo(rh, "cb1.localhost", secrets["cb1"]) as first:
        raw.login("juliet", "capulet")
        rh.kill("router", signal.SIGKILL)
        rh.wait_ready()
        echoes(raw, "cb1.localhost", "again")
        for _ in range(4):  # two processes share the port
            is_refused(rh, "cb1.localhost", secrets["cb1"])
        echoes(raw, "cb1.localhost", "still")
        assert first.got == ["again", "still"]


def main():
    with Instance(config={"cm-component": "instances = 2;"}) as rh:
        rh.add_user("juliet@localhost", "capulet")
        return run_cases(rh, {name: add(rh, name) for name in ("cb1", "cb2")})


if __name__ == "__main__":
    sys.exit(main())
