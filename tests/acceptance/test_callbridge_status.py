#!/usr/bin/python3
"""What a call bridge says of itself (FEATURES 9.1: A43 and A44 (the command's half), A50, A58, A59,
A60, A65): as a service of an instance, with a real DNS server."""
import datetime
import json
import os
import pty
import re
import select
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from bridge import Bridge, connection_row  # noqa: E402
from component import Component, Refused  # noqa: E402
from dnsmasq import Dnsmasq  # noqa: E402
from roundhouse import BIN, Instance, Raw, case, run_cases, wait_for  # noqa: E402

DOMAIN = "tptac9.com"
SECRET = "uBiLLdIU8vVqj86CAb1"
SRV = f"_xmpp-component._tcp.{DOMAIN}"
DNS_ROW = r"failed to connect to  due to DNS error \((.+) ago\)"
LINES = [f"No DNS A or AAAA records for {SRV}",
         "XMPP connection dropped while session was live for reason 2",
         'XMPP component connection disconnected due to failure reason: "dns error"']


class Home(Instance):
    def settings(self, *args, check=True):
        return self.run("callbridge", "settings", *args, check=check)

    def set_secret(self, secret):
        self.run("callbridge", "secret", "--secret-stdin", stdin=secret + "\n")

    def bridge(self):
        done = self.run("callbridge", "status", "cb1", "--json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait_bridge(self, **wanted):
        def holds():
            s = self.bridge()
            return s if s and all(s.get(k) == v for k, v in wanted.items()) else None
        return wait_for(holds, f"the call bridge to be {wanted}", 20)

    def faults(self):
        return self.run("xmpp", "faults").stdout

    def events(self):
        return self.run("xmpp", "log", "export", "-").stdout.splitlines()


def on_terminal(rh, *answers):
    """`callbridge secret` on a terminal, each prompt answered: (exit code, all that was shown)."""
    pid, fd = pty.fork()
    if pid == 0:
        program = os.path.join(BIN, "callbridge")
        os.execv(program, [program, "-C", rh.dir, "secret"])
    shown = b""
    for answer in [*answers, None]:
        while not (answer and shown.endswith(b": ")):
            if not select.select([fd], [], [], 20)[0]:
                raise AssertionError(f"no prompt; shown: {shown!r}")
            try:
                data = os.read(fd, 4096)
            except OSError:
                data = b""
            shown += data
            if not data:
                break
        if answer:
            os.write(fd, answer.encode() + b"\n")
            shown += b"|"
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def rows(out):
    """Labels in 24 columns to values."""
    found = {}
    for line in out.splitlines():
        assert line[24:26] == ": ", line
        found[line[:24].rstrip()] = line[26:]
    return found


@case
def a43_the_five_fields_of_the_settings_are_shown_and_set(rh, _dns):
    shown = rows(rh.settings().stdout)
    assert list(shown)[:5] == ["Unique Call Bridge name", "Domain", "Server address",
                               "Shared secret", "Confirm shared secret"], shown
    assert shown["Unique Call Bridge name"] == "none" and shown["Shared secret"] == "[change]"
    out = rh.settings("--name", "cb1", "--domain", DOMAIN, "--server", "localhost:5223",
                      "--echo").stdout
    assert out == "SUCCESS: XMPP server settings changed\n", out
    rh.set_secret(SECRET)
    shown = rows(rh.settings().stdout)
    assert shown["Unique Call Bridge name"] == "cb1" and shown["Domain"] == DOMAIN
    assert shown["Server address"] == "localhost:5223"
    rh.settings("--server", "none")
    assert rows(rh.settings().stdout)["Server address"] == "none"
    as_json = json.loads(rh.settings("--json").stdout)
    assert as_json["name"] == "cb1" and as_json["server"] == "" and as_json["secret"] is True


@case
def a43_two_secrets_that_differ_are_refused_and_the_secret_is_never_shown_back(rh, _dns):
    code, shown = on_terminal(rh, "one-secret", "another-secret")
    assert code == 1 and "differ" in shown and "nothing was changed" in shown, shown
    with open(rh.path("pki", "callbridge.secret"), encoding="ascii") as f:
        assert f.read() == SECRET + "\n"
    code, shown = on_terminal(rh, "RJTmSh4smhLYguGpAb1", "RJTmSh4smhLYguGpAb1")
    assert code == 0 and "SUCCESS: Shared secret changed" in shown, shown
    assert "Shared secret: |" in shown and "Confirm shared secret: |" in shown, shown
    with open(rh.path("pki", "callbridge.secret"), encoding="ascii") as f:
        assert f.read() == "RJTmSh4smhLYguGpAb1\n"
    assert os.stat(rh.path("pki", "callbridge.secret")).st_mode & 0o777 == 0o600
    rh.set_secret(SECRET)
    for out in (shown, rh.settings().stdout, rh.settings("--json").stdout):
        assert "RJTm" not in out and SECRET not in out, out
    empty = rh.run("callbridge", "secret", "--secret-stdin", stdin="\n", check=False)
    assert empty.returncode == 1 and "empty" in empty.stdout


@case
def a44_a_name_with_a_domain_part_is_refused(rh, _dns):
    for name in ("cb1@x", "cb1.tptac9.com", "cb1@tptac9.com", "a/b"):
        done = rh.settings("--name", name, check=False)
        assert done.returncode == 1, name
        assert re.fullmatch(r"FAILURE: '.*' has a domain part; .*\n", done.stdout), done.stdout
    assert rows(rh.settings().stdout)["Unique Call Bridge name"] == "cb1"


@case
def a59_a_bridge_that_does_not_run_says_so(rh, _dns):
    done = rh.run("callbridge", "status", check=False)
    assert done.returncode == 3 and "no call bridge runs in" in done.stdout, done.stdout


@case
def a58_the_three_lines_of_a_dns_error_are_logged_in_order_and_again(rh, _dns):
    out = rh.run("callbridge", "enable").stdout
    assert out == ("SUCCESS: Unique Call Bridge name configured\n"
                   "SUCCESS: Shared secret configured\nSUCCESS: Program configured\n"
                   "SUCCESS: Callbridge enabled\n"), out
    rh.wait_ready("callbridge")
    stamp = r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{3})\d*Z? +"
    wait_for(lambda: rh.log("callbridge").count(LINES[2]) >= 3, "three rounds", 20)
    found = [re.match(stamp + r"(\w+) .*?(No DNS A|XMPP conn|XMPP comp)", line)
             for line in rh.log("callbridge").splitlines()
             if any(line.endswith(text) for text in LINES)]
    found = found[:len(found) // 3 * 3]
    assert all(found) and {m.group(2) for m in found} == {"info"}, found
    times = []
    for i in range(0, len(found), 3):
        assert [m.group(3) for m in found[i:i + 3]] == ["No DNS A", "XMPP conn", "XMPP comp"]
        at = [datetime.datetime.fromisoformat(m.group(1)) for m in found[i:i + 3]]
        assert at[2] - at[0] <= datetime.timedelta(milliseconds=50), at
        times.append(at[0])
    for a, b in zip(times, times[1:]):  # callbridge.dns_retry_s = 1
        assert 0.99 <= (b - a).total_seconds() <= 1.5, times
    # The event log has them as the guides print it: Date, Time with ms, Logging level, Message.
    events = [line for line in rh.events() if any(line.endswith(text) for text in LINES)]
    assert len(events) >= 6
    for line, text in zip(events, LINES * 2):
        assert re.match(r"\d{4}-\d\d-\d\d +\d\d:\d\d:\d\d\.\d{3} +Info ", line), line
        assert line.endswith(text), (line, text)


@case
def a59_the_status_row_counts_the_seconds_since_the_failure(rh, _dns):
    rh.configure({"callbridge": "dns_retry_s = 30;"})
    rh.run("supervisor", "reload")
    rh.run("supervisor", "restart", "callbridge")
    rh.wait_bridge(state="failed", cause="dns error")
    first = re.fullmatch(DNS_ROW, connection_row(rh)).group(1)
    assert re.fullmatch(r"[0-9]+ seconds?", first), first
    time.sleep(2.1)
    second = re.fullmatch(DNS_ROW, connection_row(rh)).group(1)
    assert int(second.split()[0]) >= int(first.split()[0]) + 2, (first, second)


@case
def a60_the_fault_stands_with_date_and_time_until_recovery(rh, dns):
    fault = r'\d{4}-\d\d-\d\d +\d\d:\d\d:\d\d\S* .*XMPP connection to "" failed'
    wait_for(lambda: re.search(fault, rh.faults()), "the fault in `xmpp faults`", 20)
    assert 'XMPP connection to "" failed' in rh.run("supervisor", "status", check=False).stdout
    dns.set(f"{SRV} SRV 10 50 {rh.component_port} cb1.{DOMAIN}", f"cb1.{DOMAIN} A 127.0.0.1")
    rh.run("xmpp", "callbridge", "add-secret", "cb1", stdin=SECRET + "\n")
    rh.run("supervisor", "restart", "callbridge")  # not to wait for the retry of DNS
    rh.wait_bridge(state="connected")
    assert re.fullmatch(rf"connected to cb1\.{DOMAIN} for .+", connection_row(rh))
    wait_for(lambda: 'connection to "" failed' not in rh.faults().split("Recent", 1)[0],
             "the fault to go", 20)
    assert rh.service("callbridge")["ready"]


@case
def a65_a_wrong_secret_is_an_authentication_failure_and_locks_nobody_out(rh, _dns):
    rh.run("xmpp", "callbridge", "add-secret", "cb2", stdin=SECRET + "\n")
    with Bridge(rh, "cb2", SECRET, "--server", f"127.0.0.1:{rh.component_port}", "--echo", "--ca",
                rh.ca) as other:
        other.wait_connected()
        rh.set_secret("wrong")
        rh.settings("--server", f"localhost:{rh.component_port}")
        rh.wait_bridge(state="failed", cause="authentication failure")
        row = r"failed to connect to localhost due to authentication failure \(\d+ seconds? ago\)"
        wait_for(lambda: re.search(row, rh.run("callbridge", "status", "cb1").stdout), "the row")
        wait_for(lambda: re.search(r"event=\S+ .*cb1", "\n".join(
            line for line in rh.log("cm-component").splitlines()
            if "not-authorized" in line or "auth" in line)), "the server's log to name cb1")
        assert other.status()["state"] == "connected"
        wait_for(lambda: 'XMPP connection to "localhost" failed' in rh.faults(), "the fault", 20)
        rh.set_secret(SECRET)
        rh.wait_bridge(state="connected", host="localhost")
        assert connection_row(rh, "cb1").startswith("connected to localhost for ")


@case
def a50_several_bridges_serve_at_once_each_with_its_own_connection(rh, _dns):
    # On one server here; across the servers of a cluster their traffic meets at the router.
    rh.add_user(f"juliet@{DOMAIN}", "r0m30")
    rh.run("xmpp", "callbridge", "add-secret", "cb3", stdin=SECRET + "\n")
    server = ("--server", f"127.0.0.1:{rh.component_port}", "--echo", "--ca", rh.ca)
    with Bridge(rh, "cb2", SECRET, *server) as cb2, Bridge(rh, "cb3", SECRET, *server) as cb3, \
            Raw(rh) as juliet:
        cb2.wait_connected()
        cb3.wait_connected()
        rh.wait_bridge(state="connected")
        juliet.login("juliet", "r0m30")
        for name in ("cb1", "cb2", "cb3"):
            juliet.send(f"<message to='x@{name}.{DOMAIN}'><body>to-{name}</body></message>")
            juliet.expect(f"<message [^>]*from='x@{name}.{DOMAIN}'[^>]*>.*?to-{name}</body>")
        names = re.findall(r"^Unique Call Bridge name : (\w+)$",
                           rh.run("callbridge", "status").stdout, re.M)
        assert names == ["cb1", "cb2", "cb3"], names
        try:
            Component(rh, f"cb3.{DOMAIN}", SECRET)
            raise AssertionError("a second registration was taken")
        except Refused as e:
            assert e.condition == "conflict", e


@case
def a06_status_of_the_service_tells_when_it_is_disabled(rh, _dns):
    assert rh.run("callbridge", "disable").stdout == "SUCCESS: Callbridge disabled\n"
    wait_for(lambda: rh.run("callbridge", "status", check=False).returncode == 3, "its end", 20)
    assert "callbridge" not in {row["service"] for row in rh.services() if row["ready"]}
    assert 'XMPP connection to' not in rh.faults().split("Recent", 1)[0]


def main():
    with Dnsmasq() as dns:
        rh = Home(DOMAIN, start=False, config={"callbridge": 'dns_retry_s = 1;\n\tretry_max_ms = 1000;'
                                               '\n\tca = "pki/ca.pem";',
                                               "dns": f'servers = ["{dns.server}"];'})
        rh.start()
        return run_cases(rh, dns)


if __name__ == "__main__":
    sys.exit(main())
