#!/usr/bin/python3
"""slixmpp_client - slixmpp behind the line protocol of adapter.py, by the library's own plugins."""
import asyncio
import logging

import slixmpp
from slixmpp.exceptions import IqError

from adapter import Adapter, Failed, emit, run

PLUGINS = ("xep_0030", "xep_0191", "xep_0199", "xep_0203", "xep_0280", "xep_0297", "xep_0313")
KINDS = ("available", "away", "unavailable", "subscribe", "subscribed", "unsubscribe",
         "unsubscribed")


def on_message(message, carbon=None):
    if message["type"] == "error":
        emit("bounced", **{"from": str(message["from"]),
                           "condition": message["error"]["condition"]})
    elif message["body"]:
        emit("message", **{"from": str(message["from"]), "to": str(message["to"]),
                           "body": message["body"], "carbon": carbon,
                           "delay": message["delay"]["stamp"] is not None
                           if "delay" in message.keys() else
                           message.xml.find("{urn:xmpp:delay}delay") is not None})


def on_presence(presence):
    kind = presence["type"]
    emit("presence", **{"from": str(presence["from"]), "status": presence["status"],
                        "type": "available" if kind == "away" else kind,
                        "show": "away" if kind == "away" else ""})


def on_roster(iq):
    for jid, item in iq["roster"]["items"].items():
        emit("roster", jid=str(jid), subscription=item["subscription"], ask=item["ask"])


async def asked(future):
    try:
        return await future
    except IqError as e:
        raise Failed(e.iq["error"]["condition"]) from e


class Slixmpp(Adapter):
    c = None

    async def do_connect(self, jid, password, host, port, ca, tls):
        self.c = c = slixmpp.ClientXMPP(jid, password)
        for plugin in PLUGINS:
            c.register_plugin(plugin)
        c.ca_certs = ca
        c.auto_authorize = None  # the test approves by itself
        c.auto_subscribe = False
        c.add_event_handler("message", on_message)
        c.add_event_handler("message_error", on_message)
        for way in ("sent", "received"):
            c.add_event_handler("carbon_" + way, lambda m, w=way: on_message(
                m["carbon_" + w], w))
        for kind in KINDS:
            c.add_event_handler("presence_" + kind, on_presence)
        c.add_event_handler("roster_update", on_roster)
        c.add_event_handler("session_start", self.on_session)
        for event in ("failed_auth", "ssl_invalid_chain", "ssl_invalid_cert"):
            c.add_event_handler(event, lambda _, e=event: self.on_refused(e))
        c.connect(address=(host, port), use_ssl=tls == "direct", force_starttls=tls == "starttls")

    async def on_session(self, _):
        await self.c.get_roster()
        self.c.send_presence()
        emit("online", jid=str(self.c.boundjid))

    def on_refused(self, why):
        emit("refused", why=why)
        self.c.abort()

    async def do_say(self, to, body):
        self.c.send_message(mto=to, mbody=body, mtype="chat")

    async def do_presence(self, show, status):
        self.c.send_presence(pshow=show or None, pstatus=status or None)

    async def do_subscribe(self, jid):
        self.c.send_presence_subscription(pto=jid, ptype="subscribe")

    async def do_approve(self, jid):
        self.c.send_presence_subscription(pto=jid, ptype="subscribed")

    async def do_remove(self, jid):
        await asked(self.c.del_roster_item(jid))

    async def do_carbons(self):
        await asked(self.c["xep_0280"].enable())

    async def do_block(self, jid):
        await asked(self.c["xep_0191"].block(jid))

    async def do_unblock(self, jid):
        await asked(self.c["xep_0191"].unblock(jid))

    async def do_archive(self, **args):
        answer = await asked(self.c["xep_0313"].retrieve(with_jid=args["with"], rsm={"max": 50}))
        for result in answer["mam"]["results"]:
            forwarded = result["mam_result"]["forwarded"]
            emit("archived", body=forwarded["stanza"]["body"],
                 stamp=bool(forwarded["delay"]["stamp"]),
                 **{"from": str(forwarded["stanza"]["from"])})

    async def do_sync(self):
        await asked(self.c["xep_0199"].send_ping(self.c.boundjid.host))

    async def leave(self):
        if self.c and self.c.is_connected():
            self.c.disconnect(wait=1)
            await asyncio.wait_for(self.c.disconnected, 5)


if __name__ == "__main__":
    logging.getLogger("slixmpp").setLevel(logging.CRITICAL)
    run(Slixmpp)
