"""
roundhouse - an instance of the real programs in a temporary directory, and what tests need round it.

    with Instance() as rh:
        rh.add_user("juliet@localhost", "secret")
        rh.kill("router", signal.SIGKILL)

An instance listens on a free port of 127.0.0.1, lives below TMPDIR and is ended by pid whatever
happens to the test: at exit and on signals every process whose working directory is the instance's
(all services, DESIGN 5) is stopped, then killed. Tests do not assert on times: wait_for() has one
generous limit, which only says that something hangs.

Cases: functions marked with @case are run by run_cases() in order and reported as cmocka does.
"""
import atexit
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

BIN = os.path.abspath(os.environ.get("BIN", "build/bin"))
SANITIZED = os.environ.get("V") in ("asan", "tsan")
LIMIT = 45 * (3 if SANITIZED else 1)  # seconds after which a wait is a failure

_instances = []


def wait_for(condition, what, limit=LIMIT):
    """Calls condition until it returns something true, and returns that."""
    end = time.monotonic() + limit
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit} s in vain for: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def alive(pid):
    """Runs, and is not merely waiting to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def send_signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Instance:
    """An instance of Roundhouse: made, started, and ended by pid."""

    def __init__(self, domain="localhost", start=True, config=None):
        self.domain = domain
        self.port = free_port()
        self.dir = os.path.join(tempfile.mkdtemp(prefix="i", dir=os.environ.get("TMPDIR")), "rh")
        os.chmod(os.path.dirname(self.dir), 0o755)  # services that drop their rights pass through
        _instances.append(self)
        self.component_port = free_port()
        self.run("supervisor", "init", "--domain", domain, "--listen", f"127.0.0.1:{self.port}",
                 "--components", f"127.0.0.1:{self.component_port}")
        if config:
            self.configure(config)
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cleanup()

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    @property
    def ca(self):
        return self.path("pki", "ca.pem")

    def configure(self, settings):
        """Adds settings to top level groups, {"log": 'level = "debug";'}; those that stand there
        already (lists do) go."""
        name = self.path("conf", "roundhouse.conf")
        with open(name, encoding="utf-8") as f:
            text = f.read()
        for group, body in settings.items():
            inside = re.compile(r"^(%s\s*[:=]\s*\{)" % re.escape(group), re.M)
            if not inside.search(text):
                raise AssertionError(f"{name} has no group {group}")
            at = inside.search(text).end()
            end = text.index("\n}", at)
            block = text[at:end]
            for key in re.findall(r"^\s*(\w+)\s*=", body, re.M):
                block = re.sub(r"^\t%s\s*=[^;]*;\n" % key, "", block, flags=re.M)
            text = text[:at] + "\n\t" + body + block + text[end:]
        with open(name, "w", encoding="utf-8") as f:
            f.write(text)

    # Commands.

    def run(self, program, *args, stdin="", check=True):
        """A command on this instance: the CompletedProcess, output as text."""
        command = [os.path.join(BIN, program), "-C", self.dir, *args]
        # Files, not pipes: what a daemon inherits must not keep us waiting for the end of a pipe.
        with tempfile.TemporaryFile("w+") as out:
            done = subprocess.run(command, input=stdin, text=True, stdout=out,
                                  stderr=subprocess.STDOUT, check=False, timeout=4 * LIMIT)
            out.seek(0)
            done.stdout = out.read()
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join([program] + list(args))}: exit code "
                                 f"{done.returncode}: {done.stdout.strip()}\n{self.log_tail()}")
        return done

    def start(self):
        self.run("supervisor", "start")

    def stop(self):
        self.run("supervisor", "stop")

    def add_user(self, jid, password):
        self.run("xmpp", "user", "add", jid, "--password-stdin", stdin=password + "\n")

    def status(self):
        """`supervisor status --json`; its exit code says whether all are ready, which is in it."""
        text = self.run("supervisor", "status", "--json", check=False).stdout
        try:
            return json.loads(text)
        except ValueError as e:
            raise AssertionError(f"status is not JSON: {text!r}") from e

    def services(self):
        return self.status()["services"]

    def service(self, name):
        """The row of `status` for a service or an instance of it."""
        for row in self.services():
            if name in (row["instance"], row["service"]):
                return row
        raise AssertionError(f"status has no {name}")

    def pid(self, name):
        return self.service(name)["pid"]

    def supervisor_pid(self):
        with open(self.path("run", "supervisor.pid"), encoding="ascii") as f:
            return int(f.read())

    def wait_ready(self, name=None):
        def ready():
            try:
                rows = self.services()
            except (AssertionError, ValueError):
                return None
            rows = [r for r in rows if name in (None, r["service"], r["instance"])]
            return rows if rows and all(r["ready"] for r in rows) else None
        return wait_for(ready, f"{name or 'every service'} to be ready")

    def kill(self, name, number=signal.SIGKILL):
        """Signals a service's process, waits until it is gone and returns its pid."""
        pid = self.pid(name)
        if pid <= 0:  # being restarted just now; kill(0) would be our own group
            self.wait_ready(name)
            pid = self.pid(name)
        assert pid > 1, f"{name} has no process"
        os.kill(pid, number)
        wait_for(lambda: not alive(pid), f"the end of {name}, pid {pid}")
        return pid

    # Logs.

    def log(self, service):
        """All of a service's log, rotated parts first."""
        text = ""
        names = [n for n in os.listdir(self.path("log")) if n.startswith(service + ".log")]
        for name in sorted(names, key=lambda n: (len(n), n), reverse=True):
            with open(self.path("log", name), encoding="utf-8", errors="replace") as f:
                text += f.read()
        return text

    def wait_log(self, service, pattern):
        return wait_for(lambda: re.search(pattern, self.log(service), re.M),
                        f"{pattern!r} in the log of {service}")

    def stats(self, process):
        """What `xmpp stats` says of one process: a dict."""
        out = self.run("xmpp", "stats", "--json").stdout
        lines = [json.loads(line) for line in out.splitlines()]
        return next(line for line in lines if line["process"] == process)

    def wait_stats(self, process, condition):
        """Until condition(what stats() says) holds."""
        wait_for(lambda: condition(self.stats(process)), f"stats of {process}")

    def log_tail(self, lines=15):
        text = ""
        try:
            for name in sorted(os.listdir(self.path("log"))):
                with open(self.path("log", name), encoding="utf-8", errors="replace") as f:
                    text += f"--- log/{name}\n" + "".join(f.readlines()[-lines:])
        except OSError:
            pass
        return text

    # The end.

    def processes(self):
        """Pids of all processes of this instance: they run in its directory."""
        found = []
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and os.readlink(f"/proc/{name}/cwd") == self.dir and \
                        alive(int(name)):
                    found.append(int(name))
            except OSError:
                pass
        try:
            pid = self.supervisor_pid()
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if self.dir.encode() in f.read() and alive(pid) and pid not in found:
                    found.append(pid)
        except (OSError, ValueError):
            pass
        return found

    def cleanup(self):
        """Ends everything; never fails."""
        if self not in _instances:
            return
        _instances.remove(self)
        try:
            self.run("supervisor", "stop", check=False)
        except (OSError, subprocess.SubprocessError):
            pass
        end = time.monotonic() + 5
        for number in (signal.SIGTERM, signal.SIGKILL):
            while left := self.processes():
                for pid in left:
                    send_signal(pid, number)
                time.sleep(0.05)
                if number == signal.SIGTERM and time.monotonic() > end:
                    break
        if "TMPDIR" not in os.environ:  # by hand; tests/run keeps or removes what it made
            shutil.rmtree(os.path.dirname(self.dir), ignore_errors=True)


def _cleanup_all():
    for instance in list(_instances):
        instance.cleanup()


def _on_signal(number, _):
    sys.exit(128 + number)


atexit.register(_cleanup_all)
for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, _on_signal)


class Closed(AssertionError):
    """The server closed the connection before it sent what was expected."""


class Raw:
    """A socket for hostile tests: bytes out, and what exactly comes back."""

    def __init__(self, rh):
        self.rh = rh
        self.sock = socket.create_connection(("127.0.0.1", rh.port), timeout=LIMIT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""  # what came and was not expected yet
        self.seen = b""    # all that came

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        try:
            self.sock.sendall(data)
        except OSError:
            pass  # refused already: what it said is still to be read

    def send_slowly(self, data):
        for byte in data.encode() if isinstance(data, str) else data:
            self.send(bytes([byte]))

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        except TimeoutError as e:
            raise AssertionError(f"no answer in {LIMIT} s; came: {self.buffer!r}") from e
        self.buffer += data
        self.seen += data
        return bool(data)

    def expect(self, pattern):
        """Reads until the pattern is there, takes it and all before it; returns the match."""
        regex = re.compile(pattern.encode() if isinstance(pattern, str) else pattern, re.S)
        while not (m := regex.search(self.buffer)):
            if not self._more():
                raise Closed(f"closed without {pattern!r}; came: {self.buffer!r}")
        self.buffer = self.buffer[m.end():]
        return m

    def read_to_end(self):
        """Everything up to the end of the connection."""
        while self._more():
            pass
        return self.buffer

    def header(self, to=None, extra=""):
        self.send(f"<?xml version='1.0'?><stream:stream to='{to or self.rh.domain}' version='1.0' "
                  f"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'{extra}>")

    def open(self):
        self.header()
        return self.expect("</stream:features>")

    def start_tls(self):
        """From a fresh connection to a secured one, certificate verified, without a stream."""
        self.open()
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.expect("<proceed[^>]*/>")
        self.wrap()

    def wrap(self):
        context = ssl.create_default_context(cafile=self.rh.ca)
        self.sock = context.wrap_socket(self.sock, server_hostname=self.rh.domain)
        self.buffer = b""

    def plain(self, user, password):
        import base64
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
                  f"{token}</auth>")

    def authenticate(self, user, password):
        """Secured and authenticated, the new stream open, nothing bound."""
        self.start_tls()
        self.open()
        self.plain(user, password)
        self.expect("<success[^>]*(/>|>[^<]*</success>)")
        self.open()

    def login(self, user, password, resource="raw", presence=True):
        """An ordinary client; returns its full JID."""
        self.authenticate(user, password)
        self.send("<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                  f"<resource>{resource}</resource></bind></iq>")
        jid = self.expect("<jid>([^<]*)</jid>.*?</iq>").group(1).decode()
        if presence:
            self.send("<presence/>")
            self.ping()
        return jid

    def ping(self):
        """A round trip through the server: all that was sent before has been taken."""
        self.send("<iq type='get' id='rt'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.expect("<iq [^>]*id=['\"]rt['\"][^>]*>")


_cases = []


def case(f):
    """Marks a test case; its name is its sentence."""
    _cases.append((f.__name__, f))
    return f


def add_case(name, f):
    """A case made from a row of a table."""
    _cases.append((name, f))


def run_cases(*args):
    """Runs all cases with the same arguments; prints as cmocka does; the exit code."""
    failed = []
    print(f"[==========] Running {len(_cases)} test(s).", flush=True)
    for name, f in _cases:
        print(f"[ RUN      ] {name}", flush=True)
        try:
            f(*args)
            print(f"[       OK ] {name}", flush=True)
        except Exception as e:  # a case may fail in any way; the next one still runs
            traceback.print_exc(file=sys.stdout)
            print(f"[  FAILED  ] {name}", flush=True)
            failed.append((name, e))
    if failed:
        for instance in _instances:
            print(instance.log_tail())
        print(f"[  FAILED  ] {len(failed)} test(s), listed below:")
        for name, e in failed:
            at = traceback.extract_tb(e.__traceback__)
            own = [frame for frame in at if "/support/" not in frame.filename] or at
            print(f"[  FAILED  ] {name}\n    line {own[-1].lineno}: {own[-1].line}\n    "
                  f"{type(e).__name__}: {str(e)[:1500]}")
    print(f"[  PASSED  ] {len(_cases) - len(failed)} test(s).")
    return 1 if failed else 0
