"""A TCP proxy that counts the client's flights, delays them, or swallows what passes."""

import socket
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Self


class Proxy:
    """In front of 127.0.0.1:`port`; `delay` is in seconds and added to each flight of the client.

    A flight is what the client sends between two answers: what costs a network's latency.
    """

    def __init__(self, port: int, delay: float = 0) -> None:
        self.target = port
        self.delay = delay
        self.flights = 0
        self.links: list[Link] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for link in self.links:
            link.end()

    def in_front_of(self, url: str) -> str:
        """The address of a database behind this proxy."""
        return url.replace(f":{self.target}/", f":{self.port}/")

    def swallow(self) -> None:
        """Let the present connections fall silent, as a path does that something forgot."""
        for link in self.links:
            link.swallowing = True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                self.links.append(Link(self, client, server))


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.swallowing = False
        self.answered = True
        self.late: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.threads = [
            threading.Thread(target=target, daemon=True)
            for target in (self._hear, self._pass_on, self._answer)
        ]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        for peer in (self.client, self.server):
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for peer in (self.client, self.server):
            peer.close()

    def _hear(self) -> None:
        with suppress(OSError):
            while data := self.client.recv(65536):
                if self.answered:
                    self.answered = False
                    self.proxy.flights += 1
                self.late.put((time.perf_counter() + self.proxy.delay, data))
        self.late.put((0, b""))

    def _pass_on(self) -> None:
        with suppress(OSError):
            while (item := self.late.get())[1]:
                due, data = item
                time.sleep(max(0.0, due - time.perf_counter()))
                if not self.swallowing:
                    self.server.sendall(data)
            self.server.shutdown(socket.SHUT_WR)

    def _answer(self) -> None:
        with suppress(OSError):
            while data := self.server.recv(65536):
                self.answered = True
                if not self.swallowing:
                    self.client.sendall(data)
            self.client.shutdown(socket.SHUT_WR)
