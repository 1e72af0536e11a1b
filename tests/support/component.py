"""
component - a component as XEP-0114 describes it, for tests: plain, direct TLS or STARTTLS.

    with Component(rh, "cb1.localhost", secret) as c:
        c.send("<message from='a@cb1.localhost' to='romeo@localhost'><body>hi</body></message>")
        element = c.recv()

It parses what comes (namespaces kept), so tests look at elements. The steps of the stream are methods
of their own, to be done wrong on purpose. Echo answers messages and IQ requests on a thread.
"""
import hashlib
import re
import select
import socket
import ssl
import threading
import time
import xml.etree.ElementTree as ET
from xml.sax.saxutils import quoteattr

from roundhouse import LIMIT, free_port

ACCEPT = "{jabber:component:accept}"
STREAMS = "{http://etherx.jabber.org/streams}"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"


class Refused(AssertionError):
    """The server ended the stream: condition is that of its stream error, or None."""

    def __init__(self, condition, text=None):
        super().__init__(f"stream error: {condition} ({text})")
        self.condition = condition
        self.text = text


def listen_for_components(rh, host="127.0.0.1", port=None):
    """Before the start: the instance takes components at a free port, which is returned."""
    port = port or free_port()
    rh.component_host, rh.component_port = host, port
    line = f'listen = ["{host}:{port}"];'
    try:
        rh.configure({"cm-component": line})
    except AssertionError:  # the example does not show that group
        with open(rh.path("conf", "roundhouse.conf"), "a", encoding="utf-8") as f:
            f.write(f"cm-component = {{ {line} }};\n")
    return port


def address_of(rh):
    """Where an instance takes components: (host, port)."""
    if getattr(rh, "component_port", None):
        return getattr(rh, "component_host", "127.0.0.1"), rh.component_port
    with open(rh.path("conf", "roundhouse.conf"), encoding="utf-8") as f:
        m = re.search(r'^cm-component\s*[:=]\s*\{[^}]*?^\s*listen\s*=\s*[\[(]\s*"([^"]+):(\d+)"',
                      f.read(), re.M | re.S)
    return (m.group(1).strip("[]"), int(m.group(2))) if m else ("127.0.0.1", 5223)


class Component:
    """where: an Instance, a port of 127.0.0.1, or (host, port). tls: False, True (from the first
    byte) or "starttls"; certificates are verified against ca, an Instance's own when it is one, for
    server_name (the instance's domain). connect: at once, up to the handshake."""

    def __init__(self, where, jid, secret, tls=False, connect=True, ca=None, server_name=None,
                 timeout=LIMIT):
        if isinstance(where, int):
            self.address = ("127.0.0.1", where)
        elif isinstance(where, tuple):
            self.address = where
        else:
            self.address = address_of(where)
            ca = ca or where.ca
            server_name = server_name or where.domain
        self.jid, self.secret, self.tls = jid, secret, tls
        self.ca, self.server_name = ca, server_name or "localhost"
        self.timeout = timeout
        self.sock = None
        self.stream_id = None
        self.seen = b""  # all that came, of all connections
        if connect:
            self.connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # The steps.

    def connect(self):
        """All of them; Refused when the server does not want it."""
        self.dial()
        if self.tls == "starttls":
            self.open_stream(version="1.0")
            self.start_tls()
        self.open_stream()
        self.handshake()
        return self

    def dial(self):
        self.sock = socket.create_connection(self.address, timeout=self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ended = False
        if self.tls is True:
            self.wrap()

    def wrap(self):
        context = ssl.create_default_context(cafile=self.ca)
        if self.ca is None:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock, server_hostname=self.server_name)

    def open_stream(self, to=None, version=None):
        """Sends our header, waits for the server's; the stream's id."""
        self._new_parser()
        extra = f" version='{version}'" if version else ""
        self.send("<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
                  "xmlns:stream='http://etherx.jabber.org/streams' "
                  f"to={quoteattr(self.jid if to is None else to)}{extra}>")
        self._until(lambda: self.header is not None or self.elements or self.closed)
        if self.header is None:
            raise Refused(None, f"no header; came: {self.seen[-300:]!r}")
        self.stream_id = self.header.get("id")
        return self.stream_id

    def start_tls(self):
        self.send(f"<starttls xmlns='{TLS}'/>")
        while (e := self.recv()).tag == STREAMS + "features":
            pass
        assert e.tag == f"{{{TLS}}}proceed", ET.tostring(e)
        self.wrap()

    def digest(self, secret=None):
        secret = self.secret if secret is None else secret
        return hashlib.sha1((self.stream_id + secret).encode()).hexdigest()

    def handshake(self, digest=None):
        """XEP-0114 section 3: SHA-1 of the stream's id and the secret."""
        self.send(f"<handshake>{self.digest() if digest is None else digest}</handshake>")
        while (e := self.recv()).tag == STREAMS + "features":
            pass
        assert e.tag == ACCEPT + "handshake", ET.tostring(e)

    # Talking.

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def message(self, to, body, user="bot", ident=None, kind="chat"):
        ident = f" id={quoteattr(ident)}" if ident else ""
        self.send(f"<message from={quoteattr(f'{user}@{self.jid}' if user else self.jid)} "
                  f"to={quoteattr(to)} type='{kind}'{ident}><body>{body}</body></message>")

    def recv(self, limit=None):
        """The next first-level element; Refused for a stream error or the end of the stream."""
        self._until(lambda: self.elements or self.closed, limit)
        if not self.elements:
            raise Refused(None, "closed")
        e = self.elements.pop(0)
        if e.tag == STREAMS + "error":
            names = [c for c in e if not c.tag.endswith("}text")]
            raise Refused(names[0].tag.split("}")[1] if names else None,
                          next((c.text for c in e if c.tag.endswith("}text")), None))
        return e

    def recv_body(self, limit=None):
        """The body of the next message; what is no message is passed over."""
        while (e := self.recv(limit)).tag != ACCEPT + "message":
            pass
        assert e.get("type") != "error", ET.tostring(e)
        return e.findtext(ACCEPT + "body")

    def nothing_within(self, seconds):
        """Nothing came in that time."""
        self._take(seconds)
        return not self.elements and not self.closed

    def refusal(self):
        """The condition with which the server ends this stream, whatever comes before it."""
        try:
            while True:
                self.recv()
        except Refused as e:
            return e.condition

    def wait_closed(self):
        """Until the server has closed the connection."""
        self._until(lambda: self.ended)

    # The end.

    def close(self):
        """As XMPP wants it: </stream:stream>, and the server's."""
        if self.sock is None:
            return
        try:
            self.send("</stream:stream>")
            self._until(lambda: self.closed, 5)
        except (OSError, AssertionError):
            pass
        self.drop()

    def drop(self):
        """The connection is gone without a word."""
        if self.sock is not None:
            self.sock.close()
        self.sock = None

    # Reading.

    def _new_parser(self):
        self.parser = ET.XMLPullParser(("start", "end"))
        self.depth = 0
        self.header = None
        self.elements = []
        self.closed = False  # </stream:stream> or the end of the connection

    def _until(self, condition, limit=None):
        end = time.monotonic() + (self.timeout if limit is None else limit)
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"component {self.jid}: no answer; came: {self.seen[-300:]!r}")
            self._take(left)

    def _take(self, seconds):
        """What comes next within that time."""
        pending = getattr(self.sock, "pending", lambda: 0)()
        if self.ended or (not pending and not select.select([self.sock], [], [], seconds)[0]):
            return
        try:
            data = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        except (ssl.SSLWantReadError, TimeoutError):
            return
        self.seen += data
        if not data:
            self.ended = self.closed = True
            return
        self.parser.feed(data)
        for event, element in self.parser.read_events():
            self._on_event(event, element)

    def _on_event(self, event, element):
        if event == "start":
            self.depth += 1
            if self.depth == 1:
                self.header = element
            return
        self.depth -= 1
        if self.depth == 1:
            self.elements.append(element)
        elif self.depth == 0:
            self.closed = True


class Echo(Component):
    """Sends every message back to its sender and answers IQ requests with an empty result, on a
    thread, until closed. got: bodies in order; refused: how the server ended it."""

    def __init__(self, *args, **kwargs):
        self.got = []
        self.refused = None
        self._stop = False
        super().__init__(*args, **kwargs)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._stop:
                self._take(0.05)
                while self.elements:
                    self._answer(self.recv())
                if self.closed:
                    return
        except (Refused, OSError, ValueError) as e:
            self.refused = e

    def _answer(self, e):
        back = (f"from={quoteattr(e.get('to'))} to={quoteattr(e.get('from'))} "
                f"id={quoteattr(e.get('id') or '')}")
        if e.tag == ACCEPT + "iq" and e.get("type") in ("get", "set"):
            self.send(f"<iq type='result' {back}/>")
        elif e.tag == ACCEPT + "message" and e.get("type") != "error":
            body = e.findtext(ACCEPT + "body")
            if body is not None:
                self.got.append(body)
                self.send(f"<message type='chat' {back}><body>{body}</body></message>")

    def close(self):
        self._stop = True
        self._thread.join(5)
        super().close()
