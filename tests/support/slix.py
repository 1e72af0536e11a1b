"""
slix - slixmpp as a real client: STARTTLS required, certificate verified against the instance's CA.
"""
import asyncio
import logging

import slixmpp

from roundhouse import LIMIT

logging.getLogger("slixmpp").setLevel(logging.CRITICAL)


class LoginFailed(AssertionError):
    """The client could not log in; the text says which event said so."""


class Client(slixmpp.ClientXMPP):
    def __init__(self, rh, jid, password, ca=None):
        super().__init__(jid, password)
        self.rh = rh
        self.ca_certs = ca or rh.ca
        self.inbox = asyncio.Queue()
        self.outcome = asyncio.get_event_loop().create_future()
        self.ended = asyncio.Event()
        self.add_event_handler("message", self.inbox.put_nowait)
        self.add_event_handler("session_start", lambda _: self._settle(None))
        self.add_event_handler("disconnected", self._on_disconnected)
        for event in ("failed_auth", "ssl_invalid_chain", "connection_failed", "stream_error"):
            self.add_event_handler(event, lambda what, e=event: self._settle(f"{e}: {what}"))

    def _settle(self, why):
        if not self.outcome.done():
            if why is None:
                self.outcome.set_result(True)
            else:
                self.outcome.set_exception(LoginFailed(why))

    def _on_disconnected(self, why):
        self._settle(f"disconnected: {why}")
        self.ended.set()

    async def login(self):
        """Connects and logs in, with initial presence; raises LoginFailed."""
        self.connect(address=("127.0.0.1", self.rh.port), force_starttls=True)
        try:
            await asyncio.wait_for(self.outcome, LIMIT)
        except LoginFailed:
            self.abort()
            raise
        self.send_presence()
        return self

    def chat(self, to, body):
        self.send_message(mto=to, mbody=body, mtype="chat")

    async def next_message(self):
        return await asyncio.wait_for(self.inbox.get(), LIMIT)

    async def leave(self):
        self.disconnect(wait=1)
        await asyncio.wait_for(self.ended.wait(), LIMIT)


def run(coroutine):
    """Runs it on the loop that slixmpp uses."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(coroutine)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
