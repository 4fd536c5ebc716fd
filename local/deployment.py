"""The functions as they are deployed in the emulator: code, settings, aliases with weights."""

import asyncio
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from local.clients import client
from local.invocation import Version
from local.packages import PackageStore
from local.runtime import LATEST, FunctionNotFoundError

FRESH_SECONDS: Final = 1.0
STALE_SECONDS: Final = 10.0


@dataclass
class _Kept[T]:
    value: T
    at: float
    refresh: asyncio.Task[None] | None = None


class _Cache[T]:
    """Fresh for a second, then answered from memory while it is read again behind the call.

    A function nobody called for a while is read before the call, so old weights are never used.
    """

    def __init__(
        self, read: Callable[[str, str], T], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept[T]] = {}

    async def get(self, function: str, detail: str = "") -> T:
        kept = self._kept.get((function, detail))
        age = self._clock() - kept.at if kept else STALE_SECONDS
        if kept is None or age >= STALE_SECONDS:
            return await self._renew(function, detail)
        if age >= FRESH_SECONDS and (kept.refresh is None or kept.refresh.done()):
            kept.refresh = asyncio.create_task(self._renew_behind(function, detail))
        return kept.value

    async def _renew(self, function: str, detail: str) -> T:
        value = await asyncio.to_thread(self._read, function, detail)
        self._kept[function, detail] = _Kept(value, self._clock())
        return value

    async def _renew_behind(self, function: str, detail: str) -> None:
        try:
            await self._renew(function, detail)
        except FunctionNotFoundError:
            self._kept.pop((function, detail), None)


class Deployment:
    """Implements `runtime.Source` over the emulator's Lambda API."""

    def __init__(self, endpoint_url: str, packages: PackageStore) -> None:
        self._lambda = client("lambda", endpoint_url)
        self._packages = packages
        self._versions: dict[tuple[str, str], Version] = {}
        self._aliases = _Cache(self._read_alias)
        self._reserves = _Cache(self._read_reserve)
        self._latest = _Cache(self._read_version)
        self._layers: dict[str, Path] = {}
        self._loading: dict[tuple[str, str], asyncio.Lock] = {}

    async def routing(self, function: str, qualifier: str) -> Mapping[str, float]:
        if qualifier == LATEST or qualifier.isdigit():
            return {qualifier: 1.0}
        return await self._aliases.get(function, qualifier)

    async def version(self, function: str, number: str) -> Version:
        if number == LATEST:
            return await self._latest.get(function, number)
        key = function, number
        async with self._loading.setdefault(key, asyncio.Lock()):
            if key not in self._versions:  # published versions never change
                self._versions[key] = await asyncio.to_thread(self._read_version, *key)
        return self._versions[key]

    async def reserved_concurrency(self, function: str) -> int | None:
        return await self._reserves.get(function)

    async def load(self, functions: list[str], alias: str = "live") -> None:
        """Unpack what the alias of each function points to, and forget all other code."""
        used: set[Path] = set()
        for function in functions:
            for number in await self.routing(function, alias):
                version = await self.version(function, number)
                used |= {version.task_root, version.layers_root or version.task_root}
        self._packages.forget_all_but(used)

    def _read_alias(self, function: str, alias: str) -> Mapping[str, float]:
        answer = _ask(lambda: self._lambda.get_alias(FunctionName=function, Name=alias))
        weights = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return {answer["FunctionVersion"]: 1.0 - sum(weights.values()), **weights}

    def _read_reserve(self, function: str, _: str) -> int | None:
        answer = _ask(lambda: self._lambda.get_function_concurrency(FunctionName=function))
        reserve: int | None = answer.get("ReservedConcurrentExecutions")
        return reserve

    def _read_version(self, function: str, number: str) -> Version:
        answer = _ask(lambda: self._lambda.get_function(FunctionName=function, Qualifier=number))
        settings = answer["Configuration"]
        code = self._packages.package(
            settings["CodeSha256"], lambda: _download(answer["Code"]["Location"])
        )
        layers = [self._layer(layer["Arn"]) for layer in settings.get("Layers", [])]
        return Version(
            function=function,
            number=number,
            handler=settings["Handler"],
            task_root=code,
            layers_root=self._packages.merged(layers),
            timeout=float(settings["Timeout"]),
            memory=settings["MemorySize"],
            variables=settings.get("Environment", {}).get("Variables", {}),
            log_format=settings.get("LoggingConfig", {}).get("LogFormat", "Text"),
        )

    def _layer(self, arn: str) -> Path:
        if arn not in self._layers:  # a layer's version never changes
            content = self._lambda.get_layer_version_by_arn(Arn=arn)["Content"]
            self._layers[arn] = self._packages.package(
                content["CodeSha256"], lambda: _download(content["Location"])
            )
        return self._layers[arn]


def _ask(call: Callable[[], Any]) -> Any:  # noqa: ANN401  # boto3's own dictionaries
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            raise FunctionNotFoundError(error.response["Error"]["Message"]) from error
        raise


def _download(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as response:
        content: bytes = response.read()
        return content
