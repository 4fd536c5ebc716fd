"""Addresses that strangers name, called without becoming their way into this network.

https on port 443 only; every address the name stands for has to be public, and the connection is
made to one of those that were looked at, so a name that changes its mind in between gains nothing.
No redirect is followed, no proxy asked, and of the answer nothing but status and headers is read.
"""

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from quotekit.environment import NotifySettings
from quotekit.settings import deployment_settings

LONGEST: Final = 2_000
MOST_ADDRESSES: Final = 4
CONNECT: Final = 3.0  # seconds for one of several addresses
PORT: Final = 443
PRINTABLE: Final = re.compile(r"[!-\[\]-~]+")  # no blank, no backslash, nothing above ASCII
HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\.?|[0-9A-Fa-f:.]+")
HERE: Final = frozenset({"127.0.0.1", "localhost"})
# Global by the registries' word, and yet a way to somewhere else or to nobody.
SPECIAL: Final = tuple(
    ip_network(text)
    for text in (
        *("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
UNICAST: Final = ip_network("2000::/3")


class RefusedError(Exception):
    """This address is never called; the message is for whoever named it."""


class UnreachableError(Exception):
    """There was no answer; another time there may be one."""


class Reply(NamedTuple):
    status: int
    retry_after: int
    """Seconds; 0 when the header is missing or says anything else."""


class Destination(NamedTuple):
    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def of(cls, url: str) -> "Destination":
        """Raises RefusedError when the text alone says that it is never called."""
        if len(url) > LONGEST or not PRINTABLE.fullmatch(url):
            raise RefusedError(f"it has to be an address of at most {LONGEST} ASCII characters")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise RefusedError("it is no address") from None
        if "@" in parts.netloc or parts.fragment or not HOST.fullmatch(host):
            raise RefusedError("it has to be https://host/path, without user or fragment")
        target = parts.path or "/"
        target = f"{target}?{parts.query}" if parts.query else target
        if parts.scheme == "http" and host in HERE and locally():
            return cls("http", host, port or 80, target)
        if parts.scheme != "https" or port not in {None, PORT}:
            raise RefusedError("it has to be https on port 443")
        return cls("https", host, PORT, target)


def locally() -> bool:
    return NotifySettings.locally == "1" and deployment_settings().stage == "local"


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's, and leads nowhere else by translation."""
    found = ip_address(address)
    if found.is_multicast or found.is_reserved or not found.is_global:
        return False
    if any(found in network for network in SPECIAL):
        return False
    return found.version == 4 or found in UNICAST  # noqa: PLR2004


def post(to: Destination, headers: Mapping[str, str], body: bytes, *, timeout: float) -> Reply:
    """Send a body; within `timeout` seconds, all included, there is a status or it has failed.

    Raises RefusedError, UnreachableError.
    """
    ends = time.monotonic() + timeout
    addresses = look_up(to, timeout)
    try:
        with connected(to, addresses, ends) as plain, cut_off(plain, ends):
            reply = exchange(to, plain, headers, body)
        if time.monotonic() >= ends:
            raise TimeoutError  # a cut answer may look like a short one
    except (http.client.HTTPException, OSError) as error:
        if time.monotonic() >= ends:
            raise UnreachableError(f"no answer in {timeout:g} s") from None
        raise UnreachableError(explained(error)) from None
    return reply


def explained(error: Exception) -> str:
    """What to tell about a failure: its kind, and nothing that the other side said."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    return f"no answer: {type(error).__name__}"


def look_up(to: Destination, timeout: float) -> Sequence[str]:
    """The addresses of a host: all of them public, or none is used."""
    if to.scheme == "http":
        return ["127.0.0.1"]
    resolver = ThreadPoolExecutor(max_workers=1)
    try:
        found = resolver.submit(resolve, to.host, to.port).result(timeout)
    except TimeoutError:
        raise UnreachableError("its name was not found in time") from None
    except (OSError, UnicodeError):
        raise UnreachableError("its name was not found") from None
    finally:
        resolver.shutdown(wait=False)
    if not found:
        raise UnreachableError("its name was not found")
    if not all(is_public(address) for address in found):
        raise RefusedError("its name stands for an address that is not public")
    return found[:MOST_ADDRESSES]


def resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def dial(address: str, port: int, timeout: float) -> socket.socket:
    return socket.create_connection((address, port), timeout)


@contextmanager
def connected(to: Destination, addresses: Sequence[str], ends: float) -> Iterator[socket.socket]:
    """A connection to the first of the addresses that takes one."""
    failure = OSError()
    for address in addresses:
        left = ends - time.monotonic()
        if left <= 0:
            break
        try:
            plain = dial(address, to.port, min(left, CONNECT) if len(addresses) > 1 else left)
        except OSError as error:
            failure = error
            continue
        with plain:
            plain.settimeout(max(ends - time.monotonic(), 0.001))
            yield plain
        return
    raise failure


@contextmanager
def cut_off(plain: socket.socket, ends: float) -> Iterator[None]:
    """End a conversation in time, however slowly the other side drips."""
    handle = plain.dup()  # TLS takes the first one over

    def cut() -> None:
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(ends - time.monotonic(), 0), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        handle.close()


def exchange(
    to: Destination, plain: socket.socket, headers: Mapping[str, str], body: bytes
) -> Reply:
    connection = http.client.HTTPConnection(to.host, to.port)
    connection.default_port = to.port if to.scheme == "https" else http.client.HTTP_PORT
    connection.sock = plain
    if to.scheme == "https":
        connection.sock = authorities().wrap_socket(plain, server_hostname=to.host)
    try:
        connection.request("POST", to.target, body, dict(headers))
        answer = connection.getresponse()
        after = answer.headers.get("retry-after", "")
        return Reply(answer.status, int(after) if re.fullmatch(r"[0-9]{1,9}", after) else 0)
    finally:
        connection.close()


@cache
def authorities() -> ssl.SSLContext:
    return ssl.create_default_context()
