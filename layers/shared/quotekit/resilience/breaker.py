"""A circuit breaker that all processes share.

Results are counted here and told to the database with the next look at it: one look at most every
`CACHE_SECONDS`, and one at once when a call fails, when a probe is wanted and when one ends. So a
call through a closed breaker costs no query, and what another process opened is seen that late at
most. When the database is away the breaker fails open: it goes on with its own copy of the state
and its own counts, so that calls pass until this process has itself seen enough of them fail.

Not inside a transaction: it would wait for the connection that its own caller holds.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import random
from threading import Lock
from typing import Final, NamedTuple
from uuid import uuid4

import psycopg
from psycopg.errors import LockNotAvailable

from quotekit import database
from quotekit.errors import DatabaseUnavailableError, ServiceUnavailableError
from quotekit.resilience import failures, machine, repository, signals
from quotekit.resilience.machine import Counts, Phase, Profile, State
from quotekit.resilience.repository import Transition

CACHE_SECONDS: Final = 2.0
AWAY_SECONDS: Final = 5.0  # how long a database that did not answer is left alone
PROBE_SECONDS: Final = 35.0  # a call's 30 and a margin; the slot of a probe that died comes back
AWAY: Final = (DatabaseUnavailableError, psycopg.OperationalError)
BUSY_SECONDS: Final = 1.0  # when all probes are out, or others keep the state to themselves
CONCLUDING_ATTEMPTS: Final = 3  # the others wait for a probe's result

type Step = Callable[[State, float], State]
type Verdict = Callable[[BaseException], bool | None]


class CircuitOpenError(ServiceUnavailableError):
    """A service this needs keeps failing; it is left alone for a while."""

    def __init__(self, dependency: str, seconds: float) -> None:
        super().__init__()
        self.dependency = dependency
        self.retry_after = max(1, round(seconds))  # type: ignore[misc]  # each its own


class Ticket(NamedTuple):
    """Leave for one call: under which generation, and as which probe if any."""

    generation: int
    holder: str | None = None


class Breaker:
    """One process's side of a shared breaker; its threads share it."""

    def __init__(self, dependency: str, profile: Profile = machine.DEFAULT) -> None:
        self.dependency = dependency
        self.profile = profile
        self.state = State()
        self._lock = Lock()
        self._counted: list[Counts] = []  # what the others were not told yet,
        self._generation = 0  # and the shared generation it belongs to
        self._looked_at = float("-inf")
        self._away_until = float("-inf")
        self._offset = 0.0  # the database's clock minus ours

    @contextmanager
    def guard(
        self, *, seconds: float = PROBE_SECONDS, verdict: Verdict = failures.verdict
    ) -> Iterator[None]:
        """Do a call that ends within `seconds`. Raises CircuitOpenError instead of it."""
        ticket = self.enter(seconds)
        try:
            yield
        except BaseException as error:
            self.leave(ticket, ok=verdict(error))
            raise
        self.leave(ticket, ok=True)

    def enter(self, seconds: float = PROBE_SECONDS) -> Ticket:
        """Leave to call; give it back by `leave`. Raises CircuitOpenError."""
        if not 0 <= time.time() - self._looked_at < CACHE_SECONDS:
            self._look()
        now = self._now()
        state = machine.settle(self.state, self.profile, now)
        if state.phase != "closed" and machine.needs_slot(state, self.profile, now):
            return self._probe(seconds)
        return self._admitted(state, now)

    def leave(self, ticket: Ticket, *, ok: bool | None) -> None:
        """Say what the call came to; None when it says nothing about the service."""
        holder = ticket.holder
        if holder is not None:
            self._conclude(holder, ok=ok)
        elif ok is not None:
            was = self._count(ticket, ok=ok)
            if was is not None:
                self._exchange(self._settled, reason="calls", was=was)

    def _count(self, ticket: Ticket, *, ok: bool) -> Phase | None:
        """Count a result; the phase before it when the others have to hear of it now."""
        now = self._now()
        with self._lock:
            before = machine.settle(self.state, self.profile, now)
            if ticket.generation != before.generation:
                return None
            last = self._counted[-1] if self._counted else Counts(now, 0, 0, 0)
            if self.profile.bucket(last.moment) == self.profile.bucket(now):
                self._counted[-1:] = [last.and_then(ok=ok)]
            else:
                self._counted.append(Counts(now, 0, 0, 0).and_then(ok=ok))
            single = Counts(now, 0, 0, 0).and_then(ok=ok)
            self.state = machine.observe(before, self.profile, [single], now)
        return None if ok and before.phase == "closed" else before.phase

    def _probe(self, seconds: float) -> Ticket:
        holder = uuid4().hex

        def probed(state: State, now: float) -> State:
            return machine.probed(state, self.profile, now, holder=holder, seconds=seconds)

        state = self._exchange(probed, reason="time")
        if state is None:
            raise self._refuse(BUSY_SECONDS)
        if holder in state.probes:
            return Ticket(state.generation, holder)
        return self._admitted(state, self._now())  # it may have closed in the meantime

    def _conclude(self, holder: str, *, ok: bool | None) -> None:
        def concluded(state: State, now: float) -> State:
            return machine.concluded(state, self.profile, now, holder=holder, ok=ok)

        for _ in range(CONCLUDING_ATTEMPTS):
            if self._exchange(concluded, reason="probe") is not None:
                return

    def _admitted(self, state: State, now: float) -> Ticket:
        if machine.admits(state, self.profile, now, draw=random()):  # noqa: S311 - no secret
            return Ticket(state.generation)
        override = state.overridden(now)
        if override:
            raise self._refuse(override.until - now)
        opens = state.since + self.profile.open_for - now
        raise self._refuse(opens if state.phase == "open" else BUSY_SECONDS)

    def _refuse(self, seconds: float) -> CircuitOpenError:
        signals.count("BreakerRefusals", dependency=self.dependency)
        return CircuitOpenError(self.dependency, seconds)

    def _look(self) -> None:
        """See what the others did; tell them what was counted, if anything was."""
        if self._counted or self.state.phase != "closed":
            self._exchange(self._settled, reason="time")
        elif not self._is_away():
            try:
                with database.reading(database.SERVICE) as connection:
                    self._take(*repository.read(connection, self.dependency))
            except AWAY:
                self._lose()

    def _exchange(
        self, step: Step, *, reason: signals.Reason, was: Phase | None = None
    ) -> State | None:
        """Do a step on the shared state after what was counted here, or else on our own copy.

        None when another process keeps the state to itself: what was counted waits."""
        if self._is_away():
            return self._alone(step, was or self.state.phase)
        with self._lock:
            counted, self._counted = self._counted, []
        try:
            return self._share(step, counted, reason)
        except AWAY as error:
            with self._lock:
                self._counted = (counted + self._counted)[-machine.BUCKETS :]
                self._looked_at = time.time()
            if isinstance(error, LockNotAvailable):
                return None
        self._lose()
        return self._alone(step, was or self.state.phase)

    def _share(self, step: Step, counted: list[Counts], reason: signals.Reason) -> State:
        with database.transaction(database.SERVICE) as connection:
            known = repository.lock(connection, self.dependency)
            before, now = known or repository.lock_new(
                connection, self.dependency, self.profile.name
            )
            heard = before
            if before.generation == self._generation:
                heard = machine.observe(before, self.profile, counted, now)
            after = step(heard, now)
            if after != before:
                repository.save(connection, self.dependency, self.profile.name, after)
            if after.phase != before.phase:
                moved = _transition(before, after, counted, reason)
                repository.record(connection, self.dependency, moved)
        self._take(after, now)
        signals.moved(self.dependency, before.phase, after.phase, shared=True)
        return after

    def _alone(self, step: Step, was: Phase) -> State:
        with self._lock:
            now = self._now()
            after = self.state = step(machine.settle(self.state, self.profile, now), now)
        signals.moved(self.dependency, was, after.phase, shared=False)
        return after

    def _settled(self, state: State, now: float) -> State:
        return machine.settle(state, self.profile, now)

    def _take(self, state: State, now: float) -> None:
        with self._lock:
            if state.generation != self._generation:
                self._counted = []
            self.state, self._generation = state, state.generation
            self._offset = now - time.time()
            self._looked_at = time.time()

    def _lose(self) -> None:
        self._away_until = time.time() + AWAY_SECONDS

    def _is_away(self) -> bool:
        return 0 < self._away_until - time.time() <= AWAY_SECONDS

    def _now(self) -> float:
        return time.time() + self._offset


def _transition(
    before: State, after: State, counted: list[Counts], reason: signals.Reason
) -> Transition:
    if not (before.phase == "closed" and after.phase == "open"):
        return Transition(before.phase, after.phase, reason)
    calls, bad = before.totals
    calls += sum(counts.calls for counts in counted)
    bad += sum(counts.failures for counts in counted)
    return Transition(before.phase, after.phase, "calls", calls, bad)
