"""Accounts' own servers: real sockets, with TLS or without, that answer as a test says."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"

type Behave = Callable[[socket.socket, threading.Event], None]


def answers(raw: bytes) -> Behave:
    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(raw)

    return behave


def never(connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def hangs_up(connection: socket.socket, over: threading.Event) -> None:
    return


def drips(connection: socket.socket, over: threading.Event) -> None:
    """A header line that never ends, a byte at a time."""
    with suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not over.wait(0.02):
            connection.sendall(b"x")


def pours(connection: socket.socket, over: threading.Event) -> None:
    """An answer without end."""
    with suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not over.is_set():
            connection.sendall(b"x" * 65_536)


@dataclass
class Received:
    line: str
    headers: Message
    body: bytes


@dataclass
class Receiver:
    """What came, and what is answered next; the last behaviour stays."""

    behaviours: list[Behave] = field(default_factory=lambda: [answers(TAKEN)])
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def take(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self.received.append(read(connection))
            behave = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
            behave(connection, self.over)


def read(connection: socket.socket) -> Received:
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65_536)
        if not more:
            raise OSError("closed before the request was whole")
        head += more
    head, _, body = head.partition(b"\r\n\r\n")
    line, _, lines = head.partition(b"\r\n")
    headers = BytesParser().parsebytes(lines + b"\r\n\r\n")
    while len(body) < int(headers["content-length"] or 0):
        body += connection.recv(65_536)
    return Received(line.decode(), headers, body)


@contextmanager
def receiver(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    found = Receiver()
    threads: list[threading.Thread] = []
    listening = socket.create_server(("127.0.0.1", 0))
    found.port = listening.getsockname()[1]

    def take(plain: socket.socket) -> None:
        plain.settimeout(20)
        with suppress(OSError), plain:
            found.take(context.wrap_socket(plain, server_side=True) if context else plain)

    def listen() -> None:
        with suppress(OSError):
            while not found.over.is_set():
                plain, _ = listening.accept()
                found.connections += 1
                threads.append(threading.Thread(target=take, args=(plain,)))
                threads[-1].start()

    threads.append(threading.Thread(target=listen))
    threads[0].start()
    try:
        yield found
    finally:
        found.over.set()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for thread in threads:
            thread.join()


@dataclass(frozen=True)
class Authority:
    """Certificates for a receiver, and the file of whom to trust."""

    context: ssl.SSLContext
    file: Path


def authority(folder: Path, names: Sequence[str]) -> Authority:
    """One that is known only to whoever reads its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receivers of the tests")])
    alternatives = [x509.DNSName(one) for one in names]
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([*alternatives, loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "receivers.pem", folder / "receivers.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return Authority(context, public)
