#!/usr/bin/python3
"""How a call bridge chooses its server (FEATURES 9.1: A06, A45-A49, A51, A52, A61): `callbridge run`
against two servers on 127.0.0.2 and .3, which it finds by the SRV records of a real DNS server."""
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from bridge import Bridge, Wire  # noqa: E402
from component import Component, Refused  # noqa: E402
from dnsmasq import Dnsmasq, free_port  # noqa: E402
from roundhouse import Instance, Raw, alive, case, run_cases, send_signal, wait_for  # noqa: E402

DOMAIN = "example.org"
SECRET = "kvgP1SRzWVabhiPVAb1"
SRV = f"_xmpp-component._tcp.{DOMAIN}"
DNS_ROW = r"failed to connect to  due to DNS error \((\d+) seconds? ago\)"


class World:
    """Two servers of one domain, and a home for the bridge."""

    def __init__(self):
        self.servers = [self.server(f"127.0.0.{n}") for n in (2, 3)]
        self.home = Instance(DOMAIN, start=False)
        self.cas = self.home.path("cas.pem")
        with open(self.cas, "w", encoding="ascii") as out:
            for s in self.servers:
                with open(s.ca, encoding="ascii") as f:
                    out.write(f.read())

    @staticmethod
    def server(address):
        rh = Instance(DOMAIN, start=False)
        rh.component_host, rh.component_port = address, free_port(address)
        rh.configure({"cm-component": f'listen = ["{address}:{rh.component_port}"];'})
        rh.start()
        rh.add_user(f"juliet@{DOMAIN}", "r0m30")
        for name in ("cb1", "cb2"):
            rh.run("xmpp", "callbridge", "add-secret", name, stdin=SECRET + "\n")
        return rh

    def bridge(self, name, *options, secret=SECRET, home=None):
        return Bridge(home or self.home, name, secret, "--echo", "--ca", self.cas, *options)

    def records(self, *rows):
        """rows: (priority, weight, server number or (port, target), ...)."""
        out = [f"s{i + 1}.{DOMAIN} A {s.component_host}" for i, s in enumerate(self.servers)]
        for priority, weight, where in rows:
            port, target = where if isinstance(where, tuple) else (
                self.servers[where - 1].component_port, f"s{where}.{DOMAIN}")
            out.append(f"{SRV} SRV {priority} {weight} {port} {target}")
        return out


def kill_all(rh):
    """The death of a server: all of it at once."""
    pids = rh.processes()
    for pid in pids:
        send_signal(pid, signal.SIGKILL)
    for pid in pids:
        wait_for(lambda p=pid: not alive(p), f"the end of {pid}")


def revive(rh):
    rh.start()
    rh.wait_ready()


def exchange(rh, jid, text):
    with Raw(rh) as client:
        client.login("juliet", "r0m30", "x" + text)
        client.send(f"<message to='bot@{jid}' type='chat'><body>{text}</body></message>")
        client.expect(f"<message [^>]*from='bot@{jid}'[^>]*>.*?<body>{text}</body>")


@case
def a46_the_lowest_priority_comes_first_then_weight_decides(w):
    with Dnsmasq(*w.records((20, 0, 1), (10, 0, 2))) as dns:
        with w.bridge("cb1", "--dns", dns.server) as b:
            assert b.wait_connected()["host"] == f"s2.{DOMAIN}"
            b.wait_log(r"event=connected server=\"s2\.example\.org\" .* ms=\d+$")
        dns.set(*w.records((10, 65535, 1), (10, 0, 2)))
        with w.bridge("cb1", "--dns", dns.server) as b:
            assert b.wait_connected()["host"] == f"s1.{DOMAIN}"
            exchange(w.servers[0], f"cb1.{DOMAIN}", "weight")


@case
def a46_the_death_of_a_server_moves_the_bridge_to_another(w):
    one, two = w.servers
    with Dnsmasq(*w.records((10, 0, 1), (20, 0, 2))) as dns, \
            w.bridge("cb1", "--dns", dns.server) as b:
        b.wait_connected()
        assert b.row().startswith("connected to s1.example.org for "), b.row()
        kill_all(one)
        b.wait(lambda s: s.get("host") == f"s2.{DOMAIN}" and s["state"] == "connected", "s2")
        exchange(two, f"cb1.{DOMAIN}", "moved")
        log = b.log()
        for line in ("XMPP connection dropped while session was live for reason 11",
                     'XMPP component connection disconnected due to failure reason: '
                     '"connection lost"'):
            assert line in log, log
        # And back, when it is the other's turn.
        revive(one)
        kill_all(two)
        b.wait(lambda s: s.get("host") == f"s1.{DOMAIN}" and s["state"] == "connected", "s1")
        exchange(one, f"cb1.{DOMAIN}", "back")
    revive(two)


@case
def a47_each_target_is_contacted_on_its_own_port(w):
    closed = free_port("127.0.0.2")
    with Dnsmasq(*w.records((1, 0, (closed, f"s1.{DOMAIN}")), (2, 0, 2))) as dns, \
            w.bridge("cb1", "--dns", dns.server) as b:
        b.wait_connected()
        b.wait_log(rf"event=connection_failed server=\"s1\.{DOMAIN}\" port={closed} ")
        assert b.sockets() == [f"127.0.0.3:{w.servers[1].component_port}"], b.sockets()


@case
def a48_any_port_of_an_srv_record_works_end_to_end(w):
    two = w.servers[1]
    assert two.component_port not in (5222, 5223)
    with Dnsmasq(*w.records((1, 1, 2))) as dns, w.bridge("cb1", "--dns", dns.server) as b:
        b.wait_connected()
        assert b.status()["address"] == f"127.0.0.3:{two.component_port}"
        assert b.status()["tls"].startswith("TLS"), b.status()
        exchange(two, f"cb1.{DOMAIN}", "anyport")


@case
def a49_a_bridge_never_holds_two_registrations(w):
    one, two = w.servers
    with Dnsmasq(*w.records((10, 0, 1), (20, 0, 2))) as dns, \
            w.bridge("cb1", "--dns", dns.server) as b:
        b.wait_connected()
        kill_all(one)
        most = 0
        while b.status()["host"] != f"s2.{DOMAIN}" or b.status()["state"] != "connected":
            most = max(most, len(b.sockets()))
        assert most <= 1, most
        revive(one)
        time.sleep(0.3)  # both servers are there now
        assert len(b.sockets()) == 1, b.sockets()
        # The server refuses a second one, and so does the bridge's home.
        try:
            Component(two, f"cb1.{DOMAIN}", SECRET, server_name=DOMAIN)
            raise AssertionError("a second registration was taken")
        except Refused as e:
            assert e.condition == "conflict", e
        with w.bridge("cb1", "--dns", dns.server) as second:
            wait_for(lambda: second.process.poll() is not None, "the end of the second")
            assert second.process.returncode == 1 and "runs here already" in second.log()
        with w.bridge("cb1", "--server", f"127.0.0.3:{two.component_port}",
                      home=one) as elsewhere:
            elsewhere.wait_failed("conflict")
            assert "failed to connect to 127.0.0.3 due to conflict" in elsewhere.row()
        assert b.status()["state"] == "connected"


@case
def a51_a_network_that_is_blocked_moves_the_bridge_within_its_retry_budget(w):
    one = w.servers[0]
    impatient = Instance(DOMAIN, start=False, config={
        "callbridge": "check_ms = 500; check_wait_ms = 700; connect_ms = 1000;"})
    with Wire((one.component_host, one.component_port), "127.0.0.2") as wire, \
            Dnsmasq(*w.records((1, 0, (wire.port, f"s1.{DOMAIN}")), (2, 0, 2))) as dns, \
            w.bridge("cb1", "--dns", dns.server, home=impatient) as b:
        assert b.wait_connected()["host"] == f"s1.{DOMAIN}"
        time.sleep(1.5)  # a silent link that works is kept
        assert b.status()["host"] == f"s1.{DOMAIN}" and b.status()["seconds"] >= 1
        wire.cut()
        begun = time.monotonic()
        b.wait(lambda s: s.get("host") == f"s2.{DOMAIN}" and s["state"] == "connected", "s2")
        took = time.monotonic() - begun
        assert took < 6, took
        assert 'failure reason: "no answer"' in b.log(), b.log()
        exchange(w.servers[1], f"cb1.{DOMAIN}", "blocked")


@case
def a52_a_server_without_its_secret_is_told_and_passed_over(w):
    one, two = w.servers
    two.run("xmpp", "callbridge", "add-secret", "cb9", stdin=SECRET + "\n")
    with Dnsmasq(*w.records((1, 0, 1), (2, 0, 2))) as dns, \
            w.bridge("cb9", "--dns", dns.server) as b:
        assert b.wait_connected()["host"] == f"s2.{DOMAIN}"
        b.wait_log(r"event=connection_failed server=\"s1\.example\.org\" .* "
                   r"cause=\"authentication failure\"")
        assert "for reason 7" in b.log()
        exchange(two, f"cb9.{DOMAIN}", "passed")
    assert one.run("xmpp", "component", "list").stdout.count("cb9") == 0


@case
def a61_adding_the_records_restores_the_connection_without_restart(w):
    with Dnsmasq() as dns, \
            w.bridge("cb1", "--dns", dns.server, "--dns-retry", "1") as b:
        b.wait_failed("dns error")
        pid = b.process.pid
        dns.set(*[r for r in w.records((1, 0, 2)) if " SRV " in r])  # without addresses first
        b.wait_log(r"reason=\"s2\.example\.org", 1)
        b.wait_failed("dns error")
        dns.set(*w.records((1, 0, 2)))
        b.wait_connected()
        assert b.process.pid == pid and b.process.poll() is None
        assert b.row().startswith("connected to s2.example.org for "), b.row()


@case
def a06_without_a_resolver_an_empty_server_address_is_a_dns_error_and_a_static_one_connects(w):
    nowhere = f"127.0.0.1@{free_port('127.0.0.1')}"  # nobody answers there
    two = w.servers[1]
    with w.bridge("cb1", "--dns", nowhere) as b:
        b.wait_failed("dns error")
        assert b.row().startswith("failed to connect to  due to DNS error ("), b.row()
        assert f"No DNS A or AAAA records for {SRV}" in b.log()
    with w.bridge("cb1", "--dns", nowhere, "--server",
                  f"127.0.0.3:{two.component_port}") as b:
        b.wait_connected()
        exchange(two, f"cb1.{DOMAIN}", "static")


@case
def a46_each_way_in_which_dns_can_fail_is_told_and_ends_in_the_same_row(w):
    rows = {"decidedly not offered": [f"{SRV} SRV 0 0 0 ."],
            "alias": [*w.records((1, 0, (5223, f"alias.{DOMAIN}"))),
                      f"alias.{DOMAIN} CNAME nowhere.{DOMAIN}"],
            "no address": w.records((1, 0, (5223, f"gone.{DOMAIN}"))),
            "sixty": w.records(*[(i, 0, (5223, f"gone{i}.{DOMAIN}")) for i in range(60)])}
    for what, records in rows.items():
        with Dnsmasq(*records) as dns, w.bridge("cb1", "--dns", dns.server) as b:
            b.wait_failed("dns error")
            assert re.fullmatch(DNS_ROW, b.row()), (what, b.row())
            b.wait_log(rf"No DNS A or AAAA records for {SRV}$")
            assert b.status()["detail"], what
    with Dnsmasq(f"{SRV} SRV 1 0 {w.servers[0].component_port} v6.{DOMAIN}",
                 f"v6.{DOMAIN} AAAA ::1") as dns, w.bridge("cb1", "--dns", dns.server) as b:
        b.wait_failed("connection refused")  # IPv6 only: it is asked for, and used
        assert f"failed to connect to v6.{DOMAIN} due to connection refused" in b.row()


@case
def a45_a_static_server_is_the_only_one_and_needs_no_dns(w):
    one = w.servers[0]
    with Dnsmasq(*w.records((1, 0, 2))) as dns, \
            w.bridge("cb1", "--dns", dns.server, "--server",
                     f"127.0.0.2:{one.component_port}") as b:
        assert b.wait_connected()["host"] == "127.0.0.2"
        kill_all(one)
        b.wait_failed("connection refused")
        b.wait_log(r"cause=\"connection refused\"", 2)
        assert b.status()["host"] == "127.0.0.2" and not b.sockets()
        with open(dns.log, encoding="utf-8") as f:
            assert "xmpp-component" not in f.read()
        revive(one)
        b.wait_connected()
        assert b.sockets() == [f"127.0.0.2:{one.component_port}"]


if __name__ == "__main__":
    sys.exit(run_cases(World()))
