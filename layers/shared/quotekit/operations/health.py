"""Is everything this house needs there, and how fast does it answer? Asked, never assumed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any, Final, Literal

from quotekit import aws, database
from quotekit.settings import queue_settings, storage_settings

type State = Literal["healthy", "degraded", "unhealthy"]
WORST_FIRST: Final[tuple[State, ...]] = ("unhealthy", "degraded", "healthy")
# Seconds a message may be old: what waits out its retries is no trouble. The alarm queue-age and
# docs/operations.md say the same.
PATIENCE: Final[Mapping[str, int]] = {
    "webhooks-critical": 2700,
    "webhooks": 2700,
    "webhooks-bulk": 2700,
    "notifications": 14_400,
}
USUAL_PATIENCE: Final = 600
LOOKED_BACK: Final = timedelta(minutes=10)
NO_FIGURE: Final = "CloudWatch has no age of the last ten minutes"


@dataclass(frozen=True, slots=True)
class Check:
    """One part: its state, how long it took to say so, what it measured, and what is wrong if
    anything.

    Of a queue, `value` is how many messages wait and `age_seconds` how old the oldest is, where
    `unknown` does not say why nobody can know; both are null of anything else."""

    name: str
    state: State
    latency_ms: float
    value: int | None
    age_seconds: int | None
    unknown: str | None
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
    age_seconds: int | None = None
    unknown: str | None = None
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
    return Check(
        name=name,
        state=found.state,
        latency_ms=milliseconds,
        value=found.value,
        age_seconds=found.age_seconds,
        unknown=found.unknown,
        reason=found.reason,
        observed_at=datetime.now(UTC),
    )


def parts() -> dict[str, Probe]:
    """Every part there is: the database, each queue and its dead letters, each bucket."""
    buckets = storage_settings()
    return {
        "database": ask_database,
        **dict(queues()),
        "bucket:documents": lambda: ask_bucket(buckets.need("documents_bucket")),
        "bucket:assets": lambda: ask_bucket(buckets.need("assets_bucket")),
    }


def queues() -> Iterator[tuple[str, Probe]]:
    """The queues this function was told of: all, as a test of the template says."""
    told = queue_settings()
    for field in type(told).model_fields:
        topic, is_url, _ = field.replace("_", "-").partition("-queue-url")
        url = getattr(told, field)
        if not (is_url and url):
            continue
        name = topic.removesuffix("-dead-letter")
        if name == topic:
            yield f"queue:{name}", partial(ask_queue, name, url)
        else:
            yield f"dead-letters:{name}", partial(dead_letters, url)


def ask_database() -> Finding:
    with database.reading(database.SERVICE) as connection:
        connection.execute("select 1")
    return Finding()


def ask_queue(name: str, queue_url: str) -> Finding:
    """A queue whose oldest message waits for too long is degraded: nobody may be taking them."""
    found = replace(depth(queue_url), **oldest(queue_url))
    patience = PATIENCE.get(name, USUAL_PATIENCE)
    if (found.age_seconds or 0) > patience:
        reason = f"the oldest message is older than {patience} seconds"
        return replace(found, state="degraded", reason=reason)
    return found


def depth(queue_url: str) -> Finding:
    """How many messages wait; SQS says it approximately."""
    answer = aws.client("sqs").get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return Finding(int(answer["Attributes"]["ApproximateNumberOfMessages"]))


def oldest(queue_url: str) -> dict[str, Any]:
    """The age of the oldest message. SQS tells it to CloudWatch alone, and some minutes late."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    now = datetime.now(UTC)
    try:
        answer = aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": queue_url.rpartition("/")[2]}],
            StartTime=now - LOOKED_BACK,
            EndTime=now,
            Period=60,
            Statistics=["Maximum"],
        )
    except (BotoCoreError, ClientError) as error:
        return {"unknown": f"CloudWatch: {type(error).__name__}"}
    if not answer["Datapoints"]:
        return {"unknown": NO_FIGURE}
    newest = max(answer["Datapoints"], key=itemgetter("Timestamp"))
    return {"age_seconds": round(newest["Maximum"])}


def dead_letters(queue_url: str) -> Finding:
    """A dead letter is work that was promised and not done: the whole is degraded until it is seen
    to."""
    found = depth(queue_url)
    if found.value:
        return replace(found, state="degraded", reason="dead letters wait to be looked at")
    return found


def ask_bucket(bucket: str) -> Finding:
    aws.client("s3").head_bucket(Bucket=bucket)
    return Finding()
