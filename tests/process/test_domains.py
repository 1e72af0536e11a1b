#!/usr/bin/python3
"""Who serves a domain: a real router against scripted connection managers (tests/support/echo).

No datastore, no supervisor, no XML: each case binds sessions of domains, sends stanzas between them
and breaks something: a session ends, is detached, does not answer a probe, its manager or the
router is killed. CUSTODY 14; lib/ipc/PROTOCOL.md, "A component".
"""
import os, queue, shutil, signal, subprocess, sys, tempfile, threading, time

BIN = os.environ.get("BIN") or os.path.join(os.path.dirname(__file__), "../../build/bin")
SLOW = 4 if os.environ.get("V") in ("asan", "tsan") else 1
MESSAGE, IQ, CHAT, ERROR, GET, RESULT = 1, 3, 3, 1, 20, 22
ONE, SHARED, STANDBY = 0, 1, 2
DELIVERED, BOUNCED = 1, 3


class Script:
    """One connection manager."""

    def __init__(self, bed, name):
        argv = [f"{BIN}/echo", "-C", bed.dir, "--standalone", "-i", name, "--token", "t"]
        self.name, self.seen, self.lines = name, [], queue.Queue()
        self.p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=bed.log, text=True, bufsize=1)
        threading.Thread(target=self.read, daemon=True).start()
        self.expect("up 1")

    def read(self):
        for line in self.p.stdout:
            self.lines.put(line.rstrip("\n"))

    def do(self, *words):
        self.p.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.p.stdin.flush()

    def expect(self, *starts, within=8):
        """Lines that begin so, in any order; others are kept. Returns the last one's words."""
        left, found = list(starts), None
        end = time.monotonic() + within * SLOW
        while left:
            for line in self.seen:
                start = next((s for s in left if (line + " ").startswith(s + " ")), None)
                if start is not None:
                    left.remove(start)
                    self.seen.remove(line)
                    found = line
                    break
            else:
                try:
                    self.seen.append(self.lines.get(timeout=max(0.01, end - time.monotonic())))
                except queue.Empty:
                    raise AssertionError(f"{self.name}: no {left} in {self.seen}") from None
        return found.split(" ")

    def got(self, wait=0.3):
        """The ids of what is delivered until nothing more comes, in order, by session."""
        ids = {}
        while True:
            try:
                self.seen.append(self.lines.get(timeout=wait * SLOW))
            except queue.Empty:
                break
        for line in [x for x in self.seen if x.startswith("deliver ")]:
            self.seen.remove(line)
            w = line.split(" ")
            ids.setdefault(int(w[1]), []).append(w[7])
        return ids

    def is_quiet(self, start, wait=0.3):
        time.sleep(wait * SLOW)
        while not self.lines.empty():
            self.seen.append(self.lines.get())
        assert not [x for x in self.seen if x.startswith(start)], (start, self.seen)

    def bind(self, sid, mode=ONE, hidden=0, most=0, jid="c.test"):
        self.do("bind", sid, jid, mode, hidden, most)
        self.expect(f"bound {sid}")

    def send(self, sid, i, user="u", to="c.test", kind=MESSAGE, type_=CHAT, domain="peer.test"):
        self.do("send", sid, f"{user}@{domain}", to, kind, type_, i)

    def kill(self):
        self.p.kill()
        self.p.wait()


class Bed:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="domains")
        for d in ("conf", "run/bus", "log", "data"):
            os.makedirs(os.path.join(self.dir, d))
        with open(os.path.join(self.dir, "conf/roundhouse.conf"), "w") as f:
            f.write("domains = [\"local.test\"];\n"
                    "router = { announce_wait = 3000; reconnect_grace = 2; component_probe = 800;"
                    " component_waiting = 2; };\n")
        self.log = open(os.path.join(self.dir, "log/all"), "ab")
        self.scripts, self.router = [], None
        self.start_router()

    def start_router(self):
        argv = [f"{BIN}/router", "-C", self.dir, "--standalone", "-i", "router-1", "--token", "r"]
        for name in ("script-1", "script-2", "script-3"):
            argv += ["--expect", f"{name}:echo:t"]
        self.router = subprocess.Popen(argv, stdout=self.log, stderr=self.log)

    def kill_router(self):
        self.router.kill()
        self.router.wait()

    def script(self, n):
        s = Script(self, f"script-{n}")
        self.scripts.append(s)
        return s

    def dies(self, s):
        """Without a supervisor the router hears of it from the next process of that name."""
        s.kill()
        return self.script(int(s.name[-1]))

    def logged(self, text):
        with open(os.path.join(self.dir, "log/all"), encoding="utf-8", errors="replace") as f:
            return text in f.read()

    def end(self):
        for s in self.scripts:
            s.kill()
        assert self.router.poll() is None, "the router has ended by itself"
        self.kill_router()
        self.log.close()
        shutil.rmtree(self.dir)


def three(bed):
    """A sender (session 1, peer.test) and two managers for the component."""
    p, a, b = bed.script(1), bed.script(2), bed.script(3)
    p.bind(1, jid="peer.test")
    return p, a, b


def a_component_that_answers_its_probe_keeps_its_domain(bed):
    _, a, b = three(bed)
    a.bind(10)
    b.do("bind", 11, "c.test", ONE, 0, 0)
    b.do("bind", 12, "c.test", ONE, 0, 0)
    epoch = a.expect("probe 10")[2]
    a.is_quiet("probe")  # once for both
    a.do("probed", 10, epoch, 1)
    b.expect("refused 11 conflict", "refused 12 conflict")
    a.is_quiet("close")


def a_component_that_is_dead_gives_its_domain_and_its_queue_to_the_first_who_waits(bed):
    p, a, b = three(bed)
    a.bind(10)
    for i in range(4):
        p.send(1, f"m{i}")
    a.expect("deliver 10 4")
    a.do("delivered", 10, 1)
    time.sleep(0.1)
    b.do("bind", 11, "c.test", ONE, 0, 0)
    b.do("bind", 12, "c.test", ONE, 0, 0)
    epoch = a.expect("probe 10")[2]
    a.do("probed", 10, epoch, 0)
    b.expect("bound 11", "refused 12 conflict")
    a.expect("close 10 connection-timeout")
    assert b.got() == {11: ["m1", "m2", "m3"]}, b.seen
    b.do("delivered", 11, 3)
    for n in range(1, 5):
        p.expect(f"settled 1 {n} {DELIVERED}")


def a_manager_that_does_not_answer_a_probe_in_time_has_lost_the_domain(bed):
    p, a, b = three(bed)
    a.bind(10)
    p.send(1, "m0")
    a.expect("deliver 10 1")
    start = time.monotonic()
    b.do("bind", 11, "c.test", ONE, 0, 0)
    b.expect("bound 11")
    assert time.monotonic() - start >= 0.7
    a.expect("close 10 connection-timeout")
    assert b.got() == {11: ["m0"]}


def who_waits_for_a_probe_gets_the_domain_at_once_when_the_other_ends_or_its_manager_dies(bed):
    p, a, b = three(bed)
    a.bind(10)
    p.send(1, "m0")
    a.expect("deliver 10 1")
    b.do("bind", 11, "c.test", ONE, 0, 0)
    a.expect("probe 10")
    a.do("end", 10)
    b.expect("bound 11", within=0.6)
    assert b.got() == {11: ["m0"]}
    a.do("bind", 12, "c.test", ONE, 0, 0)
    b.expect("probe 11")
    bed.dies(b)
    a.expect("bound 12", within=0.6)
    assert a.got() == {12: ["m0"]}


def who_waits_and_goes_away_is_forgotten_and_not_too_many_may_wait(bed):
    _, a, b = three(bed)
    a.bind(10)
    for sid in (11, 12, 13):
        b.do("bind", sid, "c.test", ONE, 0, 0)
    b.expect("refused 13 conflict")
    b.do("unbind", 11)
    time.sleep(0.1 * SLOW)  # another link
    a.do("probed", 10, a.expect("probe 10")[2], 0)
    b.expect("bound 12")
    b.is_quiet("bound 11")


def a_local_domain_and_one_of_the_old_binding_are_not_contended_for(bed):
    _, a, b = three(bed)
    a.do("bind", 10, "local.test", ONE, 0, 0)
    a.expect("refused 10 conflict")
    a.do("bind_old", 11, "c.test")
    a.expect("bound 11")
    b.do("bind", 12, "c.test", ONE, 0, 0)
    b.expect("refused 12 conflict")
    a.is_quiet("probe")


def shared_connections_divide_their_peers_and_keep_them_when_others_come_and_go(bed):
    p, a, b = three(bed)
    users = [f"u{i}" for i in range(40)]
    a.bind(10, SHARED)
    b.bind(11, SHARED)

    def where():
        for u in users:
            p.send(1, u, user=u)
        got = {**a.got(), **b.got()}
        for sid in got:
            (b if sid == 11 else a).do("delivered", sid, 100000)
        time.sleep(0.1 * SLOW)
        return {u: sid for sid, ids in got.items() for u in ids}

    first = where()
    assert len(first) == 40 and len(set(first.values())) == 2, first
    assert where() == first
    a.bind(12, SHARED)
    three_of_them = where()
    moved = {u for u in users if three_of_them[u] != first[u]}
    assert moved and all(three_of_them[u] == 12 for u in moved), three_of_them
    a.do("end", 12)
    time.sleep(0.1)
    a.got(), b.got()  # what it was not delivered comes to the others
    assert where() == first


def a_peer_moves_to_a_new_shared_connection_when_nothing_of_it_is_on_its_way_to_the_old(bed):
    p, a, b = three(bed)
    users = [f"u{i}" for i in range(20)]
    a.bind(10, SHARED)
    for i in range(2):
        for u in users:
            p.send(1, f"m{i}.{u}", user=u)
        assert a.got() == {10: [f"m{i}.{u}" for u in users]}
        if i == 0:
            b.bind(11, SHARED)
    b.is_quiet("deliver")
    a.do("delivered", 10, 39)
    p.expect(f"settled 1 39 {DELIVERED}")
    for u in users:
        p.send(1, f"m2.{u}", user=u)
    moved, stayed = b.got()[11], a.got()[10]
    assert len(moved) + len(stayed) == 20 and "m2.u19" in stayed, (moved, stayed)


def an_answer_goes_to_the_shared_connection_that_asked_as_long_as_it_lives(bed):
    p, a, b = three(bed)
    a.bind(10, SHARED)
    b.bind(11, SHARED)
    for sid, cm in ((10, a), (11, b)):
        for i in range(8):
            cm.send(sid, f"q{i}", user="x", domain="c.test", to=f"u{i}@peer.test", kind=IQ,
                    type_=GET)
        assert p.got() == {1: [f"q{i}" for i in range(8)]}
        for i in range(8):
            p.send(1, f"q{i}", user=f"u{i}", to="x@c.test", kind=IQ,
                   type_=RESULT if i % 2 else ERROR)
        assert cm.got() == {sid: [f"q{i}" for i in range(8)]}
        p.send(1, "q0", user="u0", to="x@c.test", kind=IQ, type_=GET)  # a question is no answer
        p.send(1, "q0", user="u1", to="x@c.test", kind=IQ, type_=RESULT)  # nor is another's
    a.got(), b.got()
    b.do("end", 11)
    time.sleep(0.1 * SLOW)
    a.got()
    p.send(1, "q1", user="u1", to="x@c.test", kind=IQ, type_=RESULT)
    assert a.got() == {10: ["q1"]}


def what_a_shared_connection_was_not_delivered_goes_to_the_others_before_what_comes_later(bed):
    p, a, b = three(bed)
    a.bind(10, SHARED)
    b.bind(11, SHARED)
    for i in range(3):
        for u in range(8):
            p.send(1, f"m{i}.{u}", user=f"u{u}")
    got_a = a.got()[10]
    b.got()
    a.do("end", 10)
    for u in range(8):
        p.send(1, f"m3.{u}", user=f"u{u}")
    got_b = b.got()[11]
    for u in range(8):
        mine = [i for i in got_b if i.endswith(f".{u}")]
        assert mine == ([f"m{i}.{u}" for i in range(4)] if f"m0.{u}" in got_a else [f"m3.{u}"])
    b.do("delivered", 11, 1000)
    for n in range(1, 33):
        p.expect(f"settled 1 {n} {DELIVERED}")


def standby_connections_wait_until_the_oldest_ends(bed):
    p, a, b = three(bed)
    b.bind(11, STANDBY)
    a.bind(10, STANDBY)
    for u in range(6):
        p.send(1, f"m{u}", user=f"u{u}")
    assert a.got() == {} and len(b.got()[11]) == 6
    bed.dies(b)
    assert a.got() == {10: [f"m{u}" for u in range(6)]}


def no_more_connections_than_it_may_have(bed):
    _, a, b = three(bed)
    a.bind(10, SHARED, most=2)
    b.bind(11, SHARED, most=2)
    b.do("bind", 12, "c.test", SHARED, 0, 2)
    b.expect("refused 12 resource-constraint")
    a.do("end", 10)
    time.sleep(0.2 * SLOW)  # another link
    b.do("bind", 13, "c.test", SHARED, 0, 2)
    b.expect("bound 13")


def what_the_server_answers_goes_to_the_connection_that_asked(bed):
    _, a, b = three(bed)
    a.bind(10, SHARED)
    b.bind(11, SHARED)
    for sid, cm in ((10, a), (11, b)):
        for i in range(8):
            cm.send(sid, f"q{i}", user=f"u{i}", domain="c.test", to="nowhere.test", kind=IQ,
                    type_=GET)
        got = cm.got()
        assert got == {sid: [f"q{i}" for i in range(8)]}, got
    assert a.got() == {} and b.got() == {}


def what_waits_for_nobody_waits_for_a_successor_and_is_bounced_then(bed):
    p, a, b = three(bed)
    a.bind(10)
    p.send(1, "m0")
    a.expect("deliver 10 1")
    a.do("end", 10)
    time.sleep(0.1)
    p.send(1, "m1")
    b.bind(11)
    p.send(1, "m2")
    assert b.got() == {11: ["m0", "m1", "m2"]}
    b.do("end", 11)
    w = p.expect(f"deliver 1 1 {MESSAGE} {ERROR}")
    assert w[7] == "m0", w
    assert p.got() == {1: ["m1", "m2"]}
    assert not bed.logged("event=spoof")


def a_killed_manager_leaves_its_queue_to_the_next_one(bed):
    p, a, b = three(bed)
    a.bind(10)
    for i in range(3):
        p.send(1, f"m{i}")
    a.expect("deliver 10 3")
    a.do("delivered", 10, 1)
    time.sleep(0.2)
    bed.dies(a)
    p.send(1, "m3")
    b.do("bind", 11, "c.test", ONE, 0, 0)
    b.expect("bound 11", within=0.6)
    assert b.got() == {11: ["m1", "m2", "m3"]}


def a_detached_component_resumes_at_another_manager_with_nothing_lost_or_doubled(bed):
    p, a, b = three(bed)
    a.bind(10)
    a.do("enable", 10, 60)
    rid = a.expect("enabled 10")[2]
    for i in range(4):
        p.send(1, f"m{i}")
    a.expect("deliver 10 4")
    a.do("ack", 10, 2)
    time.sleep(0.1)
    a.do("detach", 10)
    p.send(1, "m4")
    time.sleep(0.1)
    a.got()
    b.do("resume", 7, rid, "c.test", 2)
    b.expect("resumed 7 0 3")
    assert b.got() == {10: ["m2", "m3", "m4"]}
    b.do("ack", 10, 5)
    for n in range(1, 6):
        p.expect(f"settled 1 {n} {DELIVERED}")
    a.do("resume", 8, rid, "other.test", 2)
    a.expect("resume_refused 8 item-not-found")


def a_component_resumes_while_its_manager_still_believes_in_it_or_is_dead(bed):
    p, a, b = three(bed)
    a.bind(10)
    a.do("enable", 10, 60)
    rid = a.expect("enabled 10")[2]
    p.send(1, "m0")
    a.expect("deliver 10 1")
    b.do("resume", 7, rid, "c.test", 0)
    a.expect("detach 10")
    b.expect("resumed 7 0 1")
    assert b.got() == {10: ["m0"]}
    bed.dies(b)
    p.send(1, "m1")
    a.do("resume", 8, rid, "c.test", 1)
    a.expect("resumed 8 0 2")
    assert a.got() == {10: ["m1"]}


def a_component_that_binds_anew_gets_what_waits_for_its_detached_session(bed):
    p, a, b = three(bed)
    a.bind(10)
    a.do("enable", 10, 60)
    rid = a.expect("enabled 10")[2]
    p.send(1, "m0")
    a.expect("deliver 10 1")
    a.do("detach", 10)
    p.send(1, "m1")
    b.bind(11)
    assert b.got() == {11: ["m0", "m1"]}
    a.do("resume", 7, rid, "c.test", 0)
    a.expect("resume_refused 7 item-not-found")


def who_waits_for_a_domain_has_it_before_a_resume_that_its_hung_manager_does_not_answer(bed):
    p, a, b = three(bed)
    a.bind(10)
    a.do("enable", 10, 60)
    rid = a.expect("enabled 10")[2]
    p.send(1, "m0")
    a.expect("deliver 10 1")
    a.p.send_signal(signal.SIGSTOP)
    b.do("bind", 11, "c.test", ONE, 0, 0)
    p.do("resume", 7, rid, "c.test", 0)
    b.expect("bound 11")
    p.expect("resume_refused 7 item-not-found")
    assert b.got(0.5) == {11: ["m0"]}
    a.p.send_signal(signal.SIGCONT)
    b.is_quiet("close", 0.6)


def what_waits_for_nobody_goes_to_a_shared_connection_that_resumes(bed):
    p, a, b = three(bed)
    a.bind(10, SHARED)
    a.do("enable", 10, 60)
    rid = a.expect("enabled 10")[2]
    b.bind(11, SHARED)
    a.do("detach", 10)
    time.sleep(0.1 * SLOW)
    for u in range(4):
        p.send(1, f"m{u}", user=f"u{u}")
    assert len(b.got()[11]) == 4
    b.do("end", 11)
    time.sleep(0.1 * SLOW)
    b.do("resume", 7, rid, "c.test", 0)
    b.expect("resumed 7")
    assert b.got() == {10: [f"m{u}" for u in range(4)]}
    b.do("ack", 10, 4)
    for n in range(1, 5):
        p.expect(f"settled 1 {n} {DELIVERED}")


def while_a_shared_connection_is_detached_the_others_get_what_is_new(bed):
    p, a, b = three(bed)
    a.bind(10, SHARED)
    a.do("enable", 10, 60)
    rid = a.expect("enabled 10")[2]
    p.send(1, "m0")
    a.expect("deliver 10 1")
    b.bind(11, SHARED)
    a.do("detach", 10)
    time.sleep(0.1)
    for u in range(8):
        p.send(1, f"n{u}", user=f"u{u}")
    assert b.got() == {11: [f"n{u}" for u in range(8)]}
    b.do("resume", 7, rid, "c.test", 0)
    b.expect("resumed 7")
    assert b.got() == {10: ["m0"]}


def restart(bed, *scripts):
    bed.kill_router()
    bed.start_router()
    for s in scripts:
        s.expect("up 1")


def a_new_router_rebuilds_the_groups_and_gives_nothing_to_a_second_connection(bed):
    p, a, b = three(bed)
    users = [f"u{i}" for i in range(24)]
    a.bind(10, SHARED)
    for u in users:
        p.send(1, u, user=u)
    assert len(a.got()[10]) == 24
    b.bind(11, SHARED)  # some of these are its own by now
    a.do("delivered", 10, 8)
    restart(bed, p, a, b)
    for u in users:
        p.send(1, u + ".2", user=u)
    got = {**a.got(1), **b.got()}
    assert sorted(i for ids in got.values() for i in ids) == sorted(u + ".2" for u in users), got
    assert len(got) == 2
    a.do("delivered", 10, 1000)
    b.do("delivered", 11, 1000)
    for n in range(1, 49):
        p.expect(f"settled 1 {n} {DELIVERED}")


def a_new_router_keeps_the_mode_and_the_order_of_standby_connections(bed):
    p, a, b = three(bed)
    b.bind(11, STANDBY)
    time.sleep(0.05)
    a.bind(10, STANDBY, most=2)
    restart(bed, p, a, b)
    p.send(1, "m0")
    assert b.got(1) == {11: ["m0"]} and a.got() == {}
    a.do("bind", 12, "c.test", STANDBY, 0, 2)
    a.expect("refused 12 resource-constraint")


def a_session_that_ended_while_the_router_was_away_leaves_a_place_for_the_next(bed):
    p, a, b = three(bed)
    a.bind(10)
    p.send(1, "m0")
    p.send(1, "m1")
    a.expect("deliver 10 2")
    a.do("delivered", 10, 1)
    time.sleep(0.2)
    bed.kill_router()
    a.do("end", 10)
    time.sleep(0.1)
    bed.start_router()
    for s in (p, a, b):
        s.expect("up 1")
    p.is_quiet("deliver")
    b.bind(11)
    assert b.got() == {11: ["m1"]}


def what_asks_for_a_domain_while_the_router_starts_waits_for_the_announcements(bed):
    p, a, b = three(bed)
    a.bind(10)
    bed.kill_router()
    b.do("bind", 11, "c.test", ONE, 0, 0)
    bed.start_router()
    for s in (p, a, b):
        s.expect("up 1")
    b.do("bind", 12, "c.test", ONE, 0, 0)
    a.do("probed", 10, a.expect("probe 10")[2], 1)
    b.expect("refused 12 conflict")
    a.is_quiet("close")


def a_detached_component_announced_to_a_new_router_resumes(bed):
    p, a, b = three(bed)
    a.bind(10)
    a.do("enable", 10, 60)
    rid = a.expect("enabled 10")[2]
    p.send(1, "m0")
    p.send(1, "m1")
    a.expect("deliver 10 2")
    a.do("ack", 10, 1)
    a.do("detach", 10)
    time.sleep(0.2)
    restart(bed, p, a, b)
    p.send(1, "m2")
    b.do("resume", 7, rid, "c.test", 1)
    b.expect("resumed 7")
    got = b.got()
    assert got == {10: ["m1", "m2"]}, got


def errors_for_a_component_name_what_is_wrong(bed):
    _, a, _ = three(bed)
    a.bind(10)
    a.send(10, "q0", domain="c.test", to="-", kind=IQ, type_=GET)
    w = a.expect(f"deliver 10 1 {IQ} {ERROR} local.test")
    assert "bad-request" in " ".join(w), w
    a.send(10, "q1", domain="c.test", to="x@elsewhere.test", kind=IQ, type_=GET)
    w = a.expect(f"deliver 10 2 {IQ} {ERROR} x@elsewhere.test u@c.test q1")
    assert "remote-server-not-found" in " ".join(w), w
    a.do("refuse", 10, "q2")
    w = a.expect(f"deliver 10 3 {IQ} {ERROR} local.test c.test q2")
    assert "policy-violation" in " ".join(w), w
    a.send(10, "m3", domain="other.test")
    a.is_quiet("deliver")
    assert bed.logged("event=spoof")


CASES = [v for k, v in list(globals().items())
         if callable(v) and k not in ("Script", "Bed", "three", "restart")]


def main():
    failed = 0
    names = sys.argv[1:]
    for case in CASES:
        if names and case.__name__ not in names:
            continue
        bed = Bed()
        try:
            case(bed)
            bed.end()
            print("ok   ", case.__name__)
        except AssertionError as e:
            failed += 1
            print("FAILED", case.__name__, e, "log:", bed.dir)
            for s in bed.scripts:
                s.kill()
            bed.kill_router()
    return 1 if failed else 0


sys.exit(main())
