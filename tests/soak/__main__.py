"""`make soak`: the runs at length, on a stack of their own that is ended in any case."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.soak.ground import Ground
from tests.soak.runs import Result, Say, Soak, new_seed

SHOWN = 20


def main() -> int:
    asked = _arguments()
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"seed {asked.seed}, {asked.deliveries} deliveries; again: SEED={asked.seed}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="quotekit-soak-"))
    folder.chmod(0o755)
    started = time.monotonic()
    try:
        results = _run(asked, folder, lambda text: _say(console, started, text))
    except KeyboardInterrupt:
        console.print("ended before its end")
        return 130
    finally:
        if not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)
    for result in results:
        _show(console, result)
    failed = any(result.complaints for result in results)
    console.print("[bold red]FAILED[/]" if failed else "[bold green]PASSED[/]")
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    given = os.environ
    parser.add_argument("--deliveries", type=int, default=int(given.get("DELIVERIES") or 200_000))
    parser.add_argument("--seed", type=int, default=int(given.get("SEED") or new_seed()))
    parser.add_argument("--outage-every", type=float, default=60, help="seconds, during the first")
    parser.add_argument("--outage", type=float, default=60, help="seconds, in the second")
    parser.add_argument("--rate", type=float, default=50, help="deliveries a second, in the second")
    parser.add_argument("--hidden", type=int, help="visibility timeout; the deployed one if absent")
    parser.add_argument("--keep", action="store_true", help="leave the data where they are")
    return parser.parse_args()


def _run(asked: argparse.Namespace, folder: Path, say: Say) -> list[Result]:
    say(f"starting a stack in {folder}")
    with Ground(folder) as ground:
        if asked.hidden:
            ground.hide_for(asked.hidden)
        soak = Soak(ground, say)
        crash = soak.crash(asked.deliveries, asked.seed, outage_every=asked.outage_every)
        say(f"{crash.title}: {len(crash.complaints)} complaints")
        outage = soak.outage(asked.outage, asked.seed, rate=asked.rate)
        say(f"{outage.title}: {len(outage.complaints)} complaints")
        return [crash, outage, soak.long_outage(asked.outage, asked.seed, rate=asked.rate / 5)]


def _say(console: Console, started: float, text: str) -> None:
    console.print(f"{time.monotonic() - started:7.1f} s  {text}", markup=False)


def _show(console: Console, result: Result) -> None:
    table = Table("what", "measured", title=result.title, title_justify="left")
    for what, value in result.facts.items():
        table.add_row(what, str(value))
    console.print(table)
    for complaint in result.complaints[:SHOWN]:
        console.print(f"  {complaint}", markup=False)
    if len(result.complaints) > SHOWN:
        console.print(f"  and {len(result.complaints) - SHOWN} more")


if __name__ == "__main__":
    sys.exit(main())
