"""
adapter - the line protocol between test_matrix.py and a client library (README.md has it whole).

One JSON object a line: commands come on stdin, events go to stdout. A library's program derives
from Adapter and has one coroutine do_COMMAND for each command; at the end of stdin it logs out.
"""
import asyncio
import json
import os
import sys

EVENTS = 1  # where events go; what a library prints by itself must not get there


def emit(event, **fields):
    line = json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n"
    os.write(EVENTS, line.encode())


class Failed(Exception):
    """A command that the server refused; the text is the condition."""


class Adapter:
    async def main(self):
        tasks = set()
        while line := await self._line():
            command = json.loads(line)
            task = asyncio.ensure_future(self._run(command.pop("do"), command))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(0)  # it sends before the next command is read
        await self.leave()
        emit("offline")

    @staticmethod
    async def _line():
        if not hasattr(Adapter, "stdin"):
            Adapter.stdin = asyncio.StreamReader()
            await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(Adapter.stdin), sys.stdin)
        return await Adapter.stdin.readline()

    async def _run(self, name, args):
        try:
            await getattr(self, "do_" + name)(**args)
            emit("done", do=name)
        except Failed as e:
            emit("failed", do=name, condition=str(e))
        except Exception as e:  # the test waits for "done" and shows this instead
            emit("trouble", do=name, why=f"{type(e).__name__}: {e}")

    async def leave(self):
        raise NotImplementedError


def run(make):
    """Makes the adapter inside a loop, runs it to the end of stdin."""
    global EVENTS
    EVENTS = os.dup(1)
    os.dup2(2, 1)

    async def whole():
        await make().main()
    asyncio.run(whole())
