#!/usr/bin/python3
"""
The supervisor with dummy services (tests/support/dummy): starting, dying, adopting, reloading,
logs. Real processes, real kills. As root all of it runs with dropped rights; then a part of it
once more as an ordinary user.
"""
import concurrent.futures
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

BIN = os.environ.get("BIN") or sys.exit("set BIN to the directory of the binaries")
SLOW = 4 if os.environ.get("V") in ("asan", "tsan") else 1
SANITIZED = SLOW > 1
NOBODY = 65534


class Failed(AssertionError):
    pass


def check(condition, *what):
    if not condition:
        raise Failed(" ".join(str(w) for w in what))


def wait_for(seconds, what, condition):
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Failed(f"not within {seconds * SLOW} s: {what}")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


FAKE_PKI = """#!/bin/sh
[ "$3 $4" = "lab --domain" ] || exit 1
mkdir -p pki && echo KEY1 > pki/server.key && echo CERT1 > pki/server.crt && echo CA > pki/ca.pem
"""


class Instance:
    def __init__(self, uid=None, **conf):
        self.uid = uid
        self.base = tempfile.mkdtemp(prefix="sup-")
        os.chmod(self.base, 0o755)
        self.bin = os.path.join(self.base, "bin")
        self.dir = os.path.join(self.base, "inst")
        os.mkdir(self.bin)
        for name in ("router", "datastore", "cm-client", "cm-component", "callbridge"):
            shutil.copy(os.path.join(BIN, "dummy"), os.path.join(self.bin, name))
        shutil.copy(os.path.join(BIN, "supervisor"), self.bin)
        with open(os.path.join(self.bin, "pki"), "w", encoding="ascii") as f:
            f.write(FAKE_PKI)
        os.chmod(os.path.join(self.bin, "pki"), 0o755)
        if uid is not None:
            os.chown(self.base, uid, uid)
        # As root inside a private directory: services pass by descriptors and relative paths.
        os.chmod(self.base, 0o755 if uid is not None else 0o700)
        self.pids = set()
        self.ok("init", "--listen", "127.0.0.1:0", "--domain", "example.org")
        os.mkdir(os.path.join(self.dir, "do"))
        os.chmod(os.path.join(self.dir, "do"), 0o777)
        self.configure(cm_component__instances=0)
        self.configure(**conf)

    def argv(self, *args):
        return [os.path.join(self.bin, "supervisor"), "-C", self.dir, *args]

    def popen(self, *args, stdout=subprocess.PIPE, **kw):
        def become():
            os.setgroups([])
            os.setgid(self.uid)
            os.setuid(self.uid)
        return subprocess.Popen(self.argv(*args), stdin=subprocess.DEVNULL, text=True,
                                stdout=stdout, stderr=subprocess.STDOUT,
                                preexec_fn=become if self.uid is not None else None, **kw)

    def run(self, *args, timeout=60):
        p = self.popen(*args)
        out, _ = p.communicate(timeout=timeout * SLOW)
        return p.returncode, out

    def ok(self, *args):
        code, out = self.run(*args)
        check(code == 0, args, "gave", code, out)
        return out

    def fails(self, code, *args):
        got, out = self.run(*args)
        check(got == code, args, "gave", got, "instead of", code, out)
        return out

    def configure(self, **keys):
        """Sets keys like cm_client__instances=2 in the written example."""
        text = self.read("conf/roundhouse.conf")
        for name, value in keys.items():
            section, _, key = name.replace("cm_", "cm-").rpartition("__")
            start = text.index(f"\n{section} = {{") if section else 0
            head, tail = text[:start], text[start:]
            tail, n = re.subn(rf"(?m)^(\s*)(?:# )?{key} = .*;$", rf"\1{key} = {value};", tail,
                              count=1)
            check(n == 1, "no key", name)
            text = head + tail
        self.write("conf/roundhouse.conf", text)

    def read(self, name):
        with open(os.path.join(self.dir, name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def do(self, instance, what):
        path = os.path.join(self.dir, "do", instance)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(what + "\n")
        os.chmod(path + ".new", 0o666)
        os.rename(path + ".new", path)
        wait_for(5, f"{instance} does {what}", lambda: not os.path.exists(path))

    def log(self, service):
        path = os.path.join(self.dir, "log", service + ".log")
        return self.read(f"log/{service}.log") if os.path.exists(path) else ""

    def wait_log(self, service, pattern, seconds=5):
        return wait_for(seconds, f"{pattern} in {service}.log",
                        lambda: re.search(pattern, self.log(service)))

    def status(self):
        _, out = self.run("status", "--json")
        try:
            st = json.loads(out)
        except ValueError as e:
            raise Failed(f"status --json: {e}: {out}") from e
        self.pids |= {s["pid"] for s in st["services"]} | {st["pid"]}
        return st

    def service(self, instance):
        for s in self.status()["services"]:
            if s["instance"] == instance:
                return s
        raise Failed(f"{instance} is not in the status")

    def wait_ready(self, instance, other_than=0, seconds=10):
        def ready():
            s = self.service(instance)
            return s if s["ready"] and s["pid"] != other_than else None
        return wait_for(seconds, f"{instance} ready", ready)

    def connect(self):
        host, port = self.status()["listeners"][0].rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10 * SLOW) as s:
            return s.makefile().readline().split()

    def supervisor_pid(self):
        return int(self.read("run/supervisor.pid"))

    def kill_supervisor(self):
        pid = self.supervisor_pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(5, "supervisor dead", lambda: not alive(pid))

    def clear(self):
        """Ends by pid whatever this instance still has."""
        self.run("stop")
        for name in sorted(os.listdir(os.path.join(self.dir, "run"))):
            if name.endswith(".lock"):
                try:
                    self.pids.add(int(self.read("run/" + name)))
                except ValueError:
                    pass
        left = [p for p in self.pids if p and alive(p) and self.owns(p)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.base, ignore_errors=True)
        return left

    def owns(self, pid):
        try:
            return os.readlink(f"/proc/{pid}/exe").startswith(self.bin)
        except OSError:
            return False


def judges(i):
    """Processes of this instance that judge a configuration."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as f:
                argv = f.read().split("\0")
        except OSError:
            continue
        if argv[0].startswith(i.bin + "/") and "-n" in argv:
            found.append(int(name))
    return found


CASES = []


def case(f):
    CASES.append(f)
    return f


@case
def start_status_stop(i):
    out = i.ok("start")
    check(re.search(r"starting router\nstarting datastore\nstarting cm-client-1\n", out), out)
    check("user add juliet@example.org" in out and "pki/ca.pem" in out, out)
    st = i.status()
    check([s["instance"] for s in st["services"]] == ["router", "datastore", "cm-client-1"], st)
    check(all(s["ready"] and s["restarts"] == 0 and s["last_exit"] is None
              for s in st["services"]), st)
    check(i.connect()[0] == "cm-client-1", "the port is served")
    check("already" in i.ok("start"), "a second start says that one runs")
    check("is an instance already" in i.fails(1, "init"), "init refuses")
    check(alive(i.supervisor_pid()), "pid file")
    i.ok("stop")
    check(all(not alive(s["pid"]) for s in st["services"]), "all are gone")
    log = i.log("supervisor")
    order = re.findall(r"event=service_stopped instance=(\S+)", log)
    check(order == ["cm-client-1", "router", "datastore"], order)
    i.fails(3, "status")
    i.fails(3, "stop")
    i.ok("start")
    i.ok("stop")


@case
def a_killed_service_alone_is_restarted_and_the_port_accepts_all_the_time(i):
    i.ok("start")
    before = {s["instance"]: s["pid"] for s in i.status()["services"]}
    for name in ("cm-client-1", "router", "datastore"):
        os.kill(before[name], signal.SIGKILL)
        i.connect()
        s = i.wait_ready(name, other_than=before[name])
        check(s["restarts"] == 1 and "signal 9 SIGKILL" in s["last_exit"], s)
    after = {s["instance"]: s for s in i.status()["services"]}
    check(all(a["restarts"] == 1 for a in after.values()), after)


@case
def the_log_of_a_crash_ends_with_why_and_where(i):
    i.ok("start")
    if SANITIZED:
        return  # the sanitizer's own report takes the place of ours
    pid = i.service("cm-client-1")["pid"]
    i.do("cm-client-1", "segv")
    s = i.wait_ready("cm-client-1", other_than=pid)
    check("signal 11 SIGSEGV" in s["last_exit"], s)
    log = i.log("cm-client")
    crash = log.index("event=crash signal=SIGSEGV addr=0x8")
    check(f"cm-client-1[{pid}]" in log[:crash].splitlines()[-1], log)
    check("(proc_main+0x" in log[crash:], "the stack", log)


@case
def a_hung_loop_ends_with_a_stack_and_a_stopped_process_does_not(i):
    i.configure(supervisor__watchdog_ms=1000 * SLOW)
    i.ok("start")
    pid = i.service("router")["pid"]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.6 * SLOW)
    os.kill(pid, signal.SIGCONT)
    time.sleep(0.5 * SLOW)
    check(i.service("router")["pid"] == pid, "it survives being stopped")
    i.do("router", "hang")
    s = i.wait_ready("router", other_than=pid)
    check("signal 6 SIGABRT" in s["last_exit"], s)
    check("event=crash signal=SIGABRT reason=watchdog" in i.log("router"), i.log("router"))


@case
def restarts_double_their_delay_and_never_end(i):
    i.configure(supervisor__restart_delay_min_ms=50, supervisor__restart_delay_max_ms=400)
    i.ok("start")
    i.write("do/datastore.fail", "")
    os.kill(i.service("datastore")["pid"], signal.SIGKILL)
    s = wait_for(20, "six deaths",
                 lambda: next((s for s in [i.service("datastore")] if s["restarts"] >= 6), None))
    check(not s["ready"] and "exit 78" in s["last_exit"], s)
    check("last end: exit 78" in i.fails(4, "status"), "status says so")
    os.unlink(os.path.join(i.dir, "do/datastore.fail"))
    i.wait_ready("datastore")
    check(i.service("router")["restarts"] == 0, "alone")


@case
def a_service_that_does_not_drain_is_killed_at_the_deadline(i):
    i.configure(supervisor__drain_ms=300)
    i.ok("start")
    i.do("router", "stubborn")
    pid = i.service("router")["pid"]
    i.ok("restart", "router")
    s = i.service("router")
    check(s["pid"] != pid and s["restarts"] == 0, s)
    check("killed after the drain deadline: signal 9" in s["last_exit"], s)


@case
def restart_all_goes_one_after_another(i):
    i.configure(cm_client__instances=2)
    i.ok("start")
    before = {s["instance"]: s["pid"] for s in i.status()["services"]}
    out = i.ok("restart", "all")
    check(re.findall("restarting (.*)", out) ==
          ["router", "datastore", "cm-client-1", "cm-client-2"], out)
    after = i.status()["services"]
    check(all(s["pid"] != before[s["instance"]] and s["restarts"] == 0 for s in after), after)
    out = i.ok("restart", "cm-client")
    check(re.findall("restarting (.*)", out) == ["cm-client-1", "cm-client-2"], out)
    check("no service or instance" in i.fails(1, "restart", "nothing"), "unknown")


@case
def start_fails_and_says_which_and_why_and_leaves_nothing(i):
    i.write("do/datastore.fail", "")
    out = i.fails(1, "start")
    check("datastore is not ready" in out and "exit 78" in out and "told to fail" in out, out)
    i.fails(3, "status")
    pids = {int(p) for p in re.findall(r" pid=(\d+)", i.log("supervisor"))}
    check(pids and not [p for p in pids if alive(p) and i.owns(p)], "nothing is left")


@case
def a_port_in_use_names_port_and_holder(i):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        i.configure(cm_client__listen=f'[ "127.0.0.1:{port}" ]')
        out = i.fails(1, "start")
    check(f"127.0.0.1:{port}" in out and "in use" in out, out)
    if i.uid is None:
        check(f"pid {os.getpid()} (" in out, out)
    i.fails(3, "status")


@case
def a_bad_file_is_refused_with_line_and_reason(i):
    good = i.read("conf/roundhouse.conf")
    i.configure(domains='[ "refused.example" ]')
    check("does not like refused.example" in i.fails(1, "check"), "judged by the services")
    check("does not like refused.example" in i.fails(1, "start"), "start judges too")
    i.write("conf/roundhouse.conf", good.replace("log = {", "log = {\n  levle = 3;"))
    out = i.fails(1, "check")
    check(re.search(r'roundhouse\.conf:\d+: unknown key "levle" in section "log"; '
                    r'did you mean "level"', out), out)
    i.write("conf/roundhouse.conf", good)
    check("good" in i.ok("check"), "good again")


@case
def reload_is_for_all_or_for_none(i):
    i.ok("start")
    pids = {s["pid"] for s in i.status()["services"]}
    i.write("pki/server.key", "KEY2\n")
    i.configure(domains='[ "two.example" ]')
    check("is in force" in i.ok("reload"), "reload")
    i.wait_log("cm-client", r"dummy_reloaded from=example.org to=two.example key=KEY2")
    check({s["pid"] for s in i.status()["services"]} == pids, "no restart")
    i.configure(domains='[ "refused.example" ]')
    check("does not like" in i.fails(1, "reload"), "refused")
    check("nothing has changed" in i.fails(1, "reload"), "said")
    os.kill(i.service("router")["pid"], signal.SIGKILL)
    time.sleep(0.1)
    i.wait_ready("router")
    check(i.service("router")["generation"] == 2, "what restarts uses what was accepted")
    i.configure(domains='[ "two.example" ]', users__router='"somebody"')
    check("users.router has changed" in i.fails(1, "reload"), "needs a restart")


@case
def a_reason_of_any_length_is_told(i):
    i.ok("start")
    good = i.read("conf/roundhouse.conf")
    i.write("conf/roundhouse.conf", good.replace("log = {", 'log = {\n\tlevel = "%s";' % ("x" * 200000)))
    check('log.level is "xxx' in i.fails(1, "reload"), "refused")
    check("no service or instance" in i.fails(1, "restart", "y" * 65000), "refused")
    i.write("conf/roundhouse.conf", good)
    i.ok("reload")


@case
def a_file_that_an_editor_has_replaced_is_read_by_the_services(i):
    i.ok("start")
    for name in ("conf/roundhouse.conf", "conf/managed.conf"):
        path = os.path.join(i.dir, name)
        shutil.copy(path, path + "~")
        os.chmod(path + "~", 0o600)
        os.rename(path + "~", path)
    check("in force" in i.ok("reload"), "as root the services are other users")


@case
def a_stop_while_a_reload_is_judged_stops_all(i):
    i.configure(supervisor__drain_ms=1000)
    i.ok("start")
    i.do("cm-client-1", "stubborn")  # so that the judges are done first
    i.configure(cm_client__instances=3)
    i.write("do/slow", "")
    reload = i.popen("reload")
    wait_for(5, "judges", lambda: judges(i))
    stop = i.popen("stop")
    wait_for(5, "the stop", lambda: "event=stop_requested" in i.log("supervisor"))
    os.unlink(os.path.join(i.dir, "do/slow"))
    out = stop.communicate(timeout=20 * SLOW)[0]
    check(stop.returncode == 0, "stop gave", out)
    out = reload.communicate(timeout=20 * SLOW)[0]
    check(reload.returncode != 0, "reload gave", out)
    check("cm-client-3" not in i.log("supervisor"), i.log("supervisor"))
    i.ok("start")
    check(i.status()["generation"] >= 2 and i.service("cm-client-3")["ready"], "the new one")


def served(where):
    """Who answers at host:port; None: nobody."""
    host, port = where.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=10 * SLOW) as s:
            return s.makefile().readline().split()
    except OSError:
        return None


@case
def reload_opens_and_closes_listeners_of_all_instances(i):
    i.configure(cm_client__instances=2)
    i.ok("start")
    first = i.status()["listeners"][0]
    port = first.rsplit(":", 1)[1]
    second = f"127.0.0.2:{port}"
    i.configure(cm_client__listen=f'[ "127.0.0.1:0", "{second}" ]')
    i.ok("reload")
    pids = {s["pid"] for s in i.status()["services"]}
    check(served(first) and served(second), "both are served")
    i.configure(cm_client__listen=f'[ "{second}" ]')
    i.ok("reload")
    check(served(second) and not served(first), "only the second is")
    check(i.status()["listeners"] == [second], i.status())
    # One that cannot be opened: none of the others is, and what there was stays.
    third = f"127.0.0.3:{port}"
    with socket.socket() as s:
        s.bind(("127.0.0.4", int(port)))
        s.listen()
        i.configure(cm_client__listen=f'[ "{third}", "127.0.0.4:{port}" ]')
        out = i.fails(1, "reload")
    check("nothing has changed" in out and f"cannot listen on 127.0.0.4:{port}" in out, out)
    check(served(second) and not served(third), "as before")
    check({s["pid"] for s in i.status()["services"]} == pids, "no restart")
    # A service that restarts, and a supervisor, have what is in force.
    i.configure(cm_client__listen=f'[ "{third}" ]')
    i.ok("reload")
    i.kill_supervisor()
    i.ok("start")
    check(i.status()["listeners"] == [third], i.status())
    os.kill(i.service("cm-client-1")["pid"], signal.SIGKILL)
    check(served(third) and not served(second), "the third is served")


@case
def disabled_no_port_is_open_and_enabled_they_are(i):
    i.ok("start")
    where = i.status()["listeners"][0]
    i.configure(xmpp__enabled="false", cm_client__listen=f'[ "{where}" ]')
    i.ok("reload")
    check(not served(where) and i.status()["listeners"] == [], "closed")
    check(not i.status()["enabled"] and "XMPP is disabled" in i.ok("status"), "told")
    i.ok("stop")
    check("XMPP is disabled" in i.ok("start"), "start tells it too")
    check(not served(where), "stays closed")
    i.configure(xmpp__enabled="true")
    i.ok("reload")
    check(served(where) and i.status()["enabled"], "open again")


@case
def a_service_that_missed_a_reload_gets_it_when_it_registers(i):
    i.ok("start")
    pid = i.service("cm-client-1")["pid"]
    i.kill_supervisor()
    # As if the supervisor had died between accepting a configuration and telling the services.
    text = i.read("run/accepted.conf")
    generation = int(re.match(r"# generation (\d+)", text).group(1)) + 1
    text = re.sub(r"# generation \d+", f"# generation {generation}", text, count=1)
    i.write("run/accepted.conf", text.replace('domains = [ "example.org" ]',
                                              'domains = [ "missed.example" ]'))
    i.ok("start")
    i.wait_log("cm-client", r"dummy_reloaded from=example.org to=missed.example")
    wait_for(5, "all to be in force",
             lambda: all(s["generation"] == generation for s in i.status()["services"]))
    check(i.service("cm-client-1")["pid"] == pid and i.connect()[0] == "cm-client-1", "serves on")


@case
def reload_changes_the_number_of_instances(i):
    i.ok("start")
    i.configure(cm_client__instances=3)
    i.ok("reload")
    i.wait_ready("cm-client-3")
    i.configure(cm_client__instances=1)
    i.ok("reload")
    wait_for(5, "surplus gone", lambda: len(i.status()["services"]) == 3)
    check(i.connect()[0] == "cm-client-1", "the rest serves")


@case
def a_new_supervisor_adopts_everything_and_no_line_is_lost(i):
    i.configure(cm_client__instances=2)
    i.ok("start")
    i.do("cm-client-2", "alarm disk full")
    i.do("router", "count")
    before = {s["instance"]: (s["pid"], s["ready"]) for s in i.status()["services"]}
    listener = i.status()["listeners"]
    for _ in range(3):
        time.sleep(0.1)
        i.kill_supervisor()
        check("cm-client-1 runs without a supervisor" in i.fails(3, "status"), "orphans told")
        time.sleep(0.2)
        i.ok("start")
        after = {s["instance"]: (s["pid"], s["ready"]) for s in i.status()["services"]}
        check(before == after, before, after)
        check(i.status()["listeners"] == listener, "same sockets")
    check(i.service("cm-client-2")["alarm"] == "disk full", "alarm repeated")
    check(i.service("router")["adopted"], "adopted")
    i.connect()
    # An adopted process's death is seen, though nobody can tell its status.
    os.kill(before["cm-client-1"][0], signal.SIGKILL)
    s = i.wait_ready("cm-client-1", other_than=before["cm-client-1"][0])
    check("unknown (adopted" in s["last_exit"] and s["restarts"] == 1, s)
    os.kill(before["router"][0], signal.SIGKILL)
    i.wait_ready("router", other_than=before["router"][0])
    n = [int(x) for x in re.findall(r"event=count n=(\d+)", i.log("router"))]
    check(len(n) > 500 and sorted(set(n)) == list(range(1, max(n) + 1)), "lines lost", len(n))


@case
def the_dead_of_the_time_without_supervisor_are_told_to_the_router(i):
    i.ok("start")
    pid = i.service("datastore")["pid"]
    i.kill_supervisor()
    os.kill(pid, signal.SIGKILL)
    i.ok("start")
    i.wait_ready("datastore", other_than=pid)
    pattern = r"event=instance name=datastore service=datastore (\w+)"
    wait_for(5, "the router to be told", lambda: len(re.findall(pattern, i.log("router"))) >= 3)
    told = re.findall(pattern, i.log("router"))
    check(told[0] == "alive" and told[-1] == "alive" and "dead" in told, told)


@case
def an_orphan_that_does_not_register_is_ended(i):
    i.configure(supervisor__adopt_ms=1000 * SLOW, supervisor__drain_ms=300)
    i.ok("start")
    pid = i.service("datastore")["pid"]
    os.kill(pid, signal.SIGSTOP)
    i.kill_supervisor()
    i.ok("start")
    check(not alive(pid), "the mute one is gone")
    check(i.service("datastore")["ready"] and i.service("datastore")["pid"] != pid, "anew")
    check(i.service("router")["adopted"], "the others are adopted")


@case
def kills_at_any_moment_of_a_start_are_survived(i):
    for n in range(12):
        p = i.popen("start")
        time.sleep(0.003 * n * SLOW)
        try:
            i.kill_supervisor()
        except (OSError, ValueError):
            pass
        p.communicate()
        i.ok("start")
        check(len([s for s in i.status()["services"] if s["ready"]]) == 3, "all ready")
        i.ok("stop")
    i.fails(3, "status")


@case
def log_files_rotate_and_follow_reads_on(i):
    i.configure(log__rotate_bytes=8192, log__keep=30)
    i.ok("start")
    with open(os.path.join(i.base, "followed"), "wb") as out:
        tail = i.popen("logs", "router", "-f", "-n", "0", stdout=out)
    time.sleep(0.3 * SLOW)
    i.do("router", "count")
    i.wait_log("router", r"n=\d\d\d\d")
    os.kill(i.service("router")["pid"], signal.SIGKILL)
    i.wait_ready("router")
    time.sleep(0.3 * SLOW)
    tail.terminate()
    tail.wait()
    files = [n for n in os.listdir(os.path.join(i.dir, "log")) if n.startswith("router.log")]
    check(len(files) > 3, files)
    seen = "".join(i.read("log/" + n) for n in files)
    n = sorted(int(x) for x in re.findall(r"event=count n=(\d+)", seen))
    check(n and n == list(range(n[0], n[-1] + 1)), "rotation lost lines")
    followed = [int(x) for x in re.findall(r"event=count n=(\d+)", i.read("../followed"))]
    check(followed == list(range(1, len(followed) + 1)), "follow lost or repeated lines", followed)
    check(len(followed) == len(n), "follow did not come to the end", len(followed), len(n))
    check(len(i.ok("logs", "-n", "5").splitlines()) == 5, "-n")


@case
def levels_change_at_run_time(i):
    i.ok("start")
    i.ok("log-level", "router", "error")
    i.do("router", "say unheard")
    i.ok("log-level", "all", "info")
    i.do("router", "say heard")
    i.wait_log("router", "heard")
    check("unheard" not in i.log("router"), "level error")
    i.fails(1, "log-level", "router", "loud")
    i.fails(1, "log-level", "nobody", "info")


@case
def readiness_can_be_taken_back(i):
    i.ok("start")
    i.do("datastore", "ready no")
    wait_for(5, "not ready", lambda: not i.service("datastore")["ready"])
    i.fails(4, "status")
    i.do("datastore", "ready yes")
    i.wait_ready("datastore")


@case
def foreground_stops_on_sigterm(i):
    p = i.popen("start", "-f")
    wait_for(10, "status", lambda: i.run("status")[0] == 0)
    pids = [s["pid"] for s in i.status()["services"]]
    p.send_signal(signal.SIGTERM)
    out, _ = p.communicate(timeout=20 * SLOW)
    check(p.returncode == 0 and "Roundhouse is up" in out, p.returncode, out)
    check(not any(alive(pid) for pid in pids), "all gone")


@case
def systemd_is_told(i):
    path = os.path.join(i.base, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(10 * SLOW)
        env = dict(os.environ, NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")
        p = i.popen("start", "-f", env=env)
        got = ""
        while "READY=1" not in got or "WATCHDOG=1" not in got:
            got += s.recv(1000).decode() + "\n"
        p.terminate()
        p.communicate(timeout=20 * SLOW)
        s.settimeout(0.5)
        while "STOPPING=1" not in got:
            got += s.recv(1000).decode() + "\n"


@case
def a_command_gets_a_token_that_ends_with_its_connection(i):
    i.ok("start")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(10 * SLOW)
        s.connect(os.path.join(i.dir, "run/supervisor.sock"))
        s.send(b"token cli")
        check(re.fullmatch(rb" cli-\d+ [0-9a-f]{64}", s.recv(1000)), "token")
        check(s.recv(1000) == b"=OK", "end")
        i.wait_log("router", r"event=instance name=cli-\d+ service=cli alive")
        pid = i.service("router")["pid"]
        os.kill(pid, signal.SIGKILL)
        i.wait_ready("router", other_than=pid)
        wait_for(5, "told again", lambda: i.log("router").count("service=cli alive") == 2)
        s.send(b"token root")
        check(s.recv(1000).startswith(b" tokens are given"), "only cli")
    i.wait_log("router", r"event=instance name=cli-\d+ service=cli dead")


@case
def a_full_log_disk_is_an_alarm_and_loses_nothing(i):
    i.ok("start")
    os.rename(i.dir + "/log", i.dir + "/log.away")
    i.do("router", "say waiting")
    wait_for(5, "alarm", lambda: "log file cannot be written" in
             (i.service("router")["alarm"] or ""))
    os.rename(i.dir + "/log.away", i.dir + "/log")
    i.wait_log("router", 'text="waiting"')
    wait_for(5, "no alarm", lambda: i.service("router")["alarm"] is None)


@case
def strangers_cannot_register(i):
    i.ok("start")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(os.path.join(i.dir, "run/service.sock"))
        s.send(b"REGISTER service=router instance=router token=x config=c generation=1 restarts=0 "
               b"fds= ready=1")
        s.settimeout(0.5)
        try:
            check(s.recv(1000) == b"", "told something")
        except TimeoutError:
            pass
        s.send(b"\xff\x00garbage")
    i.wait_log("supervisor", "register_refused")
    check(i.service("router")["ready"], "unharmed")


@case
def rights_are_dropped_and_folders_closed(i):
    i.ok("start")
    uids = {}
    for s in i.status()["services"]:
        with open(f"/proc/{s['pid']}/status", encoding="ascii", errors="replace") as f:
            st = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        check(st["NoNewPrivs"] == "1", st)
        uids[s["instance"]] = st["Uid"].split()
        check(len(set(uids[s["instance"]])) == 1, st["Uid"])
        if i.uid is None and os.getuid() == 0:
            check(int(st["Uid"].split()[0]) != 0 and st["Groups"].strip() == "", st["Groups"])
            check(int(st["CapEff"], 16) == 0, st["CapEff"])
    if i.uid is None and os.getuid() == 0:
        check(len({u[0] for u in uids.values()}) == 3, uids)
        check(os.stat(i.dir + "/data").st_uid == int(uids["datastore"][0]), "data/")
        check(os.stat(i.dir + "/run/bus").st_mode & 0o777 == 0o750, "run/bus")
    else:
        check(os.stat(i.dir + "/data").st_mode & 0o777 == 0o700, "data/")
    check(os.stat(i.dir + "/run/supervisor.sock").st_mode & 0o777 == 0o600, "control socket")


AS_USER = [start_status_stop, a_new_supervisor_adopts_everything_and_no_line_is_lost,
           a_port_in_use_names_port_and_holder, reload_is_for_all_or_for_none,
           reload_opens_and_closes_listeners_of_all_instances,
           rights_are_dropped_and_folders_closed, an_orphan_that_does_not_register_is_ended]


def run_case(f, uid):
    name = f.__name__ + ("_as_ordinary_user" if uid is not None else "")
    i = None
    try:
        i = Instance(uid)
        f(i)
        left = i.clear()
        check(not left, "left running:", left)
        return name, None
    except Exception:  # pylint: disable=broad-except
        text = traceback.format_exc()
        if i:
            text += "--- supervisor.log\n" + i.log("supervisor")[-6000:]
            i.clear()
        return name, text


def main():
    wanted = sys.argv[1:]
    jobs = [(f, None) for f in CASES]
    if os.getuid() == 0:
        jobs += [(f, NOBODY) for f in AS_USER]
    jobs = [j for j in jobs if not wanted or any(w in j[0].__name__ for w in wanted)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, trouble in pool.map(lambda j: run_case(*j), jobs):
            print(f"[       OK ] {name}" if not trouble else f"[  FAILED  ] {name}\n{trouble}",
                  flush=True)
            failed += trouble is not None
    if failed:
        print(f"[  FAILED  ] {failed} test(s), listed below:")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
