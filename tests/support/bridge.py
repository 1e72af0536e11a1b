"""
bridge - `callbridge run` for tests: a call bridge in the foreground of an instance that need not run,
which is where its status is; and a wire that can be cut.

    with Bridge(home, "cb1", secret, "--server", "127.0.0.1:5223", "--echo") as b:
        b.wait_connected()
        b.row()             # what `callbridge status` says behind "XMPP connection"
"""
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import tempfile
import threading

from roundhouse import BIN, wait_for


class Bridge:
    """home: an Instance (need not be started). options: of `callbridge run`."""

    def __init__(self, home, name, secret, *options, start=True):
        self.home, self.name = home, name
        self.secret_file = self._write_secret(secret)
        self.options = list(options)
        self.log_file = tempfile.NamedTemporaryFile("w+", prefix="bridge-", suffix=".log",
                                                    dir=os.environ.get("TMPDIR"))
        self.process = None
        if start:
            self.start()

    def _write_secret(self, secret):
        path = self.home.path(f"{self.name}.secret")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(secret + "\n")
        return path

    def start(self):
        command = [os.path.join(BIN, "callbridge"), "-C", self.home.dir, "run", "--name", self.name,
                   "--domain", self.home.domain, "--secret-file", self.secret_file, *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log_file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, number=signal.SIGTERM):
        """Its exit code."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        return self.process and self.process.returncode

    def log(self):
        with open(self.log_file.name, encoding="utf-8") as f:
            return f.read()

    def wait_log(self, pattern, count=1):
        """Until the pattern was logged count times; the last match."""
        def found():
            matches = list(re.finditer(pattern, self.log(), re.M))
            return matches[-1] if len(matches) >= count else None
        try:
            return wait_for(found, f"{pattern!r} in the log of {self.name}", 20)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log()[-3000:]}") from e

    def status(self):
        """`callbridge status --json`: a dict, or None while it does not run."""
        done = self.home.run("callbridge", "status", self.name, "--json", check=False)
        assert done.returncode in (0, 3), done.stdout
        return json.loads(done.stdout) if done.returncode == 0 else None

    def row(self):
        return connection_row(self.home, self.name)

    def wait(self, condition, what):
        def holds():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}"
            s = self.status()
            return s if s and condition(s) else None
        try:
            return wait_for(holds, what, 20)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log()[-3000:]}") from e

    def wait_connected(self):
        return self.wait(lambda s: s["state"] == "connected", f"{self.name} to be connected")

    def wait_failed(self, cause):
        return self.wait(lambda s: s.get("cause") == cause, f"{self.name} to fail: {cause}")

    def sockets(self):
        """Remote ends of its TCP connections: ["127.0.0.2:5223"]."""
        return tcp_peers(self.process.pid)


def connection_row(home, name=None):
    """The guides' row, literally: what follows "XMPP connection         : "."""
    out = home.run("callbridge", "status", *([name] if name else [])).stdout
    m = re.search(r"^XMPP connection {9}: (.*)$", out, re.M)
    assert m, out
    return m.group(1)


def tcp_peers(pid):
    """Established TCP connections of a process to IPv4 addresses."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            m = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            continue
        if m:
            inodes.add(m.group(1))
    found = []
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f.readlines()[1:]:
            words = line.split()
            if words[9] in inodes and words[3] == "01":
                address, port = words[2].split(":")
                ip = socket.inet_ntoa(bytes.fromhex(address)[::-1])
                found.append(f"{ip}:{int(port, 16)}")
    return found


class Wire:
    """A TCP relay to (host, port) on a port of its own. cut(): nothing passes any more, and nobody
    is told: as when a network is blocked. mend(): new connections do again."""

    def __init__(self, to, host="127.0.0.1"):
        self.to = to
        self.listener = socket.create_server((host, 0))
        self.listener.setblocking(False)
        self.host, self.port = self.listener.getsockname()
        self.pairs = {}
        self.forgotten = set()
        self.is_cut = threading.Event()
        self.ended = threading.Event()
        self.wake_r, self.wake_w = socket.socketpair()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.wake_w.send(b"x")
        self.thread.join()
        for s in [self.listener, self.wake_r, self.wake_w, *self.pairs]:
            s.close()

    def cut(self):
        self.is_cut.set()
        self.wake_w.send(b"x")

    def mend(self):
        self.is_cut.clear()
        self.wake_w.send(b"x")

    def _accept(self, sel):
        near, _ = self.listener.accept()
        far = socket.create_connection(self.to)
        for a, b in ((near, far), (far, near)):
            self.pairs[a] = b
            sel.register(a, selectors.EVENT_READ)

    def _pass(self, sel, s):
        try:
            data = s.recv(65536)
        except OSError:
            data = b""
        if data:
            try:
                self.pairs[s].sendall(data)
                return
            except OSError:
                pass
        for end in (s, self.pairs.get(s)):
            if end in self.pairs:
                sel.unregister(end)
                del self.pairs[end]
                end.close()

    def _forget(self, sel):
        """What is open stays so, unread, for good."""
        for s in self.pairs:
            if s not in self.forgotten:
                sel.unregister(s)
                self.forgotten.add(s)

    def _run(self):
        with selectors.DefaultSelector() as sel:
            sel.register(self.listener, selectors.EVENT_READ)
            sel.register(self.wake_r, selectors.EVENT_READ)
            while not self.ended.is_set():
                for key, _ in sel.select():
                    if key.fileobj is self.wake_r:
                        self.wake_r.recv(100)
                    elif self.ended.is_set() or self.is_cut.is_set():
                        pass
                    elif key.fileobj is self.listener:
                        self._accept(sel)
                    elif key.fileobj in self.pairs:
                        self._pass(sel, key.fileobj)
                if self.is_cut.is_set():
                    self._forget(sel)
                    sel.unregister(self.listener)
                    while self.is_cut.is_set() and not self.ended.is_set():
                        self.wake_r.recv(100)
                    sel.register(self.listener, selectors.EVENT_READ)
