"""The circuit breaker's rules as functions of a state and a moment: no clock, no database.

closed ──too many failures──▶ open ──open_for──▶ half_open ──good probes or all steps──▶ closed
                                ▲─────────────a failure──────────┘

Moments are seconds since 1970 by the database's clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

type Phase = Literal["closed", "open", "half_open"]

BUCKETS: Final = 12  # a window slides by a twelfth of itself


@dataclass(frozen=True, slots=True)
class Profile:
    """When to open, for how long, and how to come back: by probes, or by growing shares."""

    name: str
    window: float = 60.0
    least_calls: int = 10
    failure_share: float = 0.5
    consecutive: int = 5
    open_for: float = 60.0
    probes: int = 3
    shares: tuple[float, ...] = ()
    step_for: float = 60.0
    step_calls: int = 5

    def bucket(self, moment: float) -> int:
        return int(moment // (self.window / BUCKETS))

    def oldest(self, now: float) -> int:
        """The first bucket that still counts."""
        return self.bucket(now) - BUCKETS + 1


DEFAULT: Final = Profile("default")
HIRING: Final = Profile("hiring", window=300.0, open_for=300.0, shares=(0.1, 0.25, 0.5, 1.0))
PROFILES: Final[Mapping[str, Profile]] = {one.name: one for one in (DEFAULT, HIRING)}


class Counts(NamedTuple):
    """Results of some calls that ended about one moment; `trailing` failures came last."""

    moment: float
    calls: int
    failures: int
    trailing: int

    def and_then(self, *, ok: bool) -> "Counts":
        trailing = 0 if ok else self.trailing + 1
        return Counts(self.moment, self.calls + 1, self.failures + (not ok), trailing)


class Override(NamedTuple):
    """What an operator decided until a moment."""

    phase: Literal["closed", "open"]
    until: float


@dataclass(frozen=True, slots=True)
class State:
    phase: Phase = "closed"
    since: float = 0.0
    generation: int = 0  # grows with every transition and step: older results no longer matter
    consecutive: int = 0
    step: int = 0
    good: int = 0
    bad: int = 0
    buckets: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # calls, failures
    probes: Mapping[str, float] = field(default_factory=dict)  # holder, when its turn ends
    override: Override | None = None

    def overridden(self, now: float) -> Override | None:
        return self.override if self.override and now < self.override.until else None

    @property
    def totals(self) -> tuple[int, int]:
        """Calls and failures in the window."""
        columns = list(zip(*self.buckets.values(), strict=True)) or [(), ()]
        return sum(columns[0]), sum(columns[1])


def entered(state: State, phase: Phase, now: float) -> State:
    """A new phase, with nothing counted yet."""
    return State(phase, now, state.generation + 1, override=state.override)


def settle(state: State, profile: Profile, now: float) -> State:
    """What time alone changes."""
    state = replace(
        state,
        override=state.overridden(now),
        buckets={k: v for k, v in state.buckets.items() if k >= profile.oldest(now)},
        probes={holder: end for holder, end in state.probes.items() if end > now},
    )
    if state.override is None and state.phase == "open" and now >= state.since + profile.open_for:
        return entered(state, "half_open", now)
    return stepped(state, profile, now)


def stepped(state: State, profile: Profile, now: float) -> State:
    """Move a recovery by shares: back when half of its calls fail, on when its step is over."""
    calls = state.good + state.bad
    if state.phase != "half_open" or not profile.shares or calls < profile.step_calls:
        return state
    if state.bad >= profile.failure_share * calls:
        return entered(state, "open", now)
    if now < state.since + profile.step_for:
        return state
    if state.step + 1 == len(profile.shares):
        return entered(state, "closed", now)
    return replace(entered(state, "half_open", now), step=state.step + 1)


def observe(state: State, profile: Profile, counted: Iterable[Counts], now: float) -> State:
    """Add results of calls that went ahead without a probe's slot; oldest first."""
    state = settle(state, profile, now)
    for counts in counted:
        state = _added(state, profile, counts, now)
    return state


def _added(state: State, profile: Profile, counts: Counts, now: float) -> State:
    bucket = profile.bucket(min(counts.moment, now))
    if state.phase == "half_open" and profile.shares:
        good = state.good + counts.calls - counts.failures
        return stepped(replace(state, good=good, bad=state.bad + counts.failures), profile, now)
    if state.phase != "closed" or bucket < profile.oldest(now):
        return state
    calls, failures = state.buckets.get(bucket, (0, 0))
    added = (calls + counts.calls, failures + counts.failures)
    unbroken = counts.trailing == counts.calls
    state = replace(
        state,
        buckets={**state.buckets, bucket: added},
        consecutive=counts.trailing + (state.consecutive if unbroken else 0),
    )
    trips = state.overridden(now) is None and failing(state, profile)
    return entered(state, "open", now) if trips else state


def failing(state: State, profile: Profile) -> bool:
    calls, failures = state.totals
    enough = calls >= profile.least_calls and failures >= profile.failure_share * calls
    return enough or state.consecutive >= profile.consecutive


def admits(state: State, profile: Profile, now: float, *, draw: float) -> bool:
    """Whether a call may go ahead without a slot; `draw` is random in [0, 1)."""
    override = state.overridden(now)
    if override:
        return override.phase == "closed"
    if state.phase == "half_open" and profile.shares:
        return draw < profile.shares[state.step]
    return state.phase == "closed"


def needs_slot(state: State, profile: Profile, now: float) -> bool:
    half_open = state.phase == "half_open" and not profile.shares
    return half_open and state.overridden(now) is None


def probed(state: State, profile: Profile, now: float, *, holder: str, seconds: float) -> State:
    """Give `holder` one of the slots of a half-open breaker, if one is free."""
    state = settle(state, profile, now)
    if not needs_slot(state, profile, now) or len(state.probes) + state.good >= profile.probes:
        return state
    return replace(state, probes={**state.probes, holder: now + seconds})


def concluded(state: State, profile: Profile, now: float, *, holder: str, ok: bool | None) -> State:
    """Take a probe's result; None gives its slot back. One that came too late counts nothing."""
    state = settle(state, profile, now)
    if holder not in state.probes:
        return state
    state = replace(state, probes={k: v for k, v in state.probes.items() if k != holder})
    if ok is None:
        return state
    if not ok:
        return entered(state, "open", now)
    state = replace(state, good=state.good + 1)
    return entered(state, "closed", now) if state.good >= profile.probes else state
