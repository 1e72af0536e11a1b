#!/usr/bin/python3
"""The `dns` command on a running instance, with dnsmasq as its server."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from dnsmasq import Dnsmasq, free_port  # noqa: E402
from roundhouse import BIN, Instance, case, run_cases  # noqa: E402

COMPONENT = "_xmpp-component._tcp.lab.test"
RECORDS = [f"{COMPONENT} SRV 20 0 5223 cb3.lab.test", f"{COMPONENT} SRV 10 10 5222 cb2.lab.test",
           f"{COMPONENT} SRV 10 90 5223 cb1.lab.test", "_none._tcp.lab.test SRV 0 0 0 .",
           "cb1.lab.test A 127.0.0.2", "cb1.lab.test AAAA ::1", "six.lab.test AAAA ::1",
           "also.lab.test CNAME cb1.lab.test"]


def dns(rh, *args, code=0):
    done = rh.run("dns", *args, check=False)
    assert done.returncode == code, f"dns {args}: exit code {done.returncode}: {done.stdout}"
    return done.stdout


def managed(rh):
    try:
        with open(rh.path("conf", "managed.conf"), encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return None


@case
def dns_alone_shows_the_servers_in_use_and_that_nothing_is_configured(rh, server):
    out = dns(rh)
    assert out.startswith("Servers from            : /etc/resolv.conf\nServer   "), out
    for label in ("Forward zone", "Local record", "Trust anchor"):
        assert f"{label:24}: none\n" in out, out
    rows = [json.loads(line) for line in dns(rh, "--json").splitlines()]
    assert rows[0] == {"kind": "source", "value": "/etc/resolv.conf"}, rows
    assert rows[1]["kind"] == "server" and "@" in rows[1]["value"], rows


@case
def a_server_that_is_added_is_asked(rh, server):
    assert dns(rh, "add", "server", server.server) == f"SUCCESS: server added: {server.server}\n"
    out = dns(rh)
    assert f"Servers from            : configuration\n{'Server':24}: {server.server}\n" in out, out
    out = dns(rh, "lookup", "Srv", COMPONENT).splitlines()
    assert [line.split()[4:] for line in out] == [
        ["10", "90", "5223", "cb1.lab.test."], ["10", "10", "5222", "cb2.lab.test."],
        ["20", "0", "5223", "cb3.lab.test."]], out


@case
def answers_are_printed_a_line_each_and_as_json(rh, server):
    assert dns(rh, "lookup", "aaaa", "cb1.lab.test").split() == \
        ["cb1.lab.test.", "0", "IN", "AAAA", "::1"]
    out = dns(rh, "lookup", "a", "also.lab.test").splitlines()
    assert [line.split()[3:] for line in out] == [["CNAME", "cb1.lab.test."], ["A", "127.0.0.2"]]
    rows = [json.loads(line) for line in dns(rh, "lookup", "srv", COMPONENT, "--json").splitlines()]
    assert rows[0] == {"name": COMPONENT, "type": "SRV", "ttl": 0, "secure": False, "priority": 10,
                       "weight": 90, "port": 5223, "target": "cb1.lab.test"}, rows
    assert json.loads(dns(rh, "lookup", "a", "cb1.lab.test", "--json"))["address"] == "127.0.0.2"


@case
def each_way_to_have_no_answer_has_its_own_words_and_exit_code_1(rh, server):
    nobody = f"127.0.0.1@{free_port('127.0.0.1')}"
    for args, outcome, words in [
            (("a", "nix.lab.test"), "NXDOMAIN", "does not exist"),
            (("a", "six.lab.test"), "NODATA", "has no A record"),
            (("srv", "_none._tcp.lab.test"), "NOSERVICE", "not offered"),
            (("a", "a..b"), "MALFORMED", "not a name"),
            (("a", "cb1.lab.test", "--server", nobody), "TIMEOUT", "Connection refused")]:
        out = dns(rh, "lookup", *args, code=1)
        assert out.startswith(f"dns: {outcome}: ") and words in out, out
        row = json.loads(dns(rh, "lookup", *args, "--json", code=1))
        assert row["result"] == outcome and words in row["text"], row


@case
def what_is_no_question_is_a_usage_error(rh, server):
    assert "srv, a or aaaa" in dns(rh, "lookup", "mx", "lab.test", code=2)
    assert "usage" in dns(rh, "lookup", "a", code=2)
    assert "lookup" in dns(rh, "--help")
    assert "zone file" in dns(rh, "add", "rr", "--help")


@case
def a_local_record_is_answered_at_once_and_in_the_configuration_of_the_running_instance(rh, server):
    line = "_xmpp-component._tcp.example.com. 86400 IN SRV 0 0 5223 h.example.com."
    assert "NXDOMAIN" in dns(rh, "lookup", "srv", "_xmpp-component._tcp.example.com", code=1)
    assert dns(rh, "add", "rr", line) == f"SUCCESS: record added: {line}\n"
    assert dns(rh, "lookup", "srv", "_xmpp-component._tcp.example.com") == line + "\n"
    assert f"{'Local record':24}: {line}\n" in dns(rh)
    rh.run("supervisor", "check")
    dns(rh, "add", "rr", "h.example.com.", "A", "192.0.2.1")  # quotes forgotten
    dns(rh, "add", "rr", "h.example.com. AAAA 2001:db8::1")
    assert dns(rh, "lookup", "a", "H.example.com").split()[4] == "192.0.2.1"
    before = managed(rh)
    assert "is there already" in dns(rh, "add", "rr", "H.example.com  A 192.0.2.1", code=1)
    assert managed(rh) == before


@case
def what_cannot_be_a_record_server_or_zone_is_refused_and_changes_nothing(rh, server):
    before = managed(rh)
    for args, words in [(("rr", "nonsense"), "no type"),
                        (("rr", "h.example.com. A 192.0.2.300"), "ip4"),
                        (("rr", "_x._tcp.example.com. SRV 0 0 5223"), "TARGET"),
                        (("rr", "h.example.com. A 192.0.2.1\nx A 192.0.2.2"), "one line"),
                        (("server", "ns.example.com"), "IP address"),
                        (("forwardzone", "exa..mple", "192.0.2.1"), "not a domain"),
                        (("forwardzone", "example.com", "ns1"), "IP address"),
                        (("trustanchor", "example.com. DS nonsense"), "trustanchors")]:
        out = dns(rh, "add", *args, code=1)
        assert out.startswith("FAILURE: ") and words in out, out
        row = json.loads(dns(rh, "add", *args, "--json", code=1))
        assert row["result"] == "failure" and words in row["text"], row
    assert managed(rh) == before


@case
def records_are_deleted_by_their_line_or_by_name_and_type(rh, server):
    out = dns(rh, "del", "rr", "h.example.com", "aaaa")
    assert out == "SUCCESS: record deleted: h.example.com. AAAA 2001:db8::1\n", out
    assert "NODATA" in dns(rh, "lookup", "aaaa", "h.example.com", code=1)
    assert "no such record" in dns(rh, "del", "rr", "h.example.com", "aaaa", code=1)
    dns(rh, "add", "rr", "h.example.com. A 192.0.2.2")
    assert dns(rh, "del", "rr", "h.example.com").count("SUCCESS") == 2
    dns(rh, "del", "rr",
        "_xmpp-component._tcp.example.com 86400 in srv 0 0 5223 h.example.com")
    assert f"{'Local record':24}: none\n" in dns(rh)


@case
def a_forward_zone_sends_its_names_to_another_server(rh, server):
    with Dnsmasq("cb1.lab.test A 127.0.0.77", "x.sub.test A 127.0.0.78", address="127.0.0.3") as other:
        dns(rh, "add", "forwardzone", "sub.test", other.server)
        assert dns(rh, "lookup", "a", "x.sub.test").split()[4] == "127.0.0.78"
        assert dns(rh, "lookup", "a", "cb1.lab.test").split()[4] == "127.0.0.2"
        dns(rh, "add", "forwardzone", ".", other.server)
        assert 'forward zone "."' in dns(rh)
        assert dns(rh, "lookup", "a", "cb1.lab.test").split()[4] == "127.0.0.77"
        dns(rh, "del", "forwardzone", ".", other.server)
        dns(rh, "del", "forwardzone", "sub.test.", other.server)
    assert "NXDOMAIN" in dns(rh, "lookup", "a", "x.sub.test", code=1)


@case
def a_repaired_server_is_seen_by_the_next_lookup(rh, server):
    server.stop()
    assert "TIMEOUT" in dns(rh, "lookup", "a", "cb1.lab.test", code=1)
    server.start()
    assert dns(rh, "lookup", "a", "cb1.lab.test").split()[4] == "127.0.0.2"


@case
def dns_flush_says_that_nothing_is_kept(rh, server):
    assert "nothing to flush" in dns(rh, "flush")


@case
def lookup_needs_no_instance_and_add_does(rh, server):
    with tempfile.TemporaryDirectory() as empty:
        env = {k: v for k, v in os.environ.items() if k != "ROUNDHOUSE_DIR"}
        program = os.path.join(BIN, "dns")
        done = subprocess.run([program, "lookup", "a", "cb1.lab.test", "--server", server.server],
                              cwd=empty, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "127.0.0.2" in done.stdout, done
        done = subprocess.run([program, "add", "rr", "h A 192.0.2.1"], cwd=empty, env=env,
                              capture_output=True, text=True, check=False)
        assert done.returncode != 0 and "-C" in done.stderr, done
        done = subprocess.run([program, "-C", empty, "lookup", "a", "localhost"], cwd=empty, env=env,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 3 and "no instance" in done.stderr, done


@case
def what_other_settings_are_warned_about_is_not_repeated_here(rh, server):
    rh.run("pki", "selfsigned", "stray", "CN:stray.example")
    said = rh.run("xmpp", "multi_domain", "add", "further.example", "stray.key", "stray.crt").stdout
    assert "warning: " in said, said
    record = "quiet.lab.test. 60 IN A 127.0.0.9"
    assert dns(rh, "add", "rr", record) == f"SUCCESS: record added: {record}\n"
    dns(rh, "del", "rr", "quiet.lab.test.", "A")
    rh.run("xmpp", "multi_domain", "del", "further.example")


@case
def only_the_administrator_changes_anything(rh, server):
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                 os.path.join(BIN, "dns")]
    if os.getuid() != 0 or subprocess.run([*as_nobody, "--help"], capture_output=True,
                                          check=False).returncode != 0:
        print("skipped: needs root, and programs that everybody may run", flush=True)
        return
    before = managed(rh)
    done = subprocess.run([*as_nobody, "-C", rh.dir, "add", "rr", "h.example.com. A 192.0.2.1"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "administrator" in done.stderr + done.stdout, done
    assert managed(rh) == before


@case
def the_services_ran_on_through_all_of_this(rh, server):
    assert all(row["ready"] and row["restarts"] == 0 for row in rh.services()), rh.services()


if __name__ == "__main__":
    with Instance() as instance, Dnsmasq(*RECORDS) as dnsmasq:
        sys.exit(run_cases(instance, dnsmasq))
