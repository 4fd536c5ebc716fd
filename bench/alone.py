"""The worker of webhooks by itself: batches of ten to its function in awslambdaric."""

import asyncio
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from bench import create, senders, stages
from bench.stages import Clock
from local.environment import Environment
from local.invocation import REGION, Call, Version
from local.settings import ROOT
from quotekit.webhooks import extraction, routing, sending

ROUNDS: Final = 6
BATCHES: Final = 40
RULES: Final = routing.arranged(0, routing.DEFAULTS)
# Delivered this often, a message takes no others along: each event is a transaction of its own.
ALONE: Final = 11


def message(sent: senders.Sent) -> str:
    """What the handler puts on a queue for an event."""
    payload = json.loads(sent.body)
    facts = extraction.facts(sent.source, sent.headers, sent.body, payload)
    rule = RULES.rule(sent.source, facts.type, facts.action, len(sent.body))
    tenant = sent.path.rpartition("/")[2] if sent.source == "standard" else None
    return sending.encode(
        {
            "source": sent.source,
            **{name: value for name, value in facts._asdict().items() if name != "group"},
            "received_at": datetime.now(UTC).isoformat(),
            "account_id": tenant,
            "endpoint_id": tenant,
            "handler": rule.handler,
            "debounce_seconds": rule.debounce_seconds,
            "signature_key": 0,
            "body": sent.body.decode(),
        }
    )


def batch(events: Iterator[senders.Sent], receives: int) -> bytes:
    template = json.loads((ROOT / "events/webhook_worker.json").read_text())["Records"][0]
    template["attributes"]["ApproximateReceiveCount"] = str(receives)
    template["eventSourceARN"] = f"arn:aws:sqs:{REGION}:000000000000:bench-webhooks"
    records = [
        template | {"messageId": str(number), "body": message(next(events))} for number in range(10)
    ]
    return json.dumps({"Records": records}).encode()


async def invoke(environment: Environment, payload: bytes) -> None:
    outcome = await environment.invoke(Call(payload, environment.version.arn("live")))
    if outcome.error or json.loads(outcome.payload) != {"batchItemFailures": []}:
        raise SystemExit(f"{outcome.payload[:2000]!r}\n{outcome.log[-3000:]}")


@dataclass
class Way:
    """One way to give the worker its batches, and what the rounds of it came to."""

    name: str
    environments: Sequence[Environment]
    receives: int = 1
    rates: list[float] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    async def round(self, events: Iterator[senders.Sent], postgres: int) -> None:
        count = BATCHES * len(self.environments)
        payloads = iter([batch(events, self.receives) for _ in range(count)])
        pids = [one._process.pid for one in self.environments]  # noqa: SLF001
        clock = Clock({"worker": lambda: pids, "postgres": lambda: stages.with_children(postgres)})
        async with asyncio.TaskGroup() as group:
            for environment in self.environments:
                group.create_task(self._drain(environment, payloads))
        spent = clock.read()
        self.rates.append(count * 10 / spent.seconds)
        self.others.append(spent.others / spent.seconds)
        self.cpu.append({name: used * 100 / count for name, used in spent.by_group.items()})

    async def _drain(self, environment: Environment, payloads: Iterator[bytes]) -> None:
        for payload in payloads:
            await invoke(environment, payload)

    def row(self) -> str:
        rates = sorted(self.rates)
        worker, postgres = (
            statistics.median(spent[name] for spent in self.cpu) for name in ("worker", "postgres")
        )
        return (
            f"| {self.name} | {statistics.median(rates):.0f} | {rates[0]:.0f}-{rates[-1]:.0f}"
            f" | {worker:.2f} | {postgres:.2f} | {statistics.median(self.others):.1f} |"
        )


async def measure(version: Version, postgres: int) -> list[str]:
    """The worker without queue and front, round by round in turns."""
    environments = [
        Environment(version, create.RUNTIME, {}, lambda *_: None, freeze=False) for _ in range(2)
    ]
    events = senders.events()
    for environment in environments:
        failure = await environment.start()
        if failure:
            raise SystemExit(f"{failure.payload!r}\n{failure.log}")
        for receives in (1, ALONE) * 3:
            await invoke(environment, batch(events, receives))
    ways = [
        Way("each event by itself, one sandbox", environments[:1], ALONE),
        Way("ten in a transaction, one sandbox", environments[:1]),
        Way("ten in a transaction, two sandboxes", environments),
    ]
    for _ in range(ROUNDS):
        for way in ways:
            await way.round(events, postgres)
    for environment in environments:
        await environment.stop()
    return table(ways)


def table(ways: Sequence[Way]) -> list[str]:
    head = (
        "| batches of ten | events/s | least to most | CPU ms an event: worker | PostgreSQL"
        " | cores taken by others |"
    )
    return [head, "|---|---:|---:|---:|---:|---:|", *(way.row() for way in ways)]
