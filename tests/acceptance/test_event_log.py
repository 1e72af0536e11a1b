#!/usr/bin/python3
"""Event log, faults and the status page's rows (FEATURES 9.1: A60, A62, A63, A64): the commands on real
instances, with real alarms, deaths and a call bridge without DNS."""
import json
import os
import pwd
import re
import signal
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from component import Component  # noqa: E402
from roundhouse import BIN, Instance, Raw, alive, case, free_port, run_cases, wait_for  # noqa: E402

STAMP = r"\d{4}-\d\d-\d\d  \d\d:\d\d:\d\d\.\d{3}"
ROW = re.compile(rf"^({STAMP})  (Info|Warning|Error) +(\S.*)$")
HEADING = "Date        Time          Logging level  Message"
ME = pwd.getpwuid(os.getuid()).pw_name
DURATION = r"\d+ (day|hour|minute|second)s?(, \d+ (hour|minute|second)s?){0,2}"


def show(rh, *args):
    """The messages of `xmpp log show`: (time, level, message)."""
    lines = rh.run("xmpp", "log", "show", *args).stdout.splitlines()
    assert lines[0] in (HEADING, "no log messages"), lines
    rows = [ROW.match(line) for line in lines[1:]]
    assert all(rows), lines
    return [m.groups() for m in rows]


def put_lines(rh, lines):
    """What a service logs goes into its pipe; so does this."""
    with open(rh.path("run", "log", "cm-client-1"), "w", encoding="ascii") as f:
        for line in lines:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            f.write(f"{stamp}.000001Z {line}\n")


def faults(rh):
    """(fault conditions, recent errors and warnings) as dicts, from --json."""
    rows = [json.loads(line) for line in rh.run("xmpp", "faults", "--json").stdout.splitlines()]
    return ([r for r in rows if r["kind"] == "fault"], [r for r in rows if r["kind"] == "recent"])


def expire_soon(rh):
    """A good certificate that ends in five days takes the place of the server's."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=rh.path("pki"),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.copy2(rh.path("pki", "server.crt"), rh.path("pki", "kept.crt"))
    with open(rh.path("pki", "ext"), "w", encoding="ascii") as f:
        f.write("subjectAltName=DNS:localhost\n")
    openssl("req", "-new", "-key", "server.key", "-subj", "/CN=localhost", "-out", "csr")
    openssl("x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "5", "-extfile", "ext", "-out", "new.crt")
    shutil.copymode(rh.path("pki", "server.crt"), rh.path("pki", "new.crt"))
    os.rename(rh.path("pki", "new.crt"), rh.path("pki", "server.crt"))


def wait_gone(rh, pid):
    wait_for(lambda: not alive(pid), "the end of the supervisor")


@case
def a60_no_fault_stands_on_a_healthy_server(rh):
    out = rh.run("xmpp", "faults").stdout
    assert out.startswith("Fault conditions\nDate        Time          Fault condition\nnone\n\n"
                          "Recent errors and warnings\n" + HEADING + "\n"), out


@case
def a60_an_alarm_is_a_fault_condition_with_date_and_time_until_it_is_over(rh):
    before = time.time()
    expire_soon(rh)
    def times():
        return {f["service"]: f["time"] for f in faults(rh)[0]}
    services = [r["instance"] for r in rh.services() if r["service"].startswith("cm-")]
    wait_for(lambda: sorted(times()) == sorted(services), "the alarms of the certificate")
    stood = times()
    since = stood["cm-client-1"]
    out = rh.run("xmpp", "faults").stdout
    m = re.search(rf"^({STAMP})  (cm-client-1: .*expire.*)$", out, re.M)
    assert m, out
    assert m.group(1).replace("  ", "T") + "Z" == since
    assert before - 1 < time.mktime(time.strptime(since[:19], "%Y-%m-%dT%H:%M:%S")) - \
        time.timezone < time.time() + 1, since
    recent = faults(rh)[1]
    assert any("event=alarm instance=cm-client-1" in r["message"] for r in recent), recent
    # The time survives the supervisor.
    pid = rh.supervisor_pid()
    os.kill(pid, signal.SIGKILL)
    wait_gone(rh, pid)
    rh.start()
    assert times() == stood
    os.rename(rh.path("pki", "kept.crt"), rh.path("pki", "server.crt"))
    wait_for(lambda: not faults(rh)[0], "the alarm to be over")
    assert any("event=alarm_off instance=cm-client-1" in text for _, _, text in show(rh))


@case
def a60_the_call_bridge_without_dns_is_a_fault_in_the_guides_words(_):
    """No server address, and nobody to ask: what the guides' screenshot shows."""
    with Instance(start=False) as rh:
        name = rh.path("conf", "managed.conf")
        rh.run("callbridge", "settings", "--name", "cb1", "--domain", "tptac9.com", "--echo")
        rh.run("callbridge", "secret", "--secret-stdin", stdin="kvgP1SRzWVabhiPVAb1\n")
        port = free_port()  # nobody answers there
        with open(name, "a", encoding="utf-8") as f:
            f.write(f'dns = {{ servers = ["127.0.0.1@{port}"]; }};\n')
        rh.start()
        rh.run("callbridge", "enable")
        fault = 'XMPP connection to "" failed'
        found = wait_for(lambda: [f for f in faults(rh)[0] if f["service"] == "callbridge"],
                         "the call bridge's fault")
        assert found[0]["fault"] == fault, found
        assert re.search(rf"^{STAMP}  {fault}$", rh.run("xmpp", "faults").stdout, re.M)
        # The three lines in their order, and the row of the page.
        rows = wait_for(lambda: [r for r in show(rh, "--service", "callbridge")
                                 if "event=" not in r[2]][:3], "the three lines")
        assert [r[1:] for r in rows] == [
            ("Info", "No DNS A or AAAA records for _xmpp-component._tcp.tptac9.com"),
            ("Info", "XMPP connection dropped while session was live for reason 2"),
            ("Info", 'XMPP component connection disconnected due to failure reason: '
                     '"dns error"')], rows
        general = rh.run("xmpp", "general").stdout
        assert re.search(r"^XMPP connection         : failed to connect to  due to DNS error "
                         rf"\({DURATION} ago\)$", general, re.M), general
        pid = rh.pid("callbridge")
        os.kill(pid, signal.SIGSTOP)
        try:
            general = rh.run("xmpp", "general").stdout
        finally:
            os.kill(pid, signal.SIGCONT)
        assert re.search(r"^XMPP connection         : not answering$", general, re.M), general
        rh.run("callbridge", "disable")
        wait_for(lambda: not faults(rh)[0], "the fault to be over with the call bridge")


@case
def a62_messages_have_date_time_with_milliseconds_level_and_text(rh):
    rows = show(rh)
    assert any(r[1] == "Info" and "event=service_started instance=router" in r[2] for r in rows)
    assert rows == sorted(rows, key=lambda r: r[0])
    assert len(show(rh, "-n", "2")) == 2


@case
def a62_deaths_of_services_are_errors(rh):
    rh.kill("datastore")
    rh.wait_ready()
    wait_for(lambda: [r for r in show(rh, "--level", "error")
                      if "event=service_died instance=datastore" in r[2]], "the death in the log")


@case
def a62_filter_by_level_service_and_time(rh):
    put_lines(rh, ["warn  cm-client-1[1] - event=filter_me text=\"Needle in Hay\"",
                   "info  cm-client-1[1] - event=not_of_interest"])
    wait_for(lambda: "filter_me" in rh.run("xmpp", "log", "show").stdout, "the line")
    assert all(r[1] in ("Warning", "Error") for r in show(rh, "--level", "Warning"))
    assert all(r[1] == "Error" for r in show(rh, "--level", "Error"))
    of_cm = show(rh, "--service", "cm-client")
    assert any("filter_me" in r[2] for r in of_cm) and \
        all(r[2].startswith("cm-client-1: ") for r in of_cm), of_cm
    assert show(rh, "--since", "1h") == show(rh, "-n", "1000")
    assert show(rh, "--since", "2099-01-01") == []
    assert "not_of_interest" not in rh.run("xmpp", "log", "show", "-n", "1000").stdout
    found = rh.run("xmpp", "log", "search", "needle IN").stdout.splitlines()
    assert len(found) == 2 and "filter_me" in found[1], found
    assert rh.run("xmpp", "log", "search", "no such words").stdout == "no log messages\n"
    done = rh.run("xmpp", "log", "show", "--level", "loud", check=False)
    assert done.returncode == 2 and "Info, Warning or Error" in done.stdout, done.stdout
    rows = [json.loads(line) for line in
            rh.run("xmpp", "log", "search", "needle", "--json").stdout.splitlines()]
    assert rows[0]["level"] == "Warning" and rows[0]["service"] == "cm-client-1", rows


@case
def a62_export_as_text_overwrites_nothing(rh):
    path = os.path.join(os.path.dirname(rh.dir), "export.txt")
    said = rh.run("xmpp", "log", "export", path).stdout
    with open(path, encoding="utf-8") as f:
        text = f.read()
    lines = text.splitlines()
    assert lines[0] == HEADING and all(ROW.match(line) for line in lines[1:]), lines
    assert said == f"{len(lines) - 1} log messages written to {path}\n", said
    assert text == rh.run("xmpp", "log", "export", "-").stdout
    done = rh.run("xmpp", "log", "export", path, "--level", "error", check=False)
    assert done.returncode == 1 and "--force" in done.stdout, done.stdout
    with open(path, encoding="utf-8") as f:
        assert f.read() == text
    rh.run("xmpp", "log", "export", path, "--level", "error", "--force")
    with open(path, encoding="utf-8") as f:
        assert len(f.read()) < len(text)
    done = json.loads(rh.run("xmpp", "log", "export", path, "--force", "--json").stdout)
    with open(path, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    assert done == {"written": len(rows), "file": path}, done
    # On a full disk what was there stays, and nothing half is left beside it.
    os.symlink("/dev/full", path + ".new")
    done = rh.run("xmpp", "log", "export", path, "--force", check=False)
    assert done.returncode == 1 and "No space left" in done.stdout, done.stdout
    with open(path, encoding="utf-8") as f:
        assert [json.loads(line) for line in f] == rows


@case
def a62_follow_shows_what_comes(rh):
    with tempfile.TemporaryFile("w+") as out:
        follow = subprocess.Popen([os.path.join(BIN, "xmpp"), "-C", rh.dir, "log", "show", "-f"],
                                  stdout=out, stderr=out)
        try:
            def shown(what):
                out.seek(0)
                return out.read().count(what) == 1
            wait_for(lambda: shown(HEADING), "the heading")
            put_lines(rh, ["warn  cm-client-1[1] - event=followed"])
            wait_for(lambda: shown("event=followed"), "the new line")
            rh.run("xmpp", "log", "clear")
            put_lines(rh, ["warn  cm-client-1[1] - event=after_the_clear"])
            wait_for(lambda: shown("event=after_the_clear"), "a line after the clear")
            assert shown("cleared by")
        finally:
            follow.terminate()
            follow.wait()


@case
def a62_a_flood_does_not_wash_the_log_out(rh):
    put_lines(rh, ["error cm-client-1[1] - event=precious"])
    for _ in range(10):
        put_lines(rh, [f"warn  cm-client-1[1] c2s#{i} event=flood addr=127.0.0.1:{i}"
                       for i in range(200)])
        time.sleep(0.05)
    wait_for(lambda: re.search(r"event=flood .*\(repeated \d+ times\)",
                               rh.run("xmpp", "log", "show", "-n", "1000").stdout), "the count")
    rows = [r for r in show(rh, "-n", "1000") if "event=flood" in r[2]]
    assert 10 < len(rows) < 20, len(rows)
    counts = [int(m.group(1)) for r in rows if (m := re.search(r"repeated (\d+) times", r[2]))]
    assert len(rows) - len(counts) + sum(counts) == 2000, counts
    assert any("precious" in r[2] for r in show(rh))


@case
def a62_the_log_survives_the_supervisor(rh):
    before = show(rh, "-n", "1000")
    pid = rh.supervisor_pid()
    os.kill(pid, signal.SIGKILL)
    wait_gone(rh, pid)
    put_lines(rh, ["warn  cm-client-1[1] - event=without_a_supervisor"])
    assert show(rh, "-n", "1000") == before  # read without one
    done = rh.run("xmpp", "log", "clear", check=False)
    assert done.returncode == 3 and "supervisor" in done.stdout, done.stdout
    rh.start()
    wait_for(lambda: "without_a_supervisor" in rh.run("xmpp", "log", "show").stdout,
             "what was logged without a supervisor")
    after = show(rh, "-n", "1000")
    assert [r for r in after if r in before] == before


@case
def a62_clear_leaves_one_message_with_the_count_and_the_user(rh):
    count = len(show(rh, "-n", "1000000"))
    said = rh.run("xmpp", "log", "clear").stdout
    wanted = f'{count} log messages cleared by "{ME}"'
    assert said == wanted + "\n", said
    rows = show(rh)
    assert [r[1:] for r in rows] == [("Info", wanted)], rows
    assert rh.run("xmpp", "log", "clear", "--json").stdout == f'{{"cleared":1,"by":"{ME}"}}\n'


@case
def a62_components_that_come_and_go_and_shown_secrets_are_messages(rh):
    secret = re.search(r"^Secret +: (\S+)$", rh.run("xmpp", "callbridge", "add", "ev1").stdout,
                       re.M).group(1)
    Component(rh, "ev1.localhost", secret).close()
    rh.run("xmpp", "callbridge", "list")
    for pattern in (r"Info +cm-component-1: .*event=bind .*ev1\.localhost",
                    r"Info +router: event=route_ended domain=\"ev1\.localhost\"",
                    rf"Info +datastore: event=secret_shown by=\"{ME}"):
        wait_for(lambda p=pattern: re.search(p, rh.run("xmpp", "log", "show").stdout), pattern)
    assert secret not in rh.run("xmpp", "log", "export", "-").stdout


@case
def a62_only_the_administrator_clears(rh):
    if os.getuid() != 0:
        print("skipped: another user can be had as root only")
        return
    count = len(show(rh, "-n", "1000000"))
    for args in (["clear"], ["show"], ["export", "-"]):
        try:
            done = subprocess.run([os.path.join(BIN, "xmpp"), "-C", rh.dir, "log", *args],
                                  text=True, capture_output=True, check=False, user="nobody",
                                  group="nogroup", extra_groups=[], cwd="/")
        except PermissionError:
            print(f"skipped: nobody may not run what is in {BIN}")
            return
        assert done.returncode == 1 and "administrator" in done.stderr, done
        assert not done.stdout, done
    # Others may write meanwhile, and nobody takes away.
    after = show(rh, "-n", "1000000")
    assert len(after) >= count and not any('cleared by "nobody"' in text for _, _, text in after)


@case
def a63_status_rows_with_the_guides_labels_in_their_order(rh):
    out = rh.run("xmpp", "general").stdout
    rows = [(line[:24].rstrip(), line[24:]) for line in out.splitlines()]
    assert all(value.startswith(": ") for _, value in rows), out
    assert [label for label, _ in rows][:3] == ["Uptime", "Build version",
                                                "Authentication service"], out
    values = dict(rows)
    assert re.fullmatch(": " + DURATION, values["Uptime"]), out
    version = subprocess.run([os.path.join(BIN, "supervisor"), "--version"], text=True,
                             capture_output=True, check=True).stdout.split()[1]
    assert values["Build version"] == f": {version}", out
    assert values["Sessions"] == ": 0" and values["Components"] == ": 0", out
    data = json.loads(rh.run("xmpp", "general", "--json").stdout)
    assert data["version"] == version and data["sessions"] == 0, data
    rh.add_user("juliet@localhost", "r0m30")
    with Raw(rh) as c:
        c.login("juliet", "r0m30")
        assert "\nSessions                : 1\n" in rh.run("xmpp", "general").stdout


@case
def a63_uptime_outlives_the_restart_of_one_service(rh):
    def uptime():
        return json.loads(rh.run("xmpp", "general", "--json").stdout)["uptime"]
    wait_for(lambda: uptime() >= 2, "two seconds of uptime")
    rh.run("supervisor", "restart", "router")
    assert uptime() >= 2


@case
def a64_the_authentication_service_is_registered_since_the_datastore_is_linked(rh):
    def seconds():
        return json.loads(rh.run("xmpp", "general", "--json").stdout).get("registered")
    wait_for(lambda: (seconds() or 0) >= 2, "two seconds of registration")
    assert re.search(rf"^Authentication service  : registered for {DURATION}$",
                     rh.run("xmpp", "general").stdout, re.M)
    rh.kill("datastore")
    rh.wait_ready()
    wait_for(lambda: seconds() is not None, "the next datastore")
    assert seconds() <= 2, seconds()


@case
def a64_without_a_datastore_no_authentication_component_is_found(_):
    with Instance() as rh:
        for name in os.listdir(rh.path("data")):
            if name.startswith("roundhouse.db"):
                with open(rh.path("data", name), "r+b") as f:
                    f.truncate(0)
                    f.write(b"this is no database" * 1000)
        rh.kill("datastore")
        row = "Authentication service  : no authentication components found\n"
        wait_for(lambda: row in rh.run("xmpp", "general").stdout, row)
        # It cannot come back: that is a fault.
        wait_for(lambda: [f for f in faults(rh)[0] if f["service"] == "datastore"],
                 "the fault of the datastore")
        assert "datastore: " in rh.run("xmpp", "faults").stdout


if __name__ == "__main__":
    with Instance() as instance:
        sys.exit(run_cases(instance))
