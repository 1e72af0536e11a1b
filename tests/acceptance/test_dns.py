#!/usr/bin/python3
"""
Row A69: `_xmpp-client._tcp` SRV 10 50 PORT, served by dnsmasq, is what `dns lookup` prints and what a
standard client (slixmpp, by aiodns) logs in through.
"""
import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import aiodns  # noqa: E402
import slixmpp.xmlstream.xmlstream as xmlstream  # noqa: E402
from dnsmasq import Dnsmasq  # noqa: E402
from roundhouse import LIMIT, Instance, case, free_port, run_cases  # noqa: E402
from slix import Client, run  # noqa: E402

DOMAIN = "example.org"
OWNER = f"_xmpp-client._tcp.{DOMAIN}"


def served(rh):
    """A port where nobody listens has priority 5: clients must go on to the server."""
    return [f"{OWNER}. 86400 IN SRV 10 50 {rh.port} cb1.{DOMAIN}",
            f"{OWNER}. 86400 IN SRV 5 0 {free_port()} cb2.{DOMAIN}",
            f"cb1.{DOMAIN} A 127.0.0.1", f"cb2.{DOMAIN} A 127.0.0.1"]


class ByDns(Client):
    """Knows the JID and a DNS server, no address."""

    def __init__(self, rh, dns, jid, password):
        super().__init__(rh, jid, password)
        xmlstream.default_resolver = lambda loop: aiodns.DNSResolver(
            [dns.address], loop=loop, udp_port=dns.port, tcp_port=dns.port, timeout=5.0, tries=2)

    async def login(self):
        # The first target refuses; that is no failure of the client's.
        self.del_event_handler("connection_failed", None)
        self.connect(force_starttls=True)
        await asyncio.wait_for(self.outcome, LIMIT)
        self.send_presence()
        return self

    def _settle(self, why):
        if why is None or not why.startswith("connection_failed"):
            super()._settle(why)


@case
def a69_dns_lookup_prints_the_clients_srv_record(rh, dns):
    rh.run("dns", "add", "server", dns.server)
    out = rh.run("dns", "lookup", "SRV", OWNER).stdout.splitlines()
    assert [line.split()[2:] for line in out][1] == \
        ["IN", "SRV", "10", "50", str(rh.port), f"cb1.{DOMAIN}."], out
    assert out[0].split()[4] == "5", out  # lowest priority first
    assert out[0].split()[0] == f"{OWNER}.", out
    out = rh.run("dns", "lookup", "a", f"cb1.{DOMAIN}").stdout
    assert out.split()[2:] == ["IN", "A", "127.0.0.1"], out


@case
def a69_a_standard_client_logs_in_through_the_srv_record(rh, dns):
    async def chat():
        juliet = await ByDns(rh, dns, f"juliet@{DOMAIN}/balcony", "secret").login()
        assert juliet.address == ("127.0.0.1", rh.port), juliet.address
        juliet.chat(f"juliet@{DOMAIN}/balcony", "who is there?")
        message = await juliet.next_message()
        assert message["body"] == "who is there?"
        await juliet.leave()
    run(chat())
    asked = dns.queries()
    assert f"SRV {OWNER}" in asked, asked
    assert f"A cb1.{DOMAIN}" in asked, asked


@case
def a69_without_the_record_the_lookup_says_so_and_a_new_one_is_seen_at_once(rh, dns):
    dns.set(f"cb1.{DOMAIN} A 127.0.0.1")
    done = rh.run("dns", "lookup", "srv", OWNER, check=False)
    assert done.returncode == 1 and "NXDOMAIN" in done.stdout, done.stdout
    dns.set(*served(rh))
    assert "SRV 10 50" in rh.run("dns", "lookup", "srv", OWNER).stdout


if __name__ == "__main__":
    with Instance(domain=DOMAIN) as instance, Dnsmasq(*served(instance)) as server:
        instance.add_user(f"juliet@{DOMAIN}", "secret")
        sys.exit(run_cases(instance, server))
