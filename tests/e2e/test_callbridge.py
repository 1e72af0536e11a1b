#!/usr/bin/python3
"""`callbridge run`: programs as components, real clients on the other side; TLS; what a program may do
wrong; kills; and Prosody as the server."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import slix  # noqa: E402
from bridge import Bridge, Wire  # noqa: E402
from roundhouse import (Instance, Raw, case, free_port, run_cases, send_signal,  # noqa: E402
                        wait_for)

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "..", "examples")
SECRET = "RJTmSh4smhLYguGpAb1"
BOT = "bot@cb1.localhost"


def server_of(rh):
    return f"localhost:{rh.component_port}"


def bridge(rh, *options, **more):
    return Bridge(rh, "cb1", SECRET, "--server", server_of(rh), "--ca", rh.ca, *options, **more)


def settings(rh, **values):
    rh.configure({"callbridge": "\n\t".join(f"{k} = {v};" for k, v in values.items())})


class Chat:
    """juliet, logged in."""

    def __init__(self, rh, resource="chat"):
        self.raw = Raw(rh)
        self.raw.login("juliet", "r0m30", resource)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.close()

    def say(self, text, to=BOT):
        self.raw.send(f"<message to='{to}' type='chat'><body>{text}</body></message>")

    def hear(self, text, sender=BOT):
        return self.raw.expect(f"<message [^>]*from='{sender}'[^>]*>.*?<body>{text}</body>")


def script(rh, name, text):
    path = rh.path(name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o755)
    return path


# Programs

@case
def the_echo_answers_messages_pings_and_disco_of_a_real_client(rh):
    async def talk():
        juliet = slix.Client(rh, "juliet@localhost/slix", "r0m30")
        for plugin in ("xep_0030", "xep_0199"):
            juliet.register_plugin(plugin)
        await juliet.login()
        juliet.chat(BOT, "one\ntwo <&> \u2713")
        m = await juliet.next_message()
        assert m["body"] == "one\ntwo <&> \u2713" and m["from"] == BOT, m
        await juliet.plugin["xep_0199"].send_ping("cb1.localhost")
        info = await juliet.plugin["xep_0030"].get_info("cb1.localhost")
        assert ("component", "generic", None, "cb1") in info["disco_info"]["identities"], info
        iq = juliet.make_iq_get("urn:example:what", "cb1.localhost")
        try:
            await iq.send()
            raise AssertionError("an unknown request was answered")
        except slix.slixmpp.exceptions.IqError as e:
            assert e.iq["error"]["condition"] == "service-unavailable", e.iq
        await juliet.leave()

    with bridge(rh, "--echo") as b:
        b.wait_connected()
        slix.run(talk())


@case
def the_examples_answer_as_components(rh):
    for program, answer in (("echo.py", "You said: hello &lt;x&gt;"), ("echo.sh", "hello &lt;x&gt;")):
        with bridge(rh, "--exec", os.path.join(EXAMPLES, program)) as b, Chat(rh) as juliet:
            b.wait_connected()
            juliet.say("hello &lt;x&gt;")
            juliet.hear(answer)
        assert b.process.returncode == 0, b.log()


@case
def a_program_sees_one_stanza_a_line_and_says_what_it_wants(rh):
    seen = rh.path("seen")
    program = script(rh, "talk.sh", f"""#!/bin/sh
echo "I am $CALLBRIDGE_JID" >&2
printf '%s\\n' "<message to='juliet@localhost/chat'><body>unasked</body></message>"
exec cat > {seen}
""")
    with Chat(rh) as juliet, bridge(rh, "--exec", program) as b:
        b.wait_connected()
        b.wait_log(r'program event=program_said text="I am cb1.localhost"')
        juliet.hear("unasked", "cb1.localhost")
        juliet.say("a\nb")
        juliet.say("last")
        wait_for(lambda: "last" in open(seen, encoding="utf-8").read(), "the last line")
        with open(seen, encoding="utf-8") as f:
            lines = [line for line in f.read().splitlines() if line.startswith("<message")]
    assert lines == [f"<message from='juliet@localhost/chat' to='{BOT}' type='chat'>"
                     f"<body>{text}</body></message>" for text in ("a&#10;b", "last")], lines


@case
def what_a_program_does_wrong_is_told_and_breaks_nothing(rh):
    long = "x" * 300000
    wrong = ["hello", "<message to='juliet@localhost'>", "<message><body>no to</body></message>",
             "<message to='juliet@localhost' from='juliet@localhost'/>", "</stream:stream>",
             "<foo to='juliet@localhost'/>", f"<message to='a@localhost'><body>{long}</body></message>"]
    program = script(rh, "wrong.py", "#!/usr/bin/python3\nimport sys, time\n"
                     f"for line in {wrong!r}:\n    print(line, flush=True)\n    time.sleep(1.01)\n"
                     "print(\"<message to='juliet@localhost/chat'><body>good</body></message>\", "
                     "flush=True)\nsys.stdin.read()\n")
    with Chat(rh) as juliet, bridge(rh, "--exec", program) as b:
        b.wait_connected()
        juliet.hear("good", "cb1.localhost")
        for reason in ("well-formed", "it has no 'to'", "its 'from' is not of this", "no message",
                       "longer than callbridge.stanza_bytes"):
            b.wait_log(rf'event=line_refused reason="[^"]*{reason}')
        assert b.status()["state"] == "connected" and "losses" not in b.status()
        assert b.log().count("event=connected") == 1, b.log()


@case
def a_program_that_dies_is_started_again_and_stanzas_wait_for_it(rh):
    once = rh.path("once")
    program = script(rh, "dies.sh", f"""#!/bin/sh
[ -e {once} ] || {{ touch {once}; read line; exit 3; }}
exec {EXAMPLES}/echo.sh
""")
    with bridge(rh, "--exec", program) as b, Chat(rh) as juliet:
        b.wait_connected()
        juliet.say("first")  # the first program takes it and dies
        b.wait_log("event=program_ended pid=[0-9]+ exit=3")
        for i in range(20):
            juliet.say(f"m{i}")
        for i in range(20):
            juliet.hear(f"m{i}")
        b.wait_log("event=program_restart in_ms=1[0-9][0-9] ")
        assert b.log().count("event=program_started") == 2, b.log()


@case
def a_program_that_does_not_read_stops_the_server_not_the_bridge(rh):
    gate = rh.path("gate")
    program = script(rh, "slow.sh",
                     f"#!/bin/sh\nwhile [ ! -e {gate} ]; do sleep 0.1; done\n"
                     f"exec {EXAMPLES}/echo.sh\n")
    settings(rh, queue_bytes=65536)
    filler, count = "y" * 2000, 300  # 600 KB: more than the pipe and the queue
    with bridge(rh, "--exec", program) as b, Chat(rh) as juliet:
        b.wait_connected()
        for i in range(count):
            juliet.say(f"m{i:04}{filler}")
        wait_for(lambda: b.status()["stanzas_in"] > 40, "the queue to fill")
        time.sleep(0.5)
        full = b.status()["stanzas_in"]
        assert full < 120, full  # 64 KiB in the pipe, 64 KiB here, and a buffer
        assert b.status()["state"] == "connected"
        open(gate, "w").close()
        for i in range(count):
            juliet.hear(f"m{i:04}{filler}")
        assert b.log().count("event=connected") == 1, b.log()


@case
def a_stop_lets_the_program_finish(rh):
    program = script(rh, "finish.sh", """#!/bin/sh
cat > /dev/null
printf '%s\\n' "<message to='juliet@localhost/chat'><body>goodbye</body></message>"
""")
    with Chat(rh) as juliet, bridge(rh, "--exec", program) as b:
        b.wait_connected()
        begun = time.monotonic()
        assert b.stop() == 0, b.log()
        assert time.monotonic() - begun < 5
        juliet.hear("goodbye", "cb1.localhost")


# Links

@case
def tls_is_as_configured_and_the_certificate_is_judged(rh):
    other = tempfile.mkdtemp()
    subprocess.run([os.path.join(os.environ.get("BIN", "build/bin"), "pki"), "-C", other, "lab",
                    "--domain", "localhost"], check=True, capture_output=True)
    for mode, word in (("required", "TLS"), ("direct", "TLS"), ("optional", "TLS"), ("none", "none")):
        with bridge(rh, "--echo", "--tls", mode) as b, Chat(rh) as juliet:
            assert b.wait_connected()["tls"].startswith(word), (mode, b.status())
            juliet.say(f"over-{mode}")
            juliet.hear(f"over-{mode}")
    for mode in ("required", "direct"):
        with Bridge(rh, "cb1", SECRET, "--server", server_of(rh), "--echo", "--tls", mode, "--ca",
                    os.path.join(other, "pki", "ca.pem")) as b:
            b.wait_failed("certificate verification failure")
            assert b.row().startswith(
                "failed to connect to localhost due to certificate verification failure ("), b.row()
            assert "event=connected" not in b.log()
    with Bridge(rh, "cb1", SECRET, "--server", server_of(rh), "--echo", "--no-verify") as b:
        b.wait_connected()
    shutil.rmtree(other)


@case
def a_client_port_and_a_port_without_xmpp_are_told_apart(rh):
    with Bridge(rh, "cb1", SECRET, "--server", f"localhost:{rh.port}", "--echo", "--ca",
                rh.ca) as b:
        b.wait_failed("protocol error")
        assert "component" in b.status()["detail"] or "namespace" in b.status()["detail"], b.status()
    with Bridge(rh, "cb1", SECRET, "--server", f"localhost:{free_port()}", "--echo") as b:
        b.wait_failed("connection refused")
        assert b.row().startswith("failed to connect to localhost due to connection refused ("), b.row()


@case
def nothing_is_lost_or_doubled_when_cm_component_and_the_router_are_killed(rh):
    seen = rh.path("counted")
    program = script(rh, "count.sh", f"#!/bin/sh\nexec tee -a {seen} | {EXAMPLES}/echo.sh\n")
    count = 1500
    with bridge(rh, "--exec", program) as b, Chat(rh) as juliet:
        b.wait_connected()
        for i in range(count):
            juliet.say(f"n{i:05}")
            if i in (300, 600, 900):
                rh.kill("router" if i == 600 else "cm-component")
            if i % 50 == 0:
                time.sleep(0.02)
        heard = []
        while len(heard) < count:
            heard.append(juliet.raw.expect(r"<message [^>]*from='bot@[^>]*>.*?<body>(n\d+)</body>")
                         .group(1).decode())
        assert heard == [f"n{i:05}" for i in range(count)], [h for h in heard if heard.count(h) > 1]
        assert b.status()["resumable"] is True
        wait_for(lambda: b.log().count("resumed=1") >= 2, "two resumptions")
    with open(seen, encoding="utf-8") as f:
        taken = re.findall(r"<body>(n\d+)</body>", f.read())
    assert taken == [f"n{i:05}" for i in range(count)], len(taken)


@case
def a_cut_link_is_resumed_and_nothing_is_lost(rh):
    settings(rh, check_ms=400, check_wait_ms=500)
    with Wire(("127.0.0.1", rh.component_port)) as wire:
        with Bridge(rh, "cb1", SECRET, "--server", f"127.0.0.1:{wire.port}", "--ca", rh.ca,
                    "--exec", f"{EXAMPLES}/echo.sh") as b, Chat(rh) as juliet:
            b.wait_connected()
            juliet.say("before")
            juliet.hear("before")
            wire.cut()
            juliet.say("meanwhile")
            b.wait_failed("no answer")
            wire.mend()
            b.wait_connected()
            juliet.hear("meanwhile")
            b.wait_log("event=connected .* resumed=1")


@case
def kill_9_of_the_bridge_leaves_no_program_behind(rh):
    program = script(rh, "stay.sh", "#!/bin/sh\nexec cat\n")
    with bridge(rh, "--exec", program) as b:
        b.wait_connected()
        pid = wait_for(lambda: b.status()["program_pid"], "the program")
        b.stop(signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}") or
                 open(f"/proc/{pid}/stat", encoding="ascii").read().split(")")[1].split()[0] == "Z",
                 "the end of the program")
    with bridge(rh, "--echo") as b:  # the lock and the socket that were left do not matter
        b.wait_connected()
    # The service, which has another user than root, can lock it after root has.
    assert os.stat(rh.path("run", "callbridge", "cb1.lock")).st_mode & 0o777 == 0o644


def members(group):
    """Processes of the group that are not zombies."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                state, _, pgrp = f.read().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state != "Z":
            found.append(int(pid))
    return found


@case
def what_a_program_leaves_in_the_background_ends_with_the_bridge(rh):
    mark = rh.path("background")
    program = script(rh, "leaves.sh", f"#!/bin/sh\ntrap '' TERM\n(sleep 0.1; echo $$ > {mark}; "
                     "sleep 300) &\ntrap - TERM\nexec cat > /dev/null\n")
    with bridge(rh, "--exec", program) as b:
        b.wait_connected()
        group = wait_for(lambda: os.path.exists(mark) and b.status()["program_pid"], "the program")
        assert b.stop() == 0
    wait_for(lambda: not members(group), "the end of all of its group")


class Server:
    """Accepts, and says these bytes one after the other, each when something came."""

    def __init__(self, *says, stays=True):
        self.says, self.stays = says, stays
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = b""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                s, _ = self.listener.accept()
                s.settimeout(10)
                for say in self.says:
                    self.heard += s.recv(65536)
                    s.sendall(say)
                if not self.stays:
                    s.close()
                while self.stays and (data := s.recv(65536)):
                    self.heard += data
            except OSError:
                if self.listener.fileno() < 0:
                    return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


HEADER = (b"<stream:stream xmlns='jabber:component:accept' id='1' "
          b"xmlns:stream='http://etherx.jabber.org/streams'>")
HEADER_1_0 = HEADER[:-1] + (b" version='1.0'><stream:features><sm xmlns='urn:xmpp:sm:3'/>"
                            b"</stream:features>")


@case
def a_server_that_misbehaves_is_left_with_its_own_words(rh):
    settings(rh, connect_ms=1000)
    deep = b"<message>" + b"<x>" * 1100
    live = (HEADER, b"<handshake/>")
    for says, stays, mode, cause in (
            ((), True, "none", "timeout"),
            ((HEADER,), True, "none", "timeout"),
            ((), False, "none", "connection lost"),
            ((HEADER,), False, "none", "connection lost"),
            ((b"HTTP/1.0 400 Bad Request\r\n\r\n",), True, "none", "protocol error"),
            ((b"HTTP/1.0 400 Bad Request\r\n\r\n",), True, "direct", "tls failure"),
            ((HEADER.replace(b" id='1'", b""),), True, "none", "protocol error"),
            ((HEADER + b"<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
              b"</stream:error>",), True, "none", "conflict"),
            ((HEADER, b"<handshake/></stream:stream>"), True, "none", "closed by the server"),
            ((HEADER, b"<handshake/>" + deep), True, "none", "protocol error"),
            ((HEADER, b"<handshake/><message><!-- -->"), True, "none", "protocol error"),
            ((HEADER, b"<handshake/><message>\xff</message>"), True, "none", "protocol error"),
            ((HEADER, b"<handshake/><message>" + b"x" * 17000000), True, "none", "protocol error"),
            ((HEADER_1_0, b"<handshake/>", b"<enabled xmlns='urn:xmpp:sm:3'/>"
              b"<a xmlns='urn:xmpp:sm:3' h='5'/>"), True, "none", "protocol error"),
            ((HEADER_1_0, b"<failed xmlns='urn:xmpp:sm:3'/><handshake/></stream:stream>"), True,
             "none", "closed by the server")):
        with Server(*says, stays=stays) as server, \
                Bridge(rh, "cb1", SECRET, "--server", f"127.0.0.1:{server.port}", "--echo", "--tls",
                       mode) as b:
            b.wait_log(f'failure reason: "{cause}"')
            assert b.process.poll() is None, (says, b.log())
    with Server(*live) as server, \
            Bridge(rh, "cb1", SECRET, "--server", f"127.0.0.1:{server.port}", "--echo", "--tls",
                   "none") as b:
        b.wait_connected()  # and a good one is as good as ever
        assert SECRET.encode() not in server.heard and SECRET not in b.log()


@case
def what_the_server_may_take_of_a_client_is_not_too_much_for_the_bridge(rh):
    # limits.stanza_bytes is 8 MiB at most: what ended the connection would come again with the next.
    seen = rh.path("large")
    stanza = (b"<message from='juliet@localhost' to='bot@cb1.localhost'><x " +
              b" ".join(b"a%d='1'" % i for i in range(900)) + b"/><y>" + b"<z>" * 240 + b"</z>" * 240 +
              b"</y><body>" + b"x" * 8000000 + b"</body></message>")
    with Server(HEADER, b"<handshake/>" + stanza) as server, \
            Bridge(rh, "cb1", SECRET, "--server", f"127.0.0.1:{server.port}", "--tls", "none",
                   "--exec", f"cat > {seen}") as b:
        b.wait_connected()
        wait_for(lambda: os.path.getsize(seen) == len(stanza) + 1, "all of the stanza")
        assert "event=connection_failed" not in b.log(), b.log()


@case
def a_line_that_no_server_takes_is_refused_and_does_not_end_the_stream(rh):
    stanza = "<message to='juliet@localhost/chat'>{}</message>"
    lines = [stanza.format(x) for x in (
        "<body>one</body>", "<d>" * 100 + "</d>" * 100,
        "<x " + " ".join(f"a{i}='1'" for i in range(100)) + "/>",
        "<body>" + "x" * (262144 - len(stanza) - 11) + "</body>", "<body>two</body>")]
    program = script(rh, "much.py", f"#!/usr/bin/python3\nimport sys\nfor line in {lines!r}:\n"
                     "    print(line)\nsys.stdout.flush()\nsys.stdin.read()\n")
    with Chat(rh) as juliet, bridge(rh, "--exec", program) as b:
        b.wait_connected()
        juliet.hear("one", "cb1.localhost")
        juliet.hear("two", "cb1.localhost")
        assert b.log().count("event=connected") == 1, b.log()
        b.wait_log('event=line_refused reason="(deeper|larger)')


@case
def a_stanza_that_ends_the_stream_each_time_is_found_and_dropped(rh):
    # The server takes less than we think.
    settings(rh, stanza_bytes=400000)
    stanza = "<message to='juliet@localhost/chat'><body>{}</body></message>"
    lines = [stanza.format(x) for x in ("before", "x" * 300000, "after")]
    program = script(rh, "big.py", f"#!/usr/bin/python3\nimport sys\nfor line in {lines!r}:\n"
                     "    print(line)\nsys.stdout.flush()\nsys.stdin.read()\n")
    with Chat(rh) as juliet, bridge(rh, "--exec", program) as b:
        juliet.hear("before", "cb1.localhost")
        juliet.hear("after", "cb1.localhost")
        b.wait_log(r"error +callbridge\S+ bridge event=stanza_dropped reason=\"stream error policy-viol"
                   r"ation[^\"]*\" bytes=300\d+ stanza=\"<message from='cb1.localhost' [^>]*>\" ")
        assert b.log().count("event=connected") == 4, b.log()
        assert b.wait_connected()["state"] == "connected"
    settings(rh, stanza_bytes=262144)


@case
def what_stands_in_the_clear_behind_proceed_is_never_taken_for_protected(rh):
    forged = (HEADER + b"<handshake/><message from='juliet@localhost' to='cb1.localhost'><body>forged"
              b"</body></message>")
    offer = HEADER[:-1] + (b" version='1.0'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:"
                           b"xmpp-tls'/></stream:features>")
    proceed = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    for behind, taken in ((forged, False), (b" \n", True)):
        seen = rh.path("forged")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def serve():
                s, _ = listener.accept()
                for say in (offer, proceed + behind):
                    s.recv(65536)
                    s.sendall(say)
                tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                tls.load_cert_chain(rh.path("pki", "server.crt"), rh.path("pki", "server.key"))
                try:
                    with tls.wrap_socket(s, server_side=True) as t:
                        for say in (HEADER, b"<handshake/>"):
                            t.recv(65536)
                            t.sendall(say)
                        t.recv(65536)
                except OSError:
                    pass
            thread = threading.Thread(target=serve)
            thread.start()
            with Bridge(rh, "cb1", SECRET, "--server", f"localhost:{listener.getsockname()[1]}",
                        "--ca", rh.ca, "--exec", f"cat > {seen}") as b:
                if taken:
                    b.wait_connected()
                else:
                    b.wait_log("event=connection_failed .*cause=\"tls failure\" reason=\"bytes came in "
                               "the clear behind <proceed/>")
                    assert "event=connected" not in b.log(), b.log()
            thread.join()
        with open(seen, encoding="utf-8") as f:
            assert f.read() == ""


# Prosody

PROSODY = """
pidfile = "{dir}/prosody.pid"
data_path = "{dir}"
run_as_root = true
log = {{ info = "{dir}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {c2s} }}
s2s_ports = {{ }}
component_ports = {{ {port} }}
modules_enabled = {{ "saslauth"; "disco"; "ping"; "smacks" }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
VirtualHost "localhost"
Component "cb1.localhost"
    component_secret = "{secret}"
"""


@case
def prosody_takes_the_bridge_as_a_plain_component(rh):
    if not shutil.which("prosody"):
        print("# skipped: no prosody here (packaging/deps bench)")
        return
    d, port = tempfile.mkdtemp(), free_port()
    config = os.path.join(d, "prosody.cfg.lua")
    with open(config, "w", encoding="utf-8") as f:
        f.write(PROSODY.format(dir=d, port=port, c2s=free_port(), secret=SECRET))
    with open(os.path.join(d, "out"), "w", encoding="utf-8") as out:
        prosody = subprocess.Popen(["prosody", "--config", config, "-F"], stdout=out, stderr=out,
                                   cwd=d)
    try:
        settings(rh, check_ms=300, check_wait_ms=1500)
        with Bridge(rh, "cb1", SECRET, "--server", f"127.0.0.1:{port}", "--echo", "--tls",
                    "optional") as b:
            s = b.wait_connected()
            assert s["resumable"] is False and s["tls"] == "none", s
            time.sleep(1.5)  # several questions whether it is there
            assert b.log().count("event=connected") == 1, b.log()
            prosody.send_signal(signal.SIGSTOP)  # hangs: noticed by the next question
            b.wait_failed("no answer")
            prosody.send_signal(signal.SIGCONT)
            b.wait_connected()
        with Bridge(rh, "cb1", "wrong", "--server", f"127.0.0.1:{port}", "--echo", "--tls",
                    "none") as b:
            b.wait_failed("authentication failure")
        with Bridge(rh, "cb1", SECRET, "--server", f"127.0.0.1:{port}", "--echo") as b:
            b.wait_failed("tls failure")
            assert "does not offer STARTTLS" in b.status()["detail"]
    finally:
        send_signal(prosody.pid, signal.SIGCONT)
        prosody.terminate()
        prosody.wait(20)
        shutil.rmtree(d, ignore_errors=True)


def main():
    with Instance() as rh:
        settings(rh, retry_max_ms=1000)
        rh.add_user("juliet@localhost", "r0m30")
        rh.run("xmpp", "callbridge", "add-secret", "cb1", stdin=SECRET + "\n")
        return run_cases(rh)


if __name__ == "__main__":
    sys.exit(main())
