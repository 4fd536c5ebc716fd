"""Workers killed at every named step and at random: nothing lost, nothing done twice, none stuck.

The long version: `python -m tests.batch_kills`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.postgres import Server
from tests.batch_kills import trial
from tests.batching import Desk
from tests.conftest import LOGIN, PASSWORD, Database, address, execute

DEATHS = 6


@pytest.fixture
def peaceful(server: Server, migrated: str) -> Iterator[Desk]:
    """Another database, in which nobody dies."""
    execute(server.url, f"create database peace template {migrated} strategy file_copy")
    desk = Desk(address(server.url, "peace"))
    desk.prepare()
    yield desk
    desk.connection.close()
    execute(server.url, "drop database peace with (force)")


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    desk = Desk(database.owner_url)
    desk.prepare()
    yield desk
    desk.connection.close()


@pytest.mark.slow
def test_batches_come_to_the_same_end_whoever_dies_and_where(
    server: Server, database: Database, desk: Desk, peaceful: Desk, tmp_path: Path
) -> None:
    urls = address(server.url, "peace", f"{LOGIN}:{PASSWORD}"), database.url

    verdict = trial.trial(peaceful, urls, desk, tmp_path, seed=7, deaths=DEATHS)

    assert verdict.complaints == []
    assert verdict.never_died_at == set()
    assert verdict.tally.stopped.total() > 0
    assert verdict.tally.refused > 0


def test_the_trial_notices_what_is_lost_or_done_twice(desk: Desk, tmp_path: Path) -> None:
    """A ledger that cannot fail would show nothing."""
    only = trial.Round(desk, tmp_path, 0)
    only.submit()
    job = only.jobs["together"]
    expected: dict[str, Any] = only.ends()

    desk.connection.execute("insert into app.ledger (job_id, item) values (%s, 1)", [job])
    desk.connection.execute("update app.items set unit_cost = unit_cost * 1.1")

    complaints = trial.compared(expected, only.ends(), 0)
    assert [one.split(":")[0] for one in complaints] == ["round 0, costs", "round 0, together"]
