"""Every measurement, one after the other, into bench/RESULTS.md: `make bench`."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
BENCHES: Final = {
    "create": "A quote created: quote-processor beside FastAPI + Mangum + psycopg",
    "webhook": "A webhook taken: webhook-handler beside stripe + boto3",
    "monitor": "The webhook monitor over 1,000,000 stored events",
    "pdf": "A quote printed: typst beside ReportLab, WeasyPrint and fpdf2",
    "rls": "What row level security costs a request",
    "runner": "The local runner",
}
HEAD: Final = """# Results

Measured by `make bench` on {day}: {cores} cores, {machine}, Python {python}. The machine was
shared, so only the ratios within one table mean something; every table is one run, its
contenders taking turns.
"""


def measure(name: str) -> str:
    """What a bench prints; its own processes and servers end with it."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}"],
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=1800,
    )
    if done.returncode:
        return f"It failed with exit code {done.returncode}."
    return done.stdout.strip()


def main() -> None:
    head = HEAD.format(
        day=datetime.now(UTC).date(),
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
    )
    sections = [head]
    for name, title in BENCHES.items():
        print(f"\n{title}\n", flush=True)
        found = measure(name)
        print(found, flush=True)
        sections.append(f"## {title}\n\n`python -m bench.{name}`\n\n{found}\n")
    (HERE / "RESULTS.md").write_text("\n".join(sections))


if __name__ == "__main__":
    main()
