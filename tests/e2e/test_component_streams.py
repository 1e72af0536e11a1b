#!/usr/bin/python3
"""Components (XEP-0114) as cm-component serves them: TLS of every kind, conflict and probe, what was in
flight, XEP-0198, kills and restarts of every process, rates, traces."""
import asyncio
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from component import ACCEPT, Component, Echo, Refused  # noqa: E402
from roundhouse import (BIN, LIMIT, Instance, Raw, case, free_port, run_cases,  # noqa: E402
                        send_signal, wait_for)

SM = "{urn:xmpp:sm:3}"
SECRET = "a-secret-of-twenty-four-c"
NAME = "cb1"
JID = NAME + ".localhost"


def add(rh, name, *options, secret=SECRET):
    rh.run("xmpp", "component", "add", name, "--secret-file", "-", *options, stdin=secret + "\n")


def client(rh, user="romeo"):
    raw = Raw(rh)
    raw.login(user, "x")
    return raw


def say(raw, to, body):
    raw.send(f"<message to='{to}' type='chat' id='{body[:20]}'><body>{body}</body></message>")


def chats(rh, c, raw, body):
    """A message each way."""
    say(raw, f"bot@{JID}", body)
    assert c.recv_body() == body
    c.message("romeo@localhost/raw", "re " + body)
    raw.expect(f"<body>re {body}</body>")


@case
def messages_and_iqs_pass_in_clear_with_starttls_and_with_tls_from_the_first_byte(rh):
    with client(rh) as raw:
        for tls in (False, "starttls", True):
            with Component(rh, JID, SECRET, tls=tls) as c:
                chats(rh, c, raw, f"tls {tls}")
                raw.send(f"<iq type='get' id='q1' to='{JID}'><query xmlns='urn:example'/></iq>")
                e = c.recv()
                assert (e.tag, e.get("from"), e.get("to")) == (ACCEPT + "iq", "romeo@localhost/raw",
                                                               JID), e.attrib
                c.send(f"<iq type='result' id='q1' from='{JID}' to='romeo@localhost/raw'/>")
                raw.expect("<iq [^>]*id='q1'[^>]*>")


@case
def a_domain_of_its_own_is_served_like_name_dot_domain(rh):
    with client(rh) as raw, Component(rh, "gateway.example.net", SECRET) as c:
        say(raw, "x@gateway.example.net", "far")
        assert c.recv_body() == "far"


@case
def an_upper_case_digest_is_taken(rh):
    with Component(rh, JID, SECRET, connect=False) as c:
        c.dial()
        c.open_stream()
        c.handshake(c.digest().upper())


@case
def what_a_component_may_not_say_ends_its_stream_and_only_that(rh):
    for bad, condition in (
            ("<message to='romeo@localhost'><body>x</body></message>", "invalid-from"),
            ("<message from='a@localhost' to='romeo@localhost'/>", "invalid-from"),
            ("<message from='a@cb2.localhost' to='romeo@localhost'/>", "invalid-from"),
            ("<message from='@@' to='romeo@localhost'/>", "invalid-from"),
            ("<handshake/>", "unsupported-stanza-type")):
        with Component(rh, JID, SECRET) as c:
            c.send(bad)
            assert c.refusal() == condition, bad
    rh.wait_log("cm-component", "condition=invalid-from .*may only speak for its own domain")


@case
def a_stanza_that_cannot_be_taken_is_answered_and_the_stream_goes_on(rh):
    with client(rh) as raw, Component(rh, JID, SECRET) as c:
        for bad, condition in ((f"<message from='a@{JID}' id='e'/>", "bad-request"),
                               (f"<message from='a@{JID}' to='a@b@c' id='e'/>", "jid-malformed")):
            c.send(bad)
            e = c.recv()
            assert e.get("type") == "error" and e.get("id") == "e", e.attrib
            assert [x for x in e.iter() if x.tag.endswith("}" + condition)], bad
        chats(rh, c, raw, "after errors")


@case
def features_are_for_those_who_say_version_and_from_in_their_header(rh):
    for version in (None, "1.0"):  # XEP-0114; some libraries say a version and expect no features
        with Component(rh, JID, SECRET, connect=False) as c:
            c.dial()
            c.open_stream(version=version)
            assert c.header.get("version") is None and c.nothing_within(0.2)
    with Component(rh, JID, SECRET, connect=False) as c:
        c.dial()
        c._new_parser()
        c.send("<stream:stream xmlns='jabber:component:accept' "
               f"xmlns:stream='http://etherx.jabber.org/streams' from='{JID}' to='{JID}' "
               "version='1.0'>")
        features = [x.tag for x in c.recv()]
        assert features == ["{urn:ietf:params:xml:ns:xmpp-tls}starttls", SM + "sm"], features


@case
def slixmpp_is_a_component_as_it_comes(rh):
    import slix
    import slixmpp

    async def talk():
        client_ = await slix.Client(rh, "romeo@localhost", "x").login()
        bot = slixmpp.ComponentXMPP(JID, SECRET, "127.0.0.1", rh.component_port)
        started = asyncio.Event()
        bot.add_event_handler("session_start", lambda _: started.set())
        bot.add_event_handler("message", lambda m: m.reply("echo " + m["body"]).send())
        bot.register_plugin("xep_0030")
        bot.register_plugin("xep_0199")
        bot.connect()
        await asyncio.wait_for(started.wait(), LIMIT)
        for i in range(5):
            client_.chat(f"a@{JID}", f"hi {i}")
            assert (await client_.next_message())["body"] == f"echo hi {i}"
        await client_["xep_0199"].ping(JID) if "xep_0199" in client_.plugin else None
        bot.disconnect()
        await client_.leave()
    slix.run(talk())


# One connection a name (A49), and what is half dead.

@case
def a_second_connection_with_the_same_name_gets_conflict_and_the_first_stays(rh):
    with client(rh) as raw, Echo(rh, JID, SECRET) as first:
        second = Component(rh, JID, SECRET, connect=False)
        second.dial()
        second.open_stream()
        try:
            second.handshake()
            raise AssertionError("the second was let in")
        except Refused as e:
            assert e.condition == "conflict", e
        say(raw, f"x@{JID}", "still")
        raw.expect("<body>still</body>")
        assert first.got == ["still"]
        second.drop()


@case
def a_first_connection_that_does_not_answer_gives_way_and_its_successor_gets_the_rest(rh):
    with client(rh) as raw:
        first = Component(rh, JID, SECRET)
        begun = time.monotonic()
        with Component(rh, JID, SECRET) as second:
            took = time.monotonic() - begun
            assert 2.5 < took < 30, took
            chats(rh, second, raw, "successor")
        condition = first.refusal()
        assert condition == "connection-timeout", condition
        assert b"urn:xmpp:ping" in first.seen
        first.drop()


@case
def who_waits_for_the_place_of_a_link_that_breaks_meanwhile_is_served_in_turn(rh):
    router = rh.pid("router")
    with client(rh) as raw:
        first = Component(rh, JID, SECRET, connect=False)
        first.dial()
        first.open_stream(version="1.0")
        first.handshake()
        first.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        assert first.recv().tag.endswith("enabled")
        outcome = {}

        def wait(name):
            c = Component(rh, JID, SECRET, connect=False)
            try:
                outcome[name] = c.connect()
            except Refused as e:
                outcome[name] = e.condition
        waiters = [threading.Thread(target=wait, args=(n,)) for n in range(3)]
        for w in waiters:
            w.start()
        first.recv()  # the probe: <r/>
        time.sleep(0.3)  # all of them wait
        first.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        first.sock.close()
        successor = wait_for(lambda: next((c for c in outcome.values() if isinstance(c, Component)),
                                          None), "a successor")
        broke = time.monotonic()
        for w in waiters:
            w.join()
        assert time.monotonic() - broke < 3, outcome  # cm-component gives up after 6 s
        assert rh.pid("router") == router
        assert sorted(c for c in outcome.values() if c is not successor) == ["conflict"] * 2, outcome
        chats(rh, successor, raw, "successor")
        successor.close()


@case
def two_may_serve_a_shared_domain_and_the_answers_go_to_the_right_peer(rh):
    with client(rh) as raw, Echo(rh, "many.localhost", SECRET) as a, \
            Echo(rh, "many.localhost", SECRET) as b:
        for i in range(20):
            say(raw, f"x{i}@many.localhost", f"n{i}")
            raw.expect(f"<body>n{i}</body>")
        assert len(a.got) + len(b.got) == 20
        assert not a.got or not b.got, "one peer is served by one of them"
        try:
            Component(rh, "many.localhost", SECRET)
            raise AssertionError("three, where two are allowed")
        except Refused as e:
            assert e.condition == "resource-constraint", e


# What is in flight (CUSTODY 14).

def hold_back(rh, jid, tls):
    """A component that reads nothing, with small buffers."""
    c = Component(rh, jid, SECRET, tls=tls, connect=False)
    c.dial()
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.open_stream()
    c.handshake()
    return c


def reset(c):
    """The connection breaks: what is in the kernel is thrown away."""
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.drop()


@case
def what_had_not_left_when_the_link_broke_goes_to_the_next_connection_in_order(rh):
    count, size = 25, 8000  # less than what one client may have under way
    for tls in (False, True):
        with client(rh) as raw:
            c = hold_back(rh, JID, tls)
            for i in range(count):
                say(raw, f"x@{JID}", f"{i:03}" + "x" * size)
            raw.ping()
            time.sleep(0.3)  # what fits into the kernel's buffers is there now
            reset(c)
            with Component(rh, JID, SECRET, tls=tls) as again:
                got = []
                while not got or got[-1] != count - 1:
                    got.append(int(again.recv_body()[:3]))
                assert got == list(range(got[0], count)), got
                # Only what the dead one's kernel had acknowledged may be missing.
                assert got[0] < 8, f"{got[0]} of {count} are gone with the connection"
            with Component(rh, JID, SECRET, tls=tls) as third:
                assert third.nothing_within(0.3), "what was taken came again"


@case
def a_component_that_never_reads_is_closed_and_what_it_did_not_take_is_judged(rh):
    with client(rh) as raw:
        c = hold_back(rh, "lazy.localhost", False)
        for i in range(60):
            say(raw, "x@lazy.localhost", f"{i:03}" + "x" * 8000)
        rh.wait_log("cm-component", "lazy.localhost event=close condition=connection-timeout "
                                    "reason=\"you take nothing")
        raw.expect("<message [^>]*type='error'.*?(recipient-unavailable|service-unavailable"
                   "|remote-server-not-found)")
        c.drop()


# XEP-0198, our extension.

class Counted(Component):
    """With stream management: acknowledges by itself, resumes."""

    def __init__(self, *args, **kwargs):
        self.h = 0
        self.bodies = []
        self.previd = None
        super().__init__(*args, **kwargs)

    def enable(self):
        self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        e = self.recv()
        assert e.tag == SM + "enabled" and e.get("resume") == "true", e.attrib
        self.previd = e.get("id")
        return self

    def take(self, e):
        if e.tag == SM + "r":
            self.send(f"<a xmlns='urn:xmpp:sm:3' h='{self.h}'/>")
        elif not e.tag.startswith(SM):
            self.h += 1
            if e.tag == ACCEPT + "message":
                self.bodies.append(e.findtext(ACCEPT + "body"))
        return e

    def until(self, last):
        while not self.bodies or self.bodies[-1] != last:
            self.take(self.recv())

    def close(self):
        """What came is acknowledged before the stream ends: else it is not delivered."""
        if self.previd and self.sock is not None:
            self.send(f"<a xmlns='urn:xmpp:sm:3' h='{self.h}'/>")
        super().close()

    def resume(self):
        """The answer's tag; what comes behind it is to be read."""
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                self.dial()
                self.open_stream()
                break
            except (OSError, AssertionError):
                assert time.monotonic() < deadline, "the port does not come back"
                time.sleep(0.05)
        self.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{self.previd}' h='{self.h}'/>"
                  f"<handshake>{self.digest()}</handshake>")
        e = self.recv()
        if e.tag == SM + "failed":
            e = self.recv()
        return e


@case
def a_counted_link_that_breaks_is_resumed_and_nothing_is_lost_or_doubled(rh):
    with client(rh) as raw:
        c = Counted(rh, JID, SECRET).enable()
        for i in range(10):
            say(raw, f"x@{JID}", f"a{i}")
        c.until("a4")  # and then no more: the others are not acknowledged
        c.drop()
        for i in range(10):
            say(raw, f"x@{JID}", f"b{i}")
        raw.ping()
        e = c.resume()
        assert e.tag == SM + "resumed" and e.get("previd") == c.previd, e.tag
        c.until("b9")
        assert c.bodies == [f"a{i}" for i in range(10)] + [f"b{i}" for i in range(10)], c.bodies
        c.send(f"<message from='u@{JID}' to='romeo@localhost/raw' type='chat'><body>back</body>"
               "</message><r xmlns='urn:xmpp:sm:3'/>")
        raw.expect("<body>back</body>")
        while (e := c.take(c.recv())).tag != SM + "a":
            pass
        c.close()


@case
def a_resumption_that_is_not_there_fails_and_a_session_begins_all_the_same(rh):
    with client(rh) as raw:
        c = Counted(rh, JID, SECRET, connect=False)
        c.previd = "nobody-knows-this"
        e = c.resume()
        assert e.tag == ACCEPT + "handshake", e.tag
        chats(rh, c, raw, "anew")
        c.close()


@case
def a_resumption_with_a_wrong_digest_is_not_authorized(rh):
    c = Counted(rh, JID, SECRET).enable()
    c.drop()
    thief = Counted(rh, JID, "another secret", connect=False)
    thief.previd = c.previd
    try:
        thief.resume()
        raise AssertionError("resumed without the secret")
    except Refused as e:
        assert e.condition == "not-authorized", e
    assert c.resume().tag == SM + "resumed"
    c.close()


@case
def kill_9_of_cm_component_loses_nothing_on_a_counted_link_and_closes_no_client(rh):
    with client(rh) as raw:
        c = Counted(rh, JID, SECRET).enable()
        for i in range(10):
            say(raw, f"x@{JID}", f"k{i}")
        c.until("k3")
        rh.kill("cm-component")
        for i in range(10):
            say(raw, f"x@{JID}", f"l{i}")
        assert c.resume().tag == SM + "resumed"
        c.until("l9")
        assert c.bodies == [f"k{i}" for i in range(10)] + [f"l{i}" for i in range(10)], c.bodies
        raw.ping()
        c.close()


# Kills and restarts.

@case
def kill_9_of_the_router_or_of_cm_client_leaves_components_connected(rh):
    with Echo(rh, JID, SECRET) as c:
        with client(rh) as raw:
            rh.kill("router")
            say(raw, f"x@{JID}", "over a router")
            raw.expect("<body>over a router</body>")
            rh.kill("cm-client")
            rh.wait_ready("cm-client")
        with client(rh) as raw:
            say(raw, f"x@{JID}", "over a cm-client")
            raw.expect("<body>over a cm-client</body>")
        assert c.refused is None and c.got == ["over a router", "over a cm-client"], c.got


@case
def a_restart_says_system_shutdown_to_plain_components_and_leaves_counted_ones_resumable(rh):
    with client(rh) as raw, Component(rh, "gateway.example.net", SECRET) as plain:
        c = Counted(rh, JID, SECRET).enable()
        rh.run("supervisor", "restart", "cm-component")
        assert plain.refusal() == "system-shutdown"
        c._until(lambda: c.ended)
        assert b"stream:error" not in c.seen and b"</stream:stream>" not in c.seen
        say(raw, f"x@{JID}", "meanwhile")
        assert c.resume().tag == SM + "resumed"
        c.until("meanwhile")
        c.close()
        raw.ping()


@case
def a_datastore_that_is_away_makes_a_handshake_wait_and_then_fail_for_the_time_being(rh):
    pid = rh.pid("datastore")
    os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with Component(rh, JID, SECRET, connect=False) as c:
            c.dial()
            c.open_stream()
            assert c.refusal() == "resource-constraint"
            assert time.monotonic() - begun > 4
        threading.Timer(1, send_signal, (pid, signal.SIGCONT)).start()
        with Component(rh, JID, SECRET):
            pass
    finally:
        os.kill(pid, signal.SIGCONT)


# Rates, traces, certificates, numbers.

@case
def an_account_with_a_rate_is_read_no_faster_than_that(rh):
    with client(rh) as raw, Component(rh, "slow.localhost", SECRET) as c:
        begun = time.monotonic()
        for i in range(16):
            c.message("romeo@localhost/raw", f"{i}" + "x" * 10000)
        for i in range(16):
            raw.expect(f"<body>{i}x*</body>")
        assert time.monotonic() - begun > 1.5, "160 KB at 20 KB a second, 80 KB at once"
    rh.wait_log("cm-component", "slow.localhost event=throttled .*limit=20000")


@case
def a_trace_of_its_domain_tells_what_happens_to_a_component(rh):
    with open(rh.path("trace.out"), "w+b") as out, subprocess.Popen(
            [os.path.join(BIN, "xmpp"), "-C", rh.dir, "trace", JID, "--for", "60s", "--json"],
            stdout=out, stderr=subprocess.STDOUT) as trace:
        def told(*words):
            with open(rh.path("trace.out"), encoding="utf-8") as f:
                text = f.read()
            return all(w in text for w in words)
        try:
            time.sleep(0.3)
            with client(rh) as raw, Component(rh, JID, SECRET) as c:
                chats(rh, c, raw, "seen")
            wait_for(lambda: told("bind", "close", "comp#"), "the component in the trace")
        finally:
            trace.terminate()
            trace.wait(LIMIT)


@case
def renewed_certificates_are_shown_to_the_next_component(rh):
    def shown():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", rh.component_port), timeout=LIMIT) as s, \
                context.wrap_socket(s, server_hostname="localhost") as t:
            return t.getpeercert(True)
    before = shown()
    lab = os.path.join(os.path.dirname(rh.dir), "lab")
    os.mkdir(lab)
    subprocess.run([os.path.join(BIN, "pki"), "-C", lab, "lab", "--domain", "localhost"], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.copytree(rh.path("pki"), lab + "/before")

    def install(where):
        for name in ("server.crt", "server.key"):
            shutil.copy(os.path.join(where, name), rh.path("pki", name + ".new"))
            os.rename(rh.path("pki", name + ".new"), rh.path("pki", name))
    with client(rh) as raw, Component(rh, JID, SECRET, tls=True) as c:
        install(lab + "/pki")
        wait_for(lambda: shown() != before, "the new certificate")
        chats(rh, c, raw, "the old one goes on")
        install(lab + "/before")
        wait_for(lambda: shown() == before, "the one before")


@case
def init_puts_components_on_the_port_after_the_clients_and_zero_instances_listen_nowhere(rh):
    port = free_port()
    with tempfile.TemporaryDirectory() as top:
        subprocess.run([os.path.join(BIN, "supervisor"), "-C", top + "/i", "init", "--listen",
                        f"127.0.0.1:{port}"], check=True, stdout=subprocess.DEVNULL)
        with open(top + "/i/conf/roundhouse.conf", encoding="utf-8") as f:
            assert f'listen = [ "127.0.0.1:{port + 1}" ]' in f.read()
    rh.configure({"cm-component": "instances = 0;"})
    rh.run("supervisor", "reload")
    wait_for(lambda: "cm-component" not in [s["service"] for s in rh.services()], "no cm-component")
    try:
        socket.create_connection(("127.0.0.1", rh.component_port), timeout=LIMIT).close()
        raise AssertionError("somebody listens for components")
    except ConnectionRefusedError:
        pass
    rh.configure({"cm-component": "instances = 2;"})
    rh.run("supervisor", "reload")
    rh.wait_ready()
    with client(rh) as raw, Component(rh, JID, SECRET) as c:
        chats(rh, c, raw, "two instances")


@case
def all_that_was_sent_is_settled_in_the_books(rh):
    rh.wait_stats("router", lambda s: s["held"] == 0 and s["difference"] == 0)
    for name in ("cm-component-1", "cm-component-2"):
        rh.wait_stats(name, lambda s: s.get("custody_held") == 0 and s["custody_difference"] == 0)


def main():
    with Instance(config={"cm-component": "write_timeout_s = 2;",
                          "router": "reconnect_grace = 3;"}) as rh:
        rh.add_user("romeo@localhost", "x")
        add(rh, NAME)
        add(rh, "cb2")
        add(rh, "lazy")
        add(rh, "gateway", "--jid", "gateway.example.net")
        add(rh, "many", "--mode", "shared", "--max-connections", "2")
        add(rh, "slow", "--bytes-per-second", "20000")
        return run_cases(rh)


if __name__ == "__main__":
    sys.exit(main())
