#!/usr/bin/python3
"""
XEP-0352 against the real programs: a client that says it is inactive is left alone by what is
unimportant, and has everything, in order, as soon as something matters or it is active again. What
waits is in custody like anything else.
"""
import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import slix  # noqa: E402
from roundhouse import LIMIT, Instance, Raw, case, run_cases  # noqa: E402
from slixmpp.xmlstream.handler import Callback  # noqa: E402
from slixmpp.xmlstream.matcher import MatchXPath  # noqa: E402
from sm import Client, Plain, balanced, befriend, settle, until  # noqa: E402

JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")
CSI = "urn:xmpp:csi:0"
STANZAS = 20
COMPOSING = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"


def inactive(client):
    """Says so; what was sent before has been seen, and what comes from now on waits."""
    client.raw.send(f"<inactive xmlns='{CSI}'/>")
    ping(client)


def active(client):
    client.raw.send(f"<active xmlns='{CSI}'/>")


def ping(client):
    """A round trip through the server. Its answer is important."""
    before = len(client.results)
    client.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
    until(lambda: len(client.results) > before, "the answer to a ping", client)


def show(client, what):
    client.send(f"<presence><show>{what}</show></presence>")


def pair(rh, kind, resource):
    juliet, romeo = kind(rh, JULIET, resource), kind(rh, ROMEO, resource)
    for c in (juliet, romeo):
        c.send("<presence/>")
    for one, other in ((juliet, romeo), (romeo, juliet)):
        until(lambda a=one, b=other: (b.jid, None) in a.presences, "presence", juliet, romeo)
    for c in (juliet, romeo):
        ping(c)
        c.presences.clear()
    return juliet, romeo


def close(*clients):
    for c in clients:
        c.close()


def quiet(client, *others):
    """Nothing comes for half a second."""
    before = (len(client.got), len(client.presences))
    for c in others:
        c.live(0.05)
    client.live(0.5)
    assert (len(client.got), len(client.presences)) == before, (client.got, client.presences)


@case
def it_is_offered_after_login_only(rh):
    with Raw(rh) as c:
        c.start_tls()
        c.header()
        assert CSI.encode() not in c.expect("<stream:features>.*</stream:features>").group(0)
        c.plain(*JULIET)
        c.expect("<success")
        c.header()
        assert b"<csi xmlns='urn:xmpp:csi:0'/>" in c.expect("</stream:features>").string


@case
def presence_waits_until_the_client_is_active(rh):
    for kind in (Plain, Client):
        juliet, romeo = pair(rh, kind, "active")
        inactive(romeo)
        for what in ("away", "xa", "dnd"):
            show(juliet, what)
        ping(juliet)
        quiet(romeo, juliet)
        active(romeo)
        until(lambda c=romeo: len(c.presences) == 3, "the presences", romeo, juliet)
        show(juliet, "chat")  # at once
        until(lambda c=romeo: len(c.presences) == 4, "one more", romeo, juliet)
        close(juliet, romeo)


@case
def a_message_takes_what_waits_with_it_in_order(rh):
    juliet, romeo = pair(rh, Client, "order")
    inactive(romeo)
    show(juliet, "away")
    juliet.send(f"<message to='{romeo.jid}' type='chat'>{COMPOSING}</message>")
    ping(juliet)
    quiet(romeo, juliet)
    juliet.say(romeo.jid, "news")
    until(lambda: romeo.got == [None, "news"], "the message", romeo, juliet)
    assert len(romeo.presences) == 1, romeo.presences
    show(juliet, "xa")  # it is still inactive
    ping(juliet)
    quiet(romeo, juliet)
    settle(juliet)
    close(juliet, romeo)


@case
def important_stanzas_do_not_wait(rh):
    juliet, romeo = pair(rh, Client, "important")
    inactive(romeo)
    handled = romeo.handled
    juliet.send(f"<iq type='get' id='v' to='{romeo.jid}'><query xmlns='jabber:iq:version'/></iq>")
    juliet.send(f"<message to='{romeo.jid}' type='chat'><subject>fire</subject></message>")
    juliet.send(f"<message to='{romeo.jid}' type='chat' id='r'>"
                "<received xmlns='urn:xmpp:receipts' id='x'/></message>")
    until(lambda: romeo.handled >= handled + 3, "three stanzas", romeo, juliet)
    close(juliet, romeo)


@case
def too_many_do_not_wait(rh):
    juliet, romeo = pair(rh, Client, "many")
    inactive(romeo)
    for i in range(STANZAS - 1):
        show(juliet, ("away", "xa")[i % 2])
    ping(juliet)
    quiet(romeo, juliet)
    show(juliet, "dnd")
    until(lambda: len(romeo.presences) == STANZAS, "all of them", romeo, juliet)
    close(juliet, romeo)


@case
def they_do_not_wait_too_long(rh):
    juliet, romeo = pair(rh, Plain, "long")
    inactive(romeo)
    show(juliet, "away")
    until(lambda: len(romeo.presences) == 1, "the presence after a while", romeo, juliet)
    close(juliet, romeo)


@case
def what_waits_is_there_after_a_resume_which_makes_active(rh):
    juliet, romeo = pair(rh, Client, "resume")
    inactive(romeo)
    show(juliet, "away")
    juliet.send(f"<message to='{romeo.jid}' type='chat'>{COMPOSING}</message>")
    ping(juliet)
    quiet(romeo, juliet)
    romeo.drop()
    romeo.resume()
    until(lambda: len(romeo.presences) == 1 and romeo.got == [None], "what waited", romeo, juliet)
    show(juliet, "xa")
    until(lambda: len(romeo.presences) == 2, "presence at once", romeo, juliet)
    settle(juliet, romeo)
    close(juliet, romeo)


@case
def what_waits_survives_its_connection_manager(rh):
    juliet, romeo = pair(rh, Client, "crash")
    inactive(romeo)
    juliet.send(f"<message to='{romeo.jid}' type='chat'>{COMPOSING}</message>")
    settle(juliet)
    rh.kill("cm-client")
    until(lambda: romeo.got == [None] and romeo.resumes == 1, "what waited", romeo, juliet)
    romeo.live(0.3)
    assert romeo.got == [None], romeo.got
    close(juliet, romeo)


@case
def what_waits_survives_the_router_and_comes_once(rh):
    juliet, romeo = pair(rh, Client, "router")
    inactive(romeo)
    show(juliet, "away")
    juliet.send(f"<message to='{romeo.jid}' type='chat'>{COMPOSING}</message>")
    ping(juliet)
    quiet(romeo, juliet)
    rh.kill("router")
    rh.wait_ready()
    active(romeo)
    until(lambda: romeo.got == [None] and len(romeo.presences) >= 1, "what waited", romeo, juliet)
    romeo.live(0.3)
    # A presence that was not settled is broadcast again (CUSTODY 5): it says the same once more.
    assert romeo.got == [None] and set(romeo.presences) == {(juliet.jid, None)}, \
        (romeo.got, romeo.presences)
    settle(juliet, romeo)
    close(juliet, romeo)


@case
def a_sender_goes_on_while_his_stanzas_wait(rh):
    """Without XEP-0198 what is unsettled counts against him: more than his whole share passes."""
    juliet, romeo = pair(rh, Plain, "sender")
    inactive(romeo)
    pad = f"<pad xmlns='urn:x'>{'x' * 4000}</pad>"
    for _ in range(100):  # 400 KB, of 256 KiB
        juliet.send(f"<message to='{romeo.jid}' type='headline'>{pad}</message>")
    ping(juliet)
    until(lambda: len(romeo.got) >= 80, "most of them", romeo, juliet)
    active(romeo)
    until(lambda: len(romeo.got) == 100, "all of them", romeo, juliet)
    close(juliet, romeo)


@case
def slixmpp_is_left_alone_while_inactive(rh):
    async def talk():
        juliet = await slix.Client(rh, "juliet@localhost/slix", "capulet").login()
        romeo = slix.Client(rh, "romeo@localhost/slix", "montague")
        romeo.register_plugin("xep_0352")
        enabled = asyncio.Event()
        romeo.add_event_handler("csi_enabled", lambda _: enabled.set())
        await romeo.login()
        await asyncio.wait_for(enabled.wait(), LIMIT)
        romeo.register_handler(Callback("subject", MatchXPath(
            "{jabber:client}message/{jabber:client}subject"), romeo.inbox.put_nowait))
        romeo["xep_0352"].send_inactive()
        juliet.send_message(mto=romeo.boundjid, mtype="headline", msubject="nothing")
        juliet.send_message(mto=romeo.boundjid, mtype="chat", mbody="something")
        first, second = await romeo.next_message(), await romeo.next_message()
        assert first["type"] == "headline" and second["body"] == "something"
        juliet.send_message(mto=romeo.boundjid, mtype="headline", msubject="nothing")
        await asyncio.sleep(0.5)
        assert romeo.inbox.empty()
        romeo["xep_0352"].send_active()
        assert (await romeo.next_message())["type"] == "headline"
        await juliet.leave()
        await romeo.leave()
    slix.run(talk())


@case
def the_books_balance(rh):
    balanced(rh)


if __name__ == "__main__":
    settings = f"csi_stanzas = {STANZAS}; csi_s = 5;"
    with Instance(config={"cm-client": settings}) as instance:
        instance.add_user("juliet@localhost", JULIET[1])
        instance.add_user("romeo@localhost", ROMEO[1])
        friends = [Plain(instance, user, "friend") for user in (JULIET, ROMEO)]
        for friend in friends:
            friend.send("<presence/>")
        befriend(*friends)
        close(*friends)
        sys.exit(run_cases(instance))
