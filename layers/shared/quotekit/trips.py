"""What round trips to the database cost: counted per request, judged per connection."""

from collections import deque
from typing import Final

SAMPLES: Final = 16
ERROR_WEIGHT: Final = 0.2


class Counters:
    """What the database was asked since the last reset, and how long that took in all."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.queries = 0
        self.seconds = 0.0


counters: Final = Counters()


class Health:
    """How well one connection does, by its own round trips and its own errors."""

    def __init__(self, slow_trip: float) -> None:
        self.slow_trip = slow_trip
        self.trips: deque[float] = deque(maxlen=SAMPLES)
        self.error_rate = 0.0

    def record(self, seconds: float) -> None:
        self.error_rate -= ERROR_WEIGHT * self.error_rate
        self.trips.append(seconds)

    def record_failure(self) -> None:
        self.error_rate += ERROR_WEIGHT * (1 - self.error_rate)

    @property
    def latency(self) -> float:
        """Seconds of the path: the fastest of the last trips, as a slow query is no slow path."""
        return min(tuple(self.trips), default=0.0)  # a copy: others may append meanwhile

    @property
    def score(self) -> int:
        """100 is a fast path without errors, 0 a useless one."""
        speed = self.slow_trip / max(self.slow_trip, self.latency)
        return round(100 * (1 - self.error_rate) * speed)
