"""Addresses that strangers name: which are never called, and how one call goes."""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotekit import destinations, settings
from quotekit.destinations import Destination, RefusedError, UnreachableError
from tests import receivers
from tests.receivers import Authority, Receiver

HOST = "hooks.example.com"
URL = f"https://{HOST}/batches?of=us"
PUBLIC = "93.184.215.14"
INSIDE = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254"),
    *("172.16.0.1", "192.0.0.9", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("168.63.129.16", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:93.184.215.14"),
    *("64:ff9b::7f00:1", "64:ff9b::5db8:d70e", "64:ff9b:1::1", "100::1", "2001::1"),
    *("2001:10::1", "2001:db8::1", "2002:7f00:1::1", "2002:5db8:d70e::1", "3fff::1", "5f00::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "ff0e::1"),
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_is_not_the_internets_is_not_public(address):
    assert not destinations.is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_an_address_of_the_internet_is_public(address):
    assert destinations.is_public(address)


PRIVATE = [
    ipaddress.ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
        *("100.64.0.0/10", "224.0.0.0/4", "240.0.0.0/4", "fc00::/7", "fe80::/10", "ff00::/8"),
    )
]


@given(st.ip_addresses(v=4))
def test_no_way_of_writing_an_ipv4_address_as_ipv6_is_public(found):
    number = int(found)
    wrapped = [
        *((0xFFFF << 32) | number, number, (0x64FF9B << 96) | number),
        *((0x2002 << 112) | (number << 80), (0x2001 << 112) | (number ^ 0xFFFFFFFF)),
    ]

    assert not any(destinations.is_public(str(ipaddress.IPv6Address(one))) for one in wrapped)


@given(st.ip_addresses())
def test_nothing_that_is_public_lies_in_a_network_of_somebodys_own(found):
    assert not destinations.is_public(str(found)) or not any(found in one for one in PRIVATE)


@given(st.sampled_from(PRIVATE), st.integers(min_value=0))
def test_no_address_of_a_network_of_somebodys_own_is_public(network, offset):
    address = network[offset % network.num_addresses]

    assert not destinations.is_public(str(address))


BAD = [
    *("", "https://", "hooks.example.com", "//hooks.example.com/", "ftp://hooks.example.com/"),
    *("http://hooks.example.com/", "http://127.0.0.1/", "https://hooks.example.com:8443/"),
    *("https://hooks.example.com:80/", "https://hooks.example.com:99999/"),
    *("https://user@hooks.example.com/", "https://user:secret@hooks.example.com/"),
    *("https://@hooks.example.com/", "https://hooks.example.com/#part"),
    *("https://hooks.example.com\\@127.0.0.1/", "https://hooks.example.com/a b"),
    *("https://hooks.example.com/\r\nx: y", "https://hööks.example.com/", "https://[::1"),
    *("https://exa%6dple.com/", "https://-/", "https://a_b!c/", "file:///etc/passwd"),
    f"https://hooks.example.com/{'x' * 2000}",
]


@pytest.mark.parametrize("url", BAD)
def test_an_address_that_is_not_plain_https_is_refused_by_its_text(url):
    with pytest.raises(RefusedError):
        Destination.of(url)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text):
    try:
        found = Destination.of(f"https://{text}")
    except RefusedError:
        return

    assert found.scheme == "https"
    assert found.port == 443
    assert found.target[0] == "/"
    assert not set(found.target + found.host) & set(" \r\n\t\\@#")


@dataclass
class Network:
    """Names and wires: what each name stands for, and who was called where."""

    receiver: Receiver
    names: dict[str, list[list[str]]] = field(default_factory=dict)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)

    def resolve(self, host: str, _: int) -> list[str]:
        answers = self.names[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def dial(self, address: str, port: int, timeout: float) -> socket.socket:
        self.dialled.append((address, port))
        if address in self.dead:
            raise ConnectionRefusedError
        return socket.create_connection(("127.0.0.1", self.receiver.port), timeout)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return receivers.authority(tmp_path_factory.mktemp("authority"), [HOST])


@pytest.fixture
def network(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    destinations.authorities.cache_clear()
    with receivers.receiver(authority.context) as receiver:
        network = Network(receiver, {HOST: [[PUBLIC]]})
        monkeypatch.setattr(destinations, "resolve", network.resolve)
        monkeypatch.setattr(destinations, "dial", network.dial)
        yield network
    destinations.authorities.cache_clear()


def post(url: str = URL, timeout: float = 5) -> destinations.Reply:
    return destinations.post(Destination.of(url), {"webhook-id": "1"}, b"{}", timeout=timeout)


def test_a_body_is_posted_over_tls_to_the_address_that_was_looked_at(network: Network):
    reply = post()

    assert reply == (204, 0)
    assert network.dialled == [(PUBLIC, 443)]
    (got,) = network.receiver.received
    assert got.line == "POST /batches?of=us HTTP/1.1"
    assert (got.headers["host"], got.headers["webhook-id"], got.body) == (HOST, "1", b"{}")


def test_a_name_that_changes_its_mind_after_it_was_looked_at_gains_nothing(network: Network):
    network.names[HOST] = [[PUBLIC], ["127.0.0.1"]]

    post()
    with pytest.raises(RefusedError):
        post()

    assert network.dialled == [(PUBLIC, 443)]


@pytest.mark.parametrize("inside", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
def test_a_name_one_of_whose_addresses_is_inside_is_not_called_at_all(inside, network: Network):
    network.names[HOST] = [[PUBLIC, inside]]

    with pytest.raises(RefusedError, match="not public"):
        post()

    assert network.dialled == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "0", "[::1]", "localhost"]
)
def test_no_spelling_of_this_machine_is_called(host, monkeypatch):
    dialled: list[str] = []
    monkeypatch.setattr(destinations, "dial", lambda *place: dialled.append(place[0]))

    with pytest.raises((RefusedError, UnreachableError)):
        post(f"https://{host}/")

    assert dialled == []


def test_the_next_address_is_tried_when_one_does_not_answer(network: Network):
    network.names[HOST] = [["2606:4700:4700::1111", PUBLIC]]
    network.dead = {"2606:4700:4700::1111"}

    assert post().status == 204


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"


def test_a_redirect_is_an_answer_and_not_followed(network: Network):
    network.receiver.behaviours = [receivers.answers(REDIRECT)]

    assert post().status == 302
    assert network.receiver.connections == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("Retry-After: 120", 120), ("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", 0), ("X: 1", 0)],
)
def test_a_receiver_may_say_in_seconds_when_to_come_again(header, seconds, network: Network):
    network.receiver.behaviours = [
        receivers.answers(f"HTTP/1.1 503 No\r\n{header}\r\n\r\n".encode())
    ]

    assert post() == (503, seconds)


def test_an_answer_without_end_is_not_read(network: Network):
    network.receiver.behaviours = [receivers.pours]

    assert post().status == 200


@pytest.mark.parametrize("behave", [receivers.never, receivers.drips])
def test_a_receiver_that_is_never_done_is_left_in_time(behave, network: Network):
    network.receiver.behaviours = [behave]
    started = time.monotonic()

    with pytest.raises(UnreachableError, match="no answer in"):
        post(timeout=0.3)

    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 abc\r\n\r\n"),
        *(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"x" * 100_000),
    ],
)
def test_what_is_no_http_answer_is_no_answer(raw, network: Network):
    network.receiver.behaviours = [receivers.answers(raw)]

    with pytest.raises(UnreachableError):
        post()


def test_a_certificate_nobody_trusts_is_not_spoken_to(network: Network, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    destinations.authorities.cache_clear()

    with pytest.raises(UnreachableError, match="TLS: self"):
        post()

    assert network.receiver.received == []


def test_a_certificate_of_another_name_is_not_spoken_to(network: Network):
    network.names["other.example.com"] = [[PUBLIC]]

    with pytest.raises(UnreachableError, match="TLS: Hostname mismatch"):
        post("https://other.example.com/")

    assert network.receiver.received == []


def test_a_server_without_tls_is_not_spoken_to(network: Network, monkeypatch):
    with receivers.receiver() as plain:
        plain.behaviours = [receivers.hangs_up]
        monkeypatch.setattr(network, "receiver", plain)

        with pytest.raises(UnreachableError):
            post(timeout=0.5)

    assert plain.received == []


@pytest.mark.parametrize("problem", [socket.gaierror(-2, "unknown"), UnicodeError("label")])
def test_a_name_that_is_not_found_may_be_found_another_time(problem, monkeypatch):
    def resolve(host: str, port: int) -> list[str]:
        raise problem

    monkeypatch.setattr(destinations, "resolve", resolve)

    with pytest.raises(UnreachableError, match="not found"):
        post()


def test_a_resolver_that_never_answers_is_left_in_time(monkeypatch):
    over = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        over.wait()
        return []

    monkeypatch.setattr(destinations, "resolve", resolve)

    with pytest.raises(UnreachableError, match="in time"):
        post(timeout=0.1)

    over.set()


def test_proxies_of_the_environment_are_not_asked(network: Network, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert post().status == 204


@pytest.fixture
def locally(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("NOTIFY_LOCALLY", "1")
    monkeypatch.setenv("STAGE", "local")
    settings.forget()
    yield monkeypatch
    settings.forget()


def test_on_the_local_stack_this_machine_may_be_told_without_tls(locally):
    with receivers.receiver() as receiver:
        assert post(f"http://127.0.0.1:{receiver.port}/here").status == 204

    assert [got.line for got in receiver.received] == ["POST /here HTTP/1.1"]


@pytest.mark.parametrize("stage", ["staging", "production"])
def test_anywhere_else_the_setting_opens_nothing(stage, locally):
    locally.setenv("STAGE", stage)
    settings.forget()

    with pytest.raises(RefusedError):
        Destination.of("http://127.0.0.1:8000/here")


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://[::1]/", "https://127.0.0.1/"])
def test_the_local_stack_too_calls_nothing_but_this_machine(url, locally):
    with pytest.raises(RefusedError):
        post(url)
