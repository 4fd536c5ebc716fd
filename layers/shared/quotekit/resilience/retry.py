"""Trying again, no longer than there is time: `for attempt in attempts(until=…): with attempt: …`.

Full jitter: the n-th pause is random up to `first` · 2ⁿ seconds, at most `longest`; never less than
the service's own Retry-After. A pause that would end after the deadline is not begun: the error
rises at once. Why not stamina: docs/decisions/0011-resilience.md.
"""

import time
from collections.abc import Callable, Iterator
from random import uniform
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from quotekit.performance import logger
from quotekit.resilience import failures

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class Policy(NamedTuple):
    attempts: int = 4
    first: float = 0.2
    longest: float = 20.0


DEFAULT: Final = Policy()


class Attempt:
    """One try; leaving its block by an error that may pass asks for another."""

    def __init__(self, number: int, pause: Callable[[int, BaseException], float | None]) -> None:
        self.number = number
        self.pause: float | None = None
        self._pause = pause

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if error is not None:
            self.pause = self._pause(self.number, error)
            if self.pause is not None:
                logger.info("trying again", error=type(error).__name__, pause=self.pause)
        return self.pause is not None


def attempts(
    policy: Policy = DEFAULT,
    *,
    until: float | None = None,
    passing: Callable[[BaseException], bool] = failures.is_passing,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Attempt]:
    """Attempts until one succeeds; the last error rises. `until` is a moment of `clock`."""

    def pause(number: int, error: BaseException) -> float | None:
        if number >= policy.attempts or not passing(error):
            return None
        most = min(policy.longest, policy.first * 2.0 ** min(number - 1, 30))
        wait = (failures.retry_after(error) or 0.0) + uniform(0, most)  # noqa: S311 - jitter
        return None if until is not None and clock() + wait >= until else wait

    for number in range(1, policy.attempts + 1):
        attempt = Attempt(number, pause)
        yield attempt
        if attempt.pause is None:
            return
        sleep(attempt.pause)


def deadline(context: "LambdaContext", *, margin: float = 1.0) -> float:
    """The moment by which a function has to be done, `margin` seconds before Lambda ends it."""
    return time.monotonic() + context.get_remaining_time_in_millis() / 1000 - margin
