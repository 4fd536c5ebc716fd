"""How urgent an event is, by the specification's table."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotekit.webhooks import priority
from quotekit.webhooks.priority import Circumstances, score

LEAST = Circumstances("starred", 0, timedelta(days=30), None, 0)


def with_(**changes: object) -> int:
    given = {
        "action": LEAST.action,
        "activity": LEAST.activity,
        "age": LEAST.age,
        "association": LEAST.association,
        "contributions": LEAST.contributions,
    }
    return score(Circumstances(**given | changes))  # type: ignore[arg-type]


def test_the_least_urgent_has_the_sum_of_the_least_points() -> None:
    assert score(LEAST) == 5 + 10 + 5 + 3


@pytest.mark.parametrize(
    ("action", "points"),
    [
        *(("opened", 40), ("reopened", 30), ("ready_for_review", 30), ("edited", 20)),
        *(("synchronize", 20), ("closed", 20), ("labeled", 10), ("assigned", 10)),
        *(("starred", 5), (None, 5)),
    ],
)
def test_points_of_the_action(action: str | None, points: int) -> None:
    assert with_(action=action) - score(LEAST) == points - 5


@pytest.mark.parametrize(
    ("activity", "points"),
    [
        (0, 10),
        (4, 10),
        (5, 15),
        (9, 15),
        (10, 20),
        (19, 20),
        (20, 25),
        (49, 25),
        (50, 30),
        (999, 30),
    ],
)
def test_points_of_the_repositorys_events_in_seven_days(activity: int, points: int) -> None:
    assert with_(activity=activity) - score(LEAST) == points - 10


@pytest.mark.parametrize(
    ("hours", "points"),
    [(0, 20), (0.99, 20), (1, 15), (23.9, 15), (24, 10), (167.9, 10), (168, 5), (9999, 5)],
)
def test_points_of_the_age(hours: float, points: int) -> None:
    assert with_(age=timedelta(hours=hours)) - score(LEAST) == points - 5


@pytest.mark.parametrize(
    ("association", "contributions", "points"),
    [
        *(("OWNER", 0, 10), ("MEMBER", 0, 10), ("COLLABORATOR", 99, 10)),
        *((None, 11, 8), ("CONTRIBUTOR", 11, 8), (None, 10, 5), ("CONTRIBUTOR", 0, 5)),
        *((None, 1, 5), ("FIRST_TIMER", 0, 3), ("NONE", 0, 3)),
    ],
)
def test_points_of_the_author(association: str | None, contributions: int, points: int) -> None:
    given = with_(association=association, contributions=contributions)

    assert given - score(LEAST) == points - 3


@given(
    st.builds(
        Circumstances,
        st.sampled_from([*priority.ACTIONS, "other", None]),
        st.integers(0, 1000),
        st.timedeltas(min_value=timedelta(0)),
        st.sampled_from([*priority.MAINTAINERS, "CONTRIBUTOR", "NONE", None]),
        st.integers(0, 1000),
    )
)
def test_a_score_is_between_0_and_100(circumstances: Circumstances) -> None:
    assert 0 <= score(circumstances) <= 100


def test_what_was_made_later_than_it_was_received_is_new() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)

    assert priority.age_of(now + timedelta(hours=3), now) == timedelta(0)
    assert priority.age_of(None, now) == timedelta(0)
