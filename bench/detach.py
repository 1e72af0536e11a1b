"""
detach - drives `xmpp-load detach`: all XEP-0198 sessions of a Roundhouse lose their connection
manager (kill -9), three times.

First time: how long until every session is secured, how long until all have resumed. Second time:
messages are sent to the sessions while they are away. Third time: the router is killed as well,
when they are secured. Before, between and behind that the memory of the server's processes and the
files of data/ are looked at. bench/README.md says what is counted where.
"""
import json
import os
import signal
import subprocess
import time

POLL_S = 0.03
LIMIT_S = 60
PROCESSES = ("router", "datastore", "cm-client")


class Failed(RuntimeError):
    """The figures would be worth nothing."""


class Load:
    """xmpp-load detach: one step at a time."""

    def __init__(self, command):
        self.proc = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True)
        self.steps = []

    def begin(self, name):
        self.proc.stdin.write(name + "\n")
        self.proc.stdin.flush()

    def end(self):
        line = self.proc.stdout.readline()
        if not line:
            raise Failed("xmpp-load ended before its time")
        step = json.loads(line)
        self.steps.append(step)
        return step

    def step(self, name):
        self.begin(name)
        return self.end()

    def close(self):
        try:
            self.proc.stdin.close()
            self.proc.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            self.proc.kill()
            self.proc.wait()


def by_name(step, key):
    """{process: value}, the same names added up."""
    sums = {}
    for p in step["processes"]:
        sums[p["name"]] = sums.get(p["name"], 0) + p[key]
    return sums


def cpu_between(before, after):
    """CPU seconds by process; one that was started meanwhile counts whole."""
    old = {p["pid"]: p["cpu_us"] for p in before["processes"]}
    used = {}
    for p in after["processes"]:
        used[p["name"]] = used.get(p["name"], 0) + p["cpu_us"] - old.get(p["pid"], 0)
    return {name: us / 1e6 for name, us in used.items()}


def grown(before, after, names, key="pss"):
    a, b = by_name(before, key), by_name(after, key)
    return {name: b.get(name, 0) - a.get(name, 0) for name in names}


def disk(server):
    """Bytes that the files of data/ occupy: (write-ahead logs, all else)."""
    wal = rest = 0
    for folder, _, files in os.walk(os.path.join(server.dir, "data")):
        for name in files:
            try:
                size = os.stat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue
            if name.endswith("-wal"):
                wal += size
            else:
                rest += size
    return {"wal": wal, "rest": rest}


def stats(server):
    """`xmpp stats` by process; empty when nobody answers now."""
    rows = {}
    for line in server.output("xmpp", "stats", "--json").splitlines():
        try:
            row = json.loads(line)
            rows[row["process"]] = row
        except (ValueError, KeyError):
            continue
    return rows


def books(server, number):
    """Bytes per message that processes say they hold: what malloc keeps is not in it."""
    held = {}
    for name, row in stats(server).items():
        held_bytes = row.get("custody_held_bytes", row.get("held_bytes"))
        if held_bytes is not None:
            held[name] = held_bytes / number
    return held


def shelf(server):
    """(sessions on disk, changes not synced yet); None: this router does not tell."""
    router = stats(server).get("router")
    if not router:
        return 0, 0
    if "shelf_sessions" not in router:
        return None
    return router["shelf_sessions"], router["shelf_behind"]


def wait_secured(server, count):
    """False: this router does not tell."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        now = shelf(server)
        if now is None:
            return False
        if now[0] >= count and now[1] == 0:
            return True
        time.sleep(POLL_S)
    raise Failed(f"not secured after {LIMIT_S} s: {now[0]} of {count} sessions are stored, "
                 f"{now[1]} changes are not synced")


def kill(server, service):
    """kill -9 of a service: the time."""
    pids = [s["pid"] for s in server.status()["services"] if s["service"] == service]
    killed = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return killed


def wait_loaded(server, pids, count):
    """Until a router that is none of pids has all sessions."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        rows = [s for s in server.status()["services"] if s["service"] == "router"]
        if all(s["ready"] and s["pid"] not in pids for s in rows) and \
                stats(server).get("router", {}).get("sessions", 0) >= count:
            return
        time.sleep(POLL_S)
    raise Failed(f"the next router does not have all sessions after {LIMIT_S} s")


def kill_cm(server, load, count):
    """Kills cm-client. (CPU by process, seconds until secured or None, usage afterwards)."""
    before = load.step("usage")
    load.begin("broken")
    killed = kill(server, "cm-client")
    seconds = None
    if wait_secured(server, count):
        seconds = time.monotonic() - killed
    load.end()
    after = load.step("usage")
    server.wait_ready()
    if seconds is None:
        time.sleep(2)  # nothing tells when the router is done with it
        after = load.step("usage")
    return cpu_between(before, after), seconds, after


def measure_sessions(server, load, count, out):
    """The first kill: times, and what a session that is away holds."""
    empty, files = load.step("usage"), disk(server)
    live = load.step("login")
    out["login_seconds"] = live["seconds"]
    out["live_bytes"] = {k: v / count for k, v in grown(empty, live, PROCESSES).items()}
    out["secured_cpu"], out["secured_seconds"], away = kill_cm(server, load, count)
    out["session_bytes"] = {k: v / count for k, v in
                            grown(empty, away, ("router", "datastore")).items()}
    out["session_disk"] = {k: (v - files[k]) / count for k, v in disk(server).items()}
    before = load.step("usage")
    back = load.step("resume")
    out["resumed_cpu"] = cpu_between(before, back)
    out["resumed_seconds"] = back["seconds"]
    out["resumed"], out["refused"], out["retried"] = \
        count - back["refused"], back["refused"], back["retried"]


def measure_stanzas(server, load, count, out):
    """The second kill: messages to all sessions while they are away."""
    kill_cm(server, load, count)
    load.step("senders")
    time.sleep(1)
    before, files = load.step("usage"), disk(server)
    sent = load.step("hold")
    time.sleep(0.2)
    held = load.step("usage")
    number = max(sent["messages"], 1)
    out["held_messages"], out["held_message_bytes"] = number, sent["bytes"] / number
    out["held_seconds"] = sent["seconds"]
    out["held_books"] = books(server, number)
    out["held_bytes"] = {k: v / number for k, v in grown(before, held, PROCESSES).items()}
    if wait_secured(server, count):
        time.sleep(3)  # spool_after is behind all of them, too
    settled = load.step("usage")
    out["stored_books"] = books(server, number)
    out["stored_bytes"] = {k: v / number for k, v in grown(before, settled, PROCESSES).items()}
    out["held_disk"] = {k: (v - files[k]) / number for k, v in disk(server).items()}
    out["held_cpu"] = cpu_between(before, settled)
    back = load.step("resume")
    out["held_refused"] = back["refused"]
    out["held_resumed_seconds"], out["held_delivered_seconds"] = back["seconds"], back["delivered"]


def measure_both(server, load, count, out):
    """The third kill: when the sessions are secured their router dies, too."""
    if kill_cm(server, load, count)[1] is None:
        return
    old = [s["pid"] for s in server.status()["services"] if s["service"] == "router"]
    killed = kill(server, "router")
    wait_loaded(server, old, count)
    out["router_back_seconds"] = time.monotonic() - killed
    back = load.step("resume")
    out["both_resumed"], out["both_refused"] = count - back["refused"], back["refused"]
    out["both_resumed_seconds"] = back["seconds"]


def measure(server, command, count):
    """The figures; "errors" and "why" say what was not as it should be."""
    out = {"count": count, "errors": 0, "why": ""}
    load = Load(command)
    try:
        measure_sessions(server, load, count, out)
        measure_stanzas(server, load, count, out)
        measure_both(server, load, count, out)
    except (Failed, OSError, ValueError, KeyError) as e:
        out["errors"], out["why"] = 1, str(e)
    finally:
        load.close()
    for step in load.steps:
        if step["refused"]:
            out["why"] = out["why"] or f"{step['refused']} sessions could not be resumed"
            out["errors"] += step["refused"]
        if step["errors"]:
            out["why"] = out["why"] or f"{step['step']}: {step['why']}"
        out["errors"] += step["errors"]
    return out


def parts(values, unit, digits=0):
    return ", ".join(f"{k} {v:.{digits}f}" for k, v in values.items()) + f" {unit}"


def memory(values):
    return f"{sum(values.values()):.0f} B ({parts(values, 'B')})"


def lines(r):
    """The result for people."""
    if "resumed_seconds" not in r:
        return ["not measured"]
    n = r["count"]
    secured = "not reported by this router" if r["secured_seconds"] is None else \
        f"{r['secured_seconds']:.2f} s after kill -9"
    text = [f"{n} sessions logged in in {r['login_seconds']:.1f} s; each, live: "
            + memory(r["live_bytes"]),
            f"secured: {secured}; CPU {parts(r['secured_cpu'], 's', 2)}",
            f"resumed: {r['resumed']} in {r['resumed_seconds']:.2f} s, {r['refused']} refused, "
            f"{r['retried']} connections tried again; CPU {parts(r['resumed_cpu'], 's', 2)}",
            f"a detached session: {memory(r['session_bytes'])}; data/: "
            + parts(r["session_disk"], "B")]
    if "held_resumed_seconds" in r:
        text += [f"a held stanza of {r['held_message_bytes']:.0f} B, {r['held_messages']} of them: "
                 + memory(r["held_bytes"]) + "; by the books " + parts(r["held_books"], "B"),
                 f"  3 s later: {memory(r['stored_bytes'])}; by the books "
                 + parts(r["stored_books"], "B") + f"; data/: {parts(r['held_disk'], 'B')}",
                 f"  taken in {r['held_seconds']:.2f} s; resumed in "
                 f"{r['held_resumed_seconds']:.2f} s, {r['held_refused']} refused, all messages "
                 f"there after {r['held_delivered_seconds']:.2f} s"]
    if "both_resumed_seconds" in r:
        text.append(f"the router killed when they were secured: the next has them "
                    f"after {r['router_back_seconds']:.2f} s; resumed: {r['both_resumed']} in "
                    f"{r['both_resumed_seconds']:.2f} s, {r['both_refused']} refused")
    return text
