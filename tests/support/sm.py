"""
sm - clients that read XML: Plain, and Client with XEP-0198, which resumes by itself.

No threads: a test pumps them. What the server said is counted here, at the client: got, presences,
errors, results. Written to be driven into trouble: they go without a word, stay mute, claim another
h.
"""
import select
import time
import xml.etree.ElementTree as ET

from roundhouse import LIMIT, Closed, Raw
from traffic import Background

SM = "urn:xmpp:sm:3"
CLIENT = "{jabber:client}"
STREAMS = "http://etherx.jabber.org/streams"


class Plain:
    """A client without stream management that logs in again whenever its connection ends."""

    def __init__(self, rh, user, resource):
        self.rh = rh
        self.user, self.password = user
        self.resource = resource
        self.got = []        # bodies of messages, in order
        self.presences = []  # (from, type)
        self.errors = []
        self.results = []    # ids of IQ results
        self.stream_errors = []
        self.logins = 1
        self._log_in()

    def _log_in(self):
        self.raw = Raw(self.rh)
        self.jid = self.raw.login(self.user, self.password, self.resource, presence=False)
        self._start_parser()

    def _start_parser(self):
        self.parser = ET.XMLPullParser(("start", "end"))
        self.parser.feed(f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}'>")
        self.depth = 0
        self._feed(b"")

    def _feed(self, data):
        self.parser.feed(self.raw.buffer + data)
        self.raw.buffer = b""
        for event, element in self.parser.read_events():
            if event == "start":
                self.depth += 1
                continue
            self.depth -= 1
            if self.depth == 1:
                self._on_element(element)

    def _on_element(self, e):
        if e.tag == f"{{{STREAMS}}}error":
            self.stream_errors.append(e[0].tag.split("}")[1])
            return
        if not e.tag.startswith(CLIENT):
            raise AssertionError(f"unexpected: {ET.tostring(e)}")
        if e.tag == CLIENT + "message" and e.get("type") != "error":
            self.got.append(e.findtext(CLIENT + "body"))
        elif e.get("type") == "error":
            self.errors.append(ET.tostring(e).decode())
        elif e.tag == CLIENT + "presence":
            self.presences.append((e.get("from"), e.get("type")))
        elif e.get("type") == "result":
            self.results.append(e.get("id"))

    def send(self, stanza):
        self.raw.send(stanza)

    def say(self, to, text, pad=0):
        """A message that is its own id; pad: so many bytes of something else beside its body."""
        more = f"<pad xmlns='urn:example:pad'>{'x' * pad}</pad>" if pad else ""
        self.send(f"<message to='{to}' type='chat' id='{text}'><body>{text}</body>{more}</message>")

    def drop(self):
        """The connection is gone, as by a dead network: no close_notify, no </stream:stream>."""
        self.raw.sock.close()

    def pump(self, seconds=0.05):
        """Takes what comes in that time; False when the server has closed the connection."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            pending = getattr(self.raw.sock, "pending", lambda: 0)()
            if not pending and not select.select([self.raw.sock], [], [], max(0, left))[0]:
                return True
            try:
                data = self.raw.sock.recv(65536)
            except (ConnectionError, OSError):
                data = b""
            if not data:
                return False
            self._feed(data)

    def live(self, seconds=0.05):
        """As pump, but an ended connection is replaced."""
        if not self.pump(seconds):
            self.resume()

    def resume(self):
        """A new connection, also while the service is away."""
        self._again(self._log_in)
        self.logins += 1
        self.send("<presence/>")

    @staticmethod
    def _again(attempt):
        end = time.monotonic() + LIMIT
        while True:
            try:
                return attempt()
            except (Closed, OSError, ConnectionError) as e:
                if time.monotonic() > end:
                    raise AssertionError("could not come back") from e
                time.sleep(0.05)

    def close(self):
        self.raw.send("</stream:stream>")
        self.raw.read_to_end()
        self.raw.close()


class Client(Plain):
    """A client with stream management that resumes whenever its connection ends."""

    def __init__(self, rh, user, resource):
        self.unacked = []  # stanzas sent and not acknowledged, in order
        self.sent = 0
        self.acked = 0     # the server's last h
        self.handled = 0   # our h
        self.mute = False  # does not answer <r/>
        self.asked = 0     # <r/> that came
        self.resumes = 0
        super().__init__(rh, user, resource)

    def _log_in(self):
        self.raw = Raw(self.rh)
        self.jid = self.raw.login(self.user, self.password, self.resource, presence=False)
        self.id, self.max = self.enable()

    def enable(self):
        self.raw.send(f"<enable xmlns='{SM}' resume='true'/>")
        m = self.raw.expect(r"<enabled xmlns='urn:xmpp:sm:3' id='([^']*)' resume='true' "
                            r"max='(\d+)'/>")
        self._start_parser()
        return m.group(1).decode(), int(m.group(2))

    def _on_element(self, e):
        if e.tag == f"{{{SM}}}r":
            self.asked += 1
            if not self.mute:
                self.ack()
        elif e.tag == f"{{{SM}}}a":
            self._on_ack(int(e.get("h")))
        else:
            assert e.tag.startswith(CLIENT), f"unexpected: {ET.tostring(e)}"
            self.handled += 1
            super()._on_element(e)

    def _on_ack(self, h):
        assert self.acked <= h <= self.sent, (self.acked, h, self.sent)
        del self.unacked[:h - self.acked]
        self.acked = h

    def ack(self):
        self.raw.send(f"<a xmlns='{SM}' h='{self.handled}'/>")

    def request(self):
        self.raw.send(f"<r xmlns='{SM}'/>")

    def send(self, stanza):
        self.sent += 1
        self.unacked.append(stanza)
        self.raw.send(stanza)

    def resume(self, handled=None):
        """A new connection, also while the service is away; sends again what the server lacks."""
        self._again(lambda: self._try_resume(self.handled if handled is None else handled))

    def _try_resume(self, handled):
        self.raw.close()
        self.raw = Raw(self.rh)
        self.raw.authenticate(self.user, self.password)
        self.raw.send(f"<resume xmlns='{SM}' previd='{self.id}' h='{handled}'/>")
        m = self.raw.expect(r"<(resumed|failed) ([^>]*)>")
        assert m.group(1) == b"resumed", self.raw.seen[-300:]
        h = int(m.group(2).decode().split("h='")[1].split("'")[0])
        assert f"previd='{self.id}'" in m.group(2).decode(), m.group(0)
        self.resumes += 1
        self.handled = handled
        self._on_ack(h)
        self._start_parser()
        for stanza in self.unacked:
            self.raw.send(stanza)
        self.request()  # an earlier one may have gone with the connection

    def close(self):
        """With a last <a/> (XEP-0198 section 4), so that nothing goes to the offline storage."""
        self.pump(0)
        self.ack()
        super().close()


def until(condition, what, *clients, limit=LIMIT):
    """Pumps the clients until condition() holds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        for c in clients:
            c.live(0.02)


def settle(*clients):
    """Everything that was sent is acknowledged, and so is what came: the server asks for a lone
    stanza only after a while."""
    for c in clients:
        c.live(0)
        c.request()
    until(lambda: not any(c.unacked for c in clients), "acknowledgements", *clients)
    for c in clients:
        c.ack()


def texts(name, n):
    return [f"{name}-{i}" for i in range(n)]


def befriend(a, b):
    """Mutual presence subscriptions; both are online. What came meanwhile is forgotten."""
    for one, other in ((a, b), (b, a)):
        at_one, at_other = (c.jid.split("/")[0] for c in (one, other))
        one.send(f"<presence to='{at_other}' type='subscribe'/>")
        until(lambda: (at_one, "subscribe") in other.presences, "the request", one, other)
        other.send(f"<presence to='{at_one}' type='subscribed'/>")
        until(lambda: (other.jid, None) in one.presences, "the presence", one, other)
    a.presences.clear()
    b.presences.clear()


def shown(client, jid):
    """What client was told of jid's presence, in order: None = available."""
    return [kind for who, kind in client.presences if who == jid]


class Talk(Background):
    """Two clients answer each other as fast as they can; rounds counts what came back."""

    def __init__(self, rh, kind, one, other, resource):
        super().__init__()
        self.pair = [kind(rh, user, resource) for user in (one, other)]

    def step(self):
        a, b = self.pair
        text = str(self.rounds)
        for one, other in ((a, b), (b, a)):
            one.say(other.jid, text)
            until(lambda c=other: c.got and c.got[-1] == text, f"message {text}", other)
        assert len(a.got) == len(b.got) == self.rounds + 1, (a.got[-3:], b.got[-3:])
        assert not a.errors and not b.errors, (a.errors, b.errors)

    def is_unbroken(self):
        """Neither connection was ever closed."""
        return all(c.logins == 1 and not getattr(c, "resumes", 0) for c in self.pair)

    def __exit__(self, kind, *rest):
        super().__exit__(kind, *rest)
        for c in self.pair:
            c.close()


def balanced(rh):
    """Nothing is held, nothing is waiting for the disk, nothing is missing."""
    # When a user left is written up to half a second later.
    rh.wait_stats("router", lambda s: s["held"] == 0 and s["shelf_behind"] == 0 and
                  s["store_pending"] == 0)
    books = rh.stats("router")
    assert books["difference"] == 0, books
