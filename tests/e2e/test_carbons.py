#!/usr/bin/python3
"""
XEP-0280 against the real programs: slixmpp, and clients that count each copy while router and
connection managers die. With it what the server takes out and keeps of a message: XEP-0359, 0334.
"""
import asyncio
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from roundhouse import Instance, Raw, case, run_cases  # noqa: E402
from slix import Client as Slix  # noqa: E402
from slix import run  # noqa: E402
from sm import CLIENT, Client, Plain, balanced, settle, texts, until  # noqa: E402

JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")
CARBONS = "{urn:xmpp:carbons:2}"
FORWARD = "{urn:xmpp:forward:0}"
ENABLE = "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>"


class Copies:
    """Counts copies apart from messages: (direction, from, to, body) in order."""

    def _on_element(self, e):
        for direction in ("sent", "received"):
            inside = e.find(f"{CARBONS}{direction}/{FORWARD}forwarded/{CLIENT}message")
            if inside is None:
                continue
            assert e.get("from") == self.jid.split("/")[0] and e.get("to") == self.jid, e.attrib
            assert e.get("type") == inside.get("type"), e.attrib
            self.copies.append((direction, inside.get("from"), inside.get("to"),
                                inside.findtext(CLIENT + "body")))
            e.clear()
            e.tag, self.copied = CLIENT + "message", True
        super()._on_element(e)
        if self.copied:
            self.got.pop()
            self.copied = False

    def watch(self):
        """Asks for copies, and waits until they will come."""
        self.send("<presence><priority>-1</priority></presence>")
        self.send(ENABLE)
        until(lambda: "carbons" in self.results, "the result of <enable/>", self)
        return self

    def seen(self, direction):
        return [body for what, _, _, body in self.copies if what == direction]


class Watcher(Copies, Client):
    copied = False

    def __init__(self, *args):
        self.copies = []
        super().__init__(*args)


class PlainWatcher(Copies, Plain):
    copied = False

    def __init__(self, *args):
        self.copies = []
        super().__init__(*args)


def four(rh, name, watcher=Watcher):
    """Both talk, and each has another resource that only looks on."""
    talkers = [Client(rh, user, name) for user in (JULIET, ROMEO)]
    for c in talkers:
        c.send("<presence/>")
    return talkers + [watcher(rh, user, name + "-watch").watch() for user in (JULIET, ROMEO)]


def close(*clients):
    for c in clients:
        c.close()


@case
def slixmpp_sees_both_sides_of_a_chat(rh):
    async def chat():
        desk, phone, romeo = [Slix(rh, f"{who}@localhost/{where}", password)
                              for (who, password), where in
                              ((JULIET, "desk"), (JULIET, "phone"), (ROMEO, "slix"))]
        copies = asyncio.Queue()
        for c in (desk, phone, romeo):
            c.register_plugin("xep_0280")
            await c.login()
        info = await phone.plugin["xep_0030"].get_info(jid="localhost")
        features = info["disco_info"]["features"]
        assert {"urn:xmpp:carbons:2", "urn:xmpp:carbons:rules:0", "urn:xmpp:sid:0"} <= features
        await phone.plugin["xep_0280"].enable()
        for event in ("carbon_sent", "carbon_received"):
            phone.add_event_handler(event, lambda m, e=event: copies.put_nowait((e, m)))
        romeo.chat("juliet@localhost/desk", "to the desk")
        event, m = await asyncio.wait_for(copies.get(), 30)
        assert event == "carbon_received" and m["carbon_received"]["body"] == "to the desk"
        assert m["carbon_received"]["from"] == "romeo@localhost/slix"
        desk.chat("romeo@localhost", "from the desk")
        event, m = await asyncio.wait_for(copies.get(), 30)
        assert event == "carbon_sent" and m["carbon_sent"]["body"] == "from the desk"
        assert m["carbon_sent"]["to"] == "romeo@localhost"
        for c in (desk, phone, romeo):
            await c.leave()
    run(chat())


@case
def what_is_private_or_no_chat_is_not_copied(rh):
    juliet, romeo, jwatch, rwatch = four(rh, "rules")
    everybody = (juliet, romeo, jwatch, rwatch)
    for kind, more in (("chat", "<private xmlns='urn:xmpp:carbons:2'/>"),
                       ("chat", "<no-copy xmlns='urn:xmpp:hints'/>"),
                       ("headline", ""), ("groupchat", "")):
        juliet.send(f"<message to='{romeo.jid}' type='{kind}'><body>no</body>{more}</message>")
    juliet.send(f"<message to='{romeo.jid}'><body>yes</body></message>")
    until(lambda: len(romeo.got) == 5 and jwatch.copies and rwatch.copies, "all", *everybody)
    assert jwatch.copies == [("sent", juliet.jid, romeo.jid, "yes")], jwatch.copies
    assert rwatch.copies == [("received", juliet.jid, romeo.jid, "yes")], rwatch.copies
    assert not jwatch.got and not rwatch.got
    close(*everybody)


@case
def a_bounce_is_seen_by_the_senders_others(rh):
    juliet, romeo, jwatch, rwatch = four(rh, "bounce")
    juliet.send("<message to='nobody@localhost' type='chat' id='b1'><body>lost</body></message>")
    until(lambda: juliet.errors and len(jwatch.copies) == 2, "the error", juliet, jwatch)
    assert [c[:3] for c in jwatch.copies] == [
        ("sent", juliet.jid, "nobody@localhost"),
        ("received", "nobody@localhost", juliet.jid)], jwatch.copies
    assert not rwatch.copies
    close(juliet, romeo, jwatch, rwatch)


@case
def what_only_the_server_may_say_does_not_get_through(rh):
    with Raw(rh) as juliet, Raw(rh) as romeo:
        juliet.login(*JULIET, resource="forge")
        jid = romeo.login(*ROMEO, resource="forge")
        juliet.send(f"<message to='{jid}' type='chat'><body>x</body>"
                    "<stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='romeo@localhost'/>"
                    "<stanza-id xmlns='urn:xmpp:sid:0' id='kept' by='room@elsewhere.example'/>"
                    "<delay xmlns='urn:xmpp:delay' from='localhost' stamp='2002-09-10T23:08:25Z'/>"
                    "<end xmlns='u'/></message>")
        text = romeo.expect("<message .*</message>").group(0)
        assert b"kept" in text and b"<end" in text, text
        assert b"forged" not in text and b"2002" not in text, text


@case
def copies_come_once_whatever_happens_to_the_router(rh):
    juliet, romeo, jwatch, rwatch = four(rh, "kills")
    everybody = (juliet, romeo, jwatch, rwatch)
    settle(*everybody)
    said = []
    for i in range(6):
        for text in texts(f"k{i}", 30):
            juliet.say(romeo.jid, text)
            said.append(text)
        rh.kill("router", signal.SIGKILL)
        for text in texts(f"after{i}", 30):
            juliet.say(romeo.jid, text)
            said.append(text)
        until(lambda: len(romeo.got) == len(said), "messages", *everybody)
        rh.wait_ready("router")
    settle(*everybody)
    until(lambda: len(jwatch.copies) >= len(said) and len(rwatch.copies) >= len(said), "copies",
          *everybody)
    for c in everybody:
        c.live(0.2)
    assert romeo.got == said
    assert sorted(jwatch.seen("sent")) == sorted(said), len(jwatch.copies)
    assert sorted(rwatch.seen("received")) == sorted(said), len(rwatch.copies)
    assert not jwatch.got and not rwatch.got
    close(*everybody)
    balanced(rh)


@case
def a_detached_watcher_finds_its_copies_once_after_resume(rh):
    juliet, romeo, jwatch, rwatch = four(rh, "away")
    everybody = (juliet, romeo, jwatch, rwatch)
    settle(*everybody)
    for round_ in range(3):
        for c in (jwatch, rwatch):
            c.drop()
            c.copies.clear()
        said = texts(f"away{round_}", 20)
        for text in said:
            juliet.say(romeo.jid, text)
        until(lambda s=said: romeo.got[-1:] == s[-1:], "messages", juliet, romeo)
        settle(juliet)
        if round_ == 1:
            rh.kill("router", signal.SIGKILL)
            rh.wait_ready("router")
        if round_ == 2:  # what waits is on the shelf: both its holders may go
            rh.wait_stats("router", lambda s: s["held"] == 0 or s["shelf_behind"] == 0)
            rh.kill("cm-client", signal.SIGKILL)
            rh.wait_ready("cm-client")
            for c in (juliet, romeo):
                c.resume()
            settle(juliet, romeo)
            rh.kill("router", signal.SIGKILL)
            rh.wait_ready("router")
        for c in (jwatch, rwatch):
            c.resume()
        until(lambda: len(jwatch.copies) >= 20 and len(rwatch.copies) >= 20, "copies", *everybody)
        for c in everybody:
            c.live(0.2)
        assert jwatch.seen("sent") == said, jwatch.copies
        assert rwatch.seen("received") == said, rwatch.copies
    assert romeo.got == [t for i in range(3) for t in texts(f"away{i}", 20)]
    close(*everybody)
    balanced(rh)


@case
def a_message_reaches_its_receiver_though_only_copies_were_delivered(rh):
    """Copies are nobody's delivery: the message waits for its receiver, also through a restart."""
    juliet, romeo, jwatch, rwatch = four(rh, "waits", PlainWatcher)
    settle(juliet, romeo)
    romeo.drop()
    juliet.say(romeo.jid, "waits")
    until(lambda: jwatch.copies and rwatch.copies, "copies", juliet, jwatch, rwatch)
    settle(juliet)
    rh.kill("router", signal.SIGKILL)
    rh.wait_ready("router")
    romeo.resume()
    until(lambda: romeo.got, "the message", juliet, romeo, jwatch, rwatch)
    for c in (juliet, romeo, jwatch, rwatch):
        c.live(0.2)
    assert romeo.got == ["waits"], romeo.got
    assert jwatch.seen("sent") == rwatch.seen("received") == ["waits"]
    close(juliet, romeo, jwatch, rwatch)
    balanced(rh)


@case
def a_watcher_that_ends_loses_its_copies_and_nobody_is_told(rh):
    juliet, romeo, jwatch, rwatch = four(rh, "ends")
    settle(juliet, romeo, jwatch, rwatch)
    rwatch.drop()
    juliet.say(romeo.jid, "one")
    until(lambda: romeo.got == ["one"], "the message", juliet, romeo)
    settle(juliet)
    assert rh.run("xmpp", "kick", rwatch.jid).returncode == 0
    juliet.say(romeo.jid, "two")
    until(lambda: romeo.got == ["one", "two"], "the message", juliet, romeo)
    settle(juliet)
    juliet.live(0.2)
    assert not juliet.errors, juliet.errors
    again = Client(rh, ROMEO, "ends-watch")
    again.send("<presence/>")
    settle(again)
    again.live(0.2)
    assert not again.got, again.got  # nothing was stored
    close(juliet, romeo, jwatch, again)
    balanced(rh)


if __name__ == "__main__":
    with Instance() as instance:
        for who, secret in (JULIET, ROMEO):
            instance.add_user(f"{who}@localhost", secret)
        sys.exit(run_cases(instance))
