"""A TCP proxy between an IRC client and its server that records every raw line both ways."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeVar

Direction = Literal["sent", "received"]
"""As the client sees it."""

T = TypeVar("T")

# Clients measure the lag, answer the server's pings, and ask who is away.
_UPKEEP = re.compile(r"(?:PING|PONG|WHO)\b")


def without_upkeep(lines: Iterable[str]) -> list[str]:
    """Return the lines but for those that a client sends from time to time, whatever happens."""
    return [line for line in lines if not _UPKEEP.match(line)]


@dataclass(frozen=True, slots=True)
class RawLine:
    """One line as it crossed the wire."""

    direction: Direction
    data: bytes
    """With its end of line: IRC's limit of 512 bytes counts that too."""

    @property
    def text(self) -> str:
        """The line without its end; bytes that are not UTF-8 are lone surrogates."""
        return self.data.rstrip(b"\r\n").decode(errors="surrogateescape")


class RecordingProxy:
    """Listens on `port` of 127.0.0.1 and passes every byte on to `server_port`, unchanged.

    It runs in a thread with an event loop of its own, so that tests need none.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._lines: list[RawLine] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def lines(self) -> list[RawLine]:
        """Every line so far, in the order in which they came by."""
        return list(self._lines)

    def sent(self) -> list[str]:
        """Return the lines that the client has sent."""
        return [line.text for line in self.lines if line.direction == "sent"]

    def received(self) -> list[str]:
        """Return the lines that the server has sent."""
        return [line.text for line in self.lines if line.direction == "received"]

    def close(self) -> None:
        """Cut every connection and stop listening."""
        if self._loop.is_closed():
            return
        self._call(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> RecordingProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        try:
            await asyncio.gather(
                self._pass_on(reader, server_writer, "sent"),
                self._pass_on(server_reader, writer, "received"),
            )
        finally:
            writer.close()
            server_writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        unfinished = b""
        try:
            while chunk := await reader.read(65536):
                *whole, unfinished = (unfinished + chunk).split(b"\n")
                # Recorded before it is passed on: who sees an effect of a line will find the line.
                self._lines += [RawLine(direction, line + b"\n") for line in whole]
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            # This side or the other has gone; either way there is nothing left to pass on.
            pass
        if unfinished:
            self._lines.append(RawLine(direction, unfinished))
        with suppress(OSError):  # the other side may have gone first
            writer.write_eof()

    async def _shut_down(self) -> None:
        self._server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
