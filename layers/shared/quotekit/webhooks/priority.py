"""How urgent an event of a repository is: 0 to 100, from its action, its repository's activity, the
age of what it is about and who made that.

Source of the rule: contributor.info's router, in the points of its specification (§2.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

ACTIONS: Final[Mapping[str, int]] = {
    "opened": 40,
    "reopened": 30,
    "ready_for_review": 30,
    "edited": 20,
    "synchronize": 20,
    "closed": 20,
    "labeled": 10,
    "unlabeled": 10,
    "assigned": 10,
    "unassigned": 10,
}
OTHER_ACTION: Final = 5
ACTIVITY: Final = ((50, 30), (20, 25), (10, 20), (5, 15), (0, 10))  # events in 7 days: points
AGES: Final = ((timedelta(hours=1), 20), (timedelta(hours=24), 15), (timedelta(hours=168), 10))
OLD: Final = 5
MAINTAINERS: Final = {"OWNER", "MEMBER", "COLLABORATOR"}  # GitHub's author_association
MAINTAINER: Final = 10
CONTRIBUTIONS: Final = ((11, 8), (1, 5), (0, 3))
MOST_ACTIVITY: Final = ACTIVITY[0][0]  # counting further changes nothing
MOST_CONTRIBUTIONS: Final = CONTRIBUTIONS[0][0]


@dataclass(frozen=True, slots=True)
class Circumstances:
    action: str | None
    activity: int
    age: timedelta
    association: str | None
    contributions: int


def score(given: Circumstances) -> int:
    """Points of 100; the database calls 80 critical, 60 high, 40 medium and less low."""
    action = ACTIONS.get(given.action or "", OTHER_ACTION)
    age = next((points for limit, points in AGES if given.age < limit), OLD)
    return action + _points(ACTIVITY, given.activity) + age + _author(given)


def age_of(made_at: datetime | None, now: datetime) -> timedelta:
    """What tells no age counts as new."""
    return max(now - made_at, timedelta(0)) if made_at else timedelta(0)


def _author(given: Circumstances) -> int:
    if given.association in MAINTAINERS:
        return MAINTAINER
    known = max(given.contributions, int(given.association == "CONTRIBUTOR"))
    return _points(CONTRIBUTIONS, known)


def _points(table: tuple[tuple[int, int], ...], value: int) -> int:
    return next(points for limit, points in table if value >= limit)
