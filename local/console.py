"""What the stack prints: a line for each stage, what to try, and the functions' log."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from local.settings import STACK_NAME

COLOURS: Final = {"ERROR": "bold red", "CRITICAL": "bold red", "WARNING": "yellow", "DEBUG": "dim"}
# Keys every Powertools line has; they say nothing about the event.
BOILERPLATE: Final = frozenset(
    {"level", "location", "message", "timestamp", "service", "cold_start", "function_name"}
    | {
        "function_memory_size",
        "function_arn",
        "function_request_id",
        "xray_trace_id",
        "sampling_rate",
    }
)


class Progress:
    """A line for each stage when it is done, and a spinner with those that are not."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: list[str] = []
        self._status: Status | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """What is appended to the list stands behind the stage's time."""
        started = time.perf_counter()
        notes: list[str] = []
        self._running.append(name)
        self._spin()
        try:
            yield notes
        finally:
            self._running.remove(name)
            self._spin()
        seconds = time.perf_counter() - started
        note = f"  [dim]{escape(', '.join(notes))}[/]" if notes else ""
        self._console.print(f"[green]✔[/] {name:<34}{seconds:6.1f} s{note}", soft_wrap=True)

    def _spin(self) -> None:
        if not self._console.is_terminal:
            return
        text = " · ".join(self._running)
        if self._running and self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        elif self._running and self._status:
            self._status.update(text)
        elif self._status:
            self._status.stop()
            self._status = None


class FunctionLog:
    """Keeps every line in a file and shows the readable ones."""

    def __init__(self, file: TextIO, console: Console) -> None:
        self._file = file
        self._console = console
        self.quiet = True

    def __call__(self, function: str, line: str) -> None:
        name = function.removeprefix(f"{STACK_NAME}-")
        self._file.write(f"{name} {line}\n")
        self._file.flush()
        shown = None if self.quiet else readable(name, line)
        if shown:
            self._console.print(shown, soft_wrap=True, highlight=False)


def open_log(file: Path, limit: int = 20_000_000) -> TextIO:
    """Append, but start over when it has grown large."""
    large = file.exists() and file.stat().st_size > limit
    return file.open("w" if large else "a", encoding="utf-8")


def readable(function: str, line: str) -> str | None:
    """A log line as rich markup; None for lines that only machines read."""
    if line.startswith(("START ", "END ")) or not line.strip():
        return None
    head = f"[dim]{datetime.now().astimezone():%H:%M:%S}[/] [cyan]{escape(f'{function:<22}')}[/]"
    if line.startswith("REPORT "):
        return f"{head} [dim]{escape(_report(line))}[/]"
    try:
        entry = json.loads(line)
    except ValueError:
        return f"{head} {escape(line)}"
    if not isinstance(entry, dict) or "_aws" in entry:  # embedded metrics
        return None
    return f"{head} {_entry(entry)}"


def _entry(entry: dict[str, Any]) -> str:
    level = str(entry.get("level", "INFO"))
    message = entry.get("message", "")
    text = message if isinstance(message, str) else json.dumps(message)
    keys = {name: value for name, value in entry.items() if name not in BOILERPLATE}
    pairs = " ".join(f"{name}={_value(value)}" for name, value in keys.items() if value is not None)
    style = COLOURS.get(level, "default")
    return f"[{style}]{level:<7}[/] {escape(text)} [dim]{escape(pairs)}[/]".rstrip()


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return json.dumps(text, ensure_ascii=False) if " " in text or "\n" in text else text


def _report(line: str) -> str:
    fields = dict(part.split(": ", 1) for part in line.split("\t")[1:] if ": " in part)
    shown = [fields["Duration"], fields.get("Max Memory Used", "")]
    if "Init Duration" in fields:
        shown.append(f"cold start {fields['Init Duration']}")
    shown.append(fields.get("Status", ""))
    return "done in " + ", ".join(part for part in shown if part)
