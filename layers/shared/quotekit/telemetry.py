"""One line an invocation, log and metrics in one, for a door that cannot wait for Powertools.

Powertools takes 30 ms of a cold start; this writes what `quotekit.performance` would, in the same
names: CloudWatch's embedded metric format with Duration, ColdStart, MemoryUsed and Errors by
`service` and by `service` and `route`. A test holds the two together.
"""

import functools
import gc
import json
import os
import resource
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

UNITS: Final = {"Duration": "Milliseconds", "MemoryUsed": "Megabytes"}
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Logger:
    """Lines of JSON, with the request they belong to."""

    def __init__(self) -> None:
        self.keys: dict[str, object] = {}

    def inject_lambda_context(self, handler: Handler) -> Handler:
        @functools.wraps(handler)
        def decorated(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401
            self.keys = {
                "function_name": context.function_name,
                "function_request_id": context.aws_request_id,
            }
            return handler(event, context)

        return decorated

    def warning(self, message: str, **more: object) -> None:
        self._write("WARNING", message, more)

    def error(self, message: str, *, exc_info: BaseException | None = None, **more: object) -> None:
        if exc_info is not None:
            lines = traceback.format_exception(exc_info)
            more |= {"exception": "".join(lines), "exception_name": type(exc_info).__name__}
        self._write("ERROR", message, more)

    def _write(self, level: str, message: str, more: dict[str, object]) -> None:
        wanted = os.environ.get("LOG_LEVEL", "INFO").upper()
        if wanted in LEVELS and LEVELS.index(level) < LEVELS.index(wanted):
            return
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3] + "+0000"
        head = {"level": level, "message": message, "timestamp": now, "service": service()}
        print(json.dumps({**head, **self.keys, **more}, default=str))  # noqa: T201 Lambda's log


class Metrics:
    """What an invocation counted; `log_metrics` measures it and writes the line."""

    def __init__(self) -> None:
        self.cold = True
        self._begin()

    def _begin(self) -> None:
        self.values: dict[str, float] = {}
        self.sets: dict[str, list[list[str]]] = {}
        self.properties: dict[str, object] = {}
        self.failed = False

    def count(self, name: str, *dimensions: Sequence[str], value: float = 1) -> None:
        """Count by the service, and by it with each of these sets of properties."""
        self.values[name] = value
        self.sets[name] = [["service"], *(["service", *more] for more in dimensions)]

    def note(self, **properties: object) -> None:
        """Add what the line says besides; some of it are dimensions."""
        self.properties |= properties

    def log_metrics(self, handler: Handler) -> Handler:
        @functools.wraps(handler)
        def decorated(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401
            self._begin()
            started = time.perf_counter()
            try:
                return handler(event, context)
            except BaseException:
                self.failed = True
                raise
            finally:
                self._end((time.perf_counter() - started) * 1000)

        return decorated

    def _end(self, milliseconds: float) -> None:
        cold, self.cold = self.cold, False
        if cold:
            gc.freeze()  # what the start made stays; see quotekit/__init__.py
            gc.enable()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        measured = {
            "Duration": milliseconds,
            "ColdStart": float(cold),
            "MemoryUsed": memory,
            "Errors": float(self.failed),
        }
        for name, value in measured.items():
            self.count(name, ["route"], value=value)
        print(self._line())  # noqa: T201 CloudWatch reads metrics from the log

    def _line(self) -> str:
        grouped: dict[str, tuple[list[list[str]], list[dict[str, str]]]] = {}
        for name, sets in self.sets.items():
            known = [one for one in sets if all(key in self.properties for key in one[1:])]
            _, named = grouped.setdefault(str(known), (known, []))
            named.append({"Name": name, "Unit": UNITS.get(name, "Count")})
        namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "QuoteKit")
        directives = [
            {"Namespace": namespace, "Dimensions": sets, "Metrics": named}
            for sets, named in grouped.values()
        ]
        about = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": directives}
        line = {"_aws": about, "service": service(), **self.properties, **self.values}
        return json.dumps(line, separators=(",", ":"), default=str)


def service() -> str:
    return os.environ.get("POWERTOOLS_SERVICE_NAME", "unknown")


logger: Final = Logger()
metrics: Final = Metrics()
