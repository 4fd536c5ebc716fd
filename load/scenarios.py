"""The scenarios of the specification (§2.8): who sends how much for how long, and the gates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from load import gates
from load.gates import Facts, Gate


@dataclass(frozen=True)
class Phase:
    """So many users for so long: in all so many requests a second, or as fast as answers come;
    or until so many requests are done. After an answer a user rests for `pause` seconds.
    `behaviour` is what each does, in load/locustfile.py."""

    name: str
    behaviour: str
    users: int
    seconds: float
    rate: float | None = None
    requests: int | None = None
    pause: float = 0.0
    body_bytes: int = 0
    keys: int = 0

    def scaled(self, scale: float, share: float) -> "Phase":
        """With so many of the users and requests, for a share of the time."""

        def fewer(count: float) -> int:
            return max(1, round(count * scale))

        return replace(
            self,
            users=fewer(self.users),
            seconds=self.seconds * share,
            rate=None if self.rate is None else max(1.0, self.rate * scale),
            requests=None if self.requests is None else fewer(self.requests),
        )


@dataclass(frozen=True)
class Scenario:
    name: str
    said: str
    phases: Sequence[Phase]
    gates: Sequence[Gate]
    notes: Sequence[Callable[[Facts], str]] = ()

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)

    def scaled(self, scale: float, longest: float) -> list[Phase]:
        """So that all of it takes no longer; each phase keeps its part of the time."""
        share = min(1.0, longest / self.seconds)
        return [phase.scaled(scale, share) for phase in self.phases]


def limit(name: str, most: float, unit: str, measure: Callable[[Facts], float | None]) -> Gate:
    return Gate(name, most, unit, measure)


def errors(most: float) -> Gate:
    return limit("errors", most, "%", gates.errors)


def p95(most: float) -> Gate:
    return limit("p95", most, "s", gates.latency(95))


def queue_wait(most: float) -> Gate:
    return limit("queue wait p95", most, "s", gates.wait)


# Stronger than the specification's own, and its proposal: what was accepted is there in the end.
NOTHING_LOST: Final = Gate("accepted and not settled", 0, "", gates.lost, "=")
ONCE: Final = Gate("side effects beyond one for a key", 0, "", gates.races, "=")
NONE_MISSING: Final = Gate("keys without a side effect", 0, "", gates.missing, "=")


def who_was_refused(facts: Facts) -> str:
    return (
        f"refused without having met a failure, by an open breaker or the gateway: {facts.refused}"
    )


def where_it_doubles(facts: Facts) -> str:
    users = gates.doubled_at(facts.samples)
    if users is None:
        return "latency stayed below twice that of the first 100 answers"
    return f"latency is twice that of the first 100 answers at {users} users"


def together(name: str, users: int, seconds: float, *, body_bytes: int = 0) -> Phase:
    """Users who rest for a second between two requests."""
    return Phase(name, "webhooks", users, seconds, pause=1.0, body_bytes=body_bytes)


def staircase(users: Sequence[int], seconds: float, *, large_above: int) -> list[Phase]:
    """Bodies of 50 KB above so many users."""
    return [
        together(f"{count} users", count, seconds, body_bytes=50_000 * (count > large_above))
        for count in users
    ]


def quick(requests: int, users: int) -> Phase:
    return Phase(f"{requests}/{users}", "webhooks", users, 120, requests=requests)


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "sustained",
            "100 req/s, 5 min",
            [Phase("steady", "webhooks", 50, 300, rate=100)],
            [errors(1), p95(2), NOTHING_LOST],
        ),
        Scenario(
            "burst",
            "1,000 requests in 10 s, 100 users",
            [Phase("burst", "webhooks", 100, 10, rate=100, requests=1000)],
            [
                errors(5),
                p95(3),
                Gate("answers 429", 0, "", gates.told_to_slow_down, "="),
                NOTHING_LOST,
            ],
        ),
        Scenario(
            "concurrent",
            "50 users, 2 min",
            [together("together", 50, 120)],
            [errors(1), p95(2), queue_wait(1.5), NOTHING_LOST],
        ),
        Scenario(
            "breaker",
            "50 req/s, 3 min, 20 % injected failures",
            [Phase("failing", "portal", 25, 180, rate=50)],
            [
                limit("breaker opened", 10, "times", lambda facts: facts.opens),
                Gate(
                    "rescued of those that met a failure",
                    80,
                    "%",
                    lambda facts: gates.ratio(facts.rescued, facts.met_failure),
                    ">",
                ),
            ],
            notes=[who_was_refused],
        ),
        Scenario(
            "stress",
            "0 -> 300 users, ~30 min, 50 KB bodies above 150",
            staircase([10, 30, 60, 100, 125, 150, 175, 200, 250, 300], 180, large_above=150),
            [errors(50), limit("p50", 5, "s", gates.latency(50)), NOTHING_LOST],
            notes=[where_it_doubles],
        ),
        Scenario(
            "concurrency-discovery",
            "ramp 10/30/50/75 over 4 min; 40 users 3 min; 100 users x 1,000; "
            "50 users x 10 by priority",
            [
                *(together(f"ramp {users}", users, 60) for users in (10, 30, 50, 75)),
                together("40 users", 40, 180),
                Phase("100 users x 1,000", "webhooks", 100, 600, requests=1000),
                Phase("by priority", "priorities", 50, 120, requests=500),
            ],
            [
                p95(3),
                limit("failures", 10, "%", gates.errors),
                Gate("successes", 90, "%", gates.successes, ">"),
                limit("in flight at most", 100, "", gates.in_flight),
                limit("throttled", 100, "", gates.throttled),
                limit("breaker opened", 5, "times", lambda facts: facts.opens),
                queue_wait(10),
                Gate("critical waits less than bulk, p95", 0, "s", gates.advantage, ">"),
                NOTHING_LOST,
            ],
        ),
        Scenario(
            "idempotency",
            "100 req/s 2 min on 10 rotating keys; 50 users x 1,000 on 5 keys; 20 x 5 on 3 keys; "
            "spike 1,000 users",
            [
                Phase("rotating", "keyed", 50, 120, rate=100, keys=10),
                Phase("50 users", "keyed", 50, 120, requests=1000, keys=5),
                Phase("20 x 5", "keyed", 20, 30, requests=100, keys=3),
                Phase("spike", "keyed", 1000, 30, requests=1000, keys=10),
            ],
            [
                errors(1),
                p95(2),
                Gate(
                    "duplicates detected",
                    80,
                    "%",
                    lambda facts: gates.ratio(facts.detected, facts.repeats),
                    ">",
                ),
                Gate(
                    "answered from what is kept",
                    70,
                    "%",
                    lambda facts: gates.ratio(facts.replayed, facts.repeats),
                    ">",
                ),
                limit("races", 10, "", gates.races),
                ONCE,
                NONE_MISSING,
            ],
        ),
        Scenario(
            "quick",
            "10/2, 100/10, 50/50, 500/25 (requests/concurrency)",
            [quick(10, 2), quick(100, 10), quick(50, 50), quick(500, 25)],
            [Gate("errors", 0, "%", gates.errors, "="), NOTHING_LOST],
        ),
    )
}
