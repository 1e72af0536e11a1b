#!/usr/bin/python3
"""`xmpp shell`: a person at a terminal (through a pty) and scripts on its standard input; the guides'
command lines in it as printed."""
import os
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import BIN, LIMIT, Instance, case, run_cases, wait_for

PROMPT = socket.gethostname().split(".")[0] + "> "
# What a terminal is told to do, apart from text.
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\([A-Z]|\r|\x07")


class Terminal:
    """A shell on a pty, with a home of its own."""

    def __init__(self, rh, home):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(HOME=home, TERM="xterm", LANG="C.UTF-8")
            os.execv(os.path.join(BIN, "xmpp"), ["xmpp", "-C", rh.dir, "shell"])
        self.text = ""
        self.code = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def type(self, keys):
        # The prompt is there a moment before the terminal hands on each key: ^D would be an end of
        # file then, which libedit reads as another key.
        if "\x04" in keys:
            wait_for(lambda: not termios.tcgetattr(self.fd)[3] & termios.ICANON, "raw keys")
        os.write(self.fd, keys.encode())

    def expect(self, pattern):
        """Reads until the pattern is in what came since the last match; the match."""
        end = time.monotonic() + LIMIT
        while not (m := re.search(pattern, plain := STEERING.sub("", self.text), re.S)):
            if not select.select([self.fd], [], [], 0.2)[0]:
                assert time.monotonic() < end, f"no {pattern!r} in {self.text!r}"
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            assert data, f"ended without {pattern!r}: {self.text!r}"
            self.text += data.decode(errors="replace")
        self.text = plain[m.end():]
        return m

    def run(self, line):
        """A whole line, and what it printed."""
        self.type(line + "\r")
        # libedit shows the line as it is typed; after it comes the output, then the prompt.
        return self.expect(r"\n(.*?)" + re.escape(PROMPT) + "$").group(1)

    def end(self):
        while self.code is None:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code


def home_of(rh):
    return tempfile.mkdtemp(prefix="home", dir=os.path.dirname(rh.dir))


def script(rh, text, *options):
    return subprocess.run([os.path.join(BIN, "xmpp"), "-C", rh.dir, "shell", *options],
                          input=text, text=True, capture_output=True, check=False,
                          timeout=2 * LIMIT)


@case
def lines_of_all_programs_work_as_printed(rh):
    with Terminal(rh, home_of(rh)) as t:
        t.expect(re.escape(PROMPT))
        assert "router" in t.run("supervisor status")
        assert "BEGIN" not in t.run("pki inspect server.crt")
        assert "Uptime" in t.run("xmpp general")
        assert "PROCESS" in t.run("xmpp   stats")
        assert "did you mean 'xmpp sessions'" in t.run("sessions")
        assert "did you mean 'xmpp stats'" in t.run("xmp stats")
        assert "quote \" is not closed" in t.run('xmpp user show "juliet')
        assert "shell already" in t.run("xmpp shell")
        assert "usage: xmpp" in t.run("help xmpp user add")
        assert "xmpp user add JID" in t.run("help")
        t.type("exit 3\r")
        assert t.end() == 3


@case
def tab_completes_programs_commands_and_options(rh):
    with Terminal(rh, home_of(rh)) as t:
        t.expect(re.escape(PROMPT))
        t.type("sup\t")
        t.expect("supervisor ")
        t.type("sta\t\t")
        t.expect("start +status")
        t.type("tu\t--j\t\r")
        t.expect('"phase"')
        t.expect(re.escape(PROMPT))
        t.type("xmpp user show --pass\t")
        time.sleep(0.2)  # an option of another command is not offered: nothing comes
        t.type("\x15\x04")
        assert t.end() == 0


@case
def ctrl_c_ends_the_running_command_only(rh):
    with Terminal(rh, home_of(rh)) as t:
        t.expect(re.escape(PROMPT))
        t.type("xmpp log show -f\r")
        t.expect("service_started")
        t.type("\x03")
        t.expect(re.escape(PROMPT))
        assert "Uptime" in t.run("xmpp general")
        t.type("half a line\x03")
        t.expect(r"\n" + re.escape(PROMPT))
        assert "no accounts" in t.run("xmpp user list")
        t.type("\x04")
        assert t.end() == 0


@case
def history_is_kept_for_its_owner_only_and_without_secrets(rh):
    home = home_of(rh)
    name = os.path.join(home, ".roundhouse_history")
    with Terminal(rh, home) as t:
        t.expect(re.escape(PROMPT))
        t.run("xmpp user list")
        t.run("xmpp component add gw --secret hunter2")
        t.run("xmpp component add gw --secret=hunter2")
        t.run(" xmpp stats")
        t.type("\x1b[A")  # the last that was kept
        t.expect("xmpp user list")
        t.type("\r")
        t.expect(r"no accounts.*" + re.escape(PROMPT))
        t.type("\x04")
        assert t.end() == 0
    assert stat.S_IMODE(os.stat(name).st_mode) == 0o600
    with open(name, encoding="utf-8") as f:
        lines = f.read().splitlines()
    assert lines == ["xmpp user list", "xmpp user list"], lines
    with Terminal(rh, home) as t:
        t.expect(re.escape(PROMPT))
        t.type("\x1b[A")
        t.expect("xmpp user list")
        t.type("\x15\x04")
        assert t.end() == 0


@case
def a_script_stops_at_the_first_line_that_fails(rh):
    text = "# a comment\n\nxmpp user list\nxmpp user show nobody@localhost\nxmpp stats\n"
    done = script(rh, text)
    assert done.returncode == 1, done
    assert "no accounts" in done.stdout and "PROCESS" not in done.stdout, done
    assert "line 4: exit code 1; stopped" in done.stderr, done
    done = script(rh, text, "--keep-going")
    assert done.returncode == 1 and "PROCESS" in done.stdout, done
    assert script(rh, "xmpp user list\n").returncode == 0
    assert script(rh, "xmpp user list\nexit\nnonsense\n").returncode == 0
    assert script(rh, "nonsense\n").returncode == 2


@case
def what_a_command_reads_are_the_lines_behind_its_own(rh):
    done = script(rh, "xmpp user add script@localhost --password-stdin\nsecret word\n"
                      "xmpp user list\nxmpp user del script@localhost\n")
    assert done.returncode == 0 and "script@localhost" in done.stdout, done


@case
def nothing_is_expanded_and_no_shell_is_between(rh):
    mark = os.path.join(os.path.dirname(rh.dir), "mark")
    done = script(rh, f"xmpp log search '$HOME; `touch {mark}` | x > y'\n"
                      f"xmpp log search $(touch {mark})\n", "--keep-going")
    assert done.stdout.startswith("no log messages\n"), done
    assert not os.path.exists(mark)


@case
def a_killed_command_leaves_the_shell_and_its_terminal(rh):
    with Terminal(rh, home_of(rh)) as t:
        t.expect(re.escape(PROMPT))
        t.type("xmpp user passwd juliet@localhost\r")  # turns the echo off
        t.expect("assword")
        with open(f"/proc/{t.pid}/task/{t.pid}/children", encoding="ascii") as f:
            children = f.read().split()
        assert len(children) == 1, children
        os.kill(int(children[0]), signal.SIGKILL)
        t.expect(re.escape(PROMPT))
        assert "no accounts" in t.run("xmpp user list")
        t.type("exit\r")
        assert t.end() == 0


if __name__ == "__main__":
    with Instance() as instance:
        wait_for(lambda: "service_started" in instance.log("events"), "the event log")
        sys.exit(run_cases(instance))
