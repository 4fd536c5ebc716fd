"""Rate and expected end: from what was committed, or null with the reason."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from quotekit.batches import repository
from quotekit.batches.repository import Expected, Rate

NOW: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROW: Final[dict[str, Any]] = {
    "status": "running",
    "total": 1000,
    "succeeded": 300,
    "failed": 150,
    "skipped": 50,
    "finished_at": None,
    "observed_at": NOW,
    "late_items": 500,
    "late_seconds": 10.0,
    "late_at": NOW - timedelta(seconds=2),
}


def figures(**changes: Any) -> tuple[Rate, Expected]:
    row = ROW | changes
    rate = repository.rate_of(row)
    return rate, repository.expected(row, repository.counts_of(row), rate)


def test_the_rest_is_expected_at_the_rate_of_the_last_chunks() -> None:
    rate, expected = figures()

    assert rate == Rate(50.0, None)
    assert expected == Expected(NOW + timedelta(seconds=10), 10.0, None)


UNKNOWN: Final[list[tuple[dict[str, Any], str]]] = [
    ({"late_items": None, "late_seconds": None, "late_at": None}, repository.NONE_YET),
    ({"late_seconds": 0.0}, repository.NONE_YET),
    ({"late_at": NOW - timedelta(seconds=61)}, repository.NONE_LATELY),
]


@pytest.mark.parametrize(("changes", "reason"), UNKNOWN)
def test_what_cannot_be_measured_is_null_with_its_reason(
    changes: dict[str, Any], reason: str
) -> None:
    rate, expected = figures(**changes)

    assert rate == Rate(None, reason)
    assert expected == Expected(None, None, reason)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("paused", "It is paused."),
        ("preparing", "Its upload is not read yet."),
        ("cancelling", "It is being cancelled."),
        ("stopping", "It is being stopped."),
        ("finishing", "Its items are done; its result is put together."),
        ("completed", "It is over."),
        ("cancelled", "It is over."),
    ],
)
def test_what_does_not_go_on_has_no_expected_end(status: str, reason: str) -> None:
    _, expected = figures(status=status)

    assert expected == Expected(None, None, reason)


def test_the_rate_of_a_batch_that_is_over_stays() -> None:
    rate, _ = figures(status="completed", finished_at=NOW, late_at=NOW - timedelta(days=3))

    assert rate == Rate(50.0, None)


def test_how_many_are_pending_is_not_known_before_the_upload_is_read() -> None:
    assert repository.counts_of(ROW).pending == 500
    assert repository.counts_of(ROW | {"total": None}).pending is None
