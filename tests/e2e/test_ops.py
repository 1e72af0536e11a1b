#!/usr/bin/python3
"""The operator's tools on a running instance: trace, show, export and import (XEP-0227), metrics."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import BIN, Instance, LIMIT, Raw, case, free_port, run_cases, wait_for

NAMES = {"juliet": "capulet", "romeo": "montague", "nurse": "angelica"}


def jid(name):
    return f"{name}@localhost"


def client(rh, name, resource="raw", presence=True):
    c = Raw(rh)
    c.login(name, NAMES[name], resource, presence)
    return c


class Trace:
    """`xmpp trace --json` in the background, its lines as they come."""

    def __init__(self, rh, what, seconds=60):
        self.lines = []
        self.process = subprocess.Popen(
            [os.path.join(BIN, "xmpp"), "-C", rh.dir, "trace", what, "--for", f"{seconds}s",
             "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def __enter__(self):
        self.wait(what="started")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        self.process.stdout.close()

    def find(self, **want):
        return [l for l in list(self.lines) if all(l.get(k) == v for k, v in want.items())]

    def wait(self, **want):
        return wait_for(lambda: self.find(**want), f"{want} in the trace, which has {self.lines}")

    def text(self):
        return json.dumps(self.lines)


@case
def a_trace_of_an_account_shows_its_streams_and_stanzas_without_what_was_written(rh):
    with Trace(rh, jid("juliet")) as trace:
        juliet = client(rh, "juliet")
        romeo = client(rh, "romeo")
        juliet.send(f"<message to='{jid('romeo')}' type='chat' id='t1'><body>wherefore &amp; why"
                    "</body><x xmlns='urn:example' password='hunter2'>secret</x></message>")
        romeo.expect("wherefore &amp; why.*</message>")
        romeo.send(f"<message to='{jid('juliet')}' type='chat' id='t2'><body>thou</body></message>")
        juliet.expect("thou.*</message>")
        juliet.send("</stream:stream>")
        juliet.read_to_end()
        trace.wait(what="stream", event="close")
        for event in ("auth", "bind", "close"):
            assert trace.find(what="stream", event=event), event
        [auth] = trace.find(what="stream", event="auth")
        assert auth["detail"] == "mechanism=PLAIN" and auth["jid"] == jid("juliet"), auth
        [sent] = trace.find(what="stanza", dir="in", id="t1")
        assert sent["kind"] == "message" and sent["type"] == "chat", sent
        assert "<body>[15]</body>" in sent["xml"], sent
        assert "<x xmlns='urn:example' password='[7]'>[6]</x>" in sent["xml"], sent
        [got] = trace.find(what="stanza", dir="out", id="t2")
        assert got["from"].startswith(jid("romeo")) and "<body>[4]</body>" in got["xml"], got
        for word in ("wherefore", "hunter2", "secret", "thou", "capulet\"", "Y2FwdWxldA"):
            assert word not in trace.text(), word
        romeo.close()
    # Of somebody else's stream it shows what concerns the account only.
    assert not trace.find(what="stream", jid=jid("romeo"))


@case
def a_trace_of_an_address_shows_what_fails_before_login(rh):
    with Trace(rh, "127.0.0.1") as trace:
        c = Raw(rh)
        c.send(b"\x16\x03\x01\x00\x05hello")  # no handshake
        c.close()
        closed = trace.wait(what="stream", event="close")
        assert closed[0]["addr"].startswith("127.0.0.1:"), closed
        c = Raw(rh)
        c.start_tls()
        c.open()
        c.plain("juliet", "wrong password")
        c.expect("</failure>")
        [failed] = trace.wait(what="stream", event="auth_failed")
        assert 'user="juliet"' in failed["detail"] and "PLAIN" in failed["detail"], failed
        c.close()
        assert trace.find(what="stream", event="connect")
        assert trace.find(what="stream", event="tls")
        assert "wrong password\"" not in json.dumps([l for l in trace.lines
                                                     if "detail=" not in l.get("detail", "")])
        # Then the stanzas of whoever logs in from there.
        juliet = client(rh, "juliet")
        juliet.ping()
        trace.wait(what="stanza", dir="out", id="rt")
        juliet.close()


@case
def a_trace_of_another_account_or_address_shows_nothing_of_this_one(rh):
    with Trace(rh, jid("nurse")) as nurse, Trace(rh, "192.0.2.7") as far, \
            Trace(rh, "localhost") as everybody:
        juliet = client(rh, "juliet")
        everybody.wait(what="stanza", dir="out", id="rt")
        juliet.close()
        everybody.wait(what="stream", event="close")
    assert [l["what"] for l in nurse.lines] == ["started"], nurse.lines
    assert [l["what"] for l in far.lines] == ["started"], far.lines


@case
def a_trace_goes_on_after_the_router_was_restarted_and_says_so(rh):
    juliet = client(rh, "juliet")
    with Trace(rh, jid("juliet")) as trace:
        trace.wait(what="stream", event="present")
        rh.kill("router")
        rh.wait_ready()
        trace.wait(what="router-restarted")
        wait_for(lambda: len(trace.find(what="started")) == 2, "the second trace")
        juliet.ping()
        trace.wait(what="stanza", dir="out", id="rt")
    juliet.close()


@case
def a_trace_ends_by_itself_and_too_many_are_refused(rh):
    juliet = client(rh, "juliet")
    done = rh.run("xmpp", "trace", jid("juliet"), "--for", "1s")
    assert "time is over" in done.stdout and "-- present" in done.stdout, done.stdout
    traces = [Trace(rh, jid("juliet")) for _ in range(4)]
    for t in traces:
        t.wait(what="started")
    done = rh.run("xmpp", "trace", jid("juliet"), check=False)
    assert done.returncode == 1 and "4 traces are running" in done.stdout, done.stdout
    for t in traces:
        t.__exit__()
    wait_for(lambda: rh.run("xmpp", "trace", jid("juliet"), "--for", "1s",
                            check=False).returncode == 0, "room for another trace")
    juliet.close()


@case
def a_flood_is_cut_and_counted_and_the_server_does_not_slow_down(rh):
    juliet, romeo = client(rh, "juliet"), client(rh, "romeo")
    with Trace(rh, jid("juliet")) as trace:
        for i in range(3000):
            juliet.send(f"<message to='{jid('romeo')}' id='f{i}'><body>x</body></message>")
        romeo.expect("id='f2999'")
        wait_for(lambda: trace.find(what="dropped"), "the count of dropped lines")
        seen = len(trace.find(what="stanza"))
        dropped = sum(l["count"] for l in trace.find(what="dropped"))
        assert dropped > 1000 and seen < 3000, (seen, dropped)
    juliet.close()
    romeo.close()


@case
def wrong_words_are_refused_with_what_would_be_right(rh):
    for args, code, words in (
            (["trace", "not a jid@"], 2, "neither a JID nor an address"),
            (["trace", "localhost", "--for", "9h"], 2, "--for takes a time"),
            (["roster", "show", "localhost"], 2, "names no user"),
            (["roster", "show", jid("mercutio")], 1, "does not exist"),
            (["offline", "show", jid("mercutio")], 1, "does not exist"),
            (["archive", "show", jid("mercutio")], 1, "does not exist"),
            (["archive", "show", jid("juliet"), "--start", "yesterday"], 2, "--start takes"),
            (["blocklist", "show", jid("mercutio")], 1, "does not exist"),
            (["metrics", "nobody"], 3, "supervisor"),
            (["import", "/nowhere.xml"], 1, "XEP-0227"),
            (["import", "/", "--merge", "--replace"], 2, "contradict"),
            (["export", "/nowhere/x.xml"], 1, "can be written")):
        done = rh.run("xmpp", *args, check=False)
        assert done.returncode == code and words in done.stdout, (args, done)
    for command in ("trace", "roster show", "offline show", "archive show", "blocklist show",
                    "metrics", "export", "import"):
        done = rh.run("xmpp", *command.split(), "--help")
        assert f"xmpp [-C DIR] {command}" in done.stdout, done.stdout


# What the server keeps.

def fill(rh):
    """Things of every kind for juliet; romeo's request waits for her."""
    juliet, romeo = client(rh, "juliet"), client(rh, "romeo")
    juliet.send("<iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='nurse@localhost'"
                " name='Nurse &amp; &lt;friend&gt;'><group>House</group><group>Old &#233;</group>"
                "</item></query></iq>")
    juliet.expect("id=['\"]r1['\"]")
    juliet.send("<presence to='nurse@localhost' type='subscribe'/>")
    romeo.send(f"<presence to='{jid('juliet')}' type='subscribe'/>")
    juliet.expect("type='subscribe'")
    juliet.send("<iq type='set' id='v1'><vCard xmlns='vcard-temp'><FN>Juliet &amp; Co</FN></vCard>"
                "</iq>")
    juliet.expect("id=['\"]v1['\"]")
    juliet.send("<iq type='set' id='p1'><query xmlns='jabber:iq:private'><exodus xmlns='exodus:"
                "prefs'><nick a='1'>J</nick></exodus></query></iq>")
    juliet.expect("id=['\"]p1['\"]")
    juliet.send("<iq type='set' id='b1x'><block xmlns='urn:xmpp:blocking'><item "
                "jid='tybalt@localhost'/><item jid='paris.example'/></block></iq>")
    juliet.expect("id=['\"]b1x['\"]")
    juliet.send("</stream:stream>")
    juliet.read_to_end()
    for i in range(3):
        romeo.send(f"<message to='{jid('juliet')}' type='chat' id='o{i}'><body>wait {i} &lt;3</body>"
                   "<y xmlns='urn:y'><z/></y></message>")
    romeo.ping()
    romeo.send("</stream:stream>")
    romeo.read_to_end()
    wait_for(lambda: rh.run("xmpp", "offline", "show", jid("juliet"), "--json").stdout.count("\n")
             >= 3, "three waiting messages")


def rows(rh, *args):
    return [json.loads(l) for l in rh.run("xmpp", *args, "--json").stdout.splitlines()]


@case
def show_tells_what_is_kept_and_bodies_only_when_asked(rh):
    fill(rh)
    items = {r["jid"]: r for r in rows(rh, "roster", "show", jid("juliet"))}
    assert items["nurse@localhost"]["name"] == "Nurse & <friend>", items
    assert items["nurse@localhost"]["ask"] is True, items
    assert items["nurse@localhost"]["groups"] == "House, Old \u00e9", items
    assert items["romeo@localhost"]["pending_in"] is True, items
    assert {r["jid"] for r in rows(rh, "blocklist", "show", jid("juliet"))} == \
        {"tybalt@localhost", "paris.example"}
    waiting = rows(rh, "offline", "show", jid("juliet"))
    assert [r["id"] for r in waiting] == ["o0", "o1", "o2"], waiting
    assert "<body>[9]</body>" in waiting[0]["xml"] and "wait" not in waiting[0]["xml"], waiting
    table = rh.run("xmpp", "offline", "show", jid("juliet")).stdout
    assert "[9]" in table and "wait 0" not in table and "romeo@localhost/raw" in table, table
    open_table = rh.run("xmpp", "offline", "show", jid("juliet"), "--bodies").stdout
    assert "wait 0 <3" in open_table, open_table
    heading, first = rh.run("xmpp", "roster", "show", jid("juliet")).stdout.splitlines()[:2]
    assert heading.index("SUBSCRIPTION") == first.index("none"), (heading, first)


def without_dates(text):
    return re.sub(r"stamp='[^']*'", "stamp=''", text)


def exported(rh, *args):
    """The text of an export."""
    name = rh.path("export.xml")
    rh.run("xmpp", "export", name, *args)
    assert os.stat(name).st_mode & 0o077 == 0
    with open(name, encoding="utf-8") as f:
        text = f.read()
    os.unlink(name)
    return text


@case
def an_export_imported_elsewhere_and_exported_there_is_the_same(rh):
    text = exported(rh)
    for part in ("<host jid='localhost'>", "<user name='juliet'>", "mechanism='SCRAM-SHA-256'",
                 "ask='subscribe'", "<group>Old \u00e9</group>", "type='subscribe' from='romeo@",
                 "wait 2 &lt;3", "<FN>Juliet &amp; Co</FN>", "exodus:prefs", "tybalt@localhost",
                 "<user name='romeo'>", "<archive xmlns='urn:xmpp:pie:0#mam'>"):
        assert part in text, (part, text)
    name = rh.path("there.xml")
    with open(name, "w", encoding="utf-8") as f:
        f.write(text)
    with Instance() as other:
        done = other.run("xmpp", "import", name, "--dry-run")
        assert "would be added" in done.stdout and "3 accounts imported" in done.stdout, done.stdout
        assert "no accounts" in other.run("xmpp", "user", "list").stdout
        done = other.run("xmpp", "import", name)
        assert re.search(r"juliet@localhost: added \(1 contact, 1 request, 3 waiting messages, .*"
                         r"1 vCard, 1 value, 2 blocked", done.stdout), done.stdout
        assert exported(other) == text
        # Again: nothing happens to those that are there; --replace makes them anew.
        done = other.run("xmpp", "import", name)
        assert "0 accounts imported, 3 skipped" in done.stdout, done.stdout
        other.run("xmpp", "import", name, "--merge")
        assert exported(other) == text
        other.run("xmpp", "import", name, "--replace")
        assert exported(other) == text
        # They can log in there, and get what waits for them, stamped as it was.
        juliet = client(other, "juliet")
        got = juliet.expect("wait 2 &lt;3.*?</message>").group(0).decode()
        stamp = re.search(r"id='o2'.*?stamp='([^']*)'", text, re.S).group(1)
        assert stamp[:19] in got and got.count("<delay") == 1, (stamp, got)
        juliet.close()


@case
def an_export_to_a_folder_has_a_file_for_each_account_and_comes_back(rh):
    folder = rh.path("out")
    rh.run("xmpp", "export", folder + "/")
    assert sorted(os.listdir(folder)) == ["localhost", "localhost.xml", "server-data.xml"]
    assert sorted(os.listdir(folder + "/localhost")) == ["juliet.xml", "nurse.xml", "romeo.xml"]
    text = exported(rh)
    with Instance() as other:
        other.run("xmpp", "import", folder)
        assert exported(other) == text
    one = exported(rh, "--domain", jid("romeo"))
    assert "<user name='romeo'>" in one and "juliet'>" not in one, one
    assert "<user" not in exported(rh, "--domain", "example.org")


IMPORTED = """<?xml version="1.0"?>
<!-- as others write it -->
<server-data xmlns="urn:xmpp:pie:0">
 <host jid="localhost">
  <user name="mercutio" password="queen mab">
   <presence xmlns="jabber:client" type="subscribe" from="paris@example.org/x"/>
   <q:query xmlns:q="jabber:iq:roster">
    <q:item jid="benvolio@localhost" subscription="both"/>
    <q:item jid="no jid@@" subscription="both"/>
   </q:query>
   <offline-messages>
    <message xmlns="jabber:client" from="benvolio@localhost/a" to="mercutio@localhost" type="chat">
     <body>I pray thee</body>
     <delay xmlns="urn:xmpp:delay" from="localhost" stamp="2020-01-02T03:04:05Z">Offline</delay>
    </message>
   </offline-messages>
   <query xmlns="jabber:iq:privacy"><default name="p"/><list name="p">
    <item type="jid" value="tybalt@localhost" action="deny" order="1"/>
    <item action="allow" order="2"/></list></query>
   <pubsub xmlns="http://jabber.org/protocol/pubsub"><items node="n"/></pubsub>
  </user>
  <user name="bad name"/>
 </host>
 <host jid="elsewhere.example"><user name="x" password="y"/></host>
</server-data>
"""


def write(rh, name, text):
    name = rh.path(name)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "w", encoding="utf-8") as f:
        f.write(text)
    return name


@case
def a_file_of_another_server_with_a_plaintext_password_can_be_used(rh):
    name = write(rh, "others.xml", IMPORTED)
    done = rh.run("xmpp", "import", name, check=False)
    assert done.returncode == 1, done
    for words in ("others.xml:7: mercutio@localhost: contact: 'no jid@@' is not a JID",
                  "<pubsub xmlns='http://jabber.org/protocol/pubsub'> is nothing that is kept",
                  "'bad name' cannot be the name of a user", "elsewhere.example is not served here",
                  "mercutio@localhost: added (1 contact, 1 request, 1 waiting message"):
        assert words in done.stdout, (words, done.stdout)
    assert "queen mab" not in exported(rh)
    NAMES["mercutio"] = "queen mab"
    mercutio = client(rh, "mercutio")
    got = mercutio.expect("I pray thee.*?</message>").group(0)
    assert b"2020-01-02T03:04:05" in got, got
    mercutio.send("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>")
    roster = mercutio.expect("id='g'.*?</iq>").group(0)
    assert b"benvolio@localhost" in roster and b"paris" not in roster, roster
    mercutio.close()
    assert [r["jid"] for r in rows(rh, "blocklist", "show", jid("mercutio"))] == \
        ["tybalt@localhost"]


@case
def a_folder_with_a_document_for_each_account_is_read_as_prosody_keeps_it(rh):
    for name in ("sampson", "gregory"):
        write(rh, f"prosody/localhost/{name}.xml",
              f"<server-data xmlns='urn:xmpp:pie:0'><host jid='localhost'><user name='{name}' "
              "password='thumb'/></host></server-data>")
    write(rh, "prosody/localhost/other.xml", "<something/>")
    done = rh.run("xmpp", "import", rh.path("prosody"))
    assert "2 accounts imported" in done.stdout, done.stdout


@case
def a_broken_file_is_named_with_its_line_and_what_was_begun_is_taken_up_again(rh):
    good = IMPORTED.replace("mercutio", "balthasar")
    name = write(rh, "broken.xml", good.split("<pubsub")[0] + "<oops")
    done = rh.run("xmpp", "import", name, check=False)
    assert done.returncode == 1 and re.search(r"broken\.xml:\d+: .*import it again", done.stdout), \
        done.stdout
    c = Raw(rh)
    c.start_tls()
    c.open()
    c.plain("balthasar", "queen mab")
    c.expect("<failure")  # not before all of it is there
    c.close()
    write(rh, "broken.xml", good)
    done = rh.run("xmpp", "import", name, check=False)
    assert "balthasar@localhost: completed" in done.stdout, done.stdout
    NAMES["balthasar"] = "queen mab"
    client(rh, "balthasar").close()
    bomb = write(rh, "bomb.xml", "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><server-data "
                 "xmlns='urn:xmpp:pie:0'><host jid='localhost'/></server-data>")
    done = rh.run("xmpp", "import", bomb, check=False)
    assert done.returncode == 1 and "document type declaration" in done.stdout, done.stdout
    up = write(rh, "up/server-data.xml", "<server-data xmlns='urn:xmpp:pie:0' "
               "xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='../others.xml'/>"
               "</server-data>")
    done = rh.run("xmpp", "import", up, check=False)
    assert done.returncode == 1 and "is not a file in this folder" in done.stdout, done.stdout


@case
def an_import_goes_on_when_router_and_datastore_die(rh):
    users, contacts = 60, 40
    text = "<server-data xmlns='urn:xmpp:pie:0'><host jid='localhost'>"
    for u in range(users):
        items = "".join(f"<item jid='c{k}@localhost' subscription='both'/>"
                        for k in range(contacts))
        text += (f"<user name='many{u}' password='x'><query xmlns='jabber:iq:roster'>{items}"
                 "</query></user>")
    name = write(rh, "many.xml", text + "</host></server-data>")
    with Instance() as other:
        process = subprocess.Popen([os.path.join(BIN, "xmpp"), "-C", other.dir, "import", name],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for service in ("router", "datastore", "router"):
            time.sleep(0.1)
            other.kill(service)
            other.wait_ready(service)
        out = process.communicate(timeout=4 * LIMIT)[0]
        assert process.returncode == 0 and f"{users} accounts imported" in out, out
        back = exported(other)
        assert back.count("<user ") == users and back.count("<item ") == users * contacts
        assert back.count("SCRAM-SHA-256") == users


# Counters.

def http(rh, instance, request=b"GET /metrics HTTP/1.0\r\n\r\n", at=None):
    s = socket.socket(socket.AF_INET if at else socket.AF_UNIX)
    s.settimeout(LIMIT)
    where = at or os.path.relpath(rh.path("run", "metrics", instance + ".sock"))

    def connected():
        try:
            s.connect(where)
        except BlockingIOError:  # so many wait to be accepted
            return False
        return True
    wait_for(connected, f"{instance} to accept a scraper")
    s.sendall(request)
    data = b""
    while chunk := s.recv(65536):
        data += chunk
    s.close()
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode(), body.decode()


def families(text):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
    return {f.name: f for f in text_string_to_metric_families(text)}


@case
def every_process_tells_its_counters_as_openmetrics(rh):
    instances = [r["instance"] for r in rh.services()] + ["supervisor"]
    assert sorted(os.listdir(rh.path("run", "metrics"))) == sorted(i + ".sock" for i in instances)
    for instance in instances:
        head, body = http(rh, instance)
        assert head.startswith("HTTP/1.0 200 OK\r\n"), head
        assert "application/openmetrics-text; version=1.0.0" in head, head
        assert body == rh.run("xmpp", "metrics", instance).stdout or body.endswith("# EOF\n")
        found = families(body)
        assert found["roundhouse_process_cpu_seconds"].type == "counter"
        assert found["roundhouse_process_resident_memory_bytes"].samples[0].value > 100000
        assert found["roundhouse_build"].type == "info"
        for f in found.values():
            assert f.documentation, f
    whole = families(rh.run("xmpp", "metrics").stdout)
    assert len(whole["roundhouse_process_cpu_seconds"].samples) == len(instances)
    up = {s.labels["service_instance"]: s.value
          for s in whole["roundhouse_supervisor_service_up"].samples}
    assert up == {r["instance"]: 1 for r in rh.services()}, up


@case
def the_counters_count(rh):
    def value(name):
        return families(rh.run("xmpp", "metrics").stdout)[name].samples[0].value
    before = {n: value(n) for n in ("roundhouse_cm_client_logins",
                                    "roundhouse_cm_client_stanzas_received",
                                    "roundhouse_router_stanzas_accepted")}
    juliet = client(rh, "juliet")
    juliet.close()
    assert value("roundhouse_cm_client_logins") == before["roundhouse_cm_client_logins"] + 1
    assert value("roundhouse_cm_client_stanzas_received") >= \
        before["roundhouse_cm_client_stanzas_received"] + 2
    restarts = "roundhouse_supervisor_service_restarts"
    rh.kill("datastore")
    rh.wait_ready()
    found = {s.labels["service_instance"]: s.value
             for s in families(rh.run("xmpp", "metrics", "supervisor").stdout)[restarts].samples}
    assert found["datastore"] >= 1, found


@case
def other_requests_are_refused_and_slow_ones_do_not_keep_others_out(rh):
    assert http(rh, "router", b"GET / HTTP/1.0\r\n\r\n")[0].startswith("HTTP/1.0 404")
    assert http(rh, "router", b"POST /metrics HTTP/1.0\r\n\r\n")[0].startswith("HTTP/1.0 405")
    assert http(rh, "router", b"GET /" + b"x" * 6000)[0].startswith("HTTP/1.0 431")
    held = []
    for _ in range(50):
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.path.relpath(rh.path("run", "metrics", "router.sock")))
        s.sendall(b"GET")
        held.append(s)
    assert "200 OK" in http(rh, "router")[0]
    held[-1].settimeout(LIMIT)
    assert held[-1].recv(1) == b""  # its time was over
    for s in held:
        s.close()


@case
def a_loopback_port_serves_them_and_another_address_is_refused(rh):
    port = free_port()
    def configure(place):
        rh.configure({"metrics": f"listen = [ {place} ];"})
    configure(f'"router=127.0.0.1:{port}"')
    rh.run("supervisor", "reload")
    head, body = wait_for(lambda: _try(lambda: http(rh, "router", at=("127.0.0.1", port))),
                          "the port")
    assert "200 OK" in head and "roundhouse_router_sessions" in families(body)
    for place, words in ((f'"router=0.0.0.0:{port}"', "not a loopback address"),
                         ('"router"', "INSTANCE=ADDRESS:PORT")):
        configure(place)
        done = rh.run("supervisor", "reload", check=False)
        assert done.returncode != 0 and words in done.stdout, done.stdout
    configure("")
    rh.run("supervisor", "reload")


def _try(f):
    try:
        return f()
    except OSError:
        return None


if __name__ == "__main__":
    with Instance() as instance:
        os.chdir(instance.dir + "/..")  # socket names are short
        for user, password in NAMES.items():
            instance.add_user(jid(user), password)
        sys.exit(run_cases(instance))
