"""HTTP servers of the stack, on sockets bound before anything starts."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


class PortTakenError(Exception):
    """Somebody else listens on a port the stack needs."""


def bind(port: int, purpose: str, variable: str) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"port {port} ({purpose}) is taken; end what uses it or set {variable}"
        ) from error
    return listener


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the stack's business: it ends its parts in order."""
        yield


async def serve(application: Any, listener: socket.socket) -> None:  # noqa: ANN401  # any ASGI
    """Serve an ASGI application until cancelled."""
    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=64 * 1024,
        proxy_headers=False,
    )
    server = _Server(config)
    task = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(task)
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listener.close()
