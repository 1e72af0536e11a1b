#!/usr/bin/python3
"""
profanity_client - profanity behind the line protocol of adapter.py: a user's keys, sent by tmux.

What it took is told by profanity_plugin.py; a message is an event only when profanity shows it or
keeps it in its history, a contact's status when profanity has it for the contact.
"""
import asyncio
import glob
import json
import os
import shutil
import sqlite3
import tempfile
import xml.etree.ElementTree as ET

from adapter import Adapter, emit, run

C = "{jabber:client}"
BLOCKING = "{urn:xmpp:blocking}"
CARBONS = "{urn:xmpp:carbons:2}"
DISCO = "{http://jabber.org/protocol/disco#info}"
DELAY = "{urn:xmpp:delay}delay"
FORWARDED = "{urn:xmpp:forward:0}forwarded"
MAM = "{urn:xmpp:mam:2}"
ROSTER = "{jabber:iq:roster}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
# What a command's IQ holds: its answer is the command's.
COMMANDS = {BLOCKING + "block": "block", BLOCKING + "unblock": "unblock",
            CARBONS + "enable": "carbons", MAM + "query": "archive",
            "{urn:xmpp:ping}ping": "sync"}
REFUSALS = ("Login failed.", "TLS certificate verification failed")
PROFRC = """[connection]
tls.certpath={home}/ca
[ui]
splash=false
[plugins]
load=profanity_plugin.py;
"""
ACCOUNT = """[{bare}]
enabled=true
jid={bare}
server={host}
port={port}
resource={resource}
password={password}
tls.policy={policy}
"""


def parsed(text):
    """libstrophe prints a stanza without the namespace that its stream declares."""
    return ET.fromstring(f"<stream xmlns='jabber:client'>{text}</stream>")[0]


def condition(stanza):
    error = stanza.find(C + "error")
    names = [e.tag[len(STANZAS):] for e in error if e.tag.startswith(STANZAS)]
    return names[0] if names else "none"


class Profanity(Adapter):
    home = None
    jid = None  # logged in, not said yet
    knows = False  # what the server offers

    def __init__(self):
        self.asked = {}  # id of an IQ -> the command
        self.shown = []  # texts that it displayed
        self.contacts = []  # (full JID, status) as it has them

    # The terminal.

    async def tmux(self, *args):
        process = await asyncio.create_subprocess_exec(
            "tmux", "-u", "-S", self.home + "/tmux", "-f", "/dev/null", *args,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
        return (await process.communicate())[0].decode()

    async def type(self, text):
        await self.tmux("send-keys", "-l", "--", text, ";", "send-keys", "Enter")

    async def screen(self):
        return await self.tmux("capture-pane", "-p", "-J")

    def write(self, name, text):
        path = os.path.join(self.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    async def do_connect(self, jid, password, host, port, ca, tls):
        bare, resource = jid.split("/")
        self.home = home = tempfile.mkdtemp(prefix="p", dir=os.environ.get("TMPDIR"))
        policy = "legacy" if tls == "direct" else "force"
        self.write(".config/profanity/profrc", PROFRC.format(home=home))
        self.write(".local/share/profanity/accounts", ACCOUNT.format(
            bare=bare, host=host, port=port, resource=resource, password=password, policy=policy))
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(here, "profanity_plugin.py"), encoding="utf-8") as f:
            self.write(".local/share/profanity/plugins/profanity_plugin.py", f.read())
        with open(ca, encoding="utf-8") as f:
            self.write("ca/ca.pem", f.read())
        await (await asyncio.create_subprocess_exec("openssl", "rehash", home + "/ca")).wait()
        os.mkfifo(home + "/events")
        self.fifo = os.open(home + "/events", os.O_RDWR | os.O_NONBLOCK)
        self.reading = b""
        asyncio.get_running_loop().add_reader(self.fifo, self.on_fifo)
        await self.tmux("new-session", "-d", "-x", "200", "-y", "100", "env", "-i",
                        "PATH=" + os.environ["PATH"], "HOME=" + home, "TERM=screen-256color",
                        "LC_ALL=C.UTF-8", f"XDG_CONFIG_HOME={home}/.config",
                        f"XDG_DATA_HOME={home}/.local/share", f"MATRIX_EVENTS={home}/events",
                        "PYTHONDONTWRITEBYTECODE=1", "profanity", "-a", bare)
        self.settled = False
        asyncio.ensure_future(self.watch_refusal())

    async def watch_refusal(self):
        while not self.settled:
            text = await self.screen()
            for refusal in REFUSALS:
                if refusal in text and not self.settled:
                    self.settled = True
                    emit("refused", why=refusal)
            await asyncio.sleep(0.1)

    # What the plugin says.

    def on_fifo(self):
        try:
            self.reading += os.read(self.fifo, 65536)
        except BlockingIOError:
            return
        *lines, self.reading = self.reading.split(b"\n")
        for line in lines:
            what, *args = json.loads(line)
            getattr(self, "on_" + what)(*args)

    def on_connect(self, jid):
        self.settled = True
        self.jid = jid
        self.say_online()

    def say_online(self):
        """It must also know what the server offers: some commands refuse before."""
        if self.jid and self.knows:
            emit("online", jid=self.jid)
            self.jid = None

    def on_shown(self, text):
        self.shown.append(text)

    def on_message(self, text):
        asyncio.ensure_future(self.say_message(parsed(text)))

    async def say_message(self, stanza):
        carbon = None
        for way in ("sent", "received"):
            copy = stanza.find(f"{CARBONS}{way}/{FORWARDED}/{C}message")
            if copy is not None:
                stanza, carbon = copy, way
        found = stanza.find(f"{MAM}result/{FORWARDED}")
        if stanza.get("type") == "error":
            emit("bounced", **{"from": stanza.get("from"), "condition": condition(stanza)})
        elif found is not None:
            await self.say_archived(found)
        elif stanza.find(C + "body") is not None:
            await self.say_chat(stanza, carbon)

    async def say_archived(self, found):
        message = found.find(C + "message")
        body = message.findtext(C + "body")
        while body not in await self.screen():
            await asyncio.sleep(0.05)
        emit("archived", **{"from": message.get("from"), "body": body,
                            "stamp": found.find(DELAY) is not None})

    async def say_chat(self, stanza, carbon):
        body = stanza.findtext(C + "body")
        while body not in self.shown and not self.is_kept(body):
            await asyncio.sleep(0.02)
        emit("message", **{"from": stanza.get("from"), "to": stanza.get("to"), "body": body,
                           "carbon": carbon, "delay": stanza.find(DELAY) is not None})

    def is_kept(self, body):
        """In its own history."""
        name = glob.glob(self.home + "/.local/share/profanity/database/*/chatlog.db")[0]
        db = sqlite3.connect(f"file:{name}?mode=ro", uri=True)
        try:
            return db.execute("SELECT 1 FROM ChatLogs WHERE message = ?", (body,)).fetchone()
        except sqlite3.OperationalError:  # it is writing there
            return None
        finally:
            db.close()

    def on_presence(self, text):
        asyncio.ensure_future(self.say_presence(parsed(text)))

    async def say_presence(self, stanza):
        status = stanza.findtext(C + "status") or ""
        while status and (stanza.get("from"), status) not in self.contacts:
            await asyncio.sleep(0.02)
        emit("presence", **{"from": stanza.get("from"), "status": status,
                            "type": stanza.get("type", "available"),
                            "show": stanza.findtext(C + "show") or ""})

    def on_contact(self, jid, resource, _presence, status):
        self.contacts.append((f"{jid}/{resource}", status))

    def on_sent(self, text):
        stanza = parsed(text)
        for child in stanza:
            name = COMMANDS.get(child.tag)
            if child.find(f"{ROSTER}item[@subscription='remove']") is not None:
                name = "remove"
            if name:
                self.asked[stanza.get("id")] = name

    def on_iq(self, text):
        stanza = parsed(text)
        if stanza.find(f"{DISCO}query/{DISCO}feature[@var='urn:xmpp:ping']") is not None:
            self.knows = True
            self.say_online()
        for item in stanza.iter(ROSTER + "item"):
            emit("roster", jid=item.get("jid"), subscription=item.get("subscription"),
                 ask=item.get("ask") or "")
        name = self.asked.pop(stanza.get("id"), None)
        if name and stanza.get("type") == "result":
            emit("done", do=name)
        elif name and stanza.get("type") == "error":
            emit("failed", do=name, condition=condition(stanza))

    # The commands, as they are typed.

    async def _run(self, name, args):
        try:
            await getattr(self, "do_" + name)(**args)
        except Exception as e:  # the test waits for "done" and shows this instead
            emit("trouble", do=name, why=f"{type(e).__name__}: {e}")

    async def do_say(self, to, body):
        await self.type(f"/msg {to} {body}")

    async def do_presence(self, show, status):
        await self.type(f"/status set {show or 'online'}" + (f' "{status}"' if status else ""))

    async def do_subscribe(self, jid):
        await self.type("/sub request " + jid)

    async def do_approve(self, jid):
        await self.type("/sub allow " + jid)

    async def do_remove(self, jid):
        await self.type("/roster remove " + jid)

    async def do_carbons(self):
        await self.type("/carbons on")

    async def do_block(self, jid):
        await self.type("/blocked add " + jid)

    async def do_unblock(self, jid):
        await self.type("/blocked remove " + jid)

    async def do_archive(self, **args):
        await self.type("/mam on")
        await self.type("/msg " + args["with"])  # it asks when a window is opened

    async def do_sync(self):
        await self.type("/ping")

    async def leave(self):
        if not self.home:
            return
        self.settled = True
        await self.type("/quit")
        for _ in range(40):
            if "1" not in await self.tmux("list-sessions", "-F", "1"):
                break
            await asyncio.sleep(0.05)
        await self.tmux("kill-server")
        shutil.rmtree(self.home, ignore_errors=True)


if __name__ == "__main__":
    run(Profanity)
