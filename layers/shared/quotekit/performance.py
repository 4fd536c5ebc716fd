"""What a function says about itself: one logger, one set of metrics, measured and never guessed.

Metrics go out in CloudWatch's embedded metric format, one line an invocation, once by `service` and
once by `service` and `route`: Duration (ms), ColdStart (0 or 1), Queries (statements sent to
PostgreSQL), DatabaseTime (ms), MemoryUsed (peak of the process, MiB), Errors (0 or 1: an answer of
500 or more, or an exception).
"""

import gc
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from quotekit import database

logger = Logger()
metrics = Metrics()

_sandbox = {"cold": True}


class Measured:
    """One invocation while it runs; the door names its route and says when it failed."""

    def __init__(self, route: str) -> None:
        self.route = route
        self.failed = False


@contextmanager
def measured(route: str) -> Iterator[Measured]:
    """Measure what runs inside and record it as metrics, also when it raises."""
    request = Measured(route)
    database.counters.reset()
    started = time.perf_counter()
    try:
        yield request
    except BaseException:
        request.failed = True
        raise
    finally:
        record(request, milliseconds=(time.perf_counter() - started) * 1000)


def record(request: Measured, *, milliseconds: float) -> None:
    cold, _sandbox["cold"] = _sandbox["cold"], False
    if cold:
        gc.freeze()  # what the start made stays; see quotekit/__init__.py
        gc.enable()
    metrics.add_dimension(name="route", value=request.route)
    metrics.add_dimensions(service=metrics.service or "unknown")
    metrics.add_metric("Duration", MetricUnit.Milliseconds, milliseconds)
    metrics.add_metric("ColdStart", MetricUnit.Count, float(cold))
    metrics.add_metric("Queries", MetricUnit.Count, float(database.counters.queries))
    metrics.add_metric("DatabaseTime", MetricUnit.Milliseconds, database.counters.seconds * 1000)
    metrics.add_metric("MemoryUsed", MetricUnit.Megabytes, peak_memory())
    metrics.add_metric("Errors", MetricUnit.Count, float(request.failed))


def peak_memory() -> float:
    """The most memory this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
