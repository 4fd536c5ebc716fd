"""What a run measured, and the gates it must pass. Pure arithmetic: no network, no clock."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from math import ceil
from typing import NamedTuple


class Sample(NamedTuple):
    """One request: when it was sent (seconds from the start), how long it took, its answer.

    `status` is 0 where nothing came back. `failed` is said by whoever sent it: some answers that
    are no success are what was asked for. `throttled` is a refusal of the gateway's own."""

    at: float
    seconds: float
    status: int
    failed: bool
    throttled: bool = False
    phase: str = ""
    users: int = 0


@dataclass(frozen=True)
class Facts:
    """A run. What a scenario does not measure is None, and a gate on it does not pass."""

    samples: Sequence[Sample]
    accepted: int | None = None
    settled: int | None = None
    """Events applied, stale, ignored or dead, of those that were accepted."""
    waits: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Seconds between acceptance and a worker's start, by class of queue."""
    opens: int | None = None
    met_failure: int | None = None
    rescued: int | None = None
    refused: int | None = None
    repeats: int | None = None
    detected: int | None = None
    replayed: int | None = None
    effects: Mapping[str, int] | None = None
    """Side effects by idempotency key."""


@dataclass(frozen=True)
class Gate:
    """`measure` gives None where there is nothing to measure."""

    name: str
    limit: float
    unit: str
    measure: Callable[[Facts], float | None]
    compare: str = "<"

    def judge(self, facts: Facts) -> "Verdict":
        measured = self.measure(facts)
        return Verdict(self, measured, measured is not None and self._holds(measured))

    def _holds(self, measured: float) -> bool:
        match self.compare:
            case "<":
                return measured < self.limit
            case ">":
                return measured > self.limit
            case _:
                return measured == self.limit

    def __str__(self) -> str:
        return f"{self.name} {self.compare} {shown(self.limit, self.unit)}"


class Verdict(NamedTuple):
    gate: Gate
    measured: float | None
    passed: bool

    def __str__(self) -> str:
        word = "pass" if self.passed else "FAIL"
        found = "not measured" if self.measured is None else shown(self.measured, self.gate.unit)
        return f"  {word}  {self.gate!s:<42} {found}"


def shown(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".strip() if value != int(value) else f"{int(value)} {unit}".strip()


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest rank: the smallest value that so many percent do not exceed."""
    if not values:
        return None
    ranked = sorted(values)
    return ranked[max(0, ceil(len(ranked) * share / 100) - 1)]


def ratio(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else 100 * part / whole


def errors(facts: Facts) -> float | None:
    return ratio(sum(sample.failed for sample in facts.samples), len(facts.samples))


def successes(facts: Facts) -> float | None:
    return ratio(sum(not sample.failed for sample in facts.samples), len(facts.samples))


def latency(share: float) -> Callable[[Facts], float | None]:
    """Of the answers; what never answered is an error, not a time."""
    return lambda facts: percentile([s.seconds for s in facts.samples if s.status], share)


def throttled(facts: Facts) -> float:
    return sum(sample.throttled for sample in facts.samples)


def told_to_slow_down(facts: Facts) -> float:
    return sum(sample.status == HTTPStatus.TOO_MANY_REQUESTS for sample in facts.samples)


def in_flight(facts: Facts) -> float | None:
    """The most requests that were under way at once."""
    edges = Counter[tuple[float, int]]()
    for sample in facts.samples:
        edges[sample.at, 1] += 1
        edges[sample.at + sample.seconds, -1] += 1
    most = now = 0
    for (_, step), count in sorted(edges.items()):  # at one moment what ends goes first
        now += step * count
        most = max(most, now)
    return most if facts.samples else None


def wait(facts: Facts) -> float | None:
    return percentile([second for waits in facts.waits.values() for second in waits], 95)


def lost(facts: Facts) -> float | None:
    if facts.accepted is None or facts.settled is None:
        return None
    return facts.accepted - facts.settled


def advantage(facts: Facts) -> float | None:
    """Seconds by which the critical class waits less than the bulk class, both at p95."""
    first, last = (percentile(facts.waits.get(name, ()), 95) for name in ("critical", "bulk"))
    return None if first is None or last is None else last - first


def races(facts: Facts) -> float | None:
    """Side effects beyond the one that each key may have."""
    if facts.effects is None:
        return None
    return sum(max(0, count - 1) for count in facts.effects.values())


def missing(facts: Facts) -> float | None:
    """Keys that were answered and have no side effect."""
    if facts.effects is None:
        return None
    return sum(count == 0 for count in facts.effects.values())


def doubled_at(samples: Sequence[Sample], *, first: int = 100) -> int | None:
    """The number of users at which latency is twice that of the first so many answers, by the
    median of the answers at each number; None when it never is."""
    answered = sorted((s for s in samples if s.status), key=lambda sample: sample.at)
    base = percentile([sample.seconds for sample in answered[:first]], 50)
    if base is None:
        return None
    by_users: dict[int, list[float]] = {}
    for sample in answered[first:]:
        by_users.setdefault(sample.users, []).append(sample.seconds)
    found = (
        users
        for users, seconds in sorted(by_users.items())
        if (percentile(seconds, 50) or 0) >= 2 * base
    )
    return next(found, None)
