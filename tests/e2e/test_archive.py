#!/usr/bin/python3
"""The message archive (XEP-0313) with XEP-0059 paging: what is sent and received is in both archives
once and in order, through kill -9 of the router and the datastore; a datastore that hangs stops
nobody; preferences, retention and the errors of the standard."""
import asyncio
import os
import signal
import sqlite3
import sys
import time
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, case, run_cases, wait_for
from sm import CLIENT, Client, Plain, until
import slix

MAM = "{urn:xmpp:mam:2}"
RSM = "{http://jabber.org/protocol/rsm}"
FORWARD = "{urn:xmpp:forward:0}"
DELAY = "{urn:xmpp:delay}"
SID = "{urn:xmpp:sid:0}"
ERRORS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
FORM = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>" \
       "<value>urn:xmpp:mam:2</value></field>%s</x>"
_made = []


def someone(rh):
    """A new account: cases do not see each other's messages."""
    jid = f"user{len(_made)}@localhost"
    _made.append(jid)
    rh.add_user(jid, "secret")
    return jid


class Found:
    """One result of a query."""

    def __init__(self, result):
        forwarded = result[0]
        message = forwarded.find(CLIENT + "message")
        self.id = result.get("id")
        self.queryid = result.get("queryid")
        self.stamp = forwarded.find(DELAY + "delay").get("stamp")
        self.sender, self.to = message.get("from"), message.get("to")
        self.type = message.get("type")
        self.body = message.findtext(CLIENT + "body")
        self.names = [s.get("id") for s in message.findall(SID + "stanza-id")]


class Page:
    def __init__(self, found, iq):
        self.found = found
        self.iq = iq
        self.bodies = [f.body for f in found]
        self.ids = [f.id for f in found]
        error = iq.find(CLIENT + "error")
        self.error = error[0].tag.replace(ERRORS, "") if error is not None else None
        fin = iq.find(MAM + "fin")
        self.complete = fin is not None and fin.get("complete") == "true"
        self.stable = fin is not None and fin.get("stable") != "false"
        self.first = self.last = self.index = self.count = None
        if fin is not None:
            rsm = fin.find(RSM + "set")
            self.first, self.last = rsm.findtext(RSM + "first"), rsm.findtext(RSM + "last")
            if self.first:
                index = rsm.find(RSM + "first").get("index")
                self.index = int(index) if index is not None else None
            count = rsm.findtext(RSM + "count")
            self.count = int(count) if count is not None else None


class Reading:
    """What a client needs to look into its archive; beside Plain or Client."""

    def _on_element(self, e):
        if not hasattr(self, "found"):
            self.found, self.answers, self.names = [], {}, {}
        result = e.find(MAM + "result")
        if result is not None:
            if hasattr(self, "handled"):
                self.handled += 1
            self.found.append(Found(result))
            return
        if e.tag == CLIENT + "iq":
            self.answers[e.get("id")] = e
        if e.tag == CLIENT + "message" and e.get("type") != "error":
            names = [(s.get("by"), s.get("id")) for s in e.findall(SID + "stanza-id")]
            self.names[e.findtext(CLIENT + "body")] = names
        super()._on_element(e)

    def ask(self, kind, payload, to=None):
        self.asked_iq = getattr(self, "asked_iq", 0) + 1
        name = f"a{self.asked_iq}"
        self.found, self.answers = [], {}
        if not hasattr(self, "names"):
            self.names = {}
        at = f" to='{to}'" if to else ""
        self.send(f"<iq type='{kind}' id='{name}'{at}>{payload}</iq>")
        until(lambda: name in self.answers, f"the answer to {payload}", self)
        return self.answers[name]

    def query(self, rsm="", more="", to=None, **fields):
        values = ""
        for var, value in fields.items():
            inside = "".join(f"<value>{v}</value>" for v in
                             (value if isinstance(value, list) else [value]))
            name = var if var == "FORM_TYPE" else var.replace("_", "-")
            values += f"<field var='{name}'>{inside}</field>"
        form = FORM % values if fields else ""
        if rsm is not None:
            rsm = f"<set xmlns='http://jabber.org/protocol/rsm'>{rsm}</set>"
        iq = self.ask("set", f"<query xmlns='urn:xmpp:mam:2' queryid='q'>{form}{rsm or ''}{more}"
                      "</query>", to)
        return Page(self.found, iq)

    def everything(self, backward=False, size=100, **fields):
        """All messages, page by page, in the order of the archive."""
        found, page = [], None
        for _ in range(1000):
            if backward:
                mark = f"<before>{page.first}</before>" if page else "<before/>"
            else:
                mark = f"<after>{page.last}</after>" if page else ""
            page = self.query(f"<max>{size}</max>{mark}", **fields)
            assert page.error is None, ET.tostring(page.iq)
            found = page.found + found if backward else found + page.found
            if page.complete:
                return found
            assert page.found, "an empty page that is not the last"
        raise AssertionError("no end")


class Reader(Reading, Plain):
    pass


class SafeReader(Reading, Client):
    pass


def login(rh, jid, resource="r", kind=Reader, presence=True):
    c = kind(rh, (jid.split("@")[0], "secret"), resource)
    if presence:
        c.send("<presence/>")
        c.ask("get", "<ping xmlns='urn:xmpp:ping'/>")
    return c


def handled(*clients):
    for c in clients:
        c.ask("get", "<ping xmlns='urn:xmpp:ping'/>", "localhost")


def texts(n):
    return [f"m{i}" for i in range(n)]


@case
def what_is_sent_and_received_is_in_both_archives_once_and_in_order(rh):
    a, b = someone(rh), someone(rh)
    one, other = login(rh, a), login(rh, b)
    for i in range(20):
        one.say(b if i % 2 else other.jid, f"m{i}")
        other.say(one.jid, f"r{i}")
        until(lambda i=i: f"r{i}" in one.got and f"m{i}" in other.got, "the messages", one, other)
    for c in (one, other):
        found = c.everything()
        assert sorted(f.body for f in found) == sorted(texts(20) + [f"r{i}" for i in range(20)])
        assert [f.body for f in found if f.body[0] == "m"] == texts(20), found
        assert all(f.queryid == "q" and f.type == "chat" for f in found)
        assert {f.sender for f in found} == {one.jid, other.jid}
        assert len({f.id for f in found}) == 40
        stamps = [f.stamp for f in found]
        assert stamps == sorted(stamps) and stamps[0].endswith("Z"), stamps
    one.close()
    other.close()


@case
def the_stanza_id_of_what_is_delivered_is_the_id_in_its_receivers_archive(rh):
    a, b = someone(rh), someone(rh)
    one, other = login(rh, a), login(rh, b)
    one.send(f"<message to='{b}' type='chat'><body>forged</body>"
             f"<stanza-id xmlns='urn:xmpp:sid:0' by='{b}' id='mine'/></message>")
    one.say(other.jid, "plain")
    until(lambda: len(other.got) == 2, "the messages", one, other)
    found = {f.body: f.id for f in other.everything()}
    for body in ("forged", "plain"):
        assert other.names[body] == [(b, found[body])], (other.names, found)
    one.say(a, "note to myself")
    until(lambda: one.got, "the note", one)
    assert one.names["note to myself"][0][0] == a
    assert [f.body for f in one.everything(**{"with": a})] == ["note to myself"]
    assert [f.body for f in one.everything()] == ["forged", "plain", "note to myself"]
    one.close()
    other.close()


@case
def a_user_who_was_offline_finds_them_under_the_ids_that_they_come_with(rh):
    a, b = someone(rh), someone(rh)
    one = login(rh, a)
    for text in texts(5):
        one.say(b, text)
    handled(one)
    silent = login(rh, b, "silent", presence=False)
    found = silent.everything()
    assert [f.body for f in found] == texts(5)
    silent.close()
    other = login(rh, b)
    until(lambda: len(other.got) == 5, "the offline messages", other)
    assert [other.names[f.body] for f in found] == [[(b, f.id)] for f in found], other.names
    assert [f.body for f in other.everything()] == texts(5)
    one.close()
    other.close()


@case
def only_what_a_person_says_is_archived_and_hints_are_followed(rh):
    a, b = someone(rh), someone(rh)
    one, other = login(rh, a), login(rh, b)

    def say(kind, body, more=""):
        inner = f"<body>{body}</body>" if body else ""
        one.send(f"<message to='{other.jid}' type='{kind}'>{inner}{more}</message>")

    say("headline", "news")
    say("groupchat", "room")
    say("error", "wrong", "<error type='cancel'/>")
    say("chat", "no-store", "<no-store xmlns='urn:xmpp:hints'/>")
    say("chat", "no-permanent", "<no-permanent-store xmlns='urn:xmpp:hints'/>")
    say("chat", "", "<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    say("chat", "", "<received xmlns='urn:xmpp:receipts' id='x'/>"
                    "<store xmlns='urn:xmpp:hints'/>")
    say("normal", "normal")
    say("chat", "chat")
    one.send(f"<message to='nobody@elsewhere.example' type='chat'><body>lost</body></message>")
    one.send(f"<message to='{b}/gone' type='normal'><body>refused</body></message>")
    until(lambda: "chat" in other.got, "the last", one, other)
    for c in (one, other):
        bodies = [f.body for f in c.everything()]
        assert bodies == [None, "normal", "chat"], bodies
    one.close()
    other.close()


@case
def ten_thousand_messages_are_paged_in_both_directions(rh):
    a, b, c = someone(rh), someone(rh), someone(rh)
    one, other, third = login(rh, a), login(rh, b), login(rh, c)
    n = 10000
    for start in range(0, n, 100):
        one.send("".join(f"<message to='{(b, c)[i % 10 == 9]}' type='chat'><body>m{i}</body>"
                         "</message>" for i in range(start, start + 100)))
        until(lambda s=start: len(other.got) + len(third.got) >= s + 100, "messages", other, third)
    begun = time.monotonic()
    forward = one.everything(size=250)
    backward = one.everything(size=250, backward=True)
    print(f"# {n} messages twice in {time.monotonic() - begun:.1f} s")
    assert [f.body for f in forward] == texts(n)
    assert [f.id for f in forward] == [f.id for f in backward]
    wanted = [f"m{i}" for i in range(n) if i % 10 == 9]
    assert [f.body for f in one.everything(**{"with": c})] == wanted
    assert [f.body for f in one.everything(backward=True, **{"with": third.jid})] == []
    assert [f.body for f in third.everything(backward=True, size=77)] == wanted
    page = one.query("<max>3</max>")
    assert page.index == 0 and page.count == n and not page.complete, vars(page)
    page = one.query("<max>3</max><before/>")
    assert page.bodies == texts(n)[-3:] and page.index is None, vars(page)
    page = one.query("<max>0</max>")
    assert page.bodies == [] and page.count == n and page.first is None
    page = one.query("<max>9999</max>")
    assert len(page.found) == 250 and not page.complete
    middle = forward[5000]
    page = one.query(f"<max>2</max><after>{middle.id}</after>")
    assert page.bodies == ["m5001", "m5002"] and page.index == 5001, vars(page)
    page = one.query("<max>5</max>", start=middle.stamp, end=middle.stamp)
    assert page.found and {f.stamp for f in page.found} == {middle.stamp}
    for x in (one, other, third):
        x.close()


@case
def a_query_is_limited_by_its_form_and_flipped(rh):
    a, b = someone(rh), someone(rh)
    one = login(rh, a)
    for text in texts(9):
        one.say(b, text)
    every = one.everything()
    ids = [f.id for f in every]
    assert one.query(after_id=ids[2], before_id=ids[6]).bodies == ["m3", "m4", "m5"]
    assert one.query("<max>2</max><before/>", after_id=ids[2]).bodies == ["m7", "m8"]
    page = one.query("<max>1</max>", after_id=ids[2], before_id=ids[6])
    assert page.bodies == ["m3"] and not page.complete and page.count == 3 and page.index == 0
    assert one.query(ids=[ids[7], ids[1]]).bodies == ["m1", "m7"]
    page = one.query("<max>3</max>", "<flip-page/>")
    assert page.bodies == ["m2", "m1", "m0"], page.bodies
    assert (page.first, page.last) == (ids[0], ids[2])
    assert one.query(start="2000-01-01T00:00:00Z", end="2000-01-02T00:00:00+01:00").bodies == []
    assert one.query(start="2000-01-01T00:00:00.5-05:00").bodies == texts(9)
    fields = one.ask("get", "<query xmlns='urn:xmpp:mam:2'/>")
    form = fields.find(MAM + "query")[0]
    assert {f.get("var") for f in form} == {"FORM_TYPE", "with", "start", "end", "before-id",
                                            "after-id", "ids"}
    meta = one.ask("get", "<metadata xmlns='urn:xmpp:mam:2'/>").find(MAM + "metadata")
    assert [e.get("id") for e in meta] == [ids[0], ids[-1]], ET.tostring(meta)
    assert [e.get("timestamp") for e in meta] == [every[0].stamp, every[-1].stamp]
    nobody = login(rh, someone(rh))
    meta = nobody.ask("get", "<metadata xmlns='urn:xmpp:mam:2'/>").find(MAM + "metadata")
    assert len(meta) == 0
    page = nobody.query()
    assert page.found == [] and page.complete and page.count == 0
    one.close()
    nobody.close()


@case
def wrong_queries_get_the_errors_of_the_standard(rh):
    a, b = someone(rh), someone(rh)
    one = login(rh, a)
    one.say(b, "m0")
    known = one.everything()[0].id
    absent = "0" * 24
    for error, rsm, fields in (
            ("item-not-found", f"<after>{absent}</after>", {}),
            ("item-not-found", "<before>no-such-id</before>", {}),
            ("item-not-found", "", {"after_id": absent}),
            ("item-not-found", "", {"before_id": "x"}),
            ("item-not-found", "", {"ids": [known, absent]}),
            ("bad-request", "", {"start": "yesterday"}),
            ("bad-request", "", {"end": "2010-13-01T00:00:00Z"}),
            ("bad-request", "", {"with": "@"}),
            ("bad-request", "<max>many</max>", {}),
            ("feature-not-implemented", "<index>3</index>", {}),
            ("feature-not-implemented", "", {"{http://example.com/}free-text-search": "x"}),
            ("bad-request", "", {"FORM_TYPE": "urn:example"})):
        page = one.query(rsm, **fields)
        assert page.error == error and not page.found, (error, rsm, fields, ET.tostring(page.iq))
    assert one.query(to=b).error == "forbidden"
    assert one.query(to="localhost").error == "service-unavailable"
    one.close()


@case
def who_wants_nothing_archived_has_nothing_and_gets_no_stanza_id(rh):
    a, b = someone(rh), someone(rh)
    one, other = login(rh, a), login(rh, b)

    def prefs(c, default, always=(), never=()):
        lists = "".join(f"<{name}>" + "".join(f"<jid>{j}</jid>" for j in jids) + f"</{name}>"
                        for name, jids in (("always", always), ("never", never)))
        iq = c.ask("set", f"<prefs xmlns='urn:xmpp:mam:2' default='{default}'>{lists}</prefs>")
        return iq.find(MAM + "prefs")

    def exchange(text):
        one.say(b, text)
        until(lambda: text in other.got, text, one, other)

    got = one.ask("get", "<prefs xmlns='urn:xmpp:mam:2'/>").find(MAM + "prefs")
    assert got.get("default") == "always" and [e.tag for e in got] == [MAM + "always",
                                                                         MAM + "never"]
    exchange("both")
    assert prefs(other, "never").get("default") == "never"
    exchange("sender only")
    assert other.names["sender only"] == [] and len(other.names["both"]) == 1
    prefs(other, "never", always=[a])
    exchange("always")
    prefs(other, "always", never=[a + "/r"])
    exchange("never again")
    prefs(other, "roster")
    exchange("stranger")
    other.ask("set", f"<query xmlns='jabber:iq:roster'><item jid='{a}'/></query>")
    exchange("contact")
    got = other.ask("get", "<prefs xmlns='urn:xmpp:mam:2'/>").find(MAM + "prefs")
    assert got.get("default") == "roster", ET.tostring(got)
    assert [f.body for f in other.everything()] == ["both", "always", "contact"]
    assert len(one.everything()) == 6
    iq = one.ask("set", "<prefs xmlns='urn:xmpp:mam:2' default='sometimes'/>")
    assert iq.find(CLIENT + "error")[0].tag == ERRORS + "bad-request"
    one.close()
    other.close()


def killed(rh, service):
    before = rh.pid(service)
    rh.kill(service)
    wait_for(lambda: rh.service(service)["pid"] not in (0, None, before), service)
    rh.wait_ready()


@case
def kills_of_router_and_datastore_leave_no_hole_and_nothing_twice(rh):
    a, b = someone(rh), someone(rh)
    one, other = login(rh, a, kind=SafeReader), login(rh, b, kind=SafeReader)
    said = 0
    for service in ("datastore", "router", "router", "datastore") * 2 + ("router",) * 3:
        for _ in range(3):
            for _ in range(40):
                one.say(b, f"m{said}")
                said += 1
            one.live(0)
            other.live(0.01)
        killed(rh, service)
    until(lambda: len(other.got) >= said, "all messages", one, other)
    assert other.got == texts(said), len(other.got)
    for c in (one, other):
        found = c.everything()
        assert [f.body for f in found] == texts(said), \
            (len(found), [f.body for f in found if f.body not in set(texts(said))])
        assert c.query().stable
    assert [other.names[f.body] for f in found] == [[(b, f.id)] for f in found]
    one.close()
    other.close()


@case
def a_datastore_that_hangs_stops_no_chat_and_gets_it_all_later(rh):
    a, b = someone(rh), someone(rh)
    one, other = login(rh, a), login(rh, b)
    pid = rh.pid("datastore")
    os.kill(pid, signal.SIGSTOP)
    slowest, said = 0, 0
    try:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            began = time.monotonic()
            one.say(b, f"m{said}")
            said += 1
            until(lambda: len(other.got) == said, "the message", one, other)
            slowest = max(slowest, time.monotonic() - began)
    finally:
        os.kill(pid, signal.SIGCONT)
    print(f"# {said} messages in 5 s without a datastore, the slowest took {slowest:.3f} s")
    assert slowest < 3, slowest
    wait_for(lambda: rh.stats("router")["archive_queue"] == 0, "the archive to catch up")
    for c in (one, other):
        assert [f.body for f in c.everything(size=250)] == texts(said)
    assert rh.stats("router")["archive_gaps"] == 0
    one.close()
    other.close()


@case
def what_is_too_old_goes_and_what_is_not_stays(rh):
    a, b = someone(rh), someone(rh)
    one = login(rh, a)
    one.say(b, "old")
    assert [f.body for f in one.everything()] == ["old"]
    days = 86400000
    db = sqlite3.connect(rh.path("data", "roundhouse.db"), timeout=10)
    with db:
        db.execute("UPDATE archive SET first = first - ?, last = last - ? WHERE last >= ?",
                   (40 * days, 40 * days, 0))
    db.close()
    one.say(b, "new")
    handled(one)
    wait_for(lambda: [f.body for f in one.everything()] == ["new"], "the old one to go")
    one.close()


@case
def an_account_that_is_made_again_has_an_empty_archive(rh):
    a, b = someone(rh), someone(rh)
    one = login(rh, a)
    one.say(b, "m0")
    assert len(one.everything()) == 1
    one.close()
    rh.run("xmpp", "user", "del", a)
    rh.add_user(a, "secret")
    again = login(rh, a)
    assert again.everything() == []
    again.close()
    other = login(rh, b)
    assert [f.body for f in other.everything()] == ["m0"]
    other.close()


@case
def accounts_say_that_they_have_an_archive(rh):
    one = login(rh, someone(rh))
    info = one.ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    features = {f.get("var") for f in info[0] if f.tag.endswith("feature")}
    assert {"urn:xmpp:mam:2", "urn:xmpp:mam:2#extended"} <= features, features
    one.close()


@case
def slixmpp_reads_an_archive_with_its_own_paging(rh):
    a, b = someone(rh), someone(rh)

    async def scenario():
        one = slix.Client(rh, a + "/s", "secret")
        for plugin in ("xep_0030", "xep_0199", "xep_0313"):
            one.register_plugin(plugin)
        await one.login()
        for i in range(30):
            one.chat(b, f"m{i}")
        await one["xep_0199"].send_ping("localhost", timeout=20)
        bodies = []
        pages = one["xep_0313"].iterate(rsm={"max": 7}, with_jid=slix.slixmpp.JID(b))
        async for m in pages:
            bodies.append(m["mam_result"]["forwarded"]["stanza"]["body"])
        assert bodies == texts(30), bodies
        got = await one["xep_0313"].get_archive_metadata(timeout=20)
        assert got["mam_metadata"]["start"]["id"], got
        await one.leave()
    slix.run(asyncio.wait_for(scenario(), 60))


def main():
    with Instance() as rh:
        return run_cases(rh)


if __name__ == "__main__":
    sys.exit(main())
