#!/usr/bin/python3
"""
drive - the ledger test: an instance, its accounts, the ledger program, and kills meanwhile.

    tests/ledger/drive.py [options] [-- options of the ledger]

Starts Roundhouse from $BIN (build/bin) in a directory of its own with two cm-clients and two
cm-components, runs the ledger and, while it sends, kills services with SIGKILL in random order, two in quick succession
now and then, and restarts some as an operator would. At the end the books of `xmpp stats` must
balance with nothing held. Exit code 0 only when the ledger and the books are in order.
--server prosody shows what the same ledger says about another server, if that is installed.
"""
import argparse
import concurrent.futures
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from bridge import Bridge
from roundhouse import BIN, LIMIT, Instance, alive, wait_for

PASSWORD = "ledger"
SERVICES = ["cm-client-1", "cm-client-2", "router", "datastore"]
PAIRS = [("cm-client-1", "router"), ("cm-client-2", "router"), ("router", "datastore"),
         ("cm-client-1", "datastore"), ("cm-client-1", "cm-client-2")]
COMPONENT_SERVICES = ["cm-component-1", "cm-component-2"]
COMPONENT_PAIRS = [("cm-component-1", "router"), ("router", "cm-component-2"),
                   ("cm-component-1", "cm-client-1"), ("cm-component-2", "datastore"),
                   ("cm-component-1", "cm-component-2")]
# So that the ledger knows why components lose their connections.
CUT, PLANNED = signal.SIGRTMIN, signal.SIGRTMIN + 1
CONFIG = {"cm-client": "instances = 2;",
          "cm-component": "instances = 2;",
          # Kills come faster than any crash loop: the delays that slow one down stay short.
          "supervisor": "restart_delay_max_ms = 400;"}
SECRET = "the-ledger-has-no-secrets"


def say(text):
    now = time.time()
    print(f"{time.strftime('%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d} {text}",
          file=sys.stderr, flush=True)


class Roundhouse:
    """The server under test, seen by the driver."""

    def __init__(self, accounts, config=None):
        self.rh = Instance(config=config or CONFIG)
        self.component_port = self.rh.component_port
        self.bridge = None  # callbridge --echo
        self.port, self.ca = self.rh.port, self.rh.ca
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda i: self.rh.add_user(f"ledger{i}@localhost", PASSWORD),
                          range(accounts)))

    def add_components(self, args):
        for kind, count, mode in (("part", args.components, "one"), ("bridge", args.bridges, "one"),
                                  ("shared", args.shared, "shared")):
            for i in range(count):
                self.rh.run("xmpp", "component", "add", f"{kind}{i}", "--secret-file", "-",
                            "--mode", mode, stdin=SECRET + "\n")
        if args.callbridge:
            self.rh.run("xmpp", "component", "add", "echo", "--secret-file", "-",
                        stdin=SECRET + "\n")
            # Kills come faster than any patience of a call bridge.
            self.bridge = Bridge(self.rh, "echo", SECRET, "--echo", "--ca", self.rh.ca, "--server",
                                 f"127.0.0.1:{self.component_port}", "--retry-max", "1000")
            self.bridge.wait_connected()

    def kill(self, name, announce):
        def running():
            pid = self.rh.supervisor_pid() if name == "supervisor" else self.rh.pid(name)
            return pid if pid > 1 and alive(pid) else None
        pid = wait_for(running, f"{name} to run")
        announce()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), f"the end of {name}, pid {pid}")

    def restart(self, name):
        self.rh.run("supervisor", "restart", name)

    def wait_ready(self):
        if not alive(self.rh.supervisor_pid()):
            self.rh.start()
        self.rh.wait_ready()

    def troubles(self):
        """What is wrong with the server itself after the ledger: a list of sentences."""
        found = []
        # Gone clients' sessions are ended and the last reports arrive within moments.
        try:
            wait_for(lambda: self.books().get("held") == 0, "nothing to be held", LIMIT / 3)
        except AssertionError:
            pass
        books = self.books()
        for key in ("difference", "held"):
            if books.get(key) != 0:
                found.append(f"xmpp stats: {key} is {books.get(key)}, not 0: {books}")
        for name in os.listdir(self.rh.path("log")):
            with open(self.rh.path("log", name), encoding="utf-8", errors="replace") as f:
                for line in f:
                    if re.search(r"SIGABRT|SIGSEGV|SIGBUS|check failed|Sanitizer", line):
                        found.append(f"log/{name}: {line.strip()[:300]}")
        return found

    def archive_gaps(self):
        """Messages that the router says it did not archive."""
        gaps = 0
        with open(self.rh.path("log", "router.log"), encoding="utf-8", errors="replace") as f:
            for line in f:
                found = re.search(r"event=archive-gap messages=(\d+)", line)
                gaps += int(found.group(1)) if found else 0
        return gaps

    def books(self):
        """The last line of `xmpp stats --json` that has books in it, or what is there of them."""
        text = self.rh.run("xmpp", "stats", "--json").stdout
        books = {}
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            books.update(find_books(row))
        return books

    def log_tail(self):
        return self.rh.log_tail(40)

    def stop(self):
        if self.bridge:
            self.bridge.stop()
        self.rh.cleanup()


def find_books(row):
    """The object that has both keys, however deep; one row per key is understood, too."""
    if isinstance(row, list):
        rows = row
    elif isinstance(row, dict):
        if "difference" in row and "held" in row:
            return row
        if row.get("key") in ("difference", "held"):
            return {row["key"]: row.get("value")}
        rows = list(row.values())
    else:
        return {}
    found = {}
    for inner in rows:
        found.update(find_books(inner))
    return found


PROSODY_CONF = """
pidfile = "{dir}/prosody.pid"
data_path = "{dir}/data"
log = {{ error = "{dir}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "posix", "smacks" }}
modules_disabled = {{ "s2s" }}
authentication = "internal_plain"
smacks_hibernation_time = 300
limits = {{ }}
VirtualHost "localhost"
    ssl = {{ key = "{dir}/key.pem"; certificate = "{dir}/crt.pem"; }}
"""


class Prosody:
    """Another server, for comparison and to prove the ledger: one process, killed as a whole."""

    def __init__(self, accounts):
        loader = importlib.machinery.SourceFileLoader("bench_run",
                                                      os.path.join(HERE, "../../bench/run"))
        sys.dont_write_bytecode = True
        spec = importlib.util.spec_from_loader("bench_run", loader)
        bench = importlib.util.module_from_spec(spec)
        loader.exec_module(bench)
        bench.PROSODY_CONF, bench.USERS = PROSODY_CONF, 0
        self.folder = tempfile.mkdtemp(prefix="ledger-", dir=os.environ.get("TMPDIR"))
        os.chmod(self.folder, 0o755)
        self.server = bench.Prosody(self.folder)
        self.port, self.ca = self.server.port, None
        data = os.path.join(self.server.dir, "data", "localhost", "accounts")
        make, self.server.hand_over = self.server.hand_over, lambda: None
        launch, self.server.launch = self.server.launch, lambda: None
        self.server.start()
        os.makedirs(data)
        for i in range(accounts):
            with open(os.path.join(data, f"ledger{i}.dat"), "w", encoding="ascii") as f:
                f.write(f'return {{ ["password"] = "{PASSWORD}"; }};\n')
        make()
        self.server.launch = launch
        launch()

    def kill(self, name, announce):
        announce()
        self.server.proc.kill()
        self.server.proc.wait()
        self.server.launch()

    def restart(self, name):
        self.server.stop()
        self.server.launch()

    def wait_ready(self):
        pass

    def troubles(self):
        return []

    def archive_gaps(self):
        return 0

    def log_tail(self):
        with open(os.path.join(self.server.dir, "prosody.log"), encoding="utf-8") as f:
            return f.read()[-2000:]

    def stop(self):
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Ledger:
    """The program: running, and what it said at the end."""

    def __init__(self, server, args):
        command = [os.path.join(BIN, "ledger"), "--port", str(server.port), "--seed",
                   str(args.seed), "--time", str(args.seconds), "--sm", str(args.sm), "--plain",
                   str(args.plain), "--rate", str(args.rate), "--json"]
        command += ["--ca", server.ca] if server.ca else []
        command += ["--no-sm"] if args.no_sm else []
        command += ["--carbons", str(args.carbons), "--block", str(args.block)]
        command += ["--archive"] if args.archive else []
        command += ["--components", str(args.components), "--bridges", str(args.bridges),
                    "--shared", str(args.shared), "--secret", SECRET]
        if args.has_components:
            command += ["--component-port", str(server.component_port)]
        command += ["--echo", "bot@echo.localhost"] if args.callbridge else []
        command += ["--strict"] if args.server == "roundhouse" and not args.lenient else []
        command += args.ledger
        self.online = threading.Event()
        self.settling = threading.Event()
        self.proc = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                     text=True)
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        for line in self.proc.stderr:
            sys.stderr.write(line)
            if "event=online" in line:
                self.online.set()
            elif "event=settling" in line:
                self.settling.set()
        self.online.set()
        self.settling.set()

    def signal(self, number):
        if self.proc.poll() is None:
            self.proc.send_signal(number)

    def end(self):
        text = self.proc.stdout.read()
        self.proc.wait()
        self.thread.join()
        return json.loads(text) if text.strip() else None

    def stop(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()


class Killer:
    """Kills and restarts, evenly over the time of sending; everything from one seed."""

    def __init__(self, server, ledger, args):
        self.server, self.ledger, self.args = server, ledger, args
        self.random = random.Random(args.seed)
        self.kills = self.pairs = self.restarts = 0
        self.deck = []

    def service(self):
        """Random, but each as often as the others."""
        if not self.deck:
            self.deck = self.random.sample(self.args.victims, len(self.args.victims))
        return self.deck.pop()

    def plan(self):
        """All actions in advance, so that they can be spread evenly: tuples of the services to
        kill; (service, None) is a planned restart."""
        actions, kills = [], 0
        while kills < self.args.kills:
            kind = self.random.random()
            if kind < self.args.planned:
                name = self.service()
                if name != "supervisor":  # nobody could restart it
                    actions.append((name, None))
            elif kind < self.args.planned + self.args.pair and self.args.kills - kills > 1:
                actions.append(self.random.choice(self.args.pairs))
                kills += 2
            else:
                actions.append((self.service(),))
                kills += 1
        return actions

    def announce(self, name, number):
        """The ledger is told that components lose their connections now, and why."""
        if name in COMPONENT_SERVICES:
            self.ledger.signal(number)

    def act(self, names):
        if names[-1] is None:
            say(f"event=restart service={names[0]}")
            self.announce(names[0], PLANNED)
            self.server.restart(names[0])
            self.restarts += 1
            return
        gap = self.random.uniform(*self.args.gap) if len(names) > 1 else 0
        say(f"event=kill service={names[0]}" + (f" then={names[1]} gap={gap:.3f}" if gap else ""))
        for name in names:
            if name != names[0]:
                time.sleep(gap)
            self.server.kill(name, lambda n=name: self.announce(n, CUT))
            self.kills += 1
        self.pairs += len(names) > 1

    def run(self):
        actions = self.plan()
        each = self.args.seconds / (len(actions) + 0.5)
        begun = time.monotonic()
        for i, names in enumerate(actions):
            due = begun + each * (i + self.random.uniform(0.5, 1))
            # What died before always has the time in which two in quick succession are promised.
            if self.ledger.settling.wait(max(self.args.gap[0], due - time.monotonic())):
                break
            self.ledger.signal(signal.SIGUSR1)
            self.act(names)
            self.server.wait_ready()
            self.ledger.signal(signal.SIGUSR2)
        say(f"event=kills_done kills={self.kills} pairs={self.pairs} restarts={self.restarts}")


def judge(result, killer, troubles, args):
    """Everything that is wrong, as sentences."""
    wrong = list(troubles)
    if not result:
        return wrong + ["the ledger could not be run"]
    if killer.kills < args.kills:
        wrong.append(f"only {killer.kills} of {args.kills} kills fitted into the time")
    # A gap that was told is one hole in each of two archives; nothing else excuses one.
    told = min(result["archive_hole"], 2 * result["archive_gaps"])
    breaches = result["breaches"] - told
    if breaches:
        broken = [b for b in result["broken"] if b != "archive_hole" or result[b] > told]
        wrong.append(f"{breaches} breaches: {', '.join(broken)}")
    for wanted, count in ((args.carbons, "carbons"), (args.archive, "archived"),
                          (args.block, "blocked"), (args.callbridge, "echoes")):
        if wanted and not result[count]:
            wrong.append(f"nothing was {count}: that was not at work")
    for wanted, row in ((args.components + args.shared, "part"), (args.bridges, "bridge")):
        if wanted and not (result["to_" + row]["received"] and result["of_" + row]["received"]):
            wrong.append(f"no messages to and from components ({row}): they were not at work")
    if not args.no_sm and args.sm and (not result["resumed"] or result["not_enabled"]):
        wrong.append("XEP-0198 was not at work: nothing was resumed or it was not offered")
    if result["all"]["acknowledged"] < args.seconds * args.rate / 4:
        wrong.append("too few messages were acknowledged to prove anything")
    return wrong


def drive(args):
    """One run: (the ledger's result or None, what is wrong)."""
    accounts = args.sm + args.plain
    say(f"event=start server={args.server} seed={args.seed}")
    server = (Prosody if args.server == "prosody" else Roundhouse)(accounts)
    ledger = None
    try:
        if args.has_components:
            server.add_components(args)
        ledger = Ledger(server, args)
        ledger.online.wait()
        killer = Killer(server, ledger, args)
        killer.run()
        result = ledger.end()
        if result:
            result["archive_gaps"] = server.archive_gaps()
        wrong = judge(result, killer, server.troubles(), args)
        if result:
            result.update(kills=killer.kills, pairs=killer.pairs, restarts=killer.restarts)
        if wrong and args.logs:
            print(server.log_tail())
        if wrong and args.keep and isinstance(server, Roundhouse):
            shutil.copytree(server.rh.path("log"), args.keep, dirs_exist_ok=True)
            say(f"logs kept in {args.keep}")
        return result, wrong
    finally:
        if ledger:
            ledger.stop()
        server.stop()


ROWS = [("sm_sm", "XEP-0198 to XEP-0198"), ("sm_plain", "XEP-0198 to plain"),
        ("plain_sm", "plain to XEP-0198"), ("plain_plain", "plain to plain"),
        ("to_bridge", "to XEP-0198 component"), ("of_bridge", "of XEP-0198 component"),
        ("to_part", "to plain component"), ("of_part", "of plain component"),
        ("server", "pings to the server"), ("all", "all")]
COLUMNS = ("sent", "acknowledged", "received", "bounced", "apart", "unknown", "lost")


def show(result, wrong):
    if result:
        print(f"{'':22}" + "".join(f"{c:>13}" for c in COLUMNS))
        for key, title in ROWS:
            print(f"{title:22}" + "".join(f"{result[key][c]:13}" for c in COLUMNS))
        rest = [f"{k}={v}" for k, v in result.items()
                if isinstance(v, int) and not isinstance(v, bool)]
        print(" ".join(rest))
    for line in wrong:
        print("BROKEN: " + line)
    if not wrong:
        print("kept: nothing lost, nothing twice, nothing overtaken, the books balance")
    sys.stdout.flush()


def arguments(argv=None):
    p = argparse.ArgumentParser(description="the ledger test with kills")
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--kills", type=int, default=20)
    p.add_argument("--rate", type=int, default=400, help="messages a second")
    p.add_argument("--sm", type=int, default=160, help="clients with XEP-0198")
    p.add_argument("--plain", type=int, default=40, help="clients without")
    p.add_argument("--no-sm", action="store_true", help="nobody uses XEP-0198")
    p.add_argument("--carbons", type=float, default=0, metavar="SHARE",
                   help="share of the clients with XEP-0198 that want copies (XEP-0280)")
    p.add_argument("--block", type=float, default=0, metavar="SHARE",
                   help="share of them that block others (XEP-0191)")
    p.add_argument("--archive", action="store_true",
                   help="the archives are read at the end (XEP-0313)")
    p.add_argument("--components", type=int, default=0, metavar="N",
                   help="components (XEP-0114), plain")
    p.add_argument("--bridges", type=int, default=0, metavar="N", help="... with XEP-0198")
    p.add_argument("--shared", type=int, default=0, metavar="N",
                   help="... plain domains with two connections each")
    p.add_argument("--callbridge", action="store_true", help="... and `callbridge run --echo`")
    p.add_argument("--seed", type=int, default=int(time.time()) % 1000000)
    p.add_argument("--lenient", action="store_true",
                   help="refused resumes and connections are counted, but no breach")
    p.add_argument("--repeat", type=int, default=1, help="runs, each with the next seed")
    p.add_argument("--victims", type=lambda text: text.split(","),
                   help="who is killed, alone: comma-separated (" + ",".join(SERVICES) +
                   "; with components also supervisor," + ",".join(COMPONENT_SERVICES) + ")")
    p.add_argument("--pair", type=float, default=0.15,
                   help="share of kills that take two services in quick succession")
    p.add_argument("--gap", type=float, nargs=2, default=(0.3, 1.0), metavar=("MIN", "MAX"),
                   help="seconds between these two")
    p.add_argument("--planned", type=float, default=0.15,
                   help="share of planned restarts instead of kills")
    p.add_argument("--server", choices=("roundhouse", "prosody"), default="roundhouse")
    p.add_argument("--json", metavar="FILE", help="all results, one object a line")
    p.add_argument("--keep", metavar="DIR", help="copy the logs there when something is wrong")
    p.add_argument("--logs", action="store_true", help="the ends of the logs when it is wrong")
    p.add_argument("ledger", nargs="*", help="options for the ledger itself, after --")
    args = p.parse_args(argv)
    components = args.components + args.bridges + args.shared + args.callbridge > 0
    args.has_components = components
    args.pairs = PAIRS + (COMPONENT_PAIRS if components else [])
    if not args.victims:
        args.victims = SERVICES + (COMPONENT_SERVICES + ["supervisor"] if components else [])
    return args


def main():
    args = arguments()
    broken = 0
    for _ in range(args.repeat):
        result, wrong = drive(args)
        show(result, wrong)
        broken += bool(wrong)
        if args.json:
            with open(args.json, "a", encoding="utf-8") as f:
                f.write(json.dumps(dict(result or {}, seed=args.seed, wrong=wrong)) + "\n")
        args.seed += 1
    print(f"{args.repeat - broken} of {args.repeat} runs kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
