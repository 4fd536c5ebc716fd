"""HTTP/1.1 as the Lambda runtime client and the emulator speak it: just enough, and fast."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

type Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

BROKEN: Final = (OSError, asyncio.IncompleteReadError, ValueError)


class CallError(Exception):
    """The server did not answer, or not with success."""


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return head[0].split(" ")[1], body


def reply(
    writer: asyncio.StreamWriter,
    status: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> None:
    lines = [f"{name}: {value}" for name, value in (headers or {}).items()]
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines])
    writer.write(head.encode("latin-1") + b"\r\n\r\n" + body)


class Caller:
    """Calls one server of this machine over connections that are kept.

    httpx would cost twenty times the CPU, and there are two calls for every batch of messages.
    """

    def __init__(self, url: str, seconds: float = 30) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._seconds = seconds
        self._idle: list[Connection] = []

    async def post(self, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """The body of a good answer; raises CallError."""
        given = {"Host": self._host, **headers, "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        request = f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
        try:
            async with asyncio.timeout(self._seconds):
                return await self._send(request)
        except (*BROKEN, TimeoutError) as error:
            raise CallError(f"no answer: {error!r}") from error

    async def _send(self, request: bytes) -> bytes:
        while kept := self._kept():
            try:
                return await self._exchange(kept, request)
            except (ConnectionError, asyncio.IncompleteReadError):
                continue  # it was closed while it idled; what was asked is asked again
        fresh = await asyncio.open_connection(self._host, self._port)
        return await self._exchange(fresh, request)

    def _kept(self) -> Connection | None:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return None

    async def _exchange(self, connection: Connection, request: bytes) -> bytes:
        reader, writer = connection
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if b"\r\nconnection: close" in head:
            writer.close()
        else:
            self._idle.append(connection)
        if int(head[9:12]) >= HTTPStatus.BAD_REQUEST:
            raise CallError(f"{head[9:12].decode()}: {body[:500]!r}")
        return body

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()
