#!/usr/bin/python3
"""
test_components - component libraries as they come: slixmpp's ComponentXMPP (plain and TLS) and npm's
@xmpp/component (which has no TLS for components) exchange messages and IQs with a client, find back
after a restart and say why they were refused.
"""
import os
import subprocess
import sys
import threading
from xml.sax.saxutils import escape, unescape

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
sys.path.insert(0, HERE)
from clients import ENVIRONMENT, PYTHON  # noqa: E402
from roundhouse import Instance, Raw, add_case, run_cases, wait_for  # noqa: E402

WITHOUT = os.environ.get("MATRIX_WITHOUT", "").split()
PROGRAMS = {
    "slixmpp": ([PYTHON, HERE + "/slixmpp_component.py"], False),
    "slixmpp_with_tls": ([PYTHON, HERE + "/slixmpp_component.py"], True),
    "xmppjs": (["node", HERE + "/xmppjs_component.mjs"], False),
}
TEXT = "<it> is & \"was\" the nightingale, não?"


class Program:
    """A library's component; lines: what it said."""

    def __init__(self, rh, library, jid, secret):
        command, tls = PROGRAMS[library]
        env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1",
                   **ENVIRONMENT.get(library, lambda _: {})(rh.ca))
        # The certificate is for localhost; the address is the same.
        self.process = subprocess.Popen(
            command + ["localhost" if tls else "127.0.0.1", str(rh.component_port), jid, secret] +
            ([rh.ca] if tls else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=env)
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def wait(self, line, times=1):
        wait_for(lambda: self.lines.count(line) >= times or self.process.poll() is not None,
                 f"{line!r}; it said {self.lines}")
        assert self.lines.count(line) >= times, self.lines

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def talks(raw, jid, text):
    raw.send(f"<message to='x@{jid}' type='chat'><body>{escape(text)}</body></message>")
    back = raw.expect(f"from=['\"]x@{jid}.*?<body>(.*?)</body>").group(1).decode()
    assert unescape(back, {"&quot;": '"', "&apos;": "'"}) == text, back
    raw.send(f"<iq type='get' id='e1' to='{jid}'><query xmlns='urn:example:echo'>abc</query></iq>")
    raw.expect("<iq [^>]*type=['\"]result['\"][^>]*><query [^>]*>abc</query></iq>")


def works(rh, library):
    jid = library.replace("_", "-") + ".localhost"
    with Raw(rh) as raw:
        raw.login("juliet", "capulet")
        program = Program(rh, library, jid, "secret-of-" + library)
        try:
            program.wait("online")
            talks(raw, jid, TEXT)
            rh.run("supervisor", "restart", "cm-component")
            program.wait("online", 2)
            talks(raw, jid, "after a restart")
        finally:
            program.close()


def is_told_why(rh, library):
    jid = library.replace("_", "-") + ".localhost"
    program = Program(rh, library, jid, "wrong")
    try:
        program.wait("error not-authorized")
        assert "online" not in program.lines
    finally:
        program.close()


def main():
    with Instance() as rh:
        rh.add_user("juliet@localhost", "capulet")
        for library in PROGRAMS:
            if library.split("_")[0] in WITHOUT:
                print(f"left out: {library} (MATRIX_WITHOUT)")
                continue
            rh.run("xmpp", "component", "add", library.replace("_", "-"), "--secret-file", "-",
                   stdin=f"secret-of-{library}\n")
            add_case(f"{library}_exchanges_messages_and_iqs_and_comes_back_after_a_restart",
                     lambda rh, lib=library: works(rh, lib))
            add_case(f"{library}_is_told_that_its_secret_is_wrong",
                     lambda rh, lib=library: is_told_why(rh, lib))
        return run_cases(rh)


if __name__ == "__main__":
    sys.exit(main())
