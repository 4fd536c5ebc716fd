"""A scenario against the running stack: prepared, driven by Locust, looked up, judged."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg

from load import failing
from load.gates import Facts, Sample
from load.scenarios import Phase, Scenario
from local.settings import ROOT, TOOLS, WEBHOOK_SECRETS

LOCUST: Final = TOOLS / "load/bin/locust"
LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
ORIGIN: Final = "https://load.test"
QUIET: Final = 30.0  # seconds without progress after which what is missing is lost
SETTLED: Final = """
select count(*) from ops.webhook_events
where event_id = any(%s) and status in ('applied', 'stale', 'ignored', 'dead')
"""


class LoadError(Exception):
    """Nothing can be measured, and why."""


@dataclass(frozen=True)
class Stack:
    """The running stack, from its stack.json."""

    facts: Mapping[str, str]

    @classmethod
    def running(cls, folder: Path) -> "Stack":
        try:
            facts = json.loads((folder / "stack.json").read_text())
        except FileNotFoundError:
            raise LoadError("no stack is running here; start one with `make run`") from None
        if urlsplit(facts["api_url"]).hostname not in LOOPBACK:
            raise LoadError("load is for the stack on this machine only")
        return cls(facts)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.facts["database_url"]) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def write(self, query: str, *values: object) -> None:
        with psycopg.connect(self.facts["database_url"]) as connection:
            connection.execute(query.encode(), values)

    def token(self, account: str) -> str:
        asked = {"sub": account, "account_id": account, "lifetime": 3600}
        answer = httpx.post(f"{self.facts['issuer_url']}/token", json=asked)
        answer.raise_for_status()
        return str(answer.json()["access_token"])


def run(stack: Stack, scenario: Scenario, *, scale: float, longest: float) -> Facts:
    """Raises LoadError when Locust did not get as far as measuring."""
    name, account = f"load-{uuid4().hex[:10]}", str(uuid4())
    phases = scenario.scaled(scale, longest)
    needs_stripe = any(phase.behaviour == "portal" for phase in phases)
    surroundings: AbstractContextManager[failing.Failing | None] = (
        failing.stripe(stack, account, origin=ORIGIN) if needs_stripe else nullcontext()
    )
    with surroundings as stripe, tempfile.TemporaryDirectory(prefix="quotekit-load-") as folder:
        plan = {
            "run": name,
            "api_url": stack.facts["api_url"],
            "token": stack.token(account),
            "origin": ORIGIN,
            "secrets": {source: known["secrets"][0] for source, known in secrets().items()},
            "phases": [asdict(phase) for phase in phases],
            "measured": str(Path(folder, "measured.json")),
        }
        measured = drive(plan, Path(folder), phases)
    samples = [Sample(*sample) for sample in measured["samples"]]
    if not samples:
        raise LoadError("Locust sent nothing")
    facts: dict[str, Any] = {"samples": samples}
    if any(phase.behaviour in {"webhooks", "priorities"} for phase in phases):
        facts |= delivered(stack, measured["accepted"])
    if measured["keys"]:
        facts |= repeated(stack, account, measured["keys"])
    if stripe is not None:
        facts |= rescued(stripe.failed, measured["outcomes"])
    opened = "select count(*) from ops.breaker_transitions where to_phase = 'open'"
    ((facts["opens"],),) = stack.rows(
        f"{opened} and occurred_at >= to_timestamp(%s)", measured["began"]
    )
    return Facts(**facts)


def secrets() -> dict[str, Any]:
    return {source: WEBHOOK_SECRETS[source] for source in ("github", "stripe")}


def drive(plan: Mapping[str, Any], folder: Path, phases: list[Phase]) -> dict[str, Any]:
    (folder / "plan.json").write_text(json.dumps(plan))
    seconds = sum(phase.seconds for phase in phases) + 120
    log = folder / "locust.log"
    with log.open("w") as output:
        done = subprocess.run(
            [LOCUST, "-f", ROOT / "load/locustfile.py", "--headless", "--only-summary"],
            env={**os.environ, "LOAD_PLAN": str(folder / "plan.json")},
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    try:
        measured: dict[str, Any] = json.loads(Path(plan["measured"]).read_text())
    except FileNotFoundError:
        said = log.read_text()[-2000:]
        raise LoadError(f"Locust ended with {done.returncode}:\n{said}") from None
    return measured


def delivered(stack: Stack, accepted: list[str]) -> dict[str, Any]:
    """What became of the events that were answered 200, once the queues have been worked off."""
    settled, moved = 0, time.monotonic()
    while settled < len(accepted) and time.monotonic() < moved + QUIET:
        ((found,),) = stack.rows(SETTLED, accepted)
        if found > settled:
            settled, moved = found, time.monotonic()
        time.sleep(0.25)
    waits: dict[str, list[float]] = {}
    for queue, waited in stack.rows(WAITS, accepted):
        waits.setdefault(CLASSES[queue], []).append(float(waited))
    return {"accepted": len(accepted), "settled": settled, "waits": waits}


CLASSES: Final = {"webhooks_critical": "critical", "webhooks": "standard", "webhooks_bulk": "bulk"}
WAITS: Final = """
select event.queue, extract(epoch from attempt.started_at - event.received_at)
from ops.webhook_events as event
join ops.webhook_attempts as attempt on attempt.webhook_id = event.id and attempt.number = 1
where event.event_id = any(%s)
"""


def repeated(stack: Stack, account: str, keys: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    made = dict(
        stack.rows(
            "select name, count(*) from app.clients where account_id = %s group by name", account
        )
    )
    replayed = sum(key["replayed"] for key in keys.values())
    return {
        "repeats": sum(max(0, key["answers"] - 1) for key in keys.values()),
        "replayed": replayed,
        "detected": replayed + sum(key["waiting"] for key in keys.values()),
        "effects": {key: made.get(key, 0) for key, seen in keys.items() if seen["answers"]},
    }


def rescued(failed: set[str], outcomes: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Of the requests that met a failure of Stripe's: who got his answer in the end, by our retry
    or by coming again once as he was told. Who met only the open breaker is `refused`."""
    met = failed & outcomes.keys()
    return {
        "met_failure": len(met),
        "rescued": sum(outcomes[name]["status"] == 200 for name in met),
        "refused": sum(
            outcome["status"] != 200 for name, outcome in outcomes.items() if name not in met
        ),
    }
