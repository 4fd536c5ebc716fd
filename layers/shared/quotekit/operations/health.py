"""Is everything this house needs there, and how fast does it answer? Asked, never assumed."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from quotekit import aws, database
from quotekit.settings import queue_settings, storage_settings

type State = Literal["healthy", "degraded", "unhealthy"]
WORST_FIRST: Final[tuple[State, ...]] = ("unhealthy", "degraded", "healthy")


@dataclass(frozen=True, slots=True)
class Check:
    """One part: its state, how long it took to say so, what it measured, and what is wrong if
    anything."""

    name: str
    state: State
    latency_ms: float
    value: int | None
    reason: str | None
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """The worst of the parts is the state of the whole."""

    status: State
    checks: Sequence[Check]
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    value: int | None = None
    state: State = "healthy"
    reason: str | None = None


type Probe = Callable[[], Finding]


def examine(probes: dict[str, Probe]) -> Health:
    """Ask all parts at once; one that raises is unhealthy, and says by which error."""
    with ThreadPoolExecutor(max_workers=len(probes)) as pool:
        checks = tuple(pool.map(lambda item: check(*item), probes.items()))
    states = {found.state for found in checks}
    status = next(state for state in WORST_FIRST if state in states)
    return Health(status, checks, datetime.now(UTC))


def check(name: str, probe: Probe) -> Check:
    started = time.perf_counter()
    try:
        found = probe()
    except Exception as error:  # noqa: BLE001 - whatever a part raises is what we came to hear
        found = Finding(state="unhealthy", reason=type(error).__name__)
    milliseconds = round((time.perf_counter() - started) * 1000, 3)
    return Check(name, found.state, milliseconds, found.value, found.reason, datetime.now(UTC))


def parts() -> dict[str, Probe]:
    """Every part there is: the database, each queue and its dead letters, each bucket."""
    queues, buckets = queue_settings(), storage_settings()
    return {
        "database": ask_database,
        "queue:mail": lambda: depth(queues.need("mail_queue_url")),
        "queue:pdf": lambda: depth(queues.need("pdf_queue_url")),
        "dead-letters:mail": lambda: dead_letters(queues.need("mail_dead_letter_queue_url")),
        "dead-letters:pdf": lambda: dead_letters(queues.need("pdf_dead_letter_queue_url")),
        "bucket:documents": lambda: ask_bucket(buckets.need("documents_bucket")),
        "bucket:assets": lambda: ask_bucket(buckets.need("assets_bucket")),
    }


def ask_database() -> Finding:
    with database.reading(database.SERVICE) as connection:
        connection.execute("select 1")
    return Finding()


def depth(queue_url: str) -> Finding:
    """How many messages wait; SQS says it approximately."""
    answer = aws.client("sqs").get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return Finding(int(answer["Attributes"]["ApproximateNumberOfMessages"]))


def dead_letters(queue_url: str) -> Finding:
    """A dead letter is work that was promised and not done: the whole is degraded until it is seen
    to."""
    found = depth(queue_url)
    if found.value:
        return Finding(found.value, "degraded", "dead letters wait to be looked at")
    return found


def ask_bucket(bucket: str) -> Finding:
    aws.client("s3").head_bucket(Bucket=bucket)
    return Finding()
