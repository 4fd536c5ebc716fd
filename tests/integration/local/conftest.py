"""A runtime over small functions written in the test itself."""

import asyncio
import textwrap
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from local.invocation import Version
from local.runtime import FunctionNotFoundError, Runtime, Settings

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".local/tools/runtime/bin/python"


class Shelf:
    """A source of functions kept in memory; tests move its alias as they like."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.versions: dict[tuple[str, str], Version] = {}
        self.aliases: dict[tuple[str, str], Mapping[str, float]] = {}
        self.reserved: dict[str, int] = {}

    def put(self, name: str, code: str, *, number: str = "$LATEST", **settings) -> None:
        root = self.folder / f"{name}-{number}"
        root.mkdir()
        (root / "app.py").write_text(textwrap.dedent(code))
        self.versions[name, number] = Version(name, number, "app.handler", root, **settings)

    async def routing(self, function, qualifier):
        if (function, qualifier) in self.aliases:
            return self.aliases[function, qualifier]
        if (function, qualifier) in self.versions:
            return {qualifier: 1.0}
        raise FunctionNotFoundError(function)

    async def version(self, function, number):
        return self.versions[function, number]

    async def reserved_concurrency(self, function):
        return self.reserved.get(function)


class Stage:
    """Runs coroutines against one runtime and ends its environments after the test."""

    def __init__(self, folder: Path):
        self.shelf = Shelf(folder)
        self.log: list[tuple[str, str]] = []
        self.settings = Settings(PYTHON, retry_delays=(0.01, 0.02))
        self.chance = Random(7)

    def run(self, play):
        async def whole():
            runtime = Runtime(
                self.shelf, self.settings, lambda *line: self.log.append(line), self.chance
            )
            try:
                return await play(runtime)
            finally:
                await runtime.stop()

        return asyncio.run(whole())

    def lines(self, start: str) -> list[str]:
        return [line for _, line in self.log if line.startswith(start)]


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)
