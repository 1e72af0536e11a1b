"""
roundhouse - the server of $BIN in an instance of its own, and tests/support/relay beside it.
"""
import json
import os
import re
import resource
import subprocess
import time

from accounts import COMPONENT, PASSWORD, write_pie
from peers import end_process, free_port, wait_port

BIN = os.path.abspath(os.environ.get("BIN", "build/bin"))
IMPORTERS = 16  # each waits for the disk, one after the other of its accounts

# Plain streams, the sessions of one account, many connections, and senders that are not slowed
# down; an archive only where it is said (the other servers have none either).
CONFIG = {"cm-client": 'starttls = "optional"; instances = {instances};',
          "archive": 'enabled = {archive};',
          "cm-component": 'bytes_per_second = 0; session_unsettled_bytes = 16777216;',
          "router": "sessions_per_user = 100;",
          "limits": "session_unsettled_bytes = 16777216; bytes_per_second = 0; "
                    "connections = {connections};"}


class Roundhouse:
    name = "roundhouse"
    mech = None
    sm = True
    archives = True

    def __init__(self, folder):
        self.port = free_port()
        self.component_port = free_port()
        self.dir = os.path.join(folder, "instance")
        self.proc = None
        self.component_added = False
        self.pending = []

    @staticmethod
    def installed():
        return all(os.path.exists(os.path.join(BIN, p)) for p in ("supervisor", "xmpp"))

    def command(self, program, *args):
        return subprocess.Popen([os.path.join(BIN, program), "-C", self.dir, *args], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    @staticmethod
    def finish(process):
        out = process.communicate()[0]
        if process.returncode:
            raise RuntimeError(f"{' '.join(process.args)}: exit code {process.returncode}: "
                               f"{out[-500:]}")

    def output(self, program, *args):
        """What a command says, whatever its exit code."""
        return subprocess.run([os.path.join(BIN, program), "-C", self.dir, *args], check=False,
                              text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout

    def create(self):
        self.finish(self.command("supervisor", "init", "--domain", "localhost", "--listen",
                                 f"127.0.0.1:{self.port}", "--components",
                                 f"127.0.0.1:{self.component_port}"))
        with open(self.config_path(), encoding="utf-8") as f:
            self.config = f.read()

    def config_path(self):
        return os.path.join(self.dir, "conf", "roundhouse.conf")

    def configure(self, archive, instances=1):
        text = self.config
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        connections = min(100000, hard - 200)  # one that is full leaves the others the next
        for group, line in CONFIG.items():
            line = line.format(archive="true" if archive else "false", instances=instances,
                               connections=connections)
            text, found = re.subn(rf"^({group}\s*[:=]\s*\{{)", rf"\1\n\t{line}", text, count=1,
                                  flags=re.M)
            if not found:
                raise RuntimeError(f"{self.config_path()} has no group {group}")
        with open(self.config_path(), "w", encoding="utf-8") as f:
            f.write(text)

    def launch(self):
        with open(os.path.join(self.dir, "bench.out"), "ab") as out:
            self.proc = subprocess.Popen([os.path.join(BIN, "supervisor"), "-C", self.dir, "start",
                                          "-f"], stdout=out, stderr=out)
        wait_port(self.port, self.proc)
        self.wait_ready()
        if not self.component_added:
            self.add_component()
            self.component_added = True
        if self.pending:
            for group in self.pending:
                self.add_group(group)
            self.pending = []
            self.stop()
            self.launch()  # memory that the import has freed would be used again unseen

    def add_component(self):
        adder = self.command("xmpp", "component", "add", COMPONENT.split(".")[0], "--secret-file",
                             self.write_secret())
        self.finish(adder)

    def write_secret(self):
        path = os.path.join(self.dir, "component.secret")
        with open(path, "w", encoding="ascii") as f:
            f.write(PASSWORD + "\n")
        return path

    def seed(self, group):
        """These accounts are wanted when it is launched next."""
        self.pending.append(group)

    def add_group(self, group):
        importers = []
        for k in range(min(IMPORTERS, group.count)):
            path = os.path.join(self.dir, f"{group.name}-{k}.xml")
            write_pie(path, group, range(k, group.count, IMPORTERS))
            importers.append(self.command("xmpp", "import", path))
        for process in importers:
            self.finish(process)

    def status(self):
        return json.loads(self.output("supervisor", "status", "--json"))

    def wait_ready(self):
        for _ in range(300):
            try:
                if all(s["ready"] for s in self.status()["services"]):
                    return
            except (ValueError, KeyError):
                pass
            time.sleep(0.1)
        raise RuntimeError("not all services are ready after 30 s: "
                           + self.output("supervisor", "status"))

    def source(self):
        return ["--pid-root", str(self.proc.pid)]

    def stop(self):
        end_process(self.proc)


class Relay:
    """tests/support/relay: what the way of a message costs when nothing is done with it."""
    name = "relay"
    mech = None
    sm = False
    archives = False

    def __init__(self, folder):
        self.path = os.path.join(folder, "relay.sock")
        self.proc = None

    @staticmethod
    def installed():
        return os.path.exists(os.path.join(BIN, "relay"))

    def create(self):
        pass

    def configure(self, archive):
        pass

    def launch(self):
        self.proc = subprocess.Popen([os.path.join(BIN, "relay"), self.path], text=True,
                                     stdout=subprocess.PIPE)
        line = self.proc.stdout.readline()
        if not line:
            raise RuntimeError("relay said no port")
        self.port = int(line)

    def seed(self, group):
        pass

    def source(self):
        return ["--pid-root", str(self.proc.pid)]

    def stop(self):
        end_process(self.proc)
