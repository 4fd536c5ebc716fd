"""The Lambda service: versions, aliases with weights, concurrency, and a pool of environments."""

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from local.environment import Environment, LogSink
from local.invocation import PAYLOAD_BYTES, Call, Outcome, Version, trace_id

LATEST: Final = "$LATEST"


class RuntimeApiError(Exception):
    """The service refuses an invocation before any function sees it."""


class FunctionNotFoundError(RuntimeApiError):
    """There is no such function, version or alias."""


class TooManyRequestsError(RuntimeApiError):
    """The function's reserved concurrency is used up."""


class RequestTooLargeError(RuntimeApiError):
    """The event is larger than 6 MB."""


class Source(Protocol):
    """Where functions come from; every answer may be kept for as long as the source thinks fit."""

    async def routing(self, function: str, qualifier: str) -> Mapping[str, float]:
        """The share of each version number behind a qualifier; the shares add up to 1."""

    async def version(self, function: str, number: str) -> Version: ...

    async def reserved_concurrency(self, function: str) -> int | None: ...


@dataclass(frozen=True)
class Settings:
    python: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    freeze: bool = True
    idle_seconds: float = 300
    # Lambda starts as many environments as there are calls; a laptop has a few cores and is
    # served sooner when the rest waits. Waiting calls count as running ones for the reserve.
    environments_per_function: int = max(4, 2 * (os.cpu_count() or 1))
    retry_delays: tuple[float, ...] = (60, 120)  # asynchronous calls that failed


class _Function:
    """The environments of one function's versions."""

    def __init__(self, slots: int) -> None:
        self.slots = asyncio.Semaphore(slots)
        self.in_flight = 0
        self.idle: list[Environment] = []  # the newest last
        self.busy: set[Environment] = set()

    def take(self, version: Version) -> Environment | None:
        self.idle = [environment for environment in self.idle if environment.alive]
        for environment in reversed(self.idle):
            if environment.version == version:
                self.idle.remove(environment)
                return environment
        return None


class Runtime:
    """Invokes functions of a source, each in environments of its own."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        log: LogSink,
        chance: random.Random | None = None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._log = log
        self._chance = chance or random.Random()  # noqa: S311  # shares traffic, guards nothing
        self._functions: dict[str, _Function] = defaultdict(
            lambda: _Function(settings.environments_per_function)
        )
        self._tasks: set[asyncio.Task[object]] = set()

    async def invoke(
        self,
        function: str,
        payload: bytes,
        *,
        qualifier: str = LATEST,
        client_context: str | None = None,
        trace: str | None = None,
    ) -> Outcome:
        """Run the function once; it goes on to its end even when the caller leaves."""
        if len(payload) > PAYLOAD_BYTES:
            raise RequestTooLargeError(f"the event has {len(payload)} of {PAYLOAD_BYTES} bytes")
        routing = await self._source.routing(function, qualifier)
        version = await self._source.version(function, self._choose(routing))
        reserved = await self._source.reserved_concurrency(function)
        state = self._functions[function]
        if reserved is not None and state.in_flight >= reserved:
            raise TooManyRequestsError("Rate Exceeded.")
        call = Call(payload, version.arn(qualifier), client_context, trace or trace_id())
        state.in_flight += 1
        return await asyncio.shield(self._spawn(self._run(state, version, call)))

    async def send(self, function: str, payload: bytes, *, qualifier: str = LATEST) -> None:
        """Accept an asynchronous invocation: answered at once, tried again when it fails."""
        routing = await self._source.routing(function, qualifier)
        await self._source.version(function, next(iter(routing)))  # refuse what does not exist
        self._spawn(self._deliver(function, payload, qualifier))

    async def reap(self) -> None:
        """End environments that were idle for long; runs until cancelled."""
        while True:
            await asyncio.sleep(self._settings.idle_seconds / 10)
            limit = time.monotonic() - self._settings.idle_seconds
            for state in self._functions.values():
                old = [environment for environment in state.idle if environment.idle_since < limit]
                state.idle = [environment for environment in state.idle if environment not in old]
                await asyncio.gather(*(environment.stop() for environment in old))

    async def stop(self) -> None:
        """End every environment and every call."""
        environments = [
            environment
            for state in self._functions.values()
            for environment in [*state.idle, *state.busy]
        ]
        await asyncio.gather(*(environment.stop() for environment in environments))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _choose(self, routing: Mapping[str, float]) -> str:
        if len(routing) == 1:
            return next(iter(routing))
        return self._chance.choices(list(routing), list(routing.values()))[0]

    def _spawn[T](self, work: "asyncio._CoroutineLike[T]") -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, state: _Function, version: Version, call: Call) -> Outcome:
        try:
            async with state.slots:
                return await self._run_in_environment(state, version, call)
        finally:
            state.in_flight -= 1

    async def _run_in_environment(self, state: _Function, version: Version, call: Call) -> Outcome:
        environment = state.take(version)
        cold = environment is None
        if environment is None:
            environment = Environment(
                version,
                self._settings.python,
                self._settings.variables,
                self._log,
                freeze=self._settings.freeze,
            )
        state.busy.add(environment)
        try:
            error = await environment.start() if cold else None
            return error or await environment.invoke(call)
        finally:
            state.busy.discard(environment)
            if environment.alive:
                state.idle.append(environment)

    async def _deliver(self, function: str, payload: bytes, qualifier: str) -> None:
        for delay in (*self._settings.retry_delays, None):
            with suppress(TooManyRequestsError):
                outcome = await self.invoke(function, payload, qualifier=qualifier)
                if outcome.error is None:
                    return
            if delay is not None:
                await asyncio.sleep(delay)
        self._log(function, "asynchronous invocation failed for good; the event is dropped")
