"""
traffic - what goes on in the background while a test kills processes.
"""
import re
import socket
import threading
import time

from roundhouse import Raw


class Background:
    """A thread that runs step() until stop(), which raises what went wrong in it."""

    def __init__(self):
        self._stopping = threading.Event()
        self._failure = None
        self.rounds = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self):
        self._thread.start()
        return self

    def __enter__(self):
        return self.begin()

    def __exit__(self, kind, *_):
        self._stopping.set()
        self._thread.join()
        if self._failure and kind is None:
            raise self._failure

    def _run(self):
        try:
            while not self._stopping.is_set():
                self.step()
                self.rounds += 1
        except Exception as e:  # handed to the test's own thread
            self._failure = e

    def step(self):
        raise NotImplementedError


class Knocker(Background):
    """Connects again and again: a refused connection is a failure."""

    def __init__(self, rh):
        super().__init__()
        self.rh = rh

    def step(self):
        with socket.create_connection(("127.0.0.1", self.rh.port), timeout=30):
            pass
        time.sleep(0.005)


class Chat(Background):
    """One client sends numbered messages to another, one at a time: each must arrive, in order."""

    def __init__(self, rh, sender, receiver):
        super().__init__()
        self.rh = rh
        self.sender, self.receiver = Raw(rh), Raw(rh)
        self.sender.login(*sender, resource="chat-out")
        self.to = self.receiver.login(*receiver, resource="chat-in")

    def step(self):
        body = f"number {self.rounds}."
        self.sender.send(f"<message to='{self.to}' type='chat' id='n{self.rounds}'>"
                         f"<body>{body}</body></message>")
        m = self.receiver.expect("<message .*?</message>").group(0).decode()
        if f"<body>{body}</body>" not in m or re.search("type=['\"]error", m):
            raise AssertionError(f"expected {body!r}, came {m}")

    def __exit__(self, kind, *rest):
        super().__exit__(kind, *rest)
        self.sender.close()
        self.receiver.close()
