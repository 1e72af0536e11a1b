#!/usr/bin/python3
"""Blocking (XEP-0191) with slixmpp and with raw clients: the commands and their pushes, messages and
presence in both directions, users who are away, a restarted router and a datastore that hangs."""
import asyncio
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, case, run_cases
from sm import Client, Plain, befriend, shown, until
import slix

LIMITED = 6
BLOCKING = "xmlns='urn:xmpp:blocking'"
_made = []


def someone(rh):
    """A new account, (user, password): cases do not see each other's lists."""
    name = f"user{len(_made)}"
    _made.append(name)
    rh.add_user(f"{name}@localhost", "secret")
    return (name, "secret")


def bare(who):
    return f"{who[0]}@localhost"


async def client(rh, who, resource):
    c = slix.Client(rh, f"{bare(who)}/{resource}", who[1])
    for plugin in ("xep_0030", "xep_0191", "xep_0199"):
        c.register_plugin(plugin)
    c.add_event_handler("message_error", c.inbox.put_nowait)
    c.pushes = asyncio.Queue()
    for event in ("blocked", "unblocked"):
        c.add_event_handler(event, c.pushes.put_nowait)
    return await c.login()


def names(iq, what):
    return sorted(str(j) for j in iq[what]["items"])


@case
def a_list_is_kept_and_its_changes_are_pushed_to_those_who_asked(rh):
    who = someone(rh)

    async def scenario():
        one, other, deaf = [await client(rh, who, r) for r in ("one", "other", "deaf")]
        info = await one["xep_0030"].get_info(jid="localhost", timeout=20)
        assert "urn:xmpp:blocking" in info["disco_info"]["features"], info
        for c in (one, other):
            assert names(await c["xep_0191"].get_blocked(timeout=20), "blocklist") == []
        items = ["Evil@Example.NET", "spam.example", "a@b.example/Gone"]
        await one["xep_0191"].block(items, timeout=20)
        for c in (one, other):
            push = await asyncio.wait_for(c.pushes.get(), 20)
            assert names(push, "block") == ["a@b.example/Gone", "evil@example.net",
                                            "spam.example"], push
        await other["xep_0191"].unblock(["spam.example"], timeout=20)
        for c in (one, other):
            push = await asyncio.wait_for(c.pushes.get(), 20)
            assert names(push, "unblock") == ["spam.example"], push
        got = names(await deaf["xep_0191"].get_blocked(timeout=20), "blocklist")
        assert got == ["a@b.example/Gone", "evil@example.net"], got
        assert deaf.pushes.empty()
        for c in (one, other, deaf):
            await c.leave()
        again = await client(rh, who, "again")
        assert names(await again["xep_0191"].get_blocked(timeout=20), "blocklist") == got
        await again.leave()
    slix.run(scenario())


class Raw(Plain):
    """Plain, with commands."""

    numbers = 0

    def ask(self, inner, kind="set"):
        """An iq to the own account; waits for its end, which must not be an error."""
        assert self.tell(inner, kind), self.errors

    def tell(self, inner, kind="set"):
        Raw.numbers += 1
        name = f"ask{Raw.numbers}"
        failed = len(self.errors)
        self.send(f"<iq type='{kind}' id='{name}'>{inner}</iq>")
        until(lambda: name in self.results or len(self.errors) > failed, name, self)
        return name in self.results

    def block(self, *jids):
        items = "".join(f"<item jid='{j}'/>" for j in jids)
        self.ask(f"<block {BLOCKING}>{items}</block>")

    def unblock(self, *jids):
        items = "".join(f"<item jid='{j}'/>" for j in jids)
        self.ask(f"<unblock {BLOCKING}>{items}</unblock>")

    def quiet(self):
        """All that was under way to this one is here."""
        self.ask("<ping xmlns='urn:xmpp:ping'/>", "get")

    def refused(self, condition):
        until(lambda: self.errors, condition, self)
        error = self.errors.pop(0)
        assert condition in error and not self.errors, (error, self.errors)
        return error


def pair(rh, friends=True):
    a, b = [Raw(rh, someone(rh), r) for r in ("balcony", "orchard")]
    for c in (a, b):
        c.send("<presence/>")
        c.quiet()
    if friends:
        befriend(a, b)
        for c in (a, b):
            c.quiet()
            c.presences.clear()
    return a, b


def home(c):
    return c.jid.split("/")[0]


@case
def neither_side_reaches_the_other(rh):
    a, b = pair(rh)
    for item in (home(b), b.jid):
        a.block(item)
        b.say(home(a), "one")
        b.refused("service-unavailable")
        b.say(a.jid, "two")
        b.refused("service-unavailable")
        b.send(f"<iq type='get' id='x' to='{a.jid}'><ping xmlns='urn:xmpp:ping'/></iq>")
        b.refused("service-unavailable")
        a.say(b.jid, "three")
        error = a.refused("not-acceptable")
        assert "urn:xmpp:blocking:errors" in error, error
        a.quiet()
        assert not a.got and not b.got, (a.got, b.got)
        a.unblock(item)
    b.say(home(a), "four")
    a.say(home(b), "five")
    until(lambda: a.got and b.got, "messages", a, b)
    assert a.got == ["four"] and b.got == ["five"], (a.got, b.got)


@case
def presence_ends_with_a_block_and_is_back_without_it(rh):
    a, b = pair(rh)
    a.block(home(b))
    until(lambda: shown(b, a.jid) == ["unavailable"], "unavailable", b)
    a.send("<presence><show>away</show></presence>")
    b.send("<presence><show>away</show></presence>")
    for c in (a, b):
        c.quiet()
    for c in (b, a):
        c.quiet()
    assert shown(b, a.jid) == ["unavailable"], b.presences
    assert shown(a, b.jid) == [], a.presences
    # Who logs in meanwhile sees nothing, nor is he seen.
    third = Raw(rh, (b.user, b.password), "third")
    third.send("<presence/>")
    third.quiet()
    a.quiet()
    assert shown(third, a.jid) == [] and shown(a, third.jid) == [], (third.presences, a.presences)
    third.close()
    b.presences.clear()
    a.unblock()
    until(lambda: shown(b, a.jid) == [None] and shown(a, b.jid) == [None], "presence", a, b)
    b.send("<presence><show>dnd</show></presence>")
    until(lambda: shown(a, b.jid) == [None, None], "presence", a)


@case
def a_request_of_somebody_blocked_is_not_heard_of(rh):
    a, b = pair(rh, friends=False)
    a.block(home(b))
    b.send(f"<presence to='{home(a)}' type='subscribe'/>")
    b.quiet()
    a.quiet()
    assert not [p for p in a.presences if p[1] == "subscribe"] and not b.errors
    a.unblock(home(b))
    b.send(f"<presence to='{home(a)}' type='subscribe'/>")
    until(lambda: (home(b), "subscribe") in a.presences, "the request", a)


@case
def a_domain_can_be_blocked_but_not_the_own_server(rh):
    a, b = pair(rh)
    a.block("localhost")
    b.say(home(a), "one")
    b.refused("service-unavailable")
    a.quiet()
    a.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
    until(lambda: "p" in a.results, "the server's answer", a)
    a.say(a.jid, "myself")
    until(lambda: a.got == ["myself"], "my own message", a)


@case
def nothing_is_kept_for_a_user_who_is_away(rh):
    a, b = pair(rh)
    friend = Raw(rh, someone(rh), "x")
    a.block(home(b))
    a.close()
    until(lambda: rh.run("xmpp", "sessions", home(a)).stdout.count(a.jid) == 0, "the end", b)
    b.say(home(a), "one")
    b.refused("service-unavailable")
    friend.say(home(a), "two")
    friend.quiet()
    back = Raw(rh, (a.user, a.password), "balcony")
    back.send("<presence/>")
    until(lambda: back.got, "what was kept", back)
    back.quiet()
    assert back.got == ["two"], back.got


@case
def a_user_without_presence_is_protected_as_well(rh):
    a, b = pair(rh)
    a.block(home(b))
    a.close()
    back = Raw(rh, (a.user, a.password), "balcony")  # no presence
    b.say(back.jid, "one")
    b.refused("service-unavailable")
    back.say(b.jid, "two")
    back.refused("not-acceptable")
    back.quiet()
    assert not back.got and not b.got


@case
def lists_have_a_limit_and_odd_commands_are_refused(rh):
    a, _ = pair(rh, friends=False)
    a.block(*[f"x{i}@example.net" for i in range(LIMITED)])
    for inner, condition in (
            (f"<block {BLOCKING}><item jid='one.more.example'/></block>", "resource-constraint"),
            (f"<block {BLOCKING}/>", "bad-request"),
            (f"<block {BLOCKING}><item jid='a b@c'/></block>", "jid-malformed")):
        assert not a.tell(inner)
        a.refused(condition)
    a.unblock()
    a.block("one.more.example")


@case
def a_killed_router_and_a_hanging_datastore_change_nothing(rh):
    a, b = [Client(rh, someone(rh), r) for r in ("balcony", "orchard")]
    for c in (a, b):
        c.send("<presence/>")
    befriend(a, b)
    a.send(f"<iq type='set' id='block'><block {BLOCKING}><item jid='{home(b)}'/></block></iq>")
    until(lambda: "block" in a.results, "the result", a)
    pid = rh.pid("datastore")
    os.kill(pid, signal.SIGSTOP)
    try:
        rh.kill("router", signal.SIGKILL)
        rh.wait_ready("router")
        b.say(home(a), "one")
        until(lambda: b.errors, "an error", a, b)
        assert "service-unavailable" in b.errors[0], b.errors
        a.say(b.jid, "two")
        until(lambda: a.errors, "an error", a, b)
        assert "not-acceptable" in a.errors[0], a.errors
        assert not a.got and not b.got
        # Who has blocked nobody talks as ever.
        c = b
        c.say(c.jid, "myself")
        until(lambda: c.got == ["myself"], "a message", a, c)
    finally:
        os.kill(pid, signal.SIGCONT)
    a.send(f"<iq type='set' id='unblock'><unblock {BLOCKING}/></iq>")
    until(lambda: "unblock" in a.results, "the result", a)
    b.say(home(a), "three")
    until(lambda: a.got == ["three"], "a message", a, b)


if __name__ == "__main__":
    with Instance(config={"datastore": f"max_blocked = {LIMITED};"}) as instance:
        sys.exit(run_cases(instance))
