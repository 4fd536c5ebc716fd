"""What goes wrong: a function's sandboxes killed, the database gone."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final, Literal

from local.settings import STACK_NAME

type Mode = Literal["fast", "immediate", "kill"]

# PostgreSQL's own names: connections are ended; it is left at once, as in a crash; not even that.
MODES: Final[dict[Mode, signal.Signals]] = {
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
    "kill": signal.SIGKILL,
}
STOPPED: Final = "T"


def sandboxes(aws_url: str, function: str) -> Iterator[tuple[int, bool]]:
    """Each process of this stack's function, and whether it is at work: the frozen ones rest."""
    known = {
        f"AWS_LAMBDA_FUNCTION_NAME={STACK_NAME}-{function}".encode(),
        f"AWS_ENDPOINT_URL={aws_url}".encode(),
    }
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if known <= set((place / "environ").read_bytes().split(b"\0")):
                state = (place / "stat").read_text().rpartition(")")[2].split()[0]
                yield int(place.name), state != STOPPED


class Killer:
    """Kills a sandbox of a function about every `seconds`, rather one at work, until it is told to
    stop."""

    def __init__(self, aws_url: str, function: str, seconds: float, chance: Random) -> None:
        self.killed = 0
        self.at_work = 0
        self._find: Callable[[], Iterator[tuple[int, bool]]] = lambda: sandboxes(aws_url, function)
        self._seconds = seconds
        self._chance = chance
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @contextmanager
    def killing(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(self._seconds * self._chance.uniform(0.7, 1.3)):
            found = list(self._find())
            chosen = [pid for pid, at_work in found if at_work] or [pid for pid, _ in found]
            if chosen:
                self._kill(self._chance.choice(chosen), at_work=any(busy for _, busy in found))

    def _kill(self, pid: int, *, at_work: bool) -> None:
        """By a handle of the process, so that no other that got its number is hit."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                if pid in dict(self._find()):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    self.killed += 1
                    self.at_work += at_work
            finally:
                os.close(handle)
