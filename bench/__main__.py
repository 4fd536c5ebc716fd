"""Every measurement, one after the other, into bench/RESULTS.md: `make bench`.

`python -m bench NAME …` measures some anew and leaves the sections of the others as they are.
"""

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
    "throughput": "Webhooks a second: the worker alone, and the whole way",
    "batch": "Batches through the stack, and beside pgqueuer, procrastinate and Celery",
    "monitor": "The webhook monitor over 1,000,000 stored events",
    "pdf": "A quote printed: typst beside ReportLab, WeasyPrint and fpdf2",
    "reports": "Reports over 100,000 quotes of one account",
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


def section(name: str) -> str:
    print(f"\n{BENCHES[name]}\n", flush=True)
    found = measure(name)
    print(found, flush=True)
    day = datetime.now(UTC).date()
    return f"## {BENCHES[name]}\n\n`python -m bench.{name}` on {day}\n\n{found}\n"


def main() -> None:
    results = HERE / "RESULTS.md"
    head, *kept = results.read_text().split("\n## ")
    sections = {text.partition("\n")[0]: f"## {text}" for text in kept}
    if not sys.argv[1:]:
        head = HEAD.format(
            day=datetime.now(UTC).date(),
            cores=os.cpu_count(),
            machine=platform.machine(),
            python=platform.python_version(),
        )
    for name in sys.argv[1:] or BENCHES:
        sections[BENCHES[name]] = section(name)
    listed = [sections[title].rstrip() for title in BENCHES.values() if title in sections]
    results.write_text("\n\n".join([head.rstrip(), *listed]) + "\n")


if __name__ == "__main__":
    main()
