"""What breakers and leases tell CloudWatch and the log.

`BreakerTransitions`, `BreakerOpened` and `BreakerRefusals` by `dependency`, by `service` and as a
whole; `LeaseRefusals` by `resource` (its kind: what stands before the colon) in its place. Each is
a line of its own, at once: Powertools' line of the invocation has other dimensions.
"""

import json
import time
from typing import Any, Final, Literal

from quotekit.performance import logger, metrics
from quotekit.resilience.machine import Phase

type Reason = Literal["calls", "probe", "time", "operator"]

NAMESPACE: Final = "QuoteKit"


def moved(dependency: str, before: Phase, after: Phase, *, shared: bool) -> None:
    """A breaker changed; `shared` is false when only this process knows of it."""
    if before == after:
        return
    logger.warning("breaker", dependency=dependency, before=before, after=after, shared=shared)
    count("BreakerTransitions", dependency=dependency)
    if after == "open":
        count("BreakerOpened", dependency=dependency)


def count(name: str, **dimension: str) -> None:
    """One of `name`, in CloudWatch's embedded metric format."""
    dimensions = [*([key] for key in (*dimension, "service")), []]
    metric = {
        "Namespace": NAMESPACE,
        "Dimensions": dimensions,
        "Metrics": [{"Name": name, "Unit": "Count"}],
    }
    line: dict[str, Any] = {
        "_aws": {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [metric]},
        **dimension,
        "service": metrics.service or "unknown",
        name: 1,
    }
    print(json.dumps(line, separators=(",", ":")), flush=True)  # noqa: T201 - so EMF travels
