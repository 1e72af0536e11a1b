#!/usr/bin/python3
"""Messages to users who are away (XEP-0160), with slixmpp: kept, stamped, delivered in order and
once, through kill -9 of the router and the datastore; refused when they are not to be kept."""
import asyncio
import datetime
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, case, run_cases, wait_for
import slix

QUOTA = 40
SENDER = "juliet@localhost/balcony"
_made = []


def someone(rh):
    """A new account: cases do not see each other's messages."""
    jid = f"user{len(_made)}@localhost"
    _made.append(jid)
    rh.add_user(jid, "secret")
    return jid


async def client(rh, jid, password="secret"):
    c = slix.Client(rh, jid, password)
    for plugin in ("xep_0030", "xep_0199", "xep_0203"):
        c.register_plugin(plugin)
    c.add_event_handler("message_error", c.inbox.put_nowait)
    return await c.login()


async def juliet(rh):
    return await client(rh, SENDER, "capulet")


async def handled(c):
    """The router has had everything that c sent."""
    await c["xep_0199"].send_ping("localhost", timeout=20)


async def bodies(c, count):
    return [(await c.next_message())["body"] for _ in range(count)]


async def nothing_more(c):
    """What was on its way to c is there: an echo of its own comes behind it."""
    c.chat(c.boundjid.full, "echo")
    m = await c.next_message()
    assert m["body"] == "echo", m
    assert c.inbox.empty()


def in_order_with_stamps_and_once(rh):
    to = someone(rh)

    async def scenario():
        before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
        sender = await juliet(rh)
        for i in range(30):
            sender.chat(to if i % 2 else to + "/elsewhere", f"m{i} <&> \u00e9\U0001f339")
        await handled(sender)
        receiver = await client(rh, to + "/first")
        for i in range(30):
            m = await receiver.next_message()
            assert m["body"] == f"m{i} <&> \u00e9\U0001f339", (i, m)
            assert m["from"].full == SENDER, m
            assert str(m["delay"]["from"]) == "localhost", m
            stamp = m["delay"]["stamp"]
            now = datetime.datetime.now(datetime.timezone.utc)
            assert before <= stamp <= now + datetime.timedelta(seconds=1), (before, stamp, now)
        sender.chat(to, "live")
        m = await receiver.next_message()
        assert m["body"] == "live" and not m.xml.findall("{urn:xmpp:delay}delay"), m
        await receiver.leave()
        again = await client(rh, to + "/second")
        await nothing_more(again)
        await again.leave()
        await sender.leave()
    slix.run(scenario())


@case
def they_come_at_login_in_order_with_stamps_and_once(rh):
    in_order_with_stamps_and_once(rh)


@case
def what_is_not_to_be_kept_is_refused_or_ignored(rh):
    to = someone(rh)

    def make(sender, kind, body, hint=""):
        sender.send_raw(f"<message to='{to}' type='{kind}' id='{body}'><body>{body}</body>"
                        f"{hint}</message>")

    async def scenario():
        sender = await juliet(rh)
        make(sender, "headline", "news")
        make(sender, "chat", "secret", "<no-store xmlns='urn:xmpp:hints'/>")
        make(sender, "chat", "not for ever", "<no-permanent-store xmlns='urn:xmpp:hints'/>")
        make(sender, "groupchat", "room")
        make(sender, "error", "mistake", "<error type='cancel'/>")
        sender.send_raw(f"<message to='{to}' type='chat' id='typing'>"
                        "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
        make(sender, "normal", "kept")
        await handled(sender)
        refused = []
        for _ in range(3):
            m = await sender.next_message()
            assert m["type"] == "error" and m["error"]["condition"] == "service-unavailable", m
            refused.append(m["id"])
        assert refused == ["secret", "room", "typing"], refused
        receiver = await client(rh, to)
        assert await bodies(receiver, 2) == ["not for ever", "kept"]
        await nothing_more(receiver)
        await receiver.leave()
        await nothing_more(sender)
        await sender.leave()
    slix.run(scenario())


async def killed(rh, service):
    loop = asyncio.get_running_loop()
    before = rh.pid(service)
    await loop.run_in_executor(None, rh.kill, service)
    await loop.run_in_executor(
        None, wait_for, lambda: rh.service(service)["pid"] not in (0, None, before), service)
    await loop.run_in_executor(None, rh.wait_ready)


def survives(rh, services):
    to = someone(rh)

    async def scenario():
        sender = await juliet(rh)
        n = 0
        for service in services:
            for _ in range(10):
                sender.chat(to, str(n))
                n += 1
            await handled(sender)  # accepted; whether it is stored is not waited for
            await killed(rh, service)
        receiver = await client(rh, to)
        assert await bodies(receiver, n) == [str(i) for i in range(n)]
        await nothing_more(receiver)
        await receiver.leave()
        await nothing_more(sender)  # and nobody was told otherwise
        await sender.leave()
    slix.run(scenario())


@case
def they_survive_the_datastore(rh):
    survives(rh, ["datastore"])


@case
def they_survive_the_router(rh):
    survives(rh, ["router"])


@case
def they_survive_both_one_after_the_other(rh):
    survives(rh, ["router", "datastore", "router"])


@case
def they_go_on_when_router_or_datastore_die_while_they_come(rh):
    async def once(service):
        to = someone(rh)
        sender = await juliet(rh)
        for i in range(QUOTA):
            sender.chat(to, f"{i} " + "x" * 12000)  # more than one page
        await handled(sender)
        receiver = await client(rh, to)
        first = await receiver.next_message()
        await killed(rh, service)
        sender.chat(to, f"{QUOTA} new")
        rest = await bodies(receiver, QUOTA)
        numbers = [int(b.split()[0]) for b in [first["body"]] + rest]
        assert numbers == list(range(QUOTA + 1)), numbers
        await receiver.leave()
        await sender.leave()

    async def scenario():
        for service in ("router", "datastore"):
            await once(service)
    slix.run(scenario())


@case
def a_full_store_is_refused_like_an_unknown_user(rh):
    to = someone(rh)

    async def scenario():
        sender = await juliet(rh)
        for i in range(QUOTA + 3):
            sender.chat(to, str(i))
        sender.chat("nobody@localhost", "?")
        await handled(sender)
        errors = [await sender.next_message() for _ in range(4)]
        texts = {str(m).replace(m["id"], "ID").replace(to, "TO")
                 .replace("nobody@localhost", "TO") for m in errors}
        assert len(texts) == 1, texts
        assert errors[0]["error"]["condition"] == "service-unavailable", errors[0]
        receiver = await client(rh, to)
        assert await bodies(receiver, QUOTA) == [str(i) for i in range(QUOTA)]
        await nothing_more(receiver)
        await receiver.leave()
        # There is room again, as soon as they are deleted.
        sender.chat(to, "again")
        await handled(sender)
        receiver = await client(rh, to)
        assert await bodies(receiver, 1) == ["again"]
        await receiver.leave()
        await nothing_more(sender)
        await sender.leave()
    slix.run(scenario())


@case
def nothing_sent_while_they_come_overtakes_them(rh):
    to = someone(rh)

    async def talk(sender, first, stop):
        n = first
        while not stop.is_set():
            sender.chat(to, str(n))
            n += 1
            await asyncio.sleep(0.005)
        return n

    async def scenario():
        sender = await juliet(rh)
        stop = asyncio.Event()
        for i in range(20):
            sender.chat(to, str(i) if i else "0" + "x" * 20000)
        await handled(sender)
        talking = asyncio.ensure_future(talk(sender, 20, stop))
        receiver = await client(rh, to)
        got = await bodies(receiver, 60)
        stop.set()
        n = await talking
        got += await bodies(receiver, n - 60)
        assert [int(b.rstrip("x")) for b in got] == list(range(n)), got
        await receiver.leave()
        await sender.leave()
    slix.run(scenario())


@case
def a_removed_account_takes_them_with_it(rh):
    to = someone(rh)

    async def scenario():
        sender = await juliet(rh)
        sender.chat(to, "for the one before")
        await handled(sender)
        await asyncio.get_running_loop().run_in_executor(
            None, wait_for, lambda: "stored" in rh.run("xmpp", "stats", "--json").stdout, "stats")
        rh.run("xmpp", "user", "del", to)
        rh.add_user(to, "secret")
        receiver = await client(rh, to)
        await nothing_more(receiver)
        await receiver.leave()
        await sender.leave()
    slix.run(scenario())


@case
def the_server_says_that_it_keeps_them(rh):
    async def scenario():
        c = await juliet(rh)
        info = await c["xep_0030"].get_info(jid="localhost", timeout=20)
        assert "msgoffline" in info["disco_info"]["features"], info
        await c.leave()
    slix.run(scenario())


if __name__ == "__main__":
    with Instance(config={"datastore": f"offline_messages = {QUOTA};"}) as instance:
        instance.add_user("juliet@localhost", "capulet")
        sys.exit(run_cases(instance))
