#!/usr/bin/python3
"""Hostile clients that want the server's memory, time or places. After each the memory is back and
an ordinary pair is served; while they are at it, too.

Runs alone: it opens thousands of connections."""
import os
import resource
import socket
import sys
import threading
import time

from hostile import JULIET, ROMEO, SANITIZED, Raw, main, memory, memory_back, still_serves
from roundhouse import LIMIT, wait_for

HALF_OPEN = 2000 if SANITIZED else 10000
STORM = 100 if SANITIZED else 500

CONFIG = {
    "limits": "unauthenticated = 12000; unauthenticated_per_address = 12000; login_s = 600; "
              "tls_s = 600; connections = 30000; session_queue_bytes = 1048576;",
    "router": "session_queue_bytes = 1048576; session_spool_bytes = 4194304;",
}


def address(i):
    """Many clients come from many addresses: 127.0.0.0/8 is all ours."""
    return f"127.{1 + i % 100}.{i // 100 % 250}.{1 + i % 200}"


def connect(rh, i):
    s = socket.socket()
    s.bind((address(i), 0))
    s.connect(("127.0.0.1", rh.port))
    return s


def ten_thousand_half_open_connections(rh):
    """Each with half a header. P5: what one costs before it has logged in is bounded (16 KB)."""
    before = memory(rh)
    socks = []
    try:
        for i in range(HALF_OPEN):
            s = connect(rh, i)
            s.send(b"<?xml version='1.0'?><stream:stream to='local")
            socks.append(s)
        still_serves(rh)
        if not SANITIZED:
            cost = (memory(rh)["cm-client-1"] - before["cm-client-1"]) / HALF_OPEN
            print(f"half open: {cost:.0f} bytes each")
            assert cost < 16384, cost
    finally:
        for s in socks:
            s.close()
    still_serves(rh)
    memory_back(rh, before, 16 << 20)  # tables that have grown stay grown


def a_slow_loris(rh):
    """Two hundred connections that send a byte each now and then, in the middle of everything."""
    before = memory(rh)
    text = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client'"
    socks = [connect(rh, i) for i in range(200)]
    try:
        for byte in text.encode():
            for s in socks:
                s.send(bytes([byte]))
        still_serves(rh)
    finally:
        for s in socks:
            s.close()
    still_serves(rh)
    memory_back(rh, before)


def one_that_never_reads(rh):
    """It is closed when too much waits for it, and who writes to it is told or served; others chat
    on."""
    before = memory(rh)
    with Raw(rh) as deaf, Raw(rh) as writer:
        deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        to = deaf.login(*ROMEO, resource="deaf")
        writer.login(*JULIET, resource="writer")
        stanza = f"<message to='{to}' type='chat'><body>{'x' * 10000}</body></message>"
        stop = threading.Event()

        def write():
            try:
                while not stop.is_set():
                    writer.sock.sendall(stanza.encode())
            except OSError:
                pass
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        with Raw(rh) as other:
            other.login(*JULIET, resource="other")
            for _ in range(50):
                other.ping()
        wait_for(lambda: rh.stats("router")["sessions"] < 2 or
                 rh.stats("router")["bounced"] > 0 or rh.stats("router")["stored"] > 0,
                 "the router to do something about it")
        now = memory(rh)
        stop.set()
        writer.sock.close()
        thread.join(LIMIT)
    if not SANITIZED:
        for name, was in before.items():
            assert now[name] < was + (64 << 20), (name, was, now[name])
    for user in ("juliet", "romeo"):
        rh.run("xmpp", "kick", f"{user}@localhost", check=False)
    still_serves(rh)
    memory_back(rh, before, 24 << 20)


def one_that_never_reads_its_own_answers(rh):
    """Requests without end whose answers are not taken: the stream is read no further."""
    before = memory(rh)
    with Raw(rh) as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.login(*JULIET, resource="asks")
        c.sock.settimeout(0.5)
        request = "".join(
            f"<iq type='get' to='localhost' id='{'i' * 900}{i}'>"
            "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>" for i in range(100))
        sent, end = 0, time.monotonic() + 20
        try:
            while time.monotonic() < end and sent < (256 << 20):
                c.sock.sendall(request.encode())
                sent += len(request)
        except OSError:
            pass  # full, or closed: both will do
        now = memory(rh)
    if not SANITIZED:
        for name, was in before.items():
            assert now[name] < was + (64 << 20), (name, was, now[name])
    still_serves(rh)
    memory_back(rh, before, 24 << 20)


def one_that_floods(rh):
    """As fast as it can, to somebody who reads: others are served meanwhile, nothing is lost."""
    before = memory(rh)
    count = 2000 if SANITIZED else 20000
    with Raw(rh) as writer, Raw(rh) as reader:
        to = reader.login(*ROMEO, resource="reader")
        writer.login(*JULIET, resource="writer")
        got = [0]

        def read():
            while got[0] < count:
                reader.expect("<body>flood</body>")
                got[0] += 1
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        stanza = f"<message to='{to}' type='chat'><body>flood</body></message>" * 100
        for _ in range(count // 100):
            writer.send(stanza)
        still_serves_beside(rh)
        thread.join(4 * LIMIT)
        assert got[0] == count, got[0]
    still_serves(rh)
    memory_back(rh, before, 16 << 20)


def still_serves_beside(rh):
    with Raw(rh) as c:
        c.login(*JULIET, resource="beside")
        for _ in range(20):
            c.ping()


def a_storm_of_logins(rh):
    """All at once, half of them with a wrong password; then all go without a word."""
    before = memory(rh)
    done, failed = [], []
    lock = threading.Lock()

    def log_in(i):
        try:
            with Raw(rh) as c:
                if i % 2:
                    c.login(*JULIET, resource=f"storm{i % 10}")
                else:
                    c.start_tls()
                    c.open()
                    c.plain("juliet", "wrong")
                    c.expect("<failure")
                with lock:
                    done.append(i)
        except (AssertionError, OSError) as e:
            with lock:
                failed.append((i, repr(e)[:200]))
    for start in range(0, STORM, 50):
        threads = [threading.Thread(target=log_in, args=(i,)) for i in range(start, start + 50)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    # Sessions of one resource replace each other: who is replaced while it binds may fail.
    assert len(done) >= STORM // 2, failed[:3]
    still_serves(rh)
    memory_back(rh, before, 16 << 20)


def connections_that_come_and_go(rh):
    before = memory(rh)
    for i in range(3000):
        s = connect(rh, i)
        s.send(b"<?xml version='1.0'?>")
        s.close()
    still_serves(rh)
    memory_back(rh, before, 8 << 20)


def files_are_given_back(rh):
    """No descriptor stays behind after all this."""
    def count():
        pid = rh.pid("cm-client-1")
        return len(os.listdir(f"/proc/{pid}/fd"))
    with Raw(rh) as c:
        c.login(*JULIET)
    wait_for(lambda: count() <= rh.fds + 4, f"the descriptors to be closed ({count()} {rh.fds})")


def first_count(rh):
    rh.fds = len(os.listdir(f"/proc/{rh.pid('cm-client-1')}/fd"))
    still_serves(rh)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    HALF_OPEN = min(HALF_OPEN, hard - 500)
    sys.exit(main([], (first_count, ten_thousand_half_open_connections, a_slow_loris,
                       one_that_never_reads, one_that_never_reads_its_own_answers,
                       one_that_floods, a_storm_of_logins, connections_that_come_and_go,
                       files_are_given_back), config=CONFIG, slack=32 << 20))
