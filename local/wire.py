"""HTTP/1.1 as the Lambda runtime client speaks it: just enough, and fast."""

import asyncio
from collections.abc import Mapping


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
