#!/usr/bin/python3
"""
aioxmpp_client - aioxmpp behind the line protocol of adapter.py, by the library's own services.

aioxmpp has no XEP-0313: what a query needs is defined here as its extensions are, in XSO classes.
"""
import asyncio
import logging

import aioxmpp
import aioxmpp.forms
import aioxmpp.ping.xso
import aioxmpp.rsm.xso
import aioxmpp.xso as xso
from aioxmpp import connector, dispatcher, security_layer
from aioxmpp.misc import Forwarded

from adapter import Adapter, Failed, emit, run

MAM = "urn:xmpp:mam:2"
CONNECTORS = {"starttls": connector.STARTTLSConnector, "direct": connector.XMPPOverTLSConnector}


@aioxmpp.IQ.as_payload_class
class Query(xso.XSO):
    TAG = (MAM, "query")
    form = xso.Child([aioxmpp.forms.Data])
    rsm = xso.Child([aioxmpp.rsm.xso.ResultSetMetadata])


@aioxmpp.IQ.as_payload_class
class Fin(xso.XSO):
    TAG = (MAM, "fin")
    UNKNOWN_ATTR_POLICY = xso.UnknownAttrPolicy.DROP
    rsm = xso.Child([aioxmpp.rsm.xso.ResultSetMetadata])


class Result(xso.XSO):
    TAG = (MAM, "result")
    UNKNOWN_ATTR_POLICY = xso.UnknownAttrPolicy.DROP
    forwarded = xso.Child([Forwarded])


aioxmpp.Message.xep0313_result = xso.Child([Result])


def field(var, value):
    return aioxmpp.forms.Field(
        var=var, values=[value],
        type_=aioxmpp.forms.FieldType.HIDDEN if var == "FORM_TYPE" else None)


def on_message(message, carbon=None):
    copies = {"sent": message.xep0280_sent, "received": message.xep0280_received}
    for way, copy in copies.items():
        if copy is not None:
            on_message(copy.stanza, way)
            return
    if message.type_ == aioxmpp.MessageType.ERROR:
        emit("bounced", **{"from": str(message.from_),
                           "condition": message.error.condition.value[1]})
    elif message.xep0313_result is not None:
        forwarded = message.xep0313_result.forwarded
        emit("archived", body=forwarded.stanza.body.any(), stamp=forwarded.delay is not None,
             **{"from": str(forwarded.stanza.from_)})
    elif message.body:
        emit("message", **{"from": str(message.from_), "to": str(message.to), "carbon": carbon,
                           "body": message.body.any(), "delay": bool(message.xep0203_delay)})


def on_presence(presence):
    emit("presence", **{"from": str(presence.from_), "type": presence.type_.value or "available",
                        "show": presence.show.value or "",
                        "status": presence.status.any() if presence.status else ""})


def on_item(item):
    emit("roster", jid=str(item.jid), subscription=item.subscription, ask=item.ask or "")


async def asked(request):
    try:
        return await request
    except aioxmpp.errors.XMPPError as e:
        raise Failed(e.condition.value[1]) from e


class Aioxmpp(Adapter):
    c = None

    async def do_connect(self, jid, password, host, port, ca, tls):
        def context():
            made = security_layer.default_ssl_context()
            made.load_verify_locations(ca)
            return made
        self.c = c = aioxmpp.PresenceManagedClient(
            aioxmpp.JID.fromstr(jid),
            aioxmpp.make_security_layer(password, ssl_context_factory=context),
            override_peer=[(host, port, CONNECTORS[tls]())], max_initial_attempts=1)
        self.messages = c.summon(dispatcher.SimpleMessageDispatcher)
        for kind in (aioxmpp.MessageType.CHAT, aioxmpp.MessageType.NORMAL,
                     aioxmpp.MessageType.ERROR):
            self.messages.register_callback(kind, None, on_message)
        presences = c.summon(aioxmpp.PresenceClient)
        for signal in (presences.on_available, presences.on_changed, presences.on_unavailable):
            signal.connect(lambda _, presence: on_presence(presence))
        self.roster = c.summon(aioxmpp.RosterClient)
        self.roster.on_entry_added.connect(on_item)
        self.roster.on_entry_subscription_state_changed.connect(on_item)
        self.roster.on_entry_removed.connect(lambda item: emit(
            "roster", jid=str(item.jid), subscription="remove", ask=""))
        for signal in (self.roster.on_subscribe, self.roster.on_subscribed,
                       self.roster.on_unsubscribe, self.roster.on_unsubscribed):
            signal.connect(on_presence)
        self.carbons = c.summon(aioxmpp.CarbonsClient)
        self.blocking = c.summon(aioxmpp.BlockingClient)
        c.on_failure.connect(lambda e: emit("refused", why=f"{type(e).__name__}: {e}"))
        c.on_presence_sent.connect(lambda: emit("online", jid=str(c.local_jid)))
        c.presence = aioxmpp.PresenceState(True)

    async def do_say(self, to, body):
        message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=aioxmpp.JID.fromstr(to))
        message.body[None] = body
        await self.c.send(message)

    async def do_presence(self, show, status):
        self.c.set_presence(aioxmpp.PresenceState(True, aioxmpp.PresenceShow(show or None)),
                            status or None)

    async def do_subscribe(self, jid):
        self.roster.subscribe(aioxmpp.JID.fromstr(jid))

    async def do_approve(self, jid):
        self.roster.approve(aioxmpp.JID.fromstr(jid))

    async def do_remove(self, jid):
        await asked(self.roster.remove_entry(aioxmpp.JID.fromstr(jid)))

    async def do_carbons(self):
        await asked(self.carbons.enable())

    async def do_block(self, jid):
        await asked(self.blocking.block_jids([aioxmpp.JID.fromstr(jid)]))

    async def do_unblock(self, jid):
        await asked(self.blocking.unblock_jids([aioxmpp.JID.fromstr(jid)]))

    async def do_archive(self, **args):
        query = Query()
        query.form = aioxmpp.forms.Data(type_=aioxmpp.forms.DataType.SUBMIT)
        query.form.fields.extend([field("FORM_TYPE", MAM), field("with", args["with"])])
        query.rsm = aioxmpp.rsm.xso.ResultSetMetadata.limit(50)
        await asked(self.c.send(aioxmpp.IQ(type_=aioxmpp.IQType.SET, payload=query)))

    async def do_sync(self):
        ping = aioxmpp.IQ(type_=aioxmpp.IQType.GET, payload=aioxmpp.ping.xso.Ping(),
                          to=self.c.local_jid.replace(localpart=None, resource=None))
        await asked(self.c.send(ping))

    async def leave(self):
        if not self.c or not self.c.running:
            return
        stopped = asyncio.get_running_loop().create_future()
        self.c.on_stopped.connect(lambda: stopped.set_result(True) and None)
        self.c.stop()
        await asyncio.wait_for(stopped, 5)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    run(Aioxmpp)
