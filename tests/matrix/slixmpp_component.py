#!/usr/bin/python3
"""
slixmpp_component - slixmpp's ComponentXMPP as an echo: what test_components.py wants of a component.

usage: slixmpp_component.py HOST PORT JID SECRET [CA]      CA: TLS from the first byte, verified
Lines on stdout: "online", "error WHAT". Ends when stdin does.
"""
import asyncio
import logging
import sys

import slixmpp
from slixmpp.xmlstream import ET
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

QUERY = "{urn:example:echo}query"


class Echo(slixmpp.ComponentXMPP):
    def __init__(self, host, port, jid, secret, ca=None):
        super().__init__(jid, secret, host, int(port))
        self.tls = ca is not None
        if ca:
            self.ca_certs = ca
        self.add_event_handler("session_start", lambda _: say("online"))
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("disconnected", lambda _: self.loop.call_later(0.1, self.dial))
        self.add_event_handler("stream_error", lambda e: say(f"error {e['condition']}"))
        self.add_event_handler("connection_failed", lambda e: say(f"error {e}"))
        self.register_handler(Callback("echo", MatchXPath("{%s}iq/%s" % (self.default_ns, QUERY)),
                                       self.on_query))

    def dial(self):
        self.connect(use_ssl=self.tls)

    def on_message(self, m):
        if m["type"] != "error" and m["body"]:
            m.reply(m["body"]).send()

    def on_query(self, iq):
        answer = iq.reply()
        answer.append(ET.fromstring(f"<query xmlns='urn:example:echo'>"
                                    f"{iq.xml.findtext(QUERY)}</query>"))
        answer.send()


def say(line):
    print(line, flush=True)


async def main():
    bot = Echo(*sys.argv[1:])
    bot.dial()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    logging.getLogger("slixmpp").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main())
