"""
clients - the programs of the matrix, one per client library, spoken to by the lines of adapter.py.
"""
import atexit
import json
import os
import subprocess
import threading
import time

from roundhouse import BIN, LIMIT

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's libraries
_running = []


def _npm():
    """The folder with npm's packages, filled when it is not there yet."""
    if not hasattr(_npm, "folder"):
        done = subprocess.run([os.path.join(HERE, "npm"), os.path.join(BIN, "../../npm")],
                              text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.strip()
        _npm.folder = os.path.abspath(done.stdout.strip())
    return _npm.folder


# What runs a library's program; what it needs to trust a CA comes from ENVIRONMENT or by "connect".
PROGRAMS = {
    "slixmpp": [PYTHON, HERE + "/slixmpp_client.py"],
    "aioxmpp": [PYTHON, HERE + "/aioxmpp_client.py"],
    "strophe": [BIN + "/strophe-client"],
    "xmppjs": ["node", "--dns-result-order=ipv4first", HERE + "/xmppjs_client.mjs"],
    "profanity": [PYTHON, HERE + "/profanity_client.py"],
}
ENVIRONMENT = {
    "xmppjs": lambda ca: {"NODE_EXTRA_CA_CERTS": ca, "MATRIX_NPM": _npm()},
}


def bare(name):
    return f"{name}@localhost"


class Client:
    """One session of a library: commands in, events out."""

    def __init__(self, rh, library, jid=None, password=None, ca=None, tls="starttls"):
        self.library = library
        self.jid = jid or f"{bare(library)}/{library}"
        self.bare = self.jid.split("/")[0]
        self.events = []  # what came and was not expected yet
        self.seen = []    # all that came
        self.news = threading.Condition()
        ca = ca or rh.ca
        env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1",
                   **ENVIRONMENT.get(library, lambda _: {})(ca))
        self.process = subprocess.Popen(PROGRAMS[library], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=env)
        _running.append(self)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.do("connect", jid=self.jid, password=password or "secret-" + self.bare.split("@")[0],
                host="127.0.0.1", port=rh.port, ca=ca, tls=tls)

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if "from" in event:
                event["who"] = event["from"].split("/")[0]
            with self.news:
                self.events.append(event)
                self.seen.append(event)
                self.news.notify_all()
        with self.news:
            self.events.append({"event": "ended"})
            self.news.notify_all()

    def do(self, command, **args):
        self.process.stdin.write(json.dumps({"do": command, **args}, ensure_ascii=False) + "\n")
        self.process.stdin.flush()

    def _take(self, event, fields):
        for found in self.events:
            if found["event"] == event and all(found.get(k) == v for k, v in fields.items()):
                self.events.remove(found)
                return found
            if found["event"] in ("trouble", "ended") or \
                    (found["event"] == "failed" and event == "done"):
                raise AssertionError(f"{self.jid} of {self.library}: {found}, expected {event} "
                                     f"{fields}; all it said: {self.seen[-12:]}")
        return None

    def expect(self, event, **fields):
        """Waits for the event with these fields and takes it."""
        end = time.monotonic() + LIMIT
        with self.news:
            while not (found := self._take(event, fields)):
                if not self.news.wait(end - time.monotonic()):
                    raise AssertionError(
                        f"{self.jid} of {self.library}: in vain for {event} {fields}; not "
                        f"expected so far: {self.events[-12:]}")
        return found

    def ask(self, command, **args):
        """A command and the server's answer."""
        self.do(command, **args)
        self.expect("done", do=command)

    def sync(self):
        """All that the server had for this client has come, all it sent has been judged."""
        self.ask("sync")

    def has(self, event, **fields):
        with self.news:
            return self._take(event, fields) is not None

    def forget(self):
        """What came and was not expected; how a login went has its own case."""
        with self.news:
            self.events = [e for e in self.events if e["event"] in ("online", "refused", "ended")]

    def online(self):
        self.expect("online", jid=self.jid)
        self.sync()
        return self

    def leave(self):
        """Logs out; the program ends."""
        self.process.stdin.close()
        self.expect("offline")
        assert self.process.wait(LIMIT) == 0, self.process.returncode
        self.close()

    def close(self):
        if self in _running:
            _running.remove(self)
        try:
            self.process.stdin.close()
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stdout.close()


def close_all():
    for client in list(_running):
        client.close()


atexit.register(close_all)
