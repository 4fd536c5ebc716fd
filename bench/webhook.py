"""One Stripe event taken by webhook-handler and by stripe + boto3: `python -m bench.webhook`.

Both run in awslambdaric behind the local Runtime API, from byte code, against the same fake AWS.
Cold is from the start of the process to its first correct answer; warm is one event after the
other. Rounds alternate. CPU is the function's own process, by the scheduler's nanoseconds. The
second table is one process timing the parts of our handler.
"""

import asyncio
import hmac
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/shared")]

from bench.create import Contender, compile_all  # noqa: E402
from local.invocation import Version  # noqa: E402
from quotekit import exchange, signing  # noqa: E402
from quotekit.webhooks import extraction, ingress, routing, sending, signatures  # noqa: E402
from tests.vendors import aws as vendor  # noqa: E402
from tests.vendors.aws import Aws  # noqa: E402

COLD: Final = 10
ROUNDS: Final = 6
WARM: Final = 150
SECRET: Final = "whsec_bench"
PREFIX: Final = "quotekit/bench/webhooks"
QUEUES: Final = {
    "WEBHOOKS_CRITICAL_QUEUE_URL": "https://sqs.bench/critical",
    "WEBHOOKS_QUEUE_URL": "https://sqs.bench/standard",
    "WEBHOOKS_BULK_QUEUE_URL": "https://sqs.bench/bulk",
}
PEER_LIBRARIES: Final = ("stripe", "typing_extensions.py", "requests", "certifi", "idna")
LINE: Final = {
    "id": "il_1", "object": "line_item", "amount": 1200, "currency": "usd", "quantity": 1,
    "description": "1 × Premium (at $12.00 / month)", "period": {"start": 1, "end": 2},
    "price": {"id": "price_1", "product": "prod_1", "recurring": {"interval": "month"}},
}  # fmt: skip
BODY: Final = json.dumps(
    {
        "id": "evt_1", "object": "event", "type": "invoice.paid", "created": 1700000000,
        "livemode": False, "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None},
        "data": {"object": {"id": "in_1", "object": "invoice", "customer": "cus_1",
                            "lines": {"object": "list", "data": [LINE] * 10}}},
    }
).encode()  # fmt: skip


def signature() -> str:
    now = int(time.time())
    made = hmac.digest(SECRET.encode(), b"%d." % now + BODY, "sha256").hex()
    return f"t={now},v1={made}"


def event() -> dict[str, Any]:
    """The committed event, turned into Stripe's and signed now."""
    found: dict[str, Any] = json.loads((ROOT / "events/webhook_handler.json").read_text())
    found |= {"rawPath": "/v1/webhooks/stripe", "body": BODY.decode()}
    found["headers"] = {"content-type": "application/json", "stripe-signature": signature()}
    return found


class Handler(Contender):
    async def call(self) -> None:
        self.payload = json.dumps(event()).encode()
        await super().call()

    def check(self, answer: dict[str, Any]) -> bool:
        return answer.get("statusCode") == 200 and "evt_1" in answer["body"]

    def processor(self) -> float:
        process = self.environment._process  # noqa: SLF001
        tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


@contextmanager
def services() -> Iterator[tuple[Aws, dict[str, str]]]:
    with vendor.serve() as aws:
        aws.give(f"{PREFIX}/stripe", {"secrets": [SECRET]})
        aws.queues = {url: [] for url in QUEUES.values()}
        yield (
            aws,
            {
                **QUEUES,
                "AWS_ENDPOINT_URL": aws.url,
                "AWS_REGION": vendor.REGION,
                "AWS_DEFAULT_REGION": vendor.REGION,
                "AWS_ACCESS_KEY_ID": vendor.KEY,
                "AWS_SECRET_ACCESS_KEY": vendor.SECRET_KEY,
                "WEBHOOK_SECRETS": PREFIX,
                "POWERTOOLS_SERVICE_NAME": "bench",
                "ROUTING_BUCKET": "documents",
                "ROUTING_KEY": "routing/webhooks.json",
            },
        )


def opt(folder: Path) -> tuple[Path, Path]:
    """Two /opt folders of byte code: our package; the peer's library (boto3 is the runtime's)."""
    ours, theirs = folder / "ours", folder / "theirs"
    shutil.copytree(ROOT / "layers/shared/quotekit", ours / "python/quotekit")
    packages = next((ROOT / ".venv/lib").glob("python3.*")) / "site-packages"
    (theirs / "python").mkdir(parents=True)
    for name in PEER_LIBRARIES:
        source = packages / name
        if source.is_dir():
            shutil.copytree(source, theirs / "python" / name)
        elif source.exists():
            shutil.copy(source, theirs / "python")
    for place in (ours, theirs):
        compile_all(place)
    return ours, theirs


async def measure(contenders: list[Handler]) -> None:
    for contender in contenders:
        await contender.environment.start()
    for _ in range(COLD):
        for contender in contenders:
            await contender.start_cold()
    for contender in contenders:
        await contender.run_warm(20)
        contender.warm.clear()
        contender.cpu.clear()
    for _ in range(ROUNDS):
        for contender in contenders:
            await contender.run_warm(WARM)
    for contender in contenders:
        await contender.environment.stop()


def compared(ours: Handler, theirs: Handler) -> str:
    def row(name: str, pick: Callable[[Handler], float]) -> str:
        mine, other = pick(ours), pick(theirs)
        return f"| {name} | {mine:.2f} | {other:.2f} | {other / mine:.1f} × |"

    return "\n".join(
        [
            f"| one event of {len(BODY)} bytes | {ours.name} | {theirs.name} | ratio |",
            "|---|---|---|---|",
            row("cold, process start to first answer, ms (median)", lambda c: median(c.cold)),
            row("warm event, ms (median)", lambda c: median(c.warm)),
            row("warm event, ms (p95)", lambda c: statistics.quantiles(c.warm, n=20)[-1]),
            row("CPU of the function an event, ms (median of rounds)", lambda c: median(c.cpu)),
        ]
    )


def median(values: list[float]) -> float:
    return statistics.median(values)


def parts() -> str:
    """Microseconds of CPU of each part of our handler, the least of several rounds."""
    given = event()
    request = ingress.Request.of(given)
    delivery = signatures.Delivery(request.headers, BODY)
    keys = signatures.Keys([SECRET])
    now = time.time()
    _, payload = ingress.read(BODY)
    rules = routing.arranged(0, routing.DEFAULTS)
    facts = extraction.facts("stripe", {}, BODY, payload)
    message = {**facts._asdict(), "source": "stripe", "body": BODY.decode()}
    text = sending.encode(message)
    parameters = {"QueueUrl": "q", "MessageBody": text, "MessageGroupId": "g"}
    content = json.dumps(parameters, separators=(",", ":")).encode()
    mine = signing.Credentials(vendor.KEY, vendor.SECRET_KEY)
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.x"}
    found = {
        "the event as a request": lambda: ingress.content(ingress.Request.of(given)),
        "verify (SHA-256 of the body, constant time)": lambda: signatures.verify(
            "stripe", delivery, keys, now
        ),
        "read the JSON": lambda: ingress.read(BODY),
        "extract and route": lambda: rules.rule(
            "stripe", extraction.facts("stripe", {}, BODY, payload).type, None, len(BODY)
        ),
        "write the message": lambda: (
            sending.encode(message),
            json.dumps(parameters, separators=(",", ":")).encode(),
        ),
        "sign for SQS (SHA-256 of the message)": lambda: signing.sign(
            *("POST", "https://sqs.us-east-1.amazonaws.com/", headers, content),
            credentials=mine,
            region="us-east-1",
            service="sqs",
        ),
        "HTTP to SQS and back, without waiting": lambda: exchange.call(
            "sqs", "SendMessage", parameters | {"QueueUrl": QUEUES["WEBHOOKS_QUEUE_URL"]}, timeout=5
        ),
    }
    times = {name: spent(work) for name, work in found.items()}
    names = list(times)
    times[names[-1]] -= times["sign for SQS (SHA-256 of the message)"]
    rows = [f"| {name} | {value:.0f} |" for name, value in times.items()]
    return "\n".join(["| part of our handler | CPU µs |", "|---|---:|", *rows])


def spent(work: Callable[[], object], count: int = 200, rounds: int = 7) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = time.thread_time_ns()
        for _ in range(count):
            work()
        best = min(best, (time.thread_time_ns() - started) / count / 1000)
    return best


def main() -> None:
    with tempfile.TemporaryDirectory() as place, services() as (_, variables):
        folder = Path(place)
        folder.chmod(0o755)
        handlers = [
            Handler(
                name,
                Version(name, "1", "app.lambda_handler", root, layers, 30.0, 1024, variables),
                b"",
            )
            for name, root, layers in zip(
                ("webhook-handler", "stripe + boto3"),
                (ROOT / "functions/webhook_handler", ROOT / "bench/webhook_peer"),
                opt(folder),
                strict=True,
            )
        ]
        asyncio.run(measure(handlers))
        print(compared(*handlers))
        os.environ |= variables
        print(f"\n{parts()}")


if __name__ == "__main__":
    main()
