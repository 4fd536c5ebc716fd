"""Child processes that never outlive us: not after Ctrl-C, not after SIGKILL."""

import os
import shutil
from contextlib import suppress
from functools import cache


@cache
def _setpriv() -> str | None:
    return shutil.which("setpriv")  # part of util-linux; elsewhere only an orderly end is promised


def bound(*command: str, death: str = "KILL", privileges: tuple[str, ...] = ()) -> list[str]:
    """The command, ended by the kernel (with signal `death`) when the thread starting it ends."""
    setpriv = _setpriv()
    return [setpriv, f"--pdeathsig={death}", *privileges, *command] if setpriv else [*command]


def signal_group(pid: int, number: int) -> None:
    """Signal a process that leads its own group, with all it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def peak_memory(pid: int) -> int:
    """The largest resident set the process ever had, in MB; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123  # read after every invocation
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return -(-int(line.split()[1]) // 1024)
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0
