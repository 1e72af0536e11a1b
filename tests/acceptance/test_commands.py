#!/usr/bin/python3
"""The appliance's `xmpp` commands on running instances: rows A02, A09, A21-A23, A35, A38 of the guides
and their order for node 1. (test_commands_whole.py: that nothing is ever half changed.)"""
import json
import os
import re
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance import Server, certificate_seen, file_pem, is_open, results, secret_of
from component import Component, Refused
from roundhouse import Raw, case, run_cases, wait_for
from sm import Client, Plain

JULIET = ("juliet", "capulet")


# ---- xmpp status

@case
def status_has_the_rows_of_the_guides_in_their_order_and_xmpp_alone_prints_the_same(rh):
    out = rh.xmpp("status")
    assert rh.xmpp() == out
    labels = [line[:24].rstrip() for line in out.splitlines()]
    assert labels[:9] == ["Enabled", "Clustered", "Domain", "Listening interfaces", "Key file",
                          "Certificate file", "CA Bundle file", "Max sessions per user", "STATUS"]
    assert out.startswith("Enabled                 : true\nClustered               : false\n"), out
    rows = rh.rows()
    assert rows["Domain"] == "localhost" and rows["Key file"] == "server.key", rows
    assert rows["CA Bundle file"] == "none" and rows["STATUS"] == "XMPP server running", rows
    j = json.loads(rh.xmpp("--json"))
    assert j["enabled"] is True and j["clustered"] is False and j["bundle"] is None, j
    assert j["domain"] == "localhost" and j["max_sessions"] == 20, j
    assert j["client_addresses"] == [f"127.0.0.1:{rh.port}"], j


# ---- enable and disable

@case
def a02_enable_without_a_call_bridge_prints_one_failure_and_stays_disabled(rh):
    rh.xmpp("disable")
    out = rh.xmpp("enable", ok=False)
    failures = [line for line in results(out) if line.startswith("FAILURE")]
    assert failures[:-1] == ["FAILURE: No call bridge configured; 'xmpp callbridge add NAME'"], out
    assert failures[-1] == "FAILURE: XMPP server not enabled", out
    assert "SUCCESS: Domain configured" in out, out
    assert rh.rows()["Enabled"] == "false" and not is_open("127.0.0.1", rh.port)
    j = [json.loads(line) for line in rh.xmpp("enable", "--json", ok=False).splitlines()]
    assert j[0] == {"result": "failure",
                    "text": "No call bridge configured; 'xmpp callbridge add NAME'"}, j


@case
def a38_enable_prints_a_line_for_each_precondition_and_opens_the_ports(rh):
    rh.xmpp("callbridge", "add", "cb1")
    out = rh.xmpp("enable")
    assert results(out) == ["SUCCESS: Callbridge activated", "SUCCESS: Domain configured",
                            "SUCCESS: Interface configured",
                            "SUCCESS: Key and certificate pair match",
                            "SUCCESS: XMPP server enabled"], out
    assert rh.rows()["Enabled"] == "true" and is_open("127.0.0.1", rh.port)


@case
def a38_with_no_interface_enable_fails_and_leaves_the_server_disabled(rh):
    rh.xmpp("disable")
    rh.xmpp("listen", "none")
    assert rh.rows()["Listening interfaces"] == "none"
    out = rh.xmpp("enable", ok=False)
    assert "FAILURE: No interface configured; 'xmpp listen a'" in results(out), out
    assert rh.rows()["Enabled"] == "false" and rh.listeners() == []
    assert results(rh.xmpp("listen", "127.0.0.1")) == ["SUCCESS: Listening on 127.0.0.1"]
    assert rh.listeners() == []  # still disabled
    rh.xmpp("enable")
    # The ports are those that were configured before.
    assert is_open("127.0.0.1", rh.port) and is_open("127.0.0.1", rh.component_port)


@case
def a35_disable_ends_every_session_with_system_shutdown_and_closes_the_ports(rh):
    secret = secret_of(rh.xmpp("callbridge", "add", "cb9"))
    live, away, plain = (Client(rh, JULIET, "live"), Client(rh, JULIET, "away"),
                         Plain(rh, JULIET, "plain"))
    component = Component(rh, "cb9.localhost", secret)
    component.__enter__()
    away.raw.sock.close()  # detached: waits to be resumed
    wait_for(lambda: "detached" in rh.xmpp("sessions"), "a detached session")
    router = rh.pid("router"), rh.pid("datastore"), rh.pid("cm-client")
    assert results(rh.xmpp("disable")) == ["SUCCESS: XMPP server disabled"]
    for c in (live, plain):
        rest = c.raw.read_to_end()
        assert b"<system-shutdown " in rest or b"<system-shutdown/>" in rest, rest
    try:
        component.recv()
        raise AssertionError("the component's stream goes on")
    except Refused as e:
        assert e.condition == "system-shutdown", e
    assert not is_open("127.0.0.1", rh.port) and not is_open("127.0.0.1", rh.component_port)
    assert rh.xmpp("sessions").strip() == "no sessions"
    rows = rh.rows()
    assert rows["Enabled"] == "false" and rows["STATUS"] == "XMPP server disabled", rows
    # Only the ports are closed: the router and the datastore went on, and so does administration.
    assert router == (rh.pid("router"), rh.pid("datastore"), rh.pid("cm-client"))
    assert "juliet@localhost" in rh.xmpp("user", "list")
    out = rh.run("supervisor", "status").stdout
    assert "XMPP is disabled" in out and "listening on" not in out, out
    assert rh.status()["enabled"] is False
    # Ended, not detached: what the clients knew of is gone.
    rh.xmpp("enable")
    for c in (live, away):
        raw = Raw(rh)
        raw.authenticate(*JULIET)
        raw.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{c.id}' h='0'/>")
        raw.expect("<failed ")
        raw.close()
    component.__exit__(None, None, None)


@case
def a35_sessions_end_too_when_the_router_is_away_while_the_server_is_disabled(rh):
    live, away = Client(rh, JULIET, "live"), Client(rh, JULIET, "away")
    away.raw.sock.close()
    wait_for(lambda: "detached" in rh.xmpp("sessions"), "a detached session")
    rh.wait_stats("router", lambda s: s["shelf_sessions"] >= 1 and s["shelf_behind"] == 0)
    os.kill(rh.pid("router"), signal.SIGKILL)
    rh.xmpp("disable")
    assert b"system-shutdown" in live.raw.read_to_end()
    rh.wait_ready()
    wait_for(lambda: rh.xmpp("sessions").strip() == "no sessions", "no session to be left")
    rh.xmpp("enable")
    again = Raw(rh)
    again.authenticate(*JULIET)
    again.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{away.id}' h='0'/>")
    again.expect("<failed ")
    again.close()


@case
def a35_disabled_stays_disabled_after_a_restart_and_a_crash_of_every_service(rh):
    rh.xmpp("disable")
    for service in ("router", "cm-client", "cm-component", "datastore"):
        rh.kill(service)
    rh.wait_ready()
    assert rh.listeners() == [] and not is_open("127.0.0.1", rh.port)
    rh.stop()
    assert rh.rows()["STATUS"] == "XMPP server not running"
    out = rh.run("supervisor", "start").stdout
    assert "XMPP is disabled" in out, out
    assert rh.rows()["Enabled"] == "false" and not is_open("127.0.0.1", rh.port)
    rh.xmpp("enable")
    Plain(rh, JULIET, "again").close()


# ---- domain

@case
def a21_the_domain_is_served_at_once_sessions_of_the_former_end_and_it_survives_a_restart(rh):
    rh.make_cert("tptac9", "tptac9.com", "localhost")
    before = Plain(rh, JULIET, "before")
    count = json.loads(rh.xmpp("component", "list", "--json").splitlines()[0])
    assert count, count  # of localhost
    out = rh.xmpp("domain", "TPTAC9.com")
    assert "SUCCESS: Domain is tptac9.com" in out, out
    assert re.search("warning: [0-9]+ call bridges? .* of localhost cannot connect any more", out)
    rest = before.raw.read_to_end()
    assert b"host-gone" in rest, rest
    with_other = Raw(rh)
    with_other.header("localhost")
    assert b"<host-unknown" in with_other.read_to_end()
    rh.xmpp("certs", "tptac9.key", "tptac9.crt")
    assert rh.rows()["Domain"] == "tptac9.com"
    rh.raw_in("tptac9.com", "tptac9.crt")
    rh.add_user("juliet@tptac9.com", JULIET[1])
    Plain(rh, JULIET, "served").close()
    rh.stop()
    rh.start()
    assert rh.rows()["Domain"] == "tptac9.com"
    Plain(rh, JULIET, "still").close()
    # What is no domain is refused before anything is looked at.
    assert rh.run("xmpp", "domain", "a b", check=False).returncode == 2
    rh.xmpp("domain", "localhost")
    rh.raw_in("localhost", "tptac9.crt")
    Plain(rh, JULIET, "back").close()


@case
def a_further_domain_has_its_own_certificate_and_goes_with_it(rh):
    rh.make_cert("second", "second.example")
    assert "is served" in rh.xmpp("multi_domain", "add", "second.example", "second.key", "second.crt")
    assert certificate_seen(rh, "second.example") == file_pem(rh, "second.crt")
    assert certificate_seen(rh, "localhost") != file_pem(rh, "second.crt")
    j = json.loads(rh.xmpp("multi_domain", "list", "--json"))
    assert j == {"domain": "second.example", "key": "second.key", "certificate": "second.crt",
                 "bundle": ""}, j
    assert rh.rows()["Other domains"] == "second.example"
    assert "served already" in rh.unchanged("multi_domain", "add", "second.example", "second.key",
                                            "second.crt")
    assert "is the domain of this server" in rh.unchanged("multi_domain", "del", "localhost")
    assert "is not served" in rh.unchanged("multi_domain", "del", "third.example")
    assert "No such file" in rh.unchanged("multi_domain", "add", "third.example", "no.key", "no.crt")
    # Its files may be gone: what needs them goes too.
    os.unlink(rh.path("pki", "second.crt"))
    rh.xmpp("multi_domain", "del", "second.example")
    assert rh.xmpp("multi_domain", "list").strip() == "no other domain is served"
    raw = Raw(rh)
    raw.header("second.example")
    assert b"<host-unknown" in raw.read_to_end()


@case
def domains_may_share_a_certificate_and_none_is_left_behind(rh):
    rh.make_cert("both", "one.example", "two.example")
    for domain in ("one.example", "two.example"):
        rh.xmpp("multi_domain", "add", domain, "both.key", "both.crt")
    assert rh.managed().count('"pki/both.crt pki/both.key"') == 1, rh.managed()
    # It becomes the server's own and is replaced: its certificate serves the other, then nobody.
    rh.xmpp("domain", "one.example")
    assert certificate_seen(rh, "one.example") == file_pem(rh, "both.crt")
    rh.xmpp("domain", "localhost")
    assert certificate_seen(rh, "two.example") == file_pem(rh, "both.crt")
    rh.xmpp("multi_domain", "del", "two.example")
    assert "both" not in rh.managed(), rh.managed()


@case
def a_component_whose_domain_users_get_is_named(rh):
    rh.make_cert("own", "own.localhost")
    rh.xmpp("callbridge", "add", "own")
    said = rh.xmpp("multi_domain", "add", "own.localhost", "own.key", "own.crt")
    assert "own was to serve own.localhost and cannot connect any more; 'xmpp component del own'" \
        in said, said
    rh.xmpp("callbridge", "del", "own")
    assert "is the domain of users here" in rh.xmpp("callbridge", "add", "own", ok=False)
    rh.xmpp("multi_domain", "del", "own.localhost")


# ---- listen

@case
def a22_listen_a_opens_the_ports_on_that_interface_alone_and_who_is_connected_stays(rh):
    connected = Plain(rh, JULIET, "connected")
    try:
        assert results(rh.xmpp("listen", "a")) == ["SUCCESS: Listening on 127.0.0.2"]
        assert rh.listeners() == sorted([f"127.0.0.2:{rh.port}", f"127.0.0.2:{rh.component_port}"])
        for port in (rh.port, rh.component_port):
            assert is_open("127.0.0.2", port) and not is_open("127.0.0.1", port)
        assert rh.rows()["Listening interfaces"] == "a"
        connected.raw.ping()
        rh.xmpp("listen", "a", "127.0.0.1")
        assert is_open("127.0.0.2", rh.port) and is_open("127.0.0.1", rh.port)
        assert rh.rows()["Listening interfaces"] == "a 127.0.0.1"
        connected.raw.ping()
        # All addresses in the place of one that has the port: no gap, and no conflict with oneself.
        rh.xmpp("listen", "0.0.0.0")
        assert is_open("127.0.0.3", rh.port)
        # With one of them beside it that is the same.
        assert results(rh.xmpp("listen", "a", "0.0.0.0", "127.0.0.1")) == \
            ["SUCCESS: Listening on 0.0.0.0"]
        rh.xmpp("listen", "lo")
        assert is_open("127.0.0.1", rh.port) and not is_open("127.0.0.3", rh.port)
        connected.raw.ping()
    finally:
        rh.xmpp("listen", "127.0.0.1")
    rh.kill("cm-client")
    rh.wait_ready()
    assert is_open("127.0.0.1", rh.port) and not is_open("127.0.0.2", rh.port)


@case
def a22_an_interface_that_cannot_be_listened_on_is_refused_and_nothing_changes(rh):
    assert 'there is no interface "nosuch0"' in rh.unchanged("listen", "a", "nosuch0")
    assert "interface b is not configured" in rh.unchanged("listen", "b")
    assert "does not have the address 203.0.113.9" in rh.unchanged("listen", "203.0.113.9")
    with socket.socket() as other:
        other.bind(("127.0.0.4", rh.component_port))
        other.listen()
        out = rh.unchanged("listen", "a", "127.0.0.1", "127.0.0.4")
    assert f"cannot listen on 127.0.0.4:{rh.component_port}: the port is in use" in out, out
    # Neither was one that could be opened left open.
    assert not is_open("127.0.0.2", rh.port)
    Plain(rh, JULIET, "goes-on").close()


@case
def a22_listeners_survive_a_new_supervisor(rh):
    rh.xmpp("listen", "a", "127.0.0.1")
    pid = rh.supervisor_pid()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the supervisor")
    assert "without their supervisor" in rh.xmpp("listen", "127.0.0.1", ok=False)
    rh.start()
    assert len(rh.listeners()) == 4, rh.listeners()
    rh.xmpp("listen", "127.0.0.1")
    assert not is_open("127.0.0.2", rh.port) and is_open("127.0.0.1", rh.port)


# ---- certificates

@case
def a23_a_certificate_is_presented_at_once_and_a_key_of_another_is_refused(rh):
    rh.make_cert("new", "localhost")
    rh.make_cert("other", "localhost")
    assert "SUCCESS: Key and certificate pair match" in rh.xmpp("certs", "new.key", "new.crt")
    assert certificate_seen(rh, "localhost") == file_pem(rh, "new.crt")
    rows = rh.rows()
    assert (rows["Key file"], rows["Certificate file"]) == ("new.key", "new.crt"), rows
    rh.unchanged("certs", "other.key", "new.crt")
    rh.unchanged("certs", "no.key", "new.crt")
    rh.unchanged("certs", "new.key", "new.crt", "other.crt")
    assert certificate_seen(rh, "localhost") == file_pem(rh, "new.crt")
    assert rh.run("xmpp", "certs", "new.key", check=False).returncode == 2
    # A file that was changed behind our back is found when it matters.
    rh.xmpp("disable")
    kept = file_pem(rh, "new.crt")
    with open(rh.path("pki", "new.crt"), "w", encoding="ascii") as f:
        f.write(file_pem(rh, "other.crt"))
    out = rh.xmpp("enable", ok=False)
    assert "SUCCESS: Key and certificate pair match" not in out, out
    assert rh.rows()["Enabled"] == "false"
    with open(rh.path("pki", "new.crt"), "w", encoding="ascii") as f:
        f.write(kept)
    rh.xmpp("enable")
    rh.xmpp("certs", "none")
    assert rh.rows()["Key file"] == "server.key"
    assert certificate_seen(rh, "localhost") == file_pem(rh, "server.crt")
    rh.trusted = None


# ---- the smaller ones

@case
def max_sessions_limits_the_sessions_of_an_account_until_none(rh):
    rh.xmpp("max_sessions", "2")
    held = [Plain(rh, JULIET, f"r{i}") for i in range(2)]
    third = Raw(rh)
    third.authenticate(*JULIET)
    third.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
    third.expect("<iq [^>]*type='error'.*<resource-constraint ")
    third.close()
    rh.xmpp("max_sessions", "none")
    assert rh.rows()["Max sessions per user"] == "unlimited"
    held.append(Plain(rh, JULIET, "third"))
    for c in held:
        c.close()
    assert rh.run("xmpp", "max_sessions", "many", check=False).returncode == 2
    assert "from 0 to 1000" in rh.unchanged("max_sessions", "1001")


@case
def the_message_of_the_day_is_kept_up_to_2048_characters(rh):
    text = 'Grüße; "quoted" \\ \n' + "x" * 2000
    rh.xmpp("motd", "add", text)
    assert json.loads(rh.xmpp("motd", "--json"))["motd"] == text
    assert "longer than 2048" in rh.unchanged("motd", "add", "ü" * 2049)
    assert "control characters" in rh.unchanged("motd", "add", "bell \a")
    assert "U+FFFE" in rh.unchanged("motd", "add", "not XML: \uffff")
    rh.xmpp("motd", "add", "ü" * 2048)
    rh.xmpp("motd", "del")
    assert json.loads(rh.xmpp("motd", "--json"))["motd"] == ""


@case
def restart_restarts_the_services_one_by_one(rh):
    before = {row["instance"]: row["pid"] for row in rh.services()}
    out = rh.xmpp("restart")
    assert results(out) == ["SUCCESS: XMPP server restarted"], out
    after = {row["instance"]: row["pid"] for row in rh.services()}
    assert before.keys() == after.keys() and not set(before.values()) & set(after.values())
    assert all(row["ready"] for row in rh.services())


@case
def a09_reset_removes_every_component_and_leaves_the_server_alone_and_disabled(rh):
    rh.xmpp("callbridge", "add", "cb7")
    secret = secret_of(rh.xmpp("component", "add", "other"))
    component = Component(rh, "other.localhost", secret)
    component.__enter__()
    out = rh.xmpp("reset")
    assert results(out)[-1] == "SUCCESS: XMPP server reset", out
    assert rh.rows()["Clustered"] == "false" and rh.rows()["Enabled"] == "false"
    assert "cb7" not in rh.xmpp("callbridge", "list") + rh.xmpp("component", "list")
    assert "other" not in rh.xmpp("component", "list")
    component.__exit__(None, None, None)
    assert "FAILURE: No call bridge" in rh.xmpp("enable", ok=False)
    # Accounts and settings stay, and doing it again does nothing.
    assert "juliet@localhost" in rh.xmpp("user", "list")
    rh.xmpp("reset")
    rh.xmpp("callbridge", "add", "cb1")
    rh.xmpp("enable")


# ---- the guides, in their order

@case
def the_order_of_node_1_works_as_the_guides_print_it(_):
    with Server(domain="localhost") as rh:
        rh.configure({"interfaces": 'a = "127.0.0.1";'})
        rh.run("supervisor", "reload")
        rh.make_cert("abhiall", "tptac9.com", "cb1.tptac9.com")
        rh.xmpp("domain", "tptac9.com")
        rh.xmpp("listen", "a")
        rh.xmpp("certs", "abhiall.key", "abhiall.crt")
        secrets = [secret_of(rh.xmpp("callbridge", "add", f"cb{i}")) for i in (1, 2, 3)]
        assert len(set(secrets)) == 3
        rh.xmpp("disable")
        out = rh.xmpp("enable")
        assert results(out)[-1] == "SUCCESS: XMPP server enabled" and "FAILURE" not in out, out
        rows = rh.rows()
        assert (rows["Enabled"], rows["Domain"], rows["Listening interfaces"], rows["Key file"],
                rows["Certificate file"]) == \
            ("true", "tptac9.com", "a", "abhiall.key", "abhiall.crt"), rows
        rh.raw_in("tptac9.com", "abhiall.crt")
        rh.add_user("juliet@tptac9.com", JULIET[1])
        client = Plain(rh, JULIET, "phone")
        with Component(rh, "cb1.tptac9.com", secrets[0]) as component:
            component.send("<message from='call@cb1.tptac9.com' "
                           f"to='{client.jid}'><body>ring</body></message>")
            wait_for(lambda: client.pump() and client.got == ["ring"], "the component's message")
        client.close()


def main():
    with Server() as rh:
        rh.configure({"interfaces": 'a = "127.0.0.2";'})
        rh.run("supervisor", "reload")
        rh.add_user("juliet@localhost", JULIET[1])
        return run_cases(rh)


if __name__ == "__main__":
    sys.exit(main())
