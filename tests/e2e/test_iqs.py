#!/usr/bin/python3
"""What clients ask the server: discovery, vCards, private data, last activity, time, passwords and
the end of an account, with slixmpp's plugins and byte by byte; also while services die."""
import asyncio
import base64
import contextlib
import datetime
import hashlib
import hmac
import os
import re
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Closed, Instance, Raw, case, run_cases, wait_for
import slix
from slixmpp.exceptions import IqError

PLUGINS = ("xep_0030", "xep_0012", "xep_0049", "xep_0054", "xep_0077", "xep_0092", "xep_0199",
           "xep_0202")
SERVER = "localhost"
_made = []


def someone(rh):
    """A new account: cases do not see each other's data. Its local part."""
    name = f"user{len(_made)}"
    _made.append(name)
    rh.add_user(f"{name}@{SERVER}", "secret")
    return name


async def client(rh, name, password="secret"):
    c = slix.Client(rh, f"{name}@{SERVER}/slix", password)
    for plugin in PLUGINS:
        c.register_plugin(plugin)
    return await c.login()


async def refused(condition, future):
    try:
        await future
    except IqError as e:
        assert e.condition == condition, e
        return
    raise AssertionError(f"not refused with {condition}")


def raw(rh, name, resource="raw", password="secret"):
    """Logged in, following its roster, available."""
    c = Raw(rh)
    c.login(name, password, resource, presence=False)
    roster(c)
    c.send("<presence/>")
    c.ping()
    return c


def ask(c, number, kind, inner, to=None):
    """An iq and its answer, as text."""
    at = f" to='{to}'" if to else ""
    c.send(f"<iq type='{kind}' id='{number}'{at}>{inner}</iq>")
    return c.expect(rf"<iq [^>]*id=['\"]{number}['\"][^>]*?(/>|>.*?</iq>)").group(0).decode()


def befriend(a, a_name, b, b_name):
    """Each sees the other."""
    for one, other, name in ((a, b, b_name), (b, a, a_name)):
        mine = a_name if one is a else b_name
        one.send(f"<presence to='{name}@{SERVER}' type='subscribe'/>")
        other.expect(rf"<presence [^>]*from=['\"]{mine}@{SERVER}['\"][^>]*type=['\"]subscribe['\"]")
        other.send(f"<presence to='{mine}@{SERVER}' type='subscribed'/>")
        one.expect(r"type=['\"]subscribed['\"]")
    a.ping()
    b.ping()


def roster(c):
    """JID: subscription."""
    text = ask(c, "roster", "get", "<query xmlns='jabber:iq:roster'/>")
    items = re.findall(r"<item ([^>]*)>", text)
    found = {}
    for item in items:
        jid = re.search(r"jid=['\"]([^'\"]*)", item).group(1)
        found[jid] = re.search(r"subscription=['\"]([^'\"]*)", item).group(1)
    return found


@case
def the_server_and_accounts_say_what_they_are(rh):
    name = someone(rh)

    async def scenario():
        c = await client(rh, name)
        info = (await c["xep_0030"].get_info(jid=SERVER, timeout=20))["disco_info"]
        for feature in ("jabber:iq:last", "jabber:iq:private", "vcard-temp", "urn:xmpp:time",
                        "jabber:iq:version", "jabber:iq:register", "urn:xmpp:ping"):
            assert feature in info["features"], (feature, info)
        assert ("server", "im", None, "Roundhouse") in info["identities"], info
        form = str(info)
        assert "http://jabber.org/network/serverinfo" in form, form
        assert "mailto:abuse@localhost" in form, form
        info = (await c["xep_0030"].get_info(jid=f"{name}@{SERVER}", timeout=20))["disco_info"]
        assert any(i[:2] == ("account", "registered") for i in info["identities"]), info
        await refused("service-unavailable",
                      c["xep_0030"].get_info(jid=f"nobody@{SERVER}", timeout=20))
        version = (await c["xep_0092"].get_version(SERVER, timeout=20))["software_version"]
        assert version["name"] == "Roundhouse" and version["version"], version
        assert not version["os"], version
        # slixmpp 1.8.3 adds a second Z before it parses that.
        now = str(await c["xep_0202"].get_entity_time(SERVER, timeout=20))
        now = datetime.datetime.strptime(re.search("<utc>(.*?)</utc>", now).group(1),
                                         "%Y-%m-%dT%H:%M:%S%z")
        off = abs(now - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        assert off < 20, off
        up = (await c["xep_0012"].get_last_activity(SERVER, timeout=20))["last_activity"]
        assert 0 <= int(up["seconds"]) < 600, up
        await c["xep_0199"].send_ping(SERVER, timeout=20)
        await c.leave()
    slix.run(scenario())


@case
def a_vcard_is_read_by_others_and_outlives_the_datastore(rh):
    mine, other = someone(rh), someone(rh)

    async def scenario():
        a, b = await client(rh, mine), await client(rh, other)
        await refused("service-unavailable",
                      b["xep_0054"].get_vcard(f"{mine}@{SERVER}", cached=False, timeout=20))
        card = a["xep_0054"].make_vcard()
        card["FN"] = "Juliet Capulet"
        await a["xep_0054"].publish_vcard(card, timeout=20)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, rh.kill, "datastore")
        got = await b["xep_0054"].get_vcard(f"{mine}@{SERVER}", cached=False, timeout=20)
        assert got["vcard_temp"]["FN"] == "Juliet Capulet", got
        await loop.run_in_executor(None, rh.wait_ready, "datastore")
        await a.leave()
        await b.leave()
    slix.run(scenario())


@case
def private_data_is_for_its_owner(rh):
    a, b = someone(rh), someone(rh)
    with raw(rh, a) as c, raw(rh, b) as d:
        query = "<query xmlns='jabber:iq:private'>{}</query>"
        marks = "<storage xmlns='storage:bookmarks'><url name='x' url='y'/></storage>"
        assert "type='result'" in ask(c, "1", "set", query.format(marks))
        got = ask(c, "2", "get", query.format("<storage xmlns='storage:bookmarks'/>"))
        assert marks in got, got
        got = ask(d, "3", "get", query.format("<storage xmlns='storage:bookmarks'/>"))
        assert "<storage xmlns='storage:bookmarks'/>" in got, got
        got = ask(d, "4", "get", query.format("<storage xmlns='storage:bookmarks'/>"),
                  f"{a}@{SERVER}")
        assert "<forbidden" in got, got


@case
def pipelined_requests_are_answered_in_the_order_of_what_they_do(rh):
    with raw(rh, someone(rh)) as c:
        query = "<query xmlns='jabber:iq:private'>{}</query>"
        for i in range(20):
            c.send(f"<iq type='set' id='s{i}'>" + query.format(f"<e xmlns='x'>{i}</e>") + "</iq>"
                   f"<iq type='get' id='g{i}'>" + query.format("<e xmlns='x'/>") + "</iq>")
            got = c.expect(rf"<iq [^>]*id=['\"]g{i}['\"].*?</iq>").group(0).decode()
            assert f"<e xmlns='x'>{i}</e>" in got, got


@case
def a_request_made_while_the_datastore_is_dead_is_answered_by_the_next_one(rh):
    with raw(rh, someone(rh)) as c:
        os.kill(rh.pid("datastore"), signal.SIGSTOP)
        c.send("<iq type='set' id='v'><vCard xmlns='vcard-temp'><FN>x</FN></vCard></iq>")
        c.ping()  # the router has it, and answers others meanwhile
        rh.kill("datastore")
        got = c.expect("<iq [^>]*id='v'[^>]*?(/>|>.*?</iq>)").group(0).decode()
        assert "type='result'" in got, got
        assert "<FN>x</FN>" in ask(c, "w", "get", "<vCard xmlns='vcard-temp'/>")
        rh.wait_ready("datastore")


@case
def a_datastore_that_hangs_is_told_in_time(rh):
    with raw(rh, someone(rh)) as c:
        pid = rh.pid("datastore")
        os.kill(pid, signal.SIGSTOP)
        try:
            start = time.monotonic()
            got = ask(c, "v", "get", "<vCard xmlns='vcard-temp'/>")
            took = time.monotonic() - start
        finally:
            os.kill(pid, signal.SIGCONT)
        assert "type='wait'" in got and "resource-constraint" in got, got
        assert 3 < took < 10, took


@case
def a_contact_sees_when_somebody_left_and_a_stranger_does_not(rh):
    mine, friend, stranger = someone(rh), someone(rh), someone(rh)
    last = "<query xmlns='jabber:iq:last'/>"
    a, b = raw(rh, mine), raw(rh, friend)
    befriend(a, mine, b, friend)
    assert "seconds='0'" in ask(b, "1", "get", last, f"{mine}@{SERVER}")
    a.send("<presence type='unavailable'><status>Heading Home</status></presence></stream:stream>")
    a.read_to_end()
    a.close()
    b.expect("<presence [^>]*type='unavailable'")
    time.sleep(1.2)

    def known():
        got = ask(b, "2", "get", last, f"{mine}@{SERVER}")
        return got if "seconds='0'" not in got and "type='result'" in got else None
    got = wait_for(known, "the time of leaving")
    assert "Heading Home</query>" in got, got
    assert int(re.search("seconds='([0-9]+)'", got).group(1)) < 30, got
    with raw(rh, stranger) as c:
        assert "<forbidden" in ask(c, "3", "get", last, f"{mine}@{SERVER}")
        assert "<forbidden" in ask(c, "4", "get", last, f"nobody@{SERVER}")
        assert "<forbidden" in ask(c, "5", "get", last, f"{friend}@{SERVER}/raw")
    b.close()


@case
def a_user_changes_his_password(rh):
    name = someone(rh)

    async def scenario():
        c = await client(rh, name)
        await c["xep_0077"].change_password("better \u00e9", timeout=20)
        await c.leave()
        try:
            await client(rh, name)
        except slix.LoginFailed as e:
            assert "not-authorized" in str(e), e
        else:
            raise AssertionError("the old password is good")
        c = await client(rh, name, "better \u00e9")
        got = await c["xep_0077"].get_registration(SERVER, timeout=20)
        assert got["register"]["registered"], got
        assert got["register"]["username"] == name, got
        await c.leave()
    slix.run(scenario())
    log = "".join(rh.log(s) for s in ("router", "datastore", "cm-client"))
    assert "better" not in log


@case
def passwords_that_cannot_be_are_refused(rh):
    name = someone(rh)
    change = ("<query xmlns='jabber:iq:register'><username>{}</username>"
              "<password>{}</password></query>")
    with raw(rh, name) as c:
        assert "<not-acceptable" in ask(c, "1", "set", change.format(name, "\U0001f511"))
        assert "<bad-request" in ask(c, "2", "set", change.format(name, ""))
        assert "<not-acceptable" in ask(c, "3", "set", change.format("romeo", "x"))
    with raw(rh, name):
        pass  # the old one is good


def scram(c, user, password):
    """RFC 5802 on a connection without TLS."""
    sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
    first = f"n={user},r=fyko+d2lbbFgONRv9qkxdawL"
    c.send(f"<auth {sasl} mechanism='SCRAM-SHA-1'>"
           f"{base64.b64encode(('n,,' + first).encode()).decode()}</auth>")
    server = base64.b64decode(c.expect("<challenge[^>]*>([^<]*)<").group(1)).decode()
    got = dict(part.split("=", 1) for part in server.split(","))
    bare = f"c=biws,r={got['r']}"
    salted = hashlib.pbkdf2_hmac("sha1", password.encode(), base64.b64decode(got["s"]), int(got["i"]))
    key = hmac.digest(salted, b"Client Key", "sha1")
    proof = hmac.digest(hashlib.sha1(key).digest(), f"{first},{server},{bare}".encode(), "sha1")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, proof))).decode()
    c.send(f"<response {sasl}>{base64.b64encode(f'{bare},p={proof}'.encode()).decode()}</response>")
    c.expect("<success")


@case
def a_password_is_not_taken_without_tls(_):
    with Instance(config={"cm-client": 'starttls = "optional";'}) as rh, Raw(rh) as c:
        rh.add_user("juliet@localhost", "secret")
        c.open()
        scram(c, "juliet", "secret")
        c.open()
        c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        c.expect("</jid>")
        answer = ask(c, "p", "set", "<query xmlns='jabber:iq:register'><username>juliet</username>"
                     "<password>other</password></query>")
        assert "<not-authorized" in answer, answer
        assert "<registered/>" in ask(c, "g", "get", "<query xmlns='jabber:iq:register'/>")


def on_disk(rh, what):
    for folder, _, names in os.walk(rh.path("data")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                if what in f.read():
                    return True
    return False


@case
def a_new_password_is_not_among_what_the_router_keeps_of_a_dead_cm_client(rh):
    name = someone(rh)
    datastore = rh.pid("datastore")
    with raw(rh, name) as c:
        os.kill(datastore, signal.SIGSTOP)
        try:
            c.send(f"<iq type='set' id='p'><query xmlns='jabber:iq:register'><username>{name}"
                   "</username><password>neverondisk</password></query></iq>")
            c.send("<iq type='set' id='v'><vCard  xmlns='vcard-temp'><FN>isondisk</FN></vCard></iq>")
            rh.wait_stats("router", lambda s: s["store_pending"] >= 2)
            rh.kill("cm-client-1")
            rh.wait_stats("router", lambda s: s["shelf_behind"] > 0)
        finally:
            os.kill(datastore, signal.SIGCONT)
        rh.wait_stats("router", lambda s: s["shelf_behind"] == 0)
        assert on_disk(rh, b"<vCard  xmlns='vcard-temp'><FN>isondisk")  # as it came
        assert not on_disk(rh, b"neverondisk")


# The end of an account.

REMOVE = "<query xmlns='jabber:iq:register'><remove/></query>"


def family(rh):
    """Somebody with two sessions, a friend who is online and one who is not: names, connections."""
    mine, here, away = someone(rh), someone(rh), someone(rh)
    a, b, c = raw(rh, mine), raw(rh, here), raw(rh, away)
    befriend(a, mine, b, here)
    befriend(a, mine, c, away)
    c.send("</stream:stream>")
    c.read_to_end()
    c.close()
    second = raw(rh, mine, "second")
    ask(a, "card", "set", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>")
    assert roster(b) == {f"{mine}@{SERVER}": "both"}
    b.send(f"<message to='{away}@{SERVER}' type='chat'><body>stays</body></message>")
    return mine, here, away, a, b, second


def expect_told(rh, mine, here, away, b):
    """Who is online was told; who was not finds it; nothing is left of the account."""
    jid = f"{mine}@{SERVER}"
    wait_for(lambda: roster(b) == {jid: "none"}, "the contact's roster without the subscription")
    seen = b.seen.decode()
    for kind in ("unsubscribe", "unsubscribed"):
        assert re.search(rf"<presence [^>]*from='{jid}'[^>]*type='{kind}'", seen) or \
            re.search(rf"<presence [^>]*type='{kind}'[^>]*from='{jid}'", seen), (kind, seen)
    assert re.search(rf"<presence [^>]*from='{jid}/raw'[^>]*type='unavailable'", seen) or \
        re.search(rf"<presence [^>]*type='unavailable'[^>]*from='{jid}/raw'", seen), seen
    assert re.search(rf"<iq [^>]*type='set'[^>]*>.*?jid='{jid}'[^>]*subscription='none'", seen)
    with raw(rh, away) as c:
        assert roster(c) == {jid: "none"}
        assert b"<body>stays</body>" in c.seen, c.seen
    assert "<service-unavailable" in ask(b, "gone", "get", "<vCard xmlns='vcard-temp'/>", jid)
    c = Raw(rh)
    c.start_tls()
    c.open()
    c.plain(mine, "secret")
    c.expect("<not-authorized/>")
    c.close()
    rh.add_user(jid, "secret")  # the name is free, and what was there is not
    with raw(rh, mine) as c:
        assert roster(c) == {}
        assert "<FN>" not in ask(c, "again", "get", "<vCard xmlns='vcard-temp'/>")
    b.close()


@case
def a_user_removes_his_account_and_his_contacts_are_told(rh):
    mine, here, away, a, b, second = family(rh)
    a.send(f"<iq type='set' id='end'>{REMOVE}</iq>")
    a.expect("<iq [^>]*id='end'[^>]*type='result'|<iq [^>]*type='result'[^>]*id='end'")
    assert b"<not-authorized" in a.read_to_end()
    assert b"<not-authorized" in second.read_to_end()
    expect_told(rh, mine, here, away, b)


@case
def user_del_removes_an_account_in_the_same_way(rh):
    mine, here, away, a, b, second = family(rh)
    out = rh.run("xmpp", "user", "del", f"{mine}@{SERVER}").stdout
    assert f"removed: {mine}@{SERVER}" in out, out
    assert b"<not-authorized" in a.read_to_end()
    assert b"<not-authorized" in second.read_to_end()
    expect_told(rh, mine, here, away, b)
    done = rh.run("xmpp", "user", "del", f"nobody@{SERVER}", check=False)
    assert done.returncode == 1 and "does not exist" in done.stdout, done.stdout


@case
def a_removal_takes_the_sessions_that_are_away_off_the_disk(rh):
    name, friend = someone(rh), someone(rh)
    c = raw(rh, name)
    c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    c.expect("<enabled [^>]*>")
    c.close()

    def rows():
        path = "file:" + rh.path("data", "roundhouse.db") + "?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as db:
            return {t: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
                    for t in ("shelf", "offline")}
    with raw(rh, friend) as d:
        d.send(f"<message to='{name}@{SERVER}' type='chat'><body>waits</body></message>")
        wait_for(lambda: rows()["shelf"] >= 2, "the session and its message on the shelf")
        rh.run("xmpp", "user", "del", f"{name}@{SERVER}")
        wait_for(lambda: rows() == {"shelf": 0, "offline": 0}, "an empty shelf")
        # What waited was stored for him and went with the account; what comes now is refused.
        d.send(f"<message to='{name}@{SERVER}' type='chat'><body>late</body></message>")
        d.expect("<message [^>]*type='error'.*?<service-unavailable .*?</message>")


@case
def a_removal_is_finished_by_the_next_router(rh):
    mine, here, away, a, b, _ = family(rh)
    datastore = rh.pid("datastore")
    os.kill(datastore, signal.SIGSTOP)
    a.send(f"<iq type='set' id='end'>{REMOVE}</iq>")
    a.ping()  # the router has begun
    rh.kill("router")
    os.kill(datastore, signal.SIGCONT)
    try:
        a.expect("<iq [^>]*id='end'[^>]*type='result'|<iq [^>]*type='result'[^>]*id='end'")
    except Closed:
        pass
    a.read_to_end()
    expect_told(rh, mine, here, away, b)


@case
def a_removal_is_finished_by_the_next_datastore(rh):
    mine, here, away, a, b, _ = family(rh)
    os.kill(rh.pid("datastore"), signal.SIGSTOP)
    a.send(f"<iq type='set' id='end'>{REMOVE}</iq>")
    a.ping()
    rh.kill("datastore")
    a.expect("<iq [^>]*id='end'[^>]*type='result'|<iq [^>]*type='result'[^>]*id='end'")
    a.read_to_end()
    expect_told(rh, mine, here, away, b)


if __name__ == "__main__":
    with Instance(config={"contact": 'abuse = [ "mailto:abuse@localhost" ];'}) as instance:
        sys.exit(run_cases(instance))
