"""Senders of webhooks: GitHub, Stripe and a tenant's own, in turn; each event another one.

GitHub's bodies are its published examples (7 to 21 KB), Stripe's have the shapes of its API (1 to
4 KB); ids, objects and times are put in place of marks: making an event costs next to nothing. As a
process of its own it sends them, signed, over kept connections: `python -m bench.senders` with
what it needs as JSON on its standard input, until that is closed.
"""

import asyncio
import base64
import hmac
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/shared")]

import uvloop  # noqa: E402

from tests.vendors import stripe_objects as stripe  # noqa: E402

EXAMPLES: Final = ROOT / ".local/tools/node/node_modules/@octokit/webhooks-examples"
SECRETS: Final = {"github": "It's a Secret to Everybody", "stripe": "whsec_bench"}
STANDARD_KEY: Final = b"a tenant's own secret of 32 byte"
TENANTS: Final = 20
CUSTOMERS: Final = 1999  # prime, so that everything is told of everybody
OBJECTS: Final = 4999

NUMBER: Final = 111111111
SECOND: Final = 1999999999
MOMENT: Final = "2001-02-03T04:05:06Z"
EVENT, CUSTOMER, ACCOUNT, REPOSITORY = "@EVENT@", "@CUSTOMER@", "@ACCOUNT@", "@REPOSITORY@"


class Sent(NamedTuple):
    source: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def account(number: int) -> UUID:
    return UUID(int=(0x01900000_0000_7000_8000 << 48) + number)


def examples() -> dict[str, dict[str, Any]]:
    """The first of GitHub's examples of each type."""
    kinds = json.loads((EXAMPLES / "api.github.com" / "index.json").read_text())
    return {kind["name"]: kind["examples"][0] for kind in kinds}


def marked_github() -> dict[str, bytes]:
    """Types of GitHub's with their bodies; the last is one nobody reads here."""
    found = examples()
    for name, inner in (("pull_request", "pull_request"), ("issues", "issue")):
        found[name][inner] |= {"number": NUMBER, "updated_at": MOMENT}
    found["push"] |= {"ref": f"refs/heads/{NUMBER}", "after": EVENT}
    found["push"]["repository"]["pushed_at"] = SECOND
    for name in ("pull_request", "issues", "push"):
        found[name]["repository"]["full_name"] = f"acme/{REPOSITORY}"
    return {name: encoded(found[name]) for name in ("pull_request", "issues", "push", "check_run")}


def marked_stripe() -> dict[str, bytes]:
    """Types of Stripe's with their bodies; the last is one from which nothing follows here."""
    customer = stripe.customer(
        id=f"cus_{CUSTOMER}", metadata={"account_id": ACCOUNT}, created=SECOND
    )
    price = stripe.price("prod_bench", id="price_bench")
    held = stripe.subscription(customer["id"], price, start=SECOND, id=f"sub_{CUSTOMER}")
    things = {
        "customer.updated": customer,
        "customer.subscription.updated": held,
        "invoice.payment_succeeded": stripe.invoice(customer["id"], held["id"], id=f"in_{EVENT}"),
        "payment_intent.succeeded": stripe.charge(customer["id"], f"pi_{EVENT}", refunded=0),
    }
    return {
        name: json.dumps(stripe.event(name, thing, SECOND, id=f"evt_{EVENT}"), indent=2).encode()
        for name, thing in things.items()
    }


def marked_standard() -> bytes:
    data = {"id": EVENT, "name": "A new contact", "notes": "Wants a quote for a lawn. " * 10}
    return encoded({"type": "contact.created", "timestamp": MOMENT, "data": data})


def encoded(payload: object) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def events() -> Iterator[Sent]:
    """Events without an end, unsigned: a third of each sender's."""
    github, shapes, own = marked_github(), marked_stripe(), marked_standard()
    kinds = zip(itertools.cycle(github.items()), itertools.cycle(shapes.items()), strict=False)
    numbers = itertools.count()
    run = f"{time.time_ns():x}"
    for hub, other in kinds:
        number = next(numbers)
        name = f"{run}{number:08x}"
        yield Sent("github", "/github", hub_headers(hub[0], name), filled(hub[1], number, name))
        yield Sent("stripe", "/stripe", {}, filled(other[1], number, name))
        headers = {"webhook-id": f"msg_{name}"}
        tenant = account(number % TENANTS)
        yield Sent("standard", f"/standard/{tenant}", headers, filled(own, number, name))


def hub_headers(kind: str, name: str) -> dict[str, str]:
    return {"x-github-event": kind, "x-github-delivery": name}


def filled(marked: bytes, number: int, name: str) -> bytes:
    """A body with its own ids, about one of many objects, of now."""
    now = time.time()
    customer = number % CUSTOMERS
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    marks = {
        EVENT: name,
        CUSTOMER: f"bench{customer}",
        ACCOUNT: str(account(customer)),
        REPOSITORY: f"lawn-{number % 100}",
        str(NUMBER): str(100_000_000 + number % OBJECTS),
        str(SECOND): str(int(now)),
        MOMENT: moment,
    }
    for mark, value in marks.items():
        marked = marked.replace(mark.encode(), value.encode())
    return marked


def signed(sent: Sent) -> dict[str, str]:
    """The headers of an event, signed now."""
    now = int(time.time())
    match sent.source:
        case "github":
            mac = hmac.digest(SECRETS["github"].encode(), sent.body, "sha256").hex()
            return {**sent.headers, "x-hub-signature-256": f"sha256={mac}"}
        case "stripe":
            mac = hmac.digest(SECRETS["stripe"].encode(), b"%d." % now + sent.body, "sha256").hex()
            return {**sent.headers, "stripe-signature": f"t={now},v1={mac}"}
        case _:
            content = f"{sent.headers['webhook-id']}.{now}.".encode() + sent.body
            mac = base64.b64encode(hmac.digest(STANDARD_KEY, content, "sha256")).decode()
            stamp = {"webhook-timestamp": str(now), "webhook-signature": f"v1,{mac}"}
            return {**sent.headers, **stamp}


class Sending:
    """What one process sent: when each answer came (monotonic), its status, how long it took."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._events = events()
        self.answers: list[tuple[float, int, float]] = []
        self.stopping = False

    async def run(self, connections: int) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._until_told())
            for _ in range(connections):
                group.create_task(self._connection())

    async def _until_told(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        self.stopping = True

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while not self.stopping:
            request = self._request(next(self._events))
            started = time.monotonic()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            now = time.monotonic()
            self.answers.append((now, int(head[9:12]), now - started))
        writer.close()

    def _request(self, sent: Sent) -> bytes:
        headers = signed(sent) | {
            "host": "127.0.0.1",
            "content-type": "application/json",
            "content-length": str(len(sent.body)),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST /v1/webhooks{sent.path} HTTP/1.1\r\n{lines}\r\n".encode() + sent.body


def main() -> None:
    given = json.loads(sys.stdin.readline())
    sending = Sending(given["port"])
    uvloop.run(sending.run(given["connections"]))
    json.dump(sending.answers, sys.stdout)


if __name__ == "__main__":
    main()
