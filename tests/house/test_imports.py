"""What a door may cost before its first line runs: modules counted, heavy libraries named.

Modules are counted, not milliseconds, so that a busy machine does not fail a test. The time is
measured by `bench/create.py`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOORS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
LATER = {"boto3", "botocore.session", "jwt", "cryptography", "typst"}
# Room for a handful of modules more; whoever needs many has found something to import later.
BUDGETS = {
    "catalog_manager": 550,
    "database_migrator": 440,
    "edge_functions_health_check": 535,
    "mail_sender": 515,
    "outbox_sweeper": 440,
    "quote_expirer": 450,
    "quote_pdf_generator": 570,
    "quote_processor": 545,
    "test_connection": 530,
}
IMPORT = "import json, sys, app; print(json.dumps(sorted(sys.modules)))"


def imported(door: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=ROOT / "functions" / door,
        env={
            "PYTHONPATH": f"{ROOT / 'layers/shared'}:.",
            "POWERTOOLS_SERVICE_NAME": door,
            "POWERTOOLS_METRICS_NAMESPACE": "QuoteKit",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    names: list[str] = json.loads(done.stdout)
    return names


@pytest.mark.parametrize("door", DOORS)
def test_a_door_starts_with_no_more_than_it_needs(door: str) -> None:
    modules = imported(door)

    assert LATER & set(modules) == set()
    assert len(modules) <= BUDGETS[door]


def test_no_environment_is_needed_to_import_a_door() -> None:
    assert imported("quote_processor")  # no AUTH_, no DATABASE_: rule 2 of STYLE
