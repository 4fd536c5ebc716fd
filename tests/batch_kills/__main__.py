"""Batches under kills at length: `python -m tests.batch_kills --deaths 1000 --seed 7`."""

import argparse
import random
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.postgres import Server
from tests.batch_kills.trial import Verdict, trial
from tests.batching import Desk
from tests.conftest import LOGIN, PASSWORD, address, execute, migrate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.batch_kills", description=__doc__)
    parser.add_argument("--deaths", type=int, default=500, help="beside those at named steps")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"seed {asked.seed}, {asked.deaths} deaths at random")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="quotekit-kills-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        with Server(folder / "data", settings={"log_min_messages": "fatal"}) as server:
            verdict = run(server, folder, asked.seed, asked.deaths)
    show(console, verdict, time.monotonic() - started)
    return int(bool(verdict.complaints))


def run(server: Server, folder: Path, seed: int, deaths: int) -> Verdict:
    migrate(server, "peace")
    execute(server.url, f"alter role {LOGIN} password '{PASSWORD}'")
    execute(server.url, "create database kills template peace")
    names = ("peace", "kills")
    urls = [address(server.url, name, f"{LOGIN}:{PASSWORD}") for name in names]
    peaceful, disturbed = (Desk(address(server.url, name)) for name in names)
    for desk in (peaceful, disturbed):
        desk.prepare()
    try:
        return trial(peaceful, (urls[0], urls[1]), disturbed, folder, seed=seed, deaths=deaths)
    finally:
        for desk in (peaceful, disturbed):
            desk.connection.close()


def show(console: Console, verdict: Verdict, seconds: float) -> None:
    tally = verdict.tally
    table = Table("step", "killed", "stopped")
    for step in sorted(tally.killed | tally.stopped):
        table.add_row(step, str(tally.killed[step]), str(tally.stopped[step]))
    console.print(table)
    console.print(
        f"{tally.workers} workers over {verdict.rounds} rounds in {seconds:.0f} s; "
        f"{tally.killed.total()} died at a step, {tally.at_random} at random, "
        f"{tally.stopped.total()} slept past their lease; {tally.leases_lost} leases were lost, "
        f"{tally.refused} late commits refused"
    )
    for complaint in verdict.complaints:
        console.print(f"[red]{complaint}[/]")
    console.print("[bold red]FAILED[/]" if verdict.complaints else "[bold green]PASSED[/]")


if __name__ == "__main__":
    raise SystemExit(main())
