#!/usr/bin/python3
"""
XEP-0198 against the real programs: what was sent is counted at the clients, each message arrives
once and in order whatever dies, and h says what the server has.
"""
import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from roundhouse import LIMIT, Instance, Raw, case, run_cases, wait_for  # noqa: E402
from sm import SM, Client, settle, texts, until  # noqa: E402

JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")


def pair(rh, name):
    juliet, romeo = Client(rh, JULIET, name), Client(rh, ROMEO, name)
    for c in (juliet, romeo):
        c.send("<presence/>")
    return juliet, romeo


@case
def h_counts_what_the_server_has_and_r_is_asked(rh):
    juliet, romeo = pair(rh, "count")
    settle(juliet, romeo)
    assert (juliet.acked, romeo.acked) == (1, 1)
    for text in texts("a", 10):
        juliet.say(romeo.jid, text)
    settle(juliet, romeo)
    until(lambda: len(romeo.got) == 10, "messages", romeo, juliet)
    assert juliet.acked == 11 and romeo.got == texts("a", 10), (juliet.acked, romeo.got)
    assert romeo.asked > 0
    juliet.close()
    romeo.close()


@case
def a_refused_stanza_is_counted_and_answered(rh):
    juliet, romeo = pair(rh, "refused")
    juliet.send("<message to='@' id='bad'><body>x</body></message>")
    juliet.send("<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
    juliet.say(romeo.jid, "good")
    settle(juliet)
    until(lambda: juliet.errors and romeo.got, "the error and the message", juliet, romeo)
    assert juliet.acked == 4 and "jid-malformed" in juliet.errors[0] and \
        "id=\"bad\"" in juliet.errors[0], (juliet.acked, juliet.errors)
    juliet.close()
    romeo.close()


@case
def what_came_while_the_tcp_was_gone_is_there_once_after_resume(rh):
    juliet, romeo = pair(rh, "drop")
    settle(juliet, romeo)
    juliet.say(romeo.jid, "before")
    until(lambda: romeo.got, "the first", romeo, juliet)
    for _ in range(3):
        romeo.drop()
        for text in texts("away", 5):
            juliet.say(romeo.jid, text)
        settle(juliet)
        romeo.resume()
        until(lambda: len(romeo.got) >= 6, "messages", romeo, juliet)
        romeo.live(0.2)
        assert romeo.got == ["before"] + texts("away", 5), romeo.got
        del romeo.got[1:]
    assert romeo.resumes == 3
    assert not seen_leaving(juliet, "drop"), juliet.presences
    juliet.close()
    romeo.close()


@case
def h_at_resume_says_what_comes_again(rh):
    juliet, romeo = pair(rh, "again")
    settle(juliet, romeo)
    romeo.pump(0.2)
    romeo.mute = True
    base = romeo.handled
    for text in texts("m", 5):
        juliet.say(romeo.jid, text)
    until(lambda: len(romeo.got) == 5, "messages", romeo, juliet)
    romeo.drop()
    romeo.mute = False
    romeo.got.clear()
    romeo.resume(handled=base + 2)
    until(lambda: len(romeo.got) == 3, "the rest again", romeo, juliet)
    romeo.live(0.2)
    assert romeo.got == texts("m", 5)[2:], romeo.got
    juliet.close()
    romeo.close()


@case
def what_a_client_sent_before_its_tcp_broke_is_not_sent_twice(rh):
    juliet, romeo = pair(rh, "sent")
    settle(juliet, romeo)
    for i in range(10):
        for text in texts(f"s{i}", 20):
            juliet.say(romeo.jid, text)
        juliet.drop()
        juliet.resume()
    settle(juliet)
    wanted = [t for i in range(10) for t in texts(f"s{i}", 20)]
    until(lambda: len(romeo.got) >= len(wanted), "messages", romeo, juliet)
    romeo.live(0.2)
    assert romeo.got == wanted, romeo.got
    juliet.close()
    romeo.close()


@case
def resume_while_the_old_connection_is_open_closes_it_without_a_word(rh):
    juliet, romeo = pair(rh, "moved")
    settle(juliet, romeo)
    old = romeo.raw
    romeo.raw = Raw(rh)  # so that resume() does not close the old one
    juliet.say(romeo.jid, "one")
    settle(juliet)
    old.buffer = b""
    romeo.resume(handled=romeo.handled)
    until(lambda: romeo.got, "the message", romeo, juliet)
    rest = old.read_to_end()
    assert b"stream:error" not in rest and b"</stream:stream>" not in rest, rest
    old.close()
    juliet.say(romeo.jid, "two")
    until(lambda: len(romeo.got) == 2, "the second", romeo, juliet)
    assert romeo.got == ["one", "two"], romeo.got
    juliet.close()
    romeo.close()


def kill(rh, name):
    rh.wait_ready()
    rh.kill(name)


def seen_leaving(client, resource):
    return [f for f, t in client.presences if t == "unavailable" and f.endswith("/" + resource)]


def chat_through(rh, name, harm, rounds=3):
    """Both talk to each other without a pause while harm() is done to the server; counted after."""
    juliet, romeo = pair(rh, name)
    settle(juliet, romeo)
    wanted = {juliet: [], romeo: []}
    for i in range(rounds):
        for part in ("before", "after"):
            for text in texts(f"{name}-{i}-{part}", 20):
                juliet.say(romeo.jid, text)
                romeo.say(juliet.jid, text)
                wanted[romeo].append(text)
                wanted[juliet].append(text)
            if part == "before":
                harm(i)
    settle(juliet, romeo)
    until(lambda: all(len(c.got) >= len(w) for c, w in wanted.items()), "messages", juliet, romeo)
    for c, w in wanted.items():
        c.live(0.3)
        assert c.got == w, (c.jid, [x for x in w if x not in c.got],
                            [x for x in c.got if c.got.count(x) > 1], c.got)
        assert not c.errors, c.errors
        assert not seen_leaving(c, name), c.presences
    # h is right: one more message moves it by one.
    h = juliet.acked
    juliet.say(romeo.jid, "last")
    settle(juliet)
    assert juliet.acked == h + 1, (h, juliet.acked)
    until(lambda: romeo.got[-1] == "last", "the last message", romeo, juliet)
    juliet.close()
    romeo.close()
    return juliet, romeo


@case
def nothing_is_lost_or_doubled_when_a_cm_client_is_killed(rh):
    a, b = chat_through(rh, "kill", lambda i: kill(rh, f"cm-client-{i % 2 + 1}"), rounds=4)
    assert a.resumes and b.resumes, (a.resumes, b.resumes)


@case
def nothing_is_lost_or_doubled_when_the_router_is_killed(rh):
    a, b = chat_through(rh, "router", lambda _: kill(rh, "router"))
    assert a.resumes == b.resumes == 0, (a.resumes, b.resumes)


def kill_both(rh, *names):
    """One after the other: a router has taken the announcements before the next one dies."""
    for name in names:
        routing = rh.log("router").count("event=routing")
        kill(rh, name)
        if name == "router":
            wait_for(lambda n=routing: rh.log("router").count("event=routing") > n, "routing")


@case
def nothing_is_lost_or_doubled_when_the_router_then_cm_client_are_killed(rh):
    chat_through(rh, "router-cm", lambda i: kill_both(rh, "router", f"cm-client-{i + 1}"), rounds=1)


@case
def nothing_is_lost_or_doubled_when_cm_clients_then_the_router_are_killed(rh):
    """The router has said goodbye to the managers, and what it alone held is on its shelf."""
    def harm(_):
        for name in ("cm-client-1", "cm-client-2"):
            deaths = rh.log("router").count("event=peer_dead")
            kill(rh, name)
            wait_for(lambda n=deaths: rh.log("router").count("event=peer_dead") > n, "its death")
        rh.wait_stats("router", lambda s: s["shelf_behind"] == 0)
        kill_both(rh, "router")
    chat_through(rh, "cm-router", harm, rounds=2)


@case
def nothing_is_lost_or_doubled_at_a_planned_restart(rh):
    a, b = chat_through(rh, "restart", lambda _: rh.run("supervisor", "restart", "cm-client"))
    assert a.resumes and b.resumes, (a.resumes, b.resumes)


@case
def a_planned_restart_closes_without_stream_error_what_can_be_resumed(rh):
    juliet = Client(rh, JULIET, "planned")
    with Raw(rh) as plain:
        plain.login(*ROMEO, resource="plain")
        juliet.send("<presence/>")
        settle(juliet)
        rh.run("supervisor", "restart", "cm-client")
        juliet.pump(0.2)
        rest = juliet.raw.seen.rsplit(b"<enabled", 1)[1]
        assert b"stream:error" not in rest and b"</stream:stream>" not in rest, rest
        end = plain.read_to_end()
        assert b"<system-shutdown " in end and b"</stream:stream>" in end, end
    juliet.resume()
    juliet.close()


@case
def an_unknown_session_is_refused_and_the_client_may_bind(rh):
    with Raw(rh) as c:
        c.authenticate(*JULIET)
        assert b"<sm xmlns='urn:xmpp:sm:3'/>" in c.seen
        c.send(f"<resume xmlns='{SM}' previd='nobody' h='0'/>")
        c.expect(f"<failed xmlns='{SM}'[^>]*><item-not-found "
                 "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>.*?</failed>")
        c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        c.expect("<jid>juliet@localhost/")


@case
def a_session_is_nobody_elses_and_a_closed_one_is_gone(rh):
    juliet = Client(rh, JULIET, "mine")
    with Raw(rh) as thief:
        thief.authenticate(*ROMEO)
        thief.send(f"<resume xmlns='{SM}' previd='{juliet.id}' h='0'/>")
        thief.expect("<failed [^>]*><item-not-found ")
    juliet.send("<presence/>")
    settle(juliet)
    juliet.close()
    with Raw(rh) as late:
        late.authenticate(*JULIET)
        late.send(f"<resume xmlns='{SM}' previd='{juliet.id}' h='0'/>")
        late.expect("<failed [^>]*><item-not-found ")


@case
def who_acknowledges_too_much_is_closed(rh):
    with Raw(rh) as c:
        c.login(*JULIET, resource="liar")
        c.send(f"<enable xmlns='{SM}'/>")
        c.expect(f"<enabled xmlns='{SM}'/>")
        c.send(f"<a xmlns='{SM}' h='77'/>")
        c.expect("<stream:error><undefined-condition [^>]*/>.*<handled-count-too-high "
                 "xmlns='urn:xmpp:sm:3' h='77' send-count='0'/></stream:error></stream:stream>")


@case
def slixmpp_resumes_by_itself(rh):
    asyncio.get_event_loop().run_until_complete(slixmpp_story(rh))


async def slixmpp_story(rh):
    from slix import Client as Slix
    romeo = Slix(rh, "romeo@localhost/slix", ROMEO[1])
    romeo.register_plugin("xep_0198")
    resumed = asyncio.Queue()
    romeo.add_event_handler("session_resumed", resumed.put_nowait)
    enabled = asyncio.Event()
    romeo.add_event_handler("sm_enabled", lambda _: enabled.set())
    romeo.add_event_handler("disconnected", lambda _: romeo.connect(
        address=("127.0.0.1", rh.port), force_starttls=True))
    await romeo.login()
    await asyncio.wait_for(enabled.wait(), LIMIT)
    loop = asyncio.get_event_loop()
    juliet = Client(rh, JULIET, "to-slix")
    juliet.send("<presence/>")

    async def hear(wanted):
        got = [(await asyncio.wait_for(romeo.inbox.get(), LIMIT))["body"] for _ in wanted]
        await asyncio.sleep(0.2)
        assert got == wanted and romeo.inbox.empty(), (got, wanted)

    def say(name):
        for text in texts(name, 10):
            juliet.say("romeo@localhost/slix", text)

    async def harmed(name, harm, here=False):
        say(name + "-a")
        if here:
            harm()
        else:
            await loop.run_in_executor(None, harm)
        say(name + "-b")
        await loop.run_in_executor(None, settle, juliet)
        await asyncio.wait_for(resumed.get(), LIMIT)
        await hear(texts(name + "-a", 10) + texts(name + "-b", 10))

    await harmed("drop", romeo.abort, here=True)
    await harmed("kill", lambda: [kill(rh, f"cm-client-{i}") for i in (1, 2)])
    await harmed("restart", lambda: rh.run("supervisor", "restart", "cm-client"))
    say("end")
    await hear(texts("end", 10))
    romeo.disconnect()
    juliet.close()


@case
def who_does_not_answer_r_in_time_is_detached_and_may_resume(rh):
    with Instance(config={"cm-client": "ack_timeout_s = 1;"}) as own:
        own.add_user("juliet@localhost", "capulet")
        juliet = Client(own, JULIET, "mute")
        juliet.send("<presence/>")
        settle(juliet)
        juliet.pump(0.2)
        juliet.mute = True
        juliet.say(juliet.jid, "to myself")
        end = wait_for(lambda: not juliet.pump(0.1), "the end of the connection")
        assert end and b"stream:error" not in juliet.raw.seen
        own.wait_log("cm-client", "event=detach reason=connection-timeout")
        juliet.mute = False
        juliet.resume()
        juliet.live(0.2)
        assert juliet.got == ["to myself"], juliet.got
        juliet.close()


@case
def sessions_and_what_waits_for_them_outlive_a_stop_of_everything(_):
    with Instance(config={"cm-client": "instances = 2;"}) as own:
        own.add_user("juliet@localhost", "capulet")
        own.add_user("romeo@localhost", "montague")
        juliet, romeo = pair(own, "stop")
        settle(juliet, romeo)
        romeo.raw.close()
        for text in texts("away", 10):
            juliet.say(romeo.jid, text)
        settle(juliet)
        own.stop()
        own.start()
        romeo.resume()
        juliet.resume()
        until(lambda: len(romeo.got) >= 10, "what waited", romeo, juliet)
        romeo.live(0.2)
        assert romeo.got == texts("away", 10), romeo.got
        romeo.close()
        juliet.close()
        own.wait_stats("router", lambda s: (s["held"], s["difference"], s["shelf_behind"]) == (0, 0, 0))


if __name__ == "__main__":
    with Instance(config={"cm-client": "instances = 2;"}) as instance:
        instance.add_user("juliet@localhost", "capulet")
        instance.add_user("romeo@localhost", "montague")
        sys.exit(run_cases(instance))
