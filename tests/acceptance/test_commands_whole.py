#!/usr/bin/python3
"""Commands that change the configuration do it whole or not at all: killed, at the same time, with a
supervisor that dies, by somebody who may not."""
import os
import pwd
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance import Server
from roundhouse import BIN, case, run_cases, wait_for


@case
def a_command_killed_at_any_moment_leaves_the_old_file_or_the_new(rh):
    picks = random.Random(11)
    value = 100
    for stopped in (False, True):
        if stopped:
            rh.stop()
        for turn in range(14):
            old = rh.rows()["Max sessions per user"]
            value += 1
            p = subprocess.Popen([os.path.join(BIN, "xmpp"), "-C", rh.dir, "max_sessions", str(value)],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(picks.random() * 0.15)
            p.kill()
            p.wait()
            now = rh.rows()["Max sessions per user"]
            assert now in (old, str(value)), (turn, old, now)
            rh.run("supervisor", "check")
    rh.start()
    # Nothing of it stays in the way of the next.
    rh.xmpp("max_sessions", "20")
    assert rh.rows()["Max sessions per user"] == "20"
    left = set(os.listdir(rh.path("conf"))) - {"roundhouse.conf", "managed.conf", "managed.lock"}
    assert not left, left


@case
def a_supervisor_killed_in_the_middle_leaves_the_old_file_or_the_new(rh):
    picks = random.Random(12)
    for turn in range(4):
        old, value = rh.rows()["Max sessions per user"], str(200 + turn)
        p = subprocess.Popen([os.path.join(BIN, "xmpp"), "-C", rh.dir, "max_sessions", value],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(picks.random() * 0.2)
        pid = rh.supervisor_pid()
        os.kill(pid, signal.SIGKILL)
        out = p.communicate()[0]
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the supervisor")
        now = rh.rows()["Max sessions per user"]
        assert now == (value if p.returncode == 0 else old), (turn, p.returncode, out, now)
        rh.run("supervisor", "check")
        rh.start()
        assert not os.path.exists(rh.path("conf", "managed.conf.judged")), turn
    rh.xmpp("max_sessions", "20")


@case
def a_change_that_meets_a_start_is_in_force_after_both(rh):
    picks = random.Random(13)
    for turn in range(8):
        rh.stop()
        value = str(300 + turn)
        p = subprocess.Popen([os.path.join(BIN, "xmpp"), "-C", rh.dir, "max_sessions", value],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(picks.random() * 0.06)
        rh.start()
        out = p.communicate()[0]
        assert p.returncode == 0 and "SUCCESS" in out, (turn, p.returncode, out)
        with open(rh.path("run", "accepted.conf"), encoding="utf-8") as f:
            assert f"sessions_per_user = {value};" in f.read(), turn
    rh.xmpp("max_sessions", "20")


@case
def commands_at_the_same_time_all_count(rh):
    commands = [("max_sessions", "33"), ("motd", "add", "all"), ("listen", "127.0.0.1"),
                ("certs", "server.key", "server.crt"), ("disable",)]
    outs = []

    def one(command):
        outs.append((command, rh.xmpp(*command)))

    threads = [threading.Thread(target=one, args=(c,)) for c in commands]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(outs) == len(commands), outs
    rows = rh.rows()
    assert rows["Max sessions per user"] == "33" and rows["Message of the day"] == "all", rows
    assert rows["Enabled"] == "false", rows
    rh.xmpp("enable")
    rh.xmpp("motd", "del")


@case
def what_a_command_set_stands_over_the_same_key_of_the_operators_file(rh):
    rh.configure({"router": "sessions_per_user = 7;"})
    name = rh.path("conf", "roundhouse.conf")
    with open(name, "a", encoding="utf-8") as f:  # as instances of before have it
        f.write('\n@include "managed.conf"\n')
    rh.xmpp("max_sessions", "8")
    assert rh.rows()["Max sessions per user"] == "8"
    rh.run("supervisor", "check")
    rh.run("supervisor", "reload")
    # A mistake in either file is told with that file and its line.
    with open(rh.path("conf", "managed.conf"), "a", encoding="utf-8") as f:
        f.write("nonsense = 1;\n")
    line = rh.managed().count("\n")
    out = rh.run("supervisor", "reload", check=False).stdout
    assert f'conf/managed.conf:{line}: unknown key "nonsense"' in out, out
    out = rh.xmpp("max_sessions", "9", ok=False)
    assert f"FAILURE: conf/managed.conf:{line}: unknown key" in out, out
    with open(rh.path("conf", "managed.conf"), "w", encoding="utf-8") as f:
        f.write("")
    rh.run("supervisor", "reload")
    assert rh.rows()["Max sessions per user"] == "7"


@case
def who_is_not_the_administrator_is_refused(rh):
    if os.geteuid() != 0:
        print("not root: who else could try? skipped")
        return
    nobody = pwd.getpwnam("nobody")
    before = rh.managed()
    for command in (["disable"], ["max_sessions", "3"], ["domain", "evil.example"], ["reset"]):
        done = subprocess.run([os.path.join(BIN, "xmpp"), "-C", rh.dir, *command], text=True,
                              capture_output=True, user=nobody.pw_uid, group=nobody.pw_gid,
                              extra_groups=[], check=False)
        assert done.returncode != 0, (command, done)
        assert "administrator" in done.stdout + done.stderr, done
    assert rh.managed() == before


def main():
    with Server() as rh:
        rh.xmpp("callbridge", "add", "cb1")
        return run_cases(rh)


if __name__ == "__main__":
    sys.exit(main())
