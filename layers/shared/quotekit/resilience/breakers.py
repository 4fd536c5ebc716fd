"""The breakers of this process by the service they protect: `with breakers.guard("stripe"): …`."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final, Literal

from quotekit import audit
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError
from quotekit.resilience import failures, machine, repository
from quotekit.resilience.breaker import PROBE_SECONDS, Breaker, Verdict
from quotekit.resilience.machine import Profile

LONGEST_OVERRIDE: Final = 86_400.0

_breakers: Final[dict[str, Breaker]] = {}
_making: Final = Lock()


def breaker(dependency: str, profile: Profile = machine.DEFAULT) -> Breaker:
    """This process's breaker of a service; who asks first chooses the profile."""
    with _making:
        return _breakers.setdefault(dependency, Breaker(dependency, profile))


@contextmanager
def guard(
    dependency: str,
    profile: Profile = machine.DEFAULT,
    *,
    seconds: float = PROBE_SECONDS,
    verdict: Verdict = failures.verdict,
) -> Iterator[None]:
    """Call a service that keeps answering. Raises CircuitOpenError while it is left alone."""
    with breaker(dependency, profile).guard(seconds=seconds, verdict=verdict):
        yield


def forget() -> None:
    """Begin anew, as another process would."""
    _breakers.clear()


def override(
    connection: Connection,
    dependency: str,
    phase: Literal["closed", "open"],
    *,
    seconds: float,
    reason: str,
) -> None:
    """Decide for a breaker until the time is over; written down under the caller's name.

    Raises ConflictError beyond a day: what an operator forgot has to end.
    """
    if not 0 < seconds <= LONGEST_OVERRIDE:
        raise ConflictError("An override lasts at most a day.")
    found = repository.override(connection, dependency, phase=phase, seconds=seconds, reason=reason)
    details = {"dependency": dependency, "phase": phase, "seconds": seconds, "reason": reason}
    audit.record(connection, "breaker.overridden", found, details)


def lift(connection: Connection, dependency: str) -> None:
    """End an override, close the breaker and forget what it counted. Raises NotFoundError."""
    found = repository.lock(connection, dependency)
    if found is None:
        raise NotFoundError("There is no such breaker.")
    before, _ = found
    if before.phase != "closed":
        moved = repository.Transition(before.phase, "closed", "operator")
        repository.record(connection, dependency, moved)
    breaker_id = repository.lift(connection, dependency)
    audit.record(connection, "breaker.lifted", breaker_id, {"dependency": dependency})
