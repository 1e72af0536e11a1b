#!/usr/bin/python3
"""
bench/run: its accounts, its tables, and a short run of it with the real programs, which must leave
nothing behind, ended or not.
"""
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BENCH = os.path.join(TESTS, "..", "bench")
sys.path[:0] = [os.path.join(TESTS, "support"), BENCH]
import accounts
import tables
from roundhouse import case, run_cases

SLOW = 4 if os.environ.get("V") in ("asan", "tsan") else 1
RUN = os.path.join(BENCH, "run")


def check(condition, *what):
    assert condition, " ".join(str(w) for w in what)


@case
def a_contact_has_whoever_has_it():
    for group in (accounts.Group("a", 60, 50), accounts.Group("b", 51, 50),
                  accounts.Group("c", 110, hubs=10), accounts.Group("d", 5)):
        for i in range(group.count):
            mine = list(accounts.contacts(group, i))
            check(i not in mine and len(set(mine)) == len(mine), group, i)
            if not group.hubs:
                check(len(mine) == group.contacts, group, i)
            check(all(i in accounts.contacts(group, k) for k in mine), group, i)


@case
def a_ring_that_is_too_small_is_refused():
    try:
        accounts.contacts(accounts.Group("a", 50, 50), 0)
    except ValueError:
        return
    check(False, "50 accounts cannot have 50 contacts each")


def result(title, server, load="chat", **more):
    return dict({"title": title, "server": server, "load": load, "failed": False, "errors": 0,
                 "cpu_us_each": 1, "pss_each": 0, "p50_us": 0, "p99_us": 0, "pairs": 10,
                 "aim": ""}, **more)


@case
def the_best_of_the_others_is_what_we_are_compared_with():
    rows = tables.side_by_side([
        result("x", "roundhouse", cpu_us_each=2, aim="3"), result("x", "a", cpu_us_each=9),
        result("x", "b", cpu_us_each=7), result("x", "c", cpu_us_each=1, failed=True),
        result("x", "d", cpu_us_each=1, errors=1), result("x", "relay", cpu_us_each=1)])[1]
    check(rows == [("x", "µs CPU", "3", {"roundhouse": "2.00", "a": "9.00", "b": "7.00",
                                         "relay": "1.00"}, "3.5")], rows)


@case
def round_trips_are_two_lines_and_memory_is_kib():
    rows = tables.side_by_side([result("p", "roundhouse", "pingpong", pairs=1, p50_us=80,
                                       p99_us=120),
                                result("i", "roundhouse", "idle", pss_each=2048)])[1]
    check([(r[0], r[1], r[3]["roundhouse"]) for r in rows] ==
          [("p, p50", "µs", "80"), ("p, p99", "µs", "120"), ("i", "KiB", "2.0")], rows)


@case
def markdown_says_what_was_refused_and_not_measured():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        tables.print_markdown(tables.about([], True), [
            result("x", "roundhouse"), result("x", "a", retried=4),
            {"title": "y", "server": "a", "failed": True, "errors": 0, "why": "no"}])
    for line in ("| x | µs CPU |  | 1.00 | 1.00 | 1.0 |", "a refused 4 logins",
                 "Not measured: a: y."):
        check(line in out.getvalue(), line, out.getvalue())


def processes_of(folder):
    """Command lines that name something in the folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
            line = f.read().replace(b"\0", b" ").decode(errors="replace")
            if folder in line and int(pid) != os.getpid():
                found.append(line)
    return found


def start(folder, *more):
    return subprocess.Popen([RUN, "--quick", "--server", "roundhouse,relay", *more], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env=dict(os.environ, TMPDIR=folder))


@case
def a_short_run_measures_and_leaves_nothing_behind():
    with tempfile.TemporaryDirectory(prefix="rhb", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        kept = os.path.join(folder, "kept.json")
        run = start(folder, "--only", "pingpong,relay,presence", "--json", kept)
        out = run.communicate(timeout=120 * SLOW)[0]
        check(run.returncode == 0, out)
        with open(kept, encoding="utf-8") as f:
            results = json.load(f)["results"]
        check({(r["server"], r["load"]) for r in results} ==
              {("roundhouse", "pingpong"), ("roundhouse", "presence"), ("relay", "relay")}, results)
        check(all(r["count"] > 0 and not r["errors"] for r in results), results)
        check(os.listdir(folder) == ["kept.json"] and not processes_of(folder), os.listdir(folder))
        shown = subprocess.run([RUN, "--show", kept, "--markdown"], check=True, text=True,
                               stdout=subprocess.PIPE).stdout
        check("| ping-pong, plain, p99 | µs |" in shown, shown)


@case
def a_run_that_is_ended_leaves_nothing_behind():
    with tempfile.TemporaryDirectory(prefix="rhb", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        run = start(folder, "--only", "chat")
        for line in run.stdout:
            if "windowed chat" in line:
                break
        time.sleep(0.3)
        run.send_signal(signal.SIGTERM)
        out = run.communicate(timeout=60 * SLOW)[0]
        check(run.returncode == 128 + signal.SIGTERM, run.returncode, out)
        end = time.monotonic() + 10 * SLOW
        while processes_of(folder) and time.monotonic() < end:
            time.sleep(0.1)
        check(not os.listdir(folder) and not processes_of(folder), os.listdir(folder),
              processes_of(folder))


sys.exit(run_cases())
